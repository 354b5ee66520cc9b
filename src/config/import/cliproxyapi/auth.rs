//! The auth files: one JSON object a file, with the credentials of one account.
//!
//! Fields and their meaning as in router-for-me/CLIProxyAPI, version 7: `sdk/auth/filestore.go`,
//! `internal/api/handlers/management/auth_files_provider_oauth.go` (what is written for `antigravity`),
//! `internal/watcher/synthesizer/file.go` (proxy, prefix, priority, note), `internal/auth/vertex/vertex_credentials.go`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::import::cliproxyapi::entries;
use crate::config::import::common::secret;
use crate::config::import::draft::{ANTIGRAVITY, Account, Credential, Upstream};
use crate::config::import::names::is_name;
use crate::config::import::yaml::Node;
use crate::config::import::{Cx, ImportError, MAX_ENTRIES, read_text};

/// Largest auth file in bytes.
const MAX_FILE: u64 = 256 << 10;

/// What is read, and what the gateway learnt while it ran.
const READ: &[&str] = &[
    "type",
    "email",
    "refresh_token",
    "project_id",
    "disabled",
    "priority",
    "weight",
    "proxy_url",
    "service_account",
    "location",
    "access_token",
    "id_token",
    "token",
    "expires_in",
    "expired",
    "timestamp",
    "last_refresh",
    "token_type",
    "scope",
];

/// Providers that people sign in to there, but that agp reaches by API keys only.
const BY_KEY_ONLY: &[&str] = &[
    "claude",
    "codex",
    "gemini",
    "gemini-cli",
    "aistudio",
    "kimi",
    "qwen",
    "iflow",
    "xai",
];

/// Reads the files of the folder, by name.
pub(super) fn read(cx: &mut Cx<'_>, root: &Node, folder: &Path) -> Result<(), ImportError> {
    let mut files = match files(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("auth files in {}", folder.display());
            cx.report.dropped(
                what,
                "there is no such folder; `--auth-dir` names another one",
            );
            Vec::new()
        }
        Err(error) => {
            return Err(ImportError::Source {
                path: folder.to_owned(),
                why: format!("can't be read: {error}"),
            });
        }
    };
    if files.len() > MAX_ENTRIES {
        files.truncate(MAX_ENTRIES);
        let why = format!("only the first {MAX_ENTRIES} are read");
        cx.report.dropped("more auth files", why);
    }
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("auth file {name}");
        // One bad file is no reason to leave the others.
        if let Err(why) = one(cx, root, &what, &path) {
            cx.report.dropped(what, why);
        }
    }
    aliases(cx, root);
    Ok(())
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn one(cx: &mut Cx<'_>, root: &Node, what: &str, path: &Path) -> Result<(), String> {
    let text = read_text(path, MAX_FILE).map_err(|error| match error {
        ImportError::Source { why, .. } => why,
        other => other.to_string(),
    })?;
    // The error's own words could repeat a part of the text.
    let node: Node = serde_json::from_str(&text)
        .map_err(|error| format!("line {}: not a JSON object", error.line()))?;
    let field = |key: &str| node.get(key).and_then(Node::text);
    let kind = field("type").unwrap_or_default().to_ascii_lowercase();
    let (upstream, mut account) = match kind.as_str() {
        "antigravity" => antigravity(cx, root, what, &node)?,
        "vertex" => vertex(cx, root, what, &node, &text)?,
        known if BY_KEY_ONLY.contains(&known) => {
            return Err(format!(
                "agp has no sign-in for accounts of type `{known}`; where the provider gives API keys, use one"
            ));
        }
        _ => return Err("its type is not known here".to_owned()),
    };
    account.email = field("email").map(str::to_owned);
    account.enabled = node.get("disabled").and_then(Node::truth) != Some(true);
    account.priority = entries::priority(cx, what, &node);
    account.weight = node.get("weight").and_then(entries::weight);
    account.project = field("project_id").map(str::to_owned);
    let wanted = field("email").and_then(|email| email.split('@').next());
    account.name = cx
        .draft
        .account_names
        .take(wanted.unwrap_or_default(), &kind);
    account.upstream = cx.draft.upstream(&kind, upstream);
    cx.account(what, account);
    for pair in node.entries() {
        if !READ.contains(&pair.key.as_str()) && !pair.value.is_empty() {
            let why = "no equal at an account of agp";
            cx.report.dropped(format!("{what}: {}", pair.key), why);
        }
    }
    Ok(())
}

