//! What a build that runs here says, as it says it: a heading for each step,
//! its output as it is, and how it ended.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::super::follow::elapsed;
use super::super::terminal::DIM;
use super::super::terminal::STRONG;
use super::super::terminal::style;
use super::super::terminal::word;
use crate::logs::record::Reader;
use crate::model::BuildRecord;
use crate::model::Channel;
use crate::model::Outcome;
use crate::model::StepRecord;
use crate::model::Timestamp;

/// Logs that say why a step could not go on.
const WHY: [&str; 3] = ["err.text", "interrupt", "interrupt while waiting for locks"];

/// What was shown of a build.
pub(super) struct Show<W> {
    /// Leaves out colours where nobody sees them.
    out: W,
    /// With everything that the runner says of each command.
    is_verbose: bool,
    /// Steps that were shown to their end.
    done: usize,
    tail: Option<Tail>,
    is_line_open: bool,
}

/// Where the log of a step has been read to.
struct Tail {
    log: File,
    reader: Reader,
    headers: Headers,
}

/// What the runner says before and after a command, of which most is only for those who look
/// for a mistake in it.
#[derive(Default)]
struct Headers {
    line: Vec<u8>,
    /// Between the command and its output.
    is_among_facts: bool,
}

impl<W: io::Write> Show<W> {
    pub(super) fn new(out: W, is_verbose: bool) -> Self {
        Self {
            out,
            is_verbose,
            done: 0,
            tail: None,
            is_line_open: false,
        }
    }

    /// Shows what is new.
    ///
    /// # Errors
    /// Nobody reads any more, or a log cannot be read.
    pub(super) fn look(
        &mut self,
        steps: &[StepRecord],
        path_of: impl Fn(&str) -> std::path::PathBuf,
    ) -> io::Result<()> {
        while let Some(step) = steps.get(self.done) {
            let Some(_) = step.started else {
                // Passed over, if a later one has begun.
                if !steps[self.done..].iter().any(|it| it.started.is_some()) {
                    return Ok(());
                }
                self.done += 1;
                continue;
            };
            let is_skipped = step.outcome == Some(Outcome::Skipped);
            if self.tail.is_none()
                && !is_skipped
                && let Some(log) = step.logs.first()
                && let Ok(file) = File::open(path_of(&log.file))
            {
                self.end_line()?;
                self.say(&format!("{STRONG}==> {}{STRONG:#}\n", step.name))?;
                self.tail = Some(Tail {
                    log: file,
                    reader: Reader::new(),
                    headers: Headers::default(),
                });
            }
            self.pump()?;
            let Some(outcome) = step.outcome else {
                return self.out.flush();
            };
            self.end_line()?;
            for log in step
                .logs
                .iter()
                .filter(|it| WHY.contains(&it.name.as_str()))
            {
                self.whole(&path_of(&log.file))?;
            }
            self.say(&ended(step, outcome))?;
            self.tail = None;
            self.done += 1;
        }
        self.out.flush()
    }

