//! Who is signed in. In memory, so that a request asks no disk, and in the store, so that a restart ends nothing.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::time::Timestamp;
use crate::config::model::Admin;
use crate::server::login::token;
use crate::store::{SessionRecord, Store};

/// Most sessions at a time: beyond it the one that was renewed longest ago ends.
const MOST: usize = 256;

/// The sessions.
pub(super) struct Sessions {
    store: Store,
    by_id: Mutex<HashMap<[u8; 32], SessionRecord>>,
}

/// How long a session lasts from its last renewal.
pub(super) fn life(admin: &Admin, remembered: bool) -> Duration {
    match admin.remember_ttl {
        Some(life) if remembered => life,
        _ => admin.session_ttl,
    }
}

/// When it ends: as it was told, or sooner where the file gives it less by now.
pub(super) fn end(record: &SessionRecord, admin: &Admin) -> Timestamp {
    let now = record.renewed.plus(life(admin, record.remembered));
    record.expires.min(now)
}

impl Sessions {
    /// Those of the last run.
    pub(super) fn new(store: Store, kept: Vec<SessionRecord>, now: Timestamp) -> Self {
        let sessions = Self {
            store,
            by_id: Mutex::default(),
        };
        for record in kept {
            if now < record.expires {
                sessions.by_id.lock().insert(record.id, record);
            } else {
                sessions.store.delete_session_relaxed(record.id);
            }
        }
        sessions
    }

    /// Gives a session new life, unless it was ended meanwhile; whether it was not.
    pub(super) fn renew(&self, record: SessionRecord) -> bool {
        let mut by_id = self.by_id.lock();
        let Some(present) = by_id.get_mut(&record.id) else {
            return false;
        };
        present.clone_from(&record);
        // Under the lock, so that the store hears of everything in the order in which it happened.
        self.store.put_session(record);
        true
    }

    /// Keeps a session that was begun.
    pub(super) fn begin(&self, record: SessionRecord, now: Timestamp) {
        let mut by_id = self.by_id.lock();
        let mut ended: Vec<[u8; 32]> = by_id
            .values()
            .filter(|one| one.expires <= now)
            .map(|one| one.id)
            .collect();
        if by_id.len() - ended.len() >= MOST {
            let lasting = by_id.values().filter(|one| now < one.expires);
            ended.extend(lasting.min_by_key(|one| one.renewed).map(|one| one.id));
        }
        for id in ended {
            by_id.remove(&id);
            self.store.delete_session_relaxed(id);
        }
        by_id.insert(record.id, record.clone());
        self.store.put_session(record);
    }

    /// The session of this id, while it lasts and the password is the one that it was begun with.
    pub(super) fn get(
        &self,
        id: &[u8; 32],
        password: &str,
        admin: &Admin,
        now: Timestamp,
    ) -> Option<SessionRecord> {
        let record = self.by_id.lock().get(id)?.clone();
        (now < end(&record, admin) && token::same(&record.password, password)).then_some(record)
    }

    /// Ends a session for good: refused from now on, and after a restart.
    pub(super) async fn end(&self, id: [u8; 32]) {
        let deleted = {
            let mut by_id = self.by_id.lock();
            by_id.remove(&id);
            self.store.delete_session(id)
        };
        if let Err(error) = deleted.await {
            tracing::warn!(%error, "that a session was signed out is not on the disk yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Files;
    use crate::store::testing::NoKeys;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn admin(text: &str) -> Admin {
        let text = format!("version = 1\n[admin]\n{text}");
        let files = Files::from_texts([("agp.toml".into(), text)]);
        let loaded = crate::config::load(&files, std::iter::empty());
        loaded.config.unwrap().admin
    }

    fn session(n: u16, secs: u64, remembered: bool) -> SessionRecord {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_le_bytes());
        SessionRecord {
            id,
            password: "mark".to_owned(),
            renewed: NOW.plus(Duration::from_millis(n.into())),
            expires: NOW.plus(Duration::from_secs(secs)),
            remembered,
        }
    }

    fn sessions(kept: Vec<SessionRecord>) -> Sessions {
        Sessions::new(Store::in_memory(std::sync::Arc::new(NoKeys)), kept, NOW)
    }

    #[tokio::test]
    async fn a_session_lasts_until_its_end_its_password_or_its_sign_out() {
        let sessions = sessions(vec![session(1, 60, false), session(2, 0, false)]);
        let admin = admin("");
        let get = |n: u16, mark: &str, after| {
            let at = NOW.plus(Duration::from_secs(after));
            let id = session(n, 0, false).id;
            sessions.get(&id, mark, &admin, at).is_some()
        };
        assert!(get(1, "mark", 59) && !get(1, "mark", 60));
        assert!(!get(1, "other", 0) && !get(2, "mark", 0));
        assert!(sessions.renew(session(1, 90, false)));
        assert!(get(1, "mark", 60));
        sessions.end(session(1, 60, false).id).await;
        assert!(!get(1, "mark", 0));
        assert!(!sessions.renew(session(1, 90, false)), "it stays ended");
        assert!(!get(1, "mark", 0));
    }

    #[test]
    fn a_shorter_life_in_the_file_holds_at_once() {
        let day = 86_400;
        let ends = |text: &str, remembered| {
            let record = session(0, 30 * day, remembered);
            end(&record, &admin(text)).since(NOW).as_secs()
        };
        assert_eq!(ends("", false), 12 * 3600);
        assert_eq!(ends("", true), 7 * day);
        assert_eq!(ends("session_ttl = '5m'", false), 300);
        assert_eq!(ends("remember_ttl = '1h'", true), 3600);
        assert_eq!(ends("remember_ttl = '0s'", true), 12 * 3600);
        assert_eq!(ends("remember_ttl = '90d'", true), 30 * day);
    }

    #[test]
    fn their_number_is_bounded_and_the_oldest_ends() {
        let sessions = sessions(Vec::new());
        let n = u16::try_from(MOST).unwrap();
        for n in 0..n + 10 {
            sessions.begin(session(n, 60, false), NOW);
        }
        assert_eq!(sessions.by_id.lock().len(), MOST);
        let there = |n: u16| sessions.by_id.lock().contains_key(&session(n, 0, false).id);
        assert!(!there(9) && there(10) && there(n + 9));
        sessions.begin(session(900, 999, false), NOW.plus(Duration::from_mins(2)));
        assert_eq!(sessions.by_id.lock().len(), 1, "what has ended makes room");
    }
}
