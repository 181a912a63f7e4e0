//! GitHub, Gitea and Forgejo: a push with its commits.

use serde_json::Value as Json;

use crate::model::NewChange;

use super::Commit;
use super::Knock;
use super::Refused;
use super::address;
use super::branch_of;
use super::in_order;
use super::is_nothing;
use super::missing;
use super::person;
use super::requests;
use super::required;
use super::required_in;
use super::text;
use super::texts;

pub(super) fn read(
    knock: &Knock,
    event: &str,
    known: &[String],
    asks_for_requests: bool,
) -> Result<Vec<NewChange>, Refused> {
    let document = knock.document()?;
    // Who sends no name of the event sends pushes only.
    match knock.header(event) {
        None | Some("push") => {}
        // Gitea names one that was pushed to after that.
        Some("pull_request" | "pull_request_sync") if asks_for_requests => {
            return requests::of_forge(&document, known);
        }
        Some(_) => return Ok(Vec::new()),
    }
    let Json::Object(_) = document else {
        return Err(Refused::Bad("the payload is no JSON object".into()));
    };
    let name = required(&document, "ref")?;
    let after = required(&document, "after")?;
    let Some(branch) = branch_of(name).filter(|_| !is_nothing(after)) else {
        return Ok(Vec::new());
    };
    let addresses = addresses(&document["repository"]);
    let repository = address(&addresses, known);
    let Json::Array(commits) = &document["commits"] else {
        return Err(Refused::Bad("the payload has no list of `commits`".into()));
    };
    Ok(in_order(changes(commits, branch, repository)?, after))
}

/// The commits of a push as these forges and GitLab describe them.
pub(super) fn changes(
    commits: &[Json],
    branch: &str,
    repository: &str,
) -> Result<Vec<NewChange>, Refused> {
    let commits = commits.iter().enumerate();
    let changes =
        commits.map(|(index, it)| change(it, &format!("commits[{index}]"), branch, repository));
    changes.collect()
}

/// The addresses that a repository has, for people and for programs.
pub(super) fn addresses(repository: &Json) -> Vec<&str> {
    let addresses = ["url", "html_url", "clone_url", "git_url", "ssh_url"];
    let addresses = addresses.map(|it| text(repository, it));
    // The API's own address of it is nobody's clone.
    let is_api = |it: &&str| !it.contains("/api/v1/") && !it.contains("api.github.com");
    addresses.into_iter().filter(is_api).collect()
}

fn change(it: &Json, part: &str, branch: &str, repository: &str) -> Result<NewChange, Refused> {
    let author = match text(it, "author/name") {
        "" => person(text(it, "author/username"), text(it, "author/email")),
        name => person(name, text(it, "author/email")),
    };
    if author.is_empty() {
        return Err(missing(&format!("{part}.author.name")));
    }
    if !it["message"].is_string() {
        return Err(missing(&format!("{part}.message")));
    }
    let lists = ["added", "modified", "removed"];
    let commit = Commit {
        revision: required_in(it, part, "id")?,
        author,
        comments: text(it, "message"),
        url: text(it, "url"),
        when: text(it, "timestamp"),
        files: lists.iter().flat_map(|list| texts(&it[*list])).collect(),
    };
    Ok(commit.into_change(branch, repository))
}
