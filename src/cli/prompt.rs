//! A secret from standard input: a line that a person types unseen, or all that a program writes.

use std::io::{self, BufRead, Read as _, Write};

use zeroize::Zeroizing;

/// Asks for one line. Where `terminal` says that a person types it there is a prompt, and the terminal is asked not to show
/// what is typed. At most `max` bytes are read, and two more, so that a longer one can be told.
///
/// # Errors
/// Where input or output fail, or what is read is no UTF-8.
pub fn line(
    input: &mut dyn BufRead,
    max: u64,
    prompt: &str,
    terminal: bool,
    err: &mut dyn Write,
) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(room(max)));
    {
        let _quiet = if terminal { ask(prompt, err)? } else { None };
        input.take(max + 2).read_line(&mut line)?;
    }
    if terminal {
        writeln!(err)?;
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

/// Reads all of the input, at most `max` bytes and one more.
///
/// # Errors
/// Where the input fails, or is no UTF-8.
pub fn all(input: &mut dyn BufRead, max: u64) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(room(max)));
    input.take(max + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Room for all of it at once: a text that grows leaves pieces behind.
fn room(max: u64) -> usize {
    usize::try_from(max).unwrap_or(0) + 2
}

/// Asks and hides what is typed, or says that it can't be hidden.
fn ask(prompt: &str, err: &mut dyn Write) -> io::Result<Option<Hidden>> {
    let hidden = Hidden::begin();
    if hidden.is_none() {
        writeln!(err, "(this terminal can't hide what you type)")?;
    }
    write!(err, "{prompt}: ")?;
    err.flush()?;
    Ok(hidden)
}

/// The terminal without echo, until dropped. `stty` does it, since a crate for this one line would be one more to trust.
struct Hidden;

impl Hidden {
    fn begin() -> Option<Self> {
        stty("-echo").then_some(Self)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(argument: &str) -> bool {
    std::process::Command::new("stty")
        .arg(argument)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
