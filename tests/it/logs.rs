//! `agp logs`: rows by any column, newest first; and what a start knows of an upstream that is away.

use agp::cli::{Failed, logs, serve, status};
use serde_json::{Value, json};

use crate::support::client::Dialect::OpenAi;
use crate::support::client::{BOTH, Got};
use crate::support::setup::{KEY, Setup};
use crate::support::{TestApp, script};

const FLASH: &str = "gemini-2.5-flash";
const PRO: &str = "gemini-2.5-pro";

fn places(app: &TestApp) -> serve::Args {
    serve::Args {
        config: Some(app.root()),
        state_dir: None,
    }
}

/// Runs `agp logs` and gives what it prints.
async fn listed(app: &TestApp, change: impl FnOnce(&mut logs::Args)) -> Result<String, Failed> {
    let mut args = logs::Args {
        model: None,
        account: None,
        key: None,
        status: None,
        since: None,
        until: None,
        before: None,
        limit: 50,
        format: logs::Format::Json,
        at: places(app).into(),
    };
    change(&mut args);
    let mut out = Vec::new();
    logs::run(&args, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

/// The ids of the rows, and what to ask for next.
async fn ids(app: &TestApp, change: impl FnOnce(&mut logs::Args)) -> (Vec<String>, Option<String>) {
    let page: Value = serde_json::from_str(&listed(app, change).await.unwrap()).unwrap();
    let rows = page["rows"].as_array().unwrap().iter();
    let ids = rows.map(|row| row["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn rows_are_listed_by_column_time_and_page() {
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let mut sent = Vec::new();
    for model in [FLASH, PRO, FLASH, "no-such-model"] {
        sent.insert(
            0,
            app.say(BOTH[sent.len() % 2], model, "hi")
                .await
                .id()
                .to_owned(),
        );
    }
    app.logs(4).await;
    let some =
        |places: &[usize]| -> Vec<String> { places.iter().map(|n| sent[*n].clone()).collect() };
    let all = ids(&app, |_| {}).await;
    assert_eq!(all, (sent.clone(), None));
    let of = async |change: fn(&mut logs::Args)| ids(&app, change).await.0;
    assert_eq!(of(|a| a.model = Some(FLASH.into())).await, some(&[1, 3]));
    assert_eq!(of(|a| a.status = Some("4xx".into())).await, some(&[0]));
    assert_eq!(
        of(|a| a.account = Some("alice".into())).await,
        some(&[1, 2, 3])
    );
    assert_eq!(of(|a| a.key = Some("nobody".into())).await, some(&[]));
    assert_eq!(of(|a| a.since = Some("1h".into())).await, sent);
    assert_eq!(of(|a| a.until = Some("1h".into())).await, some(&[]));
    let (first, next) = ids(&app, |a| a.limit = 3).await;
    assert_eq!(first, some(&[0, 1, 2]));
    let (rest, end) = ids(&app, |a| a.before = next).await;
    assert_eq!((rest, end), (some(&[3]), None));
}

#[tokio::test]
async fn a_table_is_printed_and_mistakes_are_explained() {
    let app = TestApp::start(Setup::new(&["alice"]), json!({})).await;
    let id = app.say(OpenAi, FLASH, "hi").await.id().to_owned();
    app.logs(1).await;
    let table = listed(&app, |a| a.format = logs::Format::Table)
        .await
        .unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].starts_with("ENDED"), "{table}");
    for word in ["200", "main", FLASH, "alice", &id] {
        assert!(lines[1].contains(word), "no `{word}`: {table}");
    }
    let refused = listed(&app, |a| a.since = Some("yesterday".into()))
        .await
        .unwrap_err();
    assert!(refused.message.contains("`yesterday`"), "{refused:?}");
}

#[tokio::test]
async fn a_start_while_the_upstream_is_away_knows_its_models() {
    let mut setup = Setup::new(&["alice"]);
    for model in setup.models() {
        setup = setup.without(&["models"], &model);
    }
    let mut app = TestApp::start(setup, json!({})).await;
    let list = async |app: &TestApp| {
        let request = app.client.get(app.url("/v1/models"));
        let got = Got::read(OpenAi.with_key(request, KEY)).await;
        let models: Vec<String> = got.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect();
        models
    };
    let known = list(&app).await;
    assert!(known.iter().any(|id| id == FLASH), "{known:?}");
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    app.runtime().store.flush().await.unwrap();
    let told = async |app: &TestApp| {
        let mut out = Vec::new();
        let args = status::Args {
            json: false,
            at: places(app).into(),
        };
        status::run(&args, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    let heard = format!("{} models, listed ", known.len());
    assert!(told(&app).await.contains(&heard), "{}", told(&app).await);

    // Sign-in and lists are away; what it would take to serve is there.
    app.sim.set_script(script(&json!({"rules": [
        {"method": "token", "do": {"status": 503}},
        {"method": "fetchAvailableModels", "do": {"status": 503}}]})));
    app.restart().await;
    assert_eq!(list(&app).await, known);
    assert_eq!(app.say(OpenAi, FLASH, "hi").await.status, 200);
    let status = told(&app).await;
    assert!(status.contains(&heard), "{status}");
    assert!(
        status.contains("not been heard since the start"),
        "{status}"
    );
    app.sim.set_script(script(&json!({})));
    app.restart().await;
    app.warm().await;
    crate::support::until("the upstream to be heard", || {
        let snapshot = app.runtime().snapshot();
        let listed = snapshot.upstreams["sim"].listed().unwrap();
        !listed.from_store
    })
    .await;
}
