//! The admin API of a gateway elsewhere, with a token.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::base::secret::Secret;
use crate::cli::ask::WAIT;
use crate::cli::{Failed, UNREACHABLE};
use crate::server::admin;

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// A token's file is not larger.
const MAX_TOKEN: u64 = 4096;

/// A gateway elsewhere.
pub(super) struct Remote {
    url: Url,
    token: Secret,
}

impl Remote {
    /// The gateway at `url`, asked with the token in a file.
    ///
    /// # Errors
    /// An address that is none, or one without encryption that leads off this machine; a file that can't be read or holds
    /// no token.
    pub(super) fn new(url: &str, token_file: Option<&Path>) -> Result<Self, String> {
        let url = address(url)?;
        let file = token_file.ok_or(
            "a gateway elsewhere wants a token: give the file that holds it with `--token-file`",
        )?;
        Ok(Self {
            url,
            token: token(file)?,
        })
    }

    /// Sends a request and gives status and body.
    ///
    /// # Errors
    /// Code 4 where it can't be reached or does not answer in time.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        wait: Duration,
        max: usize,
    ) -> Result<(u16, Bytes), Failed> {
        let unreachable = |why: String| Failed {
            message: format!("no gateway answers at {}: {why}", self.url),
            code: UNREACHABLE,
        };
        let told = |error: reqwest::Error| unreachable(words(&error.without_url()));
        let client = self.client(wait).map_err(told)?;
        let url = format!(
            "{}{}{path}",
            self.url.as_str().trim_end_matches('/'),
            admin::BASE
        );
        let request = client
            .request(method, url)
            .bearer_auth(self.token.expose())
            .body(body);
        let mut response = request.send().await.map_err(told)?;
        let mut whole = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(told)? {
            if whole.len() + piece.len() > max {
                return Err(unreachable(format!(
                    "its answer is larger than {max} bytes"
                )));
            }
            whole.extend_from_slice(&piece);
        }
        Ok((response.status().as_u16(), whole.into()))
    }

    /// Nothing is followed anywhere else: the token is for this gateway alone.
    fn client(&self, wait: Duration) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("agp/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(wait);
        let builder = match self.url.scheme() {
            "https" => builder,
            _ => builder.no_proxy(),
        };
        builder.build()
    }

    /// Its address.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

/// Gets `path` from a gateway on this machine and gives the status. Its certificate is for the name that clients know, not for
/// this address, so it is not looked at: nothing secret is sent, and what answers is asked no more than whether it does.
///
/// # Errors
/// What went wrong on the way.
pub async fn status_over_tls(addr: SocketAddr, path: &str) -> Result<u16, String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(WAIT)
        .build();
    let asked = async { client?.get(format!("https://{addr}{path}")).send().await };
    match asked.await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(words(&error.without_url())),
    }
}

/// An error with what caused it, which is where a refused connection or a bad certificate is told.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn address(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("expected an address such as `https://gateway.example`, {why}");
    let url: Url = text
        .parse()
        .map_err(|_| wrong(&format!("found `{text}`")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("found one with a name or a password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("found one with a query"));
    }
    let local = url.host_str().is_some_and(|host| {
        let ip = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        "http" => Err(format!(
            "`{text}` leads off this machine without encryption, and the token with it: use `https`"
        )),
        _ => Err(wrong(&format!("found `{text}`"))),
    }
}

fn token(file: &Path) -> Result<Secret, String> {
    let shown = file.display();
    let size = std::fs::metadata(file).map_err(|e| format!("`{shown}` can't be read: {e}"))?;
    if size.len() > MAX_TOKEN {
        return Err(format!(
            "expected a token in `{shown}`, found more than that"
        ));
    }
    let text =
        std::fs::read_to_string(file).map_err(|e| format!("`{shown}` can't be read: {e}"))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "expected a token in `{shown}`, found something else"
        ));
    }
    Ok(Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leaves_this_machine_encrypted_only() {
        for fine in [
            "https://gw.example",
            "https://gw.example:8443/behind/a/path",
            "http://127.0.0.1:8088",
            "http://[::1]:8088",
            "http://localhost:1",
        ] {
            assert!(address(fine).is_ok(), "{fine}");
        }
        for (bad, word) in [
            ("http://gw.example", "use `https`"),
            ("http://127.0.0.1.example", "use `https`"),
            ("http://192.0.2.1", "use `https`"),
            ("ftp://localhost", "expected an address"),
            ("gw.example", "expected an address"),
            ("https://me:pw@gw.example", "name or a password"),
            ("https://gw.example?x=1", "query"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.contains(word) && !error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn a_tokens_file_holds_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, " sk-x\n").unwrap();
        assert_eq!(token(&file).unwrap().expose(), "sk-x");
        for bad in ["", "\n", "two words", "x\u{e9}"] {
            std::fs::write(&file, bad).unwrap();
            assert!(token(&file).unwrap_err().contains("expected a token"));
        }
        std::fs::write(&file, "x".repeat(5000)).unwrap();
        assert!(token(&file).unwrap_err().contains("more than that"));
        assert!(token(&dir.path().join("none")).is_err());
    }
}
