//! Back to the texts of an earlier generation, by the way that edits take: prepared and proved, everything built that they
//! ask for, saved, put in force as a new generation.
//!
//! The files in play afterwards are exactly those of that generation. A file that came since is left on the disk, so where
//! the old `include` would pick it up the rollback is refused; nothing is deleted and no file is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::base::time::Timestamp;
use crate::config::edit::{self, Change, Edited, FileDiff, Refused};
use crate::config::model::Config;
use crate::config::plan::{Plan, Risk};
use crate::config::revert::{NotReverted, Reverted, Revoked, revert};
use crate::config::source::{Files, Revision, included, read_bounded};
use crate::config::{self, source};
use crate::runtime::controller::edit::{Desk, Draft, aside};
use crate::runtime::controller::history::{By, Cause, compare, config_of, unpacked};
use crate::runtime::controller::{Controller, Done, NotDone};
use crate::store::Store;

/// Where to go back to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The generation.
    pub generation: u64,
    /// Keys that were revoked since and are to be accepted again, by the names of their tables; tokens by their paths.
    pub restore: BTreeSet<String>,
}

/// What somebody asks for.
#[derive(Debug)]
pub struct Rollback {
    /// Where to.
    pub target: Target,
    /// The revision of the files that they saw; `None` where whatever is there now will do.
    pub seen: Option<Revision>,
    /// Whether it may change something of high risk.
    pub high: bool,
    /// Who asks.
    pub by: By,
    /// Told what became of it.
    pub reply: oneshot::Sender<Result<Done, NotDone>>,
}

/// A rollback that can be done. Nothing of what is public holds a secret.
#[derive(Debug)]
pub struct Prepared {
    /// The revision of the present files.
    pub seen: Revision,
    /// What it changes in what runs.
    pub plan: Plan,
    /// What it changes in the files, secrets masked.
    pub diff: Vec<FileDiff>,
    /// Keys and tokens that were revoked since and stay so, named in the same way.
    pub kept: Vec<(String, Revoked)>,
    /// Those that are accepted again.
    pub restored: Vec<String>,
    /// Files in play now and not afterwards, relative to the root file's folder: they are left as they are.
    pub left: Vec<PathBuf>,
    /// The files of that generation as they are now.
    before: Files,
    edited: Edited,
}

/// Prepares a rollback from what `running` says and from the files as they are `now`. Blocks on the disk, changes nothing.
///
/// # Errors
/// That generation or its texts are not kept, they can't be used any more, or the files in play would be others.
pub fn prepare(
    store: &Store,
    root: &Path,
    now: &Files,
    running: &Config,
    target: &Target,
) -> Result<Prepared, NotDone> {
    let n = target.generation;
    let then = texts(store, n, root)?;
    let on_disk = config_of(now);
    let present: Vec<&Config> = std::iter::once(running).chain(&on_disk).collect();
    let env = config::environment();
    let reverted = revert(&then, &present, &target.restore, &env, Timestamp::now());
    let Reverted {
        edited,
        kept,
        restored,
    } = reverted.map_err(|error| unfit(n, error))?;
    let before = standing(now, &then, &edited.files).map_err(|whys| {
        let head = format!("generation {n} had other files than there are now:");
        NotDone::Unusable(std::iter::once(head).chain(whys).collect())
    })?;
    let folder = source::folder_of(root);
    let left = now
        .iter()
        .filter(|file| find(&edited.files, &file.path).is_none());
    let left = left.map(|file| edit::below(&file.path, folder)).collect();
    let config = edited.loaded.config.as_ref();
    let plan = config.map(|config| compare(running, config, root));
    Ok(Prepared {
        seen: now.revision(),
        plan: plan.unwrap_or_default(),
        diff: edit::diff(&before, &edited.files),
        kept,
        restored,
        left,
        before,
        edited,
    })
}

/// The files of a generation.
///
/// # Errors
/// There is none, or its texts are not kept.
pub fn texts(store: &Store, generation: u64, root: &Path) -> Result<Files, NotDone> {
    let found = store.generation(generation);
    let found = found.map_err(|error| NotDone::Unusable(vec![error.to_string()]))?;
    let found = found.ok_or(NotDone::NoGeneration(generation))?;
    let texts = found.texts.ok_or_else(|| {
        let text = format!("the texts of generation {generation} are not kept or can't be opened");
        NotDone::Unusable(vec![text])
    })?;
    Ok(unpacked(texts, root))
}

/// What the files of one generation would change if they took the place of another's, in the present environment.
///
/// # Errors
/// One of them can't be used any more.
pub fn between(before: &Files, after: &Files) -> Result<Plan, NotDone> {
    let config = |files| {
        config_of(files).ok_or_else(|| {
            let text = "there is no plan: one of the two can't be used by this version of agp";
            NotDone::Unusable(vec![text.to_owned()])
        })
    };
    let root = after.root().map_or(Path::new(""), |file| &file.path);
    Ok(compare(&config(before)?, &config(after)?, root))
}

fn unfit(generation: u64, error: NotReverted) -> NotDone {
    match error {
        NotReverted::Refused(refused @ Refused::Invalid { .. }) => {
            let head = format!("generation {generation} can't be used as it is:");
            let found = NotDone::Refused(refused).message();
            NotDone::Unusable(vec![head, found])
        }
        NotReverted::Refused(refused) => NotDone::Refused(refused),
        error @ NotReverted::NotRevoked(_) => NotDone::NotRevoked(error.to_string()),
    }
}

