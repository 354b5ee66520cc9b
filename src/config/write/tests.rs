//! Real files.

use std::cell::RefCell;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Barrier;

use super::*;

/// Keeps what it is given, and may refuse to.
#[derive(Default)]
struct Book {
    plan: RefCell<Option<Plan>>,
    refuses: bool,
    begun: RefCell<usize>,
}

impl Keeper for Book {
    fn keep(&self) -> io::Result<()> {
        Err(io::Error::other("there is no need to write this in place"))
    }
}

impl Journal for Book {
    fn begin(&self, plan: &Plan) -> io::Result<()> {
        *self.begun.borrow_mut() += 1;
        *self.plan.borrow_mut() = Some(plan.clone());
        if self.refuses {
            Err(io::Error::other("no room"))
        } else {
            Ok(())
        }
    }

    fn end(&self) -> io::Result<()> {
        *self.plan.borrow_mut() = None;
        Ok(())
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn only_file(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_save_keeps_links_mode_and_owner_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep");
    std::fs::create_dir(&deep).unwrap();
    let (file, link) = (deep.join("agp.toml"), folder.path().join("agp.toml"));
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let owner = std::fs::metadata(&file).unwrap();
    symlink("deep/agp.toml", folder.path().join("one")).unwrap();
    symlink("one", &link).unwrap();
    let way = save(&link, b"old", b"new", &Book::default()).unwrap();
    assert!(matches!(way, Way::Exchanged | Way::Renamed));
    assert_eq!(read(&file), "new");
    assert!(link.is_symlink());
    let meta = std::fs::metadata(&file).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o640);
    assert_eq!((meta.uid(), meta.gid()), (owner.uid(), owner.gid()));
    assert_eq!(only_file(&deep), 1);
}

#[test]
fn another_owners_file_stays_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agp.toml");
    std::fs::write(&file, "old").unwrap();
    // Only root may give a file away; anybody else sees the same with their own.
    let _ = std::os::unix::fs::chown(&file, Some(1234), Some(1234));
    let before = std::fs::metadata(&file).unwrap();
    save(&file, b"old", b"new", &Book::default()).unwrap();
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
    assert_eq!(read(&file), "new");
}

#[test]
fn a_file_with_two_names_has_its_new_text_under_both() {
    let folder = tempfile::tempdir().unwrap();
    let one = plan(folder.path(), &["agp.toml"]);
    let other = folder.path().join("other");
    std::fs::hard_link(&one.steps[0].path, &other).unwrap();
    let book = Book::default();
    save_all(&one, &book).unwrap();
    assert_eq!(texts(&one), ["new agp.toml"]);
    assert_eq!(read(&other), "new agp.toml");
    assert_eq!(*book.begun.borrow(), 1, "kept first");
    let refusing = Book {
        refuses: true,
        ..Book::default()
    };
    assert!(save_all(&plan(folder.path(), &["agp.toml"]), &refusing).is_err());
    assert_eq!(read(&other), "old agp.toml");
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agp.toml");
    std::fs::write(&file, "theirs").unwrap();
    let result = save(&file, b"old", b"new", &Book::default());
    assert!(matches!(result, Err(WriteError::Conflict(_))));
    assert_eq!(read(&file), "theirs");
    assert_eq!(only_file(folder.path()), 1);
}

#[test]
fn a_read_only_file_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agp.toml");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    let error = save(&file, b"old", b"new", &Book::default()).unwrap_err();
    assert!(matches!(error, WriteError::ReadOnly { .. }));
    assert!(
        error.to_string().contains("commit the change as a patch"),
        "{error}"
    );
    assert_eq!(read(&file), "old");
    let missing = save(&folder.path().join("no"), b"", b"new", &Book::default());
    assert!(matches!(missing, Err(WriteError::Io { .. })));
}

/// How often the test below saves: `AGP_EDIT_RACES=1000` for more.
const RACES: u32 = 100;

/// An editor saves at the same instant: in place, or by a rename. It never looks at what is there, so that in the end its
/// text must stand there, whoever came first: if it came first, ours must not go over it.
#[test]
fn no_save_of_an_editor_is_lost() {
    let races = std::env::var("AGP_EDIT_RACES").ok();
    let races = races.map_or(RACES, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agp.toml");
    let beside = folder.path().join("editor~");
    let theirs = "theirs".repeat(3000);
    let (start, end) = (Barrier::new(2), Barrier::new(2));
    let (mut saved, mut told) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..races {
                start.wait();
                // Sooner and later within what a save takes.
                for _ in 0..(round % 50) * 400 {
                    std::hint::spin_loop();
                }
                if round % 2 == 0 {
                    std::fs::write(&file, &theirs).unwrap();
                } else {
                    std::fs::write(&beside, &theirs).unwrap();
                    std::fs::rename(&beside, &file).unwrap();
                }
                end.wait();
            }
        });
        for round in 0..races {
            std::fs::write(&file, "old").unwrap();
            start.wait();
            let result = save(&file, b"old", b"ours", &Book::default());
            end.wait();
            match result {
                Ok(_) => saved += 1,
                Err(WriteError::Conflict(_)) => told += 1,
                Err(error) => panic!("round {round}: {error}"),
            }
            assert_eq!(read(&file), theirs, "round {round}");
            assert_eq!(only_file(folder.path()), 1, "round {round}");
        }
    });
    assert_eq!(saved + told, races);
    assert!(told > 0, "the two never met");
}

