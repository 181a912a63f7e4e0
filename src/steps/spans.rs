//! A log looked through as a whole, though it may be longer than memory: what is looked
//! for may go over the ends of lines, in windows that overlap.

/// What is found is no longer than this; twice as much is held.
pub(super) const LONGEST: usize = 1 << 20;

/// Shows a log, line after line, to who looks for something in its text.
pub(super) struct Spans<F> {
    /// Whole lines, each with its end. The end of the line before may stand first.
    text: String,
    /// Where the text begins that `look` is shown; what stands before was looked at.
    from: usize,
    longest: usize,
    look: F,
}

impl<F: FnMut(&str, usize)> Spans<F> {
    /// `look` is shown a piece of the log and where in it to begin.
    pub(super) const fn new(look: F) -> Self {
        Self::of(LONGEST, look)
    }

    const fn of(longest: usize, look: F) -> Self {
        Self {
            text: String::new(),
            from: 0,
            longest,
            look,
        }
    }

    /// Adds a line, without its end.
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() < 2 * self.longest {
            return;
        }
        (self.look)(&self.text, self.from);
        // What begins from there on may be longer than what is here of it.
        let end = self.text.len() - self.longest;
        let lines = self.text.as_bytes()[..end].iter();
        if let Some(cut) = lines.rev().position(|it| *it == b'\n') {
            self.text.drain(..end - cut - 1);
            self.from = 1;
        }
    }

    /// Ends the log; another one may follow.
    pub(super) fn end(&mut self) {
        if self.text.len() > self.from {
            (self.look)(&self.text, self.from);
        }
        self.text.clear();
        self.from = 0;
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// Whether each pattern is found in the lines, with windows of so many bytes.
    fn found(longest: usize, lines: &[&str], pattern: &str) -> bool {
        let pattern = Regex::new(&format!("(?sm){pattern}")).expect(pattern);
        let mut found = false;
        let mut held = 0;
        let mut spans = Spans::of(longest, |text: &str, from| {
            held = held.max(text.len());
            found |= pattern.is_match_at(text, from);
        });
        for line in lines {
            spans.line(line);
        }
        spans.end();
        let line = lines.iter().map(|it| it.len()).max().unwrap_or_default();
        assert!(held <= 2 * (longest + line + 1), "{held}");
        found
    }

    #[test]
    fn what_is_short_enough_is_found_wherever_it_begins() {
        for before in 0..40 {
            let mut lines = vec!["x"; before];
            lines.extend(["a", "", "b"]);
            lines.extend(vec!["y"; 30]);
            assert!(found(8, &lines, "a..b"), "{before}");
            assert!(found(8, &lines, "^a$"), "{before}");
            assert!(!found(8, &lines, "^b.*a"), "{before}");
        }
    }

    #[test]
    fn the_begin_of_a_window_is_no_begin_of_a_log() {
        let lines = ["x", "y", "y", "y", "y", "y", "y", "y", "y", "y", "y"];
        assert!(found(4, &lines, r"\Ax"));
        assert!(!found(4, &lines, r"\Ay"));
        assert!(found(4, &lines, r"^y"));
    }

    #[test]
    fn a_line_longer_than_a_window_is_shown_and_forgotten() {
        let long = "z".repeat(100);
        assert!(found(4, &["a", &long, "b"], "z{100}"));
        assert!(!found(4, &["a", &long, "b"], "a.*b"));
        assert!(found(4, &[&long, &long, "b"], "\nb"));
    }

    #[test]
    fn one_log_does_not_go_on_in_the_next() {
        let mut found = Vec::new();
        let mut spans = Spans::new(|text: &str, from| found.push(text[from..].to_owned()));
        spans.line("a");
        spans.end();
        spans.end();
        spans.line("b");
        spans.end();
        assert_eq!(found, ["a\n", "b\n"]);
    }
}
