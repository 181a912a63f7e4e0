//! Who knows of a change knocks.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::farm::{Farm, commit, git_init, property, sh, text};

/// A farm that builds each push to a repository beside it, and looks for pushes hardly ever.
fn farm(sources: &str) -> (Farm, std::path::PathBuf) {
    let mut farm = Farm::new("");
    let words = farm.path("words");
    fs::create_dir_all(&words).expect("made");
    git_init(&words, "main");
    commit(&words, "first");
    let repository = words.display();
    let ini = format!(
        "poll_interval = 1h\ntree_stable = 0\n[slave:linux]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ngit = {repository}#main\ncommands = git log --oneline\n{sources}"
    );
    farm.write_ini(&ini.replace("REPOSITORY", &repository.to_string()));
    farm.start_master();
    farm.start_slave("linux");
    (farm, words)
}

/// Knocks with `curl`; the status and what was answered.
fn knock(farm: &Farm, name: &str, more: &[&str]) -> (u16, String) {
    let address = format!("http://127.0.0.1:{}/change_hook/{name}", farm.htmlport);
    let answer = Command::new("curl")
        .args(["-sS", "--max-time", "60", "-w", "%{http_code}"])
        .args(more)
        .arg(address)
        .output()
        .expect("curl");
    let said = text(&answer);
    let (body, status) = said
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or(("", said.trim()));
    (status.parse().expect(&said), body.to_owned())
}

fn signature(secret: &str, file: &Path) -> String {
    let file = file.to_string_lossy();
    let sum = sh(
        Path::new("/"),
        "openssl",
        &["dgst", "-sha256", "-hmac", secret, &file],
    );
    sum.trim().rsplit(' ').next().expect("a sum").to_owned()
}

#[test]
fn a_push_that_github_tells_of_is_built_once_and_strangers_are_sent_away() {
    let (mut farm, words) = farm("[source:github]\nsecret = quiet\nrepository = REPOSITORY\n");
    let revision = commit(&words, "second");
    let payload = json!({
        "ref": "refs/heads/main", "after": revision,
        "repository": { "url": "https://github.com/example/words" },
        "commits": [{ "id": revision, "message": "second <b>", "timestamp": "2026-01-02T03:04:05Z",
                      "author": { "name": "Ann", "email": "ann@example.org" }, "modified": ["a"] }],
    });
    let file = farm.path("payload.json");
    fs::write(&file, payload.to_string()).expect("written");
    let body = format!("@{}", file.display());
    let signed = format!("X-Hub-Signature-256: sha256={}", signature("quiet", &file));
    let forged = format!(
        "X-Hub-Signature-256: sha256={}",
        signature("guessed", &file)
    );
    let json = [
        "-H",
        "Content-Type: application/json",
        "--data-binary",
        &body,
    ];
    let with = |header: &str| {
        let mut all = vec!["-H".to_owned(), header.to_owned()];
        all.extend(json.map(str::to_owned));
        all
    };
    let send = |farm: &Farm, name: &str, header: &str| {
        let all = with(header);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        knock(farm, name, &all)
    };

    assert_eq!(send(&farm, "github", &forged).0, 401);
    assert_eq!(knock(&farm, "github", &json).0, 401, "not signed");
    let (status, said) = send(&farm, "gitlab", &signed);
    assert_eq!(
        (status, said.contains("no hook `gitlab`")),
        (400, true),
        "{said}"
    );
    let plain = [
        "-H",
        &*signed,
        "-H",
        "Content-Type: text/plain",
        "--data-binary",
        &*body,
    ];
    assert_eq!(knock(&farm, "github", &plain).0, 415);
    let large = farm.path("large");
    let writer = fs::File::create(&large).expect("made");
    writer.set_len(100 * 1024 * 1024).expect("a hole");
    let large = format!("@{}", large.display());
    assert_eq!(knock(&farm, "github", &["--data-binary", &large]).0, 413);

    assert_eq!(send(&farm, "github", &signed), (200, "OK".to_owned()));
    assert_eq!(
        send(&farm, "github", &signed),
        (200, "no changes found".to_owned())
    );
    let build = farm.wait_builds("words-linux", 1);
    assert_eq!(property(&build, "got_revision"), json!(revision));
    assert_eq!(build["blame"], json!(["Ann <ann@example.org>"]));
    let (_, changes) = farm.get("/changes").expect("a page");
    assert_eq!(changes.matches("second &lt;b&gt;").count(), 1, "{changes}");
}

#[test]
fn a_knock_has_a_poller_look_at_once() {
    let (mut farm, words) = farm("[source:looks]\ntype = poller\nsecret = none\n");
    // Its first look only notes where the branch is.
    farm.wait("the first look", |farm| {
        let status = farm.json("/api/status")?;
        let sources = status["sources"].to_string();
        sources.contains("last_poll\":\"").then_some(())
    });
    let revision = commit(&words, "second");
    assert_eq!(knock(&farm, "looks", &["-X", "POST"]).0, 200);
    let build = farm.wait_builds("words-linux", 1);
    assert_eq!(property(&build, "got_revision"), json!(revision));
    let (status, said) = knock(&farm, "looks?poller=other", &["-X", "POST"]);
    assert_eq!((status, said.as_str()), (200, "no changes found"));
}

