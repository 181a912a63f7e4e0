//! The runner: one small process for each command, which outlives the slave.
//! It owns the command's pipes, keeps what they say in the spool, watches the
//! clock, ends the command when it must, and writes the exit record last.
//!
//! It is there for every command, so it does nothing that costs time at the
//! start: no runtime, no threads, no argument parser. Most are forked by the
//! slave's `forker`, which has started this program once for all of them.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{WaitStatus, getpid, set_child_subreaper, setpgid, setsid};

use super::LAUNCHER_VERB;
use super::MIRROR_VERB;
use super::disk::{DISK, when_there_is_room};
use super::environment;
use super::follow::{Follower, Found};
use super::header;
use super::launcher;
use super::order::{
    Begun, CommandDir, Control, Ended, Launch, MOST_UNACKNOWLEDGED, NotLaunched, Order, STDIO,
    boot_id,
};
use super::runner_log::{News, RunnerLog};
use super::running::Running;
use super::work::claim_soon;
use crate::logs::disk;
use crate::logs::mask::{Masks, Stream};
use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Mask;
use crate::model::Terms;
use crate::model::Usage;
use crate::process::Piped;
use crate::process::account;
use crate::process::cgroup::{Group, Limits};
use crate::process::pty;
use crate::process::pty::Pty;
use crate::process::spawn_on_terminal;
use crate::process::spawn_piped;
use crate::process::tree;
use crate::process::tree::ProcessName;
use crate::wire::PASSWORD_VARIABLE;
use crate::wire::WireCommand;
use crate::wire::WireShell;

/// From the signal that asks to the signal that does not.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long output may pause when the command has ended and something that it
/// started still holds its pipes.
const LINGER: Duration = Duration::from_millis(500);

/// How long that may go on altogether.
const LINGER_IN_ALL: Duration = Duration::from_secs(5);

/// Variables between this program and those that started it.
const OURS: [&str; 2] = [PASSWORD_VARIABLE, "NOTIFY_SOCKET"];

/// The signal that cannot be caught, and what a shell says of who got it.
const KILLED: i32 = 9;
const KILLED_IN_SHELL: i32 = 128 + KILLED;

/// How often is looked whether all that was killed is gone.
const LOOK: Duration = Duration::from_millis(20);

/// How often is looked what is new in the files that are followed.
const FOLLOW: Duration = Duration::from_millis(500);

