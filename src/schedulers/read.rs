//! Reading a `[scheduler:NAME]` section: what every kind has in common, once,
//! and then the kind's own.

use std::sync::Arc;

use crate::model::Properties;
use crate::model::SchedulerName;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::plain;

use super::KINDS;
use super::QueueRules;
use super::SchedulerKind;
use super::Settings;
use super::queue_rules;

/// A section that was read. Names of builders and schedulers are only words
/// yet: who knows all sections looks them up.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) settings: Arc<dyn Settings>,
    /// Names and patterns of builders.
    pub(crate) builders: Vec<(String, Place)>,
    /// An expression over the tags of builders.
    pub(crate) tags: Option<(String, Place)>,
    /// Of its builds.
    pub(crate) properties: Properties,
    pub(crate) queue: QueueRules,
    /// The scheduler that it waits for, and where that is said.
    pub(crate) upstream: Option<(SchedulerName, Place)>,
}

/// Reads the section; whatever is wrong with it is noted, except for unknown keys.
pub(crate) fn read(keys: &mut Keys<'_>) -> Option<Read> {
    let kind = kind(keys);
    let builders = keys.optional::<Vec<(String, Place)>>("builders");
    let tags = keys.optional::<Tags>("tags");
    let properties = properties(keys);
    let queue = queue_rules::read(keys);
    // A type that nobody knows makes every other key unknown, which would say nothing.
    let Some(kind) = kind else {
        keys.rest();
        return None;
    };
    let settings = (kind.read)(keys);
    let (builders, tags) = (builders?, tags?);
    if builders.is_none() && tags.is_none() {
        let what = format!("`builders` is missing in {}", keys.title());
        let problem = Problem::error(Code::MissingKey, what)
            .at(keys.header())
            .label("expected names of builders, or patterns such as `*-linux`");
        keys.note(problem);
        return None;
    }
    let tags = tags.map(|it| (it.0, keys.place("tags")));
    let settings = settings?;
    let upstream = settings.upstream().cloned();
    Some(Read {
        builders: builders.unwrap_or_default(),
        tags,
        properties: properties?,
        queue: queue?,
        upstream: upstream.map(|it| (it, keys.place("upstream"))),
        settings,
    })
}

/// An expression over tags, which who knows the builders reads.
struct Tags(String);

impl Value for Tags {
    const EXPECTED: &'static str = "an expression over tags";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        node.as_text().map(|it| Self(it.to_owned()))
    }
}

