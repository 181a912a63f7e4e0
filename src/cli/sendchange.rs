//! `autobot sendchange`: tells a master of a change. Who owns the base directory needs
//! nothing else; over the network it is said at a hook, with its secret. What is always the same may
//! stand in the file of options.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use anstream::println;
use clap::Args;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::options_file::Options;
use super::reach::client;
use crate::client::ClientError;
use crate::client::Proof;
use crate::client::encode;

/// The version controls that a change may be of.
pub(super) const VCS: [&str; 8] = ["cvs", "svn", "darcs", "hg", "bzr", "git", "mtn", "p4"];

#[derive(Debug, Args)]
pub(super) struct SendchangeArgs {
    /// Names of the files that it is about
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// A file with further names, each ended by a NUL; `-` for the standard input
    #[arg(long = "files0-from", value_name = "FILE")]
    files0_from: Option<PathBuf>,
    /// Who made it
    #[arg(short = 'W', long, alias = "username", value_name = "NAME")]
    who: Option<String>,
    /// The repository
    #[arg(short = 'R', long, default_value = "")]
    repository: String,
    /// The project
    #[arg(short = 'P', long, default_value = "")]
    project: String,
    /// The branch [default: the repository's own]
    #[arg(short, long)]
    branch: Option<String>,
    /// The category
    #[arg(short = 'C', long)]
    category: Option<String>,
    /// The revision
    #[arg(short, long)]
    revision: Option<String>,
    /// A file with the revision, and nothing else
    #[arg(
        long = "revision_file",
        alias = "revision-file",
        value_name = "FILE",
        conflicts_with = "revision"
    )]
    revision_file: Option<PathBuf>,
    /// A property of its builds; NAME:VALUE does as well
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value_of_old)]
    properties: Vec<(String, String)>,
    /// What it is about
    #[arg(short, long)]
    comments: Option<String>,
    /// A file with the comments, `-` for the standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "comments")]
    logfile: Option<PathBuf>,
    /// When it was made, in seconds since 1970 [default: now]
    #[arg(short = 'w', long, value_name = "SECONDS")]
    when: Option<f64>,
    /// Where it can be looked at
    #[arg(short = 'l', long, default_value = "")]
    revlink: String,
    /// The version control that it is of
    #[arg(short = 's', long, value_parser = VCS)]
    vc: Option<String>,
    /// The hook's secret, perhaps behind a name and a colon
    #[arg(
        short,
        long,
        env = "AUTOBOT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    auth: Option<String>,
    /// The hook that is told
    #[arg(long, value_name = "NAME", default_value = "base")]
    hook: String,
    #[command(flatten)]
    master: MasterArgs,
}

/// Tells of the change; it is kept when this returns.
pub(super) async fn run(mut args: SendchangeArgs) -> Done {
    fill(&mut args, &Options::find()?)?;
    let args = &args;
    let auth = args.auth.as_deref();
    let secret = auth.map(|it| it.split_once(':').map_or(it, |(_, secret)| secret));
    if secret.is_some_and(|it| it.contains(['\r', '\n'])) {
        return Err(Failure::usage("the secret of a hook is one line"));
    }
    let proof = secret.map(|it| Proof::Token(it.to_owned()));
    let client = client(&args.master)?.with_proof(proof);
    let fields = fields(args)?;
    let borrowed: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let path = format!("/change_hook/{}", encode(&args.hook));
    match client.tell(&path, &borrowed).await {
        Ok(_) => {
            println!("change sent successfully");
            Ok(())
        }
        Err(error) => Err(not_sent(args, error)),
    }
}

/// Takes from the file of options what the command line does not say.
fn fill(args: &mut SendchangeArgs, file: &Options) -> Result<(), Failure> {
    let fill = |said: &mut Option<String>, names: &[&str]| -> Result<(), Failure> {
        if said.is_none() {
            *said = file.text(names)?;
        }
        Ok(())
    };
    if args.master.dir.is_none() {
        fill(&mut args.master.master, &["master"])?;
    }
    fill(&mut args.who, &["username", "who"])?;
    fill(&mut args.branch, &["branch"])?;
    fill(&mut args.category, &["category"])?;
    fill(&mut args.vc, &["vc"])?;
    if args.who.is_none() {
        let failure = Failure::usage("who made the change is missing");
        return Err(failure.hint("`--who NAME`, or `who = '…'` in the file of options"));
    }
    match args.vc.as_deref() {
        Some(vc) if !VCS.contains(&vc) => {
            let known = VCS.map(|it| format!("`{it}`")).join(", ");
            let what = format!("the option `vc` knows {known}, and not `{vc}`");
            Err(Failure::new(what))
        }
        _ => Ok(()),
    }
}

