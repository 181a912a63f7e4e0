//! A driver on a bench: paused time, and a desk that can fail, lose messages
//! and survive its master.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::BuildsetFact;
use super::Buildsets;
use super::Desk;
use super::DeskError;
use super::Following;
use super::Now;
use super::Wanted;
use super::Wish;
use super::drive;
use super::read;
use crate::model::BuildsetId;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::model::Timestamp;
use crate::syntax::Keys;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

/// A change with nothing but a number.
pub(super) fn change(id: i64) -> Change {
    Change {
        id: ChangeId(id),
        author: "ann".into(),
        files: Vec::new(),
        comments: String::new(),
        revision: None,
        branch: None,
        category: None,
        revlink: String::new(),
        repository: String::new(),
        project: String::new(),
        when: Timestamp(0),
        properties: Properties::new(),
    }
}

/// The second `second` since 1970, on both clocks.
#[expect(clippy::disallowed_methods, reason = "some instant to count from")]
pub(super) fn now(second: i64) -> Now {
    Now {
        instant: Instant::from_std(std::time::Instant::now()),
        wall: Timestamp::from_secs(second),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A buildset as the desk was asked for it: the second and the changes.
type Request = (u64, Vec<i64>);

struct Books {
    changes: Vec<Change>,
    buildsets: Vec<BuildsetFact>,
    state: Value,
    saves: usize,
    /// So many writing requests fail from now on.
    failures: usize,
    /// What was asked for without changes: the second, the branch and the reason.
    stamps: Vec<(u64, String, String)>,
    /// What was announced last.
    next: Option<Timestamp>,
}

/// What the store is to the driver. It outlives the driver, as a store does.
struct Ledger {
    start: Instant,
    books: Mutex<Books>,
    requests: mpsc::UnboundedSender<Request>,
}

impl Ledger {
    fn write(&self, state: Value) -> Result<(), DeskError> {
        let mut books = self.books.lock().unwrap();
        if books.failures > 0 {
            books.failures -= 1;
            return Err(DeskError("disk full".into()));
        }
        books.saves += 1;
        books.state = state;
        Ok(())
    }
}

impl Desk for Ledger {
    fn wall(&self) -> Timestamp {
        let passed = self.start.elapsed().as_millis();
        Timestamp(i64::try_from(passed).unwrap())
    }

    fn state(&self) -> Answer<'_, Value> {
        let state = self.books.lock().unwrap().state.clone();
        Box::pin(async { Ok(state) })
    }

    fn changes_since(&self, seen: ChangeId) -> Answer<'_, Vec<Change>> {
        let books = self.books.lock().unwrap();
        let newer = books
            .changes
            .iter()
            .filter(|it| it.id > seen)
            .cloned()
            .collect();
        Box::pin(async { Ok(newer) })
    }

    fn newest_change(&self) -> Answer<'_, ChangeId> {
        let books = self.books.lock().unwrap();
        let newest = books.changes.last().map_or(ChangeId(0), |it| it.id);
        Box::pin(async move { Ok(newest) })
    }

    fn buildsets(&self, question: Following) -> Answer<'_, Buildsets> {
        assert_eq!(question.upstream.as_str(), "upstream");
        let books = self.books.lock().unwrap();
        let is_wanted = |it: &&BuildsetFact| {
            question.since.is_some_and(|since| it.id > since) || question.waiting.contains(&it.id)
        };
        let of_upstream = books.buildsets.iter().filter(is_wanted).cloned().collect();
        let newest = books.buildsets.last().map_or(0, |it| it.id.0);
        Box::pin(async move {
            Ok(Buildsets {
                newest,
                of_upstream,
            })
        })
    }

    fn announce(&self, next: Option<Timestamp>) {
        self.books.lock().unwrap().next = next;
    }

    fn save(&self, state: Value) -> Answer<'_, ()> {
        let written = self.write(state);
        Box::pin(async { written })
    }

    fn request(&self, wish: Wish, state: Value) -> Answer<'_, ()> {
        let written = self.write(state);
        if written.is_ok() {
            let at = self.start.elapsed().as_secs();
            match wish.what {
                Wanted::Changes(changes) => {
                    let ids = changes.into_iter().map(|it| it.0).collect();
                    let _ = self.requests.send((at, ids));
                }
                Wanted::Stamp(stamp) => {
                    let branch = stamp.branch.unwrap_or_default();
                    let asked = (at, branch, wish.reason);
                    self.books.lock().unwrap().stamps.push(asked);
                }
            }
        }
        Box::pin(async { written })
    }
}

