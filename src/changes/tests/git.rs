//! Real git.

use super::*;

#[tokio::test]
async fn git_commits_come_oldest_first_and_once() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    assert_eq!(bench.poll(&poller).await, NOTHING);

    bench.git_commit("one").await;
    bench.git_commit("two").await;
    assert_eq!(bench.poll(&poller).await, ["one", "two"]);
    assert_eq!(bench.poll(&poller).await, NOTHING);

    // A restarted master knows no more than the store.
    bench.git_commit("three").await;
    assert_eq!(bench.poll(&bench.git_poller()).await, ["three"]);
}

#[tokio::test]
async fn a_git_change_says_what_people_know_it_by() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;

    bench.write("a b", "x");
    bench.write("ü\n\"x\"", "x");
    let revision = bench.git_commit("subject\nline\n\nbody\n").await;
    poller.poll_once(bench.store.as_ref()).await.unwrap();

    let changes = bench.taken();
    let url = bench.settings(None).url;
    assert_eq!(
        changes,
        [NewChange {
            files: vec!["a b".into(), "file".into(), "ü\n\"x\"".into()],
            comments: "subject line\nbody".into(),
            revision: Some(revision.clone()),
            branch: Some("master".into()),
            category: Some("nightly".into()),
            repository: url.clone(),
            project: "hello".into(),
            when: Some(Timestamp::from_secs(1_200_000_000)),
            vc: Some(Vc::Git),
            origin: Some(format!("git {url} master {revision}")),
            ..NewChange::by("ann@example.org")
        }]
    );
}

#[tokio::test]
async fn odd_git_commits_are_changes_too() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = GitPoller::new(SourceSettings {
        use_timestamps: false,
        ..bench.settings(None)
    });
    bench.poll(&poller).await;

    let empty = [
        "commit",
        "-q",
        "--allow-empty",
        "--allow-empty-message",
        "-m",
        "",
    ];
    bench.run("git", &empty).await;
    // Neither an author nor UTF-8, as only a broken tool writes them.
    let tree = bench.run("git", &["rev-parse", "HEAD^{tree}"]).await;
    let parent = bench.run("git", &["rev-parse", "HEAD"]).await;
    let mut raw =
        format!("tree {tree}\nparent {parent}\nauthor  <> 0 +0000\ncommitter  <> 0 +0000\n\n");
    raw.push('\u{1}');
    let mut raw = raw.into_bytes();
    raw.extend(b"\xff\xfe bad\n");
    std::fs::write(bench.remote().join(".git/raw"), raw).unwrap();
    let write = [
        "hash-object",
        "--literally",
        "-t",
        "commit",
        "-w",
        ".git/raw",
    ];
    let odd = bench.run("git", &write).await;
    bench.run("git", &["reset", "-q", "--hard", &odd]).await;
    bench.git_commit("after").await;

    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let changes = bench.taken();
    let comments: Vec<_> = changes.iter().map(|it| it.comments.as_str()).collect();
    assert_eq!(comments, ["", "\u{1}\u{fffd}\u{fffd} bad", "after"]);
    assert_eq!(changes[1].author, "");
    assert_eq!(changes[1].files, NOTHING);
    assert!(changes.iter().all(|it| it.when.is_none()));
}

#[tokio::test]
async fn a_merge_brings_what_was_merged() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;

    bench.run("git", &["checkout", "-q", "-b", "side"]).await;
    bench.write("other", "x");
    bench.run("git", &["add", "-A"]).await;
    bench.run("git", &["commit", "-q", "-m", "aside"]).await;
    assert_eq!(bench.poll(&poller).await, NOTHING);

    bench.run("git", &["checkout", "-q", "master"]).await;
    bench.git_commit("main").await;
    bench
        .run("git", &["merge", "-q", "-m", "merged", "side"])
        .await;
    let mut news = bench.poll(&poller).await;
    assert_eq!(news.pop().as_deref(), Some("merged"));
    news.sort();
    assert_eq!(news, ["aside", "main"]);
}

#[tokio::test]
async fn a_rewritten_git_history_tells_only_what_is_new() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;
    bench.git_commit("old").await;
    assert_eq!(bench.poll(&poller).await, ["old"]);

    bench.run("git", &["reset", "-q", "--hard", "HEAD~1"]).await;
    bench.git_commit("new").await;
    bench.git_commit("newer").await;
    assert_eq!(bench.poll(&poller).await, ["new", "newer"]);

    // Back to what is known is no news, and onward from there is.
    bench.run("git", &["reset", "-q", "--hard", "HEAD~1"]).await;
    assert_eq!(bench.poll(&poller).await, NOTHING);
    bench.git_commit("onward").await;
    assert_eq!(bench.poll(&poller).await, ["onward"]);
}

