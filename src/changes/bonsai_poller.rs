//! Asks Bonsai, which watches a CVS repository, for the check-ins since the last one it told.
//!
//! The position is the time of the newest check-in, by Bonsai's own clock, and what was told of
//! that second: the next question begins with it, as it may not have been over.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use super::Sink;
use super::fetch;
use super::fetch::Answer;
use super::fetch::Fetcher;
use super::fetch::Known;
use super::followed::Common;
use super::mirror::PollError;
use super::poll::Poll;
use super::settings;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::model::hex;
use crate::syntax::Keys;
use crate::xml::Part;
use crate::xml::walk;

/// How often it is asked where nothing says so.
const USUAL_INTERVAL: Duration = Duration::from_secs(30);

/// What is configured of a Bonsai.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BonsaiSettings {
    /// Without a slash at its end.
    pub(crate) url: String,
    pub(crate) module: String,
    pub(crate) branch: String,
    pub(crate) tree: String,
    pub(crate) cvsroot: String,
    pub(crate) poll_interval: Option<Duration>,
    pub(crate) poll_jitter: Duration,
    /// Whose certificates are believed; those that the system trusts if `None`.
    pub(crate) authority: Option<PathBuf>,
    /// Whether a change is as old as its check-in; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

impl BonsaiSettings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let url = keys.required_as::<String>(&["bonsaiurl", "url"]);
        let module = keys.required::<String>("module");
        let branch = keys.required::<String>("branch");
        let tree = keys.or("tree", "default".to_owned());
        let cvsroot = keys.or("cvsroot", "/cvsroot".to_owned());
        let authority = keys.optional::<PathBuf>("tls_ca");
        let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
        let common = Common::read_without_links(keys);
        let url = url?;
        if !fetch::is_address(&url) || url.contains(['?', '#']) {
            let label = "expected an address such as `http://bonsai.example.org`";
            keys.wrong("bonsaiurl", label);
            return None;
        }
        let common = common?;
        Some(Self {
            url: url.trim_end_matches('/').to_owned(),
            module: module?,
            branch: branch?,
            tree: tree?,
            cvsroot: cvsroot?,
            poll_interval: Some(common.poll_interval.unwrap_or(USUAL_INTERVAL)),
            poll_jitter: common.poll_jitter,
            authority: authority?,
            use_timestamps: use_timestamps?,
            project: common.project,
            category: common.category,
        })
    }
}

/// A poller of a Bonsai.
#[derive(Debug)]
pub(crate) struct BonsaiPoller {
    name: String,
    interval: Duration,
    settings: BonsaiSettings,
    fetcher: Fetcher,
    now: fn() -> Timestamp,
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// What is asked; another question starts afresh.
    question: String,
    /// Seconds.
    since: i64,
    /// Digests of the check-ins of that second that were told.
    told: Vec<String>,
}

/// A check-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct CheckIn {
    who: String,
    /// Seconds.
    date: i64,
    log: String,
    files: Vec<String>,
}

impl CheckIn {
    fn digest(&self) -> String {
        let told = serde_json::json!([self.who, self.date, self.log, self.files]);
        let digest = Sha256::digest(told.to_string().as_bytes());
        hex(&digest[..10])
    }
}

