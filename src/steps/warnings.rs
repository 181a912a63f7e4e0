//! Counting warnings in what a compiler or a test said.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::Outcome;
use crate::model::Shell;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Pattern;
use crate::syntax::Problem;
use crate::syntax::plain;

use super::Cx;
use super::Ended;
use super::Line;
use super::Settings;
use super::StepError;
use super::Verdict;
use super::one_command::Judge;
use super::read::Switch;
use super::rustc::Found;
use super::rustc::Rustc;
use super::suppressions::Suppressions;
use super::suppressions::Warning;
use super::tally;
use super::tally::push_line;
use super::texts::verdict;

/// Which lines are warnings, and how many are too many.
#[derive(Clone, Debug)]
pub(crate) struct Warnings {
    /// Fits from the start of a line.
    pattern: Regex,
    /// More than these make the step a failure.
    max_count: Option<u64>,
    directory_enter: Regex,
    directory_leave: Regex,
    extractor: Extractor,
    suppressions: Suppressions,
    /// More of them, relative to the work directory.
    suppression_file: Option<Text>,
    /// What is wrong with those of the file.
    notes: String,
}

/// How a warning is taken apart, for those who suppress some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extractor {
    /// It is all text.
    WholeLine,
    /// The first three groups of the pattern are its file, its line and its text.
    Groups,
    /// As rustc, clippy and cargo say it: the place stands on the line below.
    Rustc,
}

/// What lies behind in a suppression file is not read.
const LONGEST_FILE: usize = 256 << 10;

const PATTERN: &str = ".*warning[: ].*";
const ENTER: &str = "make.*: Entering directory [\u{2019}\"`'](.*)[\u{2019}'`\"]";
const LEAVE: &str = "make.*: Leaving directory";

/// Compiled once: every step that looks for warnings has them.
static USUAL: LazyLock<[Regex; 3]> = LazyLock::new(|| [PATTERN, ENTER, LEAVE].map(built_in));

impl Default for Warnings {
    fn default() -> Self {
        let [pattern, directory_enter, directory_leave] = USUAL.clone();
        Self {
            pattern,
            max_count: None,
            directory_enter,
            directory_leave,
            extractor: Extractor::WholeLine,
            suppressions: Suppressions::default(),
            suppression_file: None,
            notes: String::new(),
        }
    }
}

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the built-in patterns are tested")
}

