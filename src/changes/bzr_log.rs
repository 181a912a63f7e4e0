//! What `bzr log --verbose --show-ids` prints, in its long form. What people
//! wrote stands two columns in, so no message can look like the rest.

use crate::model::Timestamp;

/// A revision of the branch itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) id: String,
    /// Ids; a merge has several.
    pub(super) parents: Vec<String>,
    /// The author if one is named, else who committed it.
    pub(super) author: String,
    pub(super) nick: String,
    pub(super) when: Option<Timestamp>,
    pub(super) message: String,
    /// `PATH file ADDED`, `OLD directory RENAMED NEW`.
    pub(super) files: Vec<String>,
}

const RULE: &str = "------------------------------------------------------------";

/// Reads the entries; `None` if this is no such log.
pub(super) fn read(text: &str) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if line == RULE {
            entries.push(Entry {
                number: 0,
                id: String::new(),
                parents: Vec::new(),
                author: String::new(),
                nick: String::new(),
                when: None,
                message: String::new(),
                files: Vec::new(),
            });
            section = "";
            continue;
        }
        let Some(entry) = entries.last_mut() else {
            // Such as a word of the server.
            continue;
        };
        if let Some(inside) = line.strip_prefix("  ") {
            match section {
                "message:" => {
                    entry.message.push_str(inside);
                    entry.message.push('\n');
                }
                _ => entry.files.extend(file(section, inside)),
            }
            continue;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name {
            // `12 [merge]`; one that was merged has more numbers, `11.1.2`.
            "revno" => entry.number = value.split([' ', '.']).next()?.parse().ok()?,
            "revision-id" => entry.id = value.to_owned(),
            "parent" => entry.parents.push(value.to_owned()),
            "author" => entry.author = value.to_owned(),
            "committer" if entry.author.is_empty() => entry.author = value.to_owned(),
            "branch nick" => entry.nick = value.to_owned(),
            "timestamp" => entry.when = time(value),
            // A blank line of a message stands without its columns.
            "" if section == "message:" => entry.message.push('\n'),
            _ => section = line,
        }
    }
    let is_whole = |it: &Entry| it.number > 0 && !it.id.is_empty();
    entries.iter().all(is_whole).then_some(entries)
}

/// `NAME   ID` of a section; a directory ends in `/`.
fn file(section: &str, line: &str) -> Option<String> {
    let (name, _id) = line.rsplit_once(' ')?;
    let name = name.trim_end();
    let kind = |name: &str| match name.chars().last() {
        Some('/') => "directory",
        Some('@') => "symlink",
        _ => "file",
    };
    let plain = |name: &str| name.trim_end_matches(['/', '@', '*']).to_owned();
    let done = match section {
        "added:" => "ADDED",
        "removed:" => "REMOVED",
        "modified:" => "MODIFIED",
        "renamed:" => {
            let (old, new) = name.split_once(" => ")?;
            return Some(format!(
                "{} {} RENAMED {}",
                plain(old),
                kind(new),
                plain(new)
            ));
        }
        _ => return None,
    };
    Some(format!("{} {} {done}", plain(name), kind(name)))
}

/// `Sat 2026-11-21 00:18:27 +0000`.
fn time(text: &str) -> Option<Timestamp> {
    let when = jiff::fmt::strtime::parse("%a %Y-%m-%d %H:%M:%S %z", text).ok()?;
    Some(Timestamp(when.to_timestamp().ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_messages_cannot_pretend_to_be_entries() {
        let text = format!(
            "{RULE}\nrevno: 12 [merge]\nrevision-id: x-2\nparent: x-1\nparent: y-9\nauthor: Bo <bo@x>\n\
             committer: Ann <ann@x>\nbranch nick: trunk\ntimestamp: Sat 2026-11-21 00:18:27 +0000\nmessage:\n  \
             first\n\n    {RULE}\n  added:\n    fake  id\nadded:\n  a b              ab-1\n  d/        d-1\nrenamed:\n  \
             o p => n q op-1\nmodified:\n  n q* op-1\n"
        );
        let entries = read(&text).expect("a log");
        let entry = &entries[0];
        assert_eq!(
            (entry.number, entry.id.as_str(), entries.len()),
            (12, "x-2", 1)
        );
        assert_eq!(
            (entry.author.as_str(), entry.nick.as_str()),
            ("Bo <bo@x>", "trunk")
        );
        assert_eq!(entry.parents, ["x-1", "y-9"]);
        assert_eq!(entry.when, Some(Timestamp::from_secs(1_795_220_307)));
        assert_eq!(
            entry.message,
            format!("first\n\n  {RULE}\nadded:\n  fake  id\n")
        );
        assert_eq!(
            entry.files,
            [
                "a b file ADDED",
                "d directory ADDED",
                "o p file RENAMED n q",
                "n q file MODIFIED"
            ]
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read(&format!("{RULE}\nrevno: x\n")), None);
        assert_eq!(read(&format!("{RULE}\nrevno: 1\n")), None, "without an id");
    }
}
