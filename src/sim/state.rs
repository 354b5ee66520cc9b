//! What the simulator remembers: the script with its counters, the calls seen, the loads, tokens, and onboarding.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::flights::Flights;
use super::oauth::OAuth;
use super::prepared::Prepared;
use super::script::{Behaviour, Script};
use crate::base::time::Timestamp;

/// One call that the simulator answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// When it came.
    pub at: Timestamp,
    /// The API's name for what was called: `streamGenerateContent`, `token`, `userinfo`, ...
    pub method: String,
    /// `main`, or the `hostN` of the path's prefix.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// The account's e-mail address, empty where none was proved.
    pub account: String,
    /// The model asked for, empty where the call has none.
    pub model: String,
    /// The answer's HTTP status.
    pub status: u16,
    /// The script's rule that fired, by its place in `rules`.
    pub rule: Option<usize>,
    /// The body, JSON or form, null where it was neither or the script is lenient.
    pub body: Value,
    /// The headers but for `authorization`, none where the script is lenient.
    pub headers: Vec<(String, String)>,
}

/// Calls kept at most.
const SEEN_MAX: usize = 1000;
/// Bytes of bodies kept at most.
const SEEN_BYTES_MAX: usize = 128 << 20;

#[derive(Debug, Default)]
struct Ring {
    calls: VecDeque<(Seen, usize)>,
    bytes: usize,
}

/// A script in force, with what it has counted and prepared so far.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) script: Script,
    fired: Vec<AtomicU32>,
    pub(super) prepared: Prepared,
}

impl Live {
    fn new(script: Script) -> Self {
        let fired = script.rules.iter().map(|_| AtomicU32::new(0)).collect();
        Self {
            script,
            fired,
            prepared: Prepared::default(),
        }
    }

    /// The first rule that concerns the call and may fire once more; it is counted.
    pub(super) fn rule(
        &self,
        account: &str,
        model: &str,
        host: &str,
        method: &str,
    ) -> Option<usize> {
        let rules = self.script.rules.iter().zip(&self.fired).enumerate();
        for (index, (rule, fired)) in rules {
            if !rule.concerns(account, model, host, method) {
                continue;
            }
            if rule.times.is_none() && rule.skip == 0 {
                return Some(index);
            }
            let end = rule.times.map_or(u32::MAX, |t| t.saturating_add(rule.skip));
            let seen = fired.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < end).then(|| n.saturating_add(1))
            });
            if seen.is_ok_and(|n| n >= rule.skip) {
                return Some(index);
            }
        }
        None
    }

    /// What a rule does, or the script's top level where none fired.
    pub(super) fn behaviour(&self, rule: Option<usize>) -> &Behaviour {
        rule.and_then(|index| self.script.rules.get(index))
            .map_or(&self.script.defaults, |rule| &rule.behaviour)
    }
}

/// How far an account's onboarding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Onboarding {
    /// Polls until it is done.
    pub(super) left: u32,
}

/// Everything behind the handlers. No lock is held across an await.
#[derive(Debug)]
pub(super) struct State {
    live: RwLock<Arc<Live>>,
    seen: Mutex<Ring>,
    pub(super) flights: Arc<Flights>,
    pub(super) oauth: Mutex<OAuth>,
    pub(super) onboarding: Mutex<HashMap<String, Onboarding>>,
    released: watch::Sender<u64>,
}

impl State {
    pub(super) fn new(script: Script) -> Self {
        Self {
            live: RwLock::new(Arc::new(Live::new(script))),
            seen: Mutex::default(),
            flights: Arc::new(Flights::new()),
            oauth: Mutex::default(),
            onboarding: Mutex::default(),
            released: watch::Sender::new(0),
        }
    }

    /// The script in force; a call keeps the one it began with.
    pub(super) fn live(&self) -> Arc<Live> {
        self.live.read().clone()
    }

    /// Replaces the script. Counters of rules and onboarding begin anew; tokens stay.
    pub(super) fn set_script(&self, script: Script) {
        *self.live.write() = Arc::new(Live::new(script));
        self.onboarding.lock().clear();
    }

    /// Remembers a call; the oldest go when there are too many or their bodies are too large.
    pub(super) fn record(&self, seen: Seen, bytes: usize) {
        let mut ring = self.seen.lock();
        ring.bytes += bytes;
        ring.calls.push_back((seen, bytes));
        while ring.calls.len() > SEEN_MAX || (ring.bytes > SEEN_BYTES_MAX && ring.calls.len() > 1) {
            if let Some((_, gone)) = ring.calls.pop_front() {
                ring.bytes -= gone;
            }
        }
        drop(ring);
        self.flights.tell();
    }

    /// The calls kept, oldest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen
            .lock()
            .calls
            .iter()
            .map(|(call, _)| call.clone())
            .collect()
    }

    /// Forgets the calls, peaks and totals.
    pub(super) fn clear(&self) {
        *self.seen.lock() = Ring::default();
        self.flights.clear();
    }

    /// Lets every paused stream go on `times` times.
    pub(super) fn release(&self, times: u64) {
        self.released.send_modify(|n| *n = n.saturating_add(times));
    }

    /// To wait for releases, with their number so far.
    pub(super) fn releases(&self) -> (watch::Receiver<u64>, u64) {
        let receiver = self.released.subscribe();
        let now = *receiver.borrow();
        (receiver, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_fire_in_order_and_so_often() {
        let script = Script::parse(
            r#"{"rules":[{"account":"a","skip":1,"times":1,"do":{"status":500}},{"times":2,"do":{"status":503}}]}"#,
        )
        .unwrap();
        let live = Live::new(script);
        let fire = || live.rule("a", "m", "main", "streamGenerateContent");
        assert_eq!(
            [fire(), fire(), fire(), fire()],
            [Some(1), Some(0), Some(1), None]
        );
        assert_eq!(live.behaviour(Some(0)).status, Some(500));
        assert_eq!(live.behaviour(None).status, None);
    }

    #[test]
    fn the_ring_is_bounded() {
        let state = State::new(Script::default());
        let seen = Seen {
            at: Timestamp(0),
            method: String::new(),
            host: String::new(),
            path: String::new(),
            account: String::new(),
            model: String::new(),
            status: 200,
            rule: None,
            body: Value::Null,
            headers: Vec::new(),
        };
        for _ in 0..SEEN_MAX + 5 {
            state.record(seen.clone(), 1);
        }
        assert_eq!(state.seen().len(), SEEN_MAX);
        state.record(seen, SEEN_BYTES_MAX);
        assert_eq!(state.seen().len(), 1);
    }
}
