//! What forges send, as their documents show it, and what strangers send.

use super::*;
use crate::model::Timestamp;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

/// A hook of these lines; each is good.
pub(super) fn hook(lines: &str) -> HookSettings {
    let (hook, problems) = read_in(lines);
    assert_eq!(problems, "", "{lines}");
    hook.expect(lines)
}

fn read_in(lines: &str) -> (Option<HookSettings>, String) {
    let source = Source::new("m.ini", "/", format!("[source:x]\n{lines}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let settings = crate::changes::read(&mut keys);
    keys.finish();
    let hook = settings.and_then(|it| it.hook().cloned());
    (hook, problems.render(false))
}

fn knock(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Knock {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Knock {
        headers: headers.collect(),
        query: Vec::new(),
        body: body.into(),
    }
}

pub(super) fn json(body: &str) -> Knock {
    knock(&[("content-type", "application/json; charset=utf-8")], body)
}

pub(super) fn changes(hook: &HookSettings, knock: &Knock) -> Vec<NewChange> {
    match hook.read_knock(knock, &[]) {
        Ok(Said::Changes(changes)) => changes,
        other => panic!("no changes: {other:?}"),
    }
}

pub(super) fn refusal(hook: &HookSettings, knock: &Knock) -> String {
    let refused = hook.read_knock(knock, &[]).expect_err("a refusal");
    format!("{refused:?}")
}

const GITHUB: &str = r#"{
  "ref": "refs/heads/main",
  "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
  "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
  "repository": {
    "name": "hello-world", "full_name": "baxter/hello-world",
    "html_url": "https://github.com/baxter/hello-world",
    "url": "https://github.com/baxter/hello-world",
    "git_url": "git://github.com/baxter/hello-world.git",
    "ssh_url": "git@github.com:baxter/hello-world.git",
    "clone_url": "https://github.com/baxter/hello-world.git",
    "owner": {"name": "baxter", "login": "baxter"}
  },
  "commits": [
    {"id": "c441029cf673f84c8b7db52d0a5944ee5c52ff89", "message": "Test", "distinct": true,
     "timestamp": "2010-01-02T03:04:05-07:00", "url": "https://github.com/baxter/hello-world/commit/c441029",
     "author": {"name": "Garen Torikian", "email": "gjtorikian@example.org", "username": "gjtorikian"},
     "added": ["new file"], "removed": ["gone"], "modified": ["README.md"]},
    {"id": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "message": "Update\n\nMore of it", "distinct": true,
     "timestamp": "2010-01-02T03:05:05Z", "url": "https://github.com/baxter/hello-world/commit/da15608",
     "author": {"name": "Garen Torikian", "email": "gjtorikian@example.org"},
     "modified": ["hello.rb"]}
  ]
}"#;

#[test]
fn a_push_to_github_is_a_change_for_each_commit_oldest_first() {
    let hook = hook("type = github\nsecret = none\nproject = Hello\ncategory = push");
    let all = changes(&hook, &json(GITHUB));
    assert_eq!(all.len(), 2);
    let first = &all[0];
    assert_eq!(first.author, "Garen Torikian <gjtorikian@example.org>");
    assert_eq!(first.files, ["new file", "README.md", "gone"]);
    assert_eq!(first.when, Some(Timestamp::from_secs(1_262_426_645)));
    assert_eq!(first.branch.as_deref(), Some("main"));
    assert_eq!(first.repository, "https://github.com/baxter/hello-world");
    assert_eq!(
        first.revlink,
        "https://github.com/baxter/hello-world/commit/c441029"
    );
    assert_eq!(
        (first.project.as_str(), first.category.as_deref()),
        ("Hello", Some("push"))
    );
    assert_eq!(all[1].comments, "Update\n\nMore of it");
    assert_eq!(all[1].files, ["hello.rb"], "lists may be left out");
    let origin =
        "git https://github.com/baxter/hello-world main da1560886d4f094c3e6c9ef40349f7d38b5d27d7";
    assert_eq!(all[1].origin.as_deref(), Some(origin));
}

#[test]
fn the_payload_may_be_a_field_of_a_form_and_the_project_stand_in_the_address() {
    let hook = hook("type = github\nsecret = none\nproject = Other");
    let escaped: String = GITHUB.bytes().map(|it| format!("%{it:02X}")).collect();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut knock = knock(&form, format!("a=b&payload={escaped}"));
    knock.query = vec![("project".into(), "Hello".into())];
    let all = changes(&hook, &knock);
    assert_eq!((all.len(), all[0].project.as_str()), (2, "Hello"));
}

#[test]
fn of_the_addresses_of_a_repository_the_one_of_the_configuration_is_taken() {
    let hook = hook("type = github\nsecret = none");
    let known = [
        "/srv/x".to_owned(),
        "git@github.com:baxter/hello-world.git".to_owned(),
    ];
    let said = hook.read_knock(&json(GITHUB), &known).expect("good");
    let Said::Changes(all) = said else {
        panic!("{said:?}");
    };
    assert_eq!(all[0].repository, known[1]);
    let known = ["https://github.com/baxter/hello-world.git/".to_owned()];
    let Ok(Said::Changes(all)) = hook.read_knock(&json(GITHUB), &known) else {
        panic!("no changes");
    };
    assert_eq!(all[0].repository, known[0]);
}

#[test]
fn tags_deleted_branches_and_other_events_are_no_changes() {
    let hook = hook("type = github\nsecret = none\nbranches = main release/*");
    let other = |from: &str, to: &str| changes(&hook, &json(&GITHUB.replace(from, to)));
    assert_eq!(other("refs/heads/main", "refs/tags/v1"), []);
    assert_eq!(
        other("refs/heads/main", "refs/heads/topic"),
        [],
        "not one of `branches`"
    );
    assert_eq!(other("refs/heads/main", "refs/heads/release/1.0").len(), 2);
    let deleted = GITHUB.replace(
        "\"after\": \"da1560886d4f094c3e6c9ef40349f7d38b5d27d7\"",
        "\"after\": \"0000000000000000000000000000000000000000\"",
    );
    assert_eq!(changes(&hook, &json(&deleted)), []);
    let mut ping = json(r#"{"zen": "Keep it logically awesome."}"#);
    ping.headers.push(("x-github-event".into(), "ping".into()));
    assert_eq!(changes(&hook, &ping), []);
}

const GITEA: &str = r#"{
  "ref": "refs/heads/develop", "before": "28e1879d029cb852e4844d9c718537df08844e03",
  "after": "bffeb74224043ba2feb48d137756c8a9331c449a",
  "compare_url": "http://localhost:3000/gitea/webhooks/compare/28e1…bffe",
  "commits": [
    {"id": "bffeb74224043ba2feb48d137756c8a9331c449a", "message": "second\n",
     "url": "http://localhost:3000/gitea/webhooks/commit/bffe", "timestamp": "2017-03-13T13:52:11-04:00",
     "author": {"name": "", "email": "someone@gitea.example", "username": "gitea"}, "added": [], "removed": [], "modified": ["b"]},
    {"id": "aaaab74224043ba2feb48d137756c8a9331c449a", "message": "first\n", "url": "", "timestamp": "soon",
     "author": {"name": "Gitea", "email": ""}, "added": null, "removed": [], "modified": ["a"]}],
  "repository": {"id": 140, "clone_url": "http://localhost:3000/gitea/webhooks.git",
     "url": "http://localhost:3000/api/v1/repos/gitea/webhooks",
     "ssh_url": "ssh://gitea@localhost:2222/gitea/webhooks.git", "html_url": "http://localhost:3000/gitea/webhooks"}
}"#;

#[test]
fn a_push_to_gitea_is_turned_so_that_the_newest_is_last() {
    let hook = hook("type = forgejo\nsecret = none");
    let all = changes(&hook, &json(GITEA));
    let authors: Vec<&str> = all.iter().map(|it| it.author.as_str()).collect();
    assert_eq!(authors, ["Gitea", "gitea <someone@gitea.example>"]);
    assert_eq!(all[0].when, None, "what is no time is none");
    assert_eq!(all[0].repository, "http://localhost:3000/gitea/webhooks");
}

const GITLAB: &str = r#"{
  "object_kind": "push", "event_name": "push", "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
  "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "ref": "refs/heads/master",
  "checkout_sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "user_name": "John Smith",
  "project": {"id": 15, "name": "Diaspora", "web_url": "http://example.com/mike/diaspora",
    "git_ssh_url": "git@example.com:mike/diaspora.git", "git_http_url": "http://example.com/mike/diaspora.git"},
  "commits": [
    {"id": "b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327", "message": "Update Catalan translation.",
     "timestamp": "2011-12-12T14:27:31+02:00", "url": "http://example.com/mike/diaspora/commit/b656",
     "author": {"name": "Jordi Mallach", "email": "jordi@softcatala.example"},
     "added": ["CHANGELOG"], "modified": ["app/controller/application.rb"], "removed": []},
    {"id": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "message": "fixed readme",
     "timestamp": "2012-01-03T23:36:29+02:00", "url": "http://example.com/mike/diaspora/commit/da15",
     "author": {"name": "GitLab dev user", "email": "gitlabdev@dv6700.(none)"},
     "added": ["CHANGELOG"], "modified": [], "removed": []}],
  "total_commits_count": 4
}"#;

#[test]
fn a_push_to_gitlab_is_read_and_other_events_are_not() {
    let hook = hook("type = gitlab\nsecret = none");
    let all = changes(&hook, &json(GITLAB));
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].repository, "http://example.com/mike/diaspora.git");
    assert_eq!(all[0].files, ["CHANGELOG", "app/controller/application.rb"]);
    let tag = GITLAB.replace("\"object_kind\": \"push\"", "\"object_kind\": \"tag_push\"");
    assert_eq!(changes(&hook, &json(&tag)), []);
}

