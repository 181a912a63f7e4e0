//! Small logs kept together: a file takes a block of the disk however little is in it, and
//! most commands say little, and much the same as the time before.
//!
//! A pack is a stream of zlib: a line of JSON with the name and the length of each log, then
//! the logs, one behind the other.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// What a longer log takes on the disk is little more than what is in it.
pub(crate) const SMALL: u64 = 4096;

/// A log in a pack: its file, relative to the master's `builds/` directory, and what was in it.
pub(crate) type Packed = (String, Vec<u8>);

/// Puts logs together.
pub(crate) fn pack(logs: &[Packed]) -> Vec<u8> {
    let index: Vec<(&str, usize)> = logs
        .iter()
        .map(|(file, bytes)| (file.as_str(), bytes.len()))
        .collect();
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = serde_json::to_writer(&mut out, &index)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| logs.iter().try_for_each(|(_, bytes)| out.write_all(bytes)))
        .and_then(|()| out.finish());
    written.expect("memory takes what is written")
}

/// Finds a log in a pack; `None` if it is not in it.
///
/// # Errors
/// It is not a pack, or a damaged one.
pub(crate) fn find(pack: &[u8], file: &str) -> io::Result<Option<Vec<u8>>> {
    let mut stream = BufReader::new(ZlibDecoder::new(pack));
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    let index: Vec<(String, u64)> = serde_json::from_slice(&line)?;
    let mut before = 0;
    for (name, length) in index {
        if name != file {
            before += length;
            continue;
        }
        io::copy(&mut stream.by_ref().take(before), &mut io::sink())?;
        let mut bytes = Vec::new();
        stream.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        return Ok(Some(bytes));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_is_found_as_it_was_put_in() {
        let logs: Vec<Packed> = (0_u8..9)
            .map(|it| (format!("b/{it}-log \"\n"), vec![it; 10 * usize::from(it)]))
            .collect();

        let pack = pack(&logs);

        for (file, bytes) in &logs {
            assert_eq!(
                find(&pack, file).expect("a pack").as_ref(),
                Some(bytes),
                "{file}"
            );
        }
        assert_eq!(find(&pack, "b/9-log").expect("a pack"), None);
    }

    #[test]
    fn logs_that_are_nearly_the_same_take_hardly_more_than_one() {
        let text = |it: usize| -> Vec<u8> {
            let words = (0..200).map(|word| format!("word {}\n", word * word * 7919 % 9973));
            let mut bytes = words.collect::<String>().into_bytes();
            bytes.extend_from_slice(format!("took {it} ms").as_bytes());
            bytes
        };
        let logs: Vec<Packed> = (0..32).map(|it| (it.to_string(), text(it))).collect();

        let (one, all) = (pack(&logs[..1]).len(), pack(&logs).len());

        assert!(all < 3 * one, "{one} bytes for one, {all} for 32");
    }

    #[test]
    fn what_is_damaged_is_an_error_and_not_another_log() {
        let pack = pack(&[("a".into(), vec![7; 5000]), ("b".into(), vec![8; 5000])]);
        for cut in 0..pack.len() - 5 {
            let found = find(&pack[..cut], "b");
            assert!(!matches!(found, Ok(Some(_))), "cut at {cut}: {found:?}");
        }
        find(b"no pack", "b").expect_err("no pack");
    }
}
