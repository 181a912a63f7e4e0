//! Cuts a log that has ended down to what is to be kept of it: its beginning,
//! and the very end of what goes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::logs::times::Moved;
use crate::logs::{read, record, times};
use crate::model::{Channel, Timestamp};

/// Keeps the first `most` bytes of output and, of what goes, the last `tail`. Lines about the
/// command cost nothing and stay; what is left out is said where it was. `false` if the log is
/// short enough, or gone. What stays came when it came; the step `began` at that time.
///
/// # Errors
/// The disk: the log is then as it was.
pub(crate) fn cut(path: &Path, most: u64, tail: u64, began: Timestamp) -> io::Result<bool> {
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
    let moved = Moved::open(path, began);
    let written = write(path, length, &beside, &Plan { most, tail, total }, moved);
    // What was pruned meanwhile stays away.
    let renamed = written.and_then(|moved| match path.try_exists()? {
        true => {
            // Never are the times of one beside the other.
            times::remove(path)?;
            fs::rename(&beside, path)?;
            moved.write(path);
            Ok(())
        }
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

fn write(path: &Path, length: u64, to: &Path, plan: &Plan, moved: Moved) -> io::Result<Moved> {
    let mut out = Out {
        file: BufWriter::new(File::create(to)?),
        length: 0,
        moved,
        failed: None,
    };
    let (mut at, mut said) = (0, false);
    read::placed(path, 0, length, &mut |from, channel, piece| {
        if channel == Channel::Header {
            return out.keep(from, channel, piece);
        }
        let room = usize::try_from(plan.most.saturating_sub(at)).unwrap_or(usize::MAX);
        out.keep(from, channel, &piece[..piece.len().min(room)]);
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
        read::placed(path, 0, length, &mut |from, channel, piece| {
            if channel == Channel::Header {
                return;
            }
            let skip = usize::try_from(first.saturating_sub(at)).unwrap_or(usize::MAX);
            let kept = piece.get(skip..).unwrap_or_default();
            out.keep(from + (piece.len() - kept.len()) as u64, channel, kept);
            at += piece.len() as u64;
        })?;
    }
    if let Some(error) = out.failed {
        return Err(error);
    }
    out.file.flush()?;
    out.file.get_ref().sync_data()?;
    Ok(out.moved)
}

/// A log that is written; the first failure is kept for the end.
struct Out {
    file: BufWriter<File>,
    length: u64,
    moved: Moved,
    failed: Option<io::Error>,
}

impl Out {
    /// Puts down what was at `from`, with a record for each time at which something of it came.
    fn keep(&mut self, mut from: u64, channel: Channel, mut piece: &[u8]) {
        while !piece.is_empty() {
            let until = self.moved.note(from, self.length);
            let together = usize::try_from(until - from).unwrap_or(usize::MAX);
            let (first, rest) = piece.split_at(together.min(piece.len()));
            self.put(channel, first);
            from += first.len() as u64;
            piece = rest;
        }
    }

    fn put(&mut self, channel: Channel, piece: &[u8]) {
        let mut bytes = Vec::new();
        record::push(channel, piece, &mut bytes);
        self.length += bytes.len() as u64;
        if self.failed.is_none() {
            self.failed = self.file.write_all(&bytes).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::logs::append::LogFile;
    use crate::logs::place::LogPlace;
    use crate::logs::times::Times;

    const BEGAN: Timestamp = Timestamp(10_000);

    /// The log after the cut: pieces of one channel joined, each under its channel's letter.
    fn check(said: &[(Channel, &str)], most: u64, tail: u64) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut bytes = Vec::new();
        for (channel, piece) in said {
            record::push(*channel, piece.as_bytes(), &mut bytes);
        }
        fs::write(&path, &bytes).expect("written");
        let is_cut = cut(&path, most, tail, BEGAN).expect("cut");
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
        assert!(!cut(&dir.path().join("gone"), 1, 1, BEGAN).expect("nothing to do"));
    }

    thread_local! {
        static NOW: Cell<i64> = const { Cell::new(0) };
    }

    /// The log after the cut, of pieces that came so many seconds after the beginning: what is in
    /// it in lines, each behind its second.
    fn check_times(said: &[(i64, Channel, &str)], most: u64, tail: u64) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let now = || Timestamp(BEGAN.0 + NOW.get() * 1000);
        let mut log = LogFile::open_timed(&path, BEGAN, now).expect("opened");
        for (second, channel, piece) in said {
            NOW.set(*second);
            let mut bytes = Vec::new();
            record::push(*channel, piece.as_bytes(), &mut bytes);
            log.append_at(log.len(), &bytes).expect("written");
        }
        assert!(cut(&path, most, tail, BEGAN).expect("cut"));
        let place = LogPlace::File(path.clone());
        let times = Times::open(&place, BEGAN, Some(60_000)).expect("they are known");
        let mut shown = String::new();
        read::placed(&path, 0, u64::MAX, &mut |mut from, _, piece| {
            for line in String::from_utf8_lossy(piece).split_inclusive('\n') {
                let second = (times.at(from).expect("readable").at.0 - BEGAN.0) / 1000;
                if line != "\n" {
                    shown.push_str(&format!("{second}: {line}"));
                }
                from += line.len() as u64;
            }
        })
        .expect("a log");
        shown
    }

    #[test]
    fn what_stays_came_when_it_came() {
        let said = [
            (0, Channel::Header, "make\n"),
            (0, Channel::Stdout, "at once\n"),
            (3, Channel::Stdout, "three\n"),
            (5, Channel::Stdout, "five goes\n"),
            (7, Channel::Stdout, "seven\n"),
            (9, Channel::Stdout, "nine\n"),
            (9, Channel::Header, "end\n"),
        ];
        insta::assert_snapshot!(check_times(&said, 14, 11), @"
        0: make
        0: at once
        3: three
        3: Output exceeded 14 bytes, remaining output has been truncated
        9: end
        9: Final 11 bytes follow below:
        7: seven
        9: nine
        ");
    }

    #[test]
    fn an_end_that_came_at_once_is_not_taken_for_a_late_one() {
        let said = [
            (0, Channel::Stdout, "all\nat\nonce\n"),
            (9, Channel::Header, "end\n"),
        ];
        insta::assert_snapshot!(check_times(&said, 4, 5), @"
        0: all
        0: Output exceeded 4 bytes, remaining output has been truncated
        9: end
        9: Final 5 bytes follow below:
        0: once
        ");
    }

    #[test]
    fn a_log_is_cut_in_the_middle_of_what_came_at_different_times() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let now = || Timestamp(BEGAN.0 + NOW.get() * 1000);
        let mut log = LogFile::open_timed(&path, BEGAN, now).expect("opened");
        let mut bytes = Vec::new();
        record::push(Channel::Stdout, b"one\ntwo\nthree\n", &mut bytes);
        log.append_at(0, &bytes[..9]).expect("written");
        NOW.set(4);
        log.append_at(9, &bytes[9..]).expect("written");

        assert!(cut(&path, 8, 0, BEGAN).expect("cut"));

        let times = Times::open(&LogPlace::File(path), BEGAN, None).expect("they are known");
        let first = times.at(record::HEAD as u64).expect("readable");
        assert_eq!((first.at, first.bytes), (BEGAN, 0..9));
        let second = times.at(9 + record::HEAD as u64).expect("readable");
        assert_eq!(second.at, now());
    }

    #[test]
    fn a_log_of_which_no_times_were_noted_has_none_afterwards() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut bytes = Vec::new();
        record::push(Channel::Stdout, b"abcdefgh", &mut bytes);
        fs::write(&path, bytes).expect("written");
        assert!(cut(&path, 4, 0, BEGAN).expect("cut"));
        assert!(!times::path_of(&path).exists());
    }

    #[test]
    fn what_is_no_log_is_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        fs::write(&path, "this was never a log").expect("written");
        cut(&path, 1, 1, BEGAN).expect_err("not a log");
        assert_eq!(fs::read(&path).expect("there"), b"this was never a log");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }
}
