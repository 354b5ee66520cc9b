//! Bodies of requests and answers, kept only where they are asked for: media taken out, cut to a bound, compressed, sealed.
//!
//! A request's path only holds on to bytes that it has anyway; all work is the writer thread's. What is held for bodies,
//! from the first byte of a request until its row is on the disk, is bounded by [`super::Options::body_bytes`]: a body for
//! which there is no room is dropped and counted, and nothing else suffers.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::crypt::DataKey;
use super::log::Sizes;
use super::open::Fault;
use super::table::{self, BODY};
use super::{Store, StoreError};
use crate::base::id::RequestId;

/// Bytes kept of a request and of an answer each, without media and before compression.
pub const MAX_BODY: usize = 256 << 10;
/// Bytes of an answer, media included, that are held until it is written.
const MAX_HELD: usize = 16 << 20;
/// What a held piece costs beside its bytes.
const PIECE: usize = 64;
/// Bytes of a stored body beside its value: its key and its place in the table.
const OVERHEAD: u64 = 32;

/// Gives at most so many bytes of a body, with media replaced by type, size and digest; and whether that is all of it.
/// It is run on the writer thread.
pub type Redact = fn(body: &[u8], limit: usize) -> (Vec<u8>, bool);

/// The bodies of one request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyRecord {
    /// What the client sent.
    pub request: BodyPart,
    /// What it was sent, keep-alives left out.
    pub answer: BodyPart,
}

impl fmt::Debug for BodyRecord {
    /// Bodies are users' content: only their lengths are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyRecord")
            .field("request_bytes", &self.request.bytes)
            .field("answer_bytes", &self.answer.bytes)
            .finish()
    }
}

/// One direction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyPart {
    /// The text without media, at most [`MAX_BODY`] bytes of it.
    pub text: String,
    /// Bytes that it had on the wire.
    pub bytes: u64,
    /// Whether `text` holds its beginning only.
    pub cut: bool,
}

/// What is held for all bodies, and how many found no room.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    used: AtomicUsize,
    dropped: AtomicU64,
}

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Room for so many bytes, given back when the claim is dropped.
    fn claim(self: &Arc<Self>, bytes: usize) -> Option<Claim> {
        let mut claim = Claim {
            room: Arc::clone(self),
            bytes: 0,
        };
        claim.grow(bytes).then_some(claim)
    }

    /// Counts bodies that are lost.
    pub(super) fn lost(&self, bodies: usize) {
        self.dropped.fetch_add(bodies as u64, Ordering::Relaxed);
    }

    /// How many were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Claim {
    room: Arc<Room>,
    bytes: usize,
}

impl Claim {
    fn grow(&mut self, by: usize) -> bool {
        let limit = self.room.limit;
        let grown = self
            .room
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(by).filter(|used| *used <= limit)
            });
        if grown.is_ok() {
            self.bytes += by;
        }
        grown.is_ok()
    }

    fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.room.used.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// The bodies of a request that is under way. Dropped, they are forgotten.
pub struct BodyDraft {
    request: Bytes,
    answer: Vec<Bytes>,
    answer_bytes: u64,
    answer_cut: bool,
    redact: Redact,
    /// `None` once there was no room: it is counted, and nothing more is held.
    claim: Option<Claim>,
}

impl fmt::Debug for BodyDraft {
    /// Bodies are users' content: only their lengths are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyDraft")
            .field("request_bytes", &self.request.len())
            .field("answer_bytes", &self.answer_bytes)
            .finish_non_exhaustive()
    }
}

impl BodyDraft {
    /// A piece goes out to the client. It is shared, not copied.
    pub fn sent(&mut self, piece: &Bytes) {
        self.answer_bytes += piece.len() as u64;
        // As long as nothing is cut, all of it is held.
        if self.answer_bytes > MAX_HELD as u64 {
            self.answer_cut = true;
            return;
        }
        let Some(claim) = &mut self.claim else {
            return;
        };
        if claim.grow(piece.len() + PIECE) {
            self.answer.push(piece.clone());
        } else {
            claim.room.lost(1);
            self.claim = None;
            self.request = Bytes::new();
            self.answer = Vec::new();
        }
    }
}

/// Bodies that wait to be written.
#[derive(Debug)]
pub(super) struct Waiting {
    id: RequestId,
    form: Form,
    claim: Claim,
}

#[derive(Debug)]
enum Form {
    Raw(BodyDraft),
    /// As it is stored.
    Packed(Vec<u8>),
}

impl Waiting {
    /// Bytes that it holds.
    pub(super) fn held(&self) -> usize {
        self.claim.bytes
    }

    /// Makes it ready for the table, where it is not yet.
    ///
    /// # Errors
    /// It can't be compressed or sealed.
    pub(super) fn pack(&mut self, key: &DataKey) -> Result<(), String> {
        if let Form::Raw(draft) = &mut self.form {
            let packed = pack(self.id, draft, key)?;
            self.claim.shrink_to(packed.len());
            self.form = Form::Packed(packed);
        }
        Ok(())
    }
}

