//! Accounts by number: a name's number stays the same while the program runs, so that sets of accounts are bits and
//! hold across reloads.

use std::collections::HashMap;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::base::id::AccountId;

/// Hands out numbers.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<HashMap<AccountId, u32>>);

impl Numbers {
    /// The account's number.
    pub fn of(&self, account: &AccountId) -> u32 {
        let mut known = self.0.lock();
        if let Some(number) = known.get(account) {
            return *number;
        }
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        known.insert(account.clone(), next);
        next
    }
}

/// Some accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSet(Vec<u64>);

impl AccountSet {
    /// Whether the account of this number is among them.
    pub fn contains(&self, number: u32) -> bool {
        self.0
            .get(number as usize / 64)
            .is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u32> for AccountSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut words = Vec::new();
        for number in numbers {
            let at = number as usize / 64;
            if words.len() <= at {
                words.resize(at + 1, 0);
            }
            words[at] |= 1u64 << (number % 64);
        }
        Self(words)
    }
}

/// Texts as a number that is the same on every machine and in every run; what stands apart in the list stays apart.
pub fn stable_hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    let bytes: [u8; 32] = digest.finalize().into();
    bytes[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: AccountSet = [0, 63, 64, 1000].into_iter().collect();
        let found: Vec<u32> = (0..2000).filter(|n| set.contains(*n)).collect();
        assert_eq!(found, [0, 63, 64, 1000]);
        assert!(AccountSet::default().is_empty() && !set.is_empty());
    }

    #[test]
    fn numbers_stay_and_hashes_keep_texts_apart() {
        let numbers = Numbers::default();
        let all: Vec<u32> = ["a", "b", "a", "c"]
            .map(|name| numbers.of(&name.into()))
            .into();
        assert_eq!(all, [0, 1, 0, 2]);
        assert_ne!(stable_hash(["ab", "c"]), stable_hash(["a", "bc"]));
        assert_eq!(stable_hash(["alice"]), stable_hash(["alice"]));
    }
}
