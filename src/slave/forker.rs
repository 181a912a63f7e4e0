//! The forker: one small process that stays while commands come, and from which their runners are
//! forked. Starting this program anew takes the system's linker longer than a runner works for a
//! short command, and a session of its own takes longer still; a fork takes neither.
//!
//! It has one thread, so that forking is sound, and ends when its slave does or has no more
//! commands for it; runners go on.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitCode};
use std::time::{Duration, Instant};

use fork::{Fork, fork};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, setsid, wait};
use rustix::stdio::{dup2_stdin, stdin};

use super::FORKER_VERB;
use super::order::{self, CommandDir};
use super::runner::{carry_out, now, prepare};
use crate::process::spawn_fed;

/// So long it is kept without a command.
const REST: Duration = Duration::from_secs(60);
/// Ends the name of a command's directory: the one byte that no path has.
const END: u8 = 0;
/// How often is looked for runners that have ended, while there are any.
const BURIAL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The slave's end of its forker.
#[derive(Debug)]
pub(super) struct Forker {
    process: Child,
    orders: ChildStdin,
    /// When it last had something to do.
    used: Instant,
}

impl Forker {
    pub(super) fn start(program: &Path, basedir: &Path) -> io::Result<Self> {
        let args = [OsStr::new(FORKER_VERB), basedir.as_os_str()];
        let (process, orders) = spawn_fed(program, &args, basedir)?;
        // A forker that stands still must not make its slave do so.
        rustix::io::ioctl_fionbio(&orders, true)?;
        Ok(Self {
            process,
            orders,
            used: now(),
        })
    }

    /// Asks for a runner of the command in `dir`; if that fails, none will come.
    pub(super) fn fork(&mut self, dir: &CommandDir) -> io::Result<()> {
        self.used = now();
        let mut order = dir.path().as_os_str().as_bytes().to_vec();
        order.push(END);
        // A pipe takes what is so short as a whole or not at all.
        match self.orders.write(&order)? {
            written if written == order.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Whether nobody has needed it for long.
    pub(super) fn has_rested(&self) -> bool {
        now().saturating_duration_since(self.used) > REST
    }

    /// Ends it. What it was asked for a moment ago and has not forked is not begun.
    pub(super) fn end(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Forks a runner for each command directory that standard input names.
pub(crate) fn forker_main() -> ExitCode {
    // Once for all runners, so that no command finds a terminal to ask somebody at. Fails when
    // this is a leader already, which is as good.
    let _ = setsid();
    prepare();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The slave finds that it is gone, and starts the next one.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let mut heard = Vec::new();
    loop {
        let limit = bury().then_some(&BURIAL);
        let mut fds = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        match poll(&mut fds, limit) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !fds[0].revents().is_empty() {
            let mut buffer = [0; 4096];
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(size) => heard.extend_from_slice(&buffer[..size]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        while let Some(end) = heard.iter().position(|it| *it == END) {
            let order: Vec<u8> = heard.drain(..=end).collect();
            match fork()? {
                Fork::Parent(_) => {}
                Fork::Child => run(Path::new(OsStr::from_bytes(&order[..end]))),
            }
        }
    }
}

/// Buries the runners that have ended; says whether others are left.
fn bury() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Is the runner of `dir`, to its end.
fn run(dir: &Path) -> ! {
    let dir = CommandDir::new(dir.to_owned());
    let complaints = dir.clone();
    std::panic::set_hook(Box::new(move |panic| {
        complain(&complaints, &panic.to_string())
    }));
    // What the forker hears is not for its runners; a pipe that they held would never break.
    let nothing = File::open("/dev/null").and_then(|it| Ok(dup2_stdin(it)?));
    let code = match nothing.and_then(|()| carry_out(&dir)) {
        Ok(()) => 0,
        Err(error) => {
            complain(&dir, &error.to_string());
            1
        }
    };
    std::process::exit(code)
}

/// Leaves word for the slave, which shows the last of it when it finds no exit record.
fn complain(dir: &CommandDir, text: &str) {
    if let Ok(mut file) = order::private()
        .create(true)
        .append(true)
        .open(dir.complaint())
    {
        let _ = writeln!(file, "{text}");
    }
}
