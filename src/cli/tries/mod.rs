//! `autobot try`: has what was changed in a tree built before it is committed.
//!
//! The tree and its version control are found ([`source`], [`vc`]), the difference to what others
//! have becomes a patch ([`part`] for what no diff can say), a [`job`] is made of it and brought
//! to a master ([`deliver`]), and its builds are followed ([`wait`]).

mod args;
mod deliver;
mod draft;
mod fits;
mod job;
mod part;
mod settings;
mod source;
mod vc;
mod wait;

use std::io;
use std::io::Write as _;

use anstream::println;

use super::exit::Done;
use super::exit::Failure;
use super::options_file::Options;
use super::reach;
use crate::client::Client;
use crate::clock;
use deliver::Desk;
use job::Job;
use settings::Settings;
use settings::Way;

pub(super) use args::TryArgs;

/// Tries it; with `--wait` it is well only if all builds are.
pub(super) async fn run(args: &TryArgs) -> Done {
    let wanted = Settings::of(args, &Options::find()?)?;
    if args.get_builder_names {
        return builders(&wanted).await;
    }
    let say = |line: &str| {
        if !wanted.is_quiet {
            println!("{line}");
        }
    };
    let way = match wanted.way {
        Way::Http(_) => "http",
        Way::Ssh(_) => "ssh",
    };
    say(&format!("using '{way}' connect method"));
    let found = source::find(&wanted.source)?;
    let job = Job {
        found: &found,
        repository: &wanted.source.repository,
        project: &wanted.source.project,
        who: &wanted.who,
        comment: &wanted.comment,
        builders: &wanted.builders,
        properties: &wanted.properties,
    };
    say("job created");
    if wanted.is_rehearsal {
        return print(&job.shown());
    }
    match &wanted.way {
        Way::Http(login) => {
            let client = client(&wanted)?;
            let desk = Desk::find(client.clone(), login).await?;
            say(&format!("Delivering job; comment= {}", wanted.comment));
            let asked = desk.send(&job).await?;
            say("job has been delivered");
            match wanted.waits {
                true => wait::wait(&client, &asked, wanted.is_quiet).await,
                false => {
                    say("not waiting for builds to finish");
                    Ok(())
                }
            }
        }
        Way::Ssh(host) => {
            // What cannot be waited for is not sent.
            let client = wanted.waits.then(|| client(&wanted)).transpose()?;
            let id = format!("{}-{}", clock::now().0 / 1000, draft::chance()? % 1_000_000);
            print(deliver::over_ssh(host, &job.netstrings(&id))?.as_bytes())?;
            say("job has been delivered");
            let Some(client) = client else {
                say("not waiting for builds to finish");
                return Ok(());
            };
            say("waiting for job to be accepted");
            let asked = wait::requests_of(&client, &id).await?;
            wait::wait(&client, &asked, wanted.is_quiet).await
        }
    }
}

/// The master, which has to be named: a tree is not the directory of one.
fn client(wanted: &Settings) -> Result<Client, Failure> {
    let master = &wanted.master;
    if master.dir.is_none() && reach::address(master).is_none() {
        return Err(Failure::usage("which master is not said")
            .hint("`--master URL`, AUTOBOT_URL, or `try_master = '…'` in the file of options"));
    }
    reach::client(master)
}

/// Prints who may try something.
async fn builders(wanted: &Settings) -> Done {
    let Way::Http(login) = &wanted.way else {
        return Ok(());
    };
    let desk = Desk::find(client(wanted)?, login).await?;
    let builders = desk.builders().await?;
    println!("The following builders are available for the try scheduler:");
    for name in builders {
        println!("{name}");
    }
    Ok(())
}

/// Bytes as they are.
fn print(bytes: &[u8]) -> Done {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(bytes).and_then(|()| stdout.flush());
    printed.map_err(|error| Failure::because("failed to print", &error))
}
