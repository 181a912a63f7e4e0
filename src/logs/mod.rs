//! What a build said: logs as files of records, appended by offset, followed
//! and read back.
//!
//! A log file is a row of records: one byte for the channel (`o`, `e`, `h`),
//! four for the length (big endian), then the bytes. A slave's spool has the
//! same form, so a log is mirrored byte by byte and an offset means the same
//! at both ends.

pub(crate) mod append;
pub(crate) mod cut;
pub(crate) mod disk;
pub(crate) mod mask;
pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod rotating;
pub(crate) mod times;

use std::fs;
use std::path::PathBuf;

use crate::model::BuildKey;

/// Bytes of a step's and a log's name in a file name: systems take 255 in all.
const LONGEST: usize = 180;

/// Where a log lies, relative to the master's `builds/` directory: in the
/// builder's directory, as `NUMBER-log-STEP-LOG` with every character that
/// is no letter, digit, dot or dash made `_`, and `_1`, `_2` … until no
/// other log of the build has the name.
pub(crate) fn file_name(
    builddir: &str,
    key: &BuildKey,
    step: &str,
    log: &str,
    taken: &dyn Fn(&str) -> bool,
) -> String {
    let plain: String = format!("{step}-{log}")
        .chars()
        .map(|it| {
            if it.is_alphanumeric() || matches!(it, '.' | '-' | '_') {
                it
            } else {
                '_'
            }
        })
        .collect();
    let mut length = plain.len().min(LONGEST);
    while !plain.is_char_boundary(length) {
        length -= 1;
    }
    let plain = &plain[..length];
    let first = format!("{builddir}/{}-log-{plain}", key.number);
    let mut name = first.clone();
    let mut again = 0;
    while taken(&name) {
        again += 1;
        name = format!("{first}_{again}");
    }
    name
}

/// What files of logs take, with when they came. Empty ones count as one byte, so that they are
/// found again.
pub(crate) fn bytes_of(files: &[PathBuf]) -> u64 {
    let all = files.iter().flat_map(|it| [it.clone(), times::path_of(it)]);
    let sizes = all.filter_map(|it| fs::metadata(it).ok());
    match files.is_empty() {
        true => 0,
        false => sizes.map(|it| it.len()).sum::<u64>().max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_down_beside_a_log_counts_and_an_empty_log_is_one_byte() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        assert_eq!(bytes_of(&[]), 0);
        fs::write(&log, "").expect("written");
        assert_eq!(bytes_of(std::slice::from_ref(&log)), 1);
        fs::write(&log, [0; 100]).expect("written");
        fs::write(times::path_of(&log), [0; 16]).expect("written");
        assert_eq!(bytes_of(&[log, dir.path().join("gone")]), 116);
    }
}
