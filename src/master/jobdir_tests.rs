//! Jobs in directories, and masters that are killed between any two acts.

use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::master::bench::PlayedMaster;
use crate::model::BuilderName;
use crate::model::RequestRecord;
use crate::model::SourceStamp;

const PATIENCE: Duration = Duration::from_secs(60);

const JOB: &[u8] = b"1:3,3:j-1,5:devel,3:abc,1:1,2:xy,0:,0:,3:ann,3:lin,";

struct Bench {
    dir: tempfile::TempDir,
    master: Option<PlayedMaster>,
}

const BUILDERS: &str = "[:master:]\nslaveport = none\nhtmlport = none\nderive = no\n\
    [slave:s]\npassword = x\n[all]\ntype = shell\ncommands = true\n\
    [builder:lin]\nfactory = all\nslaves = s\n[builder:mac]\nfactory = all\nslaves = s\n\
    [builder:win]\nfactory = all\nslaves = s\n";

const SCHEDULER: &str = "[scheduler:try]\ntype = Try_Jobdir\njobdir = tries\n\
    builders = lin mac\nproperty.channel = try\nproperty.scheduler = other\n";

impl Bench {
    /// A master whose jobs come into `tries`, and are for `lin` and `mac`.
    async fn new() -> Self {
        let mut bench = Self::idle().await;
        bench.kill().await;
        bench.configure(true);
        bench.start().await;
        bench
    }

