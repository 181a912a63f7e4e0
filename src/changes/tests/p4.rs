//! A stand-in for `p4` that writes down what it is asked, and answers from files.

use jiff::tz::TimeZone;

use super::super::p4_poller::Encoding;
use super::super::p4_poller::P4Poller;
use super::super::p4_poller::P4Settings;
use super::super::split::Split;
use super::*;

/// Writes each argument as `[ARGUMENT]`, a line for each call; a question that has no file with
/// its answer fails.
const STAND_IN: &str = r#"#!/bin/sh
cd "${0%/*}" || exit 9
printf '[%s]' "$@" >>asked
echo >>asked
while [ "${1#-}" != "$1" ]; do shift 2; done
answer=$1
[ "$1" = changes ] || answer="$1-$3"
[ -f "$answer" ] || { echo "Perforce password (P4PASSWD) invalid: $*" >&2; exit 1; }
cat "$answer"
"#;

impl Bench {
    fn p4() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let bench = Self::empty();
        bench.write("p4", STAND_IN);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bench.remote().join("p4"), mode).unwrap();
        bench
    }

    fn p4_poller(&self, change: impl FnOnce(&mut P4Settings)) -> P4Poller {
        let mut settings = P4Settings {
            port: None,
            user: None,
            password: None,
            base: "//d/p/".into(),
            program: Some(self.remote().join("p4").to_str().unwrap().into()),
            split: Split::None,
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            encoding: Encoding::Utf8,
            use_timestamps: true,
            revlink: Some("http://x/%s".into()),
            project: "hello".into(),
            category: None,
        };
        change(&mut settings);
        let (name, interval) = ("source".to_owned(), Duration::from_mins(10));
        P4Poller::new(name, settings, interval, self.clone_dir(), TimeZone::UTC)
    }

    /// What was asked since this was last read.
    fn asked(&self) -> Vec<String> {
        let file = self.remote().join("asked");
        let asked = std::fs::read_to_string(&file).unwrap_or_default();
        self.write("asked", "");
        asked.lines().map(str::to_owned).collect()
    }

    fn p4_changes(&self, numbers: &[u64]) {
        let line = |it: &u64| format!("Change {it} on 2006/04/13 by ann@box 'text {it} '\n");
        self.write("changes", &numbers.iter().map(line).collect::<String>());
    }

    fn p4_described(&self, number: u64, files: &[&str]) {
        let files: Vec<String> = files
            .iter()
            .map(|it| format!("... {it}#1 edit\n"))
            .collect();
        let said = format!(
            "Change {number} by ann@box on 2006/04/13 21:55:28\n\n\ttext {number}\n\n\
             Affected files ...\n\n{}\n",
            files.concat()
        );
        self.write(&format!("describe-{number}"), &said);
    }

    /// `REVISION BRANCH FILES` of what is new.
    async fn p4_news(&self, poller: &P4Poller) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |it: NewChange| {
            let (revision, branch) = (it.revision.unwrap(), it.branch.unwrap_or("-".into()));
            format!("{revision} {branch} {}", it.files.join(" "))
        };
        self.taken().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn the_first_look_asks_for_the_newest_number_and_later_ones_for_all_since() {
    let bench = Bench::p4();
    let poller = bench.p4_poller(|_| {});
    bench.p4_changes(&[7]);
    assert_eq!(bench.p4_news(&poller).await, NOTHING);
    assert_eq!(bench.asked(), ["[changes][-m][1][//d/p/...]"]);

    bench.p4_changes(&[]);
    assert_eq!(bench.p4_news(&poller).await, NOTHING);
    assert_eq!(bench.asked(), ["[changes][//d/p/...@8,now]"]);

    bench.p4_changes(&[12, 9]);
    bench.p4_described(12, &["//d/p/b"]);
    bench.p4_described(9, &["//d/p/a b"]);
    assert_eq!(bench.p4_news(&poller).await, ["9 - a b", "12 - b"]);
    let expected = [
        "[changes][//d/p/...@8,now]",
        "[describe][-s][9]",
        "[describe][-s][12]",
    ];
    assert_eq!(bench.asked(), expected);
    assert_eq!(bench.p4_news(&poller).await, NOTHING);
    assert_eq!(bench.asked(), ["[changes][//d/p/...@13,now]"]);
}

