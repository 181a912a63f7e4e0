//! `autobot stop --clean`: has masters end when their builds are done, and waits for that.
//! Whoever stops waiting has changed nothing; `--cancel` does.

use std::env;
use std::time::Duration;

use anstream::println;
use clap::Args;
use tokio::time::sleep;

use super::args::DirsArgs;
use super::args::MasterArgs;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::reach;
use super::reach::FarArgs;
use super::start;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::Shutdown;
use crate::client::ShutdownCancelled;

/// Between two looks at what is left. The lock cannot be waited for without taking it.
const LOOK: Duration = Duration::from_millis(200);
/// Builds of which the names are printed.
const NAMED: usize = 5;

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    #[command(flatten)]
    pub(super) dirs: DirsArgs,
    #[command(flatten)]
    pub(super) far: FarArgs,
    /// Have the master begin no builds any more, and wait until those that run are done
    #[arg(long)]
    pub(super) clean: bool,
    /// Have a master that was told to stop in this way begin builds again
    #[arg(long, conflicts_with = "clean")]
    pub(super) cancel: bool,
}

impl StopArgs {
    pub(super) fn at_once(dirs: DirsArgs) -> Self {
        let (clean, cancel) = (false, false);
        Self {
            dirs,
            far: FarArgs::default(),
            clean,
            cancel,
        }
    }
}

/// Ends the masters among the directories one after the other, then the slaves.
pub(super) async fn stop(args: &StopArgs) -> Done {
    if let Some(far) = args.far.master(&args.dirs) {
        return stop_far(&far, args.dirs.quiet).await;
    }
    let (masters, slaves) = masters_and_slaves(args)?;
    let quiet = args.dirs.quiet;
    // All of them first: no build begins at the last while the first is waited for.
    let mut asked = Vec::new();
    for base in &masters {
        let pid = daemon::running(&base.dir)?.map(|it| it.pid);
        match pid {
            Some(pid) => {
                ask(&base.client(), &base.to_string(), quiet).await?;
                asked.push((base, pid));
            }
            None if quiet => {}
            None => println!("{base} was not running"),
        }
    }
    for (base, pid) in asked {
        wait_for(base, quiet).await?;
        let was = pid.map_or(String::new(), |pid| format!("; it was process {pid}"));
        if !quiet {
            println!("{base} has ended{was}");
        }
    }
    start::stop_all(&slaves, quiet).await
}

/// Has the masters among the directories begin builds again.
pub(super) async fn cancel(args: &StopArgs) -> Done {
    if let Some(far) = args.far.master(&args.dirs) {
        let (client, name) = reach::far(&far)?;
        return begin_again(&client, &name, args.dirs.quiet).await;
    }
    let (masters, _) = masters_and_slaves(args)?;
    for base in masters {
        if daemon::running(&base.dir)?.is_none() {
            return Err(Failure::new(format!("{base} is not running")));
        }
        begin_again(&base.client(), &base.to_string(), args.dirs.quiet).await?;
    }
    Ok(())
}

async fn begin_again(client: &Client, name: &str, quiet: bool) -> Done {
    let done: ShutdownCancelled = client.post("/cancel_shutdown", &[]).await?;
    if !done.cancelled {
        return Err(Failure::new(format!("{name} was not about to shut down")));
    }
    if !quiet {
        println!("{name} begins builds again");
    }
    Ok(())
}

/// Ends a master that is not on this machine, and waits until it does not answer any more.
async fn stop_far(args: &MasterArgs, quiet: bool) -> Done {
    let (client, name) = reach::far(args)?;
    ask(&client, &name, quiet).await?;
    let mut told = None;
    loop {
        match look(&client, &name, &mut told, quiet).await? {
            Look::Goes => {}
            Look::Gone => break,
        }
        sleep(LOOK).await;
    }
    if !quiet {
        println!("{name} has ended");
    }
    Ok(())
}

fn masters_and_slaves(args: &StopArgs) -> Result<(Vec<Base>, Vec<Base>), Failure> {
    let bases = Base::of_all(&args.dirs.dirs)?;
    let (masters, slaves): (Vec<_>, Vec<_>) =
        bases.into_iter().partition(|it| it.kind == Kind::Master);
    if masters.is_empty() {
        return Err(Failure::new(
            "there is no master, and a slave alone does not know what comes next",
        )
        .hint("`autobot slave shutdown NAME` ends a slave when its builds are done"));
    }
    Ok((masters, slaves))
}

async fn ask(client: &Client, name: &str, quiet: bool) -> Done {
    let user = env::var("USER").ok();
    let fields: Vec<_> = user.iter().map(|it| ("username", it.as_str())).collect();
    let answer: Shutdown = client.post("/shutdown", &fields).await?;
    if !quiet {
        let left = left(&answer.builds);
        println!("{name} shuts down when its builds are done; {left}");
    }
    Ok(())
}

async fn wait_for(base: &Base, quiet: bool) -> Done {
    let mut told = None;
    let (client, name) = (base.client(), base.to_string());
    while daemon::running(&base.dir)?.is_some() {
        // One that does not answer is about to end.
        look(&client, &name, &mut told, quiet).await?;
        sleep(LOOK).await;
    }
    Ok(())
}

/// What a look at a master that ends has shown.
enum Look {
    Goes,
    /// It does not answer.
    Gone,
}

/// Says which builds are left, if these are others than before.
async fn look(
    client: &Client,
    name: &str,
    told: &mut Option<Vec<String>>,
    quiet: bool,
) -> Result<Look, Failure> {
    let now: Shutdown = match client.get("/api/shutdown").await {
        Ok(now) => now,
        // Another server in front of it may still be there.
        Err(ClientError::Refused { status: 500.., .. }) => return Ok(Look::Goes),
        Err(error @ ClientError::Refused { .. }) => return Err(error.into()),
        Err(_) => return Ok(Look::Gone),
    };
    if now.shutdown.is_none() {
        return Err(Failure::new(format!(
            "{name} goes on: its shutdown was cancelled, or it was started anew"
        )));
    }
    let is_news = told.is_some() && told.as_ref() != Some(&now.builds);
    if is_news && !quiet {
        println!("{}", left(&now.builds));
    }
    *told = Some(now.builds);
    Ok(Look::Goes)
}

/// How many builds are left, and which.
fn left(builds: &[String]) -> String {
    let named = builds.iter().take(NAMED).map(String::as_str);
    let named = named.collect::<Vec<_>>().join(", ");
    match builds.len() {
        0 => "no build is left".to_owned(),
        1 => format!("1 build is left: {named}"),
        count @ ..=NAMED => format!("{count} builds are left: {named}"),
        count => format!(
            "{count} builds are left: {named} and {} more",
            count - NAMED
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted_and_the_first_are_named() {
        let check = |count: usize, told: &str| {
            let builds: Vec<_> = (0..count).map(|it| format!("a/{it}")).collect();
            assert_eq!(left(&builds), told);
        };
        check(0, "no build is left");
        check(1, "1 build is left: a/0");
        check(5, "5 builds are left: a/0, a/1, a/2, a/3, a/4");
        check(7, "7 builds are left: a/0, a/1, a/2, a/3, a/4 and 2 more");
    }
}
