//! A feed as a document: Atom, or RSS of any version, told as entries in the order in which they
//! stand.

use jiff::fmt::rfc2822;

use crate::model::Timestamp;
use crate::xml::Part;
use crate::xml::Tag;
use crate::xml::walk;

/// What a feed may hold; older entries stand behind newer ones, and are left out.
const MOST: usize = 1000;

/// What somebody has published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// What tells it from the others; its link, if it has no name of its own.
    pub(super) id: String,
    pub(super) link: String,
    pub(super) title: String,
    /// `NAME <EMAIL>`, or what there is of it.
    pub(super) author: String,
    pub(super) when: Option<Timestamp>,
    pub(super) content: Content,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    Html(String),
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// A person as it is being read.
#[derive(Default)]
struct Person {
    name: String,
    email: String,
}

impl Person {
    fn said(self) -> String {
        match (self.name.trim(), self.email.trim()) {
            (name, "") => name.to_owned(),
            ("", email) => email.to_owned(),
            (name, email) => format!("{name} <{email}>"),
        }
    }
}

/// An entry as it is being read.
#[derive(Default)]
struct Draft {
    entry: Entry,
    updated: Option<Timestamp>,
    published: Option<Timestamp>,
    person: Person,
    creator: String,
    summary: Option<Content>,
    content: Option<Content>,
    /// Of the content that is being read.
    kind: Kind,
    /// The texts of the elements in it.
    inner: String,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Html,
    /// Elements of its own.
    Tree,
}

#[derive(Default)]
struct Reading {
    /// What the root's names begin with, `atom:` for one.
    prefix: String,
    /// The names of the open elements.
    open: Vec<String>,
    /// How many are open around the entry that is being read.
    depth: usize,
    draft: Option<Draft>,
    /// Of the feed itself.
    person: Person,
    all: Vec<Entry>,
    is_rss: bool,
}

/// Reads a feed; the error says why it is none.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let mut reading = Reading::default();
    let mut root = None;
    let walked = walk(text, |part| match part {
        Part::Open(tag) => {
            if root.is_none() {
                root = Some(tag.name().to_owned());
                reading.begin(tag.name());
            }
            reading.open(tag);
        }
        Part::Close { text, .. } => reading.close(text),
    });
    walked.map_err(|error| error.to_string())?;
    let root = root.unwrap_or_default();
    match root.rsplit(':').next() {
        Some("feed" | "rss" | "RDF") => Ok(reading.finish()),
        _ => Err(format!("`<{root}>` is neither Atom nor RSS")),
    }
}