impl Store {
    /// Begins to hold the bodies of a request; `None` where there is no room, which is counted.
    pub fn begin_body(&self, request: Bytes, redact: Redact) -> Option<BodyDraft> {
        let room = &self.0.shared.room;
        let claim = room.claim(request.len() + PIECE);
        if claim.is_none() {
            room.lost(1);
        }
        Some(BodyDraft {
            request,
            answer: Vec::new(),
            answer_bytes: 0,
            answer_cut: false,
            redact,
            claim: Some(claim?),
        })
    }

    /// Keeps the bodies of a request. Nothing waits for it.
    pub fn put_body(&self, id: RequestId, mut draft: BodyDraft) {
        // Without a claim it was counted when it lost its room.
        let Some(claim) = draft.claim.take() else {
            return;
        };
        let form = Form::Raw(draft);
        let shared = &self.0.shared;
        if !shared.queue.body(Waiting { id, form, claim }) {
            shared.room.lost(1);
        }
    }

    /// The bodies of a request; `None` where none are kept. Blocks on the disk.
    ///
    /// # Errors
    /// Where the log can't be read, or the bodies can't be opened.
    pub fn body(&self, id: RequestId) -> Result<Option<BodyRecord>, StoreError> {
        let shared = &self.0.shared;
        let found = shared.log.read(|txn| {
            let found = txn.open_table(BODY)?.get(id.as_u128())?;
            Ok(found.map(|value| value.value().to_vec()))
        })?;
        let Some(value) = found else {
            return Ok(None);
        };
        let key = shared.key.read().clone();
        let opened = key.and_then(|key| unpack(id, &value, &key));
        let other = || StoreError::Key(format!("the bodies of `{id}` are sealed with another one"));
        opened.map(Some).ok_or_else(other)
    }
}

fn pack(id: RequestId, draft: &BodyDraft, key: &DataKey) -> Result<Vec<u8>, String> {
    let told = |error: &dyn fmt::Display| format!("a body could not be packed: {error}");
    let part = |body: &[u8], bytes: u64, cut: bool| {
        let (text, whole) = (draft.redact)(body, MAX_BODY);
        BodyPart {
            text: String::from_utf8_lossy(&text).into_owned(),
            bytes,
            cut: cut || !whole,
        }
    };
    let answer = draft.answer.concat();
    let record = BodyRecord {
        request: part(&draft.request, draft.request.len() as u64, false),
        answer: part(&answer, draft.answer_bytes, draft.answer_cut),
    };
    let plain = table::encode(&record).ok_or_else(|| told(&"no encoding"))?;
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&plain).map_err(|e| told(&e))?;
    let packed = deflate.finish().map_err(|e| told(&e))?;
    key.seal("body", &[&id.as_u128().to_be_bytes()], &packed)
}

fn unpack(id: RequestId, value: &[u8], key: &DataKey) -> Option<BodyRecord> {
    let packed = key.open("body", &[&id.as_u128().to_be_bytes()], value)?;
    // Replacement characters for broken text may take three times the room; more than this was never packed.
    let most = 8 * MAX_BODY as u64;
    let mut plain = Vec::new();
    DeflateDecoder::new(packed.as_slice())
        .take(most)
        .read_to_end(&mut plain)
        .ok()?;
    table::decode(&plain)
}

/// Bytes that a stored body counts for.
pub(super) fn size(value: &[u8]) -> u64 {
    OVERHEAD + value.len() as u64
}

/// Writes bodies that are packed.
pub(super) fn write(txn: &WriteTransaction, bodies: &[Waiting]) -> Result<(), Fault> {
    let mut sizes = Sizes::load(txn)?;
    let mut table = txn.open_table(BODY)?;
    for body in bodies {
        if let Form::Packed(value) = &body.form {
            if let Some(known) = table.insert(body.id.as_u128(), value.as_slice())? {
                sizes.bodies = sizes.bodies.saturating_sub(size(known.value()));
            }
            sizes.bodies += size(value);
        }
    }
    drop(table);
    sizes.store(txn)
}

/// Forgets the bodies of requests that began before a time (in milliseconds), and the oldest beyond so many bytes; at most
/// `steps` of them. Gives how many.
pub(super) fn trim(
    txn: &WriteTransaction,
    oldest: i64,
    most_bytes: u64,
    steps: usize,
    sizes: &mut Sizes,
) -> Result<usize, Fault> {
    let first_kept = u128::try_from(oldest.max(0)).unwrap_or(0) << 80;
    let mut table = txn.open_table(BODY)?;
    let mut removed = 0;
    while removed < steps {
        let first = table
            .first()?
            .map(|(id, value)| (id.value(), size(value.value())));
        let Some((id, bytes)) = first else {
            break;
        };
        if id >= first_kept && sizes.bodies <= most_bytes {
            break;
        }
        table.remove(id)?;
        sizes.bodies = sizes.bodies.saturating_sub(bytes);
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
