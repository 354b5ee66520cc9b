//! Slots under random interleavings: never more than allowed, nothing lost, whoever can serve is found.

mod waiting;

use std::collections::HashMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::*;
use crate::base::id::hex;
use crate::base::task::Tasks;
use crate::config::secret::Resolver;
use crate::config::source::Files;
use crate::pool::cooldown::Limits;
use crate::pool::failure::{Class, Failure};
use crate::runtime::build::{Context, build};
use crate::runtime::registry::Registry;
use crate::runtime::slots::Slots;
use crate::runtime::snapshot::Snapshot;
use crate::store::{KeyWrap, Learned, Store};

struct NoKeys;

impl KeyWrap for NoKeys {
    fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, String> {
        Ok(data_key.to_vec())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(wrapped.to_vec()))
    }
}

const LIMITS: Limits = Limits {
    first: Duration::from_secs(3),
    max: Duration::from_mins(2),
};
/// What a test's file may say of each of the four accounts.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    listed: bool,
    enabled: bool,
    limit: u32,
    weight: u32,
    tier: u32,
    credential: u8,
}

#[derive(Debug, Clone)]
struct File {
    accounts: [Wanted; 4],
    model_limit: u32,
    strategy: usize,
    affinity: bool,
    /// Of the keys `all` and `some`, and of the group that both are in; 0 is none.
    at_once: [u32; 3],
}

impl File {
    fn text(&self) -> String {
        use std::fmt::Write as _;
        let strategies = [
            "weighted",
            "round_robin",
            "random",
            "least_busy",
            "fill_first",
        ];
        let mut text = format!(
            "version = 1\n[routing]\nstrategy = \"{}\"\naffinity = \"{}\"\nmax_concurrent_per_model = {}\n\
             [upstreams.u]\nkind = \"antigravity\"\noauth = {{ client_id = \"id\", client_secret = \"made-up\" }}\n\
             [groups.both]\nmax_concurrent = {}\n\
             [keys.all]\nsha256 = \"{}\"\ngroup = \"both\"\nmax_concurrent = {}\n\
             [keys.some]\nsha256 = \"{}\"\ngroup = \"both\"\nmax_concurrent = {}\naccounts = [\"tag:some\"]\n\
             [models.m]\nroute = [\"u/m1\", \"u/m2\"]\n\
             [accounts.never]\nupstream = \"u\"\nrefresh_token = \"made-up\"\nenabled = false\ntags = [\"some\"]\n",
            strategies[self.strategy % 5],
            if self.affinity {
                "conversation"
            } else {
                "none"
            },
            self.model_limit,
            self.at_once[2],
            hex(&Sha256::digest("all")),
            self.at_once[0],
            hex(&Sha256::digest("some")),
            self.at_once[1],
        );
        for (n, a) in self.accounts.iter().enumerate().filter(|(_, a)| a.listed) {
            let _ = write!(
                text,
                "[accounts.a{n}]\nupstream = \"u\"\nrefresh_token = \"made-up-{n}-{}\"\nmax_concurrent = {}\n\
                 weight = {}\ntier = {}\nenabled = {}\ntags = [\"{}\"]\n",
                a.credential,
                a.limit,
                a.weight,
                a.tier,
                a.enabled,
                if n % 2 == 0 { "some" } else { "other" },
            );
        }
        text
    }
}

struct Rig {
    registry: Registry,
    queue: Arc<Queue<Held>>,
    snapshot: Snapshot,
    now: Timestamp,
}

fn wired(file: &File, registry: &Registry) -> Snapshot {
    let files = Files::from_texts([(PathBuf::from("agp.toml"), file.text())]);
    let loaded = crate::config::load(&files, std::iter::empty());
    assert!(loaded.config.is_some(), "{:#?}", loaded.diagnostics);
    let secrets = Resolver::new(|_| None, None, PathBuf::from("id"));
    let context = Context {
        secrets: &secrets,
        registry,
        present: None,
        generation: 1,
        revision: [0; 32],
    };
    build(Arc::new(loaded.config.unwrap()), &context).unwrap()
}

impl Rig {
    fn new(file: &File) -> Self {
        let store = Store::in_memory(Arc::new(NoKeys));
        let registry = Registry::new(store, Tasks::new(), &mut Learned::default());
        Self {
            snapshot: wired(file, &registry),
            registry,
            queue: Arc::default(),
            now: Timestamp(1_000_000_000),
        }
    }

    fn reload(&mut self, file: &File) {
        self.snapshot = wired(file, &self.registry);
        let accounts = &self.snapshot.accounts;
        self.registry
            .retain(|id| accounts.contains_key(id), Duration::MAX, self.now);
    }

