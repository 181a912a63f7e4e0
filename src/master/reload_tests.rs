//! Reloads on their bench.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::master::handle::{Denied, Force};
use crate::master::slaves;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::RequestId;
use crate::wire::login::LoginError;
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{FromMaster, FromSlave, WireCommand};

#[path = "again_tests.rs"]
mod again;
#[path = "reload_bench.rs"]
mod bench;
#[path = "diary_tests.rs"]
mod diary;
#[path = "keeper_tests.rs"]
mod keeper;
#[path = "line_tests.rs"]
mod line;
#[path = "record_tests.rs"]
mod record;
#[path = "result_tests.rs"]
mod result;
#[path = "walk_tests.rs"]
mod walk;

use bench::{Bench, FakeSlave, PATIENCE, begin, wait, write};

/// One slave, one factory: the builder is `a-s1`.
const ONE: &str = "[slave:s1]\nfactories = a\n[a]\ntype = shell\ncommands = echo old\n";
/// Two slaves that share the builder `a`.
const SHARED: &str = "builders = factory\nfactories = a\n[slave:s1]\n[slave:s2]\n\
                      [a]\ntype = shell\ncommands = echo a\n";

#[tokio::test]
async fn a_running_build_keeps_its_steps_and_what_waits_gets_the_new_ones() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (old, line) = slave.begin().await;
    assert_eq!(line, "echo old");
    let waiting = bench.force("a-s1").await;
    bench.force("a-s1").await;

    let told = bench.apply(&ONE.replace("old", "new")).await;

    assert_eq!(
        told,
        [
            "changed builder `a-s1`: factory",
            "kept 1 slave",
            "build a-s1/0 goes on with its old steps",
            "2 requests of builder `a-s1` are built with the new steps",
        ]
    );
    slave.finish(old).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));
    let (new, line) = slave.begin().await;
    assert_eq!(line, "echo new");
    slave.finish(new).await;
    let build = bench.ended("a-s1", 1).await;
    assert_eq!(build.requests.len(), 2, "they merged");
    assert!(build.requests.contains(&waiting));
    let configs = [bench.build("a-s1", 0).await, Some(build)].map(|it| it?.config);
    assert_eq!(configs, [Some(ConfigId(1)), Some(ConfigId(2))]);
}

#[tokio::test]
async fn the_same_files_again_touch_nothing_and_are_not_kept_twice() {
    let ini = &format!("tree_stable = 1h\n{ONE}git = /nonexistent#main\n");
    let bench = Bench::new(ini).await;
    let slave = bench.attach("s1").await;
    let scheduler = bench.scheduler("a").await;

    assert_eq!(
        bench.apply(ini).await,
        ["kept 1 slave, 1 builder, 1 source, 1 scheduler"]
    );

    assert!(!scheduler.is_cancelled());
    let session = bench.crew().slaves.session(&slave.name.as_str().into());
    assert!(session.is_some_and(|it| !it.leaving.is_cancelled()));
    assert_eq!(bench.configs().await, [["first: 1 slave, 1 builder"]]);
    bench.apply(&format!("# a comment\n{ini}")).await;
    assert_eq!(bench.configs().await.len(), 2, "other texts are kept");
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_remembered_until_it_is_gone() {
    let bench = Bench::new(&format!("title = old\n{ONE}")).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (running, _) = slave.begin().await;
    for mistake in ["title = new\ntitel = x\n", "title = new\n[slave\n"] {
        let told = bench.reload(&format!("{mistake}{ONE}")).await;
        assert!(told.is_err(), "{told:?}");
        assert_eq!(bench.handle.plan().master.title, "old");
    }
    let since = bench.handle.config_bad_since();
    assert!(since.is_some());
    assert!(bench.reload("[slave\n").await.is_err());
    assert_eq!(
        bench.handle.config_bad_since(),
        since,
        "since the first one"
    );

    assert_eq!(
        bench.apply(&format!("title = new\n{ONE}")).await,
        ["changed title", "kept 1 slave, 1 builder"]
    );
    assert_eq!(bench.handle.config_bad_since(), None);
    assert_eq!(bench.handle.config(), Some(ConfigId(2)));
    slave.finish(running).await;
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Success));
}

