//! How far a step is: what it says and counts, and when it had said and counted how much.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::task;
use tokio::time::Instant;

use crate::logs::read::Lines;
use crate::logs::record::Reader;
use crate::master::output::without_colours;
use crate::model::Metric;
use crate::model::OUTPUT;
use crate::model::PaceMeter;
use crate::model::Reached;
use crate::steps::Gauge;

/// More metrics than this are not kept for a step.
const MOST: usize = 16;

/// The metrics of a step while it runs.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// `None` for a step that began in an earlier run of the master: when it had counted what
    /// was there then is not known.
    since: Option<Instant>,
    /// [`OUTPUT`] first, which is there with the first look.
    meters: Vec<Meter>,
    ear: Option<Ear>,
    /// The metrics that are wanted; `None` is all.
    wanted: Option<Vec<String>>,
}

#[derive(Debug)]
struct Meter {
    reached: Reached,
    pace: PaceMeter,
}

/// Listens to what the step says in its `stdio`.
struct Ear {
    gauge: Box<dyn Gauge>,
    reader: Reader,
    lines: Lines,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

impl Growth {
    /// Of a step that begins now.
    pub(super) fn begin(gauge: Option<Box<dyn Gauge>>, wanted: Option<Vec<String>>) -> Self {
        Self {
            since: Some(Instant::now()),
            ..Self::resumed(gauge, wanted)
        }
    }

    /// Of a step that began in an earlier run of the master.
    pub(super) fn resumed(gauge: Option<Box<dyn Gauge>>, wanted: Option<Vec<String>>) -> Self {
        let ear = |gauge| Ear {
            gauge,
            reader: Reader::new(),
            lines: Lines::default(),
        };
        Self {
            since: None,
            meters: Vec::new(),
            ear: gauge.map(ear),
            wanted,
        }
    }

    /// Hears what is in the log already, up to `end`.
    pub(super) async fn catch_up(&mut self, log: &Path, end: u64) {
        self.look(end);
        let Some(ear) = self.ear.take() else {
            return;
        };
        let log = log.to_owned();
        let heard = task::spawn_blocking(move || ear.read(&log, end)).await;
        // What cannot be read is told by those who need it more.
        self.ear = heard.ok().and_then(Result::ok);
        self.count();
    }

    /// Takes in how long `stdio` is now.
    pub(super) fn look(&mut self, length: u64) {
        self.set(OUTPUT, length, None);
    }

    /// Takes in how long another log of the step is now.
    pub(super) fn look_beside(&mut self, log: &str, length: u64) {
        self.set(log, length, None);
    }

    /// Takes in what was put at `offset` of `stdio`.
    pub(super) fn hear(&mut self, offset: u64, bytes: &[u8]) {
        let Some(ear) = &mut self.ear else { return };
        if ear.hear(offset, bytes).is_none() {
            // What is no log is told by those who show it.
            self.ear = None;
        }
        self.count();
    }

    /// How far it is.
    pub(super) fn reached(&self) -> Vec<Reached> {
        self.meters.iter().map(|it| it.reached.clone()).collect()
    }

    /// What became of it all, which took this long.
    pub(super) fn metrics(&self, took: Duration) -> Vec<Metric> {
        let metric = |it: &Meter| Metric {
            name: it.reached.name.clone(),
            value: it.reached.value,
            pace: self
                .since
                .and_then(|_| it.pace.pace(took, it.reached.value)),
        };
        self.meters.iter().map(metric).collect()
    }

    /// Asks the gauge.
    fn count(&mut self) {
        let Some(ear) = &self.ear else { return };
        for it in ear.gauge.reached() {
            self.set(&it.name, it.value, it.announced);
        }
    }

    fn set(&mut self, name: &str, value: u64, announced: Option<u64>) {
        if let Some(wanted) = &self.wanted
            && !wanted.iter().any(|it| it == name)
        {
            return;
        }
        let known = self.meters.iter().position(|it| it.reached.name == name);
        let at = match known {
            Some(at) => at,
            None if self.meters.len() < MOST => {
                self.meters.push(Meter {
                    reached: Reached {
                        name: name.to_owned(),
                        value: 0,
                        announced: None,
                    },
                    pace: PaceMeter::default(),
                });
                self.meters.len() - 1
            }
            None => return,
        };
        let meter = &mut self.meters[at];
        meter.reached.value = meter.reached.value.max(value);
        meter.reached.announced = announced;
        if let Some(since) = self.since {
            meter.pace.look(since.elapsed(), meter.reached.value);
        }
    }
}

impl Ear {
    /// Hears the bytes behind those that it has heard; `None` if they are no log.
    fn hear(&mut self, offset: u64, bytes: &[u8]) -> Option<()> {
        let heard = self.reader.offset();
        let known = match heard.checked_sub(offset) {
            Some(known) => usize::try_from(known).ok()?,
            // What the master itself wrote in between is nothing to count.
            None => {
                self.end();
                self.reader = Reader::at(offset);
                0
            }
        };
        let mut bytes = bytes.get(known..).unwrap_or_default();
        let Self {
            gauge,
            reader,
            lines,
        } = self;
        while let Some((channel, piece)) = reader.next(&mut bytes).ok()? {
            lines.add(channel, piece, &mut |channel, line| {
                gauge.see(channel, &without_colours(line));
            });
        }
        Some(())
    }