fn plan(folder: &Path, names: &[&str]) -> Plan {
    let steps = names.iter().map(|name| {
        let path = folder.join(name);
        std::fs::write(&path, format!("old {name}")).unwrap();
        Step {
            path,
            before: format!("old {name}").into(),
            after: format!("new {name}").into(),
        }
    });
    Plan {
        steps: steps.collect(),
    }
}

fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| read(&step.path)).collect()
}

#[test]
fn several_files_are_saved_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let three = plan(folder.path(), &["a", "b", "c"]);
    let book = Book::default();
    save_all(&three, &book).unwrap();
    assert_eq!(texts(&three), ["new a", "new b", "new c"]);
    assert_eq!(
        (*book.begun.borrow(), book.plan.borrow().is_none()),
        (1, true)
    );

    let three = plan(folder.path(), &["a", "b", "c"]);
    std::fs::write(&three.steps[2].path, "theirs").unwrap();
    let error = save_all(&three, &book).unwrap_err();
    assert!(matches!(error, WriteError::Conflict(path) if path == three.steps[2].path));
    assert_eq!(texts(&three), ["old a", "old b", "theirs"]);
    assert!(book.plan.borrow().is_none());

    let three = plan(folder.path(), &["a", "b", "c"]);
    let refusing = Book {
        refuses: true,
        ..Book::default()
    };
    assert!(save_all(&three, &refusing).is_err());
    assert_eq!(texts(&three), ["old a", "old b", "old c"]);

    let one = plan(folder.path(), &["d"]);
    save_all(&one, &book).unwrap();
    assert_eq!(
        (texts(&one)[0].as_str(), *book.begun.borrow()),
        ("new d", 2)
    );
}

#[test]
fn a_crash_in_the_middle_is_finished_or_undone_at_start() {
    use Recovery::{Finished, Left, Undone};

    // What the files hold, whether they can be used as they stand, and what they hold then.
    let cases: &[([&str; 3], bool, Recovery, [&str; 3])] = &[
        (
            ["old a", "old b", "old c"],
            true,
            Undone,
            ["old a", "old b", "old c"],
        ),
        (
            ["new a", "old b", "old c"],
            false,
            Finished,
            ["new a", "new b", "new c"],
        ),
        (
            ["new a", "new b", "new c"],
            true,
            Finished,
            ["new a", "new b", "new c"],
        ),
        (
            ["new a", "theirs", "old c"],
            true,
            Undone,
            ["old a", "theirs", "old c"],
        ),
        (
            ["new a", "new b", "theirs"],
            false,
            Undone,
            ["old a", "old b", "theirs"],
        ),
        // All was written, and one was changed since.
        (
            ["new a", "new b", "theirs"],
            true,
            Left,
            ["new a", "new b", "theirs"],
        ),
        (
            ["new a", "newld b", "old c"],
            false,
            Finished,
            ["new a", "new b", "new c"],
        ),
        (
            ["new a", "newld b", "theirs"],
            true,
            Undone,
            ["old a", "old b", "theirs"],
        ),
    ];
    for (found, is_sound, became, texts_then) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut three = plan(folder.path(), &["a", "b", "c"]);
        three.steps[1].before = b"oldld b".into();
        three.steps[1].after = b"new b".into();
        let with_b = |text: &&str| text.replace("old b", "oldld b");
        for (step, text) in three.steps.iter().zip(found) {
            std::fs::write(&step.path, with_b(text)).unwrap();
        }
        let book = Book::default();
        book.begin(&three).unwrap();
        let recovered = recover(&three, &book, &|| *is_sound).unwrap();
        assert_eq!(recovered.became, *became, "{found:?}");
        let then: Vec<String> = texts_then.iter().map(with_b).collect();
        assert_eq!(texts(&three), then, "{found:?}");
        assert!(book.plan.borrow().is_none());
    }
    let folder = tempfile::tempdir().unwrap();
    let two = plan(folder.path(), &["a", "b"]);
    std::fs::write(&two.steps[0].path, "new a").unwrap();
    std::fs::remove_file(&two.steps[1].path).unwrap();
    let recovered = recover(&two, &Book::default(), &|| false).unwrap();
    assert_eq!(recovered.became, Undone);
    let found: Vec<Found> = recovered.found.iter().map(|(_, found)| *found).collect();
    assert_eq!(found, [Found::After, Found::Other]);
    assert_eq!(read(&two.steps[0].path), "old a");
}

