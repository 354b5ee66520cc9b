//! What a person does to an account.

use crate::base::time::Timestamp;
use crate::runtime::Runtime;
use crate::runtime::account::AccountState;

impl Runtime {
    /// Ends every bench of the account; one that waited for a person is back on trial. Its quotas are asked for anew.
    pub fn release(&self, account: &AccountState) {
        let benched = account.machine();
        account.release(Timestamp::now());
        if benched.whole.is_some() {
            self.store.delete_cooldown(account.id.clone(), None);
        }
        for model in benched.models.keys() {
            self.store
                .delete_cooldown(account.id.clone(), Some(model.as_str().into()));
        }
        tracing::info!(account = %account.id, "account released");
        if account.can_be_asked() {
            self.ask_quota(&account.id);
        }
    }

    /// Takes the account out of use until it is resumed, or until the file says otherwise. Says whether that is news.
    pub fn pause(&self, account: &AccountState) -> bool {
        let news = account.pause(Timestamp::now());
        if news {
            tracing::info!(account = %account.id, "account paused");
        }
        news
    }

    /// Takes a paused account back into use. Says whether that is news.
    pub fn resume(&self, account: &AccountState) -> bool {
        let news = account.resume();
        if news {
            tracing::info!(account = %account.id, "account resumed");
        }
        news
    }
}
