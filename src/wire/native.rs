//! Frames: a length (four bytes, big endian) and a MessagePack map, over any
//! stream of bytes. The dialling side says a preamble first, so that another
//! protocol can share the port.

use std::io;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The slave's first bytes.
pub(crate) const PREAMBLE: &[u8] = b"autobot/1\n";

/// The longest frame either side takes.
pub(crate) const MAX_FRAME: usize = 1 << 20;

/// What is asked for at once of a line that says little, and of one that says much.
const LEAST_READ: usize = 1 << 10;
const MOST_READ: usize = 16 << 10;

/// The longest frame of somebody who has not logged in yet.
pub(super) const MAX_STRANGER_FRAME: usize = 16 << 10;

const LENGTH: usize = 4;

/// Why the line cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the line broke")]
    Line(#[source] io::Error),
    #[error("the other side closed the line inside a frame")]
    Cut,
    #[error("a frame of {size} bytes is too long; the most is {most}")]
    TooLong { size: usize, most: usize },
    #[error("a frame is not a message that autobot knows")]
    Garbage(#[source] rmp_serde::decode::Error),
    #[error("a message cannot be put into a frame")]
    Unsayable(#[source] rmp_serde::encode::Error),
    #[error("the caller does not speak autobot's protocol")]
    Preamble,
}

impl WireError {
    /// Whether the other side said what nobody should say. A line that breaks is nobody's fault.
    pub(crate) const fn is_nonsense(&self) -> bool {
        match self {
            Self::TooLong { .. } | Self::Garbage(_) | Self::Preamble => true,
            Self::Line(_) | Self::Cut | Self::Unsayable(_) => false,
        }
    }
}

/// Reads frames. A read that is dropped loses nothing: what has come is kept.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    from: R,
    buffer: BytesMut,
    /// How much is asked for at once.
    room: usize,
    /// How much memory the buffer has, at most.
    held: usize,
    most: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            room: LEAST_READ,
            held: 0,
            most: MAX_FRAME,
        }
    }

    /// Takes no frame longer than `most` from here on.
    pub(crate) const fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// Reads the preamble, and nothing more than it needs to see that it is none.
    pub(crate) async fn preamble(&mut self) -> Result<(), WireError> {
        loop {
            let seen = self.buffer.len().min(PREAMBLE.len());
            if self.buffer[..seen] != PREAMBLE[..seen] {
                return Err(WireError::Preamble);
            }
            if seen == PREAMBLE.len() {
                self.buffer.advance(seen);
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(WireError::Preamble);
            }
        }
    }

    /// Reads the next message; `None` when the other side closed the line
    /// between two frames.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(WireError::Cut)
                };
            }
        }
    }

    /// Takes a message from what has come already.
    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let size = u32::from_be_bytes(*length) as usize;
        if size > self.most {
            let most = self.most;
            return Err(WireError::TooLong { size, most });
        }
        let Some(frame) = self.buffer.get(LENGTH..LENGTH + size) else {
            return Ok(None);
        };
        let message = rmp_serde::from_slice(frame).map_err(WireError::Garbage)?;
        self.buffer.advance(LENGTH + size);
        Ok(Some(message))
    }

    async fn fill(&mut self) -> Result<usize, WireError> {
        // A line that has become quiet does not keep what it took while it was busy.
        if self.buffer.is_empty() && self.held > 4 * self.room {
            self.buffer = BytesMut::new();
            self.held = 0;
        }
        // Grows by what one read brings, not by what a frame claims to be.
        self.buffer.reserve(self.room);
        self.held = self.held.max(self.room + self.buffer.len());
        let read = match self.from.read_buf(&mut self.buffer).await {
            Ok(read) => read,
            // A line with TLS that was cut says it so. Frames have lengths, and what was cut off is
            // asked for again: nobody gains by cutting.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(WireError::Line(error)),
        };
        if read >= self.room {
            self.room = (self.room * 2).min(MOST_READ);
        } else if read < self.room / 8 {
            self.room = (self.room / 2).max(LEAST_READ);
        }
        Ok(read)
    }
}

