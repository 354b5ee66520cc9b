//! Random sequences of edits over files that look as people write them. After each step: the files say what was meant
//! and nothing else; what is outside of the touched value is the same to the byte; the opposite edit gives the text
//! before back, where there is one. At the end the recorded texts lead back to the first ones.
//!
//! `AGP_EDIT_CASES=10000 cargo test --lib config::edit::tests::laws` runs so many sequences.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use toml::{Table, Value};

use super::*;

const DEFAULT_CASES: u32 = 300;

/// Draws, made of one number.
struct Draw(u64);

impl Draw {
    /// Below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// All files as one table, by a parser that knows nothing of this module.
fn said(files: &Files) -> Table {
    let mut all = Table::new();
    for file in files {
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
        for (section, value) in text.parse::<Table>().unwrap() {
            match (all.get_mut(&section), value) {
                (Some(Value::Table(there)), Value::Table(more)) => there.extend(more),
                (_, value) => {
                    all.insert(section, value);
                }
            }
        }
    }
    all
}

fn at<'v>(table: &'v Table, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(first)?, |value, key| value.get(key))
}

const TEXTS: &[&str] = &[
    "x",
    "a b",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "# no comment",
    "[no.header]",
    "ünï",
    "",
    "two\\nlines",
    "a=1",
];
const SECTIONS: &[(&str, Section)] = &[
    ("accounts", Section::Accounts),
    ("groups", Section::Groups),
    ("keys", Section::Keys),
    ("models", Section::Models),
    ("upstreams", Section::Upstreams),
];

#[expect(
    clippy::match_same_arms,
    reason = "a table of draws reads best by section"
)]
/// A key of a table, and how a value for it may be written.
fn key_and_value(draw: &mut Draw, section: &str) -> (&'static str, String) {
    let text = |draw: &mut Draw| {
        let text = *draw.one(TEXTS);
        match draw.below(3) {
            0 if !text.contains(['\'', '\\']) => format!("'{text}'"),
            _ => crate::config::quote_text(text),
        }
    };
    let list = |draw: &mut Draw, words: &[&str]| {
        let n = draw.below(4);
        let words: Vec<String> = (0..n).map(|_| format!("\"{}\"", draw.one(words))).collect();
        format!("[{}]", words.join(", "))
    };
    let n = draw.below(100);
    let number = if n.is_multiple_of(7) && n > 0 {
        format!("{n}_000")
    } else {
        n.to_string()
    };
    match (section, draw.below(7)) {
        ("accounts", 0) => ("enabled", n.is_multiple_of(2).to_string()),
        ("accounts", 1) => ("weight", format!("{n}.5")),
        ("accounts", 2) => ("tier", number),
        ("accounts", 3) => ("tags", list(draw, &["x", "y", "platform", "a"])),
        ("accounts", 4) => ("models", list(draw, &["*", "m-*", "gemini"])),
        ("accounts", 5) => ("max_concurrent", number),
        ("accounts", _) => ("project", text(draw)),
        ("keys", 0) => ("enabled", n.is_multiple_of(2).to_string()),
        ("keys", 1) => ("name", text(draw)),
        ("keys", 2) => ("rpm", number),
        ("keys", 3) => ("tokens_per_day", number),
        ("keys", 4) => ("models", list(draw, &["fast", "m", "*", "gemini-*"])),
        ("keys", 5) => ("budget", format!("{{ usd = {n}.0, per = \"day\" }}")),
        ("keys", _) => ("expires", "2031-02-03".to_owned()),
        ("groups", 0 | 1) => ("budget", format!("{{ per = 'month', usd = {n}.25 }}")),
        ("groups", 2 | 3) => ("rpm", number),
        ("groups", _) => ("max_concurrent", number),
        ("models", 0) => ("thinking", "\"off\"".to_owned()),
        ("models", 1) => ("thinking", format!("{{ budget = {number} }}")),
        ("models", 2) => ("context", number),
        ("models", 3) => ("aliases", list(draw, &["one", "two", "three"])),
        ("models", 4) => ("price", format!("{{ input = {n}.5, output = 1.0 }}")),
        ("models", 5) => ("strategy", "\"random\"".to_owned()),
        ("models", _) => ("display_name", text(draw)),
        ("routing", 0 | 1) => ("strategy", "\"random\"".to_owned()),
        ("routing", 2 | 3) => ("max_queue", number),
        ("routing", _) => ("queue_timeout", format!("\"{n}s\"")),
        ("server", 0 | 1) => ("drain_delay", format!("\"{n}s\"")),
        ("server", 2 | 3) => (
            "cors_origins",
            list(draw, &["https://a.invalid", "https://b.invalid"]),
        ),
        ("server", _) => ("tls", "{ cert = \"c\", key = \"k\" }".to_owned()),
        (_, 0 | 1) => ("headers", format!("{{ x-team = \"{n}\" }}")),
        (_, 2 | 3) => (
            "base_urls",
            "[\"https://one.invalid\", \"https://two.invalid\"]".to_owned(),
        ),
        _ => ("connect_timeout", format!("\"{n}s\"")),
    }
}