fn not_sent(args: &SendchangeArgs, error: ClientError) -> Failure {
    let failure = Failure::because("change NOT sent", &error);
    match error {
        ClientError::Refused { status: 401, .. } => {
            failure.hint("--auth SECRET shows the secret of the hook")
        }
        ClientError::Refused {
            status: 400 | 404, ..
        } if args.master.master.is_some() => failure.hint(format!(
            "over the network a hook is needed: [source:{}] with a `secret`",
            args.hook
        )),
        ClientError::Broken { .. } | ClientError::Garbled { .. } => {
            failure.hint("--master is the address of the pages, not the port of the slaves")
        }
        _ => failure,
    }
}

/// The form that the hook takes.
fn fields(args: &SendchangeArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut files = args.files.clone();
    if let Some(file) = &args.files0_from {
        let more = read(file)?;
        let names = more.split('\0').filter(|it| !it.is_empty());
        files.extend(names.map(str::to_owned));
    }
    let mut fields = vec![
        ("who", args.who.clone().unwrap_or_default()),
        ("files", json!(files).to_string()),
        ("comments", comments(args)?),
        ("repository", args.repository.clone()),
        ("project", args.project.clone()),
        ("revlink", args.revlink.clone()),
    ];
    let revision = match &args.revision_file {
        Some(file) => Some(read(file)?.trim_end().to_owned()),
        None => args.revision.clone(),
    };
    let given = [
        ("branch", args.branch.clone()),
        ("category", args.category.clone()),
        ("revision", revision),
        ("when", args.when.map(|it| it.to_string())),
        ("src", args.vc.clone()),
    ];
    fields.extend(given.into_iter().filter_map(|(name, it)| Some((name, it?))));
    let properties: Map<String, Value> = args
        .properties
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    fields.push(("properties", Value::Object(properties).to_string()));
    Ok(fields)
}

fn comments(args: &SendchangeArgs) -> Result<String, Failure> {
    match (&args.comments, &args.logfile) {
        (Some(comments), _) => Ok(comments.clone()),
        (None, Some(file)) => read(file),
        (None, None) => Ok(String::new()),
    }
}

/// What a file holds, `-` being the standard input. What is no UTF-8 is replaced.
fn read(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match file.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => fs::read(file).map(|it| bytes = it),
    };
    read.map_err(|error| Failure::because(format!("failed to read `{}`", file.display()), &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As Buildbot's command has it, or as ours: whichever sign comes first.
fn name_and_value_of_old(text: &str) -> Result<(String, String), String> {
    match text.split_once([':', '=']) {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("it should be NAME=VALUE or NAME:VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Autobot;
    use crate::cli::args::Verb;

    /// The command line, with the file of options behind it.
    fn filled(line: &str, file: &str) -> Result<SendchangeArgs, Failure> {
        let words = ["autobot", "sendchange"].into_iter();
        let words = words.chain(line.split_whitespace());
        let Verb::Sendchange(mut args) = Autobot::try_parse_from(words).unwrap().verb else {
            panic!("sendchange is a verb");
        };
        fill(&mut args, &Options::of_text(file))?;
        Ok(args)
    }

    /// What counts of it.
    fn check(line: &str, file: &str, expected: [&str; 5]) {
        let it = filled(line, file).unwrap();
        let said = [it.master.master, it.who, it.branch, it.category, it.vc];
        let said = said.map(Option::unwrap_or_default);
        assert_eq!(said, expected, "{line}\n{file}");
    }

    #[test]
    fn what_the_command_line_does_not_say_stands_in_the_file_of_options() {
        let file = "master = 'http://ci.test'\nwho = 'ann'\nusername = 'old'\nbranch = 'stable'\n\
                    category = 'docs'\nvc = 'hg'\n";
        check("f", file, ["http://ci.test", "ann", "stable", "docs", "hg"]);
        let line = "-m http://b.test -W bo -b main -C code -s git f";
        check(line, file, ["http://b.test", "bo", "main", "code", "git"]);
        check("f", "username = 'old'", ["", "old", "", "", ""]);
        // A directory is nearer than a file.
        check(
            "--dir m f",
            "master = 'x'\nwho = 'ann'",
            ["", "ann", "", "", ""],
        );
    }

    #[test]
    fn a_change_of_nobody_and_one_of_no_version_control_are_not_sent() {
        let told = |file: &str| filled("f", file).unwrap_err().text();
        insta::assert_snapshot!(told("branch = 'main'"), @"
        who made the change is missing
        hint: `--who NAME`, or `who = '…'` in the file of options
        ");
        insta::assert_snapshot!(
            told("who = 'ann'\nvc = 'sccs'"),
            @"the option `vc` knows `cvs`, `svn`, `darcs`, `hg`, `bzr`, `git`, `mtn`, `p4`, and not `sccs`"
        );
    }
}
