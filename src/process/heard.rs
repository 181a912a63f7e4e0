//! A program that is listened to for as long as it runs, piece by piece. What it has started
//! ends with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use super::pty;
use super::stream::FdStream;
use super::tree::{self, ProcessName};

/// How long output is waited for when the program has ended and something
/// that it started still holds its pipes.
const LINGER: Duration = Duration::from_millis(500);

/// The most that is read at once: what a pipe holds.
const PIECE: usize = 64 << 10;

/// A program to be run, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) argv: &'a [String],
    /// The whole environment: nothing is inherited.
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) dir: &'a Path,
    /// Whether its three streams are a terminal. It does not control the program.
    pub(crate) on_terminal: bool,
}

/// What it says next.
#[derive(Debug)]
pub(crate) enum Said {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// It has ended, and says nothing more.
    Ended(ExitStatus),
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// A program that runs; it ends when nobody listens any more.
pub(crate) struct Hearing {
    child: Child,
    leader: Option<Pid>,
    stdout: Option<Source>,
    stderr: Option<Source>,
    status: Option<(ExitStatus, Instant)>,
    /// Whether something may be left of it.
    is_running: bool,
}

impl Heard<'_> {
    /// Starts it as the leader of a process group, with empty input.
    #[expect(clippy::disallowed_methods, reason = "this room starts programs")]
    pub(crate) fn spawn(&self) -> io::Result<Hearing> {
        let [program, args @ ..] = self.argv else {
            let what = "the command line is empty";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(self.env)
            .current_dir(self.dir)
            .process_group(0);
        let mut terminal = None;
        if self.on_terminal {
            let pty = pty::open()?;
            command
                .stdin(pty.theirs.try_clone()?)
                .stdout(pty.theirs.try_clone()?)
                .stderr(pty.theirs);
            terminal = Some(pty.ours);
        } else {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        }
        let mut child = command.spawn()?;
        // Its ends of a terminal are closed with it: otherwise nobody would see them close.
        drop(command);
        let stdout: Option<Source> = match terminal {
            Some(ours) => Some(Box::new(FdStream::new(ours)?)),
            None => child.stdout.take().map(|it| Box::new(it) as Source),
        };
        let stderr = child.stderr.take().map(|it| Box::new(it) as Source);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Hearing {
            child,
            leader: pid.and_then(Pid::from_raw),
            stdout,
            stderr,
            status: None,
            is_running: true,
        })
    }
}

impl Hearing {
    /// A name by which it is found after a restart of this process.
    pub(crate) fn name(&self) -> Option<ProcessName> {
        ProcessName::of(self.leader?.as_raw_nonzero().get())
    }

    /// Waits for what it says next. Nothing is lost if this is dropped.
    pub(crate) async fn next(&mut self) -> io::Result<Said> {
        loop {
            let is_silent = self.stdout.is_none() && self.stderr.is_none();
            let ended = self.status;
            if let (true, Some((status, _))) = (is_silent, ended) {
                self.is_running = false;
                return Ok(Said::Ended(status));
            }
            let deadline = ended.map(|(_, at)| at + LINGER);
            tokio::select! {
                biased;
                piece = read(&mut self.stdout), if self.stdout.is_some() => match piece? {
                    Some(piece) => return Ok(Said::Stdout(piece)),
                    None => self.stdout = None,
                },
                piece = read(&mut self.stderr), if self.stderr.is_some() => match piece? {
                    Some(piece) => return Ok(Said::Stderr(piece)),
                    None => self.stderr = None,
                },
                status = self.child.wait(), if ended.is_none() => {
                    self.status = Some((status?, Instant::now()));
                }
                () = until(deadline), if ended.is_some() => {
                    // Something still holds the pipes: it is killed.
                    self.kill();
                    (self.stdout, self.stderr) = (None, None);
                }
            }
        }
    }

    fn kill(&self) {
        if let Some(leader) = self.leader {
            tree::kill_tree(leader);
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if self.is_running {
            self.kill();
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The next piece; `None` when there will be no more.
async fn read(from: &mut Option<Source>) -> io::Result<Option<Vec<u8>>> {
    let Some(source) = from else {
        return Ok(None);
    };
    let mut piece = Vec::with_capacity(PIECE);
    match source.read_buf(&mut piece).await {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(piece)),
        // What a terminal says when nobody has its other end any more.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn script(line: &str, on_terminal: bool) -> (String, String, ExitStatus) {
        let argv = ["/bin/sh", "-c", line].map(str::to_owned);
        let env = [("GREETING".into(), "hello".into())].into();
        let heard = Heard {
            argv: &argv,
            env: &env,
            dir: Path::new("/"),
            on_terminal,
        };
        let mut hearing = heard.spawn().expect("it starts");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        loop {
            match hearing.next().await.expect("it is heard") {
                Said::Stdout(piece) => out.extend(piece),
                Said::Stderr(piece) => err.extend(piece),
                Said::Ended(status) => {
                    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
                    return (text(&out), text(&err), status);
                }
            }
        }
    }

    #[tokio::test]
    async fn both_streams_and_the_end_are_heard() {
        let (out, err, status) =
            script("echo $GREETING; pwd; echo oh >&2; cat; exit 3", false).await;
        assert_eq!((out.as_str(), err.as_str()), ("hello\n/\n", "oh\n"));
        assert_eq!(status.code(), Some(3));
    }

    #[tokio::test]
    async fn on_a_terminal_both_streams_are_one() {
        let (out, err, status) =
            script("test -t 0 && test -t 1 && echo yes; echo oh >&2", true).await;
        assert_eq!((out.as_str(), err.as_str()), ("yes\noh\n", ""));
        assert!(status.success());
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_killed() {
        let (out, _, status) = script("sleep 600 & echo $!", false).await;
        assert!(status.success());
        let pid = out.trim().parse().expect("a number");
        while ProcessName::of(pid).is_some_and(ProcessName::is_alive) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_program_that_nobody_listens_to_is_killed() {
        let argv = ["sleep", "600"].map(str::to_owned);
        let env = std::env::vars_os().collect();
        let heard = Heard {
            argv: &argv,
            env: &env,
            dir: Path::new("/"),
            on_terminal: false,
        };
        let hearing = heard.spawn().expect("it starts");
        let name = hearing.name().expect("it is there");
        drop(hearing);
        while name.is_alive() {
            tokio::task::yield_now().await;
        }
    }
}
