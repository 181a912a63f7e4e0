//! `autobot statuslog`: what a master does, a line for each event, in the words of
//! `buildbot statuslog`. A master that goes away is waited for, and what was missed is told.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use anstream::println;
use clap::Args;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::sleep_until;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::follow::build_path;
use super::options_file::Options;
use super::reach;
use crate::client::BuildView;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::Stream;
use crate::client::Told;
use crate::client::encode;

/// The first wait for a master that is away, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// Of a builder that went on while nobody listened, so many builds are told.
const MISSED: i64 = 100;

/// How much is told; each has what those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Level {
    /// Which builders come and go
    Builders,
    /// What they do, and which builds begin and end
    Builds,
    /// Their steps, and how long builds still take
    Steps,
}

#[derive(Debug, Args)]
pub(super) struct StatuslogArgs {
    /// The address of the master's pages, as with --master
    #[arg(value_name = "URL", conflicts_with = "master")]
    url: Option<String>,
    /// Only this builder, as often as wanted
    #[arg(short, long = "builder", value_name = "NAME")]
    builders: Vec<String>,
    /// How much is told
    #[arg(long, value_enum, default_value_t = Level::Steps)]
    level: Level,
    /// How often is told how long builds still take, in seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    interval: u32,
    /// End when the master does, and do not wait for it
    #[arg(long)]
    once: bool,
    /// Who asks, where it takes a login to see anything
    #[arg(short, long, value_name = "NAME", requires = "passwd")]
    username: Option<String>,
    /// The password; `-` reads it from the standard input
    #[arg(short, long, value_name = "PASSWORD", requires = "username")]
    passwd: Option<String>,
    #[command(flatten)]
    master: MasterArgs,
}

/// Listens until somebody stops it.
pub(super) async fn run(args: &StatuslogArgs) -> Done {
    let mut master = MasterArgs {
        dir: args.master.dir.clone(),
        master: args.url.clone().or_else(|| args.master.master.clone()),
        ca: args.master.ca.clone(),
    };
    if master.master.is_none() && master.dir.is_none() {
        master.master = Options::find()?.text(&["masterstatus"])?;
    }
    let login = args.username.as_deref().zip(args.passwd.as_deref());
    let client = reach::client_as(&master, login)?;
    let mut log = Log {
        client,
        level: args.level,
        builders: args.builders.clone(),
        states: BTreeMap::new(),
        newest: BTreeMap::new(),
        running: BTreeSet::new(),
    };
    let (mut place, mut wait, mut is_first) = (None::<String>, WAITS.0, true);
    loop {
        let opened = Stream::open(&log.client, &query(&args.builders), place.as_deref()).await;
        match opened {
            Ok(stream) => {
                println!("connected");
                let ended = log.listen(stream, args.interval).await;
                (place, wait, is_first) = (ended?.or(place), WAITS.0, false);
                println!("lost connection");
                if args.once {
                    return Ok(());
                }
            }
            Err(error) if is_first || is_final(&error) => return Err(error.into()),
            Err(_) => {}
        }
        sleep(wait).await;
        wait = (wait * 2).min(WAITS.1);
    }
}

/// Whether it makes no sense to ask again.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => *status < 500,
        ClientError::Trust { .. } | ClientError::Tls { .. } => true,
        _ => false,
    }
}

/// The filter of the stream, which tells of no growth of logs.
fn query(builders: &[String]) -> String {
    let kinds = [
        "build_started",
        "build_finished",
        "step_started",
        "step_finished",
        "slave_changed",
        "reloaded",
        "resync",
    ];
    let kinds = kinds.iter().map(|it| format!("&kind={it}"));
    let builders = builders.iter().map(|it| format!("&builder={}", encode(it)));
    kinds.chain(builders).collect()
}

/// A builder as it is now.
#[derive(Clone, Debug, Deserialize)]
struct BuilderNow {
    name: String,
    state: String,
    last: Option<Numbered>,
    #[serde(default)]
    running: Vec<Numbered>,
}

#[derive(Clone, Debug, Deserialize)]
struct Numbered {
    number: i64,
}

