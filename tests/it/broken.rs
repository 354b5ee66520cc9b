//! A truncated answer never looks complete, and what fails before the first content is tried elsewhere or gets a
//! proper status.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::{BOTH, Dialect, Frame, Got};
use crate::support::setup::Setup;
use crate::support::{TestApp, within};

const FLASH: &str = "gemini-2.5-flash";

/// Each way in which an upstream breaks an answer off, and the class that the log should name.
const FAULTS: [(&str, &str); 5] = [
    ("error_in_stream", "capacity"),
    ("cut", "network"),
    ("reset", "network"),
    ("truncate", "upstream_garbage"),
    ("stall", "timeout"),
];

/// A stall is noticed soon, where one is to come.
fn noticing(fault: &str, setup: Setup) -> Setup {
    if fault == "stall" {
        setup.upstream("idle_timeout", "500ms")
    } else {
        setup
    }
}

/// Alice goes first.
fn alice_first() -> Setup {
    Setup::new(&["alice", "bob"]).account_set("bob", "tier", 2)
}

/// Alice breaks off after so many chunks; bob is well.
fn alice_breaks(fault: &str, after: usize) -> Value {
    json!({"text": "abcdefgh", "chunks": 4, "rules": [{"account": "alice@*", "do": {fault: after}}]})
}

#[tokio::test]
async fn after_the_first_content_the_client_gets_its_dialects_error_event() {
    for (fault, class) in FAULTS {
        join_all(BOTH.map(async |dialect| {
            let script =
                json!({"text": "abcdefgh", "chunks": 4, "pause_until_released": 2, fault: 2});
            let setup = noticing(fault, Setup::new(&["alice", "bob"]));
            let app = TestApp::start(setup, script).await;
            let mut stream = app.stream(dialect, FLASH, "hi").await;
            assert_eq!(stream.text().await.as_deref(), Some("ab"));
            assert_eq!(stream.text().await.as_deref(), Some("cd"));
            // Only now does the fault strike, so that a reset swallows nothing.
            app.sim.release();
            let id = stream.id.clone();
            let speech = stream.rest().await;
            let told = speech.assert_failed();
            assert!(!told.message.is_empty());
            // The upstream was reached: it spoke.
            assert!(!told.message.contains("reached"), "{told:?}");
            assert_eq!(speech.text(), "abcd", "{fault}");
            let record = app.log(&id).await;
            assert_eq!(record.tries.len(), 1, "nothing is tried again: {record:?}");
            assert_eq!(record.tries[0].class.as_deref(), Some(class), "{record:?}");
            assert_eq!((record.status, record.stop), (200, None));
            assert!(record.error.is_some());
        }))
        .await;
    }
}

