//! Every key of the file has its effect, shown by a test of this repository, or stands in the list of those that have none
//! so far (`config::pending`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use agp::config::{pending, schema};
use regex::Regex;
use serde_json::Value;

/// Keys as the schema has them, `*` for a free name, and the test that fails where the key is read and then ignored: of
/// this folder, or behind `lib: ` of `src/`.
const SHOWN: &[(&str, &[&str])] = &[
    (
        "lib: config::tests::broken::each_mistake_is_shown_alone_in_its_place",
        // Another version than 1 is refused; so are two accounts of one upstream with one e-mail.
        &["version", "accounts.*.email"],
    ),
    (
        "reload::ways::an_included_file_comes_and_goes",
        &["include"],
    ),
    (
        "reload::another_address_is_bound_before_the_old_one_is_left",
        &["server.listen"],
    ),
    (
        "remote::a_page_of_another_site_can_not_ask",
        &["server.public_url"],
    ),
    (
        "reload::settings::of_the_server_and_the_dialects",
        &[
            "server.max_body",
            "server.keepalive",
            "server.stream_commit_after",
            "openai.thinking_output",
            "routing.default_model",
        ],
    ),
    (
        "reload::settings::of_the_end",
        &["server.drain_delay", "server.drain_timeout"],
    ),
    (
        "tls::https_comes_with_a_reload_and_streams",
        &["server.tls.cert", "server.tls.key"],
    ),
    (
        "metrics::the_metrics_have_an_address_of_their_own_that_a_reload_moves",
        &["server.metrics.listen"],
    ),
    ("reload::settings::of_the_log", &["log.level", "log.format"]),
    (
        "remote::it_moves_to_an_address_of_its_own_and_goes",
        &["admin.enabled", "admin.listen"],
    ),
    (
        "edits::without_write_back_the_answer_is_the_patch",
        &["admin.write_back", "admin.patch_prefix"],
    ),
    (
        "signin::another_password_or_secret_ends_every_session",
        &["admin.password_hash", "admin.password", "admin.jwt_secret"],
    ),
    (
        "signin::a_session_lasts_as_long_as_the_file_says_and_is_renewed_in_use",
        &["admin.session_ttl", "admin.remember_ttl"],
    ),
    (
        "signin::the_password_is_a_bearer_token_where_the_file_says_so",
        &["admin.password_as_bearer"],
    ),
    (
        "signin::tries_are_counted_by_the_address_that_a_trusted_proxy_tells",
        &["server.trusted_proxies"],
    ),
    ("limits::days_begin_by_the_files_zone", &["admin.time_zone"]),
    (
        "remote::a_token_is_needed_and_its_role_is_kept_to",
        &["admin.tokens.*.sha256", "admin.tokens.*.role"],
    ),
    (
        "sealed::sealed_for_more_recipients_each_of_them_opens_it",
        &["secrets.recipients"],
    ),
    (
        "history::state_history_says_how_many_are_kept",
        &["state.history"],
    ),
    (
        "disk::state_and_identity_lie_where_the_file_says",
        &["state.path", "secrets.identity.file"],
    ),
    (
        "reload::settings::of_what_is_kept",
        &["state.log_retention", "state.log_max_rows"],
    ),
    (
        "bodies::the_log_takes_no_more_disk_than_the_file_says",
        &["state.log_max_size"],
    ),
    (
        "bodies::an_edit_decides_from_the_next_request_on",
        &["state.log_bodies", "state.log_bodies_retention"],
    ),
    (
        "tokens::who_left_the_file_is_remembered_as_long_as_it_says",
        &["state.orphan_retention"],
    ),
    (
        "reload::settings::of_routing",
        &[
            "routing.affinity",
            "routing.max_concurrent_per_model",
            "routing.queue_timeout",
            "routing.max_queue",
            "routing.capacity_cooldown",
            "routing.max_cooldown",
            "routing.max_attempts",
            "routing.retry_within",
            "routing.total_timeout",
            "routing.quota_refresh",
        ],
    ),
    (
        "queue::limits_are_never_exceeded_under_fifty_clients",
        &["routing.max_concurrent_per_account"],
    ),
    (
        "reload::settings::of_upstreams",
        &[
            "upstreams.*.base_urls",
            "upstreams.*.headers.*",
            "upstreams.*.user_agent",
            "upstreams.*.safety_settings.*",
            "upstreams.*.proxy",
            "upstreams.*.first_byte_timeout",
            "upstreams.*.idle_timeout",
            "upstreams.*.discover",
        ],
    ),
    (
        "lib: cli::login::tests::other_kinds_have_no_sign_in",
        &["upstreams.*.kind"],
    ),
    (
        "failover::a_connection_has_its_own_limit",
        &["upstreams.*.connect_timeout"],
    ),
    (
        "lib: upstream::client::tests::the_configured_authority_is_trusted",
        &["upstreams.*.ca_file"],
    ),
    (
        "tokens::a_project_is_asked_for_as_the_file_says",
        &["upstreams.*.setup_urls", "upstreams.*.metadata.*"],
    ),
    (
        "failover::a_misconfigured_sign_in_goes_to_another_upstream",
        &["upstreams.*.oauth.client_secret", "accounts.*.upstream"],
    ),
    (
        "trials::a_login_asks_as_the_file_says",
        &[
            "upstreams.*.oauth.client_id",
            "upstreams.*.oauth.auth_url",
            "upstreams.*.oauth.token_url",
            "upstreams.*.oauth.userinfo_url",
            "upstreams.*.oauth.scopes",
            "upstreams.*.oauth.redirect_url",
        ],
    ),
    (
        "reload::settings::of_accounts",
        &[
            "accounts.*.refresh_token",
            "accounts.*.weight",
            "accounts.*.tier",
            "accounts.*.max_concurrent",
            "accounts.*.models",
            "accounts.*.project",
            "accounts.*.enabled",
            "accounts.*.tags",
        ],
    ),
    (
        "quotas::credits_are_spent_where_the_file_allows_it",
        &["accounts.*.credits"],
    ),
    (
        "limits::each_limit_refuses_in_both_dialects_and_resets_when_it_says",
        &[
            "groups.*.rpm",
            "groups.*.tokens_per_minute",
            "groups.*.tokens_per_day",
            "groups.*.budget.usd",
            "groups.*.budget.per",
            "keys.*.rpm",
            "keys.*.tokens_per_minute",
            "keys.*.tokens_per_day",
            "keys.*.budget.usd",
            "keys.*.budget.per",
        ],
    ),
    (
        "slots::a_full_key_or_group_is_named_and_others_go_on",
        &["groups.*.max_concurrent", "keys.*.max_concurrent"],
    ),
    (
        "limits::a_group_is_shared_and_a_key_without_it_is_free",
        &["keys.*.group"],
    ),
    ("limits::key_usage_tells_every_limit", &["keys.*.name"]),
    (
        "reload::settings::of_keys",
        &[
            "keys.*.sha256",
            "keys.*.key",
            "keys.*.models",
            "keys.*.accounts",
            "keys.*.expires",
            "keys.*.enabled",
        ],
    ),
    (
        "reload::settings::of_models",
        &[
            "models.*.route",
            "models.*.aliases",
            "models.*.strategy",
            "models.*.thinking",
            "models.*.family",
            "models.*.display_name",
            "models.*.context",
            "models.*.max_output",
            "routing.strategy",
        ],
    ),
    (
        "limits::each_kind_of_token_has_its_price",
        &[
            "models.*.price.input",
            "models.*.price.output",
            "models.*.price.cached_input",
        ],
    ),
];

