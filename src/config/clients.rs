//! Buildbot's own clients: who may manage users and debug the master through its protocol, and that
//! names are told apart. Who sends changes is in `[source:NAME]`, who tries something in its
//! scheduler. Each of these may have a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::MasterPlan;
use super::Origin;
use super::Plan;
use crate::secrets::SecretText;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Value;

/// The name of the debug client.
const DEBUG: &str = "debug";

/// The keys whose places are looked for when their names are taken.
pub(super) const PLACED: [&str; 2] = ["debug_password", "user_manager"];

/// Accounts of clients that have no section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientsPlan {
    /// Names and passwords.
    pub(crate) user_managers: BTreeMap<String, SecretText>,
    /// `None`: there is no debug client.
    pub(crate) debug_password: Option<SecretText>,
}

pub(super) fn read(keys: &mut Keys<'_>) -> Option<ClientsPlan> {
    let user_managers = keys.map::<SecretText>("user_manager");
    let debug_password = keys.or("debug_password", DebugPassword(None));
    Some(ClientsPlan {
        user_managers: user_managers?,
        debug_password: debug_password?.0,
    })
}

/// A password, or the word that there is none.
struct DebugPassword(Option<SecretText>);

impl Value for DebugPassword {
    const EXPECTED: &'static str =
        "a password, `${secret:NAME}`, or `none`: there is no debug client";

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(None)),
            Content::Null => Ok(Self(None)),
            _ => SecretText::read(node).map(|it| Self(Some(it))),
        }
    }
}

impl Plan {
    /// The sections whose clients have a port of their own. Several may share one.
    pub(crate) fn client_ports(&self) -> Vec<(SocketAddr, &Origin)> {
        let sources = self.sources.iter();
        let sources = sources.filter_map(|it| Some((it.settings.pb()?.port?, &it.origin)));
        let tries = self.schedulers.iter();
        let tries = tries.filter_map(|it| Some((it.settings.as_userpass()?.port?, &it.origin)));
        let status = self.status.iter();
        let status =
            status.filter_map(|it| Some((it.settings.as_pb_listener()?.port?, &it.origin)));
        sources.chain(tries).chain(status).collect()
    }
}

impl MasterPlan {
    /// Whether slaves come to a port. So do clients that have none of their own.
    pub(crate) fn has_slaves_at(&self, port: u16) -> bool {
        let mut own = [self.slaveport, self.pb_port].into_iter().flatten();
        own.any(|it| it.port() == port)
    }
}

/// A name, and the port that it has for itself; `None`: where slaves are.
type Account<'a> = (&'a str, Option<u16>);

/// That a name in Buildbot's protocol is one account wherever it comes to. Who tries something may be somebody else,
/// too: those are told apart by their passwords.
pub(super) fn check(plan: &Plan, problems: &mut Problems) {
    let door = |port: Option<SocketAddr>| {
        let port = port.map(|it| it.port());
        port.filter(|it| !plan.master.has_slaves_at(*it))
    };
    let mut seen: BTreeMap<Account<'_>, (String, Option<&Place>)> = BTreeMap::new();
    for slave in &plan.slaves {
        let name = slave.name.as_str();
        seen.insert((name, None), (format!("[slave:{name}]"), None));
    }
    let sources = plan.sources.iter();
    let sources = sources.filter_map(|it| {
        let pb = it.settings.pb()?;
        let user = (pb.user.as_str(), door(pb.port));
        Some((user, it.origin.how.clone(), Some(&it.origin.place)))
    });
    let status = plan.status.iter();
    let status = status.filter_map(|it| {
        let listener = it.settings.as_pb_listener()?;
        let user = (listener.user.as_str(), door(listener.port));
        Some((user, it.origin.how.clone(), Some(&it.origin.place)))
    });
    let clients = &plan.master.clients;
    let place = |key| plan.port_places.get(key);
    let managers = clients.user_managers.keys();
    let managers = managers.map(|it| {
        let what = format!("`user_manager.{it}` of [:master:]");
        ((it.as_str(), None), what, place("user_manager"))
    });
    let debug = clients.debug_password.iter().map(|_| {
        let what = "`debug_password` of [:master:]".to_owned();
        ((DEBUG, None), what, place("debug_password"))
    });
    for (account, what, at) in sources.chain(status).chain(managers).chain(debug) {
        if let Some((first, first_at)) = seen.get(&account) {
            let name = account.0;
            let said =
                format!("`{name}` is a name in Buildbot's protocol of {first} and of {what}");
            let mut problem = Problem::error(Code::Duplicate, said);
            if let Some(at) = at {
                problem = problem.at(at).label("the second one");
            }
            if let Some(at) = first_at {
                problem = problem.also(at, "the first one");
            }
            problems
                .note(problem.help("each needs a name of its own: who logs in says nothing else"));
            continue;
        }
        seen.insert(account, (what, at));
    }
}
