//! The original's SQLite file: original.md, section 7. It is opened for reading only and nothing of it is changed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use crate::config::import::common::{ClientKey, secret};
use crate::config::import::draft::{Account, Credential, Value};
use crate::config::import::{Cx, ImportError, MAX_ENTRIES};

/// How long another process may keep the file locked.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest text in the file that is read, in bytes.
const MAX_CELL: i32 = 1 << 20;

/// The tables that are read, and the columns without which they are not the original's.
const NEEDED: &[(&str, &[&str])] = &[
    ("accounts", &["id", "email", "refresh_token", "status"]),
    ("api_keys", &["id", "key", "name", "status"]),
];
/// Columns that hold what the gateway learns while it runs.
const LEARNT: &[&str] = &[
    "access_token",
    "token_expires_at",
    "tier",
    "quota_remaining",
    "quota_reset_time",
    "last_used_at",
    "error_count",
    "last_error",
    "created_at",
    "updated_at",
    "request_count",
    "token_count",
];
/// Columns that are carried over, besides those needed.
const CARRIED: &[&str] = &["project_id"];
/// Tables that hold what the gateway learns while it runs.
const LEARNT_TABLES: &[&str] = &[
    "request_logs",
    "account_model_quotas",
    "request_attempt_logs",
    "signature_cache",
];

/// Reads accounts, keys and settings.
pub(super) fn read(cx: &mut Cx<'_>, path: &Path, upstream: &str) -> Result<(), ImportError> {
    let failed = |why: String| ImportError::Source {
        path: path.to_owned(),
        why,
    };
    let is_file = std::fs::metadata(path)
        .map_err(|error| failed(format!("can't be read: {error}")))?
        .is_file();
    if !is_file {
        return Err(failed("not a regular file".to_owned()));
    }
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(PATIENCE)?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_CELL)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    };
    let sql = |error: rusqlite::Error| failed(explain(&error));
    let db = open().map_err(sql)?;
    // One transaction: what is read belongs together.
    db.execute_batch("BEGIN").map_err(sql)?;
    let tables = tables(&db).map_err(sql)?;
    for (table, needed) in NEEDED {
        if !tables.contains(*table) {
            return Err(failed(format!(
                "not a database of the original: it has no table `{table}`"
            )));
        }
        let columns = columns(&db, table).map_err(sql)?;
        let missing: Vec<_> = needed.iter().filter(|c| !columns.contains(**c)).collect();
        if let Some(missing) = missing.first() {
            return Err(failed(format!(
                "not a database of the original, or of a version that is not known here: table `{table}` has no column `{missing}`"
            )));
        }
        for column in &columns {
            let known = [needed, CARRIED].concat().contains(&column.as_str());
            if !known && !LEARNT.contains(&column.as_str()) {
                let what = format!("column {table}.{column}");
                cx.report.dropped(what, "not known here");
            }
        }
    }
    accounts(cx, &db, upstream).map_err(sql)?;
    keys(cx, &db).map_err(sql)?;
    if tables.contains("settings") {
        settings(cx, &db).map_err(sql)?;
    }
    others(cx, &db, &tables).map_err(sql)
}

/// An error of SQLite in words that say what to do.
fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "not an SQLite database".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "locked by another process: stop the original, then import again".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => "a damaged SQLite database".to_owned(),
        Some(ErrorCode::TooBig) => {
            format!("a value in it is larger than {} MiB", MAX_CELL >> 20)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "it can't be opened for reading alone: it may have been left open in a crash, so start and stop the original once; or copy it, \
             with its `-wal` file, to a folder that you can write to"
                .to_owned()
        }
        // The code's own words, without the statement or values.
        Some(code) => format!("can't be read: SQLite says {code:?}"),
        None => "can't be read as the original's database".to_owned(),
    }
}

/// The names of the tables; views are none.
fn tables(db: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut query = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    query.query_map([], |row| row.get(0))?.collect()
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut query = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
    query.query_map([table], |row| row.get(0))?.collect()
}

/// A column as text; numbers too, other things not at all.
fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;

    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        _ => String::new(),
    })
}

