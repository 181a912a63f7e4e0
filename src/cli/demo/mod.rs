//! `autobot demo`: a small project, a master and a slave, a change that passes
//! and one that breaks a test. It needs no network and no configuration.

mod farm;
mod project;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anstream::println;
use clap::Args;
use tokio::time::timeout;

use self::farm::Farm;
use self::project::Repository;
use super::exit::Done;
use super::exit::Failure;
use super::follow;
use super::log;
use super::start;
use super::terminal::BAD;
use super::terminal::DIM;
use super::terminal::STRONG;
use crate::client::BuildView;
use crate::client::Client;
use crate::model::Outcome;

/// For a commit to become a finished build, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(180);
/// As many lines of a log as tell what is wrong.
const LINES: usize = 10;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// A new directory for everything [default: one under the temporary directory]
    dir: Option<PathBuf>,
    /// Stop everything at the end; succeed only if the good change was green and the bad one red
    #[arg(long)]
    once: bool,
}

/// Plays the demo.
pub(super) async fn run(args: &DemoArgs) -> Done {
    project::look_for_programs()?;
    let place = Place::new(args.dir.as_deref())?;
    let farm = Farm::create(&place.dir)?;
    println!("{DIM}everything is in {}{DIM:#}", place.dir.display());

    let played = tokio::select! {
        played = play(&farm) => played,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("the demo was interrupted")),
    };
    if args.once || !farm.runs()? {
        let stopped = start::stop_all(farm.bases(), true).await;
        let done = played.and(stopped);
        // What failed is left to look at.
        if done.is_ok() && place.is_temporary {
            remove(&place.dir)?;
        }
        return done;
    }
    println!();
    println!(
        "It goes on at {STRONG}{}{STRONG:#}: to see more, commit to {}",
        farm.url(),
        farm.repository().dir().display()
    );
    println!("To stop it: autobot stop {}", place.dir.display());
    played
}

async fn play(farm: &Farm) -> Done {
    start::start_all(farm.bases(), false).await?;
    println!("the pages are at {STRONG}{}{STRONG:#}", farm.url());
    let client = farm.client();
    farm.wait_for_first_poll(&client).await?;

    let repository = farm.repository();
    let green = change(&client, repository, project::GREEN).await?;
    let red = change(&client, repository, project::RED).await?;
    println!();
    match (green, red) {
        (Outcome::Success, Outcome::Failure) => {
            println!("The good change is green and the bad one red, as they should be.");
            Ok(())
        }
        (green, red) => Err(Failure::new(format!(
            "the good change should be success and is {green}; the bad one should be failure \
             and is {red}"
        ))),
    }
}

/// Commits a change and follows its build.
async fn change(
    client: &Client,
    repository: &Repository,
    change: project::Change,
) -> Result<Outcome, Failure> {
    let seen = farm::newest_build(client).await?;
    let revision = repository.commit(&change)?;
    println!();
    println!(
        "{STRONG}commit{STRONG:#} {} {}",
        &revision[..12],
        change.comment
    );
    let build = timeout(PATIENCE, async {
        let number = farm::build_after(client, seen).await?;
        let mut tell = |event: &follow::Event| println!("{}", follow::line(event));
        follow::build(client, farm::BUILDER, number, &mut tell).await
    })
    .await
    .map_err(|_| {
        let after = PATIENCE.as_secs();
        Failure::new(format!(
            "commit {} was not built within {after} s",
            &revision[..12]
        ))
    })??;
    if build.outcome != Some(Outcome::Success) {
        show_what_failed(client, &build).await?;
    }
    build
        .outcome
        .ok_or_else(|| Failure::new(format!("build {} ended without an outcome", build.key())))
}

async fn show_what_failed(client: &Client, build: &BuildView) -> Done {
    let Some(step) = build.failing_step() else {
        return Ok(());
    };
    let Some(name) = step.logs.first() else {
        return Ok(());
    };
    let text = log::text_of(client, build, step, name).await?;
    for line in failing_lines(&text) {
        println!("    {BAD}{line}{BAD:#}");
    }
    Ok(())
}

/// The lines that say `FAIL` or `error`, or else the last ones.
fn failing_lines(text: &str) -> Vec<&str> {
    let says_so = |line: &&str| line.contains("FAIL") || line.contains("rror");
    let lines: Vec<&str> = text.lines().filter(says_so).take(LINES).collect();
    if !lines.is_empty() {
        return lines;
    }
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(LINES)..].to_vec()
}

/// Where the demo puts its things.
struct Place {
    dir: PathBuf,
    /// Nobody asked for this directory, so nobody misses it.
    is_temporary: bool,
}

impl Place {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        let (dir, is_temporary) = match given {
            Some(dir) => (dir.to_owned(), false),
            None => (temporary()?, true),
        };
        let failed =
            |error| Failure::because(format!("failed to make `{}`", dir.display()), &error);
        fs::create_dir_all(&dir).map_err(failed)?;
        if fs::read_dir(&dir).map_err(failed)?.next().is_some() {
            let what = format!("`{}` is not empty", dir.display());
            return Err(Failure::new(what).hint("the demo wants a directory of its own"));
        }
        let dir = fs::canonicalize(&dir).map_err(failed)?;
        Ok(Self { dir, is_temporary })
    }
}

fn temporary() -> Result<PathBuf, Failure> {
    let mut name = [0; 4];
    getrandom::fill(&mut name)
        .map_err(|error| Failure::new(format!("failed to choose a name: {error}")))?;
    let name = u32::from_ne_bytes(name);
    Ok(std::env::temp_dir().join(format!("autobot-demo-{name:08x}")))
}

fn remove(dir: &Path) -> Done {
    fs::remove_dir_all(dir)
        .map_err(|error| Failure::because(format!("failed to remove `{}`", dir.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_say_what_failed_are_shown() {
        let log = "./check_words\nPASS: a\nFAIL: b: got 5\nmake: *** [check] Error 1\n";
        assert_eq!(
            failing_lines(log),
            ["FAIL: b: got 5", "make: *** [check] Error 1"]
        );
        assert_eq!(failing_lines("killed\n"), ["killed"]);
        assert_eq!(failing_lines(""), [] as [&str; 0]);
    }

    #[test]
    fn a_directory_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Place::new(Some(dir.path())).is_ok());
        fs::write(dir.path().join("mine"), "").unwrap();
        assert!(Place::new(Some(dir.path())).is_err());
    }
}
