//! Whether a visitor may do something, and that it is written down.

use std::sync::Arc;

use crate::config::About;
use crate::config::Action;
use crate::config::Permission;
use crate::config::Plan;
use crate::master::Access;
use crate::store::Act;

use super::super::app::App;
use super::super::failure::Failure;
use super::target::Target;
use super::visitor::Visitor;

impl App {
    /// Refuses an action that this port or the configuration does not allow this visitor. What it
    /// allows is in the audit log when this returns.
    pub(in crate::web) async fn permit(
        &self,
        visitor: &Visitor,
        action: Action,
        target: &Target,
    ) -> Result<(), Failure> {
        let act = self.permit_act(visitor, action, target).await?;
        self.write_down(&act).await
    }

    /// The same for what writes it down itself, in the transaction of what is done.
    pub(in crate::web) async fn permit_act(
        &self,
        visitor: &Visitor,
        action: Action,
        target: &Target,
    ) -> Result<Arc<Act>, Failure> {
        match self.check(visitor, action, &target.about) {
            Ok(()) => Ok(self.act(visitor, action.as_str(), &target.text)),
            Err(failure) => {
                let why = failure.to_string();
                self.note_refused(visitor, action.as_str(), &target.text, &why)
                    .await;
                Err(failure)
            }
        }
    }

    /// Refuses a page or a document that not everybody may see. Only refusals are written down.
    pub(in crate::web) async fn see(
        &self,
        visitor: &Visitor,
        action: Action,
    ) -> Result<(), Failure> {
        let seen = self.check(visitor, action, &About::default());
        if let Err(failure) = &seen {
            let why = failure.to_string();
            self.note_refused(visitor, action.as_str(), "", &why).await;
        }
        seen
    }

    /// Whether the visitor may see it, for a page that shows less to others.
    pub(in crate::web) fn may_see(&self, visitor: &Visitor, action: Action) -> bool {
        self.check(visitor, action, &About::default()).is_ok()
    }

    fn check(&self, visitor: &Visitor, action: Action, about: &About) -> Result<(), Failure> {
        if let Some(token) = visitor.lacks_scope(action) {
            return Err(Failure::LacksScope(action, token.to_owned()));
        }
        let plan = self.desk.plan();
        match self.permission(&plan, visitor, action, about) {
            Permission::Granted => Ok(()),
            Permission::NeedsLogin if plan.authz.accounts.is_none() => {
                Err(Failure::NobodyLogsIn(action))
            }
            Permission::NeedsLogin => Err(Failure::NeedsLogin(action)),
            Permission::Refused => Err(match visitor.name() {
                Some(name) if self.access == Access::Full => {
                    Failure::RefusedTo(action, name.to_owned())
                }
                _ => Failure::Refused(action),
            }),
        }
    }

    fn permission(
        &self,
        plan: &Plan,
        visitor: &Visitor,
        action: Action,
        about: &About,
    ) -> Permission {
        match self.of_port(plan, action) {
            Some(permission) => permission,
            None => plan.authz.permits(action, visitor.person.as_ref(), about),
        }
    }

    /// What the port alone says.
    fn of_port(&self, plan: &Plan, action: Action) -> Option<Permission> {
        match self.access {
            Access::Owner => Some(Permission::Granted),
            // Who opens a port for reading means that.
            Access::ReadOnly if action == Action::View => Some(Permission::Granted),
            Access::ReadOnly => Some(Permission::Refused),
            Access::Full if action != Action::View && plan.web.allow_force == Some(false) => {
                Some(Permission::Refused)
            }
            Access::Full => None,
        }
    }

    /// Whether a page shows the form of an action, says that a login would help, or neither.
    pub(in crate::web) fn offers(
        &self,
        plan: &Plan,
        visitor: &Visitor,
        action: Action,
        about: Option<&About>,
    ) -> Permission {
        if visitor.lacks_scope(action).is_some() {
            return Permission::Refused;
        }
        let of_rule = || plan.authz.offers(action, visitor.person.as_ref(), about);
        match self.of_port(plan, action).unwrap_or_else(of_rule) {
            Permission::NeedsLogin if plan.authz.accounts.is_none() => Permission::Refused,
            permission => permission,
        }
    }
}
