//! Raw tables to [`Config`]: names, references between tables, ranges, duplicates. Every finding is reported, none twice:
//! what decoding has blamed already is not looked at again.

mod accounts;
mod admin;
mod keys;
mod models;
mod reach;
mod sections;
mod upstreams;

use std::path::PathBuf;

use crate::base::time::Timestamp;
use crate::config::diagnostic::{Code, Diagnostic};
use crate::config::hint;
use crate::config::model::{Config, SecretRef};
use crate::config::overlay;
use crate::config::pending;
use crate::config::raw::Raw;
use crate::config::secret::Reference;
use crate::config::source::Files;
use crate::config::suggest;
use crate::config::tree::{KeyPath, Node, Origin, Seg};
use crate::config::value::SecretText;

/// What came out of the checks.
pub(crate) struct Checked {
    /// Only to be used where no error is among the findings.
    pub(crate) config: Config,
    pub(crate) found: Vec<Diagnostic>,
    pub(crate) secrets: Vec<Reference>,
}

/// Checks everything.
pub(crate) fn check(raw: &Raw, tree: &Node, files: &Files, now: Timestamp) -> Checked {
    let mut cx = Cx {
        raw,
        tree,
        files,
        now,
        found: Vec::new(),
        secrets: Vec::new(),
    };
    let (server, log, admin, state, secrets, routing, openai) = (
        cx.server(),
        cx.log(),
        cx.admin(),
        cx.state(),
        cx.secrets(),
        cx.routing(),
        cx.openai(),
    );
    cx.fetch();
    let config = Config {
        upstreams: cx.upstreams(),
        accounts: cx.accounts(),
        groups: cx.groups(),
        keys: cx.keys(),
        models: cx.models(),
        server,
        log,
        admin,
        state,
        secrets,
        routing,
        openai,
        inert: pending::given(tree),
        locked: overlay::locked(tree),
    };
    cx.reach(&config);
    Checked {
        config,
        found: cx.found,
        secrets: cx.secrets,
    }
}

/// What the checks share.
struct Cx<'a> {
    raw: &'a Raw,
    tree: &'a Node,
    files: &'a Files,
    now: Timestamp,
    found: Vec<Diagnostic>,
    secrets: Vec<Reference>,
}

impl<'a> Cx<'a> {
    /// Whether the key was written, soundly or not.
    fn given(&self, path: &KeyPath) -> bool {
        self.tree.get(path).is_some()
    }

    /// A finding at a key's value, or at the nearest table where the key is not there.
    fn at(&self, code: Code, path: &KeyPath, message: impl Into<String>) -> Diagnostic {
        let node = self.tree.nearest(path);
        let mut message = message.into();
        if let Origin::Env(name) = &node.origin {
            message = format!("environment variable `{name}`: {message}");
        }
        let hint = match code {
            Code::Value => hint::of_key(path),
            _ => None,
        };
        Diagnostic::new(code, path.to_string(), message)
            .at(node.value_place())
            .with_help(hint)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Reports that the value at `path` is not what it must be.
    fn bad(&mut self, path: &KeyPath, what: impl std::fmt::Display) {
        let diagnostic = self.at(Code::Value, path, format!("`{path}`: {what}"));
        self.report(diagnostic);
    }

    /// Reports that `path` is missing, unless it is there, or under a misspelt name, and was blamed already.
    fn missing(&mut self, path: &KeyPath, help: &str) {
        let misspelt = match path.0.split_last() {
            Some((Seg::Key(key), table)) => self
                .tree
                .nearest(&KeyPath(table.to_vec()))
                .has_misspelt(key),
            _ => false,
        };
        if !misspelt && !self.given(path) {
            let diagnostic = self
                .at(Code::Missing, path, format!("`{path}` is missing"))
                .with_help(help.to_owned());
            self.report(diagnostic);
        }
    }

    /// The names of a table's entries, the broken ones too.
    fn names(&self, table: &str) -> Vec<&'a str> {
        self.tree
            .child(&Seg::from(table))
            .into_iter()
            .flat_map(Node::entries)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn has(&self, table: &str, name: &str) -> bool {
        self.tree
            .child(&Seg::from(table))
            .and_then(|node| node.child(&Seg::from(name)))
            .is_some()
    }

    /// Reports that `name` is no entry of `table`, with what was probably meant.
    fn unknown(&mut self, path: &KeyPath, table: &str, what: &str, name: &str) {
        let names = self.names(table);
        let help = suggest::help(name, names.iter().copied())
            .unwrap_or_else(|| format!("define `[{}]`", KeyPath::from([table, name])));
        let diagnostic = self
            .at(
                Code::Reference,
                path,
                format!("`{path}`: there is no {what} `{name}`"),
            )
            .with_help(help);
        self.report(diagnostic);
    }

    /// A path in the file that names it, joined to that file's folder.
    fn join(&self, path: &KeyPath, file: &str) -> PathBuf {
        let folder = match &self.tree.nearest(path).origin {
            Origin::File(id) => self.files.get(*id),
            Origin::Env(_) => self.files.root(),
        };
        match folder {
            // `./x` where the root was given as a bare name would only make messages longer.
            Some(f) if f.folder() != std::path::Path::new(".") => f.folder().join(file),
            _ => PathBuf::from(file),
        }
    }

    /// A secret's reference. One in clear gets a warning where the file's form counts it as a secret.
    fn secret(&mut self, path: &KeyPath, text: &SecretText) -> SecretRef {
        let secret = match text {
            SecretText::Env(name) => SecretRef::Env(name.clone()),
            SecretText::File(file) => SecretRef::File(self.join(path, file)),
            SecretText::Sealed(value) => SecretRef::Sealed(value.clone()),
            SecretText::Plain(secret) => {
                // A client's id is public; a value of the environment is not in the file.
                let public = matches!(path.0.last(), Some(Seg::Key(key)) if key == "client_id");
                let in_file = matches!(self.tree.nearest(path).origin, Origin::File(_));
                if in_file && !public {
                    let diagnostic = self
                        .at(
                            Code::PlainSecret,
                            path,
                            format!("`{path}` is a secret in clear"),
                        )
                        .with_help(
                            "write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ sealed = \"agp1:...\" }`"
                                .to_owned(),
                        );
                    self.report(diagnostic);
                }
                SecretRef::Plain(secret.clone())
            }
        };
        self.secrets.push(Reference {
            key: path.to_string(),
            span: self.tree.nearest(path).value_place(),
            secret: secret.clone(),
        });
        secret
    }

    /// A name of `[accounts.NAME]` and its like: shown in logs and addresses, so it is short and printable.
    fn check_name(&mut self, table: &str, name: &str) {
        let path = KeyPath::from([table, name]);
        let why = if name.is_empty() {
            "it is empty"
        } else if name.chars().count() > 128 {
            "it is longer than 128 characters"
        } else if name.trim() != name || name.chars().any(char::is_control) {
            "it has white space around it or control characters in it"
        } else if table == "upstreams" && name.contains('/') {
            "it has a `/` in it, at which routes are split"
        } else if table == "accounts" && name.starts_with("tag:") {
            "`tag:` begins a reference to a tag"
        } else {
            return;
        };
        let diagnostic = self.at(
            Code::Name,
            &path,
            format!("`{path}` can't be named so: {why}"),
        );
        self.report(diagnostic);
    }
}
