//! Follows a feed, Atom or RSS: what forges publish of a repository where nothing can be
//! installed, and cloning it would be too much.
//!
//! The position is the entries that were seen: those of the document and some before them. It
//! moves in the transaction that keeps the changes.

mod entries;
mod google;
mod html;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use tracing::warn;

use super::Sink;
use super::fetch;
use super::fetch::Answer;
use super::fetch::Fetcher;
use super::fetch::Known;
use super::followed::Common;
use super::mirror::PollError;
use super::poll::Poll;
use super::settings;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::hex;
use crate::syntax::Keys;
use entries::Content;
use entries::Entry;

/// How often a feed is looked at where nothing says so: most are of somebody else.
const USUAL_INTERVAL: Duration = Duration::from_hours(1);

/// For the document with all that it is redirected to.
const LIMIT: Duration = Duration::from_mins(1);

/// Entries that are remembered: more than a document may hold.
const REMEMBERED: usize = 1500;

/// What is configured of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeedSettings {
    pub(crate) url: String,
    pub(crate) poll_interval: Option<Duration>,
    pub(crate) poll_jitter: Duration,
    /// Whose certificates are believed; those that the system trusts if `None`.
    pub(crate) authority: Option<PathBuf>,
    pub(crate) branch: Option<String>,
    pub(crate) repository: String,
    /// Whether a change is as old as its entry; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    /// Where a revision can be looked at, `%s` stands for it; if `None`, where the entry leads.
    pub(crate) revlink: Option<String>,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

impl FeedSettings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let url = keys.required_as::<String>(&["feedurl", "url"]);
        let authority = keys.optional::<PathBuf>("tls_ca");
        let branch = keys.optional::<String>("branch");
        let repository = keys.or("repository", String::new());
        let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
        let common = Common::read(keys);
        let url = url?;
        if !fetch::is_address(&url) {
            let label = "expected an address such as `https://example.org/hello/commits/main.atom`";
            keys.wrong("feedurl", label);
            return None;
        }
        let common = common?;
        Some(Self {
            url,
            poll_interval: Some(common.poll_interval.unwrap_or(USUAL_INTERVAL)),
            poll_jitter: common.poll_jitter,
            authority: authority?,
            branch: branch?.filter(|it| !it.is_empty()),
            repository: repository?,
            use_timestamps: use_timestamps?,
            revlink: common.revlink,
            project: common.project,
            category: common.category,
        })
    }

    /// What tells it from another feed: a new token is no other feed, a new `?h=BRANCH` is.
    fn identity(&self) -> String {
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let is_token = |it: &str| it.split('=').next().is_some_and(|it| it.ends_with("token"));
        let query: Vec<&str> = query.split('&').filter(|it| !is_token(it)).collect();
        digest(&format!("{}?{}", fetch::shown(address), query.join("&")))
    }

    /// The address as pages may show it.
    pub(super) fn shown(&self) -> String {
        fetch::shown(&self.url)
    }
}

/// A poller of a feed.
#[derive(Debug)]
pub(crate) struct FeedPoller {
    name: String,
    interval: Duration,
    settings: FeedSettings,
    fetcher: Fetcher,
}

/// How far a source has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// Its identity; another feed starts afresh.
    feed: String,
    /// Digests of entries, in the order of the document: the newest first.
    seen: Vec<String>,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl FeedPoller {
    pub(crate) fn new(name: String, settings: FeedSettings, interval: Duration) -> Self {
        Self {
            name,
            interval,
            fetcher: Fetcher {
                authority: settings.authority.clone(),
                limit: LIMIT,
                largest: fetch::LARGEST,
            },
            settings,
        }
    }

    fn change(&self, entry: &Entry) -> NewChange {
        let settings = &self.settings;
        let (files, comments) = match (&entry.content, google::is_its(&settings.url)) {
            (Content::Html(it) | Content::Text(it), true) => google::read(it),
            (content, false) => (Vec::new(), comments(&entry.title, content)),
        };
        let revision = revision(&entry.id).or_else(|| revision(&entry.link));
        let revlink = match (&settings.revlink, &revision) {
            (Some(template), Some(revision)) => settings::revlink(Some(template), revision),
            _ => entry.link.clone(),
        };
        NewChange {
            author: match entry.author.is_empty() {
                true => "<unknown>".to_owned(),
                false => entry.author.clone(),
            },
            files,
            comments,
            revision,
            branch: settings.branch.clone(),
            category: settings.category.clone(),
            revlink,
            repository: settings.repository.clone(),
            project: settings.project.clone(),
            when: entry.when.filter(|_| settings.use_timestamps),
            properties: Properties::new(),
            vc: None,
            origin: Some(format!(
                "feed {} {}",
                settings.identity(),
                digest(&entry.id)
            )),
        }
    }

    fn state(&self, seen: Vec<String>, known: Known) -> Value {
        let position = Position {
            feed: self.settings.identity(),
            seen,
            etag: known.etag,
            last_modified: known.last_modified,
        };
        serde_json::to_value(position).expect("a position is plain JSON")
    }
}

