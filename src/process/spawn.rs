//! How the runner and what it runs are started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// A program that is read through pipes or a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piped<'a> {
    pub(crate) argv: &'a [OsString],
    /// The whole environment: nothing is inherited.
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) dir: &'a Path,
    /// Whether something is to be written to it; otherwise its input is empty.
    pub(crate) has_stdin: bool,
}

impl Piped<'_> {
    #[expect(clippy::disallowed_methods, reason = "this room starts programs")]
    fn command(&self) -> io::Result<Command> {
        let (name, args) = split(self.argv)?;
        let mut command = Command::new(name);
        command
            .args(args)
            .env_clear()
            .envs(self.env)
            .current_dir(self.dir);
        Ok(command)
    }
}

/// Starts a program as the leader of its own process group.
pub(crate) fn spawn_piped(program: &Piped<'_>) -> io::Result<Child> {
    let stdin = if program.has_stdin {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    let mut command = program.command()?;
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Starts a program on a terminal. It is to lead a session of its own, and to take the
/// terminal for it, which it does itself.
pub(crate) fn spawn_on_terminal(program: &Piped<'_>, terminal: &OwnedFd) -> io::Result<Child> {
    let mut command = program.command()?;
    command
        .stdin(terminal.try_clone()?)
        .stdout(terminal.try_clone()?)
        .stderr(terminal.try_clone()?)
        .spawn()
}

/// Becomes another program, with the environment and the files of this one. Comes back
/// only if that fails.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn become_program(argv: &[OsString]) -> io::Error {
    match split(argv) {
        Ok((name, args)) => Command::new(name).args(args).exec(),
        Err(error) => error,
    }
}

fn split<T>(argv: &[T]) -> io::Result<(&T, &[T])> {
    let empty = || io::Error::new(io::ErrorKind::InvalidInput, "the command line is empty");
    argv.split_first().ok_or_else(empty)
}

/// Runs a small program that does what only it can, and says whether it could.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn ask(program: &str, args: &[&str]) -> Result<(), String> {
    let asked = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.lines().next().unwrap_or("it says no").to_owned())
        }
        Err(error) => Err(format!("`{program}` cannot be run: {error}")),
    }
}

/// Runs a program in the place of this one, with all that is this one's, and says how it ended.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn run_here(argv: &[OsString]) -> io::Result<ExitStatus> {
    let (name, args) = split(argv)?;
    Command::new(name).args(args).status()
}

/// Runs a program whose complaints are for the reader of this one's output, not for who acts
/// on its complaints.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn run_aside(argv: &[&OsStr]) -> io::Result<ExitStatus> {
    let (name, args) = split(argv)?;
    let aside = io::stdout().as_fd().try_clone_to_owned()?;
    Command::new(name)
        .args(args)
        .stdin(Stdio::null())
        .stderr(aside)
        .status()
}

/// What a program says if all is well, and nothing of what it complains about.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn answer(argv: &[&OsStr]) -> Option<String> {
    let (name, args) = argv.split_first()?;
    let asked = Command::new(name)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    asked.status.success().then_some(said)
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

/// Starts a program that is told things on its standard input.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn spawn_fed(
    program: &Path,
    args: &[&OsStr],
    dir: &Path,
) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let stdin = child.stdin.take();
    let stdin = stdin.ok_or_else(|| io::Error::other("it has no standard input"))?;
    Ok((child, stdin))
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
