//! Files that are mount points themselves: a container's single-file volume, Kubernetes' `subPath`. Such a mount holds on
//! to one inode. What is written into that is seen, but a file that takes its place outside never arrives.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Those of the paths that are mount points themselves, links followed. None where the system has no table of mounts.
pub fn single_files<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Vec<PathBuf> {
    // The table of mounts is not UTF-8 where a path is not.
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points = points(&table);
    paths
        .into_iter()
        .filter(|path| {
            let real = std::fs::canonicalize(path);
            real.is_ok_and(|real| points.contains(&real))
        })
        .map(Path::to_owned)
        .collect()
}

/// The mount points of `/proc/self/mountinfo`: the fifth field of each line, with white space and backslashes as octal
/// numbers (proc(5)).
fn points(table: &[u8]) -> BTreeSet<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescaped(field))))
        .collect()
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let number = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()
            });
        out.push(number.unwrap_or(*first));
        rest = number.map_or(after, |_| &after[3..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_field_is_the_mount_point() {
        let table = b"36 35 98:0 /a.toml /etc/agp\\040dir/agp.toml rw,noatime master:1 - ext3 /dev/root rw\n\
            22 28 0:20 / /sys rw,relatime shared:7 - sysfs sysfs rw\nbroken line\n";
        let found = points(table);
        let wanted = ["/etc/agp dir/agp.toml", "/sys"].map(PathBuf::from);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
        assert_eq!(unescaped(b"a\\134b\\04"), b"a\\b\\04");
    }

    #[test]
    fn a_plain_file_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(single_files([file.path()]), [""; 0].map(PathBuf::from));
        assert_eq!(single_files([Path::new("/proc")]), [PathBuf::from("/proc")]);
    }
}
