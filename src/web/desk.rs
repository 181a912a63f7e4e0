//! What the pages need of a master: a port, so that they can be tried without one.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};

use crate::changes::hooks::Knock;
use crate::config::Plan;
use crate::master::Access;
use crate::master::MasterHandle;
use crate::master::again::Rebuild;
use crate::master::figures::FiguresView;
use crate::master::handle::Denied;
use crate::master::handle::Force;
use crate::master::handle::ShutdownView;
use crate::master::handle::SlaveView;
use crate::master::hooks::KnockError;
use crate::master::lock_view::LockView;
use crate::master::outlook::{Outlook, Scope, SlavesOf};
use crate::master::pauses::Pause;
use crate::master::ping::Pinged;
use crate::master::prune::Report;
use crate::master::source_view::SourceView;
use crate::master::tries::Tried;
use crate::master::tries::TryError;
use crate::master::tries::TryPass;
use crate::master::troubles::Trouble;
use crate::master::users::UserOrder;
use crate::master::users::UserReply;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ChangeId;
use crate::model::ConfigId;
use crate::model::RequestId;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Verbs: to read, run on a snapshot of the store; to write, as one transaction.
pub(super) type Verbs = Box<dyn FnOnce(&mut dyn Store) -> Result<(), StoreError> + Send>;

/// The master as the web sees it.
pub(super) trait Desk: Send + Sync {
    fn plan(&self) -> Arc<Plan>;
    fn basedir(&self) -> &Path;
    fn started(&self) -> Timestamp;
    /// The number of the configuration in force.
    fn config(&self) -> Option<ConfigId>;
    /// Since when the files on the disk have mistakes, so that an older configuration is in force.
    fn config_bad_since(&self) -> Option<Timestamp>;
    /// The disks that builds wait for.
    fn troubles(&self) -> Vec<Trouble>;
    /// Why the master is not ready; nothing if it is.
    fn reasons_not_ready(&self) -> Answer<'_, Vec<String>>;
    /// What the master counts of itself.
    fn figures(&self) -> Answer<'_, Result<FiguresView, StoreError>>;
    fn subscribe(&self) -> broadcast::Receiver<Arc<Status>>;
    fn slaves(&self) -> Vec<SlaveView>;
    fn sources(&self) -> Vec<SourceView>;
    fn read(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>>;
    /// Writes what is the web's own: who is let in, and what was done.
    fn write(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>>;
    /// The same before what is written next, or soon; nobody waits for it.
    fn write_behind(&self, verbs: Verbs);
    /// When a scheduler does something by its own plan, if it has one.
    fn next_of(&self, scheduler: &SchedulerName) -> Option<Timestamp>;
    fn locks(&self) -> Answer<'_, Vec<LockView>>;
    /// See [`MasterHandle::users`].
    fn users(&self, order: UserOrder) -> Answer<'_, Result<UserReply, Denied>>;
    /// See [`MasterHandle::prune`].
    fn prune(&self, dry_run: bool) -> Answer<'_, Result<Report, StoreError>>;
    /// How long what runs still takes, and when and why what waits does.
    fn outlook(&self, scope: Scope) -> Answer<'_, Result<Outlook, StoreError>>;
    /// Whether a build runs.
    fn runs(&self, build: &BuildKey) -> bool;
    /// What each slave of a builder says to its next build.
    fn slaves_of<'a>(&'a self, builder: &'a BuilderName) -> Answer<'a, SlavesOf>;
    fn force(&self, force: Force) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>>;
    fn stop_build<'a>(
        &'a self,
        build: &'a BuildKey,
        reason: &'a str,
    ) -> Answer<'a, Result<(), Denied>>;
    fn stop_builds<'a>(
        &'a self,
        of: Option<&'a [BuilderName]>,
        reason: &'a str,
    ) -> Answer<'a, Result<Vec<BuildKey>, Denied>>;
    /// See [`MasterHandle::ping`].
    fn ping(&self, builder: &BuilderName) -> Result<oneshot::Receiver<Pinged>, Denied>;
    fn rebuild(&self, rebuild: Rebuild) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>>;
    fn cancel_request<'a>(
        &'a self,
        request: RequestId,
        why: &'a str,
    ) -> Answer<'a, Result<(), Denied>>;
    /// Cancels what waits of a change.
    fn cancel_change<'a>(
        &'a self,
        change: ChangeId,
        builder: Option<&'a BuilderName>,
        why: &'a str,
    ) -> Answer<'a, Result<Vec<RequestId>, Denied>>;
    fn pause<'a>(
        &'a self,
        slave: &'a SlaveName,
        by: Option<&'a str>,
        reason: Option<&'a str>,
    ) -> Answer<'a, Result<Pause, Denied>>;
    fn unpause<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>>;
    fn shut_down<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>>;
    /// The clean shutdown of the master that is under way.
    fn shutdown(&self) -> Option<ShutdownView>;
    fn begin_shutdown<'a>(&'a self, by: Option<&'a str>) -> Answer<'a, Result<(), Denied>>;
    fn cancel_shutdown(&self) -> Answer<'_, bool>;
    fn reload(&self) -> Answer<'_, Result<String, String>>;
    /// Lets who says this in `Authorization` try something with a scheduler.
    fn let_try(
        &self,
        scheduler: &str,
        said: Option<&str>,
        access: Access,
    ) -> Result<TryPass, TryError>;
    /// The same for who has shown a token.
    fn let_known_try(
        &self,
        scheduler: &str,
        user: &str,
        access: Access,
    ) -> Result<TryPass, TryError>;
    /// The builders that there are for it.
    fn trying(&self, pass: &TryPass) -> Result<Vec<BuilderName>, TryError>;
    fn try_job(&self, pass: TryPass, bytes: Vec<u8>) -> Answer<'_, Result<Tried, TryError>>;
    /// See [`MasterHandle::knock`].
    fn knock<'a>(
        &'a self,
        name: &'a str,
        knock: Knock,
        access: Access,
    ) -> Answer<'a, Result<bool, KnockError>>;
}

