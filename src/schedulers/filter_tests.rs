//! What a filter says of changes, rule by rule.

use super::super::bench::change;
use super::*;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

/// The filter of a section with these lines.
fn filter(lines: &str) -> Filter {
    let source = Source::new("master.ini", "/base", format!("[x]\n{lines}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let filter = Filter::read(&mut keys, Some("branch"));
    keys.finish();
    assert_eq!(problems.render(false), "");
    filter.expect("readable")
}

fn on(branch: Option<&str>) -> Change {
    Change {
        branch: branch.map(str::to_owned),
        ..change(1)
    }
}

#[test]
fn values_lists_and_patterns_hold_as_the_original_had_it() {
    let check = |lines: &str, value: Option<&str>, expected: bool| {
        let by_branch = filter(lines).verdict(&on(value)).passes;
        assert_eq!(by_branch, expected, "{lines} of {value:?}");
        let in_category = Change {
            category: value.map(str::to_owned),
            ..change(1)
        };
        let lines = lines.replace("branch", "category");
        let by_category = filter(&lines).verdict(&in_category).passes;
        assert_eq!(by_category, expected, "{lines} of {value:?}");
    };
    check("", None, true);
    check("", Some("x"), true);
    check("branch = b none", Some("b"), true);
    check("branch = b none", None, true);
    check("branch = b none", Some("c"), false);
    check("branch = none", Some(""), false);
    check("branch = [\"\"]", None, false);
    check("branch_re = ^a.*", Some("albert"), true);
    check("branch_re = ^a.*", Some("boris"), false);
    check("branch_re = ^t.*", None, false);
    check("branch_re = (?i)^b", Some("Bruce"), true);
    check("branch_glob = release-* v?", Some("release-1"), true);
    check("branch_glob = release-* v?", Some("v10"), false);
    check("branch_glob = *", None, false);
    // A pattern begins with the text and may end before it.
    check("branch_re = rel", Some("release"), true);
    check("branch_re = rel", Some("prerelease"), false);
    check("branch_re = x|rel", Some("release-x"), true);
}

#[test]
fn every_condition_must_hold_and_the_first_that_does_not_is_told() {
    let filter = filter(
        "project = p\nrepository = r\nbranch = b none\ncategories = c d\nauthor_re = ann\nfiles_glob = *.c",
    );
    let good = Change {
        project: "p".into(),
        repository: "r".into(),
        branch: Some("b".into()),
        category: Some("c".into()),
        files: vec!["x.h".into(), "src/x.c".into()],
        ..change(1)
    };
    assert_eq!(filter.verdict(&good).because, "every condition holds");
    let check = |spoil: fn(&mut Change), because: &str| {
        let mut bad = good.clone();
        spoil(&mut bad);
        let verdict = filter.verdict(&bad);
        assert_eq!((verdict.passes, verdict.because.as_str()), (false, because));
    };
    check(|it| it.project.clear(), "the project `` is not `p`");
    check(
        |it| it.repository = "s".into(),
        "the repository `s` is not `r`",
    );
    check(
        |it| it.branch = Some("dev".into()),
        "the branch `dev` is not `b` or (none)",
    );
    check(
        |it| it.category = None,
        "the category (none) is not `c` or `d`",
    );
    check(
        |it| it.author = "bob".into(),
        "the author `bob` does not begin with `ann`",
    );
    check(|it| it.files.truncate(1), "none of its files matches `*.c`");
}

#[test]
fn a_followed_branch_is_one_of_its_repository() {
    let at = |repository: &str, branch: Option<&str>| Branch {
        repository: repository.into(),
        branch: branch.map(str::to_owned),
    };
    let filter = Filter {
        on: vec![at("a", None), at("b", Some("dev"))],
        ..Filter::default()
    };
    let told = |repository: &str, branch: Option<&str>| {
        let change = Change {
            repository: repository.into(),
            ..on(branch)
        };
        filter.verdict(&change).because
    };
    assert_eq!(told("a", None), "every condition holds");
    assert_eq!(told("b", Some("dev")), "every condition holds");
    assert_eq!(told("a", Some("dev")), "the branch `dev` is not (none)");
    assert_eq!(told("b", None), "the branch (none) is not `dev`");
    assert_eq!(told("c", None), "the repository `c` is not `a` or `b`");
}

#[test]
fn rules_see_the_change_and_each_of_its_files() {
    let mut dev = on(Some("dev"));
    dev.files = vec!["docs/a.md".into(), "src/a.c".into()];
    dev.properties.set("size", 3, "Change");
    let told = |lines: &str, change: &Change| {
        let verdict = filter(lines).verdict(change);
        format!(
            "{} {} {}",
            verdict.passes, verdict.important, verdict.because
        )
    };
    let yes = "true true every condition holds";
    for rule in [
        "change_filter = change.branch == 'dev' and change.author != 'bot'",
        "change_filter = change.properties.size == 3",
        "file_is_important = file is endingwith '.c'",
        "file_is_important = not (file is startingwith 'docs/')",
        "important_files = *.c *.h",
    ] {
        assert_eq!(told(rule, &dev), yes, "{rule}");
    }
    assert_eq!(
        told("change_filter = change.branch == 'main'", &dev),
        "false false `change_filter` says no: change.branch == 'main'"
    );
    assert_eq!(
        told("file_is_important = file is endingwith '.rs'", &dev),
        "true false `file_is_important` says that it is not: it only rides along with important ones"
    );
    assert_eq!(
        told("important_files = *.rs\nonly_important = yes", &dev),
        "false false no file of it is one of `important_files`, and only important changes are heard of"
    );
    // Who names no files leaves nothing to look at but the change.
    assert_eq!(
        told("file_is_important = change.branch == none", &on(None)),
        yes
    );
}

#[test]
fn a_rule_that_cannot_be_computed_lets_nothing_pass() {
    let verdict = filter("file_is_important = change.branch + 1 > 2").verdict(&on(None));
    assert!(!verdict.passes, "{verdict:?}");
    let told = verdict.because;
    assert!(
        told.starts_with("`file_is_important` cannot be computed: "),
        "{told}"
    );
    let verdict = filter("change_filter = change.branch + 1 > 2").verdict(&on(None));
    assert!(!verdict.passes, "{verdict:?}");
}

#[test]
fn without_a_condition_everything_passes() {
    let change = Change {
        category: Some("c".into()),
        files: vec!["x".into()],
        ..on(Some("b"))
    };
    for change in [change, on(None), on(Some(""))] {
        assert!(filter("").verdict(&change).passes, "{change:?}");
        assert!(filter("only_important = yes").verdict(&change).important);
    }
}

#[test]
fn a_pattern_is_matched_at_the_start_and_not_searched_nor_anchored_at_the_end() {
    let passes = |lines: &str, change: &Change| filter(lines).verdict(change).passes;
    let with = |text: &str| Change {
        project: text.into(),
        repository: text.into(),
        category: Some(text.into()),
        author: text.into(),
        files: vec!["other".into(), text.into()],
        ..on(Some(text))
    };
    for field in [
        "branch",
        "project",
        "repository",
        "category",
        "author",
        "files",
    ] {
        let rule = format!("{field}_re = rel");
        assert!(passes(&rule, &with("release")), "{rule}");
        assert!(!passes(&rule, &with("prerelease")), "{rule}");
        assert!(!passes(&rule, &with("Release")), "{rule}");
        let value = format!("{field} = release next");
        assert!(
            passes(&value, &with("release")) && passes(&value, &with("next")),
            "{value}"
        );
        assert!(!passes(&value, &with("release2")), "{value}");
        let glob = format!("{field}_glob = rel*e");
        assert!(
            passes(&glob, &with("release")) && !passes(&glob, &with("releases")),
            "{glob}"
        );
    }
}

#[test]
fn what_is_not_set_matches_no_pattern_and_a_list_only_with_none_in_it() {
    let passes = |lines: &str, change: &Change| filter(lines).verdict(change).passes;
    for (field, unset) in [("branch", on(None)), ("category", on(Some("b")))] {
        assert!(!passes(&format!("{field}_re = .*"), &unset), "{field}");
        assert!(!passes(&format!("{field}_glob = *"), &unset), "{field}");
        assert!(!passes(&format!("{field} = a"), &unset), "{field}");
        assert!(passes(&format!("{field} = a none"), &unset), "{field}");
    }
    // No condition is another thing than the condition that there is none.
    assert!(passes("", &on(Some("b"))) && !passes("branch = none", &on(Some("b"))));
}

#[test]
fn an_empty_branch_is_not_the_default_branch() {
    assert!(!filter("branch = none").verdict(&on(Some(""))).passes);
    assert!(filter("branch = none").verdict(&on(None)).passes);
    assert!(!filter("branch = [\"\"]").verdict(&on(None)).passes);
    assert!(filter("branch = [\"\"]").verdict(&on(Some(""))).passes);
}

#[test]
fn none_is_a_change_that_names_no_project_or_repository() {
    let named = Change {
        project: "p".into(),
        repository: "r".into(),
        ..change(1)
    };
    for field in ["project", "repository"] {
        let none = filter(&format!("{field} = none"));
        assert!(none.verdict(&change(1)).passes, "{field}");
        assert!(!none.verdict(&named).passes, "{field}");
        assert!(
            filter(&format!("{field} = p r none"))
                .verdict(&named)
                .passes,
            "{field}"
        );
    }
}

#[test]
fn the_filter_is_asked_before_the_importance_of_files() {
    let lines = "branch = main\nfile_is_important = change.branch + 1 > 2\nonly_important = yes";
    let elsewhere = filter(lines).verdict(&on(Some("dev")));
    assert_eq!(elsewhere.because, "the branch `dev` is not `main`");
    // A rule that fails drops the change.
    let here = filter(lines).verdict(&on(Some("main")));
    assert!(
        !here.passes && here.because.contains("cannot be computed"),
        "{here:?}"
    );
}

#[test]
fn old_words_for_categories_and_branches_make_the_same_conditions() {
    assert_eq!(filter("categories = a b"), filter("category = a b"));
    let any = "type = any_branch\nbranches = a none\nbuilders = x";
    let source = Source::new("master.ini", "/base", format!("[scheduler:x]\n{any}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let read = super::super::read(&mut Keys::of(&tree.sections[0], &mut problems));
    let settings = read.expect("readable").settings;
    assert_eq!(settings.filter(), Some(&filter("branch = a none")));
}
