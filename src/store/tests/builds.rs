//! What builds begin with, go on with and are known by.

use super::*;
use crate::model::Access;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::LockUse;
use crate::model::LogRecord;
use crate::model::Metric;
use crate::model::OUTPUT;
use crate::model::Pace;
use crate::model::PastRun;
use crate::model::Usage;
use crate::store::CommandRow;
use crate::store::PastCommand;

fn usage() -> Usage {
    Usage {
        user_ms: 1200,
        system_ms: 30,
        peak_memory: 5 << 20,
        read_bytes: Some(u64::MAX),
        written_bytes: None,
        out_of_memory: true,
    }
}

#[tokio::test]
async fn the_steps_of_builds_that_went_well_are_read_back_as_laps() {
    let (_dir, store) = open();
    let builder = BuilderName::from("a");
    let metric = |name: &str, value, pace| Metric {
        name: name.into(),
        value,
        pace,
    };
    let at = |secs| Some(Timestamp::from_secs(secs));
    let done = |number, outcome| StepRecord {
        started: at(10),
        finished: at(40),
        outcome: Some(outcome),
        ..step(number)
    };
    let plain = done(0, Outcome::Success);
    let mut locked = done(1, Outcome::Warnings);
    locked.progress = Progress {
        began: at(35),
        metrics: vec![
            metric(OUTPUT, 700, Some(Pace([1, 2, 3, 4, 5, 6, 255]))),
            metric("tests", 12, None),
        ],
        ..Progress::default()
    };
    let mut uncounted = done(2, Outcome::Success);
    uncounted.progress.counts = false;
    let skipped = done(3, Outcome::Skipped);
    let good = vec![plain.clone(), locked.clone(), uncounted, skipped];
    // One that ended before its last step, one that failed, and one that runs.
    let halted = vec![plain.clone(), step(1)];
    for (steps, outcome) in [
        (good.clone(), Some(Outcome::Warnings)),
        (halted, Some(Outcome::Success)),
        (vec![plain.clone()], Some(Outcome::Failure)),
        (vec![plain], Some(Outcome::Success)),
        (good.clone(), None),
    ] {
        write(&store, move |verbs| {
            let (_, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
            let build = verbs.start_build(&start("a", &requests), NOW)?;
            let build = build.expect("claimed").id;
            for step in &steps {
                verbs.put_step(build, step)?;
            }
            match outcome {
                Some(outcome) => verbs.finish_build(build, &end(outcome), NOW).map(drop),
                None => Ok(()),
            }
        })
        .await;
    }

    let runs = store.read(move |verbs| {
        let running = verbs.build(&builder, -1)?.expect("it runs");
        assert_eq!(verbs.steps(running.id)?, good);
        Ok((verbs.past_runs(&builder, 9)?, verbs.past_runs(&builder, 1)?))
    });
    let (runs, newest) = runs.await.expect("readable");

    let laps = |run: &PastRun| {
        let laps = run.laps.iter();
        let laps = laps.map(|it| {
            (
                it.name.clone(),
                it.took.map(|it| it.as_secs()),
                it.metrics.len(),
            )
        });
        laps.collect::<Vec<_>>()
    };
    assert_eq!(runs.len(), 2);
    assert_eq!(laps(&runs[0]), [("step 0".into(), Some(30), 0)]);
    assert_eq!(
        laps(&runs[1]),
        [
            ("step 0".into(), Some(30), 0),
            ("step 1".into(), Some(5), 2),
            ("step 3".into(), None, 0)
        ]
    );
    assert_eq!(runs[1].laps[1].metrics, locked.progress.metrics);
    assert_eq!(newest, runs[..1]);
}

#[tokio::test]
async fn a_build_that_is_retried_gives_its_requests_back() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let request = requests[0];

    write(&store, move |verbs| {
        let build = verbs
            .start_build(&start("a", &[request]), NOW)?
            .expect("free")
            .id;
        verbs.finish_build(build, &end(Outcome::Retry), NOW)
    })
    .await;
    let again = write(&store, move |verbs| {
        verbs.start_build(&start("a", &[request]), NOW)
    })
    .await;

    assert_eq!(again.map(|it| it.number), Some(1), "a new number");
    let retries = store
        .read(move |verbs| verbs.retries(request))
        .await
        .expect("readable");
    assert_eq!(retries, 1);
    let record = store
        .read(move |verbs| verbs.request(request))
        .await
        .expect("ok")
        .expect("there");
    assert!(record.claimed);
    let key = |number| BuildKey {
        builder: "a".into(),
        number,
    };
    assert_eq!(record.builds, [key(0), key(1)]);
}

