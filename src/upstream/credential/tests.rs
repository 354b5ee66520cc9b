use std::collections::VecDeque;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Notify;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A token endpoint that gives the scripted answers in turn, each when it is let go.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<VecDeque<Result<Grant, Failure>>>,
    asked: Mutex<Vec<String>>,
    called: Notify,
    gate: Mutex<Option<Arc<Notify>>>,
}

impl Endpoint {
    fn new(answers: impl IntoIterator<Item = Result<Grant, Failure>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Self::default()
        })
    }

    fn gated(self: &Arc<Self>) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.gate.lock() = Some(gate.clone());
        gate
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Exchange for Arc<Endpoint> {
    fn refresh(&self, refresh_token: Secret) -> BoxFuture<'static, Result<Grant, Failure>> {
        let endpoint = self.clone();
        Box::pin(async move {
            endpoint
                .asked
                .lock()
                .push(refresh_token.expose().to_owned());
            endpoint.called.notify_one();
            let gate = endpoint.gate.lock().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            endpoint.answers.lock().pop_front().unwrap()
        })
    }
}

/// Keeps what it is given, or fails as often as it is told to.
#[derive(Default)]
struct Sink {
    saved: Mutex<Vec<SavedToken>>,
    failures: Mutex<u32>,
    gate: Mutex<Option<Arc<Notify>>>,
    reached: Notify,
}

impl TokenSink for Arc<Sink> {
    fn save(&self, token: SavedToken) -> BoxFuture<'static, Result<(), String>> {
        let sink = self.clone();
        Box::pin(async move {
            sink.reached.notify_one();
            let gate = sink.gate.lock().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            let mut failures = sink.failures.lock();
            if *failures > 0 {
                *failures -= 1;
                return Err("disk full".to_owned());
            }
            sink.saved.lock().push(token);
            Ok(())
        })
    }
}

fn granted(token: &str, refresh_token: Option<&str>) -> Grant {
    Grant {
        access_token: Secret::new(token),
        expires_in: Duration::from_hours(1),
        refresh_token: refresh_token.map(Secret::new),
    }
}

fn fails(class: Class) -> Result<Grant, Failure> {
    Err(Failure::new(class, "scripted"))
}

fn credential(endpoint: &Arc<Endpoint>) -> Credential {
    with(endpoint, None, None, &Tasks::new())
}

