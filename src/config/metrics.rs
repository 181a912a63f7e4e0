//! `[:metrics:]`: how often figures are taken and written down.

use std::time::Duration;

use crate::syntax::Keys;

/// How often figures are taken and written down; `None` is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricsPlan {
    pub(crate) log_interval: Option<Duration>,
    pub(crate) periodic_interval: Option<Duration>,
}

/// Reads the section.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<MetricsPlan> {
    let log_interval = keys.or("log_interval", Some(Duration::from_mins(1)));
    let periodic_interval = keys.or("periodic_interval", Some(Duration::from_secs(10)));
    for key in ["log_interval", "periodic_interval"] {
        keys.without_effect(key, "this version takes no figures");
    }
    let ever = |it: Option<Duration>| it.filter(|it| !it.is_zero());
    Some(MetricsPlan {
        log_interval: ever(log_interval?),
        periodic_interval: ever(periodic_interval?),
    })
}
