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
