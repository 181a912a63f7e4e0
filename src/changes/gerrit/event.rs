//! What Gerrit says, as changes: events of its stream, and answers to the question what there was
//! while nobody listened. Any field may be missing, and none is believed to be what it should be.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use super::super::hooks::person;
use super::GerritSettings;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::model::Vc;
use crate::model::hex;

pub(super) const PATCHSET_CREATED: &str = "patchset-created";
pub(super) const REF_UPDATED: &str = "ref-updated";

/// Where Gerrit keeps branches and tags; under the other names it keeps itself.
const PUBLIC: [&str; 2] = ["refs/heads/", "refs/tags/"];

/// An event that can be read, with the time that Gerrit gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) document: Json,
    pub(super) kind: String,
    /// In seconds.
    pub(super) at: Option<i64>,
}

impl Event {
    /// Reads a line of the stream; the error says why it is none.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let document: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        Self::of(document)
    }

    fn of(document: Json) -> Result<Self, String> {
        let kind = document["type"].as_str().ok_or("it has no `type`")?;
        Ok(Self {
            kind: kind.to_owned(),
            at: number(&document["eventCreatedOn"]).or(number(&document["patchSet"]["createdOn"])),
            document,
        })
    }

    /// The change that it is; `None` if it is about nothing to build. The error says what it lacks.
    pub(super) fn change(&self, settings: &GerritSettings) -> Result<Option<NewChange>, String> {
        let event = &self.document;
        let host = format!("{}:{}", settings.server, settings.port);
        let mut change = if event.get("refUpdate").is_some() {
            let update = &event["refUpdate"];
            let (name, revision) = (needed(update, "refName")?, needed(update, "newRev")?);
            if name.starts_with("refs/") && !PUBLIC.iter().any(|it| name.starts_with(it)) {
                return Ok(None);
            }
            if revision.bytes().all(|it| it == b'0') {
                return Ok(None); // It is gone.
            }
            let submitter = &event["submitter"];
            let author = match who(submitter) {
                author if author.is_empty() => "gerrit".to_owned(),
                author => author,
            };
            NewChange {
                comments: "Gerrit: patchset(s) merged.".to_owned(),
                // A branch goes by its own name, whatever this Gerrit calls it.
                branch: Some(name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()),
                project: needed(update, "project")?,
                revision: Some(revision),
                ..by(author)
            }
        } else {
            let (change, patch_set) = (&event["change"], &event["patchSet"]);
            if !change.is_object() {
                return Err("it has no `change`".to_owned());
            }
            let (branch, number) = (needed(change, "branch")?, needed(change, "number")?);
            NewChange {
                comments: text(change, "subject"),
                branch: Some(format!("{branch}/{number}")),
                project: needed(change, "project")?,
                revision: Some(needed(patch_set, "revision")?),
                revlink: text(change, "url"),
                ..by(who(&change["owner"]))
            }
        };
        change.origin = match self.kind.as_str() {
            // Told by the stream, and by the answer to a question: it is the same.
            PATCHSET_CREATED => Some(format!(
                "gerrit {host} {PATCHSET_CREATED} {} {} {} {}",
                change.project,
                text(&event["change"], "number"),
                text(&event["patchSet"], "number"),
                change.revision.as_deref().unwrap_or_default(),
            )),
            // Without a time the same may happen again, and be another.
            kind => event.get("eventCreatedOn").map(|_| {
                let digest = Sha256::digest(event.to_string().as_bytes());
                let digest = hex(&digest[..16]);
                format!("gerrit {host} {kind} {digest}")
            }),
        };
        change.category = Some(settings.category.clone().unwrap_or(self.kind.clone()));
        if let Some(template) = &settings.repository {
            change.repository = template.replace("%s", &change.project);
        }
        change.when = self.at.map(Timestamp::from_secs);
        flatten(&mut change.properties, "event", event);
        Ok(Some(change))
    }
}

/// What a line of the answer to a question is.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A change, last touched at this time, and the patch sets that it has.
    Change {
        touched: Option<i64>,
        events: Vec<Event>,
    },
    /// The end; whether there are more.
    End { more: bool },
}

impl Answer {
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let mut document: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match document["type"].as_str() {
            Some("stats") => {
                let more = document["moreChanges"].as_bool().unwrap_or(false);
                return Ok(Self::End { more });
            }
            Some("error") => {
                let said = document["message"].as_str().unwrap_or_default();
                return Err(format!("Gerrit says: {said}"));
            }
            _ => {}
        }
        let Json::Object(change) = &mut document else {
            return Err("it is no JSON object".to_owned());
        };
        let patch_sets = match change.remove("patchSets") {
            Some(Json::Array(all)) => all,
            _ => Vec::new(),
        };
        change.remove("currentPatchSet");
        let touched = number(&document["lastUpdated"]);
        let event = |patch_set: Json| {
            Event::of(json!({
                "type": PATCHSET_CREATED,
                "eventCreatedOn": patch_set["createdOn"],
                "uploader": patch_set["uploader"],
                "patchSet": patch_set,
                "change": document,
            }))
        };
        let events = patch_sets.into_iter().map(event).collect::<Result<_, _>>();
        Ok(Self::Change {
            touched,
            events: events?,
        })
    }
}

fn by(author: String) -> NewChange {
    NewChange {
        author,
        files: vec!["unknown".to_owned()],
        comments: String::new(),
        revision: None,
        branch: None,
        category: None,
        revlink: String::new(),
        repository: String::new(),
        project: String::new(),
        when: None,
        properties: Properties::new(),
        origin: None,
        vc: Some(Vc::Git),
    }
}

/// Whom an account is of.
fn who(account: &Json) -> String {
    match text(account, "name") {
        name if name.is_empty() => person(&text(account, "username"), &text(account, "email")),
        name => person(&name, &text(account, "email")),
    }
}

/// A text, or a number as one: Gerrit's numbers were texts once.
fn text(document: &Json, name: &str) -> String {
    match &document[name] {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn needed(document: &Json, name: &str) -> Result<String, String> {
    match text(document, name) {
        text if text.is_empty() => Err(format!("it has no `{name}`")),
        text => Ok(text),
    }
}

fn number(value: &Json) -> Option<i64> {
    match value {
        Json::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

/// Every leaf under its path.
fn flatten(properties: &mut Properties, path: &str, value: &Json) {
    match value {
        Json::Object(all) => flatten_all(properties, path, all),
        leaf => properties.set(path, leaf.clone(), "Change"),
    }
}

fn flatten_all(properties: &mut Properties, path: &str, all: &Map<String, Json>) {
    for (name, value) in all {
        flatten(properties, &format!("{path}.{name}"), value);
    }
}
