//! `[upstreams.*]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::id::UpstreamId;
use crate::base::secret::Secret;
use crate::config::check::Cx;
use crate::config::diagnostic::Code;
use crate::config::model::{self, Kind};
use crate::config::raw;
use crate::config::tree::KeyPath;
use crate::config::value::{HttpUrl, PageUrl};

impl Cx<'_> {
    pub(super) fn upstreams(&mut self) -> BTreeMap<UpstreamId, model::Upstream> {
        for name in self.names("upstreams") {
            self.check_name("upstreams", name);
        }
        let raw = self.raw;
        raw.upstreams
            .iter()
            .filter_map(|(name, upstream)| {
                Some((
                    UpstreamId::from(name.as_str()),
                    self.upstream(name, upstream)?,
                ))
            })
            .collect()
    }

    fn upstream(&mut self, name: &str, raw: &raw::Upstream) -> Option<model::Upstream> {
        let path = KeyPath::from(["upstreams", name]);
        let Some(kind) = raw.kind.map(kind) else {
            self.missing(
                &path.with("kind"),
                "one of `antigravity`, `gemini`, `vertex`, `openai`, `anthropic`",
            );
            return None;
        };
        let oauth = self.oauth(&path, kind, raw.oauth.as_ref());
        self.repeated_headers(&path, raw);
        // As written: a list whose entries were all blamed is not empty.
        let written = self
            .tree
            .get(&path.with("base_urls"))
            .and_then(|n| n.as_array());
        if written.is_some_and(Vec::is_empty) {
            self.bad(
                &path.with("base_urls"),
                "expected at least one URL, found an empty list",
            );
        }
        if kind != Kind::Antigravity {
            for key in ["setup_urls", "oauth", "metadata"] {
                if self.given(&path.with(key)) {
                    self.bad(
                        &path.with(key),
                        "only upstreams of kind `antigravity` take this",
                    );
                }
            }
        }
        let urls = |list: &Option<Vec<HttpUrl>>| -> Option<Vec<String>> {
            let list = list.as_ref()?;
            (!list.is_empty()).then(|| list.iter().map(|u| u.0.clone()).collect())
        };
        let base_urls = urls(&raw.base_urls).unwrap_or_else(|| public_hosts(kind, &raw.location.0));
        let setup_urls = urls(&raw.setup_urls).unwrap_or_else(|| base_urls.clone());
        Some(model::Upstream {
            kind,
            base_urls,
            setup_urls,
            oauth,
            headers: raw
                .headers
                .iter()
                .map(|(k, v)| (k.0.clone(), Secret::new(v.0.clone())))
                .collect(),
            user_agent: raw.user_agent.as_ref().map_or_else(
                || concat!("agp/", env!("CARGO_PKG_VERSION")).to_owned(),
                |text| text.0.clone(),
            ),
            metadata: if raw.metadata.is_empty() {
                neutral_metadata()
            } else {
                raw.metadata.clone()
            },
            safety_settings: raw
                .safety_settings
                .iter()
                .map(|(k, v)| (k.clone(), v.0.clone()))
                .collect(),
            proxy: raw.proxy.as_ref().map(|p| p.0.clone()),
            connect_timeout: raw.connect_timeout.0,
            first_byte_timeout: raw.first_byte_timeout.0,
            idle_timeout: raw.idle_timeout.0,
            ca_file: raw
                .ca_file
                .as_ref()
                .map(|file| self.join(&path.with("ca_file"), &file.0)),
            discover: raw
                .discover
                .unwrap_or_else(|| self.names("models").is_empty()),
        })
    }

    /// Two names that differ in case only are one header.
    fn repeated_headers(&mut self, path: &KeyPath, raw: &raw::Upstream) {
        let path = path.with("headers");
        let Some(node) = self.tree.get(&path) else {
            return;
        };
        for name in raw.headers.keys() {
            let written: Vec<&String> = node
                .entries()
                .map(|(written, _)| written)
                .filter(|written| written.eq_ignore_ascii_case(&name.0))
                .collect();
            if let [first, second, ..] = written[..] {
                let diagnostic = self.at(
                    Code::Duplicate,
                    &path.with(second),
                    format!("headers `{first}` and `{second}` are the same one"),
                );
                self.report(diagnostic);
            }
        }
    }

    fn oauth(
        &mut self,
        path: &KeyPath,
        kind: Kind,
        raw: Option<&raw::OAuth>,
    ) -> Option<model::OAuth> {
        let path = path.with("oauth");
        let Some(raw) = raw else {
            if kind == Kind::Antigravity {
                self.missing(
                    &path,
                    "kind `antigravity` needs the operator's own OAuth client: `oauth = { client_id = ..., client_secret = ... }`",
                );
            }
            return None;
        };
        let mut part = |key: &str, text: &Option<_>| {
            let path = path.with(key);
            if text.is_none() {
                self.missing(&path, "an OAuth client has an id and a secret");
            }
            text.as_ref().map(|text| self.secret(&path, text))
        };
        let client_id = part("client_id", &raw.client_id);
        let client_secret = part("client_secret", &raw.client_secret);
        let redirect_uri = self.redirect_uri(&path.with("redirect_url"), raw);
        let url = |given: &Option<PageUrl>, default: &str| {
            given
                .as_ref()
                .map_or_else(|| default.to_owned(), |u| u.0.clone())
        };
        Some(model::OAuth {
            client_id: client_id?,
            client_secret: client_secret?,
            auth_url: url(
                &raw.auth_url,
                "https://accounts.google.com/o/oauth2/v2/auth",
            ),
            token_url: url(&raw.token_url, "https://oauth2.googleapis.com/token"),
            userinfo_url: url(
                &raw.userinfo_url,
                "https://www.googleapis.com/oauth2/v2/userinfo?alt=json",
            ),
            scopes: raw.scopes.as_ref().map_or_else(
                || SCOPES.iter().map(|s| format!("{SCOPE_ROOT}{s}")).collect(),
                |list| list.iter().map(|s| s.0.clone()).collect(),
            ),
            redirect_uri,
        })
    }
}

