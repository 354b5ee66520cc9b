//! Several new accounts as text: JSON, or CSV with a header line.

use serde_json::Value;

use crate::server::admin::api::accounts::AddAccount;
use crate::server::admin::{Fault, params};

/// Longest text in bytes.
const MAX_TEXT: usize = 4 << 20;
/// The columns of CSV.
const COLUMNS: [&str; 8] = [
    "email",
    "refresh_token",
    "name",
    "upstream",
    "project",
    "tags",
    "weight",
    "rank",
];

type Listed = Vec<Result<AddAccount, Fault>>;

/// The accounts of a text, each as it could be read.
///
/// # Errors
/// Why the text as a whole can't be read; nothing of it is repeated, since it holds tokens.
pub(super) fn read(text: &str) -> Result<Listed, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.len() > MAX_TEXT {
        return Err(format!("expected {} MiB at most", MAX_TEXT >> 20));
    }
    match text.chars().next() {
        None => Err("expected JSON or CSV, found nothing".to_owned()),
        Some('[' | '{') => json(text),
        Some(_) => csv(text),
    }
}

/// A list, or an object that has one under `accounts`.
fn json(text: &str) -> Result<Listed, String> {
    let place = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        format!("the JSON breaks off or is wrong at line {line}, column {column}")
    };
    let found: Value = serde_json::from_str(text).map_err(place)?;
    let list = match found {
        Value::Array(list) => list,
        Value::Object(mut map) => match (map.len(), map.remove("accounts")) {
            (1, Some(Value::Array(list))) => list,
            _ => return Err("expected a list of objects".to_owned()),
        },
        _ => return Err("expected a list of objects".to_owned()),
    };
    Ok(list.into_iter().map(one).collect())
}

fn one(value: Value) -> Result<AddAccount, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| params::fault(error, "entry"))
}

fn csv(text: &str) -> Result<Listed, String> {
    let unreadable = |line| format!("line {line} can't be read as CSV: a quote is not closed");
    let mut records = records(text).map_err(unreadable)?.into_iter();
    let header = records.next().unwrap_or_default();
    let mut columns: Vec<&'static str> = Vec::new();
    for (n, name) in (1..).zip(header) {
        let name = name.to_lowercase();
        let Some(known) = COLUMNS.into_iter().find(|known| *known == name) else {
            // It may be a token where there is no header line.
            return Err(format!(
                "the first line must name the columns, and column {n} has none of these names: {}",
                COLUMNS.join(", ")
            ));
        };
        if columns.contains(&known) {
            return Err(format!("the first line names column `{known}` twice"));
        }
        columns.push(known);
    }
    if !columns.contains(&"refresh_token") {
        return Err("the first line names no column `refresh_token`".to_owned());
    }
    Ok(records.map(|record| row(&columns, &record)).collect())
}

/// The lines of CSV in their cells (RFC 4180), without white space around these; blank lines are left out.
///
/// # Errors
/// The line, from 1, that a cell begins at whose quote is not closed, or has something behind it.
fn records(text: &str) -> Result<Vec<Vec<String>>, usize> {
    let (mut records, mut record) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text, 1);
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let (cell, end) = if let Some(quoted) = trimmed.strip_prefix('"') {
            quoted_cell(quoted).ok_or(line)?
        } else {
            let end = trimmed.find([',', '\n']).unwrap_or(trimmed.len());
            (trimmed[..end].trim().to_owned(), &trimmed[end..])
        };
        line += rest[..rest.len() - end.len()].matches('\n').count();
        record.push(cell);
        let mut after = end.chars();
        match after.next() {
            Some(',') => rest = after.as_str(),
            ended => {
                if record.iter().any(|cell: &String| !cell.is_empty()) {
                    records.push(std::mem::take(&mut record));
                }
                record.clear();
                rest = after.as_str();
                line += 1;
                if ended.is_none() {
                    return Ok(records);
                }
            }
        }
    }
}

/// A cell behind its opening quote, and what follows its end: a comma, a line break or nothing.
fn quoted_cell(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (inside, after) = rest.split_once('"')?;
        cell.push_str(inside);
        if let Some(more) = after.strip_prefix('"') {
            cell.push('"');
            rest = more;
        } else {
            let end = after.trim_start_matches([' ', '\t', '\r']);
            let ends = end.is_empty() || end.starts_with([',', '\n']);
            return ends.then(|| (cell.trim().to_owned(), end));
        }
    }
}

