//! A master that has had everything: builds of every end, one that runs, one that waits, changes, users, locks
//! and a slave that is away; and names that break out of everything that does not escape.

use std::fs;

use crate::farm::{Farm, commit, git_init, text};

/// Builders whose names mean something in HTML, addresses, or the direction of text.
pub(crate) const HOSTILE: [&str; 4] = [
    "\"><img src=x onerror=alert(1)><script>alert('builder')<script>",
    "مرحبا \u{202e}evil\u{202c} 🦦",
    "50%2F..%20#?&amp;'",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
];

/// The builder that ends as it is told to, and asks all questions.
pub(crate) const ENDS: &str = "all ends";

pub(crate) const SLAVE: &str = "box \"<b>&'";

const BRANCH: &str = "topic/x<b>&\"'%2F\u{202e}\u{1f9a6}";

const RECIPE: &str = r#"
description = "Ends as it is told to"
[params]
tests = ""

[[steps]]
type = "shell"
name = "prepare <b>&"
command = '''printf 'plain \033[31mred </span><script>alert(2)</script>\033[0m \033[7;34mblue\033[0m\n'
echo oops >&2
case %(code:-0)s in 2) exit 2;; 6) [ ! -e again ] || exit 0; touch again;; esac
exit %(code:-0)s'''
warn_on_warnings = true
exit.3 = "warnings"
exit.4 = "skipped"
exit.5 = "exception"
exit.6 = "retry"

[[steps]]
type = "test"
counts = "pytest"
do_step_if = "code == 2"
hide_step_if = "result == 'skipped'"
command = ["cat", "{{ tests }}"]
"#;

const TESTS: &str = "test_a.py::test_good PASSED\ntest_a.py::test_<script>alert(3)</script> FAILED\n\
    =========================== short test summary info ============================\n\
    FAILED test_a.py::test_<script>alert(3)</script> - assert '<b>' == 1\n\
    ==== 1 failed, 1 passed in 0.12s ====\n";

/// Starts it all, and waits until everything has ended that ends.
pub(crate) fn start() -> Farm {
    let mut farm = Farm::new("");
    let repo = farm.path("repo");
    fs::create_dir(&repo).expect("a directory");
    git_init(&repo, "main");
    farm.write_ini(&ini(&farm));
    let recipes = farm.path("master/factories");
    fs::create_dir(&recipes).expect("a directory");
    fs::write(recipes.join("ends.toml"), RECIPE).expect("written");
    let files = farm.path("master/public_html/docs/<b>");
    fs::create_dir_all(&files).expect("a directory");
    fs::write(farm.path("master/public_html/docs/a&b.txt"), "text").expect("written");
    fs::write(farm.path("tests.txt"), TESTS).expect("written");
    farm.start_master();

    post(
        &farm,
        "/buildslaves/away/pause",
        "username=<i>ann&comments=<script>alert('pause')</script>",
    );
    post(&farm, &builder("slow"), "comments=for a while");
    post(
        &farm,
        &builder("waits"),
        "comments=<script>alert('why')</script>&username=<u>ann",
    );
    post(&farm, &builder("waits"), "priority=3&branch=other");
    let mut forced = 0;
    for code in [0, 3, 4, 5, 6, 2, 2] {
        post(
            &farm,
            &builder(ENDS),
            &format!("username=Ann&param.code={code}&param.channel=stable"),
        );
        // A build that is given back begins anew.
        forced += if code == 6 { 2 } else { 1 };
        farm.wait_builds(&quote(ENDS), forced);
    }
    for (at, name) in HOSTILE.iter().enumerate() {
        let form = format!(
            "property1name=code&property1value={}&comments=<script>alert(4)</script>",
            [0, 1, 3, 1][at]
        );
        post(&farm, &builder(name), &form);
    }
    for (who, comments) in [
        (
            "Ann Author <ann@example.org>",
            "#12: <script>alert('change')</script> & more\n\nA second paragraph\nof it",
        ),
        (
            "\u{202e}Mallory\u{202c} \"><svg onload=alert(5)>",
            &"a very long line of a comment ".repeat(20),
        ),
    ] {
        let sent = farm.autobot(&[
            "sendchange",
            "--who",
            who,
            "--branch",
            BRANCH,
            "--revision",
            "5f0c1e7ab92d44bb0c5f0c1e7ab92d44bb0c5f0c",
            "--comments",
            comments,
            "--vc",
            "git",
            "--repository",
            "https://git.example.org/<b>words",
            "--project",
            "<i>words",
            "src/<script>alert(6)</script>.c",
            "README",
        ]);
        assert!(sent.status.success(), "{}", text(&sent));
    }
    commit(&repo, "A change that was <b>pushed</b>");
    // Three changes: the first two are built one by one, and the third comes by itself.
    farm.wait_builds(&quote(ENDS), forced + 3);
    for name in HOSTILE {
        farm.wait_builds(&quote(name), 1);
    }
    farm.wait("a line of the build that runs", |farm| {
        farm.get("/builders/slow/builds/0")
            .filter(|it| it.1.contains("begun"))
    });
    farm
}

