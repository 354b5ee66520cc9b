//! From the draft to the file: what can't stand in it goes, secrets are sealed, and the result is held to the rules of the file.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::secret::Secret;
use crate::config::diagnostic::{Code, Severity};
use crate::config::import::draft::{ANTIGRAVITY, Draft, Model, Value};
use crate::config::import::names::is_name;
use crate::config::import::report::Carried;
use crate::config::import::sealing::Sealing;
use crate::config::import::{Cx, ImportError, Imported};
use crate::config::source::Files;
use crate::config::{self, Loaded};

/// Makes the file.
pub(super) fn finish(mut cx: Cx<'_>) -> Result<Imported, ImportError> {
    models(&mut cx);
    default_model(&mut cx);
    settle_accounts(&mut cx.draft);
    to_do(&mut cx);
    let draft = &cx.draft;
    cx.report.carried = Carried {
        upstreams: draft.upstreams.len(),
        accounts: draft.accounts.len(),
        keys: draft.keys.len(),
        models: draft.models.len(),
        settings: draft.settings.len(),
    };
    let state_path = match draft.setting("state", "path") {
        Some(Value::Text(path)) => Some(path.as_str()),
        _ => None,
    };
    let sealing = Sealing::new(cx.options.state_dir, state_path, cx.options.plain_secrets);
    let text = draft
        .text(cx.report.from, &|secret| sealing.write(secret))
        .map_err(ImportError::Sealing)?;
    let loaded = load(&text)?;
    in_effect(&mut cx, &loaded);
    Ok(Imported {
        text: Secret::new(text),
        report: cx.report,
        identity: sealing.used(),
    })
}

/// Models that nobody serves, and names that mean two models, would be mistakes in the file.
fn models(cx: &mut Cx<'_>) {
    let Draft {
        accounts, models, ..
    } = &mut cx.draft;
    // Upstreams of which an enabled account serves all models, and those models that others name.
    let mut whole: HashSet<&str> = HashSet::new();
    let mut single: HashSet<(&str, &str)> = HashSet::new();
    for account in accounts.iter().filter(|account| account.enabled) {
        let upstream = account.upstream.as_str();
        match &account.models {
            None => {
                whole.insert(upstream);
            }
            Some(models) => single.extend(models.iter().map(|m| (upstream, m.as_str()))),
        }
    }
    let served = |model: &Model| {
        model.route.iter().any(|(upstream, name)| {
            whole.contains(upstream.as_str()) || single.contains(&(upstream, name))
        })
    };
    let mut names: HashSet<String> = HashSet::new();
    let report = &mut cx.report;
    models.retain(|model| {
        let why = if !is_name(&model.name) || model.route.iter().any(|(_, name)| !is_name(name)) {
            "not a name that a model can have"
        } else if !served(model) {
            "no enabled account serves it"
        } else {
            names.insert(model.name.clone());
            return true;
        };
        report.dropped(format!("model {}", model.name), why);
        false
    });
    for model in models {
        model.aliases.retain(|alias| {
            let free = is_name(alias) && names.insert(alias.clone());
            if !free {
                report.dropped(
                    format!("alias {alias}"),
                    "the name is taken or can't be used",
                );
            }
            free
        });
    }
}

fn default_model(cx: &mut Cx<'_>) {
    let Some(Value::Text(name)) = cx.draft.setting("routing", "default_model").cloned() else {
        return;
    };
    if !cx.draft.serves(&name) {
        cx.draft
            .settings
            .retain(|(section, key, ..)| (*section, *key) != ("routing", "default_model"));
        cx.report
            .dropped(format!("default model {name}"), "there is no such model");
    }
}

/// Where all accounts of an upstream serve the same models, none needs to name them.
fn settle_accounts(draft: &mut Draft) {
    for (name, _) in &draft.upstreams {
        let mut own: Vec<_> = draft
            .accounts
            .iter_mut()
            .filter(|account| account.upstream == *name)
            .collect();
        for account in &mut own {
            if let Some(models) = &mut account.models {
                models.sort();
                models.dedup();
            }
        }
        let same = own.windows(2).all(|two| two[0].models == two[1].models);
        for account in own {
            if same {
                account.models = None;
            }
        }
    }
}

fn to_do(cx: &mut Cx<'_>) {
    let Cx { draft, report, .. } = cx;
    let signs_in: HashSet<&String> = draft
        .upstreams
        .iter()
        .filter(|(_, upstream)| upstream.kind == ANTIGRAVITY)
        .map(|(name, _)| name)
        .collect();
    if !signs_in.is_empty() {
        report.ask(
            "set AGP_OAUTH_CLIENT_ID and AGP_OAUTH_CLIENT_SECRET where agp runs: agp ships no OAuth client, and a refresh token \
             works only with the client that it was given to (else sign in again with `agp login`)",
        );
    }
    if draft.accounts.is_empty() {
        report.ask("add an account: `agp login` prints its table");
    }
    if draft.keys.is_empty() {
        report.ask("make a key for your clients: `agp key new NAME`");
    }
    let open = match draft.setting("server", "listen") {
        Some(Value::Text(listen)) => listen
            .parse::<SocketAddr>()
            .is_ok_and(|address| !address.ip().is_loopback()),
        _ => false,
    };
    if draft.setting("admin", "password_hash").is_none() {
        let mut step =
            "give the panel a password: put the line that `agp hash-password` prints under `[admin]`"
                .to_owned();
        if open {
            // Without a password such a file is refused.
            draft.set("admin", "enabled", Value::Flag(false));
            step.push_str(", in place of `enabled = false`: agp listens for other machines");
        }
        report.ask(step);
    }
}

/// The file as agp reads it.
fn load(text: &str) -> Result<Loaded, ImportError> {
    let files = Files::from_texts([(PathBuf::from("agp.toml"), text.to_owned())]);
    let loaded = config::load(&files, std::iter::empty());
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| config::render::line(&files, found))
        .collect();
    if errors.is_empty() {
        Ok(loaded)
    } else {
        Err(ImportError::Invalid(errors))
    }
}

/// Tells what the file has, but this release does not act on.
fn in_effect(cx: &mut Cx<'_>, loaded: &Loaded) {
    for found in &loaded.diagnostics {
        if found.code != Code::NotInEffect {
            continue;
        }
        let kind = found
            .key
            .strip_prefix("upstreams.")
            .is_some_and(|rest| rest.rsplit('.').next() == Some("kind"));
        let why = if kind {
            "this release serves no upstreams of this kind: requests that only they could answer are refused"
        } else {
            "read and checked, but nothing uses it in this release"
        };
        cx.report.not_served(&found.key, why);
    }
}
