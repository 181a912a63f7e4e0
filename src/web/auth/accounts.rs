//! Whose a name is, and what their password is compared with: the places that `[:authz:]` names,
//! asked in turn.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::error;

use crate::config;
use crate::config::Htfile;
use crate::config::KnownPassword;
use crate::config::Password;
use crate::config::Person;
use crate::config::Plan;
use crate::logins::Hash;
use crate::logins::htpasswd::Htpasswd;

use super::super::app::App;
use super::super::failure::Failure;

/// Somebody who can log in.
pub(super) struct Account {
    pub(super) person: Person,
    pub(super) known: KnownPassword,
}

impl Account {
    /// What a session is bound to: another password is another text.
    pub(super) fn proof(&self) -> &str {
        match &self.known {
            KnownPassword::Plain(text) => text,
            KnownPassword::Hashed(hash) => hash.as_str(),
        }
    }
}

/// A file as it was read the last time.
#[derive(Debug, Default)]
pub(super) struct Files(Mutex<Option<(Stamp, Arc<Htpasswd>)>>);

/// What is another one when the file is.
#[derive(Clone, Debug, PartialEq)]
struct Stamp {
    file: Htfile,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Files {
    /// Who is in the file. It is read again when it has changed.
    fn read(&self, file: &Htfile) -> Result<Arc<Htpasswd>, String> {
        let it = fs::metadata(&file.path).map_err(|error| error.to_string())?;
        let stamp = Stamp {
            file: file.clone(),
            inode: it.ino(),
            size: it.size(),
            changed: (it.ctime(), it.ctime_nsec()),
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, read)) = &*last
            && *known == stamp
        {
            return Ok(Arc::clone(read));
        }
        let read = Arc::new(Htpasswd::read(&config::read_htpasswd(file)?).0);
        *last = Some((stamp, Arc::clone(&read)));
        Ok(read)
    }
}

/// Finds who logs in by this name.
pub(super) async fn find(app: &App, name: &str) -> Result<Option<Account>, Failure> {
    let plan = app.desk.plan();
    let accounts = &plan.authz.accounts;
    if let Some((_, password)) = accounts.listed.iter().find(|it| it.0 == name) {
        return of_configuration(&plan, name, password);
    }
    let mut sections = plan.users.iter().filter(|_| accounts.of_sections);
    let section = sections.find_map(|it| {
        let (username, password) = it.login.as_ref()?;
        (username == name).then_some(password)
    });
    if let Some(password) = section {
        return of_configuration(&plan, name, password);
    }
    if accounts.of_store {
        let wanted = name.to_owned();
        let found = app.read(move |store| store.account(&wanted)).await?;
        // A hash that cannot be read lets nobody in, whoever else is called so.
        if let Some(found) = found {
            let hash = Hash::read(&found.password);
            let mut attributes = found.user.attributes;
            attributes
                .entry("identifier".into())
                .or_insert(found.user.identifier);
            return Ok(hash.ok().map(|hash| Account {
                person: Person::new(name, attributes),
                known: KnownPassword::Hashed(hash),
            }));
        }
    }
    let Some(file) = accounts.htpasswd.clone() else {
        return Ok(None);
    };
    let files = Arc::clone(&app.gate.files);
    let read = tokio::task::spawn_blocking(move || files.read(&file)).await;
    let read = read.map_err(|_| Failure::Lost)?.map_err(|reason| {
        error!(%reason, "`htpasswd` cannot be read; who is in it cannot log in");
        Failure::NoAccounts
    })?;
    Ok(read.get(name).map(|hash| Account {
        person: Person::new(name, attributes(&plan, name)),
        known: KnownPassword::Hashed(hash.clone()),
    }))
}

fn of_configuration(
    plan: &Plan,
    name: &str,
    password: &Password,
) -> Result<Option<Account>, Failure> {
    let known = password.known(&plan.secrets).map_err(|reason| {
        error!(user = name, %reason, "the password cannot be read");
        Failure::NoAccounts
    })?;
    Ok(Some(Account {
        person: Person::new(name, attributes(plan, name)),
        known,
    }))
}

/// What the section says of who logs in by this name.
pub(super) fn attributes(plan: &Plan, name: &str) -> BTreeMap<String, String> {
    let by_login = |it: &&Arc<config::UserPlan>| it.login.as_ref().is_some_and(|it| it.0 == name);
    let mut all = plan.users.iter();
    let section = all
        .clone()
        .find(by_login)
        .or_else(|| all.find(|it| it.login.is_none() && it.name == name));
    let attributes = section.into_iter().flat_map(|it| &it.attributes);
    attributes
        .map(|(kind, value)| ((*kind).to_owned(), value.clone()))
        .collect()
}
