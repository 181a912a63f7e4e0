//! The slave on a bench: a master that is played by the test, a line in
//! memory, and real runners, which are this test program called once more.

mod commands;
mod line;
mod mirror;
mod secrets;
mod terms;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::session::{Left, SessionError, serve};
use super::{
    LAUNCHER_VERB, MIRROR_VERB, RUNNER_VERB, Slave, SlaveError, SlaveSettings, launcher_main,
    mirror_main, runner_main,
};
use crate::logs::record;
use crate::model::BuildId;
use crate::model::Channel;
use crate::model::Command;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileCommand;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::process::tree::ProcessName;
use crate::wire::CommandState;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::login::master_login;
use crate::wire::native::{FrameReader, FrameWriter};

/// Nothing here takes so long; it ends a test that hangs.
const LONG: Duration = Duration::from_secs(50);

/// The test program is called as `PROGRAM __runner DIR` and takes both words
/// for parts of test names: only this one has such a name.
#[test]
#[expect(non_snake_case, reason = "the runner's verb has two underscores")]
fn this_program_is_also_the__runner() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|it| it == RUNNER_VERB)
        && let Some(dir) = args.next()
    {
        // Not `ExitCode`: the test program would go on to say how it went.
        let _ = runner_main(dir.as_ref());
        std::process::exit(0);
    }
}

/// And as `PROGRAM __launch DIR WORDS`, whose words are no part of any name.
#[test]
#[expect(non_snake_case, reason = "the launcher's verb has two underscores")]
fn this_program_is_also_the__launch() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|it| it == LAUNCHER_VERB)
        && let Some(dir) = args.next()
    {
        let words: Vec<_> = args.collect();
        let _ = launcher_main(dir.as_ref(), &words);
        std::process::exit(127);
    }
}

/// And as `PROGRAM __mirror DIR WORDS`.
#[test]
#[expect(non_snake_case, reason = "the mirror's verb has two underscores")]
fn this_program_is_also_the__mirror() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|it| it == MIRROR_VERB)
        && let Some(dir) = args.next()
    {
        let words: Vec<_> = args.collect();
        let code = mirror_main(dir.as_ref(), &words);
        // An exit code cannot be looked into.
        let code = (0..=255)
            .find(|it| ExitCode::from(*it) == code)
            .unwrap_or(255);
        std::process::exit(code.into());
    }
}

struct Bench {
    base: TempDir,
}

