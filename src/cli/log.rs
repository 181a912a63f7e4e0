//! `autobot log`: what a build said, whole or while it says it.

use std::time::Duration;

use anstream::eprintln;
use anstream::println;
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use super::args::MasterArgs;
use super::builds;
use super::exit::Done;
use super::exit::Failure;
use super::follow::build_path;
use super::reach::client;
use super::terminal;
use super::terminal::STRONG;
use crate::client::BuildView;
use crate::client::Client;
use crate::client::StepView;
use crate::client::encode;

/// Between two looks for the next step.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    build: String,
    /// A step's name or number [default: the step that failed, or else all]
    step: Option<String>,
    /// Which of the step's logs
    #[arg(long, default_value = "stdio", value_name = "NAME")]
    log: String,
    /// Say before each line when it came
    #[arg(long, conflicts_with = "json")]
    times: bool,
    /// Go on while the build does
    #[arg(short, long)]
    follow: bool,
    /// Print the build and its steps as JSON, without their logs
    #[arg(long, conflicts_with_all = ["follow", "step"])]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

/// How a log is printed.
#[derive(Clone, Copy)]
struct Manner {
    /// On and on while it grows.
    follow: bool,
    /// Each line behind the time when it came.
    times: bool,
}

/// Prints one log, the failing step's, or those of all steps.
pub(super) async fn run(args: &LogArgs) -> Done {
    let client = client(&args.master)?;
    let (builder, number) = which(&client, &args.build).await?;
    let path = build_path(&builder, number);
    if args.json {
        let build: Value = client.get(&path).await?;
        println!("{build:#}");
        return Ok(());
    }
    let build: BuildView = client.get(&path).await?;
    let manner = Manner {
        follow: false,
        times: args.times,
    };
    if let Some(wanted) = &args.step {
        let step = find_step(&build, wanted)?;
        has_log(&build, step, &args.log)?;
        let manner = Manner {
            follow: args.follow,
            ..manner
        };
        return pour(&client, &build, step, &args.log, manner)
            .await
            .map(|_| ());
    }
    if args.follow && build.outcome.is_none() {
        let manner = Manner {
            follow: true,
            ..manner
        };
        return follow(&client, &path, &args.log, manner).await;
    }
    match build.failing_step() {
        Some(step) => {
            title(step);
            if step.logs.contains(&args.log) {
                pour(&client, &build, step, &args.log, manner).await?;
            }
            for why in ["err.text", "interrupt"].map(str::to_owned) {
                if step.logs.contains(&why) && why != args.log {
                    pour(&client, &build, step, &why, manner).await?;
                }
            }
            eprintln!("==> {}", step.text.join(" "));
        }
        None => {
            for step in &build.steps {
                if step.logs.contains(&args.log) {
                    title(step);
                    if !pour(&client, &build, step, &args.log, manner).await? {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Prints the log of each step as the build comes to it.
async fn follow(client: &Client, path: &str, log: &str, manner: Manner) -> Done {
    let mut next = 0;
    loop {
        let build: BuildView = client.get(path).await?;
        while let Some(step) = build.steps.get(next) {
            if !step.logs.iter().any(|it| it == log) {
                // It may get one while it runs; the next look says.
                if step.outcome.is_none() {
                    break;
                }
                next += 1;
                continue;
            }
            title(step);
            if !pour(client, &build, step, log, manner).await? {
                return Ok(());
            }
            next += 1;
        }
        if build.outcome.is_some() {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// Prints a log. `false` once nobody reads any more.
async fn pour(
    client: &Client,
    build: &BuildView,
    step: &StepView,
    log: &str,
    manner: Manner,
) -> Result<bool, Failure> {
    let Manner { follow, times } = manner;
    let path = log_path(build, step, log);
    let path = format!(
        "{path}?follow={}&times={}",
        u8::from(follow),
        u8::from(times)
    );
    let mut text = client.download(&path).await?;
    while let Some(piece) = text.next().await? {
        if !terminal::pour(&piece)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn log_path(build: &BuildView, step: &StepView, log: &str) -> String {
    format!(
        "/builders/{}/builds/{}/steps/{}/logs/{}/text",
        encode(&build.builder),
        build.number,
        encode(&step.name),
        encode(log)
    )
}

/// The lines of a log, for those who look for something in it.
pub(super) async fn text_of(
    client: &Client,
    build: &BuildView,
    step: &StepView,
    log: &str,
) -> Result<String, Failure> {
    let mut text = client.download(&log_path(build, step, log)).await?;
    let mut whole = Vec::new();
    while let Some(piece) = text.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

/// Says which step's log follows, beside the log rather than in it.
fn title(step: &StepView) {
    eprintln!("{STRONG}==> {}{STRONG:#}", step.name);
}

fn find_step<'a>(build: &'a BuildView, wanted: &str) -> Result<&'a StepView, Failure> {
    let by_name = build.steps.iter().find(|step| step.name == wanted);
    let by_number = || {
        let number: u32 = wanted.parse().ok()?;
        build.steps.iter().find(|step| step.number == number)
    };
    by_name.or_else(by_number).ok_or_else(|| {
        let names: Vec<&str> = build.steps.iter().map(|step| step.name.as_str()).collect();
        Failure::new(format!("build {} has no step `{wanted}`", build.key()))
            .hint(format!("its steps are {}", names.join(", ")))
    })
}

fn has_log(build: &BuildView, step: &StepView, log: &str) -> Done {
    if step.logs.iter().any(|it| it == log) {
        return Ok(());
    }
    let what = format!("step `{}` of {} has no log `{log}`", step.name, build.key());
    let failure = Failure::new(what);
    Err(if step.logs.is_empty() {
        failure
    } else {
        failure.hint(format!("it has {}", step.logs.join(", ")))
    })
}

/// Reads `BUILDER/N`; for `BUILDER` alone, asks for its newest build.
pub(super) async fn which(client: &Client, text: &str) -> Result<(String, i64), Failure> {
    if let Some(build) = builder_and_number(text) {
        return Ok(build);
    }
    let newest: Vec<BuildView> = client.get(&builds::path(Some(text), 1)).await?;
    match newest.into_iter().next() {
        Some(build) => Ok((build.builder, build.number)),
        None => Err(Failure::new(format!("there is no build of `{text}`"))
            .hint("a build is BUILDER/N; `autobot builds` lists them")),
    }
}

pub(super) fn builder_and_number(text: &str) -> Option<(String, i64)> {
    let (builder, number) = text.rsplit_once('/')?;
    let number = number.parse().ok()?;
    (!builder.is_empty()).then(|| (builder.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> BuildView {
        let document = serde_json::json!({
            "builder": "a/b", "number": 3, "outcome": "failure",
            "steps": [
                {"number": 0, "name": "git", "outcome": "success", "logs": ["stdio"]},
                {"number": 1, "name": "7", "outcome": "failure", "logs": ["stdio", "core file"]},
                {"number": 2, "name": "clean", "outcome": "success"},
            ],
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_build_is_named_by_builder_and_number() {
        let named = |text| builder_and_number(text);
        assert_eq!(named("hello/3"), Some(("hello".to_owned(), 3)));
        assert_eq!(named("a/b/0"), Some(("a/b".to_owned(), 0)));
        for text in ["hello", "hello/x", "/3", "hello/"] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_step_is_found_by_its_name_before_its_number() {
        let build = build();
        assert_eq!(find_step(&build, "git").unwrap().number, 0);
        assert_eq!(find_step(&build, "2").unwrap().name, "clean");
        assert_eq!(find_step(&build, "7").unwrap().number, 1);
        assert_eq!(
            find_step(&build, "tets").unwrap_err().text(),
            "build a/b/3 has no step `tets`\nhint: its steps are git, 7, clean"
        );
    }

    #[test]
    fn the_failing_step_is_the_first_that_failed() {
        assert_eq!(build().failing_step().map(|step| step.number), Some(1));
    }

    #[test]
    fn a_log_that_is_not_there_is_refused_with_those_that_are() {
        let build = build();
        assert_eq!(
            has_log(&build, &build.steps[1], "trace")
                .unwrap_err()
                .text(),
            "step `7` of a/b/3 has no log `trace`\nhint: it has stdio, core file"
        );
        assert_eq!(
            log_path(&build, &build.steps[1], "core file"),
            "/builders/a%2Fb/builds/3/steps/7/logs/core%20file/text"
        );
    }
}