fn accounts(cx: &mut Cx<'_>, db: &Connection, upstream: &str) -> rusqlite::Result<()> {
    let has_project = columns(db, "accounts")?.contains("project_id");
    let mut query = db.prepare("SELECT * FROM accounts ORDER BY id")?;
    let mut rows = query.query([])?;
    let mut n = 0;
    while let Some(row) = rows.next()? {
        n += 1;
        let (email, id) = (text(row, "email")?, text(row, "id")?);
        let what = match email.as_str() {
            "" => format!("account {id}"),
            email => format!("account {email}"),
        };
        if n > MAX_ENTRIES {
            let why = format!("only the first {MAX_ENTRIES} are read");
            cx.report.dropped("further accounts", why);
            break;
        }
        let Some(token) = secret(&text(row, "refresh_token")?) else {
            cx.report.dropped(what, "it has no refresh token");
            continue;
        };
        let local = email.split('@').next().unwrap_or_default();
        let wanted = if local.is_empty() {
            format!("account-{id}")
        } else {
            local.to_owned()
        };
        let name = cx.draft.account_names.take(&wanted, "account");
        let credential = Credential::Own(token);
        let mut account = Account::new(name, upstream.to_owned(), "refresh_token", credential);
        account.email = (!email.is_empty()).then_some(email);
        if has_project {
            account.project = Some(text(row, "project_id")?).filter(|p| !p.is_empty());
        }
        match text(row, "status")?.as_str() {
            "disabled" => account.enabled = false,
            "active" => {}
            _ => cx.report.changed(
                &what,
                "it stood in error, from which only a person could free it; agp tries it and tells what is wrong with it",
            ),
        }
        cx.account(&what, account);
    }
    Ok(())
}

fn keys(cx: &mut Cx<'_>, db: &Connection) -> rusqlite::Result<()> {
    let mut query = db.prepare("SELECT * FROM api_keys ORDER BY id")?;
    let mut rows = query.query([])?;
    let mut n = 0;
    while let Some(row) = rows.next()? {
        n += 1;
        if n > MAX_ENTRIES {
            let why = format!("only the first {MAX_ENTRIES} are read");
            cx.report.dropped("further keys", why);
            break;
        }
        let (name, id) = (text(row, "name")?, text(row, "id")?);
        let key = zeroize::Zeroizing::new(text(row, "key")?);
        let what = match name.as_str() {
            "" => format!("key {id}"),
            name => format!("key {id} ({name})"),
        };
        let wanted = if name.is_empty() {
            format!("key-{id}")
        } else {
            name.clone()
        };
        cx.client_key(ClientKey {
            what: &what,
            wanted: &wanted,
            title: (!name.is_empty()).then_some(name),
            text: &key,
            enabled: text(row, "status")? != "disabled",
        });
    }
    Ok(())
}

fn settings(cx: &mut Cx<'_>, db: &Connection) -> rusqlite::Result<()> {
    let mut query = db.prepare("SELECT key, value FROM settings ORDER BY key")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (key, value) = (text(row, "key")?, text(row, "value")?);
        // Some versions keep the value as JSON.
        let value = value.trim_matches('"').to_owned();
        let what = format!("setting {key}");
        match (key.as_str(), value.as_str()) {
            (_, "") | ("pollingStrategy", "weighted") => {}
            ("defaultModel", _) => {
                cx.draft.set("routing", "default_model", Value::Text(value));
                cx.report.changed(
                    what,
                    "it had no effect there; here a request that names no model gets it",
                );
            }
            ("pollingStrategy", "roundrobin" | "round_robin") => {
                cx.draft
                    .set("routing", "strategy", Value::text("round_robin"));
                cx.report
                    .changed(what, "it had no effect there; here it has");
            }
            ("pollingStrategy", "random") => {
                cx.draft.set("routing", "strategy", Value::text("random"));
                cx.report
                    .changed(what, "it had no effect there; here it has");
            }
            ("pollingStrategy", _) => cx
                .report
                .dropped(what, "expected weighted, roundrobin or random"),
            _ => cx.report.dropped(what, "not known here"),
        }
    }
    Ok(())
}

/// What is not asked for: logs and state by the number of their rows, other tables by name.
fn others(cx: &mut Cx<'_>, db: &Connection, tables: &BTreeSet<String>) -> rusqlite::Result<()> {
    for table in tables {
        if LEARNT_TABLES.contains(&table.as_str()) {
            let rows: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })?;
            if rows > 0 {
                let what = format!("table {table} ({rows} rows)");
                let why = "agp keeps a log and a state of its own, which begin anew";
                cx.report.dropped(what, why);
            }
        } else if !["accounts", "api_keys", "settings"].contains(&table.as_str())
            && !table.starts_with("sqlite_")
        {
            cx.report
                .dropped(format!("table {table}"), "not known here");
        }
    }
    cx.report.dropped(
        "access tokens, quotas, tiers, counters",
        "agp asks the upstream itself, and counts from now on",
    );
    Ok(())
}
