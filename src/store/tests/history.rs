//! Generations and their texts: kept, found, forgotten, and what a failing disk or a missing identity does.

use super::*;
use crate::store::fault::{Disk, Trouble};

fn numbers(store: &Store) -> Vec<u64> {
    let found = store.history(usize::MAX).unwrap();
    found.iter().map(|record| record.generation).collect()
}

fn text_of(store: &Store, generation: u64) -> Option<String> {
    let mut texts = store.generation(generation).unwrap()?.texts?;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].path, "agp.toml");
    texts.pop().map(|file| file.text)
}

/// Text that can't be compressed.
fn noise(bytes: usize) -> String {
    let mut luck = crate::store::fault::luck(7);
    let letter = |n: u32| char::from(b'!' + u8::try_from(n % 90).unwrap());
    std::iter::repeat_with(|| letter(luck()))
        .take(bytes)
        .collect()
}

fn keep(history: u32) -> Retention {
    Retention {
        history,
        ..Retention::default()
    }
}

#[tokio::test]
async fn generations_are_there_for_the_next_run_and_their_texts_in_no_file() {
    let tmp = tempfile::tempdir().unwrap();
    let open = || Store::open(tmp.path(), Wrap::new(1), quick()).unwrap();
    let store = open();
    assert_eq!((store.upcoming_generation(), numbers(&store)), (1, vec![]));
    for n in 1..=3 {
        applied(&store, n, &format!("planted-secret-{n}"))
            .await
            .unwrap();
    }
    store.close().await;
    for file in ["agp.redb", "agp-log.redb"] {
        let bytes = std::fs::read(tmp.path().join(file)).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"planted"), "{file}");
    }
    let store = open();
    assert_eq!(store.upcoming_generation(), 4);
    assert_eq!(numbers(&store), [3, 2, 1]);
    let newest = store.history(1).unwrap();
    assert!(newest[0].bytes > 0);
    let told = GenerationRecord {
        bytes: 0,
        ..newest[0].clone()
    };
    assert_eq!(newest.len(), 1);
    assert_eq!(told, generation_record(3));
    assert_eq!(text_of(&store, 2).as_deref(), Some("planted-secret-2"));
    assert_eq!(text_of(&store, 9), None);
    let found = store.texts_of([1; 32]).unwrap().unwrap();
    assert_eq!(found[0].text, "planted-secret-1");
    assert!(!format!("{found:?}").contains("planted"));
    assert_eq!(store.texts_of([9; 32]).unwrap(), None);
    store.close().await;
    let checked = upkeep::check(tmp.path(), &*Wrap::new(1));
    assert_eq!(checked[0].1.as_ref().unwrap().unreadable, 0);
}

#[tokio::test]
async fn a_number_is_used_once_also_where_no_texts_are_kept() {
    let store = Store::in_memory(Wrap::new(1));
    store.set_retention(keep(0));
    applied(&store, 7, "x").await.unwrap();
    assert_eq!((store.upcoming_generation(), numbers(&store)), (8, vec![]));
    applied(&store, 3, "x").await.unwrap();
    assert_eq!(store.upcoming_generation(), 8, "never back");
}

#[tokio::test]
async fn the_oldest_beyond_the_number_go_at_once_and_when_it_is_lowered() {
    let store = Store::in_memory(Wrap::new(1));
    store.set_retention(keep(3));
    for n in 1..=5 {
        applied(&store, n, "x").await.unwrap();
    }
    assert_eq!(numbers(&store), [5, 4, 3]);
    assert_eq!(text_of(&store, 2), None);
    store.set_retention(keep(1));
    until("the older ones to be forgotten", || numbers(&store) == [5]).await;
    assert_eq!(text_of(&store, 5).as_deref(), Some("x"));
    store.set_retention(keep(0));
    until("all to be forgotten", || numbers(&store).is_empty()).await;
}

#[tokio::test]
async fn texts_are_bounded_by_their_bytes() {
    let tmp = tempfile::tempdir().unwrap();
    let options = Options {
        history_bytes: 40 << 10,
        ..quick()
    };
    let store = Store::open(tmp.path(), Wrap::new(1), options).unwrap();
    let large = noise(9 << 10);
    for n in 1..=8 {
        applied(&store, n, &large).await.unwrap();
    }
    let kept = store.history(usize::MAX).unwrap();
    let bytes: u64 = kept.iter().map(|record| record.bytes).sum();
    assert!(bytes <= 40 << 10 && kept.len() >= 4, "{}", kept.len());
    assert_eq!(kept[0].generation, 8);
    assert_eq!(text_of(&store, 8), Some(large));
    // Of what is too large by itself it is told that it was.
    applied(&store, 9, &noise(20 << 10)).await.unwrap();
    assert_eq!(store.history(1).unwrap()[0].bytes, 0);
    assert!(store.generation(9).unwrap().unwrap().texts.is_none());
    assert_eq!(store.history(usize::MAX).unwrap().len(), kept.len() + 1);
    store.close().await;
}

#[tokio::test]
async fn a_failing_disk_keeps_generations_waiting_within_bounds() {
    let (state, log) = (Disk::default(), Disk::default());
    let places = (Box::new(state.clone()), Box::new(log.clone()));
    let options = Options {
        queue_row_bytes: 64 << 10,
        ..quick()
    };
    let store = Store::open_places(places.0, places.1, Wrap::new(1), options).unwrap();
    applied(&store, 1, "first").await.unwrap();
    state.trouble(Some(Trouble::Full));
    assert!(applied(&store, 2, "second").await.is_err());
    let large = noise(10 << 10);
    for n in 3..20 {
        let _ = applied(&store, n, &large).await;
    }
    let lost = store.health().dropped_writes;
    assert!((10..17).contains(&lost), "{lost}");
    // The room that is left is for others.
    store.put_quota(quota("main", "m", 0.5));
    assert_eq!(store.health().dropped_writes, lost);
    state.trouble(None);
    until("it resumes", || store.health().queued_writes == 0).await;
    let kept = numbers(&store);
    assert_eq!(kept[kept.len() - 3..], [3, 2, 1]);
    assert_eq!(text_of(&store, 2).as_deref(), Some("second"));
    assert_eq!(store.upcoming_generation(), 20);
}

#[tokio::test]
async fn without_an_identity_no_text_is_kept_and_nothing_else_suffers() {
    let keys = Wrap::new(1);
    *keys.refuses.lock() = true;
    let store = Store::in_memory(Arc::clone(&keys) as Arc<dyn KeyWrap>);
    applied(&store, 1, "planted").await.unwrap();
    assert_eq!(store.history(1).unwrap()[0].bytes, 0);
    assert!(store.health().is_ok());
    *keys.refuses.lock() = false;
    applied(&store, 2, "planted").await.unwrap();
    assert_eq!(text_of(&store, 2).as_deref(), Some("planted"));
}
