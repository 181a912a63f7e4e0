//! Slaves that have logged in and talk nonsense, or nothing at all.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::logs::record;
use crate::master::welcome;
use crate::model::Channel;
use crate::wire::SlaveFacts;

const ONE: &str = "[slave:linux]\nfactories = hi\n[hi]\ntype = shell\ncommands = echo hi\n";

fn stdio(text: &str) -> Bytes {
    let mut bytes = Vec::new();
    record::push(Channel::Stdout, text.as_bytes(), &mut bytes);
    Bytes::from(bytes)
}

fn output(id: CommandId, offset: u64, bytes: &Bytes) -> FromSlave {
    FromSlave::Output {
        id,
        log: "stdio".into(),
        offset,
        bytes: bytes.clone(),
    }
}

fn finished(id: CommandId, size: usize) -> FromSlave {
    let exit = Exit::new(0, ExitCause::Exited, 5);
    let logs = BTreeMap::from([("stdio".to_owned(), size as u64)]);
    FromSlave::Finished { id, exit, logs }
}

/// Why the slave was cut off the last time.
fn blamed(bench: &Bench) -> Option<String> {
    let slaves = bench.handle.slaves();
    Some(slaves[0].nonsense.clone()?.1)
}

async fn wait_for_blame(bench: &Bench, words: &str) {
    wait(words, async || {
        blamed(bench).filter(|it| it.contains(words))
    })
    .await;
}

/// Ends a command as it should.
async fn end_well(slave: &mut FakeSlave, id: CommandId) {
    let said = stdio("hi\n");
    slave.say(output(id, 0, &said)).await;
    slave.say(finished(id, said.len())).await;
}

#[tokio::test]
async fn a_slave_that_talks_nonsense_is_cut_off_and_named_and_the_build_goes_on() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    let other = CommandId { index: 7, ..id };
    slave.say(output(other, 0, &stdio("x"))).await;
    slave.hear_end().await;
    wait_for_blame(
        &bench,
        "it speaks of command 1-0-7-0, which it was never given",
    )
    .await;

    let mut slave = bench.attach("linux").await;
    let (id, _) = slave.begin().await;
    slave.writer.send(&"nonsense").await.expect("said");
    slave.hear_end().await;
    wait_for_blame(&bench, "a frame is not a message that autobot knows").await;

    let mut slave = bench.attach("linux").await;
    assert_eq!(slave.begin().await.0, id, "the same command is met again");
    end_well(&mut slave, id).await;
    assert_eq!(
        bench.ended("hi-linux", 0).await.outcome,
        Some(Outcome::Success)
    );
}

#[tokio::test]
async fn a_slave_that_is_cut_off_again_and_again_gives_the_build_back() {
    let bench = Bench::new(ONE).await;
    let request = bench.force("hi-linux").await;
    for _ in 0..3 {
        let mut slave = bench.attach("linux").await;
        let (id, _) = slave.begin().await;
        let log = "x".repeat(1000);
        let (offset, bytes) = (0, stdio("x"));
        slave
            .say(FromSlave::Output {
                id,
                log,
                offset,
                bytes,
            })
            .await;
        slave.hear_end().await;
    }
    let build = bench.ended("hi-linux", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Retry));
    assert_eq!(bench.request(request).await.outcome, None, "it waits again");
    assert_eq!(
        blamed(&bench).as_deref(),
        Some("it has a log named `xxxxxxxxxxxxxxxxxxxx`, 1000 bytes long")
    );
}

#[tokio::test]
async fn a_command_leaves_its_turn_to_who_ends_the_session_of_a_line_that_is_gone() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    // Nothing can be said to this one, and nobody has noticed yet.
    let (say, gone) = tokio::sync::mpsc::channel(1);
    drop(gone);
    let slaves = &bench.crew().slaves;
    let dead = slaves.sit_down(&"linux".into(), SlaveFacts::default(), Vec::new(), &[], say);
    slave.hear_end().await;
    dead.closed.cancel();
    let mut slave = bench.attach("linux").await;
    assert_eq!(slave.begin().await.0, id);
    end_well(&mut slave, id).await;
    assert_eq!(
        bench.ended("hi-linux", 0).await.outcome,
        Some(Outcome::Success)
    );
}

#[tokio::test]
async fn a_command_that_ends_twice_has_ended_once() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    end_well(&mut slave, id).await;
    slave.say(finished(id, 0)).await;
    slave.hear_end().await;
    wait_for_blame(&bench, "command 1-0-0-0 ended twice").await;
    // Whether the first end was taken before the line was cut or not, there is one end.
    let mut slave = bench.attach("linux").await;
    let again = async {
        let (id, _) = slave.begin().await;
        end_well(&mut slave, id).await;
        std::future::pending::<()>().await
    };
    let build = tokio::select! {
        build = bench.ended("hi-linux", 0) => build,
        () = again => unreachable!("it waits for the end"),
    };
    assert_eq!(build.outcome, Some(Outcome::Success));
}

