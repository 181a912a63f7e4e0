//! Several branches of real git.

use super::super::Followed;
use super::super::Settings;
use super::super::branches::Patterns;
use super::super::branches::Wanted;
use super::super::git_refs::GitRefs;
use super::super::yard::Yard;
use super::super::yard::Yards;
use super::*;

fn patterns(all: &[&str]) -> Option<Patterns> {
    let all: Vec<String> = all.iter().map(|it| (*it).to_owned()).collect();
    (!all.is_empty()).then(|| Patterns::new(all))
}

/// Of these branches, tags and other refs.
fn refs_poller(bench: &Bench, branches: &[&str], tags: &[&str], refs: &[&str]) -> GitRefs {
    let wanted = Wanted {
        branches: patterns(branches),
        tags: patterns(tags),
        refs: patterns(refs),
    };
    GitRefs::new(bench.settings(None), wanted, &Yard::at(bench.clone_dir()))
}

fn poller(bench: &Bench, branches: &[&str]) -> GitRefs {
    refs_poller(bench, branches, &[], &[])
}

impl Bench {
    async fn on_branch(&self, branch: &str, message: &str) -> String {
        self.run("git", &["checkout", "-q", branch]).await;
        self.git_commit(message).await
    }

    async fn told<P: Poll>(&self, poller: &P) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |it: NewChange| format!("{}: {}", it.branch.unwrap_or_default(), it.comments);
        self.taken().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn each_branch_tells_its_own_commits() {
    let bench = Bench::git().await;
    let poller = poller(&bench, &["master", "release/*"]);
    assert_eq!(bench.told(&poller).await, NOTHING, "it is empty");
    bench.git_commit("first").await;
    assert_eq!(bench.told(&poller).await, ["master: first"], "it is new");
    assert_eq!(bench.told(&poller).await, NOTHING);

    for branch in ["release/1.0", "feature"] {
        bench.run("git", &["branch", branch]).await;
    }
    assert_eq!(bench.told(&poller).await, ["release/1.0: first"]);
    bench.on_branch("release/1.0", "fix").await;
    bench.on_branch("feature", "aside").await;
    bench.on_branch("master", "two").await;
    bench.git_commit("three").await;
    let expected = ["master: two", "master: three", "release/1.0: fix"];
    assert_eq!(bench.told(&poller).await, expected);
    assert_eq!(bench.told(&poller).await, NOTHING);

    // What is merged is news of the branch that it is merged into.
    bench.run("git", &["checkout", "-q", "release/1.0"]).await;
    bench
        .run(
            "git",
            &["merge", "-q", "-X", "ours", "-m", "merge", "master"],
        )
        .await;
    let told = bench.told(&poller).await;
    assert_eq!(told.last().map(String::as_str), Some("release/1.0: merge"));
    assert_eq!(told.len(), 3, "{told:?}");
}

#[tokio::test]
async fn the_first_look_only_notes_where_the_branches_are() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    bench.run("git", &["branch", "other"]).await;
    assert_eq!(bench.told(&poller(&bench, &["*"])).await, NOTHING);
    bench.on_branch("other", "after").await;
    assert_eq!(bench.told(&poller(&bench, &["*"])).await, ["other: after"]);
}

#[tokio::test]
async fn a_branch_goes_and_comes_back_as_another_kind_of_name() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = poller(&bench, &["*"]);
    bench.told(&poller).await;
    bench.run("git", &["branch", "a"]).await;
    assert_eq!(bench.told(&poller).await, ["a: base"]);
    bench.run("git", &["branch", "-q", "-D", "a"]).await;
    bench.run("git", &["branch", "a/b"]).await;
    assert_eq!(bench.told(&poller).await, ["a/b: base"]);
    let known = bench.state()["branches"].clone();
    let known: Vec<_> = known.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, ["a/b", "master"]);
}

#[tokio::test]
async fn what_is_not_kept_is_told_again_and_what_is_kept_is_not() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = poller(&bench, &["*"]);
    bench.told(&poller).await;
    bench.run("git", &["branch", "b"]).await;
    bench.on_branch("b", "of b").await;
    bench.on_branch("master", "of master").await;
    // `b` is kept, `master` is not.
    bench.fail_after(Some(1));
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    assert_eq!(bench.news(), ["of b"]);
    bench.fail_after(None);
    assert_eq!(bench.told(&poller).await, ["master: of master"]);

    // A rewritten branch, and no clone to know what it was.
    bench
        .run("git", &["commit", "-q", "--amend", "-m", "rewritten"])
        .await;
    bench.on_branch("b", "more of b").await;
    std::fs::remove_dir_all(bench.clone_dir()).unwrap();
    let expected = ["b: more of b", "master: rewritten"];
    assert_eq!(bench.told(&poller).await, expected);
}

