//! The whole upstream against the simulator, which shares no code with it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::envelope::{EnvelopeMeta, RequestType, begin, end, new_request_id, session_id};
use super::*;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::ir::Family;
use crate::sim::{Script, Sim};
use crate::upstream::classify::classify_in_stream;
use crate::upstream::credential::{Credential, HttpExchange, SavedToken, TokenSink};
use crate::upstream::oauth::{self, OAuthClient};
use crate::upstream::testing::upstream;

struct World {
    sim: Sim,
    client: AntigravityClient,
    oauth: OAuthClient,
}

impl World {
    async fn start(script: &str) -> Self {
        let script = Script::parse(script).unwrap();
        let oauth_ids = (
            script.client_id().to_owned(),
            script.client_secret().to_owned(),
        );
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sim = Sim::start(listen, script, &Tasks::new()).await.unwrap();
        let base = sim.url();
        let mut settings = upstream(&[&base]);
        settings.metadata = BTreeMap::from(
            [
                ("ideType", "IDE_UNSPECIFIED"),
                ("platform", "PLATFORM_UNSPECIFIED"),
                ("pluginType", "GEMINI"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let client = AntigravityClient::new(&settings, &HttpClients::new()).unwrap();
        let oauth = OAuthClient {
            client_id: oauth_ids.0,
            client_secret: Secret::new(oauth_ids.1),
            auth_url: format!("{base}/o/oauth2/v2/auth"),
            token_url: format!("{base}/token"),
            userinfo_url: format!("{base}/oauth2/v2/userinfo?alt=json"),
            scopes: vec!["https://www.googleapis.com/auth/cloud-platform".to_owned()],
            redirect_uri: "http://localhost:8088/oauth-callback".to_owned(),
        };
        Self { sim, client, oauth }
    }

    fn credential(&self, account: &str, sink: Option<Arc<dyn TokenSink>>) -> Credential {
        let exchange = HttpExchange::new(self.client.http().clone(), self.oauth.clone());
        let token = Secret::new(format!("sim-refresh-{account}"));
        let id = self.oauth.client_id.clone();
        Credential::new(token, &id, Arc::new(exchange), None, sink, Tasks::new())
    }

    async fn token(&self, account: &str) -> Secret {
        let credential = self.credential(account, None);
        credential.token(Timestamp::now()).await.unwrap()
    }

    async fn generate(&self, token: &Secret, project: &str) -> Result<Answer, Failure> {
        let model = "gemini-2.5-flash";
        let mut body = Vec::new();
        begin(
            &mut body,
            &EnvelopeMeta {
                project: Some(project),
                model,
                request_id: &new_request_id(),
                user_agent: self.client.user_agent(),
                request_type: RequestType::of(Family::of(model)),
                credits: true,
            },
        );
        let session = session_id(&"alice".into(), "", "hi");
        body.extend_from_slice(
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"hi"}}]}}],"sessionId":"{session}"}}"#)
                .as_bytes(),
        );
        end(&mut body);
        self.client.stream_generate(0, token, body.into()).await
    }
}

#[tokio::test]
async fn from_refresh_token_to_answer() {
    let world = World::start(
        r#"{"accounts": {"alice@example.com": {"onboarded": false, "onboard_polls": 0}}}"#,
    )
    .await;
    let token = world.token("alice").await;
    let who = oauth::userinfo(world.client.http(), &world.oauth, &token)
        .await
        .unwrap();
    assert_eq!(who.email.as_deref(), Some("alice@example.com"));
    let setup = world.client.discover(&token, None).await.unwrap();
    let project = setup.project.unwrap();
    let methods: Vec<String> = world
        .sim
        .requests()
        .into_iter()
        .map(|seen| seen.method)
        .collect();
    assert_eq!(
        methods,
        ["token", "userinfo", "loadCodeAssist", "onboardUser"]
    );
    let again = world.client.discover(&token, None).await.unwrap();
    assert_eq!(again.project.as_ref(), Some(&project));
    let list = world
        .client
        .fetch_models(&token, Some(&project))
        .await
        .unwrap();
    let model = list
        .models
        .iter()
        .find(|model| model.id == "gemini-2.5-flash")
        .unwrap();
    assert!(model.remaining.is_some() && model.max_output.is_some());
    assert!(
        !list
            .models
            .iter()
            .any(|model| model.id.starts_with("chat_"))
    );
    let answer = world.generate(&token, &project).await.ok().unwrap();
    let text = String::from_utf8(answer.body.read_all(1 << 20).await.unwrap()).unwrap();
    assert!(
        text.starts_with("data: ") && text.contains("STOP"),
        "{text}"
    );
    let count = r#"{"request":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"hello"}]}]}}"#;
    let count = world
        .client
        .count_tokens(0, &token, count.into())
        .await
        .unwrap();
    assert!(count > 0);
}

