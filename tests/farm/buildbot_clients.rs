//! Buildbot's own clients, from the Python registry and unchanged, with a master of autobot.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::json;

use crate::buildbot_programs::old_buildbot;
use crate::buildbot_programs::tool;
use crate::farm::Farm;
use crate::farm::free_ports;
use crate::farm::git_init;
use crate::farm::property;
use crate::farm::text;

const DIFF: &str = "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-old\n+new\n";

/// A farm that shows what it checked out, and lets every kind of client in.
fn farm(more: &str) -> Farm {
    let mut farm = Farm::new("");
    let repo = farm.path("repo");
    fs::create_dir(&repo).expect("a directory");
    fs::write(repo.join("word"), "old\n").expect("written");
    git_init(&repo, "main");
    farm.write_ini(&format!(
        "tree_stable = 0\npoll_interval = 1h\nderive = no\ndebug_password = dbg\nuser_manager.useradm = upw\n{more}\
         [slave:one]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ngit = {}#main\ncommands = cat word\n\
         [status:watch]\ntype = PBListener\nuser = watcher\npasswd = watch\n\
         [source:scripts]\ntype = PBChangeSource\nuser = hooks\npasswd = hpw\nprefix = trunk/\n\
         [scheduler:any]\ntype = any_branch\ntree_stable = 0\nbuilders = words-one\n\
         [scheduler:web]\ntype = try_userpass\nuserpass.ann = quiet\nbuilders = *\n",
        repo.display(),
    ));
    farm.start_master();
    farm
}

/// A program that is given so much time, in an environment of its own.
fn run(farm: &Farm, program: PathBuf, args: &[&str]) -> Output {
    Command::new("timeout")
        .arg("120")
        .arg(program)
        .args(args)
        .current_dir(farm.path(""))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("run")
}

fn buildbot(farm: &Farm, args: &[&str]) -> Output {
    run(farm, tool("buildbot"), args)
}

/// One of the scripts beside this file.
fn script(farm: &Farm, name: &str, args: &[&str]) -> Output {
    let file = format!("{}/tests/farm/{name}", env!("CARGO_MANIFEST_DIR"));
    run(farm, tool("python"), &[&[file.as_str()], args].concat())
}

/// A program that runs until it is dropped, with what it says in a file.
struct Background {
    child: Child,
    said: PathBuf,
}

