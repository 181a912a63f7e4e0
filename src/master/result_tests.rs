//! What steps make of their builds, on the bench of the reloads: each rule with its texts and
//! logs, as a page shows them.

use super::*;
use crate::clock;
use crate::logs::read;
use crate::logs::record;
use crate::logs::times::Times;
use crate::master::bench::plain_force;
use crate::model::BuildKey;
use crate::model::Channel;
use crate::model::StepRecord;
use crate::model::Timestamp;

/// A builder whose steps are `steps`, behind a step `shell`.
fn farm(steps: &str) -> String {
    let steps = steps.replace('\n', " ");
    format!(
        "[slave:s1]\nfactories = a\n[a]\ntype = shell\ncommands = echo begin\nsteps = {steps}\n"
    )
}

/// A build that has begun: its first command has ended well.
pub(super) async fn begun(steps: &str) -> (Bench, FakeSlave) {
    let bench = Bench::new(&farm(steps)).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (id, _) = slave.begin().await;
    slave.finish(id).await;
    (bench, slave)
}

async fn steps_of(bench: &Bench) -> Vec<StepRecord> {
    let build = bench.ended("a-s1", 0).await.id;
    let steps = bench.crew().store.read(move |verbs| verbs.steps(build));
    steps.await.expect("readable")
}

/// Each step but the first, and the build, in a line each.
pub(super) async fn told(bench: &Bench) -> Vec<String> {
    let mut told: Vec<_> = steps_of(bench).await.iter().skip(1).map(line).collect();
    let build = bench.ended("a-s1", 0).await;
    let outcome = build.outcome.map_or("-", Outcome::as_str);
    told.push(format!("build: {outcome}: {}", build.text.join(" ")));
    told
}

fn line(step: &StepRecord) -> String {
    let outcome = step.outcome.map_or("not started", Outcome::as_str);
    format!("{}: {outcome}: {}", step.name, step.text.join(" "))
}

/// The whole text of a log of a step.
pub(super) async fn log(bench: &Bench, step: usize, name: &str) -> Option<String> {
    let steps = steps_of(bench).await;
    let record = steps[step].logs.iter().find(|it| it.name == name)?;
    let path = bench.crew().dir.join("builds").join(&record.file);
    let mut text = String::new();
    read::lines(&path, 0, u64::MAX, &mut |_, line| {
        text.push_str(line);
        text.push('\n');
    })
    .expect("readable");
    Some(text)
}

impl FakeSlave {
    /// Waits for the next command, which says `lines` and ends with `code`.
    pub(super) async fn works(&mut self, lines: &[&str], code: i32) -> String {
        let (id, command) = self.begin().await;
        let mut bytes = Vec::new();
        for line in lines {
            record::push(Channel::Stdout, format!("{line}\n").as_bytes(), &mut bytes);
        }
        let length = self.outputs(id, "stdio", bytes).await;
        let exit = Exit::new(code, ExitCause::Exited, 1);
        let logs = BTreeMap::from([("stdio".to_owned(), length)]);
        self.say(FromSlave::Finished { id, exit, logs }).await;
        command
    }

    async fn outputs(&mut self, id: CommandId, log: &str, bytes: Vec<u8>) -> u64 {
        let length = bytes.len() as u64;
        let output = FromSlave::Output {
            id,
            log: log.to_owned(),
            offset: 0,
            bytes: bytes.into(),
        };
        self.say(output).await;
        length
    }
}

const HALTS: &str = r#"[{"type": "compile"}, {"type": "test"},
    {"type": "shell", "name": "clean", "command": "clean", "always_run": true}]"#;

#[tokio::test]
async fn after_a_halt_only_what_always_runs_is_begun_and_the_rest_has_no_result() {
    let (bench, mut slave) = begun(HALTS).await;
    slave.works(&[], 2).await;
    assert_eq!(slave.works(&[], 0).await, "clean");
    let expected = [
        "compile: failure: compile failed",
        "test: not started: ",
        "clean: success: 'clean'",
        "build: failure: failed compile",
    ];
    assert_eq!(told(&bench).await, expected);
}

#[tokio::test]
async fn a_clean_up_cannot_improve_a_build_and_may_spoil_it() {
    let soft = HALTS.replace("\"compile\"", "\"compile\", \"flunk_on_failure\": false");
    let (bench, mut slave) = begun(&soft).await;
    slave.works(&[], 2).await;
    slave.works(&[], 1).await;
    let expected = [
        "compile: failure: compile failed",
        "test: not started: ",
        "clean: failure: 'clean' failed",
        "build: failure: failed compile clean",
    ];
    assert_eq!(told(&bench).await, expected);
}

