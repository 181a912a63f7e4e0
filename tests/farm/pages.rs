//! The pages of a real master: link by link, and from where nothing may be
//! changed. What a browser makes of them is in `tests/browser`.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::farm::{Farm, commit, git_init, sh};

/// Everything that is asked is answered within this time.
const PATIENCE: Duration = Duration::from_secs(40);

struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Asks with headers of its own.
fn ask(port: u16, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: 0\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Values of `name="…"` in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let before = format!(" {name}=\"");
    let parts = page.split(before.as_str()).skip(1);
    parts
        .map(|it| it.split('"').next().expect("an end"))
        .collect()
}

/// Where a link on the page at `path` leads; `None` within the page.
fn follow(path: &str, link: &str) -> Option<String> {
    let link = link.replace("&amp;", "&");
    let link = link.split('#').next().expect("a part");
    let here = path.split('?').next().expect("a part");
    if link.is_empty() {
        return None;
    }
    if link.starts_with('?') {
        return Some(format!("{here}{link}"));
    }
    assert!(
        !link.starts_with('/') && !link.contains("://"),
        "{path} holds a link that does not work under every prefix: {link}"
    );
    let mut parts: Vec<&str> = here.split('/').skip(1).collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop().unwrap_or_else(|| panic!("{path}: {link}"))),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[test]
