//! A slave that commands start and stop: a script, the tool of a cloud or of
//! a batch system. The slave dials in by itself, with its password.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use crate::clock;
use crate::config::{CommandLaunch, Launch, SlavePlan};
use crate::master::crew::Crew;
use crate::master::fleet::{CommandMeans, Line, Means, Record, State};
use crate::master::leave::LAST_WORDS;
use crate::model::Command;
use crate::model::Properties;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::SlaveName;
use crate::model::Text;
use crate::model::hide;
use crate::process::Told;
use crate::syntax::CommandText;
use crate::syntax::LONGEST_DURATION;
use crate::wire::FromMaster;

/// Below the master's directory: the commands' logs, and passwords while slaves are started.
const DIR: &str = "launch";
/// What a command that stops a slave may take.
const STOP_LIMIT: Duration = Duration::from_mins(20);
/// What a command that looks for a slave may take.
const STATUS_LIMIT: Duration = Duration::from_mins(1);

/// Runs the command that starts the slave. It ends before the slave is here.
pub(super) async fn start(
    crew: &Arc<Crew>,
    slave: &SlavePlan,
    launch: &CommandLaunch,
) -> Result<(), String> {
    give_password(crew, slave)?;
    let Some(Means::Command(means)) = Means::of(slave) else {
        return Err("it is not started by a command any more".into());
    };
    let line = Line::of(&launch.start);
    let running = Running::spawn(crew, &slave.name, &means, "start_command", &line)?;
    let (since, state) = (clock::now(), State::Starting);
    let record = Record {
        state,
        since,
        means: Means::Command(means),
        starter: running.telling.name(),
    };
    crew.write_slave(&slave.name, Some(record.clone())).await;
    let patience = slave.missing_timeout.unwrap_or(LONGEST_DURATION);
    running.end(patience).await?;
    let starter = None;
    let over = Record { starter, ..record };
    // Who attaches meanwhile is written down as being up.
    let is_up = |it: Record| it.state == State::Up;
    if !crew.fleet.record(&slave.name).is_some_and(is_up) {
        crew.write_slave(&slave.name, Some(over)).await;
    }
    Ok(())
}

/// Runs the command that stops the slave; without one, the slave itself is told to end.
pub(super) async fn stop(
    crew: &Arc<Crew>,
    slave: &SlaveName,
    means: &CommandMeans,
) -> Result<(), String> {
    let Some(line) = &means.stop else {
        if let Some(session) = crew.slaves.session(slave) {
            session.leaving.cancel();
            session.say(FromMaster::Shutdown).await;
            drop(time::timeout(LAST_WORDS, session.closed.cancelled()).await);
        }
        return Ok(());
    };
    let stopped = match Running::spawn(crew, slave, means, "stop_command", line) {
        Ok(running) => running.end(STOP_LIMIT).await,
        Err(why) => Err(why),
    };
    match stopped {
        // What is gone already need not be stopped.
        Err(_) if is_there(crew, slave, means).await == Some(false) => Ok(()),
        stopped => stopped,
    }
}

/// Whether the slave's machine is there; `None` if nothing can tell.
pub(super) async fn is_there(
    crew: &Arc<Crew>,
    slave: &SlaveName,
    means: &CommandMeans,
) -> Option<bool> {
    let line = means.status.as_ref()?;
    let running = Running::spawn(crew, slave, means, "status_command", line).ok()?;
    let answer = running.telling.end(STATUS_LIMIT).await.ok()??;
    Some(answer.code? == 0)
}

/// A command that runs.
struct Running {
    key: &'static str,
    telling: crate::process::Telling,
    masks: Vec<crate::model::Mask>,
}

impl Running {
    fn spawn(
        crew: &Arc<Crew>,
        slave: &SlaveName,
        means: &CommandMeans,
        key: &'static str,
        line: &Line,
    ) -> Result<Self, String> {
        let failed = |why: String| format!("failed to run its {key}: {why}");
        let facts = Facts::of(crew, slave, means);
        let shell = facts.shell(means, line).map_err(failed)?;
        let secrets = &crew.plan().secrets;
        let revealed = secrets.reveal(&Command::Shell(shell));
        let revealed = revealed.map_err(|error| failed(error.to_string()))?;
        let Command::Shell(shell) = revealed.command else {
            return Err(failed("it is no command".into()));
        };
        let argv = match shell.line {
            ShellLine::Argv(words) => words,
            ShellLine::Script(line) => vec!["/bin/sh".into(), "-c".into(), line],
        };
        let log = file(crew, slave, &format!("{key}.log")).map_err(failed)?;
        let told = Told {
            argv: &argv,
            env: &shell.env,
            without: &secrets.variables(),
            dir: &crew.dir,
            log: &log,
        };
        let telling = told.spawn().map_err(|error| {
            let program = hide(&argv[0], &revealed.masks);
            failed(format!("`{program}` cannot be started: {error}"))
        })?;
        Ok(Self {
            key,
            telling,
            masks: revealed.masks,
        })
    }

