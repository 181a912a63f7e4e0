//! While the master shuts down cleanly: which requests are built all the same,
//! and when it is done.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Core;
use super::effort;
use super::queue::{Open, Place};
use crate::master::shutdown::CleanShutdown;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::RequestRecord;

/// Of each builder, the requests that a running build waits for.
pub(super) type Exempt = HashMap<BuilderName, BTreeSet<Place>>;

impl Core {
    /// The clean shutdown that is under way.
    pub(crate) const fn shutdown(&self) -> Option<&CleanShutdown> {
        self.shutdown.as_ref()
    }

    /// Whether the master is to shut down and has nothing more to do.
    pub(crate) fn is_drained(&self) -> bool {
        self.shutdown.is_some() && self.running.is_empty()
    }

    /// Whether the request may become a build: in a clean shutdown only if a running build
    /// waits for it, which would never end without.
    pub(super) fn may_begin(&self, request: &RequestRecord) -> bool {
        effort::made();
        match self.open_to(&request.builder) {
            Open::All => true,
            Open::Only(some) => {
                some.is_some_and(|it| it.contains(&(request.submitted, request.id)))
            }
        }
    }

    /// Which of the builder's requests may become builds.
    pub(super) fn open_to(&self, builder: &BuilderName) -> Open<'_> {
        match self.shutdown {
            None => Open::All,
            Some(_) => Open::Only(self.exempt.get(builder)),
        }
    }

    /// In a clean shutdown: what running builds wait for.
    pub(super) fn awaited(&self) -> HashSet<BuildsetId> {
        let running = self.shutdown.iter().flat_map(|_| self.running.values());
        running.flat_map(|it| it.awaits.iter().copied()).collect()
    }

    /// Looks through all that waits for what running builds wait for: when that may have
    /// changed, so that a decision need not.
    pub(super) fn look_for_exempt(&mut self) {
        self.exempt.clear();
        let awaited = self.awaited();
        if awaited.is_empty() {
            return;
        }
        for (builder, queue) in &self.queues {
            let some = queue.by_age().filter(|it| awaited.contains(&it.buildset));
            let some: BTreeSet<Place> = some.map(|it| (it.submitted, it.id)).collect();
            if !some.is_empty() {
                self.exempt.insert(builder.clone(), some);
            }
        }
    }

    /// Whether no request may become a build.
    pub(super) fn holds_everything(&self) -> bool {
        self.shutdown.is_some() && self.running.values().all(|it| it.awaits.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::core::tests::{attached, ended, plan, request, shown};
    use crate::master::core::{Event, Ticket};
    use crate::model::{BuildsetId, RequestId, Timestamp};

    fn wish(by: &str) -> Event {
        Event::ShutdownBegun(CleanShutdown {
            since: Timestamp(0),
            by: Some(by.into()),
        })
    }

    fn wait(core: &mut Core, id: i64, builder: &str) -> Vec<String> {
        shown(&core.handle(Event::RequestsAdded(vec![request(id, builder, &[])])))
    }

    fn core() -> Core {
        let mut core = Core::new(
            plan(&[("a", &["s1"]), ("b", &["s2"]), ("c", &["s2"])], None),
            0,
        );
        attached(&mut core, "s1");
        attached(&mut core, "s2");
        core
    }

    const NOTHING: Vec<String> = Vec::new();

    #[test]
    fn a_master_that_shuts_down_ends_its_builds_and_begins_no_other() {
        let mut core = core();
        assert_eq!(wait(&mut core, 1, "a"), ["a on s1: 1"]);
        assert!(core.handle(wish("ann")).is_empty());
        assert_eq!(wait(&mut core, 2, "b"), NOTHING);
        let said = core.why_waiting()[&RequestId(2)].clone();
        assert!(
            said.starts_with("the master shuts down when its builds are done, asked"),
            "{said}"
        );
        // A fresh reading and a new configuration change nothing.
        let all = vec![request(2, "b", &[])];
        assert!(core.handle(Event::Pending(all)).is_empty());
        let plan = plan(&[("a", &["s1"]), ("b", &["s2"])], None);
        let config = None;
        assert!(core.handle(Event::Planned { plan, config }).is_empty());
        assert!(!core.is_drained());
        assert_eq!(ended(&mut core, 1), NOTHING);
        assert!(core.is_drained());
    }

    #[test]
    fn who_asks_again_changes_nothing_and_a_cancelled_shutdown_lets_builds_begin() {
        let mut core = core();
        core.handle(wish("ann"));
        core.handle(wish("bob"));
        let by = core.shutdown().and_then(|it| it.by.as_deref());
        assert_eq!(by, Some("ann"));
        assert_eq!(wait(&mut core, 1, "a"), NOTHING);
        assert!(core.is_drained());
        assert_eq!(
            shown(&core.handle(Event::ShutdownCancelled)),
            ["a on s1: 1"]
        );
        assert!(!core.is_drained());
        assert_eq!(core.shutdown(), None);
    }

    #[test]
    fn what_a_running_build_waits_for_is_built_all_the_same() {
        let mut core = core();
        assert_eq!(wait(&mut core, 1, "a"), ["a on s1: 1"]);
        core.handle(wish("ann"));
        assert_eq!(wait(&mut core, 2, "b"), NOTHING);
        // The triggered one is younger, and the older is not in its way.
        assert_eq!(wait(&mut core, 3, "b"), NOTHING);
        let (ticket, buildsets) = (Ticket(1), vec![BuildsetId(3), BuildsetId(4)]);
        let begun = core.handle(Event::BuildAwaits { ticket, buildsets });
        assert_eq!(shown(&begun), ["b on s2: 3"]);

        assert_eq!(wait(&mut core, 4, "b"), NOTHING);
        let whys = core.why_waiting();
        assert_eq!(whys[&RequestId(4)], "slave s2 is starting a build of b");
        assert!(whys[&RequestId(2)].starts_with("the master shuts down"));
        assert_eq!(ended(&mut core, 2), ["b on s2: 4"]);
        assert_eq!(ended(&mut core, 3), NOTHING);
        assert!(!core.is_drained());
        assert_eq!(ended(&mut core, 1), NOTHING);
        assert!(core.is_drained());
    }
}