/// Something that somebody could want of these files.
fn intent(draw: &mut Draw, all: &Table, step: usize) -> Option<Intent> {
    let (name, section) = *draw.one(SECTIONS);
    let table = all.get(name).and_then(Value::as_table);
    let entry = |draw: &mut Draw| {
        let names: Vec<&String> = table?.keys().collect();
        (!names.is_empty()).then(|| (*draw.one(&names)).clone())
    };
    let fresh = ["new", "new one", "n.e.w", "N-1"][draw.below(4)].to_owned() + &step.to_string();
    match draw.below(10) {
        0..=3 => {
            let mut path = match draw.below(4) {
                0 => vec![["routing", "server"][draw.below(2)].to_owned()],
                _ => vec![name.to_owned(), entry(draw)?],
            };
            let (key, value) = key_and_value(draw, &path[0].clone());
            path.push(key.to_owned());
            let value = value.parse().unwrap();
            Some(Intent::Set { path, value })
        }
        4 => {
            let mut path = vec![name.to_owned(), entry(draw)?];
            let keys: Vec<&String> = at(all, &path)?.as_table()?.keys().collect();
            path.push((*draw.one(&keys[..(!keys.is_empty()).then_some(keys.len())?])).clone());
            Some(Intent::Remove { path })
        }
        5 => {
            let upstream = all.get("upstreams")?.as_table()?.keys().next()?;
            let mut values: Vec<(&str, String)> = match section {
                Section::Accounts => vec![
                    ("upstream", crate::config::quote_text(upstream)),
                    (
                        if at(all, &path(&format!("upstreams.{upstream}.kind")))?.as_str()?
                            == "antigravity"
                        {
                            "refresh_token"
                        } else {
                            "api_key"
                        },
                        "{ env = \"NEW\" }".to_owned(),
                    ),
                ],
                Section::Keys => vec![("key", "{ env = \"NEW\" }".to_owned())],
                Section::Models => vec![(
                    "route",
                    format!("[{}]", crate::config::quote_text(&format!("{upstream}/m"))),
                )],
                Section::Groups => Vec::new(),
                Section::Upstreams => vec![
                    ("kind", "\"openai\"".to_owned()),
                    ("base_urls", "[\"https://new.invalid\"]".to_owned()),
                ],
            };
            let (key, value) = key_and_value(draw, name);
            if values.iter().all(|(k, _)| *k != key) {
                values.push((key, value));
            }
            let values: Vec<(&str, &str)> = values.iter().map(|(k, v)| (*k, v.as_str())).collect();
            Some(add(section, &fresh, &values))
        }
        6 => Some(rename(section, &entry(draw)?, &fresh)),
        7 => {
            let name = entry(draw)?;
            Some(match draw.below(2) {
                0 => delete(section, &name),
                _ => purge(section, &name),
            })
        }
        n => {
            let mut path = vec![name.to_owned(), entry(draw)?];
            let table = at(all, &path)?.as_table()?;
            let lists: Vec<&String> = table
                .iter()
                .filter(|(_, v)| v.is_array())
                .map(|(k, _)| k)
                .collect();
            path.push((*draw.one(&lists[..(!lists.is_empty()).then_some(lists.len())?])).clone());
            let len = at(all, &path)?.as_array()?.len();
            let place = draw.below(len + 1);
            if n == 8 {
                let value = match path[2].as_str() {
                    "base_urls" => "\"https://more.invalid\"".to_owned(),
                    "route" => format!(
                        "\"{}/more\"",
                        all.get("upstreams")?.as_table()?.keys().next()?
                    ),
                    _ => format!("\"t{step}\""),
                };
                let at = (place < len).then_some(place);
                Some(Intent::Insert {
                    path,
                    at,
                    value: value.parse().unwrap(),
                })
            } else {
                Some(Intent::Take {
                    path,
                    at: place.min(len.checked_sub(1)?),
                })
            }
        }
    }
}