fn every_link_leads_to_a_page_and_hostile_names_stay_text() {
    let repo = tempfile::tempdir().expect("a directory");
    git_init(repo.path(), "main");
    sh(repo.path(), "git", &["checkout", "-q", "-b", "x<b>&y"]);
    let mut farm = Farm::new("");
    let printed = "printf '\\033[31m</span><script>alert(2)</script>\\033[0m\\n'";
    farm.write_ini(&format!(
        "base_url = http://127.0.0.1:{}/\npoll_interval = 1\ntree_stable = 0\n\n\
         [slave:box \"<b>&']\npassword = secret\nfactories = <i>hi%?# broken\nlaunch = local\n\n\
         [slave:away]\npassword = secret\nfactories = broken\n\n\
         [<i>hi%?#]\ntype = shell\ngit = {}#x<b>&y\ncommands = {printed}\n\n\
         [broken]\ntype = shell\ncommands =\n    echo so far; exit 1\n    echo never\n",
        farm.htmlport,
        repo.path().display(),
    ));
    farm.start_master();
    farm.wait("the first poll", |farm| {
        farm.json("/api/status")
            .filter(|it| it["sources"][0]["last_poll"].is_string())
    });
    fs::write(repo.path().join("<i>'&\".txt"), "").expect("written");
    commit(repo.path(), "<script>alert(1)</script> & \"more\"");
    let hostile = "%3Ci%3Ehi%25%3F%23-box%20%22%3Cb%3E%26%27";
    let build = farm.wait_builds(hostile, 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let broken = "broken-box%20%22%3Cb%3E%26%27";
    let forced = farm.post(&format!("/builders/{broken}/force"), "comments=<u>why</u>");
    assert_eq!(forced.expect("an answer").0, 200);
    assert_eq!(farm.wait_builds(broken, 1)["results"], 2);
    let waiting = farm.post("/builders/broken-away/force", "username=%3Cu%3E");
    assert_eq!(waiting.expect("an answer").0, 200);

    let mut open = VecDeque::from(["/".to_owned(), "/json".into(), "/json/help".into()]);
    for (name, url) in build["logs"]
        .as_array()
        .expect("logs")
        .iter()
        .map(|it| (&it[0], &it[1]))
    {
        let base = format!("http://127.0.0.1:{}", farm.htmlport);
        let path = url.as_str().and_then(|it| it.strip_prefix(&base));
        open.push_back(path.unwrap_or_else(|| panic!("{name}: {url}")).to_owned());
    }
    for path in [
        "builders",
        "builders/B/builds",
        "builders/B/builds/_all",
        "builders/B/builds/-1",
        "builders/B/builds/0/steps",
        "builders/B/builds/0/steps/0",
        "builders/B/pendingBuilds",
        "builders/B/builds/0/source_stamp/changes",
        "builders/B/builds?select=0&filter=1",
        "builders/B/builds/0?as_text=1",
        "builders/B/slaves",
        "slaves",
        "slaves/away",
        "project",
        "change_sources",
        "metrics",
    ] {
        open.push_back(format!(
            "/json/{}",
            path.replace("/B", &format!("/{hostile}"))
        ));
    }
    let mut seen: BTreeSet<String> = open.iter().cloned().collect();
    let mut all = String::new();
    while let Some(path) = open.pop_front() {
        let answer = ask(farm.htmlport, "GET", &path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let csp = "content-security-policy: default-src 'none'";
        assert!(answer.head.contains(csp), "{path}: {}", answer.head);
        if !answer.head.contains("content-type: text/html") {
            continue;
        }
        for bad in ["<script>alert", "<b>", "<i>", "<u>", "<p>alert", " onerror"] {
            assert!(!answer.body.contains(bad), "{path} holds {bad}");
        }
        for name in ["href", "src", "action", "data-chunk"] {
            for link in attributes(&answer.body, name) {
                let Some(to) = follow(&path, link) else {
                    continue;
                };
                // What a form or a script asks for is not opened by a click.
                if ["href", "src"].contains(&name) && seen.insert(to.clone()) {
                    open.push_back(to);
                }
            }
        }
        all.push_str(&answer.body);
        assert!(seen.len() < 500, "few builds have few pages: {seen:#?}");
    }
    assert!(seen.len() > 40, "{seen:#?}");
    for words in [
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;",
        "x&lt;b&gt;&amp;y",
        "&lt;i&gt;&#39;&amp;&quot;.txt",
        "<span class=\"stdout f1\">&lt;/span&gt;&lt;script&gt;alert(2)&lt;/script&gt;</span>",
        "&lt;u&gt;why&lt;/u&gt;",
        "slave away is not connected",
        "1 of 3 builders is red",
        ">so far</span>",
    ] {
        assert!(all.contains(words), "no page shows {words}");
    }
}

#[test]
fn nothing_is_changed_from_elsewhere() {
    let public = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("bound").port()
    };
    let mut farm = Farm::new(&format!(
        "publichtmlport = 127.0.0.1:{public}\n\n[slave:linux]\npassword = secret\n\
         factories = hi\n\n[hi]\ntype = shell\ncommands = echo hi\n"
    ));
    farm.start_master();
    let force = "/builders/hi-linux/force";
    for foreign in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: http://evil.test\r\n",
    ] {
        for path in [force, "/builders/hi-linux/cancelbuild", "/api/reload"] {
            assert_eq!(
                ask(farm.htmlport, "POST", path, foreign).status,
                403,
                "{path}"
            );
        }
    }
    for path in [
        force,
        "/builders/hi-linux/cancelbuild",
        "/builders/hi-linux/builds/0/stop",
    ] {
        let answer = ask(farm.htmlport, "GET", path, "");
        assert_eq!(answer.status, 405, "{path}");
        assert!(answer.head.contains("allow: post"), "{}", answer.head);
        assert_eq!(ask(public, "POST", path, "").status, 403, "{path}");
    }
    let page = ask(public, "GET", "/builders/hi-linux", "");
    assert!(
        page.status == 200 && !page.body.contains("method=\"post\""),
        "{}",
        page.body
    );
    let waiting = farm.json("/json/builders/hi-linux/pendingBuilds");
    assert_eq!(waiting, Some(json!([])), "nothing was asked for");

    // The same from its own page is done; a mistake is told where it was made.
    let own = "Sec-Fetch-Site: same-origin\r\n";
    assert_eq!(ask(farm.htmlport, "POST", force, own).status, 302);
    let bad = farm.post(force, "branch=a%0Ab").expect("an answer");
    assert_eq!(bad.0, 400, "{}", bad.1);
    let told: Value = serde_json::from_str(&bad.1).expect("JSON");
    assert!(
        told["error"]
            .as_str()
            .is_some_and(|it| it.contains("branch")),
        "{told}"
    );
}
