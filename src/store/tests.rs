//! The store as a whole: what is kept across runs, what a failing disk does, what a cut-off leaves.

mod bodies;
mod crash;
mod disk;
mod files;
mod history;
mod keeping;
mod kill;
mod pages;

use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::*;
use crate::base::error::{Error, ErrorKind};
use crate::base::id::{Dialect, RequestId};
use crate::ir::SignatureFamily;

/// Stands in for the age identity: adds a number to each byte, and knows what it wrapped.
struct Wrap {
    shift: u8,
    refuses: Mutex<bool>,
}

impl Wrap {
    fn new(shift: u8) -> Arc<Self> {
        Arc::new(Self {
            shift,
            refuses: Mutex::new(false),
        })
    }
}

impl KeyWrap for Wrap {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        if *self.refuses.lock() {
            return Err("no identity can be made".to_owned());
        }
        let mut out = vec![self.shift];
        out.extend(data_key.iter().map(|b| b.wrapping_add(self.shift)));
        Ok(out)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        match wrapped.split_first() {
            Some((shift, rest)) if *shift == self.shift => Ok(Zeroizing::new(
                rest.iter().map(|b| b.wrapping_sub(*shift)).collect(),
            )),
            _ => Err(format!("expected the identity {}", self.shift)),
        }
    }
}

/// A number that a variable may change.
fn count_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Times short enough for tests.
fn quick() -> Options {
    Options {
        gather: Duration::ZERO,
        pace: Duration::ZERO,
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(5),
        cache_bytes: 1 << 20,
        ..Options::default()
    }
}

fn token(account: &str, n: usize) -> TokenRecord {
    TokenRecord {
        account: account.into(),
        fingerprint: [7; 32],
        access_token: format!("made-up-access-{n}").into(),
        expires_at: Timestamp(i64::try_from(n).unwrap()),
        refresh_token: (n % 2 == 1).then(|| format!("made-up-refresh-{n}").into()),
    }
}

fn quota(account: &str, model: &str, remaining: f64) -> QuotaRecord {
    QuotaRecord {
        account: account.into(),
        model: model.into(),
        remaining: Some(remaining),
        reset: Some(Timestamp(5)),
        at: Timestamp(4),
    }
}

fn cooldown(account: &str, model: Option<&str>, until: Timestamp) -> CooldownRecord {
    CooldownRecord {
        account: account.into(),
        model: model.map(Into::into),
        until,
        class: "rate_limited".into(),
        count: 2,
    }
}

fn account(name: &str) -> AccountRecord {
    AccountRecord {
        account: name.into(),
        fingerprint: [7; 32],
        project: Some("made-up-project".into()),
        tier: None,
        email: Some("someone@example.com".into()),
        ineligible: None,
        at: Timestamp(3),
    }
}

fn signature(client: &str, thinking: &str, calls: &[&str]) -> SignatureRecord {
    SignatureRecord {
        key: client.into(),
        family: SignatureFamily::Claude,
        signature: format!("made-up-signature of {thinking}"),
        thinking: Some(thinking.into()),
        call_ids: calls.iter().map(|c| (*c).to_owned()).collect(),
        at: Timestamp::now(),
    }
}

/// Puts a generation with this text in its one file.
async fn applied(store: &Store, generation: u64, text: &str) -> Result<(), StoreError> {
    let record = generation_record(generation);
    let texts = PackedTexts::new([("agp.toml".to_owned(), text)]);
    store.put_generation(record, texts).await
}

fn generation_record(generation: u64) -> GenerationRecord {
    GenerationRecord {
        generation,
        revision: [u8::try_from(generation % 251).unwrap(); 32],
        at: Timestamp(i64::try_from(generation).unwrap()),
        who: "cli:1000".to_owned(),
        from: "socket".to_owned(),
        what: "accounts.main.enabled changed".to_owned(),
        bytes: 0,
    }
}

