use super::*;

/// Long enough for a busy machine; a wait that ends here is a failure.
const LONG: Duration = Duration::from_secs(20);

struct Dir {
    folder: tempfile::TempDir,
    tasks: Tasks,
    timing: Timing,
}

impl Dir {
    /// A root with one include pattern and a secret file; events only, unless `poll`.
    fn new(events: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(
            dir.path().join("agp.toml"),
            "version = 1\ninclude = [\"d/*.toml\"]\n",
        )
        .unwrap();
        std::fs::write(dir.path().join("d/a.toml"), "a = 1\n").unwrap();
        std::fs::write(dir.path().join("token"), "one\n").unwrap();
        let timing = Timing {
            poll: if events {
                LONG * 10
            } else {
                Duration::from_millis(20)
            },
            quiet: Duration::from_millis(30),
            longest: Duration::from_millis(200),
            vanish: Duration::from_millis(300),
            events,
        };
        Self {
            folder: dir,
            tasks: Tasks::new(),
            timing,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&self) -> WatchSet {
        let root = self.path("agp.toml");
        WatchSet::new(&root, &Files::read(&root), vec![self.path("token")])
    }

    fn start(&self) -> Watcher {
        Watcher::start(&self.tasks, self.set(), self.timing)
    }
}

/// Does `act` and waits until a change is told. An act before the watcher has begun is seen too: it compares with what was
/// read when the set was made.
async fn told(watcher: &Watcher, act: impl FnOnce()) {
    let mut changes = watcher.changes();
    changes.mark_unchanged();
    act();
    tokio::time::timeout(LONG, changes.changed())
        .await
        .expect("the change was not told")
        .unwrap();
}

#[tokio::test]
async fn every_way_to_write_is_seen_by_events() {
    let dir = Dir::new(true);
    let watcher = dir.start();
    let root = dir.path("agp.toml");
    let text = |n: u32| format!("version = 1\ninclude = [\"d/*.toml\"]\n# {n}\n");
    told(&watcher, || std::fs::write(&root, text(1)).unwrap()).await;
    told(&watcher, || {
        std::fs::write(dir.path("new"), text(2)).unwrap();
        std::fs::rename(dir.path("new"), &root).unwrap();
    })
    .await;
    told(&watcher, || {
        std::fs::write(dir.path("d/b.toml"), "b = 1\n").unwrap();
    })
    .await;
    watcher.update(dir.set());
    told(&watcher, || {
        std::fs::write(dir.path("token"), "two\n").unwrap();
    })
    .await;
    told(&watcher, || {
        std::fs::remove_file(dir.path("d/b.toml")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_events_the_poll_sees_it() {
    let dir = Dir::new(false);
    let watcher = dir.start();
    told(&watcher, || {
        std::fs::write(dir.path("d/a.toml"), "a = 2\n").unwrap();
    })
    .await;
    told(&watcher, || {
        std::fs::write(dir.path("token"), "two").unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_swapped_data_link_is_seen() {
    let dir = Dir::new(true);
    for (version, text) in [("..v1", "version = 1\n"), ("..v2", "version = 1 # 2\n")] {
        std::fs::create_dir(dir.path(version)).unwrap();
        std::fs::write(dir.path(version).join("agp.toml"), text).unwrap();
    }
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, dir.path(name)).unwrap();
    };
    std::fs::remove_file(dir.path("agp.toml")).unwrap();
    link("..v1", "..data");
    link("..data/agp.toml", "agp.toml");
    let watcher = dir.start();
    told(&watcher, || {
        link("..v2", "..data_tmp");
        std::fs::rename(dir.path("..data_tmp"), dir.path("..data")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_include_that_is_empty_for_a_moment_is_not_told_as_empty() {
    let mut dir = Dir::new(false);
    dir.timing.vanish = LONG * 10;
    let watcher = dir.start();
    let changes = watcher.changes();
    std::fs::write(dir.path("d/a.toml"), "").unwrap();
    // Another file's change waits as well, so that no half state is read.
    std::fs::write(dir.path("token"), "two").unwrap();
    let mut waiting = changes.clone();
    waiting.mark_unchanged();
    let early = tokio::time::timeout(dir.timing.poll * 10, waiting.changed()).await;
    assert!(early.is_err(), "told while the include was empty");
    told(&watcher, || {
        std::fs::write(dir.path("d/a.toml"), "a = 3\n").unwrap();
    })
    .await;
    assert_eq!(watcher.changes().borrow().count, 1);
}

#[tokio::test]
async fn an_include_that_stays_away_is_told() {
    let dir = Dir::new(true);
    let watcher = dir.start();
    let before = Instant::now();
    told(&watcher, || {
        std::fs::remove_file(dir.path("d/a.toml")).unwrap();
    })
    .await;
    assert!(before.elapsed() >= dir.timing.vanish);
}

#[tokio::test]
async fn it_ends_with_the_shutdown_and_when_dropped() {
    let dir = Dir::new(true);
    let one = dir.start();
    let two = dir.start();
    drop(two);
    dir.tasks.drain().cancel();
    tokio::time::timeout(LONG, dir.tasks.wait()).await.unwrap();
    drop(one);
}

#[test]
fn settling_waits_its_time_and_starts_anew_after_a_return() {
    let start = std::time::Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let vanish = Duration::from_secs(2);
    let gone = BTreeSet::from([PathBuf::from("a")]);
    let mut settling = Settling::default();
    assert_eq!(settling.wait(&gone, at(0), vanish), Some(vanish));
    assert_eq!(
        settling.wait(&gone, at(1500), vanish),
        Some(Duration::from_millis(500))
    );
    assert_eq!(settling.wait(&BTreeSet::new(), at(1600), vanish), None);
    assert_eq!(settling.wait(&gone, at(1700), vanish), Some(vanish));
    assert_eq!(settling.wait(&gone, at(3700), vanish), None);
}

#[test]
fn vanished_names_includes_that_hold_nothing_more() {
    let files = |a: &str, b: Option<&str>| {
        let mut texts = vec![
            (PathBuf::from("agp.toml"), "version = 1".to_owned()),
            (PathBuf::from("a.toml"), a.to_owned()),
        ];
        texts.extend(b.map(|b| (PathBuf::from("b.toml"), b.to_owned())));
        Files::from_texts(texts)
    };
    let before = files("x = 1", Some("y = 1"));
    let gone = vanished(&before, &files("", None));
    assert_eq!(gone, BTreeSet::from(["a.toml".into(), "b.toml".into()]));
    assert!(vanished(&before, &before).is_empty());
    assert!(vanished(&files("", None), &files("", None)).is_empty());
}

#[tokio::test]
async fn a_secret_that_changed_before_the_first_look_is_told() {
    let dir = Dir::new(true);
    let set = dir.set();
    std::fs::write(dir.path("token"), "two\n").unwrap();
    let watcher = Watcher::start(&dir.tasks, set, dir.timing);
    told(&watcher, || {}).await;
}
