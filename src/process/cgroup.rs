//! Control groups of Linux (version 2): who was killed for want of memory.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    dir: PathBuf,
}

impl Group {
    /// The group of this process, if the system has groups of version 2.
    pub(crate) fn own() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let dir = place(&groups, &mounts)?;
        dir.is_dir().then_some(Self { dir })
    }

    /// How often the system has killed something in it because its memory was used up.
    pub(crate) fn oom_kills(&self) -> u64 {
        let events = fs::read_to_string(self.dir.join("memory.events"));
        events.map_or(0, |it| oom_kills(&it))
    }
}

/// Where the group of the only line without controllers is, by what the system says of
/// groups and mounts.
fn place(groups: &str, mounts: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|it| it.strip_prefix("0::/"))?;
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, at, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then_some(at)
    })?;
    Some(Path::new(mount).join(path))
}

fn oom_kills(events: &str) -> u64 {
    let count = events
        .lines()
        .find_map(|it| it.strip_prefix("oom_kill ")?.parse().ok());
    count.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_below_its_mount() {
        let mounts = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let found = place("0::/a.slice/b.service\n", mounts);
        assert_eq!(found, Some("/sys/fs/cgroup/a.slice/b.service".into()));
        let hybrid = "9:name=systemd:/x\n4:memory:/y\n0::/\n";
        assert_eq!(place(hybrid, mounts), Some("/sys/fs/cgroup/".into()));
        assert_eq!(place("4:memory:/y\n", mounts), None);
        assert_eq!(place(hybrid, "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"), None);
    }

    #[test]
    fn kills_are_counted() {
        let events = "low 0\nhigh 0\nmax 41\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(oom_kills(events), 2);
        assert_eq!(oom_kills("oom 3\n"), 0);
        let dir = tempfile::tempdir().expect("a directory");
        let group = Group {
            dir: dir.path().to_owned(),
        };
        assert_eq!(group.oom_kills(), 0, "a group without a count");
        fs::write(dir.path().join("memory.events"), events).expect("written");
        assert_eq!(group.oom_kills(), 2);
    }
}
