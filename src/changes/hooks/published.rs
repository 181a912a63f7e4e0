//! What the services send, whole, in the shape that they publish: each field that is read is there
//! with its type, those that are not read change nothing, and what is missing is named.

use serde_json::Value as Json;

use super::tests::hook;
use super::tests::json;
use super::*;

/// What a service sends.
struct Sent {
    kind: &'static str,
    /// The header that names the event, and its name.
    event: (&'static str, &'static str),
    body: &'static str,
    /// Without each of these it is refused, and they are named.
    needed: &'static [&'static str],
    /// These are read if they are there.
    wanted: &'static [&'static str],
}

const GITHUB: &str = "x-github-event";
const GITEA: &str = "x-gitea-event";
const GITLAB: &str = "x-gitlab-event";
const BITBUCKET: &str = "x-event-key";

const COMMITS: &[&str] = &[
    "ref",
    "after",
    "commits[0].id",
    "commits[1].message",
    "commits[1].author",
];

/// Those that bring something to build.
const ALL: &[Sent] = &[
    Sent {
        kind: "github",
        event: (GITHUB, "push"),
        body: include_str!("fixtures/github_push.json"),
        needed: COMMITS,
        wanted: &[
            "commits[0].url",
            "commits[0].timestamp",
            "commits[0].author.name",
            "commits[0].author.email",
            "commits[0].author.username",
            "commits[0].added[]",
            "commits[0].modified[]",
            "commits[0].removed[]",
            "repository.url",
            "repository.html_url",
            "repository.clone_url",
            "repository.git_url",
            "repository.ssh_url",
        ],
    },
    Sent {
        kind: "github",
        event: (GITHUB, "pull_request"),
        body: include_str!("fixtures/github_pull_request.json"),
        needed: &[
            "action",
            "pull_request.number#",
            "pull_request.title",
            "pull_request.user",
            "pull_request.head.sha",
            "pull_request.head.ref",
            "pull_request.base.ref",
        ],
        wanted: &[
            "pull_request.body",
            "pull_request.html_url",
            "pull_request.updated_at",
            "pull_request.user.login",
            "pull_request.head.repo.clone_url",
            "repository.html_url",
        ],
    },
    Sent {
        kind: "gitea",
        event: (GITEA, "push"),
        body: include_str!("fixtures/gitea_push.json"),
        needed: COMMITS,
        wanted: &[
            "commits[0].url",
            "commits[0].timestamp",
            "commits[1].author.name",
            "commits[0].author.email",
            "commits[0].author.username",
            "commits[0].modified[]",
            "repository.html_url",
            "repository.clone_url",
            "repository.ssh_url",
        ],
    },
    Sent {
        kind: "gitea",
        event: (GITEA, "pull_request"),
        body: include_str!("fixtures/gitea_pull_request.json"),
        needed: &[
            "action",
            "pull_request.number#",
            "pull_request.title",
            "pull_request.user",
            "pull_request.head.sha",
            "pull_request.head.ref",
            "pull_request.base.ref",
        ],
        wanted: &[
            "pull_request.html_url",
            "pull_request.updated_at",
            "pull_request.user.login",
            "pull_request.user.email",
            "pull_request.head.repo.clone_url",
            "repository.html_url",
            "repository.clone_url",
        ],
    },
    Sent {
        kind: "gitlab",
        event: (GITLAB, "Push Hook"),
        body: include_str!("fixtures/gitlab_push.json"),
        needed: &[
            "object_kind",
            "ref",
            "after",
            "commits[0].id",
            "commits[1].message",
            "commits[1].author",
        ],
        wanted: &[
            "commits[0].url",
            "commits[0].timestamp",
            "commits[0].author.name",
            "commits[0].author.email",
            "commits[0].added[]",
            "commits[0].modified[]",
            "project.git_http_url",
            "project.http_url",
            "project.git_ssh_url",
            "project.ssh_url",
            "project.web_url",
            "project.url",
        ],
    },
    Sent {
        kind: "gitlab",
        event: (GITLAB, "Merge Request Hook"),
        body: include_str!("fixtures/gitlab_merge_request.json"),
        needed: &[
            "object_kind",
            "object_attributes.iid#",
            "object_attributes.title",
            "object_attributes.last_commit.id",
            "object_attributes.source_branch",
            "object_attributes.target_branch",
        ],
        wanted: &[
            "object_attributes.action",
            "object_attributes.description",
            "object_attributes.url",
            "object_attributes.updated_at",
            "object_attributes.last_commit.author.name",
            "object_attributes.last_commit.author.email",
            "object_attributes.source.git_http_url",
            "user.name",
            "project.git_http_url",
        ],
    },
    Sent {
        kind: "bitbucket",
        event: (BITBUCKET, "repo:push"),
        body: include_str!("fixtures/bitbucket_push.json"),
        needed: &[
            "push.changes[0].new.type",
            "push.changes[0].new.name",
            "push.changes[0].new.target.hash",
            "push.changes[0].commits",
            "push.changes[0].commits[0].hash",
            "push.changes[0].commits[1].author.raw",
        ],
        wanted: &[
            "push.changes[0].commits[0].message",
            "push.changes[0].commits[0].date",
            "push.changes[0].commits[0].links.html.href",
            "repository.full_name",
            "repository.links.html.href",
        ],
    },
    Sent {
        kind: "bitbucket",
        event: (BITBUCKET, "pullrequest:created"),
        body: include_str!("fixtures/bitbucket_pullrequest.json"),
        needed: &[
            "pullrequest.id#",
            "pullrequest.title",
            "pullrequest.author",
            "pullrequest.source.branch.name",
            "pullrequest.source.commit.hash",
            "pullrequest.destination.branch.name",
        ],
        wanted: &[
            "pullrequest.description",
            "pullrequest.author.display_name",
            "pullrequest.author.nickname",
            "pullrequest.updated_on",
            "pullrequest.links.html.href",
            "pullrequest.source.repository.full_name",
            "pullrequest.source.repository.links.html.href",
        ],
    },
    Sent {
        kind: "bitbucket",
        event: (BITBUCKET, "repo:refs_changed"),
        body: include_str!("fixtures/bitbucket_server_refs.json"),
        needed: &["changes[0].ref.id", "changes[0].toHash", "actor"],
        wanted: &[
            "actor.name",
            "actor.displayName",
            "actor.emailAddress",
            "date",
            "repository.links.clone[0].href",
        ],
    },
    Sent {
        kind: "bitbucket",
        event: (BITBUCKET, "pr:opened"),
        body: include_str!("fixtures/bitbucket_server_pr.json"),
        needed: &[
            "pullRequest.id#",
            "pullRequest.title",
            "pullRequest.author.user",
            "pullRequest.fromRef.id",
            "pullRequest.fromRef.latestCommit",
            "pullRequest.toRef.id",
        ],
        wanted: &[
            "date",
            "pullRequest.description",
            "pullRequest.author.user.name",
            "pullRequest.author.user.displayName",
            "pullRequest.author.user.emailAddress",
            "pullRequest.fromRef.repository.links.clone[0].href",
            "pullRequest.toRef.repository.links.clone[0].href",
            "pullRequest.links.self[0].href",
        ],
    },
];