const BITBUCKET: &str = r#"{
  "actor": {"display_name": "Emma", "nickname": "emmap1"},
  "repository": {"full_name": "team_name/repo_name", "links": {"html": {"href": "https://bitbucket.org/team_name/repo_name"}}},
  "push": {"changes": [
    {"new": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": "709d658dc5b6d6afcd46049c2f332ee3f515a67d"}},
     "old": {"type": "branch", "name": "main"}, "truncated": false,
     "commits": [
       {"hash": "709d658dc5b6d6afcd46049c2f332ee3f515a67d", "message": "new\n", "date": "2015-06-09T03:34:49+00:00",
        "author": {"type": "author", "raw": "Emma <emma@example.org>"}, "links": {"html": {"href": "https://bitbucket.org/team_name/repo_name/commits/709d"}}},
       {"hash": "1e65c05c1d5171631d92438a13901ca7dae9618c", "message": "old\n", "date": "2015-06-08T21:34:56+00:00",
        "author": {"raw": "Emma <emma@example.org>"}, "links": {}}]},
    {"new": null, "old": {"type": "branch", "name": "gone"}, "commits": null},
    {"new": {"type": "tag", "name": "v1"}, "old": null}
  ]}
}"#;

const BITBUCKET_SERVER: &str = r#"{
  "eventKey": "repo:refs_changed", "date": "2017-09-19T09:58:11+1000",
  "actor": {"name": "admin", "emailAddress": "admin@example.com", "displayName": "Administrator"},
  "repository": {"slug": "repository", "links": {"clone": [
     {"href": "ssh://git@git.example:7999/proj/repository.git", "name": "ssh"},
     {"href": "https://git.example/scm/proj/repository.git", "name": "http"}]}},
  "changes": [
    {"ref": {"id": "refs/heads/master", "displayId": "master", "type": "BRANCH"}, "refId": "refs/heads/master",
     "fromHash": "ecddabb624f6f5ba43816f5926e580a5f680a932", "toHash": "178864a7d521b6f5e720b386b2c2b0ef8563e0dc", "type": "UPDATE"},
    {"ref": {"id": "refs/heads/gone"}, "toHash": "0000000000000000000000000000000000000000", "type": "DELETE"},
    {"ref": {"id": "refs/tags/v1"}, "toHash": "178864a7d521b6f5e720b386b2c2b0ef8563e0dc", "type": "ADD"}]
}"#;

