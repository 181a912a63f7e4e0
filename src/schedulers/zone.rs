//! A time zone by its name.

use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Value;

/// Where a clock hangs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) fn as_zone(&self) -> &TimeZone {
        &self.0
    }

    /// `Europe/Berlin`; `None` if nothing but its rules is known.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    /// The time that the clock shows, and where it hangs: `2026-11-22 04:00 (Europe/Berlin)`.
    pub(crate) fn shows(&self, at: Timestamp) -> String {
        let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
        let time = self.0.to_datetime(moment);
        let place = self.name().unwrap_or("local time");
        format!("{} ({place})", time.strftime("%Y-%m-%d %H:%M"))
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Self(zone)
    }
}

impl Value for Zone {
    const EXPECTED: &'static str = "a time zone such as `Europe/Berlin` or `UTC`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let zone = TimeZone::get(node.as_text()?);
        zone.map(Self).map_err(|_| Misread::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_the_clock_of_the_zone_has_it() {
        let zone = Zone::from(TimeZone::get("Europe/Berlin").expect("a zone"));
        let at = Timestamp(1_795_316_400_000);
        assert_eq!(zone.shows(at), "2026-11-22 04:00 (Europe/Berlin)");
        let own = Zone::from(TimeZone::posix("CET-1").expect("a zone"));
        assert_eq!(own.shows(at), "2026-11-22 04:00 (local time)");
    }
}
