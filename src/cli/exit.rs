//! How a verb fails: what is printed, and the exit code. 1 is problems or
//! failure, 2 is wrong use.

use std::error::Error;
use std::process::ExitCode;

use anstream::eprintln;

use super::terminal::BAD;
use super::terminal::DIM;

/// What a verb returns.
pub(super) type Done = Result<(), Failure>;

/// A verb that did not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: u8,
    /// Empty: everything was said already.
    what: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// What failed, as a lowercase fragment.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            code: 1,
            what: what.into(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// What failed, and the error that made it fail.
    pub(super) fn because(what: impl Into<String>, error: &dyn Error) -> Self {
        let mut failure = Self::new(what);
        failure.causes.push(error.to_string());
        failure.add_sources(error);
        failure
    }

    /// The program was called in a way that makes no sense.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self {
            code: 2,
            ..Self::new(what)
        }
    }

    /// Exit code 1 without a further word.
    pub(super) fn told() -> Self {
        Self::new("")
    }

    /// What to do next.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn add_sources(&mut self, error: &dyn Error) {
        let mut source = error.source();
        while let Some(error) = source {
            self.causes.push(error.to_string());
            source = error.source();
        }
    }

    /// Everything there is to say, without colours.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![self.what.clone()];
        lines.extend(self.causes.iter().map(|cause| format!("cause: {cause}")));
        lines.extend(self.hints.iter().map(|hint| format!("hint: {hint}")));
        lines.retain(|line| !line.is_empty());
        lines.join("\n")
    }

    /// Prints it for people.
    pub(super) fn print(&self) {
        if ["error", "warning"]
            .iter()
            .any(|it| is_problem(&self.what, it))
        {
            // Problems of a file introduce themselves.
            eprintln!("{}", self.what.trim_end());
        } else if !self.what.is_empty() {
            eprintln!("{BAD}error:{BAD:#} {}", self.what);
        }
        for cause in &self.causes {
            eprintln!("{DIM}cause:{DIM:#} {cause}");
        }
        for hint in &self.hints {
            eprintln!("{DIM}hint:{DIM:#} {hint}");
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// Whether a text begins as a problem of a file is shown: `error: …`, `error[code]: …`.
fn is_problem(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|it| it.starts_with([':', '[']))
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.to_string());
        failure.add_sources(&error);
        failure
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::scaffold::WriteError;

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let error = WriteError::Io {
            path: "bot/master".into(),
            source: io::Error::other("the disk is full"),
        };
        let failure = Failure::from(error).hint("make room");
        assert_eq!(
            failure.text(),
            "failed to write `bot/master`\ncause: the disk is full\nhint: make room"
        );
    }
}
