//! A try job: what somebody wants to have built before it is committed. As a
//! file it is netstrings, one behind the other, in one of four versions; over
//! the web it is a JSON document. Both are from outside, and nothing of one
//! that is not whole is used.

use std::str;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value as Json;

use crate::model::BuilderName;
use crate::model::Patch;
use crate::model::Properties;
use crate::model::SourceStamp;

/// What is to be tried.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    /// What its sender calls it.
    pub(crate) id: Option<String>,
    pub(crate) stamp: SourceStamp,
    pub(crate) who: String,
    pub(crate) comment: String,
    /// As the sender names them; none: all that there are.
    pub(crate) builders: Vec<String>,
    pub(crate) properties: Properties,
}

/// A job that nothing is built for, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadJob {
    #[error("it is empty")]
    Empty,
    #[error("at byte {at} there is no netstring, which is `LENGTH:BYTES,`")]
    NoNetstring { at: usize },
    #[error(
        "it is cut off: at byte {at} a netstring of {length} bytes begins, which are not there"
    )]
    CutOff { at: usize, length: usize },
    #[error("it is of version `{0}`, and 1 to 4 are known")]
    Version(String),
    #[error("it has {has} netstrings, and one of version {version} has at least {needs}")]
    TooFew {
        version: u8,
        has: usize,
        needs: usize,
    },
    #[error("its patch level `{0}` is no number")]
    Level(String),
    #[error("its {0} is no UTF-8")]
    NoText(&'static str),
    #[error("its {0} has control characters")]
    Control(&'static str),
    #[error("its {what} is longer than {most} bytes")]
    TooLong { what: &'static str, most: usize },
    #[error("it is no JSON document of a job: {0}")]
    NoDocument(String),
    #[error("it has a property without a name")]
    NoName,
    #[error("its patch has both `text` and `base64`, or neither")]
    PatchForm,
    #[error("its patch is no base64")]
    NoBase64,
    #[error("there is no builder `{builder}` to try it; there are {}", listed(.known))]
    NoBuilder {
        builder: String,
        known: Vec<BuilderName>,
    },
}

/// Names stand in addresses and logs.
const LONGEST_NAME: usize = 1024;
const LONGEST_COMMENT: usize = 64 * 1024;
const LONGEST_CONTEXT: usize = 256 * 1024;

/// The source of properties that who tries something has given.
const SOURCE: &str = "try build";

impl Job {
    /// Reads the file of a job.
    ///
    /// # Errors
    /// It is not a whole one. There is no limit to its length.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadJob> {
        let parts = netstrings(bytes)?;
        let (first, rest) = parts.split_first().ok_or(BadJob::Empty)?;
        let (version, needs) = match *first {
            b"1" => (1, 5),
            b"2" => (2, 7),
            b"3" => (3, 8),
            b"4" => (4, 9),
            other => {
                let other = String::from_utf8_lossy(&other[..other.len().min(40)]);
                return Err(BadJob::Version(other.escape_debug().to_string()));
            }
        };
        if rest.len() < needs {
            return Err(BadJob::TooFew {
                version,
                has: parts.len(),
                needs: needs + 1,
            });
        }
        let (fields, builders) = rest.split_at(needs);
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let id = text(field(0), "id")?;
        let level = field(3);
        let level = level_of(level).ok_or_else(|| {
            let level = String::from_utf8_lossy(&level[..level.len().min(40)]);
            BadJob::Level(level.escape_debug().to_string())
        })?;
        // Names of people came in whatever a machine was set to.
        let who = String::from_utf8_lossy(field(7)).into_owned();
        let comment = String::from_utf8_lossy(field(8)).into_owned();
        let branch = text(field(1), "branch")?;
        let revision = text(field(2), "revision")?;
        let repository = text(field(5), "repository")?;
        let project = text(field(6), "project")?;
        let builders = builders.iter().map(|it| text(it, "list of builders"));
        Self {
            id: Some(id).filter(|it| !it.is_empty()),
            stamp: SourceStamp {
                branch: Some(branch).filter(|it| !it.is_empty()),
                revision: Some(revision).filter(|it| !it.is_empty()),
                repository,
                project,
                patch: Some(Patch {
                    level,
                    diff: field(4).to_vec(),
                    subdir: None,
                    author: None,
                    comment: None,
                }),
                changes: Vec::new(),
            },
            who,
            comment,
            builders: builders.collect::<Result<_, _>>()?,
            properties: Properties::new(),
        }
        .checked()
    }

    /// Reads a job as it is sent over the web: a document, or what would be its file.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn of_request(bytes: &[u8]) -> Result<Self, BadJob> {
        match bytes.trim_ascii_start().first() {
            None => Err(BadJob::Empty),
            Some(b'{') => Document::read(bytes)?.into_job(),
            Some(_) => Self::read(bytes),
        }
    }

    /// A job as a program has called for it.
    ///
    /// # Errors
    /// Its words cannot stand where they would.
    pub(crate) fn of_call(
        stamp: SourceStamp,
        (who, comment): (String, String),
        builders: Vec<String>,
        properties: impl IntoIterator<Item = (String, Json)>,
    ) -> Result<Self, BadJob> {
        let mut known = Properties::new();
        for (name, value) in properties {
            at_most("name of a property", &name, LONGEST_NAME)?;
            if name.is_empty() {
                return Err(BadJob::NoName);
            }
            if name.contains(char::is_control) {
                return Err(BadJob::Control("name of a property"));
            }
            known.set(name, value, SOURCE);
        }
        let given = |it: Option<String>| it.filter(|it| !it.is_empty());
        Self {
            id: None,
            stamp: SourceStamp {
                branch: given(stamp.branch),
                revision: given(stamp.revision),
                ..stamp
            },
            who,
            comment,
            builders,
            properties: known,
        }
        .checked()
    }

    /// The job, if its words can stand where they will, with its author in its patch.
    fn checked(mut self) -> Result<Self, BadJob> {
        let stamp = &self.stamp;
        let names = [
            ("id", self.id.as_deref()),
            ("branch", stamp.branch.as_deref()),
            ("repository", Some(stamp.repository.as_str())),
            ("project", Some(stamp.project.as_str())),
            ("author", Some(self.who.as_str())),
        ];
        for (what, name) in names {
            let name = name.unwrap_or_default();
            if name.contains(char::is_control) {
                return Err(BadJob::Control(what));
            }
            at_most(what, name, LONGEST_NAME)?;
        }
        let revision = stamp.revision.as_deref().unwrap_or_default();
        match is_context(revision) {
            true => at_most("revision", revision, LONGEST_CONTEXT)?,
            false if revision.contains(char::is_control) => {
                return Err(BadJob::Control("revision"));
            }
            false => at_most("revision", revision, LONGEST_NAME)?,
        }
        at_most("comment", &self.comment, LONGEST_COMMENT)?;
        if self.comment.contains('\0') {
            return Err(BadJob::Control("comment"));
        }
        if let Some(patch) = &mut self.stamp.patch {
            let given = |text: &String| Some(text.clone()).filter(|it| !it.is_empty());
            patch.author = given(&self.who);
            patch.comment = given(&self.comment);
        }
        Ok(self)
    }

    /// Which of the builders try it: all of them, unless some are named, each once.
    ///
    /// # Errors
    /// One is named that is not among them: then none does.
    pub(crate) fn choose(&self, offered: &[BuilderName]) -> Result<Vec<BuilderName>, BadJob> {
        let mut chosen: Vec<BuilderName> = Vec::new();
        for name in &self.builders {
            let Some(found) = offered.iter().find(|it| it.as_str() == name) else {
                return Err(BadJob::NoBuilder {
                    builder: name.escape_debug().take(100).collect(),
                    known: offered.to_vec(),
                });
            };
            if !chosen.contains(found) {
                chosen.push(found.clone());
            }
        }
        match chosen.is_empty() {
            true => Ok(offered.to_vec()),
            false => Ok(chosen),
        }
    }

    /// Why it is built, as builds show it. What comes as a file has its comment in the patch only.
    pub(crate) fn reason(&self, with_comment: bool) -> String {
        let mut reason = "'try' job".to_owned();
        if !self.who.is_empty() {
            reason.push_str(" by user ");
            reason.push_str(&self.who);
        }
        if with_comment && !self.comment.is_empty() {
            reason.push_str(" (");
            reason.push_str(&self.comment);
            reason.push(')');
        }
        reason
    }
}

