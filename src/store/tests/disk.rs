//! A full, broken or hanging disk.

use super::*;
use crate::store::fault::{Disk, Trouble};

fn open(state: &Disk, log: &Disk, options: Options) -> Store {
    open_with(state, log, Wrap::new(1), options)
}

fn open_with(state: &Disk, log: &Disk, keys: Arc<Wrap>, options: Options) -> Store {
    Store::open_places(
        Box::new(state.clone()),
        Box::new(log.clone()),
        keys,
        options,
    )
    .unwrap()
}

fn why(condition: &Condition) -> &str {
    match condition {
        Condition::Ok => "ok",
        Condition::Failing { error, .. } => error,
    }
}

#[tokio::test]
async fn a_failing_disk_is_told_and_writing_resumes_by_itself() {
    for trouble in [Trouble::Full, Trouble::Broken] {
        let (state, log) = (Disk::default(), Disk::default());
        let store = open(&state, &log, quick());
        store.put_token(token("main", 1)).await.unwrap();
        assert!(store.health().is_ok());

        state.trouble(Some(trouble));
        log.trouble(Some(trouble));
        let error = store.put_token(token("main", 2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Disk { .. }), "{error}");
        for n in 0..1000u32 {
            store.put_quota(quota("main", "m", f64::from(n)));
            store.log(row(usize::try_from(n).unwrap()));
        }
        until("both are told", || {
            let health = store.health();
            health.state != Condition::Ok && health.log != Condition::Ok
        })
        .await;
        assert_ne!(why(&store.health().state), "ok");
        let attempts = store.put_token(token("spare", 4)).await;
        assert!(attempts.is_err(), "still failing, still at once");

        state.trouble(None);
        log.trouble(None);
        until("it resumes", || {
            let health = store.health();
            health.is_ok() && health.queued_writes == 0 && health.queued_logs == 0
        })
        .await;
        let health = store.health();
        assert_eq!((health.dropped_logs, health.dropped_writes), (0, 0));
        let learned = store.load().unwrap();
        assert_eq!(learned.tokens, [token("main", 2), token("spare", 4)]);
        assert_eq!(learned.quotas, [quota("main", "m", 999.0)]);
        assert_eq!(all_of(&store), 1000);
        store.close().await;
    }
}

#[tokio::test]
async fn a_failing_log_leaves_the_state_alone() {
    let (state, log) = (Disk::default(), Disk::default());
    let store = open(&state, &log, quick());
    log.trouble(Some(Trouble::Broken));
    store.log(row(1));
    until("told", || store.health().log != Condition::Ok).await;
    store.put_token(token("main", 1)).await.unwrap();
    assert_eq!(store.health().state, Condition::Ok);
    until("a broken handle is opened again", || log.opened() > 1).await;
}

#[tokio::test]
async fn the_log_may_fail_from_the_start() {
    let (state, log) = (Disk::default(), Disk::default());
    log.trouble(Some(Trouble::Broken));
    let store = open(&state, &log, quick());
    assert_ne!(store.health().log, Condition::Ok);
    store.log(row(1));
    log.trouble(None);
    until("it resumes", || {
        store.health().is_ok() && store.health().queued_logs == 0
    })
    .await;
    assert_eq!(newest(&store, 10).len(), 1);
}

