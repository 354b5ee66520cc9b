//! The comparison that the vectors' README describes: a port of tests/vectors/shared/compare.py.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value, json};

/// Names given to ids so far.
type Ids = BTreeMap<String, String>;

/// What differs between `expect` and `actual`; nothing where it matches.
pub(super) fn check(expect: &Value, actual: &Value) -> Vec<String> {
    node(expect, Some(actual), "$", None, &mut Ids::new())
}

/// `actual` is `None` where the key is missing.
fn node(
    expect: &Value,
    actual: Option<&Value>,
    path: &str,
    key: Option<&str>,
    ids: &mut Ids,
) -> Vec<String> {
    match expect.as_str() {
        Some("<absent>") => {
            return match actual {
                None => Vec::new(),
                Some(a) => vec![format!("{path}: must be absent, is {}", show(a))],
            };
        }
        Some("<any>") => return Vec::new(),
        _ => {}
    }
    if let Some(inner) = expect.get("$optional") {
        return match actual {
            None => Vec::new(),
            Some(_) => node(inner, actual, path, key, ids),
        };
    }
    if let Some(Value::Array(alternatives)) = expect.get("$oneOf") {
        return one_of(alternatives, actual, path, key, ids);
    }
    let Some(actual) = actual else {
        return vec![format!("{path}: missing, expected {}", show(expect))];
    };
    if let Some(word) = expect
        .as_str()
        .and_then(|s| s.strip_prefix('<')?.strip_suffix('>'))
    {
        match word {
            "string" => {
                let fine = actual.as_str().is_some_and(|s| !s.is_empty());
                return wrong(!fine, || {
                    format!("{path}: expected a non-empty string, got {}", show(actual))
                });
            }
            "int" => {
                return wrong(!actual.is_u64(), || {
                    format!("{path}: expected an integer, got {}", show(actual))
                });
            }
            _ => {
                if let Some(name) = word.strip_prefix("id:") {
                    return bind(name, actual, path, ids);
                }
            }
        }
    }
    match (expect, actual) {
        (Value::Object(map), _) if is_special(map) => special(map, actual, path, key, ids),
        (Value::Object(map), Value::Object(have)) => object(map, have, path, ids),
        (Value::Object(_), _) => vec![format!("{path}: expected an object, got {}", show(actual))],
        (Value::Array(list), Value::Array(have)) => array(list, have, path, ids),
        (Value::Array(_), _) => vec![format!("{path}: expected a list, got {}", show(actual))],
        _ => wrong(!scalars_match(expect, actual, key), || {
            format!("{path}: expected {}, got {}", show(expect), show(actual))
        }),
    }
}

fn wrong(is: bool, why: impl FnOnce() -> String) -> Vec<String> {
    if is { vec![why()] } else { Vec::new() }
}

/// Equal; numbers by value; under `type` and `thinkingLevel` an upper-case text matches any case.
fn scalars_match(expect: &Value, actual: &Value, key: Option<&str>) -> bool {
    match (expect, actual) {
        (Value::Number(e), Value::Number(a)) => {
            e == a || (e.is_f64() != a.is_f64() && e.as_f64() == a.as_f64())
        }
        (Value::String(e), Value::String(a)) => {
            let any_case = matches!(key, Some("type" | "thinkingLevel"))
                && e.chars().any(char::is_alphabetic)
                && !e.chars().any(char::is_lowercase);
            e == a || (any_case && *e == a.to_uppercase())
        }
        _ => expect == actual,
    }
}

fn is_special(map: &Map<String, Value>) -> bool {
    map.keys().any(|k| k.starts_with('$') && k != "$partial")
}

fn object(
    expect: &Map<String, Value>,
    actual: &Map<String, Value>,
    path: &str,
    ids: &mut Ids,
) -> Vec<String> {
    let mut out = Vec::new();
    for (k, v) in expect.iter().filter(|(k, _)| *k != "$partial") {
        out.extend(node(v, actual.get(k), &format!("{path}.{k}"), Some(k), ids));
    }
    if expect.get("$partial") != Some(&Value::Bool(true)) {
        for (k, v) in actual.iter().filter(|(k, _)| !expect.contains_key(*k)) {
            out.push(format!("{path}.{k}: not expected, is {}", show(v)));
        }
    }
    out
}

