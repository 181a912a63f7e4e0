//! Who comes in: a caller shows that it is a slave, and its name is free or made free.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

use crate::config::Launch;
use crate::master::crew::Crew;
use crate::master::slaves::{LineEnd, chain};
use crate::model::SlaveName;
use crate::wire::FromMaster;
use crate::wire::login::{LoginError, master_login};
use crate::wire::native::{FrameReader, FrameWriter};

/// How long a slave that is here already has to answer when its name logs in again.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a caller has not become a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotIn {
    /// It has not shown that it is a slave.
    Stranger,
    /// It has, but its name is taken, or its line broke.
    Known,
}

/// A slave that has logged in.
pub(super) struct Guest {
    pub(super) name: SlaveName,
    /// What it says that it can do.
    pub(super) features: Vec<String>,
    /// What it logged in with.
    pub(super) password: Option<String>,
    /// Where it comes from.
    pub(super) from: String,
    pub(super) heartbeat: Duration,
}

/// Asks a caller who it is, and welcomes it.
pub(super) async fn log_in<R, W>(
    crew: &Arc<Crew>,
    from: &str,
    until: Instant,
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    password_of: &impl Fn(&str) -> Option<String>,
) -> Result<Guest, NotIn>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let asked = OnceLock::new();
    let login = master_login(reader, writer, |name| {
        drop(asked.set(SlaveName::from(name)));
        password_of(name)
    });
    let caller = time::timeout_at(until, login).await;
    let caller = caller.unwrap_or(Err(LoginError::Slow)).map_err(|error| {
        let reason = chain(&error);
        warn!(from, reason, "refused a slave");
        if let Some(name) = asked.get() {
            note_refusal(crew, name, from, &reason);
        }
        NotIn::Stranger
    })?;
    let name = SlaveName::from(caller.name.as_str());
    let password = password_of(&caller.name);
    debug!(from, slave = %name, version = caller.version, "slave logged in");
    if !make_room(crew, &name).await {
        warn!(from, slave = %name, reason = %LineEnd::NameTaken, "refused a slave");
        note_refusal(crew, &name, from, &LineEnd::NameTaken.to_string());
        drop(caller.refuse(writer, &LineEnd::NameTaken.to_string()).await);
        return Err(NotIn::Known);
    }
    let features = caller.features.clone();
    let heartbeat = crew.plan().master.line.heartbeat;
    let welcome = caller.welcome(writer, &crew.identity, heartbeat);
    let welcomed = time::timeout(heartbeat, welcome).await;
    let lost = match welcomed {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.into()),
        Err(_) => Some(LineEnd::Silent(heartbeat)),
    };
    if let Some(end) = lost {
        let reason = chain(&end);
        warn!(from, slave = %name, reason, "lost a slave during its login");
        note_refusal(crew, &name, from, &reason);
        return Err(NotIn::Known);
    }
    Ok(Guest {
        name,
        features,
        password,
        from: from.to_owned(),
        heartbeat,
    })
}

/// Writes down that who used the name of a slave did not become it; names of nobody are not kept.
pub(super) fn note_refusal(crew: &Crew, name: &SlaveName, from: &str, why: &str) {
    if crew.plan().slaves.iter().any(|it| it.name == *name) {
        crew.diary.refusal(name, &format!("from {from}: {why}"));
    }
}

impl Guest {
    /// One that has shown in another protocol that it knows its password.
    pub(super) fn known(
        name: SlaveName,
        features: &[&str],
        password: Option<String>,
        from: String,
        heartbeat: Duration,
    ) -> Self {
        Self {
            name,
            features: features.iter().map(ToString::to_string).collect(),
            password,
            from,
            heartbeat,
        }
    }
}

/// The password of a slave that dials in, as the configuration in force has it.
pub(super) fn password_of(crew: &Crew, name: &str) -> Option<String> {
    let plan = crew.plan();
    let slave = plan.slaves.iter().find(|it| it.name.as_str() == name)?;
    let is_expected = match &slave.launch {
        Launch::None => true,
        Launch::Command(_) => crew.fleet.is_expected(&slave.name),
        // Nobody else can speak under its name.
        Launch::Local { .. } | Launch::Ssh(_) => false,
    };
    if !is_expected {
        info!(
            slave = name,
            "a slave dials in that the master has not started"
        );
        return None;
    }
    match slave.password.reveal(&plan.secrets) {
        Ok(password) => Some(password),
        Err(error) => {
            warn!(slave = name, reason = %error, "a slave's password cannot be read");
            None
        }
    }
}

/// Makes sure that no slave of this name is here: one that answers stays and keeps the name.
pub(super) async fn make_room(crew: &Crew, name: &SlaveName) -> bool {
    let Some(old) = crew.slaves.session(name) else {
        return true;
    };
    if old.leaving.is_cancelled() {
        // It is on its way out; what it still runs is told to stop when it is here again.
        old.closed.cancel();
        return true;
    }
    let before = old.messages();
    let answered = async {
        if !old.say(FromMaster::Ping).await {
            return false;
        }
        // The answer shows in what the old line's own task counts.
        let mut look = time::interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            if old.closed.is_cancelled() {
                return false;
            }
            if old.messages() != before {
                return true;
            }
        }
    };
    let answered = time::timeout(ANSWER, answered).await.unwrap_or(false);
    if !answered {
        old.closed.cancel();
    }
    !answered
}
