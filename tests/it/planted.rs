//! Secrets planted by every route into a gateway that logs everything; then all that it ever said, and the raw files of its
//! store, are searched for them. Another output is one more line in [`exercise`].

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use agp::base::id::hex;
use agp::config;
use agp::config::source::Files;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::client::{BOTH, Dialect};
use crate::support::process::{AGP, Running, agp, run, shell};
use crate::support::{simulate, until, within};

mod panel;
mod tokens;

use tokens::Desk;

const FLASH: &str = "gemini-2.5-flash";
/// Bytes of a secret that must not be seen together.
const PIECE: usize = 12;

/// A secret, and how it came in.
#[derive(Debug, Clone)]
struct Planted {
    route: &'static str,
    text: String,
}

/// All of them, and all that was said.
#[derive(Default)]
struct Garden {
    planted: Vec<Planted>,
    said: Vec<(String, Vec<u8>)>,
}

/// Random letters and digits.
fn random(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    let letters = bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(*b) % 62]));
    letters.collect()
}

impl Garden {
    /// A new secret.
    fn plant(&mut self, route: &'static str) -> String {
        let text = random(36);
        self.note(route, &text);
        text
    }

    /// A new secret with characters that are written otherwise in JSON, TOML and URLs.
    fn plant_odd(&mut self, route: &'static str) -> String {
        let text = format!("{}é\\ \"+&%ü/{}", random(14), random(14));
        self.note(route, &text);
        text
    }

    /// A secret that came in otherwise.
    fn note(&mut self, route: &'static str, text: &str) {
        let text = text.to_owned();
        self.planted.push(Planted { route, text });
    }

    fn hear(&mut self, from: impl Into<String>, said: impl Into<Vec<u8>>) {
        self.said.push((from.into(), said.into()));
    }

    fn debug(&mut self, from: &str, value: &dyn Debug) {
        self.hear(from, format!("{value:?}\n{value:#?}"));
    }

    /// Runs `agp` and hears what it says.
    async fn ask(&mut self, folder: &Path, args: &[&str]) -> String {
        self.ask_with(folder, args, &[], "").await
    }

    async fn ask_with(
        &mut self,
        folder: &Path,
        args: &[&str],
        env: &[(&str, &str)],
        input: &str,
    ) -> String {
        let mut command = agp(folder, args);
        command.envs(env.iter().copied()).env("RUST_LOG", "trace");
        let left = run(command, input).await;
        let name = format!("agp {}", args.join(" "));
        self.hear(format!("{name}: out"), left.out.clone());
        self.hear(format!("{name}: err"), left.err);
        left.out
    }

    /// Every place where a secret, or a piece of one, was seen.
    fn found(&self) -> Vec<String> {
        let mut pieces: HashSet<(&'static str, &'static str, [u8; PIECE])> = HashSet::new();
        for planted in &self.planted {
            for (form, text) in forms(&planted.text) {
                for window in text.windows(PIECE) {
                    pieces.insert((planted.route, form, window.try_into().unwrap()));
                }
            }
        }
        let mut by_piece = std::collections::HashMap::new();
        for (route, form, piece) in pieces {
            by_piece.insert(piece, (route, form));
        }
        let mut found = HashSet::new();
        for (from, said) in &self.said {
            for (at, window) in said.windows(PIECE).enumerate() {
                let piece: [u8; PIECE] = window.try_into().unwrap();
                if let Some((route, form)) = by_piece.get(&piece) {
                    let around = &said[at.saturating_sub(60)..(at + 80).min(said.len())];
                    let around = String::from_utf8_lossy(around).into_owned();
                    if found.insert((from, *route, *form)) {
                        eprintln!("{from}: {route} ({form}): {around}");
                    }
                }
            }
        }
        let lines = found.into_iter();
        let mut lines: Vec<String> = lines
            .map(|(from, route, form)| format!("{route} ({form}) in {from}"))
            .collect();
        lines.sort();
        lines
    }
}

