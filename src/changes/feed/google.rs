//! What Google Code said of a commit, in the HTML of an entry: its files, then its comment.

use super::html;

/// Between the files and the comment.
const BETWEEN: &str = "<br/>\n <br/>";

/// What stood before a file.
const ACTIONS: &[&str] = &["Add", "Delete", "Modify"];

/// Whether a feed at this address is written so.
pub(super) fn is_its(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.split('/')
        .any(|it| matches!(it, "svnchanges" | "hgchanges" | "gitchanges"))
}

/// The files and the comment.
pub(super) fn read(content: &str) -> (Vec<String>, String) {
    let content = content.replace("\r\n", "\n");
    let (files, comment) = content.split_once(BETWEEN).unwrap_or((&content, ""));
    // The first line is a heading.
    let files = files.split("<br/>").skip(1).map(file);
    let files = files.filter(|it| !it.is_empty()).collect();
    let comment = html::text(comment).trim().to_owned();
    let comment = match comment.is_empty() {
        true => "No commit message provided".to_owned(),
        false => comment,
    };
    (files, comment)
}

fn file(line: &str) -> String {
    let line = html::text(line);
    let line = line.trim();
    let word = ACTIONS.iter().find_map(|it| {
        let rest = line.strip_prefix(it)?;
        rest.starts_with(char::is_whitespace).then_some(rest)
    });
    word.unwrap_or(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_before_the_comment_each_with_what_was_done_to_it() {
        let content = "Changed Paths:<br/>\n&nbsp;&nbsp;&nbsp;&nbsp;Modify&nbsp;&nbsp;&nbsp;&nbsp;/trunk/a b.py<br/>\
            &nbsp; Add   /trunk/Modify/ü.py<br/>&nbsp;Delete /trunk/c<br/>\n <br/>\n Fixes &lt;x&gt;<br/>for good";
        let (files, comment) = read(content);
        assert_eq!(files, ["/trunk/a b.py", "/trunk/Modify/ü.py", "/trunk/c"]);
        assert_eq!(comment, "Fixes <x>\nfor good");
    }

    #[test]
    fn a_commit_without_a_comment_says_so() {
        let none = "No commit message provided";
        assert_eq!(
            read("Changed Paths:<br/> Add /a<br/>\n <br/>"),
            (vec!["/a".into()], none.into())
        );
        assert_eq!(read(""), (Vec::new(), none.into()));
    }

    #[test]
    fn its_feeds_are_known_by_their_address() {
        assert!(is_its(
            "http://code.google.com/feeds/p/hello/svnchanges/basic"
        ));
        assert!(is_its("https://h/p/gitchanges"));
        assert!(!is_its("https://h/svnchanges.atom?hgchanges/"));
    }
}