    /// The same before it has the scheduler: whatever is done there is done by other hands.
    async fn idle() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["tmp", "new", "cur"] {
            fs::create_dir_all(dir.path().join("tries").join(name)).expect("made");
        }
        let mut bench = Self { dir, master: None };
        bench.configure(false);
        bench.start().await;
        bench
    }

    fn configure(&self, has_scheduler: bool) {
        let scheduler = if has_scheduler { SCHEDULER } else { "" };
        let ini = format!("{BUILDERS}{scheduler}");
        fs::write(self.dir.path().join("master.ini"), ini).expect("written");
    }

    async fn start(&mut self) {
        let master = PlayedMaster::start(self.dir.path()).await;
        self.master = Some(master.unwrap_or_else(|error| panic!("{error}")));
    }

    async fn kill(&mut self) {
        self.master.take().expect("it runs").kill().await;
    }

    fn crew(&self) -> &Arc<Crew> {
        self.master.as_ref().expect("it runs").handle().crew()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("tries").join(name)
    }

    /// Puts a job there as the command does it.
    fn send(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("tmp").join(name), bytes).expect("written");
        fs::rename(self.path("tmp").join(name), self.path("new").join(name)).expect("moved");
    }

    fn lies_in(&self, dir: &str) -> Vec<String> {
        let names = fs::read_dir(self.path(dir)).expect("a directory");
        let names = names.map(|it| it.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    async fn requests(&self) -> Vec<RequestRecord> {
        let waiting = self.crew().store.read(|verbs| verbs.pending_requests());
        waiting.await.expect("readable")
    }

    async fn state(&self) -> Value {
        let state = self
            .crew()
            .store
            .read(|verbs| verbs.state("scheduler try_jobdir try"));
        state.await.expect("readable")
    }

    /// Waits until everything that was sent is done with.
    async fn settled(&self) {
        let looking = async {
            loop {
                if self.lies_in("new").is_empty() && self.state().await["in_hand"] == json!([]) {
                    return;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, looking).await;
        done.expect("the jobs are done with");
    }

    /// What does the scheduler's work where the master has none.
    fn hands(&self) -> Jobdir {
        let plan = crate::config::plan_of(&format!("{BUILDERS}{SCHEDULER}"));
        let mut plans = plan.schedulers.iter();
        let plan = plans.find(|it| it.name.as_str() == "try");
        Jobdir {
            crew: Arc::clone(self.crew()),
            plan: Arc::clone(plan.expect("a scheduler")),
            dir: self.dir.path().join("tries"),
            in_hand: Some(BTreeSet::new()),
            told: None,
        }
    }
}

/// What was written to the log.
#[derive(Clone, Default)]
struct Heard(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_job_with_a_name_that_is_no_text_is_told_of_and_lies_where_bad_ones_do() {
    let bench = Bench::idle().await;
    let mut hands = bench.hands();
    let strange = OsString::from_vec(b"job-\xff".to_vec());
    fs::write(bench.path("new").join(&strange), JOB).expect("written");
    bench.send("good", JOB);
    let said = Heard::default();
    let listener = tracing_subscriber::fmt().with_writer({
        let said = said.clone();
        move || said.clone()
    });
    let listening = tracing::subscriber::set_default(listener.finish());
    hands.sweep().await.expect("swept");
    drop(listening);
    let said = String::from_utf8_lossy(&said.0.lock().expect("not poisoned")).into_owned();
    assert_eq!(bench.lies_in("new"), Vec::<String>::new());
    assert_eq!(bench.lies_in("cur"), ["good", "job-\u{fffd}"]);
    assert_eq!(bench.requests().await.len(), 1, "the other one is built");
    for part in [
        "a bad try job is not built",
        "job-",
        "not UTF-8",
        "into `new` again",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

fn builders(requests: &[RequestRecord]) -> Vec<&str> {
    requests.iter().map(|it| it.builder.as_str()).collect()
}

#[tokio::test]
async fn a_job_is_moved_to_cur_and_becomes_a_buildset_with_its_patch_its_id_and_its_reason() {
    let bench = Bench::new().await;
    bench.send(
        "1-a",
        b"1:4,3:j-4,0:,0:,1:1,2:x\xff,3:r/r,4:proj,3:ann,6:fix it,3:mac,",
    );
    bench.settled().await;
    let requests = bench.requests().await;
    assert_eq!(builders(&requests), ["mac"]);
    let request = &requests[0];
    assert_eq!(request.reason, "'try' job by user ann");
    let patch = crate::model::Patch {
        level: 1,
        diff: b"x\xff".to_vec(),
        subdir: None,
        author: Some("ann".into()),
        comment: Some("fix it".into()),
    };
    let stamp = SourceStamp {
        repository: "r/r".into(),
        project: "proj".into(),
        patch: Some(patch),
        ..SourceStamp::default()
    };
    assert_eq!(*request.stamp, stamp);
    let properties: Vec<_> = request
        .properties
        .iter()
        .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
        .collect();
    let own = [r#"channel="try" Scheduler"#, r#"scheduler="try" Scheduler"#];
    assert_eq!(properties, own);
    let found = bench
        .crew()
        .store
        .read(|verbs| verbs.requests_called("j-4"));
    assert_eq!(found.await.expect("readable"), requests);
    assert_eq!(
        (bench.lies_in("new"), bench.lies_in("cur")),
        (vec![], vec!["1-a".to_owned()])
    );
}

#[tokio::test]
async fn a_job_without_builders_is_for_all_and_one_with_a_strange_builder_for_none() {
    let bench = Bench::new().await;
    bench.send("1", b"1:1,3:j-1,0:,4:1234,1:0,2:xy,");
    bench.send("2", b"1:1,3:j-2,0:,4:1234,1:0,2:xy,3:lin,3:win,");
    bench.settled().await;
    let requests = bench.requests().await;
    assert_eq!(builders(&requests), ["lin", "mac"]);
    assert_eq!(requests[0].buildset, requests[1].buildset);
    assert_eq!(bench.lies_in("cur"), ["1", "2"]);
}

#[tokio::test]
async fn bad_jobs_are_put_aside_and_hold_up_no_other() {
    let bench = Bench::new().await;
    bench.send("1-empty", b"");
    bench.send("2-text", b"Hello\n");
    bench.send("3-version", b"1:9,");
    bench.send("4-cut", &JOB[..JOB.len() - 3]);
    symlink("/etc/hostname", bench.path("new").join("6-link")).expect("made");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.path("new").join("7-pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    fs::create_dir(bench.path("new").join("8-directory")).expect("made");
    bench.send(".9-hidden", JOB);
    bench.send("a-good", JOB);
    let looking = async {
        while bench.requests().await.is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .expect("it is built");
    assert_eq!(builders(&bench.requests().await), ["lin"]);
    assert_eq!(bench.lies_in("new"), [".9-hidden", "8-directory"]);
    let aside = bench.lies_in("cur");
    let expected = [
        "1-empty",
        "2-text",
        "3-version",
        "4-cut",
        "6-link",
        "7-pipe",
        "a-good",
    ];
    assert!(
        expected.iter().all(|it| aside.contains(&(*it).to_owned())),
        "{aside:?}"
    );
}

#[tokio::test]
async fn jobs_that_came_while_the_master_was_down_are_built_once_at_its_start() {
    let mut bench = Bench::new().await;
    bench.kill().await;
    // Buildbot left it there, and its build was long ago.
    fs::write(bench.path("cur").join("0-old"), JOB).expect("written");
    for number in 0..250 {
        bench.send(&format!("{number:03}"), JOB);
    }
    bench.start().await;
    bench.settled().await;
    assert_eq!(bench.requests().await.len(), 250);
    bench.kill().await;
    bench.start().await;
    bench.settled().await;
    assert_eq!(bench.requests().await.len(), 250);
}

/// Takes a job as far as `acts` does, kills the master, and starts another.
async fn killed_after(acts: impl AsyncFnOnce(&Bench, &mut Jobdir)) {
    let mut bench = Bench::idle().await;
    let mut hands = bench.hands();
    acts(&bench, &mut hands).await;
    drop(hands);
    bench.kill().await;
    bench.configure(true);
    bench.start().await;
    bench.settled().await;
    assert_eq!(builders(&bench.requests().await), ["lin"]);
    assert_eq!(bench.lies_in("cur"), ["job"]);

    // And it is done with: nothing is built a second time.
    bench.kill().await;
    bench.start().await;
    bench.settled().await;
    assert_eq!(bench.requests().await.len(), 1);
}

#[tokio::test]
async fn a_kill_after_a_job_was_written_down_and_before_it_was_moved_loses_nothing() {
    killed_after(async |bench, hands| {
        let names = BTreeSet::from(["job".to_owned()]);
        hands.write_down(names).await.expect("kept");
        bench.send("job", JOB);
    })
    .await;
}

#[tokio::test]
async fn a_kill_between_move_and_store_loses_no_job() {
    killed_after(async |bench, hands| {
        let names = BTreeSet::from(["job".to_owned()]);
        hands.write_down(names).await.expect("kept");
        fs::write(bench.path("cur").join("job"), JOB).expect("written");
    })
    .await;
}

#[tokio::test]
async fn a_kill_after_the_buildset_was_made_builds_nothing_twice() {
    killed_after(async |bench, hands| {
        let names = BTreeSet::from(["job".to_owned()]);
        hands.write_down(names).await.expect("kept");
        fs::write(bench.path("cur").join("job"), JOB).expect("written");
        hands.finish().await.expect("kept");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_somebody_took_away_is_told_of_and_forgotten() {
    let bench = Bench::idle().await;
    let mut hands = bench.hands();
    let names = BTreeSet::from(["gone".to_owned()]);
    hands.write_down(names).await.expect("kept");
    hands.finish().await.expect("kept");
    assert_eq!(bench.state().await["in_hand"], json!([]));
    assert!(bench.requests().await.is_empty());
}

#[tokio::test]
async fn what_was_in_hand_when_the_directory_was_another_is_built_from_there() {
    let bench = Bench::idle().await;
    let mut hands = bench.hands();
    hands
        .write_down(BTreeSet::from(["job".to_owned()]))
        .await
        .expect("kept");
    fs::write(bench.path("cur").join("job"), JOB).expect("written");
    let other = bench.dir.path().join("other");
    fs::create_dir_all(other.join("new")).expect("made");
    fs::create_dir_all(other.join("cur")).expect("made");
    let mut hands = bench.hands();
    hands.in_hand = None;
    hands.dir.clone_from(&other);
    hands.sweep().await.expect("kept");
    assert_eq!(builders(&bench.requests().await), ["lin"]);
    assert_eq!(hands.dir, other);
    assert_eq!(
        hands.written_down().await.expect("readable").1,
        BTreeSet::new()
    );
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_again_is_watched_again() {
    let bench = Bench::idle().await;
    let mut hands = bench.hands();
    let away = bench.dir.path().join("away");
    fs::rename(bench.path(""), &away).expect("moved");
    let why = hands.sweep().await.expect_err("it is gone").to_string();
    assert!(why.starts_with("failed to read `"), "{why}");
    fs::rename(&away, bench.path("")).expect("moved");
    hands.sweep().await.expect("it is there");
}

#[tokio::test]
async fn the_kernel_tells_of_a_job_that_is_moved_into_new() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["tmp", "new"] {
        fs::create_dir(dir.path().join(name)).expect("made");
    }
    let (tell, mut told) = mpsc::channel(1);
    let _watcher = listen(dir.path(), tell).expect("inotify");
    fs::write(dir.path().join("tmp/job"), JOB).expect("written");
    fs::rename(dir.path().join("tmp/job"), dir.path().join("new/job")).expect("moved");
    tokio::time::timeout(PATIENCE, told.recv())
        .await
        .expect("told");
    assert!(listen(&dir.path().join("gone"), mpsc::channel(1).0).is_err());
}

#[tokio::test]
async fn a_reload_that_takes_builders_away_is_seen_by_the_next_job() {
    let bench = Bench::idle().await;
    let mut hands = bench.hands();
    let mut plan = SchedulerPlan::clone(&hands.plan);
    plan.builders = vec![BuilderName::from("mac")];
    hands.plan = Arc::new(plan);
    let read = hands.read(JOB.to_vec()).await;
    assert!(matches!(read, Err(BadJob::NoBuilder { .. })));
    let all = hands.read(b"1:1,3:j-1,0:,4:1234,1:0,2:xy,".to_vec()).await;
    assert_eq!(all.expect("a job").0.builders, ["mac".into()]);
}
