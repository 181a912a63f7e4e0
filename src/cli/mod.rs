//! The command line: one file per verb. [`args`] says what is understood,
//! [`verbs`] who does it, [`rooms`] is where it meets the rooms that it runs.

mod args;
mod audit;
mod builds;
mod checkconfig;
mod completions;
mod config;
mod convert;
mod create;
mod daemon;
mod demo;
mod excerpt;
mod excerpt_toml;
mod exit;
mod explain;
mod follow;
mod force;
mod help;
mod kinds;
mod log;
mod old_options;
mod options_file;
mod password;
mod ping;
mod place;
mod programs;
mod prune;
mod queue;
mod reach;
mod reconfig;
mod rollback;
mod rooms;
mod run;
mod schema;
mod sendchange;
mod slave_ini;
mod slaves;
mod ssh;
mod start;
mod status;
mod statuslog;
mod stop_clean;
mod templates;
mod terminal;
mod tls;
mod token;
mod tries;
mod tryserver;
mod user;
mod verbs;
mod why;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::slave;
use crate::wire::{ATTACH_VERB, DISMISS_VERB, HOST_VERB, STDIO_VERB};

/// Runs the program: reads the arguments, does the work, prints the error.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    // What this program starts of itself comes before all that people may say: a runner is
    // started for every command of every build, and what stays should stay small.
    let done = match args.as_slice() {
        [_, verb, dir] if verb == slave::RUNNER_VERB => return slave::runner_main(dir.as_ref()),
        [_, verb, _] if verb == slave::FORKER_VERB => return slave::forker_main(),
        [_, verb, dir, words @ ..] if verb == slave::LAUNCHER_VERB => {
            return slave::launcher_main(dir.as_ref(), words);
        }
        [_, verb, dir, words @ ..] if verb == slave::MIRROR_VERB => {
            return slave::mirror_main(dir.as_ref(), words);
        }
        [_, verb, dir] if verb == daemon::DAEMON_VERB => start::detached(dir.into()),
        [_, verb, dir, name] if verb == STDIO_VERB => {
            start::slave_over_stdio(dir.into(), &name.to_string_lossy())
        }
        [_, verb, dir, name] if verb == HOST_VERB => ssh::host(dir.into(), &name.to_string_lossy()),
        [_, verb, dir, name] if verb == ATTACH_VERB => {
            ssh::attach(dir.as_ref(), &name.to_string_lossy())
        }
        [_, verb, dir, _] if verb == DISMISS_VERB => ssh::dismiss(dir.as_ref()),
        _ => programs::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.code()
        }
    }
}
