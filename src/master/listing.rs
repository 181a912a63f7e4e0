//! Which directories the builders of a slave have there: told whenever it
//! comes and after every reload, so that it knows which are left over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::warn;

use crate::clock;
use crate::config::Plan;
use crate::config::SlavePlan;
use crate::master::crew::Crew;
use crate::master::slaves::Session;
use crate::model::SlaveName;
use crate::wire::{FromMaster, LISTS, is_builder_dir};

impl Crew {
    /// Tells a slave that has just come.
    pub(super) async fn list_builders(&self, slave: &SlaveName, session: &Session) {
        let plan = self.plan();
        let Some(known) = plan.slaves.iter().find(|it| it.name == *slave) else {
            return;
        };
        if session.can(LISTS) {
            let mine = plan.builders.iter().filter(|it| it.slaves.contains(slave));
            let dirs = mine.map(|it| it.slavebuilddir.as_str()).collect();
            session.say(listing(known, &dirs)).await;
        }
    }

    /// Tells everybody who is here, after a reload.
    pub(super) fn list_builders_anew(self: &Arc<Self>) {
        let plan = self.plan();
        let all = dirs_by_slave(&plan);
        for slave in &plan.slaves {
            let session = self.slaves.session(&slave.name);
            let Some(session) = session.filter(|it| it.can(LISTS)) else {
                continue;
            };
            let none = BTreeSet::new();
            let listing = listing(slave, all.get(&slave.name).unwrap_or(&none));
            // One that reads nothing holds no reload up.
            self.supervise(format!("list for slave {}", slave.name), async move {
                session.say(listing).await;
            });
        }
    }
}

fn dirs_by_slave(plan: &Plan) -> BTreeMap<&SlaveName, BTreeSet<&str>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for builder in &plan.builders {
        for slave in &builder.slaves {
            let dirs = all.entry(slave).or_default();
            dirs.insert(builder.slavebuilddir.as_str());
        }
    }
    all
}

fn listing(slave: &SlavePlan, dirs: &BTreeSet<&str>) -> FromMaster {
    let (good, bad): (Vec<&str>, Vec<&str>) = dirs.iter().partition(|it| is_builder_dir(it));
    for dir in bad {
        warn!(slave = %slave.name, dir, "a builder has a directory that is never cleaned up");
    }
    let after = slave.clean_up.map(|it| it.as_millis());
    FromMaster::Builders {
        dirs: good.into_iter().map(str::to_owned).collect(),
        now_ms: clock::now().0,
        remove_after_ms: after.map(|it| u64::try_from(it).unwrap_or(u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    #[test]
    fn a_slave_hears_of_its_own_builders_and_of_nothing_that_leads_out() {
        let plan = plan_of(
            "[slave:a]\npassword = x\nclean_up = 7d\n[slave:b]\npassword = x\n\
             [hi]\ntype = shell\ncommand = true\n\
             [builder:one]\nfactory = hi\nslaves = a b\nslavebuilddir = shared\n\
             [builder:two]\nfactory = hi\nslaves = a\nslavebuilddir = shared\n\
             [builder:three]\nfactory = hi\nslaves = a\nslavebuilddir = info\n",
        );
        let all = dirs_by_slave(&plan);
        let told = plan.slaves.iter().map(|it| listing(it, &all[&it.name]));
        let told: Vec<_> = told
            .map(|it| match it {
                FromMaster::Builders {
                    dirs,
                    remove_after_ms,
                    ..
                } => (dirs, remove_after_ms),
                other => panic!("{other:?}"),
            })
            .collect();
        let shared = vec!["shared".to_owned()];
        assert_eq!(
            told,
            [(shared.clone(), Some(7 * 24 * 3_600_000)), (shared, None)]
        );
    }
}