#[tokio::test]
async fn a_delivery_that_fails_is_repeated_and_nothing_else_is() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;

    bench.git_commit("one").await;
    bench.fail_after(Some(0));
    let said = bench.fails(&poller).await;
    assert_eq!(said, "failed to keep changes: disk full");
    assert_eq!(bench.news(), NOTHING);

    bench.git_commit("two").await;
    bench.fail_after(None);
    assert_eq!(bench.poll(&bench.git_poller()).await, ["one", "two"]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
}

#[tokio::test]
async fn a_long_history_is_continued_in_the_middle() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;
    bench.sizes();

    // Two lines of 150 that are merged: wherever the first delivery ends,
    // one line alone would not say how far it came.
    let mut stream = String::new();
    for (line, name) in ["refs/heads/side", "refs/heads/master"].iter().enumerate() {
        for number in 0..150 {
            stream.push_str(&format!(
                "commit {name}\ncommitter Ann <ann@example.org> {} +0000\ndata 5\n{line}-{number:03}\n",
                1_300_000_000 + number
            ));
            if number == 0 {
                stream.push_str("from refs/heads/master^0\n");
            }
            stream.push('\n');
        }
    }
    std::fs::write(bench.remote().join(".git/stream"), stream).unwrap();
    let import = [
        "-c",
        "alias.im=!git fast-import --quiet < .git/stream",
        "im",
    ];
    bench.run("git", &["branch", "side"]).await;
    bench.run("git", &import).await;
    bench.run("git", &["reset", "-q", "--hard"]).await;
    bench
        .run("git", &["merge", "-q", "--no-ff", "-m", "merged", "side"])
        .await;

    bench.fail_after(Some(1));
    bench.fails(&poller).await;
    bench.fail_after(None);
    std::fs::remove_dir_all(bench.clone_dir()).unwrap();
    poller.poll_once(bench.store.as_ref()).await.unwrap();

    assert_eq!(bench.sizes(), [200, 101]);
    let mut news = bench.news();
    assert_eq!(news.pop().as_deref(), Some("merged"));
    news.sort();
    let expected =
        (0..2).flat_map(|line| (0..150).map(move |number| format!("{line}-{number:03}")));
    assert_eq!(news, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_missing_branch_is_reported_and_its_newest_commit_is_news_when_it_appears() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = GitPoller::new(bench.settings(Some("later")));
    let missing = "`DIR/remote` has no branch `later` yet";
    assert_eq!(bench.fails(&poller).await, missing);
    assert_eq!(bench.state()["heads"], json!([]));

    bench.run("git", &["checkout", "-q", "-b", "later"]).await;
    bench.git_commit("one").await;
    bench.git_commit("two").await;
    assert_eq!(bench.poll(&poller).await, ["two"]);

    // Gone and back again, it goes on where it was.
    bench.run("git", &["checkout", "-q", "-b", "other"]).await;
    bench.run("git", &["branch", "-q", "-D", "later"]).await;
    assert_eq!(bench.fails(&poller).await, missing);
    bench.run("git", &["checkout", "-q", "-b", "later"]).await;
    bench.git_commit("three").await;
    assert_eq!(bench.poll(&poller).await, ["three"]);
}

#[tokio::test]
async fn a_repository_without_master_is_followed_where_it_points() {
    let bench = Bench::git().await;
    bench.run("git", &["checkout", "-q", "-b", "trunk"]).await;
    let poller = bench.git_poller();
    let missing = "`DIR/remote` has no branch `master` yet";
    assert_eq!(bench.fails(&poller).await, missing);

    bench.git_commit("first").await;
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let changes = bench.taken();
    assert_eq!(changes[0].comments, "first");
    assert_eq!(changes[0].branch, None);
}

#[tokio::test]
async fn an_unreachable_remote_loses_nothing() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;
    bench.git_commit("one").await;

    let away = bench.dir.path().join("away");
    std::fs::rename(bench.remote(), &away).unwrap();
    let said = bench.fails(&poller).await;
    assert_eq!(said, "failed to reach `DIR/remote`");
    std::fs::rename(&away, bench.remote()).unwrap();
    assert_eq!(bench.poll(&poller).await, ["one"]);
}

