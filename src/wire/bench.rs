//! One message in each of the languages that slaves speak, for `benches/wire.rs`.

use bytes::Bytes;

use super::FromSlave;
use super::msgpack;
use super::pb::banana;
use super::pb::banana::Decoder;
use super::pb::banana::Limits;
use super::pb::jelly::Value;
use super::pb::said;
use super::pb::said::Arguments;
use super::pb::said::Receiver;
use super::pb::said::Said;
use crate::model::BuildId;
use crate::model::CommandId;

/// A language that slaves speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireBench {
    /// Autobot's own frames.
    Native,
    /// Calls of objects, which Buildbot's slaves always spoke.
    Calls,
    /// Messages over a WebSocket, without its frames.
    Packed,
}

impl WireBench {
    pub const ALL: [Self; 3] = [Self::Native, Self::Calls, Self::Packed];

    /// A piece of output, as a slave says it.
    #[must_use]
    pub fn say(self, text: &str) -> Vec<u8> {
        match self {
            Self::Native => {
                let id = CommandId {
                    build: BuildId(1),
                    step: 0,
                    index: 0,
                    attempt: 0,
                };
                let output = FromSlave::Output {
                    id,
                    log: "stdio".to_owned(),
                    offset: 0,
                    bytes: Bytes::copy_from_slice(text.as_bytes()),
                };
                rmp_serde::to_vec_named(&output).expect("a message")
            }
            Self::Calls => {
                let pair = Value::dict([("stdout", Value::text(text))]);
                let update = Value::List(vec![pair, Value::Int(0)]);
                let call = Said::Call {
                    request: 1,
                    receiver: Receiver::Object(4),
                    method: "update".to_owned(),
                    wants_answer: true,
                    arguments: Ok(Arguments::places([Value::List(vec![update])])),
                };
                let mut bytes = Vec::new();
                banana::encode(&said::write(&call), &mut bytes);
                bytes
            }
            Self::Packed => {
                let lines: Vec<_> = text.match_indices('\n').collect();
                let ends = lines.iter().map(|(at, _)| Value::Int(*at as i64));
                let times = lines.iter().map(|_| Value::Float(1_795_165_630.5));
                let said = vec![
                    Value::text(text),
                    Value::List(ends.collect()),
                    Value::List(times.collect()),
                ];
                let pair = Value::List(vec![Value::text("stdout"), Value::List(said)]);
                let fields = vec![
                    ("args", Value::List(vec![pair])),
                    ("command_id", Value::text("1-0-0-0")),
                ];
                msgpack::said::request(1, "update", fields)
            }
        }
    }

    /// Reads what [`say`](Self::say) said, as the master does.
    ///
    /// # Panics
    /// If it is no message.
    pub fn hear(self, bytes: &[u8]) {
        match self {
            Self::Native => {
                let output: FromSlave = rmp_serde::from_slice(bytes).expect("a message");
                assert!(matches!(output, FromSlave::Output { .. }));
            }
            Self::Calls => {
                let mut decoder = Decoder::new(Limits::KNOWN);
                decoder.use_words();
                decoder.push(bytes);
                let element = decoder.next().expect("no nonsense").expect("a message");
                let call = said::read(element).expect("a call");
                assert!(matches!(call, Said::Call { .. }));
            }
            Self::Packed => {
                let request = msgpack::said::read(bytes).expect("a message");
                assert!(matches!(request, msgpack::said::Said::Request { .. }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_message_in_each_language() {
        for language in WireBench::ALL {
            language.hear(&language.say("é\nx\n"));
        }
    }
}
