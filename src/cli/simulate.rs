//! `agp simulate`: the simulated upstream alone.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::task::Tasks;
use crate::sim::{Script, Sim};

/// The options of `agp simulate`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp simulate --listen 127.0.0.1:8090 --script faults.json")]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// What to do, as JSON or TOML; without it every request is echoed
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
}

/// Runs the simulator until Ctrl-C or SIGTERM.
///
/// # Errors
/// A sentence for people, when the script can't be read or the address can't be listened on.
pub async fn run(args: Args, tasks: &Tasks) -> Result<(), String> {
    let script = match &args.script {
        None => Script::default(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("can't read the script `{shown}`: {e}"))?;
            Script::parse(&text).map_err(|e| format!("in the script `{shown}`: {e}"))?
        }
    };
    let accounts = script.accounts();
    let (id, secret) = (
        script.client_id().to_owned(),
        script.client_secret().to_owned(),
    );
    let sim = Sim::start(args.listen, script, tasks)
        .await
        .map_err(|e| format!("can't listen on `{}`: {e}", args.listen))?;
    let text = greeting(&sim.url(), &id, &secret, &accounts);
    // Nobody may be reading: the simulator works without.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    stopped().await?;
    sim.stop().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term =
        signal(SignalKind::terminate()).map_err(|e| format!("can't wait for SIGTERM: {e}"))?;
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}

/// What is printed at the start: where it listens, how to log in, and what to put in agp.toml.
fn greeting(url: &str, id: &str, secret: &str, accounts: &[String]) -> String {
    let mut text = format!(
        "the simulated upstream listens on {url}\n\
         control: {url}/control/script, /control/requests, /control/state, /control/release\n\
         refresh tokens: sim-refresh-NAME is account NAME@example.com\n\n\
         # agp.toml\n{}",
        upstream_table("sim", url, id, secret)
    );
    for email in accounts {
        let name = email.strip_suffix("@example.com").unwrap_or(email);
        let _ = write!(
            text,
            "\n[accounts.\"{name}\"]\nupstream = \"sim\"\nrefresh_token = \"sim-refresh-{name}\"\n"
        );
    }
    text
}

/// The `[upstreams.NAME]` table that points agp at a simulator.
pub fn upstream_table(name: &str, url: &str, client_id: &str, client_secret: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "[upstreams.{name}]\nkind = \"antigravity\"\nbase_urls = [\"{url}\"]\n\
         oauth = {{ client_id = {}, client_secret = {}, auth_url = \"{url}/o/oauth2/v2/auth\", \
         token_url = \"{url}/token\", userinfo_url = \"{url}/oauth2/v2/userinfo\" }}\n",
        quoted(client_id),
        quoted(client_secret),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_is_a_file() {
        let text = greeting(
            "http://127.0.0.1:1",
            "id \"quoted\"",
            "secret",
            &["alice@example.com".to_owned()],
        );
        let (_, file) = text.split_once("# agp.toml\n").unwrap();
        let file: serde_json::Value = toml::from_str(file).unwrap();
        let upstream = &file["upstreams"]["sim"];
        assert_eq!(upstream["oauth"]["client_id"], "id \"quoted\"");
        assert_eq!(upstream["oauth"]["token_url"], "http://127.0.0.1:1/token");
        assert_eq!(
            file["accounts"]["alice"]["refresh_token"],
            "sim-refresh-alice"
        );
    }
}