impl Desk for MasterHandle {
    fn plan(&self) -> Arc<Plan> {
        MasterHandle::plan(self)
    }

    fn basedir(&self) -> &Path {
        MasterHandle::basedir(self)
    }

    fn started(&self) -> Timestamp {
        MasterHandle::started(self)
    }

    fn config(&self) -> Option<ConfigId> {
        MasterHandle::config(self)
    }

    fn config_bad_since(&self) -> Option<Timestamp> {
        MasterHandle::config_bad_since(self)
    }

    fn troubles(&self) -> Vec<Trouble> {
        MasterHandle::troubles(self)
    }

    fn reasons_not_ready(&self) -> Answer<'_, Vec<String>> {
        Box::pin(MasterHandle::reasons_not_ready(self))
    }

    fn figures(&self) -> Answer<'_, Result<FiguresView, StoreError>> {
        Box::pin(MasterHandle::figures(self))
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<Status>> {
        MasterHandle::subscribe(self)
    }

    fn slaves(&self) -> Vec<SlaveView> {
        MasterHandle::slaves(self)
    }

    fn sources(&self) -> Vec<SourceView> {
        MasterHandle::sources(self)
    }

    fn read(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>> {
        Box::pin(self.store().read(verbs))
    }

    fn write(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>> {
        Box::pin(self.store().write(verbs))
    }

    fn write_behind(&self, verbs: Verbs) {
        self.store().write_behind(verbs);
    }

    fn next_of(&self, scheduler: &SchedulerName) -> Option<Timestamp> {
        MasterHandle::next_of(self, scheduler)
    }

    fn outlook(&self, scope: Scope) -> Answer<'_, Result<Outlook, StoreError>> {
        Box::pin(MasterHandle::outlook(self, scope))
    }

    fn runs(&self, build: &BuildKey) -> bool {
        MasterHandle::runs(self, build)
    }

    fn slaves_of<'a>(&'a self, builder: &'a BuilderName) -> Answer<'a, SlavesOf> {
        Box::pin(MasterHandle::slaves_of(self, builder))
    }

    fn locks(&self) -> Answer<'_, Vec<LockView>> {
        Box::pin(MasterHandle::locks(self))
    }

    fn users(&self, order: UserOrder) -> Answer<'_, Result<UserReply, Denied>> {
        Box::pin(MasterHandle::users(self, order))
    }

    fn prune(&self, dry_run: bool) -> Answer<'_, Result<Report, StoreError>> {
        Box::pin(MasterHandle::prune(self, dry_run))
    }

    fn force(&self, force: Force) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>> {
        Box::pin(MasterHandle::force(self, force))
    }

    fn stop_build<'a>(
        &'a self,
        build: &'a BuildKey,
        reason: &'a str,
    ) -> Answer<'a, Result<(), Denied>> {
        Box::pin(MasterHandle::stop_build(self, build, reason))
    }

    fn stop_builds<'a>(
        &'a self,
        of: Option<&'a [BuilderName]>,
        reason: &'a str,
    ) -> Answer<'a, Result<Vec<BuildKey>, Denied>> {
        Box::pin(MasterHandle::stop_builds(self, of, reason))
    }

    fn ping(&self, builder: &BuilderName) -> Result<oneshot::Receiver<Pinged>, Denied> {
        MasterHandle::ping(self, builder)
    }

    fn rebuild(&self, rebuild: Rebuild) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>> {
        Box::pin(MasterHandle::rebuild(self, rebuild))
    }

    fn cancel_request<'a>(
        &'a self,
        request: RequestId,
        why: &'a str,
    ) -> Answer<'a, Result<(), Denied>> {
        Box::pin(MasterHandle::cancel_request(self, request, why))
    }

    fn cancel_change<'a>(
        &'a self,
        change: ChangeId,
        builder: Option<&'a BuilderName>,
        why: &'a str,
    ) -> Answer<'a, Result<Vec<RequestId>, Denied>> {
        Box::pin(MasterHandle::cancel_change(self, change, builder, why))
    }

    fn pause<'a>(
        &'a self,
        slave: &'a SlaveName,
        by: Option<&'a str>,
        reason: Option<&'a str>,
    ) -> Answer<'a, Result<Pause, Denied>> {
        Box::pin(MasterHandle::pause(self, slave, by, reason))
    }

    fn unpause<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>> {
        Box::pin(MasterHandle::unpause(self, slave))
    }

    fn shut_down<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>> {
        Box::pin(MasterHandle::shut_down(self, slave))
    }

    fn shutdown(&self) -> Option<ShutdownView> {
        MasterHandle::shutdown(self)
    }

    fn begin_shutdown<'a>(&'a self, by: Option<&'a str>) -> Answer<'a, Result<(), Denied>> {
        Box::pin(MasterHandle::begin_shutdown(self, by))
    }

    fn cancel_shutdown(&self) -> Answer<'_, bool> {
        Box::pin(MasterHandle::cancel_shutdown(self))
    }

    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(MasterHandle::reload(self))
    }

    fn let_try(
        &self,
        scheduler: &str,
        said: Option<&str>,
        access: Access,
    ) -> Result<TryPass, TryError> {
        MasterHandle::let_try(self, scheduler, said, access)
    }

    fn let_known_try(
        &self,
        scheduler: &str,
        user: &str,
        access: Access,
    ) -> Result<TryPass, TryError> {
        MasterHandle::let_known_try(self, scheduler, user, access)
    }

    fn trying(&self, pass: &TryPass) -> Result<Vec<BuilderName>, TryError> {
        MasterHandle::trying(self, pass)
    }

    fn try_job(&self, pass: TryPass, bytes: Vec<u8>) -> Answer<'_, Result<Tried, TryError>> {
        Box::pin(MasterHandle::try_job(self, pass, bytes))
    }

    fn knock<'a>(
        &'a self,
        name: &'a str,
        knock: Knock,
        access: Access,
    ) -> Answer<'a, Result<bool, KnockError>> {
        Box::pin(MasterHandle::knock(self, name, knock, access))
    }
}