/// How long a launcher may take before the command's words are listened to.
const LAUNCH: Duration = Duration::from_secs(10);

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
            group: Group::own().map(|it| {
                let before = it.oom_kills();
                (it, before)
            }),
        })
    }

    /// Starts the command, or says how it ended without.
    fn start(&mut self, begun: &mut Begun) -> Result<Running, Box<Exit>> {
        let workdir = match self.workdir() {
            Ok(workdir) => workdir,
            Err(error) => {
                let workdir = &self.shell.workdir;
                let why = format!("the directory `{workdir}` cannot be made: {error}");
                return Err(Box::new(self.not_started(126, why)));
            }
        };
        // What is between this program and those that started it is not the command's.
        let own = env::vars_os()
            .filter(|(name, _)| !OURS.iter().any(|it| name == it))
            .collect();
        let env = environment::lay_over(&own, &self.shell.env, &workdir);
        if let Err(error) = self.begin_to_follow(&workdir) {
            let why = format!("the slave cannot write its spool: {error}");
            return Err(Box::new(self.not_started(126, why)));
        }
        let hide = |text: &str| self.masks.hide(text);
        let before = header::before(&self.shell, &workdir, &env, &hide);
        self.say(before);
        if self.dir.interrupt().exists() {
            self.why = Some(ExitCause::Interrupted);
            self.say(header::INTERRUPTED.to_owned());
            return Err(Box::new(self.exit(-1)));
        }
        let argv: Vec<OsString> = header::argv(&self.shell.line)
            .into_iter()
            .map(OsString::from)
            .collect();
        let group = self.own_group()?;
        begun.group = group.as_ref().map(|it| it.dir().to_owned());
        match self.spawn(&argv, &env, &workdir, group.as_ref()) {
            Ok(mut running) => {
                running.group = group;
                begun.child = ProcessName::of(running.pid.as_raw_nonzero().get());
                // Only to end what is left if this runner is killed: not worth failing.
                let _ = self.dir.add_to_begun(begun);
                self.path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
                self.hear_launcher(&mut running);
                Ok(running)
            }
            Err(error) => {
                self.path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
                let (code, why) = self.no_program(&error);
                Err(Box::new(self.not_started(code, why)))
            }
        }
    }

    /// Why the program of the command cannot be started, with the code that shells have for it.
    fn no_program(&self, error: &io::Error) -> (i32, String) {
        let argv = header::argv(&self.shell.line);
        let name = argv.first().map_or("", String::as_str);
        let path = self.path.display();
        match error.kind() {
            io::ErrorKind::NotFound if name.contains('/') => (
                127,
                format!("`{name}` is not there, or the interpreter that it names is not"),
            ),
            io::ErrorKind::NotFound => (
                127,
                format!("program `{name}` is not found; PATH is `{path}`"),
            ),
            io::ErrorKind::PermissionDenied => {
                (126, format!("`{name}` is not allowed to run: {error}"))
            }
            _ => (126, format!("`{name}` cannot be started: {error}")),
        }
    }

    fn begin_to_follow(&mut self, workdir: &Path) -> io::Result<()> {
        for (place, logfile) in (1..).zip(self.shell.logfiles.values()) {
            let (dir, token) = (self.dir, self.token);
            let log = when_there_is_room(dir, &mut self.news, || {
                RunnerLog::create(&dir.log(place), News::new(dir.news(), token))
            })?;
            let path = workdir.join(&logfile.path);
            self.followers
                .push(Follower::new(path, logfile.follow, log));
        }
        Ok(())
    }

    /// The control group for the command, if it is to have one and can.
    fn own_group(&mut self) -> Result<Option<Group>, Box<Exit>> {
        let wanted = &self.shell.terms.group;
        if !wanted.is_limited() {
            return Ok(None);
        }
        let limits = Limits {
            memory: wanted.memory_max,
            processor: wanted.cpu_max,
            processes: wanted.pids_max,
        };
        let name = self.dir.path().file_name().unwrap_or_default();
        let name = format!("autobot-{}-{:x}", name.display(), self.token);
        let made = match &self.group {
            Some((own, _)) => own.with_limits(&name, &limits),
            None => Err("the slave's host has no control groups of version 2".to_owned()),
        };
        match made {
            Ok(group) => {
                self.group = Some((group.clone(), 0));
                self.has_own_group = true;
                Ok(Some(group))
            }
            Err(why) if wanted.required => {
                let why = format!("the limits of the command cannot be set: {why}");
                Err(Box::new(self.not_started(126, why)))
            }
            Err(why) => {
                self.say(format!(
                    "`memory_max`, `cpu_max` and `pids_max` are not applied: {why}\n"
                ));
                Ok(None)
            }
        }
    }

    fn spawn(
        &mut self,
        argv: &[OsString],
        env: &environment::Environment,
        workdir: &Path,
        group: Option<&Group>,
    ) -> io::Result<Running> {
        let terms = &self.shell.terms;
        let mut line = argv.to_vec();
        if let Some(mirror) = &self.shell.mirror {
            let dir = self.dir;
            when_there_is_room(dir, &mut self.news, || dir.write_mirror(mirror))?;
            line = self.by_way_of(MIRROR_VERB, &line);
        }
        if terms.has_to_be_launched() {
            let launch = Launch {
                terms: Terms::clone(terms),
                group: group.map(|it| it.dir().to_owned()),
            };
            let dir = self.dir;
            when_there_is_room(dir, &mut self.news, || dir.write_launch(&launch))?;
            line = self.by_way_of(LAUNCHER_VERB, &line);
        }
        let program = Piped {
            argv: &line,
            env,
            dir: workdir,
            has_stdin: !self.input.is_empty(),
        };
        if !terms.use_pty {
            return Ok(Running::new(spawn_piped(&program)?, None, self.started));
        }
        let Pty { ours, theirs } = pty::open()?;
        let child = spawn_on_terminal(&program, &theirs)?;
        Ok(Running::new(child, Some(ours), self.started))
    }

    /// The line that makes this program do something before it is the command.
    fn by_way_of(&self, verb: &str, argv: &[OsString]) -> Vec<OsString> {
        let mut line = vec![
            OsString::from("/proc/self/exe"),
            OsString::from(verb),
            self.dir.path().into(),
        ];
        line.extend(launcher::spelled(argv));
        line
    }

    /// Says what the launcher could not give the command, before that says anything.
    fn hear_launcher(&mut self, child: &mut Running) {
        if !self.shell.terms.has_to_be_launched() {
            return;
        }
        let until = now() + LAUNCH;
        loop {
            if let Ok(Some(launched)) = self.dir.launched() {
                for note in launched.notes {
                    self.say(format!("{note}\n"));
                }
                return;
            }
            child.reap();
            if child.status.is_some() || now() > until {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How it ended, if the launcher did not become the command.
    fn not_launched(&mut self) -> Option<Exit> {
        if !self.shell.terms.has_to_be_launched() {
            return None;
        }
        let failed: NotLaunched = self.dir.not_launched().ok()??;
        let error = failed.error();
        let (code, why) = match failed.doing {
            Some(doing) => (126, format!("the command cannot {doing}: {error}")),
            None => self.no_program(&error),
        };
        Some(self.not_started(code, why))
    }

    fn workdir(&mut self) -> io::Result<PathBuf> {
        let basedir = self.dir.basedir();
        let basedir = basedir.ok_or_else(|| io::Error::other("the spool has no place"))?;
        let workdir = basedir.join(&self.shell.workdir);
        when_there_is_room(self.dir, &mut self.news, || {
            match std::fs::create_dir_all(&workdir) {
                // Where it is to be is the build's business; that there is no room is not.
                Err(error) if !disk::is_full(&error) => Ok(Err(error)),
                made => made.map(Ok),
            }
        })??;
        Ok(workdir)
    }

    fn not_started(&mut self, code: i32, why: String) -> Exit {
        let why = self.masks.hide(&why);
        self.log
            .push(Channel::Stderr, format!("{why}\n").as_bytes());
        self.why = Some(ExitCause::NotStarted(why));
        self.exit(code)
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

    /// Waits for something to happen and carries what was said to the spool.
    fn pump(&mut self, child: &mut Running, wait: Option<Duration>) {
        let is_held_back = self.is_held_back();
        let ready = {
            let mut fds = Vec::with_capacity(5);
            let mut whose = Vec::with_capacity(5);
            let mut watch = |who: Who, fd, flags| {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                whose.push(who);
            };
            watch(Who::Control, self.control.as_fd(), PollFlags::IN);
            if let (Some(pidfd), None) = (&child.pidfd, child.status) {
                watch(Who::Child, pidfd.as_fd(), PollFlags::IN);
            }
            if let Some((stdin, _)) = &child.stdin {
                watch(Who::Stdin, stdin.as_fd(), PollFlags::OUT);
            }
            for (place, output) in child.outputs.iter().enumerate() {
                if let (Some(output), false) = (output, is_held_back) {
                    watch(Who::Output(place), output.as_fd(), PollFlags::IN);
                }
            }
            let limit = wait.and_then(|it| {
                // Rounded up: a wait that ends too early is a loop that spins.
                Timespec::try_from(it + Duration::from_micros(1)).ok()
            });
            // A signal ends the wait early, which is harmless.
            let _ = poll(&mut fds, limit.as_ref());
            let heard = fds.iter().map(|fd| !fd.revents().is_empty());
            whose
                .into_iter()
                .zip(heard)
                .filter_map(|(who, is_ready)| is_ready.then_some(who))
                .collect::<Vec<_>>()
        };
        for who in ready {
            match who {
                // Reaped at the start of the next round.
                Who::Child => {}
                Who::Control => self.hear_control(child),
                Who::Stdin => child.feed(&self.input),
                Who::Output(place) => self.read_output(child, place),
            }
        }
        self.log.write();
        for follower in &mut self.followers {
            follower.log.write();
        }
    }

    fn read_output(&mut self, child: &mut Running, place: usize) {
        let Some(output) = &child.outputs[place] else {
            return;
        };
        let (channel, is_wanted) = match place {
            0 => (Channel::Stdout, self.shell.want_stdout),
            _ => (Channel::Stderr, self.shell.want_stderr),
        };
        let read = if self.masks.is_empty() {
            self.log.read_from(output, channel, is_wanted)
        } else {
            let stream = &mut self.streams[place];
            self.log.read_masked(output, channel, is_wanted, |piece| {
                stream.push(piece, &self.masks)
            })
        };
        match read {
            Ok(0) => child.outputs[place] = None,
            Ok(_) => child.last_heard = now(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => child.outputs[place] = None,
        }
    }

    /// Says what was held back because it might have become a secret: it did not.
    fn let_go(&mut self) {
        let channels = [Channel::Stdout, Channel::Stderr];
        for (stream, channel) in self.streams.iter_mut().zip(channels) {
            self.log.push(channel, &stream.finish(&self.masks));
        }
    }

    fn hear_control(&mut self, child: &mut Running) {
        let mut buffer = [0; 64 * Control::SIZE];
        let Ok(read) = rustix::io::read(&self.control, &mut buffer[..]) else {
            return;
        };
        self.heard.extend_from_slice(&buffer[..read]);
        let whole = self.heard.len() / Control::SIZE * Control::SIZE;
        let messages: Vec<u8> = self.heard.drain(..whole).collect();
        for message in messages.as_chunks().0 {
            match Control::from_bytes(*message) {
                Some(Control::Acknowledged { log: 0, offset }) => {
                    self.acknowledged = self.acknowledged.max(offset);
                }
                Some(Control::Acknowledged { log, offset }) => {
                    if let Some(it) = self.followers.get_mut(usize::from(log) - 1) {
                        it.acknowledged = it.acknowledged.max(offset);
                    }
                }
                Some(Control::Interrupt) if child.status.is_none() => {
                    let text = header::INTERRUPTED.to_owned();
                    self.end(child, ExitCause::Interrupted, text);
                }
                Some(Control::Interrupt) | None => {}
            }
        }
    }

    fn say(&mut self, text: String) {
        let text = header::masked(self.masks.hide(&text), &self.shell.mask);
        self.log.push_header(&text);
        self.log.write();
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

/// What something has happened to.
enum Who {
    Control,
    Child,
    Stdin,
    Output(usize),
}
