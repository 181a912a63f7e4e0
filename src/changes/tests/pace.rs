//! A clone that is made up: what the pollers do about time and size.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::mirror::Detail;
use super::super::mirror::Mirror;
use super::super::mirror::PollError;
use super::super::mirror::Revision;
use super::super::mirror::Tips;
use super::super::poll::Poller;
use super::super::program::ProgramError;
use super::super::record::Record;
use super::super::yard::Seen;
use super::super::yard::Yard;
use super::*;
use crate::process::RunError;

/// Five revisions in a row, of which the third has too many files to tell.
struct Line {
    reachable: Arc<Mutex<bool>>,
    head: Arc<Mutex<usize>>,
}

fn id(number: usize) -> String {
    format!("{number:040}")
}

impl Mirror for Line {
    const VCS: &'static str = "line";

    fn wants(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn look(&self, _dir: &Path, _wanted: &BTreeSet<String>) -> Result<Seen, PollError> {
        if !*self.reachable.lock().unwrap() {
            let url = "https://ann:secret@host/x".to_owned();
            let source = ProgramError::Failed {
                line: "line pull".into(),
                code: 1,
                complaint: format!("no route to {url}"),
            };
            return Err(PollError::Remote { url, source });
        }
        Ok(Seen::default())
    }

    async fn tips(&self, _dir: &Path, _seen: &Seen) -> Result<Tips, PollError> {
        Ok(Tips {
            heads: vec![id(*self.head.lock().unwrap())],
            branch: None,
        })
    }

    async fn known(&self, _dir: &Path, revisions: &[String]) -> Result<Vec<String>, PollError> {
        Ok(revisions.to_vec())
    }

    async fn since(
        &self,
        _dir: &Path,
        tips: &Tips,
        seen: &[String],
    ) -> Result<Vec<Revision>, PollError> {
        let number = |it: &String| it.parse::<usize>().unwrap();
        let news = number(&seen[0]) + 1..=number(&tips.heads[0]);
        let revision = |number| Revision {
            id: id(number),
            parents: vec![id(number - 1)],
        };
        Ok(news.map(revision).collect())
    }

    async fn describe(
        &self,
        dir: &Path,
        revisions: &[Revision],
        detail: Detail,
    ) -> Result<Vec<Record>, PollError> {
        if detail == Detail::Full && revisions.iter().any(|it| it.id == id(3)) {
            let program = "line".to_owned();
            let source = ProgramError::Run(too_much(program));
            return Err(PollError::Clone {
                dir: dir.to_owned(),
                source,
            });
        }
        let record = |it: &Revision| Record {
            revision: it.id.clone(),
            author: "ann".into(),
            when: Timestamp(0),
            comments: it.id.trim_start_matches('0').to_owned(),
            files: match detail {
                Detail::Full => vec!["file".into()],
                Detail::NoFiles => Vec::new(),
            },
        };
        Ok(revisions.iter().map(record).collect())
    }

    async fn tidy(&self, _dir: &Path) -> Result<(), PollError> {
        Ok(())
    }
}

fn too_much(program: String) -> RunError {
    RunError::TooMuch { program, most: 1 }
}

struct Far {
    bench: Bench,
    reachable: Arc<Mutex<bool>>,
    head: Arc<Mutex<usize>>,
}

impl Far {
    fn new() -> (Self, Poller<Line>) {
        let bench = Bench::empty();
        let reachable = Arc::new(Mutex::new(true));
        let head = Arc::new(Mutex::new(1));
        let settings = SourceSettings {
            url: "https://ann:secret@host/x".into(),
            poll_interval: Duration::from_mins(1),
            ..bench.settings(None)
        };
        let mirror = Line {
            reachable: reachable.clone(),
            head: head.clone(),
        };
        let poller = Poller::in_yard(settings, mirror, &Yard::at(bench.clone_dir()));
        let far = Self {
            bench,
            reachable,
            head,
        };
        (far, poller)
    }
}

#[tokio::test]
async fn a_huge_commit_is_told_without_its_files_and_holds_up_nobody() {
    let (far, poller) = Far::new();
    far.bench.poll(&poller).await;
    *far.head.lock().unwrap() = 5;
    poller.poll_once(far.bench.store.as_ref()).await.unwrap();
    let changes = far.bench.taken();
    let told: Vec<_> = changes
        .iter()
        .map(|it| (it.comments.as_str(), it.files.len()))
        .collect();
    assert_eq!(told, [("2", 1), ("3", 0), ("4", 1), ("5", 1)]);
    assert_eq!(far.bench.state()["heads"], json!([id(5)]));
}

#[tokio::test(start_paused = true)]
async fn failures_slow_a_poller_down_until_one_poll_is_well() {
    let (mut far, poller) = Far::new();
    let stop = CancellationToken::new();
    let store: Arc<dyn Sink> = far.bench.store.clone();
    let start = tokio::time::Instant::now();
    let wake = Arc::new(Notify::new());
    let task = tokio::spawn(run(poller, store, stop.clone(), wake));
    let mut seen = Vec::new();
    for count in 0..8 {
        let report = far.bench.reports.recv().await.unwrap();
        seen.push((start.elapsed().as_secs() / 60, report.is_ok()));
        if let Err(reason) = report {
            let expected = "failed to reach `https://ann:…@host/x`: `line pull` failed \
                            with exit code 1: no route to https://ann:…@host/x";
            assert_eq!(reason, expected);
        }
        *far.reachable.lock().unwrap() = !(1..5).contains(&count);
    }
    let bad = [(2, false), (3, false), (5, false), (9, false)];
    assert_eq!(seen[..2], [(0, true), (1, true)]);
    assert_eq!(seen[2..6], bad);
    assert_eq!(seen[6..], [(17, true), (18, true)]);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn jitter_makes_each_wait_longer_by_chance_and_none_shorter() {
    let (mut far, mut poller) = Far::new();
    poller.settings.poll_jitter = Duration::from_secs(30);
    let stop = CancellationToken::new();
    let store: Arc<dyn Sink> = far.bench.store.clone();
    let start = tokio::time::Instant::now();
    let task = tokio::spawn(run(poller, store, stop.clone(), Arc::default()));
    let mut seen = Vec::new();
    for _ in 0..20 {
        assert_eq!(far.bench.reports.recv().await, Some(Ok(())));
        seen.push(start.elapsed());
    }
    assert!(seen[0] <= Duration::from_secs(30), "{seen:?}");
    let waits: Vec<Duration> = seen.windows(2).map(|it| it[1] - it[0]).collect();
    // A timer goes by milliseconds.
    let range = Duration::from_secs(60)..=Duration::from_millis(90_002);
    assert!(waits.iter().all(|it| range.contains(it)), "{waits:?}");
    assert!(waits.windows(2).any(|it| it[0] != it[1]), "{waits:?}");
    stop.cancel();
    task.await.unwrap();
}
