//! What the conditions and time limits of steps see, on the bench of the reloads.

use super::*;
use crate::master::bench::plain_force;

/// A builder with tags on a slow slave; `STEPS` are behind a step `shell`.
fn farm(steps: &str) -> String {
    format!(
        "[slave:s1]\nfactories = a\ntimeout_factor = 2\ntags = big\nhas.python = 3.12\nos = linux\n\
         [builder:a-s1]\ntags = stable\n\
         [a]\ntype = shell\ncommands = echo begin\nsteps = {steps}\n"
    )
}

async fn force_on(bench: &Bench, branch: &str) {
    let force = Force {
        branch: Some(branch.into()),
        ..plain_force("a-s1")
    };
    bench.handle.force(force).await.expect("a request");
}

/// Name, outcome and whether it is hidden, of each step.
async fn steps(bench: &Bench, number: i64) -> Vec<String> {
    let build = bench.ended("a-s1", number).await.id;
    let steps = bench.crew().store.read(move |verbs| verbs.steps(build));
    let steps = steps.await.expect("readable");
    let told = steps.into_iter().map(|it| {
        let outcome = it.outcome.map_or("-", Outcome::as_str);
        let hidden = if it.hidden { ", hidden" } else { "" };
        format!("{}: {outcome}{hidden}", it.name)
    });
    told.collect()
}

/// Ends each command of a build: those that say `check` fail.
async fn work(slave: &mut FakeSlave, commands: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..commands {
        let (id, line) = slave.begin().await;
        slave.end(id, i32::from(line.contains("check"))).await;
        lines.push(line);
    }
    lines
}

const REPORT: &str = r#"[
    {"type": "test", "command": "make check", "halt_on_failure": false},
    {"type": "shell", "name": "report", "command": "report",
     "do_step_if": "step.test.failed and \"stable\" in tags and branch == \"main\""},
    {"type": "shell", "name": "praise", "command": "praise",
     "do_step_if": "step.test.succeeded", "hide_step_if": "outcome == 'skipped'"},
    {"type": "shell", "name": "clean", "command": "clean",
     "do_step_if": "slave.name == 's1' and 'big' in slave.tags and slave.os == 'linux' and slave.has.python is containing('3.12') and builder.name == 'a-s1' and build.number >= 0 and step.praise.skipped and step['shell'].outcome == 'success' and properties.branch == branch",
     "hide_step_if": "result == 'success' and not step.report.warned"}]"#;

#[tokio::test]
async fn a_condition_sees_earlier_steps_tags_slave_and_properties() {
    let bench = Bench::new(&farm(&REPORT.replace('\n', ""))).await;
    let mut slave = bench.attach("s1").await;

    force_on(&bench, "main").await;
    let lines = work(&mut slave, 4).await;

    assert_eq!(lines, ["echo begin", "make check", "report", "clean"]);
    assert_eq!(
        steps(&bench, 0).await,
        [
            "shell: success",
            "test: failure",
            "report: success",
            "praise: skipped, hidden",
            "clean: success, hidden",
        ]
    );
    force_on(&bench, "dev").await;
    let lines = work(&mut slave, 3).await;
    assert_eq!(lines, ["echo begin", "make check", "clean"]);
    assert_eq!(steps(&bench, 1).await[2], "report: skipped");
}

#[tokio::test]
async fn a_property_that_a_step_sets_is_written_down_before_the_next_command() {
    let sets = r#"[{"type": "set_property", "property": "said", "command": "say"}, {"type": "shell", "command": "next"}]"#;
    let bench = Bench::new(&farm(sets)).await;
    let mut slave = bench.attach("s1").await;
    force_on(&bench, "main").await;
    assert_eq!(work(&mut slave, 2).await, ["echo begin", "say"]);
    let (id, line) = slave.begin().await;
    assert_eq!(line, "next");

    let build = bench
        .crew()
        .store
        .read(|verbs| verbs.build(&"a-s1".into(), 0));
    let build = build.await.expect("readable").expect("it runs");
    assert!(build.properties.get("said").is_some(), "{build:?}");
    slave.finish(id).await;
}

