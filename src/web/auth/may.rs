//! Which buttons a page has beside what it lists: a rule is asked for each row, with what the row
//! is about.

use std::sync::Arc;

use crate::config::Action;
use crate::config::Permission;
use crate::config::Plan;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::RequestRecord;

use super::super::app::App;
use super::target::Target;
use super::visitor;
use super::visitor::Visitor;

/// What whoever looks at the page that is drawn may do.
pub(in crate::web) struct May<'a> {
    app: &'a App,
    plan: Arc<Plan>,
    /// `None` outside of a request.
    visitor: Option<Visitor>,
}

impl<'a> May<'a> {
    pub(in crate::web) fn of_page(app: &'a App) -> Self {
        Self {
            app,
            plan: app.desk.plan(),
            visitor: visitor::of_page().map(|it| it.0),
        }
    }

    pub(in crate::web) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether authors of changes decide over what waits, so that they have to be read.
    pub(in crate::web) fn minds_authors(&self) -> bool {
        let action = Action::CancelPendingBuild;
        self.plan.authz.asks_about(action, "owner")
    }

    pub(in crate::web) fn stop(&self, build: &BuildRecord) -> bool {
        self.act(Action::StopBuild, &Target::build(&self.plan, build))
    }

    /// Whether a request may be cancelled whose changes are of `authors`.
    pub(in crate::web) fn cancel(&self, request: &RequestRecord, authors: Vec<String>) -> bool {
        let target = Target::request(&self.plan, request, authors);
        self.act(Action::CancelPendingBuild, &target)
    }

    /// Whether what waits of a change may be cancelled, for one builder or for all.
    pub(in crate::web) fn stop_change(
        &self,
        builder: Option<&BuilderName>,
        change: &Change,
    ) -> bool {
        let target = Target::change(&self.plan, builder, change);
        self.act(Action::StopChange, &target)
    }

    fn act(&self, action: Action, target: &Target) -> bool {
        let Some(visitor) = &self.visitor else {
            return false;
        };
        let about = Some(&target.about);
        self.app.offers(&self.plan, visitor, action, about) == Permission::Granted
    }
}
