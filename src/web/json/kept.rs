//! The largest documents, kept for a moment: all builders, all slaves, and the whole tree. They are
//! made anew when something has happened, and after [`FRESH`] in any case.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::journal::Place;

/// Estimates and what slaves say of themselves change without an event.
const FRESH: Duration = Duration::from_secs(5);

/// Those that are kept.
const PATHS: [&str; 3] = ["/json", "/json/builders", "/json/slaves"];

/// Documents that were made lately, one for each path.
#[derive(Default)]
pub(in crate::web) struct Kept {
    documents: Mutex<HashMap<&'static str, Document>>,
}

struct Document {
    /// Everything before was known when it was made.
    place: Place,
    made: Instant,
    text: Bytes,
}

impl Kept {
    /// The path under which a document is kept, if it is.
    pub(super) fn path(path: &str, query: &[(String, String)]) -> Option<&'static str> {
        let path = path.trim_end_matches('/');
        let mut all = PATHS.into_iter();
        all.find(|it| *it == path).filter(|_| query.is_empty())
    }

    /// The document, unless something has happened since.
    pub(super) fn get(&self, path: &'static str, place: Place, now: Instant) -> Option<Bytes> {
        let documents = self.documents.lock();
        let documents = documents.unwrap_or_else(PoisonError::into_inner);
        let it = documents.get(path)?;
        let is_fresh = it.place == place && now.duration_since(it.made) < FRESH;
        is_fresh.then(|| it.text.clone())
    }

    /// Keeps a document; `place` was the end before it was read.
    pub(super) fn put(&self, path: &'static str, place: Place, now: Instant, text: Bytes) {
        let documents = self.documents.lock();
        let mut documents = documents.unwrap_or_else(PoisonError::into_inner);
        let document = Document {
            place,
            made: now,
            text,
        };
        documents.insert(path, document);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::broadcast;

    use super::super::super::journal::Journal;
    use super::*;
    use crate::model::ChangeId;
    use crate::model::Status;

    #[test]
    fn a_document_is_kept_until_something_happens_and_a_few_seconds_at_the_most() {
        let (events, hear) = broadcast::channel(4);
        let journal = Journal::new(hear);
        let kept = Kept::default();
        let start = Instant::now();
        let end = || journal.end().0;
        kept.put("/json", end(), start, Bytes::from_static(b"{}"));
        assert!(kept.get("/json", end(), start).is_some());
        assert!(kept.get("/json/slaves", end(), start).is_none());
        assert!(kept.get("/json", end(), start + FRESH).is_none());
        let change = ChangeId(1);
        let status = Status::ChangeAdded { change };
        events.send(Arc::new(status)).expect("heard");
        assert!(kept.get("/json", end(), start).is_none());
    }

    #[test]
    fn only_whole_trees_without_arguments_are_kept() {
        let asked = [("filter".to_owned(), "1".to_owned())];
        assert_eq!(Kept::path("/json/builders/", &[]), Some("/json/builders"));
        assert_eq!(Kept::path("/json/builders", &asked), None);
        assert_eq!(Kept::path("/json/builders/a", &[]), None);
    }
}
