//! Real files: modes, lock, schema, damage, what a new run finds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::store::table::{META, META_NEEDS, META_SCHEMA, encode};

fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, Wrap::new(1), quick())
}

/// A store with a bit of everything in it, closed.
async fn filled(dir: &Path) {
    let store = open(dir).unwrap();
    store.put_token(token("main", 1)).await.unwrap();
    store.put_account(account("main"));
    store.put_signature(signature("team", "private thoughts", &["call-1"]));
    for n in 0..50 {
        store.log(row(n));
    }
    store.close().await;
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_run_finds_what_the_last_one_learnt() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("deep/data");
    let store = open(&dir).unwrap();
    let later = Timestamp::now().plus(Duration::from_hours(1));
    let kept = signature("team", "private thoughts", &["call-1", "call-2"]);
    store.put_account(account("main"));
    store.put_quota(quota("main", "m", 0.25));
    store.put_quota(quota("main", "m", 0.5));
    store.put_cooldown(cooldown("main", None, later));
    store.put_cooldown(cooldown("main", Some("m"), later));
    store.put_cooldown(cooldown("main", Some("gone"), later));
    store.delete_cooldown("main".into(), Some("gone".into()));
    store.put_signature(kept.clone());
    store.put_token(token("main", 1)).await.unwrap();
    store.put_token_relaxed(token("spare", 2));
    store.log(row(3));
    for generation in [1, 2] {
        assert_eq!(store.upcoming_generation(), generation);
        applied(&store, generation, "x").await.unwrap();
    }
    store.close().await;

    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("agp.redb")), 0o600);
    assert_eq!(mode(&dir.join("agp-log.redb")), 0o600);

    let store = open(&dir).unwrap();
    let learned = store.load().unwrap();
    assert_eq!(learned.tokens, [token("main", 1), token("spare", 2)]);
    assert_eq!(learned.accounts, [account("main")]);
    assert_eq!(learned.quotas, [quota("main", "m", 0.5)]);
    let expected = [
        cooldown("main", None, later),
        cooldown("main", Some("m"), later),
    ];
    assert_eq!(learned.cooldowns, expected);
    assert_eq!(learned.signatures, [kept]);
    assert_eq!(learned.unreadable, 0);
    assert_eq!(newest(&store, 10).len(), 1);
    assert_eq!(store.upcoming_generation(), 3);
    store.close().await;
}

#[tokio::test]
async fn secrets_and_thoughts_are_nowhere_in_clear() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    let found = fs::read(tmp.path().join("agp.redb")).unwrap();
    let holds = |text: &str| found.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("made-up-project"), "the search finds what is there");
    for secret in [
        "made-up-access",
        "made-up-refresh",
        "made-up-sig",
        "private",
    ] {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_store_in_use_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let first = open(tmp.path()).unwrap();
    let error = open(tmp.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let holder = holder::of(&tmp.path().join("agp.redb"));
    let who = holder.map_or("another process".to_owned(), |h| h.to_string());
    assert!(
        error
            .to_string()
            .contains(&format!("in use by {who}: stop"))
    );
    if cfg!(target_os = "linux") {
        assert!(
            who.contains(&format!("(pid {})", std::process::id())),
            "{who}"
        );
    }
    first.close().await;
    open(tmp.path()).unwrap().close().await;
}

#[tokio::test]
async fn modes_that_are_too_open_are_closed() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    let file = tmp.path().join("agp.redb");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    open(tmp.path()).unwrap().close().await;
    assert_eq!(mode(&file), 0o600);
}

#[tokio::test]
async fn another_identity_is_an_error_and_changes_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    let error = Store::open(tmp.path(), Wrap::new(2), quick()).unwrap_err();
    assert_eq!(error, StoreError::Key("expected the identity 2".into()));
    let store = open(tmp.path()).unwrap();
    assert_eq!(store.load().unwrap().tokens, [token("main", 1)]);
    store.close().await;
}