/// What takes it back to the byte, where an edit can.
fn opposite(before: &Files, all: &Table, intent: &Intent) -> Option<Intent> {
    match intent {
        Intent::Set { path, .. } => {
            let Some(old) = at(all, path) else {
                // What was made for it goes with it.
                let n = (1..=path.len()).find(|n| at(all, &path[..*n]).is_none())?;
                return Some(Intent::Remove {
                    path: path[..n].to_vec(),
                });
            };
            if matches!(old, Value::Array(_) | Value::Table(_)) {
                return None;
            }
            let docs = Docs::of(before);
            let (file, place) = docs.exact(&segments(path))?;
            let doc = &docs.0[file];
            let raw = doc.raw(doc.layout.item(&place)?);
            Some(Intent::Set {
                path: path.clone(),
                value: raw.parse().ok()?,
            })
        }
        Intent::Add { section, name, .. } => Some(delete(*section, name)),
        Intent::Rename { section, from, to } => Some(rename(*section, to, from)),
        Intent::Insert {
            path, at: place, ..
        } => {
            let len = at(all, path)?.as_array()?.len();
            let place = place.unwrap_or(len);
            Some(Intent::Take {
                path: path.clone(),
                at: place,
            })
        }
        Intent::Remove { .. } | Intent::Delete { .. } | Intent::Take { .. } => None,
    }
}

/// The bytes of a text that another one shares at its beginning and at its end.
fn shared(a: &str, b: &str) -> (usize, usize) {
    let head = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - head;
    let ends = a.bytes().rev().zip(b.bytes().rev()).take(rest);
    (head, ends.take_while(|(x, y)| x == y).count())
}

fn comments(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|l| l.starts_with('#')).collect()
}

fn is_sub<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|p| whole.any(|w| w == p))
}

/// Whether `new` is `old` with bytes put in at one place, or at two: in brackets the comma behind what was last, and what
/// comes behind its comment. Nothing else may stand between the two.
fn only_put(old: &str, new: &str) -> bool {
    let trivia = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
    let comma = new
        .strip_prefix(',')
        .is_some_and(|new| new.starts_with(old));
    old.is_empty() || (comma && old.lines().all(trivia))
}

/// The place of the value at a path, where it is one piece of the text: not a table of headers or of dotted keys. By a
/// parser that knows nothing of this module.
fn span(text: &str, path: &[String]) -> Option<std::ops::Range<usize>> {
    use toml::de::{DeTable, DeValue};

    // Its places do not count the byte order mark.
    let head = text.len() - text.trim_start_matches('\u{feff}').len();
    let table = DeTable::parse(&text[head..]).unwrap().into_inner();
    let (first, rest) = path.split_first()?;
    let mut value = table.get(first.as_str())?;
    for key in rest {
        let DeValue::Table(table) = value.get_ref() else {
            return None;
        };
        value = table.get(key.as_str())?;
    }
    let span = value.span().start + head..value.span().end + head;
    let inline = matches!(value.get_ref(), DeValue::Table(_)).then_some("{");
    text[span.clone()]
        .starts_with(inline.unwrap_or_default())
        .then_some(span)
}

