//! The lines that several pages share: a build, a request, a change, a
//! source stamp, as views of the nouns.

use serde::Serialize;

use crate::config::WebPlan;
use crate::master::outlook::Outlook;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::Properties;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::links;
use super::log::Tail;
use super::words;
use super::words::Badge;
use super::words::Moment;

/// A name with the page about it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) url: String,
}

impl Link {
    pub(super) fn builder(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: links::builder(name),
        }
    }

    pub(super) fn build(key: &BuildKey) -> Self {
        Self {
            name: key.to_string(),
            url: links::build(key),
        }
    }

    pub(super) fn slave(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: links::slave(name),
        }
    }
}

/// A build in a table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BuildLine {
    pub(super) builder: Link,
    pub(super) number: i64,
    pub(super) url: String,
    pub(super) badge: Badge,
    pub(super) running: bool,
    pub(super) text: String,
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) full_revision: Option<String>,
    pub(super) started: Moment,
    pub(super) length: String,
    pub(super) slave: Link,
    pub(super) reason: String,
    pub(super) blame: Vec<String>,
}

impl BuildLine {
    pub(super) fn new(build: &BuildRecord, now: Timestamp) -> Self {
        let full_revision = got_revision(build);
        Self {
            builder: Link::builder(build.key.builder.as_str()),
            number: build.key.number,
            url: links::build(&build.key),
            badge: Badge::of(build.outcome),
            running: build.finished.is_none(),
            text: build.text.join(" "),
            branch: build.stamp.branch.clone(),
            revision: full_revision.as_deref().map(words::short),
            full_revision,
            started: Moment::new(build.started, now),
            length: words::length(build.started, build.finished, now),
            slave: Link::slave(build.slave.as_str()),
            reason: build.reason.trim().to_owned(),
            blame: build.blame.iter().map(|it| words::person(it)).collect(),
        }
    }

    pub(super) fn all(builds: &[BuildRecord], now: Timestamp) -> Vec<Self> {
        builds.iter().map(|it| Self::new(it, now)).collect()
    }
}

/// What was checked out, or else what was asked for.
pub(super) fn got_revision(build: &BuildRecord) -> Option<String> {
    let got = build.properties.text("got_revision");
    got.or(build.stamp.revision.as_deref())
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
}

/// A request that waits.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RequestLine {
    pub(super) id: i64,
    pub(super) builder: Link,
    pub(super) submitted: Moment,
    pub(super) reason: String,
    /// Its own.
    pub(super) priority: Option<i64>,
    pub(super) stamp: StampView,
    /// Why it waits, as the dispatcher says.
    pub(super) why: Option<String>,
    /// When it is built, as far as anybody knows.
    pub(super) expected: Option<String>,
}

impl RequestLine {
    pub(super) fn new(
        request: &RequestRecord,
        outlook: &Outlook,
        web: &WebPlan,
        now: Timestamp,
    ) -> Self {
        Self {
            id: request.id.0,
            builder: Link::builder(request.builder.as_str()),
            submitted: Moment::new(request.submitted, now),
            reason: request.reason.trim().to_owned(),
            priority: request.priority,
            stamp: StampView::new(&request.stamp, web),
            why: outlook.why(request.id).map(str::to_owned),
            expected: outlook.expected(request.id),
        }
    }
}

/// Which source.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StampView {
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) short_revision: Option<String>,
    pub(super) repository: String,
    pub(super) repository_url: Option<String>,
    /// The revision on the pages of its repository.
    pub(super) revision_url: Option<String>,
    pub(super) project: String,
    pub(super) project_url: Option<String>,
    /// Who made the patch, if there is one.
    pub(super) patch: Option<String>,
    pub(super) changes: Vec<i64>,
}

impl StampView {
    pub(super) fn new(stamp: &SourceStamp, web: &WebPlan) -> Self {
        Self {
            branch: stamp.branch.clone(),
            revision: stamp.revision.clone(),
            short_revision: stamp.revision.as_deref().map(words::short),
            repository: stamp.repository.clone(),
            repository_url: repository_url(web, &stamp.repository),
            revision_url: revision_url(web, &stamp.repository, stamp.revision.as_deref()),
            project: stamp.project.clone(),
            project_url: web.projects.get(&stamp.project).cloned(),
            patch: stamp
                .patch
                .as_ref()
                .map(|it| it.author.clone().unwrap_or_default()),
            changes: stamp.changes.iter().map(|it| it.0).collect(),
        }
    }
}

