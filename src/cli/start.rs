//! `autobot start`, `stop` and `restart`.

use std::path::PathBuf;

use anstream::println;
use clap::Args;

use super::args::DirsArgs;
use super::daemon;
use super::daemon::Attached;
use super::daemon::Stopped;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::rooms;
use super::verbs;

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    pub(super) dirs: DirsArgs,
    /// Stay in the foreground and log to the terminal, as service managers want it
    #[arg(long, alias = "no-daemon")]
    pub(super) nodaemon: bool,
}

/// Runs one daemon in this process.
pub(super) fn in_foreground(args: &StartArgs) -> Done {
    let bases = Base::of_all(&args.dirs.dirs)?;
    let [base] = bases.as_slice() else {
        let names: Vec<String> = bases
            .iter()
            .map(|base| format!("`{}`", base.dir.display()))
            .collect();
        return Err(Failure::usage(format!(
            "the foreground has place for one of {}",
            names.join(", ")
        ))
        .hint("name one of them, or leave `--nodaemon` out"));
    };
    daemon::run(base, Attached::Foreground)
}

/// Is the daemon that [`start`] waits for.
pub(super) fn detached(dir: PathBuf) -> Done {
    let bases = Base::of_all(&[dir])?;
    let [base] = bases.as_slice() else {
        return Err(Failure::usage("a daemon is one master or one slave"));
    };
    // What it has to say it has said in the log and to who started it.
    daemon::run(base, Attached::Detached).map_err(|_| Failure::told())
}

/// Starts daemons one after the other, each master before its slave.
pub(super) async fn start(args: &DirsArgs) -> Done {
    start_all(&Base::of_all(&args.dirs)?, args.quiet).await
}

/// Starts `bases` in their order; a slave is not started after its master failed.
pub(super) async fn start_all(bases: &[Base], quiet: bool) -> Done {
    for base in bases {
        let pid = daemon::launch(base).await?;
        if !quiet {
            println!("{base} is ready, as process {pid}");
        }
    }
    Ok(())
}

/// Stops daemons in the reverse of the order in which they are started.
pub(super) async fn stop(args: &DirsArgs) -> Done {
    stop_all(&Base::of_all(&args.dirs)?, args.quiet).await
}

/// Stops `bases` from the last to the first, even if one of them fails.
pub(super) async fn stop_all(bases: &[Base], quiet: bool) -> Done {
    let mut done = Ok(());
    for base in bases.iter().rev() {
        match daemon::stop(base).await {
            Ok(_) if quiet => {}
            Ok(Stopped::Ended(pid)) => println!("{base} has ended; it was process {pid}"),
            Ok(Stopped::WasNotRunning) => println!("{base} was not running"),
            Err(failure) => {
                failure.print();
                done = Err(Failure::told());
            }
        }
    }
    done
}

/// Stops what runs, then starts everything; what could not start again is not stopped.
pub(super) async fn restart(args: &DirsArgs) -> Done {
    let bases = Base::of_all(&args.dirs)?;
    for base in &bases {
        rooms::check(base).map_err(|problems| {
            Failure::new(format!(
                "{base} would not start again:\n{}",
                problems.trim_end()
            ))
            .hint("nothing was stopped")
        })?;
    }
    stop_all(&bases, args.quiet).await?;
    start_all(&bases, args.quiet).await
}

/// Runs a slave whose master speaks through standard input and output.
pub(super) fn slave_over_stdio(basedir: PathBuf, name: &str) -> Done {
    daemon::log_to_stderr()?;
    verbs::wait_for(async {
        rooms::run_over_stdio(basedir, name.to_owned())
            .await
            .map_err(Failure::new)
    })
}
