//! CVS: what is tried is the difference to what the repository has now, and now is its revision.

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::complaint;
use super::indexed;
use super::path_of;
use super::printed;
use crate::cli::exit::Failure;
use crate::clock;

pub(super) struct Cvs;

impl Vc for Cvs {
    fn name(&self) -> &'static str {
        "cvs"
    }

    fn marker(&self) -> Option<&'static str> {
        Some("CVS")
    }

    fn level(&self) -> u32 {
        0
    }

    fn base(&self, _tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        if branch.is_some() {
            return Err(Failure::usage("a try with CVS takes no `--branch`")
                .hint("what is compared with is what the repository has now, on its trunk"));
        }
        Ok(Base {
            revision: now(clock::now().0)?,
            branch: None,
        })
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let argv = ["cvs", "-q", "diff", "-u", "-N", "-D", &base.revision];
        let said = tree.ask(&argv)?;
        // That there is a difference is no success either.
        if !said.is_good && said.stdout.is_empty() && said.stderr.contains("abort") {
            return Err(complaint(&argv, &said));
        }
        Ok(indexed(&said.stdout))
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        let said = tree.ask(&["cvs", "-q", "-n", "update"])?;
        Ok(asked_about(&said.stdout))
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let path = path.display().to_string();
        let argv = ["cvs", "-Q", "update", "-p", "-D", revision, "--", &path];
        // Of a file that was not there nothing is said, and that well.
        Ok(printed(tree.ask(&argv)?).filter(|it| !it.bytes.is_empty()))
    }
}

/// A time as CVS understands it.
fn now(millis: i64) -> Result<String, Failure> {
    let time = Timestamp::from_millisecond(millis).map_err(Failure::from)?;
    Ok(time.strftime("%Y-%m-%d %H:%M:%S +0000").to_string())
}

/// The names in lines such as `? x`.
fn asked_about(said: &[u8]) -> Vec<PathBuf> {
    let lines = said.split(|it| *it == b'\n');
    lines
        .filter_map(|it| it.strip_prefix(b"? "))
        .map(path_of)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_told_to_the_second() {
        assert_eq!(
            now(1_325_499_000_999),
            Ok("2012-01-02 10:10:00 +0000".to_owned())
        );
    }

    #[test]
    fn what_the_diff_does_not_show_is_left_to_others() {
        let text = "Index: a\n===\n--- a\t1\n+++ a\t2\n@@ -1 +1 @@\n-x\n+y\n";
        let diff = format!("? junk\n{text}Index: bin\n===\nBinary files /tmp/x and bin differ\n");
        let split = indexed(diff.as_bytes());
        assert_eq!(split.text, text.as_bytes());
        assert_eq!(split.left_out, [Path::new("bin")]);
    }

    #[test]
    fn unknown_files_have_a_question_mark() {
        assert_eq!(
            asked_about(b"M a\n? b c\n? d\n"),
            [Path::new("b c"), Path::new("d")]
        );
    }
}
