//! Why an operation was not done, and what the caller hears of it.

use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldFault {
    /// Its dotted path in the body, or the name of a parameter.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// For the caller.
    pub message: String,
    /// What is wrong in body, query or path, by name; empty where nothing is to be named.
    pub fields: Vec<FieldFault>,
    /// When it makes sense to come back.
    pub retry_after: Option<Duration>,
    /// What has changed in the files since the caller saw them, where that is why.
    pub diff: Option<String>,
    /// The files as they are now, where that is why: their revision, and each one's path and text, secrets masked.
    pub present: Option<Box<Value>>,
}

impl Refusal {
    /// 400.
    pub fn mistake(message: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, message)
    }

    /// The same, naming the field at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.fields.push(FieldFault {
            field: field.into(),
            message: self.message.clone(),
        });
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
        let mut body = json!({ "error": self.message, "fields": self.fields });
        if let Some(diff) = &self.diff {
            body["diff"] = json!(diff);
        }
        if let Some(present) = &self.present {
            body["present"] = Value::clone(present);
        }
        body.to_string()
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of(StatusCode::NOT_FOUND, message)
    }
}
