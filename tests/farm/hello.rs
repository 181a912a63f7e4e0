//! GNU hello, from Debian's source package, through four lines of master.ini.

use std::fs;
use std::path::{Path, PathBuf};

use crate::farm::{Farm, commit, git_init, property, sh};

/// The unpacked source; `scripts/test.sh` fetches it and says where it is.
fn source() -> PathBuf {
    let dir = std::env::var_os("AUTOBOT_TEST_HELLO").map(PathBuf::from);
    let dir = dir.or_else(|| {
        let cache = PathBuf::from(std::env::var_os("HOME")?).join(".cache/autobot-test/hello");
        cache.exists().then_some(cache)
    });
    dir.expect("AUTOBOT_TEST_HELLO names the source of GNU hello: run scripts/test.sh once")
}

/// Warnings that are planted are seen; what was generated is not generated anew, because a
/// checkout does not keep the order in which files were made.
const FLAGS: &str = "\"CFLAGS=-O0 -Wunused-function\" ACLOCAL=: AUTOCONF=: AUTOMAKE=: AUTOHEADER=:";

fn plant_warning(repo: &Path, name: &str) {
    let path = repo.join("src/hello.c");
    let source = fs::read_to_string(&path).expect("a source of hello");
    fs::write(
        &path,
        format!("{source}\nstatic int {name} (void) {{ return 1; }}\n"),
    )
    .expect("written");
}

#[test]
fn gnu_hello_builds_from_a_pushed_commit_and_its_warnings_are_counted() {
    let repo = tempfile::tempdir().expect("a directory");
    sh(
        &source(),
        "cp",
        &["-a", ".", &repo.path().to_string_lossy()],
    );
    drop(fs::remove_dir_all(repo.path().join(".git")));
    git_init(repo.path(), "master");
    let mut farm = Farm::new(&format!(
        "poll_interval = 1\ntree_stable = 1\n\n\
         [slave:linux]\npassword = secret\nfactories = gnu\nlaunch = local\n\n\
         [gnu]\n\
         type = gnu_autoconf\n\
         git = {}\n\
         configure_flags = {FLAGS}\n",
        repo.path().display()
    ));
    farm.start_master();
    farm.wait("the first poll", |farm| {
        farm.get("/changes")
            .filter(|it| it.1.contains("last poll") || it.1.contains("ago"))
    });
    plant_warning(repo.path(), "planted_and_unused");
    plant_warning(repo.path(), "planted_too");
    let revision = commit(repo.path(), "Plant two warnings");

    let build = farm.wait_builds("gnu-linux", 1);

    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(property(&build, "got_revision"), revision.as_str());
    let names: Vec<&str> = build["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["git", "configure", "compile", "test"]);
    assert_eq!(build["steps"][2]["statistics"]["warnings"], 2, "{build:#}");
    assert_eq!(property(&build, "warnings-count"), 2);
}
