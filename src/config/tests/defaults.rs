use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::money::Per;
use crate::base::time::Timestamp;
use crate::config::diagnostic::Severity;
use crate::config::model::{
    Admin, Affinity, Config, Key, KeyValue, Kind, Limits, Log, LogBodies, LogFormat, Model, OpenAi,
    Routing, SecretRef, Secrets, Server, State, Strategy, Target,
};
use crate::config::tests::{files, findings, loaded, overlaid};
use crate::ir::{Effort, Family, ThinkingDefault};
use crate::wire::ThinkingOutput;

const SECOND: Duration = Duration::from_secs(1);

fn config(text: &str) -> Config {
    let loaded = loaded(text);
    let found = format!("{:#?}", findings(&loaded));
    loaded.config.expect(&found)
}

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.to_owned())
}

#[test]
fn tables_that_are_not_given_take_the_defaults() {
    let config = config("version = 1");
    let wanted = Config {
        server: Server {
            public_url: None,
            tls: None,
            listen: ([127, 0, 0, 1], 8088).into(),
            max_body: 32 << 20,
            keepalive: 15 * SECOND,
            stream_commit_after: 10 * SECOND,
            drain_delay: Duration::ZERO,
            drain_timeout: 30 * SECOND,
            trusted_proxies: Vec::new(),
            metrics: None,
        },
        log: Log {
            level: "info".to_owned(),
            format: LogFormat::Text,
        },
        admin: Admin {
            tokens: BTreeMap::new(),
            enabled: true,
            listen: None,
            password: None,
            session_ttl: 12 * 3600 * SECOND,
            remember_ttl: Some(7 * 24 * 3600 * SECOND),
            jwt_secret: None,
            password_as_bearer: false,
            write_back: true,
            patch_prefix: String::new(),
            time_zone: jiff::tz::TimeZone::UTC,
        },
        state: State {
            path: PathBuf::from("data"),
            log_retention: Duration::from_hours(30 * 24),
            log_max_rows: 1_000_000,
            log_max_size: 2 << 30,
            log_bodies: LogBodies::None,
            log_bodies_retention: Duration::from_hours(3 * 24),
            orphan_retention: Duration::from_hours(30 * 24),
            history: 200,
        },
        secrets: Secrets {
            identity: PathBuf::from("data/agp-identity.txt"),
            recipients: Vec::new(),
        },
        routing: Routing {
            strategy: Strategy::Weighted,
            affinity: Affinity::Conversation,
            default_model: None,
            max_concurrent_per_account: Some(1),
            max_concurrent_per_model: Some(3),
            queue_timeout: 60 * SECOND,
            max_queue: 1000,
            capacity_cooldown: 3 * SECOND,
            max_cooldown: 120 * SECOND,
            max_attempts: 4,
            retry_within: 30 * SECOND,
            total_timeout: None,
            quota_refresh: 600 * SECOND,
        },
        openai: OpenAi {
            thinking_output: ThinkingOutput::ReasoningContent,
        },
        upstreams: BTreeMap::new(),
        accounts: BTreeMap::new(),
        groups: BTreeMap::new(),
        keys: BTreeMap::new(),
        models: BTreeMap::new(),
        inert: Vec::new(),
        locked: BTreeMap::new(),
    };
    assert_eq!(config, wanted);
}

const SMALL: &str = r#"
version = 1
[upstreams.u]
kind = "antigravity"
oauth = { client_id = { env = "ID" }, client_secret = { env = "SECRET" } }
[accounts.a]
upstream = "u"
refresh_token = { env = "TOKEN" }
[keys.k]
key = { env = "KEY" }
"#;

