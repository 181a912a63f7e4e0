//! Asks a daemon to end and waits until it has.

use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use tokio::time::Instant;
use tokio::time::sleep;

use super::running;
use crate::cli::exit::Failure;
use crate::cli::place::Base;

/// A daemon writes down what runs and lets go of it; that is a matter of seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The lock cannot be waited for without taking it, so it is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Stopped {
    WasNotRunning,
    /// The process that ended.
    Ended(u32),
}

/// Sends SIGTERM to the daemon of `base` and returns when it is gone.
pub(in crate::cli) async fn stop(base: &Base) -> Result<Stopped, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = None;
    while let Some(other) = running(&base.dir)? {
        // A daemon that has just started has not written its process id yet.
        if let (None, Some(pid)) = (asked, other.pid) {
            terminate(base, pid)?;
            asked = Some(pid);
        }
        if Instant::now() > deadline {
            let pid = asked.map_or("unknown".to_owned(), |pid| pid.to_string());
            return Err(Failure::new(format!(
                "{base} has not ended {} s after it was asked to",
                PATIENCE.as_secs()
            ))
            .hint(format!(
                "it is process {pid}; its log says what it waits for"
            )));
        }
        sleep(LOOK).await;
    }
    Ok(asked.map_or(Stopped::WasNotRunning, Stopped::Ended))
}

fn terminate(base: &Base, pid: u32) -> Result<(), Failure> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::new(format!("{base} has a process id that is none")))?;
    match kill_process(pid, Signal::TERM) {
        // It ended by itself in between; the lock says when it is gone.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Failure::because(
            format!("failed to stop {base}, process {}", pid.as_raw_nonzero()),
            &error,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::place::Kind;

    #[tokio::test]
    async fn stopping_what_does_not_run_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let base = Base {
            kind: Kind::Slave,
            dir: dir.path().to_owned(),
        };
        assert_eq!(stop(&base).await, Ok(Stopped::WasNotRunning));
    }
}
