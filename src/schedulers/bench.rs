//! A driver on a bench: paused time, and a desk that can fail, lose messages
//! and survive its master.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::ChangeFilter;
use super::Desk;
use super::DeskError;
use super::DriveSettings;
use super::TreeStable;
use super::drive;
use super::filter::Criterion;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::model::Timestamp;

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

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A buildset as the desk was asked for it: the second and the changes.
type Request = (u64, Vec<i64>);

struct Books {
    changes: Vec<Change>,
    state: Value,
    saves: usize,
    /// So many writing requests fail from now on.
    failures: usize,
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
    fn state(&self, _name: &SchedulerName) -> Answer<'_, Value> {
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

    fn save(&self, _name: &SchedulerName, state: Value) -> Answer<'_, ()> {
        let written = self.write(state);
        Box::pin(async { written })
    }

    fn request(
        &self,
        _name: &SchedulerName,
        reason: &str,
        changes: Vec<ChangeId>,
        builders: &[BuilderName],
        state: Value,
    ) -> Answer<'_, ()> {
        assert_eq!(reason, "scheduler");
        assert_eq!(builders, [BuilderName::from("hello")]);
        let written = self.write(state);
        if written.is_ok() {
            let at = self.start.elapsed().as_secs();
            let ids = changes.into_iter().map(|it| it.0).collect();
            let _ = self.requests.send((at, ids));
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
            state: Value::Null,
            saves: 0,
            failures: 0,
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
        let settings = DriveSettings {
            name: SchedulerName::from("quick"),
            builders: vec![BuilderName::from("hello")],
            filter: ChangeFilter {
                branch: Criterion::OneOf(vec![None]),
                ..ChangeFilter::default()
            },
            is_important: Box::new(|change| change.author != "bot"),
            reason: "scheduler".into(),
        };
        self.stop = CancellationToken::new();
        let scheduler = Box::new(TreeStable::new(secs(stable_for)));
        let (news, desk, stop) = (
            self.news.subscribe(),
            self.ledger.clone(),
            self.stop.clone(),
        );
        self.task = Some(tokio::spawn(drive(scheduler, settings, news, desk, stop)));
        self.settle().await;
    }

    /// Lets the driver do all it can do without time passing.
    async fn settle(&self) {
        for _ in 0..20 {
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
