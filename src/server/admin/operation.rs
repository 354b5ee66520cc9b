//! What the table of operations is made of.

use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;
use warp::reply::Response;

use crate::config::model::Role;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};

/// Makes the JSON Schema of a type.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// An HTTP method that operations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Asks.
    Get,
    /// Changes something, or asks with a body.
    Post,
}

impl Verb {
    /// As HTTP has it.
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
        }
    }
}

/// What a parameter of a query may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A text, which the operation checks.
    Text,
    /// A whole number in these bounds.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub takes: Takes,
    /// What it is for.
    pub summary: &'static str,
}

impl Query {
    /// A text.
    pub const fn text(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            takes: Takes::Text,
            summary,
        }
    }

    /// A whole number from 1 on.
    pub const fn number(name: &'static str, most: u64, summary: &'static str) -> Self {
        Self {
            name,
            takes: Takes::Number(1, most),
            summary,
        }
    }

    /// `true` or `false`.
    pub const fn flag(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            takes: Takes::Flag,
            summary,
        }
    }

    /// One of some words.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            takes: Takes::Choice(words),
            summary,
        }
    }

    /// Whether a value is what it may be.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn check(&self, value: &str) -> Result<(), Refusal> {
        let expected = match self.takes {
            Takes::Text => return Ok(()),
            Takes::Number(least, most) => {
                let number = value.parse::<u64>().ok();
                if number.is_some_and(|n| (least..=most).contains(&n)) {
                    return Ok(());
                }
                format!("a number from {least} to {most}")
            }
            Takes::Flag if matches!(value, "true" | "false") => return Ok(()),
            Takes::Flag => "true or false".to_owned(),
            Takes::Choice(words) if words.contains(&value) => return Ok(()),
            Takes::Choice(words) => format!("one of {}", words.join(", ")),
        };
        let name = self.name;
        let message = format!("`{name}`: expected {expected}, found `{value}`");
        Err(Refusal::field(name, message))
    }
}

/// What an operation answers with.
#[derive(Clone, Copy)]
pub enum Answer {
    /// JSON of this shape.
    Json(Shape),
    /// Something else, of one of these media types.
    Of(&'static [&'static str]),
}

/// A response that comes later.
pub type Responding = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// How an operation is done.
#[derive(Clone, Copy)]
pub enum Run {
    /// With JSON as its answer. May block on the disk or reckon for seconds: never to be called on a thread that serves.
    Answer(fn(&Gateway, &Params) -> Result<Value, Refusal>),
    /// With a response of its own form, such as a stream. Does not block.
    Response(fn(Arc<Gateway>, Params) -> Responding),
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Operation {
    /// Its name on the command line.
    pub name: &'static str,
    /// HTTP method.
    pub verb: Verb,
    /// Path under [`crate::server::admin::BASE`]; a segment in braces stands for any one segment and is given under that name.
    pub path: &'static str,
    /// What the query may hold besides; [`Operation::query`] has those too that every edit takes.
    own_query: &'static [Query],
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may.
    pub role: Role,
    /// Whether it edits the files: it takes the revision that it was made from, and can be tried.
    pub edits: bool,
    /// What its body holds; `None` where it takes none.
    pub body: Option<Shape>,
    /// What it answers with.
    pub answer: Answer,
    /// Does it.
    pub run: Run,
}

/// What every edit takes.
const OF_EDITS: &[Query] = &[
    Query::text(
        "revision",
        "the revision of the files that the edit was made from; 409 where they are others now",
    ),
    Query::flag("dry_run", "only tell what would change"),
];

type Answers = fn(&Gateway, &Params) -> Result<Value, Refusal>;

impl Operation {
    /// A question.
    pub const fn get<T: JsonSchema>(name: &'static str, path: &'static str, run: Answers) -> Self {
        Self {
            name,
            verb: Verb::Get,
            path,
            own_query: &[],
            summary: "",
            role: Role::Read,
            edits: false,
            body: None,
            answer: Answer::Json(SchemaGenerator::subschema_for::<T>),
            run: Run::Answer(run),
        }
    }

    /// Something that changes the gateway.
    pub const fn post<T: JsonSchema>(name: &'static str, path: &'static str, run: Answers) -> Self {
        let mut this = Self::get::<T>(name, path, run);
        this.verb = Verb::Post;
        this.role = Role::Write;
        this
    }

    /// Something that edits the files.
    pub const fn edit<T: JsonSchema>(name: &'static str, path: &'static str, run: Answers) -> Self {
        let mut this = Self::post::<T>(name, path, run);
        this.edits = true;
        this
    }

    /// A response of its own form.
    pub const fn other(
        name: &'static str,
        path: &'static str,
        media: &'static [&'static str],
        run: fn(Arc<Gateway>, Params) -> Responding,
    ) -> Self {
        Self {
            name,
            verb: Verb::Get,
            path,
            own_query: &[],
            summary: "",
            role: Role::Read,
            edits: false,
            body: None,
            answer: Answer::Of(media),
            run: Run::Response(run),
        }
    }

    /// Something that changes the gateway, answered by a response that is JSON and more, such as a cookie.
    pub const fn response<T: JsonSchema>(
        name: &'static str,
        path: &'static str,
        run: fn(Arc<Gateway>, Params) -> Responding,
    ) -> Self {
        let mut this = Self::other(name, path, &[], run);
        this.verb = Verb::Post;
        this.role = Role::Write;
        this.answer = Answer::Json(SchemaGenerator::subschema_for::<T>);
        this
    }

    /// What it does, in one line.
    #[must_use]
    pub const fn does(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// What its query may hold.
    #[must_use]
    pub const fn asks(mut self, query: &'static [Query]) -> Self {
        self.own_query = query;
        self
    }

    /// What its body holds.
    #[must_use]
    pub const fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self.verb = Verb::Post;
        self
    }

    /// Who may, where that is not as usual.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// All that its query may hold.
    pub fn query(&self) -> impl Iterator<Item = &'static Query> + use<> {
        let common: &[Query] = if self.edits { OF_EDITS } else { &[] };
        self.own_query.iter().chain(common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_checked_before_the_operation() {
        let number = Query::number("limit", 500, "");
        let choice = Query::choice("by", &["model", "key"], "");
        let flag = Query::flag("desc", "");
        for (query, fine, wrong) in [
            (number, "500", "0"),
            (number, "1", "501"),
            (number, "7", "-7"),
            (number, "7", "7.0"),
            (choice, "key", "Key"),
            (flag, "false", "no"),
            (flag, "true", ""),
        ] {
            assert!(query.check(fine).is_ok(), "{fine}");
            let refusal = query.check(wrong).unwrap_err();
            assert_eq!(refusal.fields[0].field, query.name, "{wrong}");
        }
    }
}
