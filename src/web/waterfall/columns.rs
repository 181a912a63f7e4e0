//! The columns: each is read from the store only as far back as the page reaches.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::model::BuildId;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::EventRecord;
use crate::model::SlaveName;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::store::EventsBefore;
use crate::store::Store;
use crate::store::StoreError;

use super::strips::Column;
use super::strips::Item;
use super::tile::Tile;
use super::tile::items;
use super::wanted::Wanted;

/// Builds of a column that are read at once.
const BUILDS: usize = 10;
/// Changes that are read at once.
const CHANGES: usize = 40;
/// Events of a column, and of each of its slaves.
const EVENTS: usize = 200;

/// The store, and what of it every column may need.
pub(super) struct Source<'a> {
    pub(super) store: RefCell<&'a mut dyn Store>,
    pub(super) wanted: &'a Wanted,
    authors: RefCell<HashMap<ChangeId, Option<String>>>,
    events: RefCell<HashMap<Subject, Rc<[EventRecord]>>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(store: &'a mut dyn Store, wanted: &'a Wanted) -> Self {
        Self {
            store: RefCell::new(store),
            wanted,
            authors: RefCell::default(),
            events: RefCell::default(),
        }
    }

    /// Whether the build is of the branches and people that are asked for.
    pub(super) fn takes(&self, build: &BuildRecord) -> Result<bool, StoreError> {
        if !self.wanted.takes_branch(build.stamp.branch.as_deref()) {
            return Ok(false);
        }
        if !self.wanted.asks_for_people() {
            return Ok(true);
        }
        for id in &build.stamp.changes {
            if let Some(author) = self.author(*id)?
                && self.wanted.takes_author(&author)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn author(&self, id: ChangeId) -> Result<Option<String>, StoreError> {
        if let Some(known) = self.authors.borrow().get(&id) {
            return Ok(known.clone());
        }
        let change = self.store.borrow_mut().change(id)?;
        let author = change.map(|it| it.author);
        self.authors.borrow_mut().insert(id, author.clone());
        Ok(author)
    }

    /// The events of one subject as far as the page may show them, newest first: those of a
    /// slave are read once for all of its builders.
    fn events(&self, of: Subject) -> Result<Rc<[EventRecord]>, StoreError> {
        if let Some(known) = self.events.borrow().get(&of) {
            return Ok(Rc::clone(known));
        }
        let up_to = EventsBefore::UpTo(self.wanted.bounds.last);
        let read: Rc<[EventRecord]> = self.store.borrow_mut().events(&of, up_to, EVENTS)?.into();
        self.events.borrow_mut().insert(of, Rc::clone(&read));
        Ok(read)
    }

    /// The events that a builder's column shows.
    fn events_of(
        &self,
        builder: &BuilderName,
        slaves: &[SlaveName],
    ) -> Result<VecDeque<EventRecord>, StoreError> {
        let slaves = slaves.iter().map(|it| Subject::Slave(it.clone()));
        let own = [Subject::Builder(builder.clone()), Subject::Master];
        let mut lists = Vec::new();
        for subject in own.into_iter().chain(slaves) {
            lists.push(self.events(subject)?);
        }
        let first = self.wanted.bounds.first;
        let mut all: Vec<&EventRecord> = lists
            .iter()
            .flat_map(|it| it.iter())
            .filter(|it| first.is_none_or(|first| it.event.at >= first))
            .collect();
        all.sort_by_key(|it| Reverse((it.event.at, it.id)));
        all.truncate(EVENTS);
        Ok(all.into_iter().cloned().collect())
    }
}

/// The changes, newest first.
pub(super) struct Changes<'a> {
    source: &'a Source<'a>,
    before: Option<ChangeId>,
    read: VecDeque<Change>,
    at_end: bool,
}

impl<'a> Changes<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Result<Self, StoreError> {
        let before = match source.wanted.looks_back() {
            true => Some(first_after(
                &mut **source.store.borrow_mut(),
                source.wanted.bounds.last,
            )?),
            false => None,
        };
        Ok(Self {
            source,
            before,
            read: VecDeque::new(),
            at_end: false,
        })
    }
}