#[tokio::test]
async fn a_new_builder_gets_a_slave_that_is_here_and_disturbs_no_build() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (first, _) = slave.begin().await;
    let two =
        ONE.replace("factories = a", "factories = a b") + "[b]\ntype = shell\ncommands = echo b\n";
    assert_eq!(
        bench.apply(&two).await,
        ["added builder `b-s1`", "kept 1 slave, 1 builder"]
    );
    bench.force("b-s1").await;
    let (second, line) = slave.begin().await;
    assert_eq!(line, "echo b");
    slave.finish(second).await;
    slave.finish(first).await;
    for builder in ["a-s1", "b-s1"] {
        assert_eq!(
            bench.ended(builder, 0).await.outcome,
            Some(Outcome::Success)
        );
    }
}

#[tokio::test]
async fn requests_of_a_removed_builder_wait_and_are_built_when_it_returns() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (running, _) = slave.begin().await;
    let request = bench.force("a-s1").await;
    let renamed = ONE.replace("[a]", "[c]").replace("= a", "= c");

    assert_eq!(
        bench.apply(&renamed).await,
        [
            "added builder `c-s1`",
            "removed builder `a-s1`",
            "kept 1 slave",
            "build a-s1/0 goes on to its end, without its builder",
            "1 request of builder `a-s1` waits until it returns",
        ]
    );

    slave.finish(running).await;
    let build = bench.ended("a-s1", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Success), "it is recorded");
    let done = bench.request(build.requests[0]).await;
    assert_eq!(done.outcome, Some(Outcome::Success));
    assert_eq!(bench.waiting().await, ["a-s1"], "requests do not move");
    assert_eq!(
        bench.why(request).await.as_deref(),
        Some("builder a-s1 is not in the configuration")
    );

    let told = bench.apply(ONE).await;
    assert!(
        told.contains(&"1 request of builder `a-s1` is built now that it is back".to_owned()),
        "{told:?}"
    );
    let (again, _) = slave.begin().await;
    slave.finish(again).await;
    assert_eq!(bench.ended("a-s1", 1).await.requests, [request]);
}

#[tokio::test]
async fn changed_properties_reach_the_next_build() {
    let ini = |value: &str| format!("{ONE}property.colour = {value}\n");
    let bench = Bench::new(&ini("red")).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (running, _) = slave.begin().await;
    assert_eq!(
        bench.apply(&ini("blue")).await,
        ["changed builder `a-s1`: properties", "kept 1 slave"]
    );
    slave.finish(running).await;
    bench.force("a-s1").await;
    let (next, _) = slave.begin().await;
    slave.finish(next).await;
    for (number, colour) in [(0, "red"), (1, "blue")] {
        let build = bench.ended("a-s1", number).await;
        assert_eq!(build.properties.text("colour"), Some(colour));
    }
}

#[tokio::test]
async fn merging_ends_and_begins_with_a_reload() {
    let bench = Bench::new(ONE).await;
    let apart = format!("merge_requests = no\n{ONE}");
    let mut requests = Vec::new();
    for _ in 0..2 {
        requests.push(bench.force("a-s1").await);
    }
    bench.apply(&apart).await;
    let mut slave = bench.attach("s1").await;
    for (number, request) in (0..).zip(&requests) {
        let (id, _) = slave.begin().await;
        if number == 1 {
            bench.force("a-s1").await;
            bench.force("a-s1").await;
            bench.apply(ONE).await;
        }
        slave.finish(id).await;
        assert_eq!(bench.ended("a-s1", number).await.requests, [*request]);
    }
    let (id, _) = slave.begin().await;
    slave.finish(id).await;
    assert_eq!(bench.ended("a-s1", 2).await.requests.len(), 2);
}

