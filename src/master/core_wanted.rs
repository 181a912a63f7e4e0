//! Which slaves are to be there: what a build runs on, and what a request
//! waits for that no slave can take that is here.

use std::collections::BTreeSet;

use super::{Core, Leaving, Ready, Unable};
use crate::config::Launch;
use crate::master::phase::Phase;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;

impl Core {
    /// The slaves that are started on demand and needed now.
    pub(crate) fn wanted(&self) -> BTreeSet<SlaveName> {
        let busy = self.load.iter().filter(|(_, all)| !all.is_empty());
        busy.map(|(slave, _)| slave)
            .chain(self.waits_for.values())
            .filter(|it| self.is_on_demand(it))
            .cloned()
            .collect()
    }

    /// The slaves that are to end and have nothing more to do; each is named once.
    pub(crate) fn dismissals(&mut self) -> Vec<SlaveName> {
        let load = &self.load;
        let idle = self.attached.iter_mut().filter(|(name, seat)| {
            seat.leaving == Leaving::Asked && load.get(*name).is_none_or(BTreeSet::is_empty)
        });
        idle.map(|(name, seat)| {
            seat.leaving = Leaving::Told;
            name.clone()
        })
        .collect()
    }

    /// Gives a slave no more builds, because it is about to be stopped; `false` if it is needed.
    pub(crate) fn retire(&mut self, slave: &SlaveName, phase: Phase) -> bool {
        let is_busy = self.load.get(slave).is_some_and(|it| !it.is_empty());
        if is_busy || self.waits_for.values().any(|it| it == slave) {
            return false;
        }
        self.attached.remove(slave);
        self.phases.insert(slave.clone(), phase);
        true
    }

    pub(super) fn take_in_phase(&mut self, slave: SlaveName, phase: Phase) {
        if matches!(phase, Phase::Stopping { .. }) {
            self.attached.remove(&slave);
        }
        self.phases.insert(slave, phase);
    }

    fn is_on_demand(&self, slave: &SlaveName) -> bool {
        let plan = self.slaves.get(slave);
        plan.is_some_and(|it| it.on_demand.is_some() && it.launch != Launch::None)
    }

