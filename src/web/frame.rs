//! What stands around every page.

use serde::Serialize;

use crate::clock;
use crate::config::Action;
use crate::config::MasterPlan;
use crate::config::Permission;
use crate::master::Access;
use crate::master::handle::ShutdownView;
use crate::master::troubles::Trouble;
use crate::model::Timestamp;

use super::links;
use super::rows::Link;
use super::words::Moment;

/// Builds of which the names stand on every page while the master shuts down.
const NAMED: usize = 5;

/// What stands around every page.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Frame {
    /// The way to the root of the site, ending in `/`.
    pub(super) root: String,
    pub(super) site: String,
    pub(super) site_url: Option<String>,
    pub(super) version: &'static str,
    /// Whether this port acts at all.
    pub(super) can_act: bool,
    /// What this port allows, so that no form is shown that is refused.
    pub(super) can_force: bool,
    pub(super) can_stop: bool,
    pub(super) can_stop_all: bool,
    pub(super) can_force_all: bool,
    pub(super) can_pause: bool,
    pub(super) can_ping: bool,
    pub(super) can_shut_down: bool,
    pub(super) can_shut_down_master: bool,
    pub(super) can_see_users: bool,
    pub(super) can_see_audit: bool,
    /// Actions that a login may allow.
    pub(super) after_login: Vec<&'static str>,
    /// Who has logged in.
    pub(super) visitor: Option<String>,
    /// Whether anybody can.
    pub(super) can_log_in: bool,
    /// This page, from the root of the site on.
    pub(super) here: String,
    /// Whether the configuration has any: a page of none has no place in the list of pages.
    pub(super) has_locks: bool,
    /// What programs can read: no page leads to what is not there.
    pub(super) feeds: Vec<&'static str>,
    pub(super) drawn: String,
    /// Since when the configuration on the disk has mistakes.
    pub(super) config_bad_since: Option<String>,
    /// The disks that builds wait for.
    pub(super) troubles: Vec<TroubleLine>,
    /// What is wrong with the master's own template of this page, if the built-in one is drawn
    /// instead.
    pub(super) template_problem: Option<String>,
    pub(super) shutdown: Option<ShutdownLine>,
    /// Why a button that led here did nothing.
    pub(super) notice: Option<&'static str>,
    /// After how many seconds a browser without scripts asks again.
    pub(super) reload: Option<u32>,
}

/// A disk that does not take what is to be written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TroubleLine {
    /// What cannot be written: `logs cannot be written`.
    what: String,
    since: String,
    why: String,
    builds: Vec<Link>,
}

impl TroubleLine {
    pub(super) fn new(trouble: &Trouble) -> Self {
        Self {
            what: trouble.place.to_string(),
            since: clock::iso(trouble.since),
            why: trouble.why.clone(),
            builds: trouble.builds.iter().map(Link::build).collect(),
        }
    }
}

/// That the master ends when its builds are done.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ShutdownLine {
    pub(super) since: Moment,
    pub(super) by: Option<String>,
    /// How many builds are left.
    pub(super) left: usize,
    /// The first of them.
    pub(super) builds: Vec<Link>,
}

impl ShutdownLine {
    pub(super) fn new(it: &ShutdownView, now: Timestamp) -> Self {
        Self {
            since: Moment::new(it.wish.since, now),
            by: it.wish.by.clone(),
            left: it.builds.len(),
            builds: it.builds.iter().take(NAMED).map(Link::build).collect(),
        }
    }
}

impl Frame {
    pub(super) fn new(
        path: &str,
        master: &MasterPlan,
        offers: impl Fn(Action) -> Permission,
        access: Access,
        now: Timestamp,
    ) -> Self {
        let permits = |action| offers(action) == Permission::Granted;
        let after_login = Action::ALL.into_iter();
        let after_login = after_login.filter(|it| offers(*it) == Permission::NeedsLogin);
        Self {
            root: links::root(path),
            site: master.title.clone(),
            site_url: master.title_url.as_deref().and_then(links::outside),
            version: env!("CARGO_PKG_VERSION"),
            can_act: access != Access::ReadOnly,
            can_force: permits(Action::ForceBuild),
            can_stop: permits(Action::StopBuild),
            can_stop_all: permits(Action::StopAllBuilds),
            can_force_all: permits(Action::ForceAllBuilds),
            can_pause: permits(Action::PauseSlave),
            can_ping: permits(Action::PingBuilder),
            can_shut_down: permits(Action::GracefulShutdown),
            can_shut_down_master: permits(Action::CleanShutdown),
            can_see_users: permits(Action::ShowUsersPage),
            can_see_audit: permits(Action::ShowAudit),
            after_login: after_login.map(Action::as_str).collect(),
            visitor: None,
            can_log_in: false,
            here: String::new(),
            has_locks: false,
            feeds: Vec::new(),
            drawn: clock::iso(now),
            config_bad_since: None,
            troubles: Vec::new(),
            template_problem: None,
            shutdown: None,
            notice: None,
            reload: None,
        }
    }
}

/// The shortest time from one page to the next that a browser is told to ask for.
const SHORTEST_RELOAD: u32 = 15;

/// What `reload` among the arguments of an address says; 0 is never, and so is what is no number.
pub(super) fn reload(query: Option<&str>) -> Option<u32> {
    let mut values = query?
        .split('&')
        .filter_map(|it| it.strip_prefix("reload="));
    let asked: u32 = values.next_back()?.parse().ok()?;
    (asked > 0).then(|| asked.max(SHORTEST_RELOAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_again_after_fifteen_seconds_or_more() {
        for (query, expected) in [
            ("reload=60", Some(60)),
            ("x=1&reload=1", Some(15)),
            ("reload=0", None),
            ("reload=soon", None),
            ("xreload=60", None),
        ] {
            assert_eq!(reload(Some(query)), expected, "{query}");
        }
        assert_eq!(reload(None), None);
    }
}
