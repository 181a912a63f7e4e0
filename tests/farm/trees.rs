//! Trees of the older programs of version control: CVS, Bazaar and Darcs with
//! the programs themselves, the others with one that plays them.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::farm::{Farm, property, sh};

/// A farm of one slave with a factory for each of the recipes.
fn farm(recipes: &[(&str, String)]) -> Farm {
    let names: Vec<_> = recipes.iter().map(|it| it.0).collect();
    let mut ini = format!(
        "builders = factory\n[slave:linux]\npassword = secret\nfactories = {}\nlaunch = local\n\n\
         [:validation:]\nrevision = (?s).*\n",
        names.join(" ")
    );
    for name in names {
        ini.push_str(&format!("\n[{name}]\n"));
    }
    let farm = Farm::new(&ini);
    let dir = farm.master_dir().join("factories");
    fs::create_dir(&dir).expect("a directory");
    for (name, recipe) in recipes {
        fs::write(dir.join(format!("{name}.toml")), recipe).expect("written");
    }
    farm
}

fn tree(farm: &Farm, builder: &str) -> PathBuf {
    farm.master_dir().join(format!("slaves/linux/{builder}"))
}

/// A green build's `got_revision`.
fn got(farm: &mut Farm, builder: &str, more: &[&str]) -> String {
    let build = farm.force(builder, more);
    assert_eq!(build["results"], 0, "{build:#}");
    let got = property(&build, "got_revision");
    got.as_str().unwrap_or_default().to_owned()
}

/// A CVS server with the module `mod`, which lets in `ann` with the password `hush`.
struct CvsServer {
    dir: tempfile::TempDir,
    port: u16,
}

impl CvsServer {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let open = |path: &Path| {
            sh(path, "chmod", &["-R", "a+rwX", "."]);
        };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let root = dir.path().join("root").display().to_string();
        fs::create_dir_all(dir.path().join("mod")).expect("a directory");
        fs::write(dir.path().join("mod/file"), "one\n").expect("written");
        sh(dir.path(), "cvs", &["-Q", "-d", &root, "init"]);
        let import = ["-Q", "-d", &root, "import", "-m", "first", "mod", "V", "R"];
        sh(&dir.path().join("mod"), "cvs", &import);
        let checkout = ["-Q", "-d", &root, "checkout", "-d", "dev", "mod"];
        sh(dir.path(), "cvs", &checkout);
        // The server becomes somebody else, if it can, and root is nobody whom it lets in.
        let me = sh(dir.path(), "id", &["-un"]);
        let user = if me == "root" { "nobody" } else { &me };
        let hash = sh(dir.path(), "openssl", &["passwd", "-1", "hush"]);
        let passwd = dir.path().join("root/CVSROOT/passwd");
        fs::write(passwd, format!("ann:{hash}:{user}\n")).expect("written");
        open(&dir.path().join("root"));

        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            // As `inetd` does; it ends with the test.
            for stream in listener.incoming().flatten() {
                let input = OwnedFd::from(stream.try_clone().expect("a line"));
                let started = Command::new("cvs")
                    .args(["-f", &format!("--allow-root={root}"), "pserver"])
                    .stdin(Stdio::from(input))
                    .stdout(Stdio::from(OwnedFd::from(stream)))
                    .stderr(Stdio::null())
                    .spawn();
                drop(started.expect("cvs").wait());
            }
        });
        Self { dir, port }
    }

    fn root(&self) -> String {
        let path = self.dir.path().join("root");
        format!(":pserver:ann@127.0.0.1:{}{}", self.port, path.display())
    }

    fn commit(&self, text: &str) {
        let dev = self.dir.path().join("dev");
        fs::write(dev.join("file"), text).expect("written");
        sh(&dev, "cvs", &["-Q", "commit", "-m", "more"]);
        sh(
            &self.dir.path().join("root"),
            "chmod",
            &["-R", "a+rwX", "."],
        );
    }
}

#[test]
fn a_tree_of_cvs_is_had_from_a_server_that_asks_for_a_password() {
    let server = CvsServer::start();
    let recipe = |login: &str| {
        format!(
            "[[steps]]\ntype = \"cvs\"\ncvsroot = \"{}\"\ncvsmodule = \"mod\"\nlogin = \"{login}\"\n\
             env.CVS_PASSFILE = \"{}/passwords-{}\"\n\n\
             [[steps]]\ntype = \"shell\"\ncommand = \"cat file\"\n",
            server.root(),
            server.dir.path().display(),
            login.len()
        )
    };
    let mut farm = farm(&[("in", recipe("hush")), ("out", recipe("guess"))]);
    farm.start_master();
    let first = got(&mut farm, "in", &[]);
    assert!(first.ends_with(" +0000"), "{first}");
    fs::write(tree(&farm, "in").join("build/kept"), "x").expect("written");
    server.commit("second");
    got(&mut farm, "in", &[]);
    assert!(farm.log("in", 1, "shell").contains("\nsecond\n"));
    assert!(tree(&farm, "in").join("build/kept").exists(), "an update");
    let wanted = got(&mut farm, "in", &["--revision", "2099-01-01"]);
    assert_eq!(wanted, "2099-01-01");
    let log = farm.log("in", 0, "cvs");
    assert!(!log.contains("hush"), "{log}");

    let build = farm.force("out", &[]);
    assert_eq!(build["results"], 2, "{build:#}");
    let log = farm.log("out", 0, "cvs");
    assert!(log.contains("authorization failed"), "{log}");
    assert!(!log.contains("guess\n"), "{log}");
}

