//! Calls and their results, side by side.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::ir::ResultPart;
use crate::wire::gemini::contents::{Content, Loose, Part, append};

/// Stands in front of a history that begins with the model (rule 1).
const OPENING: &str = "Begin.";
/// Stands in for the result of a call that has none (rule 4).
const NO_RESULT: &str = "no result was given for this call";
/// Stands in for the text of a result that has neither call nor text.
const EMPTY_RESULT: &str = "(an empty tool result)";

/// Puts every result behind its call, in the order of the calls, fills gaps, turns results without a call into text, and
/// makes the history begin with a user (rules 1, 4, 5). Ids become unique in the conversation and, for Claude, of its
/// alphabet (8.1).
pub(in crate::wire::gemini) fn pair(contents: Vec<Content<'_>>, claude: bool) -> Vec<Content<'_>> {
    let mut ids = HashSet::new();
    let mut out: Vec<Content<'_>> = Vec::with_capacity(contents.len() + 2);
    let mut calls: Vec<Open<'_>> = Vec::new();
    for mut content in contents {
        if content.model {
            if out.is_empty() {
                append(&mut out, false, Part::text(OPENING));
            }
            calls = settle_ids(&mut content, &mut ids, claude);
            out.push(content);
        } else {
            let parts = answer(std::mem::take(&mut calls), content.parts);
            out.push(Content {
                model: false,
                parts,
            });
        }
    }
    if !calls.is_empty() {
        out.push(Content {
            model: false,
            parts: answer(calls, Vec::new()),
        });
    }
    out
}

/// A call that waits for its result.
struct Open<'a> {
    given: Cow<'a, str>,
    id: String,
    name: &'a str,
}

fn settle_ids<'a>(
    content: &mut Content<'a>,
    ids: &mut HashSet<String>,
    claude: bool,
) -> Vec<Open<'a>> {
    let mut calls = Vec::new();
    for part in &mut content.parts {
        let Part::Call { id, name, .. } = part else {
            continue;
        };
        let mut settled: String = if claude {
            id.chars()
                .map(|c| match c {
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
                    _ => '_',
                })
                .collect()
        } else {
            id.as_ref().to_owned()
        };
        if settled.is_empty() {
            "call".clone_into(&mut settled);
        }
        let base = settled.len();
        let mut round = 2;
        while !ids.insert(settled.clone()) {
            settled.truncate(base);
            let _ = write!(settled, "_{round}");
            round += 1;
        }
        let given = std::mem::replace(id, Cow::Owned(settled.clone()));
        calls.push(Open {
            given,
            id: settled,
            name,
        });
    }
    calls
}

/// The parts of the user turn behind these calls.
fn answer<'a>(calls: Vec<Open<'a>>, parts: Vec<Part<'a>>) -> Vec<Part<'a>> {
    let mut loose: Vec<Option<Loose<'a>>> = parts
        .iter()
        .map(|p| match p {
            Part::Loose(l) => Some(*l),
            _ => None,
        })
        .collect();
    let mut results = Vec::with_capacity(calls.len() + parts.len());
    let mut media = Vec::new();
    for call in calls {
        let found = loose
            .iter_mut()
            .find(|l| l.is_some_and(|l| l.call_id == call.given))
            .and_then(Option::take);
        if let Some(found) = found {
            media.extend(media_of(found.content));
        }
        results.push(Part::Result {
            id: Cow::Owned(call.id),
            name: call.name,
            is_error: found.is_none_or(|f| f.is_error),
            text: found.map_or(Cow::Borrowed(NO_RESULT), |f| text_of(f.content)),
        });
    }
    results.extend(media);
    for (part, left) in parts.into_iter().zip(loose) {
        match (part, left) {
            (Part::Loose(_), Some(orphan)) => {
                let text = text_of(orphan.content);
                // The turn may hold nothing else, and a turn without parts is refused.
                let blank = text.trim().is_empty();
                results.push(Part::text(if blank { EMPTY_RESULT.into() } else { text }));
                results.extend(media_of(orphan.content));
            }
            (Part::Loose(_), None) => {}
            (other, _) => results.push(other),
        }
    }
    results
}

fn media_of(content: &[ResultPart]) -> impl Iterator<Item = Part<'_>> {
    content.iter().filter_map(|p| match p {
        ResultPart::Media(media) => Some(Part::Media(media)),
        ResultPart::Text(_) => None,
    })
}

/// The texts of a result, a line each.
pub(super) fn text_of(content: &[ResultPart]) -> Cow<'_, str> {
    let mut texts = content.iter().filter_map(|p| match p {
        ResultPart::Text(text) => Some(text.as_str()),
        ResultPart::Media(_) => None,
    });
    let first = texts.next().unwrap_or_default();
    let mut joined = Cow::Borrowed(first);
    for text in texts {
        let all = joined.to_mut();
        all.push('\n');
        all.push_str(text);
    }
    joined
}
