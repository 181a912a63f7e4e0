//! A slave that stays by itself and is led to over a socket in its base
//! directory: its master comes with a command over ssh ([`attach`]), whose
//! standard input and output are the line. When the line is lost the slave
//! waits for the next one, and so do its commands.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::session::{self, Left};
use super::{Slave, SlaveError, SlaveSettings, order, stdio};
use crate::process::spawn_detached;
use crate::process::tree::ProcessName;
use crate::wire::HOST_VERB;

/// The socket, in the base directory.
const SOCKET: &str = "slave.sock";
/// What the slave complains about when it cannot start.
const ERRORS: &str = "slave.err";
/// What a slave may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// How long somebody at the socket may take to say its first line, and that may be.
const GREETING: Duration = Duration::from_secs(30);
const LONGEST_GREETING: usize = 200;
/// What is carried at once.
const PIECE: usize = 32 << 10;

/// Why there is no line to the slave of a directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("failed to start the slave in `{}`", path.display())]
    Start { path: PathBuf, source: io::Error },
    #[error("the slave in `{}` does not answer{said}", path.display())]
    Mute { path: PathBuf, said: String },
    #[error("the slave in `{}` does not end", .0.display())]
    Stays(PathBuf),
    #[error("the line failed")]
    Line(#[from] io::Error),
}

/// Serves one master after the other at the socket of the base directory, until `stop` or
/// until one says so. The newest line counts.
pub(crate) async fn run_at_socket(
    settings: SlaveSettings,
    stop: CancellationToken,
) -> Result<(), SlaveError> {
    let mut slave = Slave::new(settings)?;
    let basedir = slave.settings.basedir.clone();
    let unusable = |source| SlaveError::Basedir {
        path: basedir.clone(),
        source,
    };
    let listener = listen(&basedir).map_err(unusable)?;
    let mut next = None;
    loop {
        let stream = match next.take() {
            Some(stream) => stream,
            None => tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted.map_err(unusable)?.0,
            },
        };
        let (mut read, write) = stream.into_split();
        let Some(password) = greeting(&mut read).await else {
            continue;
        };
        slave.settings.password = password;
        let left = tokio::select! {
            biased;
            accepted = listener.accept() => {
                // The line before may be one that is lost and does not know it.
                next = Some(accepted.map_err(unusable)?.0);
                continue;
            }
            left = session::serve(&mut slave, read, write, &stop) => left,
        };
        match left {
            Ok(Left::Stopped) => break,
            Ok(Left::Dismissed) => {
                info!("the master dismisses this slave");
                break;
            }
            Ok(Left::Closed) => info!("the line ended"),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the line failed"),
        }
        slave.works.reap();
    }
    slave.end().await;
    Ok(())
}

fn listen(basedir: &Path) -> io::Result<UnixListener> {
    let (_dir, path) = socket(basedir)?;
    // The lock of the directory is ours, so one that is there is of a dead slave.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// By way of the open directory, because an address has room for about 100 bytes only.
fn socket(basedir: &Path) -> io::Result<(File, PathBuf)> {
    let dir = File::open(basedir)?;
    let path = Path::new("/proc/self/fd")
        .join(dir.as_raw_fd().to_string())
        .join(SOCKET);
    Ok((dir, path))
}

/// The first line: the password that is good for this one line to the master.
async fn greeting(from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let reading = async {
        let mut line = Vec::new();
        loop {
            match from.read_u8().await {
                Ok(b'\n') => return String::from_utf8(line).ok(),
                Ok(byte) if line.len() < LONGEST_GREETING => line.push(byte),
                Ok(_) | Err(_) => return None,
            }
        }
    };
    time::timeout(GREETING, reading).await.ok().flatten()
}

/// Leads standard input and output to the slave of `basedir`, which is started if it does not
/// run, and started anew if it runs another program than this.
pub(crate) async fn attach(basedir: &Path, name: &str, program: &Path) -> Result<(), AttachError> {
    let mut stream = find(basedir, name, program).await?;
    let (mut stdin, mut stdout) = stdio::line()?;
    let (mut read, mut write) = stream.split();
    let inward = async {
        carry(&mut stdin, &mut write).await?;
        Ok(())
    };
    let outward = carry(&mut read, &mut stdout);
    // Whichever end is over, the line is.
    tokio::select! {
        done = inward => done,
        done = outward => Ok(done?),
    }
}

async fn carry<R, W>(from: &mut R, to: &mut W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await? {
            0 => return Ok(()),
            size => to.write_all(&piece[..size]).await?,
        }
    }
}

