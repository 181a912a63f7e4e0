//! `try_jobdir`: builds the jobs that are put into a directory. The master
//! watches the directory; by itself the scheduler does nothing.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::SchedulerName;
use crate::syntax::Keys;

use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::force::Asked;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "try_jobdir",
    aliases: &["try_jobdir_scheduler"],
    summary: "Builds the patches that are put into a directory, before they are committed.",
    example: "jobdir = tries",
    read: |keys| Some(Arc::new(TryJobdir::read(keys)?)),
};

#[derive(Clone, Debug, PartialEq)]
struct TryJobdir {
    jobdir: PathBuf,
}

impl TryJobdir {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let jobdir = keys.required::<PathBuf>("jobdir")?;
        Some(Self { jobdir })
    }
}

impl Settings for TryJobdir {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Asked)
    }

    fn describe(&self) -> String {
        format!("builds the jobs that come into `{}`", self.jobdir.display())
    }

    fn jobdir(&self) -> Option<&Path> {
        Some(&self.jobdir)
    }
}