#[tokio::test]
async fn warnings_that_no_flag_speaks_of_are_silent_in_the_builds_text() {
    let steps = r#"[{"type": "compile"}, {"type": "test"}]"#;
    let (bench, mut slave) = begun(steps).await;
    slave.works(&["a.c: warning: x"], 0).await;
    slave.works(&[], 1).await;
    let expected = [
        "compile: warnings: compile warnings",
        "test: failure: test failed",
        "build: failure: failed test",
    ];
    assert_eq!(told(&bench).await, expected);
    let log = log(&bench, 1, "warnings (1)").await;
    assert_eq!(log.as_deref(), Some("a.c: warning: x\n"));
}

#[tokio::test]
async fn warnings_may_make_the_build_warn_or_fail() {
    let steps = r#"[{"type": "compile", "warn_on_warnings": true},
        {"type": "compile", "flunk_on_warnings": true, "halt_on_failure": true},
        {"type": "shell", "command": "on"}]"#;
    let (bench, mut slave) = begun(steps).await;
    slave.works(&["a.c: warning: x"], 0).await;
    slave.works(&["a.c: warning: x"], 0).await;
    // Warnings that flunk are no failure that halts.
    assert_eq!(slave.works(&[], 0).await, "on");
    let expected = [
        "compile: warnings: compile warnings",
        "compile_1: warnings: compile warnings",
        "shell_1: success: 'on'",
        "build: failure: failed compile compile_1",
    ];
    assert_eq!(told(&bench).await, expected);
}

#[tokio::test]
async fn a_skipped_step_runs_nothing_needs_nothing_and_says_so() {
    let steps = r#"[{"type": "set_property", "property": "nobody", "command": "say", "do_step_if": false},
        {"type": "test", "command": "x %(nobody)s", "do_step_if": false},
        {"type": "shell", "command": "on"}]"#;
    let (bench, mut slave) = begun(steps).await;
    assert_eq!(slave.works(&[], 0).await, "on");
    let expected = [
        "setproperty: skipped: 'say' skipped",
        "test: skipped: test skipped",
        "shell_1: success: 'on'",
        "build: success: build successful",
    ];
    assert_eq!(told(&bench).await, expected);
    assert!(steps_of(&bench).await[2].logs.is_empty());
}

