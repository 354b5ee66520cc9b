//! `kill -9` at random moments under load: a child process of this test writes until it is killed, and notes beside the
//! store what it was promised. A few kills by default; `AGP_KILLS=200` for more.

use std::collections::BTreeSet;
use std::fs::{File as Plain, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;
use crate::store::fault::luck;

/// Where the child works; without it the child's test does nothing.
const FOLDER: &str = "AGP_KILL_FOLDER";
/// The first number that the child may use.
const FROM: &str = "AGP_KILL_FROM";
/// At most so much of what was written without waiting may be lost.
const LOST: Duration = Duration::from_secs(1);
/// The store opens within this.
const OPENING: Duration = Duration::from_secs(2);

/// What the child hands to the store. One of each kind with its number is a line of the notes: `token 8 1790000000000`.
/// What a process wrote into a file outlives its being killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Acknowledged: it must be there.
    Token,
    /// Queued at the time noted: it must be there once that is a second ago. The same for the two that follow.
    Cooldown,
    Quota,
    Row,
}

const KINDS: [(&str, Kind); 4] = [
    ("token", Kind::Token),
    ("cooldown", Kind::Cooldown),
    ("quota", Kind::Quota),
    ("row", Kind::Row),
];

fn notes(dir: &Path) -> PathBuf {
    dir.join("notes")
}

fn note(file: &mut Plain, kind: &str, n: usize, at: Timestamp) {
    let line = format!("{kind} {n} {}\n", at.as_millis());
    file.write_all(line.as_bytes()).unwrap();
}

/// A cooldown's end that tells its number, and lies ahead.
fn until_of(n: usize) -> Timestamp {
    Timestamp(4_000_000_000_000 + i64::try_from(n).unwrap())
}

/// A share left that tells its number.
fn left_of(n: usize) -> f64 {
    1.0 / f64::from(u32::try_from(n + 1).unwrap())
}

/// The child: writes until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Ok(dir) = std::env::var(FOLDER) else {
        return;
    };
    let dir = Path::new(&dir);
    let from = count_of(FROM, 0);
    let store = Store::open(&dir.join("data"), Wrap::new(1), Options::default()).unwrap();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(notes(dir))
        .unwrap();
    // Bounded, so that a child whose parent died ends by itself.
    for n in from..from + 20_000 {
        let at = Timestamp::now();
        store.log(row_at(at, n));
        note(&mut file, "row", n, at);
        store.put_cooldown(cooldown("main", None, until_of(n)));
        note(&mut file, "cooldown", n, at);
        store.put_quota(quota("main", "m", left_of(n)));
        note(&mut file, "quota", n, at);
        store.put_signature(signature(
            "team",
            &format!("thought {}", n % 100),
            &["call"],
        ));
        if n % 8 == 0 {
            store.put_token(token("main", n)).await.unwrap();
            note(&mut file, "token", n, Timestamp::now());
        }
    }
}

fn spawn(dir: &Path, from: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::child_that_is_killed"])
        .env(FOLDER, dir)
        .env(FROM, from.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child of one life was promised.
#[derive(Debug, Default)]
struct Promised {
    /// The newest number of a kind that must be there.
    newest: Vec<(Kind, usize)>,
    /// The rows that must be there.
    rows: BTreeSet<usize>,
    /// The first number that was not used.
    next: usize,
}

impl Promised {
    fn newest(&self, kind: Kind) -> Option<usize> {
        let of_kind = self.newest.iter().filter(|(k, _)| *k == kind);
        of_kind.map(|(_, n)| *n).max()
    }
}

/// Reads the notes of the life that began with the number `from` and was ended at `killed`, and begins new ones.
fn promised(dir: &Path, from: usize, killed: Timestamp) -> Promised {
    let text = std::fs::read_to_string(notes(dir)).unwrap_or_default();
    let _ = std::fs::remove_file(notes(dir));
    let mut found = Promised {
        next: from,
        ..Promised::default()
    };
    for line in text.lines() {
        let mut words = line.split(' ');
        let kind = words.next().unwrap();
        let (_, kind) = KINDS.into_iter().find(|(name, _)| *name == kind).unwrap();
        let n: usize = words.next().unwrap().parse().unwrap();
        let at = Timestamp(words.next().unwrap().parse().unwrap());
        found.next = found.next.max(n + 1);
        if kind != Kind::Token && killed.since(at) < LOST {
            continue;
        }
        found.newest.push((kind, n));
        if kind == Kind::Row {
            found.rows.insert(n);
        }
    }
    found
}

fn number(record: &LogRecord) -> usize {
    usize::try_from(record.id.as_u128() & 0xffff_ffff).unwrap()
}

/// The rows from this number on.
fn rows_from(store: &Store, from: usize) -> Vec<LogRecord> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.query(&Filter::default(), cursor, 500).unwrap();
        let before = page.rows.iter().any(|row| number(row) < from);
        rows.extend(page.rows.into_iter().filter(|row| number(row) >= from));
        cursor = page.next;
        if before || cursor.is_none() {
            return rows;
        }
    }
}

