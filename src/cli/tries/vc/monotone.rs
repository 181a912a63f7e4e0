//! Monotone: what is tried is what was not committed.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::path_of;
use super::printed;
use crate::cli::exit::Failure;

pub(super) struct Monotone;

impl Vc for Monotone {
    fn name(&self) -> &'static str {
        "mtn"
    }

    fn marker(&self) -> Option<&'static str> {
        Some("_MTN")
    }

    fn level(&self) -> u32 {
        0
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        let said = tree.must(&["mtn", "automate", "get_base_revision_id"])?;
        Ok(Base {
            revision: said.text().trim().to_owned(),
            branch: branch.map(str::to_owned),
        })
    }

    fn diff(&self, tree: &Tree, _base: &Base) -> Result<Diff, Failure> {
        Ok(Diff {
            text: tree.must(&["mtn", "diff"])?.stdout,
            left_out: Vec::new(),
        })
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        let said = tree.must(&["mtn", "list", "unknown"])?;
        let lines = said.stdout.split(|it| *it == b'\n');
        Ok(lines.filter(|it| !it.is_empty()).map(path_of).collect())
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let mut argv = ["mtn", "cat", "-r", revision].map(OsStr::new).to_vec();
        argv.push(path.as_os_str());
        Ok(printed(tree.ask(&argv)?))
    }
}
