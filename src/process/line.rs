//! A program that talks over its pipes for as long as it runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Starts a program whose standard input and output are a line to it; what it
/// says on standard error is ours too. It inherits our environment `without`
/// some variables, with those of `env`. It is not stopped with this process:
/// the closed line tells it.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn spawn_line(
    program: &Path,
    args: &[&OsStr],
    env: &[(&str, &str)],
    without: &[OsString],
) -> io::Result<Child> {
    let mut command = Command::new(program);
    for name in without {
        command.env_remove(name);
    }
    command
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
}
