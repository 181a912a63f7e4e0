//! Mirrors, with real repositories behind servers on this machine.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::time::SystemTime;

use super::*;
use crate::model::Mirror;
use crate::model::MirrorKind;

/// A server of repositories, which writes down who asks.
struct Server {
    dir: TempDir,
    child: Option<Child>,
    port: u16,
}

impl Server {
    /// Of git: `r` has the branch `main` with two commits, and a tag.
    fn git() -> Self {
        let mut server = Self::empty();
        let r = server.dir.path().join("r");
        fs::create_dir(&r).unwrap();
        server.run("git", &["init", "-q", "-b", "main"]);
        server.commit("one");
        server.run("git", &["tag", "v1"]);
        server.commit("two");
        server.serve();
        server
    }

    fn empty() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            child: None,
            port: listener.local_addr().unwrap().port(),
        }
    }

    fn serve(&mut self) {
        let (port, base) = (self.port, self.dir.path().display());
        // Not `git daemon`, which is another program that starts this one.
        let programs = Self::run_in(self.dir.path(), "git", &["--exec-path"]);
        let line = [
            "--verbose".to_owned(),
            "--export-all".to_owned(),
            "--reuseaddr".to_owned(),
            "--listen=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--base-path={base}"),
        ];
        self.start(&format!("{}/git-daemon", programs.trim()), &line);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test builds its world with programs"
    )]
    fn start(&mut self, program: &str, args: &[String]) {
        let mut options = fs::File::options();
        let log = options.create(true).append(true);
        let log = log.open(self.dir.path().join("log")).unwrap();
        let mut program = Program::new(program);
        program.args(args).current_dir(self.dir.path());
        program.stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(program.stderr(log).spawn().unwrap());
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "the server serves");
            std::thread::yield_now();
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test builds its world with programs"
    )]
    fn run_in(dir: &Path, program: &str, args: &[&str]) -> String {
        let mut line = Program::new(program);
        line.args(args).current_dir(dir);
        for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            line.env(format!("{who}_NAME"), "a");
            line.env(format!("{who}_EMAIL"), "a@b");
        }
        let output = line.env("HGUSER", "a").output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        Self::run_in(&self.dir.path().join("r"), program, args)
    }

    fn commit(&self, text: &str) -> String {
        fs::write(self.dir.path().join("r/file"), text).unwrap();
        self.run("git", &["add", "."]);
        self.run("git", &["commit", "-q", "-m", text]);
        self.run("git", &["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn url(&self) -> String {
        format!("git://127.0.0.1:{}/r", self.port)
    }

    /// How often somebody has asked for something.
    fn asked(&self) -> usize {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
        log.matches("Request upload-pack").count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn mirror(word: usize, branch: Option<&str>, revision: Option<&str>) -> Mirror {
    Mirror {
        kind: MirrorKind::Git,
        word,
        branch: branch.map(str::to_owned),
        revision: revision.map(str::to_owned),
        is_doubted: false,
        budget: None,
    }
}

fn shell(line: &[&str], dir: &str) -> Shell {
    let line = line.iter().map(|&it| it.to_owned()).collect();
    let mut shell = Shell::new(ShellLine::Argv(line), dir);
    shell.log_environ = false;
    shell
}

fn clone(url: &str, dir: &str, branch: Option<&str>, revision: Option<&str>) -> Shell {
    let mut line = vec!["git", "clone"];
    line.extend(branch.iter().flat_map(|it| ["--branch", it]));
    line.extend([url, "."]);
    let mut shell = shell(&line, dir);
    shell.mirror = Some(Box::new(mirror(line.len() - 2, branch, revision)));
    shell
}

fn fetch(url: &str, dir: &str, branch: &str, revision: Option<&str>) -> Shell {
    let mut shell = shell(&["git", "fetch", "-t", url, branch], dir);
    shell.mirror = Some(Box::new(mirror(3, Some(branch), revision)));
    shell
}

/// A slave and its master, command after command.
struct World {
    bench: Bench,
    master: Master,
    commands: u32,
}

impl World {
    async fn new() -> Self {
        let bench = Bench::new();
        let master = bench.attach().await;
        Self {
            bench,
            master,
            commands: 0,
        }
    }

    /// Runs the command to its end; its code, and what it said on standard output.
    async fn run(&mut self, shell: Shell) -> (i32, String) {
        self.commands += 1;
        let id = id(self.commands);
        let exit = self.master.run(id, &Command::Shell(shell)).await;
        (exit.code, self.master.stdout(id))
    }

    async fn does(&mut self, shell: Shell) -> String {
        let (code, said) = self.run(shell).await;
        let id = id(self.commands);
        let complaints = self.master.said(id, Channel::Stderr);
        let complaints = String::from_utf8_lossy(&complaints).into_owned();
        assert_eq!(code, 0, "{said}{complaints}");
        said
    }

    fn file(&self, dir: &str) -> String {
        self.bench.read(&format!("{dir}/file"))
    }

    /// The directory of the only mirror.
    fn place(&self) -> PathBuf {
        let entries = fs::read_dir(self.bench.path("mirrors")).unwrap();
        let entries: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }

    fn repository(&self) -> PathBuf {
        self.place().join("repository")
    }

    fn git(&self, dir: &str, args: &[&str]) -> String {
        Server::run_in(&self.bench.path(dir), "git", args)
    }

    /// All that a checkout has of its repository.
    fn seen(&self, dir: &str) -> String {
        let mut seen = String::new();
        for args in [
            &["rev-parse", "HEAD", "HEAD^{tree}"][..],
            &["symbolic-ref", "--quiet", "--short", "HEAD"],
            &["status", "--porcelain", "--branch"],
            &["for-each-ref", "--format=%(objectname) %(refname)"],
            &["describe", "--tags", "--always"],
            &["remote", "-v"],
            &["fsck", "--full", "--no-dangling"],
        ] {
            seen.push_str(&self.git(dir, args));
        }
        seen
    }
}

fn has(said: &str, line: &str) -> bool {
    said.lines().any(|it| it == format!("mirror: {line}"))
}

#[tokio::test]
async fn commands_that_want_one_revision_at_once_fetch_it_once() {
    let server = Server::git();
    let head = server.run("git", &["rev-parse", "HEAD"]);
    let mut world = World::new().await;
    for place in 0..5 {
        let dir = format!("b{place}");
        let shell = clone(&server.url(), &dir, Some("main"), Some(head.trim()));
        world
            .master
            .start(id(place), 1, &Command::Shell(shell))
            .await;
    }
    let mut ended = 0;
    while ended < 5 {
        match world.master.next().await {
            FromSlave::Started { .. } => {}
            FromSlave::Finished { exit, .. } => {
                assert_eq!(exited(&exit), (0, ExitCause::Exited));
                ended += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.asked(), 1);
    for place in 0..5 {
        assert_eq!(world.file(&format!("b{place}")), "two");
    }
}

#[tokio::test]
async fn what_waited_for_an_older_fetch_has_one_of_its_own() {
    let server = Server::git();
    let mut world = World::new().await;
    world
        .does(clone(&server.url(), "b0", Some("main"), None))
        .await;
    // As if somebody were at it, who began before the next ones ask.
    let lock = fs::File::options()
        .write(true)
        .open(world.place().join("lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    for place in 11..14 {
        let shell = clone(&server.url(), &format!("b{place}"), Some("main"), None);
        world
            .master
            .start(id(place), 1, &Command::Shell(shell))
            .await;
    }
    server.commit("three");
    let waits = |master: &Master, place| {
        has(
            &master.stdout(id(place)),
            "another command is at it; waiting",
        )
    };
    while !(11..14).all(|place| waits(&world.master, place)) {
        let next = world.master.keep_one().await;
        assert!(!matches!(next, Some(FromSlave::Finished { .. })));
    }
    drop(lock);
    let mut ended = 0;
    while ended < 3 {
        if let FromSlave::Finished { exit, .. } = world.master.next().await {
            assert_eq!(exited(&exit), (0, ExitCause::Exited));
            ended += 1;
        }
    }
    assert_eq!(server.asked(), 2, "one for the first, one for the three");
    for place in 11..14 {
        assert_eq!(world.file(&format!("b{place}")), "three");
    }
}

#[tokio::test]
async fn a_mirrored_checkout_is_what_a_direct_one_is() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    let change: &[&dyn Fn()] = &[
        &|| {},
        // A branch is rewritten, another is there, one tag is moved.
        &|| {
            server.run("git", &["reset", "-q", "--hard", "HEAD~1"]);
            server.commit("other");
            server.run("git", &["branch", "side"]);
            server.run("git", &["tag", "v2"]);
        },
        // A branch gives way to one below its name.
        &|| {
            server.run("git", &["branch", "-D", "side"]);
            server.run("git", &["branch", "side/a"]);
            server.run("git", &["tag", "-d", "v2"]);
            server.commit("more");
        },
        &|| {
            server.run("git", &["checkout", "-q", "-b", "trunk"]);
            server.commit("trunk");
            server.run("git", &["branch", "-D", "main"]);
            server.run("git", &["branch", "main", "HEAD~1"]);
        },
    ];
    for (round, change) in change.iter().enumerate() {
        change();
        for branch in [Some("main"), None, Some("v1")] {
            let name = branch.unwrap_or("none");
            let (near, far) = (
                format!("near-{round}-{name}"),
                format!("far-{round}-{name}"),
            );
            let said = world.does(clone(&url, &near, branch, None)).await;
            assert!(
                !said.contains("not used") && !said.contains("did not do"),
                "{said}"
            );
            let mut direct = clone(&url, &far, branch, None);
            direct.mirror = None;
            world.does(direct).await;
            if branch != Some("v1") {
                assert_eq!(world.seen(&near), world.seen(&far), "{near}");
            } else {
                assert_eq!(world.file(&near), world.file(&far));
            }
        }
        for (dir, is_mirrored) in [("near-0-main", true), ("far-0-main", false)] {
            let mut shell = fetch(&url, dir, "main", None);
            shell.mirror = shell.mirror.filter(|_| is_mirrored);
            world.does(shell).await;
            world.git(dir, &["reset", "-q", "--hard", "FETCH_HEAD"]);
        }
        assert_eq!(
            world.seen("near-0-main"),
            world.seen("far-0-main"),
            "{round}"
        );
    }
    // The first branch is another, and the one that was it is gone.
    server.run("git", &["branch", "-D", "main"]);
    let mut direct = clone(&url, "far", Some("trunk"), None);
    direct.mirror = None;
    world.does(direct).await;
    world.does(clone(&url, "near", Some("trunk"), None)).await;
    assert_eq!(world.seen("near"), world.seen("far"));
}

#[tokio::test]
async fn what_is_on_no_branch_is_had_by_its_name() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    world.does(clone(&url, "b", Some("main"), None)).await;
    let change = server.run("git", &["commit-tree", "-m", "change", "HEAD^{tree}"]);
    let change = change.trim();
    server.run("git", &["update-ref", "refs/changes/1/1", change]);
    let said = world
        .does(fetch(&url, "b", "refs/changes/1/1", Some(change)))
        .await;
    assert!(
        has(&said, "fetches") && !said.contains("not used"),
        "{said}"
    );
    let fetched = world.git("b", &["rev-parse", "FETCH_HEAD"]);
    assert_eq!(fetched.trim(), change);

    // What a short name means the repository itself has to say.
    let said = world.does(fetch(&url, "b", "changes/1/1", None)).await;
    assert!(
        has(&said, "not used: it has no branch `changes/1/1`"),
        "{said}"
    );
    let (code, said) = world.run(fetch(&url, "b", "refs/changes/9/9", None)).await;
    assert_eq!(code, 128, "{said}");
    assert!(!has(&said, "is broken"), "{said}");
    // A branch that is not there needs no second question.
    let asked = server.asked();
    let (code, said) = world.run(clone(&url, "c", Some("master"), None)).await;
    assert_eq!(code, 128, "{said}");
    assert_eq!(server.asked(), asked + 1);
    let complaint = String::from_utf8(world.master.said(id(world.commands), Channel::Stderr));
    assert!(
        complaint
            .unwrap()
            .contains("Remote branch master not found")
    );
}

#[tokio::test]
async fn a_revision_that_is_there_needs_no_server_and_a_checkout_no_mirror() {
    let mut server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    let head = server.run("git", &["rev-parse", "HEAD"]).trim().to_owned();
    world
        .does(clone(&url, "b0", Some("main"), Some(&head)))
        .await;
    server.stop();
    world
        .does(clone(&url, "b1", Some("main"), Some(&head)))
        .await;
    assert_eq!((world.file("b1"), server.asked()), ("two".to_owned(), 1));
    let (code, said) = world.run(clone(&url, "b2", Some("main"), None)).await;
    assert_eq!(code, 128);
    assert!(
        has(&said, "not used: the repository cannot be reached"),
        "{said}"
    );
    assert!(
        world.repository().is_dir(),
        "that is not the mirror's fault"
    );

    // Who waits while another finds nobody there does not try the same.
    let lock = fs::File::options()
        .write(true)
        .open(world.place().join("lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    for place in 11..13 {
        let shell = clone(&url, &format!("b{place}"), Some("main"), None);
        world
            .master
            .start(id(place), 1, &Command::Shell(shell))
            .await;
    }
    let waits = "another command is at it; waiting";
    while !(11..13).all(|place| has(&world.master.stdout(id(place)), waits)) {
        world.master.keep_one().await;
    }
    drop(lock);
    let mut ended = 0;
    while ended < 2 {
        ended += usize::from(matches!(
            world.master.next().await,
            FromSlave::Finished { .. }
        ));
    }
    let tried = |line: &str| {
        let said = |place| has(&world.master.stdout(id(place)), line);
        (11..13).filter(|place| said(*place)).count()
    };
    assert_eq!(tried("not used: the repository cannot be reached"), 1);
    assert_eq!(
        tried("not used: nobody could bring it up to date just now"),
        1
    );

    fs::remove_dir_all(world.bench.path("mirrors")).unwrap();
    world.git("b1", &["fsck", "--full"]);
    server.serve();
    let next = server.commit("three");
    world.does(fetch(&url, "b1", "main", Some(&next))).await;
    assert_eq!(world.git("b1", &["rev-parse", "FETCH_HEAD"]).trim(), next);
}

#[tokio::test]
async fn a_mirror_that_is_broken_is_made_anew() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    world.does(clone(&url, "b", Some("main"), None)).await;
    let truncate = |repository: &Path| {
        let packs = fs::read_dir(repository.join("objects/pack")).unwrap();
        let pack = packs.map(|it| it.unwrap().path());
        let pack = pack.filter(|it| it.extension().is_some_and(|it| it == "pack"));
        let pack = pack.last().expect("a pack");
        // Not in place: the checkout has the same file.
        let bytes = fs::read(&pack).unwrap();
        fs::remove_file(&pack).unwrap();
        fs::write(&pack, &bytes[..bytes.len() / 2]).unwrap();
    };
    let break_it: &[&dyn Fn(&Path)] = &[
        &truncate,
        &|repository| fs::remove_file(repository.join("HEAD")).unwrap(),
        &|repository| fs::remove_dir_all(repository.join("objects")).unwrap(),
        &|repository| {
            // What a git leaves behind that was killed.
            fs::write(repository.join("packed-refs.lock"), "").unwrap();
            fs::write(repository.join("refs/heads/main.lock"), "").unwrap();
            fs::create_dir(repository.parent().unwrap().join("unfinished")).unwrap();
        },
    ];
    for (round, break_it) in break_it.iter().enumerate() {
        let text = server.commit(&format!("round {round}"));
        break_it(&world.repository());
        for more in 0..2 {
            let dir = format!("b-{round}-{more}");
            world.does(clone(&url, &dir, Some("main"), None)).await;
            assert_eq!(world.git(&dir, &["rev-parse", "HEAD"]).trim(), text);
        }
        let repository = world.repository();
        Server::run_in(&repository, "git", &["fsck", "--full"]);
        let main = Server::run_in(&repository, "git", &["rev-parse", "main"]);
        assert_eq!(main.trim(), text, "it is followed again");
    }
}

#[tokio::test]
async fn a_mirror_in_many_pieces_is_put_in_order() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    world.does(clone(&url, "b", Some("main"), None)).await;
    let loose = world.repository().join("objects/17");
    fs::create_dir_all(&loose).unwrap();
    // Objects of nothing, as old as what git forgets.
    let file = fs::File::create(world.bench.path("old")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    for number in 0..30 {
        fs::hard_link(world.bench.path("old"), loose.join(format!("{number:038}"))).unwrap();
    }
    let head = server.commit("three");
    world.does(fetch(&url, "b", "main", Some(&head))).await;
    assert!(!loose.exists(), "they are gone");
    world.does(clone(&url, "c", Some("main"), None)).await;
    assert_eq!(world.file("c"), "three");
}

#[tokio::test]
async fn what_came_from_a_mirror_and_did_not_do_is_had_from_the_repository() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    world.does(clone(&url, "b", Some("main"), None)).await;
    let mut doubting = clone(&url, "c", Some("main"), None);
    doubting.mirror.as_mut().unwrap().is_doubted = true;
    world.does(doubting).await;
    assert_eq!(server.asked(), 2);
    let said = world.does(clone(&url, "d", Some("main"), None)).await;
    assert!(has(&said, "checked, as it was doubted"), "{said}");
    assert!(!has(&said, "is made"), "{said}");
    assert!(!world.place().join("doubted").exists());
}

/// A `git` that stands still when it makes a mirror, the first time.
fn standing_still(world: &World, shell: &mut Shell) {
    use std::os::unix::fs::PermissionsExt as _;
    let bin = world.bench.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let (stood, pid) = (world.bench.path("stood"), world.bench.path("pid"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--bare*) if mkdir {} 2>/dev/null; then\n\
         cd {}/*; mkdir -p unfinished/objects; echo $$ > {}; exec sleep 600; fi;; esac\n\
         PATH=${{PATH#*:}} exec git \"$@\"\n",
        stood.display(),
        world.bench.path("mirrors").display(),
        pid.display()
    );
    fs::write(bin.join("git"), script).unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:${{PATH}}", bin.display());
    shell.env.insert("PATH".to_owned(), Some(path));
}

#[tokio::test]
async fn a_stop_ends_what_makes_a_mirror_and_the_next_one_makes_it() {
    let server = Server::git();
    let mut world = World::new().await;
    let mut shell = clone(&server.url(), "b", Some("main"), None);
    standing_still(&world, &mut shell);
    let command = Command::Shell(shell.clone());
    world.master.start(id(0), 1, &command).await;
    let pid = world.bench.line("pid").await;
    let why = "enough".to_owned();
    let (id, lease) = (id(0), 1);
    world
        .master
        .say(FromMaster::Interrupt { id, lease, why })
        .await;
    assert_eq!(world.master.next().await, FromSlave::Started { id });
    let exit = world.master.end_of(id).await;
    assert_eq!(exit.cause, ExitCause::Interrupted);
    is_gone(&pid).await;
    let said = world.does(shell).await;
    assert!(has(&said, "is made"), "{said}");
    assert_eq!(world.file("b"), "two");
}

#[tokio::test]
async fn a_mirror_that_was_cut_off_by_a_kill_is_made_by_the_next_one() {
    let server = Server::git();
    let mut world = World::new().await;
    let mut shell = clone(&server.url(), "b", Some("main"), None);
    standing_still(&world, &mut shell);
    world
        .master
        .start(id(0), 1, &Command::Shell(shell.clone()))
        .await;
    let pid = world.bench.line("pid").await;
    assert_eq!(world.master.next().await, FromSlave::Started { id: id(0) });
    // The runner, the mirror's program and its git: whatever is open in the slave's directory.
    let mark = world.bench.path("spool").display().to_string();
    let everybody = fs::read_dir("/proc").unwrap().flatten();
    let pids = everybody.filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
    for other in pids.filter(|it| *it != std::process::id().cast_signed()) {
        let line = fs::read(format!("/proc/{other}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&mark) {
            Server::run_in(world.bench.base.path(), "kill", &["-9", &other.to_string()]);
        }
    }
    Server::run_in(world.bench.base.path(), "kill", &["-9", &pid]);
    is_gone(&pid).await;
    let said = world.does(shell).await;
    assert!(has(&said, "is made"), "{said}");
    assert_eq!(world.file("b"), "two");
    assert!(!world.place().join("unfinished").exists());
}

#[tokio::test]
async fn a_mirror_that_takes_more_than_all_may_is_not_kept() {
    let server = Server::git();
    let mut world = World::new().await;
    let url = server.url();
    let small = |dir: &str| {
        let mut shell = clone(&url, dir, Some("main"), None);
        shell.mirror.as_mut().unwrap().budget = Some(100);
        shell
    };
    let said = world.does(small("b")).await;
    assert!(said.contains("and `mirror_budget` is 100 bytes"), "{said}");
    assert!(!world.repository().exists());
    let asked = server.asked();
    world.does(small("c")).await;
    assert_eq!(server.asked(), asked + 1, "only the checkout");
    world.does(clone(&url, "d", Some("main"), None)).await;
    assert!(world.repository().is_dir(), "there is more room now");
}

#[tokio::test]
async fn mercurial_has_mirrors_too() {
    let mut server = Server::empty();
    fs::create_dir(server.dir.path().join("r")).unwrap();
    let commit = |server: &Server, text: &str| {
        fs::write(server.dir.path().join("r/file"), text).unwrap();
        server.run("hg", &["commit", "-q", "-A", "-m", text]);
        server.run("hg", &["log", "-r", ".", "-T", "{node}"])
    };
    server.run("hg", &["init"]);
    let one = commit(&server, "one");
    server.run("hg", &["bookmark", "-r", "0", "mark"]);
    let serve = [
        "serve".to_owned(),
        "--cwd=r".to_owned(),
        "--address=127.0.0.1".to_owned(),
        format!("--port={}", server.port),
        "--accesslog=../access".to_owned(),
    ];
    server.start("hg", &serve);
    let shown = format!("http://me@127.0.0.1:{}/", server.port);
    let url = shown.replace("me@", "me:s3cret@");
    let asked = |server: &Server| {
        let log = fs::read_to_string(server.dir.path().join("access")).unwrap();
        log.matches("cmd=getbundle").count()
    };
    let hg = |args: &[&str], dir: &str, revision: Option<&str>| {
        let line = [&["hg"], args].concat();
        let mut shell = shell(&line, dir);
        shell.env.insert("HGPLAIN".to_owned(), Some("1".to_owned()));
        shell.mask = vec!["s3cret".to_owned()];
        let word = line.iter().position(|it| *it == url).unwrap();
        shell.mirror = Some(Box::new(Mirror {
            kind: MirrorKind::Hg,
            ..mirror(word, None, revision)
        }));
        shell
    };
    let mut world = World::new().await;
    let clone = ["clone", "--noupdate", url.as_str(), "."];
    for dir in ["a", "b"] {
        world.does(hg(&clone, dir, Some(&one))).await;
    }
    assert_eq!(asked(&server), 1);
    let two = commit(&server, "two");
    server.run("hg", &["bookmark", "-f", "-r", "1", "mark"]);
    server.run("hg", &["bookmark", "-r", "1", "other"]);
    world
        .does(hg(&["pull", &url, "--update"], "a", Some(&two)))
        .await;
    assert_eq!(world.file("a"), "two");
    let base = world.bench.base.path();
    let found = Server::run_in(base, "sh", &["-c", "! grep -r s3cret mirrors a b"]);
    assert_eq!(found, "");
    let said = world
        .master
        .logs
        .values()
        .any(|it| String::from_utf8_lossy(it).contains("s3cret"));
    assert!(!said, "a password is shown nowhere");
    // The server may forget its repository now.
    server.stop();
    world.does(hg(&clone, "c", Some(&two))).await;
    let in_c = |args: &[&str]| Server::run_in(&world.bench.path("c"), "hg", args);
    assert_eq!(in_c(&["paths", "default"]).trim(), shown);
    assert_eq!(
        in_c(&["log", "-T", "{node} {bookmarks}\n"]),
        format!("{two} mark other\n{one} \n")
    );
    fs::remove_dir_all(world.repository().join(".hg/store")).unwrap();
    let (code, _) = world.run(hg(&clone, "d", Some(&two))).await;
    assert_eq!(code, 255, "neither of them is there");
    server.start("hg", &serve);
    world.does(hg(&clone, "e", None)).await;
    world.does(hg(&clone, "f", None)).await;
    Server::run_in(&world.repository(), "hg", &["verify"]);
}