struct Bench {
    ledger: Arc<Ledger>,
    requests: mpsc::UnboundedReceiver<Request>,
    news: watch::Sender<()>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Bench {
    /// A desk that nobody works at yet.
    fn idle() -> Self {
        let (tx, requests) = mpsc::unbounded_channel();
        let books = Books {
            changes: Vec::new(),
            buildsets: Vec::new(),
            state: Value::Null,
            saves: 0,
            failures: 0,
            stamps: Vec::new(),
            next: None,
        };
        let ledger = Ledger {
            start: Instant::now(),
            books: Mutex::new(books),
            requests: tx,
        };
        Self {
            ledger: Arc::new(ledger),
            requests,
            news: watch::Sender::new(()),
            stop: CancellationToken::new(),
            task: None,
        }
    }

    async fn new(stable_for: u64) -> Self {
        let mut bench = Self::idle();
        bench.begin(stable_for).await;
        bench
    }

    /// Starts a driver; changes to branch `other` are not its own, those by `bot` are unimportant.
    async fn begin(&mut self, stable_for: u64) {
        self.begin_with(&format!(
            "branch = none\ntree_stable_timer = {stable_for}\nfile_is_important = change.author != 'bot'"
        ))
        .await;
    }

    /// Starts the driver of a section with these lines.
    async fn begin_with(&mut self, lines: &str) {
        let text = format!("[scheduler:quick]\nbuilders = hello\n{lines}\n");
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let settings = read(&mut keys).expect("a good section").settings;
        keys.finish();
        assert_eq!(problems.render(false), "");

        self.stop = CancellationToken::new();
        let name = SchedulerName::from("quick");
        let scheduler = settings.begin(&name, &TimeZone::UTC);
        let (news, desk, stop) = (
            self.news.subscribe(),
            self.ledger.clone(),
            self.stop.clone(),
        );
        let filter = settings.filter().cloned();
        self.task = Some(tokio::spawn(drive(
            name, scheduler, filter, news, desk, stop,
        )));
        self.settle().await;
    }

    /// As a reload does it: the one ends before the other begins.
    async fn change_to(&mut self, lines: &str) {
        self.end().await;
        self.begin_with(lines).await;
    }

    /// What was asked for without changes so far.
    fn stamps(&self) -> Vec<(u64, String)> {
        let books = self.ledger.books.lock().unwrap();
        let all = books.stamps.iter();
        all.map(|(at, branch, _)| (*at, branch.clone())).collect()
    }

    /// The upstream's buildsets, by number, with how they ended.
    async fn buildset(&self, id: i64, outcome: Option<Outcome>) {
        let fact = BuildsetFact {
            id: BuildsetId(id),
            stamp: SourceStamp {
                branch: Some(format!("of {id}")),
                ..SourceStamp::default()
            },
            outcome,
        };
        {
            let mut books = self.ledger.books.lock().unwrap();
            books.buildsets.retain(|it| it.id != fact.id);
            books.buildsets.push(fact);
            books.buildsets.sort_by_key(|it| it.id);
        }
        self.news.send_replace(());
        self.settle().await;
    }

    /// Lets the driver do all it can do without time passing.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn until(&self, second: u64) {
        tokio::time::sleep_until(self.ledger.start + secs(second)).await;
    }

    async fn store(&self, second: u64, change: Change) {
        self.until(second).await;
        self.ledger.books.lock().unwrap().changes.push(change);
    }

    async fn change_at(&self, second: u64, id: i64) {
        self.store(second, change(id)).await;
        self.news.send_replace(());
        self.settle().await;
    }

    fn fail(&self, failures: usize) {
        self.ledger.books.lock().unwrap().failures = failures;
    }

    fn state(&self) -> Value {
        self.ledger.books.lock().unwrap().state.clone()
    }

    fn saves(&self) -> usize {
        self.ledger.books.lock().unwrap().saves
    }

    async fn next(&mut self) -> Request {
        let next = tokio::time::timeout(secs(100_000), self.requests.recv()).await;
        next.expect("a request comes").expect("the ledger is open")
    }

