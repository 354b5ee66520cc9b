//! A chunk leaves when it arrives, and text is never cut inside a character.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::TestApp;
use crate::support::client::BOTH;
use crate::support::setup::Setup;

const FLASH: &str = "gemini-2.5-flash";

/// Words with characters of one to four bytes, some of them in several code points.
const MIXED: &str = "Grüße, Welt! 你好，世界。 Привет 👩‍👩‍👧‍👦 naïve e\u{301} 🇺🇳 \u{1F9D1}\u{1F3FD}‍🚀 \"quoted\" \\ \u{7f} tab\tline\nend — ﷽";

#[tokio::test]
async fn a_chunk_leaves_the_gateway_before_the_next_one_has_come() {
    join_all(BOTH.map(async |dialect| {
        let script = json!({"text": "abcdefghijkl", "chunks": 6, "pause_until_released": true});
        let app = TestApp::start(Setup::new(&["alice"]), script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        for piece in ["ab", "cd", "ef", "gh", "ij", "kl"] {
            // The upstream holds the next chunk until this one has reached the client.
            assert_eq!(stream.text().await.as_deref(), Some(piece));
            assert_eq!(
                app.sim.in_flight("alice@example.com"),
                usize::from(piece != "kl")
            );
            app.sim.release();
        }
        stream.rest().await.assert_whole();
    }))
    .await;
}

#[tokio::test]
async fn thinking_leaves_when_it_arrives_too() {
    join_all(BOTH.map(async |dialect| {
        let script =
            json!({"thoughts": "abcdef", "text": "ghi", "chunks": 3, "pause_until_released": true});
        let app = TestApp::start(Setup::new(&["alice"]), script).await;
        let mut stream = app.stream(dialect, FLASH, "hi").await;
        for thought in ["ab", "abcd", "abcdef"] {
            while stream.so_far().thinking != thought {
                assert!(stream.next().await.is_some());
            }
            app.sim.release();
        }
        for text in ["g", "h", "i"] {
            assert_eq!(stream.text().await.as_deref(), Some(text));
            app.sim.release();
        }
        stream.rest().await.assert_whole();
    }))
    .await;
}

#[tokio::test]
async fn text_is_never_cut_inside_a_character() {
    join_all(BOTH.map(async |dialect| {
        for size in [1, 4, 5, 7, 1000] {
            let script = json!({"text": MIXED, "chunk_bytes": size, "odd_borders": true});
            let app = TestApp::start(Setup::new(&["alice"]), script).await;
            // The reader refuses an event that is not UTF-8 or not JSON by itself.
            let speech = app.stream(dialect, FLASH, "hi").await.rest().await;
            speech.assert_whole();
            assert_eq!(speech.text(), MIXED);
            assert_eq!(app.say(dialect, FLASH, "hi").await.said(dialect), MIXED);
        }
    }))
    .await;
}