fn array(expect: &[Value], actual: &[Value], path: &str, ids: &mut Ids) -> Vec<String> {
    let mut at = 0;
    for e in expect {
        let here = format!("{path}[{at}]");
        if let Some(inner) = e.get("$optional") {
            if let Some(a) = actual.get(at) {
                let mut trial = ids.clone();
                if node(inner, Some(a), &here, None, &mut trial).is_empty() {
                    *ids = trial;
                    at += 1;
                }
            }
            continue;
        }
        let Some(a) = actual.get(at) else {
            let found = actual.len();
            return vec![format!(
                "{path}: ends after {found} elements, expected {}",
                show(e)
            )];
        };
        let problems = node(e, Some(a), &here, None, ids);
        if !problems.is_empty() {
            return problems;
        }
        at += 1;
    }
    match actual.get(at) {
        Some(first) => {
            let more = actual.len() - at;
            vec![format!(
                "{path}: {more} elements too many, first {}",
                show(first)
            )]
        }
        None => Vec::new(),
    }
}

fn one_of(
    alternatives: &[Value],
    actual: Option<&Value>,
    path: &str,
    key: Option<&str>,
    ids: &mut Ids,
) -> Vec<String> {
    let mut first = None;
    for alternative in alternatives {
        let mut trial = ids.clone();
        let problems = node(alternative, actual, path, key, &mut trial);
        if problems.is_empty() {
            *ids = trial;
            return Vec::new();
        }
        first = first.or_else(|| problems.into_iter().next());
    }
    let first = first.unwrap_or_default();
    vec![format!(
        "{path}: matches none of the alternatives; first: {first}"
    )]
}

fn special(
    expect: &Map<String, Value>,
    actual: &Value,
    path: &str,
    key: Option<&str>,
    ids: &mut Ids,
) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(inner) = expect.get("$json") {
        let parsed = actual
            .as_str()
            .and_then(|s| serde_json::from_str::<Value>(s).ok());
        let Some(parsed) = parsed else {
            return vec![format!("{path}: expected JSON text, got {}", show(actual))];
        };
        out.extend(node(
            inner,
            Some(&parsed),
            &format!("{path}(json)"),
            key,
            ids,
        ));
    }
    if let Some(pattern) = expect.get("$re").and_then(Value::as_str) {
        let whole = Regex::new(&format!(r"\A(?s:{pattern})\z")).unwrap();
        let fine = actual.as_str().is_some_and(|s| whole.is_match(s));
        out.extend(wrong(!fine, || {
            format!("{path}: {} does not match /{pattern}/", show(actual))
        }));
    }
    if let Some(range) = expect.get("$num") {
        let low = range.get("min").and_then(Value::as_f64);
        let high = range.get("max").and_then(Value::as_f64);
        let fine = actual
            .as_f64()
            .is_some_and(|n| low.is_none_or(|l| n >= l) && high.is_none_or(|h| n <= h));
        out.extend(wrong(!fine, || {
            format!("{path}: {} is not in {range}", show(actual))
        }));
    }
    if let Some(Value::Array(elements)) = expect.get("$unordered") {
        let Some(list) = actual.as_array() else {
            return vec![format!("{path}: expected a list, got {}", show(actual))];
        };
        let mut left: Vec<&Value> = list.iter().collect();
        for e in elements {
            let hit = left
                .iter()
                .position(|a| node(e, Some(a), path, None, &mut ids.clone()).is_empty());
            let Some(hit) = hit else {
                return vec![format!("{path}: {} not found in {}", show(e), show(actual))];
            };
            left.remove(hit);
        }
        out.extend(wrong(!left.is_empty(), || {
            format!("{path}: too many elements: {left:?}")
        }));
    }
    if let Some(name) = expect.get("$bind").and_then(Value::as_str) {
        out.extend(bind(name, actual, path, ids));
    }
    out
}

fn bind(name: &str, actual: &Value, path: &str, ids: &mut Ids) -> Vec<String> {
    let Some(id) = actual.as_str().filter(|s| !s.is_empty()) else {
        return vec![format!("{path}: expected an id, got {}", show(actual))];
    };
    if let Some(before) = ids.get(name).filter(|b| *b != id) {
        return vec![format!("{path}: id {name} was {before}, is now {id}")];
    }
    if let Some((other, _)) = ids.iter().find(|(k, v)| *v == id && *k != name) {
        return vec![format!(
            "{path}: ids {name} and {other} must differ, both are {id}"
        )];
    }
    ids.insert(name.to_owned(), id.to_owned());
    Vec::new()
}

