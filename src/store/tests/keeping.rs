//! What is kept of accounts, what files of older agps become, and how large the log gets.

use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};

use super::*;
use crate::store::migrate::{OLD_LOG, OLD_TRY};
use crate::store::table::{LOG_BY_ID, META, META_SCHEMA, USAGE, encode};
use crate::store::usage::UsageSums;

fn standing(account: &str, state: &'static str) -> StandingRecord {
    StandingRecord {
        account: account.into(),
        fingerprint: [7; 32],
        state: state.into(),
        reason: "refused three times in a row".to_owned(),
        link: Some("https://example.com/verify".to_owned()),
        since: Timestamp(9),
    }
}

#[tokio::test]
async fn a_standing_is_kept_until_it_is_deleted() {
    let tmp = tempfile::tempdir().unwrap();
    let open = || Store::open(tmp.path(), Wrap::new(1), quick()).unwrap();
    let store = open();
    store.put_standing(standing("main", "needs_login"));
    store.put_standing(standing("main", "disabled"));
    store.put_standing(standing("spare", "disabled"));
    store.delete_standing("spare".into());
    let mut long = standing("third", "needs_verification");
    long.reason = "é".repeat(1000);
    long.link = Some("l".repeat(10_000));
    store.put_standing(long);
    store.close().await;
    let store = open();
    let learned = store.load().unwrap().standings;
    assert_eq!(learned[0], standing("main", "disabled"));
    assert_eq!(learned[1].account, "third".into());
    assert_eq!((learned[1].reason.len(), &learned[1].link), (500, &None));
    assert_eq!(learned.len(), 2);
    store.close().await;
}

#[tokio::test]
async fn state_of_an_account_that_left_waits_for_its_return() {
    let store = Store::in_memory(Wrap::new(1));
    let now = Timestamp::now();
    let ago = |hours: i64| Timestamp(now.as_millis() - hours * 3_600_000);
    for name in ["stays", "returns", "leaves"] {
        store.put_account(account(name));
        store.put_standing(standing(name, "disabled"));
        store.put_quota(quota(name, "m", 0.5));
        store.put_cooldown(cooldown(name, Some("m"), now));
        store.put_token(token(name, 1)).await.unwrap();
    }
    store.put_quota(quota("known by its quota", "m", 0.5));
    store.flush().await.unwrap();
    let names = |names: &[&str]| names.iter().map(|n| AccountId::from(*n)).collect();
    store.set_present(names(&["stays"]), ago(30));
    store.flush().await.unwrap();
    store.set_present(names(&["stays", "returns", "new"]), ago(20));
    store.flush().await.unwrap();
    store.set_present(names(&["stays"]), ago(10));
    store.flush().await.unwrap();
    let keep = |hours| Retention {
        orphan_age: Duration::from_hours(hours),
        ..Retention::default()
    };
    store.set_retention(keep(40));
    store.flush().await.unwrap();
    assert_eq!(store.load().unwrap().accounts.len(), 3);
    store.set_retention(keep(25));
    until("the one that left first is forgotten", || {
        store.load().unwrap().quotas.len() == 2
    })
    .await;
    let learned = store.load().unwrap();
    for found in [
        learned
            .accounts
            .iter()
            .map(|r| &r.account)
            .collect::<Vec<_>>(),
        learned.tokens.iter().map(|r| &r.account).collect(),
        learned.quotas.iter().map(|r| &r.account).collect(),
        learned.cooldowns.iter().map(|r| &r.account).collect(),
        learned.standings.iter().map(|r| &r.account).collect(),
    ] {
        assert_eq!(
            found,
            [&AccountId::from("returns"), &AccountId::from("stays")]
        );
    }
    store.set_retention(keep(5));
    until("the one that left again too", || {
        store.load().unwrap().tokens.len() == 1
    })
    .await;
}

/// A value as it was before it had a cost, which came last.
fn without_cost(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = encode(value).unwrap();
    assert_eq!(bytes.pop(), Some(0));
    bytes
}

