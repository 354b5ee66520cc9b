//! The rules of the settings.

use crate::config::plan::Risk::{High, Medium};
use crate::config::plan::rules::table::rule;
use crate::config::plan::rules::{Rule, When};

pub(in crate::config::plan::rules) const SETTINGS: &[Rule] = &[
    // The doors.
    rule(
        &["server.listen"],
        When::Exposed,
        High,
        "other machines can reach it",
    ),
    rule(
        &["server.listen"],
        When::Changed,
        Medium,
        "clients must use the new address",
    ),
    rule(
        &["server.metrics.listen"],
        When::Exposed,
        Medium,
        "other machines can reach it",
    ),
    rule(
        &["server.tls.cert", "server.tls.key"],
        When::Changed,
        Medium,
        "connections are made differently",
    ),
    rule(
        &["server.cors_origins", "server.trusted_proxies"],
        When::Gained,
        Medium,
        "more is believed of a request",
    ),
    rule(
        &[
            "server.max_body",
            "server.max_buffered",
            "server.max_connections",
            "server.header_timeout",
        ],
        When::Lowered,
        Medium,
        "requests above it are refused",
    ),
    rule(
        &["admin.listen"],
        When::Exposed,
        High,
        "other machines can reach the panel",
    ),
    rule(
        &["admin.password_as_bearer"],
        When::On,
        High,
        "the password works as a key",
    ),
    rule(
        &["admin.enabled"],
        When::On,
        Medium,
        "the panel and the admin API are served",
    ),
    rule(
        &["admin.enabled"],
        When::Off,
        Medium,
        "the panel and the admin API are gone, but for the socket",
    ),
    rule(
        &["admin.password", "admin.password_hash", "admin.jwt_secret"],
        When::Changed,
        Medium,
        "whoever is signed in must do so again",
    ),
    rule(
        &["admin.tokens.*"],
        When::Changed,
        Medium,
        "other scripts may use the admin API",
    ),
    rule(
        &["admin.time_zone"],
        When::Changed,
        Medium,
        "days and months begin at another time, and budgets with them",
    ),
    // What is kept.
    rule(
        &["state.path"],
        When::Changed,
        Medium,
        "another store is used, after a restart",
    ),
    rule(
        &["secrets.identity.file"],
        When::Changed,
        Medium,
        "sealed values need the new identity",
    ),
    rule(
        &["secrets.recipients"],
        When::Gained,
        Medium,
        "others can open what is sealed",
    ),
    rule(
        &[
            "state.log_retention",
            "state.log_max_rows",
            "state.log_max_size",
            "state.log_bodies_retention",
            "state.orphan_retention",
            "state.history",
        ],
        When::Lowered,
        Medium,
        "what is older or beyond it is deleted",
    ),
    rule(
        &["state.log_bodies"],
        When::Changed,
        Medium,
        "other prompts and answers are kept",
    ),
    // Routing and fetching.
    rule(
        &[
            "routing.max_concurrent_per_account",
            "routing.max_concurrent_per_model",
            "routing.queue_timeout",
            "routing.max_queue",
            "routing.max_attempts",
            "routing.retry_within",
            "routing.total_timeout",
        ],
        When::Lowered,
        Medium,
        "more requests wait or are refused",
    ),
    rule(
        &["routing.default_model"],
        When::Changed,
        Medium,
        "requests that name no model go elsewhere",
    ),
    rule(
        &["fetch.enabled"],
        When::Off,
        Medium,
        "pictures by URL are refused",
    ),
    rule(
        &["fetch.allow"],
        When::Gained,
        Medium,
        "private addresses can be fetched",
    ),
    rule(
        &["fetch.max_size", "fetch.timeout", "fetch.max_per_request"],
        When::Lowered,
        Medium,
        "requests above it are refused",
    ),
];
