//! What `p4 changes` and `p4 describe -s` print. Where a line has no place in it, the line is
//! the error.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// A number with what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) user: String,
    pub(super) when: Timestamp,
    /// As they are printed, with the line that the number, its user and its time stand in.
    pub(super) comments: String,
    /// From the depot on, without their revisions.
    pub(super) files: Vec<String>,
}

/// The numbers of submitted changes, the oldest first.
pub(super) fn numbers(said: &str) -> Result<Vec<u64>, &str> {
    let mut numbers = Vec::new();
    for line in said.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (number, is_pending) = listed(line).ok_or(line)?;
        // It gets its number for good when it is submitted.
        if !is_pending {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The number up to which everything has been submitted: where who is new here begins.
pub(super) fn newest(said: &str) -> Result<u64, &str> {
    let mut newest = 0;
    for line in said.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (number, is_pending) = listed(line).ok_or(line)?;
        // One that is pending may keep its number when it is submitted.
        let reached = number.saturating_sub(u64::from(is_pending));
        newest = newest.max(reached);
    }
    Ok(newest)
}

/// Reads `Change N on DATE by USER@CLIENT 'TEXT'`, where `*pending*` may stand before the text.
fn listed(line: &str) -> Option<(u64, bool)> {
    let (number, rest) = line.strip_prefix("Change ")?.split_once(" on ")?;
    let (_, rest) = rest.split_once(" by ")?;
    let (_, rest) = rest.split_once('@')?;
    let (_, text) = rest.split_once(' ')?;
    let pending = text.strip_prefix("*pending* ");
    let text = pending.unwrap_or(text);
    let is_whole = text.starts_with('\'') && text.ends_with('\'');
    is_whole.then_some(())?;
    Some((number.parse().ok()?, pending.is_some()))
}

/// What is said of the number `number`; the times are of `zone`.
pub(super) fn described<'a>(
    said: &'a str,
    number: u64,
    zone: &TimeZone,
) -> Result<Described, &'a str> {
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    let (user, when) = first_line(first, number, zone).ok_or(first)?;
    let mut comments = format!("{first}\n");
    loop {
        // Every line of a comment is indented, so none of them looks like this.
        let line = lines.next().ok_or("(the end)")?;
        if line.starts_with("Affected files") {
            break;
        }
        comments.push_str(line);
        comments.push('\n');
    }
    let mut files = Vec::new();
    for line in lines {
        if let Some(file) = line.strip_prefix("... ") {
            files.push(path(file).ok_or(line)?.to_owned());
        }
    }
    Ok(Described {
        user,
        when,
        comments,
        files,
    })
}

/// Reads `Change N by USER@CLIENT on YYYY/MM/DD HH:MM:SS`.
fn first_line(line: &str, number: u64, zone: &TimeZone) -> Option<(String, Timestamp)> {
    let rest = line.strip_prefix(&format!("Change {number} by "))?;
    let (who, when) = rest.trim_end().rsplit_once(" on ")?;
    let (user, _) = who.split_once('@')?;
    let when = DateTime::strptime("%Y/%m/%d %H:%M:%S", when).ok()?;
    let when = when.to_zoned(zone.clone()).ok()?;
    Some((
        user.to_owned(),
        Timestamp(when.timestamp().as_millisecond()),
    ))
}

/// Reads `PATH#REVISION ACTION`.
fn path(file: &str) -> Option<&str> {
    let (path, rest) = file.rsplit_once('#')?;
    let (revision, action) = rest.split_once(' ')?;
    let is_number = !revision.is_empty() && revision.bytes().all(|it| it.is_ascii_digit());
    let is_whole = path.starts_with("//") && is_number && !action.trim().is_empty();
    is_whole.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_oldest_first_and_any_other_line_is_refused() {
        let said = "Change 12 on 2006/05/24 by ann@box 'more: it's done '\n\
            Change 9 on 2006/05/23 by bo@h@x ''\n\n\
            Change 13 on 2006/05/25 by ann@box *pending* 'not yet'\n";
        assert_eq!(numbers(said), Ok(vec![9, 12]));
        assert_eq!(numbers("\n"), Ok(Vec::new()));
        for line in [
            "Change x on 2006/05/24 by ann@box 'a'",
            "Change 1 on 2006/05/24 by ann 'a'",
            "Change 1 on 2006/05/24 by ann@box",
            "Perforce client error:",
        ] {
            assert_eq!(numbers(line), Err(line));
        }
    }

    #[test]
    fn who_is_new_begins_behind_what_was_submitted() {
        assert_eq!(newest("Change 9 on 2006/05/23 by bo@h ''\n"), Ok(9));
        assert_eq!(
            newest("Change 9 on 2006/05/23 by bo@h *pending* 'x'\n"),
            Ok(8)
        );
        assert_eq!(newest("\n"), Ok(0));
        assert_eq!(newest("error: no\n"), Err("error: no"));
    }

    #[test]
    fn comments_are_all_lines_up_to_the_affected_files_the_first_one_too() {
        let said = "Change 3 by ann@box on 2006/04/13 21:55:28\r\n\n\tshort: Affected files\n\n\
            Affected files ...\n\n... //d/p/a b#12 edit\n... //d/p/c#d#1 move/add\n\n";
        let told = described(said, 3, &TimeZone::UTC).expect("described");
        assert_eq!(told.user, "ann");
        assert_eq!(told.when, Timestamp::from_secs(1_144_965_328));
        assert_eq!(
            told.comments,
            "Change 3 by ann@box on 2006/04/13 21:55:28\n\n\tshort: Affected files\n\n"
        );
        assert_eq!(told.files, ["//d/p/a b", "//d/p/c#d"]);
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let told = described(said, 3, &zone).expect("described");
        assert_eq!(told.when, Timestamp::from_secs(1_144_965_328 + 4 * 3600));
    }

    #[test]
    fn an_unreadable_line_is_the_error() {
        let zone = TimeZone::UTC;
        let first = "Change 3 by ann@box on 2006/04/13 21:55:28";
        let wrong = described("Change 4 by ann@box on 2006/04/13 21:55:28", 3, &zone);
        assert!(wrong.is_err(), "another number");
        let said = format!("{first}\n\nAffected files ...\n\n... //d/p/a edit\n");
        assert_eq!(described(&said, 3, &zone), Err("... //d/p/a edit"));
        assert_eq!(described(first, 3, &zone), Err("(the end)"));
        assert_eq!(described("", 3, &zone), Err(""));
        let day = format!("{}\nAffected files\n", first.replace("04/13", "13/04"));
        assert!(described(&day, 3, &zone).is_err());
    }
}
