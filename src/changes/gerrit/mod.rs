//! Follows a Gerrit: its stream of events over ssh, for as long as the source is there.
//!
//! The stream says nothing of what was before it. So after each beginning Gerrit is asked for the
//! patch sets since the last one that was told, and once more a little later, when the stream
//! has surely begun; what comes twice has the same origin and is one change. What Gerrit does not
//! tell of the past, such as updated refs and comments, is lost while nobody listens.

mod backoff;
mod event;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::info;
use tracing::warn;

use self::backoff::Backoff;
use self::event::Answer;
use self::event::Event;
use self::lines::Lines;
use super::Sink;
use super::SinkError;
use super::program::Program;
use super::program::ProgramError;
use super::settings;
use crate::model::NewChange;
use crate::process::Heard;
use crate::process::Said;
use crate::syntax::Keys;

/// How long after its beginning the stream has surely begun.
const SURELY: Duration = Duration::from_mins(1);

/// How long after that a question that failed is asked again, if the stream itself is well.
const SOON: Duration = Duration::from_secs(2);

/// Refusals of the store make the wait longer, up to this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What is kept of what `ssh` complains about.
const COMPLAINT: usize = 2000;

/// Changes that are asked for at a time, and how often: nobody is away for more.
const PAGE: usize = 500;
const MOST_PAGES: usize = 100;

/// What is configured of a Gerrit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GerritSettings {
    pub(super) server: String,
    pub(super) port: u16,
    pub(super) username: String,
    /// A private key; what `ssh` itself finds, if `None`.
    pub(super) identity_file: Option<String>,
    /// The types of events that are changes.
    pub(super) events: Vec<String>,
    /// The program, `ssh` if `None`.
    pub(super) program: Option<String>,
    /// The repository that its changes name; `%s` stands for the project.
    pub(super) repository: Option<String>,
    /// The type of the event, if `None`.
    pub(super) category: Option<String>,
}

impl GerritSettings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let server = keys.required_as::<String>(&["gerritserver", "server"]);
        let port = keys.or_as(&["gerritport", "port"], 29418_u32);
        let username = keys.required_as::<String>(&["username", "user"]);
        let identity_file = keys.optional::<String>("identity_file");
        let usual = [event::PATCHSET_CREATED, event::REF_UPDATED].map(str::to_owned);
        let events = keys.or_as::<Vec<String>>(&["handled_events", "events"], usual.into());
        let program = keys.optional::<String>("sshbin");
        let repository = keys.optional::<String>("repository");
        let category = keys.optional::<String>("category");
        let (server, username) = (server?, username?);
        let is_word = |it: &str| {
            settings::refuse_option("value", it).is_ok() && !it.contains(char::is_whitespace)
        };
        if !is_word(&server) || server.contains('@') {
            keys.wrong("gerritserver", "expected the name of a host");
            return None;
        }
        if !is_word(&username) {
            keys.wrong("username", "expected the name of a user there");
            return None;
        }
        let Some(port) = u16::try_from(port?).ok().filter(|it| *it > 0) else {
            keys.wrong("gerritport", "expected a port from 1 to 65535");
            return None;
        };
        let events = events?;
        if events.is_empty() {
            keys.wrong(
                "handled_events",
                "expected types such as `patchset-created`",
            );
            return None;
        }
        Some(Self {
            server,
            port,
            username,
            identity_file: identity_file?,
            events: events.into_iter().map(|it| it.replace('_', "-")).collect(),
            program: program?,
            repository: repository?,
            category: category?,
        })
    }

    pub(super) fn describe(&self) -> String {
        format!("GerritChangeSource: {}:{}", self.server, self.port)
    }

    pub(super) fn program(&self) -> &str {
        self.program.as_deref().unwrap_or("ssh")
    }

    /// The words behind `ssh` that run a command of Gerrit's.
    fn line(&self, command: &[&str]) -> Vec<String> {
        let mut line: Vec<String> = Vec::new();
        // Nobody is asked, and a line that is dead is noticed.
        for option in [
            "BatchMode=yes",
            "ServerAliveInterval=30",
            "ServerAliveCountMax=3",
        ] {
            line.extend(["-o".to_owned(), option.to_owned()]);
        }
        line.extend(["-T".to_owned(), "-p".to_owned(), self.port.to_string()]);
        if let Some(file) = &self.identity_file {
            line.extend(["-i".to_owned(), file.clone()]);
        }
        line.push(format!("{}@{}", self.username, self.server));
        line.push("gerrit".to_owned());
        line.extend(command.iter().map(|it| (*it).to_owned()));
        line
    }
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    server: String,
    /// Gerrit's own time of the last event that was told, in seconds.
    seen: i64,
}

