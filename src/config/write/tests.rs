//! Real files.

use std::cell::RefCell;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Barrier;

use super::*;

/// Keeps what it is given, and may refuse to.
#[derive(Default)]
struct Book {
    kept: RefCell<Vec<(PathBuf, Vec<u8>)>>,
    plan: RefCell<Option<Plan>>,
    refuses: bool,
    begun: RefCell<usize>,
}

impl Keeper for Book {
    fn keep(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        if self.refuses {
            return Err(io::Error::other("no room"));
        }
        self.kept
            .borrow_mut()
            .push((path.to_owned(), text.to_vec()));
        Ok(())
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

/// An editor saves at the same instant: in place, or by a rename. It never looks at what is there, so that in the end its
/// text must stand there, whoever came first: if it came first, ours must not go over it.
#[test]
fn no_save_of_an_editor_is_lost_in_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agp.toml");
    let beside = folder.path().join("editor~");
    let theirs = "theirs".repeat(3000);
    let (start, end) = (Barrier::new(2), Barrier::new(2));
    let (mut saved, mut told) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u32..1000 {
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
        for round in 0..1000 {
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
    assert_eq!(saved + told, 1000);
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
    let cases: &[(&[&str], Recovery, &[&str])] = &[
        (
            &["old a", "old b", "old c"],
            Recovery::Undone,
            &["old a", "old b", "old c"],
        ),
        (
            &["new a", "old b", "old c"],
            Recovery::Finished,
            &["new a", "new b", "new c"],
        ),
        (
            &["new a", "new b", "new c"],
            Recovery::Finished,
            &["new a", "new b", "new c"],
        ),
        (
            &["new a", "theirs", "old c"],
            Recovery::Undone,
            &["old a", "theirs", "old c"],
        ),
        (
            &["new a", "new b", "theirs"],
            Recovery::Undone,
            &["old a", "old b", "theirs"],
        ),
    ];
    for (found, became, texts_then) in cases {
        let folder = tempfile::tempdir().unwrap();
        let three = plan(folder.path(), &["a", "b", "c"]);
        for (step, text) in three.steps.iter().zip(*found) {
            std::fs::write(&step.path, text).unwrap();
        }
        let book = Book::default();
        book.begin(&three).unwrap();
        assert_eq!(recover(&three, &book).unwrap(), *became, "{found:?}");
        assert_eq!(texts(&three), *texts_then);
        assert!(book.plan.borrow().is_none());
    }
    let folder = tempfile::tempdir().unwrap();
    let two = plan(folder.path(), &["a", "b"]);
    std::fs::write(&two.steps[0].path, "new a").unwrap();
    std::fs::remove_file(&two.steps[1].path).unwrap();
    assert_eq!(recover(&two, &Book::default()).unwrap(), Recovery::Undone);
    assert_eq!(read(&two.steps[0].path), "old a");
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
    let refusing = Book {
        refuses: true,
        ..Book::default()
    };
    assert!(save(&file, b"old", b"new", &refusing).is_err());
    assert_eq!(
        read(&file),
        "old",
        "without the old text kept nothing is written"
    );
    let book = Book::default();
    assert_eq!(
        save(&file, b"old", b"longer than before", &book).unwrap(),
        Way::InPlace
    );
    assert_eq!(
        save(&file, b"longer than before", b"new", &book).unwrap(),
        Way::InPlace
    );
    assert_eq!(read(&given().join("source")), "new");
    let kept: Vec<Vec<u8>> = book
        .kept
        .borrow()
        .iter()
        .map(|(_, text)| text.clone())
        .collect();
    assert_eq!(kept, [b"old".to_vec(), b"longer than before".to_vec()]);
    assert!(matches!(
        save(&file, b"old", b"x", &book),
        Err(WriteError::Conflict(_))
    ));
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
