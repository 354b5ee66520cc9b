//! The tables, their keys, and the codec of their values: one version byte, then postcard.
//!
//! A record that gains a field gets a new version byte and a decoder for the old one; a table that changes its key gets
//! a new schema number. Deliberately absent: any secret outside a sealed value.

use redb::{Key, TableDefinition, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypt::DataKey;
use super::open::Fault;
use super::record::{BudgetOwner, LogRecord, SignatureRecord, TokenRecord, TryRecord};
use super::usage::UsageSums;
use crate::base::id::{AccountId, KeyId};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::ir::SignatureFamily;

/// The schema of `agp.redb` that this program writes.
pub(super) const STATE_SCHEMA: u32 = 6;
/// The schema of `agp-log.redb` that this program writes.
pub(super) const LOG_SCHEMA: u32 = 3;

type Bytes = &'static [u8];
type Digest = &'static [u8; 32];

/// Name to value, in both files: see the constants below.
pub(super) const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");
/// Account to [`TokenRecord`], sealed.
pub(super) const TOKEN: TableDefinition<&str, Bytes> = TableDefinition::new("token");
/// Account to [`super::AccountRecord`].
pub(super) const ACCOUNT: TableDefinition<&str, Bytes> = TableDefinition::new("account");
/// Account and model to [`super::QuotaRecord`].
pub(super) const QUOTA: TableDefinition<(&str, &str), Bytes> = TableDefinition::new("quota");
/// Account and model (empty for the whole account) to [`super::CooldownRecord`].
pub(super) const COOLDOWN: TableDefinition<(&str, &str), Bytes> = TableDefinition::new("cooldown");
/// Client key and digest to signature and thinking, sealed. Written once; what changes stands in [`SIGNATURE_SEEN`].
pub(super) const SIGNATURE: TableDefinition<(&str, Digest), Bytes> =
    TableDefinition::new("signature");
/// Client key and digest to [`Seen`].
pub(super) const SIGNATURE_SEEN: TableDefinition<(&str, Digest), Bytes> =
    TableDefinition::new("signature_seen");
/// Time of last use, client key and digest: the order in which signatures are forgotten.
pub(super) const SIGNATURE_BY_AGE: TableDefinition<(i64, &str, Digest), ()> =
    TableDefinition::new("signature_by_age");
/// Client key and call id to the digest.
pub(super) const SIGNATURE_BY_CALL: TableDefinition<(&str, &str), Bytes> =
    TableDefinition::new("signature_by_call");

/// Account to [`super::StandingRecord`]. Since schema 2.
pub(super) const STANDING: TableDefinition<&str, Bytes> = TableDefinition::new("standing");
/// Account that is not in the configuration to the time it left, in milliseconds. Since schema 2.
pub(super) const ORPHAN: TableDefinition<&str, i64> = TableDefinition::new("orphan");
/// Owner (a key's digest behind `0`, a group's name behind `1`) to [`super::BudgetRecord`]. Since schema 3.
pub(super) const BUDGET: TableDefinition<Bytes, Bytes> = TableDefinition::new("budget");
/// `0` to [`super::JournalRecord`], sealed. Since schema 4.
pub(super) const JOURNAL: TableDefinition<u64, Bytes> = TableDefinition::new("journal");

/// SHA-256 of a session's id to [`super::SessionRecord`], `secret` to what sessions are signed with; sealed. Since schema 6.
pub(super) const LOGIN: TableDefinition<Bytes, Bytes> = TableDefinition::new("login");

/// Generation to [`super::GenerationRecord`]. Since schema 5.
pub(super) const HISTORY: TableDefinition<u64, Bytes> = TableDefinition::new("history");
/// Generation to the texts of its files, compressed and sealed: see [`super::history`]. Since schema 5.
pub(super) const HISTORY_TEXT: TableDefinition<u64, Bytes> = TableDefinition::new("history_text");

/// Row number to [`super::LogRecord`] without its tries. Numbers rise in the order in which requests ended.
pub(super) const LOG: TableDefinition<u64, Bytes> = TableDefinition::new("log_row");
/// Row number and number of the try to [`super::TryRecord`].
pub(super) const TRY: TableDefinition<(u64, u16), Bytes> = TableDefinition::new("log_try");
/// Request id to row number.
pub(super) const LOG_BY_ID: TableDefinition<u128, u64> = TableDefinition::new("log_by_id");
/// Block of rows, column and value to the rows of the block that have the value: see [`super::index`].
pub(super) const LOG_BY_VALUE: TableDefinition<(u64, u8, &str), Bytes> =
    TableDefinition::new("log_by_value");
/// Block of rows to the earliest and the latest time in it, in milliseconds.
pub(super) const LOG_SPAN: TableDefinition<u64, (i64, i64)> = TableDefinition::new("log_span");
/// Request id to the bodies of the request, compressed and sealed: see [`super::body`]. Ids sort by the time at which
/// requests began, so that the oldest go first. Since schema 3.
pub(super) const BODY: TableDefinition<u128, Bytes> = TableDefinition::new("body");
/// Quarter hour since 1970, kind of roll-up and name to [`super::UsageSums`].
pub(super) const USAGE: TableDefinition<(u32, u8, &str), Bytes> = TableDefinition::new("usage");

/// Upstream to [`super::CatalogRecord`]. Since schema 3.
pub(super) const CATALOG: TableDefinition<&str, Bytes> = TableDefinition::new("catalog");

/// What is done with each table of a file.
pub(super) trait Visit {
    /// Does it with one.
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault>;
}

/// Visits each table of `agp.redb`. This is the one list of them: a new table comes in here, with a new schema number and
/// a step in [`super::migrate::STATE`], and is laid, checked, and carried into backups from then on.
pub(super) fn visit_state(visit: &mut impl Visit) -> Result<(), Fault> {
    visit.table(META)?;
    visit.table(TOKEN)?;
    visit.table(ACCOUNT)?;
    visit.table(QUOTA)?;
    visit.table(COOLDOWN)?;
    visit.table(STANDING)?;
    visit.table(ORPHAN)?;
    visit.table(BUDGET)?;
    visit.table(SIGNATURE)?;
    visit.table(SIGNATURE_SEEN)?;
    visit.table(SIGNATURE_BY_AGE)?;
    visit.table(SIGNATURE_BY_CALL)?;
    visit.table(CATALOG)?;
    visit.table(JOURNAL)?;
    visit.table(LOGIN)?;
    visit.table(HISTORY)?;
    visit.table(HISTORY_TEXT)
}

/// The same for `agp-log.redb`.
pub(super) fn visit_log(visit: &mut impl Visit) -> Result<(), Fault> {
    visit.table(META)?;
    visit.table(LOG)?;
    visit.table(LOG_BY_ID)?;
    visit.table(LOG_BY_VALUE)?;
    visit.table(LOG_SPAN)?;
    visit.table(TRY)?;
    visit.table(BODY)?;
    visit.table(USAGE)
}

/// Those whose key is an account: what is known of one that left the configuration is forgotten in all of them.
pub(super) const BY_ACCOUNT: [TableDefinition<&str, Bytes>; 3] = [TOKEN, ACCOUNT, STANDING];
/// Those whose key is an account and a model.
pub(super) const BY_ACCOUNT_AND_MODEL: [TableDefinition<(&str, &str), Bytes>; 2] =
    [QUOTA, COOLDOWN];

/// In [`META`]: the schema number, `u32`.
pub(super) const META_SCHEMA: &str = "schema";
/// In [`META`]: the version of agp that introduced the schema, for the error that an older one gives.
pub(super) const META_NEEDS: &str = "needs";
/// In [`META`]: the wrapped data key.
pub(super) const META_KEY: &str = "data_key";
/// In [`META`]: the next generation number, `u64`.
pub(super) const META_GENERATION: &str = "generation";

/// In [`META`] of the log: the number of the next row, `u64`.
pub(super) const META_NEXT_ROW: &str = "next_row";
/// In [`META`] of the log: [`super::log::Sizes`].
pub(super) const META_SIZES: &str = "sizes";

/// The version byte of values that have the fields that they had at first.
const V1: u8 = 1;
/// The version byte of [`Grown`] values.
const V2: u8 = 2;

/// A value that gained one field at its end, whose encoding is a zero where nothing is known: an absent number, or 0.
pub(super) trait Grown: Serialize + DeserializeOwned {}

impl Grown for LogRecord {}
impl Grown for UsageSums {}
impl Grown for TryRecord {}

/// Encodes a value; `None` in the impossible case that postcard refuses it.
pub(super) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![V1]).ok()
}

