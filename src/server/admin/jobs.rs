//! Long work: it goes on beside the request that began it, can be looked at and cancelled. The last few are kept in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::runtime::Runtime;
use crate::runtime::refresh::Inquiry;
use crate::server::Gateway;
use crate::server::admin::accounts::{PATIENCE, failed, few, in_use, said, silent};
use crate::server::admin::api::accounts::{RefreshAccounts, RefreshError, Refreshed};
use crate::server::admin::api::edits::{ItemState, Job, JobItem, JobList, JobStarted};
use crate::server::admin::{Params, Refusal, told};

/// Jobs that are kept, those that run among them.
const KEPT: usize = 20;
/// Accounts that are asked at a time.
const AT_ONCE: usize = 8;

/// The jobs of late.
pub(super) struct Jobs {
    /// Newest first.
    list: Mutex<VecDeque<Arc<Work>>>,
    changes: watch::Sender<()>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            list: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }
}

/// A job.
pub(super) struct Work {
    id: String,
    kind: &'static str,
    started: Timestamp,
    cancel: CancellationToken,
    progress: Mutex<Progress>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Progress {
    /// Rises with each change.
    version: u64,
    ended: Option<Timestamp>,
    items: Vec<JobItem>,
    done: u64,
    failed: u64,
}

impl Jobs {
    /// Told whenever something of a job changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Every job without its parts, newest first, and how often each has changed.
    pub(super) fn all(&self) -> Vec<(u64, Job)> {
        let list = self.list.lock();
        list.iter().map(|work| work.shown(false)).collect()
    }

    fn find(&self, params: &Params) -> Result<Arc<Work>, Refusal> {
        let id = params.need("id")?;
        let list = self.list.lock();
        let found = list.iter().find(|work| work.id == id).cloned();
        found.ok_or_else(|| {
            let message = format!(
                "there is no job `{id}`: the last {KEPT} are kept, until the gateway stops"
            );
            Refusal::field("id", message).with(StatusCode::NOT_FOUND)
        })
    }

    /// A new job about these. The oldest that has ended makes room for it.
    fn begin(&self, kind: &'static str, names: Vec<String>) -> Result<Arc<Work>, Refusal> {
        let mut list = self.list.lock();
        if list.len() >= KEPT {
            let Some(oldest) = list.iter().rposition(|work| work.has_ended()) else {
                let message =
                    format!("{KEPT} jobs run already: wait for one of them, or cancel it");
                return Err(Refusal::of(StatusCode::CONFLICT, message));
            };
            list.remove(oldest);
        }
        let waiting = |name| JobItem {
            name,
            state: ItemState::Waiting,
            message: None,
        };
        let work = Arc::new(Work {
            id: RequestId::generate().to_string(),
            kind,
            started: Timestamp::now(),
            cancel: CancellationToken::new(),
            progress: Mutex::new(Progress {
                items: names.into_iter().map(waiting).collect(),
                ..Progress::default()
            }),
            changes: self.changes.clone(),
        });
        list.push_front(Arc::clone(&work));
        drop(list);
        self.changes.send_replace(());
        Ok(work)
    }
}

impl Work {
    fn has_ended(&self) -> bool {
        self.progress.lock().ended.is_some()
    }

    /// As people see it, and how often it has changed.
    fn shown(&self, parts: bool) -> (u64, Job) {
        let progress = self.progress.lock();
        let items = if parts {
            progress.items.clone()
        } else {
            Vec::new()
        };
        let job = Job {
            id: self.id.clone(),
            kind: self.kind.to_owned(),
            started: self.started.to_string(),
            ended: progress.ended.map(|at| at.to_string()),
            cancelled: self.cancel.is_cancelled(),
            total: progress.items.len() as u64,
            done: progress.done,
            failed: progress.failed,
            items,
        };
        (progress.version, job)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock();
        change(&mut progress);
        progress.version += 1;
        drop(progress);
        self.changes.send_replace(());
    }

    /// A part goes on; with what came of it where it has ended.
    fn part(&self, at: usize, state: ItemState, message: Option<String>) {
        self.change(|progress| {
            let Some(item) = progress.items.get_mut(at) else {
                return;
            };
            (item.state, item.message) = (state, message);
            progress.done += u64::from(state != ItemState::Running);
            progress.failed += u64::from(state == ItemState::Failed);
        });
    }

    /// Nothing more comes: what was not done is cancelled.
    fn end(&self) {
        self.change(|progress| {
            for item in &mut progress.items {
                if matches!(item.state, ItemState::Waiting | ItemState::Running) {
                    item.state = ItemState::Cancelled;
                    progress.done += 1;
                }
            }
            progress.ended = Some(Timestamp::now());
        });
    }