/// What all lives left behind so far.
#[derive(Debug, Default)]
struct Known {
    next: usize,
    rows: u64,
    slowest: Duration,
    lives_that_wrote: usize,
    promised: usize,
}

/// Opens the store after a kill, and holds it to what was promised.
async fn check(dir: &Path, killed: Timestamp, known: &mut Known) {
    let begin = Instant::now();
    let store = Store::open(&dir.join("data"), Wrap::new(1), Options::default()).unwrap();
    let took = begin.elapsed();
    assert!(took < OPENING, "it opened in {took:?}");
    known.slowest = known.slowest.max(took);
    let promised = promised(dir, known.next, killed);
    let learned = store.load().unwrap();
    assert_eq!(learned.unreadable, 0);
    if let Some(least) = promised.newest(Kind::Token) {
        let found = &learned.tokens[0];
        let n = usize::try_from(found.expires_at.as_millis()).unwrap();
        assert!(n >= least, "token {n} is older than {least}");
        assert_eq!(*found, token("main", n), "whole");
    }
    if let Some(least) = promised.newest(Kind::Cooldown) {
        let until = learned.cooldowns[0].until;
        assert!(until >= until_of(least), "cooldown {least} is lost");
    }
    if let Some(least) = promised.newest(Kind::Quota) {
        let left = learned.quotas[0].remaining.unwrap();
        assert!(left <= left_of(least), "quota {least} is lost");
    }
    for record in &learned.signatures {
        let text = record.thinking.as_deref().unwrap();
        assert_eq!(record.signature, format!("made-up-signature of {text}"));
    }
    let rows = rows_from(&store, known.next);
    let numbers: BTreeSet<usize> = rows.iter().map(number).collect();
    let lost: Vec<_> = promised.rows.difference(&numbers).collect();
    assert!(lost.is_empty(), "rows older than a second: {lost:?}");
    known.rows += rows.len() as u64;
    assert_eq!(
        all_of(&store),
        known.rows,
        "sums match the rows of all lives"
    );
    for listed in rows.iter().take(20) {
        let whole = store.log_record(listed.id).unwrap().unwrap();
        assert_eq!(
            whole.tries.len(),
            number(listed) % 4,
            "a row with its tries"
        );
    }
    known.lives_that_wrote += usize::from(promised.next > known.next);
    known.promised += promised.newest.len();
    known.next = promised.next;
    store.close().await;
}

#[tokio::test]
async fn nothing_promised_is_lost_when_the_process_is_killed() {
    let kills = count_of("AGP_KILLS", 10);
    let tmp = tempfile::tempdir().unwrap();
    let mut luck = luck(7);
    let mut known = Known::default();
    for _ in 0..kills {
        let mut child = spawn(tmp.path(), known.next);
        // In the middle of opening, or of writing; half of the time so late that relaxed writes count.
        let longest = if luck().is_multiple_of(2) { 300 } else { 1500 };
        std::thread::sleep(Duration::from_millis(u64::from(luck() % longest)));
        let killed = Timestamp::now();
        child.kill().unwrap();
        child.wait().unwrap();
        check(tmp.path(), killed, &mut known).await;
    }
    println!("{kills} kills: {known:?}");
    assert!(known.lives_that_wrote * 2 > kills, "few wrote: {known:?}");
    assert!(known.promised > 0, "nothing was promised: {known:?}");
}