impl Sent {
    fn document(&self) -> Json {
        serde_json::from_str(self.body).expect("a document")
    }

    fn said(&self, document: &Json) -> Result<Said, Refused> {
        read(self.kind, self.event, &document.to_string())
    }

    fn changes(&self, document: &Json) -> Vec<NewChange> {
        match self.said(document) {
            Ok(Said::Changes(changes)) => changes,
            other => panic!("{} {:?}: {other:?}", self.kind, self.event),
        }
    }
}

fn read(kind: &str, event: (&str, &str), body: &str) -> Result<Said, Refused> {
    let hook = hook(&format!(
        "type = {kind}\nsecret = none\npull_requests = yes"
    ));
    let mut knock = json(body);
    knock.headers.push((event.0.into(), event.1.into()));
    hook.read_knock(&knock, &[])
}

/// `a.b[0].c` as a JSON pointer.
fn pointer(path: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    format!("/{}", path.replace('.', "/"))
}

/// Takes what stands at the path out of the document.
fn take_out(document: &mut Json, path: &str) {
    let pointer = pointer(path);
    let (around, name) = pointer.rsplit_once('/').expect("it begins with one");
    let around = document.pointer_mut(around).expect(path);
    let map = around.as_object_mut().expect(path);
    map.remove(name).expect(path);
}

