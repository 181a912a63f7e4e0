//! Who is responsible and what is kept, on a real master: old builds go while it runs and while it
//! does not, and a kill in between loses nothing that is kept.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use crate::farm::{Farm, text};

const INI: &str = "[slave:linux]\npassword = secret\nfactories = hi\n\
                   [hi]\ntype = shell\ncommands = echo hi\n";
const BUILDS: i64 = 10_000;
const KEPT: i64 = 20;
/// Bytes of properties of each of them: all together are more than a master may take.
const PROPERTIES: usize = 8_000;
/// What a master may take at most, in KiB.
const MEMORY: u64 = 120 << 10;

fn database(farm: &Farm) -> Connection {
    let path = farm.master_dir().join("state.sqlite");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(path, flags).expect("a database");
    db.busy_timeout(std::time::Duration::from_secs(60))
        .expect("patience");
    db
}

fn number(db: &Connection, query: &str) -> i64 {
    db.query_row(query, [], |row| row.get(0)).expect(query)
}

fn files(farm: &Farm) -> Vec<String> {
    let dir = farm.master_dir().join("builds/hi-linux");
    let files = fs::read_dir(dir).expect("a directory");
    let names = files.map(|it| it.expect("a file").file_name());
    let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What the files of a directory take.
fn bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).expect("a directory");
    let sizes = files.map(|it| it.expect("a file").metadata().expect("metadata").len());
    sizes.sum()
}