fn antigravity(
    cx: &mut Cx<'_>,
    root: &Node,
    what: &str,
    node: &Node,
) -> Result<(Upstream, Account), String> {
    let token = node.get("refresh_token").and_then(Node::text);
    let token = token.and_then(secret).ok_or("it has no refresh token")?;
    let own = node.get("proxy_url").and_then(Node::text);
    let upstream = Upstream {
        kind: ANTIGRAVITY,
        proxy: entries::proxy(cx, root, what, own),
        // There too a client sees all that the upstream has.
        discover: true,
        ..Upstream::default()
    };
    let credential = Credential::Own(token);
    Ok((upstream, nameless("refresh_token", credential)))
}

fn vertex(
    cx: &mut Cx<'_>,
    root: &Node,
    what: &str,
    node: &Node,
    text: &str,
) -> Result<(Upstream, Account), String> {
    #[derive(Deserialize)]
    struct Vertex<'t> {
        #[serde(borrow)]
        service_account: &'t RawValue,
    }

    let vertex: Vertex<'_> =
        serde_json::from_str(text).map_err(|_| "it has no `service_account`".to_owned())?;
    let account = secret(vertex.service_account.get()).ok_or("its service account is empty")?;
    let own = node.get("proxy_url").and_then(Node::text);
    let location = node.get("location").and_then(Node::text);
    let upstream = Upstream {
        kind: "vertex",
        proxy: entries::proxy(cx, root, what, own),
        location: location
            .filter(|l| *l != "global" && is_name(l))
            .map(str::to_owned),
        discover: true,
        ..Upstream::default()
    };
    let credential = Credential::Own(account);
    Ok((upstream, nameless("service_account", credential)))
}

/// An account whose name and upstream come later.
fn nameless(holds: &'static str, credential: Credential) -> Account {
    Account::new(String::new(), String::new(), holds, credential)
}

/// `oauth-model-alias`: names of the upstream's models for clients, by the accounts' type.
fn aliases(cx: &mut Cx<'_>, root: &Node) {
    let Some(node) = root.get("oauth-model-alias") else {
        return;
    };
    for pair in node.entries() {
        let upstreams: Vec<String> = cx
            .draft
            .upstreams
            .iter()
            .filter(|(_, upstream)| upstream.kind == pair.key && upstream.discover)
            .map(|(name, _)| name.clone())
            .collect();
        if upstreams.is_empty() {
            let what = format!("oauth-model-alias.{}", pair.key);
            cx.report.dropped(what, "no account of this type came over");
            continue;
        }
        for alias in pair.value.items() {
            let text = |key: &str| alias.get(key).and_then(Node::text);
            let (Some(name), Some(public)) = (text("name"), text("alias")) else {
                let what = format!("oauth-model-alias.{}, line {}", pair.key, alias.line);
                cx.report.dropped(what, "it needs `name` and `alias`");
                continue;
            };
            let model = cx.draft.model(public);
            for upstream in &upstreams {
                let target = (upstream.clone(), name.to_owned());
                if !model.route.contains(&target) {
                    model.route.push(target);
                }
            }
            model.display_name = text("display-name").map(str::to_owned);
            if alias.get("fork").and_then(Node::truth) != Some(true) {
                cx.report.changed(
                    format!("oauth-model-alias.{}: {public}", pair.key),
                    "the upstream's own name of the model stays visible beside it",
                );
            }
        }
    }
}
