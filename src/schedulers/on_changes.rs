//! `single_branch` and `any_branch`: they build what changed, when it has
//! been quiet for a while.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::SchedulerName;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Branch;
use super::Filter;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::tree_stable::TreeStable;

pub(super) const SINGLE: SchedulerKind = SchedulerKind {
    name: "single_branch",
    aliases: &[
        "single_branch_scheduler",
        "scheduler",
        "basic_scheduler",
        "tree_stable",
    ],
    summary: "Builds the changes of a branch when it was quiet for a while.",
    example: "branch = main\ntree_stable_timer = 5m",
    read: |keys| Some(Arc::new(OnChanges::read(keys, false)?)),
};

pub(super) const ANY: SchedulerKind = SchedulerKind {
    name: "any_branch",
    aliases: &["any_branch_scheduler"],
    summary: "The same for any number of branches, each of which waits by itself.",
    example: "branches = main next\ntree_stable_timer = 5m",
    read: |keys| Some(Arc::new(OnChanges::read(keys, true)?)),
};

#[derive(Clone, Debug, PartialEq)]
struct OnChanges {
    per_branch: bool,
    /// Zero: each important change is built alone and at once.
    stable_for: Duration,
    filter: Filter,
}

/// A scheduler that builds what comes to these branches.
pub(crate) fn following(on: Vec<Branch>, stable_for: Duration) -> Arc<dyn Settings> {
    Arc::new(OnChanges {
        per_branch: false,
        stable_for,
        filter: Filter {
            on,
            ..Filter::default()
        },
    })
}

impl OnChanges {
    fn read(keys: &mut Keys<'_>, per_branch: bool) -> Option<Self> {
        let timer = keys.or_as::<Option<Duration>>(&["tree_stable_timer", "tree_stable"], None);
        let branch = if per_branch { "branches" } else { "branch" };
        let filter = Filter::read(keys, Some(branch))?;
        if !per_branch && !filter.is_on_branches() {
            let what = format!("`branch` is missing in {}", keys.title());
            let problem = Problem::error(Code::MissingKey, what)
                .at(keys.header())
                .label("expected the branch that it builds; `none` is the default branch")
                .help("`type = any_branch` builds all branches, each by itself");
            keys.note(problem);
            return None;
        }
        Some(Self {
            per_branch,
            stable_for: timer?.unwrap_or_default(),
            filter,
        })
    }
}

impl Settings for OnChanges {
    fn kind(&self) -> &'static str {
        if self.per_branch {
            ANY.name
        } else {
            SINGLE.name
        }
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(TreeStable::new(self.stable_for, self.per_branch))
    }

    fn describe(&self) -> String {
        let whose = if self.per_branch {
            "a branch"
        } else {
            "its source"
        };
        if self.stable_for.is_zero() {
            return "builds every important change alone and at once".into();
        }
        format!(
            "builds when {whose} was stable for {}",
            shown(self.stable_for)
        )
    }

    fn filter(&self) -> Option<&Filter> {
        Some(&self.filter)
    }
}

/// A length of time as a file says it: `60 s`, `1.5 s`.
pub(super) fn shown(length: Duration) -> String {
    format!("{} s", length.as_secs_f64())
}
