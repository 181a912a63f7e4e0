//! How the master lets go of a slave that the configuration no longer has, or
//! lets in by another way: its builds end as lost, its commands are told to
//! stop, and then its line is cut. And how a slave goes that is asked to: when
//! its builds are done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;
use tracing::info;

use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::slaves::Session;
use crate::model::BuildId;
use crate::model::SlaveName;
use crate::model::Status;
use crate::wire::FromMaster;

/// How long a slave that is let go may take to hear that its commands are to stop.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(10);

impl Crew {
    /// Ends the slave's builds and, in its own time, its line.
    pub(super) async fn let_go(self: &Arc<Self>, name: &SlaveName, why: &str) {
        let session = self.slaves.session(name);
        if let Some(session) = &session {
            session.leaving.cancel();
        }
        let mut lost = Vec::new();
        for live in self.live().values().filter(|it| it.slave == *name) {
            live.left.send_replace(Some(why.to_owned()));
            lost.push(live.id);
        }
        let Some(session) = session else { return };
        self.tell_core(Event::SlaveDetached(name.clone())).await;
        if lost.is_empty() {
            session.closed.cancel();
            return;
        }
        let crew = Arc::clone(self);
        self.supervise(format!("farewell of slave {name}"), async move {
            let said = crew.say_farewell(&session, &lost);
            drop(time::timeout(LAST_WORDS, said).await);
            session.closed.cancel();
        });
    }

    /// Gives the slave no new builds on this line, and tells it to end when it has none.
    pub(super) async fn shut_down_slave(&self, name: &SlaveName, session: &Session) {
        session.shuts_down.cancel();
        self.tell_core(Event::SlaveLeaves(name.clone())).await;
        let slave = name.clone();
        self.tell(Status::SlaveChanged { slave });
    }

    /// Tells a slave to end that is to and has nothing more to do.
    pub(super) fn dismiss_slave(self: &Arc<Self>, name: &SlaveName) {
        // One that has come anew meanwhile is not meant.
        let session = self.slaves.session(name);
        let Some(session) = session.filter(|it| it.shuts_down.is_cancelled()) else {
            return;
        };
        info!(slave = %name, "slave has no builds and is told to end");
        self.supervise(format!("dismissal of slave {name}"), async move {
            session.say(FromMaster::Shutdown).await;
        });
    }

    async fn say_farewell(&self, session: &Session, lost: &[BuildId]) {
        let mut look = time::interval(LOOK);
        // Each tells the slave to stop its command when it ends.
        while lost.iter().any(|it| self.is_live(*it)) {
            look.tick().await;
        }
        // An answer to what is said after that shows that it was heard.
        let before = session.messages();
        session.say(FromMaster::Ping).await;
        while session.messages() == before && !session.closed.is_cancelled() {
            look.tick().await;
        }
    }
}