impl Reading {
    fn begin(&mut self, root: &str) {
        let (prefix, name) = root.rsplit_once(':').unwrap_or(("", root));
        self.is_rss = name != "feed";
        if !prefix.is_empty() && !self.is_rss {
            self.prefix = format!("{prefix}:");
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        let name = tag.name();
        let name = name.strip_prefix(&self.prefix).unwrap_or(name).to_owned();
        let is_entry = name == if self.is_rss { "item" } else { "entry" };
        if self.draft.is_none() && is_entry {
            self.draft = Some(Draft::default());
            self.depth = self.open.len();
        } else if let Some(draft) = &mut self.draft
            && self.open.len() == self.depth + 1
        {
            draft.open(&name, tag, self.is_rss);
        }
        self.open.push(name);
    }

    fn close(&mut self, text: &str) {
        let Some(name) = self.open.pop() else { return };
        let inside = self.open.len();
        let Some(draft) = &mut self.draft else {
            if let [_, author] = self.open.as_slice()
                && author == "author"
            {
                person(&mut self.person, &name, text);
            }
            return;
        };
        if inside == self.depth {
            let draft = self.draft.take().unwrap_or_default();
            if self.all.len() < MOST {
                self.all.push(draft.finish());
            }
        } else if inside == self.depth + 1 {
            draft.close(&name, text, self.is_rss);
        } else if self
            .open
            .get(self.depth + 1)
            .is_some_and(|it| it == "author")
        {
            person(&mut draft.person, &name, text);
        } else if draft.kind == Kind::Tree && !text.trim().is_empty() {
            draft.inner.push_str(text.trim());
            draft.inner.push('\n');
        }
    }

    fn finish(self) -> Vec<Entry> {
        let owner = self.person.said();
        let mut all = self.all;
        for entry in &mut all {
            if entry.author.is_empty() {
                entry.author.clone_from(&owner);
            }
        }
        all
    }
}

fn person(person: &mut Person, name: &str, text: &str) {
    match name {
        "name" => person.name = text.to_owned(),
        "email" => person.email = text.to_owned(),
        _ => {}
    }
}

impl Draft {
    fn open(&mut self, name: &str, tag: &Tag<'_>, is_rss: bool) {
        match name {
            "link" if !is_rss => {
                let rel = tag.attribute("rel");
                let is_it = rel.is_none_or(|it| it == "alternate");
                if is_it && self.entry.link.is_empty() {
                    self.entry.link = tag.attribute("href").unwrap_or_default();
                }
            }
            "content" | "summary" if !is_rss => {
                self.kind = match tag.attribute("type").as_deref() {
                    Some("html" | "text/html") => Kind::Html,
                    Some("xhtml" | "application/xhtml+xml") => Kind::Tree,
                    _ => Kind::Text,
                };
                self.inner.clear();
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str, text: &str, is_rss: bool) {
        let trimmed = || text.trim().to_owned();
        match (name, is_rss) {
            ("title", _) => self.entry.title = trimmed(),
            ("id", false) | ("guid", true) => self.entry.id = trimmed(),
            ("link", true) => self.entry.link = trimmed(),
            ("updated", false) => self.updated = rfc3339(text),
            ("published", false) => self.published = rfc3339(text),
            ("pubDate", true) => self.updated = rfc2822(text),
            ("dc:date", true) => self.published = rfc3339(text),
            ("author", true) => self.person = mailbox(text),
            ("dc:creator", true) => self.creator = trimmed(),
            ("description", true) => self.summary = Some(Content::Html(text.to_owned())),
            ("content:encoded", true) => self.content = Some(Content::Html(text.to_owned())),
            ("content", false) => self.content = Some(self.said(text)),
            ("summary", false) => self.summary = Some(self.said(text)),
            _ => {}
        }
    }

    fn said(&mut self, text: &str) -> Content {
        let inner = std::mem::take(&mut self.inner);
        match std::mem::take(&mut self.kind) {
            Kind::Text => Content::Text(text.to_owned()),
            Kind::Html => Content::Html(text.to_owned()),
            Kind::Tree => Content::Text(format!("{inner}{}", text.trim())),
        }
    }

    fn finish(self) -> Entry {
        let mut entry = self.entry;
        if entry.id.is_empty() {
            entry.id.clone_from(&entry.link);
        }
        if entry.id.is_empty() {
            entry.id.clone_from(&entry.title);
        }
        entry.when = self.updated.or(self.published);
        entry.author = self.person.said();
        if entry.author.is_empty() {
            entry.author = self.creator;
        }
        let content = self.content.into_iter().chain(self.summary);
        let mut said = content.filter(|it| {
            let (Content::Text(text) | Content::Html(text)) = it;
            !text.trim().is_empty()
        });
        entry.content = said.next().unwrap_or_default();
        entry
    }
}

/// Reads `EMAIL (NAME)`, as RSS has its authors, or a name.
fn mailbox(text: &str) -> Person {
    let text = text.trim();
    let parts = text.strip_suffix(')').and_then(|it| it.split_once(" ("));
    match parts {
        Some((email, name)) if email.contains('@') => Person {
            name: name.to_owned(),
            email: email.to_owned(),
        },
        _ => Person {
            name: text.to_owned(),
            email: String::new(),
        },
    }
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

fn rfc2822(text: &str) -> Option<Timestamp> {
    let at = rfc2822::parse(text.trim()).ok()?;
    Some(Timestamp(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Entry {
        let mut all = read(text).expect("a feed");
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn atom_is_read_as_forges_write_it() {
        let entry = only(
            "<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom' xml:lang='en'>\
             <id>tag:x</id><title>Commits</title><updated>2026-01-01T00:00:00Z</updated>\
             <link rel='self' href='https://h/feed'/><author><name>Robot</name></author>\
             <entry><id>tag:github.com,2008:Grit::Commit/0123</id>\
             <link type='text/html' rel='alternate' href='https://h/commit/0123'/>\
             <link rel='related' href='https://h/other'/>\
             <title>\n  Fix &amp; tidy\n</title><updated>2026-03-04T05:06:07+01:00</updated>\
             <media:thumbnail xmlns:media='m' height='30' url='https://h/a'/>\
             <source><title>not this</title><author><name>nor this</name></author></source>\
             <author><name>ann</name><email>ann@x</email><uri>https://h/ann</uri></author>\
             <summary>short</summary>\
             <content type='html'>&lt;pre&gt;Fix&lt;/pre&gt;</content></entry></feed>",
        );
        let expected = Entry {
            id: "tag:github.com,2008:Grit::Commit/0123".into(),
            link: "https://h/commit/0123".into(),
            title: "Fix & tidy".into(),
            author: "ann <ann@x>".into(),
            when: Some(Timestamp::from_secs(1_772_597_167)),
            content: Content::Html("<pre>Fix</pre>".into()),
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn what_an_entry_does_not_say_its_feed_does() {
        let entry = only(
            "<a:feed xmlns:a='x'><a:author><a:name>Robot</a:name></a:author><a:entry>\
             <a:link href='https://h/1'/><a:published>2026-03-04T05:06:07Z</a:published>\
             <a:content type='xhtml'><div><pre>one\ntwo</pre><ul><li>[M] <b>file</b></li></ul></div>\
             </a:content></a:entry></a:feed>",
        );
        assert_eq!(
            (entry.id.as_str(), entry.author.as_str()),
            ("https://h/1", "Robot")
        );
        assert!(entry.when.is_some());
        assert_eq!(entry.content, Content::Text("one\ntwo\nfile\n[M]\n".into()));
    }

    #[test]
    fn rss_is_read_as_forges_write_it() {
        let entry = only(
            "<rss version='2.0' xmlns:content='c'><channel><title>T</title><link>https://h</link>\
             <item><title>first</title><link>https://h/commit/ab12</link>\
             <description>first&#xA;body</description>\
             <content:encoded><![CDATA[first<br>body]]></content:encoded>\
             <author>ann@x (Ann)</author><guid isPermaLink='false'>g1</guid>\
             <pubDate>Wed, 04 Mar 2026 05:06:07 +0100</pubDate></item></channel></rss>",
        );
        let expected = Entry {
            id: "g1".into(),
            link: "https://h/commit/ab12".into(),
            title: "first".into(),
            author: "Ann <ann@x>".into(),
            when: Some(Timestamp::from_secs(1_772_597_167)),
            content: Content::Html("first<br>body".into()),
        };
        assert_eq!(entry, expected);
        let entry = only(
            "<rdf:RDF xmlns:rdf='r'><channel/><item><title>t</title><dc:creator>bo</dc:creator>\
             <dc:date>2026-03-04T05:06:07Z</dc:date></item></rdf:RDF>",
        );
        assert_eq!((entry.id.as_str(), entry.author.as_str()), ("t", "bo"));
        assert!(entry.when.is_some());
    }

    #[test]
    fn hostile_documents_and_other_ones_are_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text).expect_err(expected), expected);
        };
        let xml = "not the XML that was asked for: ";
        check("<html><p/></html>", "`<html>` is neither Atom nor RSS");
        check(
            "<!DOCTYPE feed [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><feed>&b;</feed>",
            &format!("{xml}it has a document type"),
        );
        check(
            "<feed>&x;</feed>",
            &format!("{xml}it has entities of its own"),
        );
        let deep = format!("<feed>{}", "<entry>".repeat(100_000));
        check(
            &deep,
            &format!("{xml}its elements are not nested as they should be"),
        );
        assert!(read("").is_err() && read("<feed>").is_err());
        let many = format!("<feed>{}</feed>", "<entry/>".repeat(50_000));
        assert_eq!(read(&many).map(|it| it.len()), Ok(MOST));
    }
}
