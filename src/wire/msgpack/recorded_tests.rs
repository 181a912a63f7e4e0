//! A session between Buildbot's own master and worker, recorded byte for byte: each line is who
//! spoke (`C`, the worker) and one frame.

use std::fs;
use std::path::Path;

use super::said;
use super::said::Said;
use super::value;

/// The payload of a frame that is whole, with its mask taken off.
fn payload(frame: &[u8]) -> Vec<u8> {
    let is_masked = frame[1] & 0x80 != 0;
    let (length, mut at) = match frame[1] & 0x7f {
        126 => (usize::from(u16::from_be_bytes([frame[2], frame[3]])), 4),
        127 => panic!("no frame of the session is so long"),
        short => (usize::from(short), 2),
    };
    let mut mask = [0; 4];
    if is_masked {
        mask.copy_from_slice(&frame[at..at + 4]);
        at += 4;
    }
    assert_eq!(frame.len(), at + length);
    let bytes = frame[at..].iter().enumerate();
    bytes.map(|(place, byte)| byte ^ mask[place % 4]).collect()
}

/// The messages of the session, in order, with who said them.
fn messages() -> Vec<(char, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/msgpack/ws-worker43.hex");
    let text = fs::read_to_string(path).unwrap();
    let frame = |line: &str| {
        let (who, hex) = line.split_once(' ').unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        (who.chars().next().unwrap(), bytes)
    };
    let frames = text.lines().map(frame);
    // The first two are HTTP; the last ones may close.
    let frames = frames.skip(2).filter(|(_, it)| it[0] == 0x82);
    frames.map(|(who, it)| (who, payload(&it))).collect()
}

#[test]
fn every_message_of_a_recorded_session_is_read_and_is_written_as_it_was() {
    let messages = messages();
    assert!(messages.len() > 100, "{}", messages.len());
    for (_, bytes) in &messages {
        let value = value::read(bytes).unwrap();
        let mut again = Vec::new();
        value::write(&value, &mut again);
        // Python chooses the forms that are chosen here.
        assert_eq!(&again, bytes);
    }
}

#[test]
fn every_request_of_the_session_has_one_response() {
    for who in ['C', 'S'] {
        let mut open = Vec::new();
        for (speaker, bytes) in messages() {
            match said::read(&bytes).unwrap() {
                Said::Request { number, .. } if speaker == who => open.push(number),
                Said::Response { number, .. } if speaker != who => {
                    let place = open.iter().position(|it| *it == number).unwrap();
                    open.remove(place);
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "{who}: {open:?}");
    }
}