fn find<'f>(files: &'f Files, path: &Path) -> Option<&'f source::File> {
    files.iter().find(|file| file.path == path)
}

/// The files of `after` with the texts that they have now, where just those are in play once `after` is written.
///
/// # Errors
/// Every file that is in the way, a line each.
fn standing(now: &Files, then: &Files, after: &Files) -> Result<Files, Vec<String>> {
    let (Some(root), Some(wanted)) = (now.root(), after.root()) else {
        return Err(vec!["the root file can't be read".to_owned()]);
    };
    let folder = root.folder();
    let shown = |path: &Path| edit::below(path, folder).display().to_string();
    if root.path != wanted.path {
        let (is, was) = (shown(&root.path), shown(&wanted.path));
        return Err(vec![format!("  the root file is `{is}`, and was `{was}`")]);
    }
    let picked = included(&root.path, &wanted.text).map_err(|error| vec![error])?;
    let mut whys = Vec::new();
    for path in &picked {
        if find(after, path).is_none() {
            let path = shown(path);
            whys.push(format!(
                "  `{path}` came since, and the `include` of then would pick it up: rename or remove it first"
            ));
        }
    }
    let mut texts = vec![(root.path.clone(), root.text.to_string())];
    for file in after.iter().skip(1) {
        let path = shown(&file.path);
        let text = match find(now, &file.path) {
            Some(file) => Some(file.text.to_string()),
            // Not in play now: whatever else it is used for, it must be what it was.
            None => match outside(&file.path) {
                None => {
                    whys.push(format!(
                        "  `{path}` is not there any more: put it back first"
                    ));
                    continue;
                }
                text => {
                    text.filter(|text| find(then, &file.path).is_some_and(|f| *f.text == **text))
                }
            },
        };
        match text {
            Some(text) if picked.contains(&file.path) => texts.push((file.path.clone(), text)),
            Some(_) => whys.push(format!("  `{path}` would not be picked up by the `include` of then")),
            None => whys.push(format!(
                "  `{path}` is not in play any more and has another text by now: change it by hand first"
            )),
        }
    }
    if whys.is_empty() {
        Ok(Files::from_texts(texts))
    } else {
        Err(whys)
    }
}

/// The text of a file that is not in play; `None` where there is none.
fn outside(path: &Path) -> Option<String> {
    let bytes = read_bounded(path, source::MAX_FILE).ok()??;
    String::from_utf8(bytes).ok()
}

impl Controller {
    /// Does it, or changes nothing, and tells.
    pub(super) async fn roll_back(&mut self, ask: Rollback) {
        let Rollback {
            target,
            seen,
            high,
            by,
            reply,
        } = ask;
        let mut words = format!("rollback to {}", target.generation);
        for (n, name) in target.restore.iter().enumerate() {
            let sign = if n == 0 { ", restoring key" } else { "," };
            let _ = write!(words, "{sign} `{name}`");
        }
        let (desk, said) = (self.desk(), words.clone());
        let done = match aside(move || desk.rollback(&target, seen, high)).await {
            Ok(Ok(draft)) => self.carry_out(draft, Cause::asked(by, words)).await,
            Ok(Err(done)) => Ok(done),
            Err(error) => Err(error),
        };
        super::history::tell(&said, &done);
        // Whoever asked may have gone.
        let _ = reply.send(done);
    }
}

impl Desk {
    /// Prepares it; done already where there is nothing to save.
    fn rollback(
        self,
        target: &Target,
        seen: Option<Revision>,
        high: bool,
    ) -> Result<Result<Draft, Done>, NotDone> {
        self.mended()?;
        let files = self.at_rest(seen);
        if let Some(seen) = seen.filter(|seen| *seen != files.revision()) {
            return Err(self.moved(&files, seen));
        }
        let config = &self.present.config;
        let prepared = prepare(&self.store, &self.root, &files, config, target)?;
        let risky = risky(&prepared.plan);
        if !high && !risky.is_empty() {
            return Err(NotDone::High(risky));
        }
        let Prepared {
            before,
            mut edited,
            plan,
            diff,
            seen,
            ..
        } = prepared;
        let both = before
            .iter()
            .zip(&edited.files)
            .filter(|(a, b)| a.text != b.text);
        edited.changes = both
            .map(|(before, after)| Change {
                path: before.path.clone(),
                before: before.text.to_string(),
                after: after.text.to_string(),
            })
            .collect();
        let changed = !edited.changes.is_empty();
        // The files in play now may be others than those that the generation had.
        Ok(
            match self.drafted(before, edited, changed, diff, Some(plan))? {
                Ok(mut draft) => {
                    draft.done.revision = seen;
                    Ok(draft)
                }
                Err(mut done) => {
                    done.revision = seen;
                    Err(done)
                }
            },
        )
    }
}

/// What is of high risk, a line each.
pub fn risky(plan: &Plan) -> Vec<String> {
    let mut lines = BTreeMap::new();
    for change in &plan.changes {
        let high = change
            .reasons
            .iter()
            .find(|reason| reason.risk == Risk::High);
        if let Some(reason) = high {
            lines.insert(&change.path, &reason.why);
        }
    }
    for effect in plan.effects.iter().filter(|e| e.reason.risk == Risk::High) {
        lines.entry(&effect.path).or_insert(&effect.reason.why);
    }
    let lines = lines.into_iter();
    lines.map(|(path, why)| format!("{path}: {why}")).collect()
}
