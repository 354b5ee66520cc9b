//! What more than one source has: client keys, the panel's password, addresses, proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sha2::{Digest as _, Sha256};

use crate::base::secret::Secret;
use crate::config::import::draft::{Account, Key, KeyValue, Value};
use crate::config::import::names::{fits, printable};
use crate::config::import::yaml::{self, Node};
use crate::config::import::{Cx, MAX_ENTRIES};
use crate::config::value::{HeaderName, HeaderText, HttpUrl, ProxyUrl, Word};
use crate::config::weak;

/// Fewest characters of a client's key, as the file asks for where a key stands in it.
const MIN_KEY: usize = 16;

/// A client's key as a source has it.
pub(super) struct ClientKey<'k> {
    /// Where it stands, for the report.
    pub(super) what: &'k str,
    /// What its table should be called.
    pub(super) wanted: &'k str,
    /// Its name for people.
    pub(super) title: Option<String>,
    pub(super) text: &'k str,
    pub(super) enabled: bool,
}

impl Cx<'_> {
    /// As many of a list's entries as are read.
    pub(super) fn bounded<'n>(&mut self, what: &str, list: &'n [Node]) -> &'n [Node] {
        list.get(..MAX_ENTRIES).map_or(list, |first| {
            if first.len() < list.len() {
                let why = format!("only the first {MAX_ENTRIES} are read");
                self.report.dropped(format!("more of {what}"), why);
            }
            first
        })
    }

    /// Takes over a client's key by its SHA-256, so that clients go on with it.
    pub(super) fn client_key(&mut self, key: ClientKey<'_>) {
        if key.text.chars().count() < MIN_KEY {
            self.report.dropped(
                key.what,
                format!(
                    "a key has at least {MIN_KEY} characters here; `agp key new NAME` makes one"
                ),
            );
            return;
        }
        let value = KeyValue::Sha256(Sha256::digest(key.text.as_bytes()).into());
        if let Some(first) = self.draft.keys.iter().find(|known| known.value == value) {
            let why = format!("it is the same key as `keys.{}`", first.name);
            self.report.dropped(key.what, why);
            return;
        }
        let name = self.draft.key_names.take(key.wanted, "key");
        self.draft.keys.push(Key {
            name,
            title: key.title.map(|title| printable(&title)),
            value,
            enabled: key.enabled,
        });
    }

    /// Takes over the panel's password as a hash, or tells why not.
    pub(super) fn admin_password(&mut self, what: &str, text: &str) {
        if let Some(why) = weak::password(text) {
            self.report.dropped(what, why);
            return;
        }
        match (self.options.hash_password)(text) {
            Ok(hash) => {
                self.draft.set("admin", "password_hash", Value::Text(hash));
                self.report
                    .changed(what, "only its hash is kept, as `admin.password_hash`");
            }
            Err(why) => self
                .report
                .dropped(what, format!("it can't be hashed: {why}")),
        }
    }

    /// The address to listen on, unless it is the default. Names are not looked up.
    pub(super) fn listen(&mut self, what: &str, host: &str, port: u16, default: SocketAddr) {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let ip: IpAddr = match (bare, bare.parse()) {
            (_, Ok(ip)) => ip,
            ("localhost", _) => Ipv4Addr::LOCALHOST.into(),
            ("" | "*", _) => Ipv4Addr::UNSPECIFIED.into(),
            _ => {
                self.report.dropped(
                    what,
                    "`server.listen` takes an IP address, not a name; agp listens on this machine only",
                );
                Ipv4Addr::LOCALHOST.into()
            }
        };
        let address = SocketAddr::new(ip, port);
        if address != default {
            self.draft
                .set("server", "listen", Value::text(address.to_string()));
        }
    }

    /// An outbound proxy. User and password would stand in the file in clear.
    pub(super) fn proxy(&mut self, what: &str, text: &str) -> Option<String> {
        if !fits::<ProxyUrl>(text) {
            self.report.dropped(
                what,
                "no http, https or socks5 URL with a host: calls go out without a proxy",
            );
            return None;
        }
        let mut url = reqwest::Url::parse(text).ok()?;
        let user = !url.username().is_empty() || url.password().is_some();
        if !user || self.options.plain_secrets {
            return Some(text.to_owned());
        }
        // Only of URLs without a host they can't be taken away.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        self.report.changed(
            what,
            "its user and password were left out, since they would stand in the file in clear: add them, or use `--plain-secrets`",
        );
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The base URL of an upstream.
    pub(super) fn base_url(&mut self, what: &str, text: &str) -> Option<String> {
        let text = text.trim_end_matches('/');
        if fits::<HttpUrl>(text) {
            return Some(text.to_owned());
        }
        self.report.dropped(
            what,
            "expected an http or https URL without user, password, query and fragment",
        );
        None
    }

    /// A header for an upstream's calls, where it may stand in the file.
    pub(super) fn header(
        &mut self,
        what: &str,
        name: &str,
        value: &str,
    ) -> Option<(String, String)> {
        let lower = name.to_ascii_lowercase();
        let secret = ["auth", "cookie", "key", "token", "secret", "password"];
        let why = if !fits::<HeaderName>(name) || !fits::<HeaderText>(value) {
            "not a header that can be configured"
        } else if value.starts_with('$') {
            "agp does not copy headers of clients"
        } else if secret.iter().any(|word| lower.contains(word)) && !self.options.plain_secrets {
            "it looks like a secret, which would stand in the file in clear: add it, or use `--plain-secrets`"
        } else {
            return Some((lower, value.to_owned()));
        };
        self.report.dropped(what, why);
        None
    }

    /// Adds an account, unless its upstream has one of that e-mail.
    pub(super) fn account(&mut self, what: &str, mut account: Account) {
        if let Some(email) = account.email.take() {
            if !fits::<Word>(&email) || !email.contains('@') {
                self.report
                    .changed(what, "its e-mail address is none and was left out");
            } else {
                account.email = Some(email);
            }
        }
        if account.project.as_ref().is_some_and(|p| !fits::<Word>(p)) {
            account.project = None;
        }
        let same = |known: &&Account| {
            known.upstream == account.upstream
                && known.email.is_some()
                && known.email.as_ref().map(|e| e.to_lowercase())
                    == account.email.as_ref().map(|e| e.to_lowercase())
        };
        if let Some(first) = self.draft.accounts.iter().find(same) {
            let why = format!("`accounts.{}` has the same e-mail address", first.name);
            self.report.dropped(what, why);
            return;
        }
        self.draft.accounts.push(account);
    }
}

