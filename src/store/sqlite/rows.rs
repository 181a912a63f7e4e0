//! How nouns lie in columns.

use serde_json::{Value, json};

use crate::model::Access;
use crate::model::HeldLocks;
use crate::model::LockName;
use crate::model::LockUse;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::Properties;
use crate::model::Property;

use super::super::{Result, StoreError};

/// Properties as `{name: [value, source, runtime]}`.
pub(super) fn properties_to_json(properties: &Properties) -> String {
    let map: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, it)| (name.to_owned(), json!([it.value, it.source, it.runtime])))
        .collect();
    Value::Object(map).to_string()
}

pub(super) fn properties_from_json(text: &str) -> Result<Properties> {
    let map: serde_json::Map<String, Value> = from_json(text)?;
    map.into_iter()
        .map(|(name, entry)| {
            let (value, source, runtime): (Value, String, bool) =
                serde_json::from_value(entry).map_err(|error| damaged(&error))?;
            Ok((
                name,
                Property {
                    value,
                    source,
                    runtime,
                },
            ))
        })
        .collect()
}

pub(super) fn patch_to_json(patch: Option<&Patch>) -> Option<String> {
    patch.map(|it| match &it.comment {
        Some(comment) => json!([it.level, it.diff, it.subdir, it.author, comment]).to_string(),
        None => json!([it.level, it.diff, it.subdir, it.author]).to_string(),
    })
}

pub(super) fn patch_from_json(text: Option<&str>) -> Result<Option<Patch>> {
    text.map(|text| {
        let (level, diff, subdir, author, comment) = match from_json::<Value>(text)? {
            // Without a comment, as rows were before there were any.
            Value::Array(parts) if parts.len() == 4 => {
                let (level, diff, subdir, author) = from_json(text)?;
                (level, diff, subdir, author, None)
            }
            _ => from_json(text)?,
        };
        Ok(Patch {
            level,
            diff,
            subdir,
            author,
            comment,
        })
    })
    .transpose()
}

/// Locks as `[[scope, name, access], …]`.
pub(super) fn locks_to_json(locks: &HeldLocks) -> String {
    let rows = |scope: &'static str, uses: &[LockUse]| -> Vec<Value> {
        uses.iter()
            .map(|it| json!([scope, it.lock, it.access.as_str()]))
            .collect()
    };
    let mut all = rows("build", &locks.build);
    all.extend(rows("step", &locks.step));
    Value::Array(all).to_string()
}

pub(super) fn locks_from_json(text: &str) -> Result<HeldLocks> {
    let rows: Vec<(String, LockName, String)> = from_json(text)?;
    let mut locks = HeldLocks::default();
    for (scope, lock, access) in rows {
        let access = Access::from_word(&access)
            .ok_or_else(|| StoreError::new(format!("a row holds the unknown access `{access}`")))?;
        let of = match scope.as_str() {
            "step" => &mut locks.step,
            _ => &mut locks.build,
        };
        of.push(LockUse { lock, access });
    }
    Ok(locks)
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists of strings and numbers are always JSON")
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

pub(super) fn outcome(code: Option<i64>) -> Result<Option<Outcome>> {
    code.map(|code| {
        Outcome::from_code(code)
            .ok_or_else(|| StoreError::new(format!("a row holds the unknown outcome {code}")))
    })
    .transpose()
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::new(format!("a row is damaged: {error}"))
}
