//! Why an operation was not done, and what the caller hears of it.

use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What is wrong with one field of what was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// The field: of the body with dots, of the query or the path; where an edit makes the files wrong, the file's key.
    pub field: String,
    /// What was expected, what was found, what to do.
    pub message: String,
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// For the caller.
    pub message: String,
    /// Which fields are wrong, where that is why.
    pub fields: Vec<Fault>,
    /// When it makes sense to come back.
    pub retry_after: Option<Duration>,
    /// What has changed in the files since the caller saw them, where that is why.
    pub diff: Option<String>,
    /// The files as they are now, where that is why: their revision, and each one's path and text, secrets masked.
    pub present: Option<Box<Value>>,
}

/// What the caller is sent.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Refused<'a> {
    /// For people.
    error: &'a str,
    /// Which fields are wrong; empty where that is not why.
    fields: &'a [Fault],
    /// What has changed in the files since the caller saw them, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
    /// The files as they are now, where that is why: `revision`, and in `files` each one's `path` and `text`, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<&'a Value>,
}

impl Refusal {
    /// 400.
    pub fn mistake(message: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, message)
    }

    /// 400 about one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut refusal = Self::mistake(message.clone());
        refusal.fields.push(Fault {
            field: field.into(),
            message,
        });
        refusal
    }

    /// The same with another status.
    #[must_use]
    pub fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Of any status.
    pub fn of(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            diff: None,
            present: None,
        }
    }

    /// 500: the operation itself broke.
    pub fn failed() -> Self {
        Self::of(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the operation failed: the gateway's log says why",
        )
    }

    /// What the caller is sent.
    pub fn body(&self) -> String {
        let refused = Refused {
            error: &self.message,
            fields: &self.fields,
            diff: self.diff.as_deref(),
            present: self.present.as_deref(),
        };
        serde_json::to_string(&refused).unwrap_or_default()
    }

    /// 404 about what a part of the path names.
    pub fn unknown(field: &str, message: impl Into<String>) -> Self {
        Self::field(field, message).with(StatusCode::NOT_FOUND)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of(StatusCode::NOT_FOUND, message)
    }
}
