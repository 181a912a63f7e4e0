//! `bitkeeper`: brings the tree to the newest changeset of a repository, or
//! to one of its changesets.

use std::sync::Arc;

use crate::model::Command;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::branch_urls::Branches;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Wanted;
use super::line::rendered;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Texts;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "bitkeeper",
    aliases: &["bk"],
    step_name: "bk",
    summary: "Checks out a BitKeeper repository.",
    example: r#"repourl = "bk://example.org/hello"
extra_args = ["-q"]
mode = "full"
method = "copy""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(BitKeeper::read(keys)?)),
};

const METHODS: &[(&str, Mode)] = &[("clobber", Mode::Clobber), ("copy", Mode::Copy)];

#[derive(Clone, Debug)]
struct BitKeeper {
    branches: Branches,
    /// For `bk clone`.
    extra_args: Vec<Text>,
}

impl BitKeeper {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let branches = Branches::read(keys, "bkurl", METHODS);
        let extra_args = keys.or("extra_args", Texts::default());
        Some(Self {
            branches: branches?,
            extra_args: extra_args?.0,
        })
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let place = self.branches.wanted(cx)?;
        let revision = match place.is_about_this {
            true => vcs::revision(&self.branches.checkout, cx, vcs::last),
            false => None,
        };
        let wanted = Wanted {
            revision,
            ..place.wanted
        };
        wanted.check()?;
        Ok(Begun {
            wanted,
            extra_args: rendered(&self.extra_args, cx.properties)?,
        })
    }
}

impl Steps for BitKeeper {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.branches.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.branches.is_about(cx)
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for BitKeeper {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

struct Begun {
    wanted: Wanted,
    extra_args: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    Clone,
    Pull,
    Revision,
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn own_dir(&self) -> &'static str {
        "BK"
    }

    /// Changesets are pulled, never taken away.
    fn can_update(&self) -> bool {
        self.wanted.revision.is_none()
    }

    fn prepare(&self) -> Vec<Job> {
        vec![Job::Version]
    }

    fn update(&self) -> Vec<Job> {
        vec![Job::Pull]
    }

    fn full(&self) -> Vec<Job> {
        vec![Job::Clone]
    }

    fn conclude(&self) -> Vec<Job> {
        vec![Job::Revision]
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let shell = match job {
            Job::Version => site.beside(&["bk", "version"])?,
            Job::Clone => {
                let mut argv = vec!["bk".to_owned(), "clone".to_owned()];
                argv.extend(self.wanted.revision.iter().map(|it| format!("-r{it}")));
                argv.extend(self.extra_args.iter().cloned());
                argv.extend([self.wanted.url.clone(), site.work.to_owned()]);
                site.beside(&argv)?
            }
            Job::Pull => site.inside(&["bk", "pull"])?,
            Job::Revision => site.inside(&["bk", "changes", "-r+", "-d:REV:"])?,
        };
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        if *job == Job::Revision && ended.exit.is_success() {
            let said = ended.output.stdout(1000);
            if let Some(revision) = said.split_whitespace().next() {
                cx.properties
                    .set_runtime("got_revision", revision, checkout::SOURCE);
            }
        }
        vcs::by_exit(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;

    const MARK: &str = "BK/autobot-0c29a31b8978d005";

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, &format!("bkurl = \"https://x/r\"\n{lines}"));
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn a_repository_is_pulled_or_cloned() {
        let mut pulled = bench("mode = \"incremental\"");
        let look = format!("stat hello/build/{MARK}");
        let revision = "hello/build: bk changes -r+ -d:REV:";
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bk version", 0, &[]),
            (&look, 0, &[]),
            ("hello/build: bk pull", 0, &[]),
            (revision, 0, &[out("1.2034")]),
        ];
        plays(&mut pulled, script, "success: update");
        assert_eq!(pulled.properties.text("got_revision"), Some("1.2034"));

        let mark = format!("write hello/build/{MARK}: ");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bk version", 0, &[]),
            (&look, 0, &[]),
            ("hello/build: bk pull", 1, &[]),
            ("rmdir hello/build", 0, &[]),
            ("hello: bk clone -q https://x/r build", 0, &[]),
            (revision, 0, &[out("1.2034")]),
            (&mark, 0, &[]),
        ];
        plays(
            &mut bench("extra_args = [\"-q\"]"),
            script,
            "success: update",
        );
    }

    #[test]
    fn a_wanted_changeset_is_cloned_for_itself() {
        let mut bench = bench("mode = \"full\"\nmethod = \"copy\"");
        bench.stamp.revision = Some("1.7".into());
        let mark = format!("write hello/source/{MARK}: ");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bk version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("rmdir hello/source", 0, &[]),
            ("hello: bk clone -r1.7 https://x/r source", 0, &[]),
            ("hello/source: bk changes -r+ -d:REV:", 0, &[out("1.7")]),
            (&mark, 0, &[]),
            ("cpdir hello/source hello/build", 0, &[]),
        ];
        plays(&mut bench, script, "success: update");
    }

    #[test]
    fn what_looks_like_an_option_reaches_no_program() {
        let mut bench = bench("");
        bench.stamp.revision = Some("-x".into());
        assert_eq!(
            begin(&mut bench),
            "error: the revision `-x` begins with `-`"
        );
    }
}