/// A log row of now whose id ends in `n`, with `n % 4` tries.
fn row(n: usize) -> LogRecord {
    let now = Timestamp::now();
    row_at(now, n)
}

fn row_at(at: Timestamp, n: usize) -> LogRecord {
    let id = (u128::try_from(at.as_millis()).unwrap() << 80) | n as u128;
    let mut record = LogRecord::new(RequestId::from_u128(id), at, Dialect::Anthropic);
    record.key = Some("team".into());
    record.requested = "sonnet".into();
    record.model = Some("claude-sonnet".into());
    record.account = Some("main".into());
    record.status = 200;
    record.latency_ms = 100;
    record.first_token_ms = Some(30);
    record.usage.input = Some(3);
    record.usage.output = Some(4);
    record.losses = vec!["logit_bias".into()];
    record.verdicts = vec![Verdict {
        account: "main".into(),
        text: "chosen".into(),
    }];
    for call in 1..=n % 4 {
        record.tries.push(TryRecord {
            n: u16::try_from(call).unwrap(),
            upstream: "google".into(),
            account: "main".into(),
            model: "claude-sonnet-4".into(),
            host: "127.0.0.1".into(),
            status: Some(503),
            class: Some("capacity".into()),
            latency_ms: 5,
            first_byte_ms: None,
            detail: "no capacity".into(),
            start_ms: None,
        });
    }
    record
}

/// Waits until something holds that another thread brings about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The newest log rows, from as many pages as it takes.
fn newest(store: &Store, limit: usize) -> Vec<LogRecord> {
    let mut rows = Vec::new();
    let mut cursor = None;
    while rows.len() < limit {
        let wanted = limit - rows.len();
        let page = store.query(&Filter::default(), cursor, wanted).unwrap();
        rows.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    rows
}

fn all_of(store: &Store) -> u64 {
    store
        .usage(RollUp::All, None, Timestamp(0), Timestamp(i64::MAX))
        .unwrap()
        .iter()
        .map(|bucket| bucket.sums.requests)
        .sum()
}

#[tokio::test]
async fn rows_are_listed_backwards_and_found_with_their_tries() {
    let store = Store::in_memory(Wrap::new(1));
    let at = Timestamp::now();
    let rows: Vec<LogRecord> = (0..10).map(|n| row_at(at, n)).collect();
    for row in &rows {
        store.log(row.clone());
    }
    store.flush().await.unwrap();
    let page = store.query(&Filter::default(), None, 4).unwrap();
    let ids: Vec<_> = page.rows.iter().map(|r| r.id).collect();
    assert_eq!(ids, [rows[9].id, rows[8].id, rows[7].id, rows[6].id]);
    assert!(page.rows.iter().all(|r| r.tries.is_empty()));
    let page = store.query(&Filter::default(), page.next, 100).unwrap();
    assert_eq!(page.rows.len(), 6);
    assert_eq!(page.rows[0].id, rows[5].id);
    assert_eq!(page.next, None);
    let found = store.log_record(rows[7].id).unwrap();
    assert_eq!(found.as_ref(), Some(&rows[7]));
    assert_eq!(found.unwrap().tries.len(), 3);
    assert_eq!(store.log_record(RequestId::from_u128(1)).unwrap(), None);
}

#[tokio::test]
async fn sums_are_kept_by_quarter_hour_and_name() {
    let store = Store::in_memory(Wrap::new(1));
    let quarter = 900_000;
    // Some hours ago: what is years old would be forgotten meanwhile.
    let base = (Timestamp::now().as_millis() / quarter - 10) * quarter;
    let time = |ms: i64| Timestamp(base + ms);
    let end = Timestamp(i64::MAX);
    for (n, at) in [(1, 0), (2, quarter - 1), (3, quarter), (4, 5 * quarter)] {
        let mut record = row_at(time(at), n);
        if n == 3 {
            record.model = Some("other".into());
            record.error = Some((&Error::new(ErrorKind::BadRequest, "no")).into());
        }
        store.log(record);
    }
    store.flush().await.unwrap();
    let all = |from, to| {
        store
            .usage(RollUp::All, None, from, to)
            .unwrap()
            .iter()
            .map(|b| ((b.start.as_millis() - base) / quarter, b.sums.requests))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(Timestamp(0), end), [(0, 2), (1, 1), (5, 1)]);
    assert_eq!(
        all(time(1), time(5 * quarter)),
        [(1, 1)],
        "from the next one, to before"
    );
    let models = store
        .usage(RollUp::Model, None, time(0), time(2 * quarter))
        .unwrap();
    let names: Vec<_> = models.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["claude-sonnet", "other"]);
    assert_eq!(models[0].sums.input, 6);
    assert_eq!(models[1].sums.client_errors["bad_request"], 1);
    let one = store
        .usage(
            RollUp::Model,
            Some("other"),
            Timestamp(0),
            Timestamp(i64::MAX),
        )
        .unwrap();
    assert_eq!(one.len(), 1);
    let keys = store
        .usage(RollUp::Key, Some("team"), time(0), end)
        .unwrap();
    assert_eq!(keys.iter().map(|b| b.sums.requests).sum::<u64>(), 4);
}

