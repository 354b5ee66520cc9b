//! Several files: all of them or none, also over a crash. The plan is put into a journal first, with all texts; at start
//! what the journal holds is finished, or undone where somebody has changed one of the files since.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::write::{Keeper, Way, WriteError, save};

/// One file of a plan.
#[derive(Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The files.
    pub steps: Vec<Step>,
}

/// Where a plan is kept while it is carried out.
pub trait Journal {
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

/// Keeps the plan once, before the first file that needs it is written.
struct Late<'p> {
    journal: &'p dyn Journal,
    plan: &'p Plan,
    begun: Cell<bool>,
}

impl Late<'_> {
    fn begin(&self) -> io::Result<()> {
        if !self.begun.get() {
            self.journal.begin(self.plan)?;
            self.begun.set(true);
        }
        Ok(())
    }

    /// Forgets it. Left over it would only be looked at once more.
    fn end(&self) {
        if self.begun.replace(false) {
            let _ = self.journal.end();
        }
    }

    /// Puts the one text of a file in the place of the other.
    fn put(&self, path: &Path, expected: &[u8], new: &[u8]) -> Result<Way, WriteError> {
        save(path, expected, new, self)
    }
}

impl Keeper for Late<'_> {
    fn keep(&self) -> io::Result<()> {
        self.begin()
    }
}

/// Saves all files of a plan. One file that need not be written in place needs no journal.
///
/// # Errors
/// The first file's that could not be saved; those before it have their old text again, unless somebody else has saved
/// them since.
pub fn save_all(plan: &Plan, journal: &dyn Journal) -> Result<(), WriteError> {
    let Some(first) = plan.steps.first() else {
        return Ok(());
    };
    let late = Late {
        journal,
        plan,
        begun: Cell::new(false),
    };
    if plan.steps.len() > 1 {
        late.begin().map_err(|error| WriteError::Io {
            file: first.path.clone(),
            error,
        })?;
    }
    for (n, step) in plan.steps.iter().enumerate() {
        if let Err(error) = late.put(&step.path, &step.before, &step.after) {
            let back = |step: &Step| late.put(&step.path, &step.after, &step.before);
            let undone = (plan.steps[..n].iter().rev()).all(|step| is_settled(&back(step)));
            if undone && !is_torn(step) {
                late.end();
            }
            return Err(error);
        }
    }
    late.end();
    Ok(())
}

/// Whether the text meant is there, or somebody else's, who is right.
fn is_settled(saved: &Result<Way, WriteError>) -> bool {
    matches!(saved, Ok(_) | Err(WriteError::Conflict(_)))
}

/// Whether the file has a part of either text: it was written in place, and could not be brought back.
fn is_torn(step: &Step) -> bool {
    std::fs::read(&step.path).is_ok_and(|now| Found::of(step, Some(&now)) == Found::Torn)
}

/// What a file holds of the two texts of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The old text.
    Before,
    /// The new one.
    After,
    /// A part of either, as a crash leaves it in the middle of writing in place.
    Torn,
    /// Somebody else's text, or nothing.
    Other,
}

impl Found {
    /// Of the bytes found; `None` where there is no file.
    pub(super) fn of(step: &Step, now: Option<&[u8]>) -> Self {
        match now {
            Some(now) if now == step.after => Self::After,
            Some(now) if now == step.before => Self::Before,
            Some(now) if is_mixed(now, &step.before, &step.after) => Self::Torn,
            _ => Self::Other,
        }
    }

    /// For people: what the file has.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "the old text",
            Self::After => "the new text",
            Self::Torn => "a part of either text",
            Self::Other => "another text",
        }
    }
}

/// Disks write whole sectors of this size, or multiples.
const SECTOR: usize = 512;

/// Whether each sector of `now` begins as the new text and goes on as the old one, either part of which may be empty, or has
/// nothing in it, as in a file that has only just grown.
fn is_mixed(now: &[u8], before: &[u8], after: &[u8]) -> bool {
    let sound = |start: usize| {
        let here = &now[start..(start + SECTOR).min(now.len())];
        let new = after.get(start..).unwrap_or_default();
        let same = here.iter().zip(new).take_while(|(a, b)| a == b).count();
        let old = before.get(start + same..).unwrap_or_default();
        let old = old.iter().copied().chain(std::iter::repeat(0));
        here[same..].iter().copied().eq(old.take(here.len() - same))
            || here.iter().all(|byte| *byte == 0)
    };
    let (shorter, longer) = (before.len().min(after.len()), before.len().max(after.len()));
    (shorter..=longer).contains(&now.len()) && (0..now.len()).step_by(SECTOR).all(sound)
}

/// What became of a plan that a crash had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// All files have their new texts.
    Finished,
    /// All files have their old texts, or somebody else's.
    Undone,
    /// Somebody has changed files since, and with what they changed all is well as it stands.
    Left,
}

/// What was found of a plan, and what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What each file held, in the plan's order.
    pub found: Vec<(PathBuf, Found)>,
    /// What became of it.
    pub became: Recovery,
}

/// Finishes the plan that the journal held at start, or undoes it: it is finished where some of it was written and every
/// file has one of its two texts. What somebody else has changed since is never touched. `is_sound` says whether the files
/// as they stand can be used: asked where all that was not changed by others has its new text, so that the plan may have
/// been carried out whole. To be called before the files are read.
///
/// # Errors
/// A file that could not be written; the plan stays in the journal for the next start.
pub fn recover(
    plan: &Plan,
    journal: &dyn Journal,
    is_sound: &dyn Fn() -> bool,
) -> Result<Recovered, WriteError> {
    let late = Late {
        journal,
        plan,
        begun: Cell::new(true),
    };
    let mut texts = Vec::new();
    for step in &plan.steps {
        texts.push(match std::fs::read(&step.path) {
            Ok(now) => Some(now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(WriteError::of(&step.path, error)),
        });
    }
    let of = |(step, now): (&Step, &Option<Vec<u8>>)| Found::of(step, now.as_deref());
    let found: Vec<Found> = plan.steps.iter().zip(&texts).map(of).collect();
    let has = |state: Found| found.contains(&state);
    let became = if !has(Found::Other) && (has(Found::After) || has(Found::Torn)) {
        Recovery::Finished
    } else if has(Found::Other) && !has(Found::Before) && !has(Found::Torn) && is_sound() {
        Recovery::Left
    } else {
        Recovery::Undone
    };
    for ((step, now), state) in plan.steps.iter().zip(&texts).zip(&found) {
        let meant = match became {
            Recovery::Finished => &step.after,
            Recovery::Undone => &step.before,
            Recovery::Left => continue,
        };
        match now {
            Some(now) if *state != Found::Other && now != meant => {
                let saved = late.put(&step.path, now, meant);
                if let Err(error) = saved
                    && !matches!(error, WriteError::Conflict(_))
                {
                    return Err(error);
                }
            }
            _ => {}
        }
    }
    late.end();
    let paths = plan.steps.iter().map(|step| step.path.clone());
    Ok(Recovered {
        found: paths.zip(found).collect(),
        became,
    })
}