    fn seating(&self, key: &str, home: Option<u64>) -> Seating {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let route = Arc::clone(self.snapshot.route("m").unwrap());
        Seating {
            home: home.filter(|_| route.affinity),
            route,
            key: Arc::clone(self.snapshot.key(&digest).unwrap()),
            queue: Arc::clone(&self.queue),
        }
    }

    /// Whether someone could serve: said anew, from what the machines say.
    fn someone_can(&self, seating: &Seating, excluded: &Excluded) -> bool {
        seating.route.targets.iter().any(|target| {
            let model_has_room = target
                .limit
                .is_none_or(|limit| target.state.in_flight.count() < limit);
            let seats = || {
                target.seats.iter().any(|seat| {
                    let machine = seat.account.machine();
                    let ready = machine
                        .ready_at()
                        .max(machine.model_ready_at(&target.model))
                        .max(seat.lane.view(seat.credits, self.now).ready_at);
                    let room = seat.limit().is_none_or(|l| seat.in_flight.count() < l);
                    ready <= self.now
                        && room
                        && seating.key.may_use(seat.account.number)
                        && !excluded.accounts.contains(&seat.account.number)
                })
            };
            model_has_room && target.state.ready_at() <= self.now && seats()
        })
    }
}

/// Whether key and group let another request in.
fn lets_in(key: &KeyEntry) -> bool {
    let room = |slots: &Slots| slots.limit.is_none_or(|limit| slots.count() < limit);
    room(&key.slots.own) && key.slots.group.as_ref().is_none_or(|g| room(&g.slots))
}

/// A place that is held, and the key of the request.
struct Place {
    key: &'static str,
    held: Held,
}

