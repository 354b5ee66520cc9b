//! Where a running gateway is found. It goes on with its old configuration while the file is broken, so that must not hide
//! it: what can't be loaded as a whole is searched for the settings that matter.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use crate::cli::serve;
use crate::runtime::controller::Places;

/// A gateway's two doors.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    /// `server.listen`.
    pub listen: SocketAddr,
    /// Whether HTTPS is spoken there: `server.tls`.
    pub tls: bool,
    /// The folder of the state and its socket: `state.path` below the state directory.
    pub state: PathBuf,
}

/// Finds it by the configuration at these places, sound or not.
pub fn find(places: &Places) -> Running {
    let (listen, tls, state) = if let Ok(read) = serve::read(places) {
        let server = &read.config.server;
        (
            server.listen,
            server.tls.is_some(),
            read.config.state.path.clone(),
        )
    } else {
        let text = std::fs::read_to_string(&places.root).unwrap_or_default();
        search(&text, |name| std::env::var(name).ok())
    };
    Running {
        listen,
        tls,
        state: places.state_dir.join(state),
    }
}

/// The three settings as far as the root file and the environment tell, else their defaults.
fn search(text: &str, var: impl Fn(&str) -> Option<String>) -> (SocketAddr, bool, PathBuf) {
    let (table, _) = DeTable::parse_recoverable(text);
    let written = |section: &str, key: &str| {
        let value = table.get_ref().get(section)?.get_ref().get(key)?;
        value.get_ref().as_str().map(str::to_owned)
    };
    let listen = var("AGP__SERVER__LISTEN").or_else(|| written("server", "listen"));
    let path = var("AGP__STATE__PATH").or_else(|| written("state", "path"));
    let tls =
        (table.get_ref().get("server")).is_some_and(|server| server.get_ref().get("tls").is_some());
    let usual = SocketAddr::from(([127, 0, 0, 1], 8088));
    (
        listen.and_then(|l| l.parse().ok()).unwrap_or(usual),
        tls,
        path.map_or_else(|| PathBuf::from("data"), PathBuf::from),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, vars: &[(&str, &str)]) -> (String, String) {
        let (listen, _, state) = search(text, |name| {
            let found = vars.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        (listen.to_string(), state.display().to_string())
    }

    #[test]
    fn a_broken_file_still_tells_where_the_gateway_is() {
        let written = "version = \"x\"\n[server]\nlisten = \"0.0.0.0:9000\"\nmax_body = 3\n[state]\npath = \"elsewhere\"\n";
        let here = ("0.0.0.0:9000".to_owned(), "elsewhere".to_owned());
        assert_eq!(found(written, &[]), here);
        assert_eq!(found(&format!("{written}[routing\nx = = 1\n"), &[]), here);
        let vars = [
            ("AGP__SERVER__LISTEN", "[::1]:1"),
            ("AGP__STATE__PATH", "there"),
        ];
        assert_eq!(found(written, &vars), ("[::1]:1".into(), "there".into()));
    }

    #[test]
    fn what_is_not_to_be_found_is_the_default() {
        let usual = ("127.0.0.1:8088".to_owned(), "data".to_owned());
        assert_eq!(found("", &[]), usual);
        assert_eq!(found("= [ nothing", &[]), usual);
        assert_eq!(found("[server]\nlisten = 7\n", &[]), usual);
        let loaded = crate::config::load(
            &crate::config::source::Files::from_texts([("agp.toml".into(), "version = 1".into())]),
            std::iter::empty(),
        );
        let config = loaded.config.unwrap();
        assert_eq!(config.server.listen.to_string(), usual.0);
        assert_eq!(config.state.path.display().to_string(), usual.1);
    }
}