#[tokio::test]
async fn rows_beyond_the_bounds_are_counted_and_the_newest_value_stays() {
    let (state, log) = (Disk::default(), Disk::default());
    let options = Options {
        queue_rows: 10,
        queue_logs: 20,
        ..quick()
    };
    let store = open(&state, &log, options);
    state.trouble(Some(Trouble::Full));
    log.trouble(Some(Trouble::Full));
    store.put_quota(quota("first", "m", 0.1));
    store.log(row(1000));
    until("told", || {
        let health = store.health();
        health.state != Condition::Ok && health.log != Condition::Ok
    })
    .await;
    for n in 0..100 {
        store.put_quota(quota(&format!("account-{n}"), "m", 0.1));
        store.log(row(n));
    }
    // Rows that a try has in hand are not in the queue for that moment, so that nothing is there to be replaced.
    let mut refused = 0;
    loop {
        let before = store.health().dropped_writes;
        store.put_quota(quota("first", "m", 0.9));
        if store.health().dropped_writes == before {
            break;
        }
        refused += 1;
        tokio::task::yield_now().await;
    }
    let health = store.health();
    assert!(health.queued_logs <= 20, "{health:?}");
    assert!(health.dropped_writes > 0);
    state.trouble(None);
    log.trouble(None);
    store.flush().await.unwrap();
    let quotas = store.load().unwrap().quotas;
    assert!(quotas.contains(&quota("first", "m", 0.9)), "{quotas:?}");
    let lost = usize::try_from(store.health().dropped_writes).unwrap();
    assert_eq!(quotas.len() + lost, 101 + refused);
    let dropped = store.health().dropped_logs;
    assert!(dropped > 0);
    assert_eq!(all_of(&store) + dropped, 101);
}

#[tokio::test]
async fn a_hanging_disk_holds_up_nobody() {
    let (state, log) = (Disk::default(), Disk::default());
    let options = Options {
        durable_wait: Duration::from_millis(1),
        ..quick()
    };
    let store = open(&state, &log, options);
    let hang = (state.hang(), log.hang());
    for n in 0..20_000 {
        store.log(row(n));
        store.put_quota(quota("main", "m", 0.5));
        store.put_token_relaxed(token("main", n));
    }
    let health = store.health();
    assert!(health.queued_logs > 0 && health.dropped_logs > 0);
    let slow = store.put_token(token("main", 20_001)).await;
    assert_eq!(slow, Err(StoreError::Slow));
    drop(hang);
    until("it is written all the same", || {
        store.load().unwrap().tokens == [token("main", 20_001)]
    })
    .await;
}

#[tokio::test]
async fn a_log_found_damaged_while_running_is_set_aside() {
    let (state, log) = (Disk::default(), Disk::default());
    let store = open(&state, &log, quick());
    for n in 0..3000 {
        store.log(row(n));
    }
    store.close().await;
    let store = open(&state, &log, quick());
    log.rot();
    store.log(row(1));
    until("it resumes", || {
        let health = store.health();
        health.is_ok() && health.queued_logs == 0
    })
    .await;
    assert_eq!(log.set_aside_count(), 1);
    assert_eq!(newest(&store, 10).len(), 1);
}

#[tokio::test]
async fn an_identity_that_cannot_be_made_is_told_and_tried_again() {
    let (state, log) = (Disk::default(), Disk::default());
    let keys = Wrap::new(1);
    *keys.refuses.lock() = true;
    let store = open_with(&state, &log, Arc::clone(&keys), quick());
    let error = store.put_token(token("main", 1)).await.unwrap_err();
    assert_eq!(error, StoreError::Key("no identity can be made".into()));
    assert!(why(&store.health().state).contains("no identity can be made"));
    *keys.refuses.lock() = false;
    until("it resumes", || store.health().queued_writes == 0).await;
    store.close().await;
    let store = open_with(&state, &log, keys, quick());
    assert_eq!(store.load().unwrap().tokens, [token("main", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_durable_write_waits_in_real_time() {
    let (state, log) = (Disk::default(), Disk::default());
    let store = open(&state, &log, quick());
    let began = tokio::time::Instant::now();
    store.put_token(token("main", 1)).await.unwrap();
    assert_eq!(tokio::time::Instant::now(), began, "no timer ran ahead");
}

#[tokio::test]
async fn tokens_written_together_share_a_commit() {
    let (state, log) = (Disk::default(), Disk::default());
    let store = open(&state, &log, quick());
    let writes = (0..100).map(|n| {
        let store = store.clone();
        async move { store.put_token(token(&format!("account-{n:03}"), n)).await }
    });
    for outcome in futures_util::future::join_all(writes).await {
        outcome.unwrap();
    }
    assert_eq!(store.load().unwrap().tokens.len(), 100);
}
