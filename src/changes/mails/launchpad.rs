//! Mails of Launchpad about revisions of a branch of Bazaar.

use std::collections::BTreeMap;

use jiff::Zoned;

use super::Letter;
use super::Said;
use super::Unheard;
use crate::model::Timestamp;

/// What the branches of Launchpad are called here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Branches {
    /// By path, `~a/b/c` or `lp:~a/b/c`.
    pub(super) map: BTreeMap<String, String>,
    /// Of what stands in no map; `lp:PATH` if there is none.
    pub(super) default: Option<String>,
}

impl Branches {
    fn of(&self, path: Option<&str>) -> Option<String> {
        let long = path.map(|it| format!("lp:{it}"));
        let known = path.and_then(|it| self.map.get(it));
        let known = known.or_else(|| self.map.get(long.as_deref()?));
        known.cloned().or_else(|| self.default.clone()).or(long)
    }
}

/// Under which heading a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Other,
    Message,
    Removed,
    Added,
    Modified,
    Renamed,
}

impl Section {
    fn read(line: &str) -> Option<Self> {
        Some(match line {
            "message:" => Self::Message,
            "removed:" => Self::Removed,
            "added:" => Self::Added,
            "modified:" => Self::Modified,
            "renamed:" => Self::Renamed,
            _ => return None,
        })
    }

    /// A file as the change has it.
    fn file(self, line: &str) -> Option<String> {
        let word = match self {
            Self::Other | Self::Message => return None,
            Self::Removed => "REMOVED",
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Renamed => "RENAMED",
        };
        Some(match line.split_once(" => ") {
            Some((old, new)) if self == Self::Renamed => format!("{old} RENAMED {new}"),
            _ => format!("{line} {word}"),
        })
    }
}

pub(super) fn read(letter: &Letter, branches: &Branches) -> Result<Said, Unheard> {
    let (mut revision, mut who, mut when) = (None, None, None);
    let mut section = Section::Other;
    let mut message: Vec<&str> = Vec::new();
    let mut files = Vec::new();
    for line in &letter.lines {
        if let Some(inner) = line.strip_prefix("  ") {
            match section {
                Section::Message => message.push(inner),
                _ => files.extend(section.file(inner)),
            }
        } else if line.trim().is_empty() {
            // A blank line of a message may have lost its indent on the way.
            if section == Section::Message {
                message.push("");
            }
        } else if let Some(begun) = Section::read(line.trim_end()) {
            section = begun;
        } else {
            section = Section::Other;
            if let Some(rest) = line.strip_prefix("revno:") {
                revision = revision.or_else(|| number(rest.trim()));
            } else if let Some(rest) = line.strip_prefix("committer:") {
                who = who.or_else(|| Some(rest.trim()).filter(|it| !it.is_empty()));
            } else if let Some(rest) = line.strip_prefix("timestamp:") {
                when = when.or_else(|| time(rest.trim()));
            }
        }
    }
    let (Some(revision), Some(who)) = (revision, who) else {
        return Err(Unheard::Nothing(
            "it has no revision, or nobody who made it",
        ));
    };
    while message.last().is_some_and(|it| it.trim().is_empty()) {
        message.pop();
    }
    let path = path(&letter.subject);
    Ok(Said {
        who: who.to_owned(),
        files,
        comments: message.iter().map(|it| format!("{it}\n")).collect(),
        revision: Some(revision),
        branch: branches.of(path),
        when,
        repository: path.map(str::to_owned),
        ..Said::default()
    })
}

/// The path of `[Branch PATH] …`.
fn path(subject: &str) -> Option<&str> {
    let (path, _) = subject.strip_prefix("[Branch ")?.split_once(']')?;
    Some(path.trim()).filter(|it| !it.is_empty())
}

/// The digits and dots at the beginning.
fn number(text: &str) -> Option<String> {
    let end = text.find(|it: char| !(it.is_ascii_digit() || it == '.'));
    let number = &text[..end.unwrap_or(text.len())];
    (!number.is_empty()).then(|| number.to_owned())
}

/// Reads `Www YYYY-MM-DD HH:MM:SS +hhmm`.
fn time(text: &str) -> Option<Timestamp> {
    // The name of the day says nothing that the date does not, and may be of any language.
    let (_, text) = text.split_once(' ')?;
    let at = Zoned::strptime("%Y-%m-%d %H:%M:%S %z", text).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, body: &str) -> Letter {
        let text = format!("From: noreply@launchpad.example\n{subject}\n{body}");
        Letter::read(text.as_bytes()).expect("a mail")
    }

    const SUBJECT: &str = "Subject: [Branch ~a/b/c] Rev 12: msg\n";
    const BODY: &str = "------------------------------------------------------------\n\
        revno: 12.1 [merge]\ncommitter: Bo <bo@x>\nbranch nick: c\n\
        timestamp: Tue 2012-03-06 01:02:03 -0330\nmessage:\n  msg\n\n    deep\n  \n\n\
        removed:\n  r.c\nadded:\n  a dir/\nmodified:\n  m.c\nrenamed:\n  o.c => n.c\n  p.c\n\n\
        === modified file 'm.c'\n--- m.c\n+++ m.c\n  context\n\n--\nlp:~a/b/c\n";

    #[test]
    fn a_revision_is_told_with_its_files_in_the_order_of_the_mail() {
        let said = read(&mail(SUBJECT, BODY), &Branches::default()).expect("a change");
        let files = [
            "r.c REMOVED",
            "a dir/ ADDED",
            "m.c MODIFIED",
            "o.c RENAMED n.c",
            "p.c RENAMED",
        ];
        let expected = Said {
            who: "Bo <bo@x>".into(),
            files: files.map(String::from).into(),
            comments: "msg\n\n  deep\n".into(),
            revision: Some("12.1".into()),
            branch: Some("lp:~a/b/c".into()),
            when: Some(Timestamp::from_secs(1_331_008_323)),
            repository: Some("~a/b/c".into()),
            ..Said::default()
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn the_branch_is_what_the_map_says_then_the_default_then_the_path() {
        let check = |map: &[(&str, &str)], default: Option<&str>, expected: &str| {
            let map = map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            let branches = Branches {
                map: map.collect(),
                default: default.map(str::to_owned),
            };
            let said = read(&mail(SUBJECT, BODY), &branches).expect("a change");
            assert_eq!(said.branch.as_deref(), Some(expected));
        };
        check(&[], None, "lp:~a/b/c");
        check(&[], Some("D"), "D");
        check(&[("~a/b/c", "Y"), ("lp:~a/b/c", "X")], Some("D"), "Y");
        check(&[("lp:~a/b/c", "X")], None, "X");
        let said = read(&mail("", BODY), &Branches::default()).expect("a change");
        assert_eq!((said.branch, said.repository), (None, None));
    }

    #[test]
    fn a_revision_and_who_made_it_must_both_be_there() {
        let check = |body: &str| {
            let said = read(&mail(SUBJECT, body), &Branches::default());
            assert!(matches!(said, Err(Unheard::Nothing(_))), "{body}");
        };
        check("revno: 12\n");
        check("committer: Bo\n");
        check("revno: x\ncommitter: Bo\n");
        check("hello\n");
        let said = read(
            &mail(SUBJECT, "revno: 1\ncommitter: Bo\ntimestamp: now\n"),
            &Branches::default(),
        );
        assert_eq!(said.expect("a change").when, None);
    }
}
