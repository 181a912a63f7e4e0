//! Server-sent events: what a master tells as it happens.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::http::Client;
use super::http::ClientError;
use super::http::Download;

/// A master says every 15 seconds that it is still there.
const SILENCE: Duration = Duration::from_secs(50);
/// No event is as long.
const LONGEST: usize = 1 << 20;

/// An event: its kind, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// What happens, as it happens.
pub(crate) struct Stream {
    line: Download,
    reader: Reader,
}

impl Stream {
    /// Listens from now on, or behind the event with this id. `query` begins with `&` or is empty.
    pub(crate) async fn open(
        client: &Client,
        query: &str,
        after: Option<&str>,
    ) -> Result<Self, ClientError> {
        let after = after.map(|it| format!("after={}", super::encode(it)));
        let path = format!("/events?{}{query}", after.unwrap_or_default());
        Ok(Self {
            line: client.download(&path).await?,
            reader: Reader::default(),
        })
    }

    /// The next event; `None` once the line has ended, or nobody is there any more.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.reader.told.pop_front() {
                return Some(told);
            }
            let Ok(Ok(Some(piece))) = timeout(SILENCE, self.line.next()).await else {
                return None;
            };
            if !self.reader.read(&piece) {
                return None;
            }
        }
    }

    /// The id to come back with.
    pub(crate) fn place(&self) -> Option<&str> {
        self.reader.place.as_deref()
    }
}

/// Makes events of pieces.
#[derive(Default)]
struct Reader {
    rest: Vec<u8>,
    kind: String,
    data: String,
    place: Option<String>,
    told: VecDeque<Told>,
}

impl Reader {
    /// Takes a piece in; `false` if this is no stream of events.
    fn read(&mut self, piece: &[u8]) -> bool {
        self.rest.extend_from_slice(piece);
        while let Some(end) = self.rest.iter().position(|it| *it == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        }
        self.rest.len() + self.data.len() <= LONGEST
    }

    fn line(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.kind = value.to_owned(),
            "data" => self.data.push_str(value),
            "id" => self.place = Some(value.to_owned()),
            "" if line.is_empty() => {
                let (kind, data) = (
                    std::mem::take(&mut self.kind),
                    std::mem::take(&mut self.data),
                );
                if !kind.is_empty() {
                    let data = serde_json::from_str(&data).unwrap_or(Value::Null);
                    self.told.push_back(Told { kind, data });
                }
            }
            // A comment, and what newer masters say.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_pieces_and_their_place_is_kept() {
        let text = "id: 1-0\nretry: 2000\n\nevent: build_started\ndata: {\"builder\":\"é\",\
                    \"number\":3}\nid: 1-7\n\n: still here\nid: 1-9\n\nevent: reloaded\ndata: {}\n";
        for size in [1, 7, 1000] {
            let mut reader = Reader::default();
            for piece in text.as_bytes().chunks(size) {
                assert!(reader.read(piece));
            }
            let told: Vec<_> = reader.told.iter().map(|it| it.kind.as_str()).collect();
            assert_eq!(told, ["build_started"], "the last has not ended");
            assert_eq!(reader.told[0].data["builder"], "é");
            assert_eq!(reader.place.as_deref(), Some("1-9"));
        }
    }

    #[test]
    fn what_never_ends_is_no_event() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; 64 * 1024];
        assert!((0..40).any(|_| !reader.read(&piece)));
    }
}
