//! Keys of Buildbot's master that files bring along: some are read and do
//! nothing here, some have become something else.

use std::path::PathBuf;
use std::time::Duration;

use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

/// The database of a master, relative to its base directory.
pub(super) const DATABASE: &str = "state.sqlite";

/// Keys that are refused, and what to write instead. Some are of later Buildbots.
const REFUSED: [(&[&str], &str); 17] = [
    (
        &["project"],
        "`title` is what the pages call what is built; the project of changes stands in a section `[source:NAME]`",
    ),
    (
        &["slavePortnum", "protocols"],
        "`slaveport` is where slaves come to",
    ),
    (
        &["sources", "change_source"],
        "pollers are derived from the factories' repositories; a section `[source:NAME]` is a change source",
    ),
    (
        &["bots", "slaves", "workers"],
        "each slave is a section `[slave:NAME]`",
    ),
    (
        &["schedulers"],
        "schedulers are derived from the factories' repositories; a section `[scheduler:NAME]` is one more",
    ),
    (
        &["status", "services"],
        "each status target is a section `[status:NAME]`",
    ),
    (&["interlocks"], "each lock is a section `[lock:NAME]`"),
    (
        &["validation"],
        "its patterns are keys of a section `[:validation:]`",
    ),
    (
        &["metrics"],
        "its settings are keys of a section `[:metrics:]`",
    ),
    (
        &["properties"],
        "each property of all builds is a line of a section `[:properties:]`",
    ),
    (
        &["user_managers"],
        "`user_manager.NAME = PASSWORD` is the account of one",
    ),
    (
        &["collapseRequests"],
        "`merge_requests` says which requests are built together",
    ),
    (&["www"], "the pages are set up in a section `[:web:]`"),
    (&["db"], "`db_url` says where the database is"),
    (&["revlink"], "`revlink` stands in a section `[:web:]`"),
    (
        &["logEncoding"],
        "logs are kept as the bytes that came, and shown as UTF-8",
    ),
    (
        &["manhole"],
        "there is no Python inside to talk to; `autobot status`, the pages and `/json` show what goes on",
    ),
];

/// Reads what does nothing, and refuses what cannot be; gives where the database is.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<PathBuf> {
    let refused = REFUSED.iter();
    for (name, instead) in refused.flat_map(|(all, it)| all.iter().map(move |name| (*name, *it))) {
        if keys.has(name) {
            keys.node(name);
            let what = format!("there is no key `{name}`");
            let problem = Problem::error(Code::UnknownKey, what).at(&keys.place(name));
            keys.note(problem.help(instead));
        }
    }
    let database = keys.or("db_url", Database(DATABASE.into()));
    let multi_master = keys.optional::<bool>("multi_master");
    let poll = keys.optional::<Option<Duration>>("db_poll_interval");
    let build_cache = keys.optional::<CacheSize>("build_cache_size");
    let change_cache = keys.optional::<CacheSize>("change_cache_size");
    let caches = keys.placed_map::<CacheSize>("caches");
    if multi_master == Some(Some(true)) {
        keys.without_effect("multi_master", "a database has one master in this version");
    }
    for (name, why) in [
        ("db_poll_interval", "what is written is known at once"),
        ("build_cache_size", "SQLite's own cache is the only one"),
        ("change_cache_size", "SQLite's own cache is the only one"),
    ] {
        keys.without_effect(name, why);
    }
    if let Some((_, (place, _))) = caches.as_ref().and_then(|it| it.first_key_value()) {
        let problem = Problem::warning(Code::NoEffect, "`caches` has no effect").at(place);
        keys.note(problem.label("SQLite's own cache is the only one"));
    }
    multi_master?;
    poll?;
    build_cache?;
    change_cache?;
    caches?;
    database.map(|it| it.0)
}

/// Where the database is.
struct Database(PathBuf);

impl Value for Database {
    const EXPECTED: &'static str = "`sqlite:///FILE`, relative to the master's directory";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let file = text.strip_prefix("sqlite:///").ok_or_else(|| Misread {
            what: text.contains("://").then(|| {
                "this version keeps its state in SQLite only: `sqlite:///FILE`".to_owned()
            }),
            ..Misread::default()
        })?;
        if file.is_empty() || file.contains(['\0', '?']) {
            return Err(Misread::default());
        }
        Ok(Self(file.into()))
    }
}

/// How much would be cached.
struct CacheSize;

impl Value for CacheSize {
    const EXPECTED: &'static str = "a whole number from 1, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Int);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self),
            _ if u32::read(node)? > 0 => Ok(Self),
            _ => Err(Misread::default()),
        }
    }
}
