use crate::support::TestApp;
use crate::support::admin::{get, post, with_writer};
use crate::support::setup::Setup;
use agp::base::id::{Dialect, RequestId};
use agp::base::time::Timestamp;
use agp::store::LogRecord;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn measured() {
    let mut setup = with_writer(Setup::new(&["alice", "bob"])).at(&["groups", "team"], "rpm", 60);
    for n in 0..10_000 {
        let name = format!("k{n:05}");
        let path = ["keys", name.as_str()];
        setup = setup
            .at(&path, "sha256", format!("{:x}", Sha256::digest(&name)))
            .at(&path, "group", "team")
            .at(&path, "rpm", 10);
    }
    let t = Instant::now();
    let app = TestApp::start(setup, json!({})).await;
    eprintln!("start {:?}", t.elapsed());
    let store = app.runtime().store.clone();
    let now = Timestamp::now().0;
    let t = Instant::now();
    for n in 0..96_i64 {
        for k in 0..200 {
            let at = Timestamp(now - n * 900_000);
            let id = RequestId::from_u128((u128::from(at.0.unsigned_abs()) << 32) + k);
            let mut record = LogRecord::new(id, at, Dialect::OpenAiChat);
            record.key = Some(
                format!("k{:05}", (n as u128 * 200 + k) % 10_000)
                    .as_str()
                    .into(),
            );
            record.usage.input = Some(10);
            store.log(record);
        }
        store.flush().await.unwrap();
    }
    eprintln!("rows {:?}", t.elapsed());
    for path in [
        "/keys",
        "/keys",
        "/keys",
        "/keys/usage",
        "/models",
        "/models?key=main",
        "/offers",
        "/config",
        "/config/settings",
    ] {
        let t = Instant::now();
        let told = get(&app, path).await;
        eprintln!(
            "{path} {:?} {} bytes {}",
            t.elapsed(),
            told.body.to_string().len(),
            told.status
        );
    }
    let list: Vec<_> = (0..300)
        .map(|n| json!({ "email": format!("u{n}@example.com"), "refresh_token": format!("t{n}") }))
        .collect();
    let t = Instant::now();
    let told = post(
        &app,
        "/pool/import?dry_run=true",
        &json!({ "text": json!(list).to_string() }),
    )
    .await
    .good();
    eprintln!("import 300 {:?} {}", t.elapsed(), told["added"]);
    let t = Instant::now();
    post(&app, "/config/edit?dry_run=true", &json!({ "changes": [{ "do": "set", "path": ["routing", "strategy"], "value": "random" }] })).await.good();
    eprintln!("dry edit {:?}", t.elapsed());
}
