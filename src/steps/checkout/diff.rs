//! What a patch may change: files of its tree. `patch` would write where a
//! diff tells it to, so every name in one is looked at before it is sent.

/// Directories that belong to the programs which made the tree: a file there
/// may be a program that the next of their commands runs.
const OWN: [&str; 9] = [
    ".git", ".hg", ".svn", ".bzr", ".bk", ".repo", "_darcs", "_mtn", "cvs",
];

/// Why a diff is not laid over a tree: a line of it, from 1, and what is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DiffError {
    #[error("line {0} of the patch names `{1}`, which is outside of the tree")]
    Outside(usize, String),
    #[error("line {0} of the patch names `{1}`, which is not for patches to change")]
    Own(usize, String),
    #[error("line {0} of the patch links to `{1}`, which is outside of the tree")]
    Link(usize, String),
    #[error("line {0} of the patch is not what a unified diff has there: `{1}`")]
    Garbled(usize, String),
    #[error("the patch ends before its last part does")]
    CutOff,
    #[error("the patch holds no unified diff, which `diff -u` makes")]
    NoDiff,
}

/// Looks through a diff from which `patch` takes `level` leading parts off every name.
pub(super) fn check(diff: &[u8], level: u32) -> Result<(), DiffError> {
    let text = String::from_utf8_lossy(diff);
    let mut reader = Reader {
        level: usize::try_from(level).unwrap_or(usize::MAX),
        ..Reader::default()
    };
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line)?;
    }
    if reader.old_left > 0 || reader.new_left > 0 {
        return Err(DiffError::CutOff);
    }
    match reader.has_change {
        true => Ok(()),
        false => Err(DiffError::NoDiff),
    }
}

/// Whether it has parts that `patch` leaves out, and git does not: files that are no text, and new
/// ones without a line.
pub(super) fn needs_git(diff: &[u8]) -> bool {
    let text = String::from_utf8_lossy(diff);
    // Which files it is about is no question here.
    let mut reader = Reader {
        level: usize::MAX,
        ..Reader::default()
    };
    let mut is_bare = false;
    for (index, line) in text.lines().enumerate() {
        let is_between = reader.old_left == 0 && reader.new_left == 0;
        if is_between {
            if line == BINARY || (is_bare && line.starts_with("diff --git ")) {
                return true;
            }
            is_bare |= line.starts_with("new file mode ");
            is_bare &= !line.starts_with("@@ -");
        }
        if reader.line(index + 1, line).is_err() {
            return false;
        }
    }
    is_bare
}

/// What follows is no text.
const BINARY: &str = "GIT binary patch";

#[derive(Default)]
struct Reader {
    level: usize,
    /// Lines of the hunk that are still to come, of the old file and of the new.
    old_left: u64,
    new_left: u64,
    /// The directories above the file that is changed.
    depth: usize,
    is_link: bool,
    has_change: bool,
}

impl Reader {
    fn line(&mut self, at: usize, line: &str) -> Result<(), DiffError> {
        if self.old_left > 0 || self.new_left > 0 {
            return self.in_hunk(at, line);
        }
        let garbled = || DiffError::Garbled(at, shown(line));
        // `patch` would take these for what they are without it.
        let bare = line.trim_start_matches([' ', '\t', 'X']);
        let bare = bare.strip_prefix("- ").unwrap_or(bare);
        if bare.len() != line.len() && is_of_a_diff(bare) {
            return Err(garbled());
        }
        if let Some(numbers) = line.strip_prefix("@@ -") {
            (self.old_left, self.new_left) = lengths(numbers).ok_or_else(garbled)?;
            self.has_change = true;
        } else if let Some(names) = line.strip_prefix("diff --git ") {
            self.is_link = false;
            // Of some files there is no other line with their names.
            let mut rest = names.trim_start();
            while !rest.is_empty() {
                let end = match rest.starts_with('"') {
                    true => end_of_quoted(rest),
                    false => rest.find(char::is_whitespace),
                };
                let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
                self.name(at, name)?;
                rest = behind.trim_start();
            }
        } else if line == BINARY {
            self.has_change = true;
        } else if let Some(name) = name_of(line) {
            self.name(at, name)?;
        } else if let Some(mode) = mode_of(line) {
            self.is_link |= mode == "120000";
            self.has_change |= !line.starts_with("index ");
        }
        Ok(())
    }