#[test]
fn trees_of_bazaar_and_darcs_are_updated_and_patched_ones_are_made_anew() {
    let world = tempfile::tempdir().expect("a directory");
    let at = |name: &str| world.path().join(name);
    for dir in ["bzr", "darcs"] {
        fs::create_dir(at(dir)).expect("a directory");
    }
    sh(&at("bzr"), "bzr", &["init", "-q"]);
    sh(
        &at("bzr"),
        "bzr",
        &["whoami", "--branch", "Ann <ann@example.org>"],
    );
    sh(&at("darcs"), "darcs", &["init"]);
    let commit = |text: &str| {
        for dir in ["bzr", "darcs"] {
            fs::write(at(dir).join("file"), format!("{text}\n")).expect("written");
        }
        sh(&at("bzr"), "bzr", &["add", "-q"]);
        sh(&at("bzr"), "bzr", &["commit", "-q", "-m", text]);
        let record = ["record", "--look-for-adds", "--ignore-times", "--all"];
        let words = ["--author=ann@example.org", "-m", text];
        sh(&at("darcs"), "darcs", &[&record[..], &words].concat());
    };
    commit("one");
    let recipe = |program: &str| {
        format!(
            "[[steps]]\ntype = \"{program}\"\nrepourl = \"{}\"\n\n\
             [[steps]]\ntype = \"shell\"\ncommand = \"cat file\"\n",
            at(program).display()
        )
    };
    let mut farm = farm(&[("bzr", recipe("bzr")), ("darcs", recipe("darcs"))]);
    farm.start_master();
    for (builder, more) in [("bzr", "1"), ("darcs", "[one")] {
        assert!(got(&mut farm, builder, &[]).contains(more), "{builder}");
        fs::write(tree(&farm, builder).join("build/kept"), "x").expect("written");
    }
    let context = sh(&at("darcs"), "darcs", &["log", "--context"]);
    commit("second");
    for (builder, more) in [("bzr", "2"), ("darcs", "[second")] {
        assert!(got(&mut farm, builder, &[]).contains(more), "{builder}");
        assert!(farm.log(builder, 1, "shell").contains("\nsecond\n"));
        assert!(
            tree(&farm, builder).join("build/kept").exists(),
            "{builder}"
        );
        // As a build with a patch leaves its tree.
        let mark = tree(&farm, builder).join("build/.buildbot-patched");
        fs::write(mark, "patched\n").expect("written");
    }
    for (builder, revision) in [("bzr", "1"), ("darcs", context.as_str())] {
        let got = got(&mut farm, builder, &["--revision", revision]);
        assert_eq!(got.trim(), revision.trim());
        assert!(farm.log(builder, 2, "shell").contains("\none\n"));
        assert!(
            !tree(&farm, builder).join("build/kept").exists(),
            "{builder}"
        );
    }
}

/// Writes down what it is called with, and does the least that the step looks for.
const PLAYER: &str = r#"#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$RECORD"
case "$name $*" in
    "p4 "*" info") echo "Current directory: $PWD" ;;
    "p4 "*" client -i") sed "s|^Root: $PWD$|Root: here|; s/^/    /" >>"$RECORD" ;;
    "p4 "*" sync"*) mkdir -p build && echo tree >build/file ;;
    "p4 "*" changes "*) echo "Change 17 on 2026/11/20 by ann@here 'more'" ;;
    "bk clone "*) mkdir -p build/BK && echo tree >build/file ;;
    "bk changes "*) echo 1.7 ;;
    "mtn db info "*) test -f db.mtn ;;
    "mtn db init "*) : >db.mtn ;;
    "mtn checkout "*) mkdir -p build/_MTN && echo tree >build/file ;;
    "mtn automate "*) echo 0123456789abcdef0123456789abcdef01234567 ;;
    "repo init "*) mkdir -p .repo/manifests && git init -q .repo/manifests ;;
    "repo sync") echo tree >file ;;
    "repo download "*)
        echo " * branch refs/changes/64/564/12 -> FETCH_HEAD" >&2
        echo "HEAD is now at 0123abc a change" >&2 ;;