fn ini(farm: &Farm) -> String {
    let port = farm.htmlport;
    let repo = farm.path("repo");
    let repo = repo.display();
    let tests = farm.path("tests.txt");
    let tests = tests.display();
    let mut ini = format!(
        "base_url = http://127.0.0.1:{port}/\ntitle = Otter & <b>Newt</b>\ntree_stable = 0\npoll_interval = 1\n\n\
         [:authz:]\nusers = ann:secret\ndefault_action = yes\nshow_audit = yes\n\n\
         [:web:]\nrevlink = https://git.example.org/commit/%s\n\
         change_comment_link = #(\\d+) https://bugs.example.org/\\1 \"Ticket \\g<0>\"\n\n\
         [lock:database]\n\n[lock:<script>alert('lock')<script>]\ntype = slave\nmax_count = 2\n\n\
         [user:ann]\nemail = Ann <ann@example.org>\ngit = Ann Author <ann@example.org>\n\n\
         [slave:{SLAVE}]\npassword = secret\nlaunch = local\n\n[slave:away]\npassword = secret\n\n\
         [source:repo]\ntype = git_poller\nrepository = {repo}\nbranches = main\n\n\
         [source:gone <b>]\ntype = git_poller\nrepository = {repo}-gone\nbranches = main\n\n\
         [ends]\ntests = {tests}\n\n[slow]\ntype = shell\n\
         command = echo begun; until [ -e stop ]; do sleep 0.1; done\n\n\
         [builder:{ENDS}]\nfactory = ends\ncategory = quick\nslaves = box*\n\n\
         [builder:slow]\ncategory = <cat>\nslaves = box*\nlocks = database\n\n\
         [builder:waits]\nfactory = slow\nslaves = away\nlocks = database\n\n\
         [builder:never built]\nfactory = slow\nslaves = away\n\n\
         [scheduler:all]\ntype = any_branch\nbuilders = \"{ENDS}\"\ntree_stable = 0\n\n\
         [scheduler:force]\nbuilders = \"{ENDS}\"\nreason = by <b>hand</b>\n\
         parameter.code = {{\"type\": \"int\", \"min\": 0, \"max\": 9, \"default\": 0, \"label\": \"<u>Code</u>\", \"help\": \"How it ends\"}}\n\
         parameter.channel = {{\"type\": \"choice\", \"choices\": [\"stable\", \"<beta>\"], \"required\": true}}\n\
         parameter.many = {{\"type\": \"choice\", \"choices\": [\"a\", \"b\"], \"multiple\": true}}\n\
         parameter.sanitize = bool\nparameter.note = text\nparameter.who = username\n\n"
    );
    for name in HOSTILE {
        ini.push_str(&format!(
            "[builder:{name}]\nfactory = ends\nslaves = box*\nlocks = <script>alert('lock')<script>\n\n"
        ));
    }
    ini
}

/// Where a build of the builder is asked for.
fn builder(name: &str) -> String {
    format!("/builders/{}/force", quote(name))
}

fn post(farm: &Farm, path: &str, form: &str) {
    let form: Vec<String> = form
        .split('&')
        .map(|it| match it.split_once('=') {
            Some((name, value)) => format!("{name}={}", quote(value)),
            None => quote(it),
        })
        .collect();
    let answer = farm.post(path, &form.join("&")).expect("an answer");
    assert_eq!(answer.0, 200, "{path}: {}", answer.1);
}

/// A name as a part of an address.
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                quoted.push(byte.into())
            }
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}