    fn in_hunk(&mut self, at: usize, line: &str) -> Result<(), DiffError> {
        let (old, new) = match line.bytes().next() {
            Some(b' ' | b'\t') | None => (1, 1),
            Some(b'-') => (1, 0),
            Some(b'+') => (0, 1),
            Some(b'\\') => (0, 0),
            Some(_) => return Err(DiffError::Garbled(at, shown(line))),
        };
        let garbled = || DiffError::Garbled(at, shown(line));
        self.old_left = self.old_left.checked_sub(old).ok_or_else(garbled)?;
        self.new_left = self.new_left.checked_sub(new).ok_or_else(garbled)?;
        match line.strip_prefix('+').filter(|_| self.is_link) {
            Some(target) if leads_out(target, self.depth) => {
                Err(DiffError::Link(at, shown(target)))
            }
            _ => Ok(()),
        }
    }

    /// Looks at a name of a file, which a date may follow.
    fn name(&mut self, at: usize, text: &str) -> Result<(), DiffError> {
        let text = text.trim();
        let name = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => text.split('\t').next().unwrap_or_default().to_owned(),
        };
        let is_nothing = name.split_whitespace().next() == Some("/dev/null");
        if is_nothing {
            return Ok(());
        }
        // Several slashes are as good as one.
        let mut parts: Vec<&str> = name.split('/').collect();
        let mut before = None;
        parts.retain(|it| {
            let is_kept = !it.is_empty() || before.is_none();
            before = Some(());
            is_kept
        });
        let Some(left) = parts.get(self.level..).filter(|it| !it.is_empty()) else {
            return Ok(());
        };
        self.depth = left.len() - 1;
        let words = left.iter().flat_map(|it| it.split_whitespace());
        for word in words.chain(left.iter().copied()) {
            if word == ".." || word.contains('\0') {
                return Err(DiffError::Outside(at, shown(&name)));
            }
            if is_own(word) {
                return Err(DiffError::Own(at, shown(&name)));
            }
        }
        match left.first() {
            Some(&"") => Err(DiffError::Outside(at, shown(&name))),
            _ => Ok(()),
        }
    }
}

/// Whether a part of a path is not for patches.
pub(super) fn is_own(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    // Somebody's directory `cvs` is not that of CVS.
    let is_programs = OWN.contains(&lower.as_str()) && (lower != "cvs" || part == "CVS");
    is_programs || lower == super::patch::MARK || lower == super::patch::DIFF
}

fn name_of(line: &str) -> Option<&str> {
    const LEADS: [&str; 8] = [
        "--- ",
        "+++ ",
        "*** ",
        "Index:",
        "rename from ",
        "rename to ",
        "copy from ",
        "copy to ",
    ];
    LEADS.iter().find_map(|it| line.strip_prefix(it))
}

fn mode_of(line: &str) -> Option<&str> {
    const LEADS: [&str; 4] = [
        "new file mode ",
        "deleted file mode ",
        "new mode ",
        "index ",
    ];
    LEADS.iter().find(|it| line.starts_with(**it))?;
    line.split_whitespace().next_back()
}

/// Whether `patch` would look for names or changes in such a line.
fn is_of_a_diff(line: &str) -> bool {
    let leads = ["@@ -", "diff --git ", "new file mode ", "new mode "];
    leads.iter().any(|it| line.starts_with(it)) || name_of(line).is_some()
}

/// How many lines of the old file and of the new one a hunk `a,b +c,d @@…` has.
fn lengths(numbers: &str) -> Option<(u64, u64)> {
    let (numbers, _) = numbers.split_once(" @@")?;
    let (old, new) = numbers.split_once(" +")?;
    let length = |range: &str| match range.split_once(',') {
        Some((start, length)) => start.parse::<u64>().and_then(|_| length.parse()).ok(),
        None => range.parse::<u64>().map(|_| 1).ok(),
    };
    Some((length(old)?, length(new)?))
}

