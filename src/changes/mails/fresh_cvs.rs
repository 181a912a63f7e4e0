//! Mails of FreshCVS.

use super::Letter;
use super::Prefix;
use super::Said;
use super::Unheard;

pub(super) fn read(letter: &Letter, prefix: &Prefix) -> Result<Said, Unheard> {
    let user = letter.name.as_deref().and_then(|it| it.split_once(" CVS"));
    let Some((who, _)) = user.filter(|(who, _)| !who.is_empty()) else {
        return Err(Unheard::Nothing("it is not from `USER CVS`"));
    };
    let mut lines = letter.lines.iter().map(|it| it.trim());
    let _ = lines.by_ref().find(|it| *it == "Modified files:");
    let files: Vec<String> = lines
        .by_ref()
        .take_while(|it| !it.is_empty())
        .filter_map(|it| prefix.strip(it.split_whitespace().next()?))
        .collect();
    if files.is_empty() {
        return Err(Unheard::Nothing("it names no files that count"));
    }
    let mut lines = letter.lines.iter().map(|it| it.trim_end());
    let _ = lines.by_ref().find(|it| it.trim() == "Log message:");
    let log = lines.take_while(|it| !(it.trim() == "ViewCVS links:" || it.starts_with("Index: ")));
    let log: Vec<&str> = log.collect();
    Ok(Said {
        who: who.to_owned(),
        files,
        comments: format!("{}\n", log.join("\n").trim()),
        ..Said::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_of_freshcvs_names_its_user_in_the_name_that_it_is_from() {
        let mail = b"From: ann CVS <cvs@h.example>\nSubject: cvs: Twisted\n\n\
            Modified files:\nTwisted/a.py 1.2 1.3\nTwisted/dir 0 0\nOther/b 1.1 1.2\n\n\
            Log message:\nfixes\n\n  it\n\n\nViewCVS links:\nhttp://h/a\n\nIndex: a\n";
        let letter = Letter::read(mail).expect("a mail");
        let said = read(&letter, &Prefix("Twisted/".into())).expect("a change");
        assert_eq!(
            (said.who.as_str(), said.comments.as_str()),
            ("ann", "fixes\n\n  it\n")
        );
        assert_eq!(said.files, ["a.py", "dir"]);
        let none = read(&letter, &Prefix("x/".into()));
        assert!(matches!(none, Err(Unheard::Nothing(_))));
        let text = String::from_utf8_lossy(mail).replace("ann CVS", "ann");
        let other = Letter::read(text.as_bytes()).expect("a mail");
        assert!(matches!(
            read(&other, &Prefix::default()),
            Err(Unheard::Nothing(_))
        ));
    }
}