#[tokio::test]
async fn a_lower_limit_of_builds_ends_none_and_begins_none() {
    let ini = |most: u32| {
        format!(
            "factories = a b\nmax_builds = {most}\n[slave:s1]\n\
             [a]\ntype = shell\ncommands = echo a\n[b]\ntype = shell\ncommands = echo b\n"
        )
    };
    let bench = Bench::new(&ini(2)).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (first, _) = slave.begin().await;
    bench.force("b-s1").await;
    let (second, _) = slave.begin().await;
    assert_eq!(
        bench.apply(&ini(1)).await,
        ["changed slave `s1`: max_builds", "kept 2 builders"]
    );
    let third = bench.force("a-s1").await;
    slave.finish(first).await;
    bench.ended("a-s1", 0).await;
    let full = "slave s1 has its 1 builds at once (max_builds): b-s1/0";
    wait("the limit", async || {
        (bench.why(third).await.as_deref() == Some(full)).then_some(())
    })
    .await;
    slave.finish(second).await;
    let (last, _) = slave.begin().await;
    slave.finish(last).await;
    assert_eq!(bench.ended("a-s1", 1).await.requests, [third]);
}

#[tokio::test]
async fn a_slave_with_another_password_ends_its_builds_and_must_log_in_again() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    let request = bench.force("a-s1").await;
    let (id, _) = slave.begin().await;
    let changed = ONE.replace("factories", "password = y\nfactories");

    assert_eq!(
        bench.apply(&changed).await,
        [
            "changed slave `s1`: password",
            "kept 1 builder",
            "build a-s1/0 ended: slave `s1` has another password; its requests wait again",
        ]
    );

    let words = slave.last_words().await;
    assert!(
        words
            .iter()
            .any(|it| matches!(it, FromMaster::Interrupt { id: stopped, .. } if *stopped == id)),
        "its command is stopped: {words:?}"
    );
    assert_eq!(bench.ended("a-s1", 0).await.outcome, Some(Outcome::Retry));
    let refused = FakeSlave::attach(&bench, "s1", "x").await;
    assert!(refused.is_err_and(|it| matches!(it, LoginError::Rejected { .. })));
    let slave = FakeSlave::attach(&bench, "s1", "y").await;
    let mut slave = slave.unwrap_or_else(|error| panic!("{error}"));
    let (id, _) = slave.begin().await;
    slave.finish(id).await;
    let again = bench.ended("a-s1", 1).await;
    assert_eq!(again.requests, [request]);
    assert_eq!(again.outcome, Some(Outcome::Success));
}

#[tokio::test]
async fn a_removed_slave_is_cut_off_and_its_work_goes_to_another() {
    let bench = Bench::new(SHARED).await;
    let mut first = bench.attach("s1").await;
    bench.force("a").await;
    first.begin().await;
    let mut second = bench.attach("s2").await;

    assert_eq!(
        bench.apply(&SHARED.replace("[slave:s1]\n", "")).await,
        [
            "removed slave `s1`",
            "changed builder `a`: slaves",
            "kept 1 slave",
            "build a/0 ended: slave `s1` left the configuration; its requests wait again",
        ]
    );

    let (id, _) = second.begin().await;
    second.finish(id).await;
    assert_eq!(bench.ended("a", 0).await.outcome, Some(Outcome::Retry));
    let again = bench.ended("a", 1).await;
    assert_eq!(again.outcome, Some(Outcome::Success));
    assert_eq!(again.slave.as_str(), "s2");
    first.last_words().await;
    assert!(FakeSlave::attach(&bench, "s1", "x").await.is_err());
}

