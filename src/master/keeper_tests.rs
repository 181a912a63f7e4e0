//! Slaves that are started when a build needs them, on the bench of the
//! reloads: commands start and stop them, and the test is the slave.

use super::*;
use crate::master::phase::Phase;
use crate::model::SlaveName;

/// A slave whose commands leave their marks in the master's directory.
fn on_demand(more: &str) -> String {
    format!(
        "[slave:s1]\nfactories = a\nlaunch = command\non_demand = yes\n\
         start_command = echo $AUTOBOT_SLAVE %(slavename)s $(cat %(password_file)s) >> started\n\
         stop_command = echo $AUTOBOT_SLAVE >> stopped\n{more}\n\
         [a]\ntype = shell\ncommands = echo a\n"
    )
}

async fn mark(bench: &Bench, name: &str) -> String {
    let path = bench.dir.path().join(name);
    let read = async || {
        fs::read_to_string(&path)
            .ok()
            .filter(|it| it.ends_with('\n'))
    };
    wait(name, read).await
}

async fn why_says(bench: &Bench, request: RequestId, words: &str) -> String {
    let look = async || bench.why(request).await.filter(|it| it.contains(words));
    wait(words, look).await
}

async fn is_down(bench: &Bench) {
    let name = SlaveName::from("s1");
    let fleet = &bench.crew().fleet;
    let look = async || (fleet.phase(&name) == Some(Phase::Down)).then_some(());
    wait("the slave's end", look).await;
    assert_eq!(fleet.record(&name), None);
}

async fn is_gone(bench: &Bench) {
    let name = SlaveName::from("s1");
    let fleet = &bench.crew().fleet;
    let look = async || fleet.record(&name).is_none().then_some(());
    wait("the slave's end", look).await;
}

/// Ends this run of the master and begins another in its directory.
async fn restart(bench: &mut Bench, meanwhile: Option<&str>) {
    bench.master.clone().kill().await;
    if let Some(ini) = meanwhile {
        write(bench.dir.path(), ini);
    }
    bench.master = begin(bench.dir.path()).await;
    bench.handle = bench.master.handle().clone();
}

#[tokio::test]
async fn a_build_has_its_slave_started_and_it_is_stopped_when_it_is_idle() {
    let bench = Bench::new(&on_demand("build_wait_timeout = 0")).await;
    let early = FakeSlave::attach(&bench, "s1", "x").await;
    assert!(
        matches!(early, Err(LoginError::Rejected { .. })),
        "nobody has started it"
    );
    let request = bench.force("a-s1").await;
    assert_eq!(mark(&bench, "started").await, "s1 s1 x\n");
    let why = bench.why(request).await.expect("it waits");
    assert!(why.starts_with("substantiating slave s1 since "), "{why}");

    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;
    assert!(
        !bench.dir.path().join("launch/s1/password").exists(),
        "the password was taken away again"
    );
    slave.finish(command).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));

    slave.last_words().await;
    assert_eq!(mark(&bench, "stopped").await, "s1\n");
    is_down(&bench).await;

    // And again.
    bench.force("a-s1").await;
    let again = async || (mark(&bench, "started").await.lines().count() == 2).then_some(());
    wait("the second start", again).await;
}

#[tokio::test]
async fn a_slave_that_may_wait_takes_the_next_build_at_once() {
    let bench = Bench::new(&on_demand("build_wait_timeout = -1")).await;
    bench.force("a-s1").await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    for number in 0..2 {
        let (command, _) = slave.begin().await;
        slave.finish(command).await;
        bench.ended("a-s1", number).await;
        bench.force("a-s1").await;
    }
    assert_eq!(mark(&bench, "started").await.lines().count(), 1);
    assert!(!bench.dir.path().join("stopped").exists());
}

#[tokio::test]
async fn a_start_that_fails_is_told_with_its_last_words_and_tried_again_as_soon_as_it_is_mended() {
    let bad = on_demand("").replace(
        "start_command = echo",
        "start_command = echo no machine >&2; exit 3; echo",
    );
    let bench = Bench::new(&bad).await;
    let request = bench.force("a-s1").await;
    let why = why_says(&bench, request, "failed").await;
    assert!(
        why.starts_with(
            "slave s1 failed: its start_command ended with exit status 3: no machine; it is tried \
             again at "
        ),
        "{why}"
    );
    assert_eq!(
        mark(&bench, "stopped").await,
        "s1\n",
        "half of it may be there"
    );

    bench.apply(&on_demand("")).await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;
    slave.finish(command).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));
}

#[tokio::test]
async fn a_slave_that_does_not_come_in_time_is_stopped_and_its_request_stays() {
    let bench = Bench::new(&on_demand("missing_timeout = 0.2")).await;
    let request = bench.force("a-s1").await;
    let why = why_says(&bench, request, "failed").await;
    assert!(
        why.contains("it was not here within 200 ms (missing_timeout)"),
        "{why}"
    );
    mark(&bench, "stopped").await;
    assert_eq!(bench.waiting().await, ["a-s1"]);
}

