//! The original's variables: original.md, section 12.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::units::show_duration;
use crate::config::import::Cx;
use crate::config::import::common::{ClientKey, secret};
use crate::config::import::draft::{Credential, Upstream, Value};
use crate::config::import::names::fits;
use crate::config::value::Word;
use crate::config::weak;

/// Where agp listens unless it is told otherwise; the original too, by its README.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8088);
/// Where the original kept its database unless it was told otherwise, in a container too.
const DB_PATHS: [&str; 4] = [
    "../data/database.sqlite",
    "./data/database.sqlite",
    "data/database.sqlite",
    "/app/data/database.sqlite",
];
/// Longest time that a variable may say: anything beyond is a mistake.
const LONGEST: Duration = Duration::from_hours(24 * 365);

const BUILD: &str = "it was for building the original only";
const FIXED: &str = "agp needs no such setting: it follows the upstream's protocol";
const OTHERWISE: &str = "agp's pool decides this by what the upstream says (docs/pool.md)";
const LIMITER: &str = "agp passes tool results on whole";
const DEBUG: &str = "no equal; `log.level` and `state.log_bodies` are near";

/// Those that agp has no key for, and why. A `*` at the end stands for any rest.
const DROPPED: &[(&str, &str)] = &[
    ("NPM_REGISTRY", BUILD),
    ("AGP_FORCE_BUILD", BUILD),
    ("AGP_SKIP_INSTALL", BUILD),
    ("AGP_SKIP_BUILD", BUILD),
    (
        "LOG_MAX_CHARS",
        "agp prints no bodies; `state.log_bodies` decides whether they are kept",
    ),
    ("UPSTREAM_CAPACITY_RETRY_DELAY_MS", OTHERWISE),
    ("SAME_ACCOUNT_RETRIES", OTHERWISE),
    ("SAME_ACCOUNT_RETRY_DELAY_MS", OTHERWISE),
    ("SAME_ACCOUNT_RETRIES_DELAY_MS", OTHERWISE),
    ("ERROR_COUNT_TO_DISABLE", OTHERWISE),
    ("TOOL_RESULT_*", LIMITER),
    (
        "MAX_OUTPUT_TOKENS_WITH_TOOLS",
        "no equal; `models.*.max_output` is near",
    ),
    ("CLAUDE_*", FIXED),
    ("TOOL_THOUGHT_SIGNATURE_*", FIXED),
    ("ANTHROPIC_SSE_*", FIXED),
    ("UPSTREAM_REQUEST_CAPTURE*", DEBUG),
    ("UPSTREAM_SSE_CAPTURE*", DEBUG),
    ("DEBUG_*", DEBUG),
];

/// The variables that were not looked at yet.
struct Vars(Vec<(String, Zeroizing<String>)>);

impl Vars {
    /// A variable's value; an empty one counts as not set.
    fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        let value = self.0.remove(at).1;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned()))
    }

    fn number(&mut self, cx: &mut Cx<'_>, name: &str, most: u64) -> Option<u64> {
        let text = self.take(name)?;
        let number = text.parse().ok().filter(|number| *number <= most);
        if number.is_none() {
            let why = format!("expected a whole number up to {most}");
            cx.report.dropped(name, why);
        }
        number
    }

    fn millis(&mut self, cx: &mut Cx<'_>, name: &str) -> Option<Duration> {
        let most = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
        self.number(cx, name, most).map(Duration::from_millis)
    }

    fn truth(&mut self, name: &str) -> bool {
        self.take(name).is_some_and(|text| {
            matches!(
                text.to_ascii_lowercase().as_str(),
                "1" | "true" | "yes" | "on"
            )
        })
    }
}

/// Maps each variable to its key, or tells that there is none.
pub(super) fn map(
    cx: &mut Cx<'_>,
    upstream: &mut Upstream,
    values: Vec<(String, Zeroizing<String>)>,
) {
    let mut vars = Vars(values);
    network(cx, upstream, &mut vars);
    admin(cx, &mut vars);
    routing(cx, &mut vars);
    if let Some(text) = vars.take("OPENAI_THINKING_OUTPUT") {
        match text.as_str() {
            "reasoning_content" => {}
            "tags" | "both" => {
                let value = Value::text(text.as_str());
                cx.draft.set("openai", "thinking_output", value);
            }
            _ => cx.report.dropped(
                "OPENAI_THINKING_OUTPUT",
                "expected `reasoning_content`, `tags` or `both`",
            ),
        }
    }
    if let Some(text) = vars.take("API_KEY") {
        cx.client_key(ClientKey {
            what: "API_KEY",
            wanted: "api-key",
            title: None,
            text: &text,
            enabled: true,
        });
    }
    for (name, value) in vars.0 {
        if !value.trim().is_empty() {
            let known = DROPPED
                .iter()
                .find(|(pattern, _)| match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == *pattern,
                });
            let why = known.map_or("not a variable of the original that is known here", |k| k.1);
            cx.report.dropped(name, why);
        }
    }
}

