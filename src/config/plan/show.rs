//! A plan for people: on a terminal, and as Markdown for a pull request.

use std::fmt::Write as _;

use crate::config::plan::{Change, FieldChange, Kind, Note, Plan, Risk, Section};

/// Longest value that is shown whole, in characters.
const LONGEST: usize = 60;

/// For a terminal. `before` and `after` say in words what is compared.
pub fn human(plan: &Plan, before: &str, after: &str) -> String {
    let mut out = format!("{before} -> {after}\n");
    for section in Section::ALL {
        let mut of = plan
            .changes
            .iter()
            .filter(|c| c.section == section)
            .peekable();
        if of.peek().is_some() {
            let _ = writeln!(out, "\n{}", section.as_str());
        }
        for change in of {
            let _ = writeln!(out, "  {} {}", sign(change.kind), title(change));
            for reason in &change.reasons {
                let _ = writeln!(out, "      {}: {}", reason.risk.as_str(), reason.why);
            }
            let width = shown(change).map(|f| f.field.chars().count()).max();
            for field in shown(change) {
                let (field, values) = (&field.field, values(field));
                let _ = writeln!(
                    out,
                    "      {field:<width$}  {values}",
                    width = width.unwrap_or(0)
                );
            }
        }
    }
    if !plan.effects.is_empty() {
        out.push_str("\nas a consequence\n");
    }
    for effect in &plan.effects {
        let (path, reason) = (&effect.path, &effect.reason);
        let _ = writeln!(out, "  ! {path}: {} ({})", reason.why, reason.risk.as_str());
    }
    for (path, variable) in &plan.held {
        let _ = writeln!(
            out,
            "\n`{path}` stays as the variable `{variable}` of the running gateway says"
        );
    }
    let _ = writeln!(out, "\n{}", closing(plan));
    out
}

/// For a comment on a pull request.
pub fn markdown(plan: &Plan, before: &str, after: &str) -> String {
    let mut out = format!("### agp plan: {before} → {after}\n\n{}\n", closing(plan));
    if !plan.changes.is_empty() {
        out.push_str("\n| | Table | Risk | What |\n|---|---|---|---|\n");
    }
    for change in &plan.changes {
        let fields = shown(change).map(|f| format!("{} {}", code(&f.field), markdown_values(f)));
        let reasons = change.reasons.iter().map(|reason| cell(&reason.why));
        let what: Vec<String> = reasons.chain(fields).collect();
        let mut table = code(&change.path);
        if let Some(was) = &change.was {
            let _ = write!(table, " (was {})", code(was));
        }
        let risk = match change.risk() {
            Risk::High => "**high**",
            risk => risk.as_str(),
        };
        let kind = change.kind.as_str();
        let _ = writeln!(out, "| {kind} | {table} | {risk} | {} |", what.join("<br>"));
    }
    if !plan.effects.is_empty() {
        out.push_str("\nAs a consequence:\n\n");
    }
    for effect in &plan.effects {
        let (path, reason) = (code(&effect.path), &effect.reason);
        let _ = writeln!(
            out,
            "- {path}: {} (**{}**)",
            reason.why,
            reason.risk.as_str()
        );
    }
    for (path, variable) in &plan.held {
        let _ = writeln!(
            out,
            "\n{} stays as the variable {} of the running gateway says.",
            code(path),
            code(variable)
        );
    }
    out
}

fn sign(kind: Kind) -> char {
    match kind {
        Kind::Added => '+',
        Kind::Removed => '-',
        Kind::Changed | Kind::Renamed => '~',
    }
}

fn title(change: &Change) -> String {
    match &change.was {
        Some(was) => format!("{} (was {was})", change.path),
        None => change.path.clone(),
    }
}

/// The fields that are worth a line: of a table that goes, none.
fn shown(change: &Change) -> impl Iterator<Item = &FieldChange> {
    let fields = match change.kind {
        Kind::Removed => &[][..],
        _ => &change.fields[..],
    };
    // What a new table says of itself by leaving it out tells nothing.
    fields.iter().filter(move |field| {
        change.kind != Kind::Added
            || !DEFAULTS.contains(&(
                field.field.as_str(),
                field.to.as_deref().unwrap_or_default(),
            ))
    })
}

/// What the tables with names say where nothing is given, as in agp-toml.md.
const DEFAULTS: &[(&str, &str)] = &[
    ("enabled", "true"),
    ("models", "[\"*\"]"),
    ("weight", "1"),
    ("tier", "1"),
    ("credits", "false"),
    ("connect_timeout", "\"30s\""),
    ("first_byte_timeout", "\"2m\""),
    ("idle_timeout", "\"1m\""),
];

fn values(field: &FieldChange) -> String {
    let text = match (&field.from, &field.to) {
        (Some(from), Some(to)) if from == to => format!("{} (changed)", short(to)),
        (Some(from), Some(to)) => format!("{} -> {}", short(from), short(to)),
        (Some(from), None) => format!("{} -> not given", short(from)),
        (None, Some(to)) => short(to),
        (None, None) => String::new(),
    };
    match note(field) {
        Some(note) => format!("{text} ({note})"),
        None => text,
    }
}

fn markdown_values(field: &FieldChange) -> String {
    let text = match (&field.from, &field.to) {
        (Some(from), Some(to)) if from == to => "changed".to_owned(),
        (Some(from), Some(to)) => format!("{} → {}", code(&short(from)), code(&short(to))),
        (Some(from), None) => format!("{} → not given", code(&short(from))),
        (None, Some(to)) => code(&short(to)),
        (None, None) => String::new(),
    };
    match note(field) {
        Some(note) => format!("{text} ({note})"),
        None => text,
    }
}

fn note(field: &FieldChange) -> Option<&'static str> {
    field.note.map(|note| match note {
        Note::Restart => "takes effect after a restart",
        Note::NotInEffect => "not yet in effect",
    })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn code(text: &str) -> String {
    // Between backticks nothing is markup, but a bar still ends a table's cell.
    format!("`{}`", cell(&text.replace('`', "'")))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn closing(plan: &Plan) -> String {
    let Some(risk) = plan.risk() else {
        return "nothing changes".to_owned();
    };
    let kinds = [Kind::Added, Kind::Changed, Kind::Renamed, Kind::Removed];
    let counts = kinds.into_iter().filter_map(|kind| {
        let n = plan.count(kind);
        let always = kind != Kind::Renamed;
        (always || n > 0).then(|| format!("{n} {}", kind.as_str()))
    });
    let counts: Vec<String> = counts.collect();
    format!("{}; highest risk: {}", counts.join(", "), risk.as_str())
}
