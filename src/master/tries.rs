//! Who tries something over the web is let in here, by the name and the password that a
//! `try_userpass` scheduler has for them.

use std::sync::Arc;

use tracing::{info, warn};

use crate::config::{Plan, SchedulerPlan};
use crate::master::Access;
use crate::master::handle::MasterHandle;
use crate::master::intake::{Asker, Full, take_in};
use crate::master::ports::properties_of;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::NewBuildset;
use crate::model::RequestId;
use crate::model::SchedulerName;
use crate::schedulers::{BadJob, Job, TryUserpass};
use crate::secrets::{Login, is_same};
use crate::store::StoreError;

/// That somebody may send jobs to a scheduler.
#[derive(Clone, Debug)]
pub(crate) struct TryPass {
    scheduler: SchedulerName,
    /// For the log.
    user: String,
}

impl TryPass {
    /// Of somebody whose password has been looked at.
    pub(crate) fn of(scheduler: &str, user: &str) -> Self {
        Self {
            scheduler: scheduler.into(),
            user: user.to_owned(),
        }
    }
}

/// What was made of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) buildset: BuildsetId,
    pub(crate) requests: Vec<(RequestId, BuilderName)>,
}

/// Why nothing is tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TryError {
    #[error("there is no scheduler of type `try_userpass` with the name `{0}`")]
    NoScheduler(String),
    #[error("this port only shows: builds are tried elsewhere")]
    ReadOnly,
    #[error("the name or the password is wrong")]
    Login,
    #[error("`{0}` is nobody whom the scheduler lets try something: `userpass.NAME` says who may")]
    Stranger(String),
    #[error("the password of this name cannot be read; the log of the master says why")]
    NoSecret,
    #[error("the job is not built: {0}")]
    Job(#[from] BadJob),
    #[error("the job is not built: {0}")]
    Full(#[from] Full),
    #[error("the job cannot be kept: {0}")]
    Store(#[from] StoreError),
}

/// The scheduler, and who may send it jobs.
fn scheduler<'a>(
    plan: &'a Plan,
    name: &str,
) -> Result<(&'a Arc<SchedulerPlan>, &'a TryUserpass), TryError> {
    let mut all = plan.schedulers.iter();
    let found = all.find_map(|it| {
        let userpass = it.settings.as_userpass()?;
        (it.name.as_str() == name).then_some((it, userpass))
    });
    found.ok_or_else(|| TryError::NoScheduler(name.escape_debug().to_string()))
}

impl MasterHandle {
    /// Lets in who says this in `Authorization`. The owner of the base directory needs no password.
    pub(crate) fn let_try(
        &self,
        name: &str,
        said: Option<&str>,
        access: Access,
    ) -> Result<TryPass, TryError> {
        let plan = self.plan();
        let (scheduler, userpass) = scheduler(&plan, name)?;
        let pass = |user: &str| TryPass {
            scheduler: scheduler.name.clone(),
            user: user.to_owned(),
        };
        let login = match (access, said) {
            (Access::ReadOnly, _) => return Err(TryError::ReadOnly),
            (Access::Owner, None) => return Ok(pass("the owner")),
            (_, said) => said.and_then(Login::of_header).ok_or(TryError::Login)?,
        };
        let password = match userpass.users.get(&login.user) {
            Some(password) => Some(password.reveal(&plan.secrets).map_err(|error| {
                warn!(scheduler = name, reason = %error, "the password of who may try cannot be read");
                TryError::NoSecret
            })?),
            None => None,
        };
        // One compares as long as the other.
        let is_right = is_same(password.as_deref().unwrap_or_default(), &login.password);
        if password.is_some() && is_right {
            return Ok(pass(&login.user));
        }
        info!(scheduler = name, user = %login.user.escape_debug(), "somebody tried who may not");
        Err(TryError::Login)
    }

    /// Lets in somebody who has shown a token: whoever is named in the scheduler.
    pub(crate) fn let_known_try(
        &self,
        name: &str,
        user: &str,
        access: Access,
    ) -> Result<TryPass, TryError> {
        let plan = self.plan();
        let (scheduler, userpass) = scheduler(&plan, name)?;
        if access == Access::ReadOnly {
            return Err(TryError::ReadOnly);
        }
        match userpass.users.contains_key(user) {
            true => Ok(TryPass {
                scheduler: scheduler.name.clone(),
                user: user.to_owned(),
            }),
            false => {
                info!(scheduler = name, user = %user.escape_debug(), "somebody tried who may not");
                Err(TryError::Stranger(user.escape_debug().to_string()))
            }
        }
    }

    /// The builders that may try something, in the order of the configuration.
    pub(crate) fn trying(&self, pass: &TryPass) -> Result<Vec<BuilderName>, TryError> {
        let plan = self.plan();
        let (scheduler, _) = scheduler(&plan, pass.scheduler.as_str())?;
        Ok(scheduler.builders.clone())
    }

    /// Reads a job as it was sent, and asks for its builds.
    pub(crate) async fn try_job(&self, pass: TryPass, bytes: Vec<u8>) -> Result<Tried, TryError> {
        let plan = self.plan();
        scheduler(&plan, pass.scheduler.as_str())?;
        let job = Job::of_request(&bytes)?;
        drop(bytes);
        self.ask_for(&pass, job).await
    }

    /// Asks for the builds of a job.
    pub(crate) async fn ask_for(&self, pass: &TryPass, job: Job) -> Result<Tried, TryError> {
        let plan = self.plan();
        let (scheduler, _) = scheduler(&plan, pass.scheduler.as_str())?;
        let mut properties = job.properties.clone();
        properties.overlay(&scheduler.properties);
        let wanted = NewBuildset {
            reason: job.reason(true),
            builders: job.choose(&scheduler.builders)?,
            properties: properties_of(&scheduler.name, properties),
            stamp: job.stamp,
            priority: scheduler.queue.priority,
        };
        let id = job.id;
        let in_force = Arc::clone(&plan);
        let made = self.store().write(move |verbs| {
            let intake = match take_in(verbs, &in_force, &wanted, Asker::Person)? {
                Ok(intake) => intake,
                Err(full) => return Ok(Err(full)),
            };
            if let (Some(buildset), Some(id)) = (intake.buildset, &id) {
                verbs.put_external_id(buildset, id)?;
            }
            Ok(Ok(intake))
        });
        let intake = made.await??;
        let (buildset, _) = intake.made()?;
        info!(scheduler = %scheduler.name, user = %pass.user.escape_debug(), %buildset, "a try job came");
        let tried = Tried {
            buildset,
            requests: intake
                .requests
                .iter()
                .map(|it| (it.id, it.builder.clone()))
                .collect(),
        };
        self.crew().taken_in(intake).await;
        Ok(tried)
    }
}

#[cfg(test)]
#[path = "tries_tests.rs"]
mod tests;
