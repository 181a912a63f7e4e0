//! Commands that every checkout needs.

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Mirror;
use crate::model::MirrorKind;
use crate::model::ShellLine;

use super::Wanted;
use super::url::is_remote;
use crate::steps::Cx;
use crate::steps::StepError;
use crate::steps::paths;

/// Lets a command that asks the repository have it from the slave's mirror.
pub(in crate::steps) fn mirrored(
    command: &mut Command,
    kind: MirrorKind,
    wanted: &Wanted,
    doubted: bool,
) {
    let Command::Shell(shell) = command else {
        return;
    };
    let ShellLine::Argv(words) = &shell.line else {
        return;
    };
    let word = words.iter().position(|it| *it == wanted.url);
    let Some(word) = word.filter(|_| is_remote(&wanted.url)) else {
        return;
    };
    shell.mirror = Some(Box::new(Mirror {
        kind,
        word,
        branch: wanted.branch.clone(),
        revision: wanted.revision.clone(),
        is_doubted: doubted,
        // The master knows the slave's.
        budget: None,
    }));
}

pub(in crate::steps) fn rmdir(cx: &Cx<'_>, dir: &str) -> Result<Command, StepError> {
    let dir = paths::inside_builder(cx.builder_dir, dir)?;
    Ok(Command::File(FileCommand::Rmdir { dir, why: None }))
}

/// A command that removes a tree, with a line for the log that says why it does.
pub(in crate::steps) fn because(command: Command, why: &str, dir: &str) -> Command {
    let dir_shown = dir.escape_debug();
    match command {
        Command::File(FileCommand::Rmdir { dir, why: None }) => {
            let why = format!("{why}: `{dir_shown}` is removed, and checked out from nothing");
            let why = Some(why);
            Command::File(FileCommand::Rmdir { dir, why })
        }
        other => other,
    }
}

pub(in crate::steps) fn stat(cx: &Cx<'_>, dir: &str, name: &str) -> Command {
    let path = format!("{}/{name}", paths::of_builder(cx.builder_dir, dir));
    Command::File(FileCommand::Stat { path })
}
