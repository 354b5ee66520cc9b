//! One change of `agp.redb`, and how two changes of one row become one.

use super::history::Applied;
use super::journal::JournalRecord;
use super::login::LoginChange;
use super::queue::Ack;
use super::record::{
    AccountRecord, BudgetOwner, BudgetRecord, CatalogRecord, CooldownRecord, QuotaRecord,
    SignatureRecord, StandingRecord, TokenRecord,
};
use crate::base::id::{AccountId, KeyId, ModelName, UpstreamId};
use crate::base::time::Timestamp;

/// The row that a change is of: a later change of the same row replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Row {
    Token(AccountId),
    Account(AccountId),
    Quota(AccountId, ModelName),
    Cooldown(AccountId, Option<ModelName>),
    Signature(KeyId, [u8; 32]),
    Generation,
    Standing(AccountId),
    Catalog(UpstreamId),
    Present,
    Budget(BudgetOwner),
    History(u64),
    Journal,
    /// A session's, or that of what sessions are signed with.
    Login(Option<[u8; 32]>),
}

/// A change of `agp.redb`.
#[derive(Debug)]
pub(super) enum Change {
    Token(TokenRecord),
    Account(AccountRecord),
    Quota(QuotaRecord),
    Cooldown(CooldownRecord),
    NoCooldown(AccountId, Option<ModelName>),
    Signature(SignatureRecord),
    /// A signature was used.
    Touch(KeyId, [u8; 32], Timestamp),
    /// The next generation number.
    Generation(u64),
    Standing(StandingRecord),
    NoStanding(AccountId),
    Catalog(CatalogRecord),
    /// The accounts that the configuration names, and since when.
    Present(Vec<AccountId>, Timestamp),
    Budget(BudgetRecord),
    NoBudget(BudgetOwner),
    /// A generation is in force.
    Applied(Box<Applied>),
    Journal(JournalRecord),
    NoJournal,
    Login(LoginChange),
}

impl Change {
    /// The row that it is of.
    pub(super) fn row(&self) -> Row {
        match self {
            Self::Token(r) => Row::Token(r.account.clone()),
            Self::Account(r) => Row::Account(r.account.clone()),
            Self::Quota(r) => Row::Quota(r.account.clone(), r.model.clone()),
            Self::Cooldown(r) => Row::Cooldown(r.account.clone(), r.model.clone()),
            Self::NoCooldown(account, model) => Row::Cooldown(account.clone(), model.clone()),
            Self::Signature(r) => Row::Signature(r.key.clone(), r.digest()),
            Self::Touch(key, digest, _) => Row::Signature(key.clone(), *digest),
            Self::Generation(_) => Row::Generation,
            Self::Standing(r) => Row::Standing(r.account.clone()),
            Self::NoStanding(account) => Row::Standing(account.clone()),
            Self::Catalog(r) => Row::Catalog(r.upstream.clone()),
            Self::Present(..) => Row::Present,
            Self::Budget(r) => Row::Budget(r.owner.clone()),
            Self::NoBudget(owner) => Row::Budget(owner.clone()),
            Self::Applied(a) => Row::History(a.record.generation),
            Self::Journal(_) | Self::NoJournal => Row::Journal,
            Self::Login(change) => Row::Login(change.id()),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Signature(r) => r.weight(),
            Self::Catalog(r) => r.weight(),
            Self::Applied(a) => a.weight(),
            Self::Journal(r) => r.weight(),
            Self::Present(names, _) => 200 + 64 * names.len(),
            _ => 200,
        }
    }

    /// What is left to write of an older and a newer change of one row.
    pub(super) fn merge(older: Self, newer: Self) -> Self {
        match (older, newer) {
            (Self::Signature(old), Self::Signature(mut new)) => {
                new.absorb_calls(old.call_ids);
                new.at = new.at.max(old.at);
                Self::Signature(new)
            }
            (Self::Signature(mut record), Self::Touch(_, _, at))
            | (Self::Touch(_, _, at), Self::Signature(mut record)) => {
                record.at = record.at.max(at);
                Self::Signature(record)
            }
            (_, newer) => newer,
        }
    }
}

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) row: Row,
    pub(super) change: Change,
    pub(super) acks: Vec<Ack>,
}
