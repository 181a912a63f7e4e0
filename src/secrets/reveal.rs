//! A command gets its secrets: the last thing before it leaves for the slave.

use std::ops::Range;

use super::SecretError;
use super::Secrets;
use crate::model::Command;
use crate::model::HoleIn;
use crate::model::Mask;
use crate::model::SecretHole;
use crate::model::Shell;
use crate::model::ShellLine;

/// A command with the values in it, which must go nowhere but to its slave.
pub(crate) struct Revealed {
    pub(crate) command: Command,
    /// What hides the values that are in it.
    pub(crate) masks: Vec<Mask>,
}

impl Secrets {
    /// Fills in the values of the secrets of a command.
    pub(crate) fn reveal(&self, command: &Command) -> Result<Revealed, SecretError> {
        let mut command = command.clone();
        let mut masks = Vec::new();
        if let Command::Shell(shell) = &mut command {
            let mut holes = std::mem::take(&mut shell.holes);
            // From the end on: what is filled in moves what stands behind it.
            holes.sort_by_key(|it| std::cmp::Reverse(it.at));
            for hole in &holes {
                masks.extend(self.fill(shell, hole)?);
            }
        }
        Ok(Revealed { command, masks })
    }

    fn fill(&self, shell: &mut Shell, hole: &SecretHole) -> Result<Vec<Mask>, SecretError> {
        let name = &hole.secret.name;
        let wrong = |why: &str| SecretError::Value {
            name: name.clone(),
            why: why.to_owned(),
        };
        let (secret, is_secret) = self.resolve(&hole.secret)?;
        let value = secret.expose();
        let mut stdin = match hole.within {
            HoleIn::Stdin => String::from_utf8(std::mem::take(&mut shell.initial_stdin)).ok(),
            HoleIn::Word(_) | HoleIn::Script | HoleIn::Env(_) => None,
        };
        let text = match (&hole.within, &mut shell.line) {
            (HoleIn::Stdin, _) => stdin.as_mut(),
            (HoleIn::Word(place), ShellLine::Argv(words)) => words.get_mut(*place),
            (HoleIn::Script, ShellLine::Script(script)) => Some(script),
            (HoleIn::Env(variable), _) => shell.env.get_mut(variable).and_then(Option::as_mut),
            _ => None,
        };
        let shown = name.shown();
        // A step that has changed the text since it was rendered gets no secret into it.
        let text = text.filter(|it| it.get(hole.at..).is_some_and(|it| it.starts_with(&shown)));
        let text = text.ok_or_else(|| wrong("has lost its place in the command"))?;
        text.replace_range(hole.at..hole.at + shown.len(), value);
        let filled = hole.at..hole.at + value.len();
        if matches!(hole.within, HoleIn::Env(_))
            && variables(text).any(|it| it.start < filled.end && filled.start < it.end)
        {
            return Err(wrong(
                "cannot be in the value of a variable: \
                 the slave would take a part of it, `${…}`, for another variable",
            ));
        }
        if let Some(stdin) = stdin {
            shell.initial_stdin = stdin.into_bytes();
        }
        Ok(if is_secret {
            Mask::of(name, value)
        } else {
            Vec::new()
        })
    }
}

/// What the slave replaces in the value of a variable: each `${NAME}`.
fn variables(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("${").filter_map(|(start, _)| {
        let length = text[start..].find('}')?;
        let name = &text[start + 2..start + length];
        let is_name = name
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || it == '_');
        is_name.then_some(start..start + length + 1)
    })
}
