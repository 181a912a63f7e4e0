//! Starts a daemon and waits until it says that it is ready, or why it is not.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;
use tokio::process::Command;
use tokio::time::Instant;
use tokio::time::timeout_at;

use super::LOG;
use super::notify::Ear;
use super::notify::Notice;
use super::running;
use crate::cli::exit::Failure;
use crate::cli::place::Base;
use crate::cli::place::Kind;

/// A master migrates its database and reads unfinished builds before it is ready.
const MASTER_PATIENCE: Duration = Duration::from_secs(60);
/// A slave is ready when its master has greeted it.
const SLAVE_PATIENCE: Duration = Duration::from_secs(10);
/// Enough of the log to see what happened.
const LAST_LINES: usize = 15;

/// Starts `base` and returns the process id once it is ready.
pub(in crate::cli) async fn launch(base: &Base) -> Result<u32, Failure> {
    if let Some(other) = running(&base.dir)? {
        let pid = other
            .pid
            .map_or(String::new(), |pid| format!(", as process {pid}"));
        return Err(Failure::new(format!("{base} is already running{pid}")));
    }
    let log_path = base.dir.join(LOG);
    let log_failed = |error: io::Error| {
        Failure::because(format!("failed to open `{}`", log_path.display()), &error)
    };
    let log = File::options()
        .append(true)
        .create(true)
        .open(&log_path)
        .map_err(log_failed)?;
    let log_start = log.metadata().map_err(log_failed)?.len();
    let ear = Ear::open().map_err(|error| Failure::because("failed to open a socket", &error))?;
    let mut child = spawn(base, &ear, &log)
        .map_err(|error| Failure::because(format!("failed to start {base}"), &error))?;
    let pid = child.id().unwrap_or(0);

    match wait(base, &mut child, &ear).await? {
        Started::Ready => Ok(pid),
        Started::Failed(why) => Err(refused(base, &why)),
        Started::Ended => {
            let last = last_lines(&log_path, log_start);
            Err(Failure::new(format!("{base} does not start{last}")))
        }
        Started::Silent(after) => {
            let last = last_lines(&log_path, log_start);
            let after = after.as_secs();
            let what = format!("{base} runs as process {pid}, but is not ready after {after} s");
            Err(Failure::new(format!("{what}{last}")).hint("it keeps trying"))
        }
    }
}

enum Started {
    Ready,
    Failed(String),
    /// Without a word.
    Ended,
    /// It runs, but is not ready after so long.
    Silent(Duration),
}

async fn wait(base: &Base, child: &mut Child, ear: &Ear) -> Result<Started, Failure> {
    let patience = match base.kind {
        Kind::Master => MASTER_PATIENCE,
        Kind::Slave => SLAVE_PATIENCE,
    };
    let deadline = Instant::now() + patience;
    loop {
        let (notices, has_ended) = tokio::select! {
            biased;
            heard = ear.hear() => (heard?, false),
            ended = child.wait() => {
                ended?;
                // Its last words may have arrived together with its end.
                (ear.rest(), true)
            }
            _ = timeout_at(deadline, std::future::pending::<()>()) => {
                return Ok(Started::Silent(patience));
            }
        };
        for notice in notices {
            match notice {
                Notice::Ready if !has_ended => return Ok(Started::Ready),
                Notice::Failed(why) => return Ok(Started::Failed(why)),
                Notice::Ready | Notice::Status(_) => {}
            }
        }
        if has_ended {
            return Ok(Started::Ended);
        }
    }
}

/// One line beside the name, several below it.
fn refused(base: &Base, why: &str) -> Failure {
    let why = why.trim_end();
    let gap = if why.contains('\n') { "\n" } else { " " };
    Failure::new(format!("{base} does not start:{gap}{why}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the daemon is this program again, not a child that is looked after"
)]
fn spawn(base: &Base, ear: &Ear, log: &File) -> io::Result<Child> {
    let dir = fs::canonicalize(&base.dir)?;
    Command::new(crate::process::own_program()?)
        .arg0("autobot")
        .arg(super::DAEMON_VERB)
        .arg(&dir)
        .env("NOTIFY_SOCKET", ear.path())
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
}

/// What a daemon wrote since `start`, on lines of its own, or nothing.
fn last_lines(path: &Path, start: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        // If the log was rotated meanwhile, all of it is new.
        let start = if file.metadata()?.len() < start {
            0
        } else {
            start
        };
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    if last.is_empty() {
        return format!("; `{}` says nothing about it", path.display());
    }
    format!("; `{}` ends with\n{}", path.display(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_daemon_wrote_itself_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOG);
        fs::write(&path, "old\nnew\nnewer\n").unwrap();
        let name = path.display();
        assert_eq!(
            last_lines(&path, 4),
            format!("; `{name}` ends with\nnew\nnewer")
        );
        assert_eq!(
            last_lines(&path, 14),
            format!("; `{name}` says nothing about it")
        );
        assert!(last_lines(&path, 99).ends_with("old\nnew\nnewer"));
    }
}
