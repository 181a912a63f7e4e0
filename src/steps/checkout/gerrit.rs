//! Which patch set of a Gerrit change a build is of.

use crate::steps::Cx;
use crate::steps::StepError;

/// The ref of the patch set, such as `refs/changes/34/1234/5`. A change of Gerrit says it; who
/// forces a build says it as `1234/5`.
pub(in crate::steps) fn patch_set(cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    if let Some(reference) = cx.properties.text("event.patchSet.ref") {
        return match is_ref(reference) {
            true => Ok(Some(reference.to_owned())),
            false => {
                let shown = reference.escape_debug();
                let what = format!("the property `event.patchSet.ref` is no ref: `{shown}`");
                Err(StepError::Other(what))
            }
        };
    }
    let change = cx.properties.text("gerrit_change");
    Ok(change.and_then(ref_of_change))
}

/// Gerrit keeps the patch sets of a change in the directory of its last two digits.
fn ref_of_change(change: &str) -> Option<String> {
    let (number, patch_set) = change.trim().split_once('/')?;
    let (number, patch_set): (u64, u64) = (number.parse().ok()?, patch_set.parse().ok()?);
    Some(format!(
        "refs/changes/{:02}/{number}/{patch_set}",
        number % 100
    ))
}

/// Whether git takes it for the name of one ref, and for nothing else.
pub(in crate::steps) fn is_ref(word: &str) -> bool {
    let is_bad = |it: char| it.is_control() || " ~^:?*[\\".contains(it);
    word.starts_with("refs/") && !word.contains(is_bad) && !word.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_and_a_patch_set_name_a_ref_and_anything_else_is_ignored() {
        let check = |change: &str, expected: Option<&str>| {
            assert_eq!(ref_of_change(change).as_deref(), expected, "{change}");
        };
        check("1234/5", Some("refs/changes/34/1234/5"));
        check("7/12", Some("refs/changes/07/7/12"));
        check("100/1", Some("refs/changes/00/100/1"));
        for other in ["1234", "a/1", "1/b", "1/2/3", "-1/2", ""] {
            check(other, None);
        }
    }

    #[test]
    fn a_ref_is_one_ref() {
        assert!(is_ref("refs/changes/34/1234/5"));
        for other in [
            "main",
            "refs/a:refs/b",
            "+refs/a",
            "refs/../x",
            "refs/a b",
            "refs/\n",
        ] {
            assert!(!is_ref(other), "{other}");
        }
    }
}