impl Background {
    fn start(farm: &Farm, name: &str, program: PathBuf, args: &[&str]) -> Self {
        let said = farm.path(name);
        let file = fs::File::create(&said).expect("a file");
        let child = Command::new(program)
            .args(args)
            .current_dir(farm.path(""))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .spawn()
            .expect("run");
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    fn wait_for(&self, farm: &mut Farm, words: &str) {
        farm.wait(words, |_| self.said().contains(words).then_some(()));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.said.display(), self.said());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn sendchange_of_buildbot_tells_of_a_change_that_is_built() {
    let mut farm = farm("");
    farm.start_slave("one");
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let send = |auth: &str, files: &[&str]| {
        let args = [
            "sendchange",
            "--master",
            &master,
            "--auth",
            auth,
            "--who",
            "Zoë <z@example.org>",
            "--branch",
            "main",
            "--revision",
            "",
            "--category",
            "docs",
            "--property",
            "kind:doc",
            "--comments",
            "reword\nthe intro",
            "--repository",
            "r",
            "--project",
            "p",
            "--vc",
            "git",
            "--when",
            "1700000000",
            "--revlink",
            "http://example.org/1",
            "--codebase",
            "",
        ];
        buildbot(&farm, &[&args, files].concat())
    };
    let sent = send("hooks:hpw", &["trunk/a b.txt", "tags/x", "trunk/é"]);
    assert!(sent.status.success(), "{}", text(&sent));
    assert!(
        text(&sent).contains("change sent successfully"),
        "{}",
        text(&sent)
    );
    let elsewhere = send("hooks:hpw", &["tags/x"]);
    assert!(elsewhere.status.success(), "{}", text(&elsewhere));
    for auth in ["hooks:guessed", "change:changepw", "one:hpw", "ann:hpw"] {
        let refused = send(auth, &["trunk/x"]);
        assert_eq!(refused.status.code(), Some(1), "{auth}: {}", text(&refused));
        assert!(
            text(&refused).contains("the name or the password is wrong"),
            "{auth}: {}",
            text(&refused)
        );
    }
    let changes = farm.json("/api/changes").expect("a list");
    let changes = changes.as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{changes:#?}");
    let change = &changes[0];
    assert_eq!(change["who"], "Zoë <z@example.org>");
    assert_eq!(change["comments"], "reword\nthe intro");
    let files = change["files"].as_array().expect("files").iter();
    let files: Vec<_> = files.map(|it| it["name"].clone()).collect();
    assert_eq!(files, [json!("a b.txt"), json!("é")]);
    assert_eq!(
        (&change["category"], &change["project"]),
        (&json!("docs"), &json!("p"))
    );
    let build = farm.wait_builds("words-one", 1);
    assert_eq!(property(&build, "kind"), "doc");
    assert!(!farm.master_output().contains("guessed"));
}

#[test]
fn an_account_with_a_port_of_its_own_is_good_there_and_nowhere_else() {
    let [own, pb_port] = free_ports::<2>();
    let port_line = format!("port = 127.0.0.1:{own}\n");
    let farm = farm(&format!(
        "pb_port = 127.0.0.1:{pb_port}\n\
         [source:own]\ntype = pb\nuser = own\npasswd = opw\n{port_line}"
    ));
    let send = |port: u16, user: &str, password: &str| {
        let call = r#"["addChange", {"who": "zoe", "files": ["x"]}]"#;
        let args = [port.to_string().as_str(), user, password, call].map(str::to_owned);
        let args = args.each_ref().map(String::as_str);
        text(&script(&farm, "pb_call.py", &args)).trim().to_owned()
    };
    let wrong = "login ! the name or the password is wrong";
    assert_eq!(send(own, "own", "opw"), "addChange = None");
    for (port, user, password) in [
        (farm.slaveport, "own", "opw"),
        (pb_port, "own", "opw"),
        (own, "hooks", "hpw"),
        (own, "one", "secret"),
        (own, "debug", "dbg"),
    ] {
        assert_eq!(send(port, user, password), wrong, "{user} at {port}");
    }
    let changes = farm.json("/api/changes").expect("a list");
    assert_eq!(changes.as_array().map(Vec::len), Some(1));

    let ini = farm.master_dir().join("master.ini");
    let old = fs::read_to_string(&ini).expect("a file");
    fs::write(&ini, old.replace(&port_line, "")).expect("written");
    let reloaded = farm.autobot(&["reconfig"]);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert_eq!(send(pb_port, "own", "opw"), "addChange = None");
    let gone = std::net::TcpStream::connect(("127.0.0.1", own));
    assert!(gone.is_err(), "nobody listens there any more");
}

#[test]
fn try_of_buildbot_builds_a_patch_and_waits_for_its_end() {
    let mut farm = farm("");
    farm.start_slave("one");
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let diff = farm.path("diff");
    fs::write(&diff, DIFF).expect("written");
    let diff = diff.display().to_string();
    let login = |password: &str| -> Vec<String> {
        [
            "try",
            "--connect=pb",
            "--master",
            &master,
            "--username",
            "ann",
            "--passwd",
            password,
        ]
        .map(str::to_owned)
        .into()
    };
    let run = |farm: &Farm, password: &str, more: &[&str]| {
        let login = login(password);
        let mut args: Vec<&str> = login.iter().map(String::as_str).collect();
        args.extend(more);
        buildbot(farm, &args)
    };
    let names = run(&farm, "quiet", &["--get-builder-names"]);
    assert!(names.status.success(), "{}", text(&names));
    assert!(text(&names).contains("words-one"), "{}", text(&names));

    let job = [
        "--diff",
        &diff,
        "--patchlevel",
        "1",
        "--branch",
        "main",
        "--who",
        "Ann",
        "--comment",
        "why not",
        "--property",
        "a=b",
    ];
    let good = run(
        &farm,
        "quiet",
        &[&job[..], &["--wait", "--builder", "words-one"]].concat(),
    );
    assert!(good.status.success(), "{}", text(&good));
    assert!(
        text(&good).contains("words-one: success (build successful)"),
        "{}",
        text(&good)
    );
    let build = farm.wait_builds("words-one", 1);
    assert_eq!(build["reason"], "'try' job by user Ann (why not)");
    assert_eq!(property(&build, "a"), "b");
    let said = farm.log("words-one", 0, "shell");
    assert!(said.contains("\nnew\n"), "{said}");

    // A patch that does not apply fails, and so does the command; all builders try it.
    fs::write(&diff, DIFF.replace("-old", "-older")).expect("written");
    let bad = run(&farm, "quiet", &[&job[..], &["--wait"]].concat());
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad));
    assert!(
        text(&bad).contains("words-one: failure ("),
        "{}",
        text(&bad)
    );

    let nobody = run(
        &farm,
        "quiet",
        &[&job[..], &["--wait", "--builder", "other"]].concat(),
    );
    assert!(
        text(&nobody).contains("does not have the builder configured"),
        "{}",
        text(&nobody)
    );

    // This client waits for ever when it is refused.
    let login = login("guessed");
    let args = login
        .iter()
        .map(String::as_str)
        .chain(job)
        .collect::<Vec<_>>();
    let refused = Background::start(&farm, "refused", tool("buildbot"), &args);
    refused.wait_for(&mut farm, "the name or the password is wrong");
    assert_eq!(
        farm.json("/json/builders/words-one").expect("one")["cachedBuilds"],
        json!([0, 1])
    );
}

#[test]
fn user_of_buildbot_adds_finds_updates_and_removes_users() {
    let farm = farm("");
    let port = farm.slaveport.to_string();
    let user = |password: &str, more: &[&str]| {
        let master = format!("127.0.0.1:{port}");
        let args = [
            "user",
            "--master",
            &master,
            "--username",
            "useradm",
            "--passwd",
            password,
        ];
        script(&farm, "buildbot_user.py", &[&args, more].concat())
    };
    let add = "--info=git=Bob <bob@example.org>,email=bob@example.org";
    let said = |password: &str, more: &[&str]| text(&user(password, more));
    let added = said("upw", &["--op=add", add]);
    assert!(
        added.contains("user(s) added:\nidentifier: Bob <bob@example.org>\nuid: 1\n"),
        "{added}"
    );
    let update = "--info=Bob <bob@example.org>:svn=bobby";
    let updated = said(
        "upw",
        &[
            "--op=update",
            update,
            "--bb_username=bob",
            "--bb_password=pw",
        ],
    );
    assert!(
        updated.contains("user(s) updated:\nidentifier: Bob <bob@example.org>\n"),
        "{updated}"
    );
    let found = said("upw", &["--op=get", "--ids=Bob <bob@example.org>,nobody"]);
    for line in [
        "uid: 1\n",
        "bb_username: bob\n",
        "\tsvn: bobby\n",
        "\temail: bob@example.org\n",
        "no match found\n",
    ] {
        assert!(found.contains(line), "{line}: {found}");
    }
    assert!(!found.contains("password"), "{found}");
    let taken = said(
        "upw",
        &["--op=add", "--info=svn=bobby,git=Other", "--info=git=X"],
    );
    assert!(taken.contains("added"), "{taken}");
    let removed = said("upw", &["--op=remove", "--ids=X"]);
    assert!(
        removed.contains("user(s) removed:\nidentifier: X\n"),
        "{removed}"
    );
    let refused = said("guessed", &["--op=get", "--ids=X"]);
    assert!(
        refused.contains("the name or the password is wrong"),
        "{refused}"
    );
}

#[test]
fn the_debug_client_reloads_forces_pings_and_makes_changes() {
    let mut farm = farm("");
    farm.start_slave("one");
    let port = farm.slaveport.to_string();
    let call = |password: &str, calls: &[&str]| {
        text(&script(
            &farm,
            "pb_call.py",
            &[&[port.as_str(), "debug", password], calls].concat(),
        ))
    };
    let said = call(
        "dbg",
        &[
            r#"["print", "hello cleveland"]"#,
            r#"["reload"]"#,
            r#"["pokeIRC"]"#,
            r#"["pingBuilder", "words-one"]"#,
            r#"["pingBuilder", "nobody"]"#,
            r#"["requestBuild", "words-one", "because", "main", null, {"a": "b"}]"#,
            r#"["fakeChange", "x", {"who": "zoe", "branch": "main", "revision": null}]"#,
            r#"["addChange", {}]"#,
        ],
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "print = None",
            "reload = None",
            "pokeIRC = None",
            "pingBuilder = None",
            "pingBuilder ! there is no builder `nobody`",
            "requestBuild = None",
            "fakeChange = None",
            "addChange ! this account has no method `addChange`",
        ]
    );
    assert_eq!(
        call("guessed", &[]).trim(),
        "login ! the name or the password is wrong"
    );
    let build = farm.wait_builds("words-one", 1);
    assert_eq!(build["reason"], "because");
    assert_eq!(property(&build, "a"), "b");
    let changes = farm.json("/api/changes").expect("a list");
    assert_eq!(changes[0]["who"], "zoe");
    assert!(farm.master_output().contains("hello cleveland"));
}