/// Decodes what [`encode`] gave; `None` where it is of an unknown version or no such value.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&V1, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Some(value),
            _ => None,
        },
        _ => None,
    }
}

/// Encodes a value that gained a field.
pub(super) fn encode_grown<T: Grown>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![V2]).ok()
}

/// Decodes what [`encode_grown`] gave, or what [`encode`] gave when the value lacked its last field.
pub(super) fn decode_grown<T: Grown>(bytes: &[u8]) -> Option<T> {
    let whole = |bytes: &[u8]| match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    };
    match bytes.split_first() {
        Some((&V2, rest)) => whole(rest),
        Some((&V1, rest)) => whole(&[rest, &[0]].concat()),
        _ => None,
    }
}

/// The begin of what [`encode_grown`] gave: `T` has its first fields.
pub(super) fn decode_head<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&(V1 | V2), rest)) => Some(postcard::take_from_bytes(rest).ok()?.0),
        _ => None,
    }
}

/// The key of an owner's row in [`BUDGET`].
pub(super) fn budget_key(owner: &BudgetOwner) -> Vec<u8> {
    match owner {
        BudgetOwner::Key(digest) => [&[0], digest.as_slice()].concat(),
        BudgetOwner::Group(name) => [&[1], name.as_bytes()].concat(),
    }
}

