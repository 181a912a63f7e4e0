//! `file_exists`: whether something is there, and is a file.

use std::sync::Arc;

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::FileKind;
use crate::model::FileResult;
use crate::model::Outcome;
use crate::model::Text;

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

pub(super) const KIND: StepKind = StepKind {
    name: "file_exists",
    aliases: &[],
    step_name: "FileExists",
    summary: "Fails unless a file is there, in the builder's directory.",
    example: r#"file = "build/configure""#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let file = keys.required("file")?;
        Some(Arc::new(FileExists { file }))
    },
};

#[derive(Clone, Debug)]
struct FileExists {
    /// Relative to the builder's directory, not to the work directory.
    file: Text,
}

impl Step for FileExists {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for FileExists {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            let file = self.file.render(cx.properties)?;
            let path = paths::inside_builder(cx.builder_dir, &file)?;
            return Ok(Move::Run(Command::File(FileCommand::Stat { path })));
        };
        let (outcome, text) = match &ended.exit.result {
            _ if !ended.exit.is_success() => (Outcome::Failure, "File not found."),
            Some(FileResult::Stat(found)) if found.kind != FileKind::File => {
                (Outcome::Failure, "Not a file.")
            }
            _ => (Outcome::Success, "File found."),
        };
        let mut verdict = verdict(cx, outcome, Vec::new());
        verdict.text = vec![text.into()];
        Ok(Move::Done(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;
    use crate::model::Exit;
    use crate::model::ExitCause;
    use crate::model::FileStat;

    #[test]
    fn only_a_file_is_a_file() {
        let check = |found: Option<FileKind>, expected: &str| {
            let file = Text::parse("build/x").expect("a text");
            let mut bench = Bench::new(&FileExists { file }, &KIND);
            assert_eq!(bench.begin(), "stat hello/build/x");
            let mut exit = Exit::new(i32::from(found.is_none()), ExitCause::Exited, 1);
            exit.result = found.map(|kind| {
                FileResult::Stat(FileStat {
                    kind,
                    mode: 0o644,
                    size: 0,
                    modified: 0,
                })
            });
            assert_eq!(bench.ends_with(&exit, &[]), expected);
        };
        check(Some(FileKind::File), "success: File found.");
        check(
            Some(FileKind::Directory),
            "failure: Not a file.; build: FileExists",
        );
        check(None, "failure: File not found.; build: FileExists");
    }
}
