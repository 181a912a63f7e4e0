//! A program that does something for us and is asked how that went. What it
//! says goes to a file and not to a pipe: what it leaves running may go on
//! saying things, and is not killed by our not listening.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::tree::{self, ProcessName};

/// What is shown of a long complaint.
const TAIL: u64 = 2000;

/// A program to be run, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) argv: &'a [String],
    /// Laid over our environment; `None` removes a variable.
    pub(crate) env: &'a BTreeMap<String, Option<String>>,
    /// Of our environment, what it does not get.
    pub(crate) without: &'a [OsString],
    pub(crate) dir: &'a Path,
    /// Is made anew and gets all that it says.
    pub(crate) log: &'a Path,
}

/// A program that runs. It is killed with all that it started if this is dropped before its
/// end; what it leaves running after that goes on.
pub(crate) struct Telling {
    child: Child,
    leader: Option<Pid>,
    log: File,
    is_running: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The end of what it said.
    pub(crate) tail: String,
}

impl Told<'_> {
    /// Starts it as the leader of a process group, with empty input.
    #[expect(clippy::disallowed_methods, reason = "this room starts programs")]
    pub(crate) fn spawn(&self) -> io::Result<Telling> {
        let [program, args @ ..] = self.argv else {
            let what = "the command line is empty";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        let log = super::private_file(self.log)?;
        let mut command = Command::new(program);
        for name in self.without {
            command.env_remove(name);
        }
        for (name, value) in self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .args(args)
            .current_dir(self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Telling {
            child,
            leader: pid.and_then(Pid::from_raw),
            log,
            is_running: true,
        })
    }
}

impl Telling {
    /// A name by which it is found after a restart of this process.
    pub(crate) fn name(&self) -> Option<ProcessName> {
        ProcessName::of(self.leader?.as_raw_nonzero().get())
    }

    /// Waits for its end; `None` if it takes longer than `limit`, and was killed.
    pub(crate) async fn end(mut self, limit: Duration) -> io::Result<Option<Answer>> {
        let status = match timeout(limit, self.child.wait()).await {
            Ok(status) => status?,
            Err(_) => return Ok(None),
        };
        self.is_running = false;
        Ok(Some(Answer {
            code: status.code(),
            tail: tail(&mut self.log)?,
        }))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if let (true, Some(leader)) = (self.is_running, self.leader) {
            tree::kill_tree(leader);
        }
    }
}

fn tail(log: &mut File) -> io::Result<String> {
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    log.by_ref().take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match (length > TAIL, text.split_once('\n')) {
        (true, Some((_, rest))) => rest.trim_end(),
        _ => text.trim_end(),
    };
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn spawn(dir: &Path, line: &str) -> Telling {
        let argv = ["/bin/sh", "-c", line].map(str::to_owned);
        let env = BTreeMap::from([
            ("GREETING".to_owned(), Some("hello".to_owned())),
            ("HOME".to_owned(), None),
        ]);
        let told = Told {
            argv: &argv,
            env: &env,
            without: &["PWD".into()],
            dir,
            log: &dir.join("log"),
        };
        told.spawn().expect("started")
    }

    #[tokio::test]
    async fn the_end_of_what_it_said_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let line = "echo $GREETING $HOME; seq 1 2000; echo oh >&2; exit 3";
        let answer = spawn(dir.path(), line).end(LONG).await.expect("read");
        let answer = answer.expect("in time");
        assert_eq!(answer.code, Some(3));
        assert!(answer.tail.ends_with("\n2000\noh"), "{}", answer.tail);
        assert!(answer.tail.len() < 2000, "{}", answer.tail.len());
        let log = std::fs::read_to_string(dir.path().join("log")).expect("a log");
        assert!(log.starts_with("hello\n1\n"), "{log}");
    }

    #[tokio::test]
    async fn what_it_leaves_running_is_left_alone_and_a_slow_one_is_killed() {
        let dir = tempfile::tempdir().expect("a directory");
        let answer = spawn(dir.path(), "sleep 600 & echo $!").end(LONG).await;
        let pid = answer.expect("read").expect("in time").tail;
        let name = ProcessName::of(pid.parse().expect("a pid")).expect("it runs");
        assert!(name.is_alive());
        tree::kill_tree(Pid::from_raw(name.pid).expect("a pid"));

        let slow = spawn(dir.path(), "exec sleep 600");
        let name = slow.name().expect("it runs");
        let answer = slow.end(Duration::from_millis(10)).await.expect("read");
        assert_eq!(answer, None);
        let gone = async {
            while name.is_alive() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, gone).await.expect("it is killed");
    }
}
