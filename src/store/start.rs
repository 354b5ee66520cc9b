//! The store's parts put together.

use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::base::time::Timestamp;
use crate::store::body::Room;
use crate::store::open::File;
use crate::store::queue::{Bounds, Queue};
use crate::store::writer::{Shared, Status, Writer};
use crate::store::{Condition, Inner, KeyWrap, Options, Store, StoreError};

/// What the writer and its callers share, over files that are not open yet.
pub(super) fn share(
    state: File,
    log: File,
    keys: Arc<dyn KeyWrap>,
    options: Options,
) -> Arc<Shared> {
    Arc::new(Shared {
        queue: Queue::new(Bounds {
            rows: options.queue_rows,
            row_bytes: options.queue_row_bytes,
            logs: options.queue_logs,
            log_bytes: options.queue_log_bytes,
        }),
        room: Room::new(options.body_bytes),
        state,
        log,
        key: RwLock::new(None),
        keys,
        retention: Mutex::new(options.retention),
        options,
        status: Mutex::new(Status::default()),
        generation: Mutex::new(1),
        logged: watch::Sender::new(()),
    })
}

/// Starts the writer. `dir` is the folder of the files, where they are files.
///
/// # Errors
/// Where the system gives no thread.
pub(super) fn start(shared: Arc<Shared>, dir: Option<&Path>) -> Result<Store, StoreError> {
    let writer = Writer::new(Arc::clone(&shared));
    let thread = std::thread::Builder::new()
        .name("agp-store".to_owned())
        .spawn(move || writer.run())
        .map_err(|e| StoreError::Thread(e.to_string()))?;
    Ok(Store(Arc::new(Inner {
        shared,
        dir: dir.map(Path::to_owned),
        thread: Mutex::new(Some(thread)),
    })))
}

/// Notes that a file could not be opened: of `agp.redb` where `state` is set, else of the log.
pub(super) fn note_failure(shared: &Shared, state: bool, error: &StoreError) {
    let mut status = shared.status.lock();
    let condition = Condition::Failing {
        since: Timestamp::now(),
        error: error.to_string(),
    };
    if state {
        status.state = condition;
    } else {
        status.log = condition;
    }
}
