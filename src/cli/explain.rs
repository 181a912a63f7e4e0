//! `autobot explain`: what a change would start, why a build ran, why a
//! request waits.

use std::path::PathBuf;

use anstream::print;
use anstream::println;
use anstyle::Style;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;

use super::args::Format;
use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::follow::build_path;
use super::log;
use super::place::Base;
use super::place::default_dir;
use super::reach::client;
use super::terminal::table;
use super::verbs::wait_for;
use crate::config;
use crate::config::explain;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Properties;
use crate::model::Timestamp;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ExplainArgs {
    #[command(subcommand)]
    verb: Option<ExplainVerb>,
    #[command(flatten)]
    change: ExplainChangeArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ExplainVerb {
    /// Say why a build ran, where and when
    Build(ExplainBuildArgs),
    /// Say why a request waits
    Request(ExplainRequestArgs),
}

/// A change that could come.
#[derive(Debug, Args)]
pub(super) struct ExplainChangeArgs {
    /// Its repository
    #[arg(long)]
    repository: Option<String>,
    /// Its branch [default: one that is not named]
    #[arg(long)]
    branch: Option<String>,
    /// A file that it touches, as often as wanted
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<String>,
    /// Its revision
    #[arg(long)]
    rev: Option<String>,
    /// Its project
    #[arg(long, default_value = "")]
    project: String,
    /// Its category
    #[arg(long)]
    category: Option<String>,
    /// Who made it
    #[arg(long, default_value = "")]
    author: String,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ExplainBuildArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    build: String,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainRequestArgs {
    /// Its number
    #[arg(value_name = "ID")]
    request: i64,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    master: MasterArgs,
}

/// Explains what was asked for.
pub(super) fn run(args: &ExplainArgs) -> Done {
    match &args.verb {
        None => a_change(&args.change),
        Some(ExplainVerb::Build(args)) => wait_for(a_build(args)),
        Some(ExplainVerb::Request(args)) => wait_for(a_request(args)),
    }
}

/// Asks the files; no master has to run.
fn a_change(args: &ExplainChangeArgs) -> Done {
    let Some(repository) = &args.repository else {
        return Err(Failure::usage("which change is meant is not said")
            .hint("`--repository URL --branch NAME` describe one")
            .hint("`autobot explain build BUILDER/N` says why a build ran"));
    };
    let dir = Base::master_of(&args.dir.clone().unwrap_or_else(default_dir))?.dir;
    let plan = match config::load_offline(&dir) {
        Ok(plan) => plan,
        Err(problems) => return Err(Failure::new(problems.render(true))),
    };
    let change = Change {
        id: ChangeId(0),
        author: args.author.clone(),
        files: args.files.clone(),
        comments: String::new(),
        revision: args.rev.clone(),
        branch: args.branch.clone(),
        category: args.category.clone(),
        revlink: String::new(),
        repository: repository.clone(),
        project: args.project.clone(),
        when: Timestamp(0),
        properties: Properties::new(),
    };
    match args.format {
        Format::Text => print!("{}", explain::text(&plan, &change)),
        Format::Json => println!("{:#}", explain::to_json(&plan, &change)),
    }
    Ok(())
}

async fn a_build(args: &ExplainBuildArgs) -> Done {
    let client = client(&args.master)?;
    let (builder, number) = log::which(&client, &args.build).await?;
    let why: Value = client
        .get(&format!("{}/why", build_path(&builder, number)))
        .await?;
    match args.format {
        Format::Json => println!("{why:#}"),
        Format::Text => print!("{}", told(&why)),
    }
    Ok(())
}

/// A line each: when, and what.
pub(super) fn told(why: &Value) -> String {
    let text = |it: &Value| it.as_str().unwrap_or("-").to_owned();
    let facts = why["facts"].as_array().into_iter().flatten();
    let rows: Vec<_> = facts
        .map(|it| vec![text(&it["time"]), text(&it["about"]), text(&it["what"])])
        .collect();
    table(&rows, &vec![Style::new(); rows.len()])
}

async fn a_request(args: &ExplainRequestArgs) -> Done {
    let client = client(&args.master)?;
    let request: Value = client
        .get(&format!("/api/requests/{}", args.request))
        .await?;
    if args.format == Format::Json {
        println!("{request:#}");
        return Ok(());
    }
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let builder = text("builder");
    println!(
        "request {} of `{builder}`, submitted {}: {}",
        args.request,
        text("submitted"),
        text("reason")
    );
    let builds = request["builds"].as_array().into_iter().flatten();
    for number in builds {
        println!("build {builder}/{number} was started for it");
    }
    match (text("state"), text("why")) {
        ("waiting", "") => println!("it waits; why is not known"),
        ("waiting", why) => {
            println!("it waits: {why}");
            match text("expected") {
                "" => {}
                expected => println!("{expected}"),
            }
        }
        ("complete", _) => println!("it is complete: {}", text("outcome")),
        (state, _) => println!("it is {state}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_is_a_line_and_one_without_a_time_has_a_dash() {
        let why = json!({"facts": [
            {"time": "2026-03-01T12:00:00+01:00", "about": "change", "what": "change 3 by ann"},
            {"time": null, "about": "locks", "what": "not recorded"},
        ]});
        insta::assert_snapshot!(told(&why), @r#"
        2026-03-01T12:00:00+01:00  change  change 3 by ann
        -                          locks   not recorded
        "#);
    }
}