esac
"#;

#[test]
fn what_perforce_repo_bitkeeper_and_monotone_are_called_with_reaches_a_stand_in_that_writes_it_down()
 {
    let world = tempfile::tempdir().expect("a directory");
    let player = world.path().join("p4");
    fs::write(&player, PLAYER).expect("written");
    fs::set_permissions(&player, fs::Permissions::from_mode(0o755)).expect("a program");
    for name in ["repo", "bk", "mtn"] {
        std::os::unix::fs::symlink(&player, world.path().join(name)).expect("a link");
    }
    let recipe = |kind: &str, lines: &str| {
        let dir = world.path().display();
        format!(
            "[[steps]]\ntype = \"{kind}\"\n{lines}\nenv.RECORD = \"{dir}/{kind}.log\"\n\
             env.PATH = [\"{dir}\", \"${{PATH}}\"]\n\n\
             [[steps]]\ntype = \"shell\"\ncommand = \"cat file\"\n"
        )
    };
    let recipes = [
        (
            "perforce",
            recipe("p4", "p4base = \"//depot/x/\"\np4user = \"ann\""),
        ),
        ("repo", recipe("repo", "manifest_url = \"https://x/m\"")),
        ("bitkeeper", recipe("bk", "repourl = \"bk://x/r\"")),
        (
            "monotone",
            recipe("mtn", "repourl = \"mtn://x\"\nbranch = \"a.b\""),
        ),
    ];
    let mut farm = farm(&recipes);
    farm.start_master();
    let mut said = |builder: &str, kind: &str, more: &[&str]| {
        let got = got(&mut farm, builder, more);
        assert!(farm.log(builder, 0, "shell").contains("\ntree\n"));
        let record = world.path().join(format!("{kind}.log"));
        let lines = fs::read_to_string(&record).expect("a record");
        fs::remove_file(record).expect("removed");
        format!("{lines}= {got}\n")
    };
    let client = "buildbot_linux_perforce";
    let spec = format!(
        "    Client: {client}\n    \n    Owner: ann\n    \n    Description:\n    \tCreated by ann\n    \n    \
         Root: here\n    \n    Options: allwrite rmdir\n    \n    LineEnd: local\n    \n    View:\n    \
         \t//depot/x/... //{client}/build/...\n"
    );
    let begin = format!("p4 -V\np4 -u ann info\np4 -u ann client -i\n{spec}");
    let end = format!("p4 -u ann -c {client} changes -s submitted -m 1 #have\n= 17\n");
    let full = said("perforce", "p4", &[]);
    assert_eq!(full, format!("{begin}p4 -u ann -c {client} sync -f\n{end}"));
    let update = said("perforce", "p4", &[]);
    assert_eq!(update, format!("{begin}p4 -u ann -c {client} sync\n{end}"));
    let exact = said("perforce", "p4", &["--revision", "12"]);
    let expected = format!("{begin}p4 -u ann -c {client} sync @12\n= 12\n");
    assert_eq!(exact, expected);

    let cleaned = "repo forall -c git clean -f -d -x\nrepo forall -c git reset --hard HEAD\n";
    assert_eq!(
        said("repo", "repo", &[]),
        format!(
            "repo --version\nrepo init -u https://x/m -b master -m default.xml\n\
             {cleaned}repo sync\n= \n"
        )
    );
    assert_eq!(
        said("repo", "repo", &["--property", "repo_d=p/564/12"]),
        format!("repo --version\n{cleaned}repo sync\nrepo download p 564/12\n= \n")
    );

    let changes = "bk changes -r+ -d:REV:\n= 1.7\n";
    let full = format!("bk version\nbk clone bk://x/r build\n{changes}");
    assert_eq!(said("bitkeeper", "bk", &[]), full);
    let update = format!("bk version\nbk pull\n{changes}");
    assert_eq!(said("bitkeeper", "bk", &[]), update);

    let revision = "0123456789abcdef0123456789abcdef01234567";
    let begin = "mtn --version\nmtn db info --db db.mtn\n";
    let pull = "mtn pull mtn://x?a.b --db db.mtn --ticker=none\n";
    let end = format!("mtn automate select w:\n= {revision}\n");
    assert_eq!(
        said("monotone", "mtn", &[]),
        format!(
            "{begin}mtn db init --db db.mtn\n{pull}\
             mtn checkout build --db db.mtn --branch a.b\n{end}"
        )
    );
    assert_eq!(
        said("monotone", "mtn", &[]),
        format!("{begin}{pull}mtn update --db ../db.mtn -r h:a.b -b a.b\n{end}")
    );
}