/// What `type` names. Without it the section's own name may say it.
fn kind(keys: &mut Keys<'_>) -> Option<&'static SchedulerKind> {
    let name = keys.own_name();
    let by_name = KINDS.iter().find(|it| plain(it.name) == plain(name));
    let Some(word) = keys.optional::<String>("type")? else {
        return Some(by_name.unwrap_or(&super::on_changes::SINGLE));
    };
    let known = |kind: &&SchedulerKind| {
        let mut names = [kind.name].into_iter().chain(kind.aliases.iter().copied());
        names.any(|it| plain(it) == plain(&word))
    };
    if let Some(kind) = KINDS.iter().find(known) {
        return Some(kind);
    }
    let place = keys.place("type");
    let names = KINDS.iter().map(|it| it.name);
    let all: Vec<_> = names.clone().map(|it| format!("`{it}`")).collect();
    let what = format!("unknown scheduler type `{word}`");
    let problem = Problem::error(Code::UnknownType, what).at(&place);
    let problem = problem.did_you_mean(&word, names);
    let problem = match problem.label {
        None => problem.help(format!("the types are {}", all.join(", "))),
        Some(_) => problem,
    };
    keys.note(problem);
    None
}

/// `property.NAME = value`; `properties` is Buildbot's word.
fn properties(keys: &mut Keys<'_>) -> Option<Properties> {
    let mut properties = Properties::new();
    let all = [
        keys.map::<serde_json::Value>("property"),
        keys.map("properties"),
    ];
    for map in all {
        for (name, value) in map? {
            properties.set(name, value, "Scheduler");
        }
    }
    Some(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn try_read(text: &str) -> (Option<Read>, String) {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let read = read(&mut keys);
        keys.finish();
        (read, problems.render(false))
    }

    fn good(text: &str) -> Read {
        let (read, problems) = try_read(text);
        assert_eq!(problems, "", "{text}");
        read.expect("readable")
    }

    fn problems(text: &str) -> String {
        let (read, problems) = try_read(text);
        assert!(read.is_none(), "{text}");
        problems
    }

    #[test]
    fn the_kind_is_the_type_or_the_name_or_that_of_one_branch() {
        let kind = |text: &str| {
            let read = good(&format!("{text}\nbuilders = a\n"));
            read.settings.kind()
        };
        assert_eq!(kind("[scheduler:quick]\nbranch = main"), "single_branch");
        assert_eq!(kind("[scheduler:force]"), "force");
        assert_eq!(
            kind("[scheduler:x]\ntype = AnyBranchScheduler"),
            "any_branch"
        );
        assert_eq!(kind("[scheduler:force]\ntype = Triggerable"), "triggerable");
        assert_eq!(
            kind("[scheduler:x]\ntype = Scheduler\nbranch = none"),
            "single_branch"
        );
    }

    #[test]
    fn builders_tags_properties_and_the_upstream_come_with_their_places() {
        let read = good(
            "[scheduler:x]\ntype = dependent\nupstream = quick\nbuilders = a *-linux\ntags = gcc and fast\nproperty.p = 1\nproperties = {\"q\": 2}\n",
        );
        let names: Vec<_> = read.builders.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["a", "*-linux"]);
        assert_eq!(read.builders[1].1.text(), "*-linux");
        let (tags, place) = read.tags.expect("tags");
        assert_eq!(
            (tags.as_str(), place.text()),
            ("gcc and fast", "gcc and fast")
        );
        let (upstream, place) = read.upstream.expect("an upstream");
        assert_eq!((upstream.as_str(), place.text()), ("quick", "quick"));
        let shown: Vec<_> = read
            .properties
            .iter()
            .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
            .collect();
        assert_eq!(shown, ["p=\"1\" Scheduler", "q=2 Scheduler"]);
    }

    #[test]
    fn settings_are_compared_by_value_and_not_by_place() {
        let text =
            "[scheduler:x]\nchange_filter = change.branch == \"a\"\nbranch_re = a\nbuilders = a\n";
        let moved = text.replacen('\n', "\n\n# a comment\n", 1);
        assert!(good(text).settings == good(&moved).settings);
        for (from, to) in [("\"a\"", "\"b\""), ("_re = a", "_re = b"), ("_re", "_glob")] {
            let changed = good(&text.replacen(from, to, 1));
            assert!(good(text).settings != changed.settings, "{from} {to}");
        }
    }

    #[test]
    fn an_unknown_type_says_nothing_of_the_other_keys() {
        insta::assert_snapshot!(problems("[scheduler:x]\ntype = nightli\nhour = 3\nbuilders = a\n"), @r"
        error[unknown-type]: unknown scheduler type `nightli`
         --> master.ini:2:8
          |
        2 | type = nightli
          |        ^^^^^^^ did you mean `nightly`?
        ");
        insta::assert_snapshot!(problems("[scheduler:x]\ntype = zzz\n"), @r"
        error[unknown-type]: unknown scheduler type `zzz`
         --> master.ini:2:8
          |
        2 | type = zzz
          |        ^^^
          |
          = help: the types are `single_branch`, `any_branch`, `dependent`, `periodic`, `nightly`, `triggerable`, `force`, `try_jobdir`, `try_userpass`
        ");
    }

    #[test]
    fn what_is_missing_is_told_at_once() {
        insta::assert_snapshot!(problems("[scheduler:x]\nbranches = main\n"), @r"
        error[missing-key]: `branch` is missing in [scheduler:x]
         --> master.ini:1:2
          |
        1 | [scheduler:x]
          |  ^^^^^^^^^^^ expected the branch that it builds; `none` is the default branch
          |
          = help: `type = any_branch` builds all branches, each by itself

        error[missing-key]: `builders` is missing in [scheduler:x]
         --> master.ini:1:2
          |
        1 | [scheduler:x]
          |  ^^^^^^^^^^^ expected names of builders, or patterns such as `*-linux`

        error[unknown-key]: unknown key `branches` in [scheduler:x]
         --> master.ini:2:1
          |
        2 | branches = main
          | ^^^^^^^^ did you mean `branch`?
        ");
        insta::assert_snapshot!(problems("[scheduler:x]\ntype = periodic\nevery = 0\nbuilders = a\n"), @r"
        error[bad-value]: bad value for `every` in [scheduler:x]
         --> master.ini:3:9
          |
        3 | every = 0
          |         ^ expected at least `1s`
        ");
    }

    #[test]
    fn times_that_never_come_are_pointed_at() {
        let nightly = |lines: &str| {
            problems(&format!(
                "[scheduler:nightly]\nbranch = none\nbuilders = a\n{lines}\n"
            ))
        };
        insta::assert_snapshot!(nightly("hour = 3, 25\nday_of_week = monday\nmonth = 13\nminute = [0, 15, 60]"), @r"
        error[bad-value]: bad value for `hour` in [scheduler:nightly]
         --> master.ini:4:11
          |
        4 | hour = 3, 25
          |           ^^ expected `*`, or numbers from 0 to 23 such as `3`, `8-18` or `*/2`

        error[bad-value]: bad value for `day_of_week` in [scheduler:nightly]
         --> master.ini:5:15
          |
        5 | day_of_week = monday
          |               ^^^^^^ expected `*`, or numbers from 0 (Monday) to 6 (Sunday) such as `0-4`

        error[bad-value]: bad value for `month` in [scheduler:nightly]
         --> master.ini:6:9
          |
        6 | month = 13
          |         ^^ expected `*`, or numbers from 1 (January) to 12 such as `1-3`

        error[bad-value]: bad value for `minute` in [scheduler:nightly]
         --> master.ini:7:18
          |
        7 | minute = [0, 15, 60]
          |                  ^^ expected `*`, or numbers from 0 to 59 such as `0 30`, `10-20` or `*/15`
        ");
        insta::assert_snapshot!(nightly("cron = 0 3 * 1-13 1-5"), @r"
        error[bad-value]: bad value for `cron` in [scheduler:nightly]
         --> master.ini:4:14
          |
        4 | cron = 0 3 * 1-13 1-5
          |              ^^^^ expected months from 1 to 12, or `*`
        ");
        insta::assert_snapshot!(nightly("cron = 0 3 * * 1-5 /bin/true"), @r"
        error[bad-value]: bad value for `cron` in [scheduler:nightly]
         --> master.ini:4:20
          |
        4 | cron = 0 3 * * 1-5 /bin/true
          |                    ^^^^^^^^^ expected five fields, and there are 6
        ");
        insta::assert_snapshot!(nightly("cron = 0 3 * * 1-5\nhour = 4"), @r"
        error[contradiction]: `cron` and `hour` both say when
         --> master.ini:5:8
          |
        4 | cron = 0 3 * * 1-5
          |        ----------- and this
        5 | hour = 4
          |        ^ this
        ");
        insta::assert_snapshot!(nightly("month = 2\nday_of_month = 30\ntime_zone = Mars/Olympus"), @r"
        error[bad-value]: bad value for `day_of_month` in [scheduler:nightly]
         --> master.ini:5:16
          |
        5 | day_of_month = 30
          |                ^^ there is no such day in these months

        error[bad-value]: bad value for `time_zone` in [scheduler:nightly]
         --> master.ini:6:13
          |
        6 | time_zone = Mars/Olympus
          |             ^^^^^^^^^^^^ expected a time zone such as `Europe/Berlin` or `UTC`
        ");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_pointed_at() {
        insta::assert_snapshot!(problems("[scheduler:x]\nbranch_re = a(\nfiles_glob = a [b\nchange_filter = change.branch = 1\nbuilders = a\n"), @"
        error[bad-value]: bad value for `branch_re` in [scheduler:x]
         --> master.ini:2:13
          |
        2 | branch_re = a(
          |             ^^ expected a regular expression: unclosed group

        error[bad-value]: bad value for `files_glob` in [scheduler:x]
         --> master.ini:3:16
          |
        3 | files_glob = a [b
          |                ^^ this `[` begins no set of characters such as `[a-c]`

        error[bad-expression]: bad value for `change_filter` in [scheduler:x]
         --> master.ini:4:31
          |
        4 | change_filter = change.branch = 1
          |                               ^ write `==` to compare
        ");
    }

    #[test]
    fn each_says_when_it_builds() {
        let describe = |lines: &str| {
            let read = good(&format!("[scheduler:x]\nbuilders = a\n{lines}\n"));
            read.settings.describe()
        };
        assert_eq!(
            describe("branch = main\ntree_stable_timer = 1m"),
            "builds when its source was stable for 60 s"
        );
        assert_eq!(
            describe("type = any_branch"),
            "builds every important change alone and at once"
        );
        assert_eq!(
            describe(
                "type = nightly\nbranch = main\nhour = 3\ndayOfWeek = 0-4\nonlyIfChanged = yes"
            ),
            "builds at hour = 3, day_of_week = 0-4, if there was an important change"
        );
        assert_eq!(
            describe("type = nightly\nbranch = main\ncron = 0 3 * * 0"),
            "builds at cron = 0 3 * * 0"
        );
        assert_eq!(
            describe("type = periodic\nevery = 1.5s"),
            "builds every 1.5 s"
        );
    }

    #[test]
    fn what_only_changes_need_is_told_of_where_none_are_looked_at() {
        let (read, told) = try_read(
            "[scheduler:nightly]\nbranch = main\nbuilders = a\nfiles_glob = *.c\nonly_important = yes\n",
        );
        assert!(read.is_some());
        insta::assert_snapshot!(told, @r"
        warning[no-effect]: `files_glob` has no effect
         --> master.ini:4:14
          |
        4 | files_glob = *.c
          |              ^^^ only `only_if_changed = yes` looks at changes

        warning[no-effect]: `only_important` has no effect
         --> master.ini:5:18
          |
        5 | only_important = yes
          |                  ^^^ only `only_if_changed = yes` looks at changes
        ");
    }
}
