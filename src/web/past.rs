//! The builds of a builder, newest first, read only as far back as a page looks.

use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::store::Store;
use crate::store::StoreError;

use super::builders::BuilderFacts;
use super::builders::GLANCE;

/// Builds that are read at once.
const BLOCK: usize = 12;

/// Where a search among a builder's builds ends: what a page asks for may be nowhere.
pub(super) const FARTHEST: usize = 200;

/// The builds of a builder, newest first.
pub(super) struct Past {
    builder: BuilderName,
    builds: Vec<BuildRecord>,
    /// How many are read first.
    first: usize,
    at_end: bool,
    /// It is looked no further back.
    most: usize,
}

impl Past {
    /// Begins with what is known already.
    pub(super) fn new(facts: &BuilderFacts, most: usize) -> Self {
        Self {
            builder: facts.name.clone(),
            at_end: facts.builds.len() < GLANCE,
            builds: facts.builds.clone(),
            first: BLOCK,
            most,
        }
    }

    /// Begins with nothing.
    pub(super) fn of(builder: &BuilderName, most: usize) -> Self {
        Self {
            builder: builder.clone(),
            builds: Vec::new(),
            first: BLOCK,
            at_end: false,
            most,
        }
    }

    /// Reads so many first: a page that shows few of each builder needs no more.
    pub(super) fn begin_with(mut self, first: usize) -> Self {
        self.first = first.clamp(1, BLOCK);
        self
    }

    /// The build at a place, 0 for the newest.
    pub(super) fn get(
        &mut self,
        store: &mut dyn Store,
        place: usize,
    ) -> Result<Option<&BuildRecord>, StoreError> {
        if place >= self.most {
            return Ok(None);
        }
        while place >= self.builds.len() && !self.at_end {
            let before = self.builds.last().map(|it| it.id);
            let block = before.map_or(self.first, |_| BLOCK);
            let more = store.recent_builds(Some(&self.builder), before, block)?;
            self.at_end = more.len() < block;
            self.builds.extend(more);
        }
        Ok(self.builds.get(place))
    }

    /// What was read of it: the build at a place where it was looked already.
    pub(super) fn seen(&self, place: usize) -> &BuildRecord {
        &self.builds[place]
    }

    /// The newest builds that fit.
    pub(super) fn newest(
        &mut self,
        store: &mut dyn Store,
        count: usize,
        fits: impl Fn(&BuildRecord) -> bool,
    ) -> Result<Vec<BuildRecord>, StoreError> {
        let mut found = Vec::new();
        let mut place = 0;
        while found.len() < count {
            let Some(build) = self.get(store, place)? else {
                break;
            };
            if fits(build) {
                found.push(build.clone());
            }
            place += 1;
        }
        Ok(found)
    }
}

/// Builds that are read at once of all builders.
const ENDED: usize = 50;

/// Of so many that ended last it is looked for those that fit.
pub(super) const FARTHEST_OF_ALL: usize = 2000;

/// The builds that ended last, of those that fit; no further back than [`FARTHEST_OF_ALL`].
pub(super) fn ended_last(
    store: &mut dyn Store,
    count: usize,
    fits: impl Fn(&BuildRecord) -> bool,
) -> Result<Vec<BuildRecord>, StoreError> {
    let mut found = Vec::new();
    let mut before: Option<BuildRecord> = None;
    let mut seen = 0;
    while found.len() < count && seen < FARTHEST_OF_ALL {
        let block = store.ended_builds(before.as_ref(), ENDED)?;
        seen += block.len();
        let is_end = block.len() < ENDED;
        before = block.last().cloned();
        found.extend(block.into_iter().filter(&fits));
        if is_end {
            break;
        }
    }
    found.truncate(count);
    Ok(found)
}

