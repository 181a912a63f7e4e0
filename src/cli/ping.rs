//! `autobot ping`: asks the slaves of a builder whether they are there.

use anstream::print;
use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::force::refused;
use super::reach::client;
use crate::client::PingView;
use crate::client::encode;

#[derive(Debug, Args)]
pub(super) struct PingArgs {
    /// The builder
    builder: String,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

/// Succeeds if every slave that is here answers, or would be started if it were needed.
pub(super) async fn run(args: &PingArgs) -> Done {
    let client = client(&args.master)?;
    let path = format!("/builders/{}/ping", encode(&args.builder));
    let told: Value = match client.post(&path, &[]).await {
        Ok(told) => told,
        Err(error) => return Err(refused(&client, &args.builder, error).await),
    };
    let view: PingView = serde_json::from_value(told.clone())
        .map_err(|error| Failure::new(format!("the master's answer is not known here: {error}")))?;
    if args.json {
        println!("{told:#}");
    } else {
        print!("{}", text(&view));
    }
    match view.result.as_str() {
        "ping success" | "ping latent" => Ok(()),
        "ping no slave" => Err(Failure::new(format!(
            "no slave of `{}` is connected; `autobot status` tells more of them",
            view.builder
        ))),
        _ => Err(Failure::new(format!(
            "not every slave of `{}` answers; the page of the slave and its log say more",
            view.builder
        ))),
    }
}

/// A line for each slave.
fn text(view: &PingView) -> String {
    let lines = view.slaves.iter().map(|it| {
        let said = match (it.answer.as_str(), it.ms) {
            ("answered", Some(ms)) => format!("answered in {ms} ms"),
            ("silent", _) => "did not answer".into(),
            ("latent", _) => "is not started; a build that needs it starts it".into(),
            (other, _) => other.to_owned(),
        };
        format!("{} {said}\n", it.name)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slave_is_a_line() {
        let view: PingView = serde_json::from_str(
            r#"{"builder": "a", "result": "ping failed", "slaves": [
                {"name": "s1", "answer": "answered", "ms": 12},
                {"name": "s2", "answer": "silent", "ms": null},
                {"name": "s3", "answer": "latent", "ms": null}]}"#,
        )
        .expect("a document");
        insta::assert_snapshot!(text(&view), @"
        s1 answered in 12 ms
        s2 did not answer
        s3 is not started; a build that needs it starts it
        ");
    }
}