/// A change.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChangeView {
    pub(super) id: i64,
    pub(super) url: String,
    pub(super) author: String,
    pub(super) person: String,
    pub(super) when: Moment,
    pub(super) headline: String,
    pub(super) comments: String,
    /// The same, with what the configuration makes links of.
    pub(super) comment_pieces: Vec<CommentPiece>,
    pub(super) files: Vec<String>,
    /// The same, each with the one link of the change that is about it.
    pub(super) file_links: Vec<FileLink>,
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) short_revision: Option<String>,
    pub(super) revlink: Option<String>,
    pub(super) category: Option<String>,
    pub(super) repository: String,
    pub(super) repository_url: Option<String>,
    pub(super) project: String,
    pub(super) project_url: Option<String>,
    pub(super) properties: Vec<PropertyLine>,
}

impl ChangeView {
    pub(super) fn new(change: &Change, web: &WebPlan, now: Timestamp) -> Self {
        let comment_pieces = CommentPiece::all(change, web);
        Self {
            id: change.id.0,
            url: links::change(change.id.0),
            author: change.author.clone(),
            person: words::person(&change.author),
            when: Moment::new(change.when, now),
            headline: words::headline(&change.comments),
            comments: change.comments.clone(),
            file_links: FileLink::all(&change.files, &comment_pieces),
            comment_pieces,
            files: change.files.clone(),
            branch: change.branch.clone(),
            revision: change.revision.clone(),
            short_revision: change.revision.as_deref().map(words::short),
            // What the source says of its own change is nearer to it.
            revlink: links::outside(&change.revlink)
                .or_else(|| revision_url(web, &change.repository, change.revision.as_deref())),
            category: change.category.clone(),
            repository: change.repository.clone(),
            repository_url: repository_url(web, &change.repository),
            project: change.project.clone(),
            project_url: web.projects.get(&change.project).cloned(),
            properties: PropertyLine::all(&change.properties),
        }
    }
}

/// The revision on the pages of its repository, if the configuration knows them.
pub(super) fn revision_url(
    web: &WebPlan,
    repository: &str,
    revision: Option<&str>,
) -> Option<String> {
    let url = web.revlinks.of(repository, revision?)?;
    links::outside(&url)
}

fn repository_url(web: &WebPlan, repository: &str) -> Option<String> {
    let said = web.repositories.get(repository);
    links::outside(said.map_or(repository, String::as_str))
}

/// A file of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FileLink {
    pub(super) name: String,
    pub(super) url: Option<String>,
}

impl FileLink {
    /// A file is linked to where a comment leads that names it, if no other link does.
    fn all(files: &[String], pieces: &[CommentPiece]) -> Vec<Self> {
        let about = |name: &str| {
            let mut links = pieces.iter().filter(|it| it.text.contains(name));
            let url = links.find_map(|it| it.url.clone())?;
            links.all(|it| it.url.is_none()).then_some(url)
        };
        files
            .iter()
            .map(|name| Self {
                url: about(name).filter(|_| !name.is_empty()),
                name: name.clone(),
            })
            .collect()
    }
}

/// A part of a comment: text, or a link.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CommentPiece {
    pub(super) text: String,
    pub(super) url: Option<String>,
    pub(super) title: Option<String>,
}

impl CommentPiece {
    fn all(change: &Change, web: &WebPlan) -> Vec<Self> {
        let pieces = web.comment_links.pieces(&change.project, &change.comments);
        let pieces = pieces.into_iter().filter(|it| !it.text.is_empty());
        pieces
            .map(|piece| {
                let (url, title) = match piece.link {
                    Some(link) => (links::outside(&link.url), link.title),
                    None => (None, None),
                };
                Self {
                    text: piece.text.to_owned(),
                    url,
                    title,
                }
            })
            .collect()
    }
}

/// A property with its origin.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PropertyLine {
    pub(super) name: String,
    /// The name with a capital letter, where it stands among other words.
    pub(super) title: String,
    pub(super) value: String,
    pub(super) cut: bool,
    pub(super) source: String,
}

fn capitalised(name: &str) -> String {
    let mut rest = name.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).collect()
}

/// Longer values are cut on pages.
const LONG_VALUE: usize = 500;

