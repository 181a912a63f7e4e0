//! Planned downtimes of slaves, by a clock that is lent: while one lasts, the
//! slave gets no new builds.

use super::Core;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::schedulers::Zone;

/// A slave's downtime, when it was looked at last.
#[derive(Debug)]
pub(super) struct Down {
    /// When it is looked at again; it may begin or end then.
    edge: Timestamp,
    /// What it is, and until when; `None` while there is none.
    words: Option<String>,
}

impl Core {
    /// Takes in what the clock shows, which hangs in `zone`.
    pub(crate) fn set_clock(&mut self, now: Timestamp, zone: &Zone) {
        let is_set_back = now < self.clock;
        if is_set_back || *zone != self.zone {
            self.downtimes.clear();
            self.zone = zone.clone();
        }
        if is_set_back {
            self.turns.set_back(now);
        }
        self.clock = now;
        self.look_at_downtimes();
    }

    pub(super) fn look_at_downtimes(&mut self) {
        let now = self.clock;
        for slave in &self.plan.slaves {
            let downtime = &slave.downtime;
            let is_known = |name| self.downtimes.get(name).is_some_and(|it| now < it.edge);
            if downtime.is_empty() || is_known(&slave.name) {
                continue;
            }
            let edge = downtime.next_edge(now, &self.zone);
            let until = downtime.until(now, &self.zone);
            let words = until.map(|it| downtime.words(it, &self.zone));
            self.downtimes
                .insert(slave.name.clone(), Down { edge, words });
        }
    }

    /// The slave's downtime that lasts now.
    pub(super) fn downtime(&self, slave: &SlaveName) -> Option<&str> {
        self.downtimes.get(slave)?.words.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::plan_of;
    use crate::master::core::Event;
    use crate::master::core::tests::{attached, ended, request, shown};
    use crate::model::RequestId;

    const HOUR: i64 = 60 * 60 * 1000;

    fn plan(downtime: &str) -> Arc<crate::config::Plan> {
        let text = format!(
            "[:master:]\nslaveport = none\nhtmlport = none\n\
             [slave:s1]\npassword = x\n{downtime}\n\
             [slave:d1]\npassword = x\nlaunch = local\non_demand = yes\n{downtime}\n\
             [echo]\ntype = shell\ncommands = true\n\
             [builder:a]\nfactory = echo\nslaves = s1\n\
             [builder:b]\nfactory = echo\nslaves = d1\n"
        );
        Arc::new(plan_of(&text))
    }

    const NIGHT: &str = "downtime = 02:00-04:00\ntime_zone = UTC";

    fn clock(core: &mut Core, at: i64) {
        core.set_clock(Timestamp(at), &Zone::from(jiff::tz::TimeZone::UTC));
    }

    fn wait(core: &mut Core, builder: &str, id: i64) -> Vec<String> {
        shown(&core.handle(Event::RequestsAdded(vec![request(id, builder, &[])])))
    }

    #[test]
    fn a_slave_in_a_planned_downtime_gets_no_builds_and_says_until_when() {
        let mut core = Core::new(plan(NIGHT), 0);
        clock(&mut core, 2 * HOUR - 1);
        attached(&mut core, "s1");
        assert_eq!(wait(&mut core, "a", 1), ["a on s1: 1"]);

        // What runs goes on.
        clock(&mut core, 2 * HOUR);
        assert_eq!(wait(&mut core, "a", 2), Vec::<String>::new());
        assert_eq!(ended(&mut core, 1), Vec::<String>::new());
        assert_eq!(
            core.why_waiting()[&RequestId(2)],
            "slave s1 has a planned downtime until 1970-01-01 04:00 (UTC)"
        );
        clock(&mut core, 4 * HOUR);
        let begun = core.handle(Event::Pending(vec![request(2, "a", &[])]));
        assert_eq!(shown(&begun), ["a on s1: 2"]);
    }

    #[test]
    fn a_slave_on_demand_is_not_started_in_a_planned_downtime() {
        let mut core = Core::new(plan(NIGHT), 0);
        clock(&mut core, 3 * HOUR);
        wait(&mut core, "b", 1);
        assert!(core.wanted().is_empty());
        clock(&mut core, 4 * HOUR);
        core.handle(Event::Pending(vec![request(1, "b", &[])]));
        assert_eq!(core.wanted().len(), 1);
    }

    #[test]
    fn a_reload_and_a_clock_that_is_set_back_are_seen_at_once() {
        let mut core = Core::new(plan(""), 0);
        clock(&mut core, 3 * HOUR);
        attached(&mut core, "s1");
        let (plan, config) = (plan(NIGHT), None);
        core.handle(Event::Planned { plan, config });
        assert_eq!(wait(&mut core, "a", 1), Vec::<String>::new());
        clock(&mut core, HOUR);
        let begun = core.handle(Event::Pending(vec![request(1, "a", &[])]));
        assert_eq!(shown(&begun), ["a on s1: 1"]);
    }
}
