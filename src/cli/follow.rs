//! Watches a request become builds, and a build do its steps, by asking the
//! master again and again.

use std::time::Duration;

use tokio::time::sleep;

use super::exit::Failure;
use super::terminal::DIM;
use super::terminal::style;
use super::terminal::word;
use crate::client::BuildView;
use crate::client::Client;
use crate::client::RequestState;
use crate::client::RequestView;
use crate::client::StepView;
use crate::client::encode;
use crate::clock;
use crate::model::Outcome;

/// Short enough to feel immediate; an answer costs the master next to nothing.
const LOOK: Duration = Duration::from_millis(300);

/// What happened to a request or build.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// It waits, for another reason than before.
    Waits(String),
    Started(BuildView),
    StepDone(StepView),
    Finished(BuildView),
}

/// The path of a build's document.
pub(super) fn build_path(builder: &str, number: i64) -> String {
    format!("/api/builders/{}/builds/{number}", encode(builder))
}

/// Follows a request to its end and returns its outcome. A build that must be
/// repeated is followed by the one that repeats it.
pub(super) async fn request(
    client: &Client,
    id: i64,
    mut tell: impl FnMut(&Event),
) -> Result<Outcome, Failure> {
    let path = format!("/api/requests/{id}");
    let mut followed = Vec::new();
    let mut said = None;
    loop {
        let request: RequestView = client.get(&path).await?;
        let next = request.builds.iter().find(|it| !followed.contains(*it));
        if let Some(&number) = next {
            followed.push(number);
            build(client, &request.builder, number, &mut tell).await?;
            continue;
        }
        if request.state == RequestState::Complete {
            return request
                .outcome
                .ok_or_else(|| Failure::new(format!("request {id} ended without an outcome")));
        }
        if request.why.is_some() && request.why != said {
            said.clone_from(&request.why);
            tell(&Event::Waits(said.clone().unwrap_or_default()));
        }
        sleep(LOOK).await;
    }
}

/// Follows a build to its end and returns it.
pub(super) async fn build(
    client: &Client,
    builder: &str,
    number: i64,
    tell: &mut impl FnMut(&Event),
) -> Result<BuildView, Failure> {
    let path = build_path(builder, number);
    let mut progress = Progress::default();
    loop {
        let build: BuildView = client.get(&path).await?;
        let is_finished = build.outcome.is_some();
        for event in progress.news(&build) {
            tell(&event);
        }
        if is_finished {
            return Ok(build);
        }
        sleep(LOOK).await;
    }
}

/// What of a build was told already.
#[derive(Debug, Default)]
struct Progress {
    has_started: bool,
    /// Steps that were told, as the first so many of the build.
    steps: usize,
}

impl Progress {
    fn news(&mut self, build: &BuildView) -> Vec<Event> {
        let mut news = Vec::new();
        if !self.has_started {
            self.has_started = true;
            news.push(Event::Started(build.clone()));
        }
        while let Some(step) = build.steps.get(self.steps) {
            if step.outcome.is_none() && build.outcome.is_none() {
                break;
            }
            self.steps += 1;
            // One that never ran has nothing to tell.
            if step.outcome.is_some() {
                news.push(Event::StepDone(step.clone()));
            }
        }
        if build.outcome.is_some() {
            news.push(Event::Finished(build.clone()));
        }
        news
    }
}

/// The line for an event.
pub(super) fn line(event: &Event) -> String {
    match event {
        Event::Waits(why) => format!("{DIM}{why}{DIM:#}"),
        Event::Started(build) => {
            let slave = if build.slave.is_empty() {
                String::new()
            } else {
                format!(" on {}", build.slave)
            };
            format!("build {}{slave}", build.key())
        }
        Event::StepDone(step) => {
            let style = style(step.outcome);
            let text = step.text.join(" ");
            let text = if text == step.name { "" } else { &text };
            let line = format!(
                "  {style}{:<9}{style:#}  {:<16}  {:>9}  {text}",
                word(step.outcome),
                step.name,
                elapsed(step.elapsed_secs)
            );
            line.trim_end().to_owned()
        }
        Event::Finished(build) => {
            let style = style(build.outcome);
            let after = elapsed(build.elapsed_secs);
            let text = build.text.join(" ");
            let line = format!(
                "build {} is {style}{}{style:#} after {after}: {text}",
                build.key(),
                word(build.outcome)
            );
            line.trim_end_matches([':', ' ']).to_owned()
        }
    }
}