impl Poll for FeedPoller {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn jitter(&self) -> Duration {
        self.settings.poll_jitter
    }

    fn explain(&self, error: &PollError) -> String {
        settings::explain(&self.settings.url, error)
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        let url = &self.settings.url;
        let state = sink.state(&self.name).await?;
        let position = Position::deserialize(&state).ok();
        let position = position.filter(|it| it.feed == self.settings.identity());
        let known = position.as_ref().map(|it| Known {
            etag: it.etag.clone(),
            last_modified: it.last_modified.clone(),
        });
        let fetched = self.fetcher.fetch(url, &known.unwrap_or_default()).await;
        let answer = fetched.map_err(|source| PollError::Fetch {
            url: self.settings.shown(),
            source,
        })?;
        let Answer::Document { text, known } = answer else {
            return Ok(());
        };
        let all = entries::read(&text).map_err(|why| PollError::Document {
            url: self.settings.shown(),
            why,
        })?;
        let ids: Vec<String> = all.iter().map(|it| digest(&it.id)).collect();
        let Some(position) = position else {
            // The first look only notes what there is.
            let state = self.state(ids, known);
            return Ok(sink.deliver(&self.name, Vec::new(), state).await?);
        };
        let news = news(&ids, &position.seen);
        if news.len() == ids.len() && !(news.is_empty() || position.seen.is_empty()) {
            warn!(source = %self.name, "the feed holds nothing that is known; what came in between is lost");
        }
        let mut changes: Vec<&Entry> = news.into_iter().map(|it| &all[it]).collect();
        if !is_newest_first(&all) {
            changes.reverse();
        }
        let changes = changes
            .into_iter()
            .rev()
            .map(|it| self.change(it))
            .collect();
        let mut seen = ids;
        for id in position.seen {
            if seen.len() < REMEMBERED && !seen.contains(&id) {
                seen.push(id);
            }
        }
        let new_state = self.state(seen, known);
        if new_state == state {
            return Ok(());
        }
        Ok(sink.deliver(&self.name, changes, new_state).await?)
    }
}

/// Where in the document those entries stand that are new, each of them once.
///
/// A merge puts old commits among those that are known, and they are new. After the newest ones
/// were taken back, older ones move up from behind the end of the document, and they are not.
fn news(ids: &[String], seen: &[String]) -> Vec<usize> {
    let is_seen = |id: &String| seen.contains(id);
    let was_taken_back = seen.first().is_some_and(|it| !ids.contains(it));
    let last_seen = ids.iter().rposition(is_seen);
    let mut news: Vec<usize> = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let is_behind = was_taken_back && last_seen.is_some_and(|last| at > last);
        let is_twice = ids[..at].contains(id);
        if !(is_seen(id) || is_behind || is_twice) {
            news.push(at);
        }
    }
    news
}

/// Few feeds are written the other way round, and their times tell.
fn is_newest_first(all: &[Entry]) -> bool {
    let first = all.first().and_then(|it| it.when);
    let last = all.last().and_then(|it| it.when);
    match (first, last) {
        (Some(first), Some(last)) => first >= last,
        _ => true,
    }
}

/// A short name of a long one, which anybody may have chosen.
fn digest(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    hex(&digest[..10])
}

/// What an entry says of its commit. Most forges have the first line for a title, cut off where
/// it is long, and all of it for the content.
fn comments(title: &str, content: &Content) -> String {
    let content = match content {
        Content::Text(text) => text.trim().to_owned(),
        Content::Html(text) => html::text(text).trim().to_owned(),
    };
    let title = html::unescaped(title);
    let begins = |title: &str| {
        let mut letters = content.chars().filter(|it| !it.is_whitespace());
        let mut wanted = title.chars().filter(|it| !it.is_whitespace());
        wanted.all(|it| letters.next() == Some(it))
    };
    let cut = title
        .trim_end()
        .trim_end_matches('…')
        .trim_end_matches("...");
    match (content.is_empty(), begins(cut)) {
        (true, _) => title,
        (false, true) => content,
        (false, false) => format!("{title}\n\n{content}"),
    }
}

