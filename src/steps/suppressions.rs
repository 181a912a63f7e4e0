//! Which warnings do not count: by their file, their text and their line, as
//! the configuration lists them.

use regex::Regex;
use regex::RegexBuilder;
use serde_json::Value as Json;

use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::Value;

use super::tally::push_line;

/// A warning, as far as it could be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Warning<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) line: Option<u64>,
    pub(super) text: &'a str,
}

/// A kind of warning that does not count; what is not said fits every warning.
#[derive(Clone, Debug)]
struct Suppression {
    /// Fits from the start of the file's name.
    file: Option<Regex>,
    /// Fits anywhere in the warning's text.
    text: Option<Regex>,
    first: Option<u64>,
    last: Option<u64>,
}

impl Suppression {
    fn fits(&self, warning: Warning<'_>) -> bool {
        let file = match (&self.file, warning.file) {
            (Some(file), Some(name)) => file.find(name).is_some_and(|it| it.start() == 0),
            // A warning that names no file may be of any.
            (None, _) | (Some(_), None) => true,
        };
        let text = self.text.as_ref();
        let lines = match (self.first, self.last, warning.line) {
            (None, None, _) => true,
            (_, _, None) => false,
            (first, last, Some(line)) => {
                first.is_none_or(|it| it <= line) && last.is_none_or(|it| line <= it)
            }
        };
        file && text.is_none_or(|it| it.is_match(warning.text)) && lines
    }
}

/// Patterns of the configuration may become so large, in bytes.
const OWN_PATTERN: usize = 10 << 20;
/// A suppression file comes from a repository: it must not fill the master's memory.
const FILE_PATTERN: usize = 128 << 10;
const MOST_OF_FILE: u32 = 500;

/// The suppressions of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Suppressions(Vec<Suppression>);

impl Suppressions {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in the lines of a suppression file, and tells which of them say nothing.
    pub(super) fn add_file(&mut self, text: &str) -> String {
        let mut notes = String::new();
        let nowhere = Place::new(&Source::new("", "", ""), 0..0);
        let lines = (1..).zip(text.split('\n').map(str::trim));
        let lines = lines.filter(|(_, it)| !it.is_empty() && !it.starts_with('#'));
        for (count, (number, text)) in (0..).zip(lines) {
            if count == MOST_OF_FILE {
                let what = format!("only {MOST_OF_FILE} suppressions of the file count");
                push_line(&mut notes, &what);
                break;
            }
            match line(text, &nowhere, FILE_PATTERN) {
                Ok(it) => self.0.push(it),
                Err(misread) => {
                    let what = misread.what.unwrap_or_default();
                    push_line(&mut notes, &format!("line {number} is left out: {what}"));
                }
            }
        }
        notes
    }

    pub(super) fn hides(&self, warning: Warning<'_>) -> bool {
        self.0.iter().any(|it| it.fits(warning))
    }
}

impl Value for Suppressions {
    const EXPECTED: &'static str = "a list such as `[[\"tests/\", \"unused\", 1, 20]]` of file, text, first and last line, or lines such as `tests/ : unused : 1-20`";
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node) -> Result<Self, Misread> {
        let all: Result<_, _> = match &node.content {
            Content::List(items) => items
                .iter()
                .map(|it| suppression(&Json::read(it)?, &it.place))
                .collect(),
            Content::Text(text) if text.starts_with('[') => match Json::read(node)? {
                Json::Array(items) => items
                    .iter()
                    .map(|it| suppression(it, &node.place))
                    .collect(),
                _ => Err(wrong(&node.place, "this is not JSON")),
            },
            Content::Text(text) => text
                .lines()
                .map(str::trim)
                .filter(|it| !it.is_empty() && !it.starts_with('#'))
                .map(|it| line(it, &node.place, OWN_PATTERN))
                .collect(),
            _ => return Err(Misread::default()),
        };
        all.map(Self)
    }
}

fn wrong(place: &Place, what: impl Into<String>) -> Misread {
    Misread {
        what: Some(what.into()),
        place: Some(place.clone()),
        ..Misread::default()
    }
}