/// A database as years of builds leave it behind, with a log of each.
fn years_of_builds(farm: &Farm) {
    // Makes the tables.
    let made = farm.autobot(&["prune"]);
    assert!(made.status.success(), "{}", text(&made));
    let mut db = Connection::open(farm.master_dir().join("state.sqlite")).expect("a database");
    let dir = farm.master_dir().join("builds/hi-linux");
    fs::create_dir_all(&dir).expect("a directory");
    let all = db.transaction().expect("begun");
    let properties = format!(r#"{{"p":["{}","test",false]}}"#, "x".repeat(PROPERTIES));
    for number in 0..BUILDS {
        let id = number + 1;
        fs::write(dir.join(format!("{number}-log")), "a log\n").expect("written");
        for (statement, values) in [
            (
                "INSERT INTO buildsets (id, reason, properties, repository, project, submitted, \
                 finished, outcome) VALUES (?1, '', '{}', '', '', 1, 2, 0)",
                params![id],
            ),
            (
                "INSERT INTO requests (id, buildset, builder, submitted, build, finished, outcome) \
                 VALUES (?1, ?1, 'hi-linux', 1, ?1, 2, 0)",
                params![id],
            ),
            (
                "INSERT INTO builds (id, builder, number, slave, reason, repository, project, \
                 properties, blame, text, started, finished, outcome, lease, fingerprint) \
                 VALUES (?1, 'hi-linux', ?2, 'linux', '', '', '', ?3, '[]', '[]', 1, 2, 0, 1, '')",
                params![id, number, properties],
            ),
            ("INSERT INTO build_requests VALUES (?1, ?1)", params![id]),
            (
                "INSERT INTO steps (build, number, name, started, finished, outcome, text, \
                 build_text, statistics, urls, hidden, logs) VALUES (?1, 0, 'shell', 1, 2, 0, \
                 '[]', '[]', '[]', '[]', 0, json_array(json_array('stdio', ?2, json('true'))))",
                params![id, format!("hi-linux/{number}-log")],
            ),
        ] {
            all.execute(statement, values).expect(statement);
        }
    }
    all.commit().expect("committed");
}

#[test]
fn ten_thousand_builds_are_forgotten_in_flat_memory_also_by_a_master_that_is_killed_meanwhile() {
    let mut farm = Farm::new(INI);
    years_of_builds(&farm);
    farm.write_ini(&format!("build_horizon = {KEPT}\n{INI}"));
    let count = "SELECT count(*) FROM builds";
    let db = database(&farm);
    let mut left = BUILDS;
    for _ in 0..3 {
        farm.start_master();
        let before = left;
        left = farm.wait("some builds to be forgotten", |_| {
            let left = number(&db, count);
            (left < before).then_some(left)
        });
        farm.kill_master();
    }
    assert!(left > KEPT, "it was killed in the middle, at {left}");

    farm.start_master();
    farm.wait("all old builds to be forgotten", |_| {
        (number(&db, count) == KEPT).then_some(())
    });
    let peak = farm.master_peak_kib();
    assert!(peak < MEMORY, "{peak} KiB");
    assert_eq!(number(&db, "SELECT min(number) FROM builds"), BUILDS - KEPT);
    for rows in ["steps", "build_requests", "requests", "buildsets"] {
        assert_eq!(number(&db, &format!("SELECT count(*) FROM {rows}")), KEPT);
    }
    let mut kept: Vec<_> = (BUILDS - KEPT..BUILDS)
        .map(|it| format!("{it}-log"))
        .collect();
    kept.sort();
    assert_eq!(files(&farm), kept, "files and rows agree");
    let known = number(&db, "SELECT sum(log_bytes) FROM numbers");
    let there = bytes(&farm.master_dir().join("builds/hi-linux"));
    assert_eq!(u64::try_from(known).expect("a sum"), there);
    let whole: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(whole, "ok");
    let mut wrong = db.prepare("PRAGMA foreign_key_check").expect("a check");
    assert!(
        !wrong.exists([]).expect("checked"),
        "a row hangs in the air"
    );

    let next = farm.autobot(&["force", "hi-linux"]);
    assert!(next.status.success(), "{}", text(&next));
    farm.start_slave("linux");
    let build = farm.wait_builds("hi-linux", 10_001);
    assert_eq!(build["number"], BUILDS, "no number is given twice");
}

#[test]
fn logs_come_under_their_budget_with_a_master_that_runs_and_with_one_that_does_not() {
    let shell = "[slave:linux]\npassword = secret\nfactories = hi\n[hi]\ntype = shell\n\
                 commands = head -c 100000 /dev/zero\n";
    let mut farm = Farm::new(shell);
    farm.start_master();
    farm.start_slave("linux");
    for _ in 0..3 {
        assert_eq!(farm.force("hi-linux", &[])["results"], 0);
    }
    let nothing = text(&farm.autobot(&["prune"]));
    assert!(nothing.starts_with("nothing went\nlogs of 30"), "{nothing}");
    farm.kill_slave();
    farm.kill_master();

    let dir = farm.master_dir().join("builds/hi-linux");
    let before = bytes(&dir);
    assert!(before > 300_000, "{before}");
    farm.write_ini(&format!("log_size = 220K\n{shell}"));
    let would = text(&farm.autobot(&["prune", "--dry-run"]));
    assert!(
        would.starts_with("hi-linux: 0 builds and the logs of 1 build (10"),
        "{would}"
    );
    assert!(
        would.contains(", 0 changes and 0 events would go\n"),
        "{would}"
    );
    assert_eq!(bytes(&dir), before, "nothing went");
    let went = text(&farm.autobot(&["prune"]));
    assert_eq!(
        went,
        would
            .replace("would go", "went")
            .replace("would stay", "stay")
    );
    assert!(bytes(&dir) <= 220 << 10, "{}", bytes(&dir));

    farm.write_ini(&format!("log_size = 120K\n{shell}"));
    farm.start_master();
    farm.wait("the running master to come under the budget", |_| {
        (bytes(&dir) <= 120 << 10).then_some(())
    });
    let address = format!("http://127.0.0.1:{}", farm.htmlport);
    let told = farm.autobot(&["prune", "--json", "--master", &address]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["left"], bytes(&dir));
    let newest = farm.build("hi-linux", 2);
    assert_eq!(newest["logs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn since_when_a_builder_fails_and_who_is_suspected_is_known_after_a_kill() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = hi\n\
         [hi]\ntype = shell\ncommands = test -e ../../ok\n\
         [scheduler:all]\ntype = any_branch\ntree_stable = 0\nbuilders = hi-linux\n",
    );
    farm.start_master();
    farm.start_slave("linux");
    let change = |farm: &Farm, who: &str| {
        let sent = farm.autobot(&[
            "sendchange",
            "--vc",
            "git",
            "--who",
            who,
            "--branch",
            "main",
            "a.c",
        ]);
        assert!(sent.status.success(), "{}", text(&sent));
    };
    change(&farm, "Ann <ann@example.org>");
    assert_eq!(farm.wait_builds("hi-linux", 1)["results"], 2);
    change(&farm, "Bo <bo@example.org>");
    assert_eq!(farm.wait_builds("hi-linux", 2)["failing_since"], 0);
    farm.kill_master();
    farm.start_master();

    let failing = farm.json("/json/builders/hi-linux").expect("a builder")["failing"].clone();
    assert_eq!(failing[0]["failing_since"], 0, "{failing:#}");
    assert_eq!(failing[0]["last"], 1);
    assert_eq!(
        failing[0]["suspects"],
        serde_json::json!(["Ann <ann@example.org>"])
    );
    let (_, page) = farm.get("/builders/hi-linux").expect("a page");
    assert!(page.contains("Suspects: Ann."), "{page}");

    fs::write(farm.path("linux/ok"), "").expect("written");
    farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        (slave["connected"] == true).then_some(())
    });
    assert_eq!(farm.force("hi-linux", &[])["results"], 0);
    let failing = farm.json("/json/builders/hi-linux").expect("a builder")["failing"].clone();
    assert_eq!(failing, serde_json::json!([]));
}