/// Writes frames: messages are collected by [`push`](Self::push) and go out in
/// as few writes as the line takes with [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct FrameWriter<W> {
    to: W,
    buffer: Vec<u8>,
    sent: usize,
}

/// Whether a message is short enough to be said.
pub(crate) fn fits<T: Serialize>(message: &T) -> Result<(), WireError> {
    let size = rmp_serde::to_vec_named(message)
        .map_err(WireError::Unsayable)?
        .len();
    if size > MAX_FRAME {
        let most = MAX_FRAME;
        return Err(WireError::TooLong { size, most });
    }
    Ok(())
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            buffer: Vec::new(),
            sent: 0,
        }
    }

    /// Adds the preamble. The dialling side says it once, before all else.
    pub(crate) fn preamble(&mut self) {
        self.buffer.extend_from_slice(PREAMBLE);
    }

    /// Adds a message. One that is too long is refused, and nothing is added.
    pub(crate) fn push<T: Serialize>(&mut self, message: &T) -> Result<(), WireError> {
        // A line that is always busy never sends the last byte: what has gone
        // must make room before that.
        if self.sent > self.waiting() {
            self.buffer.drain(..self.sent);
            self.sent = 0;
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH]);
        let mut serializer = rmp_serde::Serializer::new(&mut self.buffer).with_struct_map();
        if let Err(error) = message.serialize(&mut serializer) {
            self.buffer.truncate(start);
            return Err(WireError::Unsayable(error));
        }
        let size = self.buffer.len() - start - LENGTH;
        if size > MAX_FRAME {
            self.buffer.truncate(start);
            let most = MAX_FRAME;
            return Err(WireError::TooLong { size, most });
        }
        let length = u32::try_from(size).expect("a frame is at most 1 MiB");
        self.buffer[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// How many bytes wait to be flushed.
    pub(crate) const fn waiting(&self) -> usize {
        self.buffer.len() - self.sent
    }

    /// Writes what was pushed. A flush that is dropped loses nothing: the next goes on.
    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        while self.waiting() > 0 {
            let written = self.to.write(&self.buffer[self.sent..]).await;
            match written.map_err(WireError::Line)? {
                0 => return Err(WireError::Line(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(64 << 10);
        self.sent = 0;
        self.to.flush().await.map_err(WireError::Line)
    }

    /// Pushes one message and flushes.
    pub(crate) async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), WireError> {
        self.push(message)?;
        self.flush().await
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::model::BuildId;
    use crate::model::CommandId;
    use crate::wire::FromMaster;
    use crate::wire::FromSlave;

    fn output(size: usize) -> FromSlave {
        FromSlave::Output {
            id: CommandId {
                build: BuildId(7),
                step: 1,
                index: 0,
                attempt: 0,
            },
            log: "stdio".to_owned(),
            offset: 12,
            bytes: Bytes::from(vec![0xfe; size]),
        }
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    /// What the reader makes of `bytes`, after which the line is closed.
    async fn told(bytes: &[u8]) -> String {
        match FrameReader::new(bytes).next::<FromSlave>().await {
            Ok(message) => format!("{message:?}"),
            Err(error) => match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
        }
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order_however_the_line_cuts_them() {
        let (near, far) = tokio::io::duplex(7);
        let said = [output(300), FromSlave::Ping, output(0)];
        let expected = said.clone();
        let speaking = tokio::spawn(async move {
            let mut writer = FrameWriter::new(near);
            for message in &said {
                writer.push(message).unwrap();
            }
            writer.flush().await.unwrap();
        });
        let mut reader = FrameReader::new(far);
        for message in expected {
            assert_eq!(reader.next().await.unwrap(), Some(message));
        }
        assert_eq!(reader.next::<FromSlave>().await.unwrap(), None);
        speaking.await.unwrap();
    }

    #[tokio::test]
    async fn a_line_takes_more_memory_while_it_says_much_and_gives_it_back() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (mut writer, mut reader) = (FrameWriter::new(near), FrameReader::new(far));
        for _ in 0..10 {
            writer.push(&output(60_000)).unwrap();
        }
        writer.flush().await.unwrap();
        for _ in 0..10 {
            reader.next::<FromSlave>().await.unwrap();
        }
        assert_eq!(reader.room, MOST_READ);
        assert!(reader.held > MOST_READ);
        for _ in 0..10 {
            writer.push(&FromSlave::Ping).unwrap();
            writer.flush().await.unwrap();
            reader.next::<FromSlave>().await.unwrap();
        }
        assert_eq!(reader.room, LEAST_READ);
        assert!(reader.held <= 4 * LEAST_READ, "{}", reader.held);
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_loses_nothing() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut whole = FrameWriter::new(Vec::new());
        whole.push(&output(100)).unwrap();
        let bytes = whole.buffer;

        let mut near = near;
        let mut reader = FrameReader::new(far);
        for piece in bytes.chunks(10) {
            near.write_all(piece).await.unwrap();
            tokio::select! {
                biased;
                message = reader.next::<FromSlave>() => {
                    assert_eq!(message.unwrap(), Some(output(100)));
                    return;
                }
                () = tokio::time::sleep(Duration::ZERO) => {}
            }
        }
        panic!("the message never came");
    }

    #[tokio::test]
    async fn a_line_that_is_never_idle_does_not_pile_up_what_it_has_sent() {
        let (near, mut far) = tokio::io::duplex(1000);
        let mut writer = FrameWriter::new(near);
        let mut received = [0; 1000];
        for _ in 0..1000 {
            while writer.waiting() < 1100 {
                writer.push(&output(300)).unwrap();
            }
            tokio::select! {
                biased;
                _ = writer.flush() => panic!("the line takes less than there is"),
                () = std::future::ready(()) => {}
            }
            assert!(far.read(&mut received).await.unwrap() > 0);
        }
        assert!(writer.buffer.len() < 4000, "{}", writer.buffer.len());
    }

    #[test]
    fn the_bytes_of_a_log_travel_as_bytes() {
        let mut writer = FrameWriter::new(tokio::io::sink());
        writer.push(&output(1000)).unwrap();
        assert!(writer.waiting() < 1100, "{} bytes", writer.waiting());
        // `bin 16` and the length 1000.
        let head = [0xc5, 0x03, 0xe8, 0xfe];
        assert!(writer.buffer.windows(4).any(|bytes| bytes == head));
    }

    #[tokio::test]
    async fn hostile_frames_are_named() {
        assert_eq!(told(b"").await, "None");
        assert_eq!(
            told(b"\0\0").await,
            "the other side closed the line inside a frame"
        );
        assert_eq!(
            told(&frame(b"\x81")[..4]).await,
            "the other side closed the line inside a frame"
        );
        assert_eq!(
            told(b"GET / HTTP/1.1\r\n").await,
            "a frame of 1195725856 bytes is too long; the most is 1048576"
        );
        for body in [
            &b"\xc1"[..],
            b"\xa5hello",
            b"\xa3yes",
            b"\x93\x01\x02\x03",
            b"\x81\xa6output\x80",
            b"\x81\xa6output\xdf\xff\xff\xff\xff",
            b"\xdd\xff\xff\xff\xff",
            &[0x91; 9000],
        ] {
            let said = told(&frame(body)).await;
            assert!(
                said.starts_with("a frame is not a message that autobot knows: "),
                "{said}"
            );
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_before_it_is_sent() {
        let mut writer = FrameWriter::new(Vec::new());
        writer.push(&FromMaster::Ping).unwrap();
        let waiting = writer.waiting();
        let error = writer.push(&output(MAX_FRAME)).unwrap_err();
        assert!(matches!(
            error,
            WireError::TooLong {
                most: MAX_FRAME,
                ..
            }
        ));
        assert_eq!(writer.waiting(), waiting, "what was pushed before is kept");
    }

    #[tokio::test]
    async fn another_protocol_is_told_apart_by_its_first_bytes() {
        let mut reader = FrameReader::new(&b"autobot/1\n"[..]);
        reader.preamble().await.unwrap();
        for other in [&b"\x13\x80pb"[..], b"autobot/2\n", b"auto", b""] {
            let error = FrameReader::new(other).preamble().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the caller does not speak autobot's protocol"
            );
        }
    }
}