/// How each dialect is shown a secret for what is in `file`; the last is its type of content.
fn shown(secret: &str, file: &Path) -> [(&'static str, String, &'static str); 6] {
    let sum = signature(secret, file);
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let bearer = format!("Authorization: Bearer {secret}");
    [
        ("github", format!("X-Hub-Signature-256: sha256={sum}"), json),
        ("gitlab", format!("X-Gitlab-Token: {secret}"), json),
        ("bitbucket", format!("X-Hub-Signature: sha256={sum}"), json),
        ("gitea", format!("X-Gitea-Signature: {sum}"), json),
        ("base", bearer.clone(), form),
        ("poller", bearer, form),
    ]
}

#[test]
fn forgeries_strange_types_garbage_and_bodies_without_end_are_refused_in_every_dialect() {
    let dialects = ["github", "gitlab", "bitbucket", "gitea", "base", "poller"];
    let sections: String = dialects
        .iter()
        .map(|it| {
            let more = match *it {
                "base" | "poller" => "",
                _ => "pull_requests = yes\n",
            };
            format!("[source:{it}]\nsecret = quiet\n{more}")
        })
        .collect();
    let (mut farm, words) = farm(&sections);
    let file = farm.path("body");
    let large = farm.path("large");
    let hole = fs::File::create(&large).expect("made");
    hole.set_len(100 * 1024 * 1024).expect("a hole");
    let send = |farm: &Farm, name: &str, headers: &[&str], body: &Path| {
        let body = format!("@{}", body.display());
        let mut more = vec!["--data-binary", &body];
        for header in headers {
            more.extend(["-H", header]);
        }
        knock(farm, name, &more)
    };
    // What any of them could take for something, if it believed it.
    let bodies = [
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ("%%%=\u{1}&&&", 400),
        (
            "{\"ref\": {}, \"object_kind\": [], \"push\": 7, \"commits\": \"x\"}",
            400,
        ),
    ];
    for (body, expected) in bodies {
        fs::write(&file, body).expect("written");
        let (good, bad) = (shown("quiet", &file), shown("guessed", &file));
        for ((name, right, kind), (_, wrong, _)) in good.iter().zip(&bad) {
            let kind = format!("Content-Type: {kind}");
            let said = |headers: &[&str]| send(&farm, name, headers, &file);
            assert_eq!(said(&[&kind, wrong]).0, 401, "{name}: forged {body}");
            assert_eq!(said(&[&kind]).0, 401, "{name}: no secret {body}");
            if *name == "poller" {
                continue; // It looks for no more than a name.
            }
            assert_eq!(said(&[&kind, right]).0, expected, "{name}: {body}");
            for other in ["text/plain", "multipart/form-data", "application/xml", ""] {
                let other = format!("Content-Type: {other}");
                let (status, why) = said(&[&other, right]);
                assert_eq!(status, 415, "{name}: {other} {why}");
            }
        }
    }
    for name in dialects {
        let (status, said) = send(&farm, name, &[], &large);
        assert_eq!(status, 413, "{name}: {said}");
    }
    let (_, page) = farm.get("/changes").expect("a page");
    assert!(page.contains("No change has arrived."), "{page}");
    let sources = farm.json("/api/sources").expect("a list");
    let github = sources
        .as_array()
        .expect("a list")
        .iter()
        .find(|it| it["name"] == "github");
    let github = github.expect("it is there");
    assert_eq!(github["state"], "failing", "{github}");
    let why = github["last_error"]["reason"].as_str().expect("a reason");
    assert!(why.starts_with("what was sent is refused: "), "{why}");
    let (_, page) = farm.get("/sources").expect("a page");
    assert!(page.contains("change hook for GitHub"), "{page}");

    // And what is asked to be pulled comes in, and can be built as it is called.
    sh(&words, "git", &["checkout", "-q", "-b", "topic"]);
    let revision = commit(&words, "asked for");
    sh(
        &words,
        "git",
        &["update-ref", "refs/pull/7/head", &revision],
    );
    sh(&words, "git", &["checkout", "-q", "main"]);
    let request = json!({
        "action": "opened",
        "repository": { "clone_url": words.display().to_string() },
        "pull_request": { "number": 7, "title": "Pull <me>", "user": { "login": "ann" },
                          "head": { "sha": revision, "ref": "topic" }, "base": { "ref": "main" } },
    });
    fs::write(&file, request.to_string()).expect("written");
    let (name, right, kind) = &shown("quiet", &file)[0];
    let kind = format!("Content-Type: {kind}");
    let event = "X-GitHub-Event: pull_request";
    let said = send(&farm, name, &[&kind, right, event], &file);
    assert_eq!(said, (200, "OK".to_owned()));
    let (_, page) = farm.get("/changes").expect("a page");
    assert!(
        page.contains("Pull &lt;me&gt;") && page.contains("refs/pull/7/head"),
        "{page}"
    );
    let build = farm.force("words-linux", &["--branch", "refs/pull/7/head"]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(property(&build, "got_revision"), json!(revision));
}
