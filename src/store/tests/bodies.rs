//! Bodies through the store: sealed, bounded, forgotten, and never in anybody's way.

use bytes::Bytes;

use super::*;
use crate::store::fault::{Disk, Trouble};

/// Nothing is taken out.
fn keep(body: &[u8], limit: usize) -> (Vec<u8>, bool) {
    (body[..body.len().min(limit)].to_vec(), body.len() <= limit)
}

pub(super) fn put(store: &Store, id: RequestId, request: &str, answer: &str) {
    let draft = store.begin_body(Bytes::from(request.to_owned()), keep);
    if let Some(mut draft) = draft {
        draft.sent(&Bytes::from(answer.to_owned()));
        store.put_body(id, draft);
    }
}

pub(super) fn said(store: &Store, id: RequestId) -> Option<(String, String)> {
    let found = store.body(id).unwrap()?;
    Some((found.request.text, found.answer.text))
}

fn pair(request: &str, answer: &str) -> (String, String) {
    (request.to_owned(), answer.to_owned())
}

#[tokio::test]
async fn bodies_outlive_a_restart_although_nothing_else_was_sealed() {
    let tmp = tempfile::tempdir().unwrap();
    let open = || Store::open(tmp.path(), Wrap::new(1), quick()).unwrap();
    let store = open();
    let row = row(1);
    store.log(row.clone());
    put(&store, row.id, "a private question", "a private answer");
    store.close().await;
    let store = open();
    assert_eq!(
        said(&store, row.id),
        Some(pair("a private question", "a private answer"))
    );
    assert_eq!(said(&store, RequestId::from_u128(1)), None);
    store.close().await;
    // Without the file that holds the key they are of no use to anybody.
    std::fs::remove_file(tmp.path().join("agp.redb")).unwrap();
    let store = open();
    let error = store.body(row.id).unwrap_err();
    assert!(matches!(error, StoreError::Key(_)), "{error}");
    store.close().await;
}

#[tokio::test]
async fn without_an_identity_nothing_is_kept_and_rows_are() {
    let keys = Wrap::new(1);
    *keys.refuses.lock() = true;
    let store = Store::in_memory(Arc::clone(&keys) as Arc<dyn KeyWrap>);
    let (first, second) = (row(1), row(2));
    store.log(first.clone());
    put(&store, first.id, "question", "answer");
    store.flush().await.unwrap();
    assert_eq!(store.body(first.id).unwrap(), None);
    assert_eq!(store.health().dropped_bodies, 1);
    assert!(store.log_record(first.id).unwrap().is_some());
    *keys.refuses.lock() = false;
    put(&store, second.id, "question", "answer");
    store.flush().await.unwrap();
    assert_eq!(said(&store, second.id), Some(pair("question", "answer")));
}

#[tokio::test]
async fn bodies_go_by_age_with_their_row_and_before_rows() {
    let options = Options {
        retention: Retention {
            log_rows: 3,
            ..Retention::default()
        },
        ..quick()
    };
    let memory = || Box::new(MemoryPlace("memory"));
    let store = Store::open_places(memory(), memory(), Wrap::new(1), options).unwrap();
    let now = Timestamp::now();
    let ago = |hours: i64| Timestamp(now.as_millis() - hours * 3_600_000);
    let rows: Vec<LogRecord> = [100, 50, 10, 1, 0]
        .iter()
        .enumerate()
        .map(|(n, hours)| row_at(ago(*hours), n))
        .collect();
    for row in &rows {
        store.log(row.clone());
        put(&store, row.id, "question", "answer");
    }
    store.flush().await.unwrap();
    until("surplus rows to go", || {
        store.set_retention(store.0.shared.options.retention);
        store.log_record(rows[1].id).unwrap().is_none()
    })
    .await;
    assert_eq!(store.body(rows[1].id).unwrap(), None, "with its row");
    assert!(store.body(rows[2].id).unwrap().is_some());
    store.set_retention(Retention {
        body_age: Duration::from_hours(5),
        ..Retention::default()
    });
    until("old bodies to go", || {
        store.body(rows[2].id).unwrap().is_none()
    })
    .await;
    assert!(
        store.log_record(rows[2].id).unwrap().is_some(),
        "its row stays"
    );
    assert!(store.body(rows[3].id).unwrap().is_some());
}

#[tokio::test]
async fn a_failing_log_keeps_bodies_up_to_the_bound_and_then_drops_them() {
    let (state, log) = (Disk::default(), Disk::default());
    let options = Options {
        body_bytes: 20_000,
        ..quick()
    };
    let places = (Box::new(state.clone()), Box::new(log.clone()));
    let store = Store::open_places(places.0, places.1, Wrap::new(1), options).unwrap();
    log.trouble(Some(Trouble::Full));
    let rows: Vec<LogRecord> = (0..100).map(row).collect();
    for row in &rows {
        store.log(row.clone());
        // Not to be made smaller, so that what is packed counts as much.
        let mut noise = vec![0; 300];
        getrandom::fill(&mut noise).unwrap();
        let text: String = noise.iter().map(|b| char::from(b'0' + b % 64)).collect();
        put(&store, row.id, &text, "answer");
    }
    until("the trouble to be told", || {
        store.health().log != Condition::Ok
    })
    .await;
    let dropped = store.health().dropped_bodies;
    assert!(dropped > 0 && dropped < 100, "{dropped}");
    log.trouble(None);
    store.flush().await.unwrap();
    let kept = rows
        .iter()
        .filter(|row| store.body(row.id).unwrap().is_some());
    assert_eq!(kept.count() as u64, 100 - store.health().dropped_bodies);
    assert_eq!(store.health().dropped_logs, 0, "rows suffered nothing");
    assert_eq!(all_of(&store), 100);
    store.close().await;
}

#[tokio::test]
async fn bodies_take_half_of_the_log_at_most() {
    /// Its part that is kept free must hold what is written between two looks, on a busy machine too.
    const MARK: u64 = 6 << 20;
    let tmp = tempfile::tempdir().unwrap();
    let options = Options {
        retention: Retention {
            log_bytes: MARK,
            ..Retention::default()
        },
        ..quick()
    };
    let store = Store::open(tmp.path(), Wrap::new(1), options).unwrap();
    let mut noise = vec![0; 40_000];
    let rows: Vec<LogRecord> = (0..240).map(row).collect();
    for row in &rows {
        store.log(row.clone());
        getrandom::fill(&mut noise).unwrap();
        let text: String = noise.iter().map(|b| char::from(b'0' + b % 64)).collect();
        put(&store, row.id, &text, "answer");
        store.flush().await.unwrap();
    }
    let path = tmp.path().join("agp-log.redb");
    let used = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
    assert!(used <= MARK, "the file takes {used} bytes");
    let kept = rows
        .iter()
        .filter(|row| store.body(row.id).unwrap().is_some());
    let kept = kept.count();
    assert!((20..120).contains(&kept), "{kept}");
    assert!(
        store.body(rows[239].id).unwrap().is_some(),
        "the newest stay"
    );
    assert!(
        store.log_record(rows[0].id).unwrap().is_some(),
        "no row had to go"
    );
    store.close().await;
}
