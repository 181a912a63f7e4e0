//! Pull requests, or what else a forge calls them: each time there is something new to be pulled,
//! that is a change of the ref under which the forge keeps it. What it says is a stranger's word.

use serde_json::Value as Json;
use serde_json::json;

use crate::model::NewChange;

use super::Commit;
use super::Knock;
use super::Refused;
use super::address;
use super::forge;
use super::missing;
use super::person;
use super::required;
use super::required_in;
use super::text;

/// The category of a pull request, if the hook has none.
const CATEGORY: &str = "pull";

const NUMBER: &str = "pull_request.number";
const TITLE: &str = "pull_request.title";
const URL: &str = "pull_request.url";
const SOURCE: &str = "pull_request.source";
const SOURCE_REPOSITORY: &str = "pull_request.source_repository";
const TARGET: &str = "pull_request.target";

/// A request to be built.
struct Request<'a> {
    number: u64,
    title: &'a str,
    body: &'a str,
    url: &'a str,
    author: String,
    revision: &'a str,
    when: &'a str,
    /// The branch that is to be pulled, and where it is.
    source: &'a str,
    source_repository: &'a str,
    /// The branch that it is to be pulled into.
    target: &'a str,
}

impl Request<'_> {
    fn into_change(self, branch: &str, repository: &str) -> NewChange {
        let comments = match self.body.trim() {
            "" => self.title.to_owned(),
            body => format!("{}\n\n{body}", self.title),
        };
        let commit = Commit {
            revision: self.revision,
            author: self.author,
            comments: &comments,
            url: self.url,
            when: self.when,
            files: Vec::new(),
        };
        let mut change = commit.into_change(branch, repository);
        let facts = [
            (NUMBER, json!(self.number)),
            (TITLE, json!(self.title)),
            (URL, json!(self.url)),
            (SOURCE, json!(self.source)),
            (SOURCE_REPOSITORY, json!(self.source_repository)),
            (TARGET, json!(self.target)),
        ];
        for (name, value) in facts {
            change.properties.set(name, value, "Change");
        }
        change.category = Some(CATEGORY.to_owned());
        change
    }
}

/// The branch by which a change is let in: that of a request is where it is to go.
pub(super) fn goes_to(change: &NewChange) -> Option<&str> {
    let target = change.properties.get(TARGET).and_then(Json::as_str);
    target.or(change.branch.as_deref())
}

/// Whether it is a request, whose category is only a usual one.
pub(super) fn is_one(change: &NewChange) -> bool {
    change.properties.get(TARGET).is_some()
}

/// Whether its branch is of another repository than the one that the hook is of.
pub(super) fn is_elsewhere(change: &NewChange) -> bool {
    let is_kept = change
        .branch
        .as_ref()
        .is_some_and(|it| it.starts_with("refs/"));
    is_one(change) && !is_kept
}

/// GitHub, Gitea and Forgejo.
pub(super) fn of_forge(document: &Json, known: &[String]) -> Result<Vec<NewChange>, Refused> {
    let request = &document["pull_request"];
    if !matches!(
        required(document, "action")?,
        "opened" | "reopened" | "synchronize" | "synchronized"
    ) {
        return Ok(Vec::new());
    }
    let number = number(request, "pull_request", "number")?;
    let user = &request["user"];
    let name = ["full_name", "login", "username"].map(|it| text(user, it));
    let name = name.into_iter().find(|it| !it.is_empty());
    let name = name.ok_or_else(|| missing("pull_request.user.login"))?;
    let read = Request {
        number,
        title: required(document, "pull_request/title")?,
        body: text(request, "body"),
        url: text(request, "html_url"),
        author: person(name, text(user, "email")),
        revision: required(document, "pull_request/head/sha")?,
        when: text(request, "updated_at"),
        source: required(document, "pull_request/head/ref")?,
        source_repository: text(request, "head/repo/clone_url"),
        target: required(document, "pull_request/base/ref")?,
    };
    let addresses = forge::addresses(&document["repository"]);
    let branch = format!("refs/pull/{number}/head");
    Ok(vec![read.into_change(&branch, address(&addresses, known))])
}

