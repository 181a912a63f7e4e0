//! What a rule of `[:authz:]` is computed over: somebody who has logged in, and what it is about.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::BuilderPlan;
use crate::expr::Values;

/// Somebody who has logged in, as rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// What an action is about, as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) builder: Option<AboutBuilder>,
    pub(crate) branch: Option<String>,
    /// Number and reason.
    pub(crate) build: Option<(i64, String)>,
    /// Number and reason.
    pub(crate) request: Option<(i64, String)>,
    pub(crate) slave: Option<String>,
    /// Who asked for it, and who made its changes.
    pub(crate) owners: Vec<String>,
}

/// A builder, as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AboutBuilder {
    name: String,
    category: Option<String>,
    tags: Vec<String>,
}

impl Person {
    pub(crate) fn new(name: impl Into<String>, attributes: BTreeMap<String, String>) -> Self {
        Self {
            name: name.into(),
            attributes,
        }
    }

    /// What the person logs in as.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self, roles: Vec<String>, teams: Vec<String>) -> Value {
        let attributes = self.attributes.iter();
        let mut all: Map<String, Value> = attributes
            .map(|(kind, value)| (kind.clone(), value.as_str().into()))
            .collect();
        if let Some(email) = self.attributes.get("email") {
            all.insert("email".into(), address(email).into());
        }
        all.insert("name".into(), self.name.as_str().into());
        all.insert("roles".into(), roles.into());
        all.insert("teams".into(), teams.into());
        all.into()
    }

    /// Whether this is how a change or a request calls the person.
    fn is_called(&self, owner: &str) -> bool {
        let email = self.attributes.get("email");
        self.name == owner
            || self.attributes.values().any(|it| it == owner)
            || email.is_some_and(|it| owner.contains('@') && address(it) == address(owner))
    }
}

/// The address of `Ann R <ann@example.org>`, or the whole.
fn address(text: &str) -> &str {
    let inner = text.strip_suffix('>').and_then(|it| it.rsplit_once('<'));
    inner.map_or(text, |(_, it)| it)
}

impl AboutBuilder {
    pub(crate) fn of(builder: &BuilderPlan) -> Self {
        Self {
            name: builder.name.to_string(),
            category: builder.category.clone(),
            tags: builder.tags.iter().map(ToString::to_string).collect(),
        }
    }

    /// One that the configuration has no longer.
    pub(crate) fn called(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

impl About {
    pub(super) fn values(&self, person: &Person) -> Values {
        let builder = self.builder.as_ref();
        let builder =
            builder.map(|it| json!({ "name": it.name, "category": it.category, "tags": it.tags }));
        let numbered = |it: &Option<(i64, String)>| {
            let it = it.as_ref();
            it.map(|(number, reason)| json!({ "number": number, "reason": reason }))
        };
        let slave = self.slave.as_ref().map(|it| json!({ "name": it }));
        Values::new()
            .with("builder", builder)
            .with("branch", self.branch.clone())
            .with("build", numbered(&self.build))
            .with("request", numbered(&self.request))
            .with("slave", slave)
            .with("owner", self.owners.iter().any(|it| person.is_called(it)))
    }
}
