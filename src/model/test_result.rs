//! How a single test of a step ended, and all that is kept of those of one step.

use std::fmt;

use super::Outcome;

/// How a test ended, the worst first: the order in which pages show them. The numbers are
/// stored and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TestEnd {
    /// It broke before it could pass or fail.
    Error = 0,
    Failure = 1,
    UnexpectedSuccess = 2,
    /// It passed and complained, or ended in a way that only its program has a word for.
    Warning = 3,
    Skipped = 4,
    ExpectedFailure = 5,
    Success = 6,
}

impl TestEnd {
    pub(crate) const ALL: [Self; 7] = [
        Self::Error,
        Self::Failure,
        Self::UnexpectedSuccess,
        Self::Warning,
        Self::Skipped,
        Self::ExpectedFailure,
        Self::Success,
    ];

    /// The stored number.
    pub(crate) const fn code(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// The words that pages and JSON use.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
            Self::Error => "error",
            Self::ExpectedFailure => "expected failure",
            Self::UnexpectedSuccess => "unexpected success",
        }
    }

    /// What it would be if it were a step: a failure that is expected is a success, and a success
    /// that is not is worth a look.
    pub(crate) const fn outcome(self) -> Outcome {
        match self {
            Self::Success | Self::ExpectedFailure => Outcome::Success,
            Self::Warning | Self::UnexpectedSuccess => Outcome::Warnings,
            Self::Failure | Self::Error => Outcome::Failure,
            Self::Skipped => Outcome::Skipped,
        }
    }

    /// Whether nobody has to look at it.
    pub(crate) const fn is_good(self) -> bool {
        matches!(self, Self::Success | Self::ExpectedFailure | Self::Skipped)
    }
}

impl fmt::Display for TestEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The result of a single test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestResult {
    /// A path with dots, such as `words.test.T.test_a`, or what its program calls it.
    pub(crate) name: String,
    pub(crate) end: TestEnd,
    /// Its program's own words for the end, if they are others.
    pub(crate) text: String,
    /// What was said of it.
    pub(crate) log: String,
}

/// The results of the tests of one step: all are counted, and as many are kept as have room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestResults {
    kept: Vec<TestResult>,
    /// How many there were of each end, by its code.
    counts: [u64; 7],
    good: usize,
    log_bytes: usize,
}

/// So many that passed or were skipped are kept of a step.
const MOST_GOOD: usize = 10_000;
/// So many others.
const MOST_BAD: usize = 100_000;
/// A longer name is cut.
const LONGEST_NAME: usize = 1000;
const LONGEST_TEXT: usize = 200;
/// So much is kept of what was said of one test.
const LONGEST_LOG: usize = 16 << 10;
/// And of all of a step.
const ALL_LOGS: usize = 2 << 20;

impl TestResults {
    pub(crate) fn add(&mut self, name: &str, end: TestEnd, log: &str) {
        self.add_as(name, end, "", log);
    }

    /// Takes in a test whose program has `text` for its end.
    pub(crate) fn add_as(&mut self, name: &str, end: TestEnd, text: &str, log: &str) {
        self.counts[end as usize] += 1;
        let kept_bad = self.kept.len() - self.good;
        let has_room = match end.is_good() {
            true => self.good < MOST_GOOD,
            false => kept_bad < MOST_BAD,
        };
        if !has_room {
            return;
        }
        self.good += usize::from(end.is_good());
        let log = self.fitted(log);
        self.kept.push(TestResult {
            name: cut(name, LONGEST_NAME, "…"),
            end,
            text: match text == end.as_str() {
                true => String::new(),
                false => cut(text, LONGEST_TEXT, "…"),
            },
            log,
        });
    }

    /// Gives each kept test without a log what `story` has of it.
    pub(crate) fn tell(&mut self, mut story: impl FnMut(&TestResult) -> Option<String>) {
        for at in 0..self.kept.len() {
            if self.kept[at].log.is_empty()
                && let Some(log) = story(&self.kept[at])
            {
                self.kept[at].log = self.fitted(&log);
            }
        }
    }

