//! Runs a program to its end and brings back what it said, within a limit of
//! time and of memory. What it has started ends with it.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::tree;

/// How long output is waited for when the program has ended and something
/// that it started still holds its pipes.
const LINGER: Duration = Duration::from_millis(500);

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// −1 when a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Why there is nothing to bring back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("program `{program}` is not found")]
    NotFound { program: String },
    #[error("failed to start `{program}` in `{dir}`")]
    Start {
        program: String,
        dir: String,
        source: io::Error,
    },
    #[error("`{program}` took longer than {} s and was killed", limit.as_secs_f64())]
    Slow { program: String, limit: Duration },
    #[error("`{program}` said more than {most} bytes and was killed")]
    TooMuch { program: String, most: usize },
    #[error("failed to hear what `{program}` says")]
    Read { program: String, source: io::Error },
}

/// Runs `program` in `dir` with empty input and `env` added to this process's
/// environment. It is killed with all that it started when it takes longer
/// than `limit`, says more than `max_output` bytes on either stream, or when
/// the future is dropped.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) async fn run(
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
    dir: &Path,
    limit: Duration,
    max_output: usize,
) -> Result<Output, RunError> {
    let spawned = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let named = || program.to_owned();
    let child = spawned.map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound && dir.is_dir() {
            return RunError::NotFound { program: named() };
        }
        let dir = dir.display().to_string();
        let program = named();
        RunError::Start {
            program,
            dir,
            source,
        }
    })?;
    let hearing = Hearing::new(child).hear(max_output);
    match timeout(limit, hearing).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(Heard::TooMuch)) => Err(RunError::TooMuch {
            program: named(),
            most: max_output,
        }),
        Ok(Err(Heard::Failed(source))) => Err(RunError::Read {
            program: named(),
            source,
        }),
        Err(_) => Err(RunError::Slow {
            program: named(),
            limit,
        }),
    }
}

enum Heard {
    TooMuch,
    Failed(io::Error),
}

impl From<io::Error> for Heard {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A program that is listened to; it ends when nobody listens any more.
struct Hearing {
    child: Child,
    /// Its process group.
    leader: Option<Pid>,
    /// Whether something may be left of it.
    is_running: bool,
}

impl Hearing {
    fn new(child: Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self {
            child,
            leader: pid.and_then(Pid::from_raw),
            is_running: true,
        }
    }

    async fn hear(mut self, most: usize) -> Result<Output, Heard> {
        let stdout = self.child.stdout.take().expect("stdout is a pipe");
        let stderr = self.child.stderr.take().expect("stderr is a pipe");
        let mut said = (Vec::new(), Vec::new());
        let mut is_cut = false;
        let status = {
            let (out, err) = &mut said;
            let reading =
                async { tokio::try_join!(read(stdout, out, most), read(stderr, err, most)) };
            tokio::pin!(reading);
            tokio::select! {
                biased;
                read = &mut reading => {
                    read?;
                    self.child.wait().await?
                }
                status = self.child.wait() => {
                    match timeout(LINGER, &mut reading).await {
                        Ok(read) => drop(read?),
                        Err(_) => is_cut = true,
                    }
                    status?
                }
            }
        };
        // Something that still holds the pipes is killed by `drop`.
        self.is_running = is_cut;
        Ok(Output {
            code: status.code().unwrap_or(-1),
            stdout: said.0,
            stderr: said.1,
        })
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let (true, Some(leader)) = (self.is_running, self.leader) {
            tree::kill_tree(leader);
        }
    }
}

async fn read<R: AsyncRead + Unpin>(
    mut from: R,
    to: &mut Vec<u8>,
    most: usize,
) -> Result<(), Heard> {
    while from.read_buf(to).await? > 0 {
        if to.len() > most {
            return Err(Heard::TooMuch);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn script(line: &str, limit: Duration, most: usize) -> Result<Output, RunError> {
        let dir = Path::new("/");
        let env = [("GREETING", "hello")];
        run("/bin/sh", &["-c", line], &env, dir, limit, most).await
    }

    fn is_alive(pid: &str) -> bool {
        let pid = pid.trim().parse().expect("a pid");
        tree::ProcessName::of(pid).is_some_and(tree::ProcessName::is_alive)
    }

    async fn is_gone(pid: &str) {
        let waiting = async {
            while is_alive(pid) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, waiting).await.expect("the process ends");
    }

    #[tokio::test]
    async fn both_streams_and_the_code_come_back() {
        let line = "echo $GREETING; echo oh >&2; pwd; cat; exit 3";
        let output = script(line, LONG, 100).await.unwrap();
        assert_eq!(
            output,
            Output {
                code: 3,
                stdout: b"hello\n/\n".to_vec(),
                stderr: b"oh\n".to_vec()
            }
        );
    }

    #[tokio::test]
    async fn a_slow_program_is_given_up() {
        let limit = Duration::from_millis(300);
        let error = script("sleep 600", limit, 100).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/bin/sh` took longer than 0.3 s and was killed"
        );
    }

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let line = format!(
            "setsid sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait",
            file.display()
        );
        let began = async {
            while !file.exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = script(&line, LONG, 100) => panic!("{ended:?}"),
            began = timeout(LONG, began) => began.expect("the program begins"),
        }
        is_gone(&std::fs::read_to_string(file).unwrap()).await;
    }

    #[tokio::test]
    async fn a_chatty_program_is_killed() {
        let error = script("yes", LONG, 1000).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/bin/sh` said more than 1000 bytes and was killed"
        );
    }

    #[tokio::test]
    async fn a_child_that_holds_the_pipes_is_not_waited_for() {
        let output = script("sleep 600 & echo $!", LONG, 100).await.unwrap();
        is_gone(&String::from_utf8(output.stdout).unwrap()).await;
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let missing = run("frobnicate", &[], &[], Path::new("/"), LONG, 1).await;
        assert_eq!(
            missing.unwrap_err().to_string(),
            "program `frobnicate` is not found"
        );
        let nowhere = run("true", &[], &[], Path::new("/nowhere"), LONG, 1).await;
        assert_eq!(
            nowhere.unwrap_err().to_string(),
            "failed to start `true` in `/nowhere`"
        );
    }
}
