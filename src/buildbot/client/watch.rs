//! Who listens to what: requests and whole jobs, until they have been built, and builds, until they are over.
//! News say only where to look; what is told is the difference to what was told before.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::Outcome;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::Status;
use crate::model::StepRecord;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::Client;
use super::Office;
use super::Thing;
use super::runtime;

/// Subscriptions and answers that one line may wait for: three for each builder of a large farm.
pub(super) const MOST: usize = 1 << 14;

/// The books of who listens.
#[derive(Debug, Default)]
pub(super) struct Watch {
    requests: BTreeMap<RequestId, Asked>,
    builds: BTreeMap<BuildKey, Watched>,
    jobs: BTreeMap<BuildsetId, Awaited>,
    count: usize,
    /// Where something may be new.
    stale_requests: BTreeSet<RequestId>,
    stale_builds: BTreeSet<BuildKey>,
    stale_jobs: BTreeSet<BuildsetId>,
}

/// A buildset whose end somebody waits for.
#[derive(Debug)]
struct Awaited {
    requests: Vec<RequestId>,
    waiting: Vec<Owed>,
}

#[derive(Debug)]
struct Asked {
    builder: BuilderName,
    /// Objects of the client, and how many builds each has been told.
    observers: BTreeMap<u64, usize>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Objects of the client.
    observers: BTreeSet<u64>,
    waiting: Vec<Owed>,
    /// For each step, once somebody listens.
    told: Option<Vec<Told>>,
}

/// What has been told of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) started: bool,
    pub(super) finished: bool,
}

/// Something new of a step, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepNews {
    Started(usize),
    Finished(usize, Outcome),
}

/// What was told so far, of a build that is looked at for the first time: steps that are over are
/// nobody's news.
pub(super) fn begin(steps: &[StepRecord]) -> Vec<Told> {
    let told = |step: &StepRecord| Told {
        started: step.finished.is_some(),
        finished: step.finished.is_some(),
    };
    steps.iter().map(told).collect()
}

/// What is new since, in the order of the steps.
pub(super) fn step_news(told: &mut Vec<Told>, steps: &[StepRecord]) -> Vec<StepNews> {
    told.resize(told.len().max(steps.len()), Told::default());
    let mut news = Vec::new();
    for (place, (told, step)) in told.iter_mut().zip(steps).enumerate() {
        if step.started.is_some() && !told.started {
            told.started = true;
            news.push(StepNews::Started(place));
        }
        if let (Some(outcome), true, false) = (step.outcome, step.finished.is_some(), told.finished)
        {
            told.finished = true;
            news.push(StepNews::Finished(place, outcome));
        }
    }
    news
}

impl Watch {
    /// Room for one more.
    fn take_seat(&mut self) -> Result<(), Failure> {
        if self.count >= MOST {
            return Err(runtime(format!(
                "one line listens to {MOST} things at most; let some go"
            )));
        }
        self.count += 1;
        Ok(())
    }

    pub(super) fn subscribe_request(
        &mut self,
        id: RequestId,
        builder: BuilderName,
        observer: u64,
    ) -> Result<(), Failure> {
        let is_new = !self
            .requests
            .get(&id)
            .is_some_and(|it| it.observers.contains_key(&observer));
        if is_new {
            self.take_seat()?;
            let asked = self.requests.entry(id).or_insert_with(|| Asked {
                builder,
                observers: BTreeMap::new(),
            });
            asked.observers.insert(observer, 0);
        }
        self.stale_requests.insert(id);
        Ok(())
    }

    pub(super) fn unsubscribe_request(&mut self, id: RequestId, observer: u64) {
        if let Some(asked) = self.requests.get_mut(&id)
            && asked.observers.remove(&observer).is_some()
        {
            self.count -= 1;
            if asked.observers.is_empty() {
                self.requests.remove(&id);
            }
        }
    }

    pub(super) fn subscribe_build(&mut self, key: &BuildKey, observer: u64) -> Result<(), Failure> {
        let known = self.builds.get(key);
        if !known.is_some_and(|it| it.observers.contains(&observer)) {
            self.take_seat()?;
            let watched = self.builds.entry(key.clone()).or_default();
            watched.observers.insert(observer);
        }
        self.stale_builds.insert(key.clone());
        Ok(())
    }