impl PropertyLine {
    pub(super) fn all(properties: &Properties) -> Vec<Self> {
        properties
            .iter()
            .map(|(name, property)| {
                let value = match property.value.as_str() {
                    Some(text) => text.to_owned(),
                    None => property.value.to_string(),
                };
                let short: String = value.chars().take(LONG_VALUE).collect();
                Self {
                    name: name.to_owned(),
                    title: capitalised(name),
                    cut: short.len() < value.len(),
                    value: short,
                    source: property.source.clone(),
                }
            })
            .collect()
    }
}

/// A step with its logs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StepLine {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) badge: Badge,
    pub(super) running: bool,
    pub(super) text: String,
    pub(super) length: Option<String>,
    pub(super) logs: Vec<Link>,
    /// Links that the step gave; the address is empty if it is not safe to follow.
    pub(super) urls: Vec<Link>,
    pub(super) hidden: bool,
    /// The end of what it says, where a page shows it.
    pub(super) tail: Option<Tail>,
}

impl StepLine {
    pub(super) fn new(key: &BuildKey, step: &StepRecord, now: Timestamp) -> Self {
        Self {
            number: step.number,
            name: step.name.clone(),
            url: links::step(key, &step.name),
            badge: match step.started {
                Some(_) => Badge::of(step.outcome),
                None => step
                    .outcome
                    .map_or(Badge::NOT_STARTED, |it| Badge::of(Some(it))),
            },
            running: step.started.is_some() && step.finished.is_none(),
            text: step.text.join(" "),
            length: step
                .started
                .map(|started| words::interval(step.finished.unwrap_or(now).since(started))),
            logs: step
                .logs
                .iter()
                .map(|log| Link {
                    name: log.name.clone(),
                    url: links::log(key, &step.name, &log.name),
                })
                .collect(),
            urls: step
                .urls
                .iter()
                .map(|(name, url)| Link {
                    name: name.clone(),
                    url: links::outside(url).unwrap_or_default(),
                })
                .collect(),
            hidden: step.hidden,
            tail: None,
        }
    }
}

/// What stands between the site and a page.
pub(super) fn trail(key: &BuildKey) -> Vec<Link> {
    vec![
        Link {
            name: "builders".into(),
            url: "builders".into(),
        },
        Link::builder(key.builder.as_str()),
        Link {
            name: format!("build {}", key.number),
            url: links::build(key),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::sample;

    #[test]
    fn a_file_of_a_change_leads_to_the_one_link_that_names_it() {
        let piece = |text: &str, url: Option<&str>| CommentPiece {
            text: text.into(),
            url: url.map(str::to_owned),
            title: None,
        };
        let pieces = [
            piece("see a.c and ", None),
            piece("diff of a.c", Some("https://d.test/a")),
            piece("b.c", Some("https://d.test/1")),
            piece("b.c again", Some("https://d.test/2")),
        ];
        let files = ["a.c", "b.c", "c.c", ""].map(str::to_owned);
        let urls: Vec<_> = FileLink::all(&files, &pieces)
            .into_iter()
            .map(|it| it.url)
            .collect();
        assert_eq!(urls, [Some("https://d.test/a".into()), None, None, None]);
        assert_eq!(capitalised("éclair"), "Éclair");
        assert_eq!(capitalised(""), "");
    }

    #[test]
    fn a_long_value_of_a_property_is_cut_between_characters_and_says_so() {
        let mut properties = Properties::new();
        properties.set("at_most", "é".repeat(500), "Scheduler");
        properties.set("more", "é".repeat(501), "Scheduler");
        properties.set("number", 5, "Build");
        let lines = PropertyLine::all(&properties);
        let told: Vec<_> = lines
            .iter()
            .map(|it| (it.name.as_str(), it.value.chars().count(), it.cut))
            .collect();
        assert_eq!(
            told,
            [
                ("at_most", 500, false),
                ("more", 500, true),
                ("number", 1, false)
            ]
        );
    }

    #[test]
    fn a_step_that_waits_has_no_times_and_bad_links_no_address() {
        let now = Timestamp::from_secs(1000);
        let build = sample::build("a/b", 0, None, now, 50);
        let steps = sample::steps(&build);
        let lines: Vec<_> = steps
            .iter()
            .map(|it| StepLine::new(&build.key, it, now))
            .collect();
        assert_eq!(
            lines[1].url,
            "builders/a%2Fb/builds/0/steps/compile%20%22%3Call%3E%22%2Fx"
        );
        assert_eq!((lines[2].running, lines[2].badge.word), (true, "running"));
        assert_eq!(
            (lines[3].length.as_ref(), lines[3].badge.word),
            (None, "not started")
        );
        assert_eq!(lines[0].urls[1].url, "");
    }
}