/// A source that listens.
#[derive(Debug)]
pub(crate) struct Gerrit {
    name: String,
    settings: GerritSettings,
    ssh: Program,
    /// Where the program runs: paths of the configuration begin here.
    dir: PathBuf,
}

/// Why a stream is over.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("failed to start `{program}`")]
    Start {
        program: String,
        source: std::io::Error,
    },
    #[error("failed to hear the stream of events")]
    Hear(#[source] std::io::Error),
    #[error("the stream of events ended ({status}){said}")]
    Ended {
        status: std::process::ExitStatus,
        /// `: …`, or nothing.
        said: String,
    },
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl Gerrit {
    pub(super) fn new(name: String, settings: GerritSettings, dir: PathBuf) -> Self {
        let ssh = Program {
            name: settings.program().to_owned(),
            env: &[],
        };
        Self {
            name,
            settings,
            ssh,
            dir,
        }
    }

    /// Listens until `stop`; a stream that ends is begun again.
    pub(super) async fn run(self, sink: Arc<dyn Sink>, stop: CancellationToken, wake: Arc<Notify>) {
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            sink.looks(&self.name);
            let over = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                over = self.listen(sink.as_ref()) => over,
            };
            let mut reason = over.to_string();
            if let Some(cause) = std::error::Error::source(&over) {
                reason = format!("{reason}: {cause}");
            }
            let wait = backoff.after(began.elapsed());
            warn!(source = %self.name, reason, "the stream is over");
            sink.report(&self.name, Err(reason));
            sink.waits(&self.name, wait);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Begins a stream, and listens to its end.
    async fn listen(&self, sink: &dyn Sink) -> StreamError {
        let mut teller = match Teller::of(self, sink).await {
            Ok(teller) => teller,
            Err(error) => return error.into(),
        };
        let mut argv = vec![self.ssh.name.clone()];
        argv.extend(self.settings.line(&["stream-events"]));
        let env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let stream = Heard {
            argv: &argv,
            env: &env,
            dir: &self.dir,
            on_terminal: false,
        };
        let mut stream = match stream.spawn() {
            Ok(stream) => stream,
            Err(source) => {
                let program = self.ssh.name.clone();
                return StreamError::Start { program, source };
            }
        };
        // A line that is down has its stream end, which says why.
        let wait = match teller.catch_up().await {
            Ok(()) => {
                sink.report(&self.name, Ok(()));
                SURELY
            }
            Err(_) => SOON,
        };
        let again = tokio::time::sleep(wait);
        let mut again = std::pin::pin!(again);
        let mut is_sure = false;
        let (mut lines, mut complaint) = (Lines::default(), Vec::new());
        loop {
            let said = tokio::select! {
                biased;
                said = stream.next() => said,
                () = &mut again, if !is_sure => {
                    is_sure = true;
                    let caught = teller.catch_up().await;
                    sink.report(&self.name, caught);
                    continue;
                }
            };
            match said {
                Ok(Said::Stdout(piece)) => {
                    for line in lines.of(&piece) {
                        teller.hear(line.as_deref()).await;
                    }
                }
                Ok(Said::Stderr(piece)) => {
                    let text = String::from_utf8_lossy(&piece);
                    info!(source = %self.name, said = text.trim(), "ssh complains");
                    complaint.extend_from_slice(&piece);
                    let surplus = complaint.len().saturating_sub(COMPLAINT);
                    complaint.drain(..surplus);
                }
                Ok(Said::Ended(status)) => {
                    let said = match String::from_utf8_lossy(&complaint).trim() {
                        "" => String::new(),
                        text => format!(": {text}"),
                    };
                    return StreamError::Ended { status, said };
                }
                Err(error) => return StreamError::Hear(error),
            }
        }
    }

    fn server(&self) -> String {
        format!("{}:{}", self.settings.server, self.settings.port)
    }

    /// Asks a question about changes; gives the answers of one page.
    async fn ask(&self, start: usize, query: &str) -> Result<Vec<Answer>, String> {
        let start = start.to_string();
        let mut command = vec!["query", "--format=JSON", "--patch-sets"];
        if start != "0" {
            command.extend(["--start", &start]);
        }
        command.push(query);
        let line = self.settings.line(&command);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let said = self.ssh.run(&self.dir, &line).await;
        let said = said.map_err(|error| match error {
            ProgramError::Failed {
                code, complaint, ..
            } => {
                format!("`gerrit query` failed with exit code {code}: {complaint}")
            }
            error => error.to_string(),
        })?;
        let lines = said.split(|it| *it == b'\n').filter(|it| !it.is_empty());
        lines.map(Answer::read).collect()
    }
}

/// Tells what is heard, and knows how far that is.
struct Teller<'a> {
    gerrit: &'a Gerrit,
    sink: &'a dyn Sink,
    seen: Option<i64>,
}