/// What was told so far.
struct Log {
    client: Client,
    level: Level,
    /// Whose events are told; everybody's if there are none.
    builders: Vec<String>,
    /// Builders, and what each does.
    states: BTreeMap<String, String>,
    /// The newest build of each that is known to have begun.
    newest: BTreeMap<String, i64>,
    running: BTreeSet<(String, i64)>,
}

impl Log {
    /// Tells what comes until the line ends; gives the place to come back to.
    async fn listen(
        &mut self,
        mut stream: Stream,
        interval: u32,
    ) -> Result<Option<String>, Failure> {
        let every = Duration::from_secs(interval.into());
        let mut next = Instant::now() + every;
        // What was missed the stream tells, or says that it cannot.
        if self.look(false).await.is_err() {
            return Ok(None);
        }
        loop {
            let is_asked = interval > 0 && self.level >= Level::Steps && !self.running.is_empty();
            let told = tokio::select! {
                told = stream.next() => told,
                () = sleep_until(next), if is_asked => {
                    self.estimates().await;
                    next = Instant::now() + every;
                    continue;
                }
            };
            let Some(told) = told else {
                return Ok(stream.place().map(str::to_owned));
            };
            // What cannot be asked for now is asked for when the line stands again.
            if self.tell(&told).await.is_err() {
                return Ok(stream.place().map(str::to_owned));
            }
        }
    }

    async fn tell(&mut self, told: &Told) -> Result<(), ClientError> {
        let data = &told.data;
        let builder = data["builder"].as_str().unwrap_or_default().to_owned();
        let number = data["number"].as_i64().unwrap_or_default();
        match told.kind.as_str() {
            "build_started" => {
                self.started(&builder, number);
                self.look(false).await
            }
            "build_finished" => {
                self.finished(&builder, number, &data["outcome"]);
                self.look(false).await
            }
            "step_started" | "step_finished" if self.level >= Level::Steps => {
                let build: BuildView = self.client.get(&build_path(&builder, number)).await?;
                if let Some(line) = step_line(&build, told) {
                    println!("{line}");
                }
                Ok(())
            }
            "slave_changed" | "reloaded" => self.look(false).await,
            // Builds came and went while nobody listened.
            "resync" => self.look(true).await,
            _ => Ok(()),
        }
    }

    /// Tells what builders there are and what they do, if that is news; and, if something was
    /// missed, which builds began and ended meanwhile.
    async fn look(&mut self, was_away: bool) -> Result<(), ClientError> {
        let mut all: Vec<BuilderNow> = self.client.get("/api/builders").await?;
        all.retain(|it| self.builders.is_empty() || self.builders.contains(&it.name));
        let names: BTreeSet<&str> = all.iter().map(|it| it.name.as_str()).collect();
        let gone: Vec<_> = self
            .states
            .keys()
            .filter(|it| !names.contains(it.as_str()))
            .cloned()
            .collect();
        for name in gone {
            self.states.remove(&name);
            println!("builderRemoved {name}");
        }
        if was_away {
            self.catch_up(&all).await?;
        }
        for it in &all {
            let before = self.states.insert(it.name.clone(), it.state.clone());
            let is_new = before.is_none();
            if is_new {
                println!("builderAdded {}", it.name);
                let newest = it.running.iter().chain(&it.last).map(|it| it.number).max();
                self.newest.insert(it.name.clone(), newest.unwrap_or(-1));
                self.running.extend(
                    it.running
                        .iter()
                        .map(|build| (it.name.clone(), build.number)),
                );
            }
            let is_news = before.as_ref() != Some(&it.state);
            if is_news && (is_new || self.level >= Level::Builds) {
                println!("builderChangedState {} {} None", it.name, it.state);
            }
        }
        Ok(())
    }