    /// Waits a long while, in which nothing may be asked for.
    async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(secs(10_000), self.requests.recv())
            .await
            .is_err()
    }

    async fn end(&mut self) {
        self.stop.cancel();
        self.task.take().expect("a driver").await.unwrap();
    }

    /// As `kill -9` does it: at once, wherever it is.
    async fn kill(&mut self) {
        let task = self.task.take().expect("a driver");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_while_waiting_restarts_the_wait() {
    let mut bench = Bench::new(60).await;
    bench.change_at(0, 1).await;
    bench.change_at(59, 2).await;
    assert_eq!(bench.next().await, (119, vec![1, 2]));

    // A quiet tree builds nothing more; the next change starts afresh.
    bench.change_at(500, 3).await;
    assert_eq!(bench.next().await, (560, vec![3]));
    bench.end().await;
    assert_eq!(bench.state(), json!({"changes": [], "seen": 3}));
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_each_change_is_built_alone() {
    let mut bench = Bench::new(0).await;
    bench.store(7, change(1)).await;
    bench.store(7, change(2)).await;
    bench.change_at(7, 3).await;
    for id in 1..=3 {
        assert_eq!(bench.next().await, (7, vec![id]));
    }
    assert!(bench.is_quiet().await);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn unimportant_changes_ride_along_and_others_are_not_heard_of() {
    let mut bench = Bench::new(9).await;
    let unimportant = Change {
        author: "bot".into(),
        ..change(1)
    };
    let elsewhere = Change {
        branch: Some("other".into()),
        ..change(2)
    };
    bench.store(0, unimportant).await;
    bench.store(0, elsewhere).await;
    bench.news.send_replace(());
    bench.settle().await;
    assert_eq!(bench.state(), json!({"changes": [[1, false]], "seen": 2}));
    assert!(bench.is_quiet().await);

    bench.change_at(20_000, 3).await;
    assert_eq!(bench.next().await, (20_009, vec![1, 3]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_is_new_begins_at_the_newest_change() {
    let mut bench = Bench::idle();
    bench.store(0, change(1)).await;
    bench.begin(9).await;
    assert_eq!(bench.state(), json!({"changes": [], "seen": 1}));
    bench.change_at(0, 2).await;
    assert_eq!(bench.next().await, (9, vec![2]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn changes_that_came_while_it_was_away_are_built() {
    let mut bench = Bench::new(60).await;
    bench.change_at(0, 1).await;
    bench.end().await;

    // The full wait begins again, and what came meanwhile joins.
    bench.store(100, change(2)).await;
    bench.until(200).await;
    bench.begin(60).await;
    assert_eq!(bench.next().await, (260, vec![1, 2]));

    bench.kill().await;
    bench.begin(60).await;
    assert!(bench.is_quiet().await);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_delays_a_change_and_loses_none() {
    let mut bench = Bench::new(10).await;
    bench.store(5, change(1)).await;
    assert_eq!(
        bench.next().await,
        (70, vec![1]),
        "read again after a minute"
    );

    // Several messages are one, and the teller may go.
    bench.store(100, change(2)).await;
    bench.change_at(100, 3).await;
    assert_eq!(bench.next().await, (110, vec![2, 3]));
    bench.news = watch::Sender::new(());
    bench.store(115, change(4)).await;
    assert_eq!(bench.next().await.1, [4]);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_save_that_fails_is_repeated() {
    let mut bench = Bench::new(10).await;
    bench.fail(3);
    bench.change_at(0, 1).await;
    assert_eq!(bench.state(), json!({"changes": [], "seen": 0}));

    // Tried again after 1, 2 and 4 seconds; the wait is not longer for it.
    assert_eq!(bench.next().await, (10, vec![1]));
    assert!(bench.is_quiet().await);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_repeated_and_made_once() {
    let mut bench = Bench::new(10).await;
    bench.change_at(0, 1).await;
    bench.fail(2);
    bench.until(11).await;
    bench.change_at(11, 2).await;
    assert_eq!(bench.next().await, (13, vec![1]));
    assert_eq!(bench.next().await, (23, vec![2]));
    assert!(bench.is_quiet().await);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_anything_was_kept_loses_nothing() {
    let mut bench = Bench::new(10).await;
    bench.fail(usize::MAX);
    bench.change_at(0, 1).await;
    bench.kill().await;
    bench.fail(0);
    bench.begin(10).await;
    bench.fail(usize::MAX);
    bench.until(50).await;
    bench.kill().await;

    bench.fail(0);
    bench.begin(10).await;
    assert_eq!(bench.next().await, (60, vec![1]));
    assert!(bench.is_quiet().await);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_stops_while_the_desk_fails() {
    let mut bench = Bench::new(10).await;
    bench.fail(usize::MAX);
    bench.change_at(0, 1).await;
    bench.end().await;
    assert_eq!(bench.ledger.start.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_happens() {
    let mut bench = Bench::new(10).await;
    assert_eq!(bench.saves(), 1);
    assert!(bench.is_quiet().await);
    assert_eq!(bench.saves(), 1);

    bench.change_at(20_000, 1).await;
    bench.next().await;
    assert!(bench.is_quiet().await);
    assert_eq!(bench.saves(), 3);
    bench.end().await;
}

const HOUR: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_changed_timer_waits_its_own_full_time_for_the_same_changes() {
    let mut bench = Bench::new(60).await;
    bench.change_at(0, 1).await;
    bench.change_at(10, 2).await;
    bench.until(50).await;
    bench
        .change_to("branch = none\ntree_stable_timer = 30")
        .await;
    assert_eq!(bench.next().await, (80, vec![1, 2]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_taken_away_forgets_what_it_was_waiting_for() {
    let mut bench = Bench::new(60).await;
    bench.change_at(0, 1).await;
    bench.until(40).await;
    bench
        .change_to("branch = none\ntree_stable_timer = none")
        .await;
    assert!(bench.is_quiet().await);
    bench.change_at(50_000, 2).await;
    assert_eq!(bench.next().await, (50_000, vec![2]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_removed_and_added_again_builds_after_a_full_wait() {
    let mut bench = Bench::new(60).await;
    bench.change_at(0, 1).await;
    bench.until(40).await;
    bench.end().await;
    bench.until(1000).await;
    bench.begin(60).await;
    assert_eq!(bench.next().await, (1060, vec![1]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn every_branch_waits_by_itself_across_a_restart() {
    let any = "type = any_branch\ntree_stable_timer = 10";
    let on = |id, branch: &str| Change {
        branch: Some(branch.into()),
        ..change(id)
    };
    let mut bench = Bench::idle();
    bench.begin_with(any).await;
    bench.store(0, on(1, "a")).await;
    bench.store(0, on(2, "b")).await;
    bench.store(0, on(3, "a")).await;
    bench.news.send_replace(());
    bench.settle().await;
    bench.until(5).await;
    bench.change_to(any).await;
    assert_eq!(bench.next().await, (15, vec![1, 3]));
    assert_eq!(bench.next().await, (15, vec![2]));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_nightly_builder_follows_a_changed_branch_and_misses_nothing() {
    let night =
        |branch: &str| format!("type = nightly\nhour = 3\ntime_zone = UTC\nbranch = {branch}");
    let mut bench = Bench::idle();
    bench.begin_with(&night("old")).await;
    bench.until(4 * HOUR).await;
    bench.change_to(&night("new")).await;
    bench.until(28 * HOUR).await;
    let first = (3 * HOUR, "old".to_owned());
    let second = (27 * HOUR, "new".to_owned());
    assert_eq!(bench.stamps(), [first.clone(), second.clone()]);

    // Down for three nights: one build makes up for them.
    bench.end().await;
    bench.until(100 * HOUR).await;
    bench.begin_with(&night("new")).await;
    bench.until(124 * HOUR).await;
    let late = [100, 123].map(|at| (at * HOUR, "new".to_owned()));
    assert_eq!(bench.stamps()[2..], late);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_periodic_builder_counts_from_its_last_run() {
    let every = |secs: u64| format!("type = periodic\nperiodic_build_timer = {secs}");
    let mut bench = Bench::idle();
    bench.begin_with(&every(3600)).await;
    bench.until(600).await;
    let branch = format!("{}\nbranch = main", every(3600));
    bench.change_to(&branch).await;
    bench.until(3700).await;
    let (first, second) = ((0, String::new()), (3600, "main".to_owned()));
    assert_eq!(bench.stamps(), [first.clone(), second.clone()]);

    bench.until(4200).await;
    bench.change_to(&every(300)).await;
    bench.until(4510).await;
    let more = [4200, 4500].map(|at| (at, String::new()));
    assert_eq!(bench.stamps()[2..], more);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_asked_for_is_asked_for_again_and_once() {
    let mut bench = Bench::idle();
    bench.begin_with("type = periodic\nevery = 1h").await;
    bench.fail(2);
    bench.until(2 * HOUR - 1).await;
    let expected = [0, 3603].map(|at| (at, String::new()));
    assert_eq!(bench.stamps(), expected);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_built_at_night_where_nothing_changed() {
    let night = "type = nightly\nhour = 3\ntime_zone = UTC\nbranch = none\nonly_if_changed = yes";
    let mut bench = Bench::idle();
    bench.begin_with(night).await;
    bench.until(4 * HOUR).await;
    bench.change_at(5 * HOUR, 1).await;
    bench.end().await;
    bench.begin_with(night).await;
    assert_eq!(bench.next().await, (27 * HOUR, vec![1]));
    bench.until(60 * HOUR).await;
    assert!(bench.stamps().is_empty());
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_its_upstream_built_well_is_built_upon_even_if_it_was_down() {
    use Outcome::{Failure, Success};
    let dependent = "type = dependent\nupstream = upstream";
    let mut bench = Bench::idle();
    bench.buildset(1, Some(Success)).await;
    bench.begin_with(dependent).await;
    bench.buildset(2, None).await;
    bench.buildset(3, None).await;
    bench.buildset(3, Some(Failure)).await;
    assert!(bench.stamps().is_empty());
    bench.kill().await;

    bench.buildset(2, Some(Success)).await;
    bench.buildset(4, Some(Success)).await;
    bench.begin_with(dependent).await;
    let built = [2, 4].map(|id| (0, format!("of {id}")));
    assert_eq!(bench.stamps(), built);
    bench.kill().await;
    bench.begin_with(dependent).await;
    assert_eq!(bench.stamps(), built);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_next_planned_time_is_told_as_soon_as_there_is_one() {
    let next = |bench: &Bench| {
        let books = bench.ledger.books.lock().unwrap();
        books.next.map(|it| it.0 / 1000)
    };
    let mut bench = Bench::idle();
    assert_eq!(next(&bench), None);
    bench
        .begin_with("type = nightly\nhour = 3\ntime_zone = UTC\nbranch = none")
        .await;
    assert_eq!(next(&bench), Some(3 * 3600));
    bench.until(4 * HOUR).await;
    bench.settle().await;
    assert_eq!(next(&bench), Some(27 * 3600));
    bench.change_to("type = periodic\nevery = 1h").await;
    assert_eq!(next(&bench), Some(5 * 3600));
    // Who waits for others has no time.
    bench
        .change_to("type = dependent\nupstream = upstream")
        .await;
    assert_eq!(next(&bench), None);
    bench
        .change_to("branch = none\ntree_stable_timer = 60")
        .await;
    assert_eq!(next(&bench), None);
    bench.change_at(4 * HOUR, 1).await;
    assert_eq!(next(&bench), Some(4 * 3600 + 60));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_another_branch_are_no_reason_to_build_at_night() {
    let night = "type = nightly\nhour = 3\ntime_zone = UTC\nbranch = main\nonly_if_changed = yes\n\
                 file_is_important = change.author != 'bot'";
    let on = |id, branch: &str, author: &str| Change {
        branch: Some(branch.into()),
        author: author.into(),
        ..change(id)
    };
    let mut bench = Bench::idle();
    bench.begin_with(night).await;
    bench.store(HOUR, on(1, "dev", "ann")).await;
    bench.store(HOUR, on(2, "main", "bot")).await;
    bench.until(4 * HOUR).await;
    // The run counts though nothing was built, and the unimportant change stays.
    assert_eq!(bench.state()["changes"], json!([[2, false]]));
    assert_eq!(bench.state()["last"], json!(3 * 3_600_000));
    bench.store(5 * HOUR, on(3, "main", "ann")).await;
    assert_eq!(bench.next().await, (27 * HOUR, vec![2, 3]));
    bench.end().await;
}
