//! LiteLLM's proxy: its `config.yaml`.
//!
//! The names of keys and what they mean are those of the public repository BerriAI/litellm:
//! `docs/my-website/docs/proxy/{configs,config_settings,virtual_keys}.md` and `litellm/types/router.py`. Its virtual keys,
//! teams and users are in a Postgres database, which is not read.

mod accounts;
mod deployments;
mod providers;
mod settings;

use std::path::Path;

use crate::config::import::common::{Shapes, secret};
use crate::config::import::draft::{Credential, KeyValue};
use crate::config::import::names::is_variable;
use crate::config::import::yaml::Node;
use crate::config::import::{Cx, ImportError, read_yaml};

/// Begins a value that stands in the environment: configs.md, "Load API Keys / config values from Environment".
const ENVIRONMENT: &str = "os.environ/";

/// Sections that have no equal, and why.
const DROPPED: &[(&str, &str)] = &[
    ("callback_settings", "agp calls no other services"),
    ("guardrails", "agp looks into no prompts and answers"),
    ("prompts", "agp keeps no prompts"),
    ("mcp_servers", "agp runs no tools"),
    ("mcp_tools", "agp runs no tools"),
    ("search_tools", "agp runs no tools"),
    ("vector_store_registry", "agp serves chat only"),
    ("assistant_settings", "agp serves chat only"),
    ("files_settings", "agp serves chat only"),
    ("finetune_settings", "agp serves chat only"),
    ("include", "it is not followed: import the merged file"),
];

/// Sections that are read.
const READ: &[&str] = &[
    "model_list",
    "credential_list",
    "router_settings",
    "litellm_settings",
    "general_settings",
    "environment_variables",
];

/// Reads the file.
pub(super) fn read(cx: &mut Cx<'_>, config: &Path) -> Result<(), ImportError> {
    let root = read_yaml(config)?;
    let shapes = Shapes {
        read: READ,
        lists: &["model_list", "credential_list"],
        maps: &[
            "router_settings",
            "litellm_settings",
            "general_settings",
            "environment_variables",
        ],
    };
    shapes.check(cx, "", &root);
    deployments::map(cx, &root);
    settings::map(cx, &root);
    for pair in root
        .get("environment_variables")
        .map_or(&[][..], Node::entries)
    {
        cx.report.dropped(
            format!("environment_variables.{}", pair.key),
            "agp.toml sets no variables: set it where agp runs, if something names it",
        );
    }
    for pair in root.entries() {
        if READ.contains(&pair.key.as_str()) || pair.value.is_empty() {
            continue;
        }
        let known = DROPPED.iter().find(|(name, _)| *name == pair.key);
        let why = known.map_or("not a section that is known here", |k| k.1);
        cx.report.dropped(&pair.key, why);
    }
    cx.report.dropped(
        "virtual keys, teams, users, budgets",
        "LiteLLM keeps them in its database, which is not read; `agp key new NAME` makes a key, docs/limits.md tells of limits",
    );
    cx.report.ask(
        "LiteLLM's port is told when it is started (4000 otherwise): set `server.listen` where agp should listen",
    );
    Ok(())
}

/// Whether a text names a variable of the environment, and which.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix(ENVIRONMENT).map(str::trim)
}

/// A secret, or the variable that holds it.
fn credential(cx: &mut Cx<'_>, what: &str, node: &Node) -> Option<Credential> {
    let text = node.text()?;
    match variable(text) {
        Some(name) if is_variable(name) => Some(Credential::Env(name.to_owned())),
        Some(_) => {
            cx.report
                .dropped(what, "what it names is no environment variable");
            None
        }
        None => secret(text).map(Credential::Own),
    }
}

/// A text that agp.toml can't take from the environment: as the environment has it now.
fn text(cx: &mut Cx<'_>, what: &str, node: &Node) -> Option<String> {
    let text = node.text()?;
    let Some(name) = variable(text) else {
        return Some(text.to_owned());
    };
    let found = cx.options.env.get(name).map(|value| value.trim());
    if let Some(value) = found.filter(|value| !value.is_empty()) {
        cx.report.changed(
            what,
            "agp.toml can't take this from the environment: the variable's present value stands there",
        );
        Some(value.to_owned())
    } else {
        let why = format!(
            "agp.toml can't take this from the environment, and `{name}` is not set here now"
        );
        cx.report.dropped(what, why);
        None
    }
}

/// The master key, which clients use where there is no database.
fn master_key(cx: &mut Cx<'_>, what: &str, node: &Node) {
    use crate::config::import::common::ClientKey;
    use crate::config::import::draft::Key;

    match credential(cx, what, node) {
        Some(Credential::Env(name)) => {
            let key = Key {
                name: cx.draft.key_names.take("master", "key"),
                title: None,
                value: KeyValue::Env(name),
                enabled: true,
            };
            cx.draft.keys.push(key);
        }
        Some(Credential::Own(key)) => cx.client_key(ClientKey {
            what,
            wanted: "master",
            title: None,
            text: key.expose(),
            enabled: true,
        }),
        Some(Credential::File(_)) | None => return,
    }
    cx.report.changed(
        what,
        "it is a client's key like others here, without rights over the gateway",
    );
}