fn show(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}

/// The events of an SSE text: name and data. Comments are dropped.
fn sse(text: &str) -> Vec<(Option<String>, String)> {
    let mut out = Vec::new();
    let mut name = None;
    let mut data: Vec<&str> = Vec::new();
    let text = text.replace("\r\n", "\n");
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            if !data.is_empty() {
                out.push((name.take(), data.join("\n")));
            }
            name = None;
            data.clear();
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        } else if let Some(value) = line.strip_prefix("event:") {
            name = Some(value.trim().to_owned());
        }
    }
    out
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("a rule is broken: {rule}"))
    }
}

fn parse(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|e| format!("{e} in {data}"))
}

/// What [`fold_openai`] has put together so far.
#[derive(Default)]
struct OpenAi {
    order: Vec<String>,
    message: Map<String, Value>,
    tools: BTreeMap<u64, Map<String, Value>>,
    constants: Option<[Value; 3]>,
    finish: Option<Value>,
    usage: Option<Value>,
    error: Option<Value>,
    done: bool,
}

/// The SSE text of chat completion chunks in the form that `gemini_stream_to_openai_chat` expects; an error where a rule
/// of the stream is broken.
pub(super) fn fold_openai(text: &str) -> Result<Value, String> {
    let mut all = OpenAi::default();
    for (_, data) in sse(text) {
        ensure(!all.done, "no event after [DONE]")?;
        if data == "[DONE]" {
            all.done = true;
            all.saw("done");
            continue;
        }
        let chunk = parse(&data)?;
        if let Some(error) = chunk.get("error") {
            all.error = Some(error.clone());
            all.saw("error");
            continue;
        }
        all.chunk(&chunk)?;
    }
    Ok(all.into_value())
}

impl OpenAi {
    /// Notes the first appearance of a kind.
    fn saw(&mut self, kind: &str) {
        if !self.order.iter().any(|k| k == kind) {
            self.order.push(kind.to_owned());
        }
    }

    fn chunk(&mut self, chunk: &Value) -> Result<(), String> {
        ensure(
            chunk["object"] == "chat.completion.chunk",
            "object is chat.completion.chunk",
        )?;
        let now = [&chunk["id"], &chunk["created"], &chunk["model"]].map(Clone::clone);
        let constants = self.constants.get_or_insert_with(|| now.clone());
        ensure(*constants == now, "id, created and model are constant")?;
        let choices = chunk["choices"].as_array().ok_or("no choices")?;
        if let Some(usage) = chunk.get("usage").filter(|u| !u.is_null()) {
            ensure(
                choices.is_empty() && self.usage.is_none(),
                "usage comes once, in a chunk without choices",
            )?;
            self.usage = Some(usage.clone());
            self.saw("usage");
        }
        choices.iter().try_for_each(|choice| self.choice(choice))
    }

    fn choice(&mut self, choice: &Value) -> Result<(), String> {
        ensure(
            choice["index"] == 0 && self.usage.is_none(),
            "one choice, before usage",
        )?;
        ensure(self.finish.is_none(), "no delta after finish_reason")?;
        let delta = &choice["delta"];
        if let Some(role) = delta["role"].as_str().filter(|r| !r.is_empty()) {
            self.message.insert("role".to_owned(), json!(role));
            self.saw("role");
        }
        for (key, kind) in [("reasoning_content", "reasoning"), ("content", "content")] {
            if let Some(piece) = delta[key].as_str() {
                append(&mut self.message, key, piece);
                if !piece.is_empty() {
                    self.saw(kind);
                }
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call)?;
        }
        if !choice["finish_reason"].is_null() {
            self.finish = Some(choice["finish_reason"].clone());
            self.saw("finish");
        }
        Ok(())
    }