/// The newest builds of several builders that fit, in the order of `key`, the highest first.
/// Of each builder it is read as far as it has a part in them.
pub(super) fn merge<K: Ord>(
    store: &mut dyn Store,
    pasts: &mut [Past],
    count: usize,
    fits: impl Fn(&BuildRecord) -> bool,
    key: impl Fn(&BuildRecord) -> K,
) -> Result<Vec<BuildRecord>, StoreError> {
    let mut places = vec![0; pasts.len()];
    let mut merged = Vec::new();
    while merged.len() < count {
        let mut best: Option<(K, usize)> = None;
        for (at, past) in pasts.iter_mut().enumerate() {
            while past.get(store, places[at])?.is_some_and(|it| !fits(it)) {
                places[at] += 1;
            }
            if let Some(build) = past.get(store, places[at])? {
                let key = key(build);
                if best.as_ref().is_none_or(|(best, _)| key > *best) {
                    best = Some((key, at));
                }
            }
        }
        let Some((_, at)) = best else {
            break;
        };
        merged.push(pasts[at].seen(places[at]).clone());
        places[at] += 1;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NewBuildset;
    use crate::model::Outcome;
    use crate::model::Properties;
    use crate::model::SourceStamp;
    use crate::model::Timestamp;
    use crate::store::BuildEnd;
    use crate::store::NewBuild;
    use crate::store::StoreHandle;

    fn fill(store: &mut dyn Store, builder: &str, count: i64) -> Result<(), StoreError> {
        for number in 0..count {
            let at = Timestamp::from_secs(1000 + number);
            let wish = NewBuildset {
                reason: String::new(),
                stamp: SourceStamp::default(),
                properties: Properties::new(),
                builders: vec![builder.into()],
                priority: None,
            };
            let requests = store.add_buildset(&wish, at)?.1;
            let new = NewBuild {
                builder: builder.into(),
                slave: "otter".into(),
                requests,
                stamp: SourceStamp::default(),
                reason: String::new(),
                config: None,
                locks: Vec::new(),
            };
            let begun = store.start_build(&new, at)?.expect("it waits");
            let end = BuildEnd {
                outcome: Outcome::Success,
                text: Vec::new(),
                properties: Properties::new(),
            };
            store.finish_build(begun.id, &end, at)?;
        }
        Ok(())
    }

    fn past(name: &str, most: usize) -> Past {
        Past::of(&name.into(), most)
    }

    #[tokio::test]
    async fn a_long_history_is_read_as_far_as_a_page_looks() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        store
            .write(|store| {
                fill(store, "a", 2000)?;
                fill(store, "b", 30)
            })
            .await
            .expect("filled");
        store
            .read(|store| {
                let mut a = past("a", FARTHEST);
                assert_eq!(a.newest(store, 5, |_| true)?.len(), 5);
                assert_eq!(a.builds.len(), BLOCK);
                assert!(a.newest(store, 5, |_| false)?.is_empty());
                assert!(a.builds.len() < FARTHEST + BLOCK, "{}", a.builds.len());

                let mut pasts = [past("a", FARTHEST), past("b", FARTHEST)];
                let key = |it: &BuildRecord| it.started;
                let numbers: Vec<_> = merge(store, &mut pasts, 4, |_| true, key)?
                    .iter()
                    .map(|it| it.key.to_string())
                    .collect();
                assert_eq!(numbers, ["a/1999", "a/1998", "a/1997", "a/1996"]);
                assert_eq!([pasts[0].builds.len(), pasts[1].builds.len()], [BLOCK; 2]);
                let all = merge(store, &mut [past("b", FARTHEST)], 99, |_| true, key)?;
                assert_eq!(all.len(), 30);

                let names = |all: Vec<BuildRecord>| -> Vec<String> {
                    all.iter().map(|it| it.key.to_string()).collect()
                };
                let last = ended_last(store, 3, |_| true)?;
                assert_eq!(names(last), ["a/1999", "a/1998", "a/1997"]);
                let last = ended_last(store, 2, |it| it.key.builder.as_str() == "b")?;
                assert_eq!(names(last), ["b/29", "b/28"]);
                // Of so many it is not looked at the oldest.
                let oldest = ended_last(store, 1, |it| it.key.to_string() == "a/3")?;
                assert!(oldest.is_empty());
                Ok(())
            })
            .await
            .expect("read");
    }
}