    fn name(&self, at: usize) -> Option<String> {
        let progress = self.progress.lock();
        progress.items.get(at).map(|item| item.name.clone())
    }
}

/// Asks the upstreams of these accounts for token, project, models and quotas, a few at a time, and gives the job's id. An
/// account that can't be asked is a part of the job that failed.
///
/// # Errors
/// 409 where too many jobs run.
pub(super) fn refresh(gateway: &Gateway, names: Vec<String>) -> Result<String, Refusal> {
    let work = gateway.shared.jobs.begin("refresh", names)?;
    let id = work.id.clone();
    let runtime = Arc::clone(&gateway.dispatcher.runtime);
    let tasks = runtime.tasks.clone();
    tasks.spawn(run(runtime, work));
    Ok(id)
}

async fn run(runtime: Arc<Runtime>, work: Arc<Work>) {
    let parts = work.progress.lock().items.len();
    let all = stream::iter(0..parts).for_each_concurrent(AT_ONCE, |at| one(&runtime, &work, at));
    tokio::select! {
        () = runtime.tasks.force().cancelled() => {}
        () = all => {}
    }
    work.end();
}

async fn one(runtime: &Runtime, work: &Work, at: usize) {
    if work.cancel.is_cancelled() || runtime.tasks.drain().is_cancelled() {
        work.part(at, ItemState::Cancelled, None);
        return;
    }
    let Some(name) = work.name(at) else { return };
    work.part(at, ItemState::Running, None);
    let (state, message) = match Box::pin(asked(runtime, &name)).await {
        Ok(message) => (ItemState::Done, message),
        Err(message) => (ItemState::Failed, message),
    };
    work.part(at, state, Some(message));
}

/// What came of asking one account, in words.
async fn asked(runtime: &Runtime, name: &str) -> Result<String, String> {
    let snapshot = runtime.snapshot();
    let account = in_use(&snapshot, name).map_err(|refusal| refusal.message)?;
    let Some(inquiry) = Inquiry::of(&snapshot, &account) else {
        let report = account.report(std::iter::empty(), Timestamp::now());
        let (state, step) = (report.state, report.step);
        return Err(format!("not asked, since it is {state}: {step}"));
    };
    match tokio::time::timeout(PATIENCE, inquiry.ask(runtime, true)).await {
        Ok(Ok(refreshed)) => Ok(good(&said(refreshed))),
        Ok(Err(failure)) => Err(bad(&failed(failure))),
        Err(_) => Err(bad(&silent())),
    }
}

fn good(said: &Refreshed) -> String {
    let mut out = format!("token {}", said.token);
    if let Some(until) = &said.token_until {
        out.push_str(" until ");
        out.push_str(until);
    }
    for (what, value) in [("project", &said.project), ("tier", &said.tier)] {
        if let Some(value) = value {
            out = format!("{out}, {what} {value}");
        }
    }
    match said.models {
        Some(models) => format!("{out}, {models} models"),
        None => out,
    }
}

fn bad(error: &RefreshError) -> String {
    let detail = Some(&error.detail).filter(|detail| !detail.is_empty());
    let parts = [Some(&error.message), detail, error.link.as_ref()];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    format!("{}: {}", error.class, parts.join("; "))
}

/// Asks several accounts, or all that are in use.
pub(super) fn start(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let wanted: RefreshAccounts = params.json()?;
    let snapshot = gateway.dispatcher.runtime.snapshot();
    let names = match wanted.names {
        Some(names) => {
            few(&names)?;
            let accounts = &snapshot.config.accounts;
            for (at, name) in names.iter().enumerate() {
                if !accounts.contains_key(name.as_str()) {
                    let message = format!("there is no account `{name}` in the file");
                    return Err(Refusal::field(format!("names[{at}]"), message));
                }
            }
            names
        }
        None => snapshot.accounts.keys().map(ToString::to_string).collect(),
    };
    let job = refresh(gateway, names)?;
    told(&JobStarted { job })
}

pub(super) fn list(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let jobs = gateway.shared.jobs.all();
    told(&JobList {
        jobs: jobs.into_iter().map(|(_, job)| job).collect(),
    })
}

pub(super) fn show(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    told(&gateway.shared.jobs.find(params)?.shown(true).1)
}

/// What runs is let run.
pub(super) fn cancel(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let work = gateway.shared.jobs.find(params)?;
    if !work.has_ended() {
        work.cancel.cancel();
        work.change(|_| {});
    }
    told(&work.shown(true).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_ended_makes_room() {
        let jobs = Jobs::default();
        let all: Vec<_> = (0..KEPT)
            .map(|_| jobs.begin("refresh", vec!["a".to_owned()]).unwrap())
            .collect();
        let refused = jobs.begin("refresh", Vec::new()).err().unwrap();
        assert_eq!(refused.status, StatusCode::CONFLICT);
        all[3].end();
        all[7].end();
        jobs.begin("refresh", Vec::new()).unwrap();
        let ids: Vec<String> = jobs.all().into_iter().map(|(_, job)| job.id).collect();
        assert_eq!(ids.len(), KEPT);
        assert!(!ids.contains(&all[3].id) && ids.contains(&all[7].id));
    }

    #[test]
    fn parts_are_counted_once_and_the_rest_is_cancelled() {
        let jobs = Jobs::default();
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let work = jobs.begin("refresh", names).unwrap();
        work.part(0, ItemState::Running, None);
        work.part(0, ItemState::Failed, Some("no".to_owned()));
        work.part(1, ItemState::Running, None);
        let (version, job) = work.shown(false);
        assert_eq!((job.total, job.done, job.failed), (3, 1, 1));
        assert!(job.items.is_empty() && job.ended.is_none());
        work.end();
        let (later, job) = work.shown(true);
        assert!(later > version);
        assert_eq!((job.done, job.failed), (3, 1));
        assert!(job.ended.is_some());
        let states: Vec<_> = job.items.iter().map(|item| item.state).collect();
        let cancelled = ItemState::Cancelled;
        assert_eq!(states, [ItemState::Failed, cancelled, cancelled]);
    }
}
