//! Which changes of Gerrit a `repo` checkout downloads: those that earlier
//! steps, the build's changes and whoever forced it ask for.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use crate::model::Change;
use crate::model::Properties;

use super::StepError;
use super::checkout;

/// One patch set of a change, in the project that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Download {
    pub(super) project: String,
    /// `NUMBER/PATCHSET`.
    pub(super) change: String,
}

impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.project, self.change)
    }
}

/// What is to be downloaded, each once.
pub(super) fn of(properties: &Properties, changes: &[Change]) -> Result<Vec<Download>, StepError> {
    let mut all = Vec::new();
    match properties.get("repo_downloads") {
        Some(Json::Array(items)) => {
            for item in items {
                all.extend(parse(item.as_str().unwrap_or_default()));
            }
        }
        Some(Json::String(text)) => all.extend(parse(text)),
        _ => {}
    }
    all.extend(changes.iter().filter_map(|it| uploaded(&it.properties)));
    for name in ["repo_d", "repo_download"] {
        let numbered = (0..10).map(|it| format!("{name}{it}"));
        for name in [name.to_owned()].into_iter().chain(numbered) {
            if let Some(text) = properties.text(&name) {
                all.extend(parse(text));
            }
        }
    }
    let mut once: Vec<Download> = Vec::new();
    for download in all {
        checkout::check_word("project", &download.project).map_err(StepError::Other)?;
        if !once.contains(&download) {
            once.push(download);
        }
    }
    Ok(once)
}

/// The patch set that Gerrit says was uploaded.
fn uploaded(properties: &Properties) -> Option<Download> {
    if properties.text("event.type") != Some("patchset-created") {
        return None;
    }
    let said = |name: &str| match properties.get(name)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let number = |name: &str| {
        let text = said(name)?;
        let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        is_number.then_some(text)
    };
    let (change, patch_set) = (
        number("event.change.number")?,
        number("event.patchSet.number")?,
    );
    Some(Download {
        project: said("event.change.project").filter(|it| !it.is_empty())?,
        change: format!("{change}/{patch_set}"),
    })
}

/// Every download that a text names: `repo download PROJECT N/P`, `PROJECT N/P`
/// and `PROJECT/N/P`, in this order.
fn parse(text: &str) -> Vec<Download> {
    static FORMS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        [
            r"repo download (\S+) (\d+/\d+)",
            r"(\S+) (\d+/\d+)",
            r"(\S+)/(\d+/\d+)",
        ]
        .map(|it| Regex::new(it).expect("a pattern"))
    });
    let mut found = Vec::new();
    let mut text = text.to_owned();
    for form in FORMS.iter() {
        found.extend(form.captures_iter(&text).map(|it| Download {
            project: it[1].to_owned(),
            change: it[2].to_owned(),
        }));
        text = form.replace_all(&text, "").into_owned();
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ChangeId;
    use crate::model::Timestamp;

    fn told(properties: &[(&str, Json)], changes: &[Change]) -> String {
        let mut all = Properties::new();
        for (name, value) in properties {
            all.set(*name, value.clone(), "test");
        }
        match of(&all, changes) {
            Ok(found) => {
                let found: Vec<_> = found.iter().map(Download::to_string).collect();
                found.join(", ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    fn change(properties: &[(&str, Json)]) -> Change {
        Change {
            id: ChangeId(1),
            author: String::new(),
            files: Vec::new(),
            comments: String::new(),
            revision: None,
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(0),
            properties: {
                let mut all = Properties::new();
                for (name, value) in properties {
                    all.set(*name, value.clone(), "test");
                }
                all
            },
        }
    }

    #[test]
    fn downloads_are_named_in_three_ways() {
        let text = "repo download test/bla 564/12 repo download test/bla 564/2 test/foo 5/1";
        let expected = "test/bla 564/12, test/bla 564/2, test/foo 5/1";
        assert_eq!(told(&[("repo_d", json!(text))], &[]), expected);
        let text = "a/b/7/1, c 8/2";
        assert_eq!(
            told(&[("repo_download3", json!(text))], &[]),
            "c 8/2, a/b 7/1"
        );
        assert_eq!(told(&[("repo_d10", json!("c 8/2"))], &[]), "");
        assert_eq!(told(&[("repo_d", json!("nothing 8"))], &[]), "");
    }

    #[test]
    fn steps_changes_and_people_ask_in_this_order_and_for_everything_once() {
        let uploaded = change(&[
            ("event.type", json!("patchset-created")),
            ("event.change.project", json!("p")),
            ("event.change.number", json!("12")),
            ("event.patchSet.number", json!(3)),
        ]);
        let merged = change(&[
            ("event.type", json!("change-merged")),
            ("event.change.project", json!("p")),
            ("event.change.number", json!("13")),
            ("event.patchSet.number", json!(1)),
        ]);
        let properties = [
            ("repo_download", json!("z 1/1 p 12/3")),
            ("repo_d9", json!("y 2/2")),
            ("repo_downloads", json!(["q 9/9", 7])),
        ];
        let expected = "q 9/9, p 12/3, y 2/2, z 1/1";
        assert_eq!(told(&properties, &[uploaded, merged]), expected);
    }

    #[test]
    fn a_project_that_looks_like_an_option_is_refused() {
        let expected = "error: the project `--upload-pack=x` begins with `-`";
        assert_eq!(
            told(&[("repo_d", json!("--upload-pack=x 1/1"))], &[]),
            expected
        );
    }
}