#[tokio::test]
async fn refusals_in_all_their_forms() {
    for (form, class) in [
        (
            r#""form": "retry_info", "delay": "34s""#,
            Class::RateLimited,
        ),
        (
            r#""form": "metadata_delay", "delay": "700ms""#,
            Class::RateLimited,
        ),
        (r#""form": "timestamp", "delay": "10s""#, Class::RateLimited),
        (
            r#""form": "retry_after", "delay": "10s""#,
            Class::RateLimited,
        ),
        (r#""form": "text", "delay": "10s""#, Class::RateLimited),
        (r#""form": "nested", "delay": "10s""#, Class::RateLimited),
        (r#""form": "list", "delay": "10s""#, Class::RateLimited),
        (r#""form": "per_minute""#, Class::RateLimited),
        (r#""form": "bare", "status": 429"#, Class::RateLimited),
        (r#""form": "no_body", "status": 429"#, Class::RateLimited),
        (
            r#""form": "text", "delay": "10h17m5s""#,
            Class::QuotaExhausted,
        ),
        (
            r#""form": "quota_exhausted", "delay": "1h16m""#,
            Class::QuotaExhausted,
        ),
        (r#""form": "per_day""#, Class::QuotaExhausted),
        (r#""form": "limit_zero""#, Class::QuotaExhausted),
        (r#""form": "credits""#, Class::QuotaExhausted),
        (r#""form": "capacity""#, Class::Capacity),
        (r#""status": 503"#, Class::Capacity),
        (r#""form": "validation""#, Class::NeedsValidation),
        (r#""form": "service_disabled""#, Class::Forbidden),
        (r#""status": 403"#, Class::Forbidden),
        (r#""form": "terms_of_service""#, Class::AccountInvalid),
        (r#""form": "html""#, Class::UpstreamGarbage),
        (r#""form": "plain""#, Class::UpstreamGarbage),
        (r#""form": "html", "status": 502"#, Class::UpstreamGarbage),
        (r#""status": 401"#, Class::AuthExpired),
        (r#""status": 400"#, Class::BadRequest),
        (
            r#""status": 400, "message": "prompt is too long""#,
            Class::ContextTooLong,
        ),
        (r#""status": 404"#, Class::ModelNotFound),
        (r#""status": 413"#, Class::TooLarge),
        (r#""status": 500"#, Class::ServerError),
        (r#""status": 504"#, Class::Timeout),
        (r#""drop": true"#, Class::Network),
    ] {
        let script = format!(r#"{{"rules": [{{"do": {{{form}}}}}]}}"#);
        let world = World::start(&script).await;
        let token = world.token("alice").await;
        let failure = world.generate(&token, "mine").await.err().unwrap();
        assert_eq!(failure.class, class, "{form}: {failure:?}");
        if form.contains("delay") {
            let delay = failure.delay.unwrap_or_else(|| panic!("{form}: no delay"));
            assert!(delay > Duration::from_millis(500), "{form}: {delay:?}");
        }
        if class == Class::NeedsValidation {
            assert!(failure.link.is_some());
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_works_again() {
    let world = World::start("{}").await;
    let credential = world.credential("alice", None);
    let stale = credential.token(Timestamp::now()).await.unwrap();
    world
        .sim
        .set_script(Script::parse(r#"{"rules": [{"times": 1, "do": {"status": 401}}]}"#).unwrap());
    let failure = world.generate(&stale, "mine").await.err().unwrap();
    assert_eq!(failure.class, Class::AuthExpired);
    let fresh = credential
        .force_refresh(&stale, Timestamp::now())
        .await
        .unwrap();
    assert_ne!(fresh, stale);
    assert!(world.generate(&fresh, "mine").await.is_ok());
}

#[tokio::test]
async fn dead_and_misconfigured_sign_ins() {
    let world = World::start(r#"{"accounts": {"dead@example.com": {"revoked": true}}}"#).await;
    let failure = world.credential("dead", None).token(Timestamp::now()).await;
    assert_eq!(failure.unwrap_err().class, Class::AccountInvalid);
    let mut world = World::start("{}").await;
    world.oauth.client_secret = Secret::new("wrong");
    let failure = world
        .credential("alice", None)
        .token(Timestamp::now())
        .await;
    assert_eq!(failure.unwrap_err().class, Class::OauthConfig);
}

#[derive(Default)]
struct Kept(Mutex<Vec<SavedToken>>);

impl TokenSink for Arc<Kept> {
    fn save(&self, token: SavedToken) -> BoxFuture<'static, Result<(), String>> {
        let kept = self.clone();
        Box::pin(async move {
            kept.0.lock().push(token);
            Ok(())
        })
    }
}

#[tokio::test]
async fn rotated_refresh_tokens_are_followed() {
    let world = World::start(r#"{"rotate_refresh": true}"#).await;
    let kept = Arc::new(Kept::default());
    let credential = world.credential("alice", Some(Arc::new(kept.clone())));
    let mut token = credential.token(Timestamp::now()).await.unwrap();
    for turn in 1..=3 {
        let saved = kept.0.lock().last().unwrap().clone();
        assert_eq!(saved.access_token, token);
        assert_eq!(kept.0.lock().len(), turn);
        token = credential
            .force_refresh(&token, Timestamp::now())
            .await
            .unwrap();
    }
    let kept = kept.0.lock();
    assert!(
        kept.windows(2)
            .all(|pair| pair[0].refresh_token != pair[1].refresh_token)
    );
}

#[tokio::test]
async fn streams_that_end_badly() {
    let read = async |behaviour: &str| {
        let script = format!(
            r#"{{"text": "one two three four five six", "chunks": 4, "rules": [{{"do": {behaviour}}}]}}"#
        );
        let world = World::start(&script).await;
        let token = world.token("alice").await;
        let mut body = world.generate(&token, "mine").await.ok().unwrap().body;
        let (mut text, mut failed) = (Vec::new(), None);
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => text.extend_from_slice(&chunk),
                Err(failure) => failed = Some(failure.class),
            }
        }
        (String::from_utf8_lossy(&text).into_owned(), failed)
    };
    let (text, failed) = read(r#"{"cut": 2}"#).await;
    assert!(
        text.starts_with("data: ") && !text.contains("STOP"),
        "{text}"
    );
    assert_eq!(failed, Some(Class::Network));
    let (text, failed) = read(r#"{"error_in_stream": 1, "form": "capacity"}"#).await;
    assert_eq!(failed, None);
    let error = text
        .lines()
        .find(|line| line.contains("\"error\""))
        .unwrap();
    let failure = classify_in_stream(error.trim_start_matches("data: "), Timestamp::now());
    assert_eq!(failure.class, Class::Capacity);
}

#[tokio::test]
async fn from_consent_to_tokens() {
    let world = World::start("{}").await;
    let (state, pkce) = (oauth::new_state().unwrap(), oauth::Pkce::new().unwrap());
    let consent = async |choice: &str| {
        let mut url = oauth::authorize_url(&world.oauth, &state, &pkce.challenge).unwrap();
        url.query_pairs_mut()
            .append_pair(choice, "alice@example.com");
        let answer = world.client.http().get(url).send().await.unwrap();
        let pasted = answer.headers()["location"].to_str().unwrap().to_owned();
        oauth::parse_callback(&pasted, &state)
    };
    let denied = consent("sim_deny").await.unwrap_err();
    assert_eq!(
        denied,
        oauth::CallbackError::Refused("access_denied".to_owned())
    );
    let http = world.client.http();
    let code = consent("sim_account").await.unwrap();
    let wrong = Secret::new("another-verifier");
    let stolen = oauth::exchange(http, &world.oauth, &code, &wrong).await;
    assert_eq!(stolen.unwrap_err().class, Class::AccountInvalid);
    let code = consent("sim_account").await.unwrap();
    let grant = oauth::exchange(http, &world.oauth, &code, &pkce.verifier)
        .await
        .unwrap();
    assert!(grant.refresh_token.is_some());
    let again = oauth::exchange(http, &world.oauth, &code, &pkce.verifier).await;
    assert_eq!(again.unwrap_err().class, Class::AccountInvalid);
}
