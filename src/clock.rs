//! Wall time: the only file that asks the operating system what time it is,
//! and the one place that says how a time is written for people.

use std::env;
use std::fs;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

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

/// How long the clock is taken to hang where it was seen.
const SEEN: Duration = Duration::from_mins(5);

/// Where the clock hangs: the zone that local times are of. Who moves it is followed within
/// five minutes.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
pub(crate) fn zone() -> TimeZone {
    static LAST: RwLock<Option<(Instant, TimeZone)>> = RwLock::new(None);
    let now = Instant::now();
    let last = LAST.read().unwrap_or_else(PoisonError::into_inner);
    if let Some((seen, zone)) = &*last
        && now.duration_since(*seen) < SEEN
    {
        return zone.clone();
    }
    drop(last);
    let asked = env::var_os("TZ").is_some();
    let linked = if asked { None } else { linked(LOCAL_TIME) };
    let zone = linked.unwrap_or_else(TimeZone::system);
    let mut last = LAST.write().unwrap_or_else(PoisonError::into_inner);
    *last = Some((now, zone.clone()));
    zone
}

/// A link to the file of the zone.
const LOCAL_TIME: &str = "/etc/localtime";

/// The zone that a link leads to. Asking the database for its name would read the names of all
/// zones that there are.
fn linked(link: &str) -> Option<TimeZone> {
    let file = fs::read_link(link).ok()?;
    let (_, name) = file.to_str()?.split_once("zoneinfo/")?;
    TimeZone::tzif(name, &fs::read(link).ok()?).ok()
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_zone_is_the_one_that_the_system_s_link_leads_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("localtime");
        let place = place.to_str().expect("text");
        let check = |leads_to: &str, expected: Option<&str>| {
            drop(fs::remove_file(place));
            symlink(leads_to, place).expect("a link");
            let zone = linked(place);
            let name = zone.as_ref().map(|it| it.iana_name().expect("a name"));
            assert_eq!(name, expected, "{leads_to}");
        };
        check("/usr/share/zoneinfo/Europe/Berlin", Some("Europe/Berlin"));
        check("/usr/share/zoneinfo/Mars/Olympus", None);
        check("/etc/passwd", None);
        fs::remove_file(place).expect("it was there");
        fs::write(place, "TZif").expect("written");
        assert!(linked(place).is_none(), "not a link");
        fs::remove_file(place).expect("it was there");
        symlink("/usr/share/zoneinfo/Europe/Berlin", place).expect("a link");
        let berlin = linked(place).expect("a zone");
        let known = TimeZone::get("Europe/Berlin").expect("a zone");
        for at in [0, 1_795_316_400, 1_781_000_000] {
            let at = jiff::Timestamp::from_second(at).expect("a time");
            assert_eq!(berlin.to_datetime(at), known.to_datetime(at));
        }
    }
}
