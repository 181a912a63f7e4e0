//! A part of a patch that no version control has made: a file that is new, gone, or no text, in
//! the form of git, which carries all of them.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sha1::Digest as _;
use sha1::Sha1;

use crate::model::hex;

/// A file as it was, or as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) mode: Mode,
    pub(super) bytes: Vec<u8>,
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    Program,
    Link,
}

impl Mode {
    const fn digits(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Program => "100755",
            Self::Link => "120000",
        }
    }
}

/// The lines that bring one file from what it was to what it is; `level` parts are taken off
/// its name. Nothing if it is as it was.
pub(super) fn part(path: &Path, level: u32, old: Option<&Side>, new: Option<&Side>) -> Vec<u8> {
    if old == new {
        return Vec::new();
    }
    let (a, b) = match level {
        0 => (name("", path), name("", path)),
        _ => (name("a/", path), name("b/", path)),
    };
    let mut head = format!("diff --git {a} {b}\n");
    match (old, new) {
        (None, Some(new)) => writeln!(head, "new file mode {}", new.mode.digits()),
        (Some(old), None) => writeln!(head, "deleted file mode {}", old.mode.digits()),
        (Some(old), Some(new)) if old.mode != new.mode => writeln!(
            head,
            "old mode {}\nnew mode {}",
            old.mode.digits(),
            new.mode.digits()
        ),
        _ => Ok(()),
    }
    .expect("a String takes every text");
    let bytes = |it: Option<&Side>| it.map(|it| it.bytes.clone()).unwrap_or_default();
    let (was, is) = (bytes(old), bytes(new));
    let mut part = head.into_bytes();
    if was == is {
        return part;
    }
    let is_text = !was.contains(&0) && !is.contains(&0);
    match (old, new) {
        (None, Some(_)) if is_text => {
            part.extend(format!("--- /dev/null\n+++ {}\n", ended(&b)).bytes());
            hunk(&mut part, b'+', &is);
        }
        (Some(_), None) if is_text => {
            part.extend(format!("--- {}\n+++ /dev/null\n", ended(&a)).bytes());
            hunk(&mut part, b'-', &was);
        }
        _ => {
            let (was, now) = (old.map(|it| sum(&it.bytes)), new.map(|it| sum(&it.bytes)));
            let none = || "0".repeat(40);
            let (was, now) = (was.unwrap_or_else(none), now.unwrap_or_else(none));
            part.extend(format!("index {was}..{now}\nGIT binary patch\n").bytes());
            part.extend(format!("literal {}\n", is.len()).bytes());
            letters(&mut part, &packed(&is));
            part.push(b'\n');
        }
    }
    part
}

/// A name as git writes it: in quotes if there is something in it that could be misread.
fn name(prefix: &str, path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let text = str::from_utf8(bytes).ok();
    let is_plain = |it: &&str| !it.contains(|c: char| c.is_control() || matches!(c, '"' | '\\'));
    if let Some(text) = text.filter(is_plain) {
        return format!("{prefix}{text}");
    }
    let mut quoted = format!("\"{prefix}");
    for byte in bytes {
        match byte {
            b'\n' => quoted.push_str("\\n"),
            b'\t' => quoted.push_str("\\t"),
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            0x20..=0x7e => quoted.push(char::from(*byte)),
            _ => write!(quoted, "\\{byte:03o}").expect("a String takes every text"),
        }
    }
    quoted.push('"');
    quoted
}

/// A tab says where a name with a blank in it ends.
fn ended(name: &str) -> String {
    match name.contains(' ') && !name.starts_with('"') {
        true => format!("{name}\t"),
        false => name.to_owned(),
    }
}

/// All lines of a file, as one hunk.
fn hunk(part: &mut Vec<u8>, sign: u8, text: &[u8]) {
    let lines: Vec<&[u8]> = text.split_inclusive(|it| *it == b'\n').collect();
    let (count, zero) = (lines.len(), "0,0");
    let ranges = match sign {
        b'+' => format!("-{zero} +1,{count}"),
        _ => format!("-1,{count} +{zero}"),
    };
    part.extend(format!("@@ {ranges} @@\n").bytes());
    for line in lines {
        part.push(sign);
        part.extend(line);
    }
    if !text.ends_with(b"\n") {
        part.extend(b"\n\\ No newline at end of file\n");
    }
}

