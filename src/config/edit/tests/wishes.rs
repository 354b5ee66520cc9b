//! What people ask for by name: every setting, secrets in their forms, tables with all that mentions them, several things
//! at once.

use super::*;

const BASE: &str =
    "version = 1\n\n[upstreams.u]\nkind = \"openai\"\nbase_urls = [\"https://example.invalid\"]\n";

fn after(text: &str, intents: &[Intent]) -> Result<String, Refused> {
    let whole = file(&format!("{BASE}{text}"));
    let edited = done(&whole, intents)?;
    let root = edited.files.root().unwrap();
    Ok(root.text.strip_prefix(BASE).unwrap().to_owned())
}

/// A value for each setting that stands alone.
const SETTINGS: &[(&str, &str)] = &[
    ("server.listen", "'127.0.0.1:9000'"),
    ("server.public_url", "'http://localhost:9000'"),
    ("server.max_body", "'16MiB'"),
    ("server.max_buffered", "'2GiB'"),
    ("server.max_connections", "500"),
    ("server.header_timeout", "'5s'"),
    ("server.keepalive", "'20s'"),
    ("server.stream_commit_after", "'5s'"),
    ("server.drain_delay", "'1s'"),
    ("server.drain_timeout", "'10s'"),
    ("server.cors_origins", "['https://a.invalid']"),
    ("server.trusted_proxies", "['10.0.0.0/8']"),
    ("server.tls", "{ cert = 'c', key = 'k' }"),
    ("server.metrics", "{ listen = '127.0.0.1:9464' }"),
    ("log.level", "'debug'"),
    ("log.format", "'json'"),
    ("admin.enabled", "false"),
    ("admin.listen", "'127.0.0.1:8089'"),
    ("admin.password", "{ env = 'PASSWORD' }"),
    ("admin.session_ttl", "'1h'"),
    ("admin.remember_ttl", "'1d'"),
    ("admin.jwt_secret", "{ file = 'jwt' }"),
    ("admin.password_as_bearer", "true"),
    ("admin.write_back", "false"),
    ("admin.patch_prefix", "'deploy'"),
    ("admin.time_zone", "'+08:00'"),
    ("state.path", "'other'"),
    ("state.log_retention", "'7d'"),
    ("state.log_max_rows", "1_000"),
    ("state.log_max_size", "'1GiB'"),
    ("state.log_bodies", "'errors'"),
    ("state.log_bodies_retention", "'1d'"),
    ("state.orphan_retention", "'10d'"),
    ("state.history", "10"),
    ("state.store_responses", "true"),
    ("secrets.identity", "{ file = 'identity.txt' }"),
    ("secrets.recipients", "[]"),
    ("routing.strategy", "'least_busy'"),
    ("routing.affinity", "'none'"),
    ("routing.max_concurrent_per_account", "4"),
    ("routing.max_concurrent_per_model", "5"),
    ("routing.queue_timeout", "'30s'"),
    ("routing.max_queue", "10"),
    ("routing.capacity_cooldown", "'1s'"),
    ("routing.max_cooldown", "'1m'"),
    ("routing.max_attempts", "2"),
    ("routing.retry_within", "'10s'"),
    ("routing.total_timeout", "'5m'"),
    ("routing.quota_refresh", "'5m'"),
    ("openai.thinking_output", "'tags'"),
    ("fetch.enabled", "false"),
    ("fetch.max_size", "'1MiB'"),
    ("fetch.timeout", "'5s'"),
    ("fetch.max_per_request", "2"),
    ("fetch.allow", "['10.0.0.1']"),
];

#[test]
fn every_setting_is_set_and_taken_back() {
    let first = file(BASE);
    let mut all = first.clone();
    for (path, value) in SETTINGS {
        let edited = match done(&first, &[set(path, value)]) {
            Ok(edited) => edited,
            Err(refused) => panic!("{path}: {refused}"),
        };
        let (section, key) = path.split_once('.').unwrap();
        let text = &edited.changes[0].after;
        assert!(
            text.contains(&format!("[{section}]\n{key} = {value}\n")),
            "{text}"
        );
        // The table that was made for it stays, as it does where people take a line out.
        let back = done(&edited.files, &[remove(path)]).unwrap();
        let back = &back.changes[0].after;
        assert_eq!(back.replacen(&format!("[{section}]\n\n"), "", 1), BASE);
        all = done(&all, &[set(path, value)]).unwrap().files;
    }
    for (path, value) in SETTINGS {
        assert!(done(&all, &[set(path, value)]).unwrap().changes.is_empty());
        all = done(&all, &[remove(path)]).unwrap().files;
    }
}