#[test]
fn every_field_that_is_read_is_in_what_the_services_publish_with_its_type() {
    for sent in ALL {
        let document = sent.document();
        for path in sent.needed.iter().chain(sent.wanted) {
            let (plain, is_right): (_, fn(&Json) -> bool) =
                match (path.strip_suffix('#'), path.strip_suffix("[]")) {
                    (Some(plain), _) => (plain, Json::is_u64),
                    (_, Some(plain)) => (plain, |it| {
                        it.as_array()
                            .is_some_and(|all| all.iter().all(Json::is_string))
                    }),
                    _ if path.ends_with("author") || path.ends_with("user") || *path == "actor" => {
                        (*path, Json::is_object)
                    }
                    _ if path.ends_with("commits") => (*path, Json::is_array),
                    _ => (*path, Json::is_string),
                };
            let found = document.pointer(&pointer(plain));
            assert!(
                found.is_some_and(is_right),
                "{} {:?}: {path}: {found:?}",
                sent.kind,
                sent.event
            );
        }
        assert!(!sent.changes(&document).is_empty());
    }
}

#[test]
fn what_is_missing_is_refused_by_its_name_and_what_may_be_missing_is_not() {
    for sent in ALL {
        for path in sent.needed {
            let path = path.trim_end_matches('#');
            let mut document = sent.document();
            take_out(&mut document, path);
            let refused = match sent.said(&document) {
                Err(Refused::Bad(why)) => why,
                other => panic!("{} without {path}: {other:?}", sent.kind),
            };
            // Of who did it, and of the name of a part, the name that is looked for is told.
            let named = refused
                .split('`')
                .nth(1)
                .unwrap_or_else(|| panic!("{refused}"));
            assert!(
                named == path || named.starts_with(&format!("{path}.")),
                "{} without {path}: {refused}",
                sent.kind
            );
        }
        for path in sent.wanted {
            let mut document = sent.document();
            take_out(&mut document, path.trim_end_matches("[]"));
            if let Err(refused) = sent.said(&document) {
                // One of several names of a person may be the only one.
                let person = ["name", "login", "username", "display_name", "displayName"];
                let is_person = person.iter().any(|it| path.ends_with(it));
                assert!(is_person, "{} without {path}: {refused}", sent.kind);
            }
        }
    }
}

/// Puts fields into every map, that nobody publishes yet.
fn add_more(document: &mut Json) {
    match document {
        Json::Object(map) => {
            map.values_mut().for_each(add_more);
            map.insert(
                "brand_new".into(),
                serde_json::json!({"sha": [1, null], "ref": {}}),
            );
            map.insert("\u{0}".into(), Json::from(1e300));
        }
        Json::Array(all) => all.iter_mut().for_each(add_more),
        _ => {}
    }
}

