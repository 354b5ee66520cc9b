//! Several files: all of them or none, also over a crash. The plan is put into a journal first, with all texts; at start
//! what the journal holds is finished, or undone where somebody has changed one of the files since.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::write::{Keeper, Way, WriteError, save};

/// One file of a plan.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The file.
    pub path: PathBuf,
    /// Its bytes so far.
    pub before: Vec<u8>,
    /// Its new bytes.
    pub after: Vec<u8>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Step({})", self.path.display())
    }
}

/// Files that change together, in the order in which they are written. The texts may hold secrets: where it is kept it is
/// to be encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The files.
    pub steps: Vec<Step>,
}

/// Where a plan is kept while it is carried out.
pub trait Journal: Keeper {
    /// Keeps the plan, on the disk when this returns.
    ///
    /// # Errors
    /// Why it can't; nothing is then written.
    fn begin(&self, plan: &Plan) -> io::Result<()>;

    /// Forgets the plan, which is done or undone.
    ///
    /// # Errors
    /// Why it can't. The files are right all the same, and the next start finds that out.
    fn end(&self) -> io::Result<()>;
}

/// Saves all files of a plan. One file needs no journal.
///
/// # Errors
/// The first file's that could not be saved; those before it have their old text again, unless somebody else has saved
/// them since.
pub fn save_all(plan: &Plan, journal: &dyn Journal) -> Result<(), WriteError> {
    let [first, rest @ ..] = plan.steps.as_slice() else {
        return Ok(());
    };
    if rest.is_empty() {
        return save(&first.path, &first.before, &first.after, &Only(journal)).map(drop);
    }
    journal.begin(plan).map_err(|error| WriteError::Io {
        file: first.path.clone(),
        error,
    })?;
    for (n, step) in plan.steps.iter().enumerate() {
        if let Err(error) = forth(step, journal) {
            let undone = plan.steps[..n].iter().rev().all(|step| back(step, journal));
            if undone {
                // Left over it would only be looked at once more.
                let _ = journal.end();
            }
            return Err(error);
        }
    }
    let _ = journal.end();
    Ok(())
}

fn forth(step: &Step, journal: &dyn Journal) -> Result<Way, WriteError> {
    save(&step.path, &step.before, &step.after, &Only(journal))
}

/// Whether the old text is back, or somebody else's there.
fn back(step: &Step, journal: &dyn Journal) -> bool {
    matches!(
        save(&step.path, &step.after, &step.before, &Only(journal)),
        Ok(_) | Err(WriteError::Conflict(_))
    )
}

struct Only<'j>(&'j dyn Journal);

impl Keeper for Only<'_> {
    fn keep(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        self.0.keep(path, text)
    }
}

/// What became of a plan that a crash had left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// All files have their new texts.
    Finished,
    /// All files have their old texts, or somebody else's.
    Undone,
}

/// Finishes the plan that the journal held at start, or undoes it. To be called before the files are read.
///
/// # Errors
/// A file that could not be written; the plan stays in the journal for the next start.
pub fn recover(plan: &Plan, journal: &dyn Journal) -> Result<Recovery, WriteError> {
    let mut states = Vec::new();
    for step in &plan.steps {
        states.push(match std::fs::read(&step.path) {
            Ok(now) if now == step.after => State::After,
            Ok(now) if now == step.before => State::Before,
            Ok(_) => State::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::Other,
            Err(error) => return Err(WriteError::of(&step.path, error)),
        });
    }
    let forward = !states.contains(&State::Other) && states.contains(&State::After);
    for (step, state) in plan.steps.iter().zip(&states) {
        let done = match (state, forward) {
            (State::Before, true) => forth(step, journal),
            (State::After, false) => save(&step.path, &step.after, &step.before, &Only(journal)),
            _ => continue,
        };
        match done {
            // Whoever saves while the gateway starts is right.
            Ok(_) | Err(WriteError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    journal.end().map_err(|error| WriteError::Io {
        file: plan
            .steps
            .first()
            .map(|s| s.path.clone())
            .unwrap_or_default(),
        error,
    })?;
    Ok(if forward {
        Recovery::Finished
    } else {
        Recovery::Undone
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    After,
    Other,
}
