//! How a command begins: where it works, by way of whom it is started, and what is said when it
//! cannot be.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Runner;
use super::now;
use crate::logs::disk;
use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Terms;
use crate::process::Piped;
use crate::process::cgroup::{Group, Limits};
use crate::process::pty;
use crate::process::pty::Pty;
use crate::process::spawn_on_terminal;
use crate::process::spawn_piped;
use crate::process::tree::ProcessName;
use crate::slave::LAUNCHER_VERB;
use crate::slave::MIRROR_VERB;
use crate::slave::disk::when_there_is_room;
use crate::slave::environment;
use crate::slave::follow::Follower;
use crate::slave::header;
use crate::slave::launcher;
use crate::slave::order::{Begun, Launch, NotLaunched};
use crate::slave::runner_log::{News, RunnerLog};
use crate::slave::running::Running;
use crate::wire::PASSWORD_VARIABLE;

/// Variables between this program and those that started it.
const OURS: [&str; 2] = [PASSWORD_VARIABLE, "NOTIFY_SOCKET"];

/// How long a launcher may take before the command's words are listened to.
const LAUNCH: Duration = Duration::from_secs(10);

impl Runner<'_> {
    /// Starts the command, or says how it ended without.
    pub(super) fn start(&mut self, begun: &mut Begun) -> Result<Running, Box<Exit>> {
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
            self.log.write();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How it ended, if the launcher did not become the command.
    pub(super) fn not_launched(&mut self) -> Option<Exit> {
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
}