impl BonsaiPoller {
    pub(crate) fn new(
        name: String,
        settings: BonsaiSettings,
        interval: Duration,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            name,
            interval,
            fetcher: Fetcher {
                authority: settings.authority.clone(),
                // Nobody waits for an answer when it is time to ask again.
                limit: interval,
                largest: fetch::LARGEST,
            },
            settings,
            now,
        }
    }

    /// What does not change from one question to the next.
    fn question(&self) -> String {
        let it = &self.settings;
        format!(
            "{}/cvsquery.cgi?treeid={}&module={}&branch={}&branchtype=match&sortby=Date&date=explicit",
            it.url,
            fetch::quoted(&it.tree),
            fetch::quoted(&it.module),
            fetch::quoted(&it.branch),
        )
    }

    async fn ask(&self, since: i64, until: i64) -> Result<Vec<CheckIn>, PollError> {
        let address = format!(
            "{}&mindate={since}&maxdate={until}&cvsroot={}&xml=1",
            self.question(),
            fetch::quoted(&self.settings.cvsroot)
        );
        let url = || fetch::shown(&address);
        let fetched = self.fetcher.fetch(&address, &Known::default()).await;
        let text = match fetched.map_err(|source| PollError::Fetch { url: url(), source })? {
            Answer::Document { text, .. } => text,
            // It was asked for without a condition.
            Answer::Same => String::new(),
        };
        let why = |why| PollError::Document { url: url(), why };
        read(&text).map_err(why)
    }

    fn change(&self, it: CheckIn) -> NewChange {
        let settings = &self.settings;
        let origin = format!(
            "bonsai {} {} {}",
            settings.url,
            settings.branch,
            it.digest()
        );
        NewChange {
            author: it.who,
            files: it.files,
            comments: it.log,
            revision: None,
            branch: Some(settings.branch.clone()),
            category: settings.category.clone(),
            revlink: String::new(),
            repository: settings.cvsroot.clone(),
            project: settings.project.clone(),
            when: settings
                .use_timestamps
                .then_some(Timestamp::from_secs(it.date)),
            properties: Properties::new(),
            origin: Some(origin),
            vc: None,
        }
    }

    fn state(&self, since: i64, told: Vec<String>) -> Value {
        let position = Position {
            question: self.question(),
            since,
            told,
        };
        serde_json::to_value(position).expect("a position is plain JSON")
    }
}

impl Poll for BonsaiPoller {
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
        settings::explain(&self.settings.url, error)
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        let now = (self.now)().as_secs();
        let position = Position::deserialize(sink.state(&self.name).await?).ok();
        let position = position.filter(|it| it.question == self.question());
        let Some(position) = position else {
            // What was checked in before somebody looked is nothing new.
            let state = self.state(now, Vec::new());
            return Ok(sink.deliver(&self.name, Vec::new(), state).await?);
        };
        let all = self.ask(position.since, now.max(position.since)).await?;
        let mut news = Vec::new();
        let mut told = position.told;
        let mut since = position.since;
        for it in all {
            let digest = it.digest();
            if it.date < position.since || told.contains(&digest) {
                continue;
            }
            if it.date > since {
                since = it.date;
                told.clear();
            }
            if it.date == since {
                told.push(digest);
            }
            news.push(it);
        }
        if news.is_empty() {
            return Ok(());
        }
        news.sort_by_key(|it| it.date);
        let state = self.state(since, told);
        let changes = news.into_iter().map(|it| self.change(it)).collect();
        Ok(sink.deliver(&self.name, changes, state).await?)
    }
}

/// A check-in as it is being read.
#[derive(Default)]
struct Draft {
    check_in: CheckIn,
    logs: usize,
    lists: usize,
    revision: String,
    wrong: Option<&'static str>,
}

/// Reads what Bonsai answers; the error says what is wrong with it.
fn read(text: &str) -> Result<Vec<CheckIn>, String> {
    let mut all: Vec<CheckIn> = Vec::new();
    let mut draft: Option<Draft> = None;
    let mut wrong: Option<&'static str> = None;
    let walked = walk(text, |part| match part {
        Part::Open(tag) if tag.name() == "ci" => {
            let date = tag.attribute("date").and_then(|it| it.trim().parse().ok());
            let mut begun = Draft::default();
            begun.check_in.who = tag.attribute("who").unwrap_or_default();
            begun.check_in.date = date.unwrap_or_default();
            begun.wrong = date.is_none().then_some("a check-in has no date");
            draft = Some(begun);
        }
        Part::Open(tag) => match (&mut draft, tag.name()) {
            (Some(draft), "files") => draft.lists += 1,
            (Some(draft), "f") => draft.revision = tag.attribute("rev").unwrap_or_default(),
            _ => {}
        },
        Part::Close { name, text } => match (name, &mut draft) {
            ("log", Some(draft)) => {
                draft.logs += 1;
                draft.check_in.log = text.trim().to_owned();
            }
            ("f", Some(draft)) => draft.file(text.trim()),
            ("ci", Some(_)) => {
                let ended = draft.take().unwrap_or_default();
                wrong = wrong.or(ended.wrong()); // the first one is told
                join(&mut all, ended.check_in);
            }
            _ => {}
        },
    });
    walked.map_err(|error| error.to_string())?;
    match wrong {
        Some(wrong) => Err(wrong.to_owned()),
        None => Ok(all),
    }
}

