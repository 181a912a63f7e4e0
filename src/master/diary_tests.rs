//! What a master writes down of itself, its slaves and builders, on the bench of the reloads.

use super::*;
use crate::master::ping::PingAnswer;
use crate::model::EventKind;
use crate::model::NewEvent;
use crate::model::SlaveName;
use crate::model::Subject;
use crate::store::EventsBefore;

const TWO: &str = "[slave:linux]\nfactories = hi ho\n[hi]\ntype = shell\ncommands = echo hi\n\
    [ho]\ntype = shell\ncommands = echo ho\n";

/// Everything that is written down, oldest first: `linux connect`, `hi-linux builder created`.
async fn written(bench: &Bench) -> Vec<String> {
    let all = bench
        .crew()
        .store
        .read(|verbs| verbs.all_events(EventsBefore::Now, 999));
    let all = all.await.expect("readable");
    let words = all.iter().rev().map(|it| {
        let of = match &it.event.subject {
            Subject::Master => "",
            Subject::Slave(name) => name.as_str(),
            Subject::Builder(name) => name.as_str(),
        };
        format!("{of} {}", it.event.kind.word())
            .trim_start()
            .to_owned()
    });
    words.collect()
}

/// Waits until something is written down.
async fn comes(bench: &Bench, words: &str) -> Vec<String> {
    wait(words, async || {
        let all = written(bench).await;
        all.iter().any(|it| it == words).then_some(all)
    })
    .await
}

async fn notes(bench: &Bench, kind: EventKind) -> Vec<String> {
    let all = bench
        .crew()
        .store
        .read(|verbs| verbs.all_events(EventsBefore::Now, 999));
    let all = all.await.expect("readable").into_iter();
    let all = all.filter(|it| it.event.kind == kind);
    all.map(|it| it.event.note).collect()
}

#[tokio::test]
async fn a_master_writes_down_its_start_and_builders_when_they_are_new_and_not_again() {
    let mut bench = Bench::new(TWO).await;
    let all = comes(&bench, "master started").await;
    assert_eq!(
        all,
        [
            "hi-linux builder created",
            "ho-linux builder created",
            "master started"
        ]
    );
    bench.master.clone().kill().await;
    bench.master = begin(bench.dir.path()).await;
    bench.handle = bench.master.handle().clone();
    let more = wait("the second start", async || {
        let all = written(&bench).await;
        (all.iter().filter(|it| *it == "master started").count() == 2).then_some(all)
    })
    .await;
    assert_eq!(more.len(), 4, "{more:?}");
}

#[tokio::test]
async fn a_reload_is_an_event_of_the_builders_that_it_changes_only() {
    let bench = Bench::new(TWO).await;
    comes(&bench, "master started").await;
    bench.apply(&TWO.replace("echo ho", "echo hoho")).await;
    let all = written(&bench).await;
    let updated: Vec<_> = all.iter().filter(|it| it.contains("updated")).collect();
    assert_eq!(updated, ["ho-linux config updated"]);
    bench.apply(&TWO.replace("echo ho", "echo hoho")).await;
    assert_eq!(written(&bench).await, all, "the same again is no event");
    let three = format!("{}[new]\ntype = shell\ncommands = echo\n", TWO);
    bench.apply(&three.replace("hi ho", "hi ho new")).await;
    assert!(
        written(&bench)
            .await
            .contains(&"new-linux builder created".into())
    );
}

#[tokio::test]
async fn a_slave_that_comes_and_goes_is_one_event_each_however_many_builders_it_has() {
    let bench = Bench::new(TWO).await;
    let slave = bench.attach("linux").await;
    comes(&bench, "linux connect").await;
    drop(slave);
    let all = comes(&bench, "linux disconnect").await;
    let of_slave: Vec<_> = all.iter().filter(|it| it.starts_with("linux ")).collect();
    assert_eq!(of_slave, ["linux connect", "linux disconnect"]);
    let why = notes(&bench, EventKind::Disconnected).await;
    assert_eq!(why, ["the slave closed the line"]);
}

