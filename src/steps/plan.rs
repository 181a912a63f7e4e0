//! Steps that a factory makes itself, with the flags of their type.

use std::sync::Arc;

use super::Compile;
use super::Configure;
use super::Git;
use super::Mercurial;
use super::SetProperty;
use super::Shell;
use super::Step;
use super::StepKind;
use super::StepPlan;
use super::Test;

fn of(kind: &StepKind, body: impl Step + 'static) -> StepPlan {
    StepPlan {
        name: kind.step_name.to_owned(),
        flags: kind.flags,
        do_step_if: None,
        hide_step_if: None,
        body: Arc::new(body),
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

pub(crate) fn shell(step: Shell) -> StepPlan {
    of(&super::shell::KIND, step)
}

pub(crate) fn configure(step: Configure) -> StepPlan {
    of(&super::configure::KIND, step)
}

pub(crate) fn compile(step: Compile) -> StepPlan {
    of(&super::compile::KIND, step)
}

pub(crate) fn test(step: Test) -> StepPlan {
    of(&super::test::KIND, step)
}

pub(crate) fn set_property(step: SetProperty) -> StepPlan {
    of(&super::set_property::KIND, step)
}