/// `[FILE, TEXT, FIRST, LAST]`, of which the later ones may be left out, or a line.
fn suppression(item: &Json, place: &Place) -> Result<Suppression, Misread> {
    let parts = match item {
        Json::String(text) => return line(text, place, OWN_PATTERN),
        Json::Array(parts) if (1..=4).contains(&parts.len()) => parts,
        _ => {
            let what = "expected a list of file, text, first line and last line";
            return Err(wrong(place, what));
        }
    };
    let part = |index: usize| parts.get(index).filter(|it| !is_any(it));
    let pattern = |index: usize| match part(index) {
        None => Ok(None),
        Some(Json::String(text)) => compiled(text, place, OWN_PATTERN).map(Some),
        Some(other) => Err(wrong(place, format!("`{other}` is no regular expression"))),
    };
    let number = |index: usize| match part(index) {
        None => Ok(None),
        Some(it) => match it.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(place, format!("{it} is no number of a line"))),
        },
    };
    Ok(Suppression {
        file: pattern(0)?,
        text: pattern(1)?,
        first: number(2)?,
        last: number(3)?,
    })
}

/// TOML has no null, so nothing at all and `none` say the same.
fn is_any(part: &Json) -> bool {
    match part {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty() || text.eq_ignore_ascii_case("none"),
        Json::Bool(true) | Json::Number(_) | Json::Array(_) | Json::Object(_) => false,
    }
}

fn compiled(pattern: &str, place: &Place, most: usize) -> Result<Regex, Misread> {
    let compiled = RegexBuilder::new(pattern).size_limit(most).build();
    compiled.map_err(|error| {
        let what = error.to_string();
        let what = what.lines().last().unwrap_or_default();
        let what = what.trim_start_matches("error: ");
        wrong(
            place,
            format!("`{pattern}` is no regular expression: {what}"),
        )
    })
}

/// `FILE : TEXT`, `FILE : TEXT : LINE` or `FILE : TEXT : FIRST-LAST`, as Buildbot's
/// suppression files have them: the first colon ends the file.
fn line(text: &str, place: &Place, most: usize) -> Result<Suppression, Misread> {
    let Some((file, rest)) = text.split_once(':') else {
        let what = format!("`{text}` has no `:` between file and text");
        return Err(wrong(place, what));
    };
    let ranged = rest.rsplit_once(':');
    let ranged = ranged.and_then(|(text, lines)| Some((text, range(lines.trim())?)));
    let (text, (first, last)) = match ranged {
        Some((text, (first, last))) => (text, (Some(first), Some(last))),
        None => (rest, (None, None)),
    };
    Ok(Suppression {
        file: Some(compiled(file.trim(), place, most)?),
        text: Some(compiled(text.trim(), place, most)?),
        first,
        last,
    })
}