/// Whether a revision is the context of a tree of Darcs, which names patches in many lines.
fn is_context(revision: &str) -> bool {
    let is_bad = |it: char| it.is_control() && it != '\n' && it != '\t';
    revision.trim_start().starts_with("Context:") && !revision.contains(is_bad)
}

fn at_most(what: &'static str, text: &str, most: usize) -> Result<(), BadJob> {
    match text.len() > most {
        true => Err(BadJob::TooLong { what, most }),
        false => Ok(()),
    }
}

fn listed(all: &[BuilderName]) -> String {
    let all: Vec<_> = all.iter().map(|it| format!("`{it}`")).collect();
    all.join(", ")
}

/// The parts of a file, all of which must be whole.
fn netstrings(bytes: &[u8]) -> Result<Vec<&[u8]>, BadJob> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let none = BadJob::NoNetstring { at };
        let rest = &bytes[at..];
        let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        let length = str::from_utf8(&rest[..digits]).unwrap_or_default();
        // A file that ends within a length is as short as one that ends within a text.
        if digits == 0
            || digits > 1 && rest[0] == b'0'
            || rest.get(digits).is_some_and(|it| *it != b':')
        {
            return Err(none);
        }
        let Ok(length) = length.parse::<usize>() else {
            return Err(none);
        };
        let from = digits + 1;
        let part = from.checked_add(length).and_then(|to| rest.get(from..to));
        match (part, part.and_then(|it| rest.get(from + it.len()))) {
            (Some(part), Some(b',')) => {
                parts.push(part);
                at += from + part.len() + 1;
            }
            (Some(_), Some(_)) => return Err(none),
            _ => return Err(BadJob::CutOff { at, length }),
        }
    }
    Ok(parts)
}

