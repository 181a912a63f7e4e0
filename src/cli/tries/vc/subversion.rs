//! Subversion: what is tried is the difference to the newest revision of the repository.

use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::indexed;
use super::printed;
use crate::cli::exit::Failure;
use crate::xml;

pub(super) struct Subversion;

impl Vc for Subversion {
    fn name(&self) -> &'static str {
        "svn"
    }

    fn marker(&self) -> Option<&'static str> {
        Some(".svn")
    }

    fn level(&self) -> u32 {
        0
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        let said = tree.must(&["svn", "--non-interactive", "status", "-u"])?;
        Ok(Base {
            revision: against(&said.text())?,
            branch: branch.map(str::to_owned),
        })
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let revision = format!("-r{}", base.revision);
        let said = tree.must(&[
            "svn",
            "--non-interactive",
            "diff",
            "--internal-diff",
            "--show-copies-as-adds",
            &revision,
        ])?;
        Ok(indexed(&said.stdout))
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        let said = tree.must(&["svn", "--non-interactive", "status", "--xml"])?;
        unversioned(&said.text())
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let revision = format!("-r{revision}");
        // What stands behind the last `@` would be a revision, too.
        let path = format!("{}@", path.display());
        let argv = ["svn", "--non-interactive", "cat", &revision, "--", &path];
        Ok(printed(tree.ask(&argv)?))
    }
}

/// The number in `Status against revision:   812`.
fn against(status: &str) -> Result<String, Failure> {
    let number = status
        .lines()
        .find_map(|it| it.strip_prefix("Status against revision:"))
        .map(|it| it.trim().to_owned());
    number
        .filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
        .ok_or_else(|| {
            Failure::new("`svn status -u` names no revision that the tree is compared with")
        })
}

/// The paths of `svn status --xml` that it knows nothing of.
fn unversioned(text: &str) -> Result<Vec<PathBuf>, Failure> {
    let (mut paths, mut path) = (Vec::new(), None);
    let walked = xml::walk(text, |part| {
        if let xml::Part::Open(tag) = part {
            match tag.name() {
                "entry" => path = tag.attribute("path"),
                "wc-status" if tag.attribute("item").as_deref() == Some("unversioned") => {
                    paths.extend(path.take().map(PathBuf::from));
                }
                _ => {}
            }
        }
    });
    walked.map_err(|error| Failure::because("`svn status --xml` cannot be read", &error))?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_the_one_that_the_tree_is_compared_with() {
        let status = "M  *      11   x\nStatus against revision:     12\n";
        assert_eq!(against(status), Ok("12".to_owned()));
        assert!(against("M 11 x\n").is_err());
    }

    #[test]
    fn what_the_diff_does_not_show_is_left_to_others() {
        let text =
            "Index: a\n===\n--- a\t(revision 1)\n+++ a\t(working copy)\n@@ -1 +1 @@\n-x\n+y\n";
        let diff = format!(
            "{text}Index: bin\n===\nCannot display: file marked as a binary type.\n\
             svn:mime-type = application/octet-stream\nIndex: none\n===\n"
        );
        let split = indexed(diff.as_bytes());
        assert_eq!(split.text, text.as_bytes());
        assert_eq!(split.left_out, [Path::new("bin"), Path::new("none")]);
    }

    #[test]
    fn paths_that_nobody_knows_are_listed() {
        let text = "<?xml version=\"1.0\"?><status><target path=\".\">\
                    <entry path=\"a &amp; b\"><wc-status item=\"unversioned\" props=\"none\"/></entry>\
                    <entry path=\"c\"><wc-status item=\"modified\" props=\"none\"/></entry>\
                    </target></status>";
        assert_eq!(unversioned(text), Ok(vec!["a & b".into()]));
        assert!(unversioned("svn: E155007").is_err());
    }
}