    pub(super) fn unsubscribe_build(&mut self, key: &BuildKey, observer: u64) {
        if let Some(watched) = self.builds.get_mut(key)
            && watched.observers.remove(&observer)
        {
            self.count -= 1;
            if watched.observers.is_empty() && watched.waiting.is_empty() {
                self.builds.remove(key);
            }
        }
    }

    /// Whether one more may wait for a build.
    pub(super) fn reserve(&mut self) -> Result<(), Failure> {
        self.take_seat()
    }

    /// Keeps the answer that is owed until the build is over; there is a seat for it.
    pub(super) fn wait(&mut self, key: BuildKey, owed: Owed) {
        let watched = self.builds.entry(key.clone()).or_default();
        watched.waiting.push(owed);
        self.stale_builds.insert(key);
    }

    /// Keeps the answer that is owed until all these requests are over; there is a seat for it.
    pub(super) fn wait_for_all(&mut self, id: BuildsetId, requests: Vec<RequestId>, owed: Owed) {
        let new = || Awaited {
            requests,
            waiting: Vec::new(),
        };
        let awaited = self.jobs.entry(id).or_insert_with(new);
        awaited.waiting.push(owed);
        self.stale_jobs.insert(id);
    }

    /// Builds that somebody listens to.
    pub(super) fn observed(&self) -> Vec<BuildKey> {
        let all = self.builds.iter();
        let all = all.filter(|(_, it)| !it.observers.is_empty());
        all.map(|(key, _)| key.clone()).collect()
    }

    /// Who listens to a build.
    pub(super) fn observers(&self, build: &BuildKey) -> Vec<u64> {
        let watched = self.builds.get(build);
        watched.map_or_else(Vec::new, |it| it.observers.iter().copied().collect())
    }

    /// Notes where to look.
    pub(super) fn heard(&mut self, status: &Status) {
        match status {
            Status::BuildStarted { build, .. } => self.of_builder(&build.builder),
            Status::RequestFinished { request, .. } => {
                if self.requests.contains_key(request) {
                    self.stale_requests.insert(*request);
                }
                let jobs = self.jobs.iter();
                let jobs = jobs.filter(|(_, it)| it.requests.contains(request));
                self.stale_jobs.extend(jobs.map(|(id, _)| *id));
            }
            Status::StepStarted { build, .. } | Status::StepFinished { build, .. } => {
                self.of_build(build);
            }
            Status::BuildFinished { build, .. } => {
                self.of_build(build);
                self.of_builder(&build.builder);
            }
            Status::ChangeAdded { .. }
            | Status::RequestAdded { .. }
            | Status::LogGrew { .. }
            | Status::SlaveChanged { .. }
            | Status::TroubleChanged
            | Status::ShutdownChanged
            | Status::Reloaded
            | Status::ReloadRefused => {}
        }
    }

    fn of_builder(&mut self, builder: &BuilderName) {
        let all = self.requests.iter();
        let all = all.filter(|(_, it)| it.builder == *builder);
        self.stale_requests.extend(all.map(|(id, _)| *id));
    }

    fn of_build(&mut self, build: &BuildKey) {
        if self.builds.contains_key(build) {
            self.stale_builds.insert(build.clone());
        }
    }

    /// Some news were missed: everything is looked at again.
    pub(super) fn missed(&mut self) {
        self.stale_requests.extend(self.requests.keys());
        self.stale_builds.extend(self.builds.keys().cloned());
        self.stale_jobs.extend(self.jobs.keys());
    }
}

impl<O: Office> Client<O> {
    /// Looks where something may be new, and tells it.
    pub(super) async fn look_around(&mut self) {
        self.look_at_status().await;
        for job in std::mem::take(&mut self.watch.stale_jobs) {
            self.look_at_job(job).await;
        }
        loop {
            let requests = std::mem::take(&mut self.watch.stale_requests);
            if !requests.is_empty() {
                self.look_at_requests(requests).await;
            }
            let Some(build) = self.watch.stale_builds.pop_first() else {
                if self.watch.stale_requests.is_empty() {
                    return;
                }
                continue;
            };
            self.look_at_build(build).await;
        }
    }

    async fn look_at_requests(&mut self, ids: BTreeSet<RequestId>) {
        let asked = ids.iter().copied().collect();
        // Who cannot be answered now is told with the next news.
        let Ok(records) = self.office.requests(asked).await else {
            return;
        };
        for id in ids {
            let record = records.iter().find(|it| it.id == id);
            self.tell_request(id, record);
        }
    }