/// Makes the files as schema 1 had them: no index, rows by id.
fn older_files(dir: &std::path::Path, rows: &[LogRecord]) {
    const ACCOUNT: TableDefinition<&str, &[u8]> = TableDefinition::new("account");
    let db = redb::Database::create(dir.join("agp.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let schema = encode(&1u32).unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, schema.as_slice())
            .unwrap();
        let record = encode(&account("main")).unwrap();
        txn.open_table(ACCOUNT)
            .unwrap()
            .insert("main", record.as_slice())
            .unwrap();
        txn.open_table(TableDefinition::<&str, &[u8]>::new("token"))
            .unwrap();
        for name in ["quota", "cooldown", "signature_by_call"] {
            txn.open_table(TableDefinition::<(&str, &str), &[u8]>::new(name))
                .unwrap();
        }
        for name in ["signature", "signature_seen"] {
            txn.open_table(TableDefinition::<(&str, &[u8; 32]), &[u8]>::new(name))
                .unwrap();
        }
        txn.open_table(TableDefinition::<(i64, &str, &[u8; 32]), ()>::new(
            "signature_by_age",
        ))
        .unwrap();
    }
    txn.commit().unwrap();
    db.close().unwrap();
    let db = redb::Database::create(dir.join("agp-log.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let schema = encode(&1u32).unwrap();
        txn.open_table(META)
            .unwrap()
            .insert(META_SCHEMA, schema.as_slice())
            .unwrap();
        let mut log = txn.open_table(OLD_LOG).unwrap();
        let mut tries = txn.open_table(OLD_TRY).unwrap();
        let mut sums = UsageSums::default();
        for row in rows {
            let id = row.id.as_u128();
            log.insert(id, without_cost(row).as_slice()).unwrap();
            for call in &row.tries {
                let value = without_cost(call);
                tries.insert((id, call.n), value.as_slice()).unwrap();
            }
            sums.requests += 1;
        }
        let value = without_cost(&sums);
        let quarter = crate::store::usage::quarter(Timestamp::now());
        txn.open_table(USAGE)
            .unwrap()
            .insert((quarter, 0, ""), value.as_slice())
            .unwrap();
    }
    txn.commit().unwrap();
    db.close().unwrap();
}

#[tokio::test]
async fn files_of_an_older_agp_are_copied_and_migrated() {
    let tmp = tempfile::tempdir().unwrap();
    let rows: Vec<LogRecord> = (0..5_000).map(row).collect();
    older_files(tmp.path(), &rows);
    for run in 0..2 {
        let store = Store::open(tmp.path(), Wrap::new(1), quick()).unwrap();
        assert_eq!(store.load().unwrap().accounts, [account("main")]);
        assert_eq!(
            store.log_record(rows[7].id).unwrap().as_ref(),
            Some(&rows[7])
        );
        assert_eq!(newest(&store, usize::MAX).len(), 5_000 + run);
        let filter = Filter {
            account: Some("main".into()),
            status: Some(StatusFilter::Class(2)),
            ..Filter::default()
        };
        let page = store.query(&filter, None, 3).unwrap();
        assert_eq!(page.rows.len(), 3);
        assert_eq!(all_of(&store), 5_000 + run as u64);
        store.log(row(9_999));
        store.put_standing(standing("main", "disabled"));
        store.close().await;
    }
    let copy = redb::Database::create(tmp.path().join("agp-log.redb.schema-1")).unwrap();
    let txn = copy.begin_read().unwrap();
    let old = txn.open_table(OLD_LOG).unwrap();
    assert_eq!(old.len().unwrap(), 5_000, "the copy is as it was");
    assert!(txn.open_table(LOG_BY_ID).is_err());
    assert!(tmp.path().join("agp.redb.schema-1").exists());
    let names = std::fs::read_dir(tmp.path()).unwrap().count();
    assert_eq!(names, 4, "nothing else is left");
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_begun_anew() {
    let tmp = tempfile::tempdir().unwrap();
    let rows: Vec<LogRecord> = (0..5_000).map(row).collect();
    older_files(tmp.path(), &rows);
    // As far as the first transactions: some rows moved, the number not yet changed.
    let db = redb::Database::create(tmp.path().join("agp-log.redb")).unwrap();
    crate::store::migrate::LOG[0](&db).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut log = txn.open_table(OLD_LOG).unwrap();
        for row in &rows[4_990..] {
            log.insert(row.id.as_u128(), without_cost(row).as_slice())
                .unwrap();
        }
    }
    txn.commit().unwrap();
    db.close().unwrap();
    let store = Store::open(tmp.path(), Wrap::new(1), quick()).unwrap();
    let found = newest(&store, usize::MAX);
    assert_eq!(found.len(), 5_000);
    assert_eq!(all_of(&store), 5_000);
    store.close().await;
}

#[tokio::test]
async fn the_log_stays_below_its_mark_and_keeps_the_newest() {
    let tmp = tempfile::tempdir().unwrap();
    let mark = 8 << 20;
    let options = Options {
        retention: Retention {
            log_bytes: mark,
            ..Retention::default()
        },
        ..quick()
    };
    let store = Store::open(tmp.path(), Wrap::new(1), options).unwrap();
    let used = || {
        use std::os::unix::fs::MetadataExt as _;
        let file = tmp.path().join("agp-log.redb");
        std::fs::metadata(file).unwrap().blocks() * 512
    };
    let (mut peak, mut last) = (0, None);
    for round in 0..100 {
        for n in 0..256 {
            let mut record = row(round * 256 + n);
            record.verdicts = vec![record.verdicts[0].clone(); 20];
            last = Some(record.id);
            store.log(record);
        }
        store.flush().await.unwrap();
        peak = peak.max(used());
    }
    assert!(peak <= mark, "{peak} bytes");
    assert!(peak > mark / 2, "{peak} bytes: the mark was not reached");
    let kept = newest(&store, usize::MAX);
    assert_eq!(Some(kept[0].id), last, "the newest is there");
    assert!(
        kept.len() < 20_000 && kept.len() > 2_000,
        "{} rows",
        kept.len()
    );
    assert_eq!(all_of(&store), 25_600, "the sums know of all");
    store.close().await;
}
