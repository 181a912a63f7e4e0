//! The configuration: `master.ini` and the factories become a [`Plan`].
//! Three doors: *read* (text to typed), *check* (across sections), both pure
//! but for the files; then *derive* (what needs no configuration).

mod catalogue;
mod derive;
mod diff;
mod environment;
mod factory;
mod files;
mod master;
mod read;
mod sections;
mod slave;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::factories::Factory;
use crate::factories::Repository;
use crate::model::BuilderName;
use crate::model::FactoryName;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::Text;
use crate::syntax::Place;
use crate::syntax::Problems;

pub(crate) use catalogue::Catalogue;
pub(crate) use diff::diff;
pub(crate) use environment::cannot_listen;
pub(crate) use read::read;

/// Everything a master runs, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) master: MasterPlan,
    /// In file order.
    pub(crate) slaves: Vec<Arc<SlavePlan>>,
    /// In the order that pages show.
    pub(crate) builders: Vec<Arc<BuilderPlan>>,
    pub(crate) sources: Vec<Arc<SourcePlan>>,
    pub(crate) schedulers: Vec<Arc<SchedulerPlan>>,
    pub(crate) warnings: Problems,
    /// Where each port is set, for those that the file names.
    pub(crate) port_places: BTreeMap<&'static str, Place>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MasterPlan {
    pub(crate) title: String,
    pub(crate) title_url: Option<String>,
    /// `buildbotURL`: how the pages are reached from outside, ends in `/`.
    pub(crate) base_url: Option<String>,
    /// Where slaves dial in; port 9010 on every address.
    pub(crate) slaveport: Option<SocketAddr>,
    /// The web status; port 8010.
    pub(crate) htmlport: Option<SocketAddr>,
    /// The read-only web status; none unless set.
    pub(crate) publichtmlport: Option<SocketAddr>,
    /// Global properties of every build.
    pub(crate) properties: Properties,
    /// How long a slave may be away before its builds are given back.
    pub(crate) lost_timeout: Duration,
}

impl MasterPlan {
    /// Every port by the key that sets it.
    pub(crate) const fn ports(&self) -> [(&'static str, Option<SocketAddr>); 3] {
        [
            ("slaveport", self.slaveport),
            ("htmlport", self.htmlport),
            ("publichtmlport", self.publichtmlport),
        ]
    }
}

/// A slave section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlavePlan {
    pub(crate) name: SlaveName,
    pub(crate) password: String,
    /// Overrides what the slave says of itself: `linux`, `win` or `mac`.
    pub(crate) os: Option<String>,
    pub(crate) launch: Launch,
    /// Builds at once; `None` is no limit.
    pub(crate) max_builds: Option<u32>,
    pub(crate) properties: Properties,
}

/// Who starts a slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launch {
    /// It dials in.
    None,
    /// The master starts it as a child with this base directory and talks over its pipes.
    Local { basedir: std::path::PathBuf },
}

/// A builder: which factory on which slaves.
#[derive(Clone, Debug)]
pub(crate) struct BuilderPlan {
    pub(crate) name: BuilderName,
    /// Directory under the slave's base directory, and prefix of log files.
    pub(crate) builddir: String,
    pub(crate) slaves: Vec<SlaveName>,
    pub(crate) factory_name: FactoryName,
    pub(crate) factory: Arc<dyn Factory>,
    pub(crate) category: Option<String>,
    pub(crate) properties: Properties,
    pub(crate) env: BTreeMap<String, Option<Text>>,
    /// Whether requests that agree become one build.
    pub(crate) merge_requests: bool,
}

/// A poller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourcePlan {
    /// As pages and the store name it: `GitPoller: URL#BRANCH`, or without
    /// `#BRANCH` where the repository's own default is followed.
    pub(crate) name: String,
    pub(crate) repository: Repository,
    pub(crate) poll_interval: Duration,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

/// A tree-stable scheduler with its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchedulerPlan {
    pub(crate) name: SchedulerName,
    pub(crate) builders: Vec<BuilderName>,
    pub(crate) tree_stable: Duration,
    /// A change passes if one of these fits it. Empty: every change passes.
    pub(crate) follows: Vec<Follow>,
}

/// A repository and branch that a scheduler builds. Both are compared as they
/// are: no branch fits changes that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Follow {
    pub(crate) repository: String,
    pub(crate) branch: Option<String>,
}

/// Reads and checks the configuration of the master in `dir`.
///
/// # Errors
/// Every problem of the files at once, if there is an error among them.
pub(crate) fn load(dir: &Path) -> Result<Plan, Problems> {
    let source = files::master_ini(dir)?;
    let mut plan = read(&[source], &catalogue::Installed::of(dir))?;
    if !plan.slaves.is_empty() {
        files::check_mode(dir, &mut plan.warnings);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
