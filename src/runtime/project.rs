//! An account's project and tier: found once, by one caller at a time, kept until the upstream refuses it.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// What discovery found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Project {
    /// The project's id; `None` where the upstream names none.
    pub id: Option<String>,
    /// The tier to show.
    pub tier: Option<String>,
}

/// The cell that callers share.
#[derive(Debug, Default)]
pub struct ProjectCell(Mutex<Arc<OnceCell<Project>>>);

impl ProjectCell {
    /// What is known now.
    pub fn known(&self) -> Option<Project> {
        self.0.lock().get().cloned()
    }

    /// Puts in what the store kept.
    pub fn set(&self, project: Project) {
        *self.0.lock() = Arc::new(OnceCell::new_with(Some(project)));
    }

    /// Forgets: the next caller discovers anew.
    pub fn forget(&self) {
        *self.0.lock() = Arc::default();
    }

    /// What is known, else what `discover` finds; callers at the same time share one discovery.
    ///
    /// # Errors
    /// What `discover` says; then the next caller tries again.
    pub async fn get<E, F>(&self, discover: impl FnOnce() -> F) -> Result<Project, E>
    where
        F: Future<Output = Result<Project, E>>,
    {
        let cell = Arc::clone(&self.0.lock());
        cell.get_or_try_init(discover).await.cloned()
    }
}
