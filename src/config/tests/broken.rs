use std::fmt::Write as _;

use crate::config::diagnostic::Code::{self, *};
use crate::config::load_at;
use crate::config::render::{self, Style};
use crate::config::source::Position;
use crate::config::tests::{NOW, files, findings, loaded, overlaid};

/// A sound file with everything that the cases below refer to.
const SOUND: &str = r#"
[upstreams.up]
kind = "antigravity"
oauth = { client_id = "id", client_secret = { env = "S" } }
[upstreams.gem]
kind = "gemini"
[accounts.alice]
upstream = "up"
email = "alice@example.com"
refresh_token = { env = "T" }
tags = ["team"]
[groups.eng]
rpm = 5
[keys.ci]
key = { env = "K" }
[models.m]
route = ["up/model"]
aliases = ["other"]
"#;

/// One mistake each: `§` stands right before where it must be shown; then its code and its key.
pub(super) const CASES: &[(&str, Code, &str)] = &[
    // The file's form.
    ("§", Version, "version"),
    ("version = §2", Version, "version"),
    ("version = §\"1\"", Version, "version"),
    ("version = 1\nlisten §127", Syntax, ""),
    (
        "version = 1\n[server]\nlisten = 127.0§.0.1:8088",
        Syntax,
        "",
    ),
    (
        "version = 1\n[server]\nmax_body = \"1MiB\"\n§max_body = \"2MiB\"",
        DefinedTwice,
        "",
    ),
    ("version = 1\n[§sever]", UnknownKey, "sever"),
    ("version = 1\n§model = 5", UnknownKey, "model"),
    ("version = 1\nserver = §5", WrongType, "server"),
    ("version = 1\naccounts = §[]", WrongType, "accounts"),
    ("version = 1\naccounts.a = §5", WrongType, "accounts.a"),
    ("version = 1\ninclude = §\"x.toml\"", WrongType, "include"),
    ("version = 1\ninclude = [§5]", WrongType, "include[0]"),
    // [server] to [fetch].
    (
        "version = 1\n[server]\n§lisen = \"127.0.0.1:80\"",
        UnknownKey,
        "server.lisen",
    ),
    (
        "version = 1\n[server]\nlisten = \"127.0.0.1:80\"\nmetrics = { listen = §\"127.0.0.1:80\" }",
        Value,
        "server.metrics.listen",
    ),
    (
        "version = 1\n[server]\nlisten = §\"localhost\"",
        Value,
        "server.listen",
    ),
    (
        "version = 1\n[server]\nlisten = §8088",
        WrongType,
        "server.listen",
    ),
    (
        "version = 1\n[server]\nlisten = §\"127.0.0.1:70000\"",
        Value,
        "server.listen",
    ),
    (
        "version = 1\n[server]\nkeepalive = §\"0s\"",
        Value,
        "server.keepalive",
    ),
    (
        "version = 1\n[server]\nkeepalive = §15",
        WrongType,
        "server.keepalive",
    ),
    (
        "version = 1\n[server]\nmax_body = §\"32\"",
        Value,
        "server.max_body",
    ),
    (
        "version = 1\n[server]\nmax_body = §\"2GiB\"",
        Value,
        "server.max_body",
    ),
    (
        "version = 1\n[server]\nmax_connections = §-1",
        Value,
        "server.max_connections",
    ),
    (
        "version = 1\n[server]\nmax_connections = §0",
        Value,
        "server.max_connections",
    ),
    (
        "version = 1\n[server]\npublic_url = §\"ftp://x\"",
        Value,
        "server.public_url",
    ),
    (
        "version = 1\n[server]\ntrusted_proxies = [\"::1\", §\"10.0.0.0/40\"]",
        Value,
        "server.trusted_proxies[1]",
    ),
    (
        "version = 1\n[server]\ncors_origins = [§\"https://a.example/x\"]",
        Value,
        "server.cors_origins[0]",
    ),
    (
        "version = 1\n[server]\ntls = §{ cert = \"a\" }",
        Missing,
        "server.tls.key",
    ),
    (
        "version = 1\n[log]\nformat = §\"jsno\"",
        UnknownChoice,
        "log.format",
    ),
    (
        "version = 1\n[log]\nlevel = §\"info,x=y=z\"",
        Value,
        "log.level",
    ),
    (
        "version = 1\n[admin]\ntime_zone = §\"Europe/Berln\"",
        Value,
        "admin.time_zone",
    ),
    (
        "version = 1\n[admin]\npassword_hash = §\"$2y$10$abc\"",
        Value,
        "admin.password_hash",
    ),
    (
        "version = 1\n[admin]\njwt_secret = §{ evn = \"X\" }",
        Value,
        "admin.jwt_secret",
    ),
    (
        "version = 1\n[admin]\nenabled = §\"yes\"",
        WrongType,
        "admin.enabled",
    ),
    (
        "version = 1\n[admin.tokens.t]\nrole = \"read\"\nsha256 = §\"abc\"",
        Value,
        "admin.tokens.t.sha256",
    ),
    (
        "version = 1\n[state]\nhistory = §1.5",
        WrongType,
        "state.history",
    ),
    (
        "version = 1\n[secrets]\nidentity = §\"id.txt\"",
        WrongType,
        "secrets.identity",
    ),
    (
        "version = 1\n[secrets]\nrecipients = [§\"age1x\"]",
        Value,
        "secrets.recipients[0]",
    ),
    (
        "version = 1\n[secrets]\nrecipients = [§\"AGE-SECRET-KEY-1MADEUP\"]",
        Value,
        "secrets.recipients[0]",
    ),
    (
        "version = 1\n[secrets]\nrecipients = [\"age1kw4zrn0hnx6edwm83ymj5zhhmpf3atk4zd5g33qr2q0ucy7s4elqxvh47f\", §\"age1kw4zrn0hnx6edwm83ymj5zhhmpf3atk4zd5g33qr2q0ucy7s4elqxvh47f\"]",
        Duplicate,
        "secrets.recipients[1]",
    ),
    (
        "version = 1\n[routing]\nmax_attempts = §0",
        Value,
        "routing.max_attempts",
    ),
    (
        "version = 1\n[routing]\nstrategy = §\"round-robin\"",
        UnknownChoice,
        "routing.strategy",
    ),
    (
        "version = 1\n[routing]\nmax_cooldown = §\"1s\"",
        Value,
        "routing.max_cooldown",
    ),
    (
        "version = 1\n[routing]\ndefault_model = §\"none\"\nSOUND",
        Reference,
        "routing.default_model",
    ),
    (
        "version = 1\n[openai]\nthinking_output = §\"tag\"",
        UnknownChoice,
        "openai.thinking_output",
    ),
    (
        "version = 1\n[fetch]\nmax_per_request = §0",
        Value,
        "fetch.max_per_request",
    ),
    // Upstreams.
    ("version = 1\n[upstreams.§u]", Missing, "upstreams.u.kind"),
    (
        "version = 1\n[upstreams.u]\nkind = §\"antigrav\"",
        UnknownChoice,
        "upstreams.u.kind",
    ),
    (
        "version = 1\n[upstreams.§u]\nkind = \"antigravity\"",
        Missing,
        "upstreams.u.oauth",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"antigravity\"\noauth = §{ client_id = \"x\" }",
        Missing,
        "upstreams.u.oauth.client_secret",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nbase_urls = §[]",
        Value,
        "upstreams.u.base_urls",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nbase_urls = [\"https://ok.example\", §\"https://u:p@x.example\"]",
        Value,
        "upstreams.u.base_urls[1]",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nproxy = §\"ftp://x\"",
        Value,
        "upstreams.u.proxy",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nheaders = { §\"bad name\" = \"x\" }",
        Value,
        "upstreams.u.headers.\"bad name\"",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nheaders = { x-a = §\"a\\nb\" }",
        Value,
        "upstreams.u.headers.x-a",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"gemini\"\nidle_timeout = §\"0s\"",
        Value,
        "upstreams.u.idle_timeout",
    ),
    (
        "version = 1\n[upstreams.§\"a/b\"]\nkind = \"gemini\"",
        Name,
        "upstreams.\"a/b\"",
    ),
    (
        "version = 1\n[upstreams.u]\nkind = \"antigravity\"\n[upstreams.u.oauth]\nclient_id = \"x\"\nclient_secret = { env = \"X\" }\nredirect_url = §\"http://example.com/cb\"",
        Value,
        "upstreams.u.oauth.redirect_url",
    ),
    // Accounts.
    (
        "version = 1\n[accounts.a]\nupstream = §\"upp\"\nrefresh_token = { env = \"X\" }\nSOUND",
        Reference,
        "accounts.a.upstream",
    ),
    (
        "version = 1\n[accounts.§a]\nrefresh_token = { env = \"X\" }",
        Missing,
        "accounts.a.upstream",
    ),
    (
        "version = 1\n[accounts.§a]\nupstream = \"up\"\nSOUND",
        Missing,
        "accounts.a.refresh_token",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\napi_key = §{ env = \"X\" }\nSOUND",
        Credential,
        "accounts.a.api_key",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"gem\"\napi_key = { env = \"X\" }\nrefresh_token = §{ env = \"X\" }\nSOUND",
        Credential,
        "accounts.a.refresh_token",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\nrefresh_token = { env = \"X\" }\nweight = §-1.0\nSOUND",
        Value,
        "accounts.a.weight",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\nrefresh_token = { env = \"X\" }\nweight = §nan\nSOUND",
        Value,
        "accounts.a.weight",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\nrefresh_token = { env = \"X\" }\ntier = §4294967296\nSOUND",
        Value,
        "accounts.a.tier",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\nrefresh_token = §{ sealed = \"agp1:!\" }\nSOUND",
        Value,
        "accounts.a.refresh_token",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"up\"\nrefresh_token = §\"\"\nSOUND",
        Value,
        "accounts.a.refresh_token",
    ),
    (
        "version = 1\nSOUND[accounts.bob]\nupstream = \"up\"\nrefresh_token = { env = \"X\" }\nemail = §\"Alice@Example.com\"",
        Duplicate,
        "accounts.bob.email",
    ),
    (
        "version = 1\n[accounts.a]\nupstream = \"gem\"\napi_key = { env = \"X\" }\ncredits = §true\nSOUND",
        Value,
        "accounts.a.credits",
    ),
    // Keys and groups.
    ("version = 1\n[keys.§k]", Missing, "keys.k.sha256"),
    (
        "version = 1\n[keys.k]\nsha256 = §\"xyz\"",
        Value,
        "keys.k.sha256",
    ),
    (
        "version = 1\n[keys.k]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nkey = §{ env = \"X\" }",
        Conflict,
        "keys.k.key",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\ngroup = §\"enq\"\nSOUND",
        Reference,
        "keys.k.group",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\naccounts = [\"alice\", §\"alic\"]\nSOUND",
        Reference,
        "keys.k.accounts[1]",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\naccounts = [§\"tag:teem\"]\nSOUND",
        Reference,
        "keys.k.accounts[0]",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nexpires = §\"2027-01-01\"",
        WrongType,
        "keys.k.expires",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nexpires = §2027-01-01T10:00:00Z",
        Value,
        "keys.k.expires",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nrpm = §0",
        Value,
        "keys.k.rpm",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nbudget = { usd = §0, per = \"day\" }",
        Value,
        "keys.k.budget.usd",
    ),
    (
        "version = 1\n[groups.g]\nbudget = { usd = 1, per = §\"week\" }",
        UnknownChoice,
        "groups.g.budget.per",
    ),
    // Models.
    ("version = 1\n[models.§n]", Missing, "models.n.route"),
    (
        "version = 1\n[models.n]\nroute = §[]",
        Value,
        "models.n.route",
    ),
    (
        "version = 1\n[models.n]\nroute = [§\"model\"]",
        Value,
        "models.n.route[0]",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\", §\"upp/x\"]\nSOUND",
        Reference,
        "models.n.route[1]",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\naliases = [§\"m\"]\nSOUND",
        Shadowed,
        "models.n.aliases[0]",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\naliases = [§\"other\"]\nSOUND",
        Duplicate,
        "models.n.aliases[0]",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nthinking = §\"on\"\nSOUND",
        Value,
        "models.n.thinking",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nthinking = { budget = §\"8k\" }\nSOUND",
        WrongType,
        "models.n.thinking.budget",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nthinking = { level = §\"hi\" }\nSOUND",
        UnknownChoice,
        "models.n.thinking.level",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nfamily = §\"gemini4\"\nSOUND",
        UnknownChoice,
        "models.n.family",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nmax_output = §0\nSOUND",
        Value,
        "models.n.max_output",
    ),
    (
        "version = 1\n[models.n]\nroute = [\"up/x\"]\nprice = §{ input = 1.0 }\nSOUND",
        Missing,
        "models.n.price.output",
    ),
    // Warnings.
    (
        "version = 1\n[accounts.a]\nupstream = \"gem\"\napi_key = §\"sk-in-clear-in-the-file\"\nSOUND",
        PlainSecret,
        "accounts.a.api_key",
    ),
    (
        "version = 1\n[models.n]\nroute = §[\"gem/x\"]\nSOUND",
        NoAccount,
        "models.n.route",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nmodels = §[\"M\", \"n*\"]\nSOUND",
        UselessKey,
        "keys.k.models",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\naccounts = §[\"off\"]\nSOUND[accounts.off]\nupstream = \"up\"\nrefresh_token = { env = \"O\" }\nenabled = false",
        UselessKey,
        "keys.k.accounts",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\naccounts = §[\"gemma\"]\nSOUND[accounts.gemma]\nupstream = \"gem\"\napi_key = { env = \"O\" }",
        UselessKey,
        "keys.k.accounts",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nbudget = §{ usd = 5, per = \"day\" }\nSOUND",
        Unpriced,
        "keys.k.budget",
    ),
    (
        "version = 1\n[groups.g]\nbudget = { usd = 5, per = \"day\" }\n[keys.k]\nkey = { env = \"X\" }\ngroup = §\"g\"\nSOUND",
        Unpriced,
        "keys.k.group",
    ),
    (
        "version = 1\n[keys.k]\nkey = { env = \"X\" }\nexpires = §1969-12-31",
        Expired,
        "keys.k.expires",
    ),
    (
        "version = 1\n[admin]\npassword = §{ env = \"X\" }\npassword_hash = \"$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5Vvn3l31oM4kCl3OTC1y9kT4HhDqQb6K0wXXR1o5T4w\"",
        Conflict,
        "admin.password",
    ),
    (
        "version = 1\n[server]\nlisten = §\"0.0.0.0:8088\"",
        Unguarded,
        "server.listen",
    ),
    (
        "version = 1\n[admin]\nlisten = §\"192.0.2.7:8089\"",
        Unguarded,
        "admin.listen",
    ),
];

/// What one case must report, and its text.
pub(super) fn case(marked: &str) -> (String, Position) {
    let marked = marked.replace("SOUND", SOUND);
    let before = &marked[..marked.find('§').unwrap()];
    let position = Position {
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().unwrap().chars().count() + 1,
    };
    (marked.replace('§', ""), position)
}

#[test]
fn the_sound_file_is_sound() {
    let loaded = loaded(&format!("version = 1\n{SOUND}"));
    assert!(findings(&loaded).is_empty(), "{:#?}", findings(&loaded));
    assert!(loaded.config.is_some());
}

#[test]
fn each_mistake_is_shown_alone_in_its_place() {
    assert!(CASES.len() >= 60);
    let mut wrong = Vec::new();
    for (marked, code, key) in CASES {
        let (text, position) = case(marked);
        let files = files(&text);
        let loaded = load_at(&files, std::iter::empty(), NOW);
        let found: Vec<_> = findings(&loaded)
            .into_iter()
            .map(|d| {
                let at = d.span.as_ref().map(|s| files.position(s));
                (d.code, at, d.key.clone())
            })
            .collect();
        let wanted = vec![(*code, Some(position), (*key).to_owned())];
        if found != wanted {
            wrong.push(format!("{marked}\n  wanted {wanted:?}\n  found  {found:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What each case shows, one after the other, in the same order: code, place, line, hint.
#[test]
fn each_mistake_looks_as_it_did() {
    let mut shown = String::new();
    for (marked, code, key) in CASES {
        let (text, _) = case(marked);
        let files = files(&text);
        let mut loaded = load_at(&files, std::iter::empty(), NOW);
        for d in findings(&loaded) {
            assert!(d.help.is_some(), "no help: {d:#?}");
        }
        // Which keys wait is another matter, and changes.
        loaded.diagnostics.forget(NotInEffect);
        let human = render::human(&files, &loaded.diagnostics, Style::Plain);
        let heading = format!("## {code} {key}");
        let _ = writeln!(shown, "{}\n{human}", heading.trim_end());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/broken.txt");
    if std::env::var_os("AGP_BLESS").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap();
    let first = shown.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    assert!(
        shown == wanted,
        "{first:?}: look at `git diff tests/config/broken.txt` after `AGP_BLESS=1 cargo test --lib looks_as_it_did`"
    );
}

#[test]
fn an_error_leaves_no_config_and_a_warning_does() {
    for (marked, code, _) in CASES {
        let (text, _) = case(marked);
        let is_error = code.severity() == crate::config::diagnostic::Severity::Error;
        assert_eq!(loaded(&text).config.is_none(), is_error, "{marked}");
    }
}

#[test]
fn a_misspelt_key_is_not_missing_besides() {
    for (text, key) in [
        (
            "[accounts.a]\nupstrem = \"u\"\nrefresh_token = { env = \"A\" }\n",
            "accounts.a.upstrem",
        ),
        (
            "[accounts.a]\nupstream = \"u\"\nrefresh_tokn = { env = \"A\" }\n",
            "accounts.a.refresh_tokn",
        ),
        ("[keys.k]\nsha265 = \"00\"\n", "keys.k.sha265"),
        ("[models.m]\nrouet = [\"u/m\"]\n", "models.m.rouet"),
        (
            "[server]\ntls = { crt = \"a\", key = \"b\" }\n",
            "server.tls.crt",
        ),
    ] {
        let loaded = loaded(&format!(
            "version = 1\n[upstreams.u]\nkind = \"antigravity\"\noauth = {{ client_id = \"x\", client_secret = {{ env = \"S\" }} }}\n{text}"
        ));
        let found = findings(&loaded);
        let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
        assert_eq!(keys, [key]);
        assert!(loaded.config.is_none());
    }
}

#[test]
fn twenty_mistakes_are_twenty_findings() {
    let text = r#"
version = 2
[server]
lisen = "x"
listen = "nowhere"
keepalive = 5
max_body = "big"
max_connections = 0
drain_delay = "soon"
[log]
format = "xml"
colour = true
[routing]
strategy = "best"
max_attempts = 0
queue_timeout = "60"
[accounts.a]
upstream = "none"
weight = "heavy"
tier = -1
refresh_token = { evn = "X" }
[keys.k]
sha256 = "short"
acounts = []
accounts = ["nobody"]
[models.m]
route = ["x"]
thinking = "maybe"
"#;
    let loaded = loaded(text);
    let found = findings(&loaded);
    let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "version",
            "server.lisen",
            "server.listen",
            "server.keepalive",
            "server.max_body",
            "server.max_connections",
            "server.drain_delay",
            "log.format",
            "log.colour",
            "routing.strategy",
            "routing.max_attempts",
            "routing.queue_timeout",
            "accounts.a.upstream",
            "accounts.a.weight",
            "accounts.a.tier",
            "accounts.a.refresh_token",
            "keys.k.sha256",
            "keys.k.acounts",
            "keys.k.accounts[0]",
            "models.m.route[0]",
            "models.m.thinking",
        ]
    );
}

#[test]
fn suggestions_name_what_was_meant() {
    for (text, help) in [
        ("version = 1\n[server]\nlisen = 1", "did you mean `listen`?"),
        ("version = 1\n[routng]\n", "did you mean `routing`?"),
        (
            "version = 1\n[routing]\nstrategy = \"roundrobin\"",
            "did you mean `round_robin`?",
        ),
        (
            "version = 1\n[accounts.a]\nupstream = \"u\"\nrefresh_tokn = \"x\"\n[upstreams.u]\nkind = \"gemini\"",
            "did you mean `refresh_token`?",
        ),
        (
            "version = 1\n[accounts.a]\nupstream = \"gemin\"\n[upstreams.gemini]\nkind = \"gemini\"",
            "did you mean `gemini`?",
        ),
    ] {
        let loaded = loaded(text);
        let helps: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter_map(|d| d.help.as_deref())
            .collect();
        assert!(helps.contains(&help), "{text}: {helps:?}");
    }
}

#[test]
fn what_does_not_parse_casts_no_shadow() {
    // The missing quote may hide keys: nothing is said to be missing or unknown for it.
    let text = "version = 1\n[upstreams.u]\nkind = \"gemini\n[accounts.a]\nupstream = \"u\"\nweight = \"x\"\n";
    let loaded = loaded(text);
    let keys: Vec<_> = findings(&loaded)
        .iter()
        .map(|d| (d.code, d.key.as_str()))
        .collect();
    assert_eq!(keys, [(Syntax, ""), (WrongType, "accounts.a.weight")]);
}

#[test]
fn a_list_that_is_not_closed_is_one_finding() {
    let text = "version = 1\n[keys.k]\nmodels = [\"a\"\nname = \"x\"\n[keys.l]\nname = \"y\"\n";
    let loaded = loaded(text);
    assert_eq!(findings(&loaded).len(), 1, "{:#?}", findings(&loaded));
}

#[test]
fn two_keys_are_not_one() {
    let digest = "00".repeat(32);
    let text =
        format!("version = 1\n[keys.a]\nsha256 = \"{digest}\"\n[keys.b]\nsha256 = \"{digest}\"\n");
    let loaded = loaded(&text);
    let [found] = findings(&loaded)[..] else {
        panic!("{:#?}", findings(&loaded));
    };
    assert_eq!(
        (found.code, found.key.as_str()),
        (Duplicate, "keys.b.sha256")
    );
    assert_eq!(found.labels.len(), 1);
}

#[test]
fn variables_are_judged_like_the_file() {
    for (name, value, code, key) in [
        ("AGP__SERVER__KEEPALIVE", "0s", Value, "server.keepalive"),
        (
            "AGP__SERVER__MAX_CONNECTIONS",
            "many",
            WrongType,
            "server.max_connections",
        ),
        (
            "AGP__ROUTING__STRATEGY",
            "best",
            UnknownChoice,
            "routing.strategy",
        ),
        (
            "AGP__ROUTING__STRATGY",
            "random",
            Overlay,
            "routing.stratgy",
        ),
        (
            "AGP__ROUTNG__STRATEGY",
            "random",
            Overlay,
            "routng.strategy",
        ),
        ("AGP__ACCOUNTS__A", "x", Overlay, "accounts.a"),
        ("AGP__SERVER", "x", Overlay, "server"),
        ("AGP__LOG__LEVEL__X", "x", Overlay, "log.level.x"),
    ] {
        let loaded = overlaid("version = 1\n[log]\nlevel = \"info\"\n", &[(name, value)]);
        let [found] = findings(&loaded)[..] else {
            panic!("{name}: {:#?}", findings(&loaded));
        };
        assert_eq!((found.code, found.key.as_str()), (code, key), "{name}");
        assert!(found.message.contains(name), "{}", found.message);
    }
}