#[test]
fn a_secret_takes_each_of_its_forms_whatever_it_had() {
    let sealed = "{ sealed = \"agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\" }";
    for line in [
        "api_key = 'planted'",
        "api_key = { env = 'A' }",
        "api_key = {env='A'}",
        "api_key.env = \"A\"",
        "api_key = { file = 'a' }",
    ] {
        let text = format!("\n[accounts.a]\nupstream = \"u\"\n{line} # hers\ntier = 2\n");
        let path = ["accounts", "a", "api_key"];
        let now = after(
            &text,
            &[Intent::set(
                path,
                Literal::sealed("agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg=="),
            )],
        )
        .unwrap();
        assert!(
            now.contains("agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==") && now.contains("tier = 2\n"),
            "{now}"
        );
        assert_eq!(now.lines().count(), text.lines().count(), "{now}");
        let back = after(&now, &[Intent::set(path, Literal::env("B"))]).unwrap();
        assert!(!back.contains("sealed") && back.contains("\"B\""), "{back}");
        let plain = after(&back, &[Intent::set(path, Literal::file("/run/a"))]).unwrap();
        assert!(plain.contains("file"), "{plain}");
    }
    let new = Intent::Add {
        section: Section::Accounts,
        name: "b".to_owned(),
        values: vec![
            ("upstream".to_owned(), "u".into()),
            (
                "api_key".to_owned(),
                Literal::sealed("agp1:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg=="),
            ),
        ],
    };
    let now = after("", &[new]).unwrap();
    assert_eq!(
        now,
        format!("\n[accounts.b]\nupstream = \"u\"\napi_key = {sealed}\n")
    );
}

const TEAM: &str = r#"
[accounts.a]
upstream = "u"
api_key = { env = "A" }

[accounts.b]
upstream = "u"
api_key = { env = "B" }

[groups.g]
rpm = 5

[keys.one]
key = { env = "ONE" }
group = "g" # theirs
accounts = ["a", "b"]
models = ["m", "n"]

[keys.two]
key = { env = "TWO" }
accounts = ["b"]

[models.m]
route = ["u/m"]
[models.n]
route = ["u/n"]

[routing]
default_model = "m"
"#;

#[test]
fn what_goes_is_forgotten_by_those_who_mention_it() {
    let told = |refused: Refused| match refused {
        Refused::Invalid { diagnostics, .. } => {
            let errors = diagnostics
                .iter()
                .filter(|d| d.severity == crate::config::diagnostic::Severity::Error);
            errors.map(|d| d.key.clone()).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let a = TEAM.find("\n[accounts.b]").unwrap();
    let without_a = TEAM[a..].replace("\"a\", ", "");
    assert!(
        told(after(TEAM, &[delete(Section::Accounts, "a")]).unwrap_err())
            .contains("keys.one.accounts")
    );
    assert_eq!(
        after(TEAM, &[purge(Section::Accounts, "a")]).unwrap(),
        without_a
    );
    // A key is never opened to every account by the last one going.
    assert!(
        told(after(TEAM, &[purge(Section::Accounts, "b")]).unwrap_err())
            .contains("keys.two.accounts")
    );
    assert!(
        after(
            TEAM,
            &[delete(Section::Keys, "two"), purge(Section::Accounts, "b")]
        )
        .is_ok()
    );
    assert_eq!(
        after(TEAM, &[purge(Section::Groups, "g")]).unwrap(),
        TEAM.replace("[groups.g]\nrpm = 5\n\n", "")
            .replace("group = \"g\" # theirs\n", "")
    );
    assert_eq!(
        after(TEAM, &[purge(Section::Models, "m")]).unwrap(),
        TEAM.replace("[models.m]\nroute = [\"u/m\"]\n", "")
            .replace("\"m\", ", "")
            .replace("default_model = \"m\"\n", "")
    );
    assert!(after(TEAM, &[purge(Section::Upstreams, "u")]).is_err());
}

#[test]
fn several_things_are_done_at_once_or_none() {
    let move_all = [
        add(
            Section::Upstreams,
            "v",
            &[("kind", "'openai'"), ("base_urls", "['https://v.invalid']")],
        ),
        set("accounts.a.upstream", "'v'"),
        set("accounts.b.upstream", "'v'"),
        set("models.m.route", "['v/m']"),
        set("models.n.route", "['v/n', 'u/n']"),
        purge(Section::Upstreams, "u"),
        rename(Section::Upstreams, "v", "u"),
        Intent::switch(Section::Accounts, "b", false),
        remove("keys.one.group"),
    ];
    let whole = file(&format!("{BASE}{TEAM}"));
    let edited = done(&whole, &move_all).unwrap();
    let now: toml::Table = edited.changes[0].after.parse().unwrap();
    assert_eq!(
        now["upstreams"]["u"]["base_urls"][0].as_str(),
        Some("https://v.invalid")
    );
    assert_eq!(now["models"]["n"]["route"].as_array().unwrap().len(), 1);
    assert_eq!(now["accounts"]["b"]["enabled"].as_bool(), Some(false));
    let broken = [&move_all[..], &[delete(Section::Groups, "none")]].concat();
    assert!(matches!(done(&whole, &broken), Err(Refused::Absent(_))));
    // Each half of it alone would have errors.
    assert!(done(&whole, &move_all[5..]).is_err());
}