async fn find(basedir: &Path, name: &str, program: &Path) -> Result<UnixStream, AttachError> {
    let failed = |source| AttachError::Start {
        path: basedir.to_owned(),
        source,
    };
    let until = Instant::now() + PATIENCE;
    let mut started = None;
    loop {
        match call(basedir).await {
            Ok((stream, slave)) if runs_this(slave) => return Ok(stream),
            Ok((stream, slave)) => {
                info!("the slave here runs another program; it is started anew");
                drop(stream);
                end_process(basedir, slave).await?;
            }
            Err(_) if started.is_none() => {
                let errors = order::private()
                    .create(true)
                    .truncate(true)
                    .open(basedir.join(ERRORS));
                let args = [OsStr::new(HOST_VERB), basedir.as_os_str(), OsStr::new(name)];
                let child = spawn_detached(program, &args, basedir, errors.map_err(failed)?);
                started = Some(child.map_err(failed)?);
            }
            Err(_) => {}
        }
        let has_ended = match &mut started {
            Some(child) => child.try_wait().map_err(failed)?.is_some(),
            None => false,
        };
        if has_ended || Instant::now() >= until {
            // One that began at the same time may have been faster.
            if let Ok((stream, _)) = call(basedir).await {
                return Ok(stream);
            }
            let said = fs::read_to_string(basedir.join(ERRORS)).unwrap_or_default();
            let said = match said.trim() {
                "" => String::new(),
                text => format!(": {}", text.replace('\n', " | ")),
            };
            return Err(AttachError::Mute {
                path: basedir.to_owned(),
                said,
            });
        }
        time::sleep(LOOK).await;
    }
}

/// Calls the slave of a directory; says which process that is.
async fn call(basedir: &Path) -> io::Result<(UnixStream, ProcessName)> {
    let (_dir, path) = socket(basedir)?;
    let stream = UnixStream::connect(&path).await?;
    let pid = stream.peer_cred()?.pid();
    let slave = pid.and_then(ProcessName::of);
    let slave = slave.ok_or(io::ErrorKind::NotConnected)?;
    Ok((stream, slave))
}

/// Whether a process runs the program that this one does, and not another of the same name.
fn runs_this(process: ProcessName) -> bool {
    let file = |path: String| fs::metadata(path).map(|it| (it.dev(), it.ino()));
    let theirs = file(format!("/proc/{}/exe", process.pid));
    let own = file("/proc/self/exe".to_owned());
    matches!((theirs, own), (Ok(theirs), Ok(own)) if theirs == own)
}

/// Ends the slave of a directory, if one runs there. Its commands go on.
pub(crate) async fn dismiss(basedir: &Path) -> Result<(), AttachError> {
    match call(basedir).await {
        Ok((_, slave)) => end_process(basedir, slave).await,
        Err(_) => Ok(()),
    }
}

async fn end_process(basedir: &Path, slave: ProcessName) -> Result<(), AttachError> {
    if let Some(pid) = Pid::from_raw(slave.pid)
        && slave.is_alive()
    {
        kill_process(pid, Signal::TERM).map_err(io::Error::from)?;
    }
    let until = Instant::now() + PATIENCE;
    while slave.is_alive() {
        if Instant::now() >= until {
            return Err(AttachError::Stays(basedir.to_owned()));
        }
        time::sleep(LOOK).await;
    }
    Ok(())
}
