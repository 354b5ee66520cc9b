//! The named tables: upstreams, accounts, groups, keys, models.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::raw::Strategy;
use crate::config::value::{
    Date, Digest, Glob, HeaderName, HeaderText, HttpUrl, PageUrl, Positive, ProxyUrl, SecretText,
    Thinking, Word,
};
use crate::ir::Family;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Antigravity,
    Gemini,
    Vertex,
    #[serde(rename = "openai")]
    OpenAi,
    Anthropic,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Upstream {
    pub(crate) kind: Option<Kind>,
    pub(crate) base_urls: Option<Vec<HttpUrl>>,
    pub(crate) setup_urls: Option<Vec<HttpUrl>>,
    pub(crate) oauth: Option<OAuth>,
    pub(crate) headers: BTreeMap<HeaderName, HeaderText>,
    pub(crate) user_agent: Option<HeaderText>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) safety_settings: BTreeMap<String, Word>,
    pub(crate) web_search: Option<WebSearch>,
    pub(crate) proxy: Option<ProxyUrl>,
    pub(crate) connect_timeout: Option<Positive>,
    pub(crate) first_byte_timeout: Option<Positive>,
    pub(crate) idle_timeout: Option<Positive>,
    pub(crate) ca_file: Option<Word>,
    pub(crate) location: Option<Word>,
    pub(crate) discover: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebSearch {
    Drop,
    Google,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OAuth {
    pub(crate) client_id: Option<SecretText>,
    pub(crate) client_secret: Option<SecretText>,
    pub(crate) auth_url: Option<PageUrl>,
    pub(crate) token_url: Option<PageUrl>,
    pub(crate) userinfo_url: Option<PageUrl>,
    pub(crate) scopes: Option<Vec<Word>>,
    pub(crate) redirect_url: Option<PageUrl>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Account {
    pub(crate) upstream: Option<Word>,
    pub(crate) email: Option<Word>,
    pub(crate) refresh_token: Option<SecretText>,
    pub(crate) api_key: Option<SecretText>,
    pub(crate) service_account: Option<SecretText>,
    pub(crate) weight: Option<f64>,
    pub(crate) tier: Option<u32>,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) models: Option<Vec<Glob>>,
    pub(crate) project: Option<Word>,
    pub(crate) credits: Option<bool>,
    pub(crate) enabled: Option<bool>,
    pub(crate) tags: Option<Vec<Word>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    pub(crate) usd: f64,
    pub(crate) per: Period,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Period {
    Day,
    Month,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Group {
    pub(crate) rpm: Option<u32>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) budget: Option<Budget>,
    pub(crate) max_concurrent: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Key {
    pub(crate) name: Option<String>,
    pub(crate) group: Option<Word>,
    pub(crate) sha256: Option<Digest>,
    pub(crate) key: Option<SecretText>,
    pub(crate) models: Option<Vec<Glob>>,
    pub(crate) accounts: Option<Vec<Word>>,
    pub(crate) rpm: Option<u32>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
    pub(crate) budget: Option<Budget>,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) expires: Option<Date>,
    pub(crate) enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Model {
    pub(crate) route: Option<Vec<Word>>,
    pub(crate) aliases: Option<Vec<Word>>,
    pub(crate) strategy: Option<Strategy>,
    pub(crate) thinking: Option<Thinking>,
    pub(crate) family: Option<Family>,
    pub(crate) display_name: Option<String>,
    pub(crate) context: Option<u64>,
    pub(crate) max_output: Option<u32>,
    pub(crate) price: Option<Price>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Price {
    pub(crate) input: Option<f64>,
    pub(crate) output: Option<f64>,
    pub(crate) cached_input: Option<f64>,
}