/// Takes everything out that nobody reads.
fn leave_only(document: &Json, read: &[String], at: &str) -> Json {
    match document {
        Json::Object(map) => map
            .iter()
            .filter_map(|(name, it)| {
                let at = format!("{at}/{name}");
                let is_read = read
                    .iter()
                    .any(|it| *it == at || it.starts_with(&format!("{at}/")));
                is_read.then(|| (name.clone(), leave_only(it, read, &at)))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(all) => {
            let parts = all
                .iter()
                .map(|it| leave_only(it, read, &format!("{at}/*")));
            parts.collect::<Vec<_>>().into()
        }
        plain => plain.clone(),
    }
}

#[test]
fn fields_that_are_not_read_change_nothing_be_they_more_or_fewer() {
    for sent in ALL {
        let document = sent.document();
        let expected = sent.changes(&document);
        let mut more = document.clone();
        add_more(&mut more);
        assert_eq!(
            sent.changes(&more),
            expected,
            "{} {:?}",
            sent.kind,
            sent.event
        );
        let read = sent.needed.iter().chain(sent.wanted).flat_map(|it| {
            let plain = it.trim_end_matches('#');
            let is_whole = plain.ends_with("author") || plain.ends_with("user") || plain == "actor";
            let any = |it: &str| {
                let pointer = pointer(it);
                let parts = pointer.split('/').map(|it| match it.parse::<u8>() {
                    Ok(_) => "*".to_owned(),
                    Err(_) => it.to_owned(),
                });
                parts.collect::<Vec<_>>().join("/")
            };
            let plain = any(plain.trim_end_matches("[]"));
            // A person has the names that are listed, in each commit.
            match is_whole {
                true => ["name", "email", "username", "login", "full_name"]
                    .map(|it| format!("{plain}/{it}"))
                    .to_vec(),
                false => vec![plain.clone()],
            }
        });
        // Of a list of texts each is read.
        let mut read: Vec<String> = read.collect();
        let items: Vec<String> = read.iter().map(|it| format!("{it}/*")).collect();
        read.extend(items);
        // It says which service it is of.
        read.extend(["eventKey", "object_kind"].map(|it| format!("/{it}")));
        let fewer = leave_only(&document, &read, "");
        assert!(fewer.to_string().len() < sent.body.len() / 2);
        assert_eq!(
            sent.changes(&fewer),
            expected,
            "{} {:?}",
            sent.kind,
            sent.event
        );
    }
}

#[test]
fn tags_deleted_branches_and_pings_bring_nothing_to_build_and_are_no_mistakes() {
    let all = [
        (
            "github",
            (GITHUB, "push"),
            include_str!("fixtures/github_push_tag.json"),
        ),
        (
            "github",
            (GITHUB, "push"),
            include_str!("fixtures/github_push_deleted.json"),
        ),
        (
            "github",
            (GITHUB, "create"),
            include_str!("fixtures/github_create.json"),
        ),
        (
            "github",
            (GITHUB, "delete"),
            include_str!("fixtures/github_delete.json"),
        ),
        (
            "github",
            (GITHUB, "ping"),
            include_str!("fixtures/github_ping.json"),
        ),
        (
            "gitea",
            (GITEA, "push"),
            include_str!("fixtures/gitea_push_tag.json"),
        ),
        (
            "gitea",
            (GITEA, "create"),
            include_str!("fixtures/gitea_create.json"),
        ),
        (
            "gitea",
            (GITEA, "delete"),
            include_str!("fixtures/gitea_delete.json"),
        ),
        (
            "gitlab",
            (GITLAB, "Tag Push Hook"),
            include_str!("fixtures/gitlab_tag_push.json"),
        ),
        (
            "gitlab",
            (GITLAB, "Push Hook"),
            include_str!("fixtures/gitlab_push_deleted.json"),
        ),
        (
            "bitbucket",
            (BITBUCKET, "diagnostics:ping"),
            include_str!("fixtures/bitbucket_server_ping.json"),
        ),
    ];
    for (kind, event, body) in all {
        assert_eq!(
            read(kind, event, body),
            Ok(Said::Changes(Vec::new())),
            "{kind} {event:?}"
        );
    }
}

#[test]
fn a_field_of_another_type_is_refused_by_its_name() {
    let document = ALL[0].document();
    for (path, value, why) in [
        ("ref", Json::from(1), "`ref` of the payload is no text"),
        ("after", Json::Null, "the payload has no `after`"),
        ("after", Json::from(""), "the payload has no `after`"),
        (
            "commits[0].id",
            Json::from(vec![1]),
            "`commits[0].id` of the payload is no text",
        ),
        (
            "commits",
            Json::from(1),
            "the payload has no list of `commits`",
        ),
    ] {
        let mut document = document.clone();
        *document.pointer_mut(&pointer(path)).expect(path) = value;
        assert_eq!(
            ALL[0].said(&document),
            Err(Refused::Bad(why.into())),
            "{path}"
        );
    }
}
