//! Wall time: the only file that asks the operating system what time it is,
//! and the one place that says how a time is written for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
pub(crate) fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(lent) = bench::now() {
        return lent;
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Where the clock hangs: the zone that local times are of.
pub(crate) fn zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::system()
}

fn zoned(at: Timestamp) -> jiff::Zoned {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(zone())
}

/// Local time in ISO 8601 with its offset: `2026-03-01T12:00:00+01:00`.
pub(crate) fn iso(at: Timestamp) -> String {
    zoned(at).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn utc_as(at: Timestamp, form: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime(form).to_string()
}

/// Time as HTTP and RSS have it: `Fri, 20 Nov 2026 08:49:36 GMT`.
pub(crate) fn http(at: Timestamp) -> String {
    utc_as(at, "%a, %d %b %Y %H:%M:%S GMT")
}

/// Time as Atom has it: `2026-11-20T08:49:36Z`.
pub(crate) fn utc(at: Timestamp) -> String {
    utc_as(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// Local time as Buildbot's JSON and text forms print it: `Fri 02 Jan 1970 00:00:00`.
pub(crate) fn long(at: Timestamp) -> String {
    zoned(at).strftime("%a %d %b %Y %H:%M:%S").to_string()
}

/// Local time as logs of web servers have it: `02/Jan/2026:12:00:00 +0100`.
pub(crate) fn of_logs(at: Timestamp) -> String {
    zoned(at).strftime("%d/%b/%Y:%H:%M:%S %z").to_string()
}

/// Local time of day: `12:00:00`.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    zoned(at).strftime("%H:%M:%S").to_string()
}

/// Local day: `2026-03-01`.
pub(crate) fn day(at: Timestamp) -> String {
    zoned(at).strftime("%Y-%m-%d").to_string()
}

/// A length of time for people: `850 ms`, `12 s`, `3 min 04 s`, `2 h 05 min`.
pub(crate) fn human(length: Duration) -> String {
    let secs = length.as_secs();
    match secs {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{}.{} s", secs, length.subsec_millis() / 100),
        60..3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

/// Wall time that goes as the paused time of a runtime does.
#[cfg(test)]
pub(crate) mod bench {
    use std::cell::Cell;

    use tokio::time::Instant;

    use crate::model::Timestamp;

    thread_local! {
        /// Which instant was which wall time.
        static LENT: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
    }

    /// From now on the wall clock of this thread shows `at` and what has gone by of the
    /// runtime's time since.
    pub(crate) fn lend(at: Timestamp) {
        LENT.set(Some((Instant::now(), at)));
    }

    pub(super) fn now() -> Option<Timestamp> {
        let (instant, at) = LENT.get()?;
        let since = i64::try_from(instant.elapsed().as_millis()).expect("not that long");
        Some(Timestamp(at.0 + since))
    }
}