    /// The log as far as there is room for it.
    fn fitted(&mut self, log: &str) -> String {
        let log = log.trim_end();
        let room = LONGEST_LOG.min(ALL_LOGS.saturating_sub(self.log_bytes));
        let log = cut(log, room, CUT);
        self.log_bytes += log.len();
        log
    }

    /// Those that are kept, in the order in which they were told.
    pub(crate) fn kept(&self) -> &[TestResult] {
        &self.kept
    }

    /// How many there were of each end that there was, the worst first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (TestEnd, u64)> {
        let all = TestEnd::ALL.into_iter();
        all.map(|it| (it, self.counts[it as usize]))
            .filter(|it| it.1 > 0)
    }

    /// How many are counted and not kept.
    pub(crate) fn left_out(&self) -> u64 {
        let all: u64 = self.counts.iter().sum();
        all - self.kept.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

const CUT: &str = "\n[cut here: the logs of the step have all of it]";

/// At most `most` bytes of the text, with `mark` behind them if that is not all.
fn cut(text: &str, most: usize, mark: &str) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}{mark}", &text[..text.floor_char_boundary(most)])
}

/// A test that passed or did not, somewhere in the past of a builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastTest {
    /// Of the build.
    pub(crate) number: i64,
    /// The worst end of the test in it; `None` if it is not known to have run.
    pub(crate) end: Option<TestEnd>,
    /// Whether all of the tests that ran are kept: what is not there has not run.
    pub(crate) is_whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_read_back() {
        for end in TestEnd::ALL {
            assert_eq!(TestEnd::from_code(end.code()), Some(end));
            assert_eq!(TestEnd::from_word(end.as_str()), Some(end));
        }
        assert!(TestEnd::ALL.is_sorted());
        assert_eq!(TestEnd::from_code(7), None);
    }

    #[test]
    fn an_expected_failure_is_a_success_and_an_unexpected_success_is_worth_a_look() {
        use Outcome::{Failure, Skipped, Success, Warnings};
        let outcomes = TestEnd::ALL.map(TestEnd::outcome);
        assert_eq!(
            outcomes,
            [
                Failure, Failure, Warnings, Warnings, Skipped, Success, Success
            ]
        );
        let is_good = TestEnd::ALL.map(TestEnd::is_good);
        assert_eq!(is_good, [false, false, false, false, true, true, true]);
    }

    #[test]
    fn a_hundred_thousand_tests_are_counted_and_those_that_fail_are_kept() {
        let mut results = TestResults::default();
        let log = "x".repeat(1 << 20);
        for number in 0..100_000 {
            let end = match number % 100 {
                0 => TestEnd::Failure,
                1 => TestEnd::Skipped,
                _ => TestEnd::Success,
            };
            let log = if end == TestEnd::Failure { &log } else { "" };
            results.add(&format!("suite.case.test_{number}"), end, log);
        }
        let counts: Vec<_> = results.counts().collect();
        let expected = [
            (TestEnd::Failure, 1000),
            (TestEnd::Skipped, 1000),
            (TestEnd::Success, 98_000),
        ];
        assert_eq!(counts, expected);
        let bad = results.kept().iter().filter(|it| !it.end.is_good());
        assert_eq!(bad.count(), 1000);
        assert_eq!(results.kept().len(), 1000 + MOST_GOOD);
        assert_eq!(results.left_out(), 99_000 - MOST_GOOD as u64);
        let bytes: usize = results.kept().iter().map(|it| it.log.len()).sum();
        assert!(bytes < ALL_LOGS + 1000 * 2 * CUT.len(), "{bytes}");
        assert!(
            results
                .kept()
                .iter()
                .all(|it| it.log.is_empty() || it.log.ends_with(CUT))
        );
    }

    #[test]
    fn long_names_and_logs_are_cut_between_characters_and_say_so() {
        let mut results = TestResults::default();
        results.add(&"é".repeat(600), TestEnd::Error, &"ü".repeat(10_000));
        let [only] = results.kept() else {
            panic!("one is kept");
        };
        assert_eq!(only.name, format!("{}…", "é".repeat(500)));
        assert_eq!(only.log, format!("{}{CUT}", "ü".repeat(8192)));
    }
}
