//! The original system: a `.env` file and an SQLite file. Its variables, tables and models are those of original.md,
//! sections 2, 7 and 12.

mod db;
mod models;
mod variables;

use std::path::Path;

use crate::config::import::draft::{ANTIGRAVITY, Upstream};
use crate::config::import::{Cx, ImportError, dotenv, read_text};

/// Largest file of variables in bytes.
const MAX_ENV: u64 = 1 << 20;

/// Reads what there is of the two.
pub(super) fn read(
    cx: &mut Cx<'_>,
    env: Option<&Path>,
    db: Option<&Path>,
) -> Result<(), ImportError> {
    let mut upstream = Upstream {
        kind: ANTIGRAVITY,
        ..Upstream::default()
    };
    if let Some(path) = env {
        let read = dotenv::parse(&read_text(path, MAX_ENV)?);
        for line in read.unread {
            cx.report.dropped(
                format!("line {line} of the variables"),
                "it sets no variable",
            );
        }
        variables::map(cx, &mut upstream, read.values);
    }
    let upstream = cx.draft.upstream(ANTIGRAVITY, upstream);
    if let Some(path) = db {
        db::read(cx, path, &upstream)?;
    }
    cx.draft.models = models::of(&upstream);
    Ok(())
}
