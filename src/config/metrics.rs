//! `[:metrics:]`: how often figures are taken and written down, and how many builders they tell apart.

use std::time::Duration;

use crate::syntax::Keys;

/// How often figures are taken and written down; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricsPlan {
    pub(crate) log_interval: Option<Duration>,
    pub(crate) periodic_interval: Option<Duration>,
    /// Builders that have figures of their own; the others share theirs.
    pub(crate) max_builders: u32,
}

impl Default for MetricsPlan {
    fn default() -> Self {
        Self {
            log_interval: Some(Duration::from_mins(1)),
            periodic_interval: Some(Duration::from_secs(10)),
            max_builders: 200,
        }
    }
}

/// Reads the section; without one, nothing is written down.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<MetricsPlan> {
    let usual = MetricsPlan::default();
    let log_interval = keys.or("log_interval", usual.log_interval);
    let periodic_interval = keys.or("periodic_interval", usual.periodic_interval);
    let max_builders = keys.or("max_builders", usual.max_builders);
    let ever = |it: Option<Duration>| it.filter(|it| !it.is_zero());
    Some(MetricsPlan {
        log_interval: ever(log_interval?),
        periodic_interval: ever(periodic_interval?),
        max_builders: max_builders?,
    })
}
