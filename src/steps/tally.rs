//! Messages by kind: how many there are of each, and what they say.

use crate::model::Channel;
use crate::model::Outcome;

use super::Cx;
use super::Ended;
use super::Verdict;

/// The counts of a step that sorts messages, in the order in which they are shown.
pub(super) struct Tally {
    kinds: Vec<Kind>,
}

struct Kind {
    /// What it is called in texts, logs and properties.
    word: &'static str,
    count: u64,
    lines: String,
}

/// A log is kept in memory while it is collected, so it has an end.
const KEPT_BYTES: usize = 4 << 20;

impl Tally {
    pub(super) fn new(words: &[&'static str]) -> Self {
        let kind = |word: &&'static str| Kind {
            word,
            count: 0,
            lines: String::new(),
        };
        Self {
            kinds: words.iter().map(kind).collect(),
        }
    }

    /// Counts a message of the kind `word`, which is one of those that it was made with.
    pub(super) fn add(&mut self, word: &str, line: &str) {
        let kind = self.kinds.iter_mut().find(|it| it.word == word);
        let kind = kind.expect("a kind of this tally");
        kind.count += 1;
        push_line(&mut kind.lines, line);
    }

    pub(super) fn of(&self, word: &str) -> u64 {
        let kind = self.kinds.iter().find(|it| it.word == word);
        kind.map_or(0, |it| it.count)
    }

    pub(super) fn total(&self) -> u64 {
        self.kinds.iter().map(|it| it.count).sum()
    }

    /// What there is, such as `unused=2`.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let there = self.kinds.iter().filter(|it| it.count > 0);
        there.map(|it| format!("{}={}", it.word, it.count))
    }

    /// A failure if the step `has_failed`, else warnings if there is anything at all.
    pub(super) fn outcome(&self, has_failed: bool) -> Outcome {
        if has_failed {
            Outcome::Failure
        } else if self.total() > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        }
    }

    /// Sets `PREFIX-KIND` for every kind and `PREFIX-total`, and adds a log of each kind that is there.
    pub(super) fn tell(self, prefix: &str, source: &str, cx: &mut Cx<'_>, verdict: &mut Verdict) {
        let total = self.total();
        let counts = self.kinds.iter().map(|it| (it.word, it.count));
        for (word, count) in counts.chain([(TOTAL, total)]) {
            cx.properties
                .set_runtime(format!("{prefix}-{word}"), count, source);
        }
        let there = self.kinds.into_iter().filter(|it| it.count > 0);
        let logs = there.map(|it| (it.word.to_owned(), it.lines));
        verdict.logs.extend(logs);
    }
}

const TOTAL: &str = "total";

/// The properties that [`Tally::tell`] sets.
pub(super) fn properties(prefix: &str, words: &[&str]) -> Vec<String> {
    let words = words.iter().copied().chain([TOTAL]);
    words.map(|it| format!("{prefix}-{it}")).collect()
}

/// Adds a line to a log, if there is room for it.
pub(super) fn push_line(log: &mut String, line: &str) {
    if log.len() + line.len() < KEPT_BYTES {
        log.push_str(line);
        log.push('\n');
    }
}

/// `1 test`, `2 tests`.
pub(super) fn counted(count: u64, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// Shows what the program itself said, on either stream.
pub(super) fn said(ended: &Ended<'_>, see: &mut dyn FnMut(&str)) {
    ended.output.lines(&mut |channel, line| {
        if matches!(channel, Channel::Stdout | Channel::Stderr) {
            see(line);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_an_end_and_the_count_goes_on() {
        let mut tally = Tally::new(&["a", "b"]);
        let line = "x".repeat(KEPT_BYTES / 2);
        for _ in 0..5 {
            tally.add("b", &line);
        }
        assert!(tally.kinds[1].lines.len() <= KEPT_BYTES);
        assert_eq!((tally.of("b"), tally.total()), (5, 5));
        assert_eq!(tally.texts().collect::<Vec<_>>(), ["b=5"]);
    }
}