    fn call(&mut self, call: &Value) -> Result<(), String> {
        let index = call["index"]
            .as_u64()
            .ok_or("a tool call without an index")?;
        self.saw(&format!("tool_call:{index}"));
        let so_far = self.tools.entry(index).or_insert_with(|| {
            let empty = json!({"index": index, "id": null, "type": null,
                "function": {"name": null, "arguments": ""}});
            empty.as_object().cloned().unwrap_or_default()
        });
        let given = |v: &Value| v.as_str().is_some_and(|s| !s.is_empty());
        ensure(
            !(given(&so_far["id"]) && given(&call["id"])),
            "a tool call's id comes once",
        )?;
        for (key, value) in call.as_object().ok_or("a tool call that is no object")? {
            match key.as_str() {
                "index" => {}
                "id" | "type" if given(&so_far[key]) => {}
                "function" => {
                    let function = so_far["function"].as_object_mut().ok_or("no function")?;
                    if !given(&function["name"]) {
                        function.insert("name".to_owned(), value["name"].clone());
                    }
                    append(
                        function,
                        "arguments",
                        value["arguments"].as_str().unwrap_or_default(),
                    );
                }
                _ => {
                    so_far.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(())
    }

    fn into_value(mut self) -> Value {
        if !self.tools.is_empty() {
            let calls = self.tools.into_values().map(Value::Object).collect();
            self.message
                .insert("tool_calls".to_owned(), Value::Array(calls));
        }
        if self.message.get("content") == Some(&json!("")) {
            self.message.remove("content");
        }
        let model = self.constants.map(|[_, _, model]| model);
        let mut out = json!({"order": self.order, "model": model, "message": self.message, "done": self.done});
        let parts = [
            ("finish_reason", self.finish),
            ("usage", self.usage),
            ("error", self.error),
        ];
        for (key, value) in parts {
            if let Some(value) = value {
                out[key] = value;
            }
        }
        out
    }
}

/// Lengthens a text member.
fn append(map: &mut Map<String, Value>, key: &str, piece: &str) {
    let before = map.get(key).and_then(Value::as_str).unwrap_or_default();
    let joined = format!("{before}{piece}");
    map.insert(key.to_owned(), Value::from(joined));
}

/// The SSE text of a messages stream as `{"events": […]}`: pings dropped, neighbouring deltas of one block and type
/// joined.
pub(super) fn fold_anthropic(text: &str) -> Result<Value, String> {
    let mut out: Vec<Value> = Vec::new();
    for (name, data) in sse(text) {
        let event = parse(&data)?;
        let kind = event["type"].as_str();
        ensure(name.as_deref() == kind, "the event's name is its type")?;
        if kind == Some("ping") {
            continue;
        }
        let joins = out.last().is_some_and(|last| {
            kind == Some("content_block_delta")
                && last["type"] == event["type"]
                && last["index"] == event["index"]
                && last["delta"]["type"] == event["delta"]["type"]
        });
        if joins && let Some(last) = out.last_mut().and_then(|l| l["delta"].as_object_mut()) {
            let delta = event["delta"]
                .as_object()
                .ok_or("a delta that is no object")?;
            let (key, piece) = delta
                .iter()
                .find(|(k, _)| *k != "type")
                .ok_or("an empty delta")?;
            append(last, key, piece.as_str().ok_or("a delta that is no text")?);
            continue;
        }
        out.push(event);
    }
    Ok(json!({ "events": out }))
}

mod tests {
    use super::*;

    fn fits(expect: &Value, actual: &Value) -> bool {
        check(expect, actual).is_empty()
    }

    #[test]
    fn plain_values_match_exactly() {
        assert!(fits(
            &json!({"a": [1, "x", null]}),
            &json!({"a": [1.0, "x", null]})
        ));
        for (expect, actual) in [
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({})),
            (json!([1]), json!([1, 2])),
            (json!([1, 2]), json!([1])),
            (json!(true), json!(1)),
            (json!(null), json!(false)),
            (json!("1"), json!(1)),
            (json!({}), json!([])),
        ] {
            assert!(!fits(&expect, &actual), "{expect} {actual}");
        }
        assert!(fits(
            &json!({"$partial": true, "a": 1}),
            &json!({"a": 1, "b": 2})
        ));
    }

    #[test]
    fn words_stand_for_kinds_of_values() {
        assert!(fits(&json!({"a": "<absent>"}), &json!({})));
        assert!(!fits(&json!({"a": "<absent>"}), &json!({"a": null})));
        assert!(fits(&json!({"a": "<any>"}), &json!({})));
        assert!(fits(&json!("<string>"), &json!("x")));
        assert!(!fits(&json!("<string>"), &json!("")));
        assert!(fits(&json!("<int>"), &json!(0)));
        assert!(!fits(&json!("<int>"), &json!(-1)));
        assert!(!fits(&json!("<int>"), &json!(1.5)));
        assert!(fits(
            &json!(["<id:a>", "<id:b>", "<id:a>"]),
            &json!(["x", "y", "x"])
        ));
        assert!(!fits(&json!(["<id:a>", "<id:a>"]), &json!(["x", "y"])));
        assert!(!fits(&json!(["<id:a>", "<id:b>"]), &json!(["x", "x"])));
    }

    #[test]
    fn matchers_match() {
        let cases = [
            (json!({"$re": "a.b"}), json!("a\nb"), json!("xa\nb")),
            (
                json!({"$bind": "i", "$re": "[a-z]+"}),
                json!("abc"),
                json!("1"),
            ),
            (json!({"$oneOf": [1, "x"]}), json!("x"), json!("y")),
            (json!({"$json": {"a": 1}}), json!("{\"a\": 1}"), json!("{")),
            (json!({"$num": {"min": 1, "max": 2}}), json!(1.5), json!(3)),
            (json!({"$unordered": [1, 2]}), json!([2, 1]), json!([1, 1])),
            (json!([{"$optional": 1}, 2]), json!([2]), json!([1])),
            (json!({"a": {"$optional": 1}}), json!({}), json!({"a": 2})),
            (
                json!({"type": "STRING"}),
                json!({"type": "string"}),
                json!({"type": "other"}),
            ),
            (
                json!({"thinkingLevel": "LOW"}),
                json!({"thinkingLevel": "low"}),
                json!({"thinkingLevel": "high"}),
            ),
            (
                json!({"mode": "ANY"}),
                json!({"mode": "ANY"}),
                json!({"mode": "any"}),
            ),
        ];
        for (expect, right, wrong) in cases {
            assert!(fits(&expect, &right), "{expect} {right}");
            assert!(!fits(&expect, &wrong), "{expect} {wrong}");
        }
    }

    fn chunk(delta: &Value, finish: &Value) -> String {
        let chunk = json!({"id": "c", "created": 1, "model": "m", "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    }

    #[test]
    fn openai_streams_fold() {
        let call = json!({"tool_calls": [{"index": 0, "id": "i", "type": "function", "function": {"name": "f", "arguments": "{"}}]});
        let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]});
        let text = [
            ": ping\n\n".to_owned(),
            chunk(&json!({"role": "assistant", "content": ""}), &Value::Null),
            chunk(&json!({"content": "a"}), &Value::Null),
            chunk(&json!({"content": "b"}), &Value::Null),
            chunk(&call, &Value::Null),
            chunk(&more, &Value::Null),
            chunk(&json!({}), &json!("tool_calls")),
            "data: [DONE]\n\n".to_owned(),
        ]
        .concat();
        assert_eq!(
            fold_openai(&text).unwrap(),
            json!({"order": ["role", "content", "tool_call:0", "finish", "done"], "model": "m", "done": true,
                "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "ab", "tool_calls": [
                    {"index": 0, "id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}})
        );
        let late =
            chunk(&json!({}), &json!("stop")) + &chunk(&json!({"content": "x"}), &Value::Null);
        assert!(fold_openai(&late).is_err());
        assert!(fold_openai("data: [DONE]\n\ndata: [DONE]\n\n").is_err());
    }

    #[test]
    fn anthropic_streams_fold() {
        let delta = |index: u64, text: &str| {
            let event = json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}});
            format!("event: content_block_delta\ndata: {event}\n\n")
        };
        let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
        let text = [delta(0, "a"), ping.to_owned(), delta(0, "b"), delta(1, "c")].concat();
        let folded = fold_anthropic(&text).unwrap();
        assert_eq!(folded["events"].as_array().unwrap().len(), 2);
        assert_eq!(folded["events"][0]["delta"]["text"], "ab");
        assert!(fold_anthropic("event: x\ndata: {\"type\":\"y\"}\n\n").is_err());
    }
}