impl<'a> Teller<'a> {
    async fn of(gerrit: &'a Gerrit, sink: &'a dyn Sink) -> Result<Self, SinkError> {
        let state = sink.state(&gerrit.name).await?;
        let position = Position::deserialize(&state).ok();
        let seen = position.filter(|it| it.server == gerrit.server());
        Ok(Self {
            gerrit,
            sink,
            seen: seen.map(|it| it.seen),
        })
    }

    fn name(&self) -> &'a str {
        &self.gerrit.name
    }

    /// Tells what was missed. A Gerrit that answers nothing is listened to all the same.
    async fn catch_up(&mut self) -> Result<(), String> {
        let caught = match self.seen {
            None => self.begin().await,
            Some(seen) => self.missed(seen).await,
        };
        caught.map_err(|reason| {
            warn!(
                source = self.name(),
                reason, "failed to ask for what was missed"
            );
            format!("failed to ask for what was missed while nobody listened: {reason}")
        })
    }

    /// The first time only notes where Gerrit is.
    async fn begin(&mut self) -> Result<(), String> {
        let answers = self.gerrit.ask(0, "limit:1").await?;
        let touched = answers.iter().find_map(|it| match it {
            Answer::Change { touched, .. } => *touched,
            Answer::End { .. } => None,
        });
        self.seen = Some(touched.unwrap_or(0));
        self.keep(None).await;
        Ok(())
    }

    /// Tells the patch sets since then, oldest first.
    async fn missed(&mut self, seen: i64) -> Result<(), String> {
        if !self.handles(event::PATCHSET_CREATED) {
            return Ok(());
        }
        // What was in the same second is told again, and is known.
        let since = jiff::Timestamp::from_second(seen.saturating_sub(1).max(0));
        let since = since.map_err(|error| error.to_string())?;
        let query = format!("after:{{{}}}", since.strftime("%Y-%m-%d %H:%M:%S"));
        let mut events = Vec::new();
        let mut start = 0;
        for _ in 0..MOST_PAGES {
            let mut is_over = true;
            let page = self
                .gerrit
                .ask(start, &format!("{query} limit:{PAGE}"))
                .await?;
            for answer in page {
                match answer {
                    Answer::Change { events: of, .. } => {
                        start += 1;
                        events.extend(of.into_iter().filter(|it| it.at >= Some(seen)));
                    }
                    Answer::End { more } => is_over = !more,
                }
            }
            if is_over {
                break;
            }
        }
        events.sort_by_key(|it| it.at);
        for event in events {
            self.tell(&event).await;
        }
        Ok(())
    }

    fn handles(&self, kind: &str) -> bool {
        self.gerrit.settings.events.iter().any(|it| it == kind)
    }

    /// A line of the stream; `None` is one without end.
    async fn hear(&mut self, line: Option<&[u8]>) {
        let Some(line) = line else {
            warn!(source = self.name(), "a line is too long for an event");
            return;
        };
        if line.trim_ascii().is_empty() {
            return;
        }
        match Event::read(line) {
            Ok(event) if self.handles(&event.kind) => {
                self.tell(&event).await;
                self.sink.report(self.name(), Ok(()));
            }
            Ok(event) => debug!(source = self.name(), kind = event.kind, "not asked for"),
            Err(reason) => {
                let line = String::from_utf8_lossy(&line[..line.len().min(200)]);
                let line = line.escape_debug().to_string();
                info!(source = self.name(), reason, line, "this is no event");
            }
        }
    }

    async fn tell(&mut self, event: &Event) {
        match event.change(&self.gerrit.settings) {
            Ok(Some(change)) => {
                // A clock that was wrong for once must not hide what comes.
                self.seen = self.seen.max(event.at);
                self.keep(Some(change)).await;
            }
            Ok(None) => {}
            Err(reason) => {
                let kind = &event.kind;
                info!(
                    source = self.name(),
                    kind, reason, "an event cannot be read"
                );
            }
        }
    }

    /// Has it kept, however long that takes: Gerrit does not say it again.
    async fn keep(&self, change: Option<NewChange>) {
        let position = self.seen.map(|seen| Position {
            server: self.gerrit.server(),
            seen,
        });
        let state = position.map_or(Value::Null, |it| {
            serde_json::to_value(it).expect("a position is plain JSON")
        });
        let mut wait = Duration::from_secs(1);
        loop {
            let changes = change.clone().into_iter().collect();
            let Err(error) = self.sink.deliver(self.name(), changes, state.clone()).await else {
                return;
            };
            self.sink.report(self.name(), Err(error.to_string()));
            self.sink.waits(self.name(), wait);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