    async fn end(self, limit: Duration) -> Result<(), String> {
        let key = self.key;
        let answer = self.telling.end(limit).await;
        let answer = answer.map_err(|error| format!("failed to run its {key}: {error}"))?;
        let Some(answer) = answer else {
            let limit = clock::human(limit);
            return Err(format!("its {key} took longer than {limit} and was killed"));
        };
        if answer.code == Some(0) {
            return Ok(());
        }
        let mut why = match answer.code {
            Some(code) => format!("its {key} ended with exit status {code}"),
            None => format!("a signal ended its {key}"),
        };
        let tail = hide(&answer.tail, &self.masks);
        let tail: Vec<&str> = tail.lines().map(str::trim_end).collect();
        if !tail.is_empty() {
            why.push_str(": ");
            why.push_str(&tail[tail.len().saturating_sub(5)..].join(" | "));
        }
        Err(why)
    }
}

/// What the commands are told.
struct Facts {
    properties: Properties,
    env: BTreeMap<String, Option<String>>,
}

impl Facts {
    fn of(crew: &Crew, slave: &SlaveName, means: &CommandMeans) -> Self {
        let plan = crew.plan();
        let known = plan.slaves.iter().find(|it| it.name == *slave);
        let own = known.and_then(|it| match &it.launch {
            Launch::Command(it) => it.master_host.clone(),
            _ => None,
        });
        let address = plan.master.slaveport;
        let host = own.unwrap_or_else(|| match address {
            Some(address) if !address.ip().is_unspecified() => address.ip().to_string(),
            _ => {
                let system = rustix::system::uname();
                system.nodename().to_string_lossy().into_owned()
            }
        });
        let port = address.map_or(String::new(), |it| it.port().to_string());
        let password = file(crew, slave, "password").unwrap_or_default();
        let mut properties = Properties::new();
        for (name, value) in &means.properties {
            properties.set(name.clone(), value.clone(), "BuildSlave");
        }
        let mut env = BTreeMap::new();
        for (name, variable, value) in [
            ("slavename", "AUTOBOT_SLAVE", slave.to_string()),
            ("master_host", "AUTOBOT_MASTER_HOST", host),
            ("master_port", "AUTOBOT_MASTER_PORT", port),
            (
                "password_file",
                "AUTOBOT_PASSWORD_FILE",
                password.to_string_lossy().into_owned(),
            ),
        ] {
            properties.set(name, value.clone(), "launch");
            env.insert(variable.to_owned(), Some(value));
        }
        Self { properties, env }
    }

    /// The command, without its secrets.
    fn shell(self, means: &CommandMeans, line: &Line) -> Result<Shell, String> {
        let line = line.read()?;
        let rendered = line.render_with_holes(&self.properties);
        let (line, holes) = rendered.map_err(|error| error.to_string())?;
        let mut shell = Shell::new(line, "");
        shell.holes = holes;
        shell.env = self.env;
        for (name, value) in &means.env {
            let Some(value) = value else {
                shell.env.insert(name.clone(), None);
                continue;
            };
            let text = Text::parse(value).map_err(|error| error.what)?;
            let rendered = text.render_with_holes(&self.properties);
            let (value, holes) = rendered.map_err(|error| error.to_string())?;
            for (at, secret) in holes {
                let within = crate::model::HoleIn::Env(name.clone());
                shell
                    .holes
                    .push(crate::model::SecretHole { within, at, secret });
            }
            shell.env.insert(name.clone(), Some(value));
        }
        Ok(shell)
    }
}

impl Line {
    pub(super) fn of(command: &CommandText) -> Self {
        match command {
            CommandText::Argv(words) => Self::Argv(words.iter().map(ToString::to_string).collect()),
            CommandText::Script(line) => Self::Script(line.to_string()),
        }
    }

    fn read(&self) -> Result<CommandText, String> {
        let text = |text: &String| Text::parse(text).map_err(|error| error.what);
        match self {
            Self::Argv(words) => {
                let words: Result<_, String> = words.iter().map(text).collect();
                words.map(CommandText::Argv)
            }
            Self::Script(line) => text(line).map(CommandText::Script),
        }
    }
}

/// Writes the slave's password down for the command that starts it, for nobody else to read.
fn give_password(crew: &Crew, slave: &SlavePlan) -> Result<(), String> {
    let password = slave.password.reveal(&crew.plan().secrets);
    let password = password.map_err(|error| format!("its password cannot be read: {error}"))?;
    let path = file(crew, &slave.name, "password")?;
    let written = crate::process::private_file(&path).and_then(|mut it| writeln!(it, "{password}"));
    written.map_err(|error| format!("failed to write `{}`: {error}", path.display()))
}

/// Takes the password away again: the slave is here, or will not be.
pub(super) fn forget_password(crew: &Crew, slave: &SlaveName) {
    // It may never have been there.
    drop(fs::remove_file(directory(crew, slave).join("password")));
}

/// A file of the slave below the master's directory, whose directory is made.
fn file(crew: &Crew, slave: &SlaveName, name: &str) -> Result<PathBuf, String> {
    let dir = directory(crew, slave);
    let made = fs::create_dir_all(&dir);
    made.map_err(|error| format!("failed to make `{}`: {error}", dir.display()))?;
    Ok(dir.join(name))
}

fn directory(crew: &Crew, slave: &SlaveName) -> PathBuf {
    // A name may hold anything; no two give the same directory.
    let plain = slave.as_str().bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => (byte as char).to_string(),
        _ => format!("%{byte:02x}"),
    });
    crew.dir.join(DIR).join(plain.collect::<String>())
}
