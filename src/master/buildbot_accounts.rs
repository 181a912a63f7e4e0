//! Whom a name stands for in Buildbot's protocol. All of them are one book: slaves, who sends
//! changes, who tries something, who manages users, who listens, and the debug client. Two may have the same
//! name; the password tells them apart. Some are good at a port of their own, and nowhere else.

use std::net::SocketAddr;

use tracing::warn;

use crate::buildbot::Account;
use crate::buildbot::client::Role;
use crate::master::crew::Crew;
use crate::master::tries::TryPass;
use crate::master::welcome;
use crate::secrets::SecretText;

/// The name of the debug client.
const DEBUG: &str = "debug";

/// Who has logged in.
#[derive(Clone, Debug)]
pub(super) enum Who {
    Slave,
    Client(Client),
}

/// A client, and what it may do.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// Of the change source of this name.
    Changes(String),
    Tries(TryPass),
    Users,
    Debug,
    /// As the status target of this name lets it.
    Status(String),
}

impl Client {
    pub(super) const fn role(&self) -> Role {
        match self {
            Self::Changes(_) => Role::Changes,
            Self::Tries(_) => Role::Tries,
            Self::Users => Role::Users,
            Self::Debug => Role::Debug,
            Self::Status(_) => Role::Status,
        }
    }

    /// For the log.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Changes(_) => "sends changes",
            Self::Tries(_) => "tries something",
            Self::Users => "manages users",
            Self::Debug => "debugs",
            Self::Status(_) => "listens",
        }
    }
}

/// The password of a slave, where slaves are let in.
pub(super) fn password_of_slave(crew: &Crew, name: &str, here: u16) -> Option<String> {
    let has_slaves = crew.plan().master.has_slaves_at(here);
    has_slaves
        .then(|| welcome::password_of(crew, name))
        .flatten()
}

/// The accounts of this name that are good at a port, as the configuration in force has them.
pub(super) fn of(crew: &Crew, name: &str, here: u16) -> Vec<Account<Who>> {
    let mut all = Vec::new();
    if let Some(password) = password_of_slave(crew, name, here) {
        let who = Who::Slave;
        all.push(Account { password, who });
    }
    let plan = crew.plan();
    let has_slaves = plan.master.has_slaves_at(here);
    let is_good = |port: Option<SocketAddr>| port.map_or(has_slaves, |it| it.port() == here);
    let mut add = |secret: &SecretText, client: Client| match secret.reveal(&plan.secrets) {
        Ok(password) => {
            let who = Who::Client(client);
            all.push(Account { password, who });
        }
        Err(error) => {
            let what = client.what();
            warn!(user = name, what, reason = %error, "the password of a client cannot be read");
        }
    };
    for source in &plan.sources {
        if let Some(pb) = source.settings.pb()
            && (pb.user == name && is_good(pb.port))
        {
            add(&pb.password, Client::Changes(source.name.clone()));
        }
    }
    for scheduler in &plan.schedulers {
        let userpass = scheduler.settings.as_userpass();
        let userpass = userpass.filter(|it| is_good(it.port));
        if let Some(password) = userpass.and_then(|it| it.users.get(name)) {
            let pass = TryPass::of(scheduler.name.as_str(), name);
            add(password, Client::Tries(pass));
        }
    }
    for status in &plan.status {
        if let Some(listener) = status.settings.as_pb_listener()
            && (listener.user == name && is_good(listener.port))
        {
            add(&listener.password, Client::Status(status.name.clone()));
        }
    }
    if !has_slaves {
        return all;
    }
    if let Some(password) = plan.master.clients.user_managers.get(name) {
        add(password, Client::Users);
    }
    if let Some(password) = &plan.master.clients.debug_password
        && name == DEBUG
    {
        add(password, Client::Debug);
    }
    all
}