fn level_of(text: &[u8]) -> Option<u32> {
    let text = str::from_utf8(text).ok()?;
    let is_number = text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn text(bytes: &[u8], what: &'static str) -> Result<String, BadJob> {
    let text = str::from_utf8(bytes).map_err(|_| BadJob::NoText(what))?;
    Ok(text.to_owned())
}

/// A job as JSON says it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Document {
    branch: Option<String>,
    revision: Option<String>,
    repository: String,
    project: String,
    patch: Option<PatchDocument>,
    builders: Vec<String>,
    who: String,
    comment: String,
    properties: Map<String, Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchDocument {
    #[serde(default)]
    level: u32,
    text: Option<String>,
    /// For one that is no text.
    base64: Option<String>,
}

impl Document {
    fn read(bytes: &[u8]) -> Result<Self, BadJob> {
        serde_json::from_slice(bytes).map_err(|error| BadJob::NoDocument(error.to_string()))
    }

    fn into_job(self) -> Result<Job, BadJob> {
        let patch = self.patch.map(PatchDocument::into_patch).transpose()?;
        let stamp = SourceStamp {
            branch: self.branch,
            revision: self.revision,
            repository: self.repository,
            project: self.project,
            patch,
            changes: Vec::new(),
        };
        let words = (self.who, self.comment);
        Job::of_call(stamp, words, self.builders, self.properties)
    }
}

impl PatchDocument {
    fn into_patch(self) -> Result<Patch, BadJob> {
        let diff = match (self.text, self.base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => crate::secrets::base64(&text).ok_or(BadJob::NoBase64)?,
            _ => return Err(BadJob::PatchForm),
        };
        Ok(Patch {
            level: self.level,
            diff,
            subdir: None,
            author: None,
            comment: None,
        })
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