/// What a `$ref` leads to, or the place itself.
fn resolved<'a>(root: &'a Value, place: &'a Value) -> &'a Value {
    let name = place.get("$ref").and_then(Value::as_str);
    name.and_then(|name| root.pointer(name.strip_prefix('#')?))
        .unwrap_or(place)
}

/// The keys below this place that hold values, not further keys.
fn leaves(root: &Value, place: &Value, path: &str, found: &mut BTreeSet<String>) {
    let place = resolved(root, place);
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    let named = place.get("properties").and_then(Value::as_object);
    for (key, child) in named.into_iter().flatten() {
        leaves(root, child, &below(key), found);
    }
    let free = place.get("additionalProperties").filter(|v| v.is_object());
    let by_pattern = || place.get("patternProperties")?.as_object()?.values().next();
    match free.or_else(by_pattern) {
        Some(child) => leaves(root, child, &below("*"), found),
        None if named.is_none() => {
            found.insert(path.to_owned());
        }
        None => {}
    }
}

/// Keys of the schema that are in neither list or in both, and shown keys that are twice there or in no schema.
fn violations(
    keys: &BTreeSet<String>,
    shown: &[&str],
    waits: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut violations = Vec::new();
    for key in keys {
        match (shown.contains(&key.as_str()), waits(key)) {
            (false, false) => violations.push(format!(
                "`{key}`: no test is named that shows its effect, and it does not wait for one"
            )),
            (true, true) => violations.push(format!("`{key}` is shown and waits all the same")),
            _ => {}
        }
    }
    let mut seen = BTreeSet::new();
    for key in shown {
        if !keys.contains(*key) {
            violations.push(format!("`{key}` is no key of the schema"));
        }
        if !seen.insert(key) {
            violations.push(format!("`{key}` stands there twice"));
        }
    }
    violations
}