impl Warnings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        Self::read_over(keys, Self::default())
    }

    /// Reads them for a type whose warnings look like `pattern`, a built-in one.
    pub(super) fn read_or(keys: &mut Keys<'_>, pattern: &str) -> Option<Self> {
        let pattern = built_in(pattern);
        Self::read_over(
            keys,
            Self {
                pattern,
                ..Self::default()
            },
        )
    }

    fn read_over(keys: &mut Keys<'_>, usual: Self) -> Option<Self> {
        let pattern = keys.optional::<Pattern>("warning_pattern");
        let max_count = keys.optional("max_warn_count");
        let enter = keys.optional::<Pattern>("directory_enter_pattern");
        let leave = keys.optional::<Pattern>("directory_leave_pattern");
        let extractor = keys.optional::<String>("warning_extractor");
        let suppressions = keys.or("suppressions", Suppressions::default());
        let suppression_file = keys.optional("suppression_file");
        let pattern = pattern?.map_or(usual.pattern, |it| it.0);
        let extractor = extractor_of(extractor?.as_deref(), &pattern, keys);
        Some(Self {
            pattern,
            max_count: max_count?,
            directory_enter: enter?.map_or(usual.directory_enter, |it| it.0),
            directory_leave: leave?.map_or(usual.directory_leave, |it| it.0),
            extractor: extractor?,
            suppressions: suppressions?,
            suppression_file: suppression_file?,
            notes: String::new(),
        })
    }

    fn is_warning(&self, line: &str) -> bool {
        self.pattern.find(line).is_some_and(|it| it.start() == 0)
    }

    /// Whether the line has a warning anywhere in it.
    pub(super) fn is_in(&self, line: &str) -> bool {
        self.pattern.is_match(line)
    }

    /// Whether the warning does not count; `directories` are those that make is in.
    fn is_suppressed(&self, line: &str, directories: &[String]) -> bool {
        if self.suppressions.is_empty() {
            return false;
        }
        let whole = Warning {
            file: None,
            line: None,
            text: line,
        };
        let captures = match self.extractor {
            Extractor::WholeLine | Extractor::Rustc => None,
            Extractor::Groups => self.pattern.captures(line),
        };
        let Some(captures) = captures else {
            return self.suppressions.hides(whole);
        };
        let group = |index| captures.get(index).map(|it| it.as_str());
        let file = group(1).map(|file| {
            let parts = directories.iter().map(String::as_str).chain([file]);
            parts.collect::<Vec<_>>().join("/")
        });
        self.suppressions.hides(Warning {
            file: file.as_deref(),
            line: group(2).and_then(|it| it.parse().ok()),
            text: group(3).unwrap_or(line),
        })
    }

    /// Counts the warnings of both streams and judges the command by them.
    pub(super) fn count(&self, ended: &Ended<'_>) -> Counted {
        let mut count = 0_u64;
        let mut lines = String::new();
        let mut directories: Vec<String> = Vec::new();
        let mut rustc = Rustc::default();
        let mut add = |found: Option<Found>| {
            if let Some(found) = found.filter(|it| !self.suppressions.hides(it.warning())) {
                count += 1;
                push_line(&mut lines, &found.shown());
            }
        };
        if self.extractor == Extractor::Rustc {
            tally::said(ended, &mut |line| add(rustc.see(line)));
            add(rustc.end());
            return self.judged(ended, count, lines);
        }
        tally::said(ended, &mut |line| {
            if let Some(entered) = self.directory_enter.captures(line) {
                let dir = entered.get(1).map_or("", |it| it.as_str());
                directories.push(dir.to_owned());
                return;
            }
            if self.directory_leave.is_match(line) {
                directories.pop();
                return;
            }
            if !self.is_warning(line) || self.is_suppressed(line, &directories) {
                return;
            }
            count += 1;
            push_line(&mut lines, line);
        });
        self.judged(ended, count, lines)
    }

    fn judged(&self, ended: &Ended<'_>, count: u64, lines: String) -> Counted {
        let too_many = self.max_count.is_some_and(|max| count > max);
        let outcome = if !ended.exit.is_success() || too_many {
            Outcome::Failure
        } else if count > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        Counted {
            count: i64::try_from(count).unwrap_or(i64::MAX),
            lines,
            notes: self.notes.clone(),
            outcome,
        }
    }

    /// The command that prints the suppression file, if there is one. One that is missing is
    /// an empty one, and the log says so.
    pub(super) fn asks(
        &self,
        settings: &Settings,
        cx: &Cx<'_>,
    ) -> Result<Option<Shell>, StepError> {
        let Some(file) = &self.suppression_file else {
            return Ok(None);
        };
        let [cat, options_end] = ["cat", "--"].map(Text::literal);
        let line = Line::Argv(vec![cat, options_end, file.clone()]);
        let plain = Settings {
            workdir: settings.workdir.clone(),
            log_environ: Switch::Fixed(false),
            ..Settings::default()
        };
        plain.command(&line, cx).map(Some)
    }

    pub(super) fn hears(&mut self, ended: &Ended<'_>) {
        let file = ended.output.stdout(LONGEST_FILE);
        self.notes = self.suppressions.add_file(&file);
    }
}

impl Judge for Warnings {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, done: Vec<String>) -> Verdict {
        let counted = self.count(ended);
        let mut verdict = verdict(cx, counted.outcome, done);
        counted.tell(cx, &mut verdict);
        verdict
    }

    fn asks(&self, settings: &Settings, cx: &Cx<'_>) -> Result<Option<Shell>, StepError> {
        Warnings::asks(self, settings, cx)
    }

    fn hears(&mut self, ended: &Ended<'_>) {
        Warnings::hears(self, ended);
    }
}

