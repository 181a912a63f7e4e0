//! Another try, some time after the one that failed.

use std::time::Duration;

use super::Checkout;
use crate::model::Command;
use crate::steps::Cx;
use crate::steps::StepError;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// How often more, and after how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) times: u32,
    pub(crate) delay: Duration,
}

/// Nobody reads a log for longer.
const LONGEST: Duration = Duration::from_hours(24);

/// A number, or Buildbot's pair of a delay and a number.
impl Value for Retry {
    const EXPECTED: &'static str = "a number of tries, or a list such as `[10, 3]`";
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node) -> Result<Self, Misread> {
        let (delay, times) = match &node.content {
            Content::List(pair) => match pair.as_slice() {
                [delay, times] => (Duration::read(delay)?, u32::read(times)?),
                _ => return Err(Misread::default()),
            },
            _ => (Duration::ZERO, u32::read(node)?),
        };
        let misread = |what: &str| Misread {
            what: Some(what.into()),
            ..Misread::default()
        };
        match times {
            _ if delay > LONGEST => Err(misread("expected a delay of at most a day")),
            0..=100 => Ok(Self { times, delay }),
            _ => Err(misread("expected at most 100 tries")),
        }
    }
}

/// A wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::steps) struct Pause {
    pub(super) length: Duration,
    /// How often more it may be tried after the next time.
    pub(super) left: u32,
}

/// Tells the reader of the log, and waits.
const WAIT: &str = r#"echo "$1"; exec sleep "$2""#;

impl Checkout {
    /// The wait as a command: so it outlives a restart of the master, and ends when its
    /// build is stopped.
    pub(in crate::steps) fn wait(&self, cx: &Cx<'_>, pause: Pause) -> Result<Command, StepError> {
        let secs = pause.length.as_secs_f64().ceil();
        let more = match pause.left {
            0 => "for the last time".to_owned(),
            1 => "and once more after that".to_owned(),
            times => format!("and {times} times more after that"),
        };
        let told = format!("the checkout failed; it is tried again in {secs} s, {more}");
        let argv = ["/bin/sh", "-c", WAIT, "wait", &told, &secs.to_string()];
        let argv = argv.map(str::to_owned).to_vec();
        let mut shell = self.shell(cx, cx.builder_dir, argv)?;
        // It has nothing to say meanwhile.
        shell.timeout = None;
        Ok(Command::Shell(shell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Exit;
    use crate::model::ExitCause;
    use crate::steps::bench::Bench;
    use crate::steps::bench::err;
    use crate::steps::git::KIND;
    use crate::steps::read::tests::problems_of;
    use crate::steps::read::tests::read_kind;

    const CLONE: &str = "hello/build: git clone --branch master http://x/r .";

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, &format!("repourl = \"http://x/r\"\n{lines}"));
        Bench::new(step.as_ref(), &KIND)
    }

    fn wait(secs: u32, more: &str) -> String {
        let told = format!("the checkout failed; it is tried again in {secs} s, {more}");
        format!("hello: /bin/sh -c {WAIT} wait {told} {secs}")
    }

    #[test]
    fn a_failed_clone_is_tried_again_after_the_delay_as_often_as_said_and_no_oftener() {
        let first = wait(10, "and once more after that");
        let second = wait(10, "for the last time");
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("stat hello/build/.git", 1, &[]),
            (CLONE, 128, &[]),
            (&first, 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (CLONE, 128, &[]),
            (&second, 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (CLONE, 128, &[]),
        ];
        let failed = "failure: update failed; build: git";
        bench("retry = [10, 2]").plays(script, failed);
        bench("").plays(&script[..3], failed);
    }

    #[test]
    fn an_update_that_failed_is_followed_by_a_clone_at_once_and_the_delay_is_for_clones() {
        let waits = wait(2, "for the last time");
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("stat hello/build/.git", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            ("hello/build: git fetch -t http://x/r master", 128, &[]),
            ("rmdir hello/build", 0, &[]),
            (CLONE, 128, &[]),
            (&waits, 1, &[]),
            ("rmdir hello/build", 0, &[]),
        ];
        bench("retry = [1.5, 1]").plays(script, CLONE);
    }

    #[test]
    fn a_branch_that_is_not_there_is_not_waited_for() {
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (
                "hello/build: git clone --branch b http://x/r .",
                128,
                &[err("fatal: Remote branch b not found in upstream origin")],
            ),
        ];
        let lines = "branch = \"b\"\nretry = [1, 3]\nmode = \"clobber\"";
        bench(lines).plays(script, "failure: checkout failed; build: git");
    }

    #[test]
    fn a_clone_that_fell_silent_is_tried_again_and_an_update_is_not_blamed_for_it() {
        let silent = Exit::new(-1, ExitCause::Silence, 1);
        let mut cloned = bench("mode = \"clobber\"\nretry = [3, 1]");
        cloned.begin();
        cloned.ends(0, &[]);
        assert_eq!(cloned.ends(0, &[]), CLONE);
        assert_eq!(cloned.ends_with(&silent, &[]), wait(3, "for the last time"));
        let mut updated = bench("retry = [3, 1]");
        updated.begin();
        updated.ends(0, &[]);
        updated.ends(0, &[]);
        updated.ends(1, &[]);
        let told = updated.ends_with(&silent, &[]);
        assert_eq!(told, "failure: update failed; build: git");
    }

    #[test]
    fn a_wait_has_no_time_limit_of_its_own() {
        let mut bench = bench("mode = \"clobber\"\nretry = [\"1h\", 1]\ntimeout = 5");
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        assert_eq!(bench.ends_shell(128).timeout, None);
    }

    #[test]
    fn a_number_or_a_delay_and_a_number() {
        let problems = problems_of(&KIND, "retry = [10]");
        insta::assert_snapshot!(problems, @"factories/x.toml:2:9: bad value for `retry` in [[steps]]");
        for lines in [
            "retry = [10, 101]",
            "retry = [\"2d\", 1]",
            "retry = [\"x\", 1]",
        ] {
            assert!(problems_of(&KIND, lines).contains("bad value for `retry`"));
        }
        assert_eq!(bench("retry = 2").running_text(), ["updating"]);
    }
}
