//! What an action is about: for the rules, and in words for the audit log.

use crate::config::About;
use crate::config::AboutBuilder;
use crate::config::Plan;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::RequestRecord;
use crate::model::SlaveName;

/// What an action is about.
#[derive(Clone, Debug, Default)]
pub(in crate::web) struct Target {
    pub(in crate::web) about: About,
    /// `builder hello`.
    pub(super) text: String,
}

impl Target {
    /// Nothing in particular: the master.
    pub(in crate::web) fn master() -> Self {
        Self::called("master")
    }

    /// What no rule can ask about.
    pub(in crate::web) fn called(text: impl Into<String>) -> Self {
        Self {
            about: About::default(),
            text: text.into(),
        }
    }

    pub(in crate::web) fn builder(plan: &Plan, name: &BuilderName, branch: Option<&str>) -> Self {
        Self {
            about: About {
                builder: Some(about_builder(plan, name)),
                branch: branch.map(str::to_owned),
                ..About::default()
            },
            text: format!("builder {name}"),
        }
    }

    pub(in crate::web) fn build(plan: &Plan, build: &BuildRecord) -> Self {
        let mut owners = build.owners();
        owners.extend(build.blame.iter().cloned());
        Self {
            about: About {
                builder: Some(about_builder(plan, &build.key.builder)),
                branch: build.stamp.branch.clone(),
                build: Some((build.key.number, build.reason.clone())),
                owners,
                ..About::default()
            },
            text: format!("build {}", build.key),
        }
    }

    /// A request; `authors` are those of its changes.
    pub(in crate::web) fn request(
        plan: &Plan,
        request: &RequestRecord,
        authors: Vec<String>,
    ) -> Self {
        let mut owners = authors;
        let asked = request.properties.get("owner").and_then(|it| it.as_str());
        owners.extend(asked.map(str::to_owned));
        Self {
            about: About {
                builder: Some(about_builder(plan, &request.builder)),
                branch: request.stamp.branch.clone(),
                request: Some((request.id.0, request.reason.clone())),
                owners,
                ..About::default()
            },
            text: format!("request {} of {}", request.id, request.builder),
        }
    }

    /// What waits of a change, for one builder or for all.
    pub(in crate::web) fn change(
        plan: &Plan,
        builder: Option<&BuilderName>,
        change: &Change,
    ) -> Self {
        let of = builder.map_or(String::new(), |it| format!(" of {it}"));
        Self {
            about: About {
                builder: builder.map(|it| about_builder(plan, it)),
                branch: change.branch.clone(),
                owners: vec![change.author.clone()],
                ..About::default()
            },
            text: format!("change {}{of}", change.id),
        }
    }

    pub(in crate::web) fn slave(name: &SlaveName) -> Self {
        Self {
            about: About {
                slave: Some(name.to_string()),
                ..About::default()
            },
            text: format!("slave {name}"),
        }
    }
}

fn about_builder(plan: &Plan, name: &BuilderName) -> AboutBuilder {
    let known = plan.builders.iter().find(|it| it.name == *name);
    known.map_or_else(
        || AboutBuilder::called(name.as_str()),
        |it| AboutBuilder::of(it),
    )
}
