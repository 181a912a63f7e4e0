//! A whole master without ports, which can be killed.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::MasterHandle;
use super::assemble::{StartError, put_together};
use super::handle::{Denied, Force};
use super::pages::{Access, Door, Pages};
use super::slaves;
use super::welcome;
use crate::clock;
use crate::model::ChangeId;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::RequestId;
use crate::store;
use crate::store::StoreError;
use crate::wire::native::{FrameReader, FrameWriter};

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

/// A master that runs.
#[derive(Clone)]
pub(crate) struct PlayedMaster {
    handle: MasterHandle,
    stop: CancellationToken,
}

impl PlayedMaster {
    /// Starts the master in `dir`.
    ///
    /// # Errors
    /// What a master says that cannot start.
    pub(crate) async fn start(dir: &Path) -> Result<Self, StartError> {
        Self::start_with(dir, Arc::new(NoPages)).await
    }

    /// The same with pages.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn start_with(dir: &Path, pages: Arc<dyn Pages>) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let handle = put_together(dir, pages, &stop).await?;
        Ok(Self { handle, stop })
    }

    /// Tells every task to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(crate) const fn handle(&self) -> &MasterHandle {
        &self.handle
    }

    /// Cuts it off wherever it is.
    pub(crate) async fn kill(self) {
        store::bench::kill_writers();
        self.stop.cancel();
        let tasks = &self.handle.crew().tasks;
        tasks.close();
        tasks.wait().await;
    }

    /// Takes a slave in that has dialled.
    pub(crate) fn answer<R, W>(&self, read: R, write: W)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let crew = Arc::clone(self.handle.crew());
        self.handle
            .crew()
            .supervise("slave line".into(), async move {
                let password_of = |name: &str| welcome::password_of(&crew, name);
                let (reader, writer) = (FrameReader::new(read), FrameWriter::new(write));
                slaves::serve(&crew, "the bench", reader, writer, password_of).await;
            });
    }

    /// Asks for a build of nothing in particular.
    ///
    /// # Errors
    /// There is no such builder, or the request is not kept.
    pub(crate) async fn force(&self, builder: &str) -> Result<RequestId, Denied> {
        Ok(self.handle.force(plain_force(builder)).await?.1)
    }

    /// Takes a change in as a poller does.
    ///
    /// # Errors
    /// It is not kept.
    pub(crate) async fn add_change(&self, change: NewChange) -> Result<ChangeId, StoreError> {
        let crew = self.handle.crew();
        let added = crew
            .store
            .write(move |verbs| verbs.add_change(&change, clock::now()));
        let id = added
            .await?
            .ok_or_else(|| StoreError::new("it is known already"))?;
        crew.changes_added(&[id]);
        Ok(id)
    }
}

/// What asks for a build of nothing in particular.
pub(super) fn plain_force(builder: &str) -> Force {
    Force {
        priority: None,
        act: None,
        builder: builder.into(),
        branch: None,
        revision: None,
        repository: String::new(),
        project: String::new(),
        reason: String::new(),
        properties: Properties::new(),
        parameters: Vec::new(),
        owner: None,
    }
}
