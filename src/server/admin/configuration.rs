//! `config show` and `config settings`: the files, what is found in them, and every value in force.

use serde_json::Value;
use toml::Value as Toml;

use crate::base::id::hex;
use crate::config::diagnostic::{Diagnostic, Span};
use crate::config::edit::{below, diff, texts};
use crate::config::effective::{self, Source as From};
use crate::config::source::{Files, Position};
use crate::config::{self};
use crate::runtime::controller::{Drift, drift, waits_for_restart};
use crate::server::Gateway;
use crate::server::admin::api::configuration::{
    ConfigFile, Configuration, Finding, Setting, Settings, Source,
};
use crate::server::admin::edits::{joined, value};
use crate::server::admin::{Params, Refusal, history};

pub(super) fn show(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, reload) = (runtime.snapshot(), runtime.reload.lock().clone());
    let files = Files::read(&reload.root);
    let loaded = config::load(&files, config::environment().into_iter());
    let same = files.revision().0 == snapshot.revision;
    let running = (!same).then(|| history::files(gateway, snapshot.generation));
    let drifted = running.and_then(Result::ok);
    let drifted = drifted.map(|running| joined(&diff(&running, &files)));
    let shown = texts(&files).into_iter().map(|file| ConfigFile {
        path: file.path.display().to_string(),
        text: file.text,
    });
    value(Configuration {
        revision: files.revision().to_string(),
        generation: snapshot.generation,
        running: hex(&snapshot.revision),
        differs: drift(&reload, &snapshot).map(|why| Drift::as_str(why).to_owned()),
        drift: drifted.unwrap_or_default(),
        errors: reload.errors,
        write_back: snapshot.config.admin.write_back,
        files: shown.collect(),
        findings: (loaded.diagnostics.iter())
            .map(|found| finding(&files, found))
            .collect(),
        locked: snapshot.config.locked.clone(),
        after_restart: reload.restart,
    })
}

fn finding(files: &Files, found: &Diagnostic) -> Finding {
    let place = found.span.as_ref();
    let file = place.and_then(|span| {
        let folder = files.root()?.folder();
        let path = below(&files.get(span.file)?.path, folder);
        Some(path.display().to_string())
    });
    let begin = place.map(|span| files.position(span));
    let end = place.map(|span| {
        files.position(&Span {
            file: span.file,
            range: span.range.end..span.range.end,
        })
    });
    let line = |at: Option<Position>| at.map(|at| at.line as u64);
    let column = |at: Option<Position>| at.map(|at| at.column as u64);
    Finding {
        code: found.code.as_str().to_owned(),
        severity: found.severity.as_str().to_owned(),
        message: found.message.clone(),
        help: found.help.clone(),
        key: Some(found.key.clone()).filter(|key| !key.is_empty()),
        file,
        line: line(begin),
        column: column(begin),
        end_line: line(end),
        end_column: column(end),
    }
}

pub(super) fn settings(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, root) = (runtime.snapshot(), history::root(gateway));
    let now = Files::read(&root);
    let env = || config::environment().into_iter();
    let running = if now.revision().0 == snapshot.revision {
        None
    } else {
        history::files(gateway, snapshot.generation).ok()
    };
    let files = running.as_ref().unwrap_or(&now);
    let (_, found) = config::effective(files, env());
    let folder = files.root().map(|root| root.folder().to_owned());
    let setting = |setting: effective::Setting| {
        let path = setting.path();
        Setting {
            value: json(&setting.value),
            source: match setting.source {
                From::Default => Source::Default,
                From::File { path, line } => {
                    let path = below(&path, folder.as_deref().unwrap_or(&path));
                    Source::File {
                        path: path.display().to_string(),
                        line: line as u64,
                    }
                }
                From::Variable(name) => Source::Variable { name },
            },
            in_effect: setting.in_effect,
            restart: waits_for_restart(&path),
            secret: setting.secret,
            path: setting.keys,
        }
    };
    value(Settings {
        revision: now.revision().to_string(),
        settings: found.into_iter().map(setting).collect(),
    })
}

/// As JSON has it; a date is a text.
fn json(value: &Toml) -> Value {
    match value {
        Toml::String(text) => text.as_str().into(),
        Toml::Integer(n) => (*n).into(),
        Toml::Float(n) => (*n).into(),
        Toml::Boolean(b) => (*b).into(),
        Toml::Datetime(date) => date.to_string().into(),
        Toml::Array(list) => list.iter().map(json).collect(),
        Toml::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), json(value)));
            Value::Object(entries.collect())
        }
    }
}
