//! Who knocks at a hook is let in here: what it says is in the store before it is answered.

use serde_json::Value as Json;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tracing::info;
use tracing::warn;

use crate::changes::hooks::HookSettings;
use crate::changes::hooks::Knock;
use crate::changes::hooks::Refused;
use crate::changes::hooks::Said;
use crate::clock;
use crate::master::Access;
use crate::master::handle::MasterHandle;
use crate::model::NewChange;
use crate::model::hex;
use crate::store::StoreError;

/// So many of the last requests that were let in are known again, if somebody sends them a second time.
const REMEMBERED: usize = 1000;

/// The hook at which the owner of the base directory needs no secret.
const OWNERS: &str = "base";

/// Why a knock leads to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnockError {
    #[error("the configuration has no hooks")]
    NoHooks,
    #[error("there is no hook `{0}`; its source would be `[source:{0}]`")]
    Unknown(String),
    #[error("this port only shows: a hook without a secret is not open here")]
    ReadOnly,
    #[error("the secret of this hook cannot be read; the log of the master says why")]
    NoSecret,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MasterHandle {
    /// Takes in what is said at the hook `name`; `true` if there was something new. On a port
    /// that only shows, a hook without a secret is closed; the owner needs no hook to tell of a change.
    pub(crate) async fn knock(
        &self,
        name: &str,
        knock: Knock,
        access: Access,
    ) -> Result<bool, KnockError> {
        if access == Access::Owner && name == OWNERS {
            let said = HookSettings::of_owner().read_knock(&knock, &[])?;
            return match said {
                Said::Changes(changes) => Ok(self.keep(OWNERS, changes, None).await?),
                Said::Look(_) => Ok(false),
            };
        }
        let plan = self.plan();
        let mut hooks = plan
            .sources
            .iter()
            .filter_map(|it| Some((&it.name, it.settings.hook()?)));
        let found = hooks.clone().find(|(it, _)| *it == name);
        let Some((_, hook)) = found else {
            let unknown = KnockError::Unknown(name.escape_debug().to_string());
            return Err(hooks.next().map_or(KnockError::NoHooks, |_| unknown));
        };
        match &hook.secret {
            None if access != Access::ReadOnly => {}
            None => return Err(KnockError::ReadOnly),
            Some(secret) => {
                let secret = secret.reveal(&plan.secrets).map_err(|error| {
                    warn!(source = name, reason = %error, "the secret of a hook cannot be read");
                    KnockError::NoSecret
                })?;
                hook.check(&secret, &knock).inspect_err(|refused| {
                    info!(source = name, reason = %refused, "somebody knocked who may not");
                })?;
            }
        }
        let known = plan
            .sources
            .iter()
            .filter_map(|it| it.settings.repository());
        let known: Vec<String> = known.map(str::to_owned).collect();
        let said = hook.read_knock(&knock, &known).inspect_err(|refused| {
            self.report(name, Err(format!("what was sent is refused: {refused}")));
        })?;
        match said {
            Said::Look(sources) => Ok(self.crew().wake_sources(&sources)),
            Said::Changes(changes) if changes.is_empty() => {
                self.report(name, Ok(()));
                Ok(false)
            }
            Said::Changes(changes) => {
                let digest = hook.secret.as_ref().map(|_| Sha256::digest(&knock.body));
                let digest = digest.map(|it| hex(&it));
                let is_new = self.keep(name, changes, digest).await?;
                self.report(name, Ok(()));
                Ok(is_new)
            }
        }
    }

    /// Keeps the changes, unless the same request was let in before.
    pub(super) async fn keep(
        &self,
        name: &str,
        changes: Vec<NewChange>,
        digest: Option<String>,
    ) -> Result<bool, StoreError> {
        let object = format!("source {name}");
        let kept = self.store().write(move |verbs| {
            if let Some(digest) = &digest {
                let state = verbs.state(&object)?;
                let mut seen = match &state["seen"] {
                    Json::Array(seen) => seen.clone(),
                    _ => Vec::new(),
                };
                if seen.iter().any(|it| it == digest) {
                    return Ok(Vec::new());
                }
                let more = (seen.len() + 1).saturating_sub(REMEMBERED);
                seen.drain(..more);
                seen.push(json!(digest));
                verbs.save_state(&object, &json!({ "seen": seen }))?;
            }
            let now = clock::now();
            let mut ids = Vec::new();
            for change in &changes {
                ids.extend(verbs.add_change(change, now)?);
            }
            Ok(ids)
        });
        let ids = kept.await?;
        self.crew().changes_added(&ids);
        Ok(!ids.is_empty())
    }

    pub(super) fn report(&self, name: &str, health: Result<(), String>) {
        let now = clock::now();
        self.crew().note_source(name, |it| it.heard(health, now));
    }
}
