//! What is to be built, and for whom.

use std::sync::Arc;

use super::{BuilderName, BuildsetId, ChangeId, Properties, RequestId, RequestRecord, Timestamp};

/// A patch laid over the checked-out source (a try build).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// How many leading path parts `patch -p` drops.
    pub(crate) level: u32,
    pub(crate) diff: Vec<u8>,
    pub(crate) subdir: Option<String>,
    pub(crate) author: Option<String>,
    /// What the author says about it.
    pub(crate) comment: Option<String>,
}

/// Which source to build: a place in a repository, and the changes that led to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceStamp {
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) repository: String,
    pub(crate) project: String,
    pub(crate) patch: Option<Patch>,
    /// Oldest first.
    pub(crate) changes: Vec<ChangeId>,
}

impl SourceStamp {
    /// Whether requests for the two may become one build: repository, branch
    /// and project agree, and either both have changes, or neither has and
    /// the revisions agree and there is no patch.
    pub(crate) fn can_merge_with(&self, other: &Self) -> bool {
        if self.repository != other.repository
            || self.branch != other.branch
            || self.project != other.project
        {
            return false;
        }
        match (self.changes.is_empty(), other.changes.is_empty()) {
            (false, false) => true,
            (true, true) => {
                self.patch.is_none() && other.patch.is_none() && self.revision == other.revision
            }
            _ => false,
        }
    }
}

/// Work that a scheduler or a person asks for: one request per builder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewBuildset {
    pub(crate) reason: String,
    pub(crate) stamp: SourceStamp,
    pub(crate) properties: Properties,
    /// How urgent its requests are; `None`: as each one's builder is.
    pub(crate) priority: Option<i64>,
    pub(crate) builders: Vec<BuilderName>,
}

impl NewBuildset {
    /// Its requests as the store has them once it is made, with the numbers that they got.
    pub(crate) fn requests(
        &self,
        buildset: BuildsetId,
        ids: &[RequestId],
        submitted: Timestamp,
    ) -> Vec<RequestRecord> {
        let mut stamp = self.stamp.clone();
        stamp.changes.sort_unstable();
        let (stamp, properties) = (Arc::new(stamp), Arc::new(self.properties.clone()));
        ids.iter()
            .zip(&self.builders)
            .map(|(id, builder)| RequestRecord {
                id: *id,
                buildset,
                builder: builder.clone(),
                submitted,
                reason: self.reason.clone(),
                stamp: Arc::clone(&stamp),
                properties: Arc::clone(&properties),
                priority: self.priority,
                outcome: None,
                cancelled: None,
                builds: Vec::new(),
                claimed: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(changes: &[i64], revision: Option<&str>) -> SourceStamp {
        SourceStamp {
            revision: revision.map(str::to_owned),
            changes: changes.iter().copied().map(ChangeId).collect(),
            ..SourceStamp::default()
        }
    }

    #[test]
    fn requests_merge_as_the_original_merged_them() {
        let check = |a: &SourceStamp, b: &SourceStamp, expected| {
            assert_eq!(a.can_merge_with(b), expected, "{a:?} with {b:?}");
            assert_eq!(b.can_merge_with(a), expected, "{b:?} with {a:?}");
        };
        check(&stamp(&[1], Some("a")), &stamp(&[2], Some("b")), true);
        check(&stamp(&[1], None), &stamp(&[], None), false);
        check(&stamp(&[], None), &stamp(&[], None), true);
        check(&stamp(&[], Some("5")), &stamp(&[], Some("5")), true);
        check(&stamp(&[], Some("5")), &stamp(&[], Some("6")), false);
        check(&stamp(&[], Some("5")), &stamp(&[], None), false);
        let patch = Patch {
            level: 1,
            diff: b"x".to_vec(),
            subdir: None,
            author: None,
            comment: None,
        };
        let patched = SourceStamp {
            patch: Some(patch),
            ..stamp(&[], None)
        };
        check(&patched, &patched, false);
        let elsewhere = SourceStamp {
            branch: Some("b".into()),
            ..stamp(&[1], None)
        };
        check(&stamp(&[1], None), &elsewhere, false);
    }
}
