//! What a reload takes for the same scheduler, kind by kind: what is the same is not disturbed.

use std::sync::Arc;

use super::read;
use super::*;
use crate::syntax::Keys;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

fn settings(lines: &str) -> Arc<dyn Settings> {
    let text = format!("[scheduler:x]\n{lines}\nbuilders = a\n");
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let read = read(&mut keys);
    keys.finish();
    assert!(!problems.has_errors(), "{}", problems.render(false));
    read.expect("readable").settings
}

/// Each edit makes another scheduler of it; other spellings of the same do not.
fn check(lines: &str, same: &str, edits: &[(&str, &str)]) {
    assert!(*settings(lines) == *settings(lines), "{lines}");
    assert!(*settings(lines) == *settings(same), "{lines} is {same}");
    for (from, to) in edits {
        assert!(lines.contains(from), "{from}");
        let other = lines.replacen(from, to, 1);
        assert!(
            *settings(lines) != *settings(&other),
            "{lines} is not {other}"
        );
    }
}

#[test]
fn a_scheduler_of_changes_is_another_with_another_timer_filter_or_importance() {
    check(
        "branch = main\ntree_stable_timer = 60\nfile_is_important = file != 'x'\nchange_filter = change.project == 'p'\nonly_important = yes",
        "onlyImportant = true\ntreeStableTimer = 1m\nchange_filter = change.project == 'p'\nfileIsImportant = file != 'x'\nbranch = main",
        &[
            ("= main", "= dev"),
            ("= 60", "= 61"),
            ("file != 'x'", "file != 'y'"),
            ("== 'p'", "!= 'p'"),
            ("important = yes", "important = no"),
            ("branch = main", "type = any_branch\nbranches = main"),
        ],
    );
}

#[test]
fn a_dependent_scheduler_is_another_with_another_upstream() {
    let lines = "type = dependent\nupstream = quick";
    check(lines, lines, &[("quick", "slow")]);
}

#[test]
fn a_periodic_scheduler_is_another_with_another_timer_or_branch() {
    check(
        "type = Periodic\nperiodicBuildTimer = 3600\nbranch = main",
        "type = periodic\nevery = 1h\nbranch = main",
        &[("3600", "3601"), ("main", "none")],
    );
}

#[test]
fn a_nightly_scheduler_is_another_with_another_field_branch_zone_or_condition() {
    check(
        "type = nightly\nbranch = main\nminute = 1\nhour = 2\nday_of_month = 3\nmonth = 4\nday_of_week = 5\ntime_zone = UTC\nonly_if_changed = yes\nproject = p\nfile_is_important = file != 'x'",
        "type = Nightly\nproject = p\nbranch = main\nminute = 1\nhour = 2\ndayOfMonth = 3\nmonth = 4\ndayOfWeek = 5\ntime_zone = UTC\nonlyIfChanged = yes\nfile_is_important = file != 'x'",
        &[
            ("minute = 1", "minute = 9"),
            ("hour = 2", "hour = 9"),
            ("month = 3", "month = 9"),
            ("month = 4", "month = 9"),
            ("week = 5", "week = 6"),
            ("branch = main", "branch = dev"),
            ("UTC", "Europe/Berlin"),
            ("changed = yes", "changed = no"),
            ("project = p", "project = q"),
            ("!= 'x'", "!= 'y'"),
        ],
    );
}

#[test]
fn a_try_scheduler_is_another_with_another_directory_or_password() {
    let jobdir = "type = Try_Jobdir\njobdir = tries";
    check(
        jobdir,
        "type = try_jobdir\njobdir = tries",
        &[("tries", "jobs")],
    );
    check(
        "type = Try_Userpass\nuserpass.ann = x\nuserpass.bob = y",
        "type = try_userpass\nuserpass = {\"bob\": \"y\", \"ann\": \"x\"}",
        &[("= x", "= z"), (".bob", ".eve")],
    );
}

#[test]
fn a_force_scheduler_is_another_with_another_question() {
    check(
        "type = force\nreason = r\nparameter.a.type = int\nparameter.a.min = 1\nbranch.regex = m.*",
        "type = ForceScheduler\nreason = r\nparameter.a = {\"min\": 1, \"type\": \"int\"}\nbranch.regex = m.*",
        &[
            ("= r", "= s"),
            ("int", "string"),
            ("min = 1", "min = 2"),
            ("m.*", "n.*"),
        ],
    );
}