/// By which git knows a file.
fn sum(bytes: &[u8]) -> String {
    let mut sum = Sha1::new();
    sum.update(format!("blob {}\0", bytes.len()));
    sum.update(bytes);
    let sum = sum.finalize();
    hex(&sum)
}

/// Bytes as zlib has them that packs nothing.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a chunk is as long at most");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let (mut one, mut two) = (1_u32, 0_u32);
    for byte in bytes {
        one = (one + u32::from(*byte)) % 65_521;
        two = (two + one) % 65_521;
    }
    out.extend(((two << 16) | one).to_be_bytes());
    out
}

/// Bytes as git writes them: 52 to a line, five letters for four of them, the length in front.
fn letters(part: &mut Vec<u8>, bytes: &[u8]) {
    const LETTERS: &[u8; 85] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    for line in bytes.chunks(52) {
        let length = u8::try_from(line.len()).expect("52 at the most");
        part.push(match length {
            1..=26 => b'A' + length - 1,
            _ => b'a' + length - 27,
        });
        for four in line.chunks(4) {
            let mut word = [0; 4];
            word[..four.len()].copy_from_slice(four);
            let mut left = u32::from_be_bytes(word);
            let mut five = [0; 5];
            for letter in five.iter_mut().rev() {
                *letter = LETTERS[usize::try_from(left % 85).expect("below 85")];
                left /= 85;
            }
            part.extend(five);
        }
        part.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::process::run_beside;

    fn side(bytes: &[u8]) -> Side {
        Side {
            mode: Mode::Plain,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_new_text_is_a_hunk_and_an_empty_file_has_none() {
        let text = |path: &str, old: Option<&Side>, new: Option<&Side>| {
            String::from_utf8(part(Path::new(path), 1, old, new)).unwrap()
        };
        let one = side(b"one\ntwo");
        assert_eq!(
            text("a b", None, Some(&one)),
            "diff --git a/a b b/a b\nnew file mode 100644\n--- /dev/null\n+++ b/a b\t\n\
             @@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"
        );
        assert_eq!(
            text("x", Some(&side(b"one\n")), None),
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n\
             @@ -1,1 +0,0 @@\n-one\n"
        );
        assert_eq!(
            text("x\ny", None, Some(&side(b""))),
            "diff --git \"a/x\\ny\" \"b/x\\ny\"\nnew file mode 100644\n"
        );
        assert_eq!(text("x", Some(&one), Some(&one)), "");
    }

    /// What git makes of parts is what they were made of.
    #[test]
    fn git_understands_every_part() {
        let dir = tempfile::tempdir().unwrap();
        let big: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let odd = OsStr::from_bytes(b"l\xe4tin \"1\"\n");
        let new = [
            (Path::new("binary"), side(&big)),
            (Path::new("none"), side(b"")),
            (Path::new("zero"), side(b"\0")),
            (Path::new("d/a b"), side(b"x\r\ny\n")),
            (Path::new(odd), side(b"odd")),
        ];
        for level in [0, 1] {
            let mut patch = Vec::new();
            for (path, it) in &new {
                patch.extend(part(path, level, None, Some(it)));
            }
            let program = Side {
                mode: Mode::Program,
                ..side(b"#!/bin/sh\n")
            };
            patch.extend(part(Path::new("run"), level, None, Some(&program)));
            let (was, is) = (side(b"was\0"), side(b"is\0\xff"));
            patch.extend(part(Path::new("bin"), level, Some(&was), Some(&is)));
            patch.extend(part(Path::new("gone"), level, Some(&was), None));
            let tree = dir.path().join(level.to_string());
            fs::create_dir(&tree).unwrap();
            for name in ["bin", "gone"] {
                fs::write(tree.join(name), &was.bytes).unwrap();
            }
            let p = format!("-p{level}");
            let argv = ["git", "--git-dir=/dev/null", "apply", &p, "-"];
            let said = run_beside(&argv, &[], &tree, Some(&patch)).unwrap();
            assert!(said.status.success(), "{said:?}");
            for (path, it) in &new {
                assert_eq!(fs::read(tree.join(path)).unwrap(), it.bytes, "{path:?}");
            }
            assert_eq!(fs::read(tree.join("bin")).unwrap(), is.bytes);
            assert!(!tree.join("gone").exists());
            let mode = fs::metadata(tree.join("run")).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111);
        }
    }
}
