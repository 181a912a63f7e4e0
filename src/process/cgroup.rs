//! Control groups of Linux (version 2): who was killed for want of memory, and
//! limits for all that a command starts. The system lets a group of processes
//! or a group of groups have limits, never both, so who starts commands in
//! groups sits in a leaf of its own beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the slave itself sits, below the group that it was given.
const LEAF: &str = "autobot-slave";

/// What is asked of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// In bytes.
    pub(crate) memory: Option<u64>,
    /// In thousandths of a processor.
    pub(crate) processor: Option<u32>,
    pub(crate) processes: Option<u64>,
}

impl Limits {
    /// The file of each, what is written there, and the controller whose it is.
    fn files(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut files = Vec::new();
        if let Some(bytes) = self.memory {
            files.push(("memory.max", bytes.to_string(), "memory"));
        }
        if let Some(thousandths) = self.processor {
            let micros = u64::from(thousandths) * 100;
            files.push(("cpu.max", format!("{micros} 100000"), "cpu"));
        }
        if let Some(number) = self.processes {
            files.push(("pids.max", number.to_string(), "pids"));
        }
        files
    }
}

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    dir: PathBuf,
}

impl Group {
    /// The group in which this process was first asked, and those that it forks later: a look at
    /// every mount for each short command would be a long one.
    pub(crate) fn own_at_first() -> Option<Self> {
        static FIRST: OnceLock<Option<Group>> = OnceLock::new();
        FIRST.get_or_init(Self::own).clone()
    }

    /// The group of this process, if the system has groups of version 2.
    pub(crate) fn own() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let dir = place(&groups, &mounts)?;
        dir.is_dir().then_some(Self { dir })
    }

    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes room for groups beside this process, if its group was given to it alone. Says
    /// whether it did.
    pub(crate) fn make_room(&self, own_pid: u32) -> io::Result<bool> {
        if self.dir.ends_with(LEAF) {
            return Ok(false);
        }
        let wanted: String = self
            .read("cgroup.controllers")
            .split_whitespace()
            .filter(|it| matches!(*it, "memory" | "cpu" | "pids"))
            .map(|it| format!("+{it} "))
            .collect();
        // Last: where many live, the system has much to list.
        if wanted.is_empty() || self.read("cgroup.procs").trim() != own_pid.to_string() {
            return Ok(false);
        }
        let leaf = self.dir.join(LEAF);
        match fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::write(leaf.join("cgroup.procs"), own_pid.to_string())?;
        fs::write(self.dir.join("cgroup.subtree_control"), wanted.trim())?;
        Ok(true)
    }

    /// Makes a group with limits, for a process whose own group this is. What it says when
    /// it cannot is for people.
    pub(crate) fn with_limits(&self, name: &str, limits: &Limits) -> Result<Self, String> {
        let Some(parent) = self.dir.parent().filter(|_| self.dir.ends_with(LEAF)) else {
            return Err("the slave's control group was not delegated to it alone".to_owned());
        };
        let parent = Self::at(parent.to_owned());
        let given = parent.read("cgroup.subtree_control");
        let files = limits.files();
        for (file, _, controller) in &files {
            if !given.split_whitespace().any(|it| it == *controller) {
                return Err(format!(
                    "`{file}` needs the controller `{controller}`, which the slave's control group does not have"
                ));
            }
        }
        let group = Self::at(parent.dir.join(name));
        let made = || {
            match fs::create_dir(&group.dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            for (file, value, _) in &files {
                fs::write(group.dir.join(file), value)?;
            }
            Ok(())
        };
        if let Err(error) = made() {
            group.remove();
            return Err(format!(
                "control group `{}` cannot be made: {error}",
                group.dir.display()
            ));
        }
        if limits.memory.is_some() {
            // Otherwise it would only begin to swap. Some systems do not count swap.
            let _ = fs::write(group.dir.join("memory.swap.max"), "0");
        }
        Ok(group)
    }

    /// Moves this process into the group.
    pub(crate) fn enter(&self) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), "0")
    }

    /// Kills all that is in it.
    pub(crate) fn kill(&self) {
        // Kernels before 5.14 do not have it; the tree is killed as well.
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
    }

    /// Removes it, if nothing is left in it.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir(&self.dir);
    }

    /// How often the system has killed something in it because its memory was used up.
    pub(crate) fn oom_kills(&self) -> u64 {
        oom_kills(&self.read("memory.events"))
    }

    /// The most memory that it had, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.read("memory.peak").trim().parse().ok()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap_or_default()
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
        let group = Group::at(dir.path().to_owned());
        assert_eq!(group.oom_kills(), 0, "a group without a count");
        fs::write(dir.path().join("memory.events"), events).expect("written");
        assert_eq!(group.oom_kills(), 2);
    }

    /// Plain files stand for the system's.
    fn delegated(controllers: &str, processes: &str) -> (tempfile::TempDir, Group) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("cgroup.controllers"), controllers).expect("written");
        fs::write(dir.path().join("cgroup.procs"), processes).expect("written");
        let group = Group::at(dir.path().to_owned());
        (dir, group)
    }

    #[test]
    fn a_slave_alone_in_its_group_makes_room_and_others_are_left_where_they_are() {
        let (dir, group) = delegated("cpuset cpu io memory pids\n", "42\n");
        assert!(group.make_room(42).expect("made"));
        let read = |file: &str| fs::read_to_string(dir.path().join(file)).expect(file);
        assert_eq!(read("autobot-slave/cgroup.procs"), "42");
        assert_eq!(read("cgroup.subtree_control"), "+cpu +memory +pids");
        let leaf = Group::at(dir.path().join(LEAF));
        assert!(!leaf.make_room(42).expect("nothing to do"));

        let (dir, group) = delegated("memory\n", "42\n43\n");
        assert!(!group.make_room(42).expect("nothing done"));
        assert!(!dir.path().join(LEAF).exists());
        let (_dir, group) = delegated("\n", "42\n");
        assert!(!group.make_room(42).expect("nothing done"));
    }

    #[test]
    fn limits_are_written_in_the_words_of_the_system() {
        let (dir, group) = delegated("cpu memory pids", "42");
        group.make_room(42).expect("made");
        fs::write(dir.path().join("cgroup.subtree_control"), "cpu memory").expect("written");
        let leaf = Group::at(dir.path().join(LEAF));
        let mut limits = Limits {
            memory: Some(1 << 20),
            processor: Some(1500),
            processes: None,
        };
        let made = leaf.with_limits("autobot-1", &limits).expect("a group");
        assert_eq!(made.dir(), dir.path().join("autobot-1"));
        assert_eq!(made.read("memory.max"), "1048576");
        assert_eq!(made.read("cpu.max"), "150000 100000");
        limits.processes = Some(9);
        let refused = leaf.with_limits("autobot-2", &limits).expect_err("no pids");
        assert!(
            refused.starts_with("`pids.max` needs the controller `pids`"),
            "{refused}"
        );
        let refused = group.with_limits("x", &limits).expect_err("not delegated");
        assert_eq!(
            refused,
            "the slave's control group was not delegated to it alone"
        );
    }
}
