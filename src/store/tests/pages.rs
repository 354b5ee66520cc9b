//! Pages of the log, by every combination of columns.

use proptest::prelude::*;

use super::*;

const MODELS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const STATUSES: [u16; 4] = [200, 400, 429, 503];

/// A row with values that its number decides, spread so that no two columns follow each other.
fn made(at: i64, n: usize) -> LogRecord {
    let mut record = row_at(Timestamp(at), n);
    record.tries.clear();
    record.model = (!n.is_multiple_of(5)).then(|| MODELS[n % 3].into());
    record.account = Some(NAMES[n / 3 % 4].into());
    record.key = (!n.is_multiple_of(7)).then(|| NAMES[n / 7 % 4].into());
    record.status = STATUSES[n / 11 % 4];
    if n.is_multiple_of(13) {
        record.tries = row_at(Timestamp(at), 2).tries;
        record.tries[0].account = "tried".into();
    }
    record
}

fn matches(filter: &Filter, record: &LogRecord) -> bool {
    let account = |wanted: &AccountId| {
        record.account.as_ref() == Some(wanted) || record.tries.iter().any(|t| t.account == *wanted)
    };
    filter.from.is_none_or(|from| record.at >= from)
        && filter.to.is_none_or(|to| record.at < to)
        && filter
            .model
            .is_none_or_some(|m| record.model.as_ref() == Some(m))
        && filter
            .key
            .is_none_or_some(|k| record.key.as_ref() == Some(k))
        && filter.account.is_none_or_some(account)
        && filter
            .id
            .as_ref()
            .is_none_or(|ids| ids.contains(&record.id))
        && filter.status.is_none_or(|status| match status {
            StatusFilter::Exactly(n) => record.status == n,
            StatusFilter::Class(digit) => record.status / 100 == u16::from(digit),
        })
}

trait NoneOrSome<T> {
    fn is_none_or_some(&self, f: impl Fn(&T) -> bool) -> bool;
}

impl<T> NoneOrSome<T> for Option<T> {
    fn is_none_or_some(&self, f: impl Fn(&T) -> bool) -> bool {
        self.as_ref().is_none_or(f)
    }
}

/// Every page of a filter, and how many calls they took.
fn all_pages(store: &Store, filter: &Filter, limit: usize) -> (Vec<RequestId>, usize) {
    let (mut found, mut cursor, mut calls) = (Vec::new(), None, 0);
    loop {
        let page = store.query(filter, cursor, limit).unwrap();
        assert!(page.rows.len() <= limit);
        found.extend(page.rows.iter().map(|r| r.id));
        calls += 1;
        if page.next.is_none() {
            return (found, calls);
        }
        assert!(
            cursor.is_none_or(|before| page.next < Some(before)),
            "it goes on"
        );
        cursor = page.next;
    }
}

const BEGIN: i64 = 1_790_000_000_000;

/// So many rows, a second apart, none of which is old.
async fn filled(count: usize) -> (Store, Vec<LogRecord>) {
    let options = Options {
        queue_logs: count + 1,
        queue_log_bytes: 1 << 30,
        retention: Retention {
            log_age: Duration::MAX,
            ..Retention::default()
        },
        durable_wait: Duration::from_mins(2),
        ..quick()
    };
    let memory = || Box::new(MemoryPlace("memory"));
    let store = Store::open_places(memory(), memory(), Wrap::new(1), options).unwrap();
    let rows: Vec<LogRecord> = (0..count)
        .map(|n| made(BEGIN + 1000 * i64::try_from(n).unwrap(), n))
        .collect();
    for row in &rows {
        store.log(row.clone());
    }
    store.flush().await.unwrap();
    (store, rows)
}