impl Cx<'_> {
    /// Where the consent page leads back to: this machine, by default the port that the panel is on.
    fn redirect_uri(&mut self, path: &KeyPath, raw: &raw::OAuth) -> String {
        let Some(url) = &raw.redirect_url else {
            let admin = self.raw.admin.listen.as_ref();
            let listen = admin.unwrap_or(&self.raw.server.listen);
            return format!("http://localhost:{}/oauth-callback", listen.0.port());
        };
        if !is_loopback(&url.0) {
            self.bad(
                path,
                format!(
                    "expected an http URL of this machine such as \"http://localhost:8088/oauth-callback\", found \"{}\"",
                    url.0
                ),
            );
        }
        url.0.clone()
    }
}

/// Begins every scope; upstream-protocol.md 1.1.
const SCOPE_ROOT: &str = "https://www.googleapis.com/auth/";
/// The scopes asked for where none are given; upstream-protocol.md 1.1.
const SCOPES: [&str; 5] = [
    "cloud-platform",
    "userinfo.email",
    "userinfo.profile",
    "cclog",
    "experimentsandconfigs",
];

/// The hosts of a kind in order; upstream-protocol.md 2 and 14.
fn public_hosts(kind: Kind, location: &str) -> Vec<String> {
    let hosts: &[&str] = match kind {
        Kind::Antigravity => &[
            "https://cloudcode-pa.googleapis.com",
            "https://daily-cloudcode-pa.googleapis.com",
            "https://daily-cloudcode-pa.sandbox.googleapis.com",
        ],
        Kind::Gemini => &["https://generativelanguage.googleapis.com"],
        Kind::Vertex if location == "global" => &["https://aiplatform.googleapis.com"],
        Kind::Vertex => return vec![format!("https://{location}-aiplatform.googleapis.com")],
        Kind::OpenAi => &["https://api.openai.com/v1"],
        Kind::Anthropic => &["https://api.anthropic.com"],
    };
    hosts.iter().map(|&host| host.to_owned()).collect()
}

/// Client metadata that claims to be nobody; upstream-protocol.md 3.1.
fn neutral_metadata() -> BTreeMap<String, String> {
    [
        ("ideType", "IDE_UNSPECIFIED"),
        ("platform", "PLATFORM_UNSPECIFIED"),
        ("pluginType", "GEMINI"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    url.scheme() == "http"
        && (host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

fn kind(raw: raw::Kind) -> Kind {
    match raw {
        raw::Kind::Antigravity => Kind::Antigravity,
        raw::Kind::Gemini => Kind::Gemini,
        raw::Kind::Vertex => Kind::Vertex,
        raw::Kind::OpenAi => Kind::OpenAi,
        raw::Kind::Anthropic => Kind::Anthropic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for good in [
            "http://localhost:1/x",
            "http://127.0.0.1",
            "http://[::1]:8/y",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["https://localhost", "http://example.com", "http://10.0.0.1"] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn vertex_hosts_follow_the_location() {
        assert_eq!(
            public_hosts(Kind::Vertex, "europe-west1"),
            ["https://europe-west1-aiplatform.googleapis.com"]
        );
    }
}