fn row(columns: &[&'static str], record: &[String]) -> Result<AddAccount, Fault> {
    let fault = |field: &str, message: String| Fault {
        field: field.to_owned(),
        message,
    };
    if record.len() != columns.len() {
        let (expected, found) = (columns.len(), record.len());
        let message = format!("expected {expected} columns, found {found}");
        return Err(fault("entry", message));
    }
    let cell = |name: &str| {
        let at = columns.iter().position(|column| *column == name)?;
        record.get(at).filter(|cell| !cell.is_empty())
    };
    let text = |name| cell(name).cloned();
    let weight = cell("weight").map(|cell| cell.parse()).transpose();
    let rank = cell("rank").map(|cell| cell.parse()).transpose();
    let tags = cell("tags").map(|tags| tags.split_whitespace().map(str::to_owned).collect());
    Ok(AddAccount {
        name: text("name"),
        upstream: text("upstream"),
        email: text("email"),
        refresh_token: text("refresh_token").unwrap_or_default(),
        project: text("project"),
        weight: weight.map_err(|_| fault("weight", "expected a number".to_owned()))?,
        rank: rank.map_err(|_| fault("rank", "expected a whole number".to_owned()))?,
        tags,
        allowed: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let told = |one: Result<AddAccount, Fault>| match one {
            Ok(add) => format!(
                "{} {} {:?} {:?} {:?}",
                add.email.unwrap_or_default(),
                add.refresh_token,
                add.tags.unwrap_or_default(),
                add.weight,
                add.rank
            ),
            Err(fault) => format!("{}!", fault.field),
        };
        read(text).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn cells_are_split_as_rfc_4180_says() {
        let cells =
            |text| records(text).map(|all| all.iter().map(|r| r.join("|")).collect::<Vec<_>>());
        assert_eq!(
            cells("a,b\r\n\r\n c , \"d\"\" e\" \r\n").unwrap(),
            ["a|b", "c|d\" e"]
        );
        assert_eq!(cells("\"a\nb\",c\nd\"e,").unwrap(), ["a\nb|c", "d\"e|"]);
        assert_eq!(cells("").unwrap(), [""; 0]);
        assert_eq!(cells(",,\n , \n").unwrap(), [""; 0]);
        assert_eq!(cells("a\n\"b\nc").unwrap_err(), 2);
        assert_eq!(cells("\"a\n\",b\n\"c\" d").unwrap_err(), 3);
    }

    #[test]
    fn csv_has_quotes_any_order_of_columns_and_empty_cells() {
        assert_eq!(
            found(
                "\u{feff}Email, refresh_token ,tags,weight,rank\r\n\
                 a@b,1//x,,,\r\n\
                 \"c@\"\"d\"\"\",\"1//y,z\",\"t u\",2.5,3\r\n\r\n\
                 e@f,1//w,,heavy,\n\
                 g@h,1//v\n"
            ),
            [
                "a@b 1//x [] None None",
                "c@\"d\" 1//y,z [\"t\", \"u\"] Some(2.5) Some(3)",
                "weight!",
                "entry!"
            ]
        );
        assert_eq!(found("refresh_token\n1//x"), [" 1//x [] None None"]);
    }

    #[test]
    fn json_is_a_list_or_has_one() {
        let list = r#"[{"email": "a@b", "refresh_token": "x"}, {"email": 1}, "planted", {"refresh_token": "y", "plan": 1}]"#;
        let expected = ["a@b x [] None None", "email!", "entry!", "plan!"];
        assert_eq!(found(list), expected);
        assert_eq!(found(&format!("{{\"accounts\": {list}}}")), expected);
        let told = read(list).unwrap().remove(2).unwrap_err();
        assert!(!told.message.contains("planted"), "{}", told.message);
    }

    #[test]
    fn a_text_that_is_neither_says_so_without_a_word_of_it() {
        for bad in [
            "",
            " \n",
            "[",
            "{}",
            "{\"accounts\": \"planted\"}",
            "{\"accounts\": [], \"x\": 1}",
            "[{\"refresh_token\": \"planted\"",
            "planted",
            "email,planted\na,b",
            "email\na@b",
            "email,email,refresh_token\n",
            "email,refresh_token\n\"planted",
            "email,refresh_token\n\"planted\"x,y",
            &"x".repeat(5 << 20),
        ] {
            let why = read(bad).unwrap_err();
            assert!(!why.contains("planted"), "{why}");
        }
    }
}
