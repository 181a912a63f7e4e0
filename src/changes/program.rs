//! The programs `git` and `hg` as the pollers run them: never asking anybody
//! anything, in one language, with an end to how long and how much.

use std::path::Path;
use std::time::Duration;

use crate::process;
use crate::process::RunError;

/// A clone over a slow line takes this long; nothing honest takes longer.
const LIMIT: Duration = Duration::from_mins(20);

/// Room for the names of a very large commit and for a million revisions.
const MAX_OUTPUT: usize = 64 << 20;

/// How much of what a program complained about is worth showing.
const MAX_COMPLAINT: usize = 2000;

/// A version-control program and the environment that it needs.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    /// Laid over the master's environment, so that `HOME` and what SSH needs
    /// are inherited.
    pub(super) env: &'static [(&'static str, &'static str)],
}

/// A program that did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("`{line}` failed{}: {complaint}", shown(*code))]
    Failed {
        line: String,
        /// −1 when a signal ended it.
        code: i32,
        complaint: String,
    },
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ProgramError {
    /// Whether the program said nothing but no: what it was asked for is not there.
    pub(super) fn is_silent_refusal(&self) -> bool {
        matches!(self, Self::Failed { code: 1, complaint, .. } if complaint.is_empty())
    }

    /// Whether the program came to its end and complained of this.
    pub(super) fn complains(&self, of: &str) -> bool {
        matches!(self, Self::Failed { code: 1.., complaint, .. } if complaint.contains(of))
    }

    /// Whether the program came to its end and said no, which a damaged clone may be the reason of.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed { code: 1.., .. })
    }
}

fn shown(code: i32) -> String {
    match code {
        0.. => format!(" with exit code {code}"),
        _ => " by a signal".to_owned(),
    }
}

impl Program {
    /// Runs it in `dir` and gives its standard output. Only the exit code
    /// decides whether it failed: warnings on standard error are no failure.
    pub(super) async fn run(&self, dir: &Path, args: &[&str]) -> Result<Vec<u8>, ProgramError> {
        let output = process::run(&self.name, args, self.env, dir, LIMIT, MAX_OUTPUT).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint: String = complaint.trim().chars().take(MAX_COMPLAINT).collect();
        // The first word that is neither an option nor the setting of one.
        let verb = args
            .iter()
            .find(|it| !it.starts_with('-') && !it.contains('='));
        Err(ProgramError::Failed {
            line: format!("{} {}", self.name, verb.copied().unwrap_or_default()),
            code: output.code,
            complaint,
        })
    }

    /// Like [`Program::run`], as text: bytes that are no UTF-8 are replaced.
    pub(super) async fn text(&self, dir: &Path, args: &[&str]) -> Result<String, ProgramError> {
        let heard = self.run(dir, args).await?;
        Ok(String::from_utf8_lossy(&heard).into_owned())
    }
}
