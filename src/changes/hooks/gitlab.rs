//! GitLab: a push with the last of its commits.

use serde_json::Value as Json;

use crate::model::NewChange;

use super::Knock;
use super::Refused;
use super::address;
use super::branch_of;
use super::forge;
use super::in_order;
use super::is_nothing;
use super::requests;
use super::required;
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
    match required(&document, "object_kind")? {
        "push" => {}
        "merge_request" if asks_for_requests => return requests::of_gitlab(&document, known),
        _ => return Ok(Vec::new()),
    }
    let after = required(&document, "after")?;
    let Some(branch) = branch_of(required(&document, "ref")?).filter(|_| !is_nothing(after)) else {
        return Ok(Vec::new());
    };
    let addresses = addresses(&document["project"]);
    let repository = address(&addresses, known);
    let Json::Array(commits) = &document["commits"] else {
        return Err(Refused::Bad("the payload has no list of `commits`".into()));
    };
    Ok(in_order(
        forge::changes(commits, branch, repository)?,
        after,
    ))
}

/// The addresses that a project has, for people and for programs.
pub(super) fn addresses(project: &Json) -> [&str; 6] {
    let addresses = [
        "git_http_url",
        "http_url",
        "git_ssh_url",
        "ssh_url",
        "web_url",
        "url",
    ];
    addresses.map(|it| text(project, it))
}
