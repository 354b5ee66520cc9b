//! The named tables: upstreams, accounts, groups, keys, models. Each struct is taken apart whole, so that a new field can't be
//! forgotten here.

use sha2::{Digest as _, Sha256};

use crate::base::id::hex;
use crate::base::money::{Price, usd};
use crate::config::model::{
    Account, Config, Group, Key, KeyValue, Kind, Limits, Model, OAuth, SecretRef, Upstream,
};
use crate::config::plan::facts::{Fact, Facts, Maker, Section, Table};
use crate::config::tree::quote_key;
use crate::ir::{Effort, Family, ThinkingDefault};

impl Maker<'_> {
    pub(super) fn named(&self, config: &Config, facts: &mut Facts) {
        for (name, upstream) in &config.upstreams {
            let table = self.upstream(upstream, config);
            *facts.table(Section::Upstreams, name.as_str()) = table;
        }
        for (name, account) in &config.accounts {
            *facts.table(Section::Accounts, name.as_str()) = self.account(account);
        }
        for (name, one) in &config.groups {
            *facts.table(Section::Groups, name) = group(one);
        }
        for (name, key) in &config.keys {
            *facts.table(Section::Keys, name.as_str()) = self.client_key(name.as_str(), key);
        }
        for (name, one) in &config.models {
            *facts.table(Section::Models, name) = model(one);
        }
    }

    fn upstream(&self, upstream: &Upstream, config: &Config) -> Table {
        let Upstream {
            kind,
            base_urls,
            setup_urls,
            oauth,
            headers,
            user_agent,
            metadata,
            safety_settings,
            proxy,
            connect_timeout,
            first_byte_timeout,
            idle_timeout,
            ca_file,
            discover,
        } = upstream;
        let mut table = Table::default();
        table.set("kind", Fact::text(kind_word(*kind)));
        table.set("base_urls", Fact::list(base_urls));
        // What follows from another key is told there.
        if setup_urls != base_urls {
            table.set("setup_urls", Fact::list(setup_urls));
        }
        if let Some(oauth) = oauth {
            self.oauth(oauth, config, &mut table);
        }
        for (name, value) in headers {
            table.set(
                &format!("headers.{}", quote_key(name)),
                self.hidden(value.expose()),
            );
        }
        if user_agent != concat!("agp/", env!("CARGO_PKG_VERSION")) {
            table.set("user_agent", Fact::text(user_agent));
        }
        for (map, values) in [("metadata", metadata), ("safety_settings", safety_settings)] {
            for (name, value) in values {
                table.set(&format!("{map}.{}", quote_key(name)), Fact::text(value));
            }
        }
        table.set_some("proxy", proxy.as_ref().map(|p| self.hidden(p.expose())));
        table.set("connect_timeout", Fact::time(*connect_timeout));
        table.set("first_byte_timeout", Fact::time(*first_byte_timeout));
        table.set("idle_timeout", Fact::time(*idle_timeout));
        table.set_some("ca_file", ca_file.as_deref().map(|path| self.file(path)));
        table.set("discover", Fact::flag(*discover));
        table
    }

    fn oauth(&self, oauth: &OAuth, config: &Config, table: &mut Table) {
        let OAuth {
            client_id,
            client_secret,
            auth_url,
            token_url,
            userinfo_url,
            scopes,
            redirect_uri,
        } = oauth;
        table.set("oauth.client_id", self.secret(client_id));
        table.set("oauth.client_secret", self.secret(client_secret));
        table.set("oauth.auth_url", Fact::text(auth_url));
        table.set("oauth.token_url", Fact::text(token_url));
        table.set("oauth.userinfo_url", Fact::text(userinfo_url));
        table.set("oauth.scopes", Fact::list(scopes));
        let listen = config.admin.listen.unwrap_or(config.server.listen);
        if *redirect_uri != format!("http://localhost:{}/oauth-callback", listen.port()) {
            table.set("oauth.redirect_url", Fact::text(redirect_uri));
        }
    }

    fn account(&self, account: &Account) -> Table {
        let Account {
            upstream,
            email,
            credential,
            weight,
            tier,
            max_concurrent,
            models,
            project,
            credits,
            enabled,
            tags,
        } = account;
        let mut table = Table {
            identity: Some(self.identity(credential)),
            ..Table::default()
        };
        table.set("upstream", Fact::text(upstream.as_str()));
        table.set_some("email", email.as_deref().map(Fact::text));
        table.set("credential", self.secret(credential));
        table.set("weight", Fact::number(*weight));
        table.set("tier", Fact::count((*tier).into()));
        // 0 is no limit, as in the file.
        table.set_some(
            "max_concurrent",
            max_concurrent.map(|n| Fact::count(n.unwrap_or(0).into())),
        );
        table.set("models", Fact::list(models));
        table.set_some("project", project.as_deref().map(Fact::text));
        table.set("credits", Fact::flag(*credits));
        table.set("enabled", Fact::flag(*enabled));
        if !tags.is_empty() {
            table.set("tags", Fact::list(tags));
        }
        table
    }

    fn client_key(&self, table_name: &str, key: &Key) -> Table {
        let Key {
            name,
            value,
            limits: own,
            models,
            accounts,
            group,
            max_concurrent,
            expires,
            enabled,
        } = key;
        let digest = match value {
            KeyValue::Sha256(digest) => Some(hex(digest)),
            KeyValue::Key(SecretRef::Plain(secret)) => {
                Some(hex(&Sha256::digest(secret.expose().as_bytes())))
            }
            KeyValue::Key(_) => None,
        };
        let mut table = Table::default();
        match value {
            KeyValue::Sha256(digest) => table.set("sha256", Fact::text(&hex(digest))),
            KeyValue::Key(secret) => table.set("key", self.secret(secret)),
        }
        table.identity = Some(match (&digest, value) {
            (None, KeyValue::Key(secret)) => self.identity(secret),
            (digest, _) => {
                let digest = digest.as_deref().unwrap_or_default();
                self.key.mark("digest", digest.as_bytes())
            }
        });
        if name != table_name {
            table.set("name", Fact::text(name));
        }
        table.set("models", Fact::list(models));
        if !accounts.is_empty() {
            table.set("accounts", Fact::list(accounts));
        }
        table.set_some("group", group.as_deref().map(Fact::text));
        limits(own, *max_concurrent, &mut table);
        table.set_some("expires", expires.map(Fact::moment));
        table.set("enabled", Fact::flag(*enabled));
        table
    }
}