/// A length of time for people, or nothing.
pub(super) fn elapsed(secs: Option<f64>) -> String {
    let length = secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    length.map_or(String::new(), clock::human)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(outcome: Option<Outcome>, steps: &[(&str, Option<Outcome>)]) -> BuildView {
        let steps = (0..).zip(steps).map(|(number, (name, outcome))| StepView {
            number,
            name: (*name).to_owned(),
            outcome: *outcome,
            text: vec![(*name).to_owned()],
            elapsed_secs: Some(1.5),
            logs: vec!["stdio".to_owned()],
        });
        let document = serde_json::json!({
            "builder": "hello", "number": 3, "outcome": null, "slave": "linux-1",
            "elapsed_secs": 3.0, "text": ["failed", "test"],
        });
        let mut build: BuildView = serde_json::from_value(document).unwrap();
        build.outcome = outcome;
        build.steps = steps.collect();
        build
    }

    fn transcript(views: &[BuildView]) -> String {
        let mut progress = Progress::default();
        let events = views.iter().flat_map(|view| progress.news(view));
        let lines: Vec<String> = events.map(|event| line(&event)).collect();
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    /// A master that gives each answer once and the last one again and again.
    async fn master(answers: Vec<serde_json::Value>) -> (Client, tokio::task::JoinHandle<()>) {
        use tokio::io::AsyncReadExt as _;
        use tokio::io::AsyncWriteExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let body = answer.to_string();
                let length = body.len();
                let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        let address = crate::client::Address::parse(&format!("127.0.0.1:{port}")).unwrap();
        (Client::new(address), served)
    }

    #[tokio::test]
    async fn a_request_is_followed_through_a_build_that_is_repeated() {
        let request = |state: &str, outcome: Option<&str>, builds: &[i64], why: Option<&str>| {
            serde_json::json!({
                "id": 5, "builder": "hello", "state": state, "outcome": outcome,
                "builds": builds, "why": why,
            })
        };
        let build = |number: i64, outcome: &str| {
            serde_json::json!({
                "builder": "hello", "number": number, "outcome": outcome, "elapsed_secs": 2.0,
                "steps": [{"number": 0, "name": "git", "outcome": outcome, "elapsed_secs": 1.0}],
            })
        };
        let (client, served) = master(vec![
            request("waiting", None, &[], Some("every slave is away: linux-1")),
            request("waiting", None, &[], Some("every slave is away: linux-1")),
            request("building", None, &[8], None),
            build(8, "retry"),
            request("building", None, &[8, 9], None),
            build(9, "success"),
            request("complete", Some("success"), &[8, 9], None),
        ])
        .await;

        let mut told = Vec::new();
        let outcome = super::request(&client, 5, |event| told.push(line(event))).await;
        assert_eq!(outcome, Ok(Outcome::Success));
        served.await.unwrap();
        let told = anstream::adapter::strip_str(&told.join("\n")).to_string();
        insta::assert_snapshot!(told, @r"
        every slave is away: linux-1
        build hello/8
          retry      git                   1.0 s
        build hello/8 is retry after 2.0 s
        build hello/9
          success    git                   1.0 s
        build hello/9 is success after 2.0 s
        ");
    }

    #[test]
    fn each_step_is_told_once_when_it_is_done() {
        let good = Some(Outcome::Success);
        let bad = Some(Outcome::Failure);
        let views = [
            view(None, &[("git", None), ("test", None)]),
            view(None, &[("git", good), ("test", None)]),
            view(None, &[("git", good), ("test", None)]),
            view(bad, &[("git", good), ("test", bad)]),
        ];
        insta::assert_snapshot!(transcript(&views), @r"
        build hello/3 on linux-1
          success    git                   1.5 s
          failure    test                  1.5 s
        build hello/3 is failure after 3.0 s: failed test
        ");
    }

    #[test]
    fn steps_that_never_ran_are_not_told() {
        let bad = Some(Outcome::Failure);
        let views = [view(
            bad,
            &[("git", bad), ("compile", None), ("test", None)],
        )];
        insta::assert_snapshot!(transcript(&views), @r"
        build hello/3 on linux-1
          failure    git                   1.5 s
        build hello/3 is failure after 3.0 s: failed test
        ");
    }
}
