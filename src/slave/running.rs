//! A command that runs, in the hands of its runner: its pipes, its end, and
//! how it is ended with everything that it has started.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid, pidfd_open, wait,
    waitid,
};

use super::runner::{GRACE, now};
use crate::process::account::Traffic;
use crate::process::cgroup::Group;
use crate::process::tree;

/// A command that runs.
pub(super) struct Running {
    pub(super) pid: Pid,
    /// The control group of its own, if it has one.
    pub(super) group: Option<Group>,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) stdin: Option<(OwnedFd, usize)>,
    pub(super) outputs: [Option<OwnedFd>; 2],
    pub(super) status: Option<WaitStatus>,
    pub(super) ended: Option<Instant>,
    /// Whether nothing is left of all that was started.
    pub(super) is_alone: bool,
    pub(super) last_heard: Instant,
    pub(super) asked_to_end: Option<Instant>,
    pub(super) killed: Option<Instant>,
    /// What all that has ended had read and written.
    pub(super) traffic: Traffic,
}

impl Running {
    /// A command that was just started, on our end of a terminal or with pipes.
    pub(super) fn new(child: Child, terminal: Option<OwnedFd>, started: Instant) -> Self {
        let raw = i32::try_from(child.id()).expect("process numbers are small");
        let pid = Pid::from_raw(raw).expect("no child has the number 0");
        let (stdin, outputs) = match terminal {
            // Both are one; if there is no second handle, nothing is typed.
            Some(terminal) => (terminal.try_clone().ok(), [Some(terminal), None]),
            None => {
                let outputs = [
                    child.stdout.map(OwnedFd::from),
                    child.stderr.map(OwnedFd::from),
                ];
                (child.stdin.map(OwnedFd::from), outputs)
            }
        };
        if let Some(stdin) = &stdin {
            // Without this a program that does not read would stop its runner.
            let _ = rustix::io::ioctl_fionbio(stdin, true);
        }
        Self {
            pid,
            // Old kernels have none; then is looked often.
            pidfd: pidfd_open(pid, PidfdFlags::empty()).ok(),
            stdin: stdin.map(|it| (it, 0)),
            outputs,
            group: None,
            status: None,
            ended: None,
            is_alone: false,
            last_heard: started,
            asked_to_end: None,
            killed: None,
            traffic: Traffic::default(),
        }
    }

    /// The process group, which keeps its number only while somebody is in it.
    fn leader(&self) -> Option<Pid> {
        self.status.is_none().then_some(self.pid)
    }

    /// Buries whoever has ended: the command, and what lost its parent.
    pub(super) fn reap(&mut self) {
        // Somebody is there before the counts are looked at: most looks find nobody.
        let anybody = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::All, anybody) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_alone = true;
                    return;
                }
            }
            match self.traffic.around(|| wait(WaitOptions::NOHANG)) {
                Ok(Some((pid, status))) if pid == self.pid => {
                    self.status = Some(status);
                    self.ended = Some(now());
                    self.stdin = None;
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_alone = true;
                    return;
                }
            }
        }
    }

    /// Kills what is left; again at every look, as long as something forks.
    pub(super) fn kill(&mut self) {
        self.killed.get_or_insert_with(now);
        if let Some(group) = &self.group {
            group.kill();
        }
        tree::kill_descendants(getpid(), self.leader());
    }

    /// Kills what the command left behind, and waits a little for it.
    pub(super) fn kill_leftovers(&mut self) {
        let start = now();
        while !self.is_alone && now() < start + GRACE {
            self.kill();
            std::thread::sleep(Duration::from_millis(2));
            self.reap();
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Some((stdin, sent)) = &mut self.stdin else {
            return;
        };
        match rustix::io::write(&*stdin, &bytes[*sent..]) {
            Ok(written) => *sent += written,
            Err(Errno::AGAIN | Errno::INTR) => return,
            // It does not want to read more.
            Err(_) => *sent = bytes.len(),
        }
        if *sent == bytes.len() {
            self.stdin = None;
        }
    }
}