#[test]
fn pushes_to_bitbucket_are_read_from_the_service_and_the_server() {
    let hook = hook("type = bitbucket\nsecret = none");
    let all = changes(&hook, &json(BITBUCKET));
    let comments: Vec<&str> = all.iter().map(|it| it.comments.as_str()).collect();
    assert_eq!(comments, ["old\n", "new\n"]);
    assert_eq!(
        all[0].repository,
        "https://bitbucket.org/team_name/repo_name"
    );
    let all = changes(&hook, &json(BITBUCKET_SERVER));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].author, "Administrator <admin@example.com>");
    assert_eq!(
        all[0].revision.as_deref(),
        Some("178864a7d521b6f5e720b386b2c2b0ef8563e0dc")
    );
    assert_eq!(
        all[0].repository,
        "ssh://git@git.example:7999/proj/repository.git"
    );
}

#[test]
fn the_base_dialect_takes_every_field_of_a_change() {
    let hook = hook("type = base\nsecret = none");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "who=ann&files=%5B%22a+b.c%22%5D&comments=hello%20there&revision=812&branch=topic&when=1330924028.5\
        &category=c&revlink=http%3A%2F%2Fx&repository=/srv/x&project=p&properties=%7B%22kind%22%3A+%5B1%5D%7D";
    let all = changes(&hook, &knock(&form, body));
    let change = &all[0];
    assert_eq!(
        (change.author.as_str(), change.files.as_slice()),
        ("ann", &["a b.c".to_owned()][..])
    );
    assert_eq!(change.when, Some(Timestamp(1_330_924_028_500)));
    assert_eq!(change.properties.get("kind"), Some(&serde_json::json!([1])));
    assert_eq!(
        change
            .properties
            .iter()
            .next()
            .map(|it| it.1.source.as_str()),
        Some("Change")
    );
    assert_eq!(change.origin, None, "the same twice is two changes");
    let least = changes(&hook, &knock(&form, "author=bo"));
    assert_eq!(
        (least[0].repository.as_str(), least[0].branch.as_deref()),
        ("", None)
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let base = hook("type = base\nsecret = none");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let said = |body: &str| refusal(&base, &knock(&form, body));
    insta::assert_snapshot!(said("comments=x"), @r#"Bad("the change has no author: `who` is missing")"#);
    insta::assert_snapshot!(said("who=a&when=soon%00"), @r#"Bad("`when` is `soon\\0`, which is no number of seconds")"#);
    insta::assert_snapshot!(said("who=a&when=1e400"), @r#"Bad("`when` is `1e400`, which is no number of seconds")"#);
    insta::assert_snapshot!(said("who=a&files=x"), @r#"Bad("`files` is no JSON: expected value at line 1 column 1")"#);
    insta::assert_snapshot!(said("who=a&files=[1]"), @r#"Bad("`files` is no list of names")"#);
    insta::assert_snapshot!(said("who=a&properties=[]"), @r#"Bad("`properties` is no JSON object")"#);
    let github = hook("type = github\nsecret = none");
    insta::assert_snapshot!(refusal(&github, &json("{")), @r#"Bad("this is no JSON: EOF while parsing an object at line 1 column 1")"#);
    insta::assert_snapshot!(refusal(&github, &json("[]")), @r#"Bad("the payload is no JSON object")"#);
    insta::assert_snapshot!(refusal(&github, &json(r#"{"ref": "refs/heads/x", "after": "1"}"#)), @r#"Bad("the payload has no list of `commits`")"#);
    insta::assert_snapshot!(refusal(&github, &knock(&[("content-type", "text/plain")], "x")), @r#"Strange("expected application/json, or a form with a field `payload`")"#);
}

#[test]
fn no_bytes_at_all_break_a_hook() {
    use proptest::prelude::*;
    let kinds = ["base", "github", "gitlab", "bitbucket", "gitea", "poller"];
    let hooks = kinds.map(|it| hook(&format!("type = {it}\nsecret = none")));
    let types = ["application/json", "application/x-www-form-urlencoded", "x"];
    proptest!(ProptestConfig::with_cases(200), |(body: Vec<u8>, kind in 0..6_usize, said in 0..3_usize)| {
        let knock = knock(&[("content-type", types[said])], body);
        drop(hooks[kind].read_knock(&knock, &[]));
        drop(hooks[kind].check("secret", &knock));
    });
}

#[test]
fn who_has_the_secret_shows_it_in_the_way_of_its_forge() {
    // As GitHub's documents have it.
    let secret = "It's a Secret to Everybody";
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let said = |kind: &str, header: &str, value: &str| {
        let hook = hook(&format!("type = {kind}\nsecret = x"));
        hook.check(secret, &knock(&[(header, value)], "Hello, World!"))
            .is_ok()
    };
    assert!(said("github", "x-hub-signature-256", right));
    assert!(said(
        "gitea",
        "x-gitea-signature",
        right.trim_start_matches("sha256=")
    ));
    assert!(said("bitbucket", "x-hub-signature", right));
    assert!(said("gitlab", "x-gitlab-token", secret));
    assert!(said(
        "base",
        "authorization",
        "Bearer It's a Secret to Everybody"
    ));
    assert!(said(
        "base",
        "authorization",
        "Basic YW5uOkl0J3MgYSBTZWNyZXQgdG8gRXZlcnlib2R5"
    ));
    assert!(said("poller", "x-hub-signature-256", right));
    for (kind, header, value) in [
        ("github", "x-hub-signature-256", &*right.replace('7', "8")),
        (
            "github",
            "x-hub-signature-256",
            "sha256=é57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        ("github", "x-hub-signature-256", "sha256="),
        ("github", "x-gitlab-token", secret),
        ("gitlab", "x-gitlab-token", "It's a Secret to Everybod"),
        ("gitlab", "x-hub-signature-256", right),
        ("base", "authorization", "Bearer "),
        ("base", "authorization", "Basic YW5u"),
        ("base", "authorization", "Digest x"),
        ("base", "cookie", secret),
    ] {
        assert!(!said(kind, header, value), "{kind} {header} {value}");
    }
}

#[test]
fn a_hook_wakes_the_pollers_that_it_may() {
    let all = hook("type = poller\nsecret = None");
    assert_eq!(all.secret, None);
    let mut asked = knock(&[], "");
    assert_eq!(all.read_knock(&asked, &[]), Ok(Said::Look(Vec::new())));
    asked.query = vec![("poller".into(), "words".into())];
    assert_eq!(
        all.read_knock(&asked, &[]),
        Ok(Said::Look(vec!["words".into()]))
    );
    let some = hook("type = poller\nsecret = none\npollers = hello");
    assert_eq!(
        refusal(&some, &asked),
        r#"Bad("this hook does not wake `words`")"#
    );
    let whatever = json("{}");
    assert_eq!(
        some.read_knock(&whatever, &[]),
        Ok(Said::Look(vec!["hello".into()]))
    );
}

#[test]
fn whether_strangers_may_knock_must_be_said() {
    insta::assert_snapshot!(read_in("type = github").1, @"
    error[missing-key]: `secret` is missing in [source:x]
     --> m.ini:1:2
      |
    1 | [source:x]
      |  ^^^^^^^^ expected a secret, `${secret:NAME}`, or `none`: whoever reaches the port may knock
    ");
}