/// What of a signature changes with use, and is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) call_ids: Vec<String>,
}

#[derive(Serialize)]
struct TokenOut<'a> {
    fingerprint: [u8; 32],
    access_token: &'a str,
    expires_at: Timestamp,
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct TokenIn {
    fingerprint: [u8; 32],
    access_token: String,
    expires_at: Timestamp,
    refresh_token: Option<String>,
}

/// A token's row: sealed for its account.
pub(super) fn seal_token(key: &DataKey, token: &TokenRecord) -> Result<Vec<u8>, String> {
    let out = TokenOut {
        fingerprint: token.fingerprint,
        access_token: token.access_token.expose(),
        expires_at: token.expires_at,
        refresh_token: token.refresh_token.as_ref().map(Secret::expose),
    };
    seal(key, "token", &[token.account.as_str().as_bytes()], &out)
}

/// Opens a token's row.
pub(super) fn open_token(key: &DataKey, account: &str, value: &[u8]) -> Option<TokenRecord> {
    let token: TokenIn = open(key, "token", &[account.as_bytes()], value)?;
    Some(TokenRecord {
        account: AccountId::from(account),
        fingerprint: token.fingerprint,
        access_token: token.access_token.into(),
        expires_at: token.expires_at,
        refresh_token: token.refresh_token.map(Secret::from),
    })
}

#[derive(Serialize)]
struct SignatureOut<'a> {
    family: SignatureFamily,
    signature: &'a str,
    thinking: Option<&'a str>,
}

#[derive(Deserialize)]
struct SignatureIn {
    family: SignatureFamily,
    signature: String,
    thinking: Option<String>,
}

/// A signature's row: sealed for its client key and digest.
pub(super) fn seal_signature(
    key: &DataKey,
    digest: &[u8; 32],
    record: &SignatureRecord,
) -> Result<Vec<u8>, String> {
    let out = SignatureOut {
        family: record.family,
        signature: &record.signature,
        thinking: record.thinking.as_deref(),
    };
    let row = [record.key.as_str().as_bytes(), digest.as_slice()];
    seal(key, "signature", &row, &out)
}

