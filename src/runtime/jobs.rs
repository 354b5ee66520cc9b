//! What happens without a request: quotas and lists of models asked for, tokens renewed ahead of their end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::base::id::AccountId;
use crate::base::time::Timestamp;
use crate::pool::failure::Failure;
use crate::runtime::Runtime;
use crate::runtime::account::AccountState;
use crate::runtime::controller::Message;
use crate::runtime::handle::UpstreamHandle;
use crate::runtime::snapshot::Snapshot;
use crate::store::QuotaRecord;

/// How many accounts are asked at once.
const PARALLEL: usize = 4;
/// How often tokens are looked at.
const TOKENS: Duration = Duration::from_mins(1);
/// Before a failed first round is tried again; it grows to `quota_refresh`.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Runs until the program drains. `asked` names accounts whose quotas are wanted soon.
pub async fn run(
    runtime: Arc<Runtime>,
    mut asked: mpsc::Receiver<AccountId>,
    controller: mpsc::Sender<Message>,
) {
    let drain = runtime.tasks.drain().clone();
    let mut tokens = tokio::time::interval(TOKENS);
    let mut swaps = runtime.swaps();
    let mut retry = FIRST_RETRY;
    let round = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(round);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            () = round.as_mut() => {
                let snapshot = runtime.snapshot();
                let every = snapshot.config.routing.quota_refresh.max(Duration::from_secs(1));
                let ids: Vec<_> = snapshot.accounts.keys().cloned().collect();
                let failed = ask_all(&runtime, &snapshot, &ids, &controller).await;
                let next = if failed == 0 { retry = FIRST_RETRY; every } else { retry };
                if failed > 0 {
                    retry = (retry * 2).min(every);
                }
                round.as_mut().reset(tokio::time::Instant::now() + jittered(next.min(every)));
            }
            Some(first) = asked.recv() => {
                let mut ids = vec![first];
                while let Ok(id) = asked.try_recv() {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                ask_all(&runtime, &runtime.snapshot(), &ids, &controller).await;
            }
            _ = tokens.tick() => {
                runtime.registry.tick(Timestamp::now());
                let snapshot = runtime.snapshot();
                runtime.registry.limits.tick(snapshot.config.state.orphan_retention);
                for account in snapshot.accounts.values().filter(|a| a.can_be_asked()) {
                    // An account that never served is asked for a token by its first request or its first quota.
                    if account.credential.expires_at().is_some() {
                        account.credential.renew_if_due(Timestamp::now());
                    }
                }
            }
            changed = swaps.changed() => {
                if changed.is_err() {
                    return;
                }
                // Accounts that came with a reload are asked at once, the others keep their turn.
                let snapshot = runtime.snapshot();
                let new: Vec<_> = snapshot
                    .accounts
                    .values()
                    .filter(|a| a.credential.expires_at().is_none() && a.can_be_asked())
                    .map(|a| a.id.clone())
                    .collect();
                ask_all(&runtime, &snapshot, &new, &controller).await;
            }
        }
    }
}

/// A tenth more at most, so that gateways started together do not ask together.
fn jittered(d: Duration) -> Duration {
    let tenth = u64::try_from(d.as_millis() / 10).unwrap_or(u64::MAX).max(1);
    d + Duration::from_millis(getrandom::u64().unwrap_or(0) % tenth)
}

async fn ask_all(
    runtime: &Arc<Runtime>,
    snapshot: &Snapshot,
    ids: &[AccountId],
    controller: &mpsc::Sender<Message>,
) -> usize {
    let mut wired = Vec::new();
    for id in ids {
        let Some(account) = snapshot.accounts.get(id).filter(|a| a.can_be_asked()) else {
            continue;
        };
        let Some(upstream) = snapshot.upstreams.get(&account.upstream) else {
            continue;
        };
        let project = snapshot
            .config
            .accounts
            .get(id)
            .and_then(|a| a.project.clone());
        wired.push((Arc::clone(account), Arc::clone(upstream), project));
    }
    let answers: Vec<_> = stream::iter(wired)
        .map(|(account, upstream, project)| async move {
            let asked = ask(runtime, &account, &upstream, project.as_deref()).await;
            (account, asked)
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let mut failed = 0;
    let mut rewire = false;
    for (account, asked) in answers {
        match asked {
            Ok(changed) => rewire |= changed,
            Err(failure) => {
                failed += 1;
                tracing::info!(
                    account = %account.id,
                    class = failure.class.as_str(),
                    detail = failure.detail,
                    "quotas could not be asked for"
                );
            }
        }
    }
    if rewire {
        let _ = controller.send(Message::Catalog).await;
    }
    failed
}

/// Asks for one account's quotas and keeps them. Says whether the list of models changed.
async fn ask(
    runtime: &Runtime,
    account: &Arc<AccountState>,
    upstream: &UpstreamHandle,
    configured: Option<&str>,
) -> Result<bool, Failure> {
    let now = Timestamp::now();
    let token = account
        .credential
        .token(now)
        .await
        .inspect_err(|failure| runtime.refused_sign_in(account, failure))?;
    let project = configured
        .map(str::to_owned)
        .or_else(|| account.project.known().and_then(|p| p.id));
    let list = upstream
        .client
        .fetch_models(&token, project.as_deref())
        .await?;
    for model in &list.models {
        runtime.quota_read(account, &model.id, (model.remaining, model.reset), now);
        if model.remaining.is_some() || model.reset.is_some() {
            runtime.store.put_quota(QuotaRecord {
                account: account.id.clone(),
                model: model.id.as_str().into(),
                remaining: model.remaining,
                reset: model.reset,
                at: now,
            });
        }
    }
    runtime.freed();
    Ok(upstream.learn(list))
}
