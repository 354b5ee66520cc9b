//! Tasks and the phases of shutdown. Every task of the program is spawned here, so that waiting for zero is possible.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerWaitFuture;

/// Spawns and counts tasks, and tells them of the phases of shutdown: first `drain` (no new work), then `force` (end now).
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    drain: CancellationToken,
    force: CancellationToken,
}

impl Tasks {
    /// No tasks yet, no shutdown under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` beside the others. It should watch [`Self::drain`] or [`Self::force`].
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Cancelled when the program begins to stop: take no new work.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Cancelled when the time for draining is over: end what is running.
    pub fn force(&self) -> &CancellationToken {
        &self.force
    }

    /// Completes when no task is left; call after `drain` or `force` was cancelled.
    pub fn wait(&self) -> TaskTrackerWaitFuture<'_> {
        self.tracker.close();
        self.tracker.wait()
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }
}
