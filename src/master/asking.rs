//! What the master asks slaves about their programs (`capability.NAME` in
//! their sections): whenever one comes, and when a reload has other questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::info;

use crate::config::Plan;
use crate::master::crew::Crew;
use crate::master::slaves::Session;
use crate::model::SlaveName;
use crate::model::Status;
use crate::wire::ASKS;

/// What is kept of an answer, in characters: as much as a slave tells.
const LINE: usize = 200;

impl Crew {
    /// Asks a slave that has just come.
    pub(super) async fn ask(&self, slave: &SlaveName, session: &Session) {
        let plan = self.plan();
        let known = plan.slaves.iter().find(|it| it.name == *slave);
        let Some(known) = known.filter(|it| !it.capabilities.is_empty()) else {
            return;
        };
        if !session.can(ASKS) {
            info!(%slave, "slave is older and cannot be asked for its capabilities");
            return;
        }
        session.ask(known.capabilities.clone()).await;
    }

    /// Asks those slaves anew that are here and of which `old` wanted to know something else.
    pub(super) fn ask_anew(self: &Arc<Self>, old: &Plan) {
        let before: BTreeMap<_, _> = old
            .slaves
            .iter()
            .map(|it| (&it.name, &it.capabilities))
            .collect();
        for slave in &self.plan().slaves {
            if before.get(&slave.name) != Some(&&slave.capabilities)
                && let Some(session) = self.slaves.session(&slave.name)
            {
                let (crew, name) = (Arc::clone(self), slave.name.clone());
                // One that reads nothing holds no reload up.
                self.supervise(format!("question to slave {name}"), async move {
                    crew.ask(&name, &session).await;
                });
            }
        }
    }

    /// Keeps a slave's answer.
    pub(super) fn learn(
        &self,
        slave: &SlaveName,
        session: &Session,
        mut told: BTreeMap<String, String>,
    ) {
        let plan = self.plan();
        let known = plan.slaves.iter().find(|it| it.name == *slave);
        let is_wanted = |name: &String| known.is_some_and(|it| it.capabilities.contains_key(name));
        told.retain(|name, _| is_wanted(name));
        for said in told.values_mut() {
            if let Some((end, _)) = said.char_indices().nth(LINE) {
                said.truncate(end);
            }
        }
        if self.slaves.learn(slave, session, told) {
            let slave = slave.clone();
            self.tell(Status::SlaveChanged { slave });
        }
    }
}
