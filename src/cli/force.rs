//! `autobot force`: asks for a build and, if wanted, follows it.

use std::env;

use anstream::eprintln;
use anstream::println;
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::args::MasterArgs;
use super::args::name_and_value;
use super::exit::Done;
use super::exit::Failure;
use super::follow;
use super::follow::Event;
use super::reach::client;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::Forced;
use crate::client::MasterView;
use crate::client::encode;
use crate::model::Outcome;
use crate::syntax;

#[derive(Debug, Args)]
pub(super) struct ForceArgs {
    /// The builder
    builder: String,
    /// The branch to build
    #[arg(short, long)]
    branch: Option<String>,
    /// The revision to build
    #[arg(short, long)]
    revision: Option<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    reason: String,
    /// A property of the build
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    properties: Vec<(String, String)>,
    /// An answer to one of the builder's questions, as often as wanted
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// The repository to build
    #[arg(long)]
    repository: Option<String>,
    /// The project to build
    #[arg(long)]
    project: Option<String>,
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

/// Asks for the build; with `--wait` it succeeds only if the build does.
pub(super) async fn run(args: &ForceArgs) -> Done {
    let client = client(&args.master)?;
    let path = format!("/builders/{}/force", encode(&args.builder));
    let fields = fields(args, env::var("USER").ok().as_deref());
    let forced: Forced = match post(&client, &path, &fields).await {
        Ok(forced) => forced,
        Err(error) => return Err(refused(&client, &args.builder, error).await),
    };
    if args.wait {
        return wait(&client, &forced, args.json).await;
    }
    tell(&forced, args.json, &args.builder);
    Ok(())
}

/// Says which request was made for `what`.
pub(super) fn tell(forced: &Forced, json: bool, what: &str) {
    let Forced { buildset, request } = forced;
    match json {
        true => println!("{}", json!({ "buildset": buildset, "request": request })),
        false => println!("request {request} for {what}"),
    }
}

/// Why a master refuses what is asked of a builder; a builder that is not there may be a slip of the pen.
pub(super) async fn refused(client: &Client, builder: &str, error: ClientError) -> Failure {
    let is_unknown = matches!(error, ClientError::Refused { status: 404, .. });
    let failure = Failure::from(error);
    if !is_unknown {
        return failure;
    }
    let known: Option<MasterView> = client.get("/api/status").await.ok();
    let known = known.map(|it| it.builders).unwrap_or_default();
    match syntax::nearest(builder, known.iter().map(|it| it.name.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}

pub(super) async fn wait(client: &Client, forced: &Forced, json: bool) -> Done {
    let mut builds = Vec::new();
    let outcome = follow::request(client, forced.request, |event| match event {
        Event::Finished(build) => {
            builds.push(build.number);
            if !json {
                println!("{}", follow::line(event));
            }
        }
        _ if json => {}
        // That it waits is for people; a pipe wants the steps.
        Event::Waits(_) => eprintln!("{}", follow::line(event)),
        _ => println!("{}", follow::line(event)),
    })
    .await?;
    if json {
        println!(
            "{}",
            json!({
                "buildset": forced.buildset, "request": forced.request,
                "outcome": outcome.as_str(), "builds": builds,
            })
        );
    } else if builds.is_empty() {
        println!(
            "request {} ended without a build: {outcome}",
            forced.request
        );
    }
    match outcome {
        Outcome::Success | Outcome::Warnings => Ok(()),
        Outcome::Failure | Outcome::Skipped | Outcome::Exception | Outcome::Retry => {
            Err(Failure::told())
        }
    }
}

/// The form that the page has too.
fn fields(args: &ForceArgs, user: Option<&str>) -> Vec<(String, String)> {
    let mut fields = vec![("comments".to_owned(), args.reason.clone())];
    if let Some(user) = user {
        fields.push(("username".to_owned(), user.to_owned()));
    }
    for (name, value) in [
        ("branch", &args.branch),
        ("revision", &args.revision),
        ("repository", &args.repository),
        ("project", &args.project),
    ] {
        if let Some(value) = value {
            fields.push((name.to_owned(), value.clone()));
        }
    }
    if let Some(priority) = args.priority {
        fields.push(("priority".to_owned(), priority.to_string()));
    }
    add_properties(&mut fields, &args.properties);
    for (name, value) in &args.params {
        fields.push((format!("param.{name}"), value.clone()));
    }
    fields
}

/// Sends a form, and reads what answers it.
pub(super) async fn post<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    fields: &[(String, String)],
) -> Result<T, ClientError> {
    let borrowed = fields.iter();
    let borrowed = borrowed.map(|(name, value)| (name.as_str(), value.as_str()));
    client.post(path, &borrowed.collect::<Vec<_>>()).await
}

/// Numbers properties as the form does.
pub(super) fn add_properties(fields: &mut Vec<(String, String)>, all: &[(String, String)]) {
    for (number, (name, value)) in (1..).zip(all) {
        fields.push((format!("property{number}name"), name.clone()));
        fields.push((format!("property{number}value"), value.clone()));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Autobot;
    use crate::cli::args::Verb;

    fn force(line: &[&str]) -> ForceArgs {
        let line = ["autobot", "force"].iter().chain(line);
        match Autobot::try_parse_from(line).unwrap().verb {
            Verb::Force(args) => args,
            other => panic!("{other:?} is not force"),
        }
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        let args = force(&["hello"]);
        assert_eq!(
            fields(&args, None),
            [("comments".to_owned(), String::new())]
        );
    }

    #[test]
    fn properties_are_numbered_and_answers_named_as_in_the_form() {
        let args = force(&[
            "hello",
            "--branch",
            "main",
            "--reason",
            "to see",
            "-p",
            "a=1",
            "-p",
            "b=x=y",
            "--param",
            "os=linux",
            "--param",
            "os=mac",
            "--project",
            "p",
        ]);
        let sent: Vec<String> = fields(&args, Some("ines"))
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            sent,
            [
                "comments: to see",
                "username: ines",
                "branch: main",
                "project: p",
                "property1name: a",
                "property1value: 1",
                "property2name: b",
                "property2value: x=y",
                "param.os: linux",
                "param.os: mac"
            ]
        );
    }
}
