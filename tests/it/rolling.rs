//! A start waits for the process before it: a rolling restart cuts nobody off, and whoever stays is named.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::client::Dialect::OpenAi;
use crate::support::client::{Got, Stream};
use crate::support::place::Place;
use crate::support::process::{agp, run};
use crate::support::setup::Setup;
use crate::support::{PATIENCE, until};

const FLASH: &str = "gemini-2.5-flash";

async fn place(script: &Value, drain_timeout: &str) -> Place {
    let setup = Setup::new(&["alice"]).set("server", "drain_timeout", drain_timeout);
    Place::new(setup, script).await
}

#[tokio::test]
async fn a_new_process_waits_for_the_old_one_to_drain() {
    let script = json!({"rules": [{"method": "streamGenerateContent", "times": 1,
        "do": {"text": "abcd", "chunks": 2, "pause_until_released": true}}]});
    let place = place(&script, &format!("{}s", PATIENCE.as_secs())).await;
    let old = place.serve();
    place.ready().await;
    let mut stream = Stream::open(OpenAi, place.ask(OpenAi, FLASH, "hi", true)).await;
    assert_eq!(stream.text().await.as_deref(), Some("ab"));

    let log = place.path().join("new.log");
    let mut command = agp(place.path(), &["serve"]);
    command
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap());
    let mut new = command.spawn().unwrap();
    let told = || std::fs::read_to_string(&log).unwrap();
    until("the new one to wait", || {
        told().contains("waiting for the other process to end")
    })
    .await;
    if cfg!(target_os = "linux") {
        let holder = format!("`agp` (pid {})", old.id());
        assert!(told().contains(&holder), "no {holder} in {}", told());
    }

    let asked = Command::new("kill").arg(old.id().to_string()).status();
    assert!(asked.unwrap().success());
    place.sim.release();
    let speech = stream.rest().await;
    speech.assert_whole();
    assert_eq!(speech.text(), "abcd");
    let mut old = old;
    assert_eq!(old.wait().await, 0);
    place.ready().await;
    assert!(told().contains("the state is free"), "{}", told());
    assert_eq!(
        Got::read(place.ask(OpenAi, FLASH, "hi", false))
            .await
            .status,
        200
    );
    new.kill().unwrap();
    new.wait().unwrap();
}

#[tokio::test]
async fn a_start_gives_up_in_time_and_names_who_is_in_the_way() {
    let place = place(&json!({}), "300ms").await;
    let old = place.serve();
    place.ready().await;
    let left = run(agp(place.path(), &["serve"]), "").await;
    assert_eq!(left.code, 1, "{left:?}");
    let pid = old.id().to_string();
    let mut expected = vec!["agp.redb", "is in use", "`state.path`", "waited 0.3 s"];
    if cfg!(target_os = "linux") {
        expected.push(&pid);
    }
    for word in expected {
        assert!(left.err.contains(word), "no `{word}` in {}", left.err);
    }
    assert_eq!(
        Got::read(place.ask(OpenAi, FLASH, "hi", false))
            .await
            .status,
        200
    );
    assert_eq!(old.terminate().await, 0);
}
