//! What waits for one builder, in two orders: by age, and as it is built. Each
//! request finds its place once, when it comes: a decision does not look at
//! those behind the first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::effort;
use crate::config::{BuilderPlan, MergeRequests, Rank, RequestOrder};
use crate::master::subjects;
use crate::model::RequestId;
use crate::model::RequestRecord;
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

/// Which requests may become builds.
#[derive(Clone, Copy)]
pub(super) enum Open<'a> {
    All,
    /// These, if there are any.
    Only(Option<&'a BTreeSet<Place>>),
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
        self.alike.insert((likeness(&request), place));
        if let RequestOrder(Some(rule)) = &self.order {
            let seen = subjects::request(rule, RequestOrder::THING, &request);
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
        self.alike.remove(&(likeness(&request), place));
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
        open: Open<'a>,
    ) -> Box<dyn Iterator<Item = &'a RequestRecord> + 'a> {
        if let (Open::Only(some), MergeRequests::Yes | MergeRequests::If(_)) = (open, policy) {
            let all = some.into_iter().flatten();
            return Box::new(all.filter_map(|it| self.waiting.get(it)));
        }
        match policy {
            MergeRequests::No => Box::new(std::iter::empty()),
            MergeRequests::If(_) => Box::new(self.by_age()),
            MergeRequests::Yes => {
                let like = likeness(request);
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
    pub(super) fn next(&self, open: Open<'_>) -> Next<'_> {
        effort::made();
        let (next, is_any) = match open {
            Open::All => (self.in_order().next(), !self.is_empty()),
            Open::Only(some) => {
                let some = some.into_iter().flatten();
                let some = some.filter_map(|it| self.waiting.get(it));
                let is_any = some.clone().next().is_some();
                let ranked = some.filter_map(|it| Some((self.standing(it)?, it)));
                let first = ranked.min_by(|(a, _), (b, _)| a.cmp(b));
                (first.map(|(_, it)| it), is_any)
            }
        };
        match next {
            Some(next) => Next::Request(next),
            None if is_any => Next::Refused,
            None => Next::Nothing,
        }
    }

    /// Where the request stands in the order of [`Self::in_order`]; `None` if it is left out.
    fn standing(&self, request: &RequestRecord) -> Option<(Option<&Rank>, Reverse<i64>, Place)> {
        effort::made();
        let place = (request.submitted, request.id);
        let priority = Reverse(self.priority_of(request));
        if self.order.0.is_none() || !self.broken.is_empty() {
            return Some((None, priority, place));
        }
        let rank = self.ranks.get(&request.id)?;
        Some((Some(rank), priority, place))
    }
}

/// The same number for requests that may be built as one; seldom for others, too.
fn likeness(request: &RequestRecord) -> u64 {
    let stamp = &request.stamp;
    let mut hasher = DefaultHasher::new();
    stamp.repository.hash(&mut hasher);
    stamp.branch.hash(&mut hasher);
    stamp.project.hash(&mut hasher);
    // With changes the newest of them says what is built; without, the revision does, and who
    // tries a patch stands alone.
    let revision = stamp.changes.is_empty().then_some(&stamp.revision);
    revision.hash(&mut hasher);
    let alone = revision.and(stamp.patch.as_ref()).map(|_| request.id);
    alone.hash(&mut hasher);
    hasher.finish()
}