#[tokio::test]
async fn a_time_limit_is_computed_from_the_slave_when_the_step_begins() {
    let limits = r#"[{"type": "shell", "command": "slow", "timeout": "45m * slave.timeout_factor + 10m", "max_time": "limit | default('3h')"}, {"type": "shell", "command": "odd", "timeout": "1m * nobody"}]"#;
    let bench = Bench::new(&farm(limits)).await;
    let mut slave = bench.attach("s1").await;
    force_on(&bench, "main").await;
    let (id, _) = slave.begin().await;
    slave.finish(id).await;

    let shell = loop {
        if let Some(FromMaster::Start { id, command, .. }) = slave.hear().await {
            slave.say(FromSlave::Started { id }).await;
            slave.finish(id).await;
            break command;
        }
    };

    let WireCommand::Shell(shell) = shell else {
        panic!("{shell:?}");
    };
    assert_eq!(shell.timeout_ms, Some(100 * 60_000));
    assert_eq!(shell.max_time_ms, Some(3 * 3_600_000));
    // A limit that cannot be computed ends the step, and says why.
    assert_eq!(steps(&bench, 0).await[2], "shell_2: exception");
}

#[tokio::test]
async fn a_step_that_does_not_exist_or_comes_later_is_a_mistake_of_the_file() {
    let bench = Bench::new(&farm("[]")).await;
    let told = |condition: &str| {
        let steps = format!(
            r#"[{{"type": "test", "command": "x", "do_step_if": "{condition}"}}, {{"type": "shell", "name": "last", "command": "x"}}]"#
        );
        farm(&steps)
    };
    let refused = bench.reload(&told("step.tset.failed")).await;
    let refused = refused.expect_err("a mistake");
    assert!(refused.contains("error[unknown-name]"), "{refused}");
    assert!(
        refused.contains("there is no `tset` of `step`"),
        "{refused}"
    );
    let refused = bench.reload(&told("step.last.failed")).await;
    assert!(
        refused
            .expect_err("a mistake")
            .contains("there is no `last` of `step`")
    );
    bench
        .reload(&told("step.shell.failed"))
        .await
        .expect("good");
}

#[tokio::test]
async fn a_step_leaves_behind_what_estimates_go_by() {
    let steps = r#"[{"type": "shell", "name": "aside", "command": "x", "use_progress": false}, {"type": "shell", "name": "locked", "command": "y", "locks": "db exclusive"}]"#;
    let bench = Bench::new(&format!("{}[lock:db]\n", farm(steps))).await;
    let mut slave = bench.attach("s1").await;
    force_on(&bench, "main").await;
    work(&mut slave, 3).await;

    let build = bench.ended("a-s1", 0).await.id;
    let steps = bench.crew().store.read(move |verbs| verbs.steps(build));
    let steps = steps.await.expect("readable");

    let counts: Vec<_> = steps.iter().map(|it| it.progress.counts).collect();
    assert_eq!(counts, [true, false, true]);
    for step in &steps {
        assert!(step.progress.began >= step.started, "{}", step.name);
    }
    let builder = crate::model::BuilderName::from("a-s1");
    let runs = bench.crew().store.read(move |it| it.past_runs(&builder, 9));
    let laps = &runs.await.expect("readable")[0].laps;
    let names: Vec<_> = laps.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["shell", "locked"]);

    let whole = farm("[]").replace("commands = echo begin", "commands = y\nuse_progress = no");
    bench.reload(&whole).await.expect("good");
    force_on(&bench, "main").await;
    work(&mut slave, 1).await;
    let build = bench.ended("a-s1", 1).await.id;
    let steps = bench.crew().store.read(move |verbs| verbs.steps(build));
    assert!(!steps.await.expect("readable")[0].progress.counts);
}