/// How a secret may be written.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let mut all = vec![("as it is", bytes.to_vec())];
    // Base64 at each of the three places that it may begin at, without the characters that its neighbours decide.
    for (form, engine) in [
        ("base64", &STANDARD_NO_PAD),
        ("base64 for URLs", &URL_SAFE_NO_PAD),
    ] {
        for shift in 0..3 {
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(bytes);
            let encoded = engine.encode(shifted);
            let first = if shift == 0 { 0 } else { 4 };
            all.push((form, encoded.as_bytes()[first..encoded.len() - 2].to_vec()));
        }
    }
    let hex = hex(bytes);
    all.push(("HEX", hex.to_uppercase().into_bytes()));
    all.push(("hex", hex.into_bytes()));
    let url = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    all.push(("URL-encoded", url.to_string().into_bytes()));
    let json = json!(text).to_string();
    let json = json.trim_matches('"');
    all.push(("JSON", json.as_bytes().to_vec()));
    let debug = format!("{text:?}");
    all.push(("Debug", debug.trim_matches('"').as_bytes().to_vec()));
    let twice = json!(json).to_string();
    all.push(("JSON in JSON", twice.trim_matches('"').as_bytes().to_vec()));
    all.push(("backwards", bytes.iter().rev().copied().collect()));
    all
}