    /// How soon the slave can begin, and when it last got a build.
    pub(super) fn readiness(&self, slave: &SlaveName) -> Result<(Ready, u64), Unable<'_>> {
        if let Some(pause) = self.pauses.get(slave) {
            return Err(Unable::Paused(pause));
        }
        if let Some(words) = self.downtime(slave) {
            return Err(Unable::Downtime(words));
        }
        let phase = self.phases.get(slave);
        let seat = self.attached.get(slave);
        match (phase, seat) {
            (Some(phase @ Phase::Stopping { .. }), _) => Err(Unable::Phase(phase)),
            (_, Some(seat)) if seat.leaving != Leaving::No => Err(Unable::Leaving),
            (_, Some(seat)) => Ok((Ready::Here, seat.last_used)),
            _ if !self.is_on_demand(slave) => Err(Unable::NotConnected),
            (Some(Phase::Starting { .. } | Phase::Up { .. }), None) => Ok((Ready::Coming, 0)),
            // Who is started anyway may as well build this, too.
            (Some(Phase::Down) | None, None) if self.reserved.contains_key(slave) => {
                Ok((Ready::Coming, 0))
            }
            (Some(Phase::Down) | None, None) => Ok((Ready::Down, 0)),
            (Some(phase @ Phase::Failed { .. }), None) => Err(Unable::Phase(phase)),
        }
    }

    /// Whether a request of the builder waits for the slave already: it builds there once at a
    /// time.
    pub(super) fn is_reserved(&self, slave: &SlaveName, builder: &BuilderName) -> bool {
        let reserved = self.reserved.get(slave);
        reserved.is_some_and(|it| it.contains(builder))
    }

    /// Keeps the slave for requests, which leave the queue for this round.
    pub(super) fn promise(
        &mut self,
        slave: &SlaveName,
        requests: &[RequestId],
    ) -> Vec<RequestRecord> {
        let taken = requests.iter().filter_map(|id| self.take_out(*id));
        let taken: Vec<RequestRecord> = taken.collect();
        for request in &taken {
            self.waits_for.insert(request.id, slave.clone());
            let reserved = self.reserved.entry(slave.clone()).or_default();
            reserved.insert(request.builder.clone());
        }
        taken
    }

    /// Why a request waits that has its slave.
    pub(super) fn explain_wake(&self, slave: &SlaveName) -> String {
        if self.attached.contains_key(slave) {
            return format!("is about to be built on slave {slave}");
        }
        match self.phases.get(slave) {
            Some(Phase::Starting { since, trouble }) => {
                let since = Phase::time(*since);
                let trouble = trouble.as_ref().map(|it| format!("; so far: {it}"));
                let trouble = trouble.unwrap_or_default();
                format!("substantiating slave {slave} since {since}{trouble}")
            }
            Some(phase @ (Phase::Up { .. } | Phase::Stopping { .. } | Phase::Failed { .. })) => {
                format!("slave {slave} {phase}")
            }
            Some(Phase::Down) | None => format!("slave {slave} is about to be started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::plan_of;
    use crate::master::core::Event;
    use crate::master::core::tests::{attached, ended, request, shown};
    use crate::master::pauses::Pause;
    use crate::model::Timestamp;

    /// A core whose slaves `d1`, `d2` are started on demand, while `here` dials in.
    fn core(slaves: &str, more: &str) -> Core {
        let mut text = String::from("[:master:]\nslaveport = none\nhtmlport = none\n");
        text.push_str("[slave:here]\npassword = x\n");
        for name in ["d1", "d2"] {
            text.push_str(&format!(
                "[slave:{name}]\npassword = x\nlaunch = local\non_demand = yes\n{more}\n"
            ));
        }
        text.push_str("[echo]\ntype = shell\ncommands = true\n");
        for name in ["a", "b"] {
            text.push_str(&format!(
                "[builder:{name}]\nfactory = echo\nslaves = {slaves}\n"
            ));
        }
        Core::new(Arc::new(plan_of(&text)), 0)
    }

    fn wait(core: &mut Core, requests: &[(i64, &str)]) -> Vec<String> {
        let requests = requests.iter().map(|(id, it)| request(*id, it, &[]));
        shown(&core.handle(Event::Pending(requests.collect())))
    }

    fn phase(core: &mut Core, slave: &str, phase: Phase) -> Vec<String> {
        let slave = slave.into();
        shown(&core.handle(Event::SlavePhase { slave, phase }))
    }

    fn wanted(core: &Core) -> Vec<String> {
        core.wanted().iter().map(ToString::to_string).collect()
    }

    fn why(core: &Core, request: i64) -> String {
        core.why_waiting()[&RequestId(request)].clone()
    }

    const SINCE: Timestamp = Timestamp(0);

    #[test]
    fn a_request_that_no_slave_can_take_has_one_started_and_says_so() {
        let mut core = core("d1", "");
        assert_eq!(wait(&mut core, &[(1, "a")]), Vec::<String>::new());
        assert_eq!(wanted(&core), ["d1"]);
        assert_eq!(why(&core, 1), "slave d1 is about to be started");
        phase(&mut core, "d1", Phase::starting(SINCE));
        let said = why(&core, 1);
        assert!(
            said.starts_with("substantiating slave d1 since 1970-01-01T"),
            "{said}"
        );
        assert_eq!(attached(&mut core, "d1"), ["a on d1: 1"]);
        assert_eq!(wanted(&core), ["d1"], "a build runs on it");
        ended(&mut core, 1);
        assert_eq!(wanted(&core), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_started_while_a_slave_that_is_here_can_do_it() {
        let mut core = core("here d1", "");
        attached(&mut core, "here");
        assert_eq!(wait(&mut core, &[(1, "a")]), ["a on here: 1"]);
        assert_eq!(wanted(&core), Vec::<String>::new());

        // The next one has one started; but if the other is free before that is here, it is that.
        core.handle(Event::RequestsAdded(vec![request(2, "a", &[])]));
        assert_eq!(wanted(&core), ["d1"]);
        assert_eq!(ended(&mut core, 1), ["a on here: 2"]);
        assert_eq!(wanted(&core), Vec::<String>::new());
    }

    #[test]
    fn requests_share_a_slave_that_is_started_as_far_as_it_has_room() {
        let mut shared = core("d1 d2", "");
        wait(&mut shared, &[(1, "a"), (2, "b")]);
        assert_eq!(wanted(&shared), ["d1"]);

        // A builder builds once at a time on a slave.
        wait(&mut shared, &[(1, "a"), (3, "a")]);
        assert_eq!(wanted(&shared), ["d1", "d2"]);

        let mut narrow = core("d1 d2", "max_builds = 1");
        wait(&mut narrow, &[(1, "a"), (2, "b"), (3, "b")]);
        assert_eq!(wanted(&narrow), ["d1", "d2"]);
        assert_eq!(why(&narrow, 3), "waits behind request 2 of this builder");
        assert_eq!(attached(&mut narrow, "d2"), ["a on d2: 1"]);
        assert_eq!(wanted(&narrow), ["d1", "d2"]);
        assert_eq!(attached(&mut narrow, "d1"), ["b on d1: 2"]);
    }

    #[test]
    fn one_that_failed_is_left_alone_and_another_is_taken() {
        let mut core = core("d1 d2", "");
        wait(&mut core, &[(1, "a")]);
        let (why_not, until) = ("no machine".to_owned(), SINCE);
        let failed = Phase::Failed {
            why: why_not,
            until,
        };
        phase(&mut core, "d1", failed.clone());
        assert_eq!(wanted(&core), ["d2"]);
        phase(&mut core, "d2", failed);
        assert_eq!(wanted(&core), Vec::<String>::new());
        let said = why(&core, 1);
        assert!(
            said.starts_with("slave d1 failed: no machine; it is tried again at 1970-01-01T"),
            "{said}"
        );
        phase(&mut core, "d2", Phase::Down);
        assert_eq!(wanted(&core), ["d2"]);
    }

    #[test]
    fn a_paused_slave_is_not_started() {
        let mut core = core("d1", "");
        let slave = SlaveName::from("d1");
        let pause = Pause {
            since: SINCE,
            by: None,
            reason: None,
        };
        let pause = Some(pause);
        core.handle(Event::SlavePaused { slave, pause });
        wait(&mut core, &[(1, "a")]);
        assert_eq!(wanted(&core), Vec::<String>::new());
        let said = why(&core, 1);
        assert!(said.starts_with("slave d1 is paused since 19"), "{said}");
        let (slave, pause) = (SlaveName::from("d1"), None);
        core.handle(Event::SlavePaused { slave, pause });
        assert_eq!(wanted(&core), ["d1"]);
    }

    #[test]
    fn a_slave_that_is_needed_does_not_retire_and_one_that_retires_gets_nothing() {
        let stopping = Phase::Stopping { since: SINCE };
        let d1 = SlaveName::from("d1");
        let mut core = core("d1", "");
        wait(&mut core, &[(1, "a")]);
        assert!(
            !core.retire(&d1, stopping.clone()),
            "a request waits for it"
        );
        attached(&mut core, "d1");
        assert!(!core.retire(&d1, stopping.clone()), "a build runs on it");
        ended(&mut core, 1);
        assert!(core.retire(&d1, stopping));

        // Its line may still be open.
        core.handle(Event::SlavesPresent(vec![d1]));
        assert_eq!(wait(&mut core, &[(2, "a")]), Vec::<String>::new());
        let said = why(&core, 2);
        assert!(
            said.starts_with("slave d1 is being stopped since"),
            "{said}"
        );
        phase(&mut core, "d1", Phase::Down);
        core.handle(Event::SlavesPresent(vec![]));
        assert_eq!(wanted(&core), ["d1"]);
    }
}
