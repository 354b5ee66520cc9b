//! What is given wrongly to the operations that [`crate::bad_inputs`] has no list of its own for: made of the document that
//! describes them, twenty ways at least for each that writes.

use std::collections::BTreeMap;

use agp::config::model::Role;
use agp::server::admin::{BASE, Operation, Run, openapi, operations};
use serde_json::{Value, json};

use crate::signin::{Answer, asked, login, url};
use crate::support::TestApp;
use crate::support::admin::{self, with_writer};

/// These have lists of their own.
const LISTED: &[&str] = &[
    "config edit",
    "account add",
    "accounts import",
    "key add",
    "rollback",
    "account enable",
    "account disable",
];

/// Names that nothing has, some of them odd.
const NAMES: &[&str] = &[
    "carol",
    "Alice",
    "alice%20",
    "alice%0A",
    "al%20ice",
    "%00",
    "%2F",
    "a%2Fb",
    "*",
    "%27",
    "%22",
    "%3Cb%3E",
    "%E2%98%83",
    "%FF",
    "-1",
    "0x1",
    "null",
];

/// Texts that are no object.
const BODIES: &[&str] = &["x", "[1]", "1", "\"x\"", "true", "null", "{"];

/// Parameters that no operation has.
const QUERIES: &[&str] = &[
    "x",
    "X=1",
    "revison=1",
    "dryrun=true",
    "Dry_Run=true",
    "limit=1",
    "name=alice",
    "force",
    "q=",
    "%20=1",
    "y=2",
    "a.b=1",
    "z",
];

struct Wrong {
    path: String,
    body: String,
    field: String,
}

fn shape(operation: &Operation) -> Option<&'static Value> {
    let document = openapi::document();
    let verb = operation.verb.method().as_str().to_lowercase();
    let at =
        &document["paths"][operation.path][&verb]["requestBody"]["content"]["application/json"];
    let to = at["schema"]["$ref"].as_str()?;
    document.pointer(to.trim_start_matches('#'))
}

/// A value of each kind of JSON.
fn kinds() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("string", json!("x\u{0}")),
        ("integer", json!(-7)),
        ("number", json!(1.5)),
        ("boolean", json!(true)),
        ("array", json!([1])),
        ("object", json!({ "a": 1 })),
    ])
}

/// Bodies of an operation that are wrong by its own schema, and the field that is.
fn by_shape(schema: &Value, good: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for field in required {
        let field = field.as_str().unwrap().to_owned();
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(&field);
        found.push((body.to_string(), field));
    }
    for (field, of) in schema["properties"].as_object().into_iter().flatten() {
        let text = of.to_string();
        // What may be anything is the operation's own to judge.
        if of.get("type").is_none() && of.get("anyOf").is_none() && of.get("$ref").is_none() {
            continue;
        }
        let is_word = of.get("$ref").is_some();
        for (kind, value) in kinds() {
            let fits = text.contains(&format!("\"{kind}\""));
            if !fits || (is_word && kind == "string") {
                let mut body = good.clone();
                body[field] = value;
                found.push((body.to_string(), field.clone()));
            }
        }
    }
    let mut body = good.clone();
    body["more"] = json!(1);
    found.push((body.to_string(), "more".to_owned()));
    found
}

