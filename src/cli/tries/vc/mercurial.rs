//! Mercurial: what is tried is what was not published.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::nul_ended;
use super::printed;
use crate::cli::exit::Failure;

pub(super) struct Mercurial;

/// The newest ancestor that others have. Without one nothing was ever shared.
const PUBLISHED: &str = "last(ancestors(.) and public())";

impl Vc for Mercurial {
    fn name(&self) -> &'static str {
        "hg"
    }

    fn marker(&self) -> Option<&'static str> {
        Some(".hg")
    }

    fn level(&self) -> u32 {
        1
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        let published = tree.must(&["hg", "log", "-r", PUBLISHED, "--template", "{node}"])?;
        let published = published.text().trim().to_owned();
        let revision = match published.is_empty() {
            false => published,
            true => identified(&tree.must(&["hg", "identify", "--id", "--debug"])?.text())?,
        };
        Ok(Base {
            revision,
            branch: branch.map(str::to_owned),
        })
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let text = tree
            .must(&["hg", "diff", "--git", "-r", &base.revision])?
            .stdout;
        Ok(Diff {
            text,
            left_out: Vec::new(),
        })
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        Ok(nul_ended(&tree.must(&["hg", "status", "-un0"])?.stdout))
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let mut argv = ["hg", "cat", "-r", revision, "--"].map(OsStr::new).to_vec();
        argv.push(path.as_os_str());
        Ok(printed(tree.ask(&argv)?))
    }
}

/// The revision in `1f0c…+ tip`; a tree in a merge has two, of which the first is its own.
fn identified(said: &str) -> Result<String, Failure> {
    let digits = said.chars().take_while(char::is_ascii_alphanumeric);
    let revision: String = digits.collect();
    match revision.is_empty() || revision.bytes().all(|it| it == b'0') {
        true => Err(Failure::new("there is no changeset in this repository yet")
            .hint("a try is a change of something that the master can get")),
        false => Ok(revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_what_stands_first() {
        assert_eq!(identified("1f0c2e+\n"), Ok("1f0c2e".to_owned()));
        assert_eq!(identified("1f0c2e+9a8b+ tip\n"), Ok("1f0c2e".to_owned()));
        for none in ["", "0000000000000000000000000000000000000000+\n"] {
            assert!(identified(none).is_err(), "{none}");
        }
    }
}