/// The first change that is newer; those after it are taken for newer too, as they came later.
fn first_after(store: &mut dyn Store, at: Timestamp) -> Result<ChangeId, StoreError> {
    let (mut old, mut new) = (0, store.newest_change()?.0 + 1);
    while old + 1 < new {
        let middle = old + (new - old) / 2;
        // What is not there any more was among the oldest.
        let is_newer = store
            .change(ChangeId(middle))?
            .is_some_and(|it| it.when > at);
        if is_newer { new = middle } else { old = middle }
    }
    Ok(ChangeId(new))
}

impl Column<Tile, StoreError> for Changes<'_> {
    fn next(&mut self) -> Result<Option<Item<Tile>>, StoreError> {
        let wanted = self.source.wanted;
        loop {
            while let Some(change) = self.read.pop_front() {
                if wanted.bounds.first.is_some_and(|it| change.when < it) {
                    self.at_end = true;
                    self.read.clear();
                    return Ok(None);
                }
                if wanted.takes_category(change.category.as_deref())
                    && wanted.takes_branch(change.branch.as_deref())
                    && wanted.takes_author(&change.author)
                {
                    return Ok(Some(Item {
                        start: change.when,
                        end: None,
                        what: Tile::change(&change),
                    }));
                }
            }
            if self.at_end {
                return Ok(None);
            }
            let mut store = self.source.store.borrow_mut();
            let more = store.recent_changes(self.before, CHANGES)?;
            self.at_end = more.len() < CHANGES;
            self.before = more.last().map(|it| it.id).or(self.before);
            self.read.extend(more);
        }
    }
}

/// The builds of a builder, each with its steps above it, and what happened between them.
pub(super) struct Builds<'a> {
    source: &'a Source<'a>,
    builder: BuilderName,
    before: Option<BuildId>,
    builds: VecDeque<BuildRecord>,
    items: VecDeque<Item<Tile>>,
    events: VecDeque<EventRecord>,
    at_end: bool,
}

impl<'a> Builds<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        builder: &BuilderName,
        slaves: &[SlaveName],
    ) -> Result<Self, StoreError> {
        let wanted = source.wanted;
        let (mut before, mut at_end) = (None, false);
        if wanted.looks_back() {
            let newest = source
                .store
                .borrow_mut()
                .newest_begun(builder, wanted.bounds.last)?;
            at_end = newest.is_none();
            before = newest.map(|it| BuildId(it.0 + 1));
        }
        let events = match wanted.show_events {
            true => source.events_of(builder, slaves)?,
            false => VecDeque::new(),
        };
        Ok(Self {
            source,
            builder: builder.clone(),
            before,
            builds: VecDeque::new(),
            items: VecDeque::new(),
            events,
            at_end,
        })
    }

    /// Reads on until there is an item, if there is one.
    fn fill(&mut self) -> Result<(), StoreError> {
        let bounds = self.source.wanted.bounds;
        while self.items.is_empty() {
            if self.builds.is_empty() && !self.at_end {
                let mut store = self.source.store.borrow_mut();
                let more = store.recent_builds(Some(&self.builder), self.before, BUILDS)?;
                self.at_end = more.len() < BUILDS;
                self.before = more.last().map(|it| it.id).or(self.before);
                self.builds.extend(more);
            }
            let Some(build) = self.builds.pop_front() else {
                return Ok(());
            };
            if bounds.first.is_some_and(|first| build.started < first) {
                self.builds.clear();
                self.at_end = true;
                return Ok(());
            }
            if self.source.takes(&build)? {
                let steps = self.source.store.borrow_mut().steps(build.id)?;
                let mut items = items(&build, &steps, bounds.now);
                // Later steps of a build that had begun by then.
                items.retain(|it| it.start <= bounds.last);
                self.items.extend(items);
            }
        }
        Ok(())
    }
}

impl Column<Tile, StoreError> for Builds<'_> {
    fn next(&mut self) -> Result<Option<Item<Tile>>, StoreError> {
        self.fill()?;
        let next = self.items.front().map(|it| it.start);
        if let Some(event) = self
            .events
            .pop_front_if(|it| next.is_none_or(|next| it.event.at > next))
        {
            return Ok(Some(Item {
                start: event.event.at,
                end: Some(event.event.at),
                what: Tile::event(&event),
            }));
        }
        Ok(self.items.pop_front())
    }
}