#[tokio::test]
async fn a_step_that_cannot_do_its_work_is_an_exception_with_its_reason() {
    let steps = r#"[{"type": "set_property", "property": "nobody", "command": "say", "do_step_if": false},
        {"type": "test", "command": "x %(nobody)s"}, {"type": "shell", "command": "on"},
        {"type": "shell", "name": "clean", "command": "clean", "always_run": true}]"#;
    let (bench, mut slave) = begun(steps).await;
    assert_eq!(slave.works(&[], 0).await, "clean");
    let expected = [
        "setproperty: skipped: 'say' skipped",
        "test: exception: test exception",
        "shell_1: not started: ",
        "clean: success: 'clean'",
        "build: exception: exception test",
    ];
    assert_eq!(told(&bench).await, expected);
    let reason = log(&bench, 2, "err.text").await.expect("a log");
    assert!(
        reason.starts_with("property `nobody` is not set"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_build_whose_steps_cannot_be_made_is_an_exception_and_answers_its_request() {
    let farm = "[slave:s1]\nfactories = a\n[a]\ntype = shell\ncommands = x\nworkdir = %(branch)s\n";
    let bench = Bench::new(farm).await;
    let _slave = bench.attach("s1").await;
    let force = Force {
        branch: Some("../out".into()),
        ..plain_force("a-s1")
    };
    let (_, request) = bench.handle.force(force).await.expect("a request");
    let build = bench.ended("a-s1", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Exception));
    assert_eq!(build.text[..2], ["exception", "setupBuild"]);
    assert!(build.text[2].contains("`../out`"), "{:?}", build.text);
    let answered = bench.crew().store.read(move |verbs| verbs.request(request));
    let answered = answered.await.expect("readable").expect("a request");
    assert_eq!(answered.outcome, Some(Outcome::Exception));
}

#[tokio::test]
async fn a_stop_interrupts_the_step_says_why_and_spares_what_always_runs() {
    let (bench, mut slave) = begun(HALTS).await;
    let (id, _) = slave.begin().await;
    let key = BuildKey {
        builder: "a-s1".into(),
        number: 0,
    };
    bench
        .handle
        .stop_build(&key, "enough of it")
        .await
        .expect("stopped");
    loop {
        if let Some(FromMaster::Interrupt { .. }) = slave.hear().await {
            break;
        }
    }
    let exit = Exit::new(-1, ExitCause::Interrupted, 1);
    let logs = BTreeMap::from([("stdio".to_owned(), 0)]);
    slave.say(FromSlave::Finished { id, exit, logs }).await;
    assert_eq!(slave.works(&[], 0).await, "clean");
    let expected = [
        "compile: exception: compile interrupted",
        "test: not started: ",
        "clean: success: 'clean'",
        "build: exception: exception interrupted",
    ];
    assert_eq!(told(&bench).await, expected);
    let reason = log(&bench, 1, "interrupt").await;
    assert_eq!(reason.as_deref(), Some("enough of it\n"));
}

#[tokio::test]
async fn a_command_that_is_lost_gives_the_build_back_and_nothing_else_runs() {
    let (bench, mut slave) = begun(HALTS).await;
    let (id, _) = slave.begin().await;
    let exit = Exit::new(-1, ExitCause::Lost("its host was restarted".into()), 1);
    let logs = BTreeMap::from([("stdio".to_owned(), 0)]);
    slave.say(FromSlave::Finished { id, exit, logs }).await;
    let expected = [
        "compile: retry: compile exception slave lost",
        "test: not started: ",
        "clean: not started: ",
        "build: retry: retry exception slave lost",
    ];
    assert_eq!(told(&bench).await, expected);
    // The request is built again.
    assert_eq!(slave.works(&[], 0).await, "echo begin");
}

#[tokio::test]
async fn a_code_that_counts_as_retry_gives_the_build_back() {
    let steps =
        r#"[{"type": "test", "exit": {"75": "retry"}}, {"type": "shell", "command": "on"}]"#;
    let (bench, mut slave) = begun(steps).await;
    slave.works(&[], 75).await;
    let expected = [
        "test: retry: test retry",
        "shell_1: not started: ",
        "build: retry: retry test",
    ];
    assert_eq!(told(&bench).await, expected);
    assert_eq!(slave.works(&[], 0).await, "echo begin");
}

#[tokio::test]
async fn lines_of_a_log_file_count_as_what_is_said_of_them() {
    let steps = r#"[{"type": "test", "logfiles": {"suite": "suite.log"}, "lazy_logfiles": true,
        "log_eval": [["leak", "warnings"], ["crash", "exception"]]}]"#;
    let (bench, mut slave) = begun(steps).await;
    let (id, _) = slave.begin().await;
    let mut bytes = Vec::new();
    record::push(Channel::Stdout, b"ok\na leak of 5 bytes\n", &mut bytes);
    let suite = slave.outputs(id, "suite", bytes).await;
    let exit = Exit::new(0, ExitCause::Exited, 1);
    let logs = BTreeMap::from([("stdio".to_owned(), 0), ("suite".to_owned(), suite)]);
    slave.say(FromSlave::Finished { id, exit, logs }).await;
    let expected = [
        "test: warnings: test warnings",
        "build: success: build successful",
    ];
    assert_eq!(told(&bench).await, expected);
}

#[tokio::test]
async fn it_is_noted_down_when_what_a_command_says_came() {
    const BEGAN: Timestamp = Timestamp(1_700_000_000_000);
    clock::bench::lend(BEGAN);
    let (bench, mut slave) = begun(r#"[{"type": "shell", "command": "make"}]"#).await;
    let (id, _) = slave.begin().await;
    clock::bench::lend(Timestamp(BEGAN.0 + 60_000));
    let mut bytes = Vec::new();
    record::push(Channel::Stdout, b"made\n", &mut bytes);
    let length = slave.outputs(id, "stdio", bytes).await;
    let exit = Exit::new(0, ExitCause::Exited, 1);
    let logs = BTreeMap::from([("stdio".to_owned(), length)]);
    slave.say(FromSlave::Finished { id, exit, logs }).await;

    let steps = steps_of(&bench).await;
    let seconds = |step: &StepRecord| {
        let path = bench.crew().dir.join("builds").join(&step.logs[0].file);
        let times = Times::open(
            &crate::logs::place::LogPlace::File(path.clone()),
            BEGAN,
            None,
        )
        .expect("known");
        (times.at(record::HEAD as u64).expect("readable").at.0 - BEGAN.0) / 1000
    };
    assert_eq!(steps.iter().map(seconds).collect::<Vec<_>>(), [0, 60]);
}