fn with(
    endpoint: &Arc<Endpoint>,
    saved: Option<SavedToken>,
    sink: Option<&Arc<Sink>>,
    tasks: &Tasks,
) -> Credential {
    Credential::new(
        Secret::new("configured"),
        "client",
        Arc::new(endpoint.clone()),
        saved,
        sink.map(|sink| Arc::new(sink.clone()) as Arc<dyn TokenSink>),
        tasks.clone(),
    )
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

async fn shown(credential: &Credential, now: Timestamp) -> String {
    match credential.token(now).await {
        Ok(token) => token.expose().to_owned(),
        Err(failure) => failure.class.as_str().to_owned(),
    }
}

#[tokio::test]
async fn a_hundred_callers_share_one_refresh() {
    let endpoint = Endpoint::new([Ok(granted("t1", None))]);
    let gate = endpoint.gated();
    let credential = credential(&endpoint);
    let callers = (0..100).map(|_| credential.token(NOW));
    let release = async {
        endpoint.called.notified().await;
        gate.notify_one();
    };
    let (tokens, ()) = tokio::join!(join_all(callers), release);
    assert!(tokens.iter().all(|t| *t == Ok(Secret::new("t1"))));
    assert_eq!(endpoint.asked(), ["configured"]);
    assert_eq!(shown(&credential, later(1)).await, "t1");
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_along() {
    let endpoint = Endpoint::new([Ok(granted("t1", None))]);
    let gate = endpoint.gated();
    let credential = credential(&endpoint);
    {
        let mut first = Box::pin(credential.token(NOW));
        tokio::select! {
            biased;
            _ = &mut first => panic!("the gate is shut"),
            () = endpoint.called.notified() => {}
        }
    }
    let second = credential.token(NOW);
    gate.notify_one();
    assert_eq!(second.await, Ok(Secret::new("t1")));
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn renews_ahead_beside_the_requests() {
    let endpoint = Endpoint::new([Ok(granted("t1", None)), Ok(granted("t2", None))]);
    let credential = credential(&endpoint);
    assert_eq!(shown(&credential, NOW).await, "t1");
    assert_eq!(credential.expires_at(), Some(later(3600)));
    // Five minutes and the longest jitter before the end nothing is due yet.
    assert_eq!(shown(&credential, later(3600 - 361)).await, "t1");
    assert_eq!(endpoint.asked().len(), 1);
    let gate = endpoint.gated();
    assert_eq!(shown(&credential, later(3600 - 299)).await, "t1");
    endpoint.called.notified().await;
    endpoint.called.notified().await;
    assert_eq!(shown(&credential, later(3600 - 290)).await, "t1");
    let ended = credential.token(later(3600));
    gate.notify_one();
    assert_eq!(ended.await, Ok(Secret::new("t2")));
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_valid_token_and_pauses() {
    let endpoint = Endpoint::new([
        Ok(granted("t1", None)),
        fails(Class::ServerError),
        fails(Class::Network),
        Ok(granted("t2", None)),
    ]);
    let credential = credential(&endpoint);
    assert_eq!(shown(&credential, NOW).await, "t1");
    // Due: the first use starts the refresh, which fails; the token stays in use.
    assert_eq!(shown(&credential, later(3400)).await, "t1");
    until_landed(&credential).await;
    assert_eq!(shown(&credential, later(3400)).await, "t1");
    assert_eq!(
        endpoint.asked().len(),
        2,
        "no other refresh inside the pause"
    );
    // Its end passes within the second pause: the failure is given without asking again.
    assert_eq!(shown(&credential, later(3600)).await, "network");
    assert_eq!(endpoint.asked().len(), 3);
    assert_eq!(shown(&credential, later(3601)).await, "network");
    assert_eq!(endpoint.asked().len(), 3);
    assert_eq!(shown(&credential, later(3603)).await, "t2");
}

async fn until_landed(credential: &Credential) {
    while credential.0.state.lock().flight.is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dead_refresh_token_is_remembered() {
    let endpoint = Endpoint::new([Ok(granted("t1", None)), fails(Class::AccountInvalid)]);
    let credential = credential(&endpoint);
    assert_eq!(shown(&credential, NOW).await, "t1");
    let forced = credential.force_refresh(&Secret::new("t1"), later(5)).await;
    assert_eq!(forced.unwrap_err().class, Class::AccountInvalid);
    for at in [later(6), later(3_600_000)] {
        assert_eq!(shown(&credential, at).await, "account_invalid");
        credential.renew_if_due(at);
        let forced = credential.force_refresh(&Secret::new("t1"), at).await;
        assert_eq!(forced.unwrap_err().class, Class::AccountInvalid);
    }
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all() {
    let endpoint = Endpoint::new([Ok(granted("t1", None)), Ok(granted("t2", None))]);
    let credential = credential(&endpoint);
    let stale = credential.token(NOW).await.unwrap();
    let forced = join_all((0..20).map(|_| credential.force_refresh(&stale, later(1)))).await;
    assert!(forced.iter().all(|t| *t == Ok(Secret::new("t2"))));
    assert_eq!(endpoint.asked().len(), 2);
    // Somebody late with the same refused token gets the new one.
    let late = credential.force_refresh(&stale, later(2)).await;
    assert_eq!(late, Ok(Secret::new("t2")));
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_given_to_nobody_else() {
    let endpoint = Endpoint::new([
        Ok(granted("t1", None)),
        fails(Class::ServerError),
        Ok(granted("t2", None)),
    ]);
    let credential = credential(&endpoint);
    let stale = credential.token(NOW).await.unwrap();
    let forced = credential.force_refresh(&stale, later(1)).await;
    assert_eq!(forced.unwrap_err().class, Class::ServerError);
    assert_eq!(shown(&credential, later(1)).await, "server_error");
    assert_eq!(shown(&credential, later(3)).await, "t2");
}

#[tokio::test]
async fn a_rotated_token_is_durable_before_use() {
    let endpoint = Endpoint::new([Ok(granted("t1", Some("r1"))), Ok(granted("t2", None))]);
    let sink = Arc::new(Sink::default());
    let gate = Arc::new(Notify::new());
    *sink.gate.lock() = Some(gate.clone());
    let credential = with(&endpoint, None, Some(&sink), &Tasks::new());
    let mut waiting = Box::pin(credential.token(NOW));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("used before it was kept"),
        () = sink.reached.notified() => {}
    }
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(credential.expires_at(), None);
    gate.notify_one();
    assert_eq!(waiting.await, Ok(Secret::new("t1")));
    let saved = sink.saved.lock().remove(0);
    assert_eq!(saved.refresh_token, Some(Secret::new("r1")));
    assert_eq!(saved.expires_at, later(3600));
    // The next refresh sends the rotated one, and a new start takes both from what was saved.
    *sink.gate.lock() = None;
    assert_eq!(shown(&credential, later(3600)).await, "t2");
    assert_eq!(endpoint.asked(), ["configured", "r1"]);
    let endpoint = Endpoint::new([Ok(granted("t3", None))]);
    let restored = with(&endpoint, Some(saved.clone()), None, &Tasks::new());
    assert_eq!(restored.fingerprint(), saved.fingerprint);
    assert_eq!(shown(&restored, later(10)).await, "t1");
    assert_eq!(shown(&restored, later(3600)).await, "t3");
    assert_eq!(endpoint.asked(), ["r1"]);
}

#[tokio::test]
async fn what_another_credential_left_is_not_used() {
    let endpoint = Endpoint::new([Ok(granted("t1", None))]);
    let saved = SavedToken {
        fingerprint: fingerprint(&Secret::new("older"), "client"),
        refresh_token: Some(Secret::new("r0")),
        access_token: Secret::new("t0"),
        expires_at: later(1000),
    };
    let credential = with(&endpoint, Some(saved), None, &Tasks::new());
    assert_eq!(shown(&credential, NOW).await, "t1");
    assert_eq!(endpoint.asked(), ["configured"]);
    let token = Secret::new("r");
    assert_ne!(fingerprint(&token, "a"), fingerprint(&token, "b"));
    assert_ne!(
        fingerprint(&Secret::new("bc"), "a"),
        fingerprint(&Secret::new("c"), "ab")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_delays_but_does_not_stop() {
    let endpoint = Endpoint::new([Ok(granted("t1", Some("r1")))]);
    let sink = Arc::new(Sink::default());
    *sink.failures.lock() = 4;
    let tasks = Tasks::new();
    let credential = with(&endpoint, None, Some(&sink), &tasks);
    let began = Instant::now();
    assert_eq!(shown(&credential, NOW).await, "t1");
    assert_eq!(began.elapsed(), SAVE_TIMEOUT);
    // Writing resumes by itself: four failures, pauses of 1, 2, 4 and 8 s.
    while sink.saved.lock().is_empty() {
        sink.reached.notified().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    assert_eq!(sink.saved.lock()[0].refresh_token, Some(Secret::new("r1")));
    tasks.wait().await;
    assert!(!credential.0.state.lock().unsaved);
}

#[tokio::test(start_paused = true)]
async fn a_newer_save_takes_an_unkept_token_over() {
    let endpoint = Endpoint::new([Ok(granted("t1", Some("r1"))), Ok(granted("t2", None))]);
    let sink = Arc::new(Sink::default());
    *sink.failures.lock() = 5;
    let tasks = Tasks::new();
    let credential = with(&endpoint, None, Some(&sink), &tasks);
    assert_eq!(shown(&credential, NOW).await, "t1");
    // Three saves failed by now. The next token brings no new refresh token, yet r1 has still to be kept.
    assert_eq!(shown(&credential, later(3600)).await, "t2");
    tasks.wait().await;
    let saved = sink.saved.lock();
    assert_eq!(saved.len(), 1, "the older save gave way");
    assert_eq!(saved[0].refresh_token, Some(Secret::new("r1")));
    assert_eq!(saved[0].access_token, Secret::new("t2"));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tries_to_keep_it_once_more() {
    let endpoint = Endpoint::new([Ok(granted("t1", Some("r1")))]);
    let sink = Arc::new(Sink::default());
    *sink.failures.lock() = 1000;
    let tasks = Tasks::new();
    let credential = with(&endpoint, None, Some(&sink), &tasks);
    assert_eq!(shown(&credential, NOW).await, "t1");
    let before = *sink.failures.lock();
    tasks.drain().cancel();
    tasks.wait().await;
    assert_eq!(*sink.failures.lock(), before - 1);
}

#[tokio::test]
async fn access_tokens_alone_are_kept_without_waiting() {
    let endpoint = Endpoint::new([Ok(granted("t1", None))]);
    let sink = Arc::new(Sink::default());
    let gate = Arc::new(Notify::new());
    *sink.gate.lock() = Some(gate.clone());
    let tasks = Tasks::new();
    let credential = with(&endpoint, None, Some(&sink), &tasks);
    assert_eq!(shown(&credential, NOW).await, "t1");
    assert!(sink.saved.lock().is_empty());
    sink.reached.notified().await;
    gate.notify_one();
    tasks.wait().await;
    let saved = sink.saved.lock()[0].clone();
    assert_eq!(saved.access_token, Secret::new("t1"));
    // The configured token is the file's; no copy of it is kept.
    assert_eq!(saved.refresh_token, None);
    let endpoint = Endpoint::new([Ok(granted("t2", None))]);
    let restored = with(&endpoint, Some(saved), None, &tasks);
    assert_eq!(shown(&restored, later(1)).await, "t1");
    assert_eq!(shown(&restored, later(3600)).await, "t2");
    assert_eq!(endpoint.asked(), ["configured"]);
}

#[tokio::test]
async fn a_forced_end_frees_the_waiting() {
    let endpoint = Endpoint::new([]);
    let _gate = endpoint.gated();
    let tasks = Tasks::new();
    let credential = with(&endpoint, None, None, &tasks);
    let force = async {
        endpoint.called.notified().await;
        tasks.force().cancel();
    };
    let (outcome, ()) = tokio::join!(credential.token(NOW), force);
    assert_eq!(outcome.unwrap_err().class, Class::Network);
    tasks.wait().await;
}

#[tokio::test]
async fn a_new_exchange_forgets_the_pause() {
    let endpoint = Endpoint::new([fails(Class::OauthConfig)]);
    let credential = credential(&endpoint);
    assert_eq!(shown(&credential, NOW).await, "oauth_config");
    assert_eq!(shown(&credential, NOW).await, "oauth_config");
    assert_eq!(endpoint.asked().len(), 1);
    let mended = Endpoint::new([Ok(granted("t1", None))]);
    credential.set_exchange(Arc::new(mended.clone()));
    assert_eq!(shown(&credential, NOW).await, "t1");
}

#[tokio::test]
async fn the_job_renews_what_nobody_uses() {
    let endpoint = Endpoint::new([Ok(granted("t1", None)), Ok(granted("t2", None))]);
    let credential = credential(&endpoint);
    credential.renew_if_due(NOW);
    until_landed(&credential).await;
    credential.renew_if_due(later(10));
    assert_eq!(endpoint.asked().len(), 1);
    credential.renew_if_due(later(3500));
    until_landed(&credential).await;
    assert_eq!(shown(&credential, later(3500)).await, "t2");
}

#[test]
fn pauses_double_up_to_a_minute() {
    let pauses: Vec<u64> = (0..8).map(|n| pause_after(n).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    for _ in 0..100 {
        assert!(jitter() <= JITTER);
    }
}
