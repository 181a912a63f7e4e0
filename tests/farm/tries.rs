//! Patches are built before they are committed, whichever way they come.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::farm::{AUTOBOT, Farm, git_init, property, text};

const DIFF: &str = "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-old\n+new\n";

/// A farm that shows what it checked out, with a directory for jobs and a password.
fn farm() -> Farm {
    let mut farm = Farm::new("");
    let (repo, tries) = (farm.path("repo"), farm.path("tries"));
    fs::create_dir(&repo).expect("a directory");
    fs::write(repo.join("word"), "old\n").expect("written");
    git_init(&repo, "main");
    for name in ["tmp", "new", "cur"] {
        fs::create_dir_all(tries.join(name)).expect("a directory");
    }
    farm.write_ini(&format!(
        "poll_interval = 1h\n[slave:one]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ngit = {}#main\ncommands = cat word\n\
         [scheduler:jobs]\ntype = try_jobdir\njobdir = {}\nbuilders = *\n\
         [scheduler:web]\ntype = try_userpass\nuserpass.ann = quiet\nbuilders = *\n\
         [scheduler:force]\nbuilders = *\nparameter.jobs.type = int\nparameter.jobs.max = 9\n",
        repo.display(),
        tries.display()
    ));
    farm.start_master();
    farm.start_slave("one");
    farm
}

/// Hands a job to the command that SSH would run.
fn tryserver(farm: &Farm, job: &str) {
    let mut child = Command::new(AUTOBOT)
        .args(["tryserver", "--jobdir"])
        .arg(farm.path("tries"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("run");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(job.as_bytes()).expect("written");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_patch_is_built_from_a_directory_and_from_the_web_and_a_bad_job_is_not() {
    let mut farm = farm();
    let job = |id: &str| {
        let parts = ["3", id, "main", "", "1", DIFF, "", "", "ann"];
        let parts = parts.map(|it| format!("{}:{it},", it.len()));
        parts.concat()
    };
    // Cut off; and the master is away when the good one comes.
    tryserver(&farm, &job("j-0")[..30]);
    farm.wait("the bad job", |farm| {
        farm.master_output()
            .contains("a bad try job is not built")
            .then_some(())
    });
    farm.kill_master();
    tryserver(&farm, &job("j-1"));
    farm.start_master();
    let build = farm.wait_builds("words-one", 1);
    assert_eq!(build["results"], 0, "{build}");
    assert_eq!(build["reason"], "'try' job by user ann");
    assert!(
        farm.log("words-one", 0, "shell").contains("\nnew\n"),
        "{}",
        farm.log("words-one", 0, "shell")
    );
    let found = farm.json("/api/jobs/j-1").expect("the job");
    assert_eq!(found[0]["builds"], json!([0]), "{found}");

    let document = json!({
        "branch": "main", "patch": { "level": 1, "text": DIFF }, "who": "Ann",
        "comment": "newer", "properties": { "size": 3 },
    });
    let address = format!("http://127.0.0.1:{}/api/try/web", farm.htmlport);
    let send = |login: &str| {
        let sent = Command::new("curl")
            .args(["-sS", "-u", login, "-d", &document.to_string(), &address])
            .output()
            .expect("curl");
        text(&sent)
    };
    assert!(send("ann:loud").contains("the name or the password is wrong"));
    assert!(send("ann:quiet").contains("\"buildset\""));
    let build = farm.wait_builds("words-one", 2);
    assert_eq!(build["reason"], "'try' job by user Ann (newer)");
    assert_eq!(property(&build, "size"), 3);
    assert!(farm.log("words-one", 1, "shell").contains("\nnew\n"));

    // A person answers questions, rightly and wrongly.
    let wrong = farm.autobot(&["force", "words-one", "--param", "jobs=10"]);
    assert!(!wrong.status.success());
    let told = text(&wrong);
    assert!(
        told.contains("parameter `jobs`: expected a whole number up to 9"),
        "{told}"
    );
    let build = farm.force("words-one", &["--param", "jobs=4"]);
    assert_eq!(build["results"], 0, "{build}");
    assert_eq!(property(&build, "jobs"), 4);
    assert!(
        farm.log("words-one", 2, "shell").contains("\nold\n"),
        "the patch is gone"
    );
}
