//! What is configured of a source that polls, and what of it is refused.

use std::path::PathBuf;
use std::time::Duration;

use super::mirror::PollError;

/// A repository that is polled. One value per source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceSettings {
    /// The source's name, under which its state is kept.
    pub(crate) name: String,
    pub(crate) url: String,
    /// `None` is `master` for git (the remote's own default where it has no
    /// `master`) and `default` for hg.
    pub(crate) branch: Option<String>,
    /// The clone, kept from poll to poll and made when it is missing. No other
    /// source may have the same.
    pub(crate) workdir: PathBuf,
    pub(crate) poll_interval: Duration,
    /// The next look is up to so much later, by chance.
    pub(crate) poll_jitter: Duration,
    /// The program, `git` or `hg` if `None`.
    pub(crate) program: Option<String>,
    /// Whether a change is as old as its commit; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
    /// Where a revision can be looked at; `%s` stands for it.
    pub(crate) revlink: Option<String>,
}

impl SourceSettings {
    /// Refuses what a program would take for an option.
    pub(super) fn check(&self) -> Result<(), PollError> {
        refuse_option("repository", &self.url)?;
        match &self.branch {
            Some(branch) => refuse_option("branch", branch),
            None => Ok(()),
        }
    }

    /// The error with its causes, and without the password of the URL.
    pub(super) fn explain(&self, error: &PollError) -> String {
        explain(&self.url, error)
    }

    pub(super) fn revlink(&self, revision: &str) -> String {
        revlink(self.revlink.as_deref(), revision)
    }
}

/// The error with its causes, and without the password of `url`.
pub(super) fn explain(url: &str, error: &PollError) -> String {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    masked(url, &reason)
}

/// `text` without the password of `url`.
pub(super) fn masked(url: &str, text: &str) -> String {
    match password(url) {
        Some(password) => text.replace(&format!(":{password}@"), ":…@"),
        None => text.to_owned(),
    }
}

/// The template with the revision, as an address has it, for each `%s`.
pub(super) fn revlink(template: Option<&str>, revision: &str) -> String {
    let Some(template) = template else {
        return String::new();
    };
    let mut quoted = String::new();
    for byte in revision.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                quoted.push(char::from(byte));
            }
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    template.replace("%s", &quoted)
}

pub(super) fn refuse_option(what: &'static str, value: &str) -> Result<(), PollError> {
    let why = if value.is_empty() {
        "it is empty"
    } else if value.starts_with('-') {
        "it begins with `-`"
    } else if value.chars().any(char::is_control) {
        "it holds a control character"
    } else {
        return Ok(());
    };
    let value = value.escape_debug().to_string();
    Err(PollError::Refused { what, value, why })
}

fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_option_is_refused() {
        let check = |value: &str, expected: &str| {
            let said = refuse_option("branch", value).map_err(|it| it.to_string());
            assert_eq!(said.err().unwrap_or_default(), expected);
        };
        check("main", "");
        check("a b", "");
        check("-x", "branch `-x` is refused: it begins with `-`");
        check("", "branch `` is refused: it is empty");
        check(
            "a\nb",
            "branch `a\\nb` is refused: it holds a control character",
        );
    }

    #[test]
    fn a_link_has_the_revision_as_addresses_have_it() {
        assert_eq!(revlink(None, "1"), "");
        let template = Some("http://x/%s?r=%s&p=%d");
        assert_eq!(revlink(template, "7"), "http://x/7?r=7&p=%d");
        assert_eq!(revlink(Some("/%s"), "a b/ü"), "/a%20b%2F%C3%BC");
    }

    #[test]
    fn a_password_in_a_url_is_found() {
        assert_eq!(password("https://ann:se:cret@host/x"), Some("se:cret"));
        assert_eq!(password("https://ann@host/x:y@z"), None);
        assert_eq!(password("ssh://host:22/x"), None);
        assert_eq!(password("/a/b"), None);
    }
}
