//! The writer's way with bodies. They come after everything else, and are the first to be dropped.

use std::sync::Arc;

use super::{Which, Writer, attempt};
use crate::store::body::{self, Waiting};
use crate::store::open::Fault;
use crate::store::{StoreError, apply};

impl Writer {
    /// Packs and writes some of the bodies that wait; whether there were any.
    pub(super) fn write_bodies(&mut self) -> Result<bool, StoreError> {
        let mut bodies = self.shared.queue.take_bodies();
        if bodies.is_empty() {
            return Ok(false);
        }
        if let Err(fault) = self.sealing_key() {
            return match fault {
                // Without a key nothing is kept: never in clear.
                Fault::Key(why) => {
                    self.shared.room.lost(bodies.len());
                    if !std::mem::replace(&mut self.told_no_bodies, true) {
                        tracing::warn!(why, "bodies are not kept: they can't be encrypted");
                    }
                    Ok(true)
                }
                fault => {
                    self.shared.queue.restore_bodies(bodies);
                    Err(self
                        .settle(Which::State, Some(&fault))
                        .unwrap_or(StoreError::Closed))
                }
            };
        }
        self.told_no_bodies = false;
        let key = self.shared.key.read().clone();
        let before = bodies.len();
        bodies.retain_mut(|body: &mut Waiting| {
            key.as_ref().is_some_and(|key| body.pack(key).is_ok())
        });
        self.shared.room.lost(before - bodies.len());
        let written = attempt(&self.shared.log, true, |txn| {
            Ok((body::write(txn, &bodies)?, true))
        });
        match written {
            Ok(()) => {
                self.settle(Which::Log, None);
                self.grew(0, bodies.iter().map(Waiting::held).sum());
                Ok(true)
            }
            Err(fault) => {
                let error = self.settle(Which::Log, Some(&fault));
                self.shared.queue.restore_bodies(bodies);
                Err(error.unwrap_or(StoreError::Closed))
            }
        }
    }

    /// Writes the bodies that wait at this moment.
    pub(super) fn drain_bodies(&mut self) -> Result<(), StoreError> {
        let mut left = self.shared.queue.bodies();
        while left > 0 {
            let before = self.shared.queue.bodies();
            self.write_bodies()?;
            left = left.saturating_sub(before.saturating_sub(self.shared.queue.bodies()).max(1));
        }
        Ok(())
    }

    /// Sees to it that there is a data key, and that it is on the disk before the log holds anything sealed with it: the
    /// two files do not share a transaction.
    fn sealing_key(&mut self) -> Result<(), Fault> {
        self.ensure_key()?;
        let shared = Arc::clone(&self.shared);
        if let Some(wrapped) = &self.unsaved_key {
            attempt(&shared.state, false, |txn| {
                apply::write_key(txn, wrapped)?;
                Ok(((), true))
            })?;
            self.unsaved_key = None;
        }
        Ok(())
    }
}
