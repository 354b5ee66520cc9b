//! `agp login`: reads the configuration, then [`crate::cli::login`].

use std::io::Write;

use crate::base::secret::Secret;
use crate::cli::{login, serve};
use crate::config::seal::Identity;
use crate::config::secret::{Resolver, identity_path};
use crate::upstream::client::HttpClients;
use crate::upstream::oauth::OAuthClient;

/// Arguments of `agp login`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp login antigravity --config agp.toml")]
pub struct Args {
    /// The upstream's name in the file
    #[arg(value_name = "UPSTREAM")]
    pub upstream: String,
    /// Where the configuration is
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Signs in and prints the account's table. The refresh token is sealed where an identity is there.
///
/// # Errors
/// A sentence for people.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), String> {
    let places = args.serve.places()?;
    let read = serve::read(&places)?;
    let name = args.upstream.as_str();
    let upstream = read.config.upstreams.get(name).ok_or_else(|| {
        let names: Vec<_> = read
            .config
            .upstreams
            .keys()
            .map(|id| format!("`{id}`"))
            .collect();
        format!(
            "there is no upstream `{name}` in the file: it has {}",
            names.join(", ")
        )
    })?;
    let oauth = upstream
        .oauth
        .as_ref()
        .ok_or_else(|| format!("`upstreams.{name}` has no `oauth` client to sign in with"))?;
    let path = identity_path(&read.config, &places.state_dir);
    let identity = Identity::load_or_none(&path).map_err(|e| e.to_string())?;
    let secrets = Resolver::new(
        |name: &str| std::env::var(name).ok(),
        identity.as_ref(),
        path,
    );
    let resolve = |what: &str, reference| {
        secrets
            .resolve(reference)
            .map_err(|e| format!("`upstreams.{name}.oauth.{what}`: {e}"))
    };
    let client = OAuthClient::new(
        oauth,
        &resolve("client_id", &oauth.client_id)?,
        resolve("client_secret", &oauth.client_secret)?,
    );
    let http = HttpClients::new().get(upstream)?;
    let recipients = identity
        .as_ref()
        .map(|identity| identity.recipients(&read.config.secrets.recipients));
    let recipients = recipients.transpose().map_err(|e| e.to_string())?;
    let seal = recipients.map(|recipients| {
        move |secret: &Secret| recipients.seal(secret).map_err(|e| e.to_string())
    });
    let seal = seal.as_ref().map(|seal| seal as login::Seal<'_>);
    let mut input = std::io::stdin().lock();
    login::login(name, upstream, client, &http, &mut input, out, seal).await
}
