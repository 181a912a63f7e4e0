//! The dialect `base`: a form with the fields of one change.

use serde_json::Value as Json;

use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::model::Vc;

use super::Knock;
use super::Refused;

pub(super) fn read(knock: &Knock) -> Result<Vec<NewChange>, Refused> {
    // What stands in the address counts where the form says nothing: a plain link works, too.
    let mut fields = if knock.body.is_empty() {
        Vec::new()
    } else {
        knock.form()?
    };
    fields.extend(knock.query.iter().cloned());
    Ok(vec![change(&fields)?])
}

/// The change that these fields are of, however they came; lists and maps are JSON.
pub(crate) fn change(fields: &[(String, String)]) -> Result<NewChange, Refused> {
    let field = |names: &[&str]| {
        let mut found = fields
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        found.next().map(|(_, value)| value.clone())
    };
    let said = |names: &[&str]| field(names).filter(|it| !it.is_empty());
    let author = said(&["who", "author"])
        .ok_or_else(|| Refused::Bad("the change has no author: `who` is missing".into()))?;
    let when = match said(&["when", "when_timestamp"]) {
        None => None,
        Some(text) => Some(seconds(&text).ok_or_else(|| {
            Refused::Bad(format!(
                "`when` is `{}`, which is no number of seconds",
                text.escape_debug()
            ))
        })?),
    };
    let mut properties = Properties::new();
    match list(said(&["properties"]), "properties")? {
        None => {}
        Some(Json::Object(all)) => {
            for (name, value) in all {
                properties.set(name, value, "Change");
            }
        }
        Some(_) => return Err(Refused::Bad("`properties` is no JSON object".into())),
    }
    let files = match list(said(&["files"]), "files")? {
        None => Vec::new(),
        Some(Json::Array(all)) => {
            let texts: Option<Vec<String>> = all
                .iter()
                .map(|it| it.as_str().map(str::to_owned))
                .collect();
            texts.ok_or_else(|| Refused::Bad("`files` is no list of names".into()))?
        }
        Some(_) => return Err(Refused::Bad("`files` is no JSON list".into())),
    };
    Ok(NewChange {
        author,
        files,
        comments: field(&["comments"]).unwrap_or_default(),
        revision: said(&["revision"]),
        branch: said(&["branch"]),
        category: said(&["category"]),
        revlink: field(&["revlink"]).unwrap_or_default(),
        repository: field(&["repository"]).unwrap_or_default(),
        project: said(&["project"]).unwrap_or_default(),
        when,
        properties,
        vc: said(&["src"]).as_deref().and_then(Vc::from_word),
        origin: None,
    })
}

fn list(text: Option<String>, name: &str) -> Result<Option<Json>, Refused> {
    let read = text.map(|it| serde_json::from_str(&it)).transpose();
    read.map_err(|error| Refused::Bad(format!("`{name}` is no JSON: {error}")))
}

fn seconds(text: &str) -> Option<Timestamp> {
    let seconds: f64 = text.trim().parse().ok()?;
    let milliseconds = (seconds * 1000.0).round();
    // Up to the year 9999.
    let is_time = milliseconds.is_finite() && (0.0..=253_402_300_799_000.0).contains(&milliseconds);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "its range was just looked at"
    )]
    is_time.then_some(Timestamp(milliseconds as i64))
}
