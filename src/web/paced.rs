//! Lines and bodies that have to move: who does not take an answer, or sends a body byte by
//! byte, is cut off.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody;
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time;
use tokio::time::Instant;
use tokio::time::Sleep;

/// How long all waiting for a reader may take together, before it is looked at what it has taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What has to have gone through in that time: 1 KiB a second.
const LEAST: usize = 30 * 1024;

/// How long the body of a request may take.
pub(super) const BODY_PATIENCE: Duration = Duration::from_mins(1);

/// A line whose other end has to read.
#[derive(Debug)]
pub(super) struct Paced<L> {
    line: L,
    /// Since when it is waited for the reader.
    since: Option<Instant>,
    /// How long it was waited before, in this round.
    waited: Duration,
    /// What went through in this round.
    passed: usize,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<L> Paced<L> {
    pub(super) fn new(line: L) -> Self {
        Self {
            line,
            since: None,
            waited: Duration::ZERO,
            passed: 0,
            alarm: None,
        }
    }

    /// Looks at what became of a piece.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(count)) => {
                self.passed += count;
                self.alarm = None;
                if let Some(since) = self.since.take() {
                    self.waited += since.elapsed();
                    if self.waited >= PATIENCE {
                        self.next_round()?;
                    }
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.since.is_none() && self.waited.is_zero() {
                    self.passed = 0;
                }
                self.since.get_or_insert_with(Instant::now);
                loop {
                    let left = PATIENCE.saturating_sub(self.waited);
                    let alarm = self
                        .alarm
                        .get_or_insert_with(|| Box::pin(time::sleep(left)));
                    ready!(alarm.as_mut().poll(cx));
                    self.next_round()?;
                }
            }
        }
    }

    fn next_round(&mut self) -> io::Result<()> {
        if self.passed < LEAST {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.passed = 0;
        self.waited = Duration::ZERO;
        self.alarm = None;
        if let Some(since) = &mut self.since {
            *since = Instant::now();
        }
        Ok(())
    }
}

impl<L: AsyncRead + Unpin> AsyncRead for Paced<L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_read(cx, buf)
    }
}

impl<L: AsyncWrite + Unpin> AsyncWrite for Paced<L> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.line).poll_write(cx, buf);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.line).poll_write_vectored(cx, bufs);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.line).poll_flush(cx);
        self.judge(cx, flushed.map_ok(|()| 0)).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(cx)
    }
}

/// A body that has to be there in time.
pub(super) struct InTime {
    body: Body,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl InTime {
    pub(super) fn new(body: Body) -> Self {
        Self { body, alarm: None }
    }
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            return frame;
        }
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(time::sleep(BODY_PATIENCE)));
        ready!(alarm.as_mut().poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the body takes too long");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off() {
        let (near, far) = duplex(1024);
        let begun = Instant::now();
        let wrote = Paced::new(near).write_all(&[0; 100_000]).await;
        assert_eq!(wrote.expect_err("cut off").kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
        drop(far);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_is_cut_off_too() {
        let (near, mut far) = duplex(1024);
        let reader = tokio::spawn(async move {
            let mut taken = 0;
            while far.read_u8().await.is_ok() {
                taken += 1;
                time::sleep(Duration::from_secs(1)).await;
            }
            taken
        });
        let wrote = Paced::new(near).write_all(&[0; 100_000]).await;
        assert_eq!(wrote.expect_err("cut off").kind(), io::ErrorKind::TimedOut);
        assert!(reader.await.expect("done") < 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_that_moves_is_served_to_the_end() {
        let (near, mut far) = duplex(1024);
        let reader = tokio::spawn(async move {
            let (mut taken, mut buf) = (0, [0; 2048]);
            while let Ok(count @ 1..) = far.read(&mut buf).await {
                taken += count;
                time::sleep(Duration::from_millis(400)).await;
            }
            taken
        });
        let mut paced = Paced::new(near);
        paced.write_all(&[0; 200_000]).await.expect("written");
        drop(paced);
        assert_eq!(reader.await.expect("done"), 200_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_late() {
        let never = futures_util::stream::pending::<Result<Bytes, io::Error>>();
        let mut late = Body::new(InTime::new(Body::from_stream(never)));
        let frame = http_body_util::BodyExt::frame(&mut late).await;
        assert!(frame.expect("an answer").is_err());
    }
}
