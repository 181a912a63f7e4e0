//! Mails of a script in CVSROOT/loginfo that says everything in lines of its own, as
//! `buildbot_cvs_mail.py` does, before it copies what CVS said.

use std::sync::LazyLock;

use regex::Regex;

use super::Letter;
use super::Said;
use super::Unheard;
use crate::changes::fetch;
use crate::model::Timestamp;

/// A revision of a file, or none.
const VERSION: &str = r"(NONE|[0-9]+\.[0-9]+(?:\.[0-9]+\.[0-9]+)*)";

/// CVS 1.12: `NAME OLD NEW`.
static SPACED: LazyLock<Regex> = LazyLock::new(|| pattern(' '));

/// CVS 1.11: `NAME,OLD,NEW`.
static COMMAED: LazyLock<Regex> = LazyLock::new(|| pattern(','));

fn pattern(between: char) -> Regex {
    let all = format!("^(.+?){between}{VERSION}{between}{VERSION}(?: |$)");
    Regex::new(&all).expect("the pattern is ours")
}

/// Where a version of a file can be looked at: `%(file)s`, `%(old)s` and `%(new)s` stand for its
/// name and its revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlMaker(pub(super) String);

impl UrlMaker {
    fn link(&self, file: &str, old: &str, new: &str) -> String {
        let all = [("%(file)s", file), ("%(old)s", old), ("%(new)s", new)];
        all.iter().fold(self.0.clone(), |link, (hole, value)| {
            link.replace(hole, &fetch::quoted(value))
        })
    }
}

/// A file with its revisions before and after.
struct Touched<'a> {
    name: &'a str,
    old: &'a str,
    new: &'a str,
}

/// What the lines before the log say.
#[derive(Default)]
struct Head<'a> {
    category: Option<&'a str>,
    root: Option<&'a str>,
    mode: Option<&'a str>,
    files: Option<&'a str>,
    path: Option<&'a str>,
    project: Option<&'a str>,
    tag: Option<&'a str>,
}

pub(super) fn read(
    letter: &Letter,
    maker: Option<&UrlMaker>,
    now: Timestamp,
) -> Result<Said, Unheard> {
    let Some(who) = letter.user() else {
        return Err(Unheard::Nothing("it says nobody whom it is from"));
    };
    let at = letter
        .lines
        .iter()
        .position(|it| it.trim_end() == "Log Message:");
    let (before, log) = letter.lines.split_at(at.unwrap_or(letter.lines.len()));
    let head = Head::read(before);
    let Some(list) = head.files else {
        return Err(Unheard::Nothing("it names no files"));
    };
    let bad = |why: String| Err(Unheard::Bad(why));
    let (dir, all) = match head.mode {
        Some("1.11") => {
            let (dir, list) = list.split_once(' ').unwrap_or((list, ""));
            (dir, touched(list, &COMMAED))
        }
        Some("1.12") => match head.path {
            Some(path) => (path, touched(list, &SPACED)),
            None => return bad("it has no line `Path:`, which CVS 1.12 needs".into()),
        },
        Some(other) => return bad(format!("its `Cvsmode` is `{other}`, not 1.11 or 1.12")),
        None => return bad("it has no line `Cvsmode:`".into()),
    };
    let Some(all) = all else {
        return bad("its line `Files:` cannot be read".into());
    };
    let named = |it: &Touched<'_>| format!("{dir}/{}", it.name);
    let links = maker.into_iter().flat_map(|maker| {
        let link = |it| maker.link(&named(it), it.old, it.new);
        all.iter().map(link).collect::<Vec<_>>()
    });
    let when = letter.date.unwrap_or(now);
    Ok(Said {
        who,
        files: all.iter().map(named).collect(),
        links: links.collect(),
        comments: comments(log),
        revision: Some(super::utc(when)),
        branch: head.tag.map(str::to_owned),
        when: Some(when),
        // What the script sends where it was told none.
        category: head.category.filter(|it| *it != "None").map(str::to_owned),
        repository: head.root.map(str::to_owned),
        project: head.project.map(str::to_owned),
    })
}

impl<'a> Head<'a> {
    fn read(lines: &'a [String]) -> Self {
        let mut head = Self::default();
        for line in lines {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = Some(value.trim()).filter(|it| !it.is_empty());
            match key {
                "Category" => head.category = value,
                "CVSROOT" => head.root = value,
                "Cvsmode" => head.mode = value,
                "Files" => head.files = value,
                "Path" => head.path = value,
                "Project" => head.project = value,
                _ if key.starts_with([' ', '\t']) && key.trim() == "Tag" => head.tag = value,
                _ => {}
            }
        }
        head
    }
}

/// All of the list, or nothing.
fn touched<'a>(list: &'a str, pattern: &Regex) -> Option<Vec<Touched<'a>>> {
    let mut all = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let found = pattern.captures(rest)?;
        let part = |index| found.get(index).map_or("", |it| it.as_str());
        all.push(Touched {
            name: part(1),
            old: part(2),
            new: part(3),
        });
        rest = &rest[found.get(0)?.end()..];
    }
    (!all.is_empty()).then_some(all)
}

