//! Where a build finds what it needs: the tree that its builder left on a
//! slave, or the slave's mirror of its repository. It decides between slaves
//! that are equally free, and nothing else.

use std::collections::{HashMap, VecDeque};

use crate::config::{BuilderPlan, SlavePlan};
use crate::model::BuilderName;
use crate::model::RequestRecord;
use crate::model::SlaveName;

/// Repositories that are remembered of each slave, those that it built last.
const REMEMBERED: usize = 32;

/// How much of what a build needs a slave has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Warm {
    /// The builder's last good build ran there.
    Tree,
    /// It keeps mirrors, and built the same repository lately.
    Mirror,
    Cold,
}

impl Warm {
    /// As rules have it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Mirror => "mirror",
            Self::Cold => "cold",
        }
    }
}

/// What was built where.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    last: HashMap<BuilderName, SlaveName>,
    repositories: HashMap<SlaveName, VecDeque<String>>,
}

impl Warmth {
    pub(super) fn of(&self, builder: &BuilderPlan, slave: &SlavePlan, repository: &str) -> Warm {
        if self.last.get(&builder.name) == Some(&slave.name) {
            return Warm::Tree;
        }
        let known = self.repositories.get(&slave.name);
        let has_mirror =
            slave.mirrors && known.is_some_and(|it| it.iter().any(|it| it == repository));
        match has_mirror {
            true => Warm::Mirror,
            false => Warm::Cold,
        }
    }

    /// A build of the builder went well there.
    pub(super) fn built(&mut self, builder: &BuilderName, slave: &SlaveName, repository: &str) {
        self.last.insert(builder.clone(), slave.clone());
        if repository.is_empty() {
            return;
        }
        let known = self.repositories.entry(slave.clone()).or_default();
        known.retain(|it| it != repository);
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        known.push_back(repository.to_owned());
    }

    /// Forgets what is no longer in the configuration.
    pub(super) fn forget_others(
        &mut self,
        is_builder: impl Fn(&BuilderName) -> bool,
        is_slave: impl Fn(&SlaveName) -> bool,
    ) {
        self.last.retain(|name, _| is_builder(name));
        self.repositories.retain(|name, _| is_slave(name));
    }
}

/// What stands for the repository of a request: builders of one factory have the same one where
/// the request does not name any.
pub(super) fn repository_of(builder: &BuilderPlan, request: &RequestRecord) -> String {
    match request.stamp.repository.as_str() {
        "" => format!("factory {}", builder.factory_name),
        repository => repository.to_owned(),
    }
}
