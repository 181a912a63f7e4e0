//! `autobot slave`: pauses a slave of a running master, ends that, or ends the slave when its
//! builds are done.

use std::env;

use anstream::println;
use clap::Args;
use clap::Subcommand;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::reach;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::MasterView;
use crate::client::Paused;
use crate::client::ShutsDown;
use crate::client::encode;
use crate::syntax;

#[derive(Debug, Args)]
pub(super) struct SlaveArgs {
    #[command(subcommand)]
    verb: SlaveVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SlaveVerb {
    /// Give a slave no new builds; what it builds goes on
    Pause(SlavePauseArgs),
    /// Give it builds again
    Unpause(SlaveUnpauseArgs),
    /// End a slave that dials in when its builds are done
    Shutdown(SlaveShutdownArgs),
}

#[derive(Debug, Args)]
pub(super) struct SlavePauseArgs {
    /// The slave
    slave: String,
    /// Why, for others to read
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SlaveUnpauseArgs {
    /// The slave
    slave: String,
    #[command(flatten)]
    master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SlaveShutdownArgs {
    /// The slave
    slave: String,
    #[command(flatten)]
    master: MasterArgs,
}

pub(super) async fn run(args: &SlaveArgs) -> Done {
    match &args.verb {
        SlaveVerb::Pause(args) => pause(args).await,
        SlaveVerb::Unpause(args) => unpause(args).await,
        SlaveVerb::Shutdown(args) => shut_down(args).await,
    }
}

async fn pause(args: &SlavePauseArgs) -> Done {
    let client = reach::client(&args.master)?;
    let user = env::var("USER").ok();
    let reason = args.reason.as_deref();
    let fields: Vec<(&str, &str)> = [("username", user.as_deref()), ("comments", reason)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    tell(&client, &args.slave, "pause", &fields).await
}

async fn unpause(args: &SlaveUnpauseArgs) -> Done {
    let client = reach::client(&args.master)?;
    tell(&client, &args.slave, "unpause", &[]).await
}

async fn shut_down(args: &SlaveShutdownArgs) -> Done {
    let client = reach::client(&args.master)?;
    let path = format!("/buildslaves/{}/shutdown", encode(&args.slave));
    match client.post::<ShutsDown>(&path, &[]).await {
        Ok(done) => {
            println!("slave {} shuts down when its builds are done", done.slave);
            Ok(())
        }
        Err(error) => Err(refused(&client, &args.slave, error).await),
    }
}

async fn tell(client: &Client, slave: &str, verb: &str, fields: &[(&str, &str)]) -> Done {
    let path = format!("/buildslaves/{}/{verb}", encode(slave));
    match client.post::<Paused>(&path, fields).await {
        Ok(done) => {
            println!("{}", line(&done));
            Ok(())
        }
        Err(error) => Err(refused(client, slave, error).await),
    }
}

fn line(done: &Paused) -> String {
    match &done.pause {
        Some(pause) => format!("slave {} {pause}", done.slave),
        None => format!("slave {} takes builds again", done.slave),
    }
}

/// Why nothing was done; a slave that is not there may be a slip of the pen.
async fn refused(client: &Client, slave: &str, error: ClientError) -> Failure {
    let is_unknown = matches!(error, ClientError::Refused { status: 404, .. });
    let failure = Failure::from(error);
    if !is_unknown {
        return failure;
    }
    let known: Option<MasterView> = client.get("/api/status").await.ok();
    let known = known.iter().flat_map(|it| &it.slaves);
    match syntax::nearest(slave, known.map(|it| it.name.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_sentence_about_the_slave() {
        let check = |pause: Option<&str>, told: &str| {
            let done = Paused {
                slave: "s1".into(),
                pause: pause.map(Into::into),
            };
            assert_eq!(line(&done), told);
        };
        check(
            Some("is paused since noon"),
            "slave s1 is paused since noon",
        );
        check(None, "slave s1 takes builds again");
    }
}