#[test]
fn who_listens_hears_of_builds_steps_and_what_they_say() {
    let port = free_ports::<1>()[0];
    let mut farm = farm(&format!("pb_port = 127.0.0.1:{port}\n"));
    let port = port.to_string();
    let file = format!("{}/tests/farm/pb_statuslog.py", env!("CARGO_MANIFEST_DIR"));
    let args = |password: &'static str| {
        [
            file.clone(),
            port.clone(),
            "watcher".into(),
            password.into(),
            "full".into(),
        ]
    };
    let start = |farm: &Farm, name: &str, args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Background::start(farm, name, tool("python"), &args)
    };
    let refused = start(&farm, "refused", &args("guessed"));
    refused.wait_for(&mut farm, "refused: the name or the password is wrong");
    let listener = start(&farm, "listens", &args("watch"));
    listener.wait_for(&mut farm, "builderChangedState words-one offline None");
    farm.start_slave("one");
    listener.wait_for(&mut farm, "builderChangedState words-one idle None");
    let build = farm.force("words-one", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    // Answers to what the listener asks itself may come between any two of these.
    farm.wait("an idle builder after its build", |_| {
        let said = listener.said();
        let (_, after) = said.split_once("buildFinished words-one 0\n")?;
        after
            .contains("builderChangedState words-one idle None\n")
            .then_some(())
    });
    let said = listener.said();
    let places: Vec<_> = [
        "connected\n",
        "builderChangedState words-one building None\n",
        "buildStarted words-one\n",
        "stepStarted words-one git\n",
        "stepFinished words-one git 0\n",
        "stepStarted words-one shell\n",
        "logStarted words-one shell stdio\n",
        "logChunk 0 b'old\\n'\n",
        "logFinished words-one shell stdio\n",
        "stepFinished words-one shell 0\n",
        "buildFinished words-one 0\n",
    ]
    .iter()
    .map(|it| said.find(it).unwrap_or_else(|| panic!("{it}: {said}")))
    .collect();
    assert!(places.is_sorted(), "{said}");
    assert!(
        said.contains("pong\n") && said.contains("number 0\n"),
        "{said}"
    );
    // At the port of its own, a slave of Buildbot is welcome, too; one of autobot is not.
    drop(listener);
    let stranger =
        std::net::TcpStream::connect(("127.0.0.1", port.parse::<u16>().expect("a port")));
    let mut first = [0; 12];
    let mut stranger = stranger.expect("it listens");
    std::io::Read::read_exact(&mut stranger, &mut first).expect("it speaks first");
    assert_eq!(&first, b"\x02\x80\x02\x82pb\x04\x82none");
}

