//! Small logs kept together: a file takes a block of the disk however little is in it, and
//! most commands say little, and much the same as the time before.
//!
//! A pack is a stream of zlib: a line of JSON with the name of each log, its length and that of
//! what was noted down of when it came, then the logs, one behind the other, each with its times.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// What a longer log takes on the disk is little more than what is in it.
pub(crate) const SMALL: u64 = 4096;

/// A log in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Its file, relative to the master's `builds/` directory.
    pub(crate) file: String,
    /// What was in it.
    pub(crate) bytes: Vec<u8>,
    /// What was noted down of when it came, if anything was.
    pub(crate) times: Option<Vec<u8>>,
}

/// Puts logs together.
pub(crate) fn pack(logs: &[Packed]) -> Vec<u8> {
    let times_of = |it: &Packed| it.times.as_ref().map(Vec::len);
    let index: Vec<(&str, usize, Option<usize>)> = logs
        .iter()
        .map(|it| (it.file.as_str(), it.bytes.len(), times_of(it)))
        .collect();
    let parts = logs
        .iter()
        .flat_map(|it| [Some(&it.bytes), it.times.as_ref()])
        .flatten();
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = serde_json::to_writer(&mut out, &index)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| parts.into_iter().try_for_each(|it| out.write_all(it)))
        .and_then(|()| out.finish());
    written.expect("memory takes what is written")
}

/// Finds a log in a pack; `None` if it is not in it.
///
/// # Errors
/// It is not a pack, or a damaged one.
pub(crate) fn find(pack: &[u8], file: &str) -> io::Result<Option<Packed>> {
    let mut stream = BufReader::new(ZlibDecoder::new(pack));
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    let index: Vec<(String, u64, Option<u64>)> = serde_json::from_slice(&line)?;
    let mut before = 0;
    for (name, length, times) in index {
        if name != file {
            before += length + times.unwrap_or(0);
            continue;
        }
        io::copy(&mut stream.by_ref().take(before), &mut io::sink())?;
        return Ok(Some(Packed {
            file: name,
            bytes: part(&mut stream, length)?,
            times: times.map(|it| part(&mut stream, it)).transpose()?,
        }));
    }
    Ok(None)
}

fn part(stream: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(file: &str, bytes: Vec<u8>) -> Packed {
        Packed {
            file: file.to_owned(),
            bytes,
            times: None,
        }
    }

    #[test]
    fn each_log_is_found_as_it_was_put_in() {
        let logs: Vec<Packed> = (0_u8..9)
            .map(|it| Packed {
                times: (it % 3 > 0).then(|| vec![b't'; usize::from(it) - 1]),
                ..log(&format!("b/{it}-log \"\n"), vec![it; 10 * usize::from(it)])
            })
            .collect();

        let pack = pack(&logs);

        for it in &logs {
            let found = find(&pack, &it.file).expect("a pack");
            assert_eq!(found.as_ref(), Some(it), "{}", it.file);
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
        let logs: Vec<Packed> = (0..32).map(|it| log(&it.to_string(), text(it))).collect();

        let (one, all) = (pack(&logs[..1]).len(), pack(&logs).len());

        assert!(all < 3 * one, "{one} bytes for one, {all} for 32");
    }

    #[test]
    fn what_is_damaged_is_an_error_and_not_another_log() {
        let pack = pack(&[log("a", vec![7; 5000]), log("b", vec![8; 5000])]);
        for cut in 0..pack.len() - 5 {
            let found = find(&pack[..cut], "b");
            assert!(!matches!(found, Ok(Some(_))), "cut at {cut}: {found:?}");
        }
        find(b"no pack", "b").expect_err("no pack");
    }
}
