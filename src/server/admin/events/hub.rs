//! What all streams of events share: the channel that one task fills while somebody listens, and what was told last.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::server::admin::Refusal;
use crate::server::admin::api::events::{AttentionCount, ChangedAccounts, Event, NewRequests};
use crate::server::admin::api::logs::LogRow;
use crate::server::admin::api::overview::Live;

/// Most streams at a time.
const STREAMS: usize = 64;
/// Events that wait for the slowest reader; one that is further behind misses some.
const CAPACITY: usize = 128;

/// An event as it is on the wire.
pub(super) fn frame(event: &Event) -> Bytes {
    let Ok(value) = serde_json::to_value(event) else {
        return Bytes::new();
    };
    let name = value["event"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {}\n\n", value["data"]).into()
}

/// What is in the channel.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// For everybody.
    Said(Bytes),
    /// For those who want requests.
    Rows(Arc<Batch>),
}

/// Rows of the log.
#[derive(Debug)]
pub(super) struct Batch {
    /// The event for who missed nothing.
    pub(super) frame: Bytes,
    /// The rows, oldest first.
    pub(super) rows: Vec<LogRow>,
    /// The number of the first row that it tells of, those among them that it leaves out.
    pub(super) first: u64,
    /// The number of the row that comes next.
    pub(super) next: u64,
}

/// The shared part.
pub(in crate::server::admin) struct Hub {
    channel: broadcast::Sender<Item>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    streams: usize,
    /// Which task fills the channel.
    producer: Option<u64>,
    producers: u64,
    told: Told,
}

/// What was told last, for who comes or was too slow.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) live: Option<Live>,
    pub(super) attention: Option<AttentionCount>,
    /// The number of the log's next row, once it is known.
    pub(super) next: Option<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            channel: broadcast::Sender::new(CAPACITY),
            inner: Mutex::default(),
        }
    }
}

impl Hub {
    /// One more stream, unless there are too many. Gives the number of the task that has to fill the channel, where none
    /// does.
    pub(super) fn enter(&self) -> Result<Option<u64>, Refusal> {
        let mut inner = self.inner.lock();
        if inner.streams >= STREAMS {
            return Err(Refusal::of(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{STREAMS} streams of events are open already: close one of them"),
            ));
        }
        inner.streams += 1;
        if inner.producer.is_some() {
            return Ok(None);
        }
        inner.producers += 1;
        inner.producer = Some(inner.producers);
        inner.told = Told::default();
        Ok(inner.producer)
    }

    /// One stream less.
    pub(super) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.streams = inner.streams.saturating_sub(1);
    }

    /// Whether nobody listens: the task that asks must then end, and another will be begun.
    pub(super) fn is_idle(&self, producer: u64) -> bool {
        let mut inner = self.inner.lock();
        let idle = inner.streams == 0 || inner.producer != Some(producer);
        if idle && inner.producer == Some(producer) {
            inner.producer = None;
        }
        idle
    }

    /// The task of this number has ended, however it did.
    pub(super) fn ended(&self, producer: u64) {
        let mut inner = self.inner.lock();
        if inner.producer == Some(producer) {
            inner.producer = None;
        }
    }

    /// What comes from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Item> {
        self.channel.subscribe()
    }

    /// What was told last.
    pub(super) fn told(&self) -> Told {
        self.inner.lock().told.clone()
    }

    /// Where the log ends as the first stream begins.
    pub(super) fn begin(&self, next: u64) {
        self.inner.lock().told.next = Some(next);
    }

    /// Tells everybody.
    pub(super) fn tell(&self, event: &Event) {
        {
            let mut inner = self.inner.lock();
            match event {
                Event::Live(live) => inner.told.live = Some(live.clone()),
                Event::Attention(count) => inner.told.attention = Some(count.clone()),
                _ => {}
            }
        }
        // Nobody may listen just now.
        let _ = self.channel.send(Item::Said(frame(event)));
    }

    /// Tells those who want requests.
    pub(super) fn rows(&self, rows: Vec<LogRow>, missed: u64, next: u64) {
        let first = next.saturating_sub(rows.len() as u64 + missed);
        self.inner.lock().told.next = Some(next);
        let event = Event::Requests(NewRequests { rows, missed });
        let frame = frame(&event);
        if let Event::Requests(NewRequests { rows, .. }) = event {
            let batch = Batch {
                frame,
                rows,
                first,
                next,
            };
            let _ = self.channel.send(Item::Rows(Arc::new(batch)));
        }
    }
}

/// Reads the channel for one stream: whatever its pace, it holds no more than the event at hand.
pub(super) struct Reader {
    channel: broadcast::Receiver<Item>,
    /// Whether it wants requests.
    rows: bool,
    /// The number of the row that it has not been told of.
    next: Option<u64>,
}