/// GitLab.
pub(super) fn of_gitlab(document: &Json, known: &[String]) -> Result<Vec<NewChange>, Refused> {
    const PART: &str = "object_attributes";
    let request = &document[PART];
    // A change of its labels alone may come without a word of what was done.
    let is_new = match text(request, "action") {
        "open" | "reopen" => true,
        // Of its title, its labels; or of its commits, of which this tells the old one.
        "update" => !text(request, "oldrev").is_empty(),
        _ => false,
    };
    if !is_new {
        return Ok(Vec::new());
    }
    let number = number(request, PART, "iid")?;
    let commit = &request["last_commit"];
    let read = Request {
        number,
        title: required_in(request, PART, "title")?,
        body: text(request, "description"),
        url: text(request, "url"),
        author: match text(commit, "author/name") {
            "" => required(document, "user/name")?.to_owned(),
            name => person(name, text(commit, "author/email")),
        },
        revision: required_in(request, PART, "last_commit/id")?,
        when: text(request, "updated_at"),
        source: required_in(request, PART, "source_branch")?,
        source_repository: text(request, "source/git_http_url"),
        target: required_in(request, PART, "target_branch")?,
    };
    let addresses = super::gitlab::addresses(&document["project"]);
    let branch = format!("refs/merge-requests/{number}/head");
    Ok(vec![read.into_change(&branch, address(&addresses, known))])
}

/// Bitbucket, the service or the server.
pub(super) fn of_bitbucket(
    knock: &Knock,
    document: &Json,
    known: &[String],
) -> Result<Vec<NewChange>, Refused> {
    let key = knock.header("x-event-key").unwrap_or_default();
    let key = match key.is_empty() {
        true => text(document, "eventKey"),
        false => key,
    };
    match key {
        "pullrequest:created" | "pullrequest:updated" => service(document, known),
        "pr:opened" | "pr:reopened" | "pr:from_ref_updated" => server(document, known),
        _ => Ok(Vec::new()),
    }
}

/// The service keeps no refs of requests: they are built where they come from.
fn service(document: &Json, known: &[String]) -> Result<Vec<NewChange>, Refused> {
    const PART: &str = "pullrequest";
    let request = &document[PART];
    let number = number(request, PART, "id")?;
    let source = required_in(request, PART, "source/branch/name")?;
    let name = ["author/display_name", "author/nickname"].map(|it| text(request, it));
    let name = name.into_iter().find(|it| !it.is_empty());
    let name = name.ok_or_else(|| missing("pullrequest.author.display_name"))?;
    let from = &request["source"]["repository"];
    let addresses = super::bitbucket::addresses(from);
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let repository = address(&addresses, known);
    let read = Request {
        number,
        title: required_in(request, PART, "title")?,
        body: text(request, "description"),
        url: text(request, "links/html/href"),
        author: name.to_owned(),
        revision: required_in(request, PART, "source/commit/hash")?,
        when: text(request, "updated_on"),
        source,
        source_repository: text(from, "links/html/href"),
        target: required_in(request, PART, "destination/branch/name")?,
    };
    Ok(vec![read.into_change(source, repository)])
}

fn server(document: &Json, known: &[String]) -> Result<Vec<NewChange>, Refused> {
    const PART: &str = "pullRequest";
    let request = &document[PART];
    let number = number(request, PART, "id")?;
    let user = &request["author"]["user"];
    let name = ["displayName", "name"].map(|it| text(user, it));
    let name = name.into_iter().find(|it| !it.is_empty());
    let name = name.ok_or_else(|| missing("pullRequest.author.user.displayName"))?;
    let branch_of = |path: &str| {
        let branch = super::branch_of(required_in(request, PART, path)?);
        branch.ok_or_else(|| missing(&format!("{PART}.{}", path.replace('/', "."))))
    };
    let clones = |repository: &'static str| -> Vec<&str> {
        let links = request[repository]["repository"]["links"]["clone"].as_array();
        links
            .into_iter()
            .flatten()
            .map(|it| text(it, "href"))
            .collect()
    };
    let read = Request {
        number,
        title: required_in(request, PART, "title")?,
        body: text(request, "description"),
        url: request["links"]["self"][0]["href"]
            .as_str()
            .unwrap_or_default(),
        author: person(name, text(user, "emailAddress")),
        revision: required_in(request, PART, "fromRef/latestCommit")?,
        when: text(document, "date"),
        source: branch_of("fromRef/id")?,
        source_repository: clones("fromRef").first().copied().unwrap_or_default(),
        target: branch_of("toRef/id")?,
    };
    let branch = format!("refs/pull-requests/{number}/from");
    let addresses = clones("toRef");
    Ok(vec![read.into_change(&branch, address(&addresses, known))])
}