/// The bytes before and behind the value at a path, which must be the same in both texts.
fn around(path: &[String], change: &Change) -> Result<(), TestCaseError> {
    let (before, after) = (&*change.before, &*change.after);
    if let (Some(old), Some(new)) = (span(before, path), span(after, path)) {
        prop_assert_eq!(&before[..old.start], &after[..new.start]);
        prop_assert_eq!(&before[old.end..], &after[new.end..]);
    }
    Ok(())
}

/// What holds of the bytes, whatever the layout.
fn outside(intent: &Intent, all: &Table, change: &Change) -> Result<(), TestCaseError> {
    let (before, after) = (&change.before, &change.after);
    let (head, tail) = shared(before, after);
    let (old, new) = (
        &before[head..before.len() - tail],
        &after[head..after.len() - tail],
    );
    prop_assert_eq!(
        before.starts_with('\u{feff}'),
        after.starts_with('\u{feff}'),
        "byte order mark"
    );
    prop_assert_eq!(
        before.ends_with('\n'),
        after.ends_with('\n'),
        "the last line break"
    );
    let lf = |text: &str| text.replace("\r\n", "").contains('\n');
    prop_assert!(lf(before) || !lf(after), "line breaks");
    prop_assert!(
        before.contains('\r') || !after.contains('\r'),
        "line breaks"
    );
    let put = |old: &str, new: &str| -> Result<(), TestCaseError> {
        prop_assert!(only_put(old, new), "other bytes than those meant");
        Ok(())
    };
    match intent {
        Intent::Set { path, .. } => match at(all, path) {
            None => put(old, new)?,
            Some(value) => {
                around(path, change)?;
                if !matches!(value, Value::Array(_) | Value::Table(_)) {
                    prop_assert!(
                        span(before, path).is_some_and(|s| s.start <= head),
                        "another place"
                    );
                }
            }
        },
        Intent::Add { .. } => put(old, new)?,
        Intent::Insert { path, .. } => {
            around(path, change)?;
            put(old, new)?;
        }
        Intent::Take { path, .. } => {
            around(path, change)?;
            put(new, old)?;
        }
        Intent::Rename { .. } => {
            prop_assert_eq!(comments(before), comments(after));
            prop_assert_eq!(before.lines().count(), after.lines().count());
        }
        Intent::Delete { mentions: true, .. } => {
            prop_assert!(is_sub(after.as_bytes(), before.as_bytes()), "bytes came");
        }
        Intent::Delete { .. } | Intent::Remove { .. } => {
            // A table of several headers goes in several cuts, each of whole lines.
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            prop_assert!(
                only_put(new, old) || is_sub(&lines(after), &lines(before)),
                "more than cut"
            );
        }
    }
    prop_assert!(
        is_sub(&comments(after), &comments(before)),
        "a comment came"
    );
    Ok(())
}

