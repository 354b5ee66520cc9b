//! `config show` and `config settings`: the files, what is found in them, and every value in force.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use toml::Value as Toml;

use crate::base::id::hex;
use crate::config::diagnostic::{Diagnostic, Span};
use crate::config::edit::{below, diff, texts};
use crate::config::effective::Source as From;
use crate::config::source::{Files, Position, Revision};
use crate::config::{self};
use crate::runtime::controller::{Drift, drift_of, waits_for_restart};
use crate::server::Gateway;
use crate::server::admin::api::configuration::{
    ConfigFile, Configuration, Finding, Setting, Settings, Source,
};
use crate::server::admin::edits::joined;
use crate::server::admin::{self, Params, Refusal, history};

/// What was found for so long may be told again of the same files: some findings change with the days.
const FRESH: Duration = Duration::from_mins(10);
/// No more settings than this are kept.
const KEPT: usize = 10_000;

/// What was made of the files last, by their revision: of large files that takes a while.
#[derive(Default)]
pub(in crate::server) struct Known {
    shown: Mutex<Option<(Revision, Instant, Shown)>>,
    settings: Mutex<Option<(SettingsOf, Instant, Vec<Setting>)>>,
}

/// The files' revision, that of those in force, and what was asked for.
type SettingsOf = (Revision, [u8; 32], String, String);

/// The files as they are shown, and what is found in them.
#[derive(Clone)]
struct Shown {
    files: Vec<ConfigFile>,
    findings: Vec<Finding>,
}

impl Known {
    fn shown(&self, files: &Files, revision: Revision) -> Shown {
        let mut known = self.shown.lock();
        if let Some((_, _, shown)) = known
            .as_ref()
            .filter(|(of, at, _)| *of == revision && at.elapsed() < FRESH)
        {
            return shown.clone();
        }
        let loaded = config::load(files, config::environment().into_iter());
        let texts = texts(files).into_iter().map(|file| ConfigFile {
            path: file.path.display().to_string(),
            text: file.text,
        });
        let findings = loaded.diagnostics.iter();
        let shown = Shown {
            files: texts.collect(),
            findings: findings.map(|found| finding(files, found)).collect(),
        };
        *known = Some((revision, Instant::now(), shown.clone()));
        shown
    }
}

pub(super) fn show(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, reload) = (runtime.snapshot(), runtime.reload.lock().clone());
    let files = Files::read(&reload.root);
    let revision = files.revision();
    let same = revision.0 == snapshot.revision;
    let running = (!same).then(|| history::files(gateway, snapshot.generation));
    let drifted = running.and_then(Result::ok);
    let drifted = drifted.map(|running| joined(&diff(&running, &files)));
    let Shown { files, findings } = gateway.shared.files.shown(&files, revision);
    admin::told(Configuration {
        revision: revision.to_string(),
        generation: snapshot.generation,
        running: hex(&snapshot.revision),
        differs: drift_of(revision, &reload, &snapshot).map(|why| Drift::as_str(why).to_owned()),
        drift: drifted.unwrap_or_default(),
        errors: reload.errors,
        write_back: snapshot.config.admin.write_back,
        files,
        findings,
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

pub(super) fn settings(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let runtime = &gateway.dispatcher.runtime;
    let (snapshot, root) = (runtime.snapshot(), history::root(gateway));
    let now = Files::read(&root);
    let revision = now.revision();
    let wanted = |name| params.get(name).unwrap_or_default().to_owned();
    let of = (
        revision,
        snapshot.revision,
        wanted("under"),
        wanted("without"),
    );
    let mut known = gateway.shared.files.settings.lock();
    let same = |(was, at, _): &&(SettingsOf, Instant, _)| *was == of && at.elapsed() < FRESH;
    let settings = if let Some((_, _, settings)) = known.as_ref().filter(same) {
        settings.clone()
    } else {
        let running = if revision.0 == snapshot.revision {
            None
        } else {
            history::files(gateway, snapshot.generation).ok()
        };
        let settings = in_force(running.as_ref().unwrap_or(&now), &of.2, &of.3);
        if settings.len() <= KEPT {
            *known = Some((of, Instant::now(), settings.clone()));
        }
        settings
    };
    drop(known);
    admin::told(Settings {
        revision: revision.to_string(),
        settings,
    })
}

/// The values in force by these files: those under a key, and without those of some sections.
fn in_force(files: &Files, under: &str, without: &str) -> Vec<Setting> {
    let (_, found) = config::effective(files, config::environment().into_iter());
    let folder = files.root().map(|root| root.folder().to_owned());
    let keys = |text: &str| -> Vec<String> {
        let keys = text.split(',').map(str::trim);
        keys.filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (under, without) = (keys(under), keys(without));
    let wanted = found.into_iter().filter(|setting| {
        let first = setting.keys.first().map_or("", String::as_str);
        let second = setting.keys.get(1).map(String::as_str);
        let is = |key: &String| match key.split_once('.') {
            Some((section, entry)) => section == first && Some(entry) == second,
            None => key == first,
        };
        (under.is_empty() || under.iter().any(is)) && !without.iter().any(is)
    });
    wanted
        .map(|setting| {
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
        })
        .collect()
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