fn network(cx: &mut Cx<'_>, upstream: &mut Upstream, vars: &mut Vars) {
    let host = vars.take("HOST");
    let port = vars.number(cx, "PORT", u64::from(u16::MAX));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let host = host.as_ref().map_or("127.0.0.1", |host| host.as_str());
    cx.listen("HOST", host, port.unwrap_or(LISTEN.port()), LISTEN);

    for name in ["OUTBOUND_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        if let Some(text) = vars.take(name) {
            if upstream.proxy.is_some() {
                let why = "another variable for the proxy comes before it";
                cx.report.dropped(name, why);
            } else {
                upstream.proxy = cx.proxy(name, &text);
            }
        }
    }
    if let Some(timeout) = vars.millis(cx, "FETCH_CONNECT_TIMEOUT_MS")
        && timeout != Duration::from_secs(30)
        && !timeout.is_zero()
    {
        upstream.connect_timeout = Some(show_duration(timeout));
    }
    if let Some(text) = vars.take("DB_PATH")
        && !DB_PATHS.contains(&text.as_str())
    {
        // A relative one began in a folder below the project's, where agp.toml stands.
        let path = Path::new(text.strip_prefix("../").unwrap_or(&text));
        let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
        match folder {
            "" | "." | "data" => {}
            folder if !fits::<Word>(folder) => {
                cx.report
                    .dropped("DB_PATH", "not a path that can stand in the file");
            }
            folder => {
                cx.draft.set("state", "path", Value::text(folder));
                cx.report.changed(
                    "DB_PATH",
                    "`state.path` is a folder, in which agp keeps stores of its own",
                );
            }
        }
    }
}

fn admin(cx: &mut Cx<'_>, vars: &mut Vars) {
    if let Some(text) = vars.take("ADMIN_PASSWORD") {
        cx.admin_password("ADMIN_PASSWORD", &text);
    }
    if let Some(text) = vars.take("JWT_SECRET") {
        match (weak::signing_secret(&text), secret(&text)) {
            (None, Some(secret)) => {
                let value = Value::Secret(Credential::Own(secret));
                cx.draft.set("admin", "jwt_secret", value);
            }
            (why, _) => {
                let why = why.unwrap_or_default();
                let why = format!("{why}; without one agp makes its own");
                cx.report.dropped("JWT_SECRET", why);
            }
        }
    }
    if vars.truth("ADMIN_PASSWORD_BEARER_COMPAT") {
        cx.report.dropped(
            "ADMIN_PASSWORD_BEARER_COMPAT",
            "the password is no bearer token unless `admin.password_as_bearer` is set; scripts have `[admin.tokens]`",
        );
    }
    if let Some(text) = vars.take("DASHBOARD_TZ_OFFSET_MINUTES") {
        match text.parse::<i32>() {
            Ok(0) => {}
            Ok(minutes) if minutes.abs() <= 18 * 60 => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
                let zone = format!("{sign}{hours:02}:{rest:02}");
                cx.draft.set("admin", "time_zone", Value::Text(zone));
            }
            _ => cx.report.dropped(
                "DASHBOARD_TZ_OFFSET_MINUTES",
                "expected minutes, at most 18 hours of them",
            ),
        }
    }
}

fn routing(cx: &mut Cx<'_>, vars: &mut Vars) {
    let limits = [
        (
            "MAX_CONCURRENT_PER_ACCOUNT",
            "max_concurrent_per_account",
            1,
        ),
        ("MAX_CONCURRENT_PER_MODEL", "max_concurrent_per_model", 3),
    ];
    let none = vars.truth("DISABLE_LOCAL_LIMITS");
    for (name, key, default) in limits {
        let given = vars.number(cx, name, u64::from(u32::MAX));
        let limit = if none { Some(0) } else { given };
        if let Some(limit) = limit.filter(|limit| *limit != default) {
            cx.draft.set("routing", key, Value::Int(limit));
        }
    }
    let (first, most) = (Duration::from_secs(3), Duration::from_mins(2));
    let own = vars.millis(cx, "CAPACITY_COOLDOWN_DEFAULT_MS");
    let bound = vars.millis(cx, "CAPACITY_COOLDOWN_MAX_MS");
    let own = own.unwrap_or(first);
    let bound = bound.unwrap_or(most).max(own);
    for (key, value, default) in [
        ("capacity_cooldown", own, first),
        ("max_cooldown", bound, most),
    ] {
        if value != default {
            let value = Value::Text(show_duration(value));
            cx.draft.set("routing", key, value);
        }
    }
    if let Some(retries) = vars.number(cx, "UPSTREAM_CAPACITY_RETRIES", 1000)
        && retries != 2
    {
        cx.draft.set_attempts(retries + 1);
        cx.report.changed(
            "UPSTREAM_CAPACITY_RETRIES",
            "`routing.max_attempts` counts all calls for a request, the first one too",
        );
    }
    if let Some(time) = vars.millis(cx, "RETRY_TOTAL_TIMEOUT_MS")
        && time != Duration::from_secs(30)
    {
        let value = Value::Text(show_duration(time));
        cx.draft.set("routing", "retry_within", value);
    }
}