impl Bench {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        Self { base }
    }

    fn settings(&self) -> SlaveSettings {
        SlaveSettings {
            basedir: self.base.path().to_owned(),
            grounds: None,
            host: "localhost".to_owned(),
            port: 9989,
            tls: None,
            name: "linux-1".to_owned(),
            password: "secret".to_owned(),
            max_delay: Duration::from_secs(300),
            keepalive: None,
            umask: None,
            capabilities: BTreeMap::new(),
            going: CancellationToken::new(),
            watches_stamp: false,
            program: std::env::current_exe().unwrap(),
            follows_upgrades: false,
        }
    }

    /// A fresh slave process, as far as the master can tell, that has attached.
    async fn attach(&self) -> Master {
        self.attach_with_heartbeat(60).await
    }

    async fn attach_with_heartbeat(&self, secs: u64) -> Master {
        self.attach_as(self.settings(), secs).await
    }

    async fn attach_as(&self, settings: SlaveSettings, secs: u64) -> Master {
        let (near, far) = duplex(64 << 10);
        let mut slave = Slave::new(settings).unwrap();
        let task = tokio::spawn(async move {
            let (read, write) = split(near);
            let left = serve(&mut slave, read, write, &CancellationToken::new()).await;
            slave.end().await;
            left
        });
        let (read, write) = split(far);
        let mut reader = FrameReader::new(read);
        let mut writer = FrameWriter::new(write);
        let lookup = |_: &str| Some("secret".to_owned());
        let caller = master_login(&mut reader, &mut writer, lookup)
            .await
            .unwrap();
        let heartbeat = Duration::from_secs(secs);
        caller
            .welcome(&mut writer, "store", heartbeat)
            .await
            .unwrap();
        let mut master = Master {
            reader,
            writer,
            task,
            commands: Vec::new(),
            logs: BTreeMap::new(),
            side: BTreeMap::new(),
            is_acknowledging: true,
        };
        let FromSlave::Attached { facts, commands } = master.hear().await else {
            panic!("not attached");
        };
        assert_eq!(facts.platform.os, "linux");
        master.commands = commands;
        master
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Waits until a file has a whole line, and gives it.
    async fn line(&self, name: &str) -> String {
        let reading = async {
            loop {
                match fs::read_to_string(self.path(name)) {
                    Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        timeout(LONG, reading).await.expect("the file is written")
    }

    /// A command line, with a header that is the same on every machine.
    fn script(line: &str) -> Shell {
        let mut shell = Shell::new(ShellLine::Script(line.to_owned()), "b");
        shell.log_environ = false;
        shell
    }
}

struct Master {
    reader: FrameReader<ReadHalf<DuplexStream>>,
    writer: FrameWriter<WriteHalf<DuplexStream>>,
    task: JoinHandle<Result<Left, SessionError>>,
    commands: Vec<CommandState>,
    logs: BTreeMap<CommandId, Vec<u8>>,
    /// The logs besides `stdio`.
    side: BTreeMap<(CommandId, String), Vec<u8>>,
    is_acknowledging: bool,
}

impl Master {
    async fn hear(&mut self) -> FromSlave {
        let message = timeout(LONG, self.reader.next()).await;
        message
            .expect("the slave speaks")
            .unwrap()
            .expect("the line is open")
    }

    async fn say(&mut self, message: FromMaster) {
        self.writer.send(&message).await.unwrap();
    }

    async fn start(&mut self, id: CommandId, lease: u64, command: &Command) {
        let stdio = self.logs.get(&id).map_or(0, |log| log.len() as u64);
        let side = self.side.iter().filter(|((it, _), _)| *it == id);
        let mut have: BTreeMap<String, u64> = side
            .map(|((_, name), log)| (name.clone(), log.len() as u64))
            .collect();
        have.insert("stdio".to_owned(), stdio);
        self.say(FromMaster::Start {
            id,
            lease,
            command: command.into(),
            have,
        })
        .await;
    }

    /// Keeps output, and gives the next message that is something else.
    async fn next(&mut self) -> FromSlave {
        loop {
            if let Some(other) = self.keep_one().await {
                return other;
            }
        }
    }

    async fn keep_one(&mut self) -> Option<FromSlave> {
        let message = self.hear().await;
        let FromSlave::Output {
            id,
            log,
            offset,
            bytes,
        } = message
        else {
            return Some(message);
        };
        let kept = match log.as_str() {
            "stdio" => self.logs.entry(id).or_default(),
            _ => self.side.entry((id, log.clone())).or_default(),
        };
        assert_eq!(offset, kept.len() as u64, "no gap and nothing twice");
        kept.extend_from_slice(&bytes);
        let offset = kept.len() as u64;
        if self.is_acknowledging {
            self.say(FromMaster::Ack { id, log, offset }).await;
        }
        None
    }

    /// Starts a command and waits for its end.
    async fn run(&mut self, id: CommandId, command: &Command) -> Exit {
        self.start(id, 1, command).await;
        assert_eq!(self.next().await, FromSlave::Started { id });
        self.end_of(id).await
    }

    async fn end_of(&mut self, id: CommandId) -> Exit {
        let FromSlave::Finished {
            id: ended,
            exit,
            logs,
        } = self.next().await
        else {
            panic!("not finished");
        };
        assert_eq!(ended, id);
        for (name, length) in logs {
            let kept = match name.as_str() {
                "stdio" => self.logs.get(&id),
                _ => self.side.get(&(id, name.clone())),
            };
            assert_eq!(kept.map_or(0, |log| log.len() as u64), length, "{name}");
        }
        exit
    }

    fn said(&self, id: CommandId, wanted: Channel) -> Vec<u8> {
        Self::said_in(self.logs.get(&id), wanted)
    }

    /// What stands in a log besides `stdio`.
    fn side_said(&self, id: CommandId, name: &str) -> String {
        let log = self.side.get(&(id, name.to_owned()));
        String::from_utf8(Self::said_in(log, Channel::Stdout)).unwrap()
    }

    fn said_in(log: Option<&Vec<u8>>, wanted: Channel) -> Vec<u8> {
        let mut log = log.map_or(&[][..], Vec::as_slice);
        let mut reader = record::Reader::new();
        let mut said = Vec::new();
        while let Some((channel, bytes)) = reader.next(&mut log).unwrap() {
            if channel == wanted {
                said.extend_from_slice(bytes);
            }
        }
        assert!(reader.is_between_records());
        said
    }

    fn stdout(&self, id: CommandId) -> String {
        String::from_utf8(self.said(id, Channel::Stdout)).unwrap()
    }

    /// The header lines, without the place and the time.
    fn header(&self, id: CommandId) -> String {
        let text = String::from_utf8(self.said(id, Channel::Header)).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("usage: "))
            .map(|line| match line.split_once("elapsedTime=") {
                Some(_) => "elapsedTime=T".to_owned(),
                None => match line.strip_prefix(" in dir ") {
                    Some(rest) => format!(" in dir {}", &rest[rest.find("/b").unwrap()..]),
                    None => line.to_owned(),
                },
            });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Ends the slave as `kill -9` would, and waits until it is gone.
    async fn kill_slave(self) -> BTreeMap<CommandId, Vec<u8>> {
        self.task.abort();
        let _ = self.task.await;
        self.logs
    }
}

fn id(step: u32) -> CommandId {
    CommandId {
        build: BuildId(7),
        step,
        index: 0,
        attempt: 0,
    }
}

fn exited(exit: &Exit) -> (i32, ExitCause) {
    (exit.code, exit.cause.clone())
}

async fn is_gone(pid: &str) {
    let pid = pid.trim().parse().expect("a pid");
    let waiting = async {
        while ProcessName::of(pid).is_some_and(ProcessName::is_alive) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, waiting).await.expect("the process ends");
}
