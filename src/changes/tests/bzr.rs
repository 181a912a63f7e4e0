//! Real Bazaar, as Breezy has it.

use super::super::bzr_poller::BranchName;
use super::super::bzr_poller::BzrPoller;
use super::super::bzr_poller::BzrSettings;
use super::super::yard::Yard;
use super::*;

impl Bench {
    async fn bzr() -> Self {
        let bench = Self::empty();
        bench.brz(&["init", "-q", "."]).await;
        bench.brz(&["nick", "trunk"]).await;
        bench
    }

    async fn brz(&self, line: &[&str]) {
        let env = ["LC_ALL=C.UTF-8", "BRZ_EMAIL=Ann <ann@test>", "bzr"];
        let line: Vec<&str> = env.iter().chain(line).copied().collect();
        self.run("env", &line).await;
    }

    async fn bzr_commit(&self, message: &str, files: &[&str]) {
        for file in files {
            std::fs::write(self.remote().join(file), message).unwrap();
        }
        self.brz(&["add", "-q"]).await;
        self.brz(&["commit", "-q", "--unchanged", "-m", message])
            .await;
    }

    pub(super) fn bzr_poller(&self, change: impl FnOnce(&mut BzrSettings)) -> BzrPoller {
        let mut settings = self.bzr_settings();
        change(&mut settings);
        let interval = Duration::from_hours(1);
        BzrPoller::new("source".into(), settings, interval, self.clone_dir())
    }

    fn bzr_settings(&self) -> BzrSettings {
        BzrSettings {
            url: self.remote().to_string_lossy().into_owned(),
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            blame_merge_author: false,
            branch_name: BranchName::Nick,
            program: None,
            use_timestamps: true,
            revlink: Some("http://x/%s".into()),
            project: "hello".into(),
            category: Some("nightly".into()),
        }
    }

    /// `REVISION AUTHOR COMMENT: FILES` of what is new.
    pub(super) async fn bzr_news(&self, poller: &BzrPoller) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |it: NewChange| {
            let files = it.files.join(", ");
            format!(
                "{} {} {}: {files}",
                it.revision.unwrap(),
                it.author,
                it.comments.trim_end()
            )
        };
        self.taken().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn the_newest_revision_is_told_first_then_each_that_follows_once() {
    let bench = Bench::bzr().await;
    let poller = bench.bzr_poller(|_| {});
    assert_eq!(
        bench.bzr_news(&poller).await,
        [""; 0],
        "nothing was committed"
    );
    bench.bzr_commit("before", &["x"]).await;
    bench.bzr_commit("first", &["a b"]).await;
    assert_eq!(
        bench.bzr_news(&poller).await,
        ["2 Ann <ann@test> first: a b file ADDED"]
    );
    assert_eq!(bench.bzr_news(&poller).await, [""; 0]);

    bench.brz(&["mv", "-q", "a b", "c"]).await;
    bench.bzr_commit("second\n\nadded:\n  fake", &["c"]).await;
    bench.brz(&["rm", "-q", "c"]).await;
    std::fs::create_dir(bench.remote().join("ä")).unwrap();
    bench.bzr_commit("third", &[]).await;
    assert_eq!(
        bench.bzr_news(&poller).await,
        [
            "3 Ann <ann@test> second\n\nadded:\n  fake: a b file RENAMED c, c file MODIFIED",
            "4 Ann <ann@test> third: c file REMOVED, ä directory ADDED",
        ]
    );
}

#[tokio::test]
async fn a_change_names_its_branch_as_it_is_told_to() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let change = bench.taken().remove(0);
    assert_eq!(change.branch.as_deref(), Some("trunk"));
    assert_eq!(
        (change.project.as_str(), change.category.as_deref()),
        ("hello", Some("nightly"))
    );
    assert_eq!(
        (change.revlink.as_str(), change.when.is_some()),
        ("http://x/1", true)
    );
}

#[tokio::test]
async fn a_merge_is_of_who_made_what_it_merges_if_it_is_asked_for() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let asks = bench.bzr_poller(|it| it.blame_merge_author = true);
    bench.bzr_news(&asks).await;
    bench.brz(&["branch", "-q", ".", "../topic"]).await;
    let line = [
        "commit",
        "-q",
        "--unchanged",
        "--author=Bo <bo@test>",
        "-m",
        "topic",
        "../topic",
    ];
    bench.brz(&line).await;
    bench.brz(&["merge", "-q", "../topic"]).await;
    bench.bzr_commit("merged", &[]).await;
    assert_eq!(bench.bzr_news(&asks).await, ["2 Bo <bo@test> merged: "]);
}

