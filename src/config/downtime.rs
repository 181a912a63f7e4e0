//! `downtime` of a slave: when it is planned that it takes no builds.

use crate::model::Timestamp;
use crate::schedulers::Windows;
use crate::schedulers::Zone;
use crate::syntax::Keys;

/// When a slave takes no new builds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Downtime {
    windows: Windows,
    /// The master's own where none is named.
    zone: Option<Zone>,
}

impl Downtime {
    /// Reads the keys of a slave's section that say so.
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let windows = keys.or("downtime", Windows::default());
        let zone = keys.optional::<Zone>("time_zone");
        if windows.as_ref().is_some_and(Windows::is_empty) {
            keys.without_effect("time_zone", "only `downtime` is of a time zone");
        }
        let (windows, zone) = (windows?, zone?);
        Some(Self { windows, zone })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// As the file says it.
    pub(crate) fn said(&self) -> &[String] {
        self.windows.said()
    }

    pub(crate) fn zone_name(&self) -> Option<&str> {
        self.zone.as_ref().and_then(Zone::name)
    }

    /// Until when it lasts; `None` if there is none at `now`. The master's clock hangs in `own`.
    pub(crate) fn until(&self, now: Timestamp, own: &Zone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(own);
        self.windows.until(now, zone.as_zone())
    }

    /// When that may be otherwise than at `now`.
    pub(crate) fn next_edge(&self, now: Timestamp, own: &Zone) -> Timestamp {
        let zone = self.zone.as_ref().unwrap_or(own);
        self.windows.next_edge(now, zone.as_zone())
    }

    /// `planned downtime until 2026-11-22 04:00 (Europe/Berlin)`.
    pub(crate) fn words(&self, until: Timestamp, own: &Zone) -> String {
        let zone = self.zone.as_ref().unwrap_or(own);
        format!("planned downtime until {}", zone.shows(until))
    }
}
