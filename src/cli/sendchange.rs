//! `autobot sendchange`: tells a master of a change. Who owns the base directory needs
//! nothing else; over the network it is said at a hook, with its secret.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;

use anstream::println;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::args::SendchangeArgs;
use super::exit::Done;
use super::exit::Failure;
use super::reach::client;
use crate::client::ClientError;
use crate::client::Proof;
use crate::client::encode;

/// Tells of the change; it is kept when this returns.
pub(super) async fn run(args: &SendchangeArgs) -> Done {
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
        ("who", args.who.clone()),
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