#[tokio::test]
async fn a_file_of_a_newer_agp_is_refused_by_name_and_version() {
    for name in ["agp.redb", "agp-log.redb"] {
        let tmp = tempfile::tempdir().unwrap();
        filled(tmp.path()).await;
        let db = redb::Database::create(tmp.path().join(name)).unwrap();
        let txn = db.begin_write().unwrap();
        let mut meta = txn.open_table(META).unwrap();
        let put = |meta: &mut redb::Table<&str, &[u8]>, key, value: Vec<u8>| {
            meta.insert(key, value.as_slice()).unwrap();
        };
        put(&mut meta, META_SCHEMA, encode(&9u32).unwrap());
        put(&mut meta, META_NEEDS, encode(&"4.5.6").unwrap());
        drop(meta);
        txn.commit().unwrap();
        db.close().unwrap();
        let error = open(tmp.path()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        assert!(error.contains("schema 9"), "{error}");
        assert!(error.contains("agp 4.5.6 or newer"), "{error}");
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 2);
    }
}

/// Ways in which a file can be damaged.
fn damages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut flipped = bytes.to_vec();
    for page in flipped.chunks_mut(4096).skip(1) {
        let at = page.len() / 2;
        page[at] ^= 0xff;
        page[0] ^= 0xff;
    }
    let mut header = bytes.to_vec();
    header[64..320].fill(0xa5);
    let mut mark = bytes.to_vec();
    mark[..9].fill(0);
    vec![
        b"this is no database at all".repeat(1000),
        bytes[..bytes.len() / 2].to_vec(),
        flipped,
        header,
        mark,
    ]
}

#[tokio::test]
async fn a_damaged_state_file_stops_the_start_and_stays() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    let file = tmp.path().join("agp.redb");
    let whole = fs::read(&file).unwrap();
    for (n, damaged) in damages(&whole).into_iter().enumerate() {
        fs::write(&file, &damaged).unwrap();
        let error = open(tmp.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{n}: {error}");
        assert!(error.to_string().contains("agp.redb"), "{error}");
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 2, "{n}");
        let same = fs::read(&file).unwrap().len() == damaged.len();
        assert!(same, "{n}: not made anew");
    }
    fs::write(&file, &whole).unwrap();
    let store = open(tmp.path()).unwrap();
    assert_eq!(store.load().unwrap().tokens, [token("main", 1)]);
    store.close().await;
}

#[tokio::test]
async fn a_damaged_log_is_set_aside_and_begun_anew() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    let file = tmp.path().join("agp-log.redb");
    let whole = fs::read(&file).unwrap();
    for (n, damaged) in damages(&whole).into_iter().enumerate() {
        fs::write(&file, &damaged).unwrap();
        let store = open(tmp.path()).unwrap();
        store.log(row(7));
        store.flush().await.unwrap();
        assert!(store.log_record(row(7).id).is_ok());
        assert!(store.health().is_ok(), "{n}: {:?}", store.health());
        assert_eq!(store.load().unwrap().tokens, [token("main", 1)]);
        store.close().await;
        let mut aside = fs::read_dir(tmp.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("agp-log.redb.damaged-"));
        let kept = aside.next().unwrap_or_else(|| panic!("{n}: not set aside"));
        assert_eq!(fs::read(&kept).unwrap().len(), damaged.len());
        assert!(aside.next().is_none());
        fs::remove_file(kept).unwrap();
    }
}

#[tokio::test]
async fn files_that_were_never_finished_are_begun_anew() {
    let tmp = tempfile::tempdir().unwrap();
    let mut unborn = vec![0; 1 << 20];
    unborn[9..100].fill(1);
    for name in ["agp.redb", "agp-log.redb"] {
        fs::write(tmp.path().join(name), &unborn).unwrap();
    }
    filled(tmp.path()).await;
    let store = open(tmp.path()).unwrap();
    assert_eq!(store.load().unwrap().tokens.len(), 1);
    assert_eq!(newest(&store, 100).len(), 50);
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 2);
    store.close().await;
}

#[tokio::test]
async fn a_log_that_was_deleted_is_begun_anew() {
    let tmp = tempfile::tempdir().unwrap();
    filled(tmp.path()).await;
    fs::remove_file(tmp.path().join("agp-log.redb")).unwrap();
    let store = open(tmp.path()).unwrap();
    assert!(newest(&store, 10).is_empty());
    assert_eq!(store.load().unwrap().tokens.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn what_is_queued_is_written_though_nobody_closes() {
    let tmp = tempfile::tempdir().unwrap();
    let store = open(tmp.path()).unwrap();
    store.put_quota(quota("main", "m", 0.5));
    drop(store);
    let mut again = None;
    until("the lock", || {
        again = open(tmp.path()).ok();
        again.is_some()
    })
    .await;
    let store = again.unwrap();
    assert_eq!(store.load().unwrap().quotas.len(), 1);
    store.close().await;
}
