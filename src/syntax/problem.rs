//! Problems: how they are made, sorted and shown, in rustc's look.

use annotate_snippets::AnnotationKind;
use annotate_snippets::Level;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;
use annotate_snippets::normalize_untrusted_str;
use serde_json::Value;
use serde_json::json;

use super::Code;
use super::Place;
use super::Problem;
use super::Problems;
use super::Severity;
use super::spelling::plain;

impl Problem {
    pub(crate) fn error(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            what: what.into(),
            place: None,
            label: None,
            also: Vec::new(),
            help: Vec::new(),
        }
    }

    pub(crate) fn warning(code: Code, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, what)
        }
    }

    #[must_use]
    pub(crate) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    #[must_use]
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Shows another place with it.
    #[must_use]
    pub(crate) fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.also.push((place.clone(), label.into()));
        self
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Labels the place with the known word nearest to `word`, if one is near.
    #[must_use]
    pub(crate) fn did_you_mean<S: AsRef<str>>(
        self,
        word: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        match nearest(word, known) {
            Some(near) => self.label(format!("did you mean `{}`?", near.as_ref())),
            None => self,
        }
    }

    /// As [`Problem::did_you_mean`], for a word of a list, which may have been separated from the
    /// next one by a comma.
    #[must_use]
    pub(crate) fn unknown_word<S: AsRef<str>>(
        self,
        word: &str,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        let near = nearest(word, known).filter(|_| !word.ends_with(','));
        // An item of a list in brackets stands in quotes.
        let bare = self.place.as_ref().filter(|it| it.text() == word);
        match (near, bare.and_then(comma)) {
            (Some(near), _) => self.label(format!("did you mean `{}`?", near.as_ref())),
            (None, Some(comma)) => self.separated(&comma),
            (None, None) => self,
        }
    }

    /// Says that words are separated by spaces, and how to write the line.
    #[must_use]
    pub(super) fn separated(self, comma: &Place) -> Self {
        let words = comma.line().replace(',', " ");
        let words: Vec<_> = words.split_whitespace().collect();
        self.at(comma)
            .label("words are separated by spaces, not by commas")
            .help(format!("write the line as `{}`", words.join(" ")))
    }

    /// One line: `master.ini:14:1: unknown key …`.
    pub(crate) fn line(&self) -> String {
        match &self.place {
            Some(place) => {
                let (line, column) = place.line_and_column();
                format!("{}:{line}:{column}: {}", place.source.name, self.what)
            }
            None => self.what.clone(),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(self.what.as_str())
            .id(self.code.word())
            .elements(
                self.place
                    .iter()
                    .map(|place| snippet(place, self.label.as_deref(), &self.also)),
            );
        let road = self.place.as_ref().map(Place::road).unwrap_or_default();
        let also: Vec<_> = self.also.iter().filter(|(it, _)| !self.shows(it)).collect();
        for (place, label) in also.into_iter().chain(&road) {
            group = group.element(snippet(place, Some(label), &[]));
        }
        let orphan = self.label.as_ref().filter(|_| self.place.is_none());
        for help in orphan.into_iter().chain(&self.help) {
            group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
        }
        renderer.render(&[group])
    }

    /// Whether `place` is in the same text, and so in the same snippet.
    fn shows(&self, place: &Place) -> bool {
        let own = self.place.as_ref().map(|it| &it.source);
        own.is_some_and(|own| std::sync::Arc::ptr_eq(own, &place.source))
    }

    fn to_json(&self) -> Value {
        let mut all = json!({
            "severity": match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "code": self.code.word(),
            "message": self.what,
            "label": self.label,
            "help": self.help,
        });
        if let Some(place) = &self.place {
            all["place"] = place_json(place);
        }
        let road = self.place.as_ref().map(Place::road).unwrap_or_default();
        if !self.also.is_empty() || !road.is_empty() {
            let also = self.also.iter().chain(&road).map(|(place, label)| {
                let mut one = place_json(place);
                one["label"] = json!(label);
                one
            });
            all["also"] = also.collect();
        }
        all
    }
}