#[tokio::test]
async fn a_running_build_can_be_gone_on_with() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let mut exit = Exit::new(0, ExitCause::Exited, 5);
    exit.usage = Some(usage());
    let ended = CommandRow {
        step: 1,
        index: 0,
        attempt: 0,
        log_start: 0,
    };
    let running = CommandRow {
        step: 1,
        index: 1,
        attempt: 0,
        log_start: 90,
    };
    let told = exit.clone();
    write(&store, move |verbs| {
        let build = verbs
            .start_build(&start("a", &[requests[0]]), NOW)?
            .expect("free")
            .id;
        let mut properties = Properties::new();
        properties.set("branch", "main", "Build");
        verbs.plan_build(build, "print", &properties, &[step(0), step(1)])?;
        let done = StepRecord {
            started: Some(NOW),
            finished: Some(NOW),
            usage: Some(usage()),
            ended: Some("exit code 3".into()),
            ..step(0)
        };
        verbs.put_step(build, &done)?;
        let log = LogRecord {
            name: "stdio".into(),
            file: "a/0-log-x-stdio".into(),
            complete: false,
        };
        let begun = StepRecord {
            started: Some(NOW),
            logs: vec![log],
            ..step(1)
        };
        verbs.put_step(build, &begun)?;
        verbs.start_command(build, ended, Some("here"))?;
        verbs.finish_command(build, ended, &told, 80)?;
        verbs.start_command(build, running, None)?;
        verbs.give_command(build, running, "there")?;
        let lock = |name: &str, access| LockUse {
            lock: name.into(),
            access,
        };
        let held = HeldLocks {
            build: vec![lock("cpu", Access::Counting)],
            step: vec![lock("a b", Access::Exclusive)],
        };
        verbs.set_locks(build, &held)?;
        verbs.request_stop(build, "enough")
    })
    .await;

    let all = write(&store, |verbs| verbs.unfinished_builds()).await;

    let [found] = &all[..] else {
        panic!("one build: {all:?}")
    };
    assert_eq!(found.fingerprint, "print");
    assert_eq!(found.stop_reason.as_deref(), Some("enough"));
    assert_eq!(found.locks.build[0].to_string(), "cpu counting");
    assert_eq!(found.locks.step[0].to_string(), "a b exclusive");
    assert_eq!(found.steps.len(), 2);
    assert_eq!(found.steps[0].usage, Some(usage()));
    assert_eq!(found.steps[0].ended.as_deref(), Some("exit code 3"));
    assert_eq!(found.steps[1].usage, None);
    assert_eq!(found.steps[1].logs[0].name, "stdio");
    let past = |at, spool: &str, end| PastCommand {
        at,
        spool: Some(spool.into()),
        end,
    };
    assert_eq!(
        found.commands,
        [
            past(ended, "here", Some((exit, 80))),
            past(running, "there", None)
        ]
    );
    assert_eq!(found.build.properties.text("branch"), Some("main"));
    let id = found.build.id;
    let leases = write(&store, move |verbs| {
        Ok((verbs.renew_lease(id)?, verbs.renew_lease(id)?))
    });
    let (one, two) = leases.await;
    assert!(one < two, "a lease only grows");
}

#[tokio::test]
async fn a_build_knows_the_configuration_that_it_began_under() {
    let (_dir, store) = open();
    let builds = write(&store, |verbs| {
        let new = NewConfig {
            hash: "x".into(),
            files: vec![],
            summary: vec![],
        };
        let config = verbs.add_config(&new, NOW)?;
        let (_, requests) = verbs.add_buildset(&wanted(&["a", "b"]), NOW)?;
        let under = NewBuild {
            config: Some(config),
            ..start("a", &requests[..1])
        };
        verbs.start_build(&under, NOW)?;
        verbs.start_build(&start("b", &requests[1..]), NOW)?;
        verbs.running_builds()
    });
    let configs: Vec<_> = builds.await.into_iter().map(|it| it.config).collect();
    assert_eq!(configs, [Some(ConfigId(1)), None]);
}

#[tokio::test]
async fn what_a_step_triggered_is_remembered_by_build_and_step() {
    let (_dir, store) = open();
    let found = write(&store, |verbs| {
        let (buildset, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        let begun = verbs.start_build(&start("a", &requests), NOW)?;
        let build = begun.expect("it waits").id;
        verbs.put_triggered(build, 3, &"packages".into(), buildset)?;
        Ok((
            verbs.triggered(build, 3)? == [("packages".into(), buildset)],
            verbs.triggered(build, 2)?,
            verbs.buildset(buildset)?.map(|it| it.outcome),
            verbs.buildset(BuildsetId(99))?,
        ))
    })
    .await;
    assert_eq!(found, (true, vec![], Some(None), None));
}

#[tokio::test]
async fn a_build_is_of_everybody_who_changed_it_or_wrote_its_patch_once() {
    let (_dir, store) = open();
    let build = write(&store, |verbs| {
        let mut changes = Vec::new();
        for author in ["cy", "ann", "cy"] {
            changes.extend(verbs.add_change(&NewChange::by(author), NOW)?);
        }
        let (_, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        let mut new = start("a", &requests);
        new.stamp.changes = changes;
        new.stamp.patch = Some(Patch {
            level: 1,
            diff: b"x".to_vec(),
            subdir: None,
            author: Some("bo".into()),
            comment: None,
        });
        verbs.start_build(&new, NOW)?;
        verbs.build(&"a".into(), 0)
    });
    let build = build.await.expect("begun");
    assert_eq!(build.blame, ["ann", "bo", "cy"]);
}
