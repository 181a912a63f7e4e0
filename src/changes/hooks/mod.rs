//! Hooks: a forge, or a script, says over HTTP that the source was altered.
//!
//! A [`Knock`] is what came. It is looked at in this order: who may it be
//! from ([`HookSettings::check`], over the bytes as they came), and what does it say
//! ([`HookSettings::read`]). Nothing of it is believed before the first is done, and
//! what it says is bounded by the body that the pages take.

mod base;
mod bitbucket;
mod forge;
mod gitlab;
mod poller;
mod proof;
mod requests;

use serde_json::Value as Json;

use crate::model::NewChange;
use crate::model::Vc;
use crate::secrets::SecretText;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Value;

use super::branches::Patterns;

pub(crate) use base::change;

/// What is configured of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookSettings {
    pub(super) dialect: Dialect,
    /// `None`: whoever reaches the port may knock.
    pub(crate) secret: Option<SecretText>,
    /// What its changes say; if `None`, what was sent.
    repository: Option<String>,
    /// The branches of which changes are taken; all if `None`.
    branches: Option<Patterns>,
    /// Whether what is to be pulled is a change, too.
    pull_requests: bool,
    project: String,
    category: Option<String>,
}

/// Who speaks to it, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Form fields, one change at a time.
    Base,
    GitHub,
    GitLab,
    Bitbucket,
    /// Gitea and Forgejo.
    Gitea,
    /// Only has pollers look; all of them, if it names none.
    Poller {
        pollers: Vec<String>,
    },
}

/// A request as a hook sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knock {
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// What stands behind the `?`, with what it escapes read.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why a knock is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be shown to come from who may.
    #[error("{0}")]
    Forged(&'static str),
    /// It is not of a kind that the dialect speaks.
    #[error("{0}")]
    Strange(String),
    #[error("{0}")]
    Bad(String),
}

/// What a knock says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// Oldest first; none, if it is about something else.
    Changes(Vec<NewChange>),
    /// Sources that are to look now; all of them, if it names none.
    Look(Vec<String>),
}