#[test]
fn users_come_of_changes_of_sections_and_by_hand_and_are_kept() {
    let ini = "[slave:linux]\npassword = secret\nfactories = hi\n\
               [hi]\ntype = shell\ncommands = true\n";
    let mut farm = Farm::new(ini);
    farm.start_master();
    let run = |farm: &Farm, line: &str| text(&farm.autobot(&line.split(' ').collect::<Vec<_>>()));
    let sent = run(&farm, "sendchange --vc svn --who bo --branch main a.c");
    assert_eq!(sent, "change sent successfully\n");
    assert_eq!(
        run(&farm, "user --op update --info bo:email=bo@example.org"),
        "user(s) updated:\nidentifier: bo\n"
    );
    assert_eq!(
        run(&farm, "user add git=zoe"),
        "user(s) added:\nidentifier: zoe\nuid: 2\n\n"
    );
    let login = "user update zoe --bb_username zoe --bb_password otter";
    assert_eq!(run(&farm, login), "user(s) updated:\nidentifier: zoe\n");
    farm.kill_master();
    farm.start_master();
    assert_eq!(
        run(&farm, "user --op get --ids bo,zoe --ids zz"),
        "user(s) found:\nemail: bo@example.org\nidentifier: bo\nsvn: bo\nuid: 1\n\n\
         bb_username: zoe\ngit: zoe\nidentifier: zoe\nuid: 2\n\nno match found\n"
    );
    let secret: String = database(&farm)
        .query_row("SELECT password FROM users WHERE id = 2", [], |row| {
            row.get(0)
        })
        .expect("a hash");
    assert!(secret.starts_with("$argon2id$"), "{secret}");

    let address = format!("http://127.0.0.1:{}", farm.htmlport);
    let over = farm.autobot(&["user", "remove", "bo", "--master", &address]);
    assert!(!over.status.success());
    assert!(text(&over).contains("user op NOT sent"), "{}", text(&over));
    assert!(text(&over).contains("manage_users"), "{}", text(&over));
    let wrong = farm.autobot(&["user", "remove", "bo", "--info", "git=x"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong));

    farm.write_ini(&format!("{ini}[user:bob]\nsvn = bo\n"));
    let reloaded = run(&farm, "reconfig");
    assert!(reloaded.contains("added user `bob`"), "{reloaded}");
    let bob = farm.json("/api/users/1").expect("a user");
    assert_eq!(
        (&bob["identifier"], &bob["section"]),
        (&"bob".into(), &"bob".into())
    );
    assert_eq!(bob["changes"], serde_json::json!([1]));
    assert_eq!(
        run(&farm, "user remove zoe,zz"),
        "user(s) removed:\nidentifier: zoe\nno match found for `zz`\n"
    );
}
