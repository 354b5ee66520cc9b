//! Forgetting: log rows by age and number, signatures a while after their last use, cooldowns after their end. In small
//! steps, so that writes never wait long.

use std::time::Duration;

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::Options;
use super::open::Fault;
use super::record::CooldownRecord;
use super::table::{
    self, COOLDOWN, LOG, SIGNATURE, SIGNATURE_BY_AGE, SIGNATURE_BY_CALL, SIGNATURE_SEEN, Seen, TRY,
    USAGE,
};
use super::usage::quarter;
use crate::base::time::Timestamp;

/// Most rows removed in one step.
const STEP: usize = 1024;

/// How long an ended cooldown is remembered: its count is what the next one doubles from.
const ENDED_COOLDOWN: Duration = Duration::from_hours(24);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether anything was removed.
    pub(super) changed: bool,
    /// Whether more is left to remove.
    pub(super) more: bool,
}

impl Step {
    fn of(removed: usize) -> Self {
        Self {
            changed: removed > 0,
            more: removed >= STEP,
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.as_millis().saturating_sub(ms))
}

/// One step over the log file: rows that are too old or too many, with their tries, then old sums.
pub(super) fn trim_log(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
) -> Result<Step, Fault> {
    let oldest = before(now, options.log_retention);
    // A request id begins with 48 bits of milliseconds (ULID), so the ids tell the age.
    let oldest_id = u128::try_from(oldest.as_millis()).unwrap_or(0) << 80;
    let mut log = txn.open_table(LOG)?;
    let mut tries = txn.open_table(TRY)?;
    let mut surplus = log.len()?.saturating_sub(options.log_max_rows);
    let (mut removed, mut last) = (0, None);
    while removed < STEP {
        let Some(first) = log.first()?.map(|(id, _)| id.value()) else {
            break;
        };
        if surplus == 0 && first >= oldest_id {
            break;
        }
        log.remove(first)?;
        surplus = surplus.saturating_sub(1);
        removed += 1;
        last = Some(first);
    }
    if let Some(last) = last {
        tries.retain_in((0, 0)..=(last, u16::MAX), |_, _| false)?;
    }
    let step = Step::of(removed);
    if step.more {
        return Ok(step);
    }
    let oldest_sums = quarter(before(now, options.usage_retention));
    let mut usage = txn.open_table(USAGE)?;
    while removed < STEP {
        let first = usage.first()?.map(|(key, _)| {
            let (quarter, kind, name) = key.value();
            (quarter, kind, name.to_owned())
        });
        match first {
            Some((quarter, kind, name)) if quarter < oldest_sums => {
                usage.remove((quarter, kind, name.as_str()))?;
                removed += 1;
            }
            _ => break,
        }
    }
    Ok(Step::of(removed))
}

/// One step over the state file: signatures that were not used for long or are too many, and ended cooldowns.
pub(super) fn trim_state(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
) -> Result<Step, Fault> {
    let mut removed = trim_signatures(txn, now, options)?;
    let ended = before(now, ENDED_COOLDOWN);
    let mut cooldowns = txn.open_table(COOLDOWN)?;
    for entry in cooldowns.extract_if(|_, value| {
        table::decode::<CooldownRecord>(value).is_none_or(|record| record.until < ended)
    })? {
        entry?;
        removed += 1;
    }
    Ok(Step::of(removed))
}

fn trim_signatures(
    txn: &WriteTransaction,
    now: Timestamp,
    options: &Options,
) -> Result<usize, Fault> {
    let oldest = before(now, options.signature_life).as_millis();
    let mut by_age = txn.open_table(SIGNATURE_BY_AGE)?;
    let mut by_call = txn.open_table(SIGNATURE_BY_CALL)?;
    let mut seen = txn.open_table(SIGNATURE_SEEN)?;
    let mut signatures = txn.open_table(SIGNATURE)?;
    let mut surplus = by_age.len()?.saturating_sub(options.max_signatures as u64);
    let mut removed = 0;
    while removed < STEP {
        let first = by_age.first()?.map(|(key, _)| {
            let (at, client, digest) = key.value();
            (at, client.to_owned(), *digest)
        });
        let Some((at, client, digest)) = first else {
            break;
        };
        if surplus == 0 && at >= oldest {
            break;
        }
        surplus = surplus.saturating_sub(1);
        by_age.remove((at, client.as_str(), &digest))?;
        signatures.remove((client.as_str(), &digest))?;
        let known = seen
            .remove((client.as_str(), &digest))?
            .and_then(|value| table::decode::<Seen>(value.value()));
        for id in known.map(|k| k.call_ids).unwrap_or_default() {
            let points_here = by_call
                .get((client.as_str(), id.as_str()))?
                .is_some_and(|v| table::decode::<[u8; 32]>(v.value()) == Some(digest));
            if points_here {
                by_call.remove((client.as_str(), id.as_str()))?;
            }
        }
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{Dialect, RequestId};
    use crate::ir::SignatureFamily;
    use crate::store::apply;
    use crate::store::crypt::DataKey;
    use crate::store::open::File;
    use crate::store::place::MemoryPlace;
    use crate::store::queue::{Change, Item, Row};
    use crate::store::record::{LogRecord, SignatureRecord, TryRecord};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

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
        let options = Options::default();
        let day = 24 * 3600 * 1000;
        for (n, days) in [(1, 500), (2, 31), (3, 29), (4, 0)] {
            let at = Timestamp(NOW.as_millis() - days * day);
            write(&log, |txn| apply::logs(txn, &[row(at, n)]));
        }
        assert_eq!(counts(&log), (4, 4, 4));
        let step = write(&log, |txn| trim_log(txn, NOW, &options));
        assert!(step.changed && !step.more);
        assert_eq!(counts(&log), (2, 2, 3));
        let step = write(&log, |txn| trim_log(txn, NOW, &options));
        assert!(!step.changed, "nothing is left to do");
    }

    #[test]
    fn surplus_rows_go_in_small_steps_the_oldest_first() {
        let log = opened(File::log(Box::new(MemoryPlace("log"))));
        let options = Options {
            log_max_rows: 100,
            ..Options::default()
        };
        let rows: Vec<LogRecord> = (0..2000).map(|n| row(NOW, n)).collect();
        write(&log, |txn| apply::logs(txn, &rows));
        let step = write(&log, |txn| trim_log(txn, NOW, &options));
        assert!(step.more);
        assert_eq!(counts(&log).0, 2000 - STEP as u64);
        let step = write(&log, |txn| trim_log(txn, NOW, &options));
        assert!(!step.more);
        assert_eq!((counts(&log).0, counts(&log).1), (100, 100));
        let first = log
            .read(|txn| Ok(txn.open_table(LOG)?.first()?.unwrap().0.value()))
            .unwrap();
        assert_eq!(first, rows[1900].id.as_u128());
    }

    #[test]
    fn a_row_written_twice_counts_once() {
        let log = opened(File::log(Box::new(MemoryPlace("log"))));
        for _ in 0..2 {
            write(&log, |txn| apply::logs(txn, &[row(NOW, 1), row(NOW, 2)]));
        }
        let sums = log
            .read(|txn| {
                let usage = txn.open_table(USAGE)?;
                let value = usage.get((quarter(NOW), 0, ""))?.unwrap();
                Ok(table::decode::<crate::store::UsageSums>(value.value()).unwrap())
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
        let step = write(&state, |txn| trim_state(txn, NOW, &options));
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
        let all_fresh = write(&state, |txn| trim_state(txn, NOW, &options));
        assert!(!all_fresh.changed);
        let tomorrow = NOW.plus(Duration::from_hours(24));
        write(&state, |txn| trim_state(txn, tomorrow, &options));
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
        write(&state, |txn| trim_state(txn, NOW, &Options::default()));
        let left = state.read(|txn| Ok(txn.open_table(COOLDOWN)?.len()?));
        assert_eq!(left, Ok(2));
    }
}
