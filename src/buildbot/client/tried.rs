//! What `buildbot try` sends, by the number of its arguments: older clients knew fewer.

use serde_json::Value as Json;

use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::change::dictionary;

/// Something to be built before it is committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TryCall {
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    /// Its level, and the difference.
    pub(crate) patch: Option<(u32, Vec<u8>)>,
    pub(crate) repository: String,
    pub(crate) project: String,
    /// None: all that there are.
    pub(crate) builders: Vec<String>,
    pub(crate) who: String,
    pub(crate) comment: String,
    pub(crate) properties: Vec<(String, Json)>,
}

/// Where the arguments after the patch stand.
struct Places {
    repository: bool,
    who: bool,
    comment: bool,
}

/// Reads the arguments of `try`: branch, revision and patch come first, the properties last.
pub(super) fn read(arguments: &Arguments) -> Result<TryCall, String> {
    let all = &arguments.places;
    let (places, has_properties) = match (all.len(), all.last()) {
        (5, Some(Value::Dict(_))) => (Places::of(false, false, false), true),
        (7, Some(Value::Dict(_))) => (Places::of(true, false, false), true),
        (8, Some(Value::Dict(_))) => (Places::of(true, true, false), true),
        (9, Some(Value::Dict(_))) => (Places::of(true, true, true), true),
        // Without properties, as a script of one's own may call it.
        (6, _) => (Places::of(true, false, false), false),
        (count, _) => {
            return Err(format!(
                "`try` has 5, 7, 8 or 9 arguments, the last of which is a dictionary, and not {count}"
            ));
        }
    };
    let mut all = all.iter();
    let mut next = || all.next().unwrap_or(&Value::None);
    let branch = text("branch", next())?;
    let revision = text("revision", next())?;
    let patch = patch(next())?;
    let (repository, project) = match places.repository {
        true => (text("repository", next())?, text("project", next())?),
        false => (None, None),
    };
    let builders = match next() {
        Value::None => Vec::new(),
        names => {
            let names = names.items().unwrap_or(&[Value::None]).iter();
            let names: Option<Vec<String>> = names.map(Value::as_text).collect();
            names.ok_or("the builders of a try job are a list of names")?
        }
    };
    let who = places.who.then(|| text("author", next())).transpose()?;
    let comment = places
        .comment
        .then(|| text("comment", next()))
        .transpose()?;
    let properties = match has_properties {
        true => dictionary(next()).ok_or("the properties of a try job are a dictionary")?,
        false => Vec::new(),
    };
    Ok(TryCall {
        branch,
        revision,
        patch,
        repository: repository.unwrap_or_default(),
        project: project.unwrap_or_default(),
        builders,
        who: who.flatten().unwrap_or_default(),
        comment: comment.flatten().unwrap_or_default(),
        properties,
    })
}

impl Places {
    const fn of(repository: bool, who: bool, comment: bool) -> Self {
        Self {
            repository,
            who,
            comment,
        }
    }
}

fn text(what: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::None => Ok(None),
        value => match super::change::text(value) {
            Some(text) => Ok(Some(text)),
            None => Err(format!("the {what} of a try job is {value}")),
        },
    }
}

/// No difference is no patch.
fn patch(value: &Value) -> Result<Option<(u32, Vec<u8>)>, String> {
    let wrong = "the patch of a try job is its level and a difference";
    let (level, diff) = match value {
        Value::None => return Ok(None),
        value => match value.items() {
            Some([level, diff]) => (level, diff),
            _ => return Err(wrong.to_owned()),
        },
    };
    let level = level.as_int().and_then(|it| u32::try_from(it).ok());
    let diff = match diff {
        Value::None => return Ok(None),
        diff => diff.clone().into_bytes().ok_or(wrong)?,
    };
    match (level, diff.is_empty()) {
        (_, true) => Ok(None),
        (Some(level), false) => Ok(Some((level, diff))),
        (None, false) => Err(wrong.to_owned()),
    }
}