#[tokio::test]
async fn a_slave_that_is_here_when_the_master_stops_is_disconnected_by_that_and_only_once() {
    let bench = Bench::new(TWO).await;
    let slave = bench.attach("linux").await;
    comes(&bench, "linux connect").await;
    let here = bench.crew().slaves.present();
    crate::master::diary::part(bench.crew(), &here);
    comes(&bench, "linux disconnect").await;
    assert_eq!(
        notes(&bench, EventKind::Disconnected).await,
        ["the master stops"]
    );
    drop(slave);
    // Who has gone before the master does has told it.
    wait("an empty seat", async || {
        (!bench.crew().slaves.has_seat(&"linux".into())).then_some(())
    })
    .await;
    crate::master::diary::part(bench.crew(), &here);
    let crew = bench.crew();
    let flushed = crew.diary.flush(&crew.store, &crew.plan()).await;
    flushed.expect("written");
    assert_eq!(notes(&bench, EventKind::Disconnected).await.len(), 2);
}

#[tokio::test]
async fn old_events_go_when_new_ones_come_a_few_at_a_time() {
    let text = TWO.replace("type = shell", "type = shell\nevent_horizon = 3");
    let bench = Bench::new(&text).await;
    comes(&bench, "master started").await;
    let slave = Subject::Slave("linux".into());
    let crew = bench.crew();
    let of = slave.clone();
    // From a time when more were kept.
    let before = crew.store.write(move |verbs| {
        let event = NewEvent::new(clock::now(), of, EventKind::Connected);
        (0..20).try_for_each(|_| verbs.add_event(&event))
    });
    before.await.expect("written");
    let count = async || {
        let of = slave.clone();
        let all = crew
            .store
            .read(move |verbs| verbs.events(&of, EventsBefore::Now, 999));
        all.await.expect("readable").len()
    };
    let mut left = Vec::new();
    for _ in 0..7 {
        crew.diary.note(slave.clone(), EventKind::Connected, "");
        let flushed = crew.diary.flush(&crew.store, &crew.plan()).await;
        flushed.expect("written");
        left.push(count().await);
    }
    assert_eq!(left, [17, 14, 11, 8, 5, 3, 3]);
}

#[tokio::test]
async fn a_wrong_password_is_an_event_once_a_minute_and_unknown_names_are_none() {
    let bench = Bench::new(TWO).await;
    comes(&bench, "master started").await;
    for name in ["stranger", "linux", "linux", "linux"] {
        let refused = FakeSlave::attach(&bench, name, "wrong").await;
        assert!(refused.is_err());
    }
    comes(&bench, "linux failed connect").await;
    // The line that comes after them is written down after them.
    let _slave = bench.attach("linux").await;
    let all = comes(&bench, "linux connect").await;
    let failed = all.iter().filter(|it| it.contains("failed")).count();
    assert_eq!(failed, 1, "{all:?}");
}

#[tokio::test]
async fn a_stop_of_a_build_is_an_event_of_its_builder_with_the_reason() {
    let bench = Bench::new(TWO).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    let build = wait("the build", async || bench.build("hi-linux", 0).await).await;
    let stopped = bench.handle.stop_build(&build.key, "too slow").await;
    stopped.expect("it runs");
    while !matches!(slave.hear().await, Some(FromMaster::Interrupt { .. })) {}
    slave.end(id, 1).await;
    comes(&bench, "hi-linux interrupt").await;
    assert_eq!(
        notes(&bench, EventKind::Interrupted).await,
        ["build 0: too slow"]
    );
}

