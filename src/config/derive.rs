//! What needs no configuration: builders from slaves and factories, pollers
//! and schedulers from the factories' sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BuilderPlan;
use super::Follow;
use super::Plan;
use super::SchedulerPlan;
use super::SourcePlan;
use super::factory::FactorySection;
use super::factory::Settings;
use super::master::Grouping;
use super::master::Master;
use super::slave::Slave;
use crate::factories::Repository;
use crate::factories::Vcs;
use crate::model::BuilderName;
use crate::model::SchedulerName;
use crate::syntax::Problem;
use crate::syntax::Problems;

/// Joins what was read; `wanted` has for each slave the indexes of its
/// factories. `None` if a part is missing, which was noted then.
pub(super) fn plan(
    master: &Master,
    slaves: &[Slave],
    factories: &[FactorySection],
    wanted: &[Vec<usize>],
    problems: &mut Problems,
) -> Option<Plan> {
    let builders = builders(master, slaves, factories, wanted, problems)?;
    let (sources, schedulers) = if master.derive {
        follow(master, &builders)
    } else {
        (Vec::new(), Vec::new())
    };
    let plans: Option<Vec<_>> = slaves
        .iter()
        .map(|it| it.plan.clone().map(Arc::new))
        .collect();
    Some(Plan {
        master: master.plan.clone(),
        slaves: plans?,
        builders: builders.into_iter().map(Arc::new).collect(),
        sources: sources.into_iter().map(Arc::new).collect(),
        schedulers: schedulers.into_iter().map(Arc::new).collect(),
        warnings: Problems::default(),
        port_places: master.port_places.clone(),
    })
}

fn builders(
    master: &Master,
    slaves: &[Slave],
    factories: &[FactorySection],
    wanted: &[Vec<usize>],
    problems: &mut Problems,
) -> Option<Vec<BuilderPlan>> {
    let mut builders: Vec<BuilderPlan> = Vec::new();
    // Which group made a builder: two may come to the same name.
    let mut groups: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut is_good = true;
    for (slave, indexes) in slaves.iter().zip(wanted) {
        let Some(group) = group(master.builders, slave, problems) else {
            is_good = false;
            continue;
        };
        for index in indexes {
            let factory = &factories[*index];
            let name = if group.is_empty() {
                factory.name.as_str().to_owned()
            } else {
                format!("{}-{group}", factory.name)
            };
            let builddir = directory(&name);
            let made_by = (*index, group.clone());
            match groups.get(&builddir) {
                Some(first) if *first != made_by => {
                    let other = builders.iter().find(|it| it.builddir == builddir);
                    let what = match other {
                        Some(other) if other.name.as_str() != name => format!(
                            "builder `{name}` would share its directory with `{}`",
                            other.name
                        ),
                        _ => format!("two builders would be named `{name}`"),
                    };
                    let problem = Problem::error(what)
                        .at(&slave.place)
                        .help("another name of the slave or of the factory keeps them apart");
                    problems.note(problem);
                    is_good = false;
                    continue;
                }
                Some(_) => {
                    let builder = builders.iter_mut().find(|it| it.builddir == builddir);
                    if let Some(builder) = builder {
                        builder.slaves.push(slave.name.clone());
                    }
                    continue;
                }
                None => {}
            }
            let Some(settings) = &factory.settings else {
                is_good = false;
                continue;
            };
            groups.insert(builddir.clone(), made_by);
            builders.push(builder(name, builddir, slave, factory, settings, master));
        }
    }
    is_good.then_some(builders)
}

fn builder(
    name: String,
    builddir: String,
    slave: &Slave,
    factory: &FactorySection,
    settings: &Settings,
    master: &Master,
) -> BuilderPlan {
    let settings = settings.clone();
    BuilderPlan {
        name: BuilderName::from(name),
        builddir,
        slaves: vec![slave.name.clone()],
        factory_name: factory.name.clone(),
        factory: settings.factory,
        category: settings.category,
        properties: settings.properties,
        env: settings.env,
        merge_requests: settings.merge_requests.unwrap_or(master.merge_requests),
    }
}

/// What stands behind the factory in the names of the slave's builders.
fn group(grouping: Grouping, slave: &Slave, problems: &mut Problems) -> Option<String> {
    match grouping {
        Grouping::Slave => Some(slave.name.as_str().to_owned()),
        Grouping::Factory => Some(String::new()),
        Grouping::Platform => {
            let plan = slave.plan.as_ref()?;
            if plan.os.is_none() {
                let what = format!(
                    "`builders = platform` has to know the os of `{}`",
                    slave.name
                );
                let problem = Problem::error(what)
                    .at(&slave.place)
                    .label("expected `os = linux`, `os = win` or `os = mac` in this section");
                problems.note(problem);
            }
            plan.os.clone()
        }
    }
}

/// A name as a directory that every system can have.
fn directory(name: &str) -> String {
    name.chars()
        .map(|it| match it {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => it,
            _ => '_',
        })
        .collect()
}

/// A poller for each repository and branch, and for each factory a scheduler
/// for each of its sources: a build is of one repository.
fn follow(master: &Master, builders: &[BuilderPlan]) -> (Vec<SourcePlan>, Vec<SchedulerPlan>) {
    let mut sources: Vec<SourcePlan> = Vec::new();
    let mut schedulers: Vec<SchedulerPlan> = Vec::new();
    let mut done = Vec::new();
    for builder in builders {
        if done.contains(&&builder.factory_name) {
            continue;
        }
        done.push(&builder.factory_name);
        let names: Vec<_> = builders
            .iter()
            .filter(|it| it.factory_name == builder.factory_name)
            .map(|it| it.name.clone())
            .collect();
        for (index, repository) in builder.factory.sources().iter().enumerate() {
            if !sources.iter().any(|it| it.repository == *repository) {
                sources.push(SourcePlan {
                    name: format!("{}: {}", poller(repository.vcs), shown(repository)),
                    repository: repository.clone(),
                    poll_interval: master.poll_interval,
                    project: String::new(),
                    category: None,
                });
            }
            // The first keeps the plain name, so that it keeps its state when others come.
            let name = match index {
                0 => builder.factory_name.as_str().to_owned(),
                _ => format!("{} {}", builder.factory_name, shown(repository)),
            };
            if schedulers.iter().any(|it| it.name.as_str() == name) {
                continue;
            }
            schedulers.push(SchedulerPlan {
                name: SchedulerName::from(name),
                builders: names.clone(),
                tree_stable: master.tree_stable,
                follows: follows(repository),
            });
        }
    }
    (sources, schedulers)
}

/// Where no branch is named, a change of the default branch names it by the
/// usual name, or not at all where the repository has another.
fn follows(repository: &Repository) -> Vec<Follow> {
    let follow = |branch: Option<&str>| Follow {
        repository: repository.url.clone(),
        branch: branch.map(str::to_owned),
    };
    let usual = match repository.vcs {
        Vcs::Git => "master",
        Vcs::Hg => "default",
    };
    match &repository.branch {
        Some(branch) => vec![follow(Some(branch))],
        None => vec![follow(None), follow(Some(usual))],
    }
}

fn poller(vcs: Vcs) -> &'static str {
    match vcs {
        Vcs::Git => "GitPoller",
        Vcs::Hg => "HgPoller",
    }
}

fn shown(repository: &Repository) -> String {
    match &repository.branch {
        Some(branch) => format!("{}#{branch}", repository.url),
        None => repository.url.clone(),
    }
}
