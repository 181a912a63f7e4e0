//! Who is let in to try something, and what becomes of the jobs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::master::bench::PlayedMaster;
use crate::model::RequestRecord;

/// ann:quiet, bob:louder (which is a secret), eve:quiet and ann:wrong.
const ANN: &str = "Basic YW5uOnF1aWV0";
const BOB: &str = "Basic Ym9iOmxvdWRlcg==";
const EVE: &str = "Basic ZXZlOnF1aWV0";
const WRONG: &str = "Basic YW5uOndyb25n";

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

fn write(dir: &Path, userpass: &str) {
    let ini = format!(
        "[:master:]\nslaveport = none\nhtmlport = none\nderive = no\n\
         [:secrets:]\ndirectory = secrets\n\
         [slave:s]\npassword = x\n[all]\ntype = shell\ncommands = true\n\
         [builder:lin]\nfactory = all\nslaves = s\n[builder:mac]\nfactory = all\nslaves = s\n\
         [builder:win]\nfactory = all\nslaves = s\n\
         [scheduler:try]\ntype = Try_Userpass\nbuilders = lin mac\nproperty.channel = try\n{userpass}"
    );
    private(&dir.join("master.ini"), &ini);
}

async fn begin() -> (tempfile::TempDir, PlayedMaster) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("secrets")).expect("made");
    let secrets = dir.path().join("secrets");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o700)).expect("a mode");
    private(&secrets.join("bob"), "louder\n");
    write(
        dir.path(),
        "userpass.ann = quiet\nuserpass.bob = ${secret:bob}\n",
    );
    let master = PlayedMaster::start(dir.path()).await;
    (dir, master.unwrap_or_else(|error| panic!("{error}")))
}

async fn requests(master: &PlayedMaster) -> Vec<RequestRecord> {
    let waiting = master
        .handle()
        .store()
        .read(|verbs| verbs.pending_requests());
    waiting.await.expect("readable")
}

#[tokio::test]
async fn only_who_is_named_and_has_the_password_may_try() {
    let (dir, master) = begin().await;
    let handle = master.handle();
    let enter = |said, access| {
        let entered = handle.let_try("try", said, access);
        entered.map_or_else(|error| error.to_string(), |pass| pass.user)
    };
    assert_eq!(enter(Some(ANN), Access::Full), "ann");
    assert_eq!(
        enter(Some(BOB), Access::Full),
        "bob",
        "his password is a secret"
    );
    let wrong = "the name or the password is wrong";
    for said in [
        None,
        Some(EVE),
        Some(WRONG),
        Some(""),
        Some("Bearer quiet"),
        Some("Basic YW5uOg=="),
    ] {
        assert_eq!(enter(said, Access::Full), wrong, "{said:?}");
    }
    let shows = "this port only shows: builds are tried elsewhere";
    assert_eq!(enter(Some(ANN), Access::ReadOnly), shows);
    assert_eq!(enter(None, Access::Owner), "the owner");
    assert_eq!(enter(Some(WRONG), Access::Owner), wrong);
    // Who has shown a token needs no password, but has to be named.
    let known = |user, access| handle.let_known_try("try", user, access);
    assert_eq!(known("bob", Access::Full).expect("named").user, "bob");
    let stranger = known("eve", Access::Full).expect_err("nobody").to_string();
    assert!(stranger.starts_with("`eve` is nobody whom"), "{stranger}");
    assert!(known("bob", Access::ReadOnly).is_err());

    let none = handle.let_try("tri\n", Some(ANN), Access::Full);
    assert_eq!(
        none.expect_err("none").to_string(),
        r"there is no scheduler of type `try_userpass` with the name `tri\n`"
    );

    // A secret is read when it is used, and a reload is seen at once.
    private(&dir.path().join("secrets/bob"), "other");
    assert_eq!(enter(Some(BOB), Access::Full), wrong);
    write(dir.path(), "userpass.ann = wrong\n");
    let told = handle.reload().await.expect("good");
    assert!(told.contains("changed scheduler `try`"), "{told}");
    assert_eq!(enter(Some(ANN), Access::Full), wrong);
    assert_eq!(enter(Some(WRONG), Access::Full), "ann");
    assert_eq!(enter(Some(BOB), Access::Full), wrong);
}

#[tokio::test]
async fn what_is_sent_becomes_a_buildset_with_the_properties_of_who_sent_it_under_the_schedulers_own()
 {
    let (_dir, master) = begin().await;
    let handle = master.handle();
    let pass = || {
        handle
            .let_try("try", Some(ANN), Access::Full)
            .expect("let in")
    };
    let job = json!({
        "branch": "devel", "revision": "abc", "repository": "r", "project": "p",
        "patch": { "level": 2, "text": "--- a/x\n" }, "builders": ["mac"],
        "who": "Ann", "comment": "fix it",
        "properties": { "size": 3, "channel": "mine", "scheduler": "mine" },
    });
    let tried = handle
        .try_job(pass(), job.to_string().into_bytes())
        .await
        .expect("tried");
    let all = requests(&master).await;
    let request = &all[0];
    assert_eq!(tried.buildset, request.buildset);
    assert_eq!(tried.requests, [(request.id, "mac".into())]);
    assert_eq!(request.reason, "'try' job by user Ann (fix it)");
    let stamp = &request.stamp;
    let patch = stamp.patch.as_ref().expect("a patch");
    assert_eq!((patch.level, patch.diff.as_slice()), (2, &b"--- a/x\n"[..]));
    assert_eq!(patch.author.as_deref(), Some("Ann"));
    assert_eq!(
        (
            stamp.branch.as_deref(),
            stamp.revision.as_deref(),
            &*stamp.repository,
            &*stamp.project
        ),
        (Some("devel"), Some("abc"), "r", "p")
    );
    let properties: Vec<_> = request
        .properties
        .iter()
        .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
        .collect();
    let expected = [
        r#"channel="try" Scheduler"#,
        r#"scheduler="try" Scheduler"#,
        "size=3 try build",
    ];
    assert_eq!(properties, expected);
}

#[tokio::test]
async fn every_part_of_the_reason_of_a_try_stands_there_only_if_it_was_said() {
    let (_dir, master) = begin().await;
    let handle = master.handle();
    for job in [json!({}), json!({"comment": "c"}), json!({"who": "w"})] {
        let pass = handle
            .let_try("try", Some(ANN), Access::Full)
            .expect("let in");
        let tried = handle.try_job(pass, job.to_string().into_bytes()).await;
        assert_eq!(
            tried.expect("tried").requests.len(),
            2,
            "all that there are"
        );
    }
    let all = requests(&master).await;
    let reasons: Vec<_> = all.iter().step_by(2).map(|it| it.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["'try' job", "'try' job (c)", "'try' job by user w"]
    );
}

#[tokio::test]
async fn a_job_for_a_builder_outside_of_the_list_is_refused_as_a_whole() {
    let (_dir, master) = begin().await;
    let handle = master.handle();
    let pass = || {
        handle
            .let_try("try", Some(ANN), Access::Full)
            .expect("let in")
    };
    assert_eq!(
        handle.trying(&pass()).expect("builders"),
        ["lin".into(), "mac".into()]
    );
    let job = json!({ "builders": ["lin", "win"] });
    let refused = handle.try_job(pass(), job.to_string().into_bytes()).await;
    assert_eq!(
        refused.expect_err("refused").to_string(),
        "the job is not built: there is no builder `win` to try it; there are `lin`, `mac`"
    );
    assert!(requests(&master).await.is_empty());
}