/// The system writes a page after the other, of which a crash may leave any.
#[test]
fn what_is_left_of_writing_in_place_is_told_from_what_others_write() {
    let of = |n: u8, len: usize| vec![n; len];
    for (before, after) in [(of(1, 5000), of(2, 3000)), (of(1, 3000), of(2, 5000))] {
        let state = |now: &[u8]| {
            let step = Step {
                path: PathBuf::new(),
                before: before.clone(),
                after: after.clone(),
            };
            Found::of(&step, Some(now))
        };
        assert_eq!(state(&before), Found::Before);
        assert_eq!(state(&after), Found::After);
        for at in [1, 512, 513, 2999] {
            let torn = [&after[..at], &before[at..]].concat();
            assert_eq!(state(&torn), Found::Torn, "{at}");
        }
        let mut some = before.clone();
        some.resize(5000, 0);
        some[1024..2048].fill(2);
        assert_eq!(state(&some), Found::Torn);
        some[2050] = 3;
        assert_eq!(state(&some), Found::Other);
        assert_eq!(state(&before[..2999]), Found::Other);
        assert_eq!(state(&[&before[..], &of(2, 2500)].concat()), Found::Other);
        assert_eq!(state(b""), Found::Other);
    }
}

#[test]
fn plans_and_errors_do_not_show_texts() {
    let folder = tempfile::tempdir().unwrap();
    let one = plan(folder.path(), &["planted"]);
    assert!(!format!("{one:?}").contains("new planted"));
}

/// The mounts that this machine lets a test make; says so where it lets it make none.
fn in_a_namespace(script: &str, test: &str, folder: &Path) {
    let mounts = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "x", "/mnt"])
        .output();
    if !mounts.is_ok_and(|out| out.status.success()) {
        eprintln!("SKIPPED config::write::tests::{test}: no mounts in a namespace of one's own");
        return;
    }
    let script =
        format!("{script} && exec \"$AGP_TEST\" --exact --ignored config::write::tests::{test}");
    let out = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .env("AGP_TEST", std::env::current_exe().unwrap())
        .env("AGP_TEST_FOLDER", folder)
        .current_dir(folder)
        .output()
        .unwrap();
    let told =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && told.contains("1 passed"), "{told}");
}

fn given() -> PathBuf {
    std::env::var_os("AGP_TEST_FOLDER")
        .expect("run by the test of the same name without `inside_`")
        .into()
}

#[test]
fn a_mount_of_a_single_file_is_written_in_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("source"), "old").unwrap();
    std::fs::write(folder.path().join("agp.toml"), "").unwrap();
    in_a_namespace(
        "mount --bind source agp.toml",
        "inside_a_mount_of_a_single_file",
        folder.path(),
    );
}

#[test]
#[ignore = "run in a namespace by `a_mount_of_a_single_file_is_written_in_place`"]
fn inside_a_mount_of_a_single_file() {
    let file = given().join("agp.toml");
    let one = |before: &str, after: &str| Plan {
        steps: vec![Step {
            path: file.clone(),
            before: before.into(),
            after: after.into(),
        }],
    };
    let refusing = Book {
        refuses: true,
        ..Book::default()
    };
    assert!(save_all(&one("old", "new"), &refusing).is_err());
    assert_eq!(
        read(&file),
        "old",
        "without the old text kept nothing is written"
    );
    let book = Book::default();
    save_all(&one("old", "longer than before"), &book).unwrap();
    assert_eq!(read(&given().join("source")), "longer than before");
    save_all(&one("longer than before", "new"), &book).unwrap();
    assert_eq!(read(&given().join("source")), "new");
    assert_eq!(*book.begun.borrow(), 2, "each was kept first");
    assert!(book.plan.borrow().is_none(), "and is done");
    assert!(matches!(
        save_all(&one("old", "x"), &book),
        Err(WriteError::Conflict(_))
    ));
    // A crash in the middle.
    std::fs::write(&file, "lew").unwrap();
    let recovered = recover(&one("new", "lexer"), &book, &|| false).unwrap();
    assert_eq!(recovered.became, Recovery::Finished);
    assert_eq!(read(&given().join("source")), "lexer");
    assert_eq!(only_file(&given()), 2);
}

#[test]
fn a_read_only_mount_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/agp.toml"), "old").unwrap();
    in_a_namespace(
        "mount --bind d d && mount -o remount,bind,ro d",
        "inside_a_read_only_mount",
        folder.path(),
    );
}

#[test]
#[ignore = "run in a namespace by `a_read_only_mount_is_told_with_the_way_out`"]
fn inside_a_read_only_mount() {
    let file = given().join("d/agp.toml");
    let error = save(&file, b"old", b"new", &Book::default()).unwrap_err();
    assert!(matches!(error, WriteError::ReadOnly { .. }), "{error:?}");
}
