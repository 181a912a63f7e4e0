//! How nouns lie in columns.

use rusqlite::types::ValueRef;
use serde::Serializer;
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
    let entries = properties
        .iter()
        .map(|(name, it)| (name, (&it.value, &it.source, it.runtime)));
    let mut bytes = Vec::with_capacity(1024);
    serde_json::Serializer::new(&mut bytes)
        .collect_map(entries)
        .expect("names are texts, and values are JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
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

/// A patch as its column has it: a line `[level, subdir, author, comment]`, and then the diff
/// itself, byte by byte.
pub(super) fn patch_to_bytes(patch: Option<&Patch>) -> Option<Vec<u8>> {
    patch.map(|it| {
        let about = json!([it.level, it.subdir, it.author, it.comment]);
        let mut bytes = format!("{about}\n").into_bytes();
        bytes.extend_from_slice(&it.diff);
        bytes
    })
}

/// Reads a patch, also as older versions wrote it.
pub(super) fn patch_from(column: ValueRef<'_>) -> Result<Option<Patch>> {
    match column {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => patch_from_json(&String::from_utf8_lossy(text)).map(Some),
        ValueRef::Blob(bytes) => {
            let end = bytes.iter().position(|it| *it == b'\n');
            let (about, diff) = bytes.split_at(end.unwrap_or(bytes.len()));
            let about = String::from_utf8_lossy(about);
            let (level, subdir, author, comment) = from_json(&about)?;
            Ok(Some(Patch {
                level,
                diff: diff.get(1..).unwrap_or_default().to_vec(),
                subdir,
                author,
                comment,
            }))
        }
        ValueRef::Integer(_) | ValueRef::Real(_) => {
            Err(StoreError::new("a number stands where a patch should"))
        }
    }
}

/// As it was until version 14: the diff a list of numbers, and first without a comment.
fn patch_from_json(text: &str) -> Result<Patch> {
    let (level, diff, subdir, author, comment) = match from_json::<Value>(text)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(diff: &[u8], comment: Option<&str>) -> Patch {
        Patch {
            level: 2,
            diff: diff.to_vec(),
            subdir: Some("a\nb".into()),
            author: None,
            comment: comment.map(str::to_owned),
        }
    }

    #[test]
    fn a_patch_takes_no_more_than_its_bytes_and_is_read_as_it_was() {
        for diff in [&b"--- a\n+++ b\n"[..], b"", b"\n\n", &[0, 255, 10, 13]] {
            let whole = patch(diff, Some("it's \"good\""));
            let bytes = patch_to_bytes(Some(&whole)).expect("bytes");
            assert!(bytes.len() < diff.len() + 50, "{}", bytes.len());
            let read = patch_from(ValueRef::Blob(&bytes)).expect("a patch");
            assert_eq!(read, Some(whole));
        }
        assert_eq!(patch_to_bytes(None), None);
        assert_eq!(patch_from(ValueRef::Null).expect("nothing"), None);
    }

    #[test]
    fn a_patch_is_read_as_older_versions_wrote_it() {
        let check = |text: &str, expected| {
            let read = patch_from(ValueRef::Text(text.as_bytes()));
            assert_eq!(read.expect("a patch"), Some(expected), "{text}");
        };
        check(r#"[2,[45,255],"a\nb",null]"#, patch(&[45, 255], None));
        let said = patch(b"-", Some("try"));
        check(r#"[2,[45],"a\nb",null,"try"]"#, said);
        for damaged in ["", "{}", "[1]"] {
            assert!(patch_from(ValueRef::Text(damaged.as_bytes())).is_err());
            assert!(patch_from(ValueRef::Blob(damaged.as_bytes())).is_err());
        }
    }
}