/// Which of the keys that are read hold lists and maps; the others hold single values.
pub(super) struct Shapes<'s> {
    pub(super) read: &'s [&'s str],
    pub(super) lists: &'s [&'s str],
    pub(super) maps: &'s [&'s str],
}

impl Shapes<'_> {
    /// Tells of each key of a map that is read, but holds something of another shape, which then counts as missing.
    pub(super) fn check(&self, cx: &mut Cx<'_>, what: &str, node: &Node) {
        if node.entries().is_empty() && !node.is_empty() {
            cx.report.dropped(what, "expected a map");
        }
        for pair in node.entries() {
            let key = pair.key.as_str();
            let expected = match &pair.value.value {
                _ if !self.read.contains(&key) => continue,
                yaml::Value::Null => continue,
                yaml::Value::List(_) if self.lists.contains(&key) => continue,
                yaml::Value::Map(_) if self.maps.contains(&key) => continue,
                _ if self.lists.contains(&key) => "expected a list",
                _ if self.maps.contains(&key) => "expected a map",
                yaml::Value::Scalar(_) => continue,
                _ => "expected a single value",
            };
            let dot = if what.is_empty() { "" } else { "." };
            cx.report.dropped(format!("{what}{dot}{key}"), expected);
        }
    }
}

/// A secret of a source, trimmed, unless it is empty.
pub(super) fn secret(text: &str) -> Option<Secret> {
    let text = text.trim();
    (!text.is_empty()).then(|| Secret::new(text))
}
