//! A line between a slave and its master: it takes its time, it stands still,
//! it is cut, and what was on it is lost. It reorders nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::chance::Chance;

/// What an end holds that the other has not read.
const BUFFER: usize = 64 << 10;

/// The hand on a line.
#[derive(Clone)]
pub(super) struct Line {
    state: Arc<Mutex<State>>,
    cut: CancellationToken,
}

struct State {
    /// Each piece takes less than this.
    slowest: u64,
    /// Nothing moves before this.
    stands_until: Instant,
    chance: Chance,
}

impl Line {
    /// A new line and its two ends.
    pub(super) fn new(mut chance: Chance) -> (Self, DuplexStream, DuplexStream) {
        let (near, one) = duplex(BUFFER);
        let (other, far) = duplex(BUFFER);
        let slowest = match chance.below(4) {
            0 => 1,
            1 => 2_000,
            _ => 50,
        };
        let line = Self {
            state: Arc::new(Mutex::new(State {
                slowest,
                stands_until: Instant::now(),
                chance,
            })),
            cut: CancellationToken::new(),
        };
        let (one_read, one_write) = split(one);
        let (other_read, other_write) = split(other);
        tokio::spawn(carry(line.clone(), one_read, other_write));
        tokio::spawn(carry(line.clone(), other_read, one_write));
        (line, near, far)
    }

    /// Both ends see that it is gone.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Nothing moves for a while, and nobody is told.
    pub(super) fn stall(&self, span: Duration) {
        self.state().stands_until = Instant::now() + span;
    }

    /// When the next piece of at most so many bytes arrives.
    fn next(&self) -> (usize, Instant) {
        let mut state = self.state();
        let slowest = state.slowest;
        let delay = Duration::from_micros(state.chance.below(slowest * 1000));
        // Frames are cut anywhere.
        let most = match state.chance.below(8) {
            0 => 1 + state.chance.place(40),
            _ => BUFFER,
        };
        (most, state.stands_until.max(Instant::now() + delay))
    }

    fn stands_until(&self) -> Instant {
        self.state().stands_until
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry<R, W>(line: Line, from: R, to: W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let cut = line.cut.clone();
    cut.run_until_cancelled(carry_on(line, from, to)).await;
}

async fn carry_on<R, W>(line: Line, mut from: R, mut to: W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let (most, mut at) = line.next();
        let Ok(size) = from.read(&mut buffer[..most]).await else {
            return;
        };
        // It may have begun to stand still meanwhile.
        at = at.max(line.stands_until());
        while at > Instant::now() {
            sleep_until(at).await;
            at = line.stands_until();
        }
        if size == 0 {
            drop(to.shutdown().await);
            // The other direction goes on until its own end.
            return;
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}
