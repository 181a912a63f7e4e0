//! Cuts a log that has ended down to what is to be kept of it: its beginning,
//! and the very end of what goes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::logs::{read, record, times};
use crate::model::Channel;

/// Keeps the first `most` bytes of output and, of what goes, the last `tail`. Lines about the
/// command cost nothing and stay; what is left out is said where it was. `false` if the log is
/// short enough, or gone.
///
/// # Errors
/// The disk: the log is then as it was.
pub(crate) fn cut(path: &Path, most: u64, tail: u64) -> io::Result<bool> {
    let length = match fs::metadata(path) {
        Ok(it) => it.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if length <= most {
        return Ok(false);
    }
    let mut total = 0;
    read::pieces(path, 0, length, &mut |channel, piece| {
        if channel != Channel::Header {
            total += piece.len() as u64;
        }
    })?;
    if total <= most {
        return Ok(false);
    }
    let beside = beside(path);
    let written = write(path, length, &beside, &Plan { most, tail, total });
    // What was pruned meanwhile stays away.
    let renamed = written.and_then(|()| match path.try_exists()? {
        // The times were of the places where things stood.
        true => times::remove(path).and_then(|()| fs::rename(&beside, path)),
        false => fs::remove_file(&beside),
    });
    if renamed.is_err() {
        drop(fs::remove_file(&beside));
    }
    renamed.map(|()| true)
}

struct Plan {
    most: u64,
    tail: u64,
    total: u64,
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".cut");
    name.into()
}

fn write(path: &Path, length: u64, to: &Path, plan: &Plan) -> io::Result<()> {
    let mut out = Out {
        file: BufWriter::new(File::create(to)?),
        failed: None,
    };
    let (mut at, mut said) = (0, false);
    read::pieces(path, 0, length, &mut |channel, piece| {
        if channel == Channel::Header {
            return out.put(channel, piece);
        }
        let room = usize::try_from(plan.most.saturating_sub(at)).unwrap_or(usize::MAX);
        out.put(channel, &piece[..piece.len().min(room)]);
        if piece.len() > room && !said {
            said = true;
            let most = plan.most;
            let text =
                format!("\nOutput exceeded {most} bytes, remaining output has been truncated\n");
            out.put(Channel::Header, text.as_bytes());
        }
        at += piece.len() as u64;
    })?;
    let tail = plan.tail.min(plan.total - plan.most);
    if tail > 0 {
        let text = format!("\nFinal {tail} bytes follow below:\n");
        out.put(Channel::Header, text.as_bytes());
        let (mut at, first) = (0, plan.total - tail);
        read::pieces(path, 0, length, &mut |channel, piece| {
            if channel == Channel::Header {
                return;
            }
            let skip = usize::try_from(first.saturating_sub(at)).unwrap_or(usize::MAX);
            out.put(channel, piece.get(skip..).unwrap_or_default());
            at += piece.len() as u64;
        })?;
    }
    if let Some(error) = out.failed {
        return Err(error);
    }
    out.file.flush()?;
    out.file.get_ref().sync_data()
}

/// A log that is written; the first failure is kept for the end.
struct Out {
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Out {
    fn put(&mut self, channel: Channel, piece: &[u8]) {
        let mut bytes = Vec::new();
        record::push(channel, piece, &mut bytes);
        if self.failed.is_none() {
            self.failed = self.file.write_all(&bytes).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log after the cut: pieces of one channel joined, each under its channel's letter.
    fn check(said: &[(Channel, &str)], most: u64, tail: u64) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut bytes = Vec::new();
        for (channel, piece) in said {
            record::push(*channel, piece.as_bytes(), &mut bytes);
        }
        fs::write(&path, &bytes).expect("written");
        let is_cut = cut(&path, most, tail).expect("cut");
        assert_eq!(is_cut, fs::read(&path).expect("readable") != bytes);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
        let mut shown = String::new();
        let mut last = None;
        read::pieces(&path, 0, u64::MAX, &mut |channel, piece| {
            if last != Some(channel) {
                shown.push_str(&format!("<{}>", char::from(channel.byte())));
            }
            last = Some(channel);
            shown.push_str(&String::from_utf8_lossy(piece));
        })
        .expect("a log");
        shown
    }

    const SAID: &[(Channel, &str)] = &[
        (Channel::Header, "make\n"),
        (Channel::Stdout, "abcdefgh"),
        (Channel::Stdout, "ijklmno"),
        (Channel::Stderr, "pqrst"),
        (Channel::Stdout, "uv"),
        (Channel::Header, "end\n"),
    ];

    #[test]
    fn the_beginning_stays_and_what_goes_is_said() {
        insta::assert_snapshot!(check(SAID, 10, 0), @"
        <h>make
        <o>abcdefghij<h>
        Output exceeded 10 bytes, remaining output has been truncated
        end
        ");
        insta::assert_snapshot!(check(SAID, 0, 0), @"
        <h>make

        Output exceeded 0 bytes, remaining output has been truncated
        end
        ");
    }

    #[test]
    fn exactly_the_last_bytes_stay_too_with_their_channels() {
        insta::assert_snapshot!(check(SAID, 10, 5), @"
        <h>make
        <o>abcdefghij<h>
        Output exceeded 10 bytes, remaining output has been truncated
        end

        Final 5 bytes follow below:
        <e>rst<o>uv
        ");
        insta::assert_snapshot!(check(SAID, 10, 7), @"
        <h>make
        <o>abcdefghij<h>
        Output exceeded 10 bytes, remaining output has been truncated
        end

        Final 7 bytes follow below:
        <e>pqrst<o>uv
        ");
        insta::assert_snapshot!(check(SAID, 10, 100), @"
        <h>make
        <o>abcdefghij<h>
        Output exceeded 10 bytes, remaining output has been truncated
        end

        Final 12 bytes follow below:
        <o>klmno<e>pqrst<o>uv
        ");
    }

    #[test]
    fn a_log_of_exactly_the_limit_is_whole_and_one_that_is_gone_stays_gone() {
        let whole = "<h>make\n<o>abcdefghijklmno<e>pqrst<o>uv<h>end\n";
        assert_eq!(check(SAID, 22, 5), whole);
        assert_ne!(check(SAID, 21, 5), whole);
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!cut(&dir.path().join("gone"), 1, 1).expect("nothing to do"));
    }

    #[test]
    fn the_times_of_what_was_cut_are_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut bytes = Vec::new();
        record::push(Channel::Stdout, b"abcdefgh", &mut bytes);
        fs::write(&path, bytes).expect("written");
        fs::write(times::path_of(&path), [0; 16]).expect("written");
        assert!(!cut(&path, 8, 0).expect("short enough"));
        assert!(times::path_of(&path).exists());
        assert!(cut(&path, 4, 0).expect("cut"));
        assert!(!times::path_of(&path).exists());
    }

    #[test]
    fn what_is_no_log_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, "this was never a log").expect("written");
        cut(&path, 1, 1).expect_err("not a log");
        assert_eq!(fs::read(&path).expect("there"), b"this was never a log");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }
}
