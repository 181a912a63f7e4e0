//! What a program has started, read from `/proc`, and how all of it is ended.
//! A process group is not enough: a child may leave it with `setsid`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// A process by a name that is never given to another one: numbers come
/// again, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessName {
    pub(crate) pid: i32,
    /// In clock ticks since the host was started.
    pub(crate) started: u64,
}

impl ProcessName {
    /// Names the process that has the number `pid` now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let started = Stat::read(pid)?.started;
        Some(Self { pid, started })
    }

    /// Names this process.
    pub(crate) fn own() -> Option<Self> {
        Self::of(Pid::as_raw(Some(rustix::process::getpid())))
    }

    pub(crate) fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|it| it.started == self.started && !it.is_zombie)
    }
}

/// Asks everything that descends from `root` to end, each process once, with the signal of
/// this number, if it is one.
pub(crate) fn end_descendants(root: Pid, signal: Option<i32>) {
    let signal = signal.and_then(Signal::from_named_raw);
    let signal = signal.unwrap_or(Signal::TERM);
    for pid in descendants(root) {
        // A process that is gone already is as good as one that obeys.
        let _ = kill_process(pid, signal);
    }
}

/// Kills everything that descends from `root`, and the process group of
/// `leader`, in which something may have been forked meanwhile.
pub(crate) fn kill_descendants(root: Pid, leader: Option<Pid>) {
    // Found first of all: who loses its parent is not found any more.
    let found = descendants(root);
    if let Some(leader) = leader {
        let _ = kill_process_group(leader, Signal::KILL);
    }
    for pid in found {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills the process group of `leader`, all of its descendants and itself.
pub(crate) fn kill_tree(leader: Pid) {
    kill_descendants(leader, Some(leader));
    let _ = kill_process(leader, Signal::KILL);
}

/// Kills a process that is known by its name, with its group and all of its descendants.
pub(crate) fn kill_named(name: ProcessName) {
    if name.is_alive()
        && let Some(pid) = Pid::from_raw(name.pid)
    {
        kill_tree(pid);
    }
}

/// Everything alive that descends from `root`, children before grandchildren.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut zombies = BTreeSet::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // A process may end while the list is read.
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(pid);
            if stat.is_zombie {
                zombies.insert(pid);
            }
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root.as_raw_nonzero().get()];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            next.push(child);
            if !zombies.contains(&child) {
                found.extend(Pid::from_raw(child));
            }
        }
    }
    found
}

/// A line of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_zombie: bool,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&line))
    }

    fn parse(line: &str) -> Option<Self> {
        // The name of the program is in brackets and may hold brackets and spaces.
        let (_, rest) = line.rsplit_once(')')?;
        let mut words = rest.split_ascii_whitespace();
        let is_zombie = matches!(words.next()?, "Z" | "X");
        let parent = words.next()?.parse().ok()?;
        let started = words.nth(17)?.parse().ok()?;
        Some(Self {
            is_zombie,
            parent,
            started,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line =
            "4242 (a) S 1 (b)) R 17 4242 4242 0 -1 4194304 80 0 0 0 1 2 0 0 20 0 1 0 987654 3 4";
        assert_eq!(
            Stat::parse(line),
            Some(Stat {
                is_zombie: false,
                parent: 17,
                started: 987_654
            })
        );
        assert_eq!(Stat::parse("4242 (a) S"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn a_process_knows_its_own_name() {
        let own = ProcessName::own().expect("this process");
        assert!(own.is_alive());
        let reborn = ProcessName {
            started: own.started + 1,
            ..own
        };
        assert!(!reborn.is_alive(), "the same number, another process");
    }
}
