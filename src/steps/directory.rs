//! `make_directory` and `remove_directory`: files on the slave without a program.

use std::sync::Arc;

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Outcome;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::paths;
use super::texts::verdict;

const FLAGS: Flags = Flags {
    halt_on_failure: true,
    flunk_on_failure: true,
    ..Flags::NONE
};

pub(super) const MAKE: StepKind = StepKind {
    name: "make_directory",
    aliases: &["mkdir"],
    step_name: "MakeDirectory",
    summary: "Makes a directory in the builder's, with its parents; one that exists is fine.",
    example: r#"dir = "build/out""#,
    flags: FLAGS,
    read: |keys| Some(Arc::new(Directory::read(Act::Make, keys)?)),
};

pub(super) const REMOVE: StepKind = StepKind {
    name: "remove_directory",
    aliases: &["rmdir"],
    step_name: "RemoveDirectory",
    summary: "Removes a directory in the builder's; one that is missing is fine.",
    example: r#"dir = "build/out""#,
    flags: FLAGS,
    read: |keys| Some(Arc::new(Directory::read(Act::Remove, keys)?)),
};

#[derive(Clone, Copy, Debug)]
enum Act {
    Make,
    Remove,
}

#[derive(Clone, Debug)]
struct Directory {
    act: Act,
    /// Relative to the builder's directory, not to the work directory.
    dir: Text,
}

impl Directory {
    fn read(act: Act, keys: &mut Keys<'_>) -> Option<Self> {
        let dir = keys.required("dir")?;
        Some(Self { act, dir })
    }
}

impl Step for Directory {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for Directory {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            let dir = self.dir.render(cx.properties)?;
            let dir = paths::inside_builder(cx.builder_dir, &dir)?;
            return Ok(Move::Run(Command::File(match self.act {
                Act::Make => FileCommand::Mkdir { dir },
                Act::Remove => FileCommand::Rmdir { dir, why: None },
            })));
        };
        if ended.exit.is_success() {
            let done = self.done_text(cx);
            return Ok(Move::Done(verdict(cx, Outcome::Success, done)));
        }
        let mut verdict = verdict(cx, Outcome::Failure, Vec::new());
        verdict.text = vec![match self.act {
            Act::Make => "Create failed.".into(),
            Act::Remove => "Delete failed.".into(),
        }];
        Ok(Move::Done(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    fn directory(act: Act, dir: &str) -> Directory {
        Directory {
            act,
            dir: Text::parse(dir).expect(dir),
        }
    }

    #[test]
    fn directories_are_the_builders_own() {
        let mut bench = Bench::new(&directory(Act::Make, "build/%(name:-x)s"), &MAKE);
        assert_eq!(bench.begin(), "mkdir hello/build/x");
        assert_eq!(bench.ends(0, &[]), "success: MakeDirectory");

        let mut bench = Bench::new(&directory(Act::Remove, "../other"), &REMOVE);
        let expected = "error: `../other` is not a directory below the builder's own";
        assert_eq!(bench.begin(), expected);
    }

    #[test]
    fn a_directory_that_is_gone_leaves_the_name_of_the_step() {
        let mut bench = Bench::new(&directory(Act::Remove, "%(dir)s"), &REMOVE);
        bench.properties.set("dir", "build", "test");
        assert_eq!(bench.running_text(), ["RemoveDirectory"]);
        assert_eq!(bench.begin(), "rmdir hello/build");
        assert_eq!(bench.ends(0, &[]), "success: RemoveDirectory");
    }

    #[test]
    fn a_directory_that_stays_is_a_failure() {
        let mut bench = Bench::new(&directory(Act::Remove, "build"), &REMOVE);
        assert_eq!(bench.begin(), "rmdir hello/build");
        let expected = "failure: Delete failed.; build: RemoveDirectory";
        assert_eq!(bench.ends(1, &[]), expected);
    }
}