#[tokio::test]
async fn an_overwritten_branch_goes_on_where_both_were_the_same() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    bench.bzr_news(&poller).await;
    bench.bzr_commit("second", &["b"]).await;
    bench.bzr_commit("third", &["c"]).await;
    assert_eq!(bench.bzr_news(&poller).await.len(), 2);
    bench.brz(&["uncommit", "-q", "--force"]).await;
    bench.bzr_commit("instead", &["c"]).await;
    bench.bzr_commit("after", &["d"]).await;
    let news = bench.bzr_news(&poller).await;
    let revisions: Vec<&str> = news.iter().map(|it| &it[..1]).collect();
    assert_eq!(revisions, ["3", "4"], "{news:?}");
}

#[tokio::test]
async fn a_branch_that_is_not_there_loses_nothing() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    bench.bzr_news(&poller).await;
    bench.bzr_commit("second", &["b"]).await;
    let (here, away) = (bench.remote(), bench.remote().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    let failed = poller.poll_once(bench.store.as_ref()).await;
    assert!(failed.is_err());
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(bench.bzr_news(&poller).await.len(), 1);
}

#[tokio::test]
async fn a_huge_revision_is_told_without_its_files_and_holds_up_nobody() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("before", &["a"]).await;
    // Of the second the files are more than anybody can read, alone or with others.
    let program = bench.script(
        "bzr.sh",
        "case \"$*\" in *--verbose*)\n\
         range=${*#*--revision=} from=${range%%..*} to=${range#*..} to=${to%% *}\n\
         [ \"$from\" -gt 3 ] || [ \"$to\" -lt 3 ] || exec head -c 100000000 /dev/zero;; esac\n\
         exec bzr \"$@\"",
    );
    let poller = bench.bzr_poller(|it| it.program = Some(program));
    bench.bzr_news(&poller).await;
    for message in ["first", "huge", "last"] {
        bench.bzr_commit(message, &["a"]).await;
    }
    assert_eq!(
        bench.bzr_news(&poller).await,
        [
            "2 Ann <ann@test> first: a file MODIFIED",
            "3 Ann <ann@test> huge: ",
            "4 Ann <ann@test> last: a file MODIFIED",
        ]
    );
}

#[tokio::test]
async fn a_branch_of_bazaar_is_asked_once_for_all_its_sources() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("before", &["a"]).await;
    let calls = bench.dir.path().join("calls");
    let program = bench.script(
        "bzr.sh",
        &format!("echo \"$1\" >> {}\nexec bzr \"$@\"", calls.display()),
    );
    let yard = Yard::at(bench.clone_dir());
    let stores = [Bench::empty(), Bench::empty(), Bench::empty()];
    let pollers = ["one", "two", "three"].map(|name| {
        let settings = BzrSettings {
            program: Some(program.clone()),
            project: name.into(),
            ..bench.bzr_settings()
        };
        BzrPoller::sharing(name.into(), settings, Duration::from_hours(1), &yard)
    });
    let mut since = tokio::time::Instant::now();
    for round in 0..3 {
        bench.bzr_commit(&format!("round {round}"), &["a"]).await;
        drop(std::fs::remove_file(&calls));
        let mut looks = Vec::new();
        for (poller, store) in pollers.iter().zip(&stores) {
            let (polled, at) = poller.poll_since(store.store.as_ref(), since).await;
            polled.unwrap();
            looks.push(at);
            let told = store.store.kept.lock().unwrap().changes.pop().unwrap();
            assert_eq!(told.comments.trim_end(), format!("round {round}"));
            assert_eq!(told.project, poller.name(), "each has its own settings");
        }
        assert!(looks.iter().all(|it| *it == looks[0]), "all go by one look");
        since = looks[0];
        let said = std::fs::read_to_string(&calls).unwrap();
        let asked = match round {
            // Nothing was delivered that could be gone.
            0 => "revision-info log",
            _ => "revision-info revision-info log",
        };
        assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), asked);
    }
    // Who is told that there is something looks itself.
    pollers[1]
        .poll_once(stores[1].store.as_ref())
        .await
        .unwrap();
    let said = std::fs::read_to_string(&calls).unwrap();
    assert_eq!(said.lines().count(), 4);
}