/// The secrets that the file names, in the order of its tables.
struct Texts {
    root: String,
    included: String,
    /// Of a client in requests.
    keys: Vec<String>,
    /// Of an administrator.
    admin: String,
    /// Of the panel.
    password: String,
    env: Vec<(&'static str, String)>,
}

/// A gateway's folder in which every route holds a secret.
async fn plant(garden: &mut Garden, folder: &Path, desk: &mut Desk, sim: &str) -> Texts {
    let mut token = |garden: &mut Garden, route, account: &str| {
        let text = garden.plant(route);
        desk.knows(&text, account);
        text
    };
    let plain = token(garden, "plain refresh token", "plain");
    let of_env = token(garden, "refresh token in the environment", "env");
    let of_file = token(garden, "refresh token in a file", "file");
    let sealed = token(garden, "sealed refresh token", "sealed");
    let included = token(garden, "refresh token in an included file", "included");
    let refused = garden.plant("refresh token that the upstream refuses and repeats");
    desk.refuses(&refused);
    let client_secret = garden.plant("client secret of OAuth");
    desk.is_secret(&client_secret);
    let (key, hashed, of_env_key) = (
        format!("sk-{}", garden.plant("client key in clear")),
        format!("sk-{}", garden.plant("client key by its digest")),
        format!("sk-{}", garden.plant("client key in the environment")),
    );
    let admin = format!(
        "agp-{}",
        garden.plant("administrator's token by its digest")
    );
    let admin_digest = hex(&Sha256::digest(&admin));
    let password = garden.plant_odd("password in clear");
    let header = garden.plant("upstream's header");
    let proxy = garden.plant("proxy's password");
    let jwt = garden.plant_odd("jwt secret by AGP__");

    let cleared = garden.ask_with(folder, &["seal"], &[], &sealed).await;
    std::fs::write(folder.join("token.txt"), format!("{of_file}\n")).unwrap();
    let digest: String = hex(&Sha256::digest(&hashed));
    let (desk_url, quoted) = (desk.url(), json!(password).to_string());
    let oauth = format!(
        "oauth = {{ client_id = \"sim-client\", client_secret = \"{client_secret}\", auth_url = \"{sim}/o/oauth2/v2/auth\", token_url = \"{desk_url}\", userinfo_url = \"{sim}/oauth2/v2/userinfo\" }}"
    );
    let root = format!(
        r#"version = 1
include = ["conf.d/*.toml"]

[server]
listen = "127.0.0.1:0"
metrics = {{ listen = "127.0.0.1:0" }}
drain_timeout = "1s"

[log]
level = "trace"
format = "json"

[admin]
password = {quoted}

[admin.tokens.all]
sha256 = "{admin_digest}"
role = "write"

[state]
log_bodies = "all"

[upstreams.sim]
kind = "antigravity"
base_urls = ["{sim}"]
headers = {{ x-extra = "{header}" }}
{oauth}

[upstreams.proxied]
kind = "antigravity"
base_urls = ["http://127.0.0.1:1"]
proxy = "http://user:{proxy}@127.0.0.1:1"
{oauth}

[accounts.plain]
upstream = "sim"
refresh_token = "{plain}"

[accounts.env]
upstream = "sim"
refresh_token = {{ env = "THE_TOKEN" }}

[accounts.file]
upstream = "sim"
refresh_token = {{ file = "token.txt" }}

[accounts.sealed]
upstream = "sim"
refresh_token = {cleared}

[accounts.refused]
upstream = "sim"
refresh_token = "{refused}"

[accounts.proxied]
upstream = "proxied"
refresh_token = "{refused}"
enabled = false

[keys.main]
key = "{key}"

[keys.hashed]
sha256 = "{digest}"

[keys.env]
key = {{ env = "THE_KEY" }}

[models."{FLASH}"]
route = ["sim/{FLASH}"]

[models.elsewhere]
route = ["proxied/x"]
"#
    );
    let included =
        format!("[accounts.included]\nupstream = \"sim\"\nrefresh_token = '{included}'\n");
    Texts {
        root,
        included,
        keys: vec![key, hashed, of_env_key.clone()],
        admin,
        password,
        env: vec![
            ("THE_TOKEN", of_env),
            ("THE_KEY", of_env_key),
            ("AGP__ADMIN__JWT_SECRET", jwt),
        ],
    }
}

impl Texts {
    fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder.join("conf.d")).unwrap();
        std::fs::write(folder.join("agp.toml"), &self.root).unwrap();
        std::fs::write(folder.join("conf.d/more.toml"), &self.included).unwrap();
    }

    fn env(&self) -> Vec<(&'static str, &str)> {
        self.env
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    /// The root file with mistakes in it, each on or beside a secret.
    fn broken(&self, garden: &mut Garden) -> Vec<(&'static str, String)> {
        let secret = garden.plant("secret beside a mistake");
        let odd = garden.plant_odd("odd secret beside a mistake");
        let quoted = json!(odd).to_string();
        let account = |line: &str| {
            format!(
                "{}\n[accounts.new]\nupstream = \"sim\"\n{line}\n",
                self.root
            )
        };
        vec![
            (
                "no quote at the end",
                account(&format!("refresh_token = \"{secret}")),
            ),
            (
                "no quote at the start",
                account(&format!("refresh_token = {secret}\"")),
            ),
            ("no quotes", account(&format!("refresh_token = {secret}"))),
            (
                "no equals sign",
                account(&format!("refresh_token \"{secret}\"")),
            ),
            (
                "no quote, comment",
                account(&format!("refresh_token = \"{secret} # mine")),
            ),
            (
                "no bracket",
                account(&format!("refresh_token = {{ sealed = \"{secret}\"")),
            ),
            (
                "open triple quote",
                account(&format!("refresh_token = \"\"\"{secret}\nnext")),
            ),
            (
                "a list",
                account(&format!("refresh_token = [\"{secret}\"]")),
            ),
            (
                "a number key",
                account(&format!("refresh_token = {{ 1 = \"{secret}\" }}")),
            ),
            (
                "an unknown form",
                account(&format!("refresh_token = {{ plain = {quoted} }}")),
            ),
            (
                "a bad sealed one",
                account(&format!("refresh_token = {{ sealed = \"agp1:{secret}\" }}")),
            ),
            (
                "sealed without its table",
                account(&format!("refresh_token = \"agp1:{secret}\"")),
            ),
            (
                "a mistyped key",
                account(&format!("refresh_tokn = {quoted}")),
            ),
            (
                "twice",
                account(&format!(
                    "refresh_token = \"{secret}\"\nrefresh_token = {quoted}"
                )),
            ),
            (
                "in the place of a name",
                account(&format!("refresh_token = {{ env = {quoted} }}")),
            ),
            (
                "of another kind",
                account(&format!("api_key = {quoted}\nrefresh_token = \"{secret}\"")),
            ),
        ]
    }

    /// The same with mistakes in other tables.
    fn broken_elsewhere(&self, garden: &mut Garden) -> Vec<(&'static str, String)> {
        let secret = garden.plant("secret beside another mistake");
        let quoted = json!(garden.plant_odd("odd secret beside another mistake")).to_string();
        vec![
            (
                "a bad hash",
                self.root.replace(
                    "[admin]\n",
                    &format!("[admin]\npassword_hash = \"{secret}\"\n"),
                ),
            ),
            (
                "a bad header",
                self.root
                    .replace("x-extra = ", &format!("\"x y\" = {quoted}, x-extra = ")),
            ),
            (
                "a bad proxy",
                self.root.replace(
                    "proxy = \"http://user:",
                    &format!("proxy = \"ftp://user:{secret}"),
                ),
            ),
            (
                "a user in a URL",
                self.root.replace(
                    "base_urls = [\"http://127.0.0.1:1\"]",
                    &format!("base_urls = [\"http://user:{secret}@127.0.0.1:1\"]"),
                ),
            ),
            (
                "an identity among recipients",
                format!(
                    "{}\n[secrets]\nrecipients = [\"AGE-SECRET-KEY-1{}\"]\n",
                    self.root,
                    secret.to_uppercase()
                ),
            ),
            (
                "a bad key digest",
                format!(
                    "{}\n[keys.new]\nkey = {{ file = \"/nowhere\" }}\nsha256 = \"{secret}\"\n",
                    self.root
                ),
            ),
        ]
    }
}

