//! Mails of `syncmail`.

use super::Letter;
use super::Prefix;
use super::Said;
use super::Unheard;
use crate::model::Timestamp;

const HEADINGS: [&str; 3] = ["Modified Files:", "Added Files:", "Removed Files:"];

pub(super) fn read(letter: &Letter, prefix: &Prefix, now: Timestamp) -> Result<Said, Unheard> {
    let Some(who) = letter.user() else {
        return Err(Unheard::Nothing("it says nobody whom it is from"));
    };
    let dir = letter.subject.split(' ').next().unwrap_or_default();
    let mut lines = letter.lines.iter().map(|it| it.trim_end()).peekable();
    while lines.next_if(|it| !HEADINGS.contains(it)).is_some() {}
    let (mut files, mut branch) = (Vec::new(), None);
    while let Some(line) = lines.next_if(|it| !(it.is_empty() || *it == "Log Message:")) {
        if let Some(tag) = line.trim_start().strip_prefix("Tag: ") {
            branch = Some(tag.trim().to_owned());
        } else if !HEADINGS.contains(&line) {
            let names = line.split_whitespace().map(|it| format!("{dir}/{it}"));
            files.extend(names.filter_map(|it| prefix.strip(&it)));
        }
    }
    if files.is_empty() {
        return Err(Unheard::Nothing("it names no files that count"));
    }
    let mut lines = lines.skip_while(|it| *it != "Log Message:");
    let _ = lines.next();
    let is_diff = |it: &str| {
        it.starts_with("Index: ") || it.starts_with("--- NEW FILE") || it.ends_with(" DELETED ---")
    };
    let log: Vec<&str> = lines.take_while(|it| !is_diff(it)).collect();
    Ok(Said {
        who,
        files,
        comments: format!("{}\n", log.join("\n").trim()),
        revision: Some(super::utc(now)),
        branch,
        ..Said::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_of_syncmail_names_its_directory_in_the_subject() {
        let mail = b"From: Ann <ann@h.example>\nSubject: src/lib a.c,1.1,1.2 b.c,NONE,1.1\n\n\
            Update of /cvs/src/lib\nIn directory h:/tmp\n\nModified Files:\n      Tag: topic\n\ta.c c.c\n\
            Added Files:\n\tb.c \nLog Message:\nfixes\n\n  it\n\nIndex: a.c\n--- NEW FILE: b.c ---\n";
        let letter = Letter::read(mail).expect("a mail");
        let said = read(&letter, &Prefix("src/".into()), Timestamp(0)).expect("a change");
        assert_eq!(said.files, ["lib/a.c", "lib/c.c", "lib/b.c"]);
        assert_eq!(
            (said.who.as_str(), said.comments.as_str()),
            ("ann", "fixes\n\n  it\n")
        );
        assert_eq!(said.branch.as_deref(), Some("topic"));
        assert_eq!(said.revision.as_deref(), Some("1970-01-01 00:00:00"));
        let text = String::from_utf8_lossy(mail).replace("Index: a.c", "a.c DELETED ---");
        let again = Letter::read(text.as_bytes()).expect("a mail");
        let again = read(&again, &Prefix::default(), Timestamp(0)).expect("a change");
        assert_eq!((again.comments, again.files.len()), (said.comments, 3));
        let none = read(&letter, &Prefix("x/".into()), Timestamp(0));
        assert!(matches!(none, Err(Unheard::Nothing(_))));
    }
}
