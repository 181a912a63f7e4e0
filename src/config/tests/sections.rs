//! `[:web:]`, `[:authz:]`, `[:metrics:]` and `[user:NAME]`: sections in, values out.

use std::time::Duration;

use super::Authz;
use super::WebPlan;
use crate::config::About;
use crate::config::AboutBuilder;
use crate::config::Action;
use crate::config::Feed;
use crate::config::Permission;
use crate::config::Person;
use crate::config::authz;
use crate::config::metrics;
use crate::config::slave;
use crate::config::users;
use crate::config::web;
use crate::syntax::Keys;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;
use crate::syntax::ini;

fn sections(text: &str) -> Vec<Section> {
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let sections = ini::read(&source, &mut problems).sections;
    assert!(problems.is_empty(), "{}", problems.render(false));
    sections
}

/// What `read` makes of a section's lines, and every problem.
fn with<T>(
    title: &str,
    text: &str,
    read: impl FnOnce(&mut Keys<'_>) -> Option<T>,
) -> (Option<T>, Problems) {
    let all = sections(&format!("[{title}]\n{text}\n"));
    let mut problems = Problems::default();
    let mut keys = Keys::of(&all[0], &mut problems);
    let read = read(&mut keys);
    keys.finish();
    (read, problems)
}

/// Without errors; warnings are let pass.
fn good<T>((read, problems): (Option<T>, Problems)) -> T {
    let shown = problems.render(false);
    assert!(!problems.has_errors(), "{shown}");
    read.expect("read")
}

/// The lines of a section `[:web:]`, as pages get them.
pub(crate) fn web_of(text: &str) -> WebPlan {
    good(with(":web:", text, web::read))
}

/// The lines of a section `[:authz:]`, as pages get them.
pub(crate) fn authz_of(text: &str) -> Authz {
    good(with(":authz:", text, authz::read))
}

/// What and label of each problem, and what it points at.
fn told<T>((read, mut problems): (Option<T>, Problems)) -> String {
    assert!(read.is_none() || !problems.is_empty());
    problems.sort();
    let lines = problems.0.iter().map(|it| {
        let place = it.place.as_ref().expect("a place").text();
        let label = it.label.as_deref().or(it.help.first().map(String::as_str));
        format!(
            "{}: {} @ {place}: {}\n",
            it.code,
            it.what,
            label.unwrap_or("-")
        )
    });
    lines.collect()
}

/// A comment with its links as `[TEXT](URL "TITLE")`.
fn linked(text: &str, comment: &str) -> String {
    linked_of(&web_of(text), "otter", comment)
}

fn linked_of(web: &WebPlan, project: &str, comment: &str) -> String {
    let pieces = web.comment_links.pieces(project, comment);
    let whole: String = pieces.iter().map(|it| it.text).collect();
    assert_eq!(whole, comment);
    let pieces = pieces.into_iter().map(|it| match it.link {
        None => it.text.to_owned(),
        Some(link) => match link.title {
            Some(title) => format!("[{}]({} \"{title}\")", it.text, link.url),
            None => format!("[{}]({})", it.text, link.url),
        },
    });
    pieces.collect()
}

#[test]
fn words_of_a_comment_become_links_in_three_forms() {
    let three = r"change_comment_link = #(\d+) http://t/\1 Bug \g<0>";
    assert_eq!(
        linked(three, "fix #12 & <b>"),
        "fix [#12](http://t/12 \"Bug #12\") & <b>"
    );
    let json = r##"changecommentlink = ["#(\\d+)", "http://t/\\1", "Bug \\g<0>"]"##;
    assert_eq!(web_of(json), web_of(three));
    let quoted = r##"change_comment_link = "#(\d+)" 'http://t/\1' "Bug \g<0>""##;
    assert_eq!(web_of(quoted), web_of(three));
    let two = r"change_comment_link = \b([A-Z]+)-(?P<n>\d+) https://t/\1?n=\g<n>&x=\g<2>";
    assert_eq!(
        linked(two, "see WEB-7, WEB-8"),
        "see [WEB-7](https://t/WEB?n=7&x=7), [WEB-8](https://t/WEB?n=8&x=8)"
    );
    let one = r"change_comment_link = https://t/\1";
    assert_eq!(linked(one, "#1 #x"), "[#1](https://t/1) #x");
    assert_eq!(linked("", "#1"), "#1");
}

#[test]
fn each_project_may_have_links_of_its_own() {
    let web = web_of(r"change_comment_link.newt = https://newt/\1");
    assert_eq!(linked_of(&web, "newt", "#1"), "[#1](https://newt/1)");
    assert_eq!(linked_of(&web, "otter", "#1"), "#1");
}

#[test]
fn a_comment_cannot_choose_the_host_or_break_out() {
    let any = r"change_comment_link = t:(.*) https://t/\1 \1";
    assert_eq!(
        linked(any, "t:\"><script>' \u{7f}é\nt:javascript:alert(1)"),
        "[t:\"><script>' \u{7f}é](https://t/%22%3E%3Cscript%3E%27%20%7F%C3%A9 \"\"><script>' \u{7f}é\")\n\
         [t:javascript:alert(1)](https://t/javascript:alert(1) \"javascript:alert(1)\")"
    );
    for bad in [
        r"#(\d+) http://\1/",
        r"#(\d+) http://tracker.test\1",
        r"#(\d+) \1",
        r"#(\d+) javascript:alert(\1)",
        r"#(\d+) http:///x/\1",
        r"#(\d+) //t/\1",
        r"#(\d+) http://t/\2",
        r"#(\d+) http://t/\g<x>",
        r"#(\d+) http://t/\g<1",
        r"(\d* http://t/\1",
        r"\d* http://t/\g<0>",
        r"'#(\d+) http://t/\1",
        r"",
        r#"["a", "b", "c", "d"]"#,
    ] {
        let read = with(":web:", &format!("change_comment_link = {bad}"), web::read);
        let told = told(read);
        assert_eq!(told.lines().count(), 1, "{bad}\n{told}");
        assert!(told.starts_with("bad-value"), "{bad}\n{told}");
    }
    let many = "#1 ".repeat(5000);
    let links = linked(r"change_comment_link = https://t/\1", &many);
    assert_eq!(links.matches("https").count(), 500);
}

#[test]
fn a_revision_is_quoted_into_its_link() {
    let of = |text: &str, repository: &str, revision: &str| {
        web_of(text).revlinks.of(repository, revision)
    };
    let one = "revlink = https://r/c/%s?x";
    assert_eq!(
        of(one, "any", "5f0c").as_deref(),
        Some("https://r/c/5f0c?x")
    );
    assert_eq!(
        of(one, "any", "a/b \"<&?#%").as_deref(),
        Some("https://r/c/a/b%20%22%3C%26%3F%23%25?x")
    );
    assert_eq!(of(one, "any", ""), None);
    let map = r#"revlink = {"https://git/a": "https://a/c/%s"}"#;
    assert_eq!(
        of(map, "https://git/a", "1").as_deref(),
        Some("https://a/c/1")
    );
    assert_eq!(of(map, "https://git/b", "1"), None);
    let dotted = "revlink.words = https://w/%s";
    assert_eq!(of(dotted, "words", "1").as_deref(), Some("https://w/1"));
    let told = |text: &str| told(with(":web:", text, web::read));
    for bad in [
        "https://r/c",
        "https://r/%s/%s",
        "https://%s",
        "https://r%s/",
        "r/%s",
        "javascript://x/%s",
    ] {
        let told = told(&format!("revlink = {bad}"));
        assert!(told.starts_with("bad-value"), "{bad}\n{told}");
    }
}

#[test]
fn keys_that_the_pages_do_not_use_are_checked_and_said() {
    let text = "change_hook_dialects.github = yes\nnumbuilds = 5\norder_console_by_time = yes\nprovide_feeds = atom rss\nauth = x\n\
        num_events = 300\nnum_events_max = 200\nmax_rotated_files = many\nreviews = 1";
    insta::assert_snapshot!(told(with(":web:", text, web::read)), @"
    no-effect: `change_hook_dialects.github` has no effect @ yes: each hook is a section `[source:NAME]` of its own, with its `type` and its `secret`
    unknown-key: `auth` stands in the wrong section @ x: `[:authz:]` says who may do what
    contradiction: `num_events` is 300, and `num_events_max` is 200 @ 300: this is more
    bad-value: bad value for `max_rotated_files` in [:web:] @ many: expected a whole number from 0 to 4294967295
    unknown-key: unknown key `reviews` in [:web:] @ reviews: the keys of [:web:] are `revlink`, `change_comment_link`, `num_events`, `num_events_max`, `num_builds`, `public_html`, `provide_feeds`, `order_console_by_time`, `allow_force`, `http_port`, `public_http_port`, `distrib_port`, `tls_certificate`, `tls_key`, `hsts`, `trusted_proxies`, `proxy_headers`, `max_connections`, `max_connections_per_address`, `max_live`, `max_live_per_address`, `max_hook_requests`, `access_log`, `log_rotate_length`, `max_rotated_files`, `auth`, `projects.NAME`, `repositories.NAME`, `mounts.NAME`, `change_hook_dialects.NAME`
    ");
    let feeds = web_of("provide_feeds = rss json").feeds;
    assert_eq!(feeds, Some(vec![Feed::Rss, Feed::Json]));
    assert_eq!(web_of("").feeds, None);
    let bad = told(with(":web:", "provide_feeds = rss xml", web::read));
    assert!(
        bad.contains("expected some of `atom`, `json`, `rss`"),
        "{bad}"
    );
    for bad in ["..", ".", "/", "a/../.."] {
        let told = told(with(":web:", &format!("public_html = {bad}"), web::read));
        assert!(told.starts_with("bad-value"), "{bad}: {told}");
    }
    for bad in ["mounts.a = ..", "mounts.a/b = docs", "mounts..a = docs"] {
        let told = told(with(":web:", bad, web::read));
        assert!(told.starts_with("bad-"), "{bad}: {told}");
    }
    let mounts = web_of("mounts.docs = ./manual\nmounts.book = /srv/book").mounts;
    assert!(mounts["docs"].ends_with("manual") && mounts["book"].ends_with("srv/book"));
    let public = web_of("public_html = ./site").public_html;
    assert!(public.is_some_and(|it| it.ends_with("site")));
    let web = web_of("numbuilds = 5\norder_console_by_time = yes");
    assert_eq!((web.num_builds, web.order_console_by_time), (Some(5), true));
    let web = web_of("num_events = 20\nprojects.otter = https://otter/\nallow_force = no");
    assert_eq!((web.num_events, web.allow_force), (Some(20), Some(false)));
    assert_eq!(web.projects["otter"], "https://otter/");
    assert!(told(with(":web:", "projects.a = javascript:x", web::read)).starts_with("bad-value"));
}

#[test]
fn pages_are_served_where_and_how_the_section_says() {
    let web = web_of(
        "http_port = 8011 tcp:8012:interface=127.0.0.1 https:8443:interface=\\:\\:1 unix:run/web.sock:mode=600\n\
         distrib_port = ./dist.sock\npublic_http_port = localhost:8013\n\
         tls_certificate = c.pem\ntls_key = k.pem\nhsts = none\ntrusted_proxies = 10.0.0.0/8 ::1 unix\n\
         max_live = 5\nrotate_length = 1000\nmax_rotated_files = 0\naccess_log = no",
    );
    let ports = web.server.ports.iter();
    let shown = ports.map(|it| format!("{} {} {:?}", it.key, it.spec.endpoint, it.spec.scheme));
    let shown: Vec<_> = shown.collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    http_port 0.0.0.0:8011 Usual
    http_port 127.0.0.1:8012 Plain
    http_port [::1]:8443 Tls
    http_port unix:/base/run/web.sock Plain
    public_http_port 127.0.0.1:8013 Usual
    distrib_port unix:/base/./dist.sock Plain
    ");
    assert_eq!(web.server.hsts, None);
    assert_eq!(web.server.limits.live, 5);
    assert_eq!(web.server.log.rotate_length, Some(1000));
    assert_eq!(web.server.log.max_rotated_files, Some(0));
    assert!(!web.server.log.is_on);
    let usual = web_of("").server;
    assert_eq!((usual.limits.connections, usual.limits.live), (1024, 2000));
    assert!(usual.hsts.is_some() && usual.tls.is_none() && usual.log.is_on);
}

#[test]
fn a_port_that_is_none_is_told_with_what_would_be_one() {
    let told = |text: &str| told(with(":web:", text, web::read));
    let text = "http_port = 0\npublic_http_port = tcp:8010:interface=here\ndistrib_port = ~/x\n\
        trusted_proxies = 10.0.0.0/99\nproxy_headers = via\nmax_live = 0";
    insta::assert_snapshot!(told(text), @"
    bad-value: bad value for `http_port` in [:web:] @ 0: expected a port such as `8010`, `127.0.0.1:8010`, `tcp:8010:interface=127.0.0.1`, `https:8443` or `unix:web.sock`: a port is a number from 1 to 65535
    bad-value: bad value for `public_http_port` in [:web:] @ tcp:8010:interface=here: expected a port such as `8010`, `127.0.0.1:8010`, `tcp:8010:interface=127.0.0.1`, `https:8443` or `unix:web.sock`: an interface is an address such as `127.0.0.1`
    bad-value: bad value for `distrib_port` in [:web:] @ ~/x: expected a port such as `8010`, `127.0.0.1:8010`, `tcp:8010:interface=127.0.0.1`, `https:8443` or `unix:web.sock`: write the whole path; `~` is not looked up
    bad-value: bad value for `trusted_proxies` in [:web:] @ 10.0.0.0/99: expected addresses and networks such as `127.0.0.1` or `10.0.0.0/8`, or `unix`
    bad-value: bad value for `proxy_headers` in [:web:] @ via: expected `x-forwarded` or `forwarded`
    bad-value: bad value for `max_live` in [:web:] @ 0: expected at least 1, or nobody could see a page
    ");
    insta::assert_snapshot!(told("http_port = ssl:8443:privateKey=k.pem:certKey=c.pem"), @"bad-value: bad value for `http_port` in [:web:] @ ssl:8443:privateKey=k.pem:certKey=c.pem: expected a port such as `8010`, `127.0.0.1:8010`, `tcp:8010:interface=127.0.0.1`, `https:8443` or `unix:web.sock`: `tls_certificate` and `tls_key` say which certificate is shown");
    insta::assert_snapshot!(told("http_port = https:8443"), @"missing-key: `tls_certificate` and `tls_key` are missing in [:web:] @ https:8443: this needs a certificate and its key");
    insta::assert_snapshot!(told("tls_key = k.pem"), @"missing-key: `tls_certificate` is missing in [:web:] @ k.pem: this needs a certificate and its key");
}

#[test]
fn two_listeners_with_the_same_port_are_a_mistake_that_names_it() {
    let shown = |text: &str| {
        let rest = "[slave:a]\npassword = x\nfactories = foo\n[foo]\ntype = shell\n\
            command = true\n";
        let main = Source::new(
            "master.ini",
            std::path::Path::new("/nonexistent"),
            format!("{text}{rest}"),
        );
        match crate::config::load_text(&main, Vec::new()) {
            Ok(plan) => {
                let all = plan.listeners().into_iter();
                let all = all.map(|it| format!("{} {} {}\n", it.key, it.endpoint, it.tls));
                all.collect()
            }
            Err(problems) => problems.render(false),
        }
    };
    insta::assert_snapshot!(shown("[:web:]\nhttp_port = 8020 8021 8020\n"), @"
    error[port]: `http_port` has port 8020 twice
     --> master.ini:2:23
      |
    2 | http_port = 8020 8021 8020
      |             ----      ^^^^ this is taken
      |             |
      |             by this
    ");
    insta::assert_snapshot!(shown("[:web:]\npublic_http_port = 127.0.0.1:8010\n"), @"
    error[port]: `public_http_port` and `htmlport` are both port 8010
     --> master.ini:2:20
      |
    2 | public_http_port = 127.0.0.1:8010
      |                    ^^^^^^^^^^^^^^ this is taken
      |
      = help: `htmlport` is 0.0.0.0:8010 where the file says nothing else
    ");
    insta::assert_snapshot!(shown("[:web:]\nhttp_port = 9010\ndistrib_port = /run/x.sock /run/x.sock\n"), @"
    error[port]: `http_port` and `slaveport` are both port 9010
     --> master.ini:2:13
      |
    2 | http_port = 9010
      |             ^^^^ this is taken
      |
      = help: `slaveport` is 0.0.0.0:9010 where the file says nothing else

    error[port]: `unix:/run/x.sock` is listened on twice
     --> master.ini:3:28
      |
    3 | distrib_port = /run/x.sock /run/x.sock
      |                ----------- ^^^^^^^^^^^ this is taken
      |                |
      |                by this
    ");
    // Who names the port of the pages in this section has no other.
    insta::assert_snapshot!(shown("[:web:]\nhttp_port = 8010\n"), @"
    slaveport 0.0.0.0:9010 false
    http_port 0.0.0.0:8010 false
    ");
    let tls = "[:master:]\nhtmlport = 8010\npublichtmlport = 8011\n[:web:]\nhttp_port = tcp:8012\n\
        tls_certificate = c\ntls_key = k\n";
    insta::assert_snapshot!(shown(tls), @"
    slaveport 0.0.0.0:9010 false
    htmlport 0.0.0.0:8010 true
    publichtmlport 0.0.0.0:8011 true
    http_port 0.0.0.0:8012 false
    ");
}

#[test]
fn with_the_section_what_is_not_allowed_is_refused() {
    use Permission::{Granted, NeedsLogin, Refused};
    let ask = |authz: &Authz, action| authz.permits(action, None, &About::default());
    let check = |text: &str, action: Action, expected: Permission| {
        assert_eq!(ask(&authz_of(text), action), expected, "{text}");
    };
    for action in Action::ALL {
        check(&format!("{} = yes", action.as_str()), action, Granted);
        check(&format!("{} = no", action.as_str()), action, Refused);
        match action {
            Action::ManageUsers | Action::ShowAudit => {
                // That must be said by its name.
                assert_eq!(ask(&Authz::default(), action), Refused);
                check("default_action = yes", action, Refused);
            }
            Action::View => check("default_action = no", action, Granted),
            _ => {
                check("", action, Refused);
                assert_eq!(ask(&Authz::default(), action), Granted);
                check("default_action = yes", action, Granted);
                check("default_action = authenticated", action, NeedsLogin);
            }
        }
    }
    check("forceBuild = yes", Action::ForceBuild, Granted);
    check("forceBuild = yes", Action::StopBuild, Refused);
    check(
        "default_action = yes\nforce_build = no",
        Action::ForceBuild,
        Refused,
    );
    check("force_build = auth", Action::ForceBuild, NeedsLogin);
    let condition = "force_build = user in ['ann', 'bo'] and builder == 'docs'";
    check(condition, Action::ForceBuild, NeedsLogin);
}

fn person(name: &str, attributes: &[(&str, &str)]) -> Person {
    let attributes = attributes.iter();
    let attributes = attributes.map(|(kind, it)| ((*kind).to_owned(), (*it).to_owned()));
    Person::new(name, attributes.collect())
}

#[test]
fn a_condition_is_computed_over_who_it_is_and_what_it_is_about() {
    use Permission::{Granted, NeedsLogin, Refused};
    let groups = "role.admin = ann\nteam.releng = ann bo\nteam.docs = cy\n";
    let about = About {
        builder: Some(AboutBuilder::called("smoketest")),
        branch: Some("main".into()),
        build: Some((7, "because".into())),
        request: Some((9, "because".into())),
        slave: Some("otter".into()),
        owners: vec!["Bo B <bo@example.org>".into(), "dee".into()],
    };
    let check = |rule: &str, person: &Person, expected: Permission| {
        let authz = authz_of(&format!("{groups}{rule}"));
        let action = Action::ALL
            .into_iter()
            .find(|it| rule.starts_with(it.as_str()))
            .expect("an action");
        let asked = authz.permits(action, Some(person), &about);
        assert_eq!(asked, expected, "{rule} for {}", person.name());
        // Who has not logged in is asked to, whatever the condition says.
        let asked = authz.permits(action, None, &about);
        assert_eq!(asked, NeedsLogin, "{rule}");
    };
    let ann = person("ann", &[]);
    let bo = person("bo", &[("email", "B. <bo@example.org>"), ("git", "bob")]);
    let dee = person("dee", &[("git", "d")]);
    let eve = person("eve", &[("email", "eve@example.org")]);
    let rule = "force_build = user in team.releng or builder.name == \"smoketest\"";
    check(rule, &eve, Granted);
    let rule = "force_build = user in team.releng or builder.name == \"other\"";
    check(rule, &bo, Granted);
    check(rule, &eve, Refused);
    check("stop_build = owner or user in role.admin", &ann, Granted);
    check("stop_build = owner or user in role.admin", &bo, Granted);
    check("stop_build = owner", &dee, Granted);
    check("stop_build = owner", &eve, Refused);
    check(
        "stop_build = build.number == 7 and branch == 'main'",
        &eve,
        Granted,
    );
    check(
        "cancel_pending_build = owner and request.number == 9",
        &dee,
        Granted,
    );
    check(
        "pause_slave = slave == 'otter' and user != 'ann'",
        &bo,
        Granted,
    );
    check(
        "pause_slave = slave == 'otter' and user != 'ann'",
        &ann,
        Refused,
    );
    check("reload = 'admin' in user.roles", &ann, Granted);
    check("reload = 'admin' in user.roles", &bo, Refused);
    check("reload = 'docs' in user.teams", &person("cy", &[]), Granted);
    check(
        "reload = user.email is endingwith('@example.org')",
        &bo,
        Granted,
    );
    check("reload = user.git == 'bob'", &bo, Granted);
    check("reload = user.git == 'bob'", &ann, Refused);
    check("reload = authenticated", &eve, Granted);
    // What cannot be computed refuses.
    check("reload = user.name > 3 + user.name", &ann, Refused);
}

#[test]
fn forms_are_offered_where_some_of_what_is_shown_may_be_acted_on() {
    use Permission::{Granted, NeedsLogin, Refused};
    let authz = authz_of(
        "role.admin = ann\nforce_build = user in role.admin\nstop_build = owner\n\
         pause_slave = authenticated",
    );
    let (ann, bo) = (person("ann", &[]), person("bo", &[]));
    let offers = |action, person| authz.offers(action, person, None);
    assert_eq!(offers(Action::ForceBuild, Some(&ann)), Granted);
    assert_eq!(offers(Action::ForceBuild, Some(&bo)), Refused);
    assert_eq!(offers(Action::ForceBuild, None), NeedsLogin);
    assert_eq!(offers(Action::StopBuild, Some(&bo)), Granted);
    assert_eq!(offers(Action::StopBuild, None), NeedsLogin);
    assert_eq!(offers(Action::PauseSlave, Some(&bo)), Granted);
    assert_eq!(offers(Action::Reload, Some(&ann)), Refused);
    let of_others = About {
        owners: vec!["cy".into()],
        ..About::default()
    };
    let asked = authz.offers(Action::StopBuild, Some(&bo), Some(&of_others));
    assert_eq!(asked, Refused);
}

#[test]
fn a_rule_that_needs_a_login_says_that_it_refuses_everybody_where_nobody_logs_in() {
    let text =
        "force_build = authenticated\nstop_build = user == 'ann'\nping_builder = yes\nreload = no";
    insta::assert_snapshot!(told(with(":authz:", text, authz::read)), @"
    no-effect: `force_build` needs a login, and nobody can log in @ authenticated: this refuses everybody
    no-effect: `stop_build` needs a login, and nobody can log in @ user == 'ann': this refuses everybody
    ");
    let text = "force_build = authenticated\nusers = ann:pw-one";
    assert!(with(":authz:", text, authz::read).1.is_empty());
    let open = told(with(":authz:", "manage_users = yes", authz::read));
    insta::assert_snapshot!(open, @"open-action: `manage_users` is allowed to everybody @ yes: whoever reaches the port makes users and tokens");
}

#[test]
fn a_mistake_in_a_rule_is_told_and_never_allows() {
    let text = "forcebild = yes\nstop_build = yess\ncancel_pending_build = user = 'ann'\nreload = builder == 'a'\n\
        default_action = root\nusers = ann\nhtpasswd = x\nteam.releng = ann\nforce_build = user in team.relneg\n\
        graceful_shutdown = slaev == 'a'";
    let read = with(":authz:", text, authz::read);
    assert!(read.0.is_none());
    insta::assert_snapshot!(told(read), @r#"
    unknown-key: unknown key `forcebild` in [:authz:] @ forcebild: did you mean `force_build`?
    bad-value: bad value for `stop_build` in [:authz:] @ yess: did you mean `yes`?
    bad-expression: bad value for `cancel_pending_build` in [:authz:] @ =: write `==` to compare
    unknown-name: bad value for `reload` in [:authz:] @ builder: there is no name `builder`; there are `user`, `role`, `team`
    bad-value: bad value for `default_action` in [:authz:] @ root: expected `yes`, `no`, `authenticated`, or a condition such as `user == "ann"`
    bad-value: bad value for `users` in [:authz:] @ ann: expected `NAME:PASSWORD`
    unknown-name: bad value for `force_build` in [:authz:] @ relneg: there is no `relneg` of `team`; did you mean `releng`?
    unknown-name: bad value for `graceful_shutdown` in [:authz:] @ slaev: there is no name `slaev`; did you mean `slave`?
    "#);
    for bad in [
        "users = ann:$2y$05$short",
        "users = ann:$6$rounds=999999999$salt$xxxx",
        "users = ann: bo:x",
        "users = ann:x ann:y",
        "session_idle = long",
        "audit_entries = -1",
    ] {
        assert!(with(":authz:", bad, authz::read).0.is_none(), "{bad}");
    }
    let shown = format!("{:?}", authz_of("users = ann:pw-one bo:pw-two"));
    assert!(!shown.contains("pw-"), "{shown}");
}

#[test]
fn allow_force_and_the_section_for_it_contradict_each_other() {
    let all = sections("[:web:]\nallowForce = no\n[:authz:]\n");
    let mut problems = Problems::default();
    authz::check_with_web(&all[1], &all[0], &mut problems);
    insta::assert_snapshot!(problems.render(false), @"
    error[contradiction]: `allow_force` and `[:authz:]` both say who may do what
     --> master.ini:2:1
      |
    2 | allowForce = no
      | ^^^^^^^^^^ either this
    3 | [:authz:]
      |  ------- or this
      |
      = help: `[:authz:]` alone says all of it
    ");
    let all = sections("[:web:]\nnum_events = 1\n[:authz:]\n");
    let mut problems = Problems::default();
    authz::check_with_web(&all[1], &all[0], &mut problems);
    assert!(problems.is_empty());
}

#[test]
fn a_user_has_names_and_perhaps_a_login() {
    let read = |text: &str| with("user:ann", text, |keys| users::read("ann", keys));
    let user = good(read(
        "email = Ann <ann@example.org>\ngit = Ann R <ann@example.org>\nsvn = ann\nbb_username = ann\nbb_password = pw-one",
    ));
    assert_eq!(user.plan.attributes.len(), 3);
    assert_eq!(user.plan.attributes["svn"], "ann");
    assert!(!format!("{:?}", user.plan).contains("pw-one"));
    insta::assert_snapshot!(told(read("email = ann\nusername = ann\nsvm = ann\ngit =")), @"
    missing-key: `password` is missing in [user:ann] @ user:ann: `username` is set, and only both make a login
    bad-value: bad value for `email` in [user:ann] @ ann: expected a mail address such as `ann@example.org`
    unknown-key: unknown key `svm` in [user:ann] @ svm: did you mean `svn`?
    bad-value: bad value for `git` in [user:ann] @ : expected a name of one line and at most 128 bytes
    ");
    let ann = good(read("git = ann\nemail = a@b.org"));
    let bo = good(read("git = ann\nemail = b@b.org"));
    let mut problems = Problems::default();
    users::check(&[ann, bo], &mut problems);
    assert_eq!(problems.0.len(), 1, "{}", problems.render(false));
    assert_eq!(problems.0[0].what, "two users have the same `git`");
}

#[test]
fn figures_are_taken_at_intervals_or_never() {
    let read = |text: &str| with(":metrics:", text, metrics::read);
    let usual = good(read(""));
    assert_eq!(usual.log_interval, Some(Duration::from_secs(60)));
    assert_eq!(usual.periodic_interval, Some(Duration::from_secs(10)));
    let never = good(read("log_interval = 0\nperiodic_interval = none"));
    assert_eq!((never.log_interval, never.periodic_interval), (None, None));
    let told = told(read("logInterval = often"));
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// The manual's sections that no whole file can show without a warning.
#[test]
fn the_sections_of_the_manual_are_good() {
    let manual = include_str!("../../../docs/manual.md");
    let blocks: Vec<_> = manual.split("\n```conf\n").skip(1).collect();
    assert!(blocks.len() >= 5);
    for block in blocks {
        let block = block.split("\n```\n").next().expect("an end");
        for section in sections(block) {
            let mut problems = Problems::default();
            let mut keys = Keys::of(&section, &mut problems);
            let is_read = match section.name.split_once(':') {
                Some(("", "web:")) => web::read(&mut keys).is_some(),
                Some(("", "authz:")) => authz::read(&mut keys).is_some(),
                Some(("user", name)) => users::read(name, &mut keys).is_some(),
                Some(("slave", name)) => slave::read(name, &mut keys).plan.is_some(),
                Some(("status", _)) => crate::reporters::read(&mut keys).is_some(),
                _ => panic!("{}", section.name),
            };
            keys.finish();
            let shown = problems.render(false);
            assert!(is_read && !problems.has_errors(), "{block}\n{shown}");
        }
    }
}