impl Draft {
    fn file(&mut self, name: &str) {
        if name.is_empty() {
            self.wrong = Some("a file has no name");
        }
        let revision = &self.revision;
        self.check_in
            .files
            .push(format!("{name} (revision {revision})"));
    }

    fn wrong(&self) -> Option<&'static str> {
        match (self.logs, self.lists) {
            _ if self.wrong.is_some() => self.wrong,
            (0, _) => Some("a check-in has no log"),
            (2.., _) => Some("a check-in has two logs"),
            (_, 2..) => Some("a check-in has two lists of files"),
            _ => None,
        }
    }
}

/// What somebody checks in at once without a word is one change.
fn join(all: &mut Vec<CheckIn>, next: CheckIn) {
    if next.log.is_empty() {
        let before = all.iter_mut().rev().find(|it| it.log.is_empty());
        if let Some(before) = before
            && (&before.who, before.date) == (&next.who, next.date)
        {
            before.files.extend(next.files);
            return;
        }
    }
    all.push(next);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(check_ins: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<queryResults>\n{check_ins}</queryResults>\n")
    }

    #[test]
    fn a_check_in_is_who_when_why_and_which_files() {
        let text = document(
            "<ci who='ann@x' date='1047868273'>\n <log>fixes\n a &lt;b&gt;</log>\n <files>\n\
             <f rev='1.2' add='1' del='0'>m/a b.c</f>\n<f rev='1.1.2.3'>m/ü</f>\n</files>\n</ci>",
        );
        let expected = CheckIn {
            who: "ann@x".into(),
            date: 1_047_868_273,
            log: "fixes\n a <b>".into(),
            files: vec![
                "m/a b.c (revision 1.2)".into(),
                "m/ü (revision 1.1.2.3)".into(),
            ],
        };
        assert_eq!(read(&text), Ok(vec![expected]));
        assert_eq!(read(&document("")), Ok(Vec::new()));
    }

    #[test]
    fn an_empty_log_of_the_same_who_and_date_is_joined_to_the_one_before() {
        let ci = |who: &str, date: u32, log: &str, file: &str| {
            format!(
                "<ci who='{who}' date='{date}'><log>{log}</log><files><f rev='1'>{file}</f></files></ci>"
            )
        };
        let all = [
            ci("ann", 1, "", "a"),
            ci("ann", 1, "why", "b"),
            ci("ann", 1, "", "c"),
            ci("bo", 1, "", "d"),
            ci("bo", 2, "", "e"),
        ];
        let all = read(&document(&all.concat())).expect("check-ins");
        let files: Vec<String> = all.iter().map(|it| it.files.join(" ")).collect();
        let one = |name: &str| format!("{name} (revision 1)");
        assert_eq!(
            files,
            [
                format!("{} {}", one("a"), one("c")),
                one("b"),
                one("d"),
                one("e")
            ]
        );
    }

    #[test]
    fn what_is_no_check_in_spoils_the_whole_answer() {
        let check = |check_ins: &str, expected: &str| {
            assert_eq!(
                read(&document(check_ins)),
                Err(expected.to_owned()),
                "{check_ins}"
            );
        };
        let good = "<ci who='a' date='1'><log/></ci>";
        assert_eq!(read(&document(good)).map(|it| it.len()), Ok(1));
        let bad = |inside: &str| format!("{good}<ci who='a' date='1'>{inside}</ci>");
        check(&bad("<files/>"), "a check-in has no log");
        check(&bad("<log/><log/>"), "a check-in has two logs");
        check(
            &bad("<log/><files/><files/>"),
            "a check-in has two lists of files",
        );
        check(
            &bad("<log/><files><f rev='1'> </f></files>"),
            "a file has no name",
        );
        check(
            "<ci who='a' date='now'><log/></ci>",
            "a check-in has no date",
        );
        check("<ci who='a'><log/></ci>", "a check-in has no date");
        assert!(read("<queryResults>").is_err() && read("").is_err());
    }
}