impl Knock {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(it, _)| it == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn query(&self, name: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(it, _)| it == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn is_of_type(&self, wanted: &str) -> bool {
        let said = self.header("content-type").unwrap_or_default();
        let said = said.split(';').next().unwrap_or_default().trim();
        said.eq_ignore_ascii_case(wanted)
    }

    /// The fields of a form, if it is one.
    pub(super) fn form(&self) -> Result<Vec<(String, String)>, Refused> {
        if !self.is_of_type("application/x-www-form-urlencoded") {
            return Err(Refused::Strange(
                "expected a form (application/x-www-form-urlencoded)".into(),
            ));
        }
        Ok(form(&self.body))
    }

    /// The document, as the body or as the field `payload` of a form.
    pub(super) fn document(&self) -> Result<Json, Refused> {
        let bad = |error: serde_json::Error| Refused::Bad(format!("this is no JSON: {error}"));
        if self.is_of_type("application/json") {
            return serde_json::from_slice(&self.body).map_err(bad);
        }
        let form = self.form().map_err(|_| {
            Refused::Strange("expected application/json, or a form with a field `payload`".into())
        })?;
        let mut payload = form.iter().filter(|(name, _)| name == "payload");
        let (_, payload) = payload
            .next()
            .ok_or_else(|| Refused::Bad("the form has no field `payload`".into()))?;
        serde_json::from_str(payload).map_err(bad)
    }
}

/// Reads `a=b&c=d`, where `+` and `%20` are spaces. What is no UTF-8 is replaced.
fn form(text: &[u8]) -> Vec<(String, String)> {
    let pairs = text.split(|it| *it == b'&').filter(|it| !it.is_empty());
    let pairs = pairs.map(|pair| {
        let mut halves = pair.splitn(2, |it| *it == b'=');
        let mut half = || unescaped(halves.next().unwrap_or_default());
        (half(), half())
    });
    pairs.collect()
}

fn unescaped(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
                match digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &after[2..];
                    }
                    None => bytes.push(b'%'),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl HookSettings {
    /// Reads the keys of a hook.
    pub(super) fn read(keys: &mut Keys<'_>, dialect: Dialect) -> Option<Self> {
        let secret = keys.required::<Secret>("secret");
        let repository = keys.optional_as::<String>(&["repository", "repourl"]);
        let branches = keys.optional::<Vec<String>>("branches");
        let pull_requests = match &dialect {
            Dialect::Base | Dialect::Poller { .. } => Some(false),
            Dialect::GitHub | Dialect::GitLab | Dialect::Bitbucket | Dialect::Gitea => {
                keys.or_as(&["pull_requests", "merge_requests"], false)
            }
        };
        let project = keys.or("project", String::new());
        let category = keys.optional::<String>("category");
        let branches = branches?;
        if branches.as_ref().is_some_and(Vec::is_empty) {
            keys.wrong("branches", "expected names or patterns such as `release/*`");
            return None;
        }
        Some(Self {
            dialect,
            secret: secret?.0,
            repository: repository?,
            branches: branches.map(Patterns::new),
            pull_requests: pull_requests?,
            project: project?,
            category: category?,
        })
    }

    /// For who needs no hook: a change as it is sent.
    pub(crate) fn of_owner() -> Self {
        Self {
            dialect: Dialect::Base,
            secret: None,
            repository: None,
            branches: None,
            pull_requests: false,
            project: String::new(),
            category: None,
        }
    }

    pub(super) fn read_poller(keys: &mut Keys<'_>) -> Option<Self> {
        let secret = keys.required::<Secret>("secret");
        let pollers = keys.or_as::<Vec<String>>(&["pollers", "allowed"], Vec::new());
        Some(Self {
            dialect: Dialect::Poller { pollers: pollers? },
            secret: secret?.0,
            repository: None,
            branches: None,
            pull_requests: false,
            project: String::new(),
            category: None,
        })
    }

    /// Whether a knock comes from who may, whom the secret proves.
    pub(crate) fn check(&self, secret: &str, knock: &Knock) -> Result<(), Refused> {
        proof::check(&self.dialect, secret, knock)
    }

    /// What a knock says. `known` are the repositories of the configuration: of the
    /// addresses that a forge gives to one repository, one of these is taken.
    pub(crate) fn read_knock(&self, knock: &Knock, known: &[String]) -> Result<Said, Refused> {
        let asks = self.pull_requests;
        let changes = match &self.dialect {
            Dialect::Poller { pollers } => {
                return poller::read(knock, pollers).map(Said::Look);
            }
            Dialect::Base => base::read(knock)?,
            Dialect::GitHub => forge::read(knock, "x-github-event", known, asks)?,
            Dialect::Gitea => forge::read(knock, "x-gitea-event", known, asks)?,
            Dialect::GitLab => gitlab::read(knock, known, asks)?,
            Dialect::Bitbucket => bitbucket::read(knock, known, asks)?,
        };
        let wanted = changes
            .into_iter()
            .filter(|it| match (&self.branches, self.taken_by(it)) {
                (None, _) => true,
                (Some(patterns), Some(branch)) => patterns.fit(branch),
                (Some(_), None) => false,
            });
        let changes = wanted.map(|mut it| {
            let is_request = self.pull_requests && requests::is_one(&it);
            if let Some(repository) = &self.repository
                && !(is_request && requests::is_elsewhere(&it))
            {
                it.repository.clone_from(repository);
            }
            if it.project.is_empty() {
                let asked = knock.query("project").unwrap_or(&self.project);
                it.project = asked.to_owned();
            }
            if is_request && self.category.is_some() {
                it.category = None;
            }
            it.category = it.category.or_else(|| self.category.clone());
            // The same name as a poller of that repository gives it, which may tell it, too.
            if self.dialect != Dialect::Base
                && let (Some(branch), Some(revision)) = (&it.branch, &it.revision)
            {
                it.origin = Some(format!("git {} {branch} {revision}", it.repository));
            }
            it
        });
        Ok(Said::Changes(changes.collect()))
    }

    /// The branch by which a change is let in.
    fn taken_by<'a>(&self, change: &'a NewChange) -> Option<&'a str> {
        match self.pull_requests {
            true => requests::goes_to(change),
            false => change.branch.as_deref(),
        }
    }

    pub(super) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// What pages call it.
    pub(super) const fn describe(&self) -> &'static str {
        match &self.dialect {
            Dialect::Base => "change hook",
            Dialect::GitHub => "change hook for GitHub",
            Dialect::GitLab => "change hook for GitLab",
            Dialect::Bitbucket => "change hook for Bitbucket",
            Dialect::Gitea => "change hook for Gitea",
            Dialect::Poller { .. } => "change hook that wakes pollers",
        }
    }

    /// The sources that it may wake, by name; all of them, if there is none.
    pub(crate) fn wakes(&self) -> &[String] {
        match &self.dialect {
            Dialect::Poller { pollers } => pollers,
            _ => &[],
        }
    }
}

