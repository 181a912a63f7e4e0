//! What waits for one builder, in two orders: by age, and as it is built. Each
//! request finds its place once, when it comes: a decision does not look at
//! those behind the first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::config::{BuilderPlan, MergeRequests, Rank, RequestOrder};
use crate::master::subjects;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::Timestamp;

/// By age.
pub(super) type Place = (Timestamp, RequestId);

/// The requests of one builder.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Place, RequestRecord>,
    /// The more urgent first, and of those the older.
    usual: BTreeSet<(Reverse<i64>, Place)>,
    /// Those that may agree stand together, the oldest first.
    alike: BTreeSet<(u64, Place)>,
    /// Where `next_build` puts them; those that it leaves out are not among them.
    ranked: BTreeSet<(Rank, Reverse<i64>, Place)>,
    ranks: HashMap<RequestId, Rank>,
    /// Those of which `next_build` could not be computed, and why.
    broken: BTreeMap<Place, String>,
    /// The priority of requests that have none of their own.
    priority: i64,
    order: RequestOrder,
}

/// Which request is built next.
pub(super) enum Next<'a> {
    Request(&'a RequestRecord),
    /// `next_build` takes none of them.
    Refused,
    /// Nothing waits that may begin.
    Nothing,
}

impl<'a> Next<'a> {
    pub(super) const fn request(self) -> Option<&'a RequestRecord> {
        match self {
            Self::Request(it) => Some(it),
            Self::Refused | Self::Nothing => None,
        }
    }
}

impl Queue {
    /// An empty one; `None` for a builder that is not in the configuration.
    pub(super) fn of(builder: Option<&BuilderPlan>) -> Self {
        Self {
            priority: builder.map_or(0, |it| it.priority),
            order: builder.map(|it| it.next_build.clone()).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Orders everything anew, if the builder has other rules now.
    pub(super) fn refit(&mut self, builder: Option<&BuilderPlan>) {
        let mut new = Self::of(builder);
        // What could not be computed is tried again.
        if new.priority == self.priority && new.order == self.order && self.broken.is_empty() {
            return;
        }
        for request in std::mem::take(&mut self.waiting).into_values() {
            new.insert(request);
        }
        *self = new;
    }

    pub(super) fn insert(&mut self, request: RequestRecord) {
        let place = (request.submitted, request.id);
        if self.waiting.contains_key(&place) {
            return;
        }
        let priority = Reverse(self.priority_of(&request));
        self.usual.insert((priority, place));
        self.alike.insert((likeness(&request.stamp), place));
        if let RequestOrder(Some(rule)) = &self.order {
            let seen = subjects::request(&request).into();
            match rule.rank(RequestOrder::THING, seen) {
                Ok(Some(rank)) => {
                    self.ranks.insert(request.id, rank.clone());
                    self.ranked.insert((rank, priority, place));
                }
                Ok(None) => {}
                Err(why) => {
                    self.broken.insert(place, why);
                }
            }
        }
        self.waiting.insert(place, request);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<RequestRecord> {
        let request = self.waiting.remove(&place)?;
        let priority = Reverse(self.priority_of(&request));
        self.usual.remove(&(priority, place));
        self.alike.remove(&(likeness(&request.stamp), place));
        if let Some(rank) = self.ranks.remove(&request.id) {
            self.ranked.remove(&(rank, priority, place));
        }
        self.broken.remove(&place);
        Some(request)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest first.
    pub(super) fn by_age(&self) -> impl Iterator<Item = &RequestRecord> {
        self.waiting.values()
    }

    /// Those that may become one build with the request, itself among them, the oldest first.
    pub(super) fn candidates<'a>(
        &'a self,
        policy: &MergeRequests,
        request: &RequestRecord,
    ) -> Box<dyn Iterator<Item = &'a RequestRecord> + 'a> {
        match policy {
            MergeRequests::No => Box::new(std::iter::empty()),
            MergeRequests::If(_) => Box::new(self.by_age()),
            MergeRequests::Yes => {
                let like = likeness(&request.stamp);
                let first = (Timestamp(i64::MIN), RequestId(i64::MIN));
                let all = self.alike.range((like, first)..);
                let all = all.take_while(move |(it, _)| *it == like);
                Box::new(all.map(|(_, place)| &self.waiting[place]))
            }
        }
    }

    pub(super) fn oldest(&self) -> Option<&RequestRecord> {
        self.waiting.values().next()
    }

    pub(super) fn get(&self, place: Place) -> Option<&RequestRecord> {
        self.waiting.get(&place)
    }

    /// How urgent the request is: as it says itself, or else as its builder is.
    pub(super) fn priority_of(&self, request: &RequestRecord) -> i64 {
        request.priority.unwrap_or(self.priority)
    }

    /// How urgent the most urgent is.
    pub(super) fn top_priority(&self) -> i64 {
        self.usual.first().map_or(self.priority, |it| it.0.0)
    }

    /// Why `next_build` does not say which is next.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.broken.values().next().map(String::as_str)
    }

    /// In the order in which they are built, without those that are left out.
    pub(super) fn in_order(&self) -> Box<dyn Iterator<Item = &RequestRecord> + '_> {
        if self.order.0.is_some() && self.broken.is_empty() {
            Box::new(self.ranked.iter().map(|it| &self.waiting[&it.2]))
        } else {
            Box::new(self.usual.iter().map(|it| &self.waiting[&it.1]))
        }
    }

    /// The one that is built next of those that may begin.
    pub(super) fn next(&self, may_begin: impl Fn(&RequestRecord) -> bool) -> Next<'_> {
        if let Some(next) = self.in_order().find(|it| may_begin(it)) {
            return Next::Request(next);
        }
        match self.by_age().any(may_begin) {
            true => Next::Refused,
            false => Next::Nothing,
        }
    }
}

/// The same number for stamps that may be built as one; seldom for others, too.
fn likeness(stamp: &SourceStamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    stamp.repository.hash(&mut hasher);
    stamp.branch.hash(&mut hasher);
    stamp.project.hash(&mut hasher);
    // With changes the newest of them says what is built; without, the revision does.
    let revision = stamp.changes.is_empty().then_some(&stamp.revision);
    revision.hash(&mut hasher);
    hasher.finish()
}