#[tokio::test]
async fn a_ping_goes_to_every_slave_that_is_here_and_back() {
    let bench = Bench::new(TWO).await;
    let mut slave = bench.attach("linux").await;
    let builder = "hi-linux".into();
    let told = bench.handle.ping(&builder).expect("there");
    let again = bench.handle.ping(&builder).expect_err("one at a time");
    assert_eq!(
        again.to_string(),
        "builder `hi-linux` is being pinged; its slaves have not answered yet"
    );
    let hearing = async { while slave.hear().await.is_some() {} };
    let pinged = tokio::select! {
        pinged = timeout(PATIENCE, told) => pinged.expect("soon").expect("told"),
        () = hearing => panic!("the line ended"),
    };
    assert_eq!(pinged.end, EventKind::PingSucceeded);
    let [(name, PingAnswer::Answered(_))] = pinged.slaves.as_slice() else {
        panic!("{pinged:?}");
    };
    assert_eq!(*name, SlaveName::from("linux"));
    let all = written(&bench).await;
    assert!(
        all.ends_with(&["hi-linux pinging".into(), "hi-linux ping success".into()]),
        "{all:?}"
    );
    bench.handle.ping(&builder).expect("that one is over");
}

#[tokio::test]
async fn a_slave_whose_line_ends_before_it_answers_makes_the_ping_fail() {
    let bench = Bench::new(TWO).await;
    let slave = bench.attach("linux").await;
    let told = bench.handle.ping(&"hi-linux".into()).expect("there");
    drop(slave);
    let pinged = timeout(PATIENCE, told).await.expect("soon").expect("told");
    assert_eq!(pinged.end, EventKind::PingFailed);
    assert_eq!(pinged.slaves, [("linux".into(), PingAnswer::Silent)]);
}

#[tokio::test]
async fn a_ping_without_a_slave_says_so_and_one_of_nothing_is_refused() {
    let bench = Bench::new(TWO).await;
    let told = bench.handle.ping(&"hi-linux".into()).expect("there");
    let pinged = timeout(PATIENCE, told).await.expect("soon").expect("told");
    assert_eq!(pinged.end, EventKind::PingWithoutSlave);
    let all = written(&bench).await;
    assert_eq!(
        all.last().map(String::as_str),
        Some("hi-linux ping no slave")
    );
    assert!(!all.contains(&"hi-linux pinging".into()));
    assert!(matches!(
        bench.handle.ping(&"none".into()),
        Err(Denied::NoBuilder(_))
    ));
}

#[tokio::test]
async fn a_slave_that_is_started_when_needed_is_told_from_its_coming_to_its_going() {
    let ini = "[slave:s1]\nfactories = a\nlaunch = command\non_demand = yes\n\
        start_command = true\nstop_command = true\n[a]\ntype = shell\ncommands = echo a\n";
    let bench = Bench::new(ini).await;
    let told = bench.handle.ping(&"a-s1".into()).expect("there");
    let pinged = timeout(PATIENCE, told).await.expect("soon").expect("told");
    assert_eq!(pinged.end, EventKind::PingLatent, "it is down, and well");
    bench.force("a-s1").await;
    comes(&bench, "s1 substantiating").await;
    let phase = async || {
        let starts = bench.crew().fleet.is_expected(&"s1".into());
        starts.then_some(())
    };
    wait("its start", phase).await;
    bench.apply("").await;
    let all = comes(&bench, "s1 removing latent").await;
    let of_slave: Vec<_> = all.iter().filter(|it| it.starts_with("s1 ")).collect();
    assert_eq!(of_slave[0], "s1 added latent");
}

#[tokio::test]
async fn a_slave_that_cannot_be_started_is_told_with_the_reason() {
    let ini = "[slave:s1]\nfactories = a\nlaunch = command\non_demand = yes\n\
        start_command = echo no machine is free; false\nstop_command = true\n\
        [a]\ntype = shell\ncommands = echo a\n";
    let bench = Bench::new(ini).await;
    bench.force("a-s1").await;
    comes(&bench, "s1 substantiate failed").await;
    let notes = notes(&bench, EventKind::NotSubstantiated).await;
    assert!(notes[0].contains("no machine is free"), "{notes:?}");
}
