//! Warnings as rustc, clippy and cargo say them: `warning: TEXT`, and on the line below ` --> FILE:LINE`.

use std::sync::LazyLock;

use regex::Regex;

use super::suppressions::Warning;

/// A warning with what is known of its place.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    said: String,
    text_at: usize,
    place: Option<String>,
}

impl Found {
    pub(super) fn warning(&self) -> Warning<'_> {
        let place = self.place.as_deref().and_then(|it| PLACE.captures(it));
        let part = |index| Some(place.as_ref()?.get(index)?.as_str());
        // The groups borrow from the text that was searched, which is ours.
        let file = part(1).map(|it| it.len());
        Warning {
            file: file.and_then(|length| self.place.as_deref()?.get(..length)),
            line: part(2).and_then(|it| it.parse().ok()),
            text: &self.said[self.text_at..],
        }
    }

    /// A line for the log of warnings.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.said),
            None => self.said.clone(),
        }
    }
}

/// `FILE:LINE:COLUMN`.
static PLACE: LazyLock<Regex> = LazyLock::new(|| built_in(r"^(.*?):(\d+)(?::\d+)?$"));

/// `warning: TEXT`, or with the name of a lint.
static WARNING: LazyLock<Regex> = LazyLock::new(|| built_in(r"^warning(?:\[[^\]]+\])?: "));

/// How many there were: no warning itself.
static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"^warning: (?:`.*` \(.*\) generated \d+ warnings?|\d+ warnings? emitted|build failed)",
    )
});

fn built_in(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are tested")
}

/// Reads the lines one after another.
#[derive(Default)]
pub(super) struct Rustc {
    /// A warning whose place may follow.
    open: Option<Found>,
}

impl Rustc {
    /// Takes in a line; gives the warning that is whole now.
    pub(super) fn see(&mut self, line: &str) -> Option<Found> {
        if let Some(open) = &mut self.open
            && let Some(place) = line.trim_start().strip_prefix("--> ")
        {
            open.place = Some(place.trim_end().to_owned());
            return self.open.take();
        }
        let whole = self.open.take();
        if let Some(head) = WARNING.find(line)
            && !SUMMARY.is_match(line)
        {
            self.open = Some(Found {
                said: line.to_owned(),
                text_at: head.end(),
                place: None,
            });
        }
        whole
    }

    /// The warning that nothing followed.
    pub(super) fn end(&mut self) -> Option<Found> {
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r"   Compiling hello v0.1.0 (/src/hello)
warning: unused manifest key: package.autor
warning: unused variable: `unused`
 --> src/lib.rs:2:9
  |
2 |     let unused = 1;
  |         ^^^^^^ help: if this is intentional, prefix it with an underscore: `_unused`
  |
  = note: `#[warn(unused_variables)]` on by default

error[E0425]: cannot find value `x` in this scope
 --> src/lib.rs:3:5
warning[dead_code]: function is never used
warning: `hello` (lib) generated 1 warning (run `cargo fix --lib -p hello` to apply 1 suggestion)
warning: `hello` (lib test) generated 2 warnings (1 duplicate)
warning: 2 warnings emitted";

    #[test]
    fn a_warning_has_the_place_below_it_and_sums_are_none() {
        let mut rustc = Rustc::default();
        let mut found: Vec<_> = SAID.lines().filter_map(|it| rustc.see(it)).collect();
        found.extend(rustc.end());
        let told: Vec<_> = found.iter().map(Found::shown).collect();
        let expected = [
            "warning: unused manifest key: package.autor",
            "src/lib.rs:2:9: warning: unused variable: `unused`",
            "warning[dead_code]: function is never used",
        ];
        assert_eq!(told, expected);
        let warning = found[1].warning();
        assert_eq!((warning.file, warning.line), (Some("src/lib.rs"), Some(2)));
        assert_eq!(warning.text, "unused variable: `unused`");
        assert_eq!(found[0].warning().file, None);
    }

    #[test]
    fn a_warning_at_the_end_is_not_lost() {
        let mut rustc = Rustc::default();
        assert_eq!(rustc.see("warning: é"), None);
        let found = rustc.end().expect("a warning");
        assert_eq!(found.warning().text, "é");
        assert_eq!(rustc.end(), None);
    }
}
