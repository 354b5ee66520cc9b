//! No picture of this program's memory: it holds secrets, and a core dump of it would lie on the disk for years.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns core dumps off for this program and what it starts. On Linux its memory is also closed to other programs of the
/// same user (`PR_SET_DUMPABLE`, prctl(2)): no debugger and no `/proc/PID/mem` but for root, and no dump for a program that
/// the system pipes dumps to, which the limit does not hold back (core(5)). Where the system refuses, the program goes on
/// as it is: gives what was refused, in words for people.
pub fn forbid() -> Vec<String> {
    let mut refused = Vec::new();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        refused.push(format!("core dumps can't be limited to 0 bytes: {error}"));
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};

        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            refused.push(format!("memory can't be closed to other programs: {error}"));
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn nothing_is_dumped_afterwards() {
        assert!(super::forbid().is_empty());
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{DumpableBehavior, dumpable_behavior};

            let now = dumpable_behavior().unwrap();
            assert_eq!(now, DumpableBehavior::NotDumpable);
        }
    }
}