fn range(text: &str) -> Option<(u64, u64)> {
    let number = |it: &str| {
        let is_number = !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| it.parse().ok()).flatten()
    };
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|it| (it, it)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Keys;
    use crate::syntax::Problems;
    use crate::syntax::ini;
    use crate::syntax::toml;

    fn read(form: &str, value: &str) -> Result<Suppressions, String> {
        let mut problems = Problems::default();
        let tree = match form {
            "toml" => toml::tree(
                &Source::new("m.toml", "/base", format!("s = {value}\n")),
                &mut problems,
            ),
            _ => ini::read(
                &Source::new("m.ini", "/base", format!("[a]\ns = {value}\n")),
                &mut problems,
            ),
        };
        let read = Keys::of(&tree.sections[0], &mut problems).required("s");
        read.ok_or_else(|| problems.0[0].label.clone().unwrap_or_default())
    }

    fn check(value: &str, warning: (Option<&str>, Option<u64>, &str), expected: bool) {
        let (file, line, text) = warning;
        let warning = Warning { file, line, text };
        let read = read("toml", value).expect(value);
        assert_eq!(read.hides(warning), expected, "{value} {warning:?}");
    }

    #[test]
    fn what_is_not_said_fits_every_warning() {
        let anonymous = (None, None, "test_models.py: warning: slow");
        check(r#"[["", "^test_"]]"#, anonymous, true);
        check(r#"[["none", "^models"]]"#, anonymous, false);
        // Who names no file may be in any, but a line that is not known is in no range.
        check(r#"[["a\\.c"]]"#, anonymous, true);
        check(r#"[[false, "", 1]]"#, anonymous, false);

        let known = (Some("src/a.c"), Some(7), "unused x");
        check(r#"[["src/"]]"#, known, true);
        check(r#"[["a.c"]]"#, known, false);
        check(r#"[["", "used", 7, 7]]"#, known, true);
        check(r#"[["", "", 8]]"#, known, false);
        check(r#"[["", "", "", 6]]"#, known, false);
        check(r#"[["", "", "", 7]]"#, known, true);
        check(r#"[["b"], ["src", "unused", 1, 9]]"#, known, true);
    }

    #[test]
    fn lines_are_those_of_suppression_files() {
        let at = |line| (Some("abc.c"), Some(line), "b:c d");
        check(r#"["abc.c:.*:100-199"]"#, at(100), true);
        check(r#"["abc.c:.*:100-199"]"#, at(200), false);
        check(r#"["abc.c : .* : 22"]"#, at(22), true);
        check(r#"["abc.c : .* : 22"]"#, at(23), false);
        check(r#"["a:b:c"]"#, at(1), true);
        check(r#"["a : 12"]"#, (Some("a"), Some(1), "x12"), true);
        check(r#"["a : 12"]"#, (Some("a"), Some(12), "x"), false);

        let text = "\n    # ours\n    abc.c : b\n    def.c : x : 3\n";
        let all = read("ini", text).expect(text);
        let (file, line, text) = at(1);
        assert!(all.hides(Warning { file, line, text }));
        let json = read("ini", r#"[[null, "^b"]]"#).expect("JSON");
        assert!(json.hides(Warning { file, line, text }));
    }

    #[test]
    fn lines_of_a_file_that_say_nothing_are_told_and_left_out() {
        let mut all = Suppressions::default();
        let text = "# known\n\n  abc.c:.*:100-199\nonlyfile\nC:\\S : w : 5\n(:x\n\u{e4}\\w+:y\n";
        let notes = all.add_file(text);
        insta::assert_snapshot!(notes, @"
        line 4 is left out: `onlyfile` has no `:` between file and text
        line 6 is left out: `(` is no regular expression: unclosed group
        ");
        let hides = |file, line, text| {
            let (file, line) = (Some(file), Some(line));
            all.hides(Warning { file, line, text })
        };
        assert!(hides("abc.c", 150, "x"));
        assert!(!hides("abc.c", 200, "x"));
        // The letter of a drive is a file of its own.
        assert!(hides("C", 5, "x : w"));
        assert!(!hides("C:x", 6, "x : w"));
        assert!(hides("\u{e4}b", 1, "y"));
    }

    #[test]
    fn a_file_of_others_does_not_fill_the_memory() {
        let mut all = Suppressions::default();
        let huge = "a:x{1000}{1000}\n";
        assert!(all.add_file(huge).starts_with("line 1 is left out: "));
        let notes = all.add_file(&"a:b\n".repeat(100_000));
        assert_eq!(notes, "only 500 suppressions of the file count\n");
        assert_eq!(all.0.len(), 500);
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        let said = |value: &str| read("toml", value).expect_err(value);
        assert!(said(r#"[["a("]]"#).starts_with("`a(` is no regular expression: "));
        assert_eq!(said(r#"[["", 5]]"#), "`5` is no regular expression");
        assert_eq!(said(r#"[["", "", -1]]"#), "-1 is no number of a line");
        let expected = "expected a list of file, text, first line and last line";
        assert_eq!(said("[[]]"), expected);
        assert_eq!(said("[5]"), expected);
        assert_eq!(
            said(r#"["only"]"#),
            "`only` has no `:` between file and text"
        );
        assert!(said("5").starts_with("expected a list such as"));
    }
}
