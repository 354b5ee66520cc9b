//! The built program as a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The built program.
pub(crate) const AGP: &str = env!("CARGO_BIN_EXE_agp");

/// The program, in this folder, with none of the variables that it reads.
pub(crate) fn agp(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(AGP);
    command.args(args);
    clean(&mut command, folder);
    command
}

/// A line for the shell in which `agp` is the program.
pub(crate) fn shell(folder: &Path, line: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("agp() {{ '{AGP}' \"$@\"; }}; {line}"));
    clean(&mut command, folder);
    command
}

fn clean(command: &mut Command, folder: &Path) {
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGP_") {
            command.env_remove(name);
        }
    }
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end, off the async threads.
pub(crate) async fn run(command: Command, input: &str) -> Left {
    let input = input.to_owned();
    let running = tokio::task::spawn_blocking(move || run_now(command, &input));
    super::within("a command's end", running).await.unwrap()
}

fn run_now(mut command: Command, input: &str) -> Left {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Left {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A process under way, killed when the test ends.
pub(crate) struct Running {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads what is printed up to a line that holds this, or to the end.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        let mut out = self.out.take().unwrap();
        let mark = mark.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            loop {
                let before = all.len();
                let read = out.read_line(&mut all).unwrap();
                if read == 0 || all[before..].contains(&mark) {
                    return (out, all);
                }
            }
        });
        let (out, all) = super::within("a printed line", reading).await.unwrap();
        self.out = Some(out);
        all
    }

    /// Gives it a line on its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Asks it to end, as a service manager does, and gives its exit code.
    pub(crate) async fn terminate(mut self) -> i32 {
        let killed = Command::new("kill").arg(self.id().to_string()).status();
        assert!(killed.unwrap().success());
        self.wait().await
    }

    /// Ends it at once, as the kernel does when memory is short.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().unwrap();
        super::until("a process to end", || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
    }

    /// Its exit code, once it has ended.
    pub(crate) async fn wait(&mut self) -> i32 {
        let mut code = None;
        super::until("a process to end", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        code.and_then(|code| code.code()).unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