/// A secret, or the word that none is needed.
struct Secret(Option<SecretText>);

impl Value for Secret {
    const EXPECTED: &'static str =
        "a secret, `${secret:NAME}`, or `none`: whoever reaches the port may knock";

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(None)),
            Content::Null => Ok(Self(None)),
            _ => SecretText::read(node).map(|it| Self(Some(it))),
        }
    }
}

/// A change with the fields that every forge has; the rest is empty.
struct Commit<'a> {
    revision: &'a str,
    author: String,
    comments: &'a str,
    url: &'a str,
    /// RFC 3339, or something else that is then no time.
    when: &'a str,
    files: Vec<String>,
}

impl Commit<'_> {
    fn into_change(self, branch: &str, repository: &str) -> NewChange {
        let when = self.when.parse::<jiff::Timestamp>().ok();
        NewChange {
            author: self.author,
            files: self.files,
            comments: self.comments.to_owned(),
            revision: Some(self.revision.to_owned()),
            branch: Some(branch.to_owned()),
            category: None,
            revlink: self.url.to_owned(),
            repository: repository.to_owned(),
            project: String::new(),
            when: when.map(|it| crate::model::Timestamp(it.as_millisecond())),
            properties: crate::model::Properties::new(),
            vc: Some(Vc::Git),
            origin: None,
        }
    }
}

/// The text at a path such as `author/name`; empty if there is none.
fn text<'a>(document: &'a Json, path: &str) -> &'a str {
    let mut at = document;
    for part in path.split('/') {
        at = &at[part];
    }
    at.as_str().unwrap_or_default()
}

/// The text at a path that the service always sends; who leaves it out is told which it is.
fn required<'a>(document: &'a Json, path: &str) -> Result<&'a str, Refused> {
    required_in(document, "", path)
}

/// The same inside of a part of the payload that is called `part`.
fn required_in<'a>(inside: &'a Json, part: &str, path: &str) -> Result<&'a str, Refused> {
    let mut at = inside;
    for name in path.split('/') {
        at = &at[name];
    }
    let called = || {
        let path = path.replace('/', ".");
        match part {
            "" => path,
            part => format!("{part}.{path}"),
        }
    };
    match at {
        Json::String(text) if !text.is_empty() => Ok(text),
        Json::Null | Json::String(_) => Err(missing(&called())),
        _ => Err(Refused::Bad(format!(
            "`{}` of the payload is no text",
            called()
        ))),
    }
}

fn missing(path: &str) -> Refused {
    Refused::Bad(format!("the payload has no `{path}`"))
}

/// The texts of a list; what is no text is left out.
fn texts<'a>(list: &'a Json) -> impl Iterator<Item = String> + use<'a> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|it| it.as_str().map(str::to_owned))
}

/// `NAME <EMAIL>`, or what there is of it.
pub(super) fn person(name: &str, email: &str) -> String {
    match (name, email) {
        ("", email) => email.to_owned(),
        (name, "") => name.to_owned(),
        (name, email) => format!("{name} <{email}>"),
    }
}

/// The branch that a ref names, `refs/heads/NAME`.
fn branch_of(name: &str) -> Option<&str> {
    name.strip_prefix("refs/heads/").filter(|it| !it.is_empty())
}

/// Whether a revision says that there is nothing.
fn is_nothing(revision: &str) -> bool {
    revision.bytes().all(|it| it == b'0')
}

/// Of the addresses of one repository the one that the configuration has, else the first.
fn address<'a>(addresses: &[&'a str], known: &'a [String]) -> &'a str {
    let plain = |it: &str| it.trim_end_matches('/').trim_end_matches(".git").to_owned();
    let said = addresses.iter().filter(|it| !it.is_empty());
    let find = |it: &&str| known.iter().find(|known| plain(known) == plain(it));
    let found = said.clone().find_map(find).map(String::as_str);
    found
        .or_else(|| said.clone().next().copied())
        .unwrap_or_default()
}

/// Oldest first, whichever way they were sent: the one that the branch is at is the last.
fn in_order(mut changes: Vec<NewChange>, head: &str) -> Vec<NewChange> {
    let is_head = |it: Option<&NewChange>| it.and_then(|it| it.revision.as_deref()) == Some(head);
    if changes.len() > 1 && is_head(changes.first()) && !is_head(changes.last()) {
        changes.reverse();
    }
    changes
}

#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;
