//! Mails that CVS sends to Bonsai.

use super::Letter;
use super::Prefix;
use super::Said;
use super::Unheard;
use crate::model::Timestamp;

pub(super) fn read(letter: &Letter, prefix: &Prefix) -> Result<Said, Unheard> {
    let mut said = Said::default();
    let mut lines = letter.lines.iter().map(|it| it.trim_end());
    let mut is_there = false;
    for line in lines.by_ref() {
        if line == "LOGCOMMENT" {
            is_there = true;
            break;
        }
        if line.is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('|').collect();
        let [_, epoch, user, repository, dir, file, rest @ ..] = fields.as_slice() else {
            return Err(Unheard::Nothing("a line has fewer fields than a file"));
        };
        (*user).clone_into(&mut said.who);
        said.when = epoch.parse().ok().map(Timestamp::from_secs);
        said.repository = Some((*repository).to_owned()).filter(|it| !it.is_empty());
        let branch = rest.get(2).filter(|it| !it.is_empty());
        said.branch = branch.map(|it| (*it).to_owned());
        said.files.extend(prefix.strip(&format!("{dir}/{file}")));
    }
    if !is_there || said.files.is_empty() {
        return Err(Unheard::Nothing("it names no files that count"));
    }
    let log: Vec<&str> = lines.take_while(|it| *it != ":ENDLOGCOMMENT").collect();
    said.comments = format!("{}\n", log.join("\n").trim());
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_to_bonsai_has_a_line_for_each_file() {
        let mail = b"From: cvs@h.example\n\n\
            C|1078776510|ann|/cvs|src/lib|a b.c|1.2|||1|0\nA|1078776511|bo|/cvs|src|c.c|1.1||topic|9|0\n\
            LOGCOMMENT\nfixes\n\n it\n:ENDLOGCOMMENT\nmore\n";
        let letter = Letter::read(mail).expect("a mail");
        let said = read(&letter, &Prefix::default()).expect("a change");
        let expected = Said {
            who: "bo".into(),
            files: vec!["src/lib/a b.c".into(), "src/c.c".into()],
            comments: "fixes\n\n it\n".into(),
            branch: Some("topic".into()),
            when: Some(Timestamp::from_secs(1_078_776_511)),
            repository: Some("/cvs".into()),
            ..Said::default()
        };
        assert_eq!(said, expected);
        let short = b"From: cvs@h\n\nC|1|ann|/cvs|src\nLOGCOMMENT\nx\n:ENDLOGCOMMENT\n";
        let none = read(&Letter::read(short).expect("a mail"), &Prefix::default());
        assert!(matches!(none, Err(Unheard::Nothing(_))));
    }
}
