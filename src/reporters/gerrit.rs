//! `gerrit`: a review of the change that a build was of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::expr::Template;
use crate::model::Outcome;
use crate::model::Properties;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;

use super::Event;
use super::ReporterKind;
use super::Selection;
use super::Settings;
use super::Verdict;
use super::What;
use super::is_same;
use super::values;
use super::values::Host;
use super::values::Port;

pub(super) const KIND: ReporterKind = ReporterKind {
    name: "gerrit",
    aliases: &["GerritStatusPush"],
    summary: "Reviews the Gerrit change that a build was of.",
    example: "server = gerrit.example.org
username = ci
verified.warnings = 0
message = {{ builder }}: {{ result }}",
    missing: Some("Gerrit is not told by this version"),
    read: |keys, selection| read(keys, selection).map(|it| Arc::new(it) as Arc<dyn Settings>),
};

/// Names that a message may ask for.
const NAMES: &[&str] = &[
    "branch",
    "build_url",
    "builder",
    "number",
    "project",
    "properties",
    "result",
    "revision",
    "text",
];

/// What a reviewer is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gerrit {
    selection: Selection,
    server: String,
    port: u16,
    username: String,
    message: Option<Template>,
    /// By outcome; where nothing is said, 1 for a success and -1 for all else.
    verified: BTreeMap<&'static str, i64>,
    /// By outcome; where nothing is said, 0.
    reviewed: BTreeMap<&'static str, i64>,
}

/// A vote.
struct Vote(i64);

impl Value for Vote {
    const EXPECTED: &'static str = "a vote from -2 to 2";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text().map(|it| it.trim_start_matches('+'));
        let vote = match text {
            Ok(text) => text.parse().ok(),
            Err(_) => i64::read(node).ok(),
        };
        let vote = vote.filter(|it| (-2..=2).contains(it));
        vote.map(Self).ok_or_else(Misread::default)
    }
}

fn read(keys: &mut Keys<'_>, selection: Selection) -> Option<Gerrit> {
    let server = keys.required::<Host>("server");
    let port = keys.or("port", Port(29418));
    let username = keys.required::<String>("username");
    let message = values::template(keys, "message", NAMES);
    let verified = votes(keys, "verified");
    let reviewed = votes(keys, "reviewed");
    for key in ["review_cb", "review_arg"] {
        let instead = "`message`, `verified.OUTCOME` and `reviewed.OUTCOME` say what a review says";
        values::was_a_function(keys, key, instead);
    }
    let username = username?;
    let is_part = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if username.is_empty() || username.starts_with('-') || !username.chars().all(is_part) {
        keys.wrong("username", "expected the name of a Gerrit account");
        return None;
    }
    Some(Gerrit {
        selection,
        server: server?.0,
        port: port?.0,
        username,
        message: message?,
        verified: verified?,
        reviewed: reviewed?,
    })
}

/// `verified.success = 1` and so on.
fn votes(keys: &mut Keys<'_>, key: &str) -> Option<BTreeMap<&'static str, i64>> {
    let mut votes = BTreeMap::new();
    let mut is_good = true;
    for (name, (place, vote)) in keys.placed_map::<Vote>(key)? {
        match Outcome::ALL.into_iter().find(|it| it.as_str() == name) {
            Some(outcome) => {
                votes.insert(outcome.as_str(), vote.0);
            }
            None => {
                is_good = false;
                let outcomes = Outcome::ALL.map(Outcome::as_str);
                let what = format!("unknown outcome `{}`", name.escape_debug());
                let problem = Problem::error(Code::BadValue, what).at(&place);
                keys.note(match nearest(&name, outcomes) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem.label(format!("expected one of {}", outcomes.join(", "))),
                });
            }
        }
    }
    is_good.then_some(votes)
}

impl Gerrit {
    /// `verified` and `reviewed` of a build that ended so.
    pub(crate) fn votes(&self, outcome: Outcome) -> (i64, i64) {
        let usual = if outcome == Outcome::Success { 1 } else { -1 };
        let said = |votes: &BTreeMap<&'static str, i64>| votes.get(outcome.as_str()).copied();
        (
            said(&self.verified).unwrap_or(usual),
            said(&self.reviewed).unwrap_or(0),
        )
    }
}

/// What is reviewed: `PROJECT REVISION` for each, by the build's properties.
fn reviewed(properties: &Properties) -> Vec<String> {
    let value = |name: &str| {
        let found = properties.iter().find(|(it, _)| *it == name);
        found.map(|(_, it)| &it.value)
    };
    let downloads = value("repo_downloads").and_then(|it| it.as_array());
    let downloaded = properties.text("repo_downloaded");
    if let (Some(downloads), Some(downloaded)) = (downloads, downloaded) {
        let pairs: Vec<_> = downloaded.split_whitespace().collect();
        if pairs.len() == downloads.len() * 2 {
            let mut all = Vec::new();
            for (download, pair) in downloads.iter().zip(pairs.chunks(2)) {
                let download = download.as_str().unwrap_or_default();
                match (download.split_once(' '), pair) {
                    (Some((project, change)), [got, revision]) if change == *got => {
                        all.push(format!("{project} {revision}"));
                    }
                    // What follows the first that does not agree cannot be trusted.
                    _ => break,
                }
            }
            return all;
        }
    }
    match (
        value("gerrit_branch"),
        properties.text("project"),
        properties.text("got_revision"),
    ) {
        (Some(_), Some(project), Some(revision)) => vec![format!("{project} {revision}")],
        _ => Vec::new(),
    }
}

impl Settings for Gerrit {
    fn describe(&self) -> String {
        format!(
            "gerrit {}@{}:{}: finished builds of reviewed changes, {}",
            self.username,
            self.server,
            self.port,
            self.selection.describe()
        )
    }

    fn hears(&self, event: &Event) -> Verdict {
        if let Some(because) = self.selection.refuses(event) {
            return Verdict::no(because);
        }
        let What::Finished(outcome) = event.what else {
            return Verdict::no("reviews are of finished builds");
        };
        let targets = reviewed(&event.properties);
        if targets.is_empty() {
            return Verdict::no(
                "the build is of no Gerrit change: it has no property `gerrit_branch`",
            );
        }
        let (verified, reviewed) = self.votes(outcome);
        let because = format!(
            "the build of a Gerrit change ended with {outcome}: verified {verified}, reviewed {reviewed}"
        );
        Verdict::yes(because, targets)
    }

    fn is_same(&self, other: &dyn Settings) -> bool {
        is_same(self, other)
    }
}
