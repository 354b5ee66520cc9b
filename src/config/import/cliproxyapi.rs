//! CLIProxyAPI: its `config.yaml` and the JSON files of its auth folder.
//!
//! The names of keys and their defaults are those of the public repository router-for-me/CLIProxyAPI, version 7:
//! `config.example.yaml`, `internal/config/{config,config_types,sdk_config,config_load,vertex_compat}.go`,
//! `sdk/cliproxy/service_config.go`; those of auth files are told in `auth`.

mod auth;
mod entries;
mod settings;

use std::path::{Path, PathBuf};

use crate::config::import::common::{ClientKey, Shapes};
use crate::config::import::yaml::{Node, Pair};
use crate::config::import::{Cx, ImportError, read_yaml};

const PLUGINS: &str = "agp has no plugins";
const OWN_LOG: &str = "agp has a log of its own: `[log]`, `state.log_*` (docs/store.md)";
const OTHERWISE: &str = "agp's pool decides this by what the upstream says (docs/pool.md)";
const DISGUISE: &str = "agp does not pass itself or its clients off as others";
const RESPONSES: &str = "agp has no upstream kind for it; one that also offers chat completions can be written as kind `openai` by hand";
const NOT_HERE: &str = "no equal in agp";

/// Keys at the top that have no equal, and why.
const DROPPED: &[(&str, &str)] = &[
    ("pprof", "no equal; `server.metrics` tells figures"),
    ("credential-concurrency", NOT_HERE),
    ("credential-in-flight", NOT_HERE),
    ("home", NOT_HERE),
    ("plugins", PLUGINS),
    ("commercial-mode", NOT_HERE),
    ("logging-to-file", OWN_LOG),
    ("logs-max-total-size-mb", OWN_LOG),
    ("error-logs-max-files", OWN_LOG),
    (
        "request-log",
        "`state.log_bodies` decides whether bodies are kept",
    ),
    ("usage-statistics-enabled", OWN_LOG),
    ("redis-usage-queue-retention-seconds", NOT_HERE),
    (
        "force-model-prefix",
        "models have one name for all accounts; `keys.*.accounts` says which accounts a key may use",
    ),
    ("passthrough-headers", NOT_HERE),
    (
        "request-retry",
        "it counts rounds; `routing.max_attempts` counts calls and is 4",
    ),
    (
        "max-retry-credentials",
        "it counts accounts in a round; `routing.max_attempts` counts calls and is 4",
    ),
    (
        "max-retry-interval",
        "no equal; `routing.queue_timeout` and `routing.retry_within` are near",
    ),
    ("disable-cooling", OTHERWISE),
    (
        "save-cooldown-status",
        "agp always keeps cooldowns over a restart",
    ),
    ("transient-error-cooldown-seconds", OTHERWISE),
    ("auth-auto-refresh-workers", NOT_HERE),
    ("disable-claude-cloak-mode", DISGUISE),
    ("claude-code", DISGUISE),
    ("claude-header-defaults", DISGUISE),
    ("codex", DISGUISE),
    ("codex-header-defaults", DISGUISE),
    ("xai", NOT_HERE),
    ("antigravity", DISGUISE),
    ("disable-image-generation", NOT_HERE),
    ("gpt-image-2-base-model", NOT_HERE),
    ("video-result-auth-cache-ttl", NOT_HERE),
    ("ws-auth", "agp serves no WebSocket API"),
    ("nonstream-keepalive-interval", NOT_HERE),
    (
        "antigravity-signature-cache-enabled",
        "agp keeps signatures as the upstream's protocol wants it",
    ),
    (
        "antigravity-signature-bypass-strict",
        "agp keeps signatures as the upstream's protocol wants it",
    ),
    ("interactions-api-key", RESPONSES),
    ("codex-api-key", RESPONSES),
    ("xai-api-key", RESPONSES),
    (
        "oauth-excluded-models",
        "agp publishes what `[models]` names, and what the upstream lists where `discover` is on",
    ),
    ("oauth-request-scoped-errors", OTHERWISE),
    ("payload", "agp changes no parameters by rules"),
];

/// Reads both.
pub(super) fn read(
    cx: &mut Cx<'_>,
    config: &Path,
    auth_dir: Option<&Path>,
) -> Result<(), ImportError> {
    let root = read_yaml(config)?;
    let known = [settings::KNOWN, entries::KNOWN].concat();
    let shapes = Shapes {
        read: &known,
        lists: &[
            "api-keys",
            "gemini-api-key",
            "claude-api-key",
            "vertex-api-key",
            "openai-compatibility",
        ],
        maps: &[
            "tls",
            "remote-management",
            "quota-exceeded",
            "routing",
            "streaming",
            "oauth-model-alias",
        ],
    };
    shapes.check(cx, "", &root);
    settings::map(cx, &root);
    for (n, key) in list(cx, &root, "api-keys").iter().enumerate() {
        let what = format!("api-keys[{n}]");
        match key.text() {
            Some(text) => cx.client_key(ClientKey {
                what: &what,
                wanted: &format!("client-{}", n + 1),
                title: None,
                text,
                enabled: true,
            }),
            None => cx.report.dropped(what, "expected a text"),
        }
    }
    entries::map(cx, &root);
    let folder = folder(cx, config, &root, auth_dir);
    auth::read(cx, &root, &folder)?;
    for Pair { key, value } in root.entries() {
        if let Some((_, why)) = DROPPED.iter().find(|(name, _)| name == key) {
            if !value.is_empty() {
                cx.report.dropped(key, *why);
            }
        } else if !known.contains(&key.as_str()) {
            cx.report.dropped(key, "not a key that is known here");
        }
    }
    Ok(())
}

/// The items of a list at a key of a map.
fn list<'n>(cx: &mut Cx<'_>, node: &'n Node, key: &str) -> &'n [Node] {
    cx.bounded(key, node.get(key).map_or(&[], Node::items))
}

/// Where the auth files are: as asked for, else as the file says, else in the home folder. A relative one begins at the
/// file's folder, where the gateway is usually started.
fn folder(cx: &mut Cx<'_>, config: &Path, root: &Node, auth_dir: Option<&Path>) -> PathBuf {
    if let Some(folder) = auth_dir {
        return folder.to_owned();
    }
    let text = root.get("auth-dir").and_then(Node::text);
    let text = text.unwrap_or("~/.cli-proxy-api");
    match text.strip_prefix('~') {
        Some(rest) => {
            let home = cx.options.env.get("HOME").map_or("", String::as_str);
            Path::new(home).join(rest.trim_start_matches('/'))
        }
        None => config.parent().unwrap_or(Path::new("")).join(text),
    }
}
