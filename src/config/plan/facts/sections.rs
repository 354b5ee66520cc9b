//! The settings: `[server]` to `[fetch]`. Each struct is taken apart whole, so that a new field can't be forgotten here.

use crate::base::id::hex;
use crate::config::model::{
    Admin, AdminToken, Affinity, Config, Log, LogBodies, LogFormat, Network, OpenAi, Password,
    Routing, SecretRef, Secrets, Server, State, Tls,
};
use crate::config::plan::facts::{Fact, Facts, Maker, Section, Table};
use crate::config::tree::quote_key;
use crate::wire::ThinkingOutput;

impl Maker<'_> {
    pub(super) fn sections(&self, config: &Config, facts: &mut Facts) {
        let mut put = |name: &str, table| {
            *facts.table(Section::Settings, name) = table;
        };
        put("server", self.server(&config.server));
        put("log", log(&config.log));
        put("admin", self.admin(&config.admin));
        put("state", self.state(&config.state));
        put("secrets", self.secrets(&config.secrets));
        put("routing", routing(&config.routing));
        put("openai", openai(&config.openai));
    }

    fn server(&self, server: &Server) -> Table {
        let Server {
            listen,
            public_url,
            max_body,
            keepalive,
            stream_commit_after,
            drain_delay,
            drain_timeout,
            trusted_proxies,
            tls,
            metrics,
        } = server;
        let mut table = Table::default();
        table.set("listen", Fact::text(&listen.to_string()));
        table.set_some("public_url", public_url.as_deref().map(Fact::text));
        table.set("max_body", Fact::size(*max_body));
        table.set("keepalive", Fact::time(*keepalive));
        table.set("stream_commit_after", Fact::time(*stream_commit_after));
        table.set("drain_delay", Fact::time(*drain_delay));
        table.set("drain_timeout", Fact::time(*drain_timeout));
        if !trusted_proxies.is_empty() {
            let shown = |Network { address, bits }: &Network| format!("{address}/{bits}");
            let networks: Vec<String> = trusted_proxies.iter().map(shown).collect();
            table.set("trusted_proxies", Fact::list(&networks));
        }
        if let Some(Tls { cert, key }) = tls {
            table.set("tls.cert", self.file(cert));
            table.set("tls.key", self.file(key));
        }
        table.set_some(
            "metrics.listen",
            metrics.map(|listen| Fact::text(&listen.to_string())),
        );
        table
    }

    fn state(&self, state: &State) -> Table {
        let State {
            path,
            log_retention,
            log_max_rows,
            log_max_size,
            log_bodies,
            log_bodies_retention,
            orphan_retention,
            history,
        } = state;
        let mut table = Table::default();
        table.set("path", self.file(path));
        table.set("log_retention", Fact::time(*log_retention));
        table.set("log_max_rows", Fact::count(*log_max_rows));
        table.set("log_max_size", Fact::size(*log_max_size));
        let bodies = match log_bodies {
            LogBodies::None => "none",
            LogBodies::Errors => "errors",
            LogBodies::All => "all",
        };
        table.set("log_bodies", Fact::text(bodies));
        table.set("log_bodies_retention", Fact::time(*log_bodies_retention));
        table.set("orphan_retention", Fact::time(*orphan_retention));
        table.set("history", Fact::count(u64::from(*history)));
        table
    }

    fn admin(&self, admin: &Admin) -> Table {
        let Admin {
            enabled,
            listen,
            password,
            session_ttl,
            remember_ttl,
            jwt_secret,
            password_as_bearer,
            write_back,
            patch_prefix,
            time_zone,
            tokens,
        } = admin;
        let mut table = Table::default();
        table.set("enabled", Fact::flag(*enabled));
        table.set_some("listen", listen.map(|at| Fact::text(&at.to_string())));
        match password {
            // A hash is hidden as the password is: it can be guessed at.
            Some(Password::Hash(hash)) => {
                table.set(
                    "password_hash",
                    self.secret(&SecretRef::Plain(hash.clone())),
                );
            }
            Some(Password::Plain(password)) => table.set("password", self.secret(password)),
            None => {}
        }
        table.set("session_ttl", Fact::time(*session_ttl));
        table.set("remember_ttl", Fact::time(remember_ttl.unwrap_or_default()));
        table.set_some("jwt_secret", jwt_secret.as_ref().map(|s| self.secret(s)));
        table.set("password_as_bearer", Fact::flag(*password_as_bearer));
        for (name, AdminToken { sha256, role }) in tokens {
            let key = |key| format!("tokens.{}.{key}", quote_key(name));
            table.set(&key("sha256"), Fact::text(&hex(sha256)));
            table.set(&key("role"), Fact::text(role.as_str()));
        }
        table.set("write_back", Fact::flag(*write_back));
        table.set("patch_prefix", Fact::text(patch_prefix));
        let offset = || time_zone.to_fixed_offset().map(|offset| offset.to_string());
        let zone = (time_zone.iana_name().map(str::to_owned)).or_else(|| offset().ok());
        table.set_some("time_zone", zone.as_deref().map(Fact::text));
        table
    }

    fn secrets(&self, secrets: &Secrets) -> Table {
        let Secrets {
            identity,
            recipients,
        } = secrets;
        let mut table = Table::default();
        table.set("identity.file", self.file(identity));
        table.set("recipients", Fact::list(recipients));
        table
    }
}

fn log(log: &Log) -> Table {
    let Log { level, format } = log;
    let mut table = Table::default();
    table.set("level", Fact::text(level));
    let format = match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    table.set("format", Fact::text(format));
    table
}

fn openai(openai: &OpenAi) -> Table {
    let OpenAi { thinking_output } = openai;
    let mut table = Table::default();
    let word = match thinking_output {
        ThinkingOutput::ReasoningContent => "reasoning_content",
        ThinkingOutput::Tags => "tags",
        ThinkingOutput::Both => "both",
    };
    table.set("thinking_output", Fact::text(word));
    table
}

fn routing(routing: &Routing) -> Table {
    let Routing {
        strategy,
        affinity,
        default_model,
        max_concurrent_per_account,
        max_concurrent_per_model,
        queue_timeout,
        max_queue,
        capacity_cooldown,
        max_cooldown,
        max_attempts,
        retry_within,
        total_timeout,
        quota_refresh,
    } = routing;
    let mut table = Table::default();
    table.set("strategy", Fact::text(strategy.as_str()));
    let affinity = match affinity {
        Affinity::None => "none",
        Affinity::Conversation => "conversation",
    };
    table.set("affinity", Fact::text(affinity));
    table.set_some("default_model", default_model.as_deref().map(Fact::text));
    // 0 is no limit, as in the file.
    let limit = |n: &Option<u32>| Fact::count(n.unwrap_or(0).into());
    table.set(
        "max_concurrent_per_account",
        limit(max_concurrent_per_account),
    );
    table.set("max_concurrent_per_model", limit(max_concurrent_per_model));
    table.set("queue_timeout", Fact::time(*queue_timeout));
    table.set("max_queue", Fact::count((*max_queue).into()));
    table.set("capacity_cooldown", Fact::time(*capacity_cooldown));
    table.set("max_cooldown", Fact::time(*max_cooldown));
    table.set("max_attempts", Fact::count((*max_attempts).into()));
    table.set("retry_within", Fact::time(*retry_within));
    table.set(
        "total_timeout",
        Fact::time(total_timeout.unwrap_or_default()),
    );
    table.set("quota_refresh", Fact::time(*quota_refresh));
    table
}
