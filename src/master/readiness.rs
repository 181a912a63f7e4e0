//! Whether the master does its work, for who sends visitors or restarts it: the store takes what
//! is written, the configuration on the disk is the one in force, and it is not about to end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::{self, Instant};

use crate::clock;
use crate::master::handle::MasterHandle;

/// Whoever asks more often hears what was found the last time.
const FRESH: Duration = Duration::from_secs(5);
/// How long the store may take to write a word.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found the last time.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    store: Mutex<Option<(Instant, Option<String>)>>,
    asking: tokio::sync::Mutex<()>,
}

impl Readiness {
    fn known(&self) -> Option<Option<String>> {
        let known = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH);
        fresh.map(|(_, found)| found.clone())
    }
}

impl MasterHandle {
    /// Why the master is not ready; nothing if it is.
    pub(crate) async fn reasons_not_ready(&self) -> Vec<String> {
        let crew = self.crew();
        let mut reasons = Vec::new();
        if crew.stop.is_cancelled() {
            reasons.push("the master stops".into());
        }
        if self.config().is_none() {
            reasons.push("the master is starting".into());
        }
        if self.shutdown().is_some() {
            reasons.push("the master shuts down when its builds are done".into());
        }
        if self.config_bad_since().is_some() {
            reasons.push(
                "the configuration on the disk has mistakes; an older one is in force".into(),
            );
        }
        // What is wrong with a slave's disk keeps the master from nothing.
        reasons.extend(
            self.troubles()
                .iter()
                .filter(|it| it.place.is_here())
                .map(|it| it.place.to_string()),
        );
        reasons.extend(self.store_trouble().await);
        reasons
    }

    /// What keeps the store from writing a word.
    async fn store_trouble(&self) -> Option<String> {
        let crew = self.crew();
        if let Some(known) = crew.readiness.known() {
            return known;
        }
        let _asking = crew.readiness.asking.lock().await;
        if let Some(known) = crew.readiness.known() {
            return known;
        }
        let now = json!(clock::now().0);
        let wrote = crew
            .store
            .write(move |verbs| verbs.save_state("probe", &now));
        let found = match time::timeout(PATIENCE, wrote).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) => Some("the store cannot be written".to_owned()),
            Err(_) => Some("the store takes too long".to_owned()),
        };
        let mut known = crew
            .readiness
            .store
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), found.clone()));
        found
    }
}
