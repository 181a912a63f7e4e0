//! Slaves that take no new builds because somebody said so. It holds until
//! somebody says otherwise: it is in the store, and read before the first build.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::clock;
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

/// Under which the store keeps all of it.
const OBJECT: &str = "paused slaves";

/// That a slave takes no new builds, and who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    pub(crate) since: Timestamp,
    #[serde(default)]
    pub(crate) by: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The longest name and the longest reason, in characters.
pub(super) const NAME: usize = 100;
const REASON: usize = 1000;

impl Pause {
    /// Makes one line of each text; an empty one counts as none.
    ///
    /// # Errors
    /// A text is too long.
    pub(super) fn new(
        since: Timestamp,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Self, String> {
        let by = line("name", by, NAME)?;
        let reason = line("reason", reason, REASON)?;
        Ok(Self { since, by, reason })
    }
}

pub(super) fn line(what: &str, text: Option<&str>, most: usize) -> Result<Option<String>, String> {
    let text: String = text
        .unwrap_or_default()
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let text = text.trim();
    if text.chars().count() > most {
        return Err(format!("the {what} is longer than {most} characters"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl fmt::Display for Pause {
    /// Continues a sentence that begins with the slave.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is paused since {}", clock::iso(self.since))?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// Every pause, also of slaves that the configuration does not have just now.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    all: Mutex<BTreeMap<SlaveName, Pause>>,
    /// Two who change something at once do so one after the other, in the store as elsewhere.
    turn: tokio::sync::Mutex<()>,
}

impl Pauses {
    pub(super) fn read(verbs: &mut dyn Store) -> Result<Self, StoreError> {
        let state = verbs.state(OBJECT)?;
        let all = match state {
            serde_json::Value::Null => BTreeMap::new(),
            state => read(state),
        };
        Ok(Self {
            all: Mutex::new(all),
            turn: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn of(&self, slave: &SlaveName) -> Option<Pause> {
        self.locked().get(slave).cloned()
    }

    pub(super) fn all(&self) -> BTreeMap<SlaveName, Pause> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<SlaveName, Pause>> {
        // The map is whole between statements.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(state: serde_json::Value) -> BTreeMap<SlaveName, Pause> {
    match serde_json::from_value::<BTreeMap<String, Pause>>(state) {
        Ok(all) => all
            .into_iter()
            .map(|(name, it)| (name.as_str().into(), it))
            .collect(),
        Err(error) => {
            // A newer version's, most likely.
            error!(reason = %error, "failed to read which slaves are paused; none is");
            BTreeMap::new()
        }
    }
}

impl Crew {
    /// Pauses a slave, or with `None` ends that; what the store cannot keep does not hold.
    /// `false` if it was not paused and stays so.
    pub(super) async fn set_pause(
        self: &Arc<Self>,
        slave: &SlaveName,
        pause: Option<Pause>,
    ) -> Result<bool, StoreError> {
        let crew = Arc::clone(self);
        let slave = slave.clone();
        // On a task of its own: who asked may go away between the store and the core.
        let setting = self.tasks.spawn(async move {
            let _turn = crew.pauses.turn.lock().await;
            let (name, wanted) = (slave.clone(), pause.clone());
            let written = crew
                .store
                .write(move |verbs| write_down(verbs, &name, wanted.as_ref()));
            if !written.await? {
                return Ok(false);
            }
            match &pause {
                Some(pause) => info!(%slave, "slave {pause}"),
                None => info!(%slave, "slave is not paused any more"),
            }
            {
                let mut all = crew.pauses.locked();
                match &pause {
                    Some(pause) => drop(all.insert(slave.clone(), pause.clone())),
                    None => drop(all.remove(&slave)),
                }
            }
            let told = Event::SlavePaused {
                slave: slave.clone(),
                pause,
            };
            crew.tell_core(told).await;
            crew.tell(Status::SlaveChanged { slave });
            Ok(true)
        });
        setting.await.unwrap_or(Ok(false))
    }
}

fn write_down(
    verbs: &mut dyn Store,
    slave: &SlaveName,
    pause: Option<&Pause>,
) -> Result<bool, StoreError> {
    let mut all = match verbs.state(OBJECT)? {
        serde_json::Value::Object(all) => all,
        _ => serde_json::Map::new(),
    };
    match pause.map(serde_json::to_value) {
        Some(Ok(pause)) => drop(all.insert(slave.to_string(), pause)),
        Some(Err(_)) | None => {
            if all.shift_remove(slave.as_str()).is_none() {
                return Ok(false);
            }
        }
    }
    verbs.save_state(OBJECT, &all.into())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreHandle;

    fn pause(by: Option<&str>, reason: Option<&str>) -> Pause {
        Pause {
            since: Timestamp(0),
            by: by.map(Into::into),
            reason: reason.map(Into::into),
        }
    }

    #[test]
    fn a_pause_says_since_when_by_whom_and_why_as_far_as_that_is_known() {
        let since = clock::iso(Timestamp(0));
        let check = |pause: Pause, rest: &str| {
            assert_eq!(pause.to_string(), format!("is paused since {since}{rest}"));
        };
        check(pause(Some("ann"), Some("new disk")), " by ann: new disk");
        check(pause(Some("ann"), None), " by ann");
        check(pause(None, Some("new disk")), ": new disk");
        check(pause(None, None), "");
    }

    #[test]
    fn words_from_outside_become_one_line_that_is_not_too_long() {
        let made = Pause::new(Timestamp(0), Some(" ann\n"), Some("a\nb\u{1b}[31m"));
        assert_eq!(made, Ok(pause(Some("ann"), Some("a b [31m"))));
        assert_eq!(
            Pause::new(Timestamp(0), Some("\n"), None),
            Ok(pause(None, None))
        );
        let long = "é".repeat(REASON);
        assert!(Pause::new(Timestamp(0), None, Some(&long)).is_ok());
        assert_eq!(
            Pause::new(Timestamp(0), None, Some(&(long + "é"))),
            Err("the reason is longer than 1000 characters".into())
        );
    }

    #[tokio::test]
    async fn pauses_are_in_the_store_until_they_are_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.sqlite");
        let s1 = SlaveName::from("s1");
        let why = pause(Some("ann"), Some("new disk"));

        let store = StoreHandle::open(&path).expect("a store");
        let (name, wanted) = (s1.clone(), why.clone());
        let written = store.write(move |verbs| {
            let kept = write_down(verbs, &name, Some(&wanted))?;
            let other = write_down(verbs, &"s2".into(), Some(&pause(None, None)))?;
            Ok((kept, other))
        });
        assert_eq!(written.await.expect("written"), (true, true));
        drop(store);

        let store = StoreHandle::open(&path).expect("a store");
        let read = store.read(Pauses::read).await.expect("read");
        assert_eq!(read.of(&s1), Some(why));
        let name = s1.clone();
        let ended = store.write(move |verbs| {
            let first = write_down(verbs, &name, None)?;
            Ok((first, write_down(verbs, &name, None)?))
        });
        assert_eq!(ended.await.expect("written"), (true, false));
        let read = store.read(Pauses::read).await.expect("read");
        assert_eq!(read.of(&s1), None);
        assert_eq!(read.all().len(), 1);
    }
}
