//! What programs of this machine say of themselves, such as `git --version`:
//! asked before every call of the master, so that it is never older than the line, and
//! whenever a master asks.

use std::collections::BTreeMap;
use std::future;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::process;
use crate::process::{Output, RunError};
use crate::wire::PASSWORD_VARIABLE;

/// How long one may take. All are asked at once.
const LIMIT: Duration = Duration::from_secs(10);
/// Who says more than this is not about to name a version.
const MAX_OUTPUT: usize = 64 << 10;
/// What is told of a line, in characters.
const LINE: usize = 200;
/// More than anybody wants to know; they all run at once.
const MOST: usize = 50;

/// Questions of a master that are being answered.
#[derive(Debug, Default)]
pub(super) struct Asked(JoinSet<BTreeMap<String, String>>);

impl Asked {
    /// Begins to ask, instead of what is under way, all but those that the slave's own configuration asks.
    pub(super) fn begin(
        &mut self,
        mut commands: BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
        dir: &Path,
    ) {
        commands.retain(|name, _| !own.contains_key(name));
        let commands: BTreeMap<_, _> = commands.into_iter().take(MOST).collect();
        let dir = dir.to_owned();
        // What was asked before is not wanted any more.
        self.0 = JoinSet::new();
        self.0.spawn(async move { ask(&commands, &dir).await });
    }

    /// The next answers; waits for ever where there are none to come.
    pub(super) async fn next(&mut self) -> BTreeMap<String, String> {
        match self.0.join_next().await {
            // A task that broke off has nothing to tell.
            Some(told) => told.unwrap_or_default(),
            None => future::pending().await,
        }
    }
}

/// Asks all of them, each by its command line in `dir`.
pub(super) async fn ask(
    commands: &BTreeMap<String, String>,
    dir: &Path,
) -> BTreeMap<String, String> {
    ask_within(commands, dir, LIMIT).await
}

async fn ask_within(
    commands: &BTreeMap<String, String>,
    dir: &Path,
    limit: Duration,
) -> BTreeMap<String, String> {
    let mut asked = JoinSet::new();
    for (name, line) in commands {
        let (name, line, dir) = (name.clone(), line.clone(), dir.to_owned());
        asked.spawn(async move {
            let args = ["-c", line.as_str()];
            // What a child of the master logs in with is nobody else's business.
            let env = [(PASSWORD_VARIABLE, "")];
            let said = process::run("/bin/sh", &args, &env, &dir, limit, MAX_OUTPUT).await;
            (name, told(said))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        // A task that broke off has said nothing.
        answers.extend(answer);
    }
    answers
}

fn told(said: Result<Output, RunError>) -> String {
    let said = match said {
        Ok(said) => said,
        Err(RunError::Slow { limit, .. }) => {
            return format!("failed: it takes longer than {} s", limit.as_secs_f64());
        }
        Err(RunError::TooMuch { most, .. }) => {
            return format!("failed: it says more than {most} bytes");
        }
        Err(error) => return format!("failed: {error}"),
    };
    // Some programs name their version on standard error.
    let line = [&said.stdout, &said.stderr]
        .into_iter()
        .find_map(|it| first_line(it));
    match (said.code, line) {
        (0, line) => line.unwrap_or_default(),
        (code, None) => format!("failed with exit code {code}"),
        (code, Some(line)) => format!("failed with exit code {code}: {line}"),
    }
}

/// The first line with something on it, without what a terminal would obey.
fn first_line(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).find(|it| !it.is_empty())?;
    let plain = line.chars().filter(|it| !it.is_control());
    Some(plain.take(LINE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answers(lines: &[(&str, &str)], limit: Duration) -> BTreeMap<String, String> {
        let commands = lines
            .iter()
            .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
            .collect();
        ask_within(&commands, Path::new("/"), limit).await
    }

    #[tokio::test]
    async fn the_first_line_is_told_and_what_fails_says_so() {
        let lines = [
            ("out", "echo; echo one; echo two; echo three >&2"),
            ("err", "echo 'version 8' >&2"),
            ("silent", "true"),
            ("no", "exit 3"),
            ("gone", "echo 'no such program' >&2; exit 127"),
            ("hostile", "printf 'a\\033[31mb\\377\\n'"),
            ("long", "head -c 1000 /dev/zero | tr '\\0' x"),
            ("flood", "yes"),
        ];
        let mut told = answers(&lines, LIMIT).await;
        assert_eq!(told.remove("long").expect("told"), "x".repeat(LINE));
        let told: Vec<String> = told
            .iter()
            .map(|(it, said)| format!("{it}: {said}"))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        err: version 8
        flood: failed: it says more than 65536 bytes
        gone: failed with exit code 127: no such program
        hostile: a[31mb�
        no: failed with exit code 3
        out: one
        silent: 
        ");
    }

    #[tokio::test]
    async fn one_that_hangs_holds_nobody_up() {
        let limit = Duration::from_millis(500);
        let told = answers(&[("hangs", "sleep 600"), ("quick", "echo hi")], limit).await;
        assert_eq!(told["hangs"], "failed: it takes longer than 0.5 s");
        assert_eq!(told["quick"], "hi");
    }
}