#[tokio::test]
async fn before_the_first_content_another_account_serves() {
    for (fault, class) in FAULTS {
        for dialect in BOTH {
            let app = TestApp::start(noticing(fault, alice_first()), alice_breaks(fault, 0)).await;
            let stream = app.stream(dialect, FLASH, "hi").await;
            let id = stream.id.clone();
            let speech = stream.rest().await;
            speech.assert_whole();
            assert_eq!(speech.text(), "abcdefgh");
            let expected = [format!("alice {class}"), "bob ok".to_owned()];
            assert_eq!(app.tries(&id).await, expected);
        }
    }
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_asked_for_again_elsewhere() {
    for (fault, class) in FAULTS {
        for dialect in BOTH {
            let app = TestApp::start(noticing(fault, alice_first()), alice_breaks(fault, 2)).await;
            let got = app.say(dialect, FLASH, "hi").await;
            assert_eq!(got.said(dialect), "abcdefgh", "{fault}");
            let expected = [format!("alice {class}"), "bob ok".to_owned()];
            assert_eq!(app.tries(got.id()).await, expected);
        }
    }
}

#[tokio::test]
async fn where_nobody_else_is_left_the_status_is_a_proper_one() {
    for (fault, openai, anthropic) in [
        ("error_in_stream", 503, 529),
        ("cut", 502, 502),
        ("reset", 502, 502),
        ("truncate", 502, 502),
        ("stall", 504, 504),
    ] {
        join_all(BOTH.map(async |dialect| {
            let setup = noticing(fault, Setup::new(&["alice"])).routing("max_attempts", 1);
            let app =
                TestApp::start(setup, json!({"text": "abcdefgh", "chunks": 4, fault: 0})).await;
            let status = if dialect == Dialect::OpenAi {
                openai
            } else {
                anthropic
            };
            for stream in [false, true] {
                let body = dialect.saying(FLASH, "hi", stream);
                let told = app.send(dialect, &body).await.error(dialect);
                assert_eq!(told.status, status, "{fault} {told:?}");
            }
        }))
        .await;
    }
}

#[tokio::test]
async fn after_the_commit_a_failure_is_an_error_event() {
    join_all(BOTH.map(async |dialect| {
        let setup = Setup::new(&["alice"])
            .set("server", "stream_commit_after", "20ms")
            .set("server", "keepalive", "20ms")
            .routing("max_attempts", 1);
        let script = json!({"first_byte_delay": "300ms", "status": 500});
        let app = TestApp::start(setup, script).await;
        let stream = app.stream(dialect, FLASH, "hi").await;
        let id = stream.id.clone();
        let speech = stream.rest().await;
        speech.assert_failed();
        assert!(speech.pings > 0 && speech.texts.is_empty(), "{speech:?}");
        assert_eq!(app.tries(&id).await, ["alice server_error"]);
    }))
    .await;
}

#[tokio::test]
async fn failover_goes_on_after_the_commit() {
    join_all(BOTH.map(async |dialect| {
        let setup = alice_first()
            .set("server", "stream_commit_after", "20ms")
            .set("server", "keepalive", "20ms");
        let script = json!({"text": "abcdefgh", "rules": [
            {"account": "alice@*", "do": {"first_byte_delay": "300ms", "status": 500}}]});
        let app = TestApp::start(setup, script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.next().await, Some(Frame::Ping));
        let speech = stream.rest().await;
        speech.assert_whole();
        assert_eq!(speech.text(), "abcdefgh");
        assert_eq!(app.served(), ["alice", "bob"]);
    }))
    .await;
}

#[tokio::test]
async fn silent_streams_get_keepalives_before_and_after_the_first_content() {
    join_all(BOTH.map(async |dialect| {
        let setup = Setup::new(&["alice"])
            .set("server", "stream_commit_after", "10ms")
            .set("server", "keepalive", "20ms");
        let script = json!({"text": "abcd", "chunks": 2, "first_byte_delay": "200ms", "pause_until_released": 1});
        let app = TestApp::start(setup, script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"));
        let before = stream.so_far().pings;
        assert!(before > 0);
        stream.pings(before + 3).await;
        app.sim.release();
        let speech = stream.rest().await;
        speech.assert_whole();
        assert_eq!(speech.text(), "abcd");
    }))
    .await;
}

#[tokio::test]
async fn a_stop_ends_what_runs_with_an_error() {
    join_all(BOTH.map(async |dialect| {
        let script = json!({"text": "abcd", "chunks": 2, "pause_until_released": true});
        let mut app = TestApp::start(Setup::new(&["alice"]).unlimited(), script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"));
        let id = stream.id.clone();
        let request = app.request(dialect, &dialect.saying(FLASH, "hi", false));
        let whole = app.aside(Got::read(request));
        let both = app.sim.until(|sim| sim.in_flight("alice@example.com") == 2);
        within("both calls", both).await;
        let stopping = app.take().stop(std::future::ready(()));
        let (speech, ()) = tokio::join!(stream.rest(), within("the stop", stopping));
        speech.assert_failed();
        // A whole answer is a proper error instead.
        assert_eq!(whole.await.unwrap().error(dialect).status, 503);
        app.restart().await;
        let record = app.log(&id).await;
        assert_eq!(record.error.unwrap().kind, "unavailable");
    }))
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_takes_nothing_new() {
    join_all(BOTH.map(async |dialect| {
        let script = json!({"text": "abcd", "chunks": 2, "pause_until_released": true});
        let setup = Setup::new(&["alice"])
            .unlimited()
            .set("server", "drain_delay", "200ms")
            .set("server", "drain_timeout", "30s");
        let mut app = TestApp::start(setup, script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        assert_eq!(stream.text().await.as_deref(), Some("ab"));
        let request = app.request(dialect, &dialect.saying(FLASH, "hi", false));
        let whole = app.aside(Got::read(request));
        let both = app.sim.until(|sim| sim.in_flight("alice@example.com") == 2);
        within("both calls", both).await;
        let ready = app.client.get(app.url("/readyz"));
        let address = app.gateway().addr().unwrap();
        let ask = || Got::read(ready.try_clone().unwrap());
        assert_eq!(ask().await.status, 200);
        let stopping = app.take().stop(std::future::pending());
        let stopping = app.aside(stopping);
        within("readiness to end", async {
            while ask().await.status != 503 {}
        })
        .await;
        within("the listener's end", async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {}
        })
        .await;
        app.sim.release();
        stream.rest().await.assert_whole();
        assert_eq!(whole.await.unwrap().said(dialect), "abcd");
        within("the stop", stopping).await.unwrap();
    }))
    .await;
}