#[tokio::test]
async fn a_build_whose_slave_left_while_it_was_away_does_not_wait_for_it() {
    let bench = Bench::new(SHARED).await;
    let mut first = bench.attach("s1").await;
    bench.force("a").await;
    first.begin().await;
    drop(first);
    let mut second = bench.attach("s2").await;
    bench.apply(&SHARED.replace("[slave:s1]\n", "")).await;
    let (id, _) = second.begin().await;
    second.finish(id).await;
    assert_eq!(bench.ended("a", 0).await.outcome, Some(Outcome::Retry));
    assert_eq!(bench.ended("a", 1).await.outcome, Some(Outcome::Success));
}

#[tokio::test]
async fn a_builder_that_changes_its_slaves_finishes_where_it_is() {
    let on = |slave: &str| {
        let other = if slave == "s1" { "s2" } else { "s1" };
        format!(
            "builders = factory\n[slave:{slave}]\nfactories = a\n[slave:{other}]\nfactories = b\n\
             [a]\ntype = shell\ncommands = echo a\n[b]\ntype = shell\ncommands = echo b\n"
        )
    };
    let bench = Bench::new(&on("s1")).await;
    let mut first = bench.attach("s1").await;
    let mut second = bench.attach("s2").await;
    bench.force("a").await;
    let (id, _) = first.begin().await;
    let told = bench.apply(&on("s2")).await;
    assert_eq!(
        told.last().map(String::as_str),
        Some("build a/0 goes on on slave `s1`, the last one there")
    );
    bench.force("a").await;
    let (next, _) = second.begin().await;
    second.finish(next).await;
    first.finish(id).await;
    for (number, slave) in [(0, "s1"), (1, "s2")] {
        let build = bench.ended("a", number).await;
        assert_eq!(build.outcome, Some(Outcome::Success));
        assert_eq!(build.slave.as_str(), slave);
    }
}

#[tokio::test]
async fn two_reloads_at_once_end_with_the_last_file() {
    let bench = Bench::new(&format!("title = one\n{ONE}")).await;
    write(bench.dir.path(), &format!("title = two\n{ONE}"));
    let (one, other) = tokio::join!(bench.handle.reload(), bench.handle.reload());
    let told: BTreeMap<_, _> = [one, other].map(|it| (it.expect("good"), ())).into();
    let told: Vec<_> = told.into_keys().collect();
    assert_eq!(
        told,
        [
            "changed title\nkept 1 slave, 1 builder",
            "kept 1 slave, 1 builder"
        ]
    );
    assert_eq!(bench.configs().await.len(), 2);
}