    async fn catch_up(&mut self, all: &[BuilderNow]) -> Result<(), ClientError> {
        for it in all {
            let Some(&known) = self.newest.get(&it.name) else {
                continue;
            };
            let newest = it.running.iter().chain(&it.last).map(|it| it.number).max();
            let newest = newest.unwrap_or(known);
            let first = (known + 1).max(newest - MISSED + 1);
            for number in first..=newest {
                self.started(&it.name, number);
            }
        }
        for (builder, number) in self.running.clone() {
            let path = build_path(&builder, number);
            let build: Value = match self.client.get(&path).await {
                Ok(build) => build,
                // It is forgotten, or its builder is.
                Err(ClientError::Refused { status: 404, .. }) => {
                    self.running.remove(&(builder, number));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !build["outcome"].is_null() {
                self.finished(&builder, number, &build["outcome"]);
            }
        }
        Ok(())
    }

    /// Each build is told once, whether it was heard of or found.
    fn started(&mut self, builder: &str, number: i64) {
        let newest = self.newest.entry(builder.to_owned()).or_insert(-1);
        if number <= *newest {
            return;
        }
        *newest = number;
        self.running.insert((builder.to_owned(), number));
        if self.level >= Level::Builds {
            println!("buildStarted {builder}");
        }
    }

    fn finished(&mut self, builder: &str, number: i64, outcome: &Value) {
        let is_news = self.running.remove(&(builder.to_owned(), number));
        if is_news && self.level >= Level::Builds {
            println!("buildFinished {} {builder}/{number}", code(outcome));
        }
    }

    /// Says how long the builds that run still take. It is not missed where it cannot be had.
    async fn estimates(&self) {
        for (builder, number) in &self.running {
            let path = format!("/json/builders/{}/builds/{number}", encode(builder));
            let build: Result<Value, _> = self.client.get(&path).await;
            if let Some(left) = build.ok().and_then(|it| it["eta"].as_f64()) {
                println!("ETA {builder} {left:.0}");
            }
        }
    }
}

/// The line about a step.
fn step_line(build: &BuildView, told: &Told) -> Option<String> {
    let number = told.data["step"].as_u64()?;
    let step = build
        .steps
        .iter()
        .find(|it| u64::from(it.number) == number)?;
    let (builder, name) = (&build.builder, &step.name);
    if told.kind == "step_started" {
        return Some(format!("stepStarted {builder} {name}"));
    }
    let texts: Vec<_> = step.text.iter().map(|it| quoted(it)).collect();
    let (code, texts) = (code(&told.data["outcome"]), texts.join(", "));
    Some(format!("stepFinished {builder} {name} ({code}, [{texts}])"))
}

/// A text as Python shows it, which is how these lines are read.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    match (text.contains('\''), text.contains('"')) {
        (true, false) => format!("\"{text}\""),
        _ => format!("'{}'", text.replace('\'', "\\'")),
    }
}

/// An outcome as a number.
fn code(outcome: &Value) -> i64 {
    use crate::model::Outcome;
    let outcome: Option<Outcome> = serde_json::from_value(outcome.clone()).ok();
    outcome.map_or(Outcome::Exception.code(), Outcome::code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_told_as_buildbot_told_them() {
        let build: BuildView = serde_json::from_value(json!({
            "builder": "ok", "number": 1, "outcome": null,
            "steps": [{"number": 0, "name": "boom", "outcome": "exception", "text": ["it's", "boom"]}],
        }))
        .unwrap();
        let line = |kind: &str, data: Value| {
            let kind = kind.to_owned();
            step_line(&build, &Told { kind, data })
        };
        assert_eq!(
            line("step_started", json!({"step": 0})).as_deref(),
            Some("stepStarted ok boom")
        );
        assert_eq!(
            line("step_finished", json!({"step": 0, "outcome": "exception"})).as_deref(),
            Some("stepFinished ok boom (4, [\"it's\", 'boom'])")
        );
        assert_eq!(line("step_started", json!({"step": 7})), None);
    }

    #[test]
    fn only_what_is_told_is_asked_for() {
        let query = query(&["a b".to_owned()]);
        assert!(query.starts_with("&kind=build_started&"), "{query}");
        assert!(query.ends_with("&kind=resync&builder=a%20b"), "{query}");
        assert!(!query.contains("log_grew"), "{query}");
    }

    #[test]
    fn who_is_not_let_in_does_not_ask_again() {
        let refused = |status| ClientError::Refused {
            status,
            what: String::new(),
        };
        assert!(is_final(&refused(401)) && is_final(&refused(404)) && !is_final(&refused(503)));
    }
}
