//! One revision as `git log` and `hg log` are asked to print it: fields that
//! end with NUL, because names and comments may hold anything else.

use crate::model::Timestamp;

/// A revision with what people know it by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(super) revision: String,
    pub(super) author: String,
    pub(super) when: Timestamp,
    pub(super) comments: String,
    pub(super) files: Vec<String>,
}

/// Reads records of the form `\0 revision \0 author \0 seconds \0 comments \0 \0`, then, after an
/// optional newline, `name \0` for each file. No name is empty, so the NUL
/// that begins the next record also ends the names.
pub(super) fn read(text: &str) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.strip_prefix('\0')?;
        let mut field = || {
            let (field, after) = rest.split_once('\0')?;
            rest = after;
            Some(field)
        };
        let revision = field()?.to_owned();
        let author = field()?.to_owned();
        // Mercurial puts the zone's offset behind the seconds.
        let seconds = field()?.split(' ').next()?.parse().ok()?;
        let comments = field()?.trim().to_owned();
        if !field()?.is_empty() {
            return None;
        }
        let mut files = Vec::new();
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        while !rest.is_empty() && !rest.starts_with('\0') {
            let (name, after) = rest.split_once('\0')?;
            files.push(name.to_owned());
            rest = after;
        }
        records.push(Record {
            revision,
            author,
            when: Timestamp::from_secs(seconds),
            comments,
            files,
        });
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_the_next_record_begins() {
        let text = "\0a1\0ann\x0010\0first\nbody\0\0\na b\0n\nl\0\0b2\0\x0020 -3600\0\0\0";
        let records = read(text).expect("two records");
        assert_eq!(records[0].files, ["a b", "n\nl"]);
        assert_eq!(records[0].comments, "first\nbody");
        assert_eq!(records[1].revision, "b2");
        assert_eq!(records[1].when, Timestamp::from_secs(20));
        assert!(records[1].author.is_empty() && records[1].files.is_empty());
    }

    #[test]
    fn a_file_named_like_a_revision_is_a_file() {
        let text = "\0a1\0\x001\0\0\0\nb2\0\0b2\0\x002\0\0\0";
        let records = read(text).expect("two records");
        assert_eq!(records[0].files, ["b2"]);
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn garbage_is_refused() {
        for text in [
            "x",
            "\0a\0b",
            "\0a\0b\0never\0c\0\0",
            "\0a\0b\x001\0c\0d\0",
            "\0a\0b\x001\0c\0\0x",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(""), Some(Vec::new()));
    }
}
