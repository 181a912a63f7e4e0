//! How a step's `stdio` grows: its length, and when it was how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Pace;
use crate::model::PaceMeter;

/// The growth of one log.
#[derive(Debug, Default)]
pub(super) struct Growth {
    length: u64,
    /// `None` for a step that began in an earlier run of the master: when it said what was
    /// there then is not known.
    measured: Option<(Instant, PaceMeter)>,
}

impl Growth {
    /// A log that begins to grow now.
    pub(super) fn begin() -> Self {
        Self {
            length: 0,
            measured: Some((Instant::now(), PaceMeter::default())),
        }
    }

    /// Takes in how long the log is now.
    pub(super) fn look(&mut self, length: u64) {
        self.length = length;
        if let Some((since, meter)) = &mut self.measured {
            meter.look(since.elapsed(), length);
        }
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The pace of all of it, which took this long.
    pub(super) fn pace(&self, took: Duration) -> Option<Pace> {
        self.measured.as_ref()?.1.pace(took, self.length)
    }
}
