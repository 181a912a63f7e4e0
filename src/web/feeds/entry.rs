//! What an entry of a feed says of a build.

use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::model::BuildRecord;
use crate::model::Outcome;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::super::links;
use super::super::rows::Link;
use super::super::rows::StampView;
use super::super::words;
use super::super::words::Badge;
use super::tails::LogTail;

/// A longer revision is only said to be there.
const LONG_REVISION: usize = 40;

/// An entry.
#[derive(Serialize)]
pub(super) struct Entry {
    title: String,
    link: String,
    id: String,
    date: String,
    iso: String,
    /// As HTML.
    description: String,
    builder: String,
}

/// What stands in an entry.
#[derive(Serialize)]
pub(super) struct Description {
    builder: Link,
    build: Link,
    badge: Badge,
    text: String,
    reason: String,
    date: String,
    stamp: StampView,
    authors: Vec<String>,
    failed: Vec<String>,
    logs: Vec<LogTail>,
}

impl Entry {
    pub(super) fn new(build: &BuildRecord, base: &str, description: String) -> Self {
        let at = build.finished.unwrap_or(build.started);
        Self {
            title: title(build),
            link: format!("{base}{}", links::build(&build.key)),
            id: id(build, base, at),
            date: clock::http(at),
            iso: clock::utc(at),
            description,
            builder: build.key.builder.to_string(),
        }
    }
}

impl Description {
    pub(super) fn new(
        build: &BuildRecord,
        failed: &[StepRecord],
        logs: Vec<LogTail>,
        web: &WebPlan,
        base: &str,
    ) -> Self {
        let whole = |link: Link| Link {
            url: format!("{base}{}", link.url),
            ..link
        };
        Self {
            builder: whole(Link::builder(build.key.builder.as_str())),
            build: whole(Link::build(&build.key)),
            badge: Badge::of(build.outcome),
            text: build.text.join(" "),
            reason: build.reason.trim().to_owned(),
            date: clock::iso(build.finished.unwrap_or(build.started)),
            stamp: StampView::new(&build.stamp, web),
            authors: build.blame.iter().map(|it| words::person(it)).collect(),
            failed: failed.iter().map(|it| it.name.clone()).collect(),
            logs,
        }
    }
}

/// The source, what came of it, and where: `Branch x Revision 5 failed on "words"`.
fn title(build: &BuildRecord) -> String {
    let stamp = &build.stamp;
    let mut parts = Vec::new();
    parts.extend(stamp.branch.as_ref().map(|it| format!("Branch {it}")));
    parts.extend(stamp.revision.as_ref().map(|it| format!("Revision {it}")));
    parts.extend(stamp.patch.as_ref().map(|_| "(plus patch)".to_owned()));
    if parts.is_empty() {
        parts.push("Latest revision".into());
    }
    if let Some(got) = build.properties.text("got_revision") {
        let got = match got.chars().count() > LONG_REVISION {
            true => "a long one",
            false => got,
        };
        parts.push(format!("(Got Revision: {got})"));
    }
    let end = match build.outcome {
        Some(Outcome::Failure) => "failed",
        Some(Outcome::Success) => "succeeded",
        Some(Outcome::Warnings) => "succeeded with warnings",
        Some(Outcome::Skipped) => "was skipped",
        Some(Outcome::Exception) => "broke off",
        Some(Outcome::Retry) => "is tried again",
        None => "runs",
    };
    parts.push(format!("{end} on \"{}\"", build.key.builder));
    parts.join(" ")
}

/// What a build is called in all feeds for ever: RFC 4151. Buildbot's names begin with the account
/// and the machine of its process, which are nobody's business and change when a master moves; so
/// the name of the site stands in their place. Its builds of one second were called the same, so a
/// reader could not go on with them anyway.
fn id(build: &BuildRecord, base: &str, at: Timestamp) -> String {
    let host = base.split("//").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    // A tag is somebody's who has a name, which brackets with an address are not.
    let host = match host.starts_with('[') {
        true => "buildmaster",
        false => host,
    };
    let utc = clock::utc(at);
    let (day, _) = utc.split_once('T').unwrap_or((&utc, ""));
    let digits: String = utc.chars().filter(char::is_ascii_digit).collect();
    let builder = links::quote(build.key.builder.as_str());
    format!("tag:{host},{day}:{digits}/{builder}/{}", build.key.number)
}

/// The document without characters that XML cannot say in any way.
pub(in crate::web) fn clean(text: String) -> String {
    let is_odd = |it: char| {
        (it < ' ' && !matches!(it, '\t' | '\n' | '\r')) || matches!(it, '\u{fffe}' | '\u{ffff}')
    };
    match text.contains(is_odd) {
        true => text.replace(is_odd, "\u{fffd}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Patch;
    use crate::web::sample;

    #[test]
    fn a_title_has_the_source_the_end_and_the_builder() {
        let now = Timestamp::from_secs(2_000_000);
        let mut build = sample::build("<words>", 0, Some(Outcome::Failure), now, 100);
        build.properties.set("got_revision", "5f", "checkout");
        build.stamp.revision = Some("5".into());
        build.stamp.branch = Some("x".into());
        assert_eq!(
            title(&build),
            "Branch x Revision 5 (Got Revision: 5f) failed on \"<words>\""
        );
        build.stamp.patch = Some(Patch {
            level: 0,
            diff: Vec::new(),
            subdir: None,
            author: None,
            comment: None,
        });
        build.outcome = Some(Outcome::Success);
        let long = "f".repeat(41);
        build.properties.set("got_revision", long, "checkout");
        assert_eq!(
            title(&build),
            "Branch x Revision 5 (plus patch) (Got Revision: a long one) succeeded on \"<words>\""
        );
        build.stamp = Default::default();
        build.properties = Default::default();
        assert_eq!(title(&build), "Latest revision succeeded on \"<words>\"");
    }

    #[test]
    fn two_builds_that_end_in_one_second_have_names_of_their_own() {
        let at = Timestamp::from_secs(1_793_177_376);
        let one = sample::build("a/b", 3, None, at, 0);
        let other = sample::build("a/b", 4, None, at, 0);
        let base = "https://ci.test:8010/x/";
        assert_eq!(
            id(&one, base, at),
            "tag:ci.test,2026-10-28:20261028084936/a%2Fb/3"
        );
        assert_ne!(id(&one, base, at), id(&other, base, at));
        assert_eq!(
            id(&one, "http://[::1]:8010/", at),
            "tag:buildmaster,2026-10-28:20261028084936/a%2Fb/3"
        );
    }

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        assert_eq!(
            clean("a\u{1b}[1m\n\u{0}é\u{ffff}".into()),
            "a\u{fffd}[1m\n\u{fffd}é\u{fffd}"
        );
    }
}
