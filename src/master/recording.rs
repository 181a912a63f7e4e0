//! The runs of tests that a step has recorded in a database beside the master's
//! own. The step says where and what; that it is there once, whenever the master
//! is restarted, and that a disk is waited for, is said here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::logs::disk;
use crate::master::build::Build;
use crate::master::troubles::{Patience, Place};
use crate::model::RUN_PROPERTIES;
use crate::model::RUN_SOURCE;
use crate::model::Recording;
use crate::model::TestRun;
use crate::steps::{Run, Verdict};
use crate::store::CommandHistory;
use crate::store::runs::{self, RunError};

impl Build {
    /// Runs the commands of a step between the beginning of its recorded run and the end, if it
    /// has one.
    pub(super) async fn run_recorded(
        &mut self,
        index: usize,
        run: &mut dyn Run,
        earlier: CommandHistory,
    ) -> Verdict {
        let Some(recording) = self.steps[index].body.recording().cloned() else {
            return self.run_commands(index, run, earlier).await;
        };
        let begun = match self.describe_run(index, &recording) {
            Ok(it) => {
                let makes_tables = recording.makes_tables;
                let (key, begin) = (it.clone(), move |path: &Path| {
                    runs::begin(path, makes_tables, &it)
                });
                // When the step began is part of the key, so it stands in the store before.
                self.flush().await;
                self.record(&recording.file, begin)
                    .await
                    .map(|id| (key, id))
            }
            Err(error) => Err(error),
        };
        let (key, id) = match begun {
            Ok(begun) => begun,
            Err(why) => return self.broken(index, &unrecorded(&recording.file, &why)),
        };
        let [number, lists] = RUN_PROPERTIES;
        self.properties.set_runtime(number, id, RUN_SOURCE);
        self.properties.set_runtime(lists, 0, RUN_SOURCE);
        self.put_properties();
        let mut verdict = self.run_commands(index, run, earlier).await;
        let rows = std::mem::take(&mut verdict.rows);
        let end = move |path: &Path| runs::end(path, &key, &rows);
        match self.record(&recording.file, end).await {
            Ok(()) => verdict,
            Err(why) => {
                // What the step itself has found stays.
                let broken = self.broken(index, &unrecorded(&recording.file, &why));
                verdict.logs.extend(broken.logs);
                Verdict {
                    tests: verdict.tests,
                    statistics: verdict.statistics,
                    logs: verdict.logs,
                    ..broken
                }
            }
        }
    }

    fn describe_run(&mut self, index: usize, recording: &Recording) -> Result<TestRun, String> {
        let info = recording.info.render(&self.properties);
        let info = info.map_err(|error| format!("`test_info`: {error}"))?;
        let revision = self.properties.text("got_revision");
        let revision = revision.or(self.stamp.revision.as_deref());
        Ok(TestRun {
            identity: self.crew.identity.clone(),
            build: self.id,
            step: self.records[index].number,
            branch: self.stamp.branch.clone(),
            revision: revision.unwrap_or_default().to_owned(),
            builder: self.key.builder.to_string(),
            number: self.key.number,
            began: self.records[index].started.map_or(0, |it| it.0),
            kind: recording.kind.clone(),
            info,
        })
    }

    /// Writes to the database, as soon as its disk takes it.
    async fn record<T, F>(&self, file: &str, write: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: Fn(&Path) -> Result<T, RunError> + Clone + Send + 'static,
    {
        let mut patience = Patience::new(&self.crew, &self.key);
        loop {
            let (dir, name, write) = (self.crew.dir.clone(), file.to_owned(), write.clone());
            let own = dir.join(&self.crew.plan().master.database);
            let job = move || write(&place(&dir, &name, &own)?);
            let written = tokio::task::spawn_blocking(job).await;
            match written.map_err(|_| "it broke off; see the master's log".to_owned())? {
                Ok(done) => return Ok(done),
                Err(error) if !error.may_pass => return Err(error.to_string()),
                Err(_) if !self.stopped && self.stop.borrow().is_some() => {
                    return Err("it was stopped while it waited for the file".to_owned());
                }
                Err(error) => {
                    let why = format!("`{file}`: {}", error.what);
                    patience.pause(Place::Runs, why).await;
                }
            }
        }
    }
}

fn unrecorded(file: &str, why: &str) -> String {
    format!("the run of tests cannot be recorded in `{file}`: {why}")
}

/// Where the database is: below the master's directory, whatever links there are, and not the
/// master's own.
fn place(dir: &Path, file: &str, own: &Path) -> Result<PathBuf, RunError> {
    let disk = |path: &Path, error: &std::io::Error| RunError {
        what: format!("`{}`: {error}", path.display()),
        may_pass: disk::may_pass(error),
    };
    let path = dir.join(file);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(RunError::new("it is no file"));
    };
    let base = fs::canonicalize(dir).map_err(|error| disk(dir, &error))?;
    // Looked at from the deepest directory that there is, before any is made.
    let there = parent.ancestors().find(|it| it.exists());
    let there = there.and_then(|it| fs::canonicalize(it).ok());
    let leaves = || RunError::new("it leaves the master's directory");
    if !there.is_some_and(|it| it.starts_with(&base)) {
        return Err(leaves());
    }
    fs::create_dir_all(parent).map_err(|error| disk(parent, &error))?;
    let parent = fs::canonicalize(parent).map_err(|error| disk(parent, &error))?;
    let path = parent.join(name);
    let Ok(metadata) = fs::symlink_metadata(&path) else {
        return Ok(path);
    };
    // A link would lead anywhere by the time that it is opened.
    if !metadata.is_file() {
        return Err(RunError::new("it is there and is no plain file"));
    }
    let is_own = fs::canonicalize(own).is_ok_and(|it| it == path);
    match is_own {
        true => Err(RunError::new("it is the master's own database")),
        false => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_database_lies_below_the_masters_directory_and_is_not_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(dir.path())
            .expect("a directory")
            .join("master");
        fs::create_dir(&base).expect("a directory");
        let own = base.join("state.sqlite");
        fs::write(&own, "").expect("written");
        let check = |file: &str| place(&base, file, &own).map_err(|it| it.what);
        assert_eq!(check("results.db"), Ok(base.join("results.db")));
        assert_eq!(
            check("data/a/results.db"),
            Ok(base.join("data/a/results.db"))
        );
        assert!(base.join("data/a").is_dir());
        let refused =
            |file: &str, why: &str| assert_eq!(check(file), Err(why.to_owned()), "{file}");
        refused("state.sqlite", "it is the master's own database");
        refused("data", "it is there and is no plain file");
        symlink(dir.path(), base.join("out")).expect("a link");
        symlink(dir.path().join("x.db"), base.join("x.db")).expect("a link");
        refused("out/results.db", "it leaves the master's directory");
        refused("out/new/results.db", "it leaves the master's directory");
        refused("x.db", "it is there and is no plain file");
        assert!(!dir.path().join("new").exists());
    }
}
