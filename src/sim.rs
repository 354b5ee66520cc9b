//! L1: the simulated upstream. Imports base only, so that a wrong reading of a format is not mirrored.
//!
//! It stands in for Google's Cloud Code API ("antigravity", upstream 1) with its OAuth: `agp simulate`, `agp demo`, the
//! integration tests and the benchmark run against it. Unless the script is lenient it is strict: it refuses what
//! upstream-protocol.md says is refused, in the real service's words. docs/simulator.md describes scripts and the control
//! endpoint. Invariants: no lock is held across an await; what is remembered is bounded; a generation counts as in
//! flight from the moment its request was found good until its last byte was handed to the socket or its client left.

mod answer;
mod api;
mod ask;
mod calls;
mod consent;
mod control;
mod faults;
mod flights;
mod generate;
mod http;
mod models;
mod oauth;
mod prepared;
mod render;
mod reply;
mod sample;
mod script;
mod setup;
mod signature;
mod state;
mod strict;
mod tokens;

#[cfg(test)]
mod tests;

pub use flights::Load;
pub use script::Script;
pub use state::Seen;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::base::task::Tasks;
use state::State;

/// A running simulator. It ends when it is stopped, dropped, or when the tasks' `force` phase begins; `drain` does not
/// end it, so that a gateway that drains can finish what it began.
pub struct Sim {
    state: Arc<State>,
    addr: SocketAddr,
    open: TaskTracker,
    stop: DropGuard,
}

impl Sim {
    /// Listens on `listen` (port 0: any free port) and follows `script`.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn start(listen: SocketAddr, script: Script, tasks: &Tasks) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(script));
        let stop = CancellationToken::new();
        let open = TaskTracker::new();
        let token = open.token();
        let accepting = http::accept(
            listener,
            state.clone(),
            tasks.clone(),
            stop.clone(),
            open.clone(),
        );
        tasks.spawn(async move {
            accepting.await;
            drop(token);
        });
        Ok(Self {
            state,
            addr,
            open,
            stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address, `http://127.0.0.1:PORT`. With `/host1`, `/host2` ... behind it, it is a host of its own.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Replaces the script. Rules and onboarding begin anew; tokens and what was seen stay.
    pub fn set_script(&self, script: Script) {
        self.state.set_script(script);
    }

    /// The calls seen, oldest first: the last 1000, fewer where their bodies were large.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen()
    }

    /// Forgets the calls, peaks and totals. What runs still counts.
    pub fn clear(&self) {
        self.state.clear();
    }

    /// Generations of an account that run now.
    pub fn in_flight(&self, account: &str) -> usize {
        self.load(account, "").current
    }

    /// The most generations of an account that ran at once.
    pub fn peak_in_flight(&self, account: &str) -> usize {
        self.load(account, "").peak
    }

    /// The load of an account, of a model, of a pair; an empty name stands for all.
    pub fn load(&self, account: &str, model: &str) -> Load {
        self.state.flights.load(account, model)
    }

    /// Generations whose client went away before the end.
    pub fn cancelled(&self) -> u64 {
        self.state.flights.cancelled()
    }

    /// Lets every stream that is paused by `pause_until_released` go on, to the next pause. A stream that has yet to come
    /// to its pause passes it, when it had begun before.
    pub fn release(&self) {
        self.state.release(1);
    }

    /// Makes every access token of an account worthless, so that the next call gets a 401.
    pub fn revoke(&self, account: &str) {
        self.state.oauth.lock().revoke(account);
    }

    /// Completes when `is_so` holds; looked at again whenever a call was answered, or a generation began or ended.
    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.state.flights.watch();
        while !is_so(self) {
            // The sender lives in `self`, so this can't fail.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops accepting, ends what runs, and completes when all of it has ended.
    pub async fn stop(self) {
        drop(self.stop);
        self.open.close();
        self.open.wait().await;
    }
}