#[tokio::test]
async fn a_damaged_git_clone_is_made_afresh() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;

    for (message, damaged) in [("one", "HEAD"), ("two", "objects"), ("three", "config")] {
        bench.git_commit(message).await;
        let damaged = bench.clone_dir().join(damaged);
        match damaged.is_dir() {
            true => std::fs::remove_dir_all(&damaged).unwrap(),
            false => std::fs::write(&damaged, "garbage").unwrap(),
        }
        assert_eq!(bench.poll(&poller).await, [message]);
    }

    // What was delivered last is nowhere any more: the newest is enough.
    bench
        .run("git", &["checkout", "-q", "--orphan", "fresh"])
        .await;
    bench.git_commit("other root").await;
    bench.git_commit("other").await;
    bench
        .run("git", &["branch", "-q", "-M", "fresh", "master"])
        .await;
    std::fs::remove_dir_all(bench.clone_dir()).unwrap();
    assert_eq!(bench.poll(&poller).await, ["other"]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
}

#[tokio::test]
async fn hostile_branch_names_reach_no_program() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let proof = bench.dir.path().join("proof");
    let names = [
        "-x",
        "--upload-pack=touch proof",
        "a:b",
        "*",
        "^x",
        "a b",
        "..",
        "x\nmaster",
        "",
    ];
    for name in names {
        let poller = GitPoller::new(bench.settings(Some(name)));
        let said = bench.fails(&poller).await;
        let shown = name.escape_debug();
        let expected = format!("branch `{shown}` is refused: ");
        assert!(said.starts_with(&expected), "{said}");
    }
    let upload = format!("--upload-pack=touch {}", proof.display());
    for url in [upload.as_str(), "-x", "", "a\0b"] {
        let poller = GitPoller::new(SourceSettings {
            url: url.into(),
            ..bench.settings(None)
        });
        let said = bench.fails(&poller).await;
        assert!(said.starts_with("repository `"), "{said}");
    }
    assert!(!proof.exists());
    assert!(bench.state().is_null());
}

#[tokio::test]
async fn a_repository_in_the_environment_is_left_alone() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    let program = bench.dir.path().join("git.sh");
    let script =
        "#!/bin/sh\nexport GIT_DIR=/nowhere GIT_INDEX_FILE=/nowhere/index\nexec git \"$@\"\n";
    std::fs::write(&program, script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    let poller = GitPoller::new(SourceSettings {
        program: Some(program.to_str().unwrap().into()),
        ..bench.settings(None)
    });
    bench.poll(&poller).await;
    bench.git_commit("one").await;
    assert_eq!(bench.poll(&poller).await, ["one"]);
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let bench = Bench::git().await;
    let settings = SourceSettings {
        program: Some("/nowhere/git".into()),
        ..bench.settings(None)
    };
    let polled = GitPoller::new(settings.clone())
        .poll_once(bench.store.as_ref())
        .await;
    let reason = settings.explain(&polled.unwrap_err());
    assert!(reason.contains("`/nowhere/git`"), "{reason}");
}

#[tokio::test]
async fn another_branch_under_the_same_name_starts_afresh() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    bench.poll(&bench.git_poller()).await;
    bench.run("git", &["checkout", "-q", "-b", "dev/ü"]).await;
    bench.git_commit("one").await;

    let poller = GitPoller::new(bench.settings(Some("dev/ü")));
    assert_eq!(bench.poll(&poller).await, NOTHING);
    bench.git_commit("two").await;
    assert_eq!(bench.poll(&poller).await, ["two"]);
}

#[tokio::test]
async fn a_poller_runs_at_once_and_again_when_woken() {
    let mut bench = Bench::git().await;
    let stop = CancellationToken::new();
    let wake = Arc::new(Notify::new());
    let store: Arc<dyn Sink> = bench.store.clone();
    let task = tokio::spawn(run(bench.git_poller(), store, stop.clone(), wake.clone()));

    let report = bench.reports.recv().await.unwrap();
    let missing = format!("`{}` has no branch `master` yet", bench.remote().display());
    assert_eq!(report, Err(missing));

    bench.git_commit("one").await;
    wake.notify_one();
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    assert_eq!(bench.news(), ["one"]);

    stop.cancel();
    task.await.unwrap();
}
