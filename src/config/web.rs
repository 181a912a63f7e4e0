//! `[:web:]`: what the pages are told besides their ports.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Component;
use std::path::PathBuf;

use super::links::CommentLink;
use super::links::CommentLinks;
use super::links::FixedLink;
use super::links::RevLink;
use super::links::RevLinks;
use super::web_server;
use super::web_server::WebServerPlan;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

/// What the pages are told besides their ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebPlan {
    pub(crate) revlinks: RevLinks,
    pub(crate) comment_links: CommentLinks,
    /// Addresses by project.
    pub(crate) projects: BTreeMap<String, String>,
    /// Addresses by repository.
    pub(crate) repositories: BTreeMap<String, String>,
    /// Strips of the waterfall where the address says nothing.
    pub(crate) num_events: Option<u32>,
    /// Most strips that an address may ask for.
    pub(crate) num_events_max: Option<u32>,
    /// Lines of `/one_line_per_build` where the address says nothing.
    pub(crate) num_builds: Option<u32>,
    /// Whether the console goes by times, not by revisions.
    pub(crate) order_console_by_time: bool,
    /// Where files lie that are shown as they are, below the base directory.
    pub(crate) public_html: Option<PathBuf>,
    /// More of them, by the first part of their address.
    pub(crate) mounts: BTreeMap<String, PathBuf>,
    /// Feeds that there are; `None` means all.
    pub(crate) feeds: Option<Vec<Feed>>,
    /// `no` refuses every action on the ports; `[:authz:]` says more.
    pub(crate) allow_force: Option<bool>,
    /// How they are served.
    pub(crate) server: WebServerPlan,
}

/// A number from 1.
struct Count(u32);

impl Value for Count {
    const EXPECTED: &'static str = "a whole number from 1";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        match u32::read(node) {
            Ok(it) if it > 0 => Ok(Self(it)),
            _ => Err(Misread::default()),
        }
    }
}

/// Reads the section.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<WebPlan> {
    let revlinks = single_or_map::<RevLink>(keys, "revlink");
    let comment_links = single_or_map::<CommentLink>(keys, "change_comment_link");
    let projects = keys.map::<FixedLink>("projects");
    let repositories = keys.map::<FixedLink>("repositories");
    let num_events = keys.optional::<Count>("num_events");
    let num_events_max = keys.optional::<Count>("num_events_max");
    let num_builds = keys.optional::<Count>("num_builds");
    let public_html = keys.optional::<Below>("public_html");
    let mounts = mounts(keys);
    let feeds = keys.optional::<Feeds>("provide_feeds");
    let order_console_by_time = keys.optional::<bool>("order_console_by_time");
    let allow_force = keys.optional::<bool>("allow_force");
    let server = web_server::read(keys);
    // Their options are code's: no two read the same ones.
    let dialects = keys.map::<Node>("change_hook_dialects");
    for (dialect, node) in dialects.iter().flatten() {
        let what = format!("`change_hook_dialects.{dialect}` has no effect");
        let problem = Problem::warning(Code::NoEffect, what).at(&node.place);
        keys.note(problem.label(
            "each hook is a section `[source:NAME]` of its own, with its `type` and its `secret`",
        ));
    }
    for key in ["auth", "authz"] {
        if keys.has(key) && keys.node(key).is_some() {
            let what = format!("`{key}` stands in the wrong section");
            let problem = Problem::error(Code::UnknownKey, what)
                .at(&keys.place(key))
                .label("`[:authz:]` says who may do what");
            keys.note(problem);
        }
    }
    let (num_events, num_events_max) = (num_events?.map(|it| it.0), num_events_max?.map(|it| it.0));
    if let (Some(usual), Some(most)) = (num_events, num_events_max)
        && usual > most
    {
        let what = format!("`num_events` is {usual}, and `num_events_max` is {most}");
        let problem = Problem::error(Code::Contradiction, what)
            .at(&keys.place("num_events"))
            .label("this is more")
            .also(&keys.place("num_events_max"), "than this");
        keys.note(problem);
        return None;
    }
    let texts = |map: BTreeMap<String, FixedLink>| {
        let all = map.into_iter();
        all.map(|(name, link)| (name, link.0)).collect()
    };
    let (all, by_repository) = revlinks?;
    let revlinks = RevLinks { all, by_repository };
    let (all, by_project) = comment_links?;
    let comment_links = CommentLinks { all, by_project };
    let (projects, repositories) = (texts(projects?), texts(repositories?));
    dialects?;
    Some(WebPlan {
        revlinks,
        comment_links,
        projects,
        repositories,
        num_events,
        num_events_max,
        num_builds: num_builds?.map(|it| it.0),
        public_html: public_html?.map(|it| it.0),
        mounts: mounts?,
        feeds: feeds?.map(|it| it.0),
        order_console_by_time: order_console_by_time?.unwrap_or(false),
        allow_force: allow_force?,
        server: server?,
    })
}

