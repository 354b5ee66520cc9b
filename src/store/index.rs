//! The log's index: for each block of rows and each value of a column, the set of rows that have it.
//!
//! Columns are combined by intersecting sets of bits, so that a filter of several columns, and one that matches nothing,
//! costs a few lookups for each 4,096 rows however the values are spread. Rows are appended, so that a block's sets stand
//! together at the end of the table while it fills, and go together when its last row is forgotten.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::open::Fault;
use super::record::LogRecord;
use super::table::{LOG_BY_VALUE, LOG_SPAN};
use crate::base::id::{AccountId, KeyId, ModelName};

/// Rows in a block.
pub(super) const BLOCK: u64 = 4096;
const WORDS: usize = 64;
/// A set of more rows than this is stored as bits.
const SPARSE: usize = 200;

/// A column that rows are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    /// The client key.
    Key = 1,
    /// An account that served or was tried.
    Account = 2,
    /// The public model.
    Model = 3,
    /// The status.
    Status = 4,
    /// The status's first digit.
    Class = 5,
}

/// A set of rows of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowSet(Box<[u64; WORDS]>);

impl RowSet {
    /// No row.
    pub(super) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// Every row.
    pub(super) fn all() -> Self {
        Self(Box::new([u64::MAX; WORDS]))
    }

    /// Adds a row of the block by its place in it.
    pub(super) fn insert(&mut self, place: u16) {
        if let Some(word) = self.0.get_mut(usize::from(place / 64)) {
            *word |= 1 << (place % 64);
        }
    }

    /// Whether the row at this place is in it.
    pub(super) fn has(&self, place: u16) -> bool {
        let word = self.0.get(usize::from(place / 64));
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Keeps the rows that are in both.
    pub(super) fn intersect(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine &= theirs;
        }
    }

    fn unite(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *mine |= theirs;
        }
    }

    /// Whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The places of its rows, the last first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = u16> {
        (0u16..64).rev().flat_map(|word| {
            let mut bits = self.0[usize::from(word)];
            std::iter::from_fn(move || {
                let bit = bits.checked_ilog2()?;
                bits ^= 1 << bit;
                u16::try_from(bit).ok().map(|bit| word * 64 + bit)
            })
        })
    }

    /// A list of places where they are few, else bits.
    pub(super) fn encode(&self) -> Vec<u8> {
        if self.len() > SPARSE {
            let mut out = vec![1];
            out.extend(self.0.iter().flat_map(|word| word.to_le_bytes()));
            return out;
        }
        let mut places: Vec<u16> = self.backwards().collect();
        places.reverse();
        let mut out = vec![0];
        out.extend(places.iter().flat_map(|place| place.to_le_bytes()));
        out
    }

    /// What [`Self::encode`] gave; no rows for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut set = Self::none();
        match bytes.split_first() {
            Some((0, places)) => {
                for place in places.chunks_exact(2) {
                    set.insert(u16::from_le_bytes([place[0], place[1]]));
                }
            }
            Some((1, words)) => {
                for (word, bytes) in set.0.iter_mut().zip(words.chunks_exact(8)) {
                    *word = bytes.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b));
                }
            }
            _ => {}
        }
        set
    }
}

/// The block of a row.
pub(super) fn block_of(row: u64) -> u64 {
    row / BLOCK
}

/// The place of a row in its block.
pub(super) fn place_of(row: u64) -> u16 {
    u16::try_from(row % BLOCK).unwrap_or(0)
}

/// The row at a place of a block.
pub(super) fn row_at(block: u64, place: u16) -> u64 {
    block * BLOCK + u64::from(place)
}

/// The entries of a batch, so that each set is read and written once for all of its rows.
#[derive(Debug, Default)]
pub(super) struct Entries {
    sets: BTreeMap<(u64, u8, String), RowSet>,
    spans: BTreeMap<u64, (i64, i64)>,
}

impl Entries {
    /// Adds a row under each of its values.
    pub(super) fn add(&mut self, row: u64, record: &LogRecord) {
        let status = record.status.to_string();
        let class = (record.status / 100).to_string();
        let key = record.key.as_ref().map(KeyId::as_str);
        let model = record.model.as_ref().map(ModelName::as_str);
        let account = record.account.as_ref().map(AccountId::as_str);
        let tried = record.tries.iter().map(|t| Some(t.account.as_str()));
        let values = [
            (Column::Key, key),
            (Column::Model, model),
            (Column::Status, Some(status.as_str())),
            (Column::Class, Some(class.as_str())),
            (Column::Account, account),
        ];
        let tried = tried.map(|account| (Column::Account, account));
        for (column, value) in values.into_iter().chain(tried) {
            if let Some(value) = value {
                let entry = (block_of(row), column as u8, value.to_owned());
                let set = self.sets.entry(entry).or_insert_with(RowSet::none);
                set.insert(place_of(row));
            }
        }
        let at = record.at.as_millis();
        let span = self.spans.entry(block_of(row)).or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
    }

    /// Joins them with what is there.
    pub(super) fn write(self, txn: &WriteTransaction) -> Result<(), Fault> {
        let mut table = txn.open_table(LOG_BY_VALUE)?;
        for ((block, column, value), mut set) in self.sets {
            let key = (block, column, value.as_str());
            if let Some(known) = table.get(key)? {
                set.unite(&RowSet::decode(known.value()));
            }
            table.insert(key, set.encode().as_slice())?;
        }
        let mut spans = txn.open_table(LOG_SPAN)?;
        for (block, (first, last)) in self.spans {
            let known = spans.get(block)?.map(|span| span.value());
            let span = known.map_or((first, last), |(a, b)| (a.min(first), b.max(last)));
            spans.insert(block, span)?;
        }
        Ok(())
    }
}

/// Forgets the blocks before one.
pub(super) fn forget_before(txn: &WriteTransaction, block: u64) -> Result<(), Fault> {
    txn.open_table(LOG_BY_VALUE)?
        .retain_in((0, 0, "")..(block, 0, ""), |_, _| false)?;
    txn.open_table(LOG_SPAN)?
        .retain_in(0..block, |_, _| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(places: &BTreeSet<u16>) -> RowSet {
        let mut set = RowSet::none();
        for place in places {
            set.insert(*place);
        }
        set
    }

    proptest! {
        #[test]
        fn a_set_keeps_its_rows_through_storage_and_intersection(
            a in prop::collection::btree_set(0u16..4096, 0..500),
            b in prop::collection::btree_set(0u16..4096, 0..500),
        ) {
            let stored = RowSet::decode(&set(&a).encode());
            prop_assert_eq!(&stored, &set(&a));
            let back: Vec<u16> = stored.backwards().collect();
            prop_assert_eq!(back, a.iter().rev().copied().collect::<Vec<_>>());
            let mut both = stored;
            both.intersect(&RowSet::decode(&set(&b).encode()));
            prop_assert_eq!(both, set(&a.intersection(&b).copied().collect()));
        }

        #[test]
        fn whatever_bytes_are_found_make_a_set(bytes: Vec<u8>) {
            RowSet::decode(&bytes);
        }
    }

    #[test]
    fn many_rows_take_half_a_kilobyte_and_few_take_two_bytes_each() {
        assert_eq!(RowSet::all().encode().len(), 513);
        assert_eq!(set(&(0..3).collect()).encode().len(), 7);
        assert!(RowSet::decode(&[]).is_empty());
    }

    #[test]
    fn rows_lie_at_their_place_in_their_block() {
        for row in [0, 1, 4095, 4096, 1_000_000] {
            assert_eq!(row_at(block_of(row), place_of(row)), row);
        }
    }
}