    /// Tells the last build of a request to who has not heard of it.
    fn tell_request(&mut self, id: RequestId, record: Option<&RequestRecord>) {
        let Some(asked) = self.watch.requests.get_mut(&id) else {
            return;
        };
        let builder = asked.builder.clone();
        let builds = record.map(|it| it.builds.as_slice()).unwrap_or_default();
        let is_cancelled = record.is_none_or(|it| it.cancelled.is_some());
        let is_over = record.is_none_or(|it| it.outcome.is_some());
        // What was cancelled before it was built has a build that says so.
        let (place, thing) = match (builds.last(), is_over && is_cancelled) {
            (_, true) => (builds.len() + 1, Thing::Unbuilt(id, builder.clone())),
            (Some(build), false) => (builds.len(), Thing::Build(build.clone())),
            (None, false) => return,
        };
        let behind = asked
            .observers
            .iter_mut()
            .filter(|(_, told)| **told < place);
        let mut tell = Vec::new();
        for (observer, told) in behind {
            *told = place;
            tell.push(*observer);
        }
        if is_over {
            let asked = self.watch.requests.remove(&id);
            self.watch.count -= asked.map_or(0, |it| it.observers.len());
            // Who still waits for one that was tried again waits for nothing now.
            let builds = self.watch.builds.keys();
            let builds = builds.filter(|it| it.builder == builder).cloned();
            self.watch.stale_builds.extend(builds);
        }
        for observer in tell {
            let object = self.broker.object(&thing);
            let places = [object, Value::text(builder.as_str())];
            let call = Arguments::places(places);
            self.broker.call(observer, "newbuild", call);
        }
    }

    async fn look_at_job(&mut self, id: BuildsetId) {
        let Some(awaited) = self.watch.jobs.get(&id) else {
            return;
        };
        let Ok(records) = self.office.requests(awaited.requests.clone()).await else {
            return;
        };
        // One that is forgotten is over.
        if records.iter().any(|it| it.outcome.is_none()) {
            return;
        }
        let awaited = self.watch.jobs.remove(&id);
        for owed in awaited.map(|it| it.waiting).unwrap_or_default() {
            self.watch.count -= 1;
            let job = self.broker.object(&Thing::Buildset(id));
            self.broker.answer(owed, Ok(job));
        }
    }

    async fn look_at_build(&mut self, key: BuildKey) {
        let Ok(found) = self.office.build(&key).await else {
            return;
        };
        let Some(watched) = self.watch.builds.get_mut(&key) else {
            return;
        };
        let mut calls = Vec::new();
        if let Some((_, steps)) = &found
            && !watched.observers.is_empty()
        {
            let told = watched.told.get_or_insert_with(|| begin(steps));
            for news in step_news(told, steps) {
                calls.extend(watched.observers.iter().map(|it| (*it, news)));
            }
        }
        let outcome = match &found {
            None => Some(Outcome::Exception),
            Some((record, _)) => record.outcome,
        };
        if let Some((_, steps)) = &found {
            for (observer, news) in calls {
                self.tell_step(observer, &key, steps, news);
            }
        }
        let Some(outcome) = outcome else { return };
        if outcome == Outcome::Retry && self.is_built_again(&key) {
            return;
        }
        let Some(watched) = self.watch.builds.remove(&key) else {
            return;
        };
        self.watch.count -= watched.observers.len() + watched.waiting.len();
        for owed in watched.waiting {
            let build = self.broker.object(&Thing::Build(key.clone()));
            self.broker.answer(owed, Ok(build));
        }
    }

    /// Whether this line waits for a later build of the builder: that one says how it ended.
    fn is_built_again(&self, key: &BuildKey) -> bool {
        let mut all = self.watch.requests.values();
        all.any(|it| it.builder == key.builder)
    }

    fn tell_step(&mut self, observer: u64, key: &BuildKey, steps: &[StepRecord], news: StepNews) {
        let (StepNews::Started(place) | StepNews::Finished(place, _)) = news;
        let Some(step) = steps.get(place) else { return };
        let build = self.broker.object(&Thing::Build(key.clone()));
        let mut places = vec![
            Value::text(key.builder.as_str()),
            build,
            Value::text(&step.name),
            Value::None,
        ];
        let method = match news {
            StepNews::Started(_) => "stepStarted",
            StepNews::Finished(_, outcome) => {
                places.push(Value::Int(outcome.code()));
                "stepFinished"
            }
        };
        let call = Arguments::places(places);
        self.broker.call(observer, method, call);
    }
}
