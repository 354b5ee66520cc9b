//! A disk that fails on demand: full, broken, or cut off at a moment of which only what was synced is sure to be there.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{Builder, Database, StorageBackend};

use super::open::Fault;
use super::place::Place;

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Growing fails: ENOSPC.
    Full,
    /// Every access fails: EIO.
    Broken,
}

#[derive(Clone)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Default)]
struct Inner {
    /// What programs see.
    live: Vec<u8>,
    /// What is on the disk for sure.
    synced: Vec<u8>,
    /// What came after the last sync.
    unsynced: Vec<Op>,
    trouble: Option<Trouble>,
    /// Writing operations until the power goes; `None`: it stays.
    until_cut: Option<usize>,
    cut: bool,
    /// Whether what is read beyond the first page is garbage.
    rotten: bool,
    opened: usize,
    set_aside: Vec<Vec<u8>>,
}

/// One file on such a disk. Clones are the same file.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    pub(super) fn with_bytes(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.0.lock().live.clone_from(&bytes);
        disk.0.lock().synced = bytes;
        disk
    }

    pub(super) fn trouble(&self, trouble: Option<Trouble>) {
        self.0.lock().trouble = trouble;
    }

    /// From now on what is read is garbage, but for the first page.
    pub(super) fn rot(&self) {
        self.0.lock().rotten = true;
    }

    /// The power goes after so many writing operations.
    pub(super) fn cut_after(&self, operations: usize) {
        self.0.lock().until_cut = Some(operations);
    }

    pub(super) fn was_cut(&self) -> bool {
        self.0.lock().cut
    }

    pub(super) fn opened(&self) -> usize {
        self.0.lock().opened
    }

    pub(super) fn set_aside_count(&self) -> usize {
        self.0.lock().set_aside.len()
    }

    /// Makes every access hang until the guard is dropped.
    pub(super) fn hang(&self) -> impl Drop + '_ {
        self.0.lock()
    }

    /// What is found after the power came back: what was synced, and of what came later some operations, one of them
    /// perhaps only in part. `luck` decides which.
    pub(super) fn after_cut(&self, luck: &mut impl FnMut() -> u32) -> Vec<u8> {
        let inner = self.0.lock();
        let mut image = inner.synced.clone();
        for op in &inner.unsynced {
            match op {
                Op::SetLen(len) => {
                    if luck().is_multiple_of(2) {
                        image.resize(usize::try_from(*len).unwrap(), 0);
                    }
                }
                Op::Write(offset, data) => {
                    let part = match luck() % 3 {
                        0 => 0,
                        1 => data.len(),
                        // Disks write sectors whole.
                        _ => (luck() as usize % (data.len() / 512 + 1)) * 512,
                    };
                    let start = usize::try_from(*offset).unwrap();
                    let end = start + part;
                    if image.len() < end {
                        image.resize(end, 0);
                    }
                    image[start..end].copy_from_slice(&data[..part]);
                }
            }
        }
        image
    }
}

impl Inner {
    fn reach(&mut self, grows: bool, writes: bool) -> io::Result<()> {
        if writes && !self.cut {
            match &mut self.until_cut {
                Some(0) => self.cut = true,
                Some(n) => *n -= 1,
                None => {}
            }
        }
        if self.cut || self.trouble == Some(Trouble::Broken) {
            return Err(io::Error::other("broken disk"));
        }
        if grows && self.trouble == Some(Trouble::Full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn apply(live: &mut Vec<u8>, op: &Op) {
        match op {
            Op::SetLen(len) => live.resize(usize::try_from(*len).unwrap(), 0),
            Op::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap();
                live[start..start + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let mut inner = self.0.lock();
        inner.reach(false, false)?;
        Ok(inner.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.reach(false, false)?;
        let start = usize::try_from(offset).unwrap();
        let found = inner
            .live
            .get(start..start + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        if inner.rotten && offset > 0 {
            out.fill(0x5a);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.0.lock();
        let grows = len > inner.live.len() as u64;
        inner.reach(grows, true)?;
        let op = Op::SetLen(len);
        Inner::apply(&mut inner.live, &op);
        inner.unsynced.push(op);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.reach(false, true)?;
        let live = inner.live.clone();
        inner.synced = live;
        inner.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock();
        // A full disk has no room for pages of a sparse file either, so every write counts as growing.
        inner.reach(true, true)?;
        let op = Op::Write(offset, data.to_vec());
        Inner::apply(&mut inner.live, &op);
        inner.unsynced.push(op);
        Ok(())
    }
}

impl Place for Disk {
    fn name(&self) -> String {
        "test.redb".to_owned()
    }

    fn open(&self, check: bool) -> Result<Database, Fault> {
        self.0.lock().opened += 1;
        Ok(Builder::new()
            // Small, so that what is read comes from the disk.
            .set_cache_size(1 << 14)
            .set_check_integrity_on_open(check)
            .create_with_backend(self.clone())?)
    }

    fn set_aside(&self) -> io::Result<String> {
        let mut inner = self.0.lock();
        let old = std::mem::take(&mut inner.live);
        inner.set_aside.push(old);
        inner.rotten = false;
        inner.synced.clear();
        inner.unsynced.clear();
        Ok("test.redb.damaged".to_owned())
    }

    fn bytes(&self, _limit: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(self.0.lock().live.clone()))
    }

    fn clear(&self) -> io::Result<()> {
        StorageBackend::set_len(self, 0)
    }

    fn used(&self) -> Option<u64> {
        None
    }

    fn copy_before(&self, _schema: u32) -> io::Result<String> {
        Ok("test.redb.copy".to_owned())
    }
}

/// A small generator of reproducible luck (xorshift).
pub(super) fn luck(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    }
}