/// Whether a link in a directory so deep in the tree leads out of it.
fn leads_out(target: &str, depth: usize) -> bool {
    let mut depth = depth;
    for part in target.split('/').filter(|it| !matches!(*it, "" | ".")) {
        let next = match part {
            ".." => depth.checked_sub(1),
            _ => depth.checked_add(1),
        };
        let Some(next) = next else { return true };
        depth = next;
    }
    target.starts_with('/')
}

/// Where a name in quotes ends, behind them.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let mut inside = text.char_indices().skip(1);
    let end = inside.find(|(_, it)| {
        let is_end = *it == '"' && !is_escaped;
        is_escaped = *it == '\\' && !is_escaped;
        is_end
    });
    end.map(|(at, _)| at + 1)
}

/// What stands in quotes, as C has it. What is no text shows as something else, but for the
/// parts that matter here.
fn unquoted(quoted: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => match rest.next() {
                Some(digit @ b'0'..=b'7') => {
                    let mut code = u32::from(digit - b'0');
                    for _ in 0..2 {
                        if let Some(digit) = rest.next_if(|it| (b'0'..=b'7').contains(it)) {
                            code = code * 8 + u32::from(digit - b'0');
                        }
                    }
                    bytes.push(u8::try_from(code & 0xff).unwrap_or_default());
                }
                Some(b'n' | b't' | b'r' | b'a' | b'b' | b'f' | b'v') => bytes.push(b' '),
                Some(other) => bytes.push(other),
                None => {}
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(text: &str) -> String {
    text.chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A diff that changes one line of the file.
    fn change(name: &str) -> String {
        format!("--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-x\n+y\n")
    }

    fn refused(diff: &str, level: u32) -> String {
        check(diff.as_bytes(), level).map_or_else(|it| it.to_string(), |()| "fine".into())
    }

    #[test]
    fn what_the_programs_make_is_fine() {
        for diff in [
            change("src/a file.c"),
            // Subversion's.
            "Index: file\n=====\n--- file\t(revision 3)\n+++ file\t(working copy)\n@@ -1,2 +1,2 @@\n a\n-x\n+y\n\n\
             Property changes on: file\n_____\nAdded: svn:eol-style\n## -0,0 +1 ##\n+native\n"
                .to_owned(),
            // Git's: made, removed, renamed, with a new mode.
            "diff --git a/n b/n\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n\
             diff --git a/o b/o\ndeleted file mode 100644\n--- a/o\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
             diff --git a/p b/q\nsimilarity index 100%\nrename from p\nrename to q\n\
             diff --git a/r b/r\nold mode 100644\nnew mode 100755\n"
                .to_owned(),
            // Lines that look like more than they are, in their hunk.
            "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- ../../gone\n+++ ../../come\n  @@ -9 +9 @@\n".to_owned(),
            // A link within the tree.
            "diff --git a/d/l b/d/l\nnew file mode 120000\n--- /dev/null\n+++ b/d/l\n@@ -0,0 +1 @@\n+../e/f\n".to_owned(),
        ] {
            assert_eq!(refused(&diff, 1), "fine", "{diff}");
        }
        // The leading parts that are taken off are nobody's business.
        let absolute = "--- /home/ann/x\t2012\n+++ /home/ann/x\t2012\n@@ -1 +1 @@\n-x\n+y\n";
        assert_eq!(refused(absolute, 3), "fine");
        assert_eq!(refused(&change("x").replace("a/", "../../"), 3), "fine");
    }

    #[test]
    fn names_outside_of_the_tree_and_of_the_programs_are_refused() {
        for name in [
            "../x",
            "d/../../x",
            ".. /x",
            ".git/hooks/post-checkout",
            "sub/.GIT/config",
            ".hg/hgrc",
            ".svn/wc.db",
            "CVS/Root",
            ".buildbot-diff",
        ] {
            let told = refused(&change(name), 1);
            assert!(
                told.starts_with("line 1 of the patch names `"),
                "{name}: {told}"
            );
        }
        let new = "--- /dev/null\n+++ \"b/\\056\\056/x\"\n@@ -0,0 +1 @@\n+x\n";
        let expected = "line 2 of the patch names `b/../x`, which is outside of the tree";
        assert_eq!(refused(new, 1), expected);
        let absolute = "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-x\n+y\n";
        let expected = "line 1 of the patch names `/etc/passwd`, which is outside of the tree";
        assert_eq!(refused(absolute, 0), expected);
        assert_eq!(refused(&absolute.replace("/etc", "a//etc"), 1), "fine");
        for more in [
            "diff --git a/../x b/../x\nrename from ../x\nrename to y\n",
            "diff --git a/x b/y\nrename from x\nrename to a/.git/y\n",
            "Index: a/../x\n@@ -1 +1 @@\n-x\n+y\n",
        ] {
            assert!(refused(more, 1).contains("of the patch names `"), "{more}");
        }
    }

    #[test]
    fn what_patch_leaves_out_needs_git() {
        let new = "diff --git a/n b/n\nnew file mode 100644\n";
        let binary = format!("{new}index 0..1\nGIT binary patch\nliteral 2\nJcmb<o0002?0DAxc\n\n");
        assert_eq!(refused(&binary, 1), "fine");
        for diff in [
            new,
            &format!(
                "{new}{}",
                change("x").replace("--- ", "diff --git a/x b/x\n--- ")
            ),
            &binary,
        ] {
            assert!(needs_git(diff.as_bytes()), "{diff}");
        }
        let text = format!("{new}--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+GIT binary patch\n");
        for diff in [
            text,
            change("x"),
            "diff --git a/x b/x\nold mode 1\nnew mode 2\n".into(),
        ] {
            assert!(!needs_git(diff.as_bytes()), "{diff}");
        }
    }

    #[test]
    fn names_of_files_that_have_no_other_line_are_looked_at() {
        for names in [
            "\"a/\\056hg/hgrc\" \"b/\\056hg/hgrc\"",
            "a/x \"b/\\056\\056/x\"",
            "\"a/\\\"x\" b/.git/config",
        ] {
            let diff = format!("diff --git {names}\nnew file mode 100644\n");
            let told = refused(&diff, 1);
            assert!(told.starts_with("line 1 of the patch names `"), "{told}");
        }
        let fine = "diff --git \"a/\\\"x\\\"\\n\" \"b/\\\"x\\\"\\n\"\nnew file mode 100644\n";
        assert_eq!(refused(fine, 1), "fine");
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for target in ["/etc/passwd", "../../x", "../e/../../x"] {
            let diff = format!(
                "diff --git a/d/l b/d/l\nnew file mode 120000\n--- /dev/null\n+++ b/d/l\n@@ -0,0 +1 @@\n+{target}\n"
            );
            let expected =
                format!("line 6 of the patch links to `{target}`, which is outside of the tree");
            assert_eq!(refused(&diff, 1), expected);
        }
    }

    #[test]
    fn what_patch_would_take_for_something_else_is_refused() {
        let ed = "--- a/x\n+++ b/x\n0a\nx\n.\n!touch pwned\nw\n";
        let none = "the patch holds no unified diff, which `diff -u` makes";
        assert_eq!(refused(ed, 1), none);
        assert_eq!(
            refused("*** a/x\n--- b/x\n***************\n*** 1 ****\n! x\n", 1),
            none
        );
        for indented in ["  ", "\t", "X", "- "] {
            let diff = format!("{indented}--- a/../x\n");
            let told = refused(&diff, 1);
            assert!(
                told.contains("is not what a unified diff has there"),
                "{told}"
            );
        }
        for (diff, at) in [
            ("--- a/x\n+++ b/x\n@@ -1 +1 @@\nrest\n", 4),
            ("--- a/x\n+++ b/x\n@@ -1 +2 @@\n-x\n-x\n", 5),
            ("--- a/x\n+++ b/x\n@@ -1 +z @@\n", 3),
        ] {
            let told = refused(diff, 1);
            assert!(
                told.starts_with(&format!("line {at} of the patch is not")),
                "{told}"
            );
        }
        let cut = "the patch ends before its last part does";
        assert_eq!(refused("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n x\n", 1), cut);
    }
}