#[tokio::test]
async fn a_signature_is_found_by_call_and_text_of_its_own_key_only() {
    let store = Store::in_memory(Wrap::new(1));
    let first = signature("team", "a thought", &["call-1"]);
    let again = signature("team", "a thought", &["call-2"]);
    store.put_signature(first.clone());
    store.flush().await.unwrap();
    store.put_signature(again);
    store.flush().await.unwrap();
    let team = KeyId::from("team");
    for call in ["call-1", "call-2"] {
        let found = store.signature_of_call(&team, call).unwrap().unwrap();
        assert_eq!(found.thinking.as_deref(), Some("a thought"));
        assert_eq!(found.call_ids, ["call-1", "call-2"]);
    }
    let digest = text_digest(SignatureFamily::Claude, "a thought");
    assert_eq!(digest, first.digest());
    assert!(store.signature_of_digest(&team, &digest).unwrap().is_some());
    let other = KeyId::from("other");
    assert_eq!(store.signature_of_call(&other, "call-1").unwrap(), None);
    assert_eq!(store.signature_of_digest(&other, &digest).unwrap(), None);
}

#[tokio::test]
async fn a_used_signature_lives_on() {
    let store = Store::in_memory(Wrap::new(1));
    let now = Timestamp::now();
    let hour = 3600 * 1000;
    for (name, hours) in [("unused", 22), ("used", 23), ("expired", 25)] {
        let mut old = signature("team", name, &[]);
        old.at = Timestamp(now.as_millis() - hours * hour);
        store.put_signature(old);
    }
    store.flush().await.unwrap();
    let digest = text_digest(SignatureFamily::Claude, "used");
    store.touch_signature("team".into(), digest, now);
    store.flush().await.unwrap();
    let found: Vec<_> = store
        .load()
        .unwrap()
        .signatures
        .into_iter()
        .map(|s| (s.thinking.unwrap(), s.at))
        .collect();
    let untouched = Timestamp(now.as_millis() - 22 * hour);
    let expected = [("used".to_owned(), now), ("unused".to_owned(), untouched)];
    assert_eq!(found, expected, "the last used first, expired ones never");
}

#[tokio::test]
async fn after_closing_writes_are_refused_or_counted() {
    let store = Store::in_memory(Wrap::new(1));
    store.close().await;
    assert_eq!(
        store.put_token(token("main", 1)).await,
        Err(StoreError::Closed)
    );
    store.log(row(1));
    store.put_quota(quota("main", "m", 1.0));
    let health = store.health();
    assert_eq!(health.dropped_logs, 1);
    assert_eq!(health.dropped_writes, 2);
    assert!(store.query(&Filter::default(), None, 1).is_err());
    store.close().await;
}