#[tokio::test]
async fn a_restarted_master_finds_what_it_has_started() {
    let mut bench = Bench::new(&on_demand("build_wait_timeout = 0")).await;
    bench.force("a-s1").await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;

    restart(&mut bench, None).await;
    let mut slave = bench.attach("s1").await;
    let (again, _) = slave.begin().await;
    assert_eq!(again, command);
    slave.finish(command).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));
    mark(&bench, "stopped").await;
    assert_eq!(mark(&bench, "started").await.lines().count(), 1);
    is_down(&bench).await;
}

#[tokio::test]
async fn a_restarted_master_stops_what_it_finds_in_the_middle_of_its_start() {
    let slow = on_demand("").replace(
        "start_command = echo",
        "start_command = echo x > begun; sleep 600; echo",
    );
    let mut bench = Bench::new(&slow).await;
    let request = bench.force("a-s1").await;
    mark(&bench, "begun").await;
    restart(&mut bench, Some(&on_demand(""))).await;
    mark(&bench, "stopped").await;
    // The request still waits, so it is started anew.
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;
    slave.finish(command).await;
    let build = bench.ended("a-s1", 0).await;
    assert_eq!(build.requests, [request]);
}

#[tokio::test]
async fn a_slave_that_left_the_configuration_is_stopped_even_if_the_master_was_down() {
    let other = "[slave:s2]\nfactories = a\n[a]\ntype = shell\ncommands = echo a\n";
    for is_restarted in [false, true] {
        let mut bench = Bench::new(&on_demand("")).await;
        bench.force("a-s1").await;
        mark(&bench, "started").await;
        let mut slave = bench.attach("s1").await;
        slave.begin().await;
        if is_restarted {
            restart(&mut bench, Some(other)).await;
        } else {
            bench.apply(other).await;
        }
        assert_eq!(mark(&bench, "stopped").await, "s1\n");
        is_gone(&bench).await;
        assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Retry));
    }
}

#[tokio::test]
async fn a_reload_keeps_a_started_slave_and_stops_it_by_the_new_command() {
    let bench = Bench::new(&on_demand("build_wait_timeout = 0")).await;
    bench.force("a-s1").await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;
    let new = on_demand("build_wait_timeout = 0").replace(">> stopped", ">> ended");
    let told = bench.apply(&new).await;
    let is_change = |it: &String| it == "changed slave `s1`: launch";
    assert!(told.iter().any(is_change), "{told:#?}");
    slave.finish(command).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));
    mark(&bench, "ended").await;
    is_down(&bench).await;
    assert!(!bench.dir.path().join("stopped").exists());
}

#[tokio::test]
async fn a_machine_that_is_gone_gives_its_build_back_at_once_and_another_is_started() {
    let ini = on_demand("status_command = test ! -e gone");
    let bench = Bench::new(&ini).await;
    let request = bench.force("a-s1").await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    slave.begin().await;
    fs::write(bench.dir.path().join("gone"), "").expect("written");
    drop(slave);
    let build = bench.ended("a-s1", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Retry));
    let again = async || (mark(&bench, "started").await.lines().count() == 2).then_some(());
    wait("the second start", again).await;
    let why = bench.why(request).await;
    assert!(why.is_some(), "the request waits again");
}

#[tokio::test]
async fn a_slave_that_cannot_be_stopped_is_not_forgotten() {
    let ini = on_demand("build_wait_timeout = 0");
    let bad = ini.replace(
        "stop_command = echo",
        "stop_command = echo the cloud is away; exit 1; echo",
    );
    let bench = Bench::new(&bad).await;
    bench.force("a-s1").await;
    mark(&bench, "started").await;
    let mut slave = bench.attach("s1").await;
    let (command, _) = slave.begin().await;
    slave.finish(command).await;
    bench.ended("a-s1", 0).await;
    slave.last_words().await;
    let request = bench.force("a-s1").await;
    let why = why_says(&bench, request, "cannot be stopped").await;
    assert!(why.contains("the cloud is away"), "{why}");
    bench.apply(&ini).await;
    mark(&bench, "stopped").await;
}

#[tokio::test]
async fn a_slave_that_is_not_on_demand_is_started_with_the_master_and_stays() {
    let ini = on_demand("").replace("on_demand = yes\n", "");
    let bench = Bench::new(&ini).await;
    mark(&bench, "started").await;
    let slave = bench.attach("s1").await;

    // It may rest from now on, and is the same slave.
    bench.apply(&on_demand("build_wait_timeout = 0")).await;
    slave.last_words().await;
    assert_eq!(mark(&bench, "stopped").await, "s1\n");
    is_down(&bench).await;
    assert_eq!(mark(&bench, "started").await.lines().count(), 1);
}

#[tokio::test]
async fn a_secret_of_a_command_is_not_told_when_it_fails() {
    let secrets = tempfile::tempdir().expect("a directory");
    let token = secrets.path().join("token");
    fs::write(&token, "hunter2hunter2").expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a mode");
    let bad = on_demand("launch_env.TOKEN = ${secret:token}").replace(
        "start_command = echo",
        "start_command = echo bad token $TOKEN >&2; exit 2; echo",
    );
    let dir = secrets.path().display();
    let bench = Bench::new(&format!("{bad}[:secrets:]\ndirectory = {dir}\n")).await;
    let request = bench.force("a-s1").await;
    let why = why_says(&bench, request, "failed").await;
    assert!(why.contains("exit status 2: bad token <token>;"), "{why}");
}