/// The file that a test stands in, and the test's name.
fn place(test: &str) -> (PathBuf, &str) {
    let (folder, path) = test
        .strip_prefix("lib: ")
        .map_or(("tests/it", test), |path| ("src", path));
    let (modules, name) = path.rsplit_once("::").unwrap();
    let file = |modules: &str| {
        let path = format!("{folder}/{}.rs", modules.replace("::", "/"));
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    };
    // Tests stand beside what they test, or in a file of their own below it.
    let inline = modules.strip_suffix("::tests").map(file);
    let own = file(modules);
    let inline = inline.filter(|_| !own.exists());
    (inline.unwrap_or(own), name)
}

/// Whether a source has a test of this name that is run.
fn has_test(source: &str, name: &str) -> bool {
    let test = format!(
        r"(?m)^\s*#\[(?:tokio::)?test(?:\([^\]]*\))?\]\n\s*(?:async )?fn {}\(",
        regex::escape(name)
    );
    Regex::new(&test).unwrap().is_match(source)
}

#[test]
fn every_key_has_a_test_that_shows_its_effect_or_waits_for_it() {
    let mut keys = BTreeSet::new();
    leaves(schema::value(), schema::value(), "", &mut keys);
    assert!(keys.len() > 100, "{keys:?}");
    let shown: Vec<&str> = SHOWN.iter().flat_map(|(_, keys)| *keys).copied().collect();
    let waits = |key: &str| pending::covers(&key.split('.').collect::<Vec<_>>());
    let violations = violations(&keys, &shown, waits);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_named_test_is_there() {
    let missing: Vec<_> = SHOWN
        .iter()
        .filter(|(test, _)| {
            let (file, name) = place(test);
            !fs::read_to_string(file).is_ok_and(|source| has_test(&source, name))
        })
        .map(|(test, _)| test)
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_is_missing_is_found() {
    let keys = ["a.b", "a.c", "d.*.e", "f"].map(str::to_owned).into();
    let waits = |key: &str| ["a.c", "f"].contains(&key);
    assert_eq!(violations(&keys, &["a.b", "d.*.e"], waits), [""; 0]);
    let found = violations(&keys, &["a.b", "f", "g", "g"], waits);
    assert_eq!(found.len(), 5, "{found:#?}");
    for key in ["`d.*.e`", "`f`", "`g`"] {
        assert!(found.iter().any(|one| one.starts_with(key)), "{found:#?}");
    }
    let source = "#[test]\nfn one() {}\n    #[tokio::test(start_paused = true)]\n    async fn two() {}\n\
        fn three() {}\n// #[test]\n// fn four() {}\n#[test]\n#[ignore]\nfn five() {}\n";
    let there = |name| has_test(source, name);
    assert!(there("one") && there("two"));
    assert!(!there("three") && !there("four") && !there("five") && !there("on"));
}
