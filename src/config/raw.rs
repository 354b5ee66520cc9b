//! The file as written: one struct for each table of agp-toml.md, every key in it, nothing more, in its order, with its
//! default. What an entry must have is optional, so that `check` can say what is missing. The JSON Schema, the order of
//! `agp fmt` and `agp config` are made of these structs; their fields' comments are what an editor shows.
#![expect(
    clippy::struct_field_names,
    reason = "the names are the keys of the file"
)]

mod entries;
mod running;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::decode;
use crate::config::tree::Node;
use crate::config::value::{
    Addr, Cidr, Digest, Dur, HttpUrl, LogLevel, Origin, PasswordHash, Positive, SecretText, Size,
    Word, Zone,
};

pub(crate) use entries::{
    Account, Budget, Group, Key, Kind, Model, OAuth, Period, Price, Upstream,
};
pub(crate) use running::{
    Affinity, Fetch, LogBodies, OpenAi, Routing, Secrets, State, Strategy, ThinkingOutput,
};

/// Gives a table its defaults.
macro_rules! defaults {
    ($name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $value),* }
            }
        }
    };
}
use defaults;

const fn secs(n: u64) -> Dur {
    Dur(Duration::from_secs(n))
}

const DAY: u64 = 24 * 3600;

/// The root table: its struct, the lists of its keys, and its decoding from one table each. An entry of a named table that
/// is no table at all is left out.
macro_rules! root {
    (
        values { $($(#[$value_doc:meta])* $value:ident: $value_type:ty,)* }
        sections { $($(#[$section_doc:meta])* $section:ident: $section_type:ty,)* }
        named { $($(#[$named_doc:meta])* $named:ident: $named_type:ty,)* }
    ) => {
        #[derive(Debug, Default, JsonSchema)]
        #[schemars(deny_unknown_fields, default)]
        pub(crate) struct Raw {
            $($(#[$value_doc])* pub(crate) $value: $value_type,)*
            $($(#[$section_doc])* pub(crate) $section: $section_type,)*
            $($(#[$named_doc])* pub(crate) $named: BTreeMap<String, $named_type>,)*
        }

        /// The keys of the root table.
        pub(crate) const KEYS: &[&str] = &[
            $(stringify!($value),)* $(stringify!($section),)* $(stringify!($named),)*
        ];
        /// The tables that the environment can give values of.
        pub(crate) const SECTIONS: &[&str] = &[$(stringify!($section)),*];

        impl Raw {
            /// Decodes every table of the tree. What is wrong is left on its nodes.
            pub(crate) fn decode(tree: &Node) -> Self {
                Self {
                    $($value: decode::section(tree, stringify!($value)),)*
                    $($section: decode::section(tree, stringify!($section)),)*
                    $($named: decode::named(tree, stringify!($named)),)*
                }
            }
        }
    };
}

root! {
    values {
        /// Of the file's form; the root file must give it.
        version: Version,
        /// More files of the same form, merged; patterns relative to this file's folder. A key defined twice is an error.
        #[schemars(example = ["accounts.d/*.toml"])]
        include: Vec<String>,
    }
    sections {
        /// The listener for clients.
        server: Server,
        /// The gateway's own log.
        log: Log,
        /// The panel and the admin API.
        admin: Admin,
        /// What the gateway learns while it runs, and keeps.
        state: State,
        /// How sealed values are opened.
        secrets: Secrets,
        /// How requests are spread over accounts.
        routing: Routing,
        /// OpenAI's dialect.
        openai: OpenAi,
        /// Images and files that a client names by URL.
        fetch: Fetch,
    }
    named {
        /// The services behind the gateway.
        upstreams: Upstream,
        /// Who calls them. The name is the identity: state is kept under it.
        accounts: Account,
        /// Limits that several keys share; a key's own limits come on top.
        groups: Group,
        /// Who may use the gateway.
        keys: Key,
        /// What clients see, by public name. Without any, what the upstreams list is published.
        models: Model,
    }
}

/// The number of the file's form. Which one is given is judged where files are put together, since only the root file
/// must give it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": 1 })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Where clients connect; `0.0.0.0:8088` for other machines.
    pub(crate) listen: Addr,
    /// The address to use in links; derived from `listen` where none is given.
    pub(crate) public_url: Option<HttpUrl>,
    /// Largest body of a request.
    pub(crate) max_body: Size,
    /// All request bodies held at once; beyond it clients get 503 with Retry-After.
    pub(crate) max_buffered: Size,
    /// Most connections at once.
    pub(crate) max_connections: u32,
    /// A client that dribbles its headers is cut after this.
    pub(crate) header_timeout: Positive,
    /// Silence after which a stream gets a comment or ping.
    pub(crate) keepalive: Positive,
    /// With no content yet, the 200 and pings go out after this; failover still goes on.
    pub(crate) stream_commit_after: Dur,
    /// After SIGTERM, from /readyz failing to the listener's close.
    pub(crate) drain_delay: Dur,
    /// What running streams then get, before they are cut with a proper error event.
    pub(crate) drain_timeout: Dur,
    /// Browser origins that may call /v1.
    pub(crate) cors_origins: Vec<Origin>,
    /// Networks whose X-Forwarded-For is believed.
    pub(crate) trusted_proxies: Vec<Cidr>,
    /// Certificate and key of the listener; plain HTTP without. Read anew when the files change.
    pub(crate) tls: Option<Tls>,
    /// A listener of its own for /metrics; without it, /metrics needs admin rights on the admin listener.
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// Path of the certificate chain, PEM.
    #[schemars(example = &"tls.crt")]
    pub(crate) cert: Word,
    /// Path of the private key, PEM.
    #[schemars(example = &"tls.key")]
    pub(crate) key: Word,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Where /metrics is served.
    #[schemars(example = &"127.0.0.1:9464")]
    pub(crate) listen: Addr,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// What is logged, in the syntax of `RUST_LOG`.
    pub(crate) level: LogLevel,
    /// The form of log lines.
    pub(crate) format: LogFormat,
}

defaults!(Log {
    level: LogLevel("info".to_owned()),
    format: LogFormat::Text,
});

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Admin {
    /// Whether the panel and the admin API are served.
    pub(crate) enabled: bool,
    /// Where; without it they are on `server.listen`.
    pub(crate) listen: Option<Addr>,
    /// The password's hash, as `agp hash-password` prints it.
    pub(crate) password_hash: Option<PasswordHash>,
    /// The password itself, from the environment or a file; in place of `password_hash`.
    pub(crate) password: Option<SecretText>,
    /// How long a sign-in lasts.
    pub(crate) session_ttl: Positive,
    /// How long it lasts where "stay signed in" is ticked; `0s`: not offered.
    pub(crate) remember_ttl: Dur,
    /// What sessions are signed with; made once and kept in the store where none is given.
    pub(crate) jwt_secret: Option<SecretText>,
    /// Whether the password itself is taken as a bearer token.
    pub(crate) password_as_bearer: bool,
    /// Whether the panel saves into the files; `false`: it shows the patch to commit and saves nothing.
    pub(crate) write_back: bool,
    /// The repository's folder to put in front of the paths in such a patch.
    #[schemars(example = &"deploy/agp")]
    pub(crate) patch_prefix: String,
    /// Where "today" begins, for budgets and dates too.
    pub(crate) time_zone: Zone,
    /// Tokens of scripts, by name.
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// SHA-256 of the whole token.
    pub(crate) sha256: Digest,
    /// What it may do.
    pub(crate) role: Role,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Look at everything.
    Read,
    /// Change things too.
    Write,
}
