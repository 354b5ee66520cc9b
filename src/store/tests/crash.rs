//! Power cuts at any moment: the store opens, what was acknowledged is there, and no record is half. A few by default;
//! `AGP_POWER_CUTS=1000` for more of each.

use proptest::prelude::*;

use super::*;
use crate::store::fault::{Disk, luck};

/// Writes tokens, signatures and rows until the power is cut; gives the number of the last token acknowledged.
async fn run_until_cut(store: &Store, disks: [&Disk; 2], from: usize) -> Option<usize> {
    let mut acknowledged = None;
    for n in from..from + 400 {
        if disks.iter().any(|disk| disk.was_cut()) {
            break;
        }
        let text = format!("thought {}", n % 5).repeat(1 + n % 300);
        store.put_signature(signature("team", &text, &[&format!("call-{n}")]));
        let record = row(n);
        if n % 3 == 0 {
            bodies::put(store, record.id, &format!("question {n}"), "answer");
        }
        store.log(record);
        if n % 4 == 0 {
            if store.put_token(token("main", n)).await.is_ok() {
                acknowledged = Some(n);
            }
        } else {
            let _ = store.flush().await;
        }
    }
    acknowledged
}

fn check(store: &Store, least: Option<usize>) {
    let learned = store.load().unwrap();
    assert_eq!(learned.unreadable, 0);
    if let Some(least) = least {
        let found = learned.tokens.first().expect("the token is there");
        let n = usize::try_from(found.expires_at.as_millis()).unwrap();
        assert!(n >= least, "{n} is older than {least}");
        assert_eq!(*found, token("main", n), "whole");
    }
    let team = KeyId::from("team");
    for record in &learned.signatures {
        let text = record.thinking.as_deref().unwrap();
        assert_eq!(record.signature, format!("made-up-signature of {text}"));
        for call in &record.call_ids {
            let found = store.signature_of_call(&team, call).unwrap();
            assert_eq!(found.map(|f| f.digest()), Some(record.digest()));
        }
    }
    let rows = newest(store, usize::MAX);
    for listed in &rows {
        let whole = store.log_record(listed.id).unwrap().unwrap();
        let n = usize::try_from(listed.id.as_u128() & 0xffff_ffff).unwrap();
        assert_eq!(whole.tries.len(), n % 4);
        // What was sealed is never there without its key.
        if let Some((request, answer)) = bodies::said(store, listed.id) {
            assert_eq!(request, format!("question {n}"));
            assert_eq!(answer, "answer");
        }
    }
    assert_eq!(all_of(store), rows.len() as u64, "sums match the rows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(count_of("AGP_POWER_CUTS", 48)).unwrap()))]

    #[test]
    fn a_power_cut_loses_nothing_acknowledged_and_leaves_nothing_half(
        seed: u64,
        state_cut in 0usize..400,
        log_cut in 0usize..400,
        again in 0usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut luck = luck(seed);
            let (state, log) = (Disk::default(), Disk::default());
            let place = |disk: &Disk| Box::new(disk.clone());
            let store = Store::open_places(place(&state), place(&log), Wrap::new(1), quick()).unwrap();
            state.cut_after(state_cut);
            log.cut_after(log_cut);
            let first = run_until_cut(&store, [&state, &log], 0).await;
            drop(store);

            let state = Disk::with_bytes(state.after_cut(&mut luck));
            let log = Disk::with_bytes(log.after_cut(&mut luck));
            let store = Store::open_places(place(&state), place(&log), Wrap::new(1), quick()).unwrap();
            assert_eq!(log.set_aside_count(), 0, "a cut is no damage");
            check(&store, first);

            state.cut_after(again);
            let second = run_until_cut(&store, [&state, &log], 1000).await;
            drop(store);
            let state = Disk::with_bytes(state.after_cut(&mut luck));
            let log = Disk::with_bytes(log.after_cut(&mut luck));
            let store = Store::open_places(place(&state), place(&log), Wrap::new(1), quick()).unwrap();
            check(&store, second.or(first));
            store.close().await;
        });
    }

    #[test]
    fn a_power_cut_at_the_first_start_leaves_nothing_in_the_way(
        seed: u64,
        state_cut in 0usize..60,
        log_cut in 0usize..60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut luck = luck(seed);
            let (state, log) = (Disk::default(), Disk::default());
            let place = |disk: &Disk| Box::new(disk.clone());
            state.cut_after(state_cut);
            log.cut_after(log_cut);
            let first = Store::open_places(place(&state), place(&log), Wrap::new(1), quick());
            let mut acknowledged = None;
            if let Ok(store) = &first {
                acknowledged = run_until_cut(store, [&state, &log], 0).await;
            }
            drop(first);
            let state = Disk::with_bytes(state.after_cut(&mut luck));
            let log = Disk::with_bytes(log.after_cut(&mut luck));
            let store = Store::open_places(place(&state), place(&log), Wrap::new(1), quick()).unwrap();
            assert_eq!(log.set_aside_count(), 0, "a cut is no damage");
            check(&store, acknowledged);
            store.close().await;
        });
    }
}
