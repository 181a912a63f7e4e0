//! `autobot stop --clean`: has masters end when their builds are done, and waits for that.
//! Whoever stops waiting has changed nothing; `--cancel` does.

use std::env;
use std::time::Duration;

use anstream::println;
use tokio::time::sleep;

use super::args::StopArgs;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::start;
use crate::client::Shutdown;
use crate::client::ShutdownCancelled;

/// Between two looks at what is left. The lock cannot be waited for without taking it.
const LOOK: Duration = Duration::from_millis(200);
/// Builds of which the names are printed.
const NAMED: usize = 5;

/// Ends the masters among the directories one after the other, then the slaves.
pub(super) async fn stop(args: &StopArgs) -> Done {
    let (masters, slaves) = masters_and_slaves(args)?;
    let quiet = args.dirs.quiet;
    // All of them first: no build begins at the last while the first is waited for.
    let mut asked = Vec::new();
    for base in &masters {
        let pid = daemon::running(&base.dir)?.map(|it| it.pid);
        match pid {
            Some(pid) => {
                ask(base, quiet).await?;
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
    let (masters, _) = masters_and_slaves(args)?;
    for base in masters {
        if daemon::running(&base.dir)?.is_none() {
            return Err(Failure::new(format!("{base} is not running")));
        }
        let done: ShutdownCancelled = base.client().post("/cancel_shutdown", &[]).await?;
        if !done.cancelled {
            return Err(Failure::new(format!("{base} was not about to shut down")));
        }
        if !args.dirs.quiet {
            println!("{base} begins builds again");
        }
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

async fn ask(base: &Base, quiet: bool) -> Done {
    let user = env::var("USER").ok();
    let fields: Vec<_> = user.iter().map(|it| ("username", it.as_str())).collect();
    let answer: Shutdown = base.client().post("/shutdown", &fields).await?;
    if !quiet {
        let left = left(&answer.builds);
        println!("{base} shuts down when its builds are done; {left}");
    }
    Ok(())
}

async fn wait_for(base: &Base, quiet: bool) -> Done {
    let mut told = None;
    while daemon::running(&base.dir)?.is_some() {
        // One that does not answer is about to end.
        if let Ok(now) = base.client().get::<Shutdown>("/api/shutdown").await {
            if now.shutdown.is_none() {
                return Err(Failure::new(format!(
                    "{base} goes on: its shutdown was cancelled, or it was started anew"
                )));
            }
            let is_news = told.is_some() && told.as_ref() != Some(&now.builds);
            if is_news && !quiet {
                println!("{}", left(&now.builds));
            }
            told = Some(now.builds);
        }
        sleep(LOOK).await;
    }
    Ok(())
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