    /// A last line has no end.
    fn end(&mut self) {
        let gauge = &mut self.gauge;
        self.lines
            .end(&mut |channel, line| gauge.see(channel, &without_colours(line)));
    }

    /// Hears a log from its beginning.
    fn read(mut self, log: &Path, end: u64) -> io::Result<Self> {
        let mut offset = 0;
        crate::logs::read::blocks(log, 0, end, &mut |block| {
            let is_log = self.hear(offset, block).is_some();
            offset += block.len() as u64;
            is_log
        })?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;
    use crate::model::Channel;

    /// Counts the lines on standard output, and is told how many there will be.
    #[derive(Default)]
    struct LineGauge(u64, Option<u64>);

    impl Gauge for LineGauge {
        fn see(&mut self, channel: Channel, line: &str) {
            if channel == Channel::Stdout {
                self.0 += 1;
                self.1 = self.1.or_else(|| line.parse().ok());
            }
        }

        fn reached(&self) -> Vec<Reached> {
            vec![Reached {
                name: "lines".into(),
                value: self.0,
                announced: self.1,
            }]
        }
    }

    fn growth() -> Growth {
        Growth::begin(Some(Box::<LineGauge>::default()), None)
    }

    fn log(pieces: &[(Channel, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (channel, piece) in pieces {
            record::push(*channel, piece.as_bytes(), &mut bytes);
        }
        bytes
    }

    fn values(growth: &Growth) -> Vec<(String, u64)> {
        let reached = growth.reached().into_iter();
        reached.map(|it| (it.name, it.value)).collect()
    }

    #[test]
    fn what_is_said_is_counted_once_however_it_is_cut() {
        let whole = log(&[
            (Channel::Stdout, "3\none"),
            (Channel::Stderr, "oops\n"),
            (Channel::Stdout, "\n\u{1b}[1mtwo\n"),
        ]);
        for cut in 0..=whole.len() {
            let mut growth = growth();
            growth.look(whole.len() as u64);
            growth.hear(0, &whole[..cut]);
            // The slave begins again before what was kept.
            let again = cut / 2;
            growth.hear(again as u64, &whole[again..]);
            let all = [("output".into(), whole.len() as u64), ("lines".into(), 3)];
            assert_eq!(values(&growth), all, "{cut}");
            assert_eq!(growth.reached()[1].announced, Some(3));
        }
    }

    #[test]
    fn what_the_master_wrote_between_two_commands_is_passed_over() {
        let first = log(&[(Channel::Stdout, "a\nb")]);
        let second = log(&[(Channel::Stdout, "c\n")]);
        let mut growth = growth();
        growth.hear(0, &first);
        growth.hear(1000, &second);
        assert_eq!(values(&growth), [("lines".into(), 3)]);
        // What is no log is not counted any further, and does no harm.
        growth.hear(1000 + second.len() as u64, b"no log at all");
        growth.hear(1020, &second);
        assert_eq!(values(&growth), [("lines".into(), 3)]);
    }

    #[test]
    fn only_wanted_metrics_are_kept_and_not_many() {
        let mut growth = Growth::begin(
            Some(Box::<LineGauge>::default()),
            Some(vec!["lines".into(), "test.log".into()]),
        );
        growth.look(100);
        growth.look_beside("test.log", 7);
        growth.hear(0, &log(&[(Channel::Stdout, "x\n")]));
        let all = [("test.log".into(), 7), ("lines".into(), 1)];
        assert_eq!(values(&growth), all);

        let mut growth = Growth::begin(None, None);
        (0..100).for_each(|it| growth.look_beside(&format!("log{it}"), 1));
        assert_eq!(growth.reached().len(), MOST);
    }

    #[tokio::test]
    async fn a_master_that_comes_back_counts_from_the_beginning_of_the_log() {
        let bytes = log(&[(Channel::Stdout, "1\n2\n3"), (Channel::Stdout, "4\n5\n")]);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let cut = bytes.len() - 3;
        std::fs::write(&path, &bytes[..cut]).expect("written");
        let mut growth = Growth::resumed(Some(Box::<LineGauge>::default()), None);
        growth.catch_up(&path, cut as u64).await;
        growth.hear(cut as u64, &bytes[cut..]);
        let all = [("output".into(), cut as u64), ("lines".into(), 4)];
        assert_eq!(values(&growth), all);
        let metrics = growth.metrics(Duration::from_secs(60));
        assert!(metrics.iter().all(|it| it.pace.is_none()), "{metrics:?}");
    }
}