/// Directories by the first part of the addresses below which they are shown.
fn mounts(keys: &mut Keys<'_>) -> Option<BTreeMap<String, PathBuf>> {
    let placed = keys.placed_map::<Below>("mounts")?;
    let mut mounts = BTreeMap::new();
    for (name, (place, directory)) in placed {
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            let what = format!("`mounts.{name}` is no part of an address");
            let label = "the name is what stands behind the first `/`: without another one, and without a dot before it";
            keys.note(Problem::error(Code::BadName, what).at(&place).label(label));
            return None;
        }
        mounts.insert(name, directory.0);
    }
    Some(mounts)
}

/// A directory that is not the master's own, which has passwords in it.
struct Below(PathBuf);

impl Value for Below {
    const EXPECTED: &'static str = "a directory of its own, such as `public_html`";
    const SHAPE: Shape = PathBuf::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut path = PathBuf::new();
        for part in PathBuf::read(node)?.components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                part => path.push(part),
            }
        }
        let holds_the_file = node.place.source.dir.starts_with(&path);
        if holds_the_file || path.file_name().is_none() {
            return Err(Misread::default());
        }
        Ok(Self(path))
    }
}

/// What programs read instead of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    Atom,
    Json,
    Rss,
}

impl Feed {
    const ALL: [Self; 3] = [Self::Atom, Self::Json, Self::Rss];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Atom => "atom",
            Self::Json => "json",
            Self::Rss => "rss",
        }
    }
}

impl WebPlan {
    /// What programs can read here.
    pub(crate) fn provided(&self) -> impl Iterator<Item = Feed> {
        let provides = |it: &Feed| self.feeds.as_ref().is_none_or(|all| all.contains(it));
        Feed::ALL.into_iter().filter(provides)
    }
}

struct Feeds(Vec<Feed>);

impl Value for Feeds {
    const EXPECTED: &'static str = "some of `atom`, `json`, `rss`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let words = Vec::<(String, Place)>::read(node)?.into_iter();
        let feeds = words.map(|(word, place)| {
            let found = Feed::ALL.into_iter().find(|it| it.as_str() == word);
            found.ok_or_else(|| Misread {
                what: Some(format!("expected {}", Self::EXPECTED)),
                place: Some(place),
                ..Misread::default()
            })
        });
        feeds.collect::<Result<_, _>>().map(Self)
    }
}

/// Whether a key has one value, and not a map.
struct Single<T> {
    is_single: bool,
    of: PhantomData<T>,
}

impl<T: Value> Value for Single<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const SHAPE: Shape = T::SHAPE.or_map();

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self {
            is_single: match &node.content {
                Content::Text(text) => !text.starts_with('{'),
                Content::Table(_) => false,
                _ => true,
            },
            of: PhantomData,
        })
    }
}

/// `key = VALUE` for all, or `key.NAME = VALUE` or a map for those that are named.
fn single_or_map<T: Value>(
    keys: &mut Keys<'_>,
    key: &str,
) -> Option<(Option<T>, BTreeMap<String, T>)> {
    let is_single = keys
        .optional::<Single<T>>(key)?
        .is_some_and(|it| it.is_single);
    if is_single {
        let all = keys.required::<T>(key)?;
        return Some((Some(all), BTreeMap::new()));
    }
    Some((None, keys.map::<T>(key)?))
}
