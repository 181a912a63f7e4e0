//! `autobot token`: what programs show instead of a name and a password. A token is printed once,
//! when it is made.

use anstream::eprintln;
use anstream::println;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::reach::client;
use crate::client::encode;
use crate::syntax;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token, and print it this once
    Add(TokenAddArgs),
    /// List the tokens, and when each was used
    List(TokenListArgs),
    /// Remove a token: it opens nothing from then on
    Remove(TokenRemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct TokenAddArgs {
    /// What it is called
    name: String,
    /// For whom it acts: it may do no more than this user
    #[arg(long, value_name = "NAME")]
    user: String,
    /// What it is for: `read`, or actions such as `force_build,stop_build`
    #[arg(
        long = "scope",
        value_name = "ACTION,…",
        value_delimiter = ',',
        required = true
    )]
    scopes: Vec<String>,
    /// How long it lasts: days such as `90d`, or `none`
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    expires: Option<String>,
    /// Print a document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct TokenListArgs {
    /// Print a document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct TokenRemoveArgs {
    /// What it is called
    name: String,
    #[command(flatten)]
    master: MasterArgs,
}

pub(super) async fn run(args: &TokenArgs) -> Done {
    match &args.verb {
        TokenVerb::Add(args) => add(args).await,
        TokenVerb::List(args) => list(args).await,
        TokenVerb::Remove(args) => remove(args).await,
    }
}

async fn add(args: &TokenAddArgs) -> Done {
    let days = args.expires.as_deref().map(days).transpose()?.flatten();
    let days = days.map(|it| it.to_string());
    let scopes = args.scopes.join(",");
    let mut fields = vec![
        ("name", args.name.as_str()),
        ("user", args.user.as_str()),
        ("scope", scopes.as_str()),
    ];
    fields.extend(days.as_deref().map(|it| ("days", it)));
    let told: Value = client(&args.master)?.post("/api/tokens", &fields).await?;
    if args.json {
        println!("{told:#}");
        return Ok(());
    }
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    // The token alone is on the standard output, so that it can go where it is needed.
    eprintln!(
        "token {} acts for {}{}; it is shown this once:",
        text("name"),
        text("user"),
        match text("expires") {
            it if it.is_empty() => String::new(),
            it => format!(" until {it}"),
        }
    );
    println!("{}", text("token"));
    if told["bound"] == false {
        eprintln!(
            "nobody logs in as {}: the token lasts until it expires or is removed",
            text("user")
        );
    }
    Ok(())
}

/// Whole days from `90d` or `12w`; `none` is for ever.
fn days(text: &str) -> Result<Option<u64>, Failure> {
    if text == "none" {
        return Ok(None);
    }
    let days = syntax::duration(text).map(|it| it.as_secs() / 86_400);
    match days.filter(|it| *it > 0) {
        Some(days) => Ok(Some(days)),
        None => Err(Failure::usage(format!(
            "`{text}` should be a duration of days, such as `90d`, or `none`"
        ))),
    }
}

async fn list(args: &TokenListArgs) -> Done {
    let told: Value = client(&args.master)?.get("/api/tokens").await?;
    if args.json {
        println!("{told:#}");
        return Ok(());
    }
    let all = told.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        eprintln!("there are no tokens");
    }
    for it in all {
        println!("{}", line(it));
    }
    Ok(())
}

/// A token in a line: `nightly  ann  force_build,read  expires 2026-01-02…  never used`.
fn line(it: &Value) -> String {
    let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
    let scopes = it["scopes"].as_array().into_iter().flatten();
    let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
    let expires = match (text("expires"), it["is_expired"] == true) {
        (it, true) => format!("expired {it}"),
        (it, false) if it.is_empty() => "never expires".into(),
        (it, false) => format!("expires {it}"),
    };
    let used = match (text("used"), text("place")) {
        (at, _) if at.is_empty() => "never used".into(),
        (at, place) if place.is_empty() => format!("used {at}"),
        (at, place) => format!("used {at} from {place}"),
    };
    let scopes = scopes.join(",");
    [text("name"), text("user"), scopes, expires, used].join("  ")
}

async fn remove(args: &TokenRemoveArgs) -> Done {
    let path = format!("/api/tokens/{}/remove", encode(&args.name));
    let told: Value = client(&args.master)?.post(&path, &[]).await?;
    println!(
        "token {} is removed",
        told["removed"].as_str().unwrap_or(&args.name)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_a_line_that_says_how_long_it_lasts_and_when_it_was_used() {
        let told = line(&json!({
            "name": "nightly", "user": "ann", "scopes": ["read", "force_build"],
            "expires": "2026-01-02T03:04:05+00:00", "is_expired": false,
            "used": "2026-01-01T00:00:00+00:00", "place": "192.0.2.1",
        }));
        assert_eq!(
            told,
            "nightly  ann  read,force_build  expires 2026-01-02T03:04:05+00:00  \
             used 2026-01-01T00:00:00+00:00 from 192.0.2.1"
        );
        let told = line(&json!({
            "name": "n", "user": "u", "scopes": ["read"], "expires": null, "is_expired": false,
            "used": null, "place": null,
        }));
        assert_eq!(told, "n  u  read  never expires  never used");
    }

    #[test]
    fn a_token_lasts_for_days() {
        assert_eq!(days("90d").ok(), Some(Some(90)));
        assert_eq!(days("2w").ok(), Some(Some(14)));
        assert_eq!(days("none").ok(), Some(None));
        for bad in ["", "1h", "soon", "-1d", "0"] {
            assert!(days(bad).is_err(), "{bad}");
        }
    }
}
