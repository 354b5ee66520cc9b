//! What happens without a request: quotas and lists of models asked for, tokens renewed ahead of their end.
//!
//! Quotas are asked for in rounds over all accounts, and beside them for those that somebody wants to know of now: a long
//! round holds nobody up, and each of the two asks for a few accounts at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::runtime::Runtime;
use crate::runtime::controller::Message;
use crate::runtime::refresh::Inquiry;

/// How many accounts are asked at once.
const PARALLEL: usize = 4;
/// How often tokens are looked at.
const TOKENS: Duration = Duration::from_mins(1);
/// Least time between two wirings of the routes for upstreams whose lists of models changed: accounts of one upstream may
/// be told different lists.
const REWIRE: Duration = Duration::from_secs(2);
/// Before those that could not be asked are asked again; it grows to `quota_refresh`.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Whom a round could not ask.
type Asking = JoinHandle<BTreeSet<AccountId>>;

struct Jobs {
    runtime: Arc<Runtime>,
    /// Those to be asked soon.
    wanted: BTreeSet<AccountId>,
    asking: Option<Asking>,
    round: Option<Asking>,
    /// Those that the round under way asks.
    in_round: BTreeSet<AccountId>,
    /// Those that the last round could not ask: the next one is theirs alone where it comes before its time.
    failed: BTreeSet<AccountId>,
    retry: Duration,
    /// When all are asked again.
    full: Instant,
}

/// Runs until the program drains. `asked` names accounts whose quotas are wanted soon.
pub async fn run(
    runtime: Arc<Runtime>,
    mut asked: mpsc::Receiver<AccountId>,
    controller: mpsc::Sender<Message>,
) {
    let drain = runtime.tasks.drain().clone();
    let mut tokens = tokio::time::interval(TOKENS);
    let mut swaps = runtime.swaps();
    let mut due = Box::pin(tokio::time::sleep(Duration::ZERO));
    let mut rewire = Box::pin(tokio::time::sleep(Duration::ZERO));
    let offers = Arc::clone(&runtime);
    let mut jobs = Jobs {
        runtime,
        wanted: BTreeSet::new(),
        asking: None,
        round: None,
        in_round: BTreeSet::new(),
        failed: BTreeSet::new(),
        retry: FIRST_RETRY,
        full: Instant::now(),
    };
    loop {
        jobs.ask_wanted();
        tokio::select! {
            () = drain.cancelled() => return,
            () = due.as_mut(), if jobs.round.is_none() => jobs.begin_round(),
            Some(ended) = OptionFuture::from(jobs.round.as_mut()) => {
                jobs.round = None;
                due.as_mut().reset(jobs.round_ended(ended.unwrap_or_default()));
            }
            Some(_) = OptionFuture::from(jobs.asking.as_mut()) => jobs.asking = None,
            Some(id) = asked.recv() => {
                jobs.wanted.insert(id);
            }
            // One that comes too soon waits, and stands for all that come meanwhile.
            () = async { rewire.as_mut().await; offers.offers.notified().await } => {
                rewire.as_mut().reset(Instant::now() + REWIRE);
                let _ = controller.send(Message::Catalog).await;
            }
            _ = tokens.tick() => jobs.renew_tokens(),
            changed = swaps.changed() => {
                if changed.is_err() {
                    return;
                }
                jobs.want_new();
            }
        }
    }
}

impl Jobs {
    /// All accounts where their time has come, else those that failed.
    fn begin_round(&mut self) {
        let ids = if Instant::now() >= self.full {
            let snapshot = self.runtime.snapshot();
            self.full = Instant::now() + jittered(self.every());
            snapshot.accounts.keys().cloned().collect()
        } else {
            std::mem::take(&mut self.failed)
        };
        self.in_round.clone_from(&ids);
        self.round = Some(self.ask_all(ids));
    }

    /// When the next round begins.
    fn round_ended(&mut self, failed: BTreeSet<AccountId>) -> Instant {
        self.in_round.clear();
        // A changed setting is heeded from the next round on.
        self.full = self.full.min(Instant::now() + jittered(self.every()));
        if failed.is_empty() {
            self.retry = FIRST_RETRY;
            return self.full;
        }
        self.failed = failed;
        let again = Instant::now() + jittered(self.retry);
        self.retry = (self.retry * 2).min(self.every());
        again.min(self.full)
    }

    fn every(&self) -> Duration {
        let snapshot = self.runtime.snapshot();
        snapshot
            .config
            .routing
            .quota_refresh
            .max(Duration::from_secs(1))
    }

    /// Asks those that are wanted, unless others are being asked: they come next, all together.
    fn ask_wanted(&mut self) {
        if self.asking.is_none() && !self.wanted.is_empty() {
            let ids = std::mem::take(&mut self.wanted);
            self.asking = Some(self.ask_all(ids));
        }
    }

    /// Accounts that came with a reload are asked at once, the others keep their turn.
    fn want_new(&mut self) {
        let snapshot = self.runtime.snapshot();
        let accounts = snapshot.accounts.values();
        let new = accounts.filter(|a| {
            let unknown = a.credential.expires_at().is_none() && a.can_be_asked();
            unknown && !self.in_round.contains(&a.id)
        });
        let new: Vec<_> = new.map(|account| account.id.clone()).collect();
        self.wanted.extend(new);
    }

    fn renew_tokens(&self) {
        let now = Timestamp::now();
        self.runtime.registry.tick(now);
        let snapshot = self.runtime.snapshot();
        let wait = snapshot.config.state.orphan_retention;
        self.runtime.registry.limits.tick(wait);
        for account in snapshot.accounts.values().filter(|a| a.can_be_asked()) {
            // An account that never served is asked for a token by its first request or its first quota.
            if account.credential.expires_at().is_some() {
                account.credential.renew_if_due(now);
            }
        }
    }

    /// Asks these beside everything else, and says who could not be asked.
    fn ask_all(&self, ids: BTreeSet<AccountId>) -> Asking {
        let runtime = Arc::clone(&self.runtime);
        self.runtime.tasks.spawn(async move {
            let drain = runtime.tasks.drain().clone();
            tokio::select! {
                () = drain.cancelled() => BTreeSet::new(),
                failed = ask_all(&runtime, &ids) => failed,
            }
        })
    }
}

/// A tenth more at most, so that gateways started together do not ask together.
fn jittered(d: Duration) -> Duration {
    let tenth = u64::try_from(d.as_millis() / 10).unwrap_or(u64::MAX).max(1);
    d + Duration::from_millis(getrandom::u64().unwrap_or(0) % tenth)
}

async fn ask_all(runtime: &Arc<Runtime>, ids: &BTreeSet<AccountId>) -> BTreeSet<AccountId> {
    let snapshot = runtime.snapshot();
    let accounts = ids.iter().filter_map(|id| snapshot.accounts.get(id));
    let inquiries: Vec<_> = accounts
        .filter_map(|account| Inquiry::of(&snapshot, account))
        .collect();
    drop(snapshot);
    let mut answers = stream::iter(inquiries)
        .map(|inquiry| async move {
            let asked = inquiry.ask(runtime, false).await;
            (inquiry.account, asked)
        })
        .buffer_unordered(PARALLEL);
    let mut failed = BTreeSet::new();
    while let Some((account, asked)) = answers.next().await {
        if let Err(failure) = asked {
            failed.insert(account.id.clone());
            tracing::info!(
                account = %account.id,
                class = failure.class.as_str(),
                detail = failure.detail,
                "quotas could not be asked for"
            );
        }
    }
    failed
}
