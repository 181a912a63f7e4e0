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
use super::text;

pub(super) fn read(knock: &Knock, known: &[String]) -> Result<Vec<NewChange>, Refused> {
    let document = knock.document()?;
    let Json::Object(_) = document else {
        return Err(Refused::Bad("the payload is no JSON object".into()));
    };
    match text(&document, "object_kind") {
        "push" => {}
        "" => return Err(Refused::Bad("the payload has no `object_kind`".into())),
        _ => return Ok(Vec::new()),
    }
    let after = text(&document, "after");
    let Some(branch) = branch_of(text(&document, "ref")).filter(|_| !is_nothing(after)) else {
        return Ok(Vec::new());
    };
    let addresses = [
        "git_http_url",
        "http_url",
        "git_ssh_url",
        "ssh_url",
        "web_url",
        "url",
    ];
    let addresses = addresses.map(|it| text(&document["project"], it));
    let repository = address(&addresses, known);
    let Json::Array(commits) = &document["commits"] else {
        return Err(Refused::Bad("the payload has no list of `commits`".into()));
    };
    let changes = commits
        .iter()
        .map(|it| forge::change(it, branch, repository));
    let changes: Result<Vec<NewChange>, Refused> = changes.collect();
    Ok(in_order(changes?, after))
}