fn filters(count: i64) -> impl Strategy<Value = Filter> {
    let time = || prop::option::of((0..count).prop_map(|s| Timestamp(BEGIN + 1000 * s)));
    let name = || {
        prop::option::of(prop::sample::select(vec![
            "one", "two", "three", "tried", "no",
        ]))
    };
    let model = prop::option::of(prop::sample::select(vec!["a", "b", "c", "no"]));
    let status = prop::option::of(prop_oneof![
        prop::sample::select(vec![200, 400, 429, 503, 504]).prop_map(StatusFilter::Exactly),
        (2u8..6).prop_map(StatusFilter::Class),
    ]);
    let id = prop::option::weighted(0.2, (0..count, 0..count));
    (time(), time(), model, name(), name(), status, id).prop_map(
        |(from, to, model, account, key, status, id)| Filter {
            from,
            to,
            model: model.map(Into::into),
            account: account.map(Into::into),
            key: key.map(Into::into),
            status,
            id: id.map(|(a, b)| {
                let id = |n: i64| made(BEGIN + 1000 * n, usize::try_from(n).unwrap()).id;
                // One in two is exact, the others are of all lengths.
                id(a)..=id(if a % 2 == 0 { a } else { b })
            }),
        },
    )
}

#[test]
fn pages_hold_exactly_the_rows_that_match_newest_first() {
    // Two whole blocks of the index, and a part of one.
    let count = 8_400;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, rows) = runtime.block_on(filled(count));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(60)
    });
    let cases = (filters(8_400), 1usize..400);
    runner
        .run(&cases, |(filter, limit)| {
            let expected: Vec<RequestId> = rows
                .iter()
                .rev()
                .filter(|row| matches(&filter, row))
                .map(|row| row.id)
                .collect();
            prop_assert_eq!(all_pages(&store, &filter, limit).0, expected);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn columns_that_never_meet_are_told_apart_in_one_call() {
    let (store, _) = filled(9_000).await;
    // Every second row has one, every other the other.
    let never = Filter {
        status: Some(StatusFilter::Exactly(200)),
        key: Some("nobody".into()),
        ..Filter::default()
    };
    assert_eq!(all_pages(&store, &never, 50), (Vec::new(), 1));
    let page = store.query(&Filter::default(), None, 0).unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(
        store
            .query(&Filter::default(), page.next, 5)
            .unwrap()
            .rows
            .len(),
        5
    );
    let empty = Store::in_memory(Wrap::new(1));
    assert_eq!(all_pages(&empty, &Filter::default(), 5), (Vec::new(), 1));
}

#[tokio::test]
async fn rows_that_come_meanwhile_do_not_move_a_page() {
    let (store, rows) = filled(30).await;
    let first = store.query(&Filter::default(), None, 10).unwrap();
    store.log(made(BEGIN + 1_000_000, 5000));
    store.flush().await.unwrap();
    let second = store.query(&Filter::default(), first.next, 10).unwrap();
    assert_eq!(second.rows[0].id, rows[19].id);
}

#[tokio::test]
async fn forgotten_rows_are_in_no_page() {
    let (store, rows) = filled(9_000).await;
    let kept = Retention {
        log_rows: 3_000,
        log_age: Duration::MAX,
        ..Retention::default()
    };
    store.set_retention(kept);
    until("they are forgotten", || {
        store.log_record(rows[5_999].id).unwrap().is_none()
    })
    .await;
    let filter = Filter {
        model: Some("a".into()),
        ..Filter::default()
    };
    let (found, _) = all_pages(&store, &filter, 100);
    let expected: Vec<_> = rows[6_000..]
        .iter()
        .rev()
        .filter(|row| matches(&filter, row))
        .map(|row| row.id)
        .collect();
    assert_eq!(found, expected);
    store.set_retention(Retention {
        log_rows: 0,
        ..kept
    });
    until("all are forgotten", || {
        store
            .query(&Filter::default(), None, 1)
            .unwrap()
            .rows
            .is_empty()
    })
    .await;
    store.log(made(BEGIN + 100_000_000, 20_000));
    store.set_retention(kept);
    store.flush().await.unwrap();
    assert_eq!(newest(&store, 10).len(), 1, "numbers go on");
}
