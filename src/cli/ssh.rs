//! `autobot ssh-trust`, and the hidden verbs of a slave that its master
//! reaches over ssh: what stays, what leads to it, and what ends it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anstream::println;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::default_dir;
use super::rooms;
use super::terminal;
use super::verbs;
use crate::config;
use crate::config::Launch;
use crate::master::fleet::SshMeans;
use crate::master::launch_ssh;
use crate::slave;
use crate::ssh::Cut;

#[derive(Debug, Args)]
pub(super) struct SshTrustArgs {
    /// The slave, which has `launch = ssh`
    slave: String,
    /// Take the key if it is this one, without asking: `SHA256:…`
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<String>,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Shows the key of a slave's host and adds it to those that are known.
pub(super) fn trust(args: &SshTrustArgs) -> Done {
    let dir = args.dir.clone().unwrap_or_else(default_dir);
    let dir = Base::master_of(&dir)?.dir;
    let plan =
        config::load_offline(&dir).map_err(|problems| Failure::new(problems.render(true)))?;
    let slave = plan.slaves.iter().find(|it| it.name.as_str() == args.slave);
    let Some(slave) = slave else {
        return Err(Failure::new(format!("there is no slave `{}`", args.slave)));
    };
    let Launch::Ssh(launch) = &slave.launch else {
        let what = format!("slave `{}` is not started over ssh", slave.name);
        return Err(Failure::new(what).hint("`launch = ssh` in its section would have it so"));
    };
    let host = launch_ssh::host(&SshMeans::of(launch)).map_err(Failure::new)?;
    let (shown, is_known) = host
        .look(&Cut::default())
        .map_err(|error| Failure::new(launch_ssh::explained(&error, &slave.name)))?;
    let path = launch.known_hosts.display();
    println!("host:        {} port {}", launch.host, launch.port);
    println!("key:         {}", shown.kind);
    println!("fingerprint: {}", shown.fingerprint);
    if is_known {
        println!("It is known already, in `{path}`.");
        return Ok(());
    }
    match &args.fingerprint {
        Some(expected) if *expected == shown.fingerprint => {}
        Some(expected) => {
            let what = format!("the host shows {}, not {expected}", shown.fingerprint);
            return Err(Failure::new(what).hint("nothing was added"));
        }
        None if !terminal::somebody_is_there() => {
            return Err(Failure::new("nobody is there to say whether that is the right one")
                .hint("on the host, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints its own")
                .hint("`--fingerprint SHA256:…` adds the key without asking, if it is that one"));
        }
        None => {
            println!(
                "On the host, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints its own."
            );
            let answer = terminal::ask("Is it the right one? (yes or no) ")?;
            if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
                return Err(Failure::new("nothing was added"));
            }
        }
    }
    let failed =
        |error: std::io::Error| Failure::because(format!("failed to write `{path}`"), &error);
    // A last line without an end must not run into this one.
    let before = fs::read(&launch.known_hosts).unwrap_or_default();
    let gap = if before.last().is_some_and(|it| *it != b'\n') {
        "\n"
    } else {
        ""
    };
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(&launch.known_hosts)
        .map_err(failed)?;
    let line = shown.line(&launch.host, launch.port);
    file.write_all(format!("{gap}{line}\n").as_bytes())
        .map_err(failed)?;
    println!("Added to `{path}`.");
    Ok(())
}

/// Stays as a slave at its socket.
pub(super) fn host(dir: PathBuf, name: &str) -> Done {
    rustix::process::setsid()
        .map_err(|error| Failure::because("failed to leave the session", &error))?;
    daemon::log_to(&dir.join("slave.log"))?;
    verbs::wait_for(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let token = stop.clone();
        tokio::spawn(async move {
            terminate.recv().await;
            token.cancel();
        });
        let settings = rooms::kept_slave(dir, name.to_owned()).map_err(Failure::new)?;
        Ok(slave::run_at_socket(settings, stop).await?)
    })
}

/// Leads standard input and output to the slave of a directory.
pub(super) fn attach(dir: &Path, name: &str) -> Done {
    let program = rooms::program().map_err(Failure::new)?;
    verbs::wait_for(async { Ok(slave::attach(dir, name, &program).await?) })
}

/// Ends the slave of a directory.
pub(super) fn dismiss(dir: &Path) -> Done {
    verbs::wait_for(async { Ok(slave::dismiss(dir).await?) })
}
