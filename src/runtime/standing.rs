//! What a person does to an account, and how its standing outlives the program.

use std::borrow::Cow;

use crate::base::time::Timestamp;
use crate::pool::candidate::Verdict;
use crate::pool::state::{Machine, Standing};
use crate::runtime::Runtime;
use crate::runtime::account::AccountState;
use crate::store::StandingRecord;

const PAUSED: &str = "paused";
const TRIAL: &str = "trial";

/// What the store is to keep of an account's standing; `None` where it is active and nothing else. The state is the names
/// of what holds at once, joined by `+`: an account may be paused and disabled.
pub(super) fn record(account: &AccountState) -> Option<StandingRecord> {
    let machine = account.machine();
    let standing = Some(machine.standing.as_str()).filter(|_| machine.standing != Standing::Active);
    let words = [
        machine.paused.map(|_| PAUSED),
        machine.trial.then_some(TRIAL),
        standing,
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let (reason, link) = match &machine.standing {
        Standing::Disabled(why) => (why.clone(), None),
        Standing::NeedsVerification(link) => (String::new(), link.clone()),
        Standing::Active | Standing::NeedsLogin => (String::new(), None),
    };
    (!words.is_empty()).then(|| StandingRecord {
        account: account.id.clone(),
        fingerprint: account.credential.fingerprint(),
        state: words.join("+").into(),
        reason,
        link,
        since: machine.paused.unwrap_or(machine.since),
    })
}

/// The machine that a record speaks of. Under another credential (`same` is false) an account that waited for a person is
/// on trial; a pause is of the name and stays.
pub(super) fn machine(record: &StandingRecord, same: bool, now: Timestamp) -> Machine {
    let words: Vec<&str> = record.state.split('+').collect();
    let has = |word: &Standing| words.contains(&word.as_str());
    let standing = [
        Standing::NeedsLogin,
        Standing::NeedsVerification(record.link.clone()),
        Standing::Disabled(record.reason.clone()),
    ]
    .into_iter()
    .find(has)
    .unwrap_or_default();
    let paused = words.contains(&PAUSED).then_some(record.since);
    if !same && standing != Standing::Active {
        return Machine::on_trial(paused, now);
    }
    Machine::standing(standing, record.since, paused, words.contains(&TRIAL))
}

impl AccountState {
    /// A verdict of selection in words, with what selection need not know: what a person must do, what brought a cooldown.
    pub fn verdict(&self, model: &str, verdict: Verdict) -> Cow<'static, str> {
        match verdict {
            Verdict::NeedsPerson => {
                self.look(|machine| match (machine.paused, &machine.standing) {
                    (Some(_), _) => "paused by a person".into(),
                    (None, Standing::Disabled(why)) => format!("disabled: {why}").into(),
                    (None, Standing::NeedsLogin) => "needs_login: its sign-in is refused".into(),
                    (None, Standing::NeedsVerification(_)) => {
                        "needs_verification: the provider wants to see a person".into()
                    }
                    // It was released in between.
                    (None, Standing::Active) => verdict.text(),
                })
            }
            Verdict::Cooling(until) => self.look(|machine| {
                let pair = machine.models.get(model);
                let mut benches = machine.whole.iter().chain(pair);
                match benches.find(|bench| bench.until == until) {
                    Some(bench) => format!("{} ({})", verdict.text(), bench.class.as_str()).into(),
                    None => verdict.text(),
                }
            }),
            verdict => verdict.text(),
        }
    }
}

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
        self.registry.keep_standing(account);
        tracing::info!(account = %account.id, "account released");
        self.freed();
        if account.can_be_asked() {
            self.ask_quota(&account.id);
        }
    }

    /// Takes the account out of use until it is resumed, or until the file says otherwise. Says whether that is news.
    pub fn pause(&self, account: &AccountState) -> bool {
        let news = account.pause(Timestamp::now());
        if news {
            self.registry.keep_standing(account);
            tracing::info!(account = %account.id, "account paused");
        }
        news
    }

    /// Takes a paused account back into use. Says whether that is news.
    pub fn resume(&self, account: &AccountState) -> bool {
        let news = account.resume();
        if news {
            self.registry.keep_standing(account);
            tracing::info!(account = %account.id, "account resumed");
            self.freed();
            // Nobody asked for them while it was paused.
            if account.can_be_asked() {
                self.ask_quota(&account.id);
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::runtime::account::testing::account;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn any_standing() -> impl Strategy<Value = Standing> {
        prop_oneof![
            Just(Standing::Active),
            Just(Standing::NeedsLogin),
            Just(Standing::NeedsVerification(None)),
            Just(Standing::NeedsVerification(Some(
                "https://a.example/v".to_owned()
            ))),
            Just(Standing::Disabled("closed by the provider".to_owned())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_comes_back(standing in any_standing(), paused: bool, trial: bool) {
            let machine = Machine::standing(standing, NOW, paused.then_some(NOW), trial);
            let account = account("a");
            account.restore_standing(machine.clone());
            let later = NOW.plus(Duration::from_secs(9));
            match record(&account) {
                None => prop_assert!(machine.standing == Standing::Active && !paused && !trial),
                Some(kept) => {
                    prop_assert_eq!(&super::machine(&kept, true, later), &machine);
                    let anew = super::machine(&kept, false, later);
                    prop_assert_eq!(anew.standing, Standing::Active);
                    prop_assert_eq!(anew.paused, machine.paused);
                    prop_assert_eq!(anew.trial, trial || machine.standing != Standing::Active);
                }
            }
        }
    }
}