/// Opens a signature's row.
pub(super) fn open_signature(
    key: &DataKey,
    client: &str,
    digest: &[u8; 32],
    value: &[u8],
    seen: Seen,
) -> Option<SignatureRecord> {
    let row = [client.as_bytes(), digest.as_slice()];
    let found: SignatureIn = open(key, "signature", &row, value)?;
    Some(SignatureRecord {
        key: KeyId::from(client),
        family: found.family,
        signature: found.signature,
        thinking: found.thinking,
        call_ids: seen.call_ids,
        at: seen.at,
    })
}

/// Version byte, then the sealed postcard.
pub(super) fn seal<T: Serialize>(
    key: &DataKey,
    table: &str,
    row: &[&[u8]],
    value: &T,
) -> Result<Vec<u8>, String> {
    // Of the right length from the start: a buffer that grows leaves copies of the secret behind.
    let size = postcard::experimental::serialized_size(value)
        .map_err(|e| format!("a value of `{table}` could not be encoded: {e}"))?;
    let mut plain = Zeroizing::new(vec![0; size]);
    postcard::to_slice(value, &mut plain)
        .map_err(|e| format!("a value of `{table}` could not be encoded: {e}"))?;
    let mut out = vec![V1];
    out.extend_from_slice(&key.seal(table, row, &plain)?);
    Ok(out)
}

/// Opens what [`seal`] gave for this row.
pub(super) fn open<T: DeserializeOwned>(
    key: &DataKey,
    table: &str,
    row: &[&[u8]],
    value: &[u8],
) -> Option<T> {
    match value.split_first() {
        Some((&V1, sealed)) => postcard::from_bytes(&key.open(table, row, sealed)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_carry_their_version() {
        let bytes = encode(&7u32).unwrap();
        assert_eq!(decode::<u32>(&bytes), Some(7));
        assert_eq!(decode::<u32>(&[2, 7]), None);
        assert_eq!(decode::<u32>(&[]), None);
        assert_eq!(decode::<u32>(&[1, 7, 7]), None, "bytes left over");
    }

    #[test]
    fn values_that_gained_a_field_are_read_without_it() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct New {
            name: String,
            cost: Option<u64>,
        }
        impl Grown for New {}
        let new = |cost| New {
            name: "a".to_owned(),
            cost,
        };
        let old = encode(&("a".to_owned(),)).unwrap();
        assert_eq!(decode_grown(&old), Some(new(None)));
        let bytes = encode_grown(&new(Some(7))).unwrap();
        assert_eq!(decode_grown(&bytes), Some(new(Some(7))));
        assert_eq!(decode::<New>(&bytes), None);
        assert_eq!(decode_grown::<New>(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(decode_grown::<New>(&[3, 0]), None);
    }

    #[test]
    fn a_log_row_and_sums_without_a_cost_are_read() {
        let mut record = LogRecord::new(
            crate::base::id::RequestId::from_u128(7),
            Timestamp(1),
            crate::base::id::Dialect::Anthropic,
        );
        record.more_verdicts = 3;
        let mut old = encode(&record).unwrap();
        assert_eq!(old.pop(), Some(0), "no cost");
        assert_eq!(decode_grown(&old), Some(record.clone()));
        record.cost = Some(12);
        assert_eq!(decode_grown(&encode_grown(&record).unwrap()), Some(record));
        let mut sums = UsageSums {
            requests: 2,
            ..UsageSums::default()
        };
        let mut old = encode(&sums).unwrap();
        assert_eq!(old.pop(), Some(0), "no cost");
        assert_eq!(decode_grown(&old), Some(sums.clone()));
        sums.cost = 5;
        assert_eq!(decode_grown(&encode_grown(&sums).unwrap()), Some(sums));
    }

    #[test]
    fn a_token_keeps_every_field_and_shows_none() {
        let (key, _) = DataKey::generate().unwrap();
        let token = TokenRecord {
            account: "main".into(),
            fingerprint: [7; 32],
            access_token: "made-up-access".to_owned().into(),
            expires_at: Timestamp(5),
            refresh_token: Some("made-up-refresh".to_owned().into()),
        };
        let row = seal_token(&key, &token).unwrap();
        assert!(!row.windows(7).any(|w| w == b"made-up"));
        assert_eq!(open_token(&key, "main", &row), Some(token));
        assert_eq!(open_token(&key, "other", &row), None);
    }
}