impl Deref for Place {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

/// Every slot that is taken belongs to a call, and every call has its slots.
fn assert_counts(rig: &Rig, held: &[Place]) {
    let mut accounts: HashMap<&str, u32> = HashMap::new();
    let mut models: HashMap<&str, u32> = HashMap::new();
    for held in held {
        *accounts.entry(held.seat().account.id.as_str()).or_default() += 1;
        *models.entry(held.target().model.as_str()).or_default() += 1;
    }
    for (id, account) in &rig.snapshot.accounts {
        let calls = accounts.get(id.as_str()).copied().unwrap_or_default();
        assert_eq!(account.in_flight.count(), calls, "{id}");
    }
    for model in ["m1", "m2"] {
        let state = rig.registry.model(&"u".into(), model);
        let calls = models.get(model).copied().unwrap_or_default();
        assert_eq!(state.in_flight.count(), calls, "{model}");
    }
    let of = |name: &str| {
        let held = held.iter().filter(|held| held.admission.is_some());
        let keys = held.filter(|held| held.key == name);
        u32::try_from(keys.count()).unwrap()
    };
    for name in ["all", "some"] {
        let key = rig.snapshot.key(&Sha256::digest(name).into()).unwrap();
        assert_eq!(key.slots.own.count(), of(name), "{name}");
        let group = key.slots.group.as_ref().unwrap();
        assert_eq!(group.slots.count(), of("all") + of("some"));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Start {
        some: bool,
        home: Option<u64>,
        but: Option<u8>,
        /// Whether the request has been let in before: a later try.
        later: bool,
    },
    Success(prop::sample::Index),
    Failure(prop::sample::Index, Class, Option<u64>),
    Cancel(prop::sample::Index),
    Reload(Box<File>),
    Clock(i64),
    Release(u8),
    Pause(u8),
    Resume(u8),
    Quota(u8, bool),
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    (0u8..8, 0u8..8, 0u32..4, 0u32..3, 1u32..3, 0u8..6).prop_map(
        |(listed, enabled, limit, weight, tier, credential)| Wanted {
            listed: listed > 0,
            enabled: enabled > 0,
            limit,
            weight,
            tier,
            credential: u8::from(credential == 0),
        },
    )
}

fn any_file() -> impl Strategy<Value = File> {
    (
        [any_wanted(), any_wanted(), any_wanted(), any_wanted()],
        0u32..6,
        0usize..5,
        any::<bool>(),
        [0u32..4, 0u32..4, 0u32..6],
    )
        .prop_map(
            |(accounts, model_limit, strategy, affinity, at_once)| File {
                accounts,
                model_limit,
                strategy,
                affinity,
                at_once,
            },
        )
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (any::<bool>(), proptest::option::of(0u64..9), proptest::option::of(0u8..4), any::<bool>())
            .prop_map(|(some, home, but, later)| Step::Start { some, home, but, later }),
        3 => index().prop_map(Step::Success),
        3 => (index(), 0usize..Class::ALL.len(), proptest::option::of(0u64..7200))
            .prop_map(|(at, class, delay)| Step::Failure(at, Class::ALL[class], delay)),
        2 => index().prop_map(Step::Cancel),
        1 => any_file().prop_map(|file| Step::Reload(Box::new(file))),
        2 => (-600_000i64..4_000_000).prop_map(Step::Clock),
        1 => (0u8..4).prop_map(Step::Release),
        1 => (0u8..4).prop_map(Step::Pause),
        2 => (0u8..4).prop_map(Step::Resume),
        1 => (0u8..4, any::<bool>()).prop_map(|(n, left)| Step::Quota(n, left)),
    ]
}

fn start(
    rig: &Rig,
    key: &'static str,
    home: Option<u64>,
    but: Option<u8>,
    later: bool,
) -> Result<Option<Place>, TestCaseError> {
    let seating = rig.seating(key, home);
    let excluded = Excluded {
        accounts: but
            .map(|n| rig.registry.numbers.of(&format!("a{n}").into()))
            .into_iter()
            .collect(),
        upstreams: Vec::new(),
    };
    let let_in = later || lets_in(&seating.key);
    let could = let_in && rig.someone_can(&seating, &excluded);
    match seating.attempt(&excluded, !later, rig.now) {
        Ok(held) => {
            prop_assert!(could, "a place was taken that can't be");
            let seat = held.seat();
            prop_assert!(seat.limit().is_none_or(|l| seat.in_flight.count() <= l));
            let target = held.target();
            let limit = target.limit;
            prop_assert!(limit.is_none_or(|l| target.state.in_flight.count() <= l));
            prop_assert!(seating.key.may_use(seat.account.number));
            for slots in [&seating.key.slots.own]
                .into_iter()
                .chain(seating.key.slots.group.as_ref().map(|g| &g.slots))
            {
                prop_assert!(later || slots.limit.is_none_or(|l| slots.count() <= l));
            }
            Ok(Some(Place { key, held }))
        }
        Err(why) => {
            prop_assert!(!could, "nobody was found, but somebody could: {}", why);
            let of_key = matches!(why, Blocked::KeyFull | Blocked::GroupFull);
            prop_assert_eq!(of_key, !let_in);
            prop_assert!(why.until().is_none_or(|until| until > rig.now));
            Ok(None)
        }
    }
}

fn end(rig: &Rig, held: &mut Vec<Place>, at: prop::sample::Index, failure: Option<&Failure>) {
    if held.is_empty() {
        return;
    }
    let place = held.swap_remove(at.index(held.len()));
    let (seat, target) = (place.seat(), place.target());
    if let Some(failure) = failure {
        if failure.class == Class::Capacity {
            target.state.capacity(failure, rig.now, &LIMITS);
        }
        seat.account
            .failure(&target.model, failure, rig.now, &LIMITS);
    } else {
        target.state.success(rig.now);
        seat.account.success(&target.model, rig.now);
    }
}

fn run(rig: &mut Rig, step: Step, held: &mut Vec<Place>) -> Result<(), TestCaseError> {
    let named = |rig: &Rig, n: u8| rig.snapshot.accounts.get(format!("a{n}").as_str()).cloned();
    match step {
        Step::Start {
            some,
            home,
            but,
            later,
        } => {
            let key = if some { "some" } else { "all" };
            held.extend(start(rig, key, home, but, later)?);
        }
        Step::Success(at) => end(rig, held, at, None),
        Step::Failure(at, class, delay) => {
            let failure = Failure {
                delay: delay.map(Duration::from_secs),
                ..Failure::new(class, "")
            };
            end(rig, held, at, Some(&failure));
        }
        Step::Cancel(at) => {
            if !held.is_empty() {
                held.swap_remove(at.index(held.len()));
            }
        }
        Step::Reload(file) => rig.reload(&file),
        Step::Clock(by) => {
            rig.now = Timestamp(rig.now.0 + by);
            rig.registry.tick(rig.now);
        }
        Step::Release(n) => {
            if let Some(account) = named(rig, n) {
                account.release(rig.now);
            }
        }
        Step::Pause(n) => {
            if let Some(account) = named(rig, n) {
                account.pause(rig.now);
            }
        }
        Step::Resume(n) => {
            if let Some(account) = named(rig, n) {
                account.resume();
            }
        }
        Step::Quota(n, left) => {
            if let Some(account) = named(rig, n) {
                let quota = (Some(if left { 0.5 } else { 0.0 }), None);
                account.quota("m1", quota, rig.now, rig.now);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn slots_hold_through_every_interleaving(
        file in any_file(), steps in proptest::collection::vec(any_step(), 1..80)
    ) {
        let mut rig = Rig::new(&file);
        let mut held = Vec::new();
        for step in steps {
            run(&mut rig, step, &mut held)?;
            assert_counts(&rig, &held);
        }
        held.clear();
        assert_counts(&rig, &held);
        // What cools ends by itself: then everybody serves whom no person must help.
        rig.now = rig.now.plus(Duration::from_hours(24));
        rig.registry.tick(rig.now);
        let seating = rig.seating("all", None);
        let well = seating.route.targets.iter().flat_map(|t| &t.seats);
        let well = well.filter(|s| s.account.ready_at() != NEVER).count();
        prop_assert_eq!(seating.attempt(&Excluded::default(), true, rig.now).is_ok(), well > 0);
    }
}

fn plain(accounts: usize) -> File {
    let mut file = File {
        accounts: [Wanted {
            listed: false,
            enabled: true,
            limit: 0,
            weight: 1,
            tier: 1,
            credential: 0,
        }; 4],
        model_limit: 0,
        strategy: 0,
        affinity: true,
        at_once: [0; 3],
    };
    for account in &mut file.accounts[..accounts] {
        account.listed = true;
    }
    file
}

#[test]
fn a_conversation_comes_home_after_a_cooldown_and_a_reload() {
    let mut rig = Rig::new(&plain(4));
    let at = |rig: &Rig| {
        let seating = rig.seating("all", Some(5));
        let held = seating
            .attempt(&Excluded::default(), false, rig.now)
            .unwrap();
        held.seat().account.clone()
    };
    let home = at(&rig);
    let failure = Failure {
        delay: Some(Duration::from_secs(30)),
        ..Failure::new(Class::RateLimited, "")
    };
    home.failure("m1", &failure, rig.now, &LIMITS);
    let away = at(&rig);
    assert_ne!(away.id, home.id);
    rig.reload(&plain(4));
    assert_eq!(at(&rig).id, away.id);
    rig.now = rig.now.plus(Duration::from_secs(30));
    assert_eq!(at(&rig).id, home.id);
}

#[test]
fn a_new_credential_is_on_trial_and_inherits_calls_in_flight() {
    let mut file = plain(1);
    let mut rig = Rig::new(&file);
    let all = |rig: &Rig| rig.seating("all", None);
    let nobody = Excluded::default();
    let running = all(&rig).attempt(&nobody, false, rig.now).unwrap();
    let account = running.seat().account.clone();
    let refused = Failure::new(Class::AuthExpired, "");
    account.failure("m1", &refused, rig.now, &LIMITS);
    let blocked = all(&rig).attempt(&nobody, false, rig.now).err();
    assert_eq!(blocked, Some(Blocked::NeedsPerson));
    file.accounts[0].credential = 1;
    rig.reload(&file);
    // On trial it gets one call at a time, and the old credential's still runs.
    assert_eq!(
        all(&rig).attempt(&nobody, false, rig.now).err(),
        Some(Blocked::Full(NEVER))
    );
    drop(running);
    let trial = all(&rig).attempt(&nobody, false, rig.now).unwrap();
    assert!(trial.seat().account.on_trial());
    trial.seat().account.success("m1", rig.now);
    assert!(all(&rig).attempt(&nobody, false, rig.now).is_ok());
}

#[test]
fn a_pause_holds_through_a_reload_until_the_file_says_otherwise() {
    let mut file = plain(1);
    let mut rig = Rig::new(&file);
    let free = |rig: &Rig| {
        let taken = rig
            .seating("all", None)
            .attempt(&Excluded::default(), false, rig.now);
        taken.is_ok()
    };
    assert!(rig.snapshot.accounts["a0"].pause(rig.now));
    rig.reload(&file);
    assert!(!free(&rig));
    file.accounts[0].enabled = false;
    rig.reload(&file);
    file.accounts[0].enabled = true;
    rig.reload(&file);
    assert!(free(&rig));
}

#[test]
fn the_log_is_told_of_every_account() {
    let mut file = plain(4);
    file.accounts[0].enabled = false;
    let rig = Rig::new(&file);
    let limited = Failure {
        delay: Some(Duration::from_hours(9)),
        ..Failure::new(Class::RateLimited, "")
    };
    let now = Timestamp::now();
    let seating = rig.seating("some", None);
    for target in ["m1", "m2"] {
        rig.snapshot.accounts["a3"].failure(target, &limited, now, &LIMITS);
    }
    let held = seating.take(&Excluded::default()).unwrap();
    assert_eq!(held.seat().account.id.as_str(), "a2");
    let (verdicts, more) = seating.verdicts(Some(&held));
    let of = |name: &str| {
        let mut all = verdicts.iter().filter(|v| v.account.as_str() == name);
        all.next().unwrap().text.to_string()
    };
    assert_eq!(of("a2"), "chosen");
    assert_eq!(of("a0"), "paused: `enabled = false` in the file");
    assert_eq!(of("a1"), "not for this key");
    assert_eq!((verdicts.len(), more), (10, 0));
    drop(held);
    let all = rig.seating("all", None);
    let (verdicts, _) = all.verdicts(None);
    let cooling = verdicts.iter().find(|v| v.account.as_str() == "a3");
    assert!(cooling.unwrap().text.starts_with("cooling until "));
}
