//! Bitbucket, the service and the server: pushes to several branches at once.

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
use super::requests;
use super::required;
use super::required_in;
use super::text;

pub(super) fn read(
    knock: &Knock,
    known: &[String],
    asks_for_requests: bool,
) -> Result<Vec<NewChange>, Refused> {
    let document = knock.document()?;
    let Json::Object(_) = document else {
        return Err(Refused::Bad("the payload is no JSON object".into()));
    };
    if let Json::Array(pushed) = &document["push"]["changes"] {
        return pushes(&document, pushed, known);
    }
    if let Json::Array(moved) = &document["changes"] {
        return refs(&document, moved, known);
    }
    if asks_for_requests
        && ["pullrequest", "pullRequest"]
            .iter()
            .any(|it| document[it].is_object())
    {
        return requests::of_bitbucket(knock, &document, known);
    }
    match knock.header("x-event-key") {
        // A pull request, an issue, a ping.
        Some(key) if key != "repo:push" && key != "repo:refs_changed" => Ok(Vec::new()),
        _ => Err(Refused::Bad(
            "the payload has no list of `push.changes` or `changes`".into(),
        )),
    }
}

/// What the service sends: each branch with the newest of its commits, newest first.
fn pushes(document: &Json, pushed: &[Json], known: &[String]) -> Result<Vec<NewChange>, Refused> {
    let addresses = addresses(&document["repository"]);
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let repository = address(&addresses, known).to_owned();
    let mut changes = Vec::new();
    for (index, it) in pushed.iter().enumerate() {
        // What was deleted has nothing new, and a tag is no branch.
        if it["new"].is_null() || required_in(it, &pushed_at(index), "new/type")? != "branch" {
            continue;
        }
        let part = pushed_at(index);
        let branch = required_in(it, &part, "new/name")?;
        let head = required_in(it, &part, "new/target/hash")?;
        let Json::Array(commits) = &it["commits"] else {
            return Err(missing(&format!("{part}.commits")));
        };
        let mut of_branch = Vec::new();
        for (place, commit) in commits.iter().enumerate() {
            let part = format!("{part}.commits[{place}]");
            let commit = Commit {
                revision: required_in(commit, &part, "hash")?,
                author: required_in(commit, &part, "author/raw")?.to_owned(),
                comments: text(commit, "message"),
                url: text(commit, "links/html/href"),
                when: text(commit, "date"),
                files: Vec::new(),
            };
            of_branch.push(commit.into_change(branch, &repository));
        }
        changes.extend(in_order(of_branch, head));
    }
    Ok(changes)
}

fn pushed_at(index: usize) -> String {
    format!("push.changes[{index}]")
}

/// The addresses that a repository of the service has, for people and for programs.
pub(super) fn addresses(repository: &Json) -> [String; 3] {
    let web = text(repository, "links/html/href");
    let name = text(repository, "full_name");
    let of = |it: &str, address: String| match it {
        "" => String::new(),
        _ => address,
    };
    [
        web.to_owned(),
        of(web, format!("{web}.git")),
        of(name, format!("git@bitbucket.org:{name}.git")),
    ]
}

/// What the server sends: where each branch is now.
fn refs(document: &Json, moved: &[Json], known: &[String]) -> Result<Vec<NewChange>, Refused> {
    let links = document["repository"]["links"]["clone"].as_array();
    let links = links.into_iter().flatten();
    let addresses: Vec<&str> = links.map(|it| text(it, "href")).collect();
    let repository = address(&addresses, known);
    let mut changes = Vec::new();
    for (index, it) in moved.iter().enumerate() {
        let part = format!("changes[{index}]");
        let id = required_in(it, &part, "ref/id")?;
        let revision = required_in(it, &part, "toHash")?;
        let Some(branch) = branch_of(id).filter(|_| !is_nothing(revision)) else {
            continue;
        };
        let name = match text(document, "actor/displayName") {
            "" => required(document, "actor/name")?,
            name => name,
        };
        let commit = Commit {
            revision,
            author: super::person(name, text(document, "actor/emailAddress")),
            comments: "",
            url: "",
            when: text(document, "date"),
            files: Vec::new(),
        };
        changes.push(commit.into_change(branch, repository));
    }
    Ok(changes)
}
