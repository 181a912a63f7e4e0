//! The logs that a command has besides `stdio`: each is a log of the step,
//! kept piece by piece like that one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use crate::clock;
use crate::logs::append::LogFile;
use crate::master::crew::Crew;
use crate::master::troubles::{Patience, Place};
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::LogRecord;
use crate::model::StepRecord;

/// The logs of one command.
pub(crate) struct SideLogs<'a> {
    crew: &'a Crew,
    key: &'a BuildKey,
    build: BuildId,
    step: &'a mut StepRecord,
    /// By the names that the slave has for them.
    logs: BTreeMap<String, SideLog>,
    /// Those that have grown since somebody asked, by the names that pages have for them.
    grown: BTreeSet<String>,
}

struct SideLog {
    record: LogRecord,
    file: Option<LogFile>,
}

impl<'a> SideLogs<'a> {
    /// `planned` may be in the step's record already; the others come with their first piece.
    pub(crate) fn new(
        crew: &'a Crew,
        key: &'a BuildKey,
        build: BuildId,
        step: &'a mut StepRecord,
        planned: Vec<(String, LogRecord)>,
    ) -> Self {
        let log = |record| SideLog { record, file: None };
        Self {
            crew,
            key,
            build,
            step,
            logs: planned
                .into_iter()
                .map(|(name, it)| (name, log(it)))
                .collect(),
            grown: BTreeSet::new(),
        }
    }

    /// How far each is kept.
    pub(crate) async fn offsets(&mut self) -> BTreeMap<String, u64> {
        let mut offsets = BTreeMap::new();
        let known: Vec<String> = self.logs.keys().cloned().collect();
        for name in known {
            let is_there = self
                .logs
                .get(&name)
                .is_some_and(|it| self.is_recorded(&it.record));
            if is_there && let Some(file) = self.open(&name).await {
                offsets.insert(name, file.len());
            }
        }
        offsets
    }

    /// Puts bytes into a log; `false` if some are missing before them. What nobody knows is
    /// thrown away.
    pub(crate) async fn keep(&mut self, name: &str, offset: u64, bytes: &[u8]) -> bool {
        let mut patience = Patience::new(self.crew, self.key);
        loop {
            let Some(file) = self.open(name).await else {
                return true;
            };
            match file.append_at(offset, bytes) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return false,
                Err(error) => patience.pause(Place::Logs, error).await,
            }
        }
        if let Some(log) = self.logs.get(name) {
            self.grown.insert(log.record.name.clone());
        }
        true
    }

    /// What pages call the log, and its length, if anybody knows it.
    pub(super) fn length(&self, name: &str) -> Option<(&str, u64)> {
        let log = self.logs.get(name)?;
        Some((&log.record.name, log.file.as_ref()?.len()))
    }

    /// Whether every log is kept as far as the slave says that it goes.
    pub(crate) fn are_whole(&self, lengths: &BTreeMap<String, u64>) -> bool {
        let kept = |it: &SideLog| it.file.as_ref().map_or(0, LogFile::len);
        let mut logs = self.logs.iter();
        logs.all(|(name, log)| kept(log) >= lengths.get(name).copied().unwrap_or(0))
    }

    /// Ends the logs where the slave says that they end.
    pub(crate) async fn settle(&mut self, lengths: &BTreeMap<String, u64>) {
        let mut patience = Patience::new(self.crew, self.key);
        for (name, log) in &mut self.logs {
            let (Some(file), Some(length)) = (&mut log.file, lengths.get(name)) else {
                continue;
            };
            while let Err(error) = file.cut(*length).and_then(|()| file.sync()) {
                patience.pause(Place::Logs, error).await;
            }
        }
    }

    /// Those that have grown since the last call.
    pub(crate) fn take_grown(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.grown)
    }

    fn is_recorded(&self, record: &LogRecord) -> bool {
        self.step.logs.iter().any(|it| it.file == record.file)
    }

    /// A disk that is full is tried until it is not.
    async fn open(&mut self, name: &str) -> Option<&mut LogFile> {
        let record = self.logs.get(name)?.record.clone();
        if self.logs[name].file.is_none() {
            if !self.is_recorded(&record) {
                self.step.logs.push(record.clone());
                self.write_down().await;
            }
            let path: PathBuf = self.crew.dir.join("builds").join(&record.file);
            let began = self.step.started.unwrap_or_else(clock::now);
            let mut patience = Patience::new(self.crew, self.key);
            let file = loop {
                match LogFile::open_timed(&path, began, clock::now) {
                    Ok(file) => break file,
                    Err(error) => patience.pause(Place::Logs, error).await,
                }
            };
            self.logs.get_mut(name)?.file = Some(file);
        }
        self.logs.get_mut(name)?.file.as_mut()
    }

    /// A log that pages show stands in the store.
    async fn write_down(&self) {
        let (build, step) = (self.build, self.step.clone());
        let mut patience = Patience::new(self.crew, self.key);
        loop {
            let step = step.clone();
            let written = self
                .crew
                .store
                .write(move |verbs| verbs.put_step(build, &step));
            match written.await {
                Ok(()) => return,
                Err(error) => patience.pause(Place::Database, error.what).await,
            }
        }
    }
}