/// Sends a request and hears the answer; gives the request's id.
async fn send(
    garden: &mut Garden,
    from: impl Into<String>,
    request: reqwest::RequestBuilder,
) -> Option<String> {
    let from = from.into();
    let response = within("an answer", request.send()).await.unwrap();
    let id = response.headers().get("x-request-id");
    let id = id.map(|id| id.to_str().unwrap().to_owned());
    let headers = format!("{:?}", response.headers());
    let body = within("a body", response.bytes()).await.unwrap();
    assert!(!body.is_empty(), "{from}");
    garden.hear(format!("{from}: headers"), headers);
    garden.hear(format!("{from}: body"), body.to_vec());
    id
}

/// Requests of every kind; gives the id of one of them.
async fn requests(garden: &mut Garden, texts: &Texts, url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let stranger = format!("sk-{}", garden.plant("client key that nobody knows"));
    let mut last = None;
    for key in texts.keys.iter().chain([&stranger]) {
        for dialect in BOTH {
            for (model, stream) in [
                (FLASH, false),
                (FLASH, true),
                ("elsewhere", false),
                ("none", false),
            ] {
                let body = dialect.saying(model, "hello", stream).to_string();
                let request = client.post(format!("{url}{}", dialect.path())).body(body);
                let from = format!("{dialect:?} {model} {stream}");
                let id = send(garden, from, dialect.with_key(request, key)).await;
                last = if model == FLASH && *key != stranger {
                    id
                } else {
                    last
                };
            }
        }
        let query = format!("{url}/v1/models?key={key}");
        send(garden, "a key in the query", client.get(query)).await;
        let header = client
            .get(format!("{url}/v1/models"))
            .header("x-goog-api-key", key);
        send(garden, "a key in a header", header).await;
        let request = client
            .post(format!("{url}{}", Dialect::OpenAi.path()))
            .body("{ \"model\": ");
        send(garden, "a broken body", request.bearer_auth(key)).await;
        let request = client
            .post(format!("{url}{}", Dialect::OpenAi.path()))
            .header("authorization", key);
        send(garden, "a key without its word", request.body("{}")).await;
    }
    admin(garden, texts, url).await;
    for path in ["/healthz", "/readyz", "/v1/models", "/nowhere"] {
        send(garden, path, client.get(format!("{url}{path}"))).await;
    }
    last.unwrap()
}

