//! Who is signed in at the panel, and what sessions are signed with. Both are sealed. What they mean is not decided here.

use std::fmt;

use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::crypt::DataKey;
use super::open::Fault;
use super::table::{self, LOGIN};
use super::{Learned, Store, StoreError};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;

/// The name of the table, to which its rows are sealed.
const TABLE: &str = "login";
/// The key of the row that holds the signing secret: no session's, which have 32 bytes.
const SECRET: &[u8] = b"secret";

/// A session at the panel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// SHA-256 of the id that the session's cookie holds.
    pub id: [u8; 32],
    /// Stands for the password that it was begun with.
    pub password: String,
    /// When it was last renewed, or begun.
    pub renewed: Timestamp,
    /// When it ends, if it is not renewed.
    pub expires: Timestamp,
    /// Whether "stay signed in" was ticked.
    pub remembered: bool,
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("renewed", &self.renewed)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A change of what is kept.
#[derive(Debug)]
pub(super) enum LoginChange {
    Session(SessionRecord),
    NoSession([u8; 32]),
    /// What sessions are signed with.
    Signing(Secret),
}

impl LoginChange {
    /// The session that it is of.
    pub(super) fn id(&self) -> Option<[u8; 32]> {
        match self {
            Self::Session(record) => Some(record.id),
            Self::NoSession(id) => Some(*id),
            Self::Signing(_) => None,
        }
    }
}

/// Writes a change. It is always encoded.
pub(super) fn write(
    txn: &WriteTransaction,
    key: Option<&DataKey>,
    change: &LoginChange,
) -> Result<bool, Fault> {
    let need = || key.ok_or_else(|| Fault::Key("there is no data key".to_owned()));
    let mut logins = txn.open_table(LOGIN)?;
    match change {
        LoginChange::Session(record) => {
            let value = table::seal(need()?, TABLE, &[&record.id], record).map_err(Fault::Key)?;
            logins.insert(record.id.as_slice(), value.as_slice())?;
        }
        LoginChange::NoSession(id) => {
            logins.remove(id.as_slice())?;
        }
        LoginChange::Signing(secret) => {
            let value =
                table::seal(need()?, TABLE, &[SECRET], &secret.expose()).map_err(Fault::Key)?;
            logins.insert(SECRET, value.as_slice())?;
        }
    }
    Ok(true)
}

/// All rows.
pub(super) fn learned(
    txn: &ReadTransaction,
    key: &DataKey,
    out: &mut Learned,
) -> Result<(), Fault> {
    for row in txn.open_table(LOGIN)?.range::<&[u8]>(..)? {
        let (id, value) = row?;
        let (id, value) = (id.value(), value.value());
        let read = if id == SECRET {
            let secret = table::open::<String>(key, TABLE, &[SECRET], value);
            let there = secret.is_some();
            out.signing = secret.map(Secret::new).or(out.signing.take());
            there
        } else {
            let session = table::open::<SessionRecord>(key, TABLE, &[id], value);
            let there = session.is_some();
            out.sessions.extend(session);
            there
        };
        out.unreadable += usize::from(!read);
    }
    Ok(())
}

impl Store {
    /// Keeps a session.
    pub fn put_session(&self, session: SessionRecord) {
        self.0
            .shared
            .queue
            .put(Change::Login(LoginChange::Session(session)), None);
    }

    /// Forgets a session. That is queued before this returns, so that it comes after what was put before; what it returns
    /// resolves once it is on the disk.
    ///
    /// # Errors
    /// Where it could not be written at once. It stays queued all the same.
    pub fn delete_session(
        &self,
        id: [u8; 32],
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.queued(LoginChange::NoSession(id))
    }

    /// The same without waiting.
    pub fn delete_session_relaxed(&self, id: [u8; 32]) {
        self.0
            .shared
            .queue
            .put(Change::Login(LoginChange::NoSession(id)), None);
    }

    /// Keeps the secret that sessions are signed with; resolves once it is on the disk.
    ///
    /// # Errors
    /// Where it could not be written at once. It stays queued all the same.
    pub async fn put_signing(&self, secret: Secret) -> Result<(), StoreError> {
        self.queued(LoginChange::Signing(secret)).await
    }

    fn queued(
        &self,
        change: LoginChange,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (ack, done) = std::sync::mpsc::sync_channel(1);
        self.0.shared.queue.put(Change::Login(change), Some(ack));
        let store = self.clone();
        async move { store.wait(done).await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;
    use crate::store::testing::NoKeys;

    fn session(id: u8) -> SessionRecord {
        SessionRecord {
            id: [id; 32],
            password: "made-up-mark".to_owned(),
            renewed: Timestamp(1),
            expires: Timestamp(2),
            remembered: id == 2,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sessions_and_their_secret_are_there_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Store::open(
                folder.path(),
                std::sync::Arc::new(NoKeys),
                Options::default(),
            )
            .unwrap()
        };
        let store = open();
        let learned = store.load().unwrap();
        assert_eq!((learned.signing, learned.sessions), (None, Vec::new()));
        store
            .put_signing(Secret::new("made-up-signing"))
            .await
            .unwrap();
        for id in [1, 2, 3] {
            store.put_session(session(id));
        }
        store.delete_session([3; 32]).await.unwrap();
        store.close().await;
        let bytes = std::fs::read(folder.path().join("agp.redb")).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"made-up"), "sealed");
        assert!(!format!("{:?}", session(1)).contains("made-up"));

        let store = open();
        let learned = store.load().unwrap();
        assert_eq!(learned.signing, Some(Secret::new("made-up-signing")));
        assert_eq!(learned.sessions, [session(1), session(2)]);
        assert_eq!(learned.unreadable, 0);
        store.delete_session_relaxed([1; 32]);
        store.close().await;
        assert_eq!(open().load().unwrap().sessions, [session(2)]);
    }
}
