//! The runner: one small process for each command, which outlives the slave.
//! It owns the command's pipes, keeps what they say in the spool, watches the
//! clock, ends the command when it must, and writes the exit record last.
//!
//! It is there for every command, so it does nothing that costs time at the
//! start: no runtime, no threads, no argument parser. Most are forked by the
//! slave's `forker`, which has started this program once for all of them.

mod pump;
mod start;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitStatus, getpid, set_child_subreaper, setpgid, setsid};

use super::disk::{DISK, when_there_is_room};
use super::follow::{Follower, Found};
use super::header;
use super::order::{Begun, CommandDir, Ended, MOST_UNACKNOWLEDGED, Order, STDIO, boot_id};
use super::runner_log::{News, RunnerLog};
use super::running::Running;
use super::work::claim_soon;
use crate::logs::mask::{Masks, Stream};
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Mask;
use crate::model::Usage;
use crate::process::account;
use crate::process::cgroup::Group;
use crate::process::pty;
use crate::process::tree;
use crate::process::tree::ProcessName;
use crate::wire::WireCommand;
use crate::wire::WireShell;

/// From the signal that asks to the signal that does not.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long output may pause when the command has ended and something that it
/// started still holds its pipes.
const LINGER: Duration = Duration::from_millis(500);

/// How long that may go on altogether.
const LINGER_IN_ALL: Duration = Duration::from_secs(5);

/// The signal that cannot be caught, and what a shell says of who got it.
const KILLED: i32 = 9;
const KILLED_IN_SHELL: i32 = 128 + KILLED;

/// How often is looked whether all that was killed is gone, and how late the slave is told of
/// what more was to follow.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// How often is looked what is new in the files that are followed.
const FOLLOW: Duration = Duration::from_millis(500);

