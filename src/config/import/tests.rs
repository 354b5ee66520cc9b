//! Laws of every import: whatever stands in the source, no panic, and what comes out passes the file's own checks.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::*;
use crate::config::diagnostic::{Code, Severity};
use crate::config::source::Files;

const TEXTS: &[&str] = &[
    "",
    " ",
    "x",
    "a b",
    "os.environ/SET",
    "os.environ/NOT_SET",
    "os.environ/not a name",
    "openai/gpt-4o",
    "gemini/gemini-2.5-flash",
    "anthropic/claude",
    "vertex_ai/x",
    "openai/",
    "groq/*",
    "*",
    "gpt-4o",
    "http://a.example/v1/",
    "http://u:p@a.example",
    "socks5://u:p@127.0.0.1:1080",
    "\u{1b}[2J",
    "a\nb",
    "\"]\n[evil]\nx = \"",
    "a-key-of-many-characters",
    "another-key-of-many-characters",
    "true",
    "false",
    "-1",
    "0",
    "5",
    "0.5",
    "1e308",
    "99999999999999999999",
    "a@example.com",
    "$x",
    "{}",
    "./file.json",
    "round-robin",
    "antigravity",
];

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => select(TEXTS).prop_map(Value::from),
        1 => "\\PC{0,200}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(Value::Array(vec![Value::from("x")])),
        1 => Just(Value::Object(Map::new())),
    ]
}

/// A map with some of these keys.
fn map(
    keys: &'static [&'static str],
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Value> {
    vec((select(keys), value), 0..keys.len().min(8) + 1)
        .prop_map(|pairs| {
            let pairs = pairs.into_iter().map(|(k, v)| (k.to_owned(), v));
            Value::Object(pairs.collect())
        })
        .boxed()
}

fn list(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    vec(value, 0..4).prop_map(Value::Array).boxed()
}

/// A map with all of these.
fn all(parts: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    values
        .prop_map(move |values| {
            let pairs = names.iter().map(|&n| n.to_owned()).zip(values);
            Value::Object(pairs.collect())
        })
        .boxed()
}

fn litellm() -> BoxedStrategy<Value> {
    const PARAMS: &[&str] = &[
        "model",
        "api_key",
        "api_base",
        "custom_llm_provider",
        "weight",
        "order",
        "max_parallel_requests",
        "vertex_project",
        "vertex_location",
        "vertex_credentials",
        "input_cost_per_token",
        "output_cost_per_token",
        "litellm_credential_name",
        "rpm",
    ];
    const INFO: &[&str] = &["max_tokens", "max_input_tokens", "mode", "strange"];
    const SETTINGS: &[&str] = &[
        "num_retries",
        "timeout",
        "routing_strategy",
        "master_key",
        "completion_model",
        "max_parallel_requests",
        "max_request_size_mb",
        "json_logs",
        "strange",
    ];
    let names = map(&["x", "a b", "gpt-4o", "y"], text());
    let model = all(vec![
        ("model_name", text().boxed()),
        ("litellm_params", map(PARAMS, text())),
        ("model_info", map(INFO, text())),
    ]);
    let router = all(vec![
        ("model_group_alias", names.clone()),
        ("fallbacks", list(map(&["x", "gpt-4o"], list(text())))),
    ]);
    all(vec![
        ("model_list", list(model)),
        ("router_settings", router),
        ("litellm_settings", map(SETTINGS, text())),
        ("general_settings", map(SETTINGS, text())),
        ("credential_list", list(map(&["credential_name"], text()))),
        ("strange", names),
    ])
}

fn cliproxyapi() -> BoxedStrategy<Value> {
    const ENTRY: &[&str] = &[
        "api-key",
        "base-url",
        "proxy-url",
        "weight",
        "priority",
        "prefix",
        "disabled",
        "name",
    ];
    let models = || {
        list(map(
            &["name", "alias", "display-name", "max-context-length"],
            text(),
        ))
    };
    let headers = || map(&["X-Team", "Cookie", "host", "a b", "x-team"], text());
    let entry = || {
        (
            map(ENTRY, text()),
            models(),
            headers(),
            list(map(ENTRY, text())),
        )
            .prop_map(|(mut entry, models, headers, keys)| {
                if let Value::Object(entry) = &mut entry {
                    entry.insert("models".to_owned(), models);
                    entry.insert("headers".to_owned(), headers);
                    entry.insert("api-key-entries".to_owned(), keys);
                }
                entry
            })
    };
    all(vec![
        ("host", text().boxed()),
        ("port", text().boxed()),
        ("debug", text().boxed()),
        ("proxy-url", text().boxed()),
        ("api-keys", list(text())),
        ("tls", map(&["enable", "cert", "key"], text())),
        ("remote-management", map(&["secret-key"], text())),
        ("routing", map(&["strategy", "session-affinity"], text())),
        ("streaming", map(&["keepalive-seconds"], text())),
        ("gemini-api-key", list(entry())),
        ("claude-api-key", list(entry())),
        ("vertex-api-key", list(entry())),
        ("openai-compatibility", list(entry())),
        (
            "oauth-model-alias",
            map(
                &["antigravity", "vertex"],
                list(map(&["name", "alias"], text())),
            ),
        ),
    ])
}

