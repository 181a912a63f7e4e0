//! How the runner and what it runs are started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program that is read through pipes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piped<'a> {
    pub(crate) argv: &'a [String],
    /// The whole environment: nothing is inherited.
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) dir: &'a Path,
    /// Whether something is to be written to it; otherwise its input is empty.
    pub(crate) has_stdin: bool,
}

/// Starts a program as the leader of its own process group.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn spawn_piped(program: &Piped<'_>) -> io::Result<Child> {
    let [name, args @ ..] = program.argv else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the command line is empty",
        ));
    };
    Command::new(name)
        .args(args)
        .env_clear()
        .envs(program.env)
        .current_dir(program.dir)
        .stdin(if program.has_stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Starts a program that is to outlive this one: it shares no pipe with it,
/// and leaves its session and process group by `setsid`, which it calls
/// itself (and which fails for who leads a process group already).
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn spawn_detached(
    program: &Path,
    args: &[&OsStr],
    dir: &Path,
    stderr: File,
) -> io::Result<Child> {
    Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
}

/// Starts a shell line whose standard input and output are one socket, as the
/// leader of its own process group.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn spawn_proxy(line: &str, socket: OwnedFd, stderr: File) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::from(socket.try_clone()?))
        .stdout(Stdio::from(socket))
        .stderr(stderr)
        .process_group(0)
        .spawn()
}
