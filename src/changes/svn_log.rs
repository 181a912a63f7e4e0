//! What `svn info --xml` and `svn log --xml --verbose` print.

use super::fetch::unquoted;
use crate::model::Timestamp;
use crate::xml::Part;
use crate::xml::XmlError;
use crate::xml::walk;

/// A repository, as it is behind a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) uuid: String,
    /// The newest revision of the repository.
    pub(super) revision: u64,
    /// The path of the URL in the repository, without slashes at its ends.
    pub(super) path: String,
}

/// A revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) revision: u64,
    pub(super) author: Option<String>,
    /// As it is printed.
    pub(super) date: Option<String>,
    pub(super) message: Option<String>,
    pub(super) paths: Vec<Touched>,
}

/// A path that a revision touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// From the repository's root on, without a slash before it.
    pub(super) path: String,
    pub(super) is_deleted: bool,
}

impl Entry {
    pub(super) fn when(&self) -> Option<Timestamp> {
        let at: jiff::Timestamp = self.date.as_deref()?.parse().ok()?;
        Some(Timestamp(at.as_millisecond()))
    }
}

/// `None` if it does not say what it should.
pub(super) fn info(text: &str) -> Result<Option<Info>, XmlError> {
    let mut revision = None;
    let (mut url, mut root, mut uuid) = (None, None, None);
    walk(text, |part| match part {
        Part::Open(tag) if tag.name() == "entry" => {
            revision = tag.attribute("revision").and_then(|it| it.parse().ok());
        }
        Part::Close { name: "url", text } => url = Some(text.to_owned()),
        Part::Close { name: "root", text } => root = Some(text.to_owned()),
        Part::Close { name: "uuid", text } => uuid = Some(text.to_owned()),
        Part::Open(_) | Part::Close { .. } => {}
    })?;
    let read = || {
        let (url, root) = (url?, root?);
        let path = url.strip_prefix(root.trim_end_matches('/'))?;
        Some(Info {
            uuid: uuid?,
            revision: revision?,
            path: unquoted(path.trim_matches('/')),
        })
    };
    Ok(read())
}

/// `None` if a revision has no number.
pub(super) fn log(text: &str) -> Result<Option<Vec<Entry>>, XmlError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut is_good = true;
    let mut is_deleted = false;
    walk(text, |part| match part {
        Part::Open(tag) if tag.name() == "logentry" => {
            let revision = tag.attribute("revision").and_then(|it| it.parse().ok());
            is_good &= revision.is_some();
            all.push(Entry {
                revision: revision.unwrap_or_default(),
                ..Entry::default()
            });
        }
        Part::Open(tag) if tag.name() == "path" => {
            is_deleted = tag.attribute("action").as_deref() == Some("D");
        }
        Part::Open(_) => {}
        Part::Close { name, text } => {
            let Some(entry) = all.last_mut() else { return };
            let text = || text.to_owned();
            match name {
                "author" => entry.author = Some(text()),
                "date" => entry.date = Some(text()),
                "msg" => entry.message = Some(text()),
                "path" => {
                    let path = text();
                    entry.paths.push(Touched {
                        path: path.trim_start_matches('/').to_owned(),
                        is_deleted,
                    });
                }
                _ => {}
            }
        }
    })?;
    Ok(is_good.then_some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_url_is_read_as_people_write_it() {
        let told = |url: &str| {
            let text = format!(
                "<info><entry revision='7' path='x'><url>{url}</url><repository><root>http://h/r</root>\
                 <uuid>u</uuid></repository><commit revision='5'/></entry></info>"
            );
            info(&text).expect("XML")
        };
        let expected = |path: &str| {
            Some(Info {
                uuid: "u".into(),
                revision: 7,
                path: path.into(),
            })
        };
        assert_eq!(told("http://h/r"), expected(""));
        assert_eq!(told("http://h/r/a/%C3%BC%20b%2"), expected("a/ü b%2"));
        assert_eq!(told("http://other/"), None);
        assert_eq!(info("<info/>"), Ok(None));
        assert!(info("svn: E1").is_err());
    }

    #[test]
    fn revisions_are_read_whatever_they_are_called() {
        let text = "<log><logentry revision='3'><author>a &amp; b</author><date>2010-01-02T03:04:05.678901Z</date>\
            <paths><path action='M' kind='file'>/x/&lt;y&gt;</path><path action='D'>/z</path></paths>\
            <msg>one\n&lt;two&gt;</msg></logentry><logentry revision='4'><msg></msg></logentry></log>";
        let all = log(text).expect("XML").expect("revisions");
        assert_eq!(all[0].author.as_deref(), Some("a & b"));
        assert_eq!(all[0].when(), Some(Timestamp(1_262_401_445_678)));
        assert_eq!(all[0].message.as_deref(), Some("one\n<two>"));
        let touched = |path: &str, is_deleted| Touched {
            path: path.into(),
            is_deleted,
        };
        assert_eq!(all[0].paths, [touched("x/<y>", false), touched("z", true)]);
        let second = Entry {
            revision: 4,
            message: Some(String::new()),
            ..Entry::default()
        };
        assert_eq!(all[1], second);
        assert_eq!(log("<log><logentry/></log>"), Ok(None));
        assert_eq!(log("<log></log>"), Ok(Some(Vec::new())));
    }
}