    /// Shows how the build ended.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn end(&mut self, build: &BuildRecord, now: Timestamp) -> io::Result<()> {
        let style = style(build.outcome);
        let took = build.finished.unwrap_or(now).since(build.started);
        let line = format!(
            "\n{}: {style}{}{style:#} after {}: {}\n",
            build.key.builder,
            word(build.outcome),
            elapsed(Some(took.as_secs_f64())),
            build.text.join(" ")
        );
        self.say(&line)?;
        self.out.flush()
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_line_open) {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Shows what the log of the step has more than before.
    fn pump(&mut self) -> io::Result<()> {
        let Some(mut tail) = self.tail.take() else {
            return Ok(());
        };
        let mut block = vec![0; 64 << 10];
        loop {
            let got = tail.log.read_at(&mut block, tail.reader.offset())?;
            if got == 0 {
                break;
            }
            let mut bytes = &block[..got];
            while let Some((channel, piece)) = tail
                .reader
                .next(&mut bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            {
                match channel {
                    Channel::Header => {
                        for line in tail.headers.lines(piece, self.is_verbose) {
                            self.end_line()?;
                            self.say(&format!("{DIM}{line}{DIM:#}\n"))?;
                        }
                    }
                    Channel::Stdout | Channel::Stderr => {
                        self.out.write_all(piece)?;
                        self.is_line_open = !piece.ends_with(b"\n");
                    }
                }
            }
        }
        self.tail = Some(tail);
        Ok(())
    }

    fn whole(&mut self, path: &Path) -> io::Result<()> {
        let mut said = Vec::new();
        crate::logs::read::lines(path, 0, u64::MAX, &mut |_, line| said.push(line.to_owned()))?;
        for line in said {
            self.say(&format!("{line}\n"))?;
        }
        Ok(())
    }
}

/// The line of a step that is over.
fn ended(step: &StepRecord, outcome: Outcome) -> String {
    let style = style(Some(outcome));
    let text = step.text.join(" ");
    if outcome == Outcome::Skipped {
        // One that was left out here has a text that says why.
        let why = text.strip_suffix(": skipped");
        let why = why.unwrap_or("its do_step_if does not hold");
        return format!(
            "{STRONG}==> {}{STRONG:#}  {style}skipped{style:#}: {why}\n",
            step.name
        );
    }
    let took = step.started.zip(step.finished);
    let took = took.map(|(began, ended)| ended.since(began).as_secs_f64());
    let text = match text == step.name {
        true => String::new(),
        false => format!(": {text}"),
    };
    let word = word(Some(outcome));
    format!("{style}{word}{style:#} after {}{text}\n", elapsed(took))
}

impl Headers {
    /// The lines of `piece` that are shown.
    fn lines(&mut self, piece: &[u8], is_verbose: bool) -> Vec<String> {
        let mut shown = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if !self.line.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if is_verbose {
                shown.push(line);
                continue;
            }
            self.is_among_facts |= line.starts_with(" in dir ");
            let is_figure = line.starts_with("usage: ") || line.starts_with("elapsedTime=");
            if !self.is_among_facts && !is_figure {
                shown.push(line.clone());
            }
            self.is_among_facts &= !line.starts_with(" using PTY: ");
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use anstream::AutoStream;

    use super::*;
    use crate::logs::append::LogFile;
    use crate::logs::record;
    use crate::model::LogRecord;
    use crate::model::Progress;

    fn step(number: u32, outcome: Option<Outcome>, text: &[&str], logs: &[&str]) -> StepRecord {
        StepRecord {
            number,
            name: format!("s{number}"),
            started: Some(Timestamp(0)),
            finished: outcome.map(|_| Timestamp(1500)),
            outcome,
            text: text.iter().map(|it| (*it).to_owned()).collect(),
            build_text: vec![],
            statistics: vec![],
            urls: vec![],
            hidden: false,
            usage: None,
            ended: None,
            progress: Progress::default(),
            logs: logs
                .iter()
                .map(|name| LogRecord {
                    name: (*name).to_owned(),
                    file: format!("{number}-{name}"),
                    complete: false,
                })
                .collect(),
        }
    }

    const BEFORE: &str = "make 'a b'\n in dir /x (timeout 1200 secs)\n watching logfiles {}\n \
                          argv: ['make']\n environment:\n  A=B\n using PTY: False\n";

    #[test]
    fn a_build_is_shown_as_it_goes_on_and_each_word_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let say = |file: &str, channel, text: &str| {
            let mut log = LogFile::open(&dir.path().join(file)).expect("a log");
            let mut bytes = Vec::new();
            record::push(channel, text.as_bytes(), &mut bytes);
            log.append_at(log.len(), &bytes).expect("written");
        };
        let path_of = |file: &str| dir.path().join(file);
        let mut show = Show::new(AutoStream::never(Vec::new()), false);
        let good = Some(Outcome::Success);
        let skipped = step(
            0,
            Some(Outcome::Skipped),
            &["it was not asked for:", "skipped"],
            &[],
        );
        let idle = |number| StepRecord {
            started: None,
            ..step(number, None, &[], &[])
        };
        say("1-stdio", Channel::Header, BEFORE);
        say("1-stdio", Channel::Stdout, "one\ntw");
        let steps = [
            skipped.clone(),
            step(1, None, &[], &["stdio"]),
            idle(2),
            idle(3),
        ];
        show.look(&steps, path_of).expect("shown");
        show.look(&steps, path_of).expect("shown");
        say("1-stdio", Channel::Stderr, "o");
        say("1-stdio", Channel::Header, "usage: much\nelapsedTime=1.0\n");
        say("3-stdio", Channel::Header, "");
        say("3-err.text", Channel::Stdout, "no such property\n");
        let broken = step(
            3,
            Some(Outcome::Exception),
            &["s3", "exception"],
            &["stdio", "err.text"],
        );
        let steps = [
            skipped,
            step(1, good, &["3 tests"], &["stdio"]),
            idle(2),
            broken,
        ];
        show.look(&steps, path_of).expect("shown");
        show.look(&steps, path_of).expect("shown");

        let shown = String::from_utf8(show.out.into_inner()).expect("text");
        insta::assert_snapshot!(shown, @r"
        ==> s0  skipped: it was not asked for
        ==> s1
        make 'a b'
        one
        two
        success after 1.5 s: 3 tests
        ==> s3
        no such property
        exception after 1.5 s: s3 exception
        ");
    }

    #[test]
    fn who_wants_to_sees_all_that_the_runner_says() {
        let all = Headers::default().lines(BEFORE.as_bytes(), true);
        assert_eq!(all.len(), 7);
        let mut headers = Headers::default();
        assert_eq!(headers.lines(BEFORE.as_bytes(), false), ["make 'a b'"]);
        assert_eq!(headers.lines(b"process killed by", false), [""; 0]);
        assert_eq!(
            headers.lines(b" signal 9\n", false),
            ["process killed by signal 9"]
        );
    }
}