fn group(group: &Group) -> Table {
    let Group {
        max_concurrent,
        limits: shared,
    } = group;
    let mut table = Table::default();
    limits(shared, *max_concurrent, &mut table);
    table
}

fn limits(limits: &Limits, max_concurrent: Option<u32>, table: &mut Table) {
    let Limits {
        rpm,
        tokens_per_minute,
        tokens_per_day,
        budget,
    } = limits;
    let count = |n: u32| Fact::count(n.into());
    table.set_some("max_concurrent", max_concurrent.map(count));
    table.set_some("rpm", rpm.map(count));
    table.set_some("tokens_per_minute", tokens_per_minute.map(Fact::count));
    table.set_some("tokens_per_day", tokens_per_day.map(Fact::count));
    if let Some((nanos, per)) = budget {
        table.set("budget.usd", Fact::number(usd(*nanos)));
        table.set("budget.per", Fact::text(per.as_str()));
    }
}

fn model(model: &Model) -> Table {
    let Model {
        route,
        aliases,
        strategy,
        thinking,
        family,
        display_name,
        context,
        max_output,
        price,
    } = model;
    let mut table = Table::default();
    let route: Vec<String> = route
        .iter()
        .map(|target| format!("{}/{}", target.upstream, target.model))
        .collect();
    table.set("route", Fact::list(&route));
    if !aliases.is_empty() {
        table.set("aliases", Fact::list(aliases));
    }
    table.set_some("strategy", strategy.map(|s| Fact::text(s.as_str())));
    table.set_some("thinking", thinking.map(thinking_fact));
    table.set_some("family", family.map(|f| Fact::text(family_word(f))));
    table.set_some("display_name", display_name.as_deref().map(Fact::text));
    table.set_some("context", context.map(Fact::count));
    table.set_some("max_output", max_output.map(|n| Fact::count(n.into())));
    if let Some(price) = price {
        let Price {
            input,
            cached_input,
            output,
        } = price;
        for (field, nanos) in [
            ("input", input),
            ("cached_input", cached_input),
            ("output", output),
        ] {
            table.set(&format!("price.{field}"), Fact::number(usd(*nanos)));
        }
    }
    table
}

fn thinking_fact(thinking: ThinkingDefault) -> Fact {
    let text = match thinking {
        ThinkingDefault::Budget(n) => format!("{{ budget = {n} }}"),
        ThinkingDefault::Level(level) => format!("{{ level = \"{}\" }}", effort(level)),
        ThinkingDefault::Off => "\"off\"".to_owned(),
    };
    Fact::Word { text }
}

fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Xhigh => "xhigh",
        Effort::Max => "max",
    }
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::Gemini25 => "gemini25",
        Family::Gemini3 => "gemini3",
        Family::Claude => "claude",
        Family::GptOss => "gpt-oss",
        Family::Image => "image",
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Antigravity => "antigravity",
        Kind::Gemini => "gemini",
        Kind::Vertex => "vertex",
        Kind::OpenAi => "openai",
        Kind::Anthropic => "anthropic",
    }
}
