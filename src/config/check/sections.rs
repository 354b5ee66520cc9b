//! `[server]` to `[fetch]`.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::config::check::Cx;
use crate::config::diagnostic::Code;
use crate::config::model;
use crate::config::raw;
use crate::config::tree::KeyPath;
use crate::wire;

impl Cx<'_> {
    pub(super) fn server(&mut self) -> model::Server {
        let server = &self.raw.server;
        self.at_least_one("server", "max_connections", server.max_connections);
        if server.max_buffered.0 < server.max_body.0 {
            let path = KeyPath::from(["server", "max_buffered"]);
            // Which of the two was written says where to point.
            let path = if self.given(&path) {
                path
            } else {
                KeyPath::from(["server", "max_body"])
            };
            self.bad(&path, "`max_buffered` must not be less than `max_body`");
        }
        let metrics = server.metrics.as_ref().map(|metrics| metrics.listen.0);
        if metrics.is_some_and(|at| at == server.listen.0 && at.port() != 0) {
            let path = KeyPath::from(["server", "metrics", "listen"]);
            self.bad(
                &path,
                "the metrics need an address of their own, which is not that of `server.listen`",
            );
        }
        let admin = &self.raw.admin;
        let apart = admin.listen.as_ref().map(|at| at.0);
        if admin.enabled && apart.is_some_and(|at| metrics == Some(at) && at.port() != 0) {
            self.bad(
                &KeyPath::from(["admin", "listen"]),
                "the admin API needs an address of its own, which is not that of `server.metrics`",
            );
        }
        model::Server {
            listen: server.listen.0,
            public_url: server.public_url.as_ref().map(|url| url.0.clone()),
            max_body: server.max_body.0,
            keepalive: server.keepalive.0,
            stream_commit_after: server.stream_commit_after.0,
            drain_delay: server.drain_delay.0,
            drain_timeout: server.drain_timeout.0,
            trusted_proxies: (server.trusted_proxies.iter())
                .map(|network| model::Network {
                    address: network.0.0,
                    bits: network.0.1,
                })
                .collect(),
            tls: server.tls.as_ref().map(|tls| {
                let path = KeyPath::from(["server", "tls"]);
                model::Tls {
                    cert: self.join(&path.with("cert"), &tls.cert.0),
                    key: self.join(&path.with("key"), &tls.key.0),
                }
            }),
            metrics,
        }
    }

    pub(super) fn log(&self) -> model::Log {
        model::Log {
            level: self.raw.log.level.0.clone(),
            format: match self.raw.log.format {
                raw::LogFormat::Text => model::LogFormat::Text,
                raw::LogFormat::Json => model::LogFormat::Json,
            },
        }
    }

    pub(super) fn state(&self) -> model::State {
        let state = &self.raw.state;
        model::State {
            path: PathBuf::from(&state.path.0),
            log_retention: state.log_retention.0,
            log_max_rows: state.log_max_rows,
            log_max_size: state.log_max_size.0,
            log_bodies: match state.log_bodies {
                raw::LogBodies::None => model::LogBodies::None,
                raw::LogBodies::Errors => model::LogBodies::Errors,
                raw::LogBodies::All => model::LogBodies::All,
            },
            log_bodies_retention: state.log_bodies_retention.0,
            orphan_retention: state.orphan_retention.0,
            history: state.history,
        }
    }

    pub(super) fn secrets(&mut self) -> model::Secrets {
        let raw = self.raw;
        let given = &raw.secrets.recipients;
        for (i, recipient) in given.iter().enumerate() {
            if let Some(first) = given[..i].iter().position(|r| r == recipient) {
                let list = KeyPath::from(["secrets", "recipients"]);
                let (path, first) = (list.with(i), list.with(first));
                let diagnostic = self.at(
                    Code::Duplicate,
                    &path,
                    format!("`{path}` is the same recipient as `{first}`"),
                );
                self.report(diagnostic);
            }
        }
        model::Secrets {
            identity: PathBuf::from(&raw.secrets.identity.file.0),
            recipients: given.iter().map(|r| r.0.clone()).collect(),
        }
    }

    pub(super) fn routing(&mut self) -> model::Routing {
        let routing = &self.raw.routing;
        self.at_least_one("routing", "max_attempts", routing.max_attempts);
        if routing.max_cooldown.0 < routing.capacity_cooldown.0 {
            let path = KeyPath::from(["routing", "max_cooldown"]);
            let path = if self.given(&path) {
                path
            } else {
                KeyPath::from(["routing", "capacity_cooldown"])
            };
            self.bad(
                &path,
                "`max_cooldown` must not be less than `capacity_cooldown`",
            );
        }
        let limit = |n: u32| (n > 0).then_some(n);
        let total = routing.total_timeout.0;
        model::Routing {
            strategy: strategy(routing.strategy),
            affinity: match routing.affinity {
                raw::Affinity::None => model::Affinity::None,
                raw::Affinity::Conversation => model::Affinity::Conversation,
            },
            default_model: self.default_model(),
            max_concurrent_per_account: limit(routing.max_concurrent_per_account),
            max_concurrent_per_model: limit(routing.max_concurrent_per_model),
            queue_timeout: routing.queue_timeout.0,
            max_queue: routing.max_queue,
            capacity_cooldown: routing.capacity_cooldown.0,
            max_cooldown: routing.max_cooldown.0,
            max_attempts: routing.max_attempts.max(1),
            retry_within: routing.retry_within.0,
            total_timeout: (!total.is_zero()).then_some(total),
            quota_refresh: routing.quota_refresh.0,
        }
    }

    /// The default model must be one of `[models]`, unless an upstream's own list is published: nobody knows that here.
    fn default_model(&mut self) -> Option<String> {
        let name = &self.raw.routing.default_model.as_ref()?.0;
        let known = self.has("models", name)
            || self
                .raw
                .models
                .values()
                .flat_map(|m| &m.aliases)
                .any(|alias| alias.0 == *name);
        let discovers = self.names("models").is_empty()
            || self
                .raw
                .upstreams
                .values()
                .any(|u| u.discover == Some(true));
        if !known && !discovers {
            let path = KeyPath::from(["routing", "default_model"]);
            self.unknown(&path, "models", "model", name);
        }
        Some(name.clone())
    }

    pub(super) fn openai(&self) -> model::OpenAi {
        model::OpenAi {
            thinking_output: match self.raw.openai.thinking_output {
                raw::ThinkingOutput::ReasoningContent => wire::ThinkingOutput::ReasoningContent,
                raw::ThinkingOutput::Tags => wire::ThinkingOutput::Tags,
                raw::ThinkingOutput::Both => wire::ThinkingOutput::Both,
            },
        }
    }

    pub(super) fn fetch(&mut self) {
        self.at_least_one("fetch", "max_per_request", self.raw.fetch.max_per_request);
    }

    fn at_least_one(&mut self, table: &str, key: &str, value: u32) {
        if value == 0 {
            self.bad(&KeyPath::from([table, key]), "expected at least 1, found 0");
        }
    }
}

/// The strategy as the model knows it.
pub(super) fn strategy(raw: raw::Strategy) -> model::Strategy {
    match raw {
        raw::Strategy::Weighted => model::Strategy::Weighted,
        raw::Strategy::RoundRobin => model::Strategy::RoundRobin,
        raw::Strategy::Random => model::Strategy::Random,
        raw::Strategy::LeastBusy => model::Strategy::LeastBusy,
        raw::Strategy::FillFirst => model::Strategy::FillFirst,
    }
}

/// SHA-256 of a text.
pub(super) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
