//! A master without doors and with one slave on a line that it is given, for one build: what
//! `autobot run` does. Everything in between is a master's own.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Plan;
use crate::master::assemble::{StartError, stand};
use crate::master::crew::Files;
use crate::master::handle::MasterHandle;
use crate::master::pages::{Access, Door, Pages};
use crate::master::slaves;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::NewBuildset;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::StepRecord;
use crate::store::StoreError;
use crate::wire::FromMaster;
use crate::wire::native::{FrameReader, FrameWriter};

/// How long tasks get to end.
const GRACE: Duration = Duration::from_secs(3);

/// Nothing to look at.
struct NoPages;

impl Pages for NoPages {
    fn serve(
        &self,
        _: Door,
        _: MasterHandle,
        _: Access,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { stop.cancelled().await })
    }
}

/// What is to be built.
pub(crate) struct Piece {
    /// The master's base directory.
    pub(crate) dir: PathBuf,
    /// Its only slave is the one on the line, which says the password.
    pub(crate) plan: Plan,
    pub(crate) password: String,
    pub(crate) builder: BuilderName,
    /// Where the files are that steps send to the slave, and where those go that it sends.
    pub(crate) sent: PathBuf,
    pub(crate) received: PathBuf,
}

/// A build that is under way.
pub(crate) struct Rehearsal {
    handle: MasterHandle,
    stop: CancellationToken,
    builder: BuilderName,
}

impl Rehearsal {
    /// Puts the master up, takes the slave in that speaks on the line, and asks for the build.
    ///
    /// # Errors
    /// What a master says that cannot start.
    pub(crate) async fn begin<R, W>(piece: Piece, read: R, write: W) -> Result<Self, StartError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let stop = CancellationToken::new();
        let files = Files {
            sent: piece.sent,
            received: piece.received,
        };
        let pages = Arc::new(NoPages);
        let handle = stand(&piece.dir, piece.plan, Some(files), pages, &stop).await?;
        let crew = Arc::clone(handle.crew());
        let password = piece.password;
        let serving = async move {
            let password_of = |_: &str| Some(password.clone());
            let (reader, writer) = (FrameReader::new(read), FrameWriter::new(write));
            slaves::serve(&crew, "this process", reader, writer, password_of).await;
        };
        handle.crew().supervise("slave line".into(), serving);
        let wanted = NewBuildset {
            reason: "autobot run".into(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            priority: None,
            builders: vec![piece.builder.clone()],
        };
        let store = &handle.crew().store;
        let requests = store
            .write(move |verbs| {
                let (id, _) = verbs.add_buildset(&wanted, clock::now())?;
                verbs.requests_of(id)
            })
            .await?;
        handle.crew().taken_in(requests.into()).await;
        Ok(Self {
            handle,
            stop,
            builder: piece.builder,
        })
    }

    /// Hears what happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Status>> {
        self.handle.subscribe()
    }

    /// The build and its steps as they stand; `None` while it has not begun.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) async fn look(&self) -> Result<Option<(BuildRecord, Vec<StepRecord>)>, StoreError> {
        let builder = self.builder.clone();
        let reading = self.handle.store().read(move |verbs| {
            let Some(build) = verbs.build(&builder, 0)? else {
                return Ok(None);
            };
            let steps = verbs.steps(build.id)?;
            Ok(Some((build, steps)))
        });
        reading.await
    }

    /// Where a log is.
    pub(crate) fn log(&self, file: &str) -> PathBuf {
        self.handle.basedir().join("builds").join(file)
    }

    /// Stops the build as a person does: steps that always run still do.
    pub(crate) fn interrupt(&self, reason: &str) {
        for live in self.handle.crew().live().values() {
            live.stop.send_replace(Some(reason.to_owned()));
        }
    }

    /// Ends the command that runs, whatever step it is of.
    pub(crate) async fn kill(&self, reason: &str) {
        let open: Vec<_> = {
            let live = self.handle.crew().live();
            let open = live.values();
            open.filter_map(|it| Some((it.slave.clone(), it.open?, it.lease)))
                .collect()
        };
        for (slave, id, lease) in open {
            if let Some(session) = self.handle.crew().slaves.session(&slave) {
                let why = reason.to_owned();
                session.say(FromMaster::Interrupt { id, lease, why }).await;
            }
        }
    }

    /// Ends the master, whose build is over.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let tasks = &self.handle.crew().tasks;
        tasks.close();
        // What does not end in time ends with the process.
        let _ = time::timeout(GRACE, tasks.wait()).await;
    }
}

/// A word that nobody else knows.
///
/// # Errors
/// There are no random numbers.
pub(crate) fn password() -> Result<String, String> {
    super::launch_local::password()
}
