//! Requests that wait: the real queue over real places, beside a reference that knows nothing of walks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};

use tokio::sync::mpsc;

use super::*;
use crate::dispatch::blocked::Refused;
use crate::dispatch::wanted::Wanted;
use crate::runtime::Runtime;

const PATIENCE: Duration = Duration::from_mins(1);

type Waiting = Pin<Box<dyn Future<Output = Result<Held, Refused>>>>;

/// A request that waits.
struct Asked {
    number: usize,
    key: &'static str,
    seating: Seating,
    excluded: Excluded,
    waiting: Waiting,
}

/// A gateway's core without its edges.
struct Core {
    rig: Rig,
    runtime: Runtime,
    waiting: Vec<Asked>,
    held: Vec<Place>,
    asked: usize,
    /// Who was served, in order: number, and what tells equals apart.
    served: Vec<(usize, (usize, usize))>,
}

#[derive(Debug, Clone)]
enum Event {
    Ask {
        some: bool,
        home: Option<u64>,
        but: Option<u8>,
    },
    Success(prop::sample::Index),
    Failure(prop::sample::Index, Class, Option<u64>),
    Cancel(prop::sample::Index),
    Panic(prop::sample::Index),
    Leave(prop::sample::Index),
    Reload(Box<File>),
    Release(u8),
    Pause(u8),
    Resume(u8),
    Quota(u8, bool),
}

fn any_event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        9 => (any::<bool>(), proptest::option::of(0u64..9), proptest::option::weighted(0.2, 0u8..4))
            .prop_map(|(some, home, but)| Event::Ask { some, home, but }),
        4 => index().prop_map(Event::Success),
        2 => (index(), 0usize..Class::ALL.len(), proptest::option::of(3600u64..7200))
            .prop_map(|(at, class, delay)| Event::Failure(at, Class::ALL[class], delay)),
        2 => index().prop_map(Event::Cancel),
        1 => index().prop_map(Event::Panic),
        1 => index().prop_map(Event::Leave),
        1 => any_file().prop_map(|file| Event::Reload(Box::new(file))),
        1 => (0u8..4).prop_map(Event::Release),
        1 => (0u8..4).prop_map(Event::Pause),
        2 => (0u8..4).prop_map(Event::Resume),
        1 => (0u8..4, any::<bool>()).prop_map(|(n, left)| Event::Quota(n, left)),
    ]
}

impl Core {
    fn new(file: &File) -> Self {
        let store = Store::in_memory(Arc::new(NoKeys));
        let tasks = Tasks::new();
        let registry = Registry::new(store.clone(), tasks.clone(), &mut Learned::default());
        let (ask, _) = mpsc::channel(1);
        let rig = Rig::new(file);
        let first = wired(file, &registry);
        let runtime = Runtime::new(first, registry, store, tasks, ask);
        let queue = Arc::clone(&rig.queue);
        runtime.when_freed(move || queue.freed(Freed::Anything, || false));
        let mut core = Self {
            rig,
            runtime,
            waiting: Vec::new(),
            held: Vec::new(),
            asked: 0,
            served: Vec::new(),
        };
        core.reload(file);
        core
    }

    /// In the order of the controller.
    fn reload(&mut self, file: &File) {
        let registry = &self.runtime.registry;
        self.rig.snapshot = wired(file, registry);
        let accounts = &self.rig.snapshot.accounts;
        registry.retain(
            |id| accounts.contains_key(id),
            Duration::MAX,
            Timestamp::now(),
        );
        self.runtime.put(wired(file, registry));
    }

    fn ask(&mut self, key: &'static str, home: Option<u64>, but: Option<u8>) {
        let seating = self.rig.seating(key, home);
        let numbers = &self.runtime.registry.numbers;
        let excluded = Excluded {
            accounts: but
                .map(|n| numbers.of(&format!("a{n}").into()))
                .into_iter()
                .collect(),
            upstreams: Vec::new(),
        };
        let wanted = Wanted {
            seating: seating.clone(),
            excluded: excluded.clone(),
            admit: true,
        };
        let queue = Arc::clone(&self.rig.queue);
        let waiting = async move { queue.acquire(wanted, PATIENCE, 1000).await };
        self.waiting.push(Asked {
            number: self.asked,
            key,
            seating,
            excluded,
            waiting: Box::pin(waiting),
        });
        self.asked += 1;
    }