/// One sequence.
fn sequence(texts: &[(&'static str, String)], seeds: &[u64]) -> Result<usize, TestCaseError> {
    let mut files = Files::from_texts(texts.iter().map(|(p, t)| ((*p).into(), t.clone())));
    let first = files.clone();
    let mut trail: Vec<Vec<Change>> = Vec::new();
    for (step, seed) in seeds.iter().enumerate() {
        let all = said(&files);
        let Some(intent) = intent(&mut Draw(*seed), &all, step) else {
            continue;
        };
        let edited = match done(&files, std::slice::from_ref(&intent)) {
            Ok(edited) => edited,
            Err(Refused::Invalid { before: false, .. }) => continue,
            Err(refused) => {
                return Err(TestCaseError::fail(format!("{intent}: {refused}")));
            }
        };
        let now = said(&edited.files);
        if let Intent::Set { path, value } = &intent {
            let expected: Value = format!("x = {}", value.written(None))
                .parse::<Table>()
                .unwrap()["x"]
                .clone();
            prop_assert_eq!(at(&now, path), Some(&expected), "{}", intent);
        }
        for change in &edited.changes {
            outside(&intent, &all, change).map_err(|e| {
                let (head, tail) = shared(&change.before, &change.after);
                let parts = |text: &str| text[head..text.len() - tail].to_owned();
                let around = &change.before[..head];
                let around = &around[around.rfind("\n[").unwrap_or(0)..];
                TestCaseError::fail(format!(
                    "{intent}: {e}, behind {around:?}: {:?}, then {:?}",
                    parts(&change.before),
                    parts(&change.after)
                ))
            })?;
        }
        if let Some(opposite) = opposite(&files, &all, &intent) {
            let back = match done(&edited.files, std::slice::from_ref(&opposite)) {
                Ok(back) => back,
                Err(refused) => return Err(TestCaseError::fail(format!("{opposite}: {refused}"))),
            };
            for (was, is) in files.iter().zip(&back.files) {
                let (head, tail) = shared(&was.text, &is.text);
                let parts = |text: &str| text[head..text.len() - tail].to_owned();
                let around = &was.text[was.text[..head].rfind("\n[").unwrap_or(0)..head];
                prop_assert!(
                    was.text == is.text,
                    "{intent} and back, behind {around:?}: {:?}, then {:?}",
                    parts(&was.text),
                    parts(&is.text)
                );
            }
        }
        trail.push(edited.changes);
        files = edited.files;
    }
    let steps = trail.len();
    let mut texts: Vec<(PathBuf, String)> = files
        .iter()
        .map(|f| (f.path.clone(), f.text.to_string()))
        .collect();
    for change in trail.into_iter().rev().flatten() {
        let (_, text) = texts
            .iter_mut()
            .find(|(path, _)| *path == change.path)
            .unwrap();
        prop_assert_eq!(&*text, &change.after);
        *text = change.before;
    }
    prop_assert_eq!(Files::from_texts(texts).revision(), first.revision());
    Ok(steps)
}

#[test]
fn edits_touch_what_they_mean_and_can_be_taken_back() {
    let cases = std::env::var("AGP_EDIT_CASES").ok();
    let cases = cases.map_or(DEFAULT_CASES, |n| n.parse().unwrap());
    let corpus = corpus::all();
    for texts in &corpus {
        for way in 0..corpus::WAYS {
            let files = Files::from_texts(
                texts
                    .iter()
                    .map(|(p, t)| ((*p).into(), corpus::varied(t, way))),
            );
            let found = load_at(&files, std::iter::empty(), Timestamp(0)).diagnostics;
            assert!(
                !found.has_errors(),
                "{}",
                crate::config::render::human(&files, &found, crate::config::render::Style::Plain)
            );
        }
    }
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    });
    let done = std::cell::Cell::new((0, 0));
    let strategy = (
        0..corpus.len(),
        0..corpus::WAYS,
        prop::collection::vec(any::<u64>(), 1..8),
    );
    let result = runner.run(&strategy, |(set, way, seeds)| {
        let texts: Vec<(&'static str, String)> = corpus[set]
            .iter()
            .map(|(p, t)| (*p, corpus::varied(t, way)))
            .collect();
        let steps = sequence(&texts, &seeds)?;
        let (asked, made) = done.get();
        done.set((asked + seeds.len(), made + steps));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (asked, made) = done.get();
    // A law that nothing reaches proves nothing.
    assert!(made * 3 > asked, "only {made} of {asked} edits were made");
}
