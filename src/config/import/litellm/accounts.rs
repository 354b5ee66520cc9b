//! The account of a deployment, and what it signs in with.

use crate::base::secret::Secret;
use crate::config::import::Cx;
use crate::config::import::draft::{Account, Credential};
use crate::config::import::litellm::providers::Provider;
use crate::config::import::litellm::{credential, text};
use crate::config::import::names::fits;
use crate::config::import::yaml::Node;
use crate::config::value::Word;

/// What a deployment's parameters and the credential that they name say.
pub(super) struct Params<'n> {
    pub(super) own: &'n Node,
    pub(super) named: Option<&'n Node>,
}

impl<'n> Params<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        let named = || self.named.and_then(|named| named.get(key));
        self.own.get(key).or_else(named)
    }
}

/// The account of a deployment: one for each upstream and credential.
pub(super) fn add(
    cx: &mut Cx<'_>,
    what: &str,
    provider: Provider,
    params: &Params<'_>,
    upstream: &str,
    model: Option<&String>,
) -> Result<(), String> {
    let what = format!("{what}.litellm_params");
    let (holds, credential) = match provider.kind {
        "vertex" => ("service_account", vertex(cx, &what, params)?),
        _ => ("api_key", api_key(cx, &what, provider, params)?),
    };
    let project = match params.get("vertex_project") {
        Some(node) => text(cx, &format!("{what}.vertex_project"), node),
        None => None,
    };
    let number = |key: &str| params.get(key).and_then(Node::number);
    let weight = number("weight").filter(|w| *w >= 0.0 && (*w - 1.0).abs() > f64::EPSILON);
    let most = params.get("max_parallel_requests").and_then(Node::int);
    let most = most.and_then(|n| u32::try_from(n).ok()).map(u64::from);
    let same = |known: &&mut Account| {
        known.upstream == upstream && known.credential == credential && known.project == project
    };
    if let Some(known) = cx.draft.accounts.iter_mut().find(same) {
        match (&mut known.models, model) {
            (Some(models), Some(model)) => models.push(model.clone()),
            (models, _) => *models = None,
        }
        if known.weight != weight || known.max_concurrent != most {
            let why = format!(
                "other deployments with this key say otherwise: `accounts.{}` has what the first says",
                known.name
            );
            cx.report.changed(what, why);
        }
        return Ok(());
    }
    let wanted = match &credential {
        Credential::Env(name) => name.trim_end_matches("_API_KEY").to_owned(),
        _ => upstream.to_owned(),
    };
    let name = cx.draft.account_names.take(&wanted, "account");
    let mut account = Account::new(name, upstream.to_owned(), holds, credential);
    account.weight = weight;
    account.max_concurrent = most;
    account.models = model.map(|model| vec![model.clone()]);
    account.project = project;
    cx.account(&what, account);
    Ok(())
}

fn api_key(
    cx: &mut Cx<'_>,
    what: &str,
    provider: Provider,
    params: &Params<'_>,
) -> Result<Credential, String> {
    let at = format!("{what}.api_key");
    if let Some(node) = params.get("api_key") {
        return credential(cx, &at, node).ok_or_else(|| "it has no API key".to_owned());
    }
    let (credential, why) = match provider.variable {
        Some(name) => (
            Credential::Env(name.to_owned()),
            format!("none is given: LiteLLM takes `{name}`, and so does the new file"),
        ),
        None => (
            Credential::Own(Secret::new("none")),
            "none is given, and an account has one: the word `none` stands there".to_owned(),
        ),
    };
    cx.report.changed(at, why);
    Ok(credential)
}

/// A service account: the JSON itself or the file that holds it.
fn vertex(cx: &mut Cx<'_>, what: &str, params: &Params<'_>) -> Result<Credential, String> {
    let at = format!("{what}.vertex_credentials");
    let Some(node) = params.get("vertex_credentials") else {
        return Err(
            "it takes the machine's own credentials, and agp wants a service account's JSON"
                .to_owned(),
        );
    };
    match credential(cx, &at, node) {
        Some(Credential::Own(secret)) if !secret.expose().starts_with('{') => {
            let path = secret.expose().to_owned();
            if !fits::<Word>(&path) {
                return Err("its `vertex_credentials` name no file".to_owned());
            }
            cx.report.changed(
                at,
                "the file is looked for from the folder of the new file on",
            );
            Ok(Credential::File(path))
        }
        Some(found) => Ok(found),
        None => Err("its `vertex_credentials` can't be used".to_owned()),
    }
}
