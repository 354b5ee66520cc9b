//! What an operation is given.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::config::source::Revision;
use crate::server::admin::{Caller, Fault, Refusal};

/// What an operation is given: by path and query, by name, and the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    given: BTreeMap<String, String>,
    body: Bytes,
    caller: Caller,
}

impl Params {
    pub(super) fn new(given: BTreeMap<String, String>, body: Bytes, caller: Caller) -> Self {
        Self {
            given,
            body,
            caller,
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The request's body; empty where it had none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The request's body as JSON. An empty one stands for an object without anything in it.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        object(&self.body)
    }

    /// A text that may be missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::field(name, format!("`{name}` is missing")))
    }

    /// A number that may be missing. That it is one in range was checked by the operation's [`crate::server::admin::Takes`].
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Whether a flag is given and true.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Whether an edit is only to be told, not made.
    pub fn dry_run(&self) -> bool {
        self.flag("dry_run")
    }

    /// The files that an edit was made from.
    ///
    /// # Errors
    /// 400 where that is no revision.
    pub fn revision(&self) -> Result<Option<Revision>, Refusal> {
        let seen = self.get("revision").map(str::parse::<Revision>);
        seen.transpose()
            .map_err(|error| Refusal::field("revision", format!("`revision`: {error}")))
    }
}

/// Which field JSON is wrong in, `whole` where it is none, and how. What serde knows no path for, since it is not there or
/// not wanted, it names in its text.
pub(super) fn fault(error: serde_path_to_error::Error<serde_json::Error>, whole: &str) -> Fault {
    let path = error.path().to_string();
    let message = without_text(&error.into_inner().to_string());
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|begin| message.strip_prefix(begin)?.split('`').next());
    let field = match (path.as_str(), named) {
        // `?` is where the text ended.
        ("." | "?", name) => name.unwrap_or(whole).to_owned(),
        (path, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => {
            format!("{path}.{name}")
        }
        (path, _) => path.to_owned(),
    };
    Fault { field, message }
}

/// The message without the text that was found: it may be a secret in the wrong place.
fn without_text(message: &str) -> String {
    const BEGIN: &str = "string \"";
    let found = message.find(BEGIN).zip(message.rfind("\", expected"));
    match found {
        Some((begin, end)) if begin + BEGIN.len() <= end => {
            format!("{}string{}", &message[..begin], &message[end + 1..])
        }
        _ => message.to_owned(),
    }
}

/// An object of JSON; an empty text stands for one without anything in it.
///
/// # Errors
/// 400 that names the field, and repeats no text that was sent.
pub(super) fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    let text: &[u8] = if text.is_empty() { b"{}" } else { text };
    // A list would be taken for an object's values in order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        let message = "the request's body can't be read: expected a JSON object";
        return Err(Refusal::field("body", message));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let fault = fault(error, "body");
        let mut refusal = Refusal::mistake(format!(
            "the request's body can't be read: `{}`: {}",
            fault.field, fault.message
        ));
        refusal.fields.push(fault);
        refusal
    })?;
    reader
        .end()
        .map_err(|error| Refusal::field("body", error.to_string()))?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Role;
    use crate::server::admin::How;
    use crate::server::admin::api::edits::Edit;

    fn given(body: &str) -> Params {
        let caller = Caller {
            name: "panel".to_owned(),
            from: None,
            role: Role::Write,
            how: How::Socket,
        };
        Params::new(
            BTreeMap::new(),
            Bytes::copy_from_slice(body.as_bytes()),
            caller,
        )
    }

    #[test]
    fn a_wrong_body_is_not_repeated() {
        use crate::server::admin::api::accounts::AddAccount;
        for (body, field) in [
            (
                r#"{"refresh_token": "x", "tags": "planted\", expected"}"#,
                "tags",
            ),
            (r#"{"refresh_token": "x", "weight": "planted"}"#, "weight"),
            (r#""planted""#, "body"),
        ] {
            let refusal = given(body).json::<AddAccount>().unwrap_err();
            assert_eq!(refusal.fields[0].field, field);
            let told = refusal.body();
            assert!(!told.contains("planted"), "{told}");
            assert!(told.contains("expected"), "{told}");
        }
    }

    #[test]
    fn a_body_that_is_wrong_names_the_field() {
        for (body, field) in [
            ("", "changes"),
            ("{}", "changes"),
            ("nonsense", "body"),
            (r#"{"changes": 1}"#, "changes"),
            (r#"{"changes": [{"do": "set", "path": 1}]}"#, "changes[0]"),
            (r#"{"changes": [], "more": 1}"#, "more"),
            (r#"{"changes": []} x"#, "body"),
        ] {
            let refusal = given(body).json::<Edit>().unwrap_err();
            let named: Vec<&str> = refusal.fields.iter().map(|f| f.field.as_str()).collect();
            assert!(
                named.len() == 1 && named[0].starts_with(field),
                "{body}: {named:?} {}",
                refusal.message
            );
        }
    }
}
