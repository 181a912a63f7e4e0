//! Events as Gerrit sends them, and a stream of them over a real sshd, whose forced command plays
//! what the test writes.

use std::path::Path;
use std::sync::Mutex;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::super::Delivery;
use super::*;
use crate::model::Timestamp;
use crate::model::Vc;
use crate::process;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

fn settings(lines: &str) -> GerritSettings {
    let (settings, problems) = read_in(lines);
    assert_eq!(problems, "", "{lines}");
    settings.expect(lines)
}

fn read_in(lines: &str) -> (Option<GerritSettings>, String) {
    let source = Source::new("m.ini", "/", format!("[source:gerrit]\n{lines}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let settings = super::super::read(&mut keys);
    keys.finish();
    let settings = settings.map(|it| match it {
        super::super::Settings::Gerrit(it) => it,
        other => panic!("no gerrit: {other:?}"),
    });
    (settings, problems.render(false))
}

const USUAL: &str = "gerritserver = review.test\nusername = bot";

/// In the form of Gerrit's documents of `stream-events`; of an older one, whose numbers are texts.
const PATCH_SET: &str = r#"{"type":"patchset-created","change":{"project":"tools/hello","branch":"master","id":"I1","number":"123","subject":"fix 1234 <b>","owner":{"name":"Dustin","email":"dustin@mozilla.example","username":"dustin"},"url":"http://review.test/123"},"patchSet":{"number":"12","revision":"29b73c3eb1aeaa9e6c7da520a940d60810e883db","ref":"refs/changes/23/123/12","uploader":{"name":"Bo","email":"bo@x"},"createdOn":1342540801},"uploader":{"name":"Bo","email":"bo@x"}}"#;

/// Of a newer one, whose refs have their full names.
const REF: &str = r#"{"submitter":{"name":"Ann","email":"ann@x"},"refUpdate":{"oldRev":"95790bf891e76fee5e1747ab589903a6a1f80f22","newRev":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","refName":"refs/heads/main","project":"tools/hello"},"type":"ref-updated","eventCreatedOn":1342540900}"#;

fn change(settings: &GerritSettings, line: &str) -> Result<Option<NewChange>, String> {
    Event::read(line.as_bytes())?.change(settings)
}

#[test]
fn a_patch_set_is_a_change_with_all_that_gerrit_says_of_it() {
    let change = change(&settings(USUAL), PATCH_SET).unwrap().unwrap();
    let properties: Vec<_> = change
        .properties
        .iter()
        .map(|(name, it)| format!("{name} = {} ({})", it.value, it.source))
        .collect();
    insta::assert_snapshot!(properties.join("\n"), @r#"
    event.change.branch = "master" (Change)
    event.change.id = "I1" (Change)
    event.change.number = "123" (Change)
    event.change.owner.email = "dustin@mozilla.example" (Change)
    event.change.owner.name = "Dustin" (Change)
    event.change.owner.username = "dustin" (Change)
    event.change.project = "tools/hello" (Change)
    event.change.subject = "fix 1234 <b>" (Change)
    event.change.url = "http://review.test/123" (Change)
    event.patchSet.createdOn = 1342540801 (Change)
    event.patchSet.number = "12" (Change)
    event.patchSet.ref = "refs/changes/23/123/12" (Change)
    event.patchSet.revision = "29b73c3eb1aeaa9e6c7da520a940d60810e883db" (Change)
    event.patchSet.uploader.email = "bo@x" (Change)
    event.patchSet.uploader.name = "Bo" (Change)
    event.type = "patchset-created" (Change)
    event.uploader.email = "bo@x" (Change)
    event.uploader.name = "Bo" (Change)
    "#);
    let origin = "gerrit review.test:29418 patchset-created tools/hello 123 12 \
                  29b73c3eb1aeaa9e6c7da520a940d60810e883db";
    assert_eq!(
        NewChange {
            properties: crate::model::Properties::new(),
            ..change
        },
        NewChange {
            files: vec!["unknown".into()],
            comments: "fix 1234 <b>".into(),
            revision: Some("29b73c3eb1aeaa9e6c7da520a940d60810e883db".into()),
            branch: Some("master/123".into()),
            category: Some("patchset-created".into()),
            revlink: "http://review.test/123".into(),
            project: "tools/hello".into(),
            when: Some(Timestamp::from_secs(1_342_540_801)),
            origin: Some(origin.into()),
            vc: Some(Vc::Git),
            ..NewChange::by("Dustin <dustin@mozilla.example>")
        }
    );
}

#[test]
fn a_branch_that_moved_is_a_change_of_that_branch_and_what_gerrit_keeps_for_itself_is_none() {
    let settings = settings(&format!(
        "{USUAL}\nrepository = ssh://review.test/%s\ncategory = c"
    ));
    let told = |line: &str| change(&settings, line);
    let it = told(REF).unwrap().unwrap();
    assert_eq!(it.author, "Ann <ann@x>");
    assert_eq!(it.branch.as_deref(), Some("main"));
    assert_eq!(
        it.revision.as_deref(),
        Some("da1560886d4f094c3e6c9ef40349f7d38b5d27d7")
    );
    assert_eq!(
        (it.comments.as_str(), it.revlink.as_str()),
        ("Gerrit: patchset(s) merged.", "")
    );
    assert_eq!(
        (it.repository.as_str(), it.category.as_deref()),
        ("ssh://review.test/tools/hello", Some("c"))
    );
    let older = told(&REF.replace("refs/heads/main", "main").replace("Ann", ""))
        .unwrap()
        .unwrap();
    assert_eq!(
        (older.branch.as_deref(), older.author.as_str()),
        (Some("main"), "ann@x")
    );
    let nobody = told(&REF.replace("submitter", "by")).unwrap().unwrap();
    assert_eq!(nobody.author, "gerrit");
    let tag = told(&REF.replace("refs/heads/main", "refs/tags/v1"))
        .unwrap()
        .unwrap();
    assert_eq!(tag.branch.as_deref(), Some("refs/tags/v1"));
    for own in [
        "refs/changes/23/123/meta",
        "refs/meta/config",
        "refs/users/01/1",
    ] {
        assert_eq!(told(&REF.replace("refs/heads/main", own)), Ok(None));
    }
    let zeros = "0".repeat(40);
    let gone = REF.replace("da1560886d4f094c3e6c9ef40349f7d38b5d27d7", &zeros);
    assert_eq!(told(&gone), Ok(None));

    // The same once more has the same origin, and again an hour later has another.
    let origin = |line: &str| told(line).unwrap().unwrap().origin;
    assert_eq!(origin(REF), it.origin);
    assert_ne!(origin(&REF.replace("1342540900", "1342544500")), it.origin);
    assert_eq!(
        origin(&REF.replace("eventCreatedOn", "x")),
        None,
        "it may happen again"
    );
}

#[test]
fn other_events_are_changes_of_the_patch_set_that_they_are_about() {
    let settings = settings(&format!(
        "{USUAL}\nhandled_events = comment_added change-merged"
    ));
    assert_eq!(settings.events, ["comment-added", "change-merged"]);
    let comment = PATCH_SET
        .replace("patchset-created", "comment-added")
        .replace(
            "\"uploader\":{\"name\":\"Bo\",\"email\":\"bo@x\"}}",
            "\"approvals\":[{\"type\":\"Verified\",\"value\":\"1\"}],\"comment\":\"recheck\"}",
        );
    let it = change(&settings, &comment).unwrap().unwrap();
    assert_eq!(it.branch.as_deref(), Some("master/123"));
    assert_eq!(it.category.as_deref(), Some("comment-added"));
    assert_eq!(it.properties.get("event.comment"), Some(&json!("recheck")));
    let list = json!([{"type": "Verified", "value": "1"}]);
    assert_eq!(
        it.properties.get("event.approvals"),
        Some(&list),
        "lists stay lists"
    );
}

#[test]
fn hostile_lines_are_refused_with_a_reason() {
    let settings = settings(USUAL);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let said = |line: &str| change(&settings, line).expect_err("no event");
    assert!(said(&deep).contains("recursion limit"), "{}", said(&deep));
    for (line, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("Permission denied", "expected value at line 1 column 1"),
        ("[]", "it has no `type`"),
        ("7", "it has no `type`"),
        (r#"{"type":7}"#, "it has no `type`"),
        (r#"{"type":"patchset-created"}"#, "it has no `change`"),
        (
            r#"{"type":"patchset-created","change":[]}"#,
            "it has no `change`",
        ),
        (
            r#"{"type":"patchset-created","change":{}}"#,
            "it has no `branch`",
        ),
        (
            r#"{"type":"ref-updated","refUpdate":7}"#,
            "it has no `refName`",
        ),
        (&PATCH_SET.replace("revision", "x"), "it has no `revision`"),
        (&PATCH_SET.replace("\"123\"", "{}"), "it has no `number`"),
    ] {
        assert_eq!(said(line), expected, "{line}");
    }
    assert!(Event::read(b"\xff\xfe\x00").is_err());
}

#[test]
fn a_mistake_in_a_section_of_gerrit_has_its_place() {
    let said = read_in("gerritserver = -oProxyCommand=x\nusername = a b\nhandled_events =").1;
    insta::assert_snapshot!(said, @"
    error[bad-value]: bad value for `gerritserver` in [source:gerrit]
     --> m.ini:2:16
      |
    2 | gerritserver = -oProxyCommand=x
      |                ^^^^^^^^^^^^^^^^ expected the name of a host
    ");
    let said = read_in("gerritport = 0x\nuser = -l").1;
    insta::assert_snapshot!(said, @"
    error[missing-key]: `gerritserver` is missing in [source:gerrit]
     --> m.ini:1:2
      |
    1 | [source:gerrit]
      |  ^^^^^^^^^^^^^ expected a text

    error[bad-value]: bad value for `gerritport` in [source:gerrit]
     --> m.ini:2:14
      |
    2 | gerritport = 0x
      |              ^^ expected a whole number from 0 to 4294967295
    ");
}

/// The store's side, which keeps a change of one origin once, as the real one does.
#[derive(Default)]
struct Kept {
    state: Value,
    changes: Vec<NewChange>,
    refusals: usize,
}

struct Store {
    kept: Mutex<Kept>,
    news: mpsc::UnboundedSender<String>,
}

impl Sink for Store {
    fn state(&self, _source: &str) -> Delivery<'_, Value> {
        let state = self.kept.lock().unwrap().state.clone();
        Box::pin(async { Ok(state) })
    }

    fn deliver(&self, _source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()> {
        let mut kept = self.kept.lock().unwrap();
        if kept.refusals > 0 && !changes.is_empty() {
            kept.refusals -= 1;
            return Box::pin(async { Err(SinkError("disk full".into())) });
        }
        kept.state = state;
        for it in changes {
            let is_known = |old: &NewChange| it.origin.is_some() && old.origin == it.origin;
            if !kept.changes.iter().any(is_known) {
                let number = it.revision.clone().unwrap();
                kept.changes.push(it);
                let _ = self.news.send(number);
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn report(&self, _source: &str, health: Result<(), String>) {
        let said = health.map_or_else(|error| format!("! {error}"), |()| "well".to_owned());
        let _ = self.news.send(said);
    }
}

/// A Gerrit that is a real sshd, reached without a port: what `ssh` speaks to is its input.
struct Server {
    dir: TempDir,
    store: Arc<Store>,
    news: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

/// What the forced command does: each stream goes on as long as its file grows, and says who it is.
const PLAY: &str = r#"#!/bin/sh
cd "${0%/*}"
echo "$SSH_ORIGINAL_COMMAND" >> asked
case $SSH_ORIGINAL_COMMAND in
"gerrit stream-events")
    [ -e stream ] || { echo "fatal: not capable" >&2; exit 1; }
    echo $$ > pid.new; mv pid.new pid
    exec tail -f -n +1 stream ;;
"gerrit query "*limit:1) cat newest ;;
"gerrit query "*) cat answer ;;
esac
"#;

impl Server {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let at = dir.path().display().to_string();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for key in ["host", "user"] {
            sh(
                dir.path(),
                &format!("ssh-keygen -q -t ed25519 -N '' -f {key}"),
            )
            .await;
        }
        write("play", PLAY);
        let user = sh(dir.path(), "chmod +x play; cp user.pub authorized; id -un").await;
        if user == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        write(
            "sshd_config",
            &format!(
                "HostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/authorized\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv HOME={at}\n\
                 ForceCommand {at}/play\n"
            ),
        );
        write(
            "ssh_config",
            &format!(
                "Host *\nProxyCommand /usr/sbin/sshd -i -e -f {at}/sshd_config 2>>{at}/log\n\
                 UserKnownHostsFile {at}/known\nStrictHostKeyChecking yes\nIdentitiesOnly yes\n"
            ),
        );
        sh(
            dir.path(),
            "echo \"[review.test]:29418 $(cat host.pub)\" > known\n\
             printf '#!/bin/sh\\nexec ssh -F %s/ssh_config \"$@\"\\n' \"$PWD\" > ssh; chmod +x ssh",
        )
        .await;
        write(
            "newest",
            "{\"number\":1,\"lastUpdated\":1000}\n{\"type\":\"stats\",\"rowCount\":1}\n",
        );
        write("answer", "{\"type\":\"stats\",\"rowCount\":0}\n");
        write("stream", "");
        let (news, heard) = mpsc::unbounded_channel();
        let kept = Mutex::default();
        let mut server = Self {
            dir,
            store: Arc::new(Store { kept, news }),
            news: heard,
            stop: CancellationToken::new(),
            task: None,
        };
        server.listen(&user);
        server
    }

    /// Begins to listen, as a master does that starts.
    fn listen(&mut self, user: &str) {
        let at = self.dir.path().display();
        let settings = settings(&format!(
            "gerritserver = review.test\nusername = {user}\nidentity_file = user\nsshbin = {at}/ssh"
        ));
        let gerrit = Gerrit::new("gerrit".into(), settings, self.dir.path().to_owned());
        self.stop = CancellationToken::new();
        let store: Arc<dyn Sink> = self.store.clone();
        self.task = Some(tokio::spawn(gerrit.run(
            store,
            self.stop.clone(),
            Arc::default(),
        )));
    }

    async fn end(&mut self) {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap();
    }

    /// Waits until something is told or reported.
    async fn hears(&mut self, wanted: &str) {
        let mut all = Vec::new();
        let hearing = async {
            loop {
                let said = self.news.recv().await.unwrap();
                if said.contains(wanted) {
                    return;
                }
                all.push(said);
            }
        };
        let heard = tokio::time::timeout(Duration::from_mins(1), hearing).await;
        assert!(
            heard.is_ok(),
            "{wanted} is not heard; only {all:?}; {}",
            self.log()
        );
    }

    /// Waits until the server streams, and says which process does.
    async fn streaming(&self) -> String {
        let wait = "until [ -e pid ]; do sleep 0.01; done; cat pid";
        sh(self.dir.path(), wait).await
    }

    /// Ends that process, and with it the line.
    async fn breaks(&self, stream: &str) {
        sh(self.dir.path(), &format!("rm pid; kill -9 {stream}")).await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn says(&self, lines: &[u8]) {
        use std::io::Write;
        let path = self.dir.path().join("stream");
        let file = std::fs::File::options().append(true).open(path);
        file.unwrap().write_all(lines).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.dir.path().join("written");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    fn revisions(&self) -> Vec<String> {
        let kept = self.store.kept.lock().unwrap();
        let all = kept.changes.iter();
        all.map(|it| it.revision.clone().unwrap()).collect()
    }
}

async fn sh(dir: &Path, script: &str) -> String {
    let limit = Duration::from_mins(1);
    let output = process::run("/bin/sh", &["-ec", script], &[], dir, limit, 1 << 20)
        .await
        .unwrap();
    assert_eq!(
        output.code,
        0,
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn patch_set(revision: &str, at: i64) -> String {
    let event = PATCH_SET.replace("29b73c3eb1aeaa9e6c7da520a940d60810e883db", revision);
    format!("{}\n", event.replace("1342540801", &at.to_string()))
}

/// A change in the answer to a question.
fn answered(revisions: &[(&str, i64)]) -> String {
    let patch_sets: Vec<Value> = revisions
        .iter()
        .map(|(revision, at)| json!({"number": 12, "revision": revision, "createdOn": at}))
        .collect();
    let change = json!({
        "project": "tools/hello", "branch": "master", "number": 123, "subject": "missed",
        "owner": {"name": "Ann"}, "lastUpdated": 9000, "patchSets": patch_sets,
    });
    format!("{change}\n{{\"type\":\"stats\",\"rowCount\":1,\"moreChanges\":false}}\n")
}

#[tokio::test]
async fn a_stream_over_a_real_sshd_is_listened_to_and_garbage_in_it_harms_nothing() {
    let mut server = Server::start().await;
    server.hears("well").await;
    server.says(patch_set("aaa1", 1100).as_bytes());
    server.hears("aaa1").await;
    server.says(
        b"\xff\xfe\0 garbage\n\n{\"type\":\"patchset-created\"}\n{\"type\":\"unheard-of\"}\n[1,\n",
    );
    server.says(&vec![b'x'; 3 << 20]);
    server.says(b"\n");
    // A line that comes in pieces.
    let line = patch_set("aaa2", 1101);
    let (one, other) = line.split_at(100);
    server.says(one.as_bytes());
    server.says(other.as_bytes());
    server.hears("aaa2").await;
    server.says(format!("{REF}\n").as_bytes());
    server
        .hears("da1560886d4f094c3e6c9ef40349f7d38b5d27d7")
        .await;
    // What the store refuses is not lost, and neither is what comes behind it.
    server.store.kept.lock().unwrap().refusals = 1;
    server.says(patch_set("aaa3", 1342540999).as_bytes());
    server.says(patch_set("aaa4", 1342541000).as_bytes());
    server.hears("disk full").await;
    server.hears("aaa4").await;
    let known = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";
    assert_eq!(server.revisions(), ["aaa1", "aaa2", known, "aaa3", "aaa4"]);
    let state = server.store.kept.lock().unwrap().state.clone();
    assert_eq!(
        state,
        json!({"server": "review.test:29418", "seen": 1_342_541_000})
    );
    server.end().await;
}

#[tokio::test]
async fn what_was_uploaded_while_nobody_listened_is_asked_for_and_told_once() {
    let mut server = Server::start().await;
    server.hears("well").await;
    server.says(patch_set("bbb1", 1100).as_bytes());
    server.hears("bbb1").await;

    // The line breaks; meanwhile there are two more, and Gerrit tells the one before them again.
    server.write(
        "answer",
        &answered(&[("bbb1", 1100), ("bbb2", 1105), ("old", 900), ("bbb3", 1103)]),
    );
    server.write("stream", "");
    server.breaks(&server.streaming().await).await;
    server.hears("! the stream of events ended").await;
    server.hears("bbb3").await;
    server.hears("bbb2").await;
    server.hears("well").await;
    // What the stream says, too, is known.
    server.says(patch_set("bbb2", 1105).as_bytes());
    server.says(patch_set("bbb4", 1110).as_bytes());
    server.hears("bbb4").await;
    assert_eq!(server.revisions(), ["bbb1", "bbb3", "bbb2", "bbb4"]);

    // The master ends, and starts again later.
    let user = sh(server.dir.path(), "id -un").await;
    server.end().await;
    server.write("answer", &answered(&[("bbb5", 1111)]));
    server.write("stream", "");
    server.listen(&user);
    server.hears("bbb5").await;
    server.end().await;
    assert_eq!(server.revisions().len(), 5);
    let asked = std::fs::read_to_string(server.dir.path().join("asked")).unwrap();
    // The stream is asked for at the same time.
    let mut questions = asked.lines().filter(|it| it.starts_with("gerrit query"));
    let last = questions.next_back().unwrap();
    let expected = "gerrit query --format=JSON --patch-sets after:{1970-01-01 00:18:29} limit:500";
    assert_eq!(last, expected);
}

#[tokio::test]
async fn a_gerrit_that_refuses_says_why_and_is_asked_again() {
    let mut server = Server::start().await;
    server.hears("well").await;
    let stream = server.streaming().await;
    std::fs::remove_file(server.dir.path().join("stream")).unwrap();
    server.breaks(&stream).await;
    server
        .hears("! the stream of events ended (exit status: 1): fatal: not capable")
        .await;
    // A stream that is well is listened to, whatever becomes of questions.
    server.write(
        "answer",
        "{\"type\":\"error\",\"message\":\"no such operator\"}\n",
    );
    server.write("stream", "");
    server.hears("Gerrit says: no such operator").await;
    server.says(patch_set("ccc1", 1100).as_bytes());
    server.hears("ccc1").await;
    server.end().await;
    // Nobody with the wrong key learns anything.
    server.write("authorized", "");
    server.listen("nobody");
    server.hears("Permission denied").await;
    server.end().await;
}
