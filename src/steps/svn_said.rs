//! What `svn` prints, as values.

use crate::xml;
use crate::xml::Part;

/// The URL of a working copy, from `svn info --xml`.
pub(super) fn url_of(text: &str) -> Option<String> {
    let mut url = None;
    let walked = xml::walk(text, |part| {
        if let Part::Close { name: "url", text } = part {
            url = Some(text.to_owned());
        }
    });
    walked.ok().and(url)
}

/// The newest revision, from `svn info --xml`.
pub(super) fn revision_of(text: &str) -> Option<String> {
    let mut revision = None;
    let walked = xml::walk(text, |part| {
        if let Part::Open(tag) = part
            && tag.name() == "entry"
        {
            revision = tag.attribute("revision");
        }
    });
    walked.ok()?;
    revision.filter(|it| it.parse::<u64>().is_ok())
}

/// What the repository does not know or has otherwise, from `svn status --xml`.
pub(super) fn strangers(text: &str) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    let mut path = None;
    let walked = xml::walk(text, |part| {
        let Part::Open(tag) = part else { return };
        match tag.name() {
            "entry" => path = tag.attribute("path"),
            "wc-status" => {
                let item = tag.attribute("item").unwrap_or_default();
                let is_spared = ["external", "missing", "none", "normal"].contains(&item.as_str());
                paths.extend(
                    path.take()
                        .filter(|it| !is_spared && !it.is_empty() && it != "."),
                );
            }
            _ => {}
        }
    });
    walked.ok().map(|()| paths)
}

/// The revision of a tree, from `svnversion`: the newest of a mixed one.
pub(super) fn version(said: &str) -> Option<String> {
    let word = said.trim().trim_end_matches(['M', 'S', 'P']);
    let last = word.rsplit(':').next()?;
    last.parse::<u64>().ok().map(|it| it.to_string())
}
