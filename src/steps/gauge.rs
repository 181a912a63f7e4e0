//! How far a step is while it runs, told from what it says meanwhile.

use regex::Regex;

use crate::model::Channel;
use crate::model::Reached;

/// Counts in what a step says, line by line, as it comes.
pub(crate) trait Gauge: Send + Sync {
    /// Takes in a line, without colours and without its end.
    fn see(&mut self, channel: Channel, line: &str);

    /// The metrics, each as far as it has come. All are there from the beginning.
    fn reached(&self) -> Vec<Reached>;
}

/// The names of what a gauge counts.
pub(super) fn names(gauge: Option<Box<dyn Gauge>>) -> Vec<String> {
    let all = gauge.map(|it| it.reached()).unwrap_or_default();
    all.into_iter().map(|it| it.name).collect()
}

pub(super) fn reached(name: &str, value: u64) -> Reached {
    Reached {
        name: name.to_owned(),
        value,
        announced: None,
    }
}

/// Counts the lines that a pattern fits: `tests`.
pub(super) struct Fits {
    metric: &'static str,
    pattern: &'static Regex,
    /// A line that begins so is behind all of them.
    end: Option<&'static str>,
    is_over: bool,
    count: u64,
}

impl Fits {
    pub(super) const fn new(metric: &'static str, pattern: &'static Regex) -> Self {
        Self {
            metric,
            pattern,
            end: None,
            is_over: false,
            count: 0,
        }
    }

    /// Counts nothing from the first line on that begins with `end`.
    pub(super) const fn until(self, end: &'static str) -> Self {
        Self {
            end: Some(end),
            ..self
        }
    }
}

impl Gauge for Fits {
    fn see(&mut self, channel: Channel, line: &str) {
        if self.is_over || channel == Channel::Header {
            return;
        }
        self.is_over = self.end.is_some_and(|it| line.starts_with(it));
        if !self.is_over && self.pattern.is_match(line) {
            self.count += 1;
        }
    }

    fn reached(&self) -> Vec<Reached> {
        vec![reached(self.metric, self.count)]
    }
}