#[test]
fn who_listens_to_logs_hears_how_long_a_step_takes_and_may_wait_for_a_whole_job() {
    let mut farm = Farm::new("");
    let hold = farm.path("hold");
    farm.write_ini(&format!(
        "[slave:one]\npassword = secret\nfactories = slow\n\
         [slow]\ntype = shell\ncommands = echo hi; while test -e {}; do sleep 0.1; done\n\
         [status:watch]\ntype = PBListener\nuser = watcher\npasswd = watch\n",
        hold.display()
    ));
    farm.start_master();
    farm.start_slave("one");
    // How long it takes is known from the first one.
    assert_eq!(farm.force("slow-one", &[])["results"], 0);
    fs::write(&hold, "").expect("written");
    let forced = farm.autobot(&["force", "slow-one"]);
    assert!(forced.status.success(), "{}", text(&forced));
    let port = farm.slaveport.to_string();
    let file = format!("{}/tests/farm/pb_statuslog.py", env!("CARGO_MANIFEST_DIR"));
    let args = [&file, &port, "watcher", "watch", "logs"];
    let listener = Background::start(&farm, "listens", tool("python"), &args);
    listener.wait_for(&mut farm, "waits for a set\n");
    listener.wait_for(&mut farm, "stepETA slow-one shell float ['output']\n");
    assert!(!listener.said().contains("set is over"));
    fs::remove_file(&hold).expect("it was there");
    listener.wait_for(&mut farm, "set is over True\n");
    listener.wait_for(&mut farm, "buildFinished slow-one 0\n");
}

