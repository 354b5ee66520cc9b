//! The journal of edits in the store: what a crash leaves of an edit is finished or undone at the next start.

use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::config::source::Files;
use crate::config::write::{Journal, Plan, Recovered, Recovery, Step, recover};
use crate::runtime::controller::files::environment;
use crate::store::{JournalFile, JournalRecord, Store};

/// The store as a journal. Blocks on the disk.
pub(super) struct Book<'s>(pub(super) &'s Store);

impl Journal for Book<'_> {
    fn begin(&self, plan: &Plan) -> io::Result<()> {
        let record = record(plan)?;
        self.0.put_journal(record).map_err(io::Error::other)
    }

    fn end(&self) -> io::Result<()> {
        self.0.delete_journal().map_err(io::Error::other)
    }
}

/// What is kept. The next run may be started from another folder.
fn record(plan: &Plan) -> io::Result<JournalRecord> {
    let file = |step: &Step| -> io::Result<JournalFile> {
        let path = std::path::absolute(&step.path)?;
        Ok(JournalFile {
            path: path.into_os_string().into_vec(),
            before: step.before.clone(),
            after: step.after.clone(),
        })
    };
    let files: io::Result<_> = plan.steps.iter().map(file).collect();
    Ok(JournalRecord { files: files? })
}

fn plan(record: JournalRecord) -> Plan {
    let step = |file: JournalFile| Step {
        path: PathBuf::from(std::ffi::OsStr::from_bytes(&file.path)),
        before: file.before,
        after: file.after,
    };
    Plan {
        steps: record.files.into_iter().map(step).collect(),
    }
}

/// Finishes or undoes the edit that the store's journal holds, and says in a sentence what was found and done; `None` where
/// there is none. Blocks on the disk. To be called before the files are read.
///
/// # Errors
/// A sentence for people: the journal can't be read, or a file can't be written; the edit stays in the journal then.
pub fn mend(store: &Store, root: &Path) -> Result<Option<String>, String> {
    let record = store.journal().map_err(|error| error.to_string())?;
    let Some(record) = record else {
        return Ok(None);
    };
    let plan = plan(record);
    let is_sound = || {
        let loaded = crate::config::load(&Files::read(root), environment());
        loaded.config.is_some()
    };
    match recover(&plan, &Book(store), &is_sound) {
        Ok(recovered) => Ok(Some(told(&recovered))),
        Err(error) => Err(format!(
            "an edit of the files was cut off and can be neither finished nor undone: {error}"
        )),
    }
}

fn told(recovered: &Recovered) -> String {
    let held: Vec<String> = (recovered.found.iter())
        .map(|(path, found)| format!("`{}` held {}", path.display(), found.as_str()))
        .collect();
    let became = match recovered.became {
        Recovery::Finished => "it is finished",
        Recovery::Undone => "it is undone, what others wrote stays",
        Recovery::Left => "all is left as it stands",
    };
    format!(
        "an edit of the files was cut off: {}: {became}",
        held.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::write::save_all;
    use crate::store::Options;
    use crate::store::testing::NoKeys;

    /// Where the child works; without it the child's test does nothing.
    const FOLDER: &str = "AGP_CUT_FOLDER";
    const NAMES: [&str; 2] = ["a.toml", "b.toml"];

    fn store(folder: &Path) -> Store {
        Store::open(&folder.join("data"), Arc::new(NoKeys), Options::default()).unwrap()
    }

    /// Tells that the plan is on the disk.
    struct Noting<'s>(Book<'s>, PathBuf);

    impl Journal for Noting<'_> {
        fn begin(&self, plan: &Plan) -> io::Result<()> {
            self.0.begin(plan)?;
            std::fs::write(&self.1, "")
        }

        fn end(&self) -> io::Result<()> {
            self.0.end()
        }
    }

    /// The child: edits both files, until it is killed.
    #[tokio::test(flavor = "multi_thread")]
    async fn child_that_is_cut_off() {
        let Some(folder) = std::env::var_os(FOLDER) else {
            return;
        };
        let folder = Path::new(&folder);
        let step = |name: &str| Step {
            path: folder.join(name),
            before: format!("old {name}").into(),
            after: format!("new {name}").into(),
        };
        let plan = Plan {
            steps: NAMES.map(step).into(),
        };
        let store = store(folder);
        save_all(&plan, &Noting(Book(&store), folder.join("begun"))).unwrap();
    }

    fn start(folder: &Path) -> Child {
        let test = "runtime::controller::journal::tests::child_that_is_cut_off";
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(FOLDER, folder)
            .spawn()
            .unwrap()
    }

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !is_so() {
            assert!(Instant::now() < end, "waited for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn read(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    /// Kills an edit that waits at the file `at`, a pipe that nobody reads; then that file has the text `there`. Gives what
    /// the next run says of it, and the texts.
    async fn cut_off(at: usize, there: &str) -> (String, [String; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (n, name) in NAMES.iter().enumerate() {
            let path = folder.join(name);
            if n == at {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            } else {
                std::fs::write(path, format!("old {name}")).unwrap();
            }
        }
        let mut child = start(folder);
        until("the journal", || folder.join("begun").exists());
        if at > 0 {
            until("the first file", || read(folder, NAMES[0]) == "new a.toml");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(folder.join(NAMES[at])).unwrap();
        std::fs::write(folder.join(NAMES[at]), there).unwrap();
        let store = store(folder);
        let told = mend(&store, &folder.join(NAMES[0])).unwrap().unwrap();
        assert_eq!(mend(&store, &folder.join(NAMES[0])).unwrap(), None);
        store.close().await;
        (told, NAMES.map(|name| read(folder, name)))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_edit_that_was_killed_is_finished_or_undone() {
        let (told, texts) = cut_off(1, "old b.toml").await;
        assert_eq!(texts, ["new a.toml", "new b.toml"]);
        assert!(
            told.ends_with("b.toml` held the old text: it is finished"),
            "{told}"
        );

        let (told, texts) = cut_off(0, "old a.toml").await;
        assert_eq!(texts, ["old a.toml", "old b.toml"]);
        assert!(told.contains("it is undone"), "{told}");

        let (told, texts) = cut_off(1, "theirs").await;
        assert_eq!(texts, ["old a.toml", "theirs"]);
        assert!(
            told.contains("a.toml` held the new text") && told.contains("held another text"),
            "{told}"
        );
    }
}
