use super::*;
use crate::base::id::{Dialect, RequestId};
use crate::ir::SignatureFamily;
use crate::store::change::{Change, Item, Row};
use crate::store::crypt::DataKey;
use crate::store::open::File;
use crate::store::place::MemoryPlace;
use crate::store::record::{SignatureRecord, TryRecord};
use crate::store::{apply, log};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MONTH: Duration = Duration::from_hours(30 * 24);

fn month() -> Retention {
    Retention {
        orphan_age: MONTH,
        ..Retention::default()
    }
}
const YEAR: Duration = Duration::from_hours(400 * 24);

fn opened(file: File) -> File {
    file.open(false).unwrap();
    file
}

fn write<T>(file: &File, f: impl Fn(&WriteTransaction) -> Result<T, Fault>) -> T {
    let txn = file.begin_write().unwrap();
    let out = f(&txn).unwrap();
    txn.commit().unwrap();
    out
}

fn row(at: Timestamp, n: u128) -> LogRecord {
    let id = (u128::try_from(at.as_millis()).unwrap() << 80) | n;
    let mut record = LogRecord::new(RequestId::from_u128(id), at, Dialect::OpenAiChat);
    record.tries.push(TryRecord {
        n: 1,
        upstream: "google".into(),
        account: "main".into(),
        model: String::new(),
        host: String::new(),
        status: None,
        class: None,
        latency_ms: 0,
        first_byte_ms: None,
        detail: String::new(),
        start_ms: None,
    });
    record
}

fn counts(file: &File) -> (u64, u64, u64) {
    file.read(|txn| {
        Ok((
            txn.open_table(LOG)?.len()?,
            txn.open_table(TRY)?.len()?,
            txn.open_table(USAGE)?.len()?,
        ))
    })
    .unwrap()
}

#[test]
fn old_rows_go_with_their_tries_and_old_sums_later() {
    let log = opened(File::log(Box::new(MemoryPlace("log"))));
    let kept = Retention::default();
    let day = 24 * 3600 * 1000;
    for (n, days) in [(1, 500), (2, 31), (3, 29), (4, 0)] {
        let at = Timestamp(NOW.as_millis() - days * day);
        write(&log, |txn| log::append(txn, &[row(at, n)]));
    }
    assert_eq!(counts(&log), (4, 4, 4));
    let step = write(&log, |txn| trim_log(txn, NOW, YEAR, &kept, None));
    assert!(step.changed && !step.more);
    assert_eq!(counts(&log), (2, 2, 3));
    let step = write(&log, |txn| trim_log(txn, NOW, YEAR, &kept, None));
    assert!(!step.changed, "nothing is left to do");
}

#[test]
fn surplus_rows_go_in_small_steps_the_oldest_first() {
    let log = opened(File::log(Box::new(MemoryPlace("log"))));
    let kept = Retention {
        log_rows: 100,
        ..Retention::default()
    };
    let rows: Vec<LogRecord> = (0..2000).map(|n| row(NOW, n)).collect();
    write(&log, |txn| log::append(txn, &rows));
    let step = write(&log, |txn| trim_log(txn, NOW, YEAR, &kept, None));
    assert!(step.more);
    assert_eq!(counts(&log).0, 2000 - STEP as u64);
    let step = write(&log, |txn| trim_log(txn, NOW, YEAR, &kept, None));
    assert!(!step.more);
    assert_eq!((counts(&log).0, counts(&log).1), (100, 100));
    let first = log
        .read(|txn| Ok(txn.open_table(LOG)?.first()?.unwrap().0.value()))
        .unwrap();
    assert_eq!(first, 1900);
}

#[test]
fn a_row_written_twice_counts_once() {
    let log = opened(File::log(Box::new(MemoryPlace("log"))));
    for _ in 0..2 {
        write(&log, |txn| log::append(txn, &[row(NOW, 1), row(NOW, 2)]));
    }
    let sums = log
        .read(|txn| {
            let usage = txn.open_table(USAGE)?;
            let value = usage.get((quarter(NOW), 0, ""))?.unwrap();
            Ok(table::decode_grown::<crate::store::UsageSums>(value.value()).unwrap())
        })
        .unwrap();
    assert_eq!(sums.requests, 2);
}

fn item(at: Timestamp, n: usize) -> Item {
    let record = SignatureRecord {
        key: "team".into(),
        family: SignatureFamily::Gemini,
        signature: "made-up".into(),
        thinking: None,
        call_ids: vec![format!("call-{n}"), "shared".into()],
        at,
    };
    Item {
        row: Row::Signature(record.key.clone(), record.digest()),
        change: Change::Signature(record),
        acks: Vec::new(),
    }
}

#[test]
fn unused_and_surplus_signatures_go_from_every_table() {
    let state = opened(File::state(Box::new(MemoryPlace("state"))));
    let (key, _) = DataKey::generate().unwrap();
    let options = Options {
        max_signatures: 2,
        ..Options::default()
    };
    let hour = 3600 * 1000;
    let items: Vec<Item> = [(0, 25), (1, 3), (2, 2), (3, 1)]
        .into_iter()
        .map(|(n, hours)| item(Timestamp(NOW.as_millis() - hours * hour), n))
        .collect();
    write(&state, |txn| apply::state(txn, &items, Some(&key)));
    let step = write(&state, |txn| trim_state(txn, NOW, &options, &month()));
    assert!(step.changed && !step.more);
    state
        .read(|txn| {
            assert_eq!(txn.open_table(SIGNATURE)?.len()?, 2);
            assert_eq!(txn.open_table(SIGNATURE_SEEN)?.len()?, 2);
            assert_eq!(txn.open_table(SIGNATURE_BY_AGE)?.len()?, 2);
            let by_call = txn.open_table(SIGNATURE_BY_CALL)?;
            let calls: Vec<String> = by_call
                .range::<(&str, &str)>(..)?
                .map(|row| row.unwrap().0.value().1.to_owned())
                .collect();
            assert_eq!(calls, ["call-2", "call-3", "shared"]);
            Ok(())
        })
        .unwrap();
    let all_fresh = write(&state, |txn| trim_state(txn, NOW, &options, &month()));
    assert!(!all_fresh.changed);
    let tomorrow = NOW.plus(Duration::from_hours(24));
    write(&state, |txn| trim_state(txn, tomorrow, &options, &month()));
    let left = state.read(|txn| Ok(txn.open_table(SIGNATURE_BY_CALL)?.len()?));
    assert_eq!(left, Ok(0));
}

#[test]
fn a_cooldown_is_remembered_for_a_day_after_its_end() {
    let state = opened(File::state(Box::new(MemoryPlace("state"))));
    for (n, hours) in [(1, 25), (2, 23), (3, -1)] {
        let record = CooldownRecord {
            account: format!("account-{n}").into(),
            model: None,
            until: Timestamp(NOW.as_millis() - hours * 3600 * 1000),
            class: "capacity".into(),
            count: 1,
        };
        let item = Item {
            row: Row::Cooldown(record.account.clone(), None),
            change: Change::Cooldown(record),
            acks: Vec::new(),
        };
        write(&state, |txn| {
            apply::state(txn, std::slice::from_ref(&item), None)
        });
    }
    write(&state, |txn| {
        trim_state(txn, NOW, &Options::default(), &month())
    });
    let left = state.read(|txn| Ok(txn.open_table(COOLDOWN)?.len()?));
    assert_eq!(left, Ok(2));
}
