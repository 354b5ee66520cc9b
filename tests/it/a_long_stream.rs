//! A long stream, by the clock. The file's name makes it the first test that begins, since it takes the longest and only waits.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::TestApp;
use crate::support::client::BOTH;
use crate::support::client::Dialect::OpenAi;
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";

#[tokio::test]
async fn two_requests_behind_a_stream_of_45_seconds_are_served() {
    let script = json!({"rules": [{"times": 1, "do": {"answer_bytes": 460, "chunks": 46, "chunk_delay": "1s"}}]});
    let app = TestApp::start(
        Setup::new(&["alice"]).without(&["routing"], "queue_timeout"),
        script,
    )
    .await;
    let mut long = app.stream(OpenAi, FLASH, "long").await;
    long.text().await.unwrap();
    let began = tokio::time::Instant::now();
    let behind = BOTH.map(|dialect| {
        let request = app.request(dialect, &dialect.saying(FLASH, "behind", false));
        app.aside(async move { (dialect, request.send().await.unwrap().status()) })
    });
    long.rest().await.assert_whole();
    assert!(began.elapsed() > Duration::from_secs(40));
    for (dialect, status) in join_all(behind).await.into_iter().map(Result::unwrap) {
        assert_eq!(status, 200, "{dialect:?}");
    }
}