/// What stands behind the heading, without the blanks at its end.
fn comments(log: &[String]) -> String {
    let text = log.get(1..).unwrap_or_default().join("\n");
    match text.trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn mail(body: &str) -> Letter {
        let head = "From: Bea <bea@h.example>\nDate: Mon, 05 Mar 2012 06:07:08 +0100\n\n";
        Letter::read(format!("{head}{body}").as_bytes()).expect("a mail")
    }

    fn said(body: &str) -> Said {
        read(&mail(body), None, NOW).expect("a change")
    }

    fn refused(body: &str) -> String {
        match read(&mail(body), None, NOW).expect_err("no change") {
            Unheard::Nothing(why) => format!("nothing: {why}"),
            Unheard::Bad(why) => why,
        }
    }

    #[test]
    fn a_mail_of_cvs_1_12_names_files_with_spaces_and_a_path() {
        let said = said(
            "Update of /cvs/mod/dir\nIn directory h:/tmp/x\n\nModified Files:\n  Tag: rel-1\n\
             Category: nightly\nCVSROOT: :ext:h:/cvs\nModule: mod\nProject: Hello\n\
             Files: a b.c NONE 1.1 d.c 1.2 NONE e.c 1.1.2.3 1.1.2.4\nPath:   mod/dir\nCvsmode: 1.12\n\
             Log Message:\nfixes\n\n  it: all \n\n",
        );
        let expected = Said {
            who: "bea".into(),
            files: ["mod/dir/a b.c", "mod/dir/d.c", "mod/dir/e.c"]
                .map(String::from)
                .into(),
            links: Vec::new(),
            comments: "fixes\n\n  it: all\n".into(),
            revision: Some("2012-03-05 05:07:08".into()),
            branch: Some("rel-1".into()),
            when: Some(Timestamp::from_secs(1_330_924_028)),
            category: Some("nightly".into()),
            repository: Some(":ext:h:/cvs".into()),
            project: Some("Hello".into()),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn a_mail_of_cvs_1_11_has_the_directory_before_the_files() {
        let said =
            said("Cvsmode: 1.11\nFiles: mod/dir a.c,1.1,1.2 b c.h,NONE,1.1\nCategory: None\n");
        assert_eq!(said.files, ["mod/dir/a.c", "mod/dir/b c.h"]);
        assert_eq!(
            (said.category, said.branch, said.comments),
            (None, None, String::new())
        );
        assert_eq!((said.repository, said.project), (None, None));
    }

    #[test]
    fn a_mail_without_files_is_no_change_and_a_strange_mode_is_an_error() {
        assert_eq!(refused("hello\n"), "nothing: it names no files");
        let nobody = Letter::read(b"Subject: x\n\nFiles: a\n").expect("a mail");
        assert!(matches!(read(&nobody, None, NOW), Err(Unheard::Nothing(_))));
        let files = "Files: a NONE 1.1\n";
        assert_eq!(refused(files), "it has no line `Cvsmode:`");
        assert_eq!(
            refused(&format!("{files}Cvsmode: 1.10\n")),
            "its `Cvsmode` is `1.10`, not 1.11 or 1.12"
        );
        assert_eq!(
            refused(&format!("{files}Cvsmode: 1.12\n")),
            "it has no line `Path:`, which CVS 1.12 needs"
        );
    }

    #[test]
    fn one_part_of_the_files_that_does_not_match_spoils_the_mail() {
        for files in [
            "a 1 1.1",
            "a NONE 1.1.1",
            "a NONE 1.1 b",
            "a NONE 1.1 b 1.1",
            "NONE 1.1",
            "a,NONE,1.1",
        ] {
            let body = format!("Cvsmode: 1.12\nPath: p\nFiles: {files}\n");
            assert_eq!(
                refused(&body),
                "its line `Files:` cannot be read",
                "{files}"
            );
        }
        let body = format!("Cvsmode: 1.12\nPath: p\nFiles: {}\n", "a ".repeat(500_000));
        assert_eq!(refused(&body), "its line `Files:` cannot be read");
        let body = format!(
            "Cvsmode: 1.12\nPath: p\nFiles: {}\n",
            "a NONE 1.1 ".repeat(50_000)
        );
        assert_eq!(said(&body).files.len(), 50_000);
    }

    #[test]
    fn a_url_maker_gives_a_link_for_each_file() {
        let maker = UrlMaker("http://h/%(file)s?r1=%(old)s&r2=%(new)s".into());
        let mail = mail("Cvsmode: 1.12\nPath: p\nFiles: a b NONE 1.1 c 1.2 1.3\n");
        let said = read(&mail, Some(&maker), NOW).expect("a change");
        let links = [
            "http://h/p/a%20b?r1=NONE&r2=1.1",
            "http://h/p/c?r1=1.2&r2=1.3",
        ];
        assert_eq!(said.links, links);
    }

    #[test]
    fn a_date_that_cannot_be_read_is_now() {
        let text = b"From: bea\nDate: soon\n\nCvsmode: 1.12\nPath: p\nFiles: a NONE 1.1\n";
        let said = read(&Letter::read(text).expect("a mail"), None, NOW).expect("a change");
        assert_eq!(said.who, "bea");
        assert_eq!(said.revision.as_deref(), Some("1970-01-01 00:00:01"));
    }
}