/// Carries out the command in the spool directory `dir`.
pub(crate) fn runner_main(dir: &Path) -> ExitCode {
    // Fails when this is a leader already, which is as good.
    let _ = setsid();
    match carry_out(&CommandDir::new(dir.to_owned())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The slave shows the last of this when it finds no exit record.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads what is the same for all runners that are forked from this process.
pub(super) fn prepare() {
    boot_id();
    Group::own_at_first();
}

/// Is the runner of `dir`, in a session that has no terminal.
pub(super) fn carry_out(dir: &CommandDir) -> io::Result<()> {
    // Fails for the leader of a session, which leads a group, too.
    let _ = setpgid(None, None);
    // What loses its parent becomes a child of this process, so that it is found.
    set_child_subreaper(Some(getpid()))?;
    let Some(_claim) = claim_soon(dir, std::thread::sleep)? else {
        return Ok(());
    };
    if dir.begun()?.is_some() || dir.ended()?.is_some() {
        return Ok(());
    }
    let mut begun = Begun {
        boot_id: boot_id(),
        runner: ProcessName::own(),
        child: None,
        group: None,
    };
    let order = dir.order()?;
    let mut news = News::new(dir.news(), order.token);
    when_there_is_room(dir, &mut news, || dir.write_begun(&begun))?;
    // From here on nobody begins this command anew, so nobody needs what it was.
    let unspent = order.spent().filter(|it| dir.write_order(it).is_err());
    let WireCommand::Shell(shell) = order.command else {
        return Err(io::Error::other("only command lines have a runner"));
    };
    let mut runner = Runner::new(dir, shell, order.token, news)?;
    runner.unspent = unspent;
    let exit = match runner.start(&mut begun) {
        Ok(child) => runner.watch(child),
        Err(exit) => *exit,
    };
    runner.finish(exit)
}

#[expect(clippy::disallowed_methods, reason = "the runner has its own clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

struct Runner<'a> {
    dir: &'a CommandDir,
    shell: WireShell,
    /// The order without its secrets, while the disk does not take it.
    unspent: Option<Order>,
    masks: Masks,
    /// Standard output and standard error on their way to the log.
    streams: [Stream; 2],
    log: RunnerLog,
    /// The files that are logs of their own, in the order of their logs.
    followers: Vec<Follower>,
    next_follow: Instant,
    /// For what waits without being in a log.
    news: News,
    token: u64,
    /// What is written to the command.
    input: Vec<u8>,
    control: OwnedFd,
    heard: Vec<u8>,
    started: Instant,
    acknowledged: u64,
    /// Why the command is being ended, once it is.
    why: Option<ExitCause>,
    /// Where this process runs, and how many were killed there for want of memory before.
    group: Option<(Group, u64)>,
    /// Whether that is the command's alone.
    has_own_group: bool,
    /// Where the command looks for programs.
    path: OsString,
}

impl<'a> Runner<'a> {
    fn new(dir: &'a CommandDir, shell: WireShell, token: u64, mut news: News) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let control = rustix::fs::open(dir.control(), flags, Mode::empty())?;
        let log = when_there_is_room(dir, &mut news, || {
            RunnerLog::create(&dir.log(0), News::new(dir.news(), token))
        })?;
        let input = match shell.terms.use_pty {
            true => pty::typed(&shell.initial_stdin),
            false => shell.initial_stdin.clone(),
        };
        let masks: Vec<Mask> = shell.secrets.iter().cloned().map(Mask::from).collect();
        Ok(Self {
            dir,
            followers: Vec::new(),
            news,
            next_follow: now(),
            token,
            input,
            masks: Masks::new(&masks),
            shell,
            unspent: None,
            streams: Default::default(),
            log,
            control,
            heard: Vec::new(),
            started: now(),
            acknowledged: 0,
            why: None,
            has_own_group: false,
            path: OsString::new(),
            group: Group::own_at_first().map(|it| {
                let before = it.oom_kills();
                (it, before)
            }),
        })
    }

    /// Pumps and watches until the command has ended.
    fn watch(&mut self, mut child: Running) -> Exit {
        loop {
            child.reap();
            let now = now();
            if self.is_held_back() {
                // Who cannot speak is not silent.
                child.last_heard = now;
            }
            self.follow(&mut child, now);
            self.watch_the_clock(&mut child, now);
            if self.is_over(&mut child, now) {
                break;
            }
            let wait = self.next_look(&child, now);
            self.pump(&mut child, wait);
        }
        self.let_go();
        self.follow_to_the_end(&mut child);
        if self.why.is_none()
            && let Some(exit) = self.not_launched()
        {
            return exit;
        }
        let signal = child.status.and_then(WaitStatus::terminating_signal);
        let code = child.status.and_then(WaitStatus::exit_status).unwrap_or(-1);
        let usage = self.usage(&child, signal, code);
        let after = header::after(signal, &usage, now().duration_since(self.started));
        self.say(after);
        let mut exit = if self.why.is_some() {
            // Who was ended did not succeed, whatever it says.
            self.exit(if code == 0 { -1 } else { code })
        } else {
            self.why = signal.map(ExitCause::Signal);
            self.exit(code)
        };
        exit.usage = Some(usage);
        if let Some(group) = &child.group {
            group.remove();
        }
        exit
    }

    /// Looks now and then what is new in the files that are followed.
    fn follow(&mut self, child: &mut Running, now: Instant) {
        if now < self.next_follow {
            return;
        }
        self.next_follow = now + FOLLOW;
        for follower in &mut self.followers {
            match follower.look(&self.masks) {
                Found::Nothing => {}
                Found::Something => child.last_heard = now,
                Found::More => {
                    child.last_heard = now;
                    self.next_follow = now;
                }
                // Who cannot speak is not silent.
                Found::HeldBack => child.last_heard = now,
            }
        }
    }

    /// Takes all that the files have when the command has ended.
    fn follow_to_the_end(&mut self, child: &mut Running) {
        loop {
            let mut is_held_back = false;
            let mut has_more = false;
            for follower in &mut self.followers {
                match follower.look_at_the_end(&self.masks) {
                    Found::Nothing | Found::Something => {}
                    Found::More => has_more = true,
                    Found::HeldBack => is_held_back = true,
                }
            }
            if !has_more && !is_held_back {
                return;
            }
            if !has_more {
                self.pump(child, Some(DISK));
            }
            for follower in &mut self.followers {
                follower.log.write();
            }
        }
    }

    /// What the command took, with all that it had started.
    fn usage(&self, child: &Running, signal: Option<i32>, code: i32) -> Usage {
        let account = account::of_children();
        let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        // Others may run in the same group: somebody was killed there, and it may have been this.
        let is_killed = self.has_own_group || signal == Some(KILLED) || code == KILLED_IN_SHELL;
        let peak = child.group.as_ref().and_then(Group::peak_memory);
        let killed_there = self
            .group
            .as_ref()
            .is_some_and(|(it, before)| it.oom_kills() > *before);
        Usage {
            user_ms: millis(account.user),
            system_ms: millis(account.system),
            peak_memory: peak.unwrap_or(account.peak_memory),
            read_bytes: child.traffic.bytes.map(|it| it.0),
            written_bytes: child.traffic.bytes.map(|it| it.1),
            out_of_memory: self.why.is_none() && is_killed && killed_there,
        }
    }

    fn exit(&mut self, code: i32) -> Exit {
        let elapsed = now().duration_since(self.started);
        Exit::new(
            code,
            self.why.take().unwrap_or(ExitCause::Exited),
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        )
    }

    /// Whether the command has to wait: for the master, or for the disk.
    fn is_held_back(&self) -> bool {
        let unacknowledged = self.log.length().saturating_sub(self.acknowledged);
        unacknowledged > MOST_UNACKNOWLEDGED || self.log.has_pending()
    }

    fn silence_ends(&self, child: &Running) -> Option<Instant> {
        let limit = self.shell.timeout_ms.map(Duration::from_millis)?;
        child.last_heard.checked_add(limit)
    }

    fn max_time_ends(&self) -> Option<Instant> {
        let limit = self.shell.max_time_ms.map(Duration::from_millis)?;
        self.started.checked_add(limit)
    }

    fn watch_the_clock(&mut self, child: &mut Running, now: Instant) {
        if child.asked_to_end.is_none() && child.status.is_none() {
            if self.max_time_ends().is_some_and(|end| end <= now) {
                let limit = self.shell.max_time_ms.unwrap_or_default();
                let text = header::overtime(Duration::from_millis(limit));
                self.end(child, ExitCause::Overtime, text);
            } else if self.silence_ends(child).is_some_and(|end| end <= now) {
                let limit = self.shell.timeout_ms.unwrap_or_default();
                let text = header::silent(Duration::from_millis(limit));
                self.end(child, ExitCause::Silence, text);
            }
        }
        let patience = self.shell.terms.kill_after_ms.map(Duration::from_millis);
        let patience = patience.unwrap_or(GRACE);
        let asked = child.asked_to_end.and_then(|at| at.checked_add(patience));
        if asked.is_some_and(|end| now >= end) {
            child.kill();
        }
    }

    /// Asks all that was started to end.
    fn end(&mut self, child: &mut Running, why: ExitCause, text: String) {
        if child.asked_to_end.is_some() {
            return;
        }
        self.say(text);
        self.why = Some(why);
        child.asked_to_end = Some(now());
        tree::end_descendants(getpid(), self.shell.terms.signal);
    }

    fn is_over(&mut self, child: &mut Running, now: Instant) -> bool {
        let gave_up = child.killed.is_some_and(|at| now >= at + GRACE);
        let Some(ended) = child.ended else {
            if gave_up {
                self.say(header::UNKILLABLE.to_owned());
            }
            return gave_up;
        };
        if child.asked_to_end.is_some() && !child.is_alone && !gave_up {
            return false;
        }
        if child.outputs.iter().all(Option::is_none) || gave_up {
            return true;
        }
        let is_quiet = now >= child.last_heard.max(ended) + LINGER;
        if !self.is_held_back() && (is_quiet || now >= ended + LINGER_IN_ALL) {
            if !child.is_alone {
                self.say(header::LEFTOVERS.to_owned());
                child.kill_leftovers();
            }
            return true;
        }
        false
    }

    /// How long to wait at most for something to happen.
    fn next_look(&self, child: &Running, now: Instant) -> Option<Duration> {
        let mut wait: Option<Duration> = None;
        let mut at_most = |limit: Duration| wait = Some(wait.map_or(limit, |it| it.min(limit)));
        if child.asked_to_end.is_some() || child.ended.is_some() {
            at_most(LOOK);
        } else {
            let ends = [self.silence_ends(child), self.max_time_ends()];
            for end in ends.into_iter().flatten() {
                at_most(end.saturating_duration_since(now));
            }
        }
        let mut logs = self.followers.iter().map(|it| &it.log);
        if child.pidfd.is_none() || self.log.owes_news() || logs.any(RunnerLog::owes_news) {
            at_most(LOOK);
        }
        if self.log.has_pending() || self.is_held_back() {
            at_most(DISK);
        }
        if !self.followers.is_empty() {
            at_most(self.next_follow.saturating_duration_since(now));
        }
        wait
    }

    fn say(&mut self, text: String) {
        let text = header::masked(self.masks.hide(&text), &self.shell.mask);
        self.log.push_header(&text);
        self.log.write_ahead();
    }

    /// Writes down the end: what waits for the disk first, the record last.
    fn finish(mut self, exit: Exit) -> io::Result<()> {
        loop {
            self.log.write();
            let mut is_written = !self.log.has_pending();
            for follower in &mut self.followers {
                follower.log.write();
                is_written &= !follower.log.has_pending();
            }
            if is_written {
                break;
            }
            std::thread::sleep(DISK);
        }
        while let Some(spent) = &self.unspent
            && self.dir.write_order(spent).is_err()
            && self.dir.path().is_dir()
        {
            std::thread::sleep(DISK);
        }
        let mut logs = BTreeMap::from([(STDIO.to_owned(), self.log.length())]);
        let names = self.shell.logfiles.keys().cloned();
        let lengths = self.followers.iter().map(|it| it.log.length());
        // A command that never began has logs with nothing in them.
        logs.extend(names.zip(lengths.chain(std::iter::repeat(0))));
        let ended = Ended::new(exit, logs);
        // If somebody has cleared the spool away, nobody wants to know.
        let dir = self.dir;
        when_there_is_room(dir, &mut self.news, || dir.write_ended(&ended))?;
        self.log.tell_the_end();
        Ok(())
    }
}
