//! A clean shutdown of the master: it begins no builds any more, and ends after
//! the last one. It is a wish to this run only, so that a master that is killed
//! meanwhile starts as ever.

use std::fmt;

use tokio::sync::oneshot;
use tracing::info;

use crate::clock;
use crate::master::core::{Core, Event};
use crate::master::crew::{Crew, ToCore};
use crate::model::Status;
use crate::model::Timestamp;

/// That the master ends when its builds are done, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CleanShutdown {
    pub(crate) since: Timestamp,
    pub(crate) by: Option<String>,
}

impl fmt::Display for CleanShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = clock::iso(self.since);
        write!(
            f,
            "the master shuts down when its builds are done, asked for at {since}"
        )?;
        self.by.iter().try_for_each(|by| write!(f, " by {by}"))
    }
}

/// What is to be done about a clean shutdown.
#[derive(Debug)]
pub(crate) enum Wish {
    /// One that is under way already stays as it is.
    Begin(CleanShutdown),
    Cancel,
}

impl Crew {
    /// Has the core begin a clean shutdown or end it, which holds from the answer on: `false` if
    /// nothing is different now.
    pub(super) async fn wish_shutdown(&self, wish: Wish) -> bool {
        let (tell, told) = oneshot::channel();
        self.say_to_core(ToCore::Shutdown { wish, tell }).await;
        told.await.unwrap_or(false)
    }

    /// Has the pages know what the core knows.
    pub(super) fn show_shutdown(&self, core: &Core) {
        let now = core.shutdown();
        if self.shutdown().as_ref() == now {
            return;
        }
        match now {
            Some(it) => info!("{it}"),
            None => info!("the clean shutdown is cancelled"),
        }
        self.set_shutdown(now.cloned());
        self.tell(Status::ShutdownChanged);
    }
}

impl From<Wish> for Event {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Begin(it) => Self::ShutdownBegun(it),
            Wish::Cancel => Self::ShutdownCancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_says_since_when_and_by_whom_as_far_as_that_is_known() {
        let (since, by) = (Timestamp(0), Some("ann".to_owned()));
        let begins = format!(
            "the master shuts down when its builds are done, asked for at {}",
            clock::iso(since)
        );
        let named = CleanShutdown { since, by };
        assert_eq!(named.to_string(), format!("{begins} by ann"));
        let nobody = CleanShutdown { since, by: None };
        assert_eq!(nobody.to_string(), begins);
    }
}