#[tokio::test]
async fn offsets_that_lead_nowhere_are_asked_for_only_so_often() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let mut asked = 0;
    while let Some(message) = slave.hear().await {
        if let FromMaster::Start { id, have, .. } = message {
            assert_eq!(have["stdio"], 0, "nothing was kept");
            asked += 1;
            // A line that is cut while this is said is as good.
            drop(slave.writer.send(&output(id, 1 << 40, &stdio("x"))).await);
        }
    }
    assert!((10..100).contains(&asked), "{asked}");
    wait_for_blame(&bench, "it leaves out pieces of the log of command 1-0-0-0").await;
}

#[tokio::test]
async fn a_slave_that_reads_nothing_counts_as_gone() {
    let bench = Bench::new(&format!("heartbeat = 1s\n{ONE}")).await;
    let mut slave = bench.attach("linux").await;
    // Each is answered, and nobody takes the answers.
    let pings = async { while slave.writer.send(&FromSlave::Ping).await.is_ok() {} };
    timeout(PATIENCE, pings).await.expect("the line is closed");
    let name = "linux".into();
    wait("an empty seat", async || {
        bench.crew().slaves.session(&name).is_none().then_some(())
    })
    .await;
    bench.attach("linux").await;
}

#[tokio::test]
async fn a_slave_that_says_nothing_is_asked_and_then_counts_as_gone() {
    let bench = Bench::new(&format!("heartbeat = 1s\n{ONE}")).await;
    let mut slave = bench.attach("linux").await;
    let mut heard = async || timeout(PATIENCE, slave.reader.next::<FromMaster>()).await;
    let listed = heard().await.expect("soon").expect("whole");
    assert!(matches!(listed, Some(FromMaster::Builders { .. })));
    let asked = heard().await;
    assert_eq!(asked.expect("soon").expect("whole"), Some(FromMaster::Ping));
    let end = async {
        while slave
            .reader
            .next::<FromMaster>()
            .await
            .is_ok_and(|it| it.is_some())
        {}
    };
    timeout(PATIENCE, end).await.expect("the line is closed");
    assert_eq!(blamed(&bench), None, "silence is no nonsense");
}

#[tokio::test]
async fn a_name_is_taken_as_long_as_who_has_it_answers() {
    let bench = Bench::new(&format!("heartbeat = 1s\n{ONE}")).await;
    let mut slave = bench.attach("linux").await;
    let name = "linux".into();
    let answering = async {
        while let Ok(Some(message)) = slave.reader.next::<FromMaster>().await {
            if message == FromMaster::Ping {
                let answered = slave.writer.send(&FromSlave::Pong).await;
                answered.expect("the line stands");
            }
        }
    };
    let is_free = tokio::select! {
        is_free = welcome::make_room(bench.crew(), &name) => is_free,
        () = answering => panic!("its line ended"),
    };
    assert!(!is_free);
    // Nobody answers for it any more.
    let asked = timeout(PATIENCE, welcome::make_room(bench.crew(), &name)).await;
    assert!(asked.expect("in time"), "whoever comes now has the name");
}

#[tokio::test]
async fn a_caller_that_does_not_log_in_is_let_go() {
    let bench = Bench::new(&format!("login_timeout = 1s\n{ONE}")).await;
    let (_kept, far) = duplex(1 << 10);
    let (read, write) = split(far);
    let nobody = |_: &str| None;
    let (reader, writer) = (FrameReader::new(read), FrameWriter::new(write));
    let serving = slaves::serve(bench.crew(), "the bench", reader, writer, nobody);
    timeout(PATIENCE, serving).await.expect("it is let go");
}

#[tokio::test]
async fn a_log_that_is_none_spoils_nothing_but_itself() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    let garbage = Bytes::from_static(&[0xff; 100]);
    slave.say(output(id, 0, &garbage)).await;
    slave.say(finished(id, garbage.len())).await;
    let build = bench.ended("hi-linux", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Success));
    assert_eq!(blamed(&bench), None, "a disk may have spoiled it");
}

#[tokio::test]
async fn of_the_first_line_of_a_log_is_told_at_once_and_of_those_that_follow_together() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("linux").await;
    bench.force("hi-linux").await;
    let (id, _) = slave.begin().await;
    let mut events = bench.handle.subscribe();
    let mut told = async || {
        loop {
            let event = events.recv().await.expect("the master is there");
            if matches!(*event, Status::LogGrew { .. }) {
                return;
            }
        }
    };
    tokio::time::pause();
    let begun = tokio::time::Instant::now();

    let (first, more) = (stdio("one\n"), stdio("two\n"));
    slave.say(output(id, 0, &first)).await;
    told().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let place = first.len() as u64;
    slave.say(output(id, place, &more)).await;
    told().await;
    assert!(begun.elapsed() >= Duration::from_millis(50));
}