#[test]
fn an_upstream_takes_its_kinds_defaults() {
    let config = config(SMALL);
    let upstream = &config.upstreams["u"];
    assert_eq!(upstream.kind, Kind::Antigravity);
    assert_eq!(
        upstream.base_urls,
        [
            "https://cloudcode-pa.googleapis.com",
            "https://daily-cloudcode-pa.googleapis.com",
            "https://daily-cloudcode-pa.sandbox.googleapis.com",
        ]
    );
    assert_eq!(upstream.setup_urls, upstream.base_urls);
    assert_eq!(
        upstream.user_agent,
        concat!("agp/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        upstream
            .metadata
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect::<Vec<_>>(),
        [
            ("ideType", "IDE_UNSPECIFIED"),
            ("platform", "PLATFORM_UNSPECIFIED"),
            ("pluginType", "GEMINI"),
        ]
    );
    assert!(upstream.headers.is_empty() && upstream.safety_settings.is_empty());
    assert_eq!((&upstream.proxy, &upstream.ca_file), (&None, &None));
    assert_eq!(upstream.connect_timeout, 30 * SECOND);
    assert_eq!(upstream.first_byte_timeout, 120 * SECOND);
    assert_eq!(upstream.idle_timeout, 60 * SECOND);
    assert!(
        upstream.discover,
        "without [models] what the upstream lists is published"
    );
    let oauth = upstream.oauth.as_ref().unwrap();
    assert_eq!(
        (&oauth.client_id, &oauth.client_secret),
        (&env("ID"), &env("SECRET"))
    );
    assert_eq!(
        oauth.auth_url,
        "https://accounts.google.com/o/oauth2/v2/auth"
    );
    assert_eq!(oauth.token_url, "https://oauth2.googleapis.com/token");
    assert_eq!(
        oauth.userinfo_url,
        "https://www.googleapis.com/oauth2/v2/userinfo?alt=json"
    );
    assert_eq!(oauth.scopes.len(), 5);
    assert!(
        oauth
            .scopes
            .iter()
            .all(|s| s.starts_with("https://www.googleapis.com/auth/"))
    );
    assert_eq!(oauth.redirect_uri, "http://localhost:8088/oauth-callback");
}

#[test]
fn the_redirect_goes_to_the_panels_port() {
    let redirect = |more: &str| {
        let config = config(&format!("{SMALL}{more}"));
        config.upstreams["u"].oauth.clone().unwrap().redirect_uri
    };
    assert_eq!(
        redirect("[server]\nlisten = \"0.0.0.0:99\"\n[admin]\npassword = { env = \"P\" }"),
        "http://localhost:99/oauth-callback"
    );
    assert_eq!(
        redirect("[server]\nlisten = \"0.0.0.0:99\"\n[admin]\nlisten = \"127.0.0.1:77\""),
        "http://localhost:77/oauth-callback"
    );
}

#[test]
fn with_models_the_upstreams_list_is_not_published() {
    let text = format!("{SMALL}[models.m]\nroute = [\"u/x\"]\n");
    assert!(!config(&text).upstreams["u"].discover);
    let text = text.replace("kind =", "discover = true\nkind =");
    assert!(config(&text).upstreams["u"].discover);
}

#[test]
fn an_account_a_key_and_a_model_take_their_defaults() {
    let config = config(&format!("{SMALL}[models.m]\nroute = [\"u/a/b\"]\n"));
    let account = &config.accounts["a"];
    assert_eq!(account.upstream.as_str(), "u");
    assert_eq!(account.credential, env("TOKEN"));
    assert_eq!(
        (account.weight, account.tier, account.max_concurrent),
        (1.0, 1, None)
    );
    assert_eq!(account.models, ["*"]);
    assert!(account.enabled && !account.credits);
    assert!(account.tags.is_empty() && account.project.is_none() && account.email.is_none());
    assert_eq!(
        config.keys["k"],
        Key {
            name: "k".to_owned(),
            value: KeyValue::Key(env("KEY")),
            limits: Limits::default(),
            models: vec!["*".to_owned()],
            accounts: Vec::new(),
            group: None,
            max_concurrent: None,
            expires: None,
            enabled: true,
        }
    );
    assert_eq!(
        config.models["m"],
        Model {
            // Split at the first slash: the rest is the upstream's own name.
            route: vec![Target {
                upstream: "u".into(),
                model: "a/b".to_owned(),
            }],
            aliases: Vec::new(),
            strategy: None,
            thinking: None,
            family: None,
            display_name: None,
            context: None,
            max_output: None,
            price: None,
        }
    );
}

const FULL: &str = r#"
version = 1
[admin]
time_zone = "+08:00"
[routing]
max_concurrent_per_account = 0
max_concurrent_per_model = 0
total_timeout = "5m"
strategy = "fill_first"
[upstreams.u]
kind = "openai"
base_urls = ["https://one.example/v1/", "http://two.example"]
headers = { X-Team = "a" }
proxy = "socks5://user:pass@proxy.example:1080"
ca_file = "ca.pem"
[accounts.a]
upstream = "u"
api_key = { file = "secret/key" }
weight = 0
max_concurrent = 0
[accounts.b]
upstream = "u"
api_key = { sealed = "agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==" }
max_concurrent = 7
[keys.k]
sha256 = "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"
accounts = ["a", "tag:t"]
expires = 2027-01-01
enabled = false
group = "g"
rpm = 60
budget = { usd = 0.5, per = "day" }
[groups.g]
tokens_per_minute = 1000
tokens_per_day = 2000
budget = { usd = 500, per = "month" }
[accounts.c]
upstream = "u"
api_key = { env = "X" }
tags = ["t"]
enabled = false
[models.m]
route = ["u/x", "u/y"]
aliases = ["n"]
thinking = { level = "high" }
family = "gpt-oss"
context = 1000
max_output = 100
strategy = "random"
price = { input = 0.30, output = 2.50, cached_input = 0.075 }
[models.off]
route = ["u/x"]
thinking = "off"
price = { input = 2, output = 12 }
[models.budget]
route = ["u/x"]
thinking = { budget = 4096 }
"#;

#[test]
fn what_is_given_is_taken() {
    let config = config(FULL);
    let routing = &config.routing;
    assert_eq!(
        (
            routing.max_concurrent_per_account,
            routing.max_concurrent_per_model
        ),
        (None, None)
    );
    assert_eq!(routing.total_timeout, Some(300 * SECOND));
    assert_eq!(routing.strategy, Strategy::FillFirst);
    let upstream = &config.upstreams["u"];
    assert_eq!(
        upstream.base_urls,
        ["https://one.example/v1", "http://two.example"]
    );
    assert_eq!(upstream.setup_urls, upstream.base_urls);
    assert_eq!(upstream.headers["x-team"].expose(), "a");
    assert_eq!(
        upstream.proxy.as_ref().unwrap().expose(),
        "socks5://user:pass@proxy.example:1080"
    );
    assert_eq!(upstream.ca_file, Some(PathBuf::from("ca.pem")));
    assert_eq!(
        config.accounts["a"].credential,
        SecretRef::File("secret/key".into())
    );
    assert_eq!(config.accounts["a"].weight.to_bits(), 0);
    assert_eq!(config.accounts["a"].max_concurrent, Some(None));
    assert_eq!(config.accounts["b"].max_concurrent, Some(Some(7)));
    assert_eq!(
        config.accounts["b"].credential,
        SecretRef::Sealed("agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==".to_owned())
    );
    let key = &config.keys["k"];
    assert_eq!(key.value, KeyValue::Sha256([0xab; 32]));
    assert_eq!(
        key.expires,
        Timestamp::parse_rfc3339("2026-12-31T16:00:00Z")
    );
    assert!(!key.enabled);
    assert_eq!(key.group.as_deref(), Some("g"));
    assert_eq!(
        (key.limits.rpm, key.limits.tokens_per_day),
        (Some(60), None)
    );
    assert_eq!(key.limits.budget, Some((500_000_000, Per::Day)));
    let group = &config.groups["g"];
    assert_eq!(
        (group.limits.tokens_per_minute, group.limits.tokens_per_day),
        (Some(1000), Some(2000))
    );
    assert_eq!(group.limits.budget, Some((500_000_000_000, Per::Month)));
    let price = |model: &str| {
        let price = config.models[model].price;
        price.map(|p| (p.input, p.cached_input, p.output))
    };
    assert_eq!(price("m"), Some((300_000_000, 75_000_000, 2_500_000_000)));
    let plain = Some((2_000_000_000, 2_000_000_000, 12_000_000_000));
    assert_eq!((price("off"), price("budget")), (plain, None));
    let model = &config.models["m"];
    assert_eq!(model.thinking, Some(ThinkingDefault::Level(Effort::High)));
    assert_eq!(model.family, Some(Family::GptOss));
    assert_eq!(model.strategy, Some(Strategy::Random));
    assert_eq!((model.context, model.max_output), (Some(1000), Some(100)));
    assert_eq!(config.models["off"].thinking, Some(ThinkingDefault::Off));
    assert_eq!(
        config.models["budget"].thinking,
        Some(ThinkingDefault::Budget(4096))
    );
}

#[test]
fn variables_win_over_the_file_and_are_read_as_their_key_asks() {
    let loaded = overlaid(
        "version = 1\n[routing]\nstrategy = \"weighted\"\nmax_queue = 5\n",
        &[
            ("AGP__ROUTING__STRATEGY", "random"),
            ("AGP__SERVER__LISTEN", "0.0.0.0:1"),
            ("AGP__ROUTING__MAX_QUEUE", "7"),
            ("AGP__ADMIN__ENABLED", "false"),
            ("AGP__SECRETS__IDENTITY", "{ file = \"id\" }"),
            // As a TOML value this is a number; the key asks for a text.
            ("AGP__STATE__PATH", "5"),
            ("OTHER", "x"),
        ],
    );
    let config = loaded.config.unwrap();
    assert_eq!(config.routing.strategy, Strategy::Random);
    assert_eq!(config.server.listen, ([0, 0, 0, 0], 1).into());
    assert_eq!(config.routing.max_queue, 7);
    assert!(!config.admin.enabled);
    assert_eq!(config.secrets.identity, PathBuf::from("id"));
    assert_eq!(config.state.path, PathBuf::from("5"));
}

/// The sample of agp-toml.md, its placeholders replaced by values of their form.
const SAMPLE: &str = include_str!("../../../tests/config/sample.toml");

#[test]
fn the_whole_sample_is_understood() {
    // Its second target is of an upstream that it does not show.
    let text = format!("{SAMPLE}\n[upstreams.gemini]\nkind = \"gemini\"\n");
    let files = files(&text);
    let loaded = crate::config::load_at(&files, std::iter::empty(), Timestamp(0));
    assert!(findings(&loaded).is_empty(), "{:#?}", findings(&loaded));
    assert!(loaded.config.is_some());
    // Each key that waits for a later release is said to, as far as the sample gives it.
    let notes: Vec<&str> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Note)
        .map(|d| d.key.as_str())
        .collect();
    for key in [
        "fetch.max_size",
        "fetch.allow",
        "upstreams.antigravity.web_search",
        "upstreams.antigravity.location",
    ] {
        assert!(notes.contains(&key), "{key}: {notes:?}");
    }
    for key in [
        "server.listen",
        "routing.strategy",
        "routing.affinity",
        "state.path",
        "state.history",
        "keys.ci.accounts",
        "keys.ci.group",
        "keys.ci.rpm",
        "groups.engineering.budget",
        "models.\"gemini-2.5-flash\".price",
    ] {
        assert!(!notes.contains(&key), "{key}");
    }
}
