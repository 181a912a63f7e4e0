//! Mails of `commit-email.pl` or svnmailer for a commit to Subversion.

use super::Letter;
use super::Prefix;
use super::Said;
use super::Unheard;

/// The files stand below these.
const HEADINGS: [&str; 3] = ["Added:", "Removed:", "Modified:"];

pub(super) fn read(letter: &Letter, prefix: &Prefix) -> Result<Said, Unheard> {
    let mut who = letter.user();
    let mut revision = None;
    let mut lines = letter.lines.iter().map(|it| it.trim_end());
    for line in lines.by_ref().take_while(|it| *it != "Log:") {
        if let Some(author) = line.strip_prefix("Author:") {
            who = author.split_whitespace().next().map(str::to_owned).or(who);
        } else if let Some(number) = line.strip_prefix("New Revision:") {
            let digits = number.trim_start();
            let end = digits.find(|it: char| !it.is_ascii_digit());
            let digits = &digits[..end.unwrap_or(digits.len())];
            revision = Some(digits.to_owned()).filter(|it| !it.is_empty());
        }
    }
    let log: Vec<&str> = lines
        .by_ref()
        .take_while(|it| !HEADINGS.contains(it))
        .collect();
    let files = lines
        .take_while(|it| !it.is_empty())
        .filter(|it| !HEADINGS.contains(it));
    let files: Vec<String> = files.filter_map(|it| prefix.strip(it.trim())).collect();
    if files.is_empty() {
        return Err(Unheard::Nothing("it names no files that count"));
    }
    let Some(who) = who else {
        return Err(Unheard::Nothing("it says nobody whom it is from"));
    };
    Ok(Said {
        who,
        files,
        comments: format!("{}\n", log.join("\n").trim()),
        revision,
        ..Said::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] = b"From: svn@h.example (daemon)\nSubject: r812\n\n\
        Author: ann\nDate: today\nNew Revision: 812\n\nURL: http://h/812\nLog:\n\
        * fixes it\n\n  for good\n\nModified:\n   p/trunk/m.c\nAdded:\n   p/other/z z.c\n\n\
        Log:\nModified: p/trunk/m.c\n=====\n";

    fn check(prefix: &str, expected: &[&str]) {
        let letter = Letter::read(MAIL).expect("a mail");
        match read(&letter, &Prefix(prefix.into())) {
            Ok(said) => assert_eq!(said.files, expected),
            Err(Unheard::Nothing(_)) => assert!(expected.is_empty()),
            Err(Unheard::Bad(why)) => panic!("{why}"),
        }
    }

    #[test]
    fn a_prefix_is_taken_off_and_files_without_it_do_not_count() {
        check("p/trunk/", &["m.c"]);
        check("q/", &[]);
        check("", &["p/trunk/m.c", "p/other/z z.c"]);
    }

    #[test]
    fn the_author_line_says_who_and_the_comment_ends_at_the_files() {
        let letter = Letter::read(MAIL).expect("a mail");
        let said = read(&letter, &Prefix::default()).expect("a change");
        assert_eq!(said.who, "ann");
        assert_eq!(said.revision.as_deref(), Some("812"));
        assert_eq!(said.comments, "* fixes it\n\n  for good\n");
        assert_eq!((said.when, said.branch), (None, None));
        let text = b"From: Bo <bo@h>\n\nLog:\nModified:\n a\n";
        let said = read(&Letter::read(text).expect("a mail"), &Prefix::default());
        let said = said.expect("a change");
        assert_eq!((said.who.as_str(), said.comments.as_str()), ("bo", "\n"));
        assert_eq!(said.revision, None);
    }

    #[test]
    fn a_mail_that_is_about_something_else_is_no_change() {
        for text in ["hello\n", "Log:\nno end\n", "Log:\n\nModified:\n\n a\n"] {
            let letter = Letter::read(format!("From: a@h\n\n{text}").as_bytes());
            let said = read(&letter.expect("a mail"), &Prefix::default());
            assert!(matches!(said, Err(Unheard::Nothing(_))), "{text}");
        }
    }
}
