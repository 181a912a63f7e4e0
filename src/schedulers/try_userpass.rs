//! `try_userpass`: builds what those send who are named in it, before it is
//! committed. The master lets them in; by itself the scheduler does nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::SchedulerName;
use crate::secrets::SecretText;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::force::Asked;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "try_userpass",
    aliases: &["try_userpass_scheduler"],
    summary: "Builds the patches that its users send, before they are committed.",
    example: "userpass.ann = quiet\nuserpass.bob = ${secret:bob}",
    read: |keys| Some(Arc::new(TryUserpass::read(keys)?)),
};

/// Who may try something. The `Debug` form shows no password, so it says less than two of
/// them differ in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TryUserpass {
    pub(crate) users: BTreeMap<String, SecretText>,
    /// Where alone they are let in by Buildbot's protocol; `None`: wherever slaves are.
    pub(crate) port: Option<SocketAddr>,
}

impl TryUserpass {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let port = keys.or("port", None::<SocketAddr>);
        let users = keys.map::<SecretText>("userpass")?;
        if users.is_empty() {
            let what = format!("`userpass` is missing in {}", keys.title());
            let problem = Problem::error(Code::MissingKey, what)
                .at(keys.header())
                .label("expected somebody who may try: `userpass.NAME = PASSWORD`");
            keys.note(problem);
            return None;
        }
        let is_bad = |name: &&String| {
            name.is_empty() || name.contains(|it: char| it == ':' || it.is_control())
        };
        if let Some(name) = users.keys().find(is_bad) {
            let shown = name.escape_debug();
            keys.wrong(
                &format!("userpass.{name}"),
                format!("`{shown}` is no name: nobody can log in with a `:` in it"),
            );
            return None;
        }
        Some(Self { users, port: port? })
    }
}

impl Settings for TryUserpass {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Asked)
    }

    fn describe(&self) -> String {
        "builds what its users send".into()
    }

    fn as_userpass(&self) -> Option<&TryUserpass> {
        Some(self)
    }
}
