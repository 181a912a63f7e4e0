//! Follows the builds of a job to their ends, all at once, and says how each ended; of one that
//! failed, what it said last.

use std::collections::VecDeque;
use std::time::Duration;

use anstream::println;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::deliver::Asked;
use crate::cli::exit::Done;
use crate::cli::exit::Failure;
use crate::cli::follow;
use crate::cli::follow::Event;
use crate::cli::log::log_path;
use crate::client::BuildView;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::RequestView;
use crate::client::encode;
use crate::model::Outcome;

/// Lines of a log that are shown.
const LINES: usize = 40;
/// Bytes of it that are read.
const TAIL: usize = 64 * 1024;
/// Between two looks for what a job has become.
const LOOK: Duration = Duration::from_millis(500);
/// A master sees a job at once, or after 10 seconds where the kernel cannot tell of it.
const LOOKS: usize = 60;

/// How the requests of a builder ended.
struct Ended {
    builder: String,
    outcome: Outcome,
    build: Option<BuildView>,
}

/// What a job that came as a file has become.
pub(super) async fn requests_of(client: &Client, id: &str) -> Result<Vec<Asked>, Failure> {
    let path = format!("/api/jobs/{}", encode(id));
    for _ in 0..LOOKS {
        let found: Result<Vec<RequestView>, ClientError> = client.get(&path).await;
        match found {
            Ok(found) if !found.is_empty() => {
                return Ok(found.into_iter().map(Asked::from).collect());
            }
            Ok(_) | Err(ClientError::Refused { status: 404, .. }) => sleep(LOOK).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!(
        "the master at `{}` has not taken the job `{id}`",
        client.address()
    ))
    .hint("its log says why; `--jobdir` is the `jobdir` of one of its schedulers"))
}

/// Waits for all of them; it is well if every build is a success.
pub(super) async fn wait(client: &Client, asked: &[Asked], is_quiet: bool) -> Done {
    let names_it = asked.len() > 1;
    let mut running = JoinSet::new();
    for (at, it) in asked.iter().cloned().enumerate() {
        let client = client.clone();
        running.spawn(async move { (at, one(&client, it, names_it, is_quiet).await) });
    }
    let mut all: Vec<Option<Ended>> = asked.iter().map(|_| None).collect();
    while let Some(ended) = running.join_next().await {
        let (at, ended) = ended.expect("it is neither stopped nor does it panic");
        all[at] = Some(ended?);
    }
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.sort_by(|one, other| one.builder.cmp(&other.builder));
    let is_well = |it: &Ended| it.outcome == Outcome::Success;
    if !is_quiet {
        for it in all.iter().filter(|it| !is_well(it)) {
            last_words(client, it).await?;
        }
    }
    println!("All Builds Complete");
    for it in &all {
        println!("{}", line(it));
    }
    match all.iter().all(is_well) {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

async fn one(
    client: &Client,
    asked: Asked,
    names_it: bool,
    is_quiet: bool,
) -> Result<Ended, Failure> {
    let mut build = None;
    let outcome = follow::request(client, asked.request, |event| {
        if let Event::Finished(it) = event {
            build = Some(it.clone());
        }
        if is_quiet {
            return;
        }
        let line = follow::line(event);
        match names_it {
            true => println!("{}: {}", asked.builder, line.trim_start()),
            false => println!("{line}"),
        }
    })
    .await?;
    Ok(Ended {
        builder: asked.builder,
        outcome,
        build,
    })
}

/// `NAME: RESULT (TEXT)`.
fn line(it: &Ended) -> String {
    let text = it.build.as_ref().map(|it| it.text.join(" "));
    match text.filter(|it| !it.is_empty()) {
        Some(text) => format!("{}: {} ({text})", it.builder, it.outcome),
        None => format!("{}: {}", it.builder, it.outcome),
    }
}

/// Prints the ends of the logs of the step that failed.
async fn last_words(client: &Client, ended: &Ended) -> Done {
    let Some(build) = &ended.build else {
        return Ok(());
    };
    let Some(step) = build.failing_step() else {
        return Ok(());
    };
    for log in &step.logs {
        // A patch is what the reader has made.
        if log == "patch" {
            continue;
        }
        let tail = client.tail(&log_path(build, step, log), TAIL).await?;
        if tail.is_empty() {
            continue;
        }
        println!("==> {} {} {log}", build.key(), step.name);
        for line in last_lines(&String::from_utf8_lossy(&tail)) {
            println!("{line}");
        }
    }
    Ok(())
}

fn last_lines(text: &str) -> VecDeque<&str> {
    let mut lines = VecDeque::new();
    for line in text.lines() {
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_log_are_shown() {
        let text: String = (0..100).map(|it| format!("{it}\n")).collect();
        let lines = last_lines(&text);
        assert_eq!(
            (lines.len(), lines.front(), lines.back()),
            (LINES, Some(&"60"), Some(&"99"))
        );
        assert_eq!(last_lines("a\nb"), ["a", "b"]);
    }

    #[test]
    fn each_builder_has_its_line() {
        let ended = |text: &[&str]| {
            let build = serde_json::json!({
                "builder": "b", "number": 1, "outcome": "failure", "text": text,
            });
            line(&Ended {
                builder: "b".into(),
                outcome: Outcome::Failure,
                build: Some(serde_json::from_value(build).unwrap()),
            })
        };
        assert_eq!(ended(&["failed", "spell"]), "b: failure (failed spell)");
        assert_eq!(ended(&[]), "b: failure");
    }
}