/// A body that is right, and more that are wrong.
fn bodies(operation: &Operation) -> (Value, Vec<(Value, &'static str)>) {
    match operation.name {
        "accounts act" => (
            json!({ "names": ["alice"], "action": "pause" }),
            vec![
                (json!({ "names": [], "action": "pause" }), "names"),
                (
                    json!({ "names": ["alice", 1], "action": "pause" }),
                    "names[1]",
                ),
                (json!({ "names": ["alice"], "action": "Pause" }), "action"),
            ],
        ),
        "accounts refresh" => (
            json!({ "names": ["alice"] }),
            ["nobody", "", "Alice", "al ice", "*"]
                .map(|name| (json!({ "names": [name] }), "names"))
                .into(),
        ),
        "oauth start" => (
            json!({ "origin": "http://localhost:1" }),
            vec![
                (json!({ "origin": "x", "upstream": "none" }), "upstream"),
                (json!({ "origin": "x", "account": "nobody" }), "account"),
            ],
        ),
        "oauth paste" => (
            json!({ "address": "4/x" }),
            [
                "",
                " ",
                "two words",
                "http://localhost/",
                "http://localhost/?code=",
                "?state=x&code=4/x",
                "error=access_denied",
                "code=",
                "<script>",
                "%00",
                "state=x",
                "https://example.com/?code=4/x&state=y",
            ]
            .map(|text| (json!({ "address": text }), "address"))
            .into(),
        ),
        "model test" => (
            json!({}),
            vec![
                (json!({ "key": "nobody" }), "key"),
                (json!({ "key": "" }), "key"),
            ],
        ),
        "playground" => {
            let request = json!({ "model": "gemini-2.5-flash", "messages": [] });
            (
                json!({ "key": "main", "dialect": "openai", "request": request }),
                vec![
                    (
                        json!({ "key": "nobody", "dialect": "openai", "request": request }),
                        "key",
                    ),
                    (
                        json!({ "key": "", "dialect": "openai", "request": request }),
                        "key",
                    ),
                    (
                        json!({ "key": "main", "dialect": "gemini", "request": request }),
                        "dialect",
                    ),
                ],
            )
        }
        _ => (json!({}), Vec::new()),
    }
}

fn wrong(operation: &Operation) -> Vec<Wrong> {
    let placed = operation
        .path
        .split('/')
        .find_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let right = |name: &str| match placed {
        Some(placed) => operation.path.replace(&format!("{{{placed}}}"), name),
        None => operation.path.to_owned(),
    };
    let present = if operation.path.starts_with("/models/") {
        "gemini-2.5-flash"
    } else {
        "alice"
    };
    let (good, more) = bodies(operation);
    let mut all = Vec::new();
    if let Some(placed) = placed {
        all.extend(NAMES.iter().map(|name| Wrong {
            path: right(name),
            body: good.to_string(),
            field: placed.to_owned(),
        }));
    }
    all.extend(QUERIES.iter().map(|query| Wrong {
        path: format!("{}?{query}", right(present)),
        body: good.to_string(),
        field: query.split('=').next().unwrap().to_owned(),
    }));
    let mut given: Vec<(String, String)> = BODIES
        .iter()
        .map(|body| ((*body).to_owned(), "body".to_owned()))
        .collect();
    if let Some(schema) = shape(operation) {
        given.extend(by_shape(schema, &good));
    }
    given.extend(
        more.into_iter()
            .map(|(body, field)| (body.to_string(), field.to_owned())),
    );
    // Where the place itself is unknown that is told first.
    if !operation.path.contains("{id}") && !operation.path.contains("{state}") {
        all.extend(given.into_iter().map(|(body, field)| Wrong {
            path: right(present),
            body,
            field,
        }));
    }
    all
}

#[tokio::test]
async fn every_operation_that_writes_names_what_is_wrong() {
    let app = TestApp::start(with_writer(crate::signin::setup()), json!({})).await;
    let before = admin::revision(&app);
    let mut faults = Vec::new();
    let writing = operations()
        .filter(|one| one.role == Role::Write && one.verb == agp::server::admin::Verb::Post);
    for operation in writing.filter(|one| !LISTED.contains(&one.name)) {
        let all = wrong(operation);
        assert!(all.len() >= 20, "`{}`: {}", operation.name, all.len());
        for Wrong { path, body, field } in all {
            let request = app
                .client
                .post(app.url(&format!("{BASE}{path}")))
                .body(body.clone());
            let answer = asked(admin::signed(request)).await;
            let named = answer.body["fields"].as_array().into_iter().flatten();
            let named: Vec<&str> = named.filter_map(|one| one["field"].as_str()).collect();
            if !answer.status.is_client_error()
                || !named
                    .iter()
                    .any(|one| *one == field || one.starts_with(&format!("{field}[")))
            {
                let error = &answer.body["error"];
                let name = operation.name;
                faults.push(format!(
                    "`{name}` {path} {body}: expected `{field}`, found {} {named:?} {error}",
                    answer.status
                ));
            }
        }
        // Nothing but an operation's own answer is what a stream would be.
        assert!(matches!(operation.run, Run::Answer(_) | Run::Response(_)));
    }
    assert!(
        faults.is_empty(),
        "{}:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert_eq!(admin::revision(&app), before);
}

#[tokio::test]
async fn signing_in_names_what_is_wrong() {
    let app = TestApp::start(crate::signin::setup(), json!({})).await;
    let sent = async |body: String| -> Answer {
        asked(app.client.post(url(&app, "/login")).body(body)).await
    };
    let mut all: Vec<(String, &str)> = BODIES
        .iter()
        .map(|body| ((*body).to_owned(), "body"))
        .collect();
    for value in kinds().into_values().filter(|value| !value.is_string()) {
        all.push((json!({ "password": value }).to_string(), "password"));
        if !value.is_boolean() {
            all.push((
                json!({ "password": "x", "remember": value }).to_string(),
                "remember",
            ));
        }
    }
    all.push((json!({ "password": "" }).to_string(), "password"));
    all.push((json!({}).to_string(), "password"));
    all.push((json!({ "password": "x", "user": "x" }).to_string(), "user"));
    all.push((
        json!({ "password": "x".repeat(1025) }).to_string(),
        "password",
    ));
    assert!(all.len() >= 20);
    for (body, field) in all {
        let answer = sent(body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.field()),
            (400, Some(field)),
            "{body}: {}",
            answer.body
        );
    }
    // None of these counted as a try.
    assert_eq!(
        asked(login(&app, crate::signin::PASSWORD)).await.status,
        200
    );
}
