//! Sections in, settings and their rule out.

use std::sync::Arc;

use serde_json::json;

use super::read::Read;
use super::*;
use crate::model::Outcome;
use crate::model::Properties;
use crate::syntax::Code;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;
use crate::syntax::toml;

/// What was read, and every problem as it is shown.
fn try_read(name: &str, text: &str) -> (Option<Read>, Problems) {
    let source = Source::new("master.ini", "/base", format!("[status:{name}]\n{text}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let read = read(&mut keys);
    keys.finish();
    (read, problems)
}

fn settings(name: &str, text: &str) -> Arc<dyn Settings> {
    let (read, problems) = try_read(name, text);
    assert!(!problems.has_errors(), "{}", problems.render(false));
    read.expect("read").settings
}

/// Line, code and label of each problem, without the one that says what this version lacks.
fn complaints(name: &str, text: &str) -> String {
    let (read, mut problems) = try_read(name, text);
    assert!(
        read.is_none() || !problems.has_errors() || !problems.is_empty(),
        "{text}"
    );
    problems.0.retain(|it| it.code != Code::NoEffect);
    problems.sort();
    let lines = problems.0.iter().map(|it| {
        let place = it.place.as_ref().expect("a place");
        let label = it.label.as_deref().or(it.help.first().map(String::as_str));
        format!("{} @ {}: {}\n", it.what, place.text(), label.unwrap_or("-"))
    });
    lines.collect()
}

fn event(what: What, previous: Previous) -> Event {
    Event {
        builder: "hello-linux".into(),
        tags: vec!["stable".into()],
        category: Some("quick".into()),
        what,
        previous,
        blamelist: Vec::new(),
        addresses: Default::default(),
        properties: Properties::new(),
    }
}

#[test]
fn every_kind_reads_its_example_and_says_once_if_nothing_is_sent() {
    let mut names = std::collections::BTreeSet::new();
    for kind in KINDS {
        assert!(names.insert(kind.name));
        assert!(kind.summary.ends_with('.'), "{}", kind.name);
        for word in [kind.name].iter().chain(kind.aliases) {
            let text = format!("type = {word}\n{}", kind.example);
            let (read, problems) = try_read("x", &text);
            let read = read.unwrap_or_else(|| panic!("{}", problems.render(false)));
            assert_eq!(read.kind, kind.name);
            let codes: Vec<_> = problems.0.iter().map(|it| it.code).collect();
            let missing = kind.missing.map(|_| Code::NoEffect);
            let missing: Vec<_> = missing.into_iter().collect();
            assert_eq!(codes, missing, "{}", problems.render(false));
            assert!(!read.settings.describe().is_empty());
        }
        let (read, _) = try_read(kind.name, kind.example);
        assert!(read.is_some(), "the section's own name is the type");
    }
}

#[test]
fn what_is_missing_is_shown_under_the_type_or_the_section() {
    let (_, problems) = try_read("x", "type = mail\nfromaddr = a@b.org");
    insta::assert_snapshot!(problems.render(false), @"
    warning[no-effect]: [status:x] tells nothing about builds
     --> master.ini:2:8
      |
    2 | type = mail
      |        ^^^^ mails about builds are not sent by this version, only those about missing slaves
    ");
    let (_, problems) = try_read("irc", "host = h\nnick = n\nchannels = #c");
    insta::assert_snapshot!(problems.render(false), @"
    warning[no-effect]: [status:irc] tells nothing about builds
     --> master.ini:1:2
      |
    1 | [status:irc]
      |  ^^^^^^^^^^ no IRC bot is part of this version
    ");
}

#[test]
fn an_unknown_type_is_told_once_with_the_nearest() {
    insta::assert_snapshot!(complaints("x", "type = MailNotifer\nanything = 1"), @"unknown status target type `MailNotifer` @ MailNotifer: did you mean `MailNotifier`?");
    insta::assert_snapshot!(complaints("x", "type = pager"), @"unknown status target type `pager` @ pager: there are `mail`, `irc`, `http_push`, `gerrit`, `pb_listener`");
    insta::assert_snapshot!(complaints("pager", ""), @"`type` is missing in [status:pager] @ status:pager: expected one of `mail`, `irc`, `http_push`, `gerrit`, `pb_listener`");
}

#[test]
fn every_mistake_of_a_mail_section_is_told() {
    let text = "fromaddr = ci\nmode = failng other\nbuilders = a\ncategories = b\nsubject = %(buildr)s\nbody = {{ nobody }}\n\
        extra_recipients = a@b.org, c@d.org\nlookup = @b.org\nsmtp_port = 0\nsmtp_user = me\nuse_tls = maybe\nrelayhost = a b\n\
        extra_headers.Subject = x\ncustom_mesg = f\nadd_lgos = yes\nbody_type = htm\nreply_to = Ann";
    insta::assert_snapshot!(complaints("mail", text), @"
    bad value for `fromaddr` in [status:mail] @ ci: expected a mail address such as `ann@example.org` or `Ann <ann@example.org>`
    bad value for `mode` in [status:mail] @ failng: did you mean `failing`?
    `builders` and `categories` both select builders @ b: either this
    bad template for `subject` in [status:mail] @ %(buildr)s: there is no name `buildr`; did you mean `builder`?
    bad template for `body` in [status:mail] @ nobody: there is no name `nobody`; there are `blamelist`, `branch`, `build_url`, `builder`, `buildbot_url`, `changes`, `logs`, `mode`, `number`, `patch`, `previous`, `project`, `projectName`, `properties`, `reason`, `result`, `revision`, `slave`, `text`, `title`
    bad value for `extra_recipients` in [status:mail] @ ,: words are separated by spaces, not by commas
    bad value for `lookup` in [status:mail] @ @b.org: expected a domain such as `example.org`, without `@`
    bad value for `smtp_port` in [status:mail] @ 0: expected a port from 1 to 65535
    `smtp_user` without `smtp_password` in [status:mail] @ me: `smtp_password` belongs to it
    bad value for `use_tls` in [status:mail] @ maybe: expected `yes` or `no`
    bad value for `relayhost` in [status:mail] @ a b: expected the name of a machine, such as `mail.example.org`
    bad header `Subject` in [status:mail] @ x: every mail has this header already
    `custom_mesg` in [status:mail] was a Python function @ f: `subject` and `body` say what a mail says
    unknown key `add_lgos` in [status:mail] @ add_lgos: did you mean `add_logs`?
    bad value for `body_type` in [status:mail] @ htm: did you mean `html`?
    bad value for `reply_to` in [status:mail] @ Ann: expected a mail address such as `ann@example.org` or `Ann <ann@example.org>`
    ");
}

#[test]
fn every_mistake_of_an_irc_section_is_told() {
    for text in [
        "channels = words",
        "channels = #a,#b",
        "channels = #a #A",
        "channels = [{\"chanel\": \"#a\"}]",
        "channels = [{\"channel\": \"#a\", \"password\": 1}]",
        "channels = [1]",
        "channels =",
        "channels = #a\nchannel_password.#b = x",
        "channels = #a\nnotify_events = sucess",
        "channels = #a\nnotify_events = successToFailur",
        "channels = #a\nnotify_events.suces_to_failure = yes",
        "channels = #a\nnotify_events = {\"x\": 1}",
        "channels = #a\nallow_force = ask",
    ] {
        let text = format!("host = h\nnick = n\n{text}");
        let told = complaints("irc", &text);
        assert_eq!(told.lines().count(), 1, "{text}\n{told}");
    }
    insta::assert_snapshot!(complaints("irc", "nick = 1bot"), @r##"
    `host` is missing in [status:irc] @ status:irc: expected the name of a machine, such as `mail.example.org`
    `channels` is missing in [status:irc] @ status:irc: expected channels such as `#words`, or maps such as `{"channel": "#words", "password": "x"}`
    bad value for `nick` in [status:irc] @ 1bot: expected a name of letters, digits and `-_[]{}|^`, which does not begin with a digit
    "##);
}

#[test]
fn every_mistake_of_the_other_sections_is_told() {
    let push = "server_url = ftp://x\nblack_list = stepStartd\nchunk_size = 0\nmax_http_request_size = big\nserver_push_cb = f";
    insta::assert_snapshot!(complaints("http_push", push), @"
    bad value for `server_url` in [status:http_push] @ ftp://x: expected a web address such as `https://hooks.example.org/ci`
    bad value for `black_list` in [status:http_push] @ stepStartd: did you mean `stepStarted`?
    bad value for `chunk_size` in [status:http_push] @ 0: expected a whole number from 1
    bad value for `max_http_request_size` in [status:http_push] @ big: expected a size such as `16384` or `1M`, or `none`
    `server_push_cb` in [status:http_push] was a Python function @ f: `server_url` says where events go
    ");
    let gerrit = "server = -oProxyCommand=x\nusername = a b\nverified.succes = 1\nreviewed.failure = 3\nmessage = {{ bilder }}\nreview_cb = f";
    insta::assert_snapshot!(complaints("gerrit", gerrit), @"
    bad value for `server` in [status:gerrit] @ -oProxyCommand=x: expected the name of a machine, such as `mail.example.org`
    bad value for `username` in [status:gerrit] @ a b: expected the name of a Gerrit account
    unknown outcome `succes` @ 1: did you mean `success`?
    bad value for `reviewed.failure` in [status:gerrit] @ 3: expected a vote from -2 to 2
    bad template for `message` in [status:gerrit] @ bilder: there is no name `bilder`; did you mean `builder`?
    `review_cb` in [status:gerrit] was a Python function @ f: `message`, `verified.OUTCOME` and `reviewed.OUTCOME` say what a review says
    ");
    let twice = "server_url = https://x\npath = q\nmax_disk_items = 0";
    assert!(complaints("http_push", twice).contains("`path` is where events wait"));
    assert!(complaints("mail", "fromaddr = a@b.c\nbuilders =").contains("selects no builder"));
    let nobody = complaints("mail", "fromaddr = a@b.c\nsend_to_interested_users = no");
    assert!(nobody.contains("mails nobody"), "{nobody}");
}

#[test]
fn toml_says_the_same_with_lists_and_tables() {
    let text = "[status.chat]\ntype = \"irc\"\nhost = \"h\"\nnick = \"n\"\nchannels = [\"#a\", {channel = \"#b\", password = \"x\"}]\nnotify_events = [\"failure\"]\n";
    let source = Source::new("master.toml", "/base", text);
    let mut problems = Problems::default();
    let tree = toml::tree(&source, &mut problems);
    let status = &tree.sections;
    // How a file's tables become sections is not this room's business.
    let entries = &status[0].entries;
    let Some(crate::syntax::Content::Table(chat)) = entries.first().map(|it| &it.value.content)
    else {
        panic!("{entries:?}");
    };
    let chat = match &chat[0].value.content {
        crate::syntax::Content::Table(inner) => inner,
        _ => chat,
    };
    let mut keys = Keys::of_entries("[status.chat]", &status[0].place, chat, &mut problems);
    let found = read(&mut keys);
    keys.finish();
    let found = found.unwrap_or_else(|| panic!("{}", problems.render(false)));
    let like =
        "host = h\nnick = n\nchannels = #a #b\nchannel_password.#b = x\nnotify_events.failure = 1";
    assert!(*found.settings == *settings("irc", like));
}

#[test]
fn a_password_is_compared_but_never_shown() {
    let with = |password: &str| {
        let text = format!("fromaddr = a@b.org\nsmtp_user = me\nsmtp_password = {password}");
        settings("mail", &text)
    };
    assert!(*with("one-secret") == *with("one-secret"));
    assert!(*with("one-secret") != *with("another"));
    assert!(!format!("{:?}", with("one-secret")).contains("one-secret"));
    let irc =
        "host = h\nnick = n\nchannels = #c\npassword = pass-one\nchannel_password.#c = pass-two";
    let shown = format!("{:?}", settings("irc", irc));
    assert!(!shown.contains("pass-"), "{shown}");
    let push = settings("http_push", "server_url = https://h.test/");
    assert!(*push != *with("x"));
}

fn mails(text: &str, what: What, previous: Previous) -> bool {
    let base = "fromaddr = a@b.org\nextra_recipients = c@d.org";
    let verdict = settings("mail", &format!("{base}\n{text}")).hears(&event(what, previous));
    assert_eq!(verdict.yes, !verdict.recipients.is_empty());
    assert!(!verdict.because.is_empty());
    verdict.yes
}

#[test]
fn each_mode_mails_what_it_says() {
    use Outcome::{Exception, Failure, Retry, Skipped, Success, Warnings};
    use Previous::{Ended, Running};
    let check = |mode: &str, previous: Previous, now: Outcome, expected: bool| {
        let said = mails(&format!("mode = {mode}"), What::Finished(now), previous);
        assert_eq!(said, expected, "{mode}: {previous:?} -> {now}");
    };
    for now in Outcome::ALL {
        check("all", Previous::None, now, true);
        check("passing", Previous::None, now, now == Success);
        check("failing", Previous::None, now, now == Failure);
        check("warnings", Previous::None, now, now != Success);
        check("change", Previous::None, now, false);
        check("change", Ended(now), now, false);
        check("change", Running, now, true);
    }
    for now in [Skipped, Exception, Retry] {
        check("warnings", Ended(Success), now, true);
    }
    check("problem", Previous::None, Failure, true);
    check("problem", Running, Failure, true);
    check("problem", Ended(Success), Failure, true);
    check("problem", Ended(Warnings), Failure, true);
    check("problem", Ended(Exception), Failure, true);
    check("problem", Ended(Failure), Failure, false);
    check("problem", Ended(Failure), Exception, false);
    check("problem", Ended(Success), Exception, false);
    check("change", Ended(Success), Warnings, true);
    check("change", Ended(Failure), Exception, true);
    check("passing failing", Previous::None, Failure, true);
    check("passing failing", Previous::None, Warnings, false);
    assert!(!mails("mode = all", What::Started, Previous::None));
}

#[test]
fn builders_categories_and_tags_select() {
    let now = What::Finished(Outcome::Success);
    let check = |text: &str, expected: bool| {
        assert_eq!(mails(text, now, Previous::None), expected, "{text}");
    };
    check("builders = other hello-linux", true);
    check("builders = hello-*", true);
    check("builders = other", false);
    check("categories = quick slow", true);
    check("categories = slow", false);
    check("tags = nightly or stable", true);
    check("tags = nightly", false);
    let named = |text: &str| {
        let (read, _) = try_read("mail", &format!("fromaddr = a@b.org\n{text}"));
        let read = read.expect("read");
        let tags = usize::from(read.tags.is_some());
        [read.builders.len(), read.categories.len(), tags]
    };
    assert_eq!(named("builders = a b"), [2, 0, 0]);
    assert_eq!(named("categories = a"), [0, 1, 0]);
    assert_eq!(named("tags = a and not b"), [0, 0, 1]);
    let mut plain = event(now, Previous::None);
    plain.category = None;
    let text = "fromaddr = a@b.org\nextra_recipients = c@d.org\ncategories = quick";
    let verdict = settings("mail", text).hears(&plain);
    assert_eq!(
        (verdict.yes, verdict.because.as_str()),
        (
            false,
            "builder `hello-linux` has no category, and `categories` is set"
        )
    );
}

#[test]
fn a_verdict_says_which_rule_decided() {
    let mail = settings(
        "mail",
        "fromaddr = a@b.org\nmode = problem change\nextra_recipients = c@d.org",
    );
    let hears = |now, previous| mail.hears(&event(What::Finished(now), previous)).because;
    assert_eq!(
        hears(Outcome::Success, Previous::Ended(Outcome::Success)),
        "mode `problem`: the build ended with success, the build before ended with success; \
         mode `change`: the build ended with success, the build before ended with success"
    );
    assert_eq!(
        hears(Outcome::Failure, Previous::None),
        "mode `problem`: the build ended with failure, there is no build before"
    );
}

/// Who is mailed about a build of these people.
fn recipients(text: &str, blamelist: &[&str], owners: &[&str]) -> String {
    let mut event = event(What::Finished(Outcome::Failure), Previous::None);
    event.blamelist = blamelist.iter().map(|it| (*it).to_owned()).collect();
    event.addresses = [
        ("ines", "Ines R <ines@dev.test>"),
        ("otto", "not an address"),
    ]
    .map(|(name, address)| (name.to_owned(), address.to_owned()))
    .into();
    event.properties.set("owners", json!(owners), "Build");
    let verdict = settings("mail", &format!("fromaddr = ci@ci.test\n{text}")).hears(&event);
    assert_eq!(verdict.yes, !verdict.recipients.is_empty(), "{text}");
    verdict.recipients.join(", ")
}

#[test]
fn the_people_of_a_build_come_first_and_nobody_twice() {
    let extra = "extra_recipients = builds@ci.test a@b.org";
    let check = |text: &str, blamelist: &[&str], owners: &[&str], expected: &str| {
        assert_eq!(recipients(text, blamelist, owners), expected, "{text}");
    };
    // Without a domain, an author has the address that a user's section says.
    check(
        extra,
        &["ines", "otto", "nobody"],
        &[],
        "Ines R <ines@dev.test>, a@b.org, builds@ci.test",
    );
    check(
        extra,
        &[],
        &["me@x.org"],
        "me@x.org, a@b.org, builds@ci.test",
    );
    check(extra, &["a <a@b.org>"], &[], "a@b.org, builds@ci.test");
    // With one, a name gets it, unless it is an address already.
    let domain = format!("{extra}\nlookup = dev.test");
    check(
        &domain,
        &["bo", "ann <ann@x.org>", "bo", "W H"],
        &["a@b.org"],
        "a@b.org, ann <ann@x.org>, bo@dev.test, builds@ci.test",
    );
    let none = format!("{extra}\nsend_to_interested_users = no");
    check(&none, &["ines"], &["me@x.org"], "a@b.org, builds@ci.test");
    check("lookup = dev.test", &["a <a@x.org>@y"], &[], "a <a@x.org>");
    check("lookup = dev.test", &["a@b@c"], &[], "");
    check("lookup = dev.test", &["x\r\nBcc: y@z.org"], &[], "");
    check("mode = all", &["stranger"], &[], "");
}

#[test]
fn a_bot_says_what_its_events_name() {
    use Outcome::{Exception, Failure, Retry, Skipped, Success, Warnings};
    use Previous::{Ended, Running};
    let check = |events: &str, what: What, previous: Previous, expected: bool| {
        let text = format!("host = h\nnick = n\nchannels = #a #b\n{events}");
        let verdict = settings("irc", &text).hears(&event(what, previous));
        assert_eq!(verdict.yes, expected, "{events}: {previous:?} -> {what:?}");
        let channels: &[&str] = if expected { &["#a", "#b"] } else { &[] };
        assert_eq!(verdict.recipients, channels);
    };
    let ended = What::Finished;
    check("", ended(Failure), Previous::None, false);
    check(
        "notify_events = started",
        What::Started,
        Previous::None,
        true,
    );
    check(
        "notify_events = finished",
        What::Started,
        Previous::None,
        false,
    );
    for now in Outcome::ALL {
        check("notify_events = finished", ended(now), Previous::None, true);
    }
    check(
        "notify_events = failure",
        ended(Failure),
        Ended(Failure),
        true,
    );
    check(
        "notify_events = failure",
        ended(Exception),
        Ended(Failure),
        false,
    );
    let turned = "notify_events = successToFailure failure_to_success";
    check(turned, ended(Failure), Ended(Success), true);
    check(turned, ended(Success), Ended(Failure), true);
    check(turned, ended(Failure), Ended(Failure), false);
    check(turned, ended(Failure), Ended(Warnings), false);
    check(turned, ended(Failure), Previous::None, false);
    check(turned, ended(Failure), Running, false);
    let map = "notify_events = {\"successToFailure\": 1, \"finished\": 0}";
    check(map, ended(Failure), Ended(Success), true);
    check(map, ended(Success), Ended(Failure), false);
    let dotted = "notify_events.success_to_failure = 1\nnotify_events.finished = no";
    check(dotted, ended(Failure), Ended(Success), true);
    check(dotted, ended(Success), Ended(Success), false);
    for odd in [Skipped, Retry] {
        check(
            "notify_events = success failure",
            ended(odd),
            Ended(odd),
            false,
        );
        check("notify_events = finished", ended(odd), Ended(odd), true);
    }
}

#[test]
fn a_push_hears_what_is_not_on_its_black_list() {
    let finished = event(What::Finished(Outcome::Success), Previous::None);
    let started = event(What::Started, Previous::None);
    let push = settings(
        "http_push",
        "server_url = https://me:pw@h.test/x\nblack_list = build_started",
    );
    assert!(!push.hears(&started).yes);
    assert_eq!(push.hears(&finished).recipients, ["https://h.test/x"]);
}

#[test]
fn a_review_is_of_a_build_of_a_gerrit_change() {
    let gerrit = settings(
        "gerrit",
        "server = g.test\nusername = ci\nreviewed.failure = -2",
    );
    let hears = |outcome, properties: &[(&str, serde_json::Value)]| {
        let mut event = event(What::Finished(outcome), Previous::None);
        for (name, value) in properties {
            event.properties.set(*name, value.clone(), "test");
        }
        gerrit.hears(&event)
    };
    assert!(!hears(Outcome::Success, &[]).yes);
    let plain = [
        ("gerrit_branch", json!("main")),
        ("project", json!("docs")),
        ("got_revision", json!("4f2a")),
    ];
    let verdict = hears(Outcome::Failure, &plain);
    assert_eq!(verdict.recipients, ["docs 4f2a"]);
    assert!(verdict.because.ends_with("verified -1, reviewed -2"));
    let verdict = hears(Outcome::Warnings, &plain);
    assert!(verdict.because.ends_with("verified -1, reviewed 0"));
    let verdict = hears(Outcome::Success, &plain);
    assert!(verdict.because.ends_with("verified 1, reviewed 0"));
    let repo = |downloaded: &str| {
        let all = [
            ("repo_downloads", json!(["a 1/2", "b 3/4"])),
            ("repo_downloaded", json!(downloaded)),
        ];
        hears(Outcome::Success, &all).recipients
    };
    assert_eq!(repo("1/2 aaa 3/4 bbb"), ["a aaa", "b bbb"]);
    assert_eq!(repo("1/2 aaa 9/9 bbb"), ["a aaa"]);
    assert!(repo("1/2 aaa").is_empty());
}
