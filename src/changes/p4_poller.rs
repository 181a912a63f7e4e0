//! Follows a depot of Perforce: asks for the numbers of the changes that came since the one it
//! knows, then for what each of them did. There is nothing to clone.
//!
//! The position is a number: what stands before it has been delivered. It moves in the
//! transaction that keeps a number's changes, one for each branch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Serialize;

use super::Sink;
use super::followed::Common;
use super::followed::checked;
use super::followed::idle;
use super::mirror::PollError;
use super::p4_said;
use super::p4_said::Described;
use super::poll;
use super::poll::Poll;
use super::program::Program;
use super::program::ProgramError;
use super::settings;
use super::split::Split;
use crate::model::NewChange;
use crate::model::Properties;
use crate::syntax::Keys;
use crate::syntax::plain;

/// How often a depot is looked at where nothing says so.
const USUAL_INTERVAL: Duration = Duration::from_mins(10);

/// What is configured of a depot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct P4Settings {
    /// The server; `None` is what `p4` takes from its environment.
    pub(crate) port: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// Begins with `//` and ends in a slash.
    pub(crate) base: String,
    pub(crate) program: Option<String>,
    pub(crate) split: Split,
    pub(crate) poll_interval: Option<Duration>,
    pub(crate) poll_jitter: Duration,
    pub(crate) encoding: Encoding,
    /// Whether a change is as old as its number; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    /// Where a number can be looked at; `%s` stands for it.
    pub(crate) revlink: Option<String>,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

/// How the server writes what is not ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Latin1,
}

impl Encoding {
    fn read(word: &str) -> Option<Self> {
        match plain(word).as_str() {
            "utf8" => Some(Self::Utf8),
            "latin1" | "iso88591" => Some(Self::Latin1),
            _ => None,
        }
    }

    /// Bytes that are no text are replaced.
    fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Latin1 => bytes.iter().copied().map(char::from).collect(),
        }
    }
}

impl P4Settings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let port = keys.optional::<String>("p4port");
        let user = keys.optional::<String>("p4user");
        let password = keys.optional::<String>("p4passwd");
        let base = keys.or("p4base", "//".to_owned());
        let program = keys.optional::<String>("p4bin");
        let split = Split::read(keys);
        let encoding = keys.or("encoding", "utf-8".to_owned());
        let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
        let common = Common::read(keys);
        idle(keys, "hist_max", "every change since the last look is told");
        let mut optional = |key, value: Option<String>| match value {
            None => Some(None),
            Some(value) => checked(keys, key, value).map(Some),
        };
        let (port, user) = (optional("p4port", port?), optional("p4user", user?));
        let base = checked(keys, "p4base", base?)?;
        let Some(encoding) = Encoding::read(&encoding?) else {
            keys.wrong("encoding", "expected `utf-8` or `latin-1`");
            return None;
        };
        if !base.starts_with("//") || base.contains(['@', '#', '*']) || base.contains("...") {
            let label = "expected a part of the depot such as `//depot/hello/`";
            keys.wrong("p4base", label);
            return None;
        }
        let common = common?;
        Some(Self {
            port: port?,
            user: user?,
            password: password?,
            base: match base.trim_matches('/') {
                "" => "//".to_owned(),
                inner => format!("//{inner}/"),
            },
            program: program?,
            split: split?,
            poll_interval: Some(common.poll_interval.unwrap_or(USUAL_INTERVAL)),
            poll_jitter: common.poll_jitter,
            encoding,
            use_timestamps: use_timestamps?,
            revlink: common.revlink,
            project: common.project,
            category: common.category,
        })
    }
}

/// A poller of a depot.
#[derive(Debug)]
pub(crate) struct P4Poller {
    name: String,
    interval: Duration,
    settings: P4Settings,
    p4: Program,
    /// Where the program runs; nothing is kept there.
    workdir: PathBuf,
    /// Of the times that are printed.
    zone: TimeZone,
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    port: Option<String>,
    base: String,
    number: u64,
}

impl P4Poller {
    pub(crate) fn new(
        name: String,
        settings: P4Settings,
        interval: Duration,
        workdir: PathBuf,
        zone: TimeZone,
    ) -> Self {
        Self {
            p4: Program {
                name: settings.program.clone().unwrap_or_else(|| "p4".to_owned()),
                env: &[("LC_ALL", "C.UTF-8")],
            },
            name,
            interval,
            settings,
            workdir,
            zone,
        }
    }