fn extractor_of(word: Option<&str>, pattern: &Regex, keys: &mut Keys<'_>) -> Option<Extractor> {
    let extractor = match word.map(plain).as_deref() {
        None | Some("wholeline") => Extractor::WholeLine,
        // The second is what Buildbot calls it.
        Some("groups" | "warnextractfromregexpgroups") => Extractor::Groups,
        Some("rustc") => Extractor::Rustc,
        Some(_) => {
            keys.wrong(
                "warning_extractor",
                "expected `whole_line`, `groups` or `rustc`",
            );
            return None;
        }
    };
    if extractor == Extractor::Groups && pattern.captures_len() < 4 {
        let what = "`warning_extractor = groups` takes file, line and text from three groups";
        let problem =
            Problem::error(Code::Contradiction, what).at(&keys.place("warning_extractor"));
        keys.note(
            problem.label("expected a `warning_pattern` such as `(.*?):(\\d+): warning: (.*)`"),
        );
        return None;
    }
    Some(extractor)
}

/// What was counted.
pub(super) struct Counted {
    count: i64,
    lines: String,
    notes: String,
    pub(super) outcome: Outcome,
}

impl Counted {
    pub(super) fn count(&self) -> u64 {
        self.count.unsigned_abs()
    }

    /// Puts the count where others look for it: the step's statistics and log,
    /// and the build's property that sums over its steps.
    pub(super) fn tell(self, cx: &mut Cx<'_>, verdict: &mut Verdict) {
        if self.count > 0 {
            verdict
                .logs
                .push((format!("warnings ({})", self.count), self.lines));
        }
        if !self.notes.is_empty() {
            verdict.logs.push(("suppressions".into(), self.notes));
        }
        verdict.statistics.push(("warnings".into(), self.count));
        let before = cx
            .properties
            .get("warnings-count")
            .and_then(serde_json::Value::as_i64);
        let sum = before.unwrap_or(0).saturating_add(self.count);
        cx.properties
            .set_runtime("warnings-count", sum, "WarningCountingShellCommand");
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::compile;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn a_directory_stands_between_any_quotes_and_may_be_said_otherwise() {
        let usual = Warnings::default();
        for line in [
            "make[2]: Entering directory 'a b'",
            "make: Entering directory `a b'",
            "gmake: Entering directory \"a b\"",
            "make: Entering directory \u{2019}a b\u{2019}",
        ] {
            let found = usual.directory_enter.captures(line).expect(line);
            assert_eq!(&found[1], "a b");
        }
        assert!(
            usual
                .directory_leave
                .is_match("make[2]: Leaving directory 'a'")
        );

        let lines = "warning_pattern = '(\\S+):(\\d+): warning: (.*)'\n\
                     warning_extractor = 'groups'\nsuppressions = [['^lib/', '']]\n\
                     directory_enter_pattern = '^> (.*)'\ndirectory_leave_pattern = '^<'";
        let step = read_kind(&compile::KIND, lines);
        let mut bench = Bench::new(step.as_ref(), &compile::KIND);
        bench.begin();
        let lines = ["> lib", "x.c:1: warning: a", "<", "x.c:1: warning: b"].map(out);
        assert_eq!(bench.ends(0, &lines), "warnings: compile warnings");
        assert_eq!(bench.verdict().logs[0].1, "x.c:1: warning: b\n");
    }

    #[test]
    fn a_pattern_fits_from_the_start_of_the_line_only() {
        let warnings = Warnings {
            pattern: built_in("warning: |note"),
            ..Warnings::default()
        };
        assert!(warnings.is_warning("warning: x"));
        assert!(warnings.is_warning("note"));
        assert!(!warnings.is_warning("a.c: warning: x"));
        assert!(Warnings::default().is_warning("a.c: warning: x"));
    }
}
