//! What the writer is asked for besides writing what is queued.

use super::{Ack, Queue, Rewrap};
use crate::store::StoreError;

impl Queue {
    /// Asks the writer to write all that waits now.
    pub(in crate::store) fn flush(&self, ack: Ack) {
        let mut inner = self.inner.lock();
        if inner.closed {
            let _ = ack.send(Err(StoreError::Closed));
            return;
        }
        inner.flushes.push(ack);
        self.wake.notify_one();
    }

    /// Asks the writer to wrap the data key anew.
    pub(in crate::store) fn rewrap(&self, ack: Rewrap) {
        let mut inner = self.inner.lock();
        if inner.closed {
            let _ = ack.send(Err(StoreError::Closed));
            return;
        }
        inner.rewraps.push(ack);
        self.wake.notify_one();
    }

    /// Who waits for that.
    pub(in crate::store) fn take_rewraps(&self) -> Vec<Rewrap> {
        std::mem::take(&mut self.inner.lock().rewraps)
    }

    /// Asks the writer to look at once for rows to forget.
    pub(in crate::store) fn ask_trim(&self) {
        self.inner.lock().trim_asked = true;
        self.wake.notify_one();
    }

    /// Whether [`Self::ask_trim`] was called since the last time.
    pub(in crate::store) fn take_trim_asked(&self) -> bool {
        std::mem::take(&mut self.inner.lock().trim_asked)
    }

    /// Who waits for a flush.
    pub(in crate::store) fn take_flushes(&self) -> Vec<Ack> {
        std::mem::take(&mut self.inner.lock().flushes)
    }
}
