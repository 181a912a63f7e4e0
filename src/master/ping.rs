//! Asks the slaves of a builder whether they are there: a word to each that is connected, and
//! its answer within a time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use crate::master::crew::Crew;
use crate::master::handle::Denied;
use crate::master::slaves::Session;
use crate::model::BuilderName;
use crate::model::EventKind;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Subject;

/// How long a slave has to answer: less than a client waits for the answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What a slave said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingAnswer {
    /// After this time.
    Answered(Duration),
    Silent,
    /// It is down, and would be started if it were needed.
    Latent,
}

/// How a ping ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinged {
    pub(crate) end: EventKind,
    /// In the order of their names.
    pub(crate) slaves: Vec<(SlaveName, PingAnswer)>,
}

impl Pinged {
    fn of(mut slaves: Vec<(SlaveName, PingAnswer)>) -> Self {
        slaves.sort_by(|a, b| a.0.cmp(&b.0));
        let has = |wanted: fn(&PingAnswer) -> bool| slaves.iter().any(|(_, it)| wanted(it));
        let end = if has(|it| *it == PingAnswer::Silent) {
            EventKind::PingFailed
        } else if has(|it| matches!(it, PingAnswer::Answered(_))) {
            EventKind::PingSucceeded
        } else if slaves.is_empty() {
            EventKind::PingWithoutSlave
        } else {
            EventKind::PingLatent
        };
        Self { end, slaves }
    }

    /// Who did what, for people.
    fn note(&self) -> String {
        let all = self.slaves.iter().map(|(name, answer)| match answer {
            PingAnswer::Answered(after) => format!("{name} answered in {} ms", after.as_millis()),
            PingAnswer::Silent => {
                format!("{name} did not answer within {} s", ANSWER.as_secs())
            }
            PingAnswer::Latent => format!("{name} is not started"),
        });
        all.collect::<Vec<_>>().join("; ")
    }
}

/// Builders that are being pinged: one that is, is not pinged twice at once.
#[derive(Debug, Default)]
pub(crate) struct Pings(Mutex<BTreeSet<BuilderName>>);

/// Ends with the ping.
struct Turn {
    crew: Arc<Crew>,
    builder: BuilderName,
}

impl Turn {
    fn take(crew: &Arc<Crew>, builder: &BuilderName) -> Option<Self> {
        let mut all = crew.pings.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(builder.clone()).then(|| Self {
            crew: Arc::clone(crew),
            builder: builder.clone(),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let all = self.crew.pings.0.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.builder);
    }
}

/// Begins to ping; what comes of it is heard from the receiver, and written down whether
/// anybody listens or not.
///
/// # Errors
/// There is no such builder, or it is being pinged.
pub(super) fn begin(
    crew: &Arc<Crew>,
    builder: &BuilderName,
) -> Result<oneshot::Receiver<Pinged>, Denied> {
    let plan = crew.plan();
    let planned = plan.builders.iter().find(|it| it.name == *builder);
    let Some(planned) = planned else {
        return Err(Denied::NoBuilder(builder.to_string()));
    };
    let Some(turn) = Turn::take(crew, builder) else {
        return Err(Denied::Pinging(builder.clone()));
    };
    let mut here = Vec::new();
    let mut answers = Vec::new();
    for name in &planned.slaves {
        let on_demand = || {
            let mut all = plan.slaves.iter();
            all.any(|it| it.name == *name && it.on_demand.is_some())
        };
        match crew.slaves.session(name) {
            Some(session) => here.push((name.clone(), session)),
            None if on_demand() => answers.push((name.clone(), PingAnswer::Latent)),
            None => {}
        }
    }
    let (tell, told) = oneshot::channel();
    let (task, name) = (format!("ping of {builder}"), builder.clone());
    let asked = Arc::clone(crew);
    if !here.is_empty() {
        let subject = Subject::Builder(name.clone());
        crew.diary.note(subject, EventKind::Pinging, "");
    }
    crew.supervise(task, async move {
        let _turn = turn;
        let mut asking = JoinSet::new();
        for (name, session) in here {
            asking.spawn(async move { (name, ask(&session).await) });
        }
        answers.extend(asking.join_all().await);
        let pinged = Pinged::of(answers);
        let subject = Subject::Builder(name);
        asked.diary.note(subject, pinged.end, &pinged.note());
        // Who is told sees it on the page.
        drop(asked.diary.flush(&asked.store, &asked.plan()).await);
        for (slave, _) in &pinged.slaves {
            let slave = slave.clone();
            asked.tell(Status::SlaveChanged { slave });
        }
        drop(tell.send(pinged));
    });
    Ok(told)
}

async fn ask(session: &Session) -> PingAnswer {
    let asked = Instant::now();
    match time::timeout(ANSWER, session.ping()).await {
        Ok(true) => PingAnswer::Answered(asked.elapsed()),
        Ok(false) | Err(_) => PingAnswer::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_slave_makes_a_ping_fail_and_latent_ones_alone_make_it_latent() {
        let answered = PingAnswer::Answered(Duration::from_millis(3));
        let check = |answers: &[PingAnswer], end| {
            let slaves = answers.iter().map(|it| ("s".into(), *it)).collect();
            assert_eq!(Pinged::of(slaves).end, end, "{answers:?}");
        };
        check(&[], EventKind::PingWithoutSlave);
        check(&[PingAnswer::Latent], EventKind::PingLatent);
        check(&[PingAnswer::Latent, answered], EventKind::PingSucceeded);
        check(&[answered, PingAnswer::Silent], EventKind::PingFailed);
        check(
            &[PingAnswer::Latent, PingAnswer::Silent],
            EventKind::PingFailed,
        );
    }
}