#[tokio::test]
async fn port_user_and_password_stand_before_the_question_in_this_order() {
    let bench = Bench::p4();
    let poller = bench.p4_poller(|it| {
        it.port = Some("perforce:1666".into());
        it.user = Some("ann".into());
        it.password = Some("s3cret".into());
    });
    bench.p4_changes(&[7]);
    bench.p4_news(&poller).await;
    let before = "[-p][perforce:1666][-u][ann][-P][s3cret]";
    assert_eq!(
        bench.asked(),
        [format!("{before}[changes][-m][1][//d/p/...]")]
    );
    bench.p4_changes(&[8]);
    let error = poller.poll_once(bench.store.as_ref()).await.unwrap_err();
    let program = bench.remote().join("p4");
    assert_eq!(
        poller.explain(&error),
        format!(
            "failed to reach `//d/p/`: `{} describe` failed with exit code 1: \
             Perforce password (P4PASSWD) invalid: describe -s 8",
            program.display()
        )
    );
    let only = bench.p4_poller(|it| it.user = Some("bo".into()));
    bench.asked();
    bench.p4_news(&only).await;
    assert!(bench.asked()[0].starts_with("[-u][bo][changes]"));
}

#[tokio::test]
async fn a_number_is_a_change_for_each_branch_that_it_touches() {
    let bench = Bench::p4();
    let poller = bench.p4_poller(|it| it.split = Split::Simple);
    bench.p4_changes(&[]);
    bench.p4_news(&poller).await;
    bench.p4_changes(&[3]);
    bench.p4_described(3, &["//d/p/b/f", "//d/p/c/g", "//d/p/top", "//d/q/x"]);
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let changes = bench.taken();
    let branches: Vec<_> = changes
        .iter()
        .map(|it| it.branch.as_deref().unwrap())
        .collect();
    assert_eq!(branches, ["b", "c"]);
    let when = Timestamp::from_secs(1_144_965_328);
    let expected = NewChange {
        author: "ann".into(),
        files: vec!["f".into()],
        comments: "Change 3 by ann@box on 2006/04/13 21:55:28\n\n\ttext 3\n\n".into(),
        revision: Some("3".into()),
        branch: Some("b".into()),
        repository: "//d/p/".into(),
        project: "hello".into(),
        revlink: "http://x/3".into(),
        when: Some(when),
        origin: Some("p4 - //d/p/ b 3 1144965328000".into()),
        ..NewChange::by("ann")
    };
    assert_eq!(changes[0], expected);
    assert_eq!(changes[1].files, ["g"]);
}

#[tokio::test]
async fn a_failure_goes_on_at_the_number_that_failed() {
    let bench = Bench::p4();
    let poller = bench.p4_poller(|_| {});
    bench.p4_changes(&[1]);
    bench.p4_news(&poller).await;
    bench.p4_changes(&[4, 3, 2]);
    bench.p4_described(2, &["//d/p/a"]);
    bench.write("describe-3", "what is this\n");
    let said = bench.fails(&poller).await;
    let expected = "`DIR/remote/p4 describe` printed a line that cannot be read: `what is this`";
    assert_eq!(said, expected);
    assert_eq!(bench.news().len(), 1, "the one before it was told");
    bench.p4_described(3, &["//d/p/b"]);
    bench.p4_described(4, &["//d/q/c"]);
    bench.asked();
    // The stand-in tells what is known again, which is no news.
    assert_eq!(bench.p4_news(&poller).await, ["3 - b"]);
    assert_eq!(bench.asked()[0], "[changes][//d/p/...@3,now]");
    assert_eq!(bench.state()["number"], 4, "a number elsewhere is passed");
    bench.fail_after(Some(0));
    bench.p4_changes(&[5]);
    bench.p4_described(5, &["//d/p/e"]);
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    bench.fail_after(None);
    assert_eq!(bench.p4_news(&poller).await, ["5 - e"]);
}

#[tokio::test]
async fn what_is_not_in_the_encoding_is_replaced_and_latin_1_can_be_said() {
    let bench = Bench::p4();
    let poller = bench.p4_poller(|it| it.encoding = Encoding::Latin1);
    bench.p4_changes(&[]);
    bench.p4_news(&poller).await;
    bench.p4_changes(&[1]);
    let said = b"Change 1 by ann@box on 2006/04/13 21:55:28\n\n\t\xfc\n\nAffected files ...\n\n... //d/p/\xe4#1 edit\n";
    std::fs::write(bench.remote().join("describe-1"), said).unwrap();
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let change = bench.taken().remove(0);
    assert_eq!(change.files, ["ä"]);
    assert!(change.comments.ends_with("\n\n\tü\n\n"));
}

#[tokio::test]
async fn another_depot_starts_afresh() {
    let bench = Bench::p4();
    bench.p4_changes(&[7]);
    bench.p4_news(&bench.p4_poller(|_| {})).await;
    let other = bench.p4_poller(|it| it.base = "//d/q/".into());
    bench.asked();
    assert_eq!(bench.p4_news(&other).await, NOTHING);
    assert_eq!(bench.asked(), ["[changes][-m][1][//d/q/...]"]);
}