    /// Whether a request could be served now: said from machines and counts, not by what the queue believes.
    fn could(&mut self, at: usize) -> bool {
        self.rig.now = Timestamp::now();
        let asked = &self.waiting[at];
        lets_in(&asked.seating.key) && self.rig.someone_can(&asked.seating, &asked.excluded)
    }

    /// Lets everybody who waits look at what it got.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let mut task = TaskContext::from_waker(Waker::noop());
        let mut at = 0;
        while at < self.waiting.len() {
            match self.waiting[at].waiting.as_mut().poll(&mut task) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(held)) => {
                    let asked = self.waiting.remove(at);
                    prop_assert!(held.admission.is_some());
                    let route = Arc::as_ptr(&asked.seating.route).addr();
                    let alike = (route, Arc::as_ptr(&asked.seating.key).addr());
                    if asked.excluded.is_empty() {
                        self.served.push((asked.number, alike));
                    }
                    self.held.push(Place {
                        key: asked.key,
                        held,
                    });
                }
                Poll::Ready(Err(why)) => {
                    // Only what no waiting helps, at least not in time, is refused.
                    prop_assert!(!self.could(at), "refused, but could be served: {:?}", why);
                    let Refused::Blocked(why) = why else {
                        return Err(TestCaseError::fail("the queue has room"));
                    };
                    let full = |why| {
                        matches!(
                            why,
                            Blocked::Full(_) | Blocked::KeyFull | Blocked::GroupFull
                        )
                    };
                    prop_assert!(!full(why), "refused before its time: {}", why);
                    self.waiting.remove(at);
                }
            }
        }
        Ok(())
    }

    fn take_out(&mut self, at: prop::sample::Index) -> Option<Place> {
        let any = !self.held.is_empty();
        any.then(|| self.held.swap_remove(at.index(self.held.len())))
    }

    fn run(&mut self, event: Event) {
        let account = |core: &Self, n: u8| {
            let accounts = &core.rig.snapshot.accounts;
            accounts.get(format!("a{n}").as_str()).cloned()
        };
        match event {
            Event::Ask { some, home, but } => {
                self.ask(if some { "some" } else { "all" }, home, but);
            }
            Event::Success(at) => {
                if let Some(place) = self.take_out(at) {
                    self.runtime.succeeded(place.seat(), place.target());
                }
            }
            Event::Failure(at, class, delay) => {
                if let Some(place) = self.take_out(at) {
                    let failure = Failure {
                        delay: delay.map(Duration::from_secs),
                        ..Failure::new(class, "")
                    };
                    self.runtime.failed(place.seat(), place.target(), &failure);
                }
            }
            Event::Cancel(at) => drop(self.take_out(at)),
            Event::Panic(at) => {
                if let Some(place) = self.take_out(at) {
                    let broken = std::panic::AssertUnwindSafe(move || {
                        let _held = place;
                        std::panic::resume_unwind(Box::new(()));
                    });
                    assert!(std::panic::catch_unwind(broken).is_err());
                }
            }
            Event::Leave(at) => {
                if !self.waiting.is_empty() {
                    self.waiting.remove(at.index(self.waiting.len()));
                }
            }
            Event::Reload(file) => self.reload(&file),
            Event::Release(n) => {
                if let Some(account) = account(self, n) {
                    self.runtime.release(&account);
                }
            }
            Event::Pause(n) => {
                if let Some(account) = account(self, n) {
                    self.runtime.pause(&account);
                }
            }
            Event::Resume(n) => {
                if let Some(account) = account(self, n) {
                    self.runtime.resume(&account);
                }
            }
            Event::Quota(n, left) => {
                if let Some(account) = account(self, n) {
                    let quota = (Some(if left { 0.5 } else { 0.0 }), None);
                    let now = Timestamp::now();
                    account.quota("m1", quota, now, now);
                    // As the job that asks for quotas does.
                    self.rig.queue.freed(Freed::Anything, || false);
                }
            }
        }
    }

    /// Every slot that is taken belongs to a call or request, and every one has its slots.
    fn assert_counts(&self) {
        let of = |name: &dyn Fn(&Place) -> bool| {
            u32::try_from(self.held.iter().filter(|place| name(place)).count()).unwrap()
        };
        for (id, account) in &self.rig.snapshot.accounts {
            let calls = of(&|place| place.seat().account.id == *id);
            assert_eq!(account.in_flight.count(), calls, "{id}");
        }
        for model in ["m1", "m2"] {
            let state = self.runtime.registry.model(&"u".into(), model);
            let calls = of(&|place| place.target().model == model);
            assert_eq!(state.in_flight.count(), calls, "{model}");
        }
        for name in ["all", "some"] {
            let key = self.rig.snapshot.key(&Sha256::digest(name).into()).unwrap();
            assert_eq!(key.slots.own.count(), of(&|place| place.key == name));
            let group = key.slots.group.as_ref().unwrap();
            assert_eq!(group.slots.count(), of(&|_| true));
        }
        // No limit of anybody who took a place is exceeded by more than later snapshots allow.
        for place in &self.held {
            let most = |limit: &dyn Fn(&Place) -> Option<Option<u32>>| {
                let limits = self.held.iter().filter_map(limit);
                limits.map(|limit| limit.unwrap_or(u32::MAX)).max()
            };
            let seat = place.seat();
            let account = most(&|other| {
                let same = other.seat().account.id == seat.account.id;
                same.then_some(other.seat().limit)
            });
            assert!(Some(seat.in_flight.count()) <= account);
            let target = place.target();
            let model = most(&|other| {
                (other.target().model == target.model).then_some(other.target().limit)
            });
            assert!(Some(target.state.in_flight.count()) <= model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whoever_can_be_served_does_not_wait(
        file in any_file(), events in proptest::collection::vec(any_event(), 1..70)
    ) {
        let time = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _time = time.enter();
        let mut core = Core::new(&file);
        for event in events {
            core.run(event);
            core.settle()?;
            core.assert_counts();
            for at in 0..core.waiting.len() {
                let number = core.waiting[at].number;
                prop_assert!(!core.could(at), "request {} waits in vain", number);
            }
            prop_assert_eq!(core.rig.queue.len(), core.waiting.len());
        }
        // Among equals nobody has overtaken.
        let kinds: std::collections::HashSet<_> = core.served.iter().map(|(_, kind)| kind).collect();
        for kind in kinds {
            let alike: Vec<_> = core.served.iter().filter(|(_, k)| k == kind).collect();
            prop_assert!(alike.is_sorted_by_key(|(number, _)| number));
        }
        core.waiting.clear();
        core.held.clear();
        core.assert_counts();
        prop_assert!(core.rig.queue.is_empty());
    }
}

#[test]
fn a_key_that_is_full_keeps_nobody_else_waiting() {
    let time = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _time = time.enter();
    let mut file = plain(2);
    file.at_once = [1, 3, 3];
    let mut core = Core::new(&file);
    for key in ["all", "all", "all", "some", "some", "some"] {
        core.ask(key, None, None);
    }
    core.settle().unwrap();
    let held: Vec<_> = core.held.iter().map(|place| place.key).collect();
    assert_eq!(held, ["all", "some", "some"]);
    core.assert_counts();
    // The group is full now: who comes to an end makes room for the first that its key lets in.
    let at = core.held.iter().position(|place| place.key == "some");
    drop(core.held.remove(at.unwrap()));
    core.settle().unwrap();
    assert_eq!(core.held.last().unwrap().key, "some");
    drop(core.held.remove(0));
    core.settle().unwrap();
    assert_eq!(core.held.last().unwrap().key, "all");
    core.assert_counts();
}

#[test]
fn places_survive_threads() {
    let mut file = plain(3);
    file.accounts[0].limit = 1;
    file.accounts[1].limit = 3;
    file.accounts[2].limit = 2;
    file.model_limit = 5;
    file.at_once = [4, 3, 6];
    let rig = Rig::new(&file);
    let most = |seating: &Seating, held: &Held| {
        let (seat, target) = (held.seat(), held.target());
        let slots = &seating.key.slots;
        let group = slots.group.as_ref().unwrap();
        assert!(seat.limit().is_none_or(|l| seat.in_flight.count() <= l));
        assert!(target.state.in_flight.count() <= 5);
        assert!(slots.own.limit.is_none_or(|l| slots.own.count() <= l));
        assert!(group.slots.count() <= 6);
    };
    std::thread::scope(|scope| {
        for n in 0..8 {
            let seating = rig.seating(if n % 2 == 0 { "all" } else { "some" }, None);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    for _ in 0..500 {
                        let wanted = Wanted {
                            seating: seating.clone(),
                            excluded: Excluded::default(),
                            admit: true,
                        };
                        let held = seating.queue.acquire(wanted, PATIENCE, 100).await;
                        most(&seating, &held.unwrap());
                        tokio::task::yield_now().await;
                    }
                });
            });
        }
    });
    assert_counts(&rig, &[]);
    assert!(rig.queue.is_empty());
}
