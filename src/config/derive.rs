//! What needs no configuration: pollers and schedulers that follow from the
//! sources of the factories.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Authz;
use super::Known;
use super::Origin;
use super::Origins;
use super::Plan;
use super::SchedulerPlan;
use super::SourcePlan;
use super::WebPlan;
use super::builders::Built;
use super::master::Master;
use super::slave::Slave;
use crate::changes::Followed as Polled;
use crate::changes::Settings;
use crate::changes::SvnSettings;
use crate::factories::Repository;
use crate::factories::Vcs;
use crate::model::FactoryName;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::schedulers;
use crate::schedulers::Branch;
use crate::schedulers::QueueRules;
use crate::secrets::Secrets;
use crate::syntax::Problems;

/// Joins what was read, and adds what follows from it. `None` if a part is
/// missing, which was noted then.
pub(super) fn plan(master: &Master, slaves: &[Slave], builders: &[Built]) -> Option<Plan> {
    let builders: Vec<_> = builders.iter().map(|it| Arc::clone(&it.plan)).collect();
    let plans: Option<Vec<_>> = slaves
        .iter()
        .map(|it| it.plan.clone().map(Arc::new))
        .collect();
    Some(Plan {
        files: Vec::new(),
        master: master.plan.clone(),
        slaves: plans?,
        builders,
        sources: Vec::new(),
        schedulers: Vec::new(),
        left_out: Vec::new(),
        status: Vec::new(),
        users: Vec::new(),
        web: WebPlan::default(),
        metrics: None,
        authz: Authz::default(),
        secrets: Secrets::default(),
        secret_names: Vec::new(),
        locks: Vec::new(),
        warnings: Problems::default(),
        origins: Origins::default(),
        known: Known::default(),
        port_places: master.port_places.clone(),
    })
}

/// What follows from the sources of factories.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) sources: Vec<(Repository, Arc<SourcePlan>)>,
    pub(super) schedulers: Vec<Arc<SchedulerPlan>>,
}

/// A poller for each repository and branch, and for each factory a scheduler
/// for each of its sources: a build is of one repository.
pub(super) fn follow(master: Option<&Master>, builders: &[Built]) -> Followed {
    let mut followed = Followed::default();
    let Some(master) = master.filter(|it| it.derive) else {
        return followed;
    };
    let mut by_factory: BTreeMap<&FactoryName, Vec<&Built>> = BTreeMap::new();
    let mut in_order = Vec::new();
    for it in builders {
        let of_factory = by_factory.entry(&it.plan.factory_name).or_default();
        if of_factory.is_empty() {
            in_order.push(it);
        }
        of_factory.push(it);
    }
    let mut polled = BTreeSet::new();
    let mut named = BTreeSet::new();
    for first in in_order {
        let plan = &first.plan;
        let names: Vec<_> = by_factory[&plan.factory_name]
            .iter()
            .map(|it| it.plan.name.clone())
            .collect();
        let origin = Origin {
            place: first.place.clone(),
            how: format!("derived: the source of factory `{}`", plan.factory_name),
        };
        for (index, repository) in plan.factory.sources().iter().enumerate() {
            let source = source(repository, master, &origin);
            if polled.insert(source.name.clone()) {
                let source = (repository.clone(), Arc::new(source));
                followed.sources.push(source);
            }
            // The first keeps the plain name, so that it keeps its state when others come.
            let name = match index {
                0 => plan.factory_name.as_str().to_owned(),
                _ => format!("{} {}", plan.factory_name, shown(repository)),
            };
            if !named.insert(name.clone()) {
                continue;
            }
            followed.schedulers.push(Arc::new(SchedulerPlan {
                name: SchedulerName::from(name),
                builders: names.clone(),
                properties: Properties::new(),
                queue: QueueRules::default(),
                settings: schedulers::following(branches(repository), master.tree_stable),
                origin: origin.clone(),
            }));
        }
    }
    followed
}

/// Where no branch is named, a change of the default branch names it by the
/// usual name, or not at all where the repository has another.
fn branches(repository: &Repository) -> Vec<Branch> {
    let follow = |branch: Option<&str>| Branch {
        repository: repository.url.clone(),
        branch: branch.map(str::to_owned),
    };
    let usual = match repository.vcs {
        Vcs::Git => "master",
        Vcs::Hg => "default",
        // Its directory says which branch it is.
        Vcs::Svn => return vec![follow(repository.branch.as_deref())],
    };
    match &repository.branch {
        Some(branch) => vec![follow(Some(branch))],
        None => vec![follow(None), follow(Some(usual))],
    }
}

fn source(repository: &Repository, master: &Master, origin: &Origin) -> SourcePlan {
    let polled = Polled::new(repository.url.as_str(), repository.branch.as_deref());
    let (poller, settings) = match repository.vcs {
        Vcs::Git => ("GitPoller", Settings::Git(polled)),
        Vcs::Hg => ("HgPoller", Settings::Hg(polled)),
        Vcs::Svn => (
            "SVNPoller",
            Settings::Svn(SvnSettings::new(
                repository.url.as_str(),
                repository.branch.as_deref(),
            )),
        ),
    };
    SourcePlan {
        name: format!("{poller}: {}", shown(repository)),
        settings: settings.with_usual_interval(master.poll_interval),
        origin: origin.clone(),
    }
}

fn shown(repository: &Repository) -> String {
    match &repository.branch {
        Some(branch) => format!("{}#{branch}", repository.url),
        None => repository.url.clone(),
    }
}
