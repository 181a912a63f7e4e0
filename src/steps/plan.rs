//! Steps that a factory makes itself, with the flags of their type.

use std::sync::Arc;

use crate::locks::LockUses;
use crate::model::Text;

use super::Git;
use super::Line;
use super::Mercurial;
use super::SetProperty;
use super::Settings;
use super::Step;
use super::StepKind;
use super::StepPlan;
use super::Svn;

fn of(kind: &StepKind, body: impl Step + 'static) -> StepPlan {
    StepPlan {
        name: kind.step_name.to_owned(),
        flags: kind.flags,
        do_step_if: None,
        hide_step_if: None,
        use_progress: true,
        progress_metrics: None,
        locks: LockUses::default(),
        body: Arc::new(body),
        references: Vec::new(),
    }
}

impl StepPlan {
    /// A failure of this step ends the build.
    pub(crate) fn halting(mut self) -> Self {
        self.flags.halt_on_failure = true;
        self
    }
}

pub(crate) fn git(step: Git) -> StepPlan {
    of(&super::git::KIND, step)
}

pub(crate) fn mercurial(step: Mercurial) -> StepPlan {
    of(&super::mercurial::KIND, step)
}

pub(crate) fn svn(step: Svn) -> StepPlan {
    of(&super::svn::KIND, step)
}

pub(crate) fn shell(line: Line, settings: Settings) -> StepPlan {
    of(&super::shell::KIND, super::shell::step(line, settings))
}

pub(crate) fn configure(line: Line, settings: Settings) -> StepPlan {
    of(
        &super::configure::KIND,
        super::configure::step(line, settings),
    )
}

pub(crate) fn compile(line: Line, settings: Settings) -> StepPlan {
    of(&super::compile::KIND, super::compile::step(line, settings))
}

pub(crate) fn test(line: Line, settings: Settings) -> StepPlan {
    of(&super::test::KIND, super::test::step(line, settings))
}

pub(crate) fn create_virtualenv(directory: &Text) -> StepPlan {
    let python = Text::literal("python3");
    let body = super::create_virtualenv::step(directory, &python, Settings::default());
    of(&super::create_virtualenv::KIND, body)
}

pub(crate) fn set_property(step: SetProperty) -> StepPlan {
    of(&super::set_property::KIND, step)
}