#[tokio::test]
async fn what_is_configured_is_what_runs() {
    let mut bench = Bench::git().await;
    bench.git_commit("base").await;
    bench.run("git", &["branch", "release/1"]).await;
    let followed = Followed {
        branches: Some(Patterns::new(vec!["release/*".into()])),
        poll_interval: Some(Duration::from_hours(1)),
        revlink: Some("http://x/%s".into()),
        ..Followed::new(bench.settings(None).url, None)
    };
    let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
    let (store, nudge, end) = (bench.store.clone(), wake.clone(), stop.clone());
    let dir = bench.clone_dir();
    let task = tokio::spawn(async move {
        let settings = Settings::Git(followed);
        let yards = Yards::new(dir.clone());
        super::super::run("source", &settings, &yards, store, end, nudge).await;
    });
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    bench.on_branch("master", "aside").await;
    let revision = bench.on_branch("release/1", "ours").await;
    wake.notify_one();
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    let told: Vec<_> = bench.taken().into_iter().map(|it| it.revlink).collect();
    assert_eq!(told, [format!("http://x/{revision}")]);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_tag_is_told_when_it_appears_and_when_it_moves_and_what_is_before_it_is_not() {
    let bench = Bench::git().await;
    let first = bench.git_commit("first").await;
    bench.run("git", &["tag", "v0"]).await;
    let poller = refs_poller(&bench, &[], &["v*"], &[]);
    assert_eq!(bench.told(&poller).await, NOTHING, "it was there before");
    bench.git_commit("second").await;
    let third = bench.git_commit("third").await;
    bench.run("git", &["tag", "v1"]).await;
    bench.run("git", &["tag", "old-v1"]).await;
    let annotated = ["tag", "-a", "-m", "said of the tag", "v2", &first];
    bench.run("git", &annotated).await;
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let told: Vec<_> = bench
        .taken()
        .into_iter()
        .map(|it| (it.branch, it.revision))
        .collect();
    let expected = [("refs/tags/v1", third), ("refs/tags/v2", first)];
    let expected = expected.map(|(name, revision)| (Some(name.to_owned()), Some(revision)));
    assert_eq!(told, expected);
    assert_eq!(bench.told(&poller).await, NOTHING);

    // Moved, with many commits between; and gone.
    bench.git_commit("fourth").await;
    bench.git_commit("fifth").await;
    bench.run("git", &["tag", "-f", "v1"]).await;
    bench.run("git", &["tag", "-d", "v2"]).await;
    assert_eq!(bench.told(&poller).await, ["refs/tags/v1: fifth"]);
    assert_eq!(bench.told(&poller).await, NOTHING);
    assert_eq!(bench.state()["tags"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_tag_of_what_is_no_commit_holds_up_nobody() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = refs_poller(&bench, &["*"], &["*"], &["refs/notes/*"]);
    bench.told(&poller).await;
    bench.run("git", &["tag", "file", "HEAD:file"]).await;
    bench
        .run("git", &["tag", "-a", "-m", "tree", "tree", "HEAD^{tree}"])
        .await;
    bench
        .run("git", &["update-ref", "refs/notes/blob", "HEAD:file"])
        .await;
    bench.run("git", &["tag", "z"]).await;
    assert_eq!(bench.told(&poller).await, ["refs/tags/z: base"]);
    bench.git_commit("next").await;
    assert_eq!(bench.told(&poller).await, ["master: next"]);
    let clone = bench.clone_dir();
    assert!(
        !clone.with_file_name("one.fresh").exists(),
        "the clone is well"
    );
}

#[tokio::test]
async fn bare_refs_are_followed_as_branches_are() {
    let bench = Bench::git().await;
    let base = bench.git_commit("base").await;
    let poller = refs_poller(&bench, &["master"], &[], &["refs/pull/*/head"]);
    bench.told(&poller).await;
    bench.run("git", &["checkout", "-q", "--detach"]).await;
    bench.git_commit("asked for").await;
    for name in ["refs/pull/7/head", "refs/pull/7/merge"] {
        bench.run("git", &["update-ref", name, "HEAD"]).await;
    }
    assert_eq!(bench.told(&poller).await, ["refs/pull/7/head: asked for"]);
    bench.git_commit("better").await;
    bench.git_commit("good").await;
    bench
        .run("git", &["update-ref", "refs/pull/7/head", "HEAD"])
        .await;
    let expected = ["refs/pull/7/head: better", "refs/pull/7/head: good"];
    assert_eq!(bench.told(&poller).await, expected);
    bench
        .run("git", &["update-ref", "refs/pull/7/head", &base])
        .await;
    assert_eq!(bench.told(&poller).await, NOTHING, "it went back");
}

#[tokio::test]
async fn a_renamed_branch_is_gone_and_appears_and_one_pushed_by_force_tells_what_is_new() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = poller(&bench, &["*"]);
    bench.told(&poller).await;
    bench.run("git", &["checkout", "-q", "-b", "old"]).await;
    bench.git_commit("one").await;
    assert_eq!(bench.told(&poller).await, ["old: one"]);
    bench.run("git", &["branch", "-q", "-m", "new"]).await;
    assert_eq!(bench.told(&poller).await, ["new: one"]);
    bench.git_commit("two").await;
    assert_eq!(bench.told(&poller).await, ["new: two"]);
    bench.run("git", &["reset", "-q", "--hard", "HEAD~2"]).await;
    bench.git_commit("instead").await;
    bench.git_commit("after").await;
    assert_eq!(bench.told(&poller).await, ["new: instead", "new: after"]);
}

#[tokio::test]
async fn what_is_asked_for_from_now_on_is_noted_and_what_was_is_not_forgotten() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    for name in ["side", "topic/a"] {
        bench.run("git", &["branch", name]).await;
    }
    bench.poll(&bench.git_poller()).await;
    let named = GitPoller::new(bench.settings(Some("side")));
    bench.poll(&named).await;
    bench.on_branch("side", "while the file was written").await;
    bench.on_branch("topic/a", "nobody followed it").await;
    bench.run("git", &["tag", "v1"]).await;

    let more = refs_poller(&bench, &["side", "topic/*"], &["*"], &[]);
    let expected = ["side: while the file was written"];
    assert_eq!(bench.told(&more).await, expected);
    bench.run("git", &["branch", "topic/b"]).await;
    assert_eq!(bench.told(&more).await, ["topic/b: nobody followed it"]);
    // And back again.
    bench.on_branch("side", "while it was written again").await;
    assert_eq!(bench.poll(&named).await, ["while it was written again"]);
}

#[tokio::test]
async fn a_repository_is_asked_and_fetched_once_for_all_its_sources() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    for name in ["a", "b"] {
        bench.run("git", &["branch", name]).await;
    }
    let calls = bench.dir.path().join("calls");
    let program = bench.script(
        "git.sh",
        &format!("echo \"$2\" >> {}\nexec git \"$@\"", calls.display()),
    );
    let yard = Yard::at(bench.clone_dir());
    let settings = |branch: &str| SourceSettings {
        program: Some(program.clone()),
        name: format!("source {branch}"),
        ..bench.settings(Some(branch))
    };
    let stores: Vec<Bench> = (0..3).map(|_| Bench::empty()).collect();
    let one = GitPoller::sharing(settings("a"), &yard);
    let two = GitPoller::sharing(settings("b"), &yard);
    let wanted = Wanted {
        branches: patterns(&["*"]),
        ..Wanted::default()
    };
    let all = GitRefs::new(settings("c"), wanted, &yard);
    let long_ago = tokio::time::Instant::now();
    let count = |verb: &str| {
        let said = std::fs::read_to_string(&calls).unwrap_or_default();
        said.lines().filter(|it| *it == verb).count()
    };
    // Each is asked for only when somebody has shown that it wants it.
    for (poller, store) in [(&one, &stores[0]), (&two, &stores[1])] {
        poller
            .poll_since(store.store.as_ref(), long_ago)
            .await
            .0
            .unwrap();
    }
    all.poll_since(stores[2].store.as_ref(), long_ago)
        .await
        .0
        .unwrap();
    let mut since = tokio::time::Instant::now();
    for round in 0..3 {
        bench.on_branch("a", &format!("a {round}")).await;
        bench.on_branch("b", &format!("b {round}")).await;
        drop(std::fs::remove_file(&calls));
        let (polled, at) = two.poll_since(stores[1].store.as_ref(), since).await;
        polled.unwrap();
        for polled in [
            one.poll_since(stores[0].store.as_ref(), since).await,
            all.poll_since(stores[2].store.as_ref(), since).await,
        ] {
            polled.0.unwrap();
            assert_eq!(polled.1, at, "it goes by the look of the first");
        }
        since = at;
        assert_eq!((count("ls-remote"), count("fetch")), (1, 1));
        assert_eq!(stores[0].news(), [format!("a {round}")]);
        assert_eq!(stores[1].news(), [format!("b {round}")]);
        assert_eq!(
            stores[2].news(),
            [format!("a {round}"), format!("b {round}")]
        );
    }
    let clones = std::fs::read_dir(bench.clone_dir().parent().unwrap()).unwrap();
    assert_eq!(clones.count(), 1);
    // Who is told that there is something looks itself.
    one.poll_once(stores[0].store.as_ref()).await.unwrap();
    assert_eq!(count("ls-remote"), 2);
}
