//! How a change source is doing, as the pages show it: what its poller says of itself, and when.

use std::time::Duration;

use crate::master::crew::Crew;
use crate::model::Timestamp;

/// How a change source is doing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceView {
    pub(crate) name: String,
    /// What it follows: `GitPoller: https://example.org/x.git#main`.
    pub(crate) describe: String,
    /// `None` until it was asked for the first time.
    pub(crate) health: Option<Result<(), String>>,
    pub(crate) last_poll: Option<Timestamp>,
    /// The last failure, which may be over.
    pub(crate) last_error: Option<(Timestamp, String)>,
    /// In a row.
    pub(crate) failures: u32,
    /// Whether it looks just now.
    pub(crate) looks: bool,
    /// When it looks again; `None` for who waits until somebody knocks.
    pub(crate) next: Option<Timestamp>,
}

impl SourceView {
    /// A source that nobody has heard of yet.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            describe: String::new(),
            health: None,
            last_poll: None,
            last_error: None,
            failures: 0,
            looks: false,
            next: None,
        }
    }

    /// It has come to the end of a look.
    pub(crate) fn heard(&mut self, health: Result<(), String>, now: Timestamp) {
        match &health {
            Ok(()) => self.failures = 0,
            Err(reason) => {
                self.failures += 1;
                self.last_error = Some((now, reason.clone()));
            }
        }
        self.health = Some(health);
        self.last_poll = Some(now);
        self.looks = false;
    }

    pub(crate) fn looks(&mut self) {
        self.looks = true;
        self.next = None;
    }

    pub(crate) fn waits(&mut self, wait: Duration, now: Timestamp) {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.next = Some(Timestamp(now.0.saturating_add(wait)));
    }

    /// How it is doing, in a word or two.
    pub(crate) fn state(&self) -> &'static str {
        match (&self.health, self.looks) {
            (Some(Err(_)), _) => "failing",
            (_, true) => "looking",
            (Some(Ok(())), false) => "well",
            (None, false) => "not asked yet",
        }
    }
}

impl Crew {
    /// Notes something of a source.
    pub(crate) fn note_source(&self, name: &str, note: impl FnOnce(&mut SourceView)) {
        let mut sources = self.sources();
        let view = sources
            .entry(name.to_owned())
            .or_insert_with(|| SourceView::new(name));
        note(view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_well_again_still_tells_its_last_failure() {
        let mut view = SourceView::new("x");
        assert_eq!(view.state(), "not asked yet");
        view.looks();
        assert_eq!((view.state(), view.next), ("looking", None));
        for at in [10, 20] {
            view.heard(Err("no route".into()), Timestamp(at));
            view.waits(Duration::from_secs(1), Timestamp(at));
        }
        view.looks();
        assert_eq!((view.state(), view.failures), ("failing", 2));
        view.heard(Ok(()), Timestamp(30));
        view.waits(Duration::MAX, Timestamp(30));
        assert_eq!((view.state(), view.failures), ("well", 0));
        assert_eq!(view.last_error, Some((Timestamp(20), "no route".into())));
        assert_eq!(view.last_poll, Some(Timestamp(30)));
        assert!(view.next.is_some());
    }
}