fn place_json(place: &Place) -> Value {
    let (line, column) = place.line_and_column();
    let (end_line, end_column) = place.end_line_and_column();
    json!({
        "file": place.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}

fn snippet<'a>(
    place: &'a Place,
    label: Option<&'a str>,
    also: &'a [(Place, String)],
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let others = also
        .iter()
        .filter(|(other, _)| std::sync::Arc::ptr_eq(&other.source, &place.source))
        .map(|(other, label)| {
            AnnotationKind::Context
                .span(within(other))
                .label(label.as_str())
        });
    Snippet::source(place.source.text.as_str())
        .line_start(place.source.begins.line() + 1)
        .path(place.source.name.as_str())
        .annotation(AnnotationKind::Primary.span(within(place)).label(label))
        .annotations(others)
}

/// The span cut to what the text has: a wrong place must not hide the message.
fn within(place: &Place) -> std::ops::Range<usize> {
    let text = &place.source.text;
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(place.span().start);
    start..boundary(place.span().end).max(start)
}

impl Problems {
    /// Keeps a problem; the same one is kept once. A default that several
    /// sections share is told for the first of them.
    pub(crate) fn note(&mut self, problem: Problem) {
        // The section that asked is named at the end.
        let subject = |it: &Problem| it.what.split(" in [").next().map(str::to_owned);
        let is_same = |it: &Problem| {
            let is_about = it.place.is_some() && it.label.is_some();
            it.place == problem.place
                && it.label == problem.label
                && subject(it) == subject(&problem)
                && (is_about || (it.what == problem.what && it.help == problem.help))
        };
        if !self.0.iter().any(is_same) {
            self.0.push(problem);
        }
    }

    pub(crate) fn append(&mut self, more: Self) {
        for problem in more.0 {
            self.note(problem);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|it| it.severity == Severity::Error)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By file and place; what has no place comes first.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |it: &Problem| {
                it.place
                    .as_ref()
                    .map(|place| (place.source.name.clone(), place.offset()))
            };
            key(a).cmp(&key(b))
        });
    }

    /// All of them, sorted, each under its line, with an empty line between two.
    pub(crate) fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut sorted = self.clone();
        sorted.sort();
        let shown: Vec<_> = sorted.0.iter().map(|it| it.render(&renderer)).collect();
        let mut out = shown.join("\n\n");
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }

    /// For editors: an array of objects with `severity`, `message` and `place`.
    pub(crate) fn to_json(&self) -> Value {
        let mut sorted = self.clone();
        sorted.sort();
        sorted.0.iter().map(Problem::to_json).collect()
    }
}

/// The comma behind a word, or in it.
pub(super) fn comma(word: &Place) -> Option<Place> {
    let at = word.span().start + word.text().find(',')?;
    Some(word.elsewhere(at..at + 1))
}

/// The known word nearest to `word`, if it is near enough to be meant.
pub(crate) fn nearest<S: AsRef<str>>(word: &str, known: impl IntoIterator<Item = S>) -> Option<S> {
    let word = plain(word);
    let length = word.chars().count();
    // Of one letter, every other letter would be near.
    let limit = (1 + length / 4).min(length.saturating_sub(1));
    known
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&word, &plain(it.as_ref())), it))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Source;

    fn unknown_key() -> Problem {
        let source = Source::new("master.ini", "/base", "[a]\ntree_stabel = 60\n");
        Problem::error(Code::UnknownKey, "unknown key `tree_stabel` in [a]")
            .at(&Place::new(&source, 4..15))
            .did_you_mean("tree_stabel", ["tree_stable", "title"])
    }

    #[test]
    fn a_problem_shows_the_line_it_is_about() {
        let mut problems = Problems::default();
        problems.note(unknown_key().help("every key is in the manual"));
        problems.note(unknown_key().help("every key is in the manual"));
        problems.note(Problem::warning(Code::Idle, "nothing is built").label("add a slave"));
        insta::assert_snapshot!(problems.render(false), @"
        warning[idle]: nothing is built
         |
         = help: add a slave

        error[unknown-key]: unknown key `tree_stabel` in [a]
         --> master.ini:2:1
          |
        2 | tree_stabel = 60
          | ^^^^^^^^^^^ did you mean `tree_stable`?
          |
          = help: every key is in the manual
        ");
        assert!(problems.render(true).contains("\u{1b}["));
    }

    #[test]
    fn editors_get_the_same_as_json() {
        let problems = Problems(vec![unknown_key()]);
        let expected = json!([{
            "severity": "error",
            "code": "unknown-key",
            "message": "unknown key `tree_stabel` in [a]",
            "label": "did you mean `tree_stable`?",
            "help": [],
            "place": {
                "file": "master.ini", "line": 2, "column": 1, "end_line": 2, "end_column": 12,
            },
        }]);
        assert_eq!(problems.to_json(), expected);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let check = |word, expected: Option<&str>| {
            assert_eq!(
                nearest(word, ["os", "password", "max_builds"]),
                expected,
                "{word}"
            );
        };
        check("passwrod", Some("password"));
        check("maxBuild", Some("max_builds"));
        check("so", Some("os"));
        check("platform", None);
        check("x", None);
    }

    #[test]
    fn a_place_beyond_the_text_is_cut_and_control_characters_are_shown() {
        let source = Source::new("x.ini", "/", "a\u{1b}é");
        let mut problems = Problems::default();
        problems
            .note(Problem::error(Code::BadLine, "a \u{1b}[31m b").at(&Place::new(&source, 3..99)));
        assert!(!problems.render(false).contains('\u{1b}'));
    }
}