#[tokio::test]
async fn a_reload_whose_asker_goes_away_is_finished() {
    let bench = Bench::new(&format!("title = one\n{ONE}")).await;
    write(bench.dir.path(), &format!("title = two\n{ONE}"));
    let mut asking = Box::pin(bench.handle.reload());
    let asked = futures_util::poll!(&mut asking);
    assert!(asked.is_pending());
    drop(asking);
    wait("the reload", async || {
        (bench.handle.plan().master.title == "two").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_master_that_stops_reloads_no_more() {
    let bench = Bench::new(&format!("title = one\n{ONE}")).await;
    bench.master.stop();
    let told = bench.reload(&format!("title = two\n{ONE}")).await;
    assert_eq!(
        told.expect_err("refused"),
        "the master is stopping; its next start reads the configuration"
    );
    assert_eq!(bench.handle.plan().master.title, "one");
}

// --- ports ---

async fn free_ports<const N: usize>() -> [u16; N] {
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    }
    let ports = listeners
        .iter()
        .map(|it| it.local_addr().expect("bound").port());
    ports.collect::<Vec<_>>().try_into().expect("as many")
}

/// Who answers there.
async fn door(port: u16) -> Option<String> {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.ok()?;
    Some(said).filter(|it| !it.is_empty())
}

async fn doors<const N: usize>(ports: [u16; N], expected: [Option<&str>; N]) {
    for (port, expected) in ports.into_iter().zip(expected) {
        let what = format!("{expected:?} at {port}");
        wait(&what, async || {
            (door(port).await.as_deref() == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn ports_can_swap_and_widen() {
    let [one, two] = free_ports().await;
    let ini =
        |html: &str, public: &str| format!("htmlport = {html}\npublichtmlport = {public}\n{ONE}");
    let (here, there) = (format!("127.0.0.1:{one}"), format!("127.0.0.1:{two}"));
    let bench = Bench::new(&ini(&here, &there)).await;
    doors([one, two], [Some("Full"), Some("ReadOnly")]).await;

    let told = bench.apply(&ini(&there, &here)).await;
    assert_eq!(told[0], format!("changed htmlport {here} to {there}"));
    doors([one, two], [Some("ReadOnly"), Some("Full")]).await;

    // Every address of a port, where one of them was listened on.
    bench.apply(&ini(&two.to_string(), &here)).await;
    doors([one, two], [Some("ReadOnly"), Some("Full")]).await;
    bench.apply(&ini(&there, "none")).await;
    doors([one, two], [None, Some("Full")]).await;
}

#[tokio::test]
async fn a_port_that_cannot_be_had_changes_nothing() {
    let [one, two] = free_ports().await;
    let stranger = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken = stranger.local_addr().expect("bound").port();
    let ini = |title: &str, html: u16, public: u16| {
        format!(
            "title = {title}\nhtmlport = 127.0.0.1:{html}\npublichtmlport = 127.0.0.1:{public}\n{ONE}"
        )
    };
    let bench = Bench::new(&ini("old", one, two)).await;

    // One moves to the other's place, which would go to one that is taken.
    let told = bench.reload(&ini("new", two, taken)).await;

    let told = told.expect_err("refused");
    assert!(
        told.contains("`publichtmlport`: cannot listen on"),
        "{told}"
    );
    doors([one, two], [Some("Full"), Some("ReadOnly")]).await;
    assert_eq!(bench.handle.plan().master.title, "old");
    assert_eq!(bench.configs().await.len(), 1, "it was not applied");
}

#[tokio::test]
async fn a_port_that_was_closed_for_nothing_is_opened_again() {
    let [one] = free_ports().await;
    // Holds the port on another address, so that all of them together cannot be had.
    let stranger = TcpListener::bind(("127.0.0.2", one)).await.expect("a port");
    let ini = |title: &str, html: &str| format!("title = {title}\nhtmlport = {html}\n{ONE}");
    let bench = Bench::new(&ini("old", &format!("127.0.0.1:{one}"))).await;

    let told = bench.reload(&ini("new", &one.to_string())).await;

    assert!(told.is_err_and(|it| it.contains("`htmlport`: cannot listen on")));
    doors([one], [Some("Full")]).await;
    assert_eq!(bench.handle.plan().master.title, "old");
    drop(stranger);
    bench.apply(&ini("new", &one.to_string())).await;
    doors([one], [Some("Full")]).await;
}

// --- schedulers ---

fn followed(tree_stable: &str, more: &str) -> String {
    format!("tree_stable = {tree_stable}\n{more}{ONE}git = /nonexistent#main\n")
}

/// Adds a change and waits until the scheduler holds it.
async fn push(bench: &Bench) {
    let change = NewChange {
        repository: "/nonexistent".into(),
        branch: Some("main".into()),
        ..NewChange::by("ann")
    };
    let crew = bench.crew();
    // Who begins sees only what comes from then on.
    wait("the scheduler's beginning", async || held(bench).await).await;
    let added = crew
        .store
        .write(move |verbs| verbs.add_change(&change, clock::now()));
    let id = added.await.expect("written").expect("new");
    crew.changes_added(&[id]);
    wait("the change", async || {
        (held(bench).await == Some(1)).then_some(())
    })
    .await;
}

/// How many changes the scheduler holds.
async fn held(bench: &Bench) -> Option<usize> {
    let state = bench
        .crew()
        .store
        .read(|verbs| verbs.state("scheduler single_branch a"));
    let state = state.await.expect("readable");
    Some(state.get("changes")?.as_array()?.len())
}

#[tokio::test]
async fn a_timer_that_runs_is_not_touched_by_what_others_change() {
    let bench = Bench::new(&followed("1h", "")).await;
    push(&bench).await;
    let scheduler = bench.scheduler("a").await;
    bench
        .apply(&followed("1h", "title = x\nproperty.a = b\n"))
        .await;
    let changed = followed("1h", "").replace("echo old", "echo new");
    bench.apply(&changed).await;
    assert!(!scheduler.is_cancelled());
    assert_eq!(held(&bench).await, Some(1));
}

#[tokio::test]
async fn a_changed_timer_takes_over_what_was_held() {
    let bench = Bench::new(&followed("1h", "")).await;
    push(&bench).await;
    let told = bench.apply(&followed("10ms", "")).await;
    assert_eq!(told[0], "changed scheduler `a`: settings");
    wait("the request", async || {
        (bench.waiting().await == ["a-s1"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_scheduler_that_returns_has_what_it_held() {
    let bench = Bench::new(&followed("1h", "")).await;
    push(&bench).await;
    bench.apply(&followed("1h", "derive = no\n")).await;
    assert_eq!(held(&bench).await, Some(1), "its state stays");
    assert!(bench.waiting().await.is_empty());
    bench.apply(&followed("10ms", "")).await;
    wait("the request", async || {
        (bench.waiting().await == ["a-s1"]).then_some(())
    })
    .await;
}

// --- watch ---

#[tokio::test]
async fn a_watched_file_is_put_into_force_when_its_text_changes() {
    let ini = |title: &str| format!("watch = yes\ntitle = {title}\n{ONE}");
    let bench = Bench::new(&ini("one")).await;
    let title = async |title: &str| {
        wait(title, async || {
            (bench.handle.plan().master.title == title).then_some(())
        })
        .await;
    };
    write(bench.dir.path(), &ini("two"));
    title("two").await;

    write(bench.dir.path(), &ini("three\ntitel = x"));
    wait("the mistake", async || bench.handle.config_bad_since()).await;
    assert_eq!(bench.handle.plan().master.title, "two");

    // As editors do it: a new file takes the place of the old one.
    let beside = bench.dir.path().join("beside");
    fs::create_dir(&beside).expect("a directory");
    write(&beside, &ini("four"));
    fs::rename(
        beside.join("master.ini"),
        bench.dir.path().join("master.ini"),
    )
    .expect("renamed");
    title("four").await;
    assert_eq!(bench.handle.config_bad_since(), None);
    assert_eq!(bench.configs().await.len(), 3);
}

#[tokio::test]
async fn watching_begins_and_ends_with_a_reload() {
    let ini = |watch: &str, title: &str| format!("watch = {watch}\ntitle = {title}\n{ONE}");
    let bench = Bench::new(&ini("no", "one")).await;
    bench.apply(&ini("yes", "two")).await;
    write(bench.dir.path(), &ini("no", "three"));
    wait("the change", async || {
        (bench.handle.plan().master.title == "three").then_some(())
    })
    .await;
    let standing = bench.handle.fixtures().standing.lock().await;
    assert!(standing.watcher.standing.is_empty());
}

#[tokio::test]
async fn where_the_kernel_tells_nothing_the_files_are_looked_at() {
    let ini = |title: &str| format!("title = {title}\n{ONE}");
    let bench = Bench::new(&ini("one")).await;
    let mut watched = Watched::of(bench.dir.path(), &bench.handle.plan());
    // Nobody can be told of a directory that is not there.
    watched.watch_too(bench.dir.path().join("gone"));
    let stop = bench.crew().stop.child_token();
    let watching = watch::watch(bench.handle.clone(), Arc::new(watched), stop);
    bench.crew().supervise("watch".into(), watching);
    write(bench.dir.path(), &ini("two"));
    wait("the change", async || {
        (bench.handle.plan().master.title == "two").then_some(())
    })
    .await;
}
