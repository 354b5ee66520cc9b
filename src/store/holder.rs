//! Who holds a file's lock, for the error that says so. Known where the system lists locks: Linux, in `/proc/locks`
//! (proc(5)). It is for people only: nothing is decided by it.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its command's name, where it can be read.
    pub command: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "`{command}` (pid {})", self.pid),
            None => write!(f, "pid {}", self.pid),
        }
    }
}

/// The process that holds the lock of a file; `None` where that can't be told, as on systems without `/proc/locks` and
/// for a process of another container.
pub(super) fn of(path: &Path) -> Option<Holder> {
    let found = std::fs::metadata(path).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = pid_in(&locks, device(found.dev()), found.ino())?;
    let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let command = command.map(|text| text.trim().replace(char::is_control, ""));
    Some(Holder {
        pid,
        command: command.filter(|text| !text.is_empty()),
    })
}

/// Major and minor number of a device, as the system's `major` and `minor` take them out of `st_dev` (makedev(3)).
fn device(dev: u64) -> (u64, u64) {
    let major = (dev >> 8) & 0xfff | (dev >> 32) & !0xfff;
    let minor = dev & 0xff | (dev >> 12) & !0xff;
    (major, minor)
}

/// The owner of a lock on this file in the text of `/proc/locks`. Locks that belong to an open file (`OFDLCK`) have no
/// owner there, so those of the whole file count, which redb takes beside them.
fn pid_in(locks: &str, device: (u64, u64), inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1).peekable();
        // Whoever waits for a lock is listed with an arrow in front.
        if words.peek() == Some(&"->") {
            return None;
        }
        let pid = words.nth(3)?;
        let mut place = words.next()?.split(':');
        let mut hex = || u64::from_str_radix(place.next()?, 16).ok();
        let at = (hex()?, hex()?);
        let same = at == device && place.next()?.parse() == Ok(inode);
        pid.parse().ok().filter(|pid| same && *pid > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_found_by_device_and_inode() {
        let locks = "\
            1: OFDLCK ADVISORY  WRITE -1 fe:00:10051913 0 4611686018427388799\n\
            2: FLOCK  ADVISORY  WRITE 12776 fe:00:10051913 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 7 fe:00:10051914 0 EOF\n\
            3: POSIX  ADVISORY  READ 99 fe:01:10051914 128 128\n\
            nonsense\n";
        assert_eq!(pid_in(locks, (0xfe, 0), 10_051_913), Some(12776));
        assert_eq!(pid_in(locks, (0xfe, 1), 10_051_914), Some(99));
        assert_eq!(pid_in(locks, (0xfe, 0), 10_051_914), None, "it waits");
        assert_eq!(pid_in(locks, (0xfe, 0), 1), None);
        assert_eq!(pid_in("", (0xfe, 0), 1), None);
    }

    #[test]
    fn device_numbers_are_taken_apart_as_the_system_does() {
        assert_eq!(device(0xfe00), (0xfe, 0));
        assert_eq!(device(0x0010_3005), (0x30, 0x105));
    }

    #[test]
    fn a_holder_is_told_by_name_where_that_is_known() {
        let mut holder = Holder {
            pid: 7,
            command: Some("agp".to_owned()),
        };
        assert_eq!(holder.to_string(), "`agp` (pid 7)");
        holder.command = None;
        assert_eq!(holder.to_string(), "pid 7");
    }
}
