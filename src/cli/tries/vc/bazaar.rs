//! Bazaar and Breezy: what is tried is what the branch that it is for does not have.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::complaint;
use super::has_hunk;
use super::nul_ended;
use super::printed;
use super::sections;
use crate::cli::exit::Failure;

pub(super) struct Bazaar;

impl Vc for Bazaar {
    fn name(&self) -> &'static str {
        "bzr"
    }

    fn marker(&self) -> Option<&'static str> {
        Some(".bzr")
    }

    fn level(&self) -> u32 {
        1
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        let asked = tree.ask(&["bzr", "revision-info", "-rsubmit:"])?;
        let said = match asked.is_good {
            true => asked,
            // It is for no other branch.
            false => tree.must(&["bzr", "revision-info"])?,
        };
        let text = said.text();
        let id = text.split_whitespace().nth(1);
        let id = id.ok_or_else(|| Failure::new("`bzr revision-info` names no revision"))?;
        Ok(Base {
            revision: format!("revid:{id}"),
            branch: branch.map(str::to_owned),
        })
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let range = format!("-r{}..", base.revision);
        let argv = ["bzr", "diff", "-p1", &range];
        let said = tree.ask(&argv)?;
        // 1 says that there is a difference, and 3 that there was a mistake.
        if !said.is_good && said.stdout.is_empty() {
            return Err(complaint(&argv, &said));
        }
        split(&said.stdout, &|dir| tree.files(vec![dir.to_owned()]))
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        let argv = ["bzr", "ls", "--unknown", "--recursive", "--null"];
        Ok(nul_ended(&tree.must(&argv)?.stdout))
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let revision = format!("-r{revision}");
        // A name that a file has only now is not one of that revision.
        let argv = ["bzr", "cat", "--name-from-revision", &revision, "--"];
        let mut argv = argv.map(OsStr::new).to_vec();
        argv.push(path.as_os_str());
        Ok(printed(tree.ask(&argv)?))
    }
}

/// Lists the files in a directory.
type Files<'a> = &'a dyn Fn(&Path) -> Result<Vec<PathBuf>, Failure>;

/// Parts about files that are no text, or are called otherwise now, say too little.
fn split(diff: &[u8], files: Files<'_>) -> Result<Diff, Failure> {
    let mut split = Diff::default();
    for section in sections(diff, "=== ") {
        let Some(it) = About::read(section.head) else {
            return Err(Failure::new(format!(
                "`bzr diff` has a part about `{}`, which cannot be understood",
                section.head.escape_debug()
            ))
            .hint("a name with a line end in it may be why; `--diff FILE` names a patch instead"));
        };
        match it {
            About {
                now: Some(now),
                name,
                is_dir: true,
            } => {
                for file in files(Path::new(now))? {
                    let rest = file.strip_prefix(now).unwrap_or(&file);
                    split.left_out.push(Path::new(name).join(rest));
                    split.left_out.push(file);
                }
            }
            About { is_dir: true, .. } => {}
            About {
                now: Some(now),
                name,
                ..
            } => {
                split.left_out.extend([name, now].map(PathBuf::from));
            }
            About { name, .. } => match has_hunk(section.text) {
                true => split.text.extend(section.text),
                false => split.left_out.push(name.into()),
            },
        }
    }
    Ok(split)
}

/// What `modified file 'x'` or `renamed directory 'x' => 'y' (properties changed: …)` says.
#[derive(Debug, PartialEq, Eq)]
struct About<'a> {
    is_dir: bool,
    name: &'a str,
    /// How it is called now, if that is news.
    now: Option<&'a str>,
}

impl<'a> About<'a> {
    fn read(head: &'a str) -> Option<Self> {
        let (_, rest) = head.split_once(' ')?;
        let (kind, rest) = rest.split_once(" '")?;
        let rest = match rest.rsplit_once(" (properties changed: ") {
            Some((rest, _)) => rest,
            None => rest,
        };
        let names = rest.strip_suffix('\'')?;
        let (name, now) = match names.split_once("' => '") {
            Some((name, now)) => (name, Some(now)),
            None => (names, None),
        };
        Some(Self {
            is_dir: kind == "directory",
            name: name.trim_end_matches('/'),
            now: now.map(|it| it.trim_end_matches('/')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_understood() {
        let check = |head: &str, is_dir, name, now| {
            assert_eq!(
                About::read(head),
                Some(About { is_dir, name, now }),
                "{head}"
            );
        };
        check("modified file 'a b'", false, "a b", None);
        check("renamed file 'a' => 'b'", false, "a", Some("b"));
        check("renamed directory 'd/' => 'e/'", true, "d", Some("e"));
        check(
            "modified file 'k' (properties changed: -x to +x)",
            false,
            "k",
            None,
        );
        assert_eq!(About::read("added file 'nl"), None);
    }

    #[test]
    fn renamed_and_binary_files_are_left_to_others() {
        let text = "=== modified file 'a'\n--- old/a\t1\n+++ new/a\t2\n@@ -1,1 +1,1 @@\n-x\n+y\n\n";
        let diff = format!(
            "{text}=== modified file 'bin'\nBinary files old/bin and new/bin differ\n\
             === renamed file 'r' => 's'\n=== renamed directory 'd' => 'e'\n=== added directory 'n'\n"
        );
        let files = |dir: &Path| Ok(vec![dir.join("x")]);
        let split = split(diff.as_bytes(), &files).unwrap();
        assert_eq!(split.text, text.as_bytes());
        let left: Vec<_> = split
            .left_out
            .iter()
            .map(|it| it.to_str().unwrap())
            .collect();
        assert_eq!(left, ["bin", "r", "s", "d/x", "e/x"]);
    }
}