    /// Asks with the arguments that every question has before it.
    async fn p4(&self, question: &[&str]) -> Result<String, PollError> {
        let settings = &self.settings;
        let mut line = Vec::new();
        for (option, value) in [
            ("-p", &settings.port),
            ("-u", &settings.user),
            ("-P", &settings.password),
        ] {
            if let Some(value) = value.as_deref().filter(|it| !it.is_empty()) {
                line.extend([option, value]);
            }
        }
        line.extend(question);
        let heard = self.p4.run(&self.workdir, &line).await;
        let heard = heard.map_err(|mut source| {
            if let ProgramError::Failed { line, .. } = &mut source {
                *line = format!("{} {}", self.p4.name, question[0]);
            }
            PollError::Remote {
                url: settings.base.clone(),
                source,
            }
        })?;
        Ok(settings.encoding.text(&heard))
    }

    fn unreadable(&self, question: &str, line: &str) -> PollError {
        PollError::Line {
            program: format!("{} {question}", self.p4.name),
            line: line.chars().take(200).collect(),
        }
    }

    /// The numbers since `last`, the oldest first.
    async fn numbers(&self, last: u64) -> Result<Vec<u64>, PollError> {
        let since = format!("{}...@{},now", self.settings.base, last + 1);
        let said = self.p4(&["changes", &since]).await?;
        let numbers = p4_said::numbers(&said);
        let mut numbers = numbers.map_err(|line| self.unreadable("changes", line))?;
        numbers.retain(|it| *it > last);
        Ok(numbers)
    }

    async fn describe(&self, number: u64) -> Result<Described, PollError> {
        let said = self.p4(&["describe", "-s", &number.to_string()]).await?;
        let described = p4_said::described(&said, number, &self.zone);
        described.map_err(|line| self.unreadable("describe", line))
    }

    /// A change for each branch that the number touches.
    fn changes(&self, number: u64, described: &Described) -> Vec<NewChange> {
        let settings = &self.settings;
        let mut branches: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for path in &described.files {
            let Some(path) = path.strip_prefix(&settings.base) else {
                continue;
            };
            match settings.split.split(path) {
                Some((branch, file)) if !file.is_empty() => {
                    branches.entry(branch).or_default().push(file);
                }
                _ => {}
            }
        }
        let revision = number.to_string();
        let change = |(branch, files): (Option<String>, Vec<String>)| NewChange {
            author: described.user.clone(),
            files,
            comments: described.comments.clone(),
            vc: None,
            // With its date: a server that was set up anew uses numbers again.
            origin: Some(format!(
                "p4 {} {} {} {number} {}",
                settings.port.as_deref().unwrap_or("-"),
                settings.base,
                branch.as_deref().unwrap_or("-"),
                described.when.0,
            )),
            revlink: settings::revlink(settings.revlink.as_deref(), &revision),
            revision: Some(revision.clone()),
            branch,
            category: settings.category.clone(),
            repository: settings.base.clone(),
            project: settings.project.clone(),
            when: settings.use_timestamps.then_some(described.when),
            properties: Properties::new(),
        };
        branches.into_iter().map(change).collect()
    }

    async fn move_to(
        &self,
        number: u64,
        changes: Vec<NewChange>,
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        let position = Position {
            port: self.settings.port.clone(),
            base: self.settings.base.clone(),
            number,
        };
        let state = serde_json::to_value(position).expect("a position is plain JSON");
        Ok(sink.deliver(&self.name, changes, state).await?)
    }
}

impl Poll for P4Poller {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn jitter(&self) -> Duration {
        self.settings.poll_jitter
    }

    fn explain(&self, error: &PollError) -> String {
        let said = settings::explain(&self.settings.base, error);
        match self.settings.password.as_deref() {
            None | Some("") => said,
            Some(password) => said.replace(password, "…"),
        }
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        let dir = &self.workdir;
        std::fs::create_dir_all(dir).map_err(|source| poll::io(dir, source))?;
        let settings = &self.settings;
        let position = Position::deserialize(sink.state(&self.name).await?).ok();
        let position = position.filter(|it| it.port == settings.port && it.base == settings.base);
        let Some(Position { number: last, .. }) = position else {
            let all = format!("{}...", settings.base);
            let said = self.p4(&["changes", "-m", "1", &all]).await?;
            let newest = p4_said::newest(&said);
            let newest = newest.map_err(|line| self.unreadable("changes", line))?;
            // The first look only notes where the depot is.
            return self.move_to(newest, Vec::new(), sink).await;
        };
        for number in self.numbers(last).await? {
            let described = self.describe(number).await?;
            let changes = self.changes(number, &described);
            self.move_to(number, changes, sink).await?;
        }
        Ok(())
    }
}