/// The admin operations over HTTP, those too that refuse with what stands in the files.
async fn admin(garden: &mut Garden, texts: &Texts, url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let stranger = format!(
        "agp-{}",
        garden.plant("administrator's token that nobody knows")
    );
    let stale = "?revision=0000000000000000000000000000000000000000000000000000000000000000";
    for token in [&texts.admin, &stranger] {
        for (method, path) in [
            ("GET", "/status".to_owned()),
            ("GET", "/accounts".to_owned()),
            ("GET", "/requests".to_owned()),
            ("GET", "/keys".to_owned()),
            ("GET", "/models".to_owned()),
            ("GET", "/offers".to_owned()),
            ("GET", "/config".to_owned()),
            ("GET", "/config/settings".to_owned()),
            ("GET", "/history".to_owned()),
            ("GET", "/keys/usage".to_owned()),
            ("GET", "/accounts?sort=remaining&desc=true".to_owned()),
            ("GET", "/overview".to_owned()),
            ("GET", "/usage?by=account".to_owned()),
            ("GET", "/request-names".to_owned()),
            ("GET", "/request-export".to_owned()),
            ("GET", "/request-export?format=csv".to_owned()),
            ("POST", "/pool/refresh".to_owned()),
            ("GET", "/jobs".to_owned()),
            ("POST", format!("/models/{FLASH}/test")),
            ("POST", "/models/elsewhere/test".to_owned()),
            ("POST", "/reload".to_owned()),
            ("POST", "/rotate".to_owned()),
            ("POST", "/accounts/plain/disable".to_owned()),
            ("POST", format!("/accounts/plain/enable{stale}")),
            ("POST", "/accounts/plain/enable".to_owned()),
        ] {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let request = client.request(method, format!("{url}/admin/api/v1{path}"));
            send(garden, format!("admin {path}"), request.bearer_auth(token)).await;
        }
    }
    // What each account's upstream said, also of the one that repeats its secret.
    let base = format!("{url}/admin/api/v1");
    let all = client.post(format!("{base}/pool/refresh"));
    let all = all.bearer_auth(&texts.admin).send().await.unwrap();
    let job: Value = serde_json::from_str(&all.text().await.unwrap()).unwrap();
    let job = format!("{base}/jobs/{}", job["job"].as_str().unwrap());
    let ended = within("the job's end", async {
        loop {
            let shown = client.get(&job).bearer_auth(&texts.admin);
            let text = shown.send().await.unwrap().text().await.unwrap();
            if text.contains("\"ended\":\"") {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let ended = ended.await;
    garden.hear("a job", ended);
    let events = client.get(format!("{base}/events?topics=requests"));
    let mut events = events.bearer_auth(&texts.admin).send().await.unwrap();
    let first = within("an event", events.chunk()).await.unwrap();
    garden.hear("events", first.unwrap().to_vec());
    given(garden, &client, url, &texts.admin).await;
}

/// Secrets that a form sends, in their place and in wrong ones.
async fn given(garden: &mut Garden, client: &reqwest::Client, url: &str, token: &str) {
    let sealed = garden.plant_odd("secret that an edit seals");
    let clear = garden.plant_odd("secret in clear in an edit");
    let added = garden.plant("token of a new account");
    let odd = garden.plant_odd("token of a new account that is none");
    let listed = garden.plant("token in a list of accounts");
    let set = |path: &[&str], value: Value| json!({ "changes": [{ "do": "set", "path": path, "value": value }] });
    let path = ["accounts", "plain", "refresh_token"];
    let csv = format!("email,refresh_token,rank\na@b,{listed},{listed}\n{listed},{listed},1\n");
    for (operation, body) in [
        ("/config/edit", set(&path, json!({ "secret": sealed }))),
        ("/config/edit", set(&path, json!(clear))),
        ("/config/edit", set(&path, json!([clear]))),
        (
            "/config/edit",
            set(&["accounts", "plain", "refresh_tokn"], json!(clear)),
        ),
        (
            "/config/edit",
            set(&["admin", "password_hash"], json!(clear)),
        ),
        (
            "/config/edit",
            set(&["admin", "password"], json!({ "password": clear })),
        ),
        ("/config/edit", json!({ "changes": clear })),
        (
            "/accounts",
            json!({ "email": "a@b", "refresh_token": added }),
        ),
        ("/accounts", json!({ "email": "a@b", "refresh_token": odd })),
        ("/accounts", json!({ "refresh_token": [odd] })),
        ("/accounts", json!({ "refresh_token": "x", "tags": odd })),
        ("/pool/import", json!({ "text": csv })),
        ("/pool/import", json!({ "text": listed })),
        ("/pool/import", json!({ "text": format!("[\"{listed}\"") })),
        (
            "/pool/import",
            json!({ "text": json!([listed, { "refresh_token": [listed] }]).to_string() }),
        ),
        ("/keys", json!({ "label": "x", "expires": clear })),
    ] {
        let request = client
            .post(format!("{url}/admin/api/v1{operation}?dry_run=true"))
            .bearer_auth(token)
            .body(body.to_string());
        send(garden, format!("admin {operation}"), request).await;
    }
}

/// All commands that ask the running gateway, and the offline ones, on the files as they are.
async fn commands(garden: &mut Garden, folder: &Path, env: &[(&str, &str)], id: &str) {
    let lines: &[&[&str]] = &[
        &["status"],
        &["status", "--json"],
        &["account", "list"],
        &["account", "list", "--json"],
        &["account", "show", "plain"],
        &["account", "refresh", "refused"],
        &["account", "disable", "plain"],
        &["account", "enable", "plain"],
        &["pick", FLASH],
        &["logs"],
        &["logs", "--json"],
        &["explain", id],
        &["explain", id, "--json"],
        &["key", "usage"],
        &["key", "usage", "--json"],
        &["state", "backup", "backup.redb"],
        &["config"],
        &["config", "--format", "json"],
        &["fmt", "--check"],
        &["schema"],
        &["reload"],
        &["rotate"],
    ];
    for args in lines {
        garden.ask_with(folder, args, env, "").await;
    }
    checks(garden, folder, "agp.toml", env).await;
}

/// What is said of a file that may be broken.
async fn checks(garden: &mut Garden, folder: &Path, file: &str, env: &[(&str, &str)]) {
    for format in ["human", "json", "sarif", "github"] {
        garden
            .ask_with(
                folder,
                &[
                    "validate",
                    "--strict",
                    "--resolve",
                    "--format",
                    format,
                    file,
                ],
                env,
                "",
            )
            .await;
        garden
            .ask_with(folder, &["validate", "--format", format, file], &[], "")
            .await;
    }
    for format in ["human", "json", "markdown"] {
        garden
            .ask_with(folder, &["plan", "--format", format, file], env, "")
            .await;
        garden
            .ask_with(
                folder,
                &["plan", "--format", format, file, "--against", "first.toml"],
                env,
                "",
            )
            .await;
    }
    garden
        .ask_with(folder, &["fmt", "--check", file], env, "")
        .await;
    garden.ask_with(folder, &["config", file], env, "").await;
    let files = Files::read(&folder.join(file));
    let loaded = config::load(&files, std::iter::empty());
    garden.debug("Debug of what was loaded", &loaded);
}

fn serve(folder: &Path, env: &[(&str, &str)]) -> Running {
    let line = format!("exec '{AGP}' serve >serve.out 2>>serve.err");
    let mut command: Command = shell(folder, &line);
    command
        .envs(env.iter().copied())
        .env("RUST_BACKTRACE", "full");
    Running::start(command)
}

/// Everything that says something.
async fn exercise(
    garden: &mut Garden,
    folder: &Path,
    texts: &Texts,
    status: impl Fn() -> Option<Value>,
) {
    let env = texts.env();
    let log = folder.join("serve.err");
    let serving = serve(folder, &env);
    until("the gateway", || {
        status().is_some_and(|s| s["ready"] == true)
    })
    .await;
    let running = status().unwrap();
    let url = format!("http://{}", running["listen"].as_str().unwrap());
    let id = requests(garden, texts, &url).await;
    panel::sign_in(garden, texts, &url).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = format!("http://{}/metrics", running["metrics"].as_str().unwrap());
    send(garden, "/metrics", client.get(metrics)).await;
    commands(garden, folder, &env, &id).await;

    // Another secret in each place: what is planned, applied and told then.
    let other = garden.plant("secret that another one takes the place of");
    let changed = texts.root.replace(
        "[keys.main]\nkey = \"",
        &format!("[keys.main]\nkey = \"sk-{other}"),
    );
    std::fs::write(folder.join("changed.toml"), &changed).unwrap();
    checks(garden, folder, "changed.toml", &env).await;
    std::fs::write(folder.join("agp.toml"), &changed).unwrap();
    garden.ask_with(folder, &["reload"], &env, "").await;

    let mistakes = [texts.broken(garden), texts.broken_elsewhere(garden)];
    for (mistake, text) in mistakes.concat() {
        std::fs::write(folder.join("agp.toml"), &text).unwrap();
        let refused = garden.ask_with(folder, &["reload"], &env, "").await;
        garden.ask(folder, &["status"]).await;
        garden.ask(folder, &["account", "disable", "plain"]).await;
        garden
            .ask_with(
                folder,
                &["seal", "--in-place", "accounts.new.refresh_token"],
                &env,
                "",
            )
            .await;
        garden.ask_with(folder, &["rotate"], &env, "").await;
        assert!(!refused.contains("applied"), "{mistake}: {refused}");
        std::fs::write(folder.join("broken.toml"), &text).unwrap();
        checks(garden, folder, "broken.toml", &env).await;
    }
    included(garden, folder, texts, &env).await;
    history(garden, folder, texts, &env).await;
    patches(garden, folder, texts, &env).await;
    import(garden, folder).await;
    garden
        .ask_with(folder, &["rotate", "--new-identity"], &env, "")
        .await;
    garden
        .ask_with(
            folder,
            &[
                "seal",
                "--in-place",
                "accounts.plain.refresh_token",
                "keys.main.key",
            ],
            &env,
            "",
        )
        .await;
    let typed = garden.plant("secret given to agp seal");
    garden.ask_with(folder, &["seal"], &env, &typed).await;
    garden
        .ask_with(folder, &["hash-password"], &env, &typed)
        .await;
    requests(garden, &texts_after(texts), &url).await;
    assert_eq!(serving.terminate().await, 0);
    garden.hear("serve's log", std::fs::read(&log).unwrap());
    garden.hear(
        "serve's output",
        std::fs::read(folder.join("serve.out")).unwrap(),
    );
    garden.ask_with(folder, &["state", "check"], &env, "").await;
    for file in ["data/agp.redb", "data/agp-log.redb", "backup.redb"] {
        garden.hear(file, std::fs::read(folder.join(file)).unwrap());
    }
}

/// Mistakes in the included file, and in the environment.
async fn included(garden: &mut Garden, folder: &Path, texts: &Texts, env: &[(&str, &str)]) {
    texts.write(folder);
    let secret = garden.plant("secret in a broken included file");
    std::fs::write(
        folder.join("conf.d/more.toml"),
        format!("{}x = \"{secret}\n", texts.included),
    )
    .unwrap();
    garden.ask_with(folder, &["reload"], env, "").await;
    checks(garden, folder, "agp.toml", env).await;
    texts.write(folder);
    let variable = garden.plant_odd("secret in a variable that is refused");
    for name in [
        "AGP__ADMIN__PASSWORD",
        "AGP__ADMIN__NOPE",
        "AGP__ADMIN__PASSWORD_HASH",
        "AGP__SECRETS__RECIPIENTS",
    ] {
        let mut env = env.to_vec();
        env.push((name, &variable));
        checks(garden, folder, "agp.toml", &env).await;
        garden.ask_with(folder, &["serve"], &env, "").await;
    }
    garden.ask_with(folder, &["reload"], env, "").await;
}

/// What earlier generations were, and back to one of them.
async fn history(garden: &mut Garden, folder: &Path, texts: &Texts, env: &[(&str, &str)]) {
    for args in [
        &["history"][..],
        &["history", "--format", "json"],
        &["diff", "1"],
        &["diff", "1", "2"],
        &["diff", "1", "2", "--format", "json"],
        &["diff", "1", "--plan"],
        &["rollback", "1"],
        &["rollback", "2", "--yes-high"],
        &["rollback", "1", "--yes-high"],
    ] {
        garden.ask_with(folder, args, env, "").await;
    }
    texts.write(folder);
    garden.ask_with(folder, &["reload"], env, "").await;
}

/// Edits where nothing may be saved: each answer is a patch, or says why there is none.
async fn patches(garden: &mut Garden, folder: &Path, texts: &Texts, env: &[(&str, &str)]) {
    let text = texts
        .root
        .replace("[admin]\n", "[admin]\nwrite_back = false\n");
    assert_ne!(text, texts.root);
    std::fs::write(folder.join("agp.toml"), text).unwrap();
    garden.ask_with(folder, &["reload"], env, "").await;
    let mut patched = false;
    for args in [
        &["account", "disable", "plain"][..],
        &["account", "disable", "plain", "--json"],
        &["account", "disable", "refused"],
        &["rollback", "1", "--yes-high"],
    ] {
        patched |= garden
            .ask_with(folder, args, env, "")
            .await
            .contains("git apply");
    }
    assert!(patched, "no edit was answered with a patch");
    texts.write(folder);
    garden.ask_with(folder, &["reload"], env, "").await;
}

/// Another gateway's file, with secrets in it.
async fn import(garden: &mut Garden, folder: &Path) {
    let (master, api) = (
        garden.plant("another gateway's client key"),
        garden.plant_odd("another gateway's API key"),
    );
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params:\n      model: gemini/x\n      api_key: {}\ngeneral_settings:\n  master_key: sk-{master}\n",
        json!(api)
    );
    std::fs::write(folder.join("other.yaml"), yaml).unwrap();
    for format in ["human", "json"] {
        let out = format!("imported-{format}.toml");
        let args = [
            "import",
            "--from",
            "litellm",
            "other.yaml",
            "--out",
            &out,
            "--format",
            format,
        ];
        garden.ask(folder, &args).await;
        garden.hear(out.clone(), std::fs::read(folder.join(&out)).unwrap());
    }
}

/// The same keys once more.
fn texts_after(texts: &Texts) -> Texts {
    Texts {
        root: String::new(),
        included: String::new(),
        keys: texts.keys.clone(),
        admin: texts.admin.clone(),
        password: texts.password.clone(),
        env: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_seen_again() {
    let tasks = agp::base::task::Tasks::new();
    let sim = simulate(&json!({"rotate_refresh": true}), &tasks).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let mut garden = Garden::default();
    std::fs::write(folder.join("agp.toml"), "version = 1\n").unwrap();
    let mut desk = Desk::start(&format!("{}/token", sim.url()), &tasks).await;
    let texts = plant(&mut garden, folder, &mut desk, &sim.url()).await;
    texts.write(folder);
    std::fs::write(folder.join("first.toml"), &texts.root).unwrap();
    let status = || {
        let output = agp(folder, &["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    };
    exercise(&mut garden, folder, &texts, status).await;

    // What the upstream handed out, and the identities.
    let handed = desk.handed();
    assert!(handed.len() >= 8, "{}", handed.len());
    for token in handed {
        garden.note("token that the upstream handed out", &token);
    }
    for entry in std::fs::read_dir(folder.join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("identity") {
            let text = std::fs::read_to_string(&path).unwrap();
            let key = text
                .lines()
                .find_map(|l| l.strip_prefix("AGE-SECRET-KEY-1"))
                .unwrap();
            garden.note("identity", key);
        }
    }
    // The search finds what is there: each secret stands in the files, or was sent.
    let log = garden
        .said
        .iter()
        .find(|(from, _)| from == "serve's log")
        .unwrap();
    let log = String::from_utf8_lossy(&log.1).into_owned();
    for word in ["\"TRACE\"", "refused", "configuration applied"] {
        assert!(log.contains(word), "no `{word}` in the log");
    }
    assert!(garden.planted.len() >= 20 && garden.said.len() > 300);
    let found = garden.found();
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_search_finds_every_form_and_every_piece() {
    let secret = "made-up \"sécret\" of some length+/";
    let search = |said: &str| {
        let mut garden = Garden::default();
        garden.note("test", secret);
        garden.hear("here", said);
        garden.found().len()
    };
    assert_eq!(search("nothing of it: made-up "), 0);
    for said in [
        secret.to_owned(),
        secret[4..18].to_owned(),
        STANDARD.encode(format!("x{secret}y")),
        STANDARD.encode(format!("xy{secret}")),
        URL_SAFE_NO_PAD.encode(secret),
        json!({"a": secret}).to_string(),
        json!(json!(secret).to_string()).to_string(),
        format!("{secret:?}"),
        hex(secret.as_bytes()).to_uppercase(),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
    ] {
        assert!(search(&said) > 0, "{said}");
    }
}
