//! The file as written: one struct for each table of agp-toml.md, every key in it, nothing more. Defaults of `[server]`
//! to `[fetch]` are here; everything of the named tables is optional, so that `check` can say what is missing.
#![expect(
    clippy::struct_field_names,
    reason = "the names are the keys of the file"
)]
#![expect(
    dead_code,
    reason = "keys that nothing uses so far are decoded all the same, so that they are checked"
)]

mod entries;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::value::{
    Addr, Cidr, Digest, Dur, HttpUrl, LogLevel, Origin, PasswordHash, Positive, Recipient,
    SecretText, Size, Word, Zone,
};

pub(crate) use entries::{
    Account, Budget, Group, Key, Kind, Model, OAuth, Period, Price, Upstream,
};

macro_rules! defaults {
    ($name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $value),* }
            }
        }
    };
}

const fn secs(n: u64) -> Dur {
    Dur(Duration::from_secs(n))
}

const DAY: u64 = 24 * 3600;

/// The sections of the root table, for suggestions.
pub(crate) const SECTIONS: &[&str] = &[
    "version",
    "include",
    "server",
    "log",
    "admin",
    "state",
    "secrets",
    "routing",
    "openai",
    "fetch",
    "upstreams",
    "accounts",
    "groups",
    "keys",
    "models",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    pub(crate) listen: Addr,
    pub(crate) public_url: Option<HttpUrl>,
    pub(crate) max_body: Size,
    pub(crate) max_buffered: Size,
    pub(crate) max_connections: u32,
    pub(crate) header_timeout: Positive,
    pub(crate) keepalive: Positive,
    pub(crate) stream_commit_after: Dur,
    pub(crate) drain_delay: Dur,
    pub(crate) drain_timeout: Dur,
    pub(crate) cors_origins: Vec<Origin>,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) metrics: Option<Metrics>,
}

defaults!(Server {
    listen: Addr::loopback(8088),
    public_url: None,
    max_body: Size(32 << 20),
    max_buffered: Size(1 << 30),
    max_connections: 10_000,
    header_timeout: Positive(Duration::from_secs(10)),
    keepalive: Positive(Duration::from_secs(15)),
    stream_commit_after: secs(10),
    drain_delay: secs(0),
    drain_timeout: secs(30),
    cors_origins: Vec::new(),
    trusted_proxies: Vec::new(),
    tls: None,
    metrics: None,
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert: Word,
    pub(crate) key: Word,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    pub(crate) listen: Addr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) level: LogLevel,
    pub(crate) format: LogFormat,
}

defaults!(Log {
    level: LogLevel("info".to_owned()),
    format: LogFormat::Text,
});

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Admin {
    pub(crate) enabled: bool,
    pub(crate) listen: Option<Addr>,
    pub(crate) password_hash: Option<PasswordHash>,
    pub(crate) password: Option<SecretText>,
    pub(crate) session_ttl: Positive,
    pub(crate) remember_ttl: Dur,
    pub(crate) jwt_secret: Option<SecretText>,
    pub(crate) password_as_bearer: bool,
    pub(crate) write_back: bool,
    pub(crate) patch_prefix: String,
    pub(crate) time_zone: Zone,
    pub(crate) tokens: BTreeMap<String, Token>,
}

defaults!(Admin {
    enabled: true,
    listen: None,
    password_hash: None,
    password: None,
    session_ttl: Positive(Duration::from_hours(12)),
    remember_ttl: secs(7 * DAY),
    jwt_secret: None,
    password_as_bearer: false,
    write_back: true,
    patch_prefix: String::new(),
    time_zone: Zone::utc(),
    tokens: BTreeMap::new(),
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) sha256: Digest,
    pub(crate) role: Role,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Read,
    Write,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct State {
    pub(crate) path: Word,
    pub(crate) log_retention: Dur,
    pub(crate) log_max_rows: u64,
    pub(crate) log_max_size: Size,
    pub(crate) log_bodies: LogBodies,
    pub(crate) log_bodies_retention: Dur,
    pub(crate) orphan_retention: Dur,
    pub(crate) history: u32,
    pub(crate) store_responses: bool,
}

defaults!(State {
    path: Word("data".to_owned()),
    log_retention: secs(30 * DAY),
    log_max_rows: 1_000_000,
    log_max_size: Size(2 << 30),
    log_bodies: LogBodies::None,
    log_bodies_retention: secs(3 * DAY),
    orphan_retention: secs(30 * DAY),
    history: 200,
    store_responses: false,
});

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogBodies {
    None,
    Errors,
    All,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrets {
    pub(crate) identity: IdentityFile,
    pub(crate) recipients: Vec<Recipient>,
}

defaults!(Secrets {
    identity: IdentityFile {
        file: Word("data/agp-identity.txt".to_owned()),
    },
    recipients: Vec::new(),
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityFile {
    pub(crate) file: Word,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    pub(crate) strategy: Strategy,
    pub(crate) affinity: Affinity,
    pub(crate) default_model: Option<Word>,
    pub(crate) max_concurrent_per_account: u32,
    pub(crate) max_concurrent_per_model: u32,
    pub(crate) queue_timeout: Dur,
    pub(crate) max_queue: u32,
    pub(crate) capacity_cooldown: Dur,
    pub(crate) max_cooldown: Dur,
    pub(crate) max_attempts: u32,
    pub(crate) retry_within: Dur,
    pub(crate) total_timeout: Dur,
    pub(crate) quota_refresh: Positive,
}

defaults!(Routing {
    strategy: Strategy::Weighted,
    affinity: Affinity::Conversation,
    default_model: None,
    max_concurrent_per_account: 1,
    max_concurrent_per_model: 3,
    queue_timeout: secs(60),
    max_queue: 1000,
    capacity_cooldown: secs(3),
    max_cooldown: secs(120),
    max_attempts: 4,
    retry_within: secs(30),
    total_timeout: secs(0),
    quota_refresh: Positive(Duration::from_mins(10)),
});

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strategy {
    Weighted,
    RoundRobin,
    Random,
    LeastBusy,
    FillFirst,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Affinity {
    None,
    Conversation,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OpenAi {
    pub(crate) thinking_output: ThinkingOutput,
}

defaults!(OpenAi {
    thinking_output: ThinkingOutput::ReasoningContent,
});

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThinkingOutput {
    ReasoningContent,
    Tags,
    Both,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fetch {
    pub(crate) enabled: bool,
    pub(crate) max_size: Size,
    pub(crate) timeout: Positive,
    pub(crate) max_per_request: u32,
    pub(crate) allow: Vec<Word>,
}

defaults!(Fetch {
    enabled: true,
    max_size: Size(20 << 20),
    timeout: Positive(Duration::from_secs(10)),
    max_per_request: 8,
    allow: Vec::new(),
});
