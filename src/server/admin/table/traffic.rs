//! What runs and what ran.

use crate::config::model::Role;
use crate::server::admin::api::logs::{Bodies, Explained, LogNames, LogPage};
use crate::server::admin::api::overview::Overview;
use crate::server::admin::api::playground::Play;
use crate::server::admin::api::status::Status;
use crate::server::admin::api::usage::Usage;
use crate::server::admin::operation::{Operation, Query};
use crate::server::admin::{
    events, explain, export, logs, names, overview, playground, status, usage,
};
use crate::store::MAX_PAGE;

/// What the log can be filtered by.
macro_rules! filters {
    ($($more:expr),*) => {
        &[
            Query::text("model", "only requests for this public model"),
            Query::text("account", "only those that this account served or was tried last for"),
            Query::text("key", "only those of this key"),
            Query::text("status", "only those of this status, such as 429 or 5xx"),
            Query::text("id", "only the request of this id, or those whose id begins so"),
            Query::text("since", "from this time on, or from so long ago, such as 2h"),
            Query::text("until", "up to this time, or so long ago"),
            $($more),*
        ]
    };
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<Overview>("overview", "/overview", overview::overview)
        .does("what an operator wants to know first"),
    Operation::get::<Usage>("usage", "/usage", usage::usage)
        .asks(&[
            Query::text(
                "since",
                "`today`, a time, or how long ago, such as 7d; 24h where none is given",
            ),
            Query::text("until", "a time, or how long ago; now where none is given"),
            Query::choice(
                "step",
                &["15m", "1h", "1d"],
                "the distance of points; by the length of time where none is given",
            ),
            Query::choice(
                "by",
                &["model", "account", "key"],
                "what the rows are; model where none is given",
            ),
            Query::text("model", "the series of this model only"),
            Query::text("account", "the series of this account only"),
            Query::text("key", "the series of this key only"),
        ])
        .does("requests, tokens, cost and times over a time"),
    Operation::get::<LogPage>("logs", "/requests", logs::logs)
        .asks(filters!(
            Query::text(
                "before",
                "the `next` of another answer: the rows that follow"
            ),
            Query::number(
                "limit",
                MAX_PAGE as u64,
                "how many rows; 50 where none is given"
            )
        ))
        .does("the requests of the log, newest first"),
    Operation::get::<LogNames>("log names", "/request-names", names::names)
        .does("the names that the log can be filtered by"),
    Operation::other(
        "log export",
        "/request-export",
        &["application/jsonl", "text/csv"],
        export::export,
    )
    .asks(filters!(
        Query::choice("format", &["jsonl", "csv"], "jsonl where none is given"),
        Query::number(
            "limit",
            1_000_000,
            "how many rows; 100000 where none is given"
        )
    ))
    .does("the requests of the log as a file, newest first"),
    Operation::get::<Bodies>("request body", "/requests/{id}/body", logs::body)
        // It changes nothing, but shows what was said.
        .role(Role::Write)
        .does(
            "what a request's client sent and was sent, where bodies are kept; each look is logged",
        ),
    Operation::get::<Explained>("explain", "/requests/{id}", explain::explain)
        .does("what became of a request: every account's verdict and every try"),
    Operation::other("events", "/events", &["text/event-stream"], events::events)
        .asks(&[Query::text(
            "topics",
            "`requests` for each request that ends; separated by commas, none where none is given",
        )])
        .does("what changes, as it changes: server-sent events"),
    Operation::other(
        "playground",
        "/playground",
        &["application/json", "text/event-stream"],
        playground::play,
    )
    .takes::<Play>()
    .role(Role::Write)
    .does("serve a request with a key's rights and at its cost, as a client of that key is served"),
    Operation::get::<Status>("status", "/status", status::status)
        .does("what runs: configuration, accounts, queue, store"),
];
