//! `autobot rebuild`, `cancel` and `stop-build`: what is to be built once
//! more, and what is not to be built, or no longer.

use std::env;

use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::args::name_and_value;
use super::exit::Done;
use super::exit::Failure;
use super::force;
use super::log;
use super::reach;
use crate::client::Forced;
use crate::client::encode;

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// The build, which has finished; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    build: String,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    reason: String,
    /// A property over those of the build
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    properties: Vec<(String, String)>,
    /// How urgent it is: higher goes first
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Follow the build and succeed only if it does
    #[arg(short, long)]
    wait: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The request's number
    #[arg(conflicts_with = "change")]
    request: Option<i64>,
    /// Everything that waits of this change
    #[arg(long, value_name = "N")]
    change: Option<i64>,
    /// Only what waits for this builder
    #[arg(long, value_name = "NAME", requires = "change")]
    builder: Option<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    reason: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct StopBuildArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N", conflicts_with = "all")]
    build: Option<String>,
    /// Every build that runs
    #[arg(long)]
    all: bool,
    /// Only builds of this builder, as often as wanted
    #[arg(long = "builder", value_name = "NAME", requires = "all")]
    builders: Vec<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    reason: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

/// Fields of a form.
type Fields = Vec<(String, String)>;

pub(super) async fn rebuild(args: &RebuildArgs) -> Done {
    let client = reach::client(&args.master)?;
    let (builder, number) = log::which(&client, &args.build).await?;
    let path = format!("/builders/{}/builds/{number}/rebuild", encode(&builder));
    let mut fields = who_and_why(&args.reason);
    if let Some(priority) = args.priority {
        fields.push(("priority".to_owned(), priority.to_string()));
    }
    force::add_properties(&mut fields, &args.properties);
    let forced: Forced = force::post(&client, &path, &fields).await?;
    if args.wait {
        return force::wait(&client, &forced, args.json).await;
    }
    let what = format!("{builder}, as build {number}");
    force::tell(&forced, args.json, &what);
    Ok(())
}

pub(super) async fn cancel(args: &CancelArgs) -> Done {
    let mut fields = who_and_why(&args.reason);
    let path = match (args.request, args.change, &args.builder) {
        (Some(request), _, _) => format!("/requests/{request}/cancel"),
        (None, Some(change), builder) => {
            fields.push(("change".to_owned(), change.to_string()));
            match builder {
                Some(builder) => format!("/builders/{}/stopchange", encode(builder)),
                None => "/builders/_all/stopchangeall".to_owned(),
            }
        }
        (None, None, _) => {
            return Err(Failure::usage("what is to be cancelled is not said")
                .hint("a request's number, or `--change N` for all that waits of a change")
                .hint("`autobot stop-build BUILDER/N` stops what is being built"));
        }
    };
    let client = reach::client(&args.master)?;
    let done: Value = force::post(&client, &path, &fields).await?;
    if args.json {
        println!("{done}");
        return Ok(());
    }
    println!(
        "{}",
        listed(
            &done["cancelled"],
            "request",
            "was cancelled",
            "were cancelled"
        )
    );
    Ok(())
}

pub(super) async fn stop_build(args: &StopBuildArgs) -> Done {
    let mut fields = who_and_why(&args.reason);
    let client = reach::client(&args.master)?;
    let path = match (&args.build, args.all) {
        (Some(build), false) => {
            let (builder, number) = log::which(&client, build).await?;
            format!("/builders/{}/builds/{number}/stop", encode(&builder))
        }
        (None, true) if args.builders.is_empty() => "/builders/_all/stopall".to_owned(),
        (None, true) => {
            let chosen = args.builders.iter();
            fields.extend(chosen.map(|it| ("selected".to_owned(), it.clone())));
            "/builders/_selected/stopselected".to_owned()
        }
        _ => {
            return Err(Failure::usage("which build is to stop is not said")
                .hint("BUILDER/N, or `--all` for all that run"));
        }
    };
    let done: Value = force::post(&client, &path, &fields).await?;
    if args.json {
        println!("{done}");
        return Ok(());
    }
    println!(
        "{}",
        listed(&done["stopped"], "build", "is stopped", "are stopped")
    );
    Ok(())
}

fn who_and_why(reason: &str) -> Fields {
    let user = env::var("USER").ok();
    let user = user.map(|it| ("username".to_owned(), it));
    let reason = ("comments".to_owned(), reason.to_owned());
    user.into_iter().chain([reason]).collect()
}

/// One thing or several, in a sentence.
fn listed(done: &Value, noun: &str, is: &str, are: &str) -> String {
    let word = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    let all: Vec<String> = match done {
        Value::Array(all) => all.iter().map(word).collect(),
        single => vec![word(single)],
    };
    match all.as_slice() {
        [] => format!("no {noun} {is}: there is none"),
        [one] => format!("{noun} {one} {is}"),
        all => format!("{noun}s {} {are}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_done_is_a_sentence() {
        let told = |done: Value| listed(&done, "build", "is stopped", "are stopped");
        assert_eq!(told(json!("a/1")), "build a/1 is stopped");
        assert_eq!(told(json!(["a/1", "b/2"])), "builds a/1, b/2 are stopped");
        assert_eq!(told(json!([])), "no build is stopped: there is none");
        let told = listed(&json!([7]), "request", "was cancelled", "were cancelled");
        assert_eq!(told, "request 7 was cancelled");
    }
}