impl Reader {
    /// From now on.
    pub(super) fn new(hub: &Hub, rows: bool) -> Self {
        let next = hub.told().next;
        Self {
            channel: hub.listen(),
            rows,
            next,
        }
    }

    /// What comes next, as events on the wire; `None` once nothing more can come.
    pub(super) async fn next(&mut self, hub: &Hub) -> Option<Vec<Bytes>> {
        loop {
            match self.channel.recv().await {
                Ok(Item::Said(frame)) => return Some(vec![frame]),
                Ok(Item::Rows(batch)) => {
                    if let Some(frame) = self.take(&batch) {
                        return Some(vec![frame]);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(self.catch_up(hub)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Option<Bytes> {
        let before = self.next.unwrap_or(batch.first);
        if !self.rows || batch.next <= before {
            return None;
        }
        self.next = Some(batch.next);
        if before == batch.first {
            return Some(batch.frame.clone());
        }
        let told = batch.next - before;
        let rows = batch.rows.clone();
        let missed = told.saturating_sub(rows.len() as u64);
        Some(frame(&Event::Requests(NewRequests { rows, missed })))
    }

    /// Events were lost: what was told last is told again, and what there is a list of is to be read anew.
    fn catch_up(&mut self, hub: &Hub) -> Vec<Bytes> {
        let told = hub.told();
        self.channel = self.channel.resubscribe();
        let mut events = vec![Event::Accounts(ChangedAccounts {
            names: Vec::new(),
            more: true,
        })];
        events.extend(told.live.map(Event::Live));
        events.extend(told.attention.map(Event::Attention));
        let missed = told.next.zip(self.next);
        let missed = missed.map_or(0, |(now, before)| now.saturating_sub(before));
        if self.rows && missed > 0 {
            self.next = told.next;
            events.push(Event::Requests(NewRequests {
                rows: Vec::new(),
                missed,
            }));
        }
        events.iter().map(frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64) -> LogRow {
        LogRow {
            id: n.to_string(),
            at: String::new(),
            key: None,
            dialect: String::new(),
            requested: String::new(),
            model: None,
            stream: false,
            status: 200,
            stop: None,
            error: None,
            account: None,
            latency_ms: 0,
            first_token_ms: None,
            queue_ms: 0,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            losses: Vec::new(),
        }
    }

    fn text(frames: &[Bytes]) -> String {
        frames
            .iter()
            .map(|frame| String::from_utf8_lossy(frame).into_owned())
            .collect()
    }

    #[tokio::test]
    async fn a_slow_reader_holds_nothing_and_is_told_what_it_missed() {
        let hub = Hub::default();
        hub.begin(0);
        let (mut slow, mut other) = (Reader::new(&hub, true), Reader::new(&hub, false));
        hub.rows(vec![row(0)], 0, 1);
        let first = text(&slow.next(&hub).await.unwrap());
        assert!(first.starts_with("event: requests\ndata: {\"rows\":[{\"id\":\"0\""));
        assert!(first.contains("\"missed\":0"), "{first}");
        for n in 1..=10_000 {
            hub.rows(vec![row(n)], 0, n + 1);
        }
        assert!(hub.channel.len() <= CAPACITY);
        let late = text(&slow.next(&hub).await.unwrap());
        assert!(late.contains("\"more\":true"), "{late}");
        assert!(late.contains("\"missed\":10000"), "{late}");
        hub.rows(vec![row(10_001)], 0, 10_002);
        let again = text(&slow.next(&hub).await.unwrap());
        assert!(again.contains("\"missed\":0"), "{again}");
        // Who wants no requests is told of none, also not of those that it missed.
        let others = text(&other.next(&hub).await.unwrap());
        assert!(others.contains("\"more\":true"), "{others}");
        assert!(!others.contains("requests"), "{others}");
    }

    #[tokio::test]
    async fn what_the_task_left_out_counts_as_missed() {
        let hub = Hub::default();
        hub.begin(0);
        let mut reader = Reader::new(&hub, true);
        hub.rows(vec![row(4)], 4, 5);
        let first = text(&reader.next(&hub).await.unwrap());
        assert!(first.contains("\"missed\":4"), "{first}");
    }

    #[test]
    fn one_task_runs_while_somebody_listens() {
        let hub = Hub::default();
        let first = hub.enter().unwrap().unwrap();
        assert_eq!(hub.enter().unwrap(), None);
        hub.leave();
        assert!(!hub.is_idle(first));
        hub.leave();
        assert!(hub.is_idle(first));
        let second = hub.enter().unwrap().unwrap();
        // The end of the first is not that of the second.
        hub.ended(first);
        assert!(!hub.is_idle(second) && hub.is_idle(first));
        for _ in 1..STREAMS {
            hub.enter().unwrap();
        }
        let refused = hub.enter().unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