fn number(request: &Json, part: &str, name: &str) -> Result<u64, Refused> {
    match &request[name] {
        Json::Null => Err(missing(&format!("{part}.{name}"))),
        value => value
            .as_u64()
            .ok_or_else(|| Refused::Bad(format!("`{part}.{name}` of the payload is no number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changes;
    use super::super::tests::hook;
    use super::super::tests::json;
    use super::super::tests::refusal;
    use super::*;

    const GITHUB: &str = include_str!("fixtures/github_pull_request.json");
    const GITEA: &str = include_str!("fixtures/gitea_pull_request.json");
    const GITLAB: &str = include_str!("fixtures/gitlab_merge_request.json");
    const BITBUCKET: &str = include_str!("fixtures/bitbucket_pullrequest.json");
    const SERVER: &str = include_str!("fixtures/bitbucket_server_pr.json");

    /// What each service sends, and how it says what that is.
    const ALL: [(&str, &str, &str, &str); 5] = [
        ("github", "x-github-event", "pull_request", GITHUB),
        ("gitea", "x-gitea-event", "pull_request", GITEA),
        ("gitlab", "x-gitlab-event", "Merge Request Hook", GITLAB),
        ("bitbucket", "x-event-key", "pullrequest:created", BITBUCKET),
        ("bitbucket", "x-event-key", "pr:opened", SERVER),
    ];

    fn sent(header: &str, event: &str, body: &str) -> Knock {
        let mut knock = json(body);
        knock.headers.push((header.into(), event.into()));
        knock
    }

    /// All that a change says, a line for each thing.
    fn told(it: &NewChange) -> String {
        let mut lines = vec![
            format!("{} {:?}", it.branch.as_deref().unwrap_or("-"), it.revision),
            format!("by {} in {}", it.author, it.repository),
            format!("{:?} {} {:?}", it.comments, it.revlink, it.category),
            format!("{:?} {:?}", it.when, it.origin),
        ];
        let properties = it.properties.iter();
        lines.extend(properties.map(|(name, it)| format!("{name} = {}", it.value)));
        lines.join("\n")
    }

    #[test]
    fn a_pull_request_is_a_change_of_the_ref_that_the_service_keeps_it_under() {
        let all = ALL.map(|(kind, header, event, body)| {
            let hook = hook(&format!(
                "type = {kind}\nsecret = none\npull_requests = yes"
            ));
            let all = changes(&hook, &sent(header, event, body));
            assert_eq!(all.len(), 1, "{kind}");
            told(&all[0])
        });
        insta::assert_snapshot!(all.join("\n\n"), @r#"
        refs/pull/2/head Some("ec26c3e57ca3a959ca5aad62de7213c562f8c821")
        by Codertocat in https://github.com/Codertocat/Hello-World
        "Update the README with new information.\n\nThis is a pretty simple change that we need to pull into master." https://github.com/Codertocat/Hello-World/pull/2 Some("pull")
        Some(Timestamp(1557933633000)) Some("git https://github.com/Codertocat/Hello-World refs/pull/2/head ec26c3e57ca3a959ca5aad62de7213c562f8c821")
        pull_request.number = 2
        pull_request.source = "changes"
        pull_request.source_repository = "https://github.com/Codertocat/Hello-World.git"
        pull_request.target = "master"
        pull_request.title = "Update the README with new information."
        pull_request.url = "https://github.com/Codertocat/Hello-World/pull/2"

        refs/pull/2/head Some("48e773f892a831faa47c0a160d1b7f0cd369ae2a")
        by example2 <example2@example2.com> in http://localhost:3000/example/example
        "update" http://localhost:3000/example/example/pulls/2 Some("pull")
        Some(Timestamp(1646811066000)) Some("git http://localhost:3000/example/example refs/pull/2/head 48e773f892a831faa47c0a160d1b7f0cd369ae2a")
        pull_request.number = 2
        pull_request.source = "master"
        pull_request.source_repository = "http://localhost:3000/example2/example.git"
        pull_request.target = "master"
        pull_request.title = "update"
        pull_request.url = "http://localhost:3000/example/example/pulls/2"

        refs/merge-requests/1/head Some("da1560886d4f094c3e6c9ef40349f7d38b5d27d7")
        by GitLab dev user <gitlabdev@dv6700.(none)> in http://example.com/gitlabhq/gitlab-test.git
        "MS-Viewport\n\nMakes it wider" http://example.com/diaspora/merge_requests/1 Some("pull")
        Some(Timestamp(1386091414000)) Some("git http://example.com/gitlabhq/gitlab-test.git refs/merge-requests/1/head da1560886d4f094c3e6c9ef40349f7d38b5d27d7")
        pull_request.number = 1
        pull_request.source = "ms-viewport"
        pull_request.source_repository = "http://example.com/awesome_space/awesome_project.git"
        pull_request.target = "master"
        pull_request.title = "MS-Viewport"
        pull_request.url = "http://example.com/diaspora/merge_requests/1"

        branch2 Some("d3022fc0ca3d")
        by Emma in https://bitbucket.org/emmap1/repo_name
        "Title of pull request\n\nDescription of pull request" https://bitbucket.org/team_name/repo_name/pull-requests/1 Some("pull")
        Some(Timestamp(1428333818205)) Some("git https://bitbucket.org/emmap1/repo_name branch2 d3022fc0ca3d")
        pull_request.number = 1
        pull_request.source = "branch2"
        pull_request.source_repository = "https://bitbucket.org/emmap1/repo_name"
        pull_request.target = "master"
        pull_request.title = "Title of pull request"
        pull_request.url = "https://bitbucket.org/team_name/repo_name/pull-requests/1"

        refs/pull-requests/5/from Some("32a0b8a740c2963c6f56bd8baf3dc05683d299e0")
        by Foo Bar <gopher@foo.bar> in ssh://git@server.bitbucket.local:7999/~gopher/webhook-test.git
        "Update README\n\nyada yada yada" https://server.bitbucket.local/users/gopher/repos/webhook-test/pull-requests/5 Some("pull")
        Some(Timestamp(1551432675000)) Some("git ssh://git@server.bitbucket.local:7999/~gopher/webhook-test.git refs/pull-requests/5/from 32a0b8a740c2963c6f56bd8baf3dc05683d299e0")
        pull_request.number = 5
        pull_request.source = "feature/wip"
        pull_request.source_repository = "https://server.bitbucket.local/scm/~gopher/webhook-test.git"
        pull_request.target = "master"
        pull_request.title = "Update README"
        pull_request.url = "https://server.bitbucket.local/users/gopher/repos/webhook-test/pull-requests/5"
        "#);
    }

    #[test]
    fn pull_requests_are_no_changes_unless_they_are_asked_for() {
        for (kind, header, event, body) in ALL {
            let hook = hook(&format!("type = {kind}\nsecret = none"));
            assert_eq!(
                changes(&hook, &sent(header, event, body)),
                [],
                "{kind} {event}"
            );
        }
    }

    #[test]
    fn only_what_brings_something_to_build_is_a_change() {
        let asked = |kind: &str, header: &str, event: &str, body: &str| {
            let hook = hook(&format!(
                "type = {kind}\nsecret = none\npull_requests = yes"
            ));
            changes(&hook, &sent(header, event, body)).len()
        };
        for (action, expected) in [
            ("opened", 1),
            ("reopened", 1),
            ("closed", 0),
            ("labeled", 0),
            ("edited", 0),
        ] {
            let body = GITHUB.replace("synchronize", action);
            assert_eq!(
                asked("github", "x-github-event", "pull_request", &body),
                expected,
                "{action}"
            );
        }
        let body = GITEA.replace("opened", "synchronized");
        assert_eq!(
            asked("gitea", "x-gitea-event", "pull_request_sync", &body),
            1
        );
        for (action, expected) in [
            ("\"update\"", 0),
            (
                "\"update\", \"oldrev\": \"95790bf891e76fee5e1747ab589903a6a1f80f22\"",
                1,
            ),
            ("\"merge\"", 0),
            ("\"reopen\"", 1),
        ] {
            let body = GITLAB.replace("\"open\"", action);
            assert_eq!(
                asked("gitlab", "x-gitlab-event", "Merge Request Hook", &body),
                expected,
                "{action}"
            );
        }
        for (event, expected) in [("pullrequest:updated", 1), ("pullrequest:fulfilled", 0)] {
            assert_eq!(
                asked("bitbucket", "x-event-key", event, BITBUCKET),
                expected,
                "{event}"
            );
        }
        for (event, expected) in [
            ("pr:from_ref_updated", 1),
            ("pr:merged", 0),
            ("pr:comment:added", 0),
        ] {
            assert_eq!(
                asked("bitbucket", "x-event-key", event, SERVER),
                expected,
                "{event}"
            );
        }
    }

    #[test]
    fn the_branches_of_a_hook_are_those_that_a_request_is_to_go_to() {
        for (kind, header, event, body) in ALL {
            let taken = |branches: &str| {
                let lines = format!(
                    "type = {kind}\nsecret = none\npull_requests = yes\nbranches = {branches}\n\
                     repository = /srv/x\ncategory = review"
                );
                changes(&hook(&lines), &sent(header, event, body))
            };
            assert_eq!(taken("release/*"), [], "{kind}");
            let all = taken("master");
            assert_eq!(all.len(), 1, "{kind}");
            assert_eq!(all[0].category.as_deref(), Some("review"));
            // One that is nowhere else is left where it is.
            let expected = match event {
                "pullrequest:created" => "https://bitbucket.org/emmap1/repo_name",
                _ => "/srv/x",
            };
            assert_eq!(all[0].repository, expected, "{kind}");
        }
    }

    #[test]
    fn a_request_that_lacks_something_is_refused_with_what_it_lacks() {
        let said = |kind: &str, event: (&str, &str), body: String| {
            let hook = hook(&format!(
                "type = {kind}\nsecret = none\npull_requests = yes"
            ));
            refusal(&hook, &sent(event.0, event.1, &body))
        };
        let github = ("x-github-event", "pull_request");
        assert_eq!(
            said("github", github, r#"{"action": "opened"}"#.into()),
            r#"Bad("the payload has no `pull_request.number`")"#
        );
        let none = r#"Bad("`pull_request.number` of the payload is no number")"#;
        for bad in ["\"2; rm -rf /\"", "-1", "1e3", "[]"] {
            let body = GITHUB.replace("\"number\": 2", &format!("\"number\": {bad}"));
            assert_eq!(said("github", github, body), none, "{bad}");
        }
        let body = GITHUB.replace("\"sha\"", "\"x\"");
        assert_eq!(
            said("github", github, body),
            r#"Bad("the payload has no `pull_request.head.sha`")"#
        );
        let gitlab = ("x-gitlab-event", "Merge Request Hook");
        let body = GITLAB.replace("target_branch", "x");
        assert_eq!(
            said("gitlab", gitlab, body),
            r#"Bad("the payload has no `object_attributes.target_branch`")"#
        );
        let key = ("x-event-key", "pullrequest:created");
        assert_eq!(
            said("bitbucket", key, r#"{"pullrequest": {"id": 1}}"#.into()),
            r#"Bad("the payload has no `pullrequest.source.branch.name`")"#
        );
    }
}
