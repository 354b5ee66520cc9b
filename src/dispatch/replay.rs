//! Signatures that a client's dialect cannot carry back, kept for one day by call id and by thinking text.
//!
//! Everything is keyed by the client's key as well, so that users cannot touch each other's. Never "the last one seen"
//! (upstream-protocol.md 13.3). Memory answers; the store only brings it back after a restart.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::base::id::KeyId;
use crate::base::time::Timestamp;
use crate::ir::{Event, KnownCall, Signature, SignatureFamily, SignatureLookup};
use crate::store::{SignatureRecord, Store};

/// How long an entry lives without being asked for.
pub const LIFE: Duration = Duration::from_hours(24);
/// Most bytes kept in memory.
const MAX_BYTES: u64 = 64 << 20;
/// A thinking text longer than this is not kept: its signature travels with the client or not at all.
const MAX_THINKING: usize = 1 << 20;

type Digest16 = [u8; 16];

#[derive(Debug)]
struct Entry {
    family: SignatureFamily,
    signature: String,
    thinking: Option<String>,
}

/// The memory of signatures, over all client keys.
pub struct Replay {
    entries: Cache<Digest16, Arc<Entry>>,
    store: Store,
}

#[derive(Clone, Copy)]
enum Index {
    Call,
    Text(SignatureFamily),
    Signature,
}

fn digest(key: &KeyId, index: Index, text: &str) -> Digest16 {
    let index = match index {
        Index::Call => 0u8,
        Index::Text(SignatureFamily::Claude) => 1,
        Index::Text(SignatureFamily::Gemini) => 2,
        Index::Signature => 3,
    };
    let mut hash = Sha256::new();
    hash.update([index]);
    hash.update(key.as_str().len().to_le_bytes());
    hash.update(key.as_str());
    hash.update(text);
    let full = hash.finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&full[..16]);
    short
}

impl Replay {
    /// A memory that begins with what the store kept.
    pub fn new(store: Store, kept: Vec<SignatureRecord>) -> Self {
        let entries = Cache::builder()
            .time_to_idle(LIFE)
            .max_capacity(MAX_BYTES)
            .weigher(|_, entry: &Arc<Entry>| {
                let bytes =
                    entry.signature.len() + entry.thinking.as_ref().map_or(0, String::len) + 128;
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .build();
        let replay = Self { entries, store };
        for record in kept {
            replay.remember(&record);
        }
        replay
    }

    fn remember(&self, record: &SignatureRecord) {
        let entry = Arc::new(Entry {
            family: record.family,
            signature: record.signature.clone(),
            thinking: record.thinking.clone(),
        });
        for call in &record.call_ids {
            self.entries
                .insert(digest(&record.key, Index::Call, call), Arc::clone(&entry));
        }
        if let Some(text) = &record.thinking {
            self.entries.insert(
                digest(&record.key, Index::Text(record.family), text),
                Arc::clone(&entry),
            );
        }
        self.entries.insert(
            digest(&record.key, Index::Signature, &record.signature),
            entry,
        );
    }

    /// Forgets entries that the upstream refused (13.4).
    pub fn forget(&self, key: &KeyId, signatures: &[String]) {
        for signature in signatures {
            let by_signature = digest(key, Index::Signature, signature);
            let Some(entry) = self.entries.remove(&by_signature) else {
                continue;
            };
            if let Some(text) = &entry.thinking {
                self.entries
                    .invalidate(&digest(key, Index::Text(entry.family), text));
            }
        }
    }

    /// What one client key's earlier answers left.
    pub fn view<'a>(&'a self, key: &'a KeyId) -> View<'a> {
        View { replay: self, key }
    }
}

/// One client key's part of the memory.
pub struct View<'a> {
    replay: &'a Replay,
    key: &'a KeyId,
}

impl View<'_> {
    fn get(&self, index: Index, text: &str) -> Option<Arc<Entry>> {
        if self.replay.entries.entry_count() == 0 {
            self.replay.entries.run_pending_tasks();
            if self.replay.entries.entry_count() == 0 {
                return None;
            }
        }
        let entry = self.replay.entries.get(&digest(self.key, index, text))?;
        // An entry under a call id whose signature was refused since is as good as none.
        let known = matches!(index, Index::Signature)
            || self.replay.entries.contains_key(&digest(
                self.key,
                Index::Signature,
                &entry.signature,
            ));
        known.then_some(entry)
    }
}

impl SignatureLookup for View<'_> {
    fn by_call(&self, call_id: &str) -> Option<KnownCall> {
        self.get(Index::Call, call_id).map(|entry| KnownCall {
            family: entry.family,
            signature: entry.signature.clone(),
            thinking: entry.thinking.clone(),
        })
    }

    fn by_text(&self, family: SignatureFamily, text: &str) -> Option<String> {
        self.get(Index::Text(family), text)
            .map(|entry| entry.signature.clone())
    }

    fn owner(&self, signature: &str) -> Option<(SignatureFamily, Option<String>)> {
        self.get(Index::Signature, signature)
            .map(|entry| (entry.family, entry.thinking.clone()))
    }
}

/// Listens to one answer and keeps the signatures that pass.
pub struct Recorder {
    key: KeyId,
    thinking: String,
    in_thinking: bool,
    /// Claude: the signed thinking block that the calls after it belong to.
    block: Option<SignatureRecord>,
    kept: Vec<SignatureRecord>,
}

impl Recorder {
    /// Listens to an answer for this key.
    pub fn new(key: KeyId) -> Self {
        Self {
            key,
            thinking: String::new(),
            in_thinking: false,
            block: None,
            kept: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::ThinkingStart => {
                self.in_thinking = true;
                self.thinking.clear();
            }
            Event::Thinking(piece) if self.in_thinking => {
                if self.thinking.len() + piece.len() > MAX_THINKING {
                    self.in_thinking = false;
                    self.thinking = String::new();
                } else {
                    self.thinking.push_str(piece);
                }
            }
            Event::BlockStop { signature } => {
                if self.in_thinking
                    && let Some(signature) = signature
                {
                    self.thinking_signed(signature);
                }
                self.in_thinking = false;
            }
            Event::ToolCallStart { id, signature, .. } => self.call(id, *signature),
            _ => {}
        }
    }

    fn record(
        &self,
        signature: &Signature,
        thinking: Option<String>,
        call_ids: Vec<String>,
    ) -> Option<SignatureRecord> {
        let family = signature.family?;
        let (key, signature, at) = (self.key.clone(), signature.value.clone(), Timestamp::now());
        Some(SignatureRecord {
            key,
            family,
            signature,
            thinking,
            call_ids,
            at,
        })
    }

    fn thinking_signed(&mut self, signature: &Signature) {
        let text = std::mem::take(&mut self.thinking);
        self.kept.extend(self.block.take());
        self.block = self.record(signature, Some(text), Vec::new());
    }

    fn call(&mut self, id: &str, signature: Option<&Signature>) {
        match (signature, &mut self.block) {
            (Some(signature), _) if signature.family == Some(SignatureFamily::Gemini) => {
                self.kept
                    .extend(self.record(signature, None, vec![id.to_owned()]));
            }
            (_, Some(block)) if block.family == SignatureFamily::Claude => {
                block.call_ids.push(id.to_owned());
            }
            _ => {}
        }
    }

    /// The answer is over, or broke off: keeps what was signed.
    pub fn finish(&mut self, replay: &Replay) {
        self.kept.extend(self.block.take());
        for record in self.kept.drain(..) {
            replay.remember(&record);
            replay.store.put_signature(record);
        }
    }
}
