//! A command whose standard input and output are a stream of ours: bytes are
//! carried to and fro by one thread, which holds no more than a piece of each.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel};

use super::run::last_words;
use super::{Connection, SshError};

/// A piece of what is carried.
const PIECE: usize = 32 << 10;
/// What is kept of what the command complains about.
const COMPLAINT: usize = 4 << 10;
/// After so much silence the other side is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What has been read and not yet written.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    written: usize,
    is_over: bool,
}

impl Connection {
    /// Runs a command line with `stream` as its standard input and output, until either side
    /// ends.
    ///
    /// # Errors
    /// The line breaks, or the command fails.
    pub(crate) fn bridge(
        self,
        what: &'static str,
        line: &str,
        mut stream: UnixStream,
    ) -> Result<(), SshError> {
        let mut channel = self.session.channel_session()?;
        channel.exec(line)?;
        stream.set_nonblocking(true)?;
        let beat = u32::try_from(KEEPALIVE.as_secs()).expect("seconds");
        self.session.set_keepalive(true, beat);
        self.session.set_blocking(false);
        let mut complaint = Vec::new();
        let carried = self.carry(&mut channel, &mut stream, &mut complaint);
        self.session.set_blocking(true);
        drop(stream);
        if !carried? {
            // Ours is over: what runs there hears it by the end of the channel.
            channel.close()?;
            return Ok(());
        }
        channel.close()?;
        channel.wait_close()?;
        match channel.exit_status()? {
            0 => Ok(()),
            code => Err(SshError::Failed {
                what,
                code,
                said: last_words(&complaint),
            }),
        }
    }

    /// `true` if the command is over, `false` if our stream is.
    fn carry(
        &self,
        channel: &mut Channel,
        stream: &mut UnixStream,
        complaint: &mut Vec<u8>,
    ) -> Result<bool, SshError> {
        let (mut inward, mut outward) = (Piece::default(), Piece::default());
        loop {
            let mut moved = inward.fill(channel)?;
            moved |= complain(channel, complaint)?;
            moved |= match inward.empty(stream) {
                // Nobody listens any more.
                Err(_) => return Ok(false),
                Ok(moved) => moved,
            };
            if inward.is_over && inward.is_empty() {
                return Ok(true);
            }
            moved |= outward.fill(stream)?;
            if outward.is_over && outward.is_empty() {
                return Ok(false);
            }
            moved |= outward.empty(channel)?;
            if moved {
                continue;
            }
            match self.session.keepalive_send().map_err(io::Error::from) {
                Err(error) if !is_later(&error) => return Err(error.into()),
                // What cannot be asked now is asked after the next wait.
                Ok(_) | Err(_) => {}
            }
            if self.wait(stream, &inward, &outward)? && !outward.is_empty() {
                // Our side is gone, and will not be read again.
                return Ok(false);
            }
        }
    }

    /// Waits until something can be moved; says whether our stream has hung up.
    fn wait(&self, stream: &UnixStream, inward: &Piece, outward: &Piece) -> io::Result<bool> {
        let mut line = PollFlags::IN;
        if matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        ) {
            line |= PollFlags::OUT;
        }
        let mut ours = PollFlags::empty();
        if outward.is_empty() {
            ours |= PollFlags::IN;
        }
        if !inward.is_empty() {
            ours |= PollFlags::OUT;
        }
        let mut waited = [PollFd::new(&self.socket, line), PollFd::new(stream, ours)];
        let limit = Timespec {
            tv_sec: i64::try_from(KEEPALIVE.as_secs()).expect("seconds"),
            tv_nsec: 0,
        };
        match poll(&mut waited, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(waited[1]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR))
    }
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Reads the next piece, if there is none; says whether there was something.
    fn fill(&mut self, from: &mut dyn Read) -> io::Result<bool> {
        if !self.is_empty() || self.is_over {
            return Ok(false);
        }
        self.bytes.resize(PIECE, 0);
        self.written = 0;
        let read = from.read(&mut self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.is_over = true;
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(error) if is_later(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what there is; says whether something went.
    fn empty(&mut self, to: &mut dyn Write) -> io::Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        match to.write(&self.bytes[self.written..]) {
            Ok(size) => {
                self.written += size;
                Ok(size > 0)
            }
            Err(error) if is_later(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Keeps the end of what the command says on standard error.
fn complain(channel: &Channel, complaint: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 1024];
    match channel.stderr().read(&mut piece) {
        Ok(size) => {
            complaint.extend_from_slice(&piece[..size]);
            let surplus = complaint.len().saturating_sub(COMPLAINT);
            complaint.drain(..surplus);
            Ok(size > 0)
        }
        Err(error) if is_later(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
