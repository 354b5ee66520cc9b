use super::*;
use crate::store::Options;

/// Stands in for what takes media out: `x` is media.
fn redact(body: &[u8], limit: usize) -> (Vec<u8>, bool) {
    let mut out: Vec<u8> = body.iter().copied().filter(|b| *b != b'x').collect();
    let whole = out.len() <= limit;
    out.truncate(limit);
    (out, whole)
}

fn draft(room: &Arc<Room>, request: &'static [u8]) -> Option<BodyDraft> {
    Some(BodyDraft {
        request: Bytes::from_static(request),
        answer: Vec::new(),
        answer_bytes: 0,
        answer_cut: false,
        redact,
        claim: Some(room.claim(request.len() + PIECE)?),
    })
}

fn packed(draft: &BodyDraft) -> BodyRecord {
    let (key, _) = DataKey::generate().unwrap();
    let id = RequestId::from_u128(7);
    let value = pack(id, draft, &key).unwrap();
    assert_eq!(unpack(RequestId::from_u128(8), &value, &key), None);
    unpack(id, &value, &key).unwrap()
}

#[test]
fn a_body_comes_back_without_media_and_with_its_size() {
    let room = Room::new(Options::default().body_bytes);
    let mut draft = draft(&room, b"say xxxx please").unwrap();
    for piece in ["it ", "xx", "is"] {
        draft.sent(&Bytes::from_static(piece.as_bytes()));
    }
    let record = packed(&draft);
    assert_eq!(record.request.text, "say  please");
    assert_eq!((record.request.bytes, record.request.cut), (15, false));
    assert_eq!(record.answer.text, "it is");
    assert_eq!((record.answer.bytes, record.answer.cut), (7, false));
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let room = Room::new(Options::default().body_bytes);
    let mut draft = draft(&room, b"").unwrap();
    let piece = Bytes::from(vec![b'a'; 1 << 20]);
    for _ in 0..20 {
        draft.sent(&piece);
    }
    let record = packed(&draft);
    assert_eq!(record.answer.text.len(), MAX_BODY);
    assert_eq!((record.answer.bytes, record.answer.cut), (20 << 20, true));
    assert!(draft.answer.len() <= MAX_HELD >> 20, "no more is held");
    assert_eq!((record.request.bytes, record.request.cut), (0, false));
}

#[test]
fn text_that_is_no_text_is_kept_readable() {
    let room = Room::new(1 << 20);
    let draft = draft(&room, b"a\xffb").unwrap();
    assert_eq!(packed(&draft).request.text, "a\u{fffd}b");
}

#[test]
fn what_is_held_is_bounded_and_given_back() {
    let room = Room::new(1000);
    let used = || room.used.load(Ordering::Relaxed);
    let mut one = draft(&room, &[b'a'; 300]).unwrap();
    let two = draft(&room, &[b'b'; 300]).unwrap();
    assert!(draft(&room, &[b'c'; 300]).is_none());
    one.sent(&Bytes::from_static(&[b'd'; 500]));
    assert_eq!(room.dropped(), 1, "its answer found no room");
    assert_eq!(used(), 300 + PIECE, "and it holds nothing any more");
    one.sent(&Bytes::from_static(b"more"));
    assert_eq!(room.dropped(), 1, "counted once");
    drop((one, two));
    assert_eq!(used(), 0);
}