#[test]
fn buildbot_of_python_2_listens_to_a_master_and_sends_it_a_change() {
    let mut farm = farm("");
    let Some(program) = old_buildbot(&farm) else {
        return;
    };
    farm.start_slave("one");
    let master = format!("--master=127.0.0.1:{}", farm.slaveport);
    let watch = |password| ["statuslog", &master, "--username=watcher", password];
    let listener = Background::start(&farm, "old", program.clone(), &watch("--passwd=watch"));
    listener.wait_for(&mut farm, "builderChangedState words-one idle None\n");
    let change = [
        "--auth=hooks:hpw",
        "--who=zoe",
        "--branch=main",
        "trunk/word",
    ];
    let sent = run(
        &farm,
        program.clone(),
        &[&["sendchange", &master], &change[..]].concat(),
    );
    assert!(sent.status.success(), "{}", text(&sent));
    assert!(text(&sent).contains("change sent successfully"));
    listener.wait_for(
        &mut farm,
        "buildFinished 0\nbuilderChangedState words-one idle None\n",
    );
    let said = listener.said();
    for line in [
        "connected\n",
        "builderAdded words-one\n",
        "builderChangedState words-one building None\n",
        "buildStarted words-one\n",
        "stepStarted words-one shell\n",
        "stepFinished words-one shell (0, ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let changes = farm.json("/api/changes").expect("a list");
    assert_eq!(changes[0]["who"], "zoe");
    // It ends and says why, as far as it can.
    let refused = run(&farm, program, &watch("--passwd=guessed"));
    assert!(
        text(&refused).contains("Unable to login"),
        "{}",
        text(&refused)
    );
}