/// The revision that a name or an address of an entry ends in, or has among what stands behind
/// its `?`.
fn revision(id: &str) -> Option<String> {
    let (id, fragment) = id.split_once('#').unwrap_or((id, ""));
    let (path, query) = id.split_once('?').unwrap_or((id, ""));
    let last = |text: &str| {
        text.trim_end_matches('/')
            .rsplit(['/', ':'])
            .next()
            .map(str::to_owned)
    };
    // `changeset-…` is how hgweb names them.
    let fragment = fragment.strip_prefix("changeset-").unwrap_or_default();
    let values = query.split(['&', ';']).filter_map(|it| {
        let (name, value) = it.split_once('=')?;
        matches!(name, "id" | "h" | "rev" | "revision").then(|| fetch::unquoted(value))
    });
    // An `r` before a number is Subversion's.
    let plain = |word: String| match word.strip_prefix('r') {
        Some(number) if is_number(number) => number.to_owned(),
        _ => word,
    };
    let named = [last(path), Some(fragment.to_owned())];
    let mut all = values.chain(named.into_iter().flatten()).map(plain);
    all.find(|it| is_revision(it))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit())
}

/// A number, numbers with dots between them, or what git and hg have.
fn is_revision(word: &str) -> bool {
    let is_hex = (7..=64).contains(&word.len()) && word.bytes().all(|it| it.is_ascii_hexdigit());
    is_hex || (word.len() <= 64 && word.split('.').all(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_found_in_what_forges_call_their_entries() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for id in [
            format!("tag:github.com,2008:Grit::Commit/{sha}"),
            format!("https://gitlab.com/o/r/-/commit/{sha}"),
            format!("https://h/cgit/r/commit/?id={sha}"),
            format!("http://h/gitweb/?p=r.git;a=commitdiff;h={sha}"),
            format!("http://h/hg/#changeset-{sha}"),
            format!("https://sf.net/p/x/code/ci/{sha}/"),
            format!("urn:sha1:{sha}"),
        ] {
            assert_eq!(revision(&id).as_deref(), Some(sha), "{id}");
        }
        let told = |id: &str| revision(id).unwrap_or_default();
        let google = "http://code.google.com/feeds/p/hello/svnchanges/basic/812";
        assert_eq!(told(google), "812");
        assert_eq!(told("https://h/changeset/r12"), "12");
        assert_eq!(told("https://h/r?view=revision&revision=7"), "7");
        assert_eq!(
            told("https://bazaar.launchpad.net/r/revision/12.1.3"),
            "12.1.3"
        );
        for id in [
            "tag:blog,1999:post-12",
            "https://h/news/today",
            "",
            "-x",
            "https://h/?id=-x",
        ] {
            assert_eq!(revision(id), None, "{id}");
        }
    }

    #[test]
    fn a_comment_is_said_once_and_whole() {
        let check = |title: &str, content: &str, expected: &str| {
            let content = Content::Html(content.into());
            assert_eq!(comments(title, &content), expected);
        };
        check("Fix", "", "Fix");
        check(
            "Fix the &lt;b&gt; ...",
            "<pre>Fix the &lt;b&gt; tags\n\nfor good</pre>",
            "Fix the <b> tags\n\nfor good",
        );
        check("Release 1", "<p>notes</p>", "Release 1\n\nnotes");
        check("", "<p>notes</p>", "notes");
    }

    #[test]
    fn what_is_new_is_told_once_and_what_moves_up_is_not_new() {
        let check = |ids: &str, seen: &str, expected: &str| {
            let words = |it: &str| {
                it.split(' ')
                    .filter(|it| !it.is_empty())
                    .map(str::to_owned)
                    .collect()
            };
            let (ids, seen): (Vec<String>, Vec<String>) = (words(ids), words(seen));
            let told: Vec<_> = news(&ids, &seen)
                .into_iter()
                .map(|at| ids[at].clone())
                .collect();
            assert_eq!(told.join(" "), expected, "{ids:?} {seen:?}");
        };
        check("c b a", "c b a", "");
        check("d c b", "c b a", "d");
        check("m c x b y", "c b a", "m x y");
        check("b a z", "c b a", "");
        check("n b a z", "c b a", "n");
        check("n n c", "c b a", "n");
        check("y x", "c b a", "y x");
        check("a", "", "a");
        check("", "c b a", "");
    }
}
