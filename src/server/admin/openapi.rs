//! The `OpenAPI` document of the admin API (3.1), made of the table of operations and the types in [`crate::server::admin::api`].

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::config::model::Role;
use crate::server::admin::api::events::Event;
use crate::server::admin::api::session::{Credentials, Done, Session, SignInPage, SignedIn};
use crate::server::admin::operation::{Answer, Operation, Query, Takes};
use crate::server::admin::refusal::Refused;
use crate::server::admin::{BASE, operations};

static DOCUMENT: LazyLock<Value> = LazyLock::new(make);

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is checked in, with a newline at its end.
pub fn text() -> String {
    format!("{:#}\n", *DOCUMENT)
}

/// What is taken and what is given have schemas of their own kind: in an answer nothing is left out, in a request much may be.
struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

fn settings() -> SchemaSettings {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings
}

fn make() -> Value {
    let mut schemas = Schemas {
        taken: settings().for_deserialize().into_generator(),
        given: settings().for_serialize().into_generator(),
    };
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths
            .entry(operation.path)
            .or_insert_with(|| Value::Object(Map::new()));
        let method = operation.verb.method().as_str().to_lowercase();
        path[method] = describe(operation, &mut schemas);
    }
    signing_in(&mut paths, &mut schemas);
    let refused = schemas.given.subschema_for::<Refused<'_>>();
    // No operation's answer, but what the lines of the event stream hold.
    schemas.given.subschema_for::<Event>();
    let mut components = schemas.taken.take_definitions(true);
    for (name, schema) in schemas.given.take_definitions(true) {
        let other = components.insert(name.clone(), schema);
        // A type that is taken and given must look the same both ways.
        debug_assert!(
            other.is_none() || other.as_ref() == components.get(&name),
            "{name}"
        );
    }
    components.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "agp admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that the panel and the commands about a running gateway do. See docs/admin.md.",
        },
        "servers": [{ "url": BASE }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `[admin.tokens]`.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "agp_session",
                    "description": "A session of the panel. What is not GET needs the header `x-agp-csrf` too.",
                },
            },
            "responses": {
                "Refused": {
                    "description": "Why it was not done.",
                    "content": { "application/json": { "schema": refused } },
                },
            },
            "schemas": components,
        },
    })
}

/// The name that clients' code has for an operation.
pub fn operation_id(operation: &Operation) -> String {
    operation.name.replace(' ', "_")
}

/// What stands beside the table, since it sets cookies: see [`crate::server::admin::session`].
fn signing_in(paths: &mut Map<String, Value>, schemas: &mut Schemas) {
    let given = &mut schemas.given;
    let page = given.subschema_for::<SignInPage>();
    let signed_in = given.subschema_for::<SignedIn>();
    let session = given.subschema_for::<Session>();
    let done = given.subschema_for::<Done>();
    let credentials = schemas.taken.subschema_for::<Credentials>();
    let of = |id: &str, summary: &str, open: bool, answer: &Schema| {
        let mut described = json!({
            "operationId": id,
            "summary": summary,
            "tags": ["session"],
            "parameters": [],
            "responses": {
                "200": { "description": "Done.", "content": { "application/json": { "schema": answer } } },
                "default": { "$ref": "#/components/responses/Refused" },
            },
        });
        if open {
            described["security"] = json!([]);
        }
        described
    };
    let mut login = of("login", "sign in with the password: sets the session's cookie", true, &signed_in);
    login["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": credentials } },
    });
    paths.insert(
        "/login".to_owned(),
        json!({ "get": of("login_page", "what a sign-in page must know", true, &page), "post": login }),
    );
    paths.insert(
        "/session".to_owned(),
        json!({ "get": of("session", "who asks; renews a session that is half over", false, &session) }),
    );
    paths.insert(
        "/logout".to_owned(),
        json!({ "post": of("logout", "end the session", false, &done) }),
    );
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let placed = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = placed
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(operation.query().map(parameter));
    let answer = match operation.answer {
        Answer::Json(shape) => {
            json!({ "application/json": { "schema": shape(&mut schemas.given) } })
        }
        Answer::Of(media) => media
            .iter()
            .map(|media| {
                (
                    (*media).to_owned(),
                    json!({ "schema": { "type": "string" } }),
                )
            })
            .collect::<Map<_, _>>()
            .into(),
    };
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.path.split('/').nth(1).unwrap_or_default()],
        "x-role": operation.role.as_str(),
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": answer },
            "default": { "$ref": "#/components/responses/Refused" },
        },
    });
    if operation.edits {
        described["x-edits"] = true.into();
    }
    if let Some(shape) = operation.body {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": shape(&mut schemas.taken) } },
        });
    }
    debug_assert!(operation.role == Role::Write || !operation.edits);
    described
}

fn parameter(query: &Query) -> Value {
    let schema = match query.takes {
        Takes::Text => json!({ "type": "string" }),
        Takes::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Choice(words) => json!({ "type": "string", "enum": words }),
    };
    json!({ "name": query.name, "in": "query", "description": query.summary, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_that_is_checked_in_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        if std::env::var_os("AGP_BLESS").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == text(),
            "docs/openapi.json is stale: `AGP_BLESS=1 cargo test --lib openapi` writes it anew"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(node: &Value, found: &mut Vec<String>) {
            match node {
                Value::Object(map) => {
                    if let Some(Value::String(to)) = map.get("$ref") {
                        found.push(to.clone());
                    }
                    map.values().for_each(|value| walk(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        walk(document, &mut found);
        assert!(
            found
                .iter()
                .any(|to| to.starts_with("#/components/schemas/"))
        );
        for to in found {
            assert!(
                document.pointer(to.trim_start_matches('#')).is_some(),
                "{to}"
            );
        }
    }
}