fn auth() -> BoxedStrategy<Value> {
    const KEYS: &[&str] = &[
        "refresh_token",
        "email",
        "project_id",
        "disabled",
        "priority",
        "weight",
        "proxy_url",
        "location",
        "service_account",
        "strange",
    ];
    let kind = select(&["antigravity", "vertex", "claude", "x"][..]);
    (kind, map(KEYS, text()))
        .prop_map(|(kind, mut auth)| {
            if let Value::Object(auth) = &mut auth {
                auth.insert("type".to_owned(), kind.into());
            }
            auth
        })
        .boxed()
}

/// Imports, and holds what comes out against the rules of the file; only secrets in clear may be warned of.
fn check(source: &Source<'_>, folder: &Path) {
    let env = BTreeMap::from([("SET".to_owned(), "http://set.example".to_owned())]);
    let options = Options {
        state_dir: folder,
        plain_secrets: true,
        env: &env,
        hash_password: &|_| Err("not here".to_owned()),
    };
    let imported = import(source, &options).unwrap();
    let text = imported.text.expose().to_owned();
    let files = Files::from_texts([("agp.toml".into(), text.clone())]);
    let loaded = crate::config::load(&files, std::iter::empty());
    for found in &loaded.diagnostics {
        let fine = found.severity == Severity::Note || found.code == Code::PlainSecret;
        assert!(fine, "{found:?}\n{text}");
    }
    assert!(loaded.config.is_some());
    let report = imported.report.human();
    assert!(!report.contains('\u{1b}'), "{report}");
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_litellm_says_the_file_is_sound(root in litellm()) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "config.yaml", &root);
        let config = dir.path().join("config.yaml");
        check(&Source::LiteLlm { config: &config }, dir.path());
    }

    #[test]
    fn whatever_cliproxyapi_says_the_file_is_sound(root in cliproxyapi(), auths in vec(auth(), 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "config.yaml", &root);
        let folder = dir.path().join("auths");
        std::fs::create_dir(&folder).unwrap();
        for (n, auth) in auths.iter().enumerate() {
            write(&folder, &format!("{n}.json"), auth);
        }
        let config = dir.path().join("config.yaml");
        check(&Source::CliProxyApi { config: &config, auth_dir: Some(&folder) }, dir.path());
    }

    #[test]
    fn whatever_the_variables_say_the_file_is_sound(
        pairs in vec((select(VARIABLES), select(TEXTS)), 0..12),
        line in "\\PC{0,40}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let env = dir.path().join(".env");
        let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
        std::fs::write(&env, format!("{}\n{line}\n", lines.join("\n"))).unwrap();
        check(&Source::Original { env: Some(&env), db: None }, dir.path());
    }

    #[test]
    fn no_text_makes_the_reader_of_yaml_panic(text in "[-\\[\\]{}:,&*a!?#|> '\"\\n%<]{0,60}") {
        let _ = yaml::parse(&text);
    }
}

const VARIABLES: &[&str] = &[
    "PORT",
    "HOST",
    "DB_PATH",
    "OUTBOUND_PROXY",
    "HTTPS_PROXY",
    "FETCH_CONNECT_TIMEOUT_MS",
    "OPENAI_THINKING_OUTPUT",
    "ADMIN_PASSWORD",
    "JWT_SECRET",
    "DASHBOARD_TZ_OFFSET_MINUTES",
    "MAX_CONCURRENT_PER_ACCOUNT",
    "MAX_CONCURRENT_PER_MODEL",
    "CAPACITY_COOLDOWN_DEFAULT_MS",
    "CAPACITY_COOLDOWN_MAX_MS",
    "API_KEY",
    "DISABLE_LOCAL_LIMITS",
    "UPSTREAM_CAPACITY_RETRIES",
    "RETRY_TOTAL_TIMEOUT_MS",
    "STRANGE",
];
