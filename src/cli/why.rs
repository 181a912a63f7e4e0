//! `autobot why`: why a request or a builder waits, why a build ran, and what
//! became of a change.

use anstream::print;
use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::explain::told;
use super::log;
use super::reach::client;
use crate::client::encode;

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// A request's number, a builder, or a build
    #[arg(value_name = "REQUEST|BUILDER|BUILDER/N", conflicts_with = "change")]
    what: Option<String>,
    /// A change's number
    #[arg(long, value_name = "N")]
    change: Option<i64>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

pub(super) async fn run(args: &WhyArgs) -> Done {
    let client = client(&args.master)?;
    let path = path(args.what.as_deref(), args.change)?;
    let why: Value = client.get(&path).await?;
    if args.json {
        println!("{why:#}");
    } else {
        print!("{}", told(&why));
    }
    Ok(())
}

/// Where the answer is.
fn path(what: Option<&str>, change: Option<i64>) -> Result<String, Failure> {
    let Some(what) = what else {
        return match change {
            Some(change) => Ok(format!("/api/why/changes/{change}")),
            None => Err(Failure::usage("what is meant is not said").hint(
                "a request's number, a builder, a build BUILDER/N, or a change: `--change N`",
            )),
        };
    };
    // A builder may be called a number; then its page says why.
    if what.parse::<i64>().is_ok() {
        return Ok(format!("/api/why/requests/{what}"));
    }
    Ok(match log::builder_and_number(what) {
        Some((builder, number)) => format!("/api/why/builds/{}/{number}", encode(&builder)),
        None => format!("/api/why/builders/{}", encode(what)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_request_a_slash_makes_a_build_and_the_rest_is_a_builder() {
        let check = |what: &str, expected: &str| {
            assert_eq!(path(Some(what), None), Ok(expected.to_owned()))
        };
        check("7", "/api/why/requests/7");
        check("words-here", "/api/why/builders/words-here");
        check("words-here/-1", "/api/why/builds/words-here/-1");
        check("a b/c", "/api/why/builders/a%20b%2Fc");
        assert_eq!(path(None, Some(3)), Ok("/api/why/changes/3".to_owned()));
        assert!(path(None, None).is_err());
    }
}
