//! Users by hand: what `autobot user` asks for, read and carried out. The words are those of
//! `buildbot user`.

use tokio::sync::oneshot;

use crate::logins::Hash;
use crate::master::handle::Denied;
use crate::model::User;
use crate::model::UserId;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreHandle;

/// What a user may be called by; `identifier` is what it is called on pages.
const KINDS: [&str; 8] = [
    "identifier",
    "git",
    "svn",
    "hg",
    "cvs",
    "darcs",
    "bzr",
    "email",
];
/// The longest value.
const LONGEST: usize = 256;

/// Kinds and values, in the order in which they were given.
pub(crate) type Attributes = Vec<(String, String)>;

/// What is to be done with users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserOrder {
    /// Each is one user.
    Add(Vec<Attributes>),
    /// By identifier.
    Update(Vec<(String, Attributes)>, Option<Login>),
    Remove(Vec<String>),
    Get(Vec<String>),
}

/// A name and a hashed password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    username: String,
    password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// An order as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written<'a> {
    pub(crate) op: &'a str,
    /// `ID,ID`.
    pub(crate) ids: Vec<&'a str>,
    /// `TYPE=VALUE,…`, or `ID:TYPE=VALUE,…` to update.
    pub(crate) infos: Vec<&'a str>,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// What was found or done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserReply {
    pub(crate) users: Vec<User>,
    /// Of whom there are none.
    pub(crate) missing: Vec<String>,
}

impl UserOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub(crate) fn read(it: &Written<'_>) -> Result<Self, String> {
        let login = login(it)?;
        let by_ids = match it.op {
            "get" | "show" | "remove" => true,
            "add" | "update" => false,
            op => {
                return Err(format!(
                    "there is no `{op}`; users are added (`add`), updated (`update`), removed \
                     (`remove`) and looked up (`get`)"
                ));
            }
        };
        if login.is_some() && it.op != "update" {
            return Err("a login is set with `update`".into());
        }
        let op = it.op;
        match (by_ids, it.ids.is_empty(), it.infos.is_empty()) {
            (true, true, _) => return Err(format!("`{op}` needs identifiers: `--ids ann,bo`")),
            (true, false, false) => return Err(format!("`{op}` takes identifiers only")),
            (false, _, true) => return Err(format!("`{op}` needs `--info`, for each user once")),
            (false, false, false) => {
                return Err(format!("`{op}` takes no `--ids`; `--info` says who it is"));
            }
            (true, false, true) | (false, true, false) => {}
        }
        if by_ids {
            let ids = it.ids.iter().flat_map(|it| it.split(','));
            let ids: Vec<_> = ids
                .map(|it| it.trim().to_owned())
                .filter(|it| !it.is_empty())
                .collect();
            return Ok(match op {
                "remove" => Self::Remove(ids),
                _ => Self::Get(ids),
            });
        }
        if op == "add" {
            let all = it.infos.iter().map(|it| match name(it) {
                Some(id) => Err(format!(
                    "`add` takes no identifier in front, here `{id}:`; `identifier={id}` gives one"
                )),
                None => attributes(it),
            });
            return Ok(Self::Add(all.collect::<Result<_, _>>()?));
        }
        let all = it.infos.iter().map(|it| match name(it) {
            Some(id) => Ok((id.to_owned(), attributes(&it[id.len() + 1..])?)),
            None if !it.contains('=') && !it.trim().is_empty() => {
                Ok((it.trim().to_owned(), Vec::new()))
            }
            None => Err(format!(
                "`update` needs to know whom: `ID:{it}`, where ID is an identifier"
            )),
        });
        Ok(Self::Update(all.collect::<Result<_, _>>()?, login))
    }

    /// Reads an order as Buildbot's command sends it: users are lists of kinds and values, and
    /// who is updated is named by `identifier`.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub(crate) fn of_call(
        op: &str,
        ids: Vec<String>,
        infos: Vec<Attributes>,
        login: (Option<&str>, Option<&str>),
    ) -> Result<Self, String> {
        let infos = infos.into_iter().map(|mut info| {
            for (kind, value) in &mut info {
                *kind = kind.trim().to_owned();
                *value = value.trim().to_owned();
                check_attribute(kind, value)?;
            }
            Ok(info)
        });
        let infos = infos.collect::<Result<Vec<_>, String>>()?;
        let login = self::login(&Written {
            op,
            username: login.0,
            password: login.1,
            ..Written::default()
        })?;
        match (op, login) {
            ("add", None) if ids.is_empty() && !infos.is_empty() => Ok(Self::Add(infos)),
            ("remove", None) if infos.is_empty() && !ids.is_empty() => Ok(Self::Remove(ids)),
            ("get" | "show", None) if infos.is_empty() && !ids.is_empty() => Ok(Self::Get(ids)),
            ("update", login) if ids.is_empty() && !infos.is_empty() => {
                let whom = infos.into_iter().map(|mut info| {
                    let place = info.iter().position(|(kind, _)| kind == "identifier");
                    let place = place.ok_or("`update` needs to know whom: `identifier`")?;
                    let (_, id) = info.remove(place);
                    Ok((id, info))
                });
                Ok(Self::Update(whom.collect::<Result<_, String>>()?, login))
            }
            ("add" | "remove" | "get" | "show" | "update", _) => Err(format!(
                "`{op}` goes with identifiers or with users, and a login with `update` only"
            )),
            (op, _) => Err(format!(
                "there is no `{}`; users are added (`add`), updated (`update`), removed \
                 (`remove`) and looked up (`get`)",
                op.escape_debug().take(100).collect::<String>()
            )),
        }
    }

    /// Carries it out, all of it or nothing.
    ///
    /// # Errors
    /// It is about a user of the configuration, or about several of one name, or would give one
    /// user what is another's.
    pub(crate) async fn carry_out(self, store: &StoreHandle) -> Result<UserReply, Denied> {
        // What is refused is rolled back, and why goes by here.
        let (tell, told) = oneshot::channel();
        let done = store.write(move |verbs| {
            self.carry_out_in(verbs).map_err(|refused| match refused {
                Refused::Store(error) => error,
                Refused::Order(what) => {
                    drop(tell.send(what));
                    StoreError::new("it was refused")
                }
            })
        });
        match done.await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(told.await.map_or(Denied::Store(error), Denied::NotForUsers)),
        }
    }

    fn carry_out_in(self, verbs: &mut dyn Store) -> Result<UserReply, Refused> {
        let mut reply = UserReply::default();
        match self {
            Self::Get(ids) => {
                for id in ids {
                    let found = called(verbs, &id)?;
                    if found.is_empty() {
                        reply.missing.push(id);
                    }
                    reply.users.extend(found);
                }
            }
            Self::Remove(ids) => {
                for id in ids {
                    match alone(verbs, &id)? {
                        Some(user) => {
                            verbs.remove_user(user.id)?;
                            reply.users.push(user);
                        }
                        None => reply.missing.push(id),
                    }
                }
            }
            Self::Add(all) => {
                for attributes in all {
                    let id = add(verbs, &attributes)?;
                    reply.users.extend(verbs.user(id)?);
                }
            }
            Self::Update(all, login) => {
                for (id, attributes) in all {
                    let Some(user) = alone(verbs, &id)? else {
                        reply.missing.push(id);
                        continue;
                    };
                    set(verbs, user.id, &attributes)?;
                    if let Some(login) = &login
                        && !verbs.set_login(user.id, &login.username, &login.password)?
                    {
                        let what = format!("another user logs in as `{}`", login.username);
                        return Err(Refused::Order(what));
                    }
                    reply.users.extend(verbs.user(user.id)?);
                }
            }
        }
        Ok(reply)
    }
}

/// Why nothing is done.
enum Refused {
    Order(String),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Makes a user, or adds to the one who is called so already.
fn add(verbs: &mut dyn Store, attributes: &Attributes) -> Result<UserId, Refused> {
    let named = attributes.iter().find(|(kind, _)| kind == "identifier");
    let known = attributes.iter().filter(|(kind, _)| kind != "identifier");
    let mut user = None;
    for (kind, value) in known {
        user = verbs.user_with(kind, value)?;
        if user.is_some() {
            break;
        }
    }
    let user = match user {
        Some(user) => {
            if let Some(user) = verbs.user(user)? {
                check_section(&user)?;
            }
            user
        }
        None => {
            let identifier = named.or_else(|| attributes.first());
            let identifier = identifier.map_or("", |(_, value)| value.as_str());
            verbs.add_user(identifier)?
        }
    };
    set(verbs, user, attributes)?;
    Ok(user)
}

fn set(verbs: &mut dyn Store, user: UserId, attributes: &Attributes) -> Result<(), Refused> {
    for (kind, value) in attributes {
        if kind == "identifier" {
            verbs.set_identifier(user, value)?;
            continue;
        }
        match verbs.user_with(kind, value)? {
            Some(other) if other != user => {
                let other = verbs.user(other)?.map(|it| shown(&it)).unwrap_or_default();
                let what = format!("{kind} `{value}` is user {other}");
                return Err(Refused::Order(what));
            }
            _ => verbs.set_attribute(user, kind, value)?,
        }
    }
    Ok(())
}

/// Users with this identifier, or the one with this number, as `#3`.
fn called(verbs: &mut dyn Store, id: &str) -> Result<Vec<User>, Refused> {
    let number = id.strip_prefix('#').and_then(|it| it.parse().ok());
    if let Some(number) = number
        && let Some(user) = verbs.user(UserId(number))?
    {
        return Ok(vec![user]);
    }
    Ok(verbs.users_called(id)?)
}

/// The one user with this identifier, who is to be changed.
fn alone(verbs: &mut dyn Store, id: &str) -> Result<Option<User>, Refused> {
    let mut found = called(verbs, id)?;
    if found.len() > 1 {
        let numbers: Vec<_> = found.iter().map(|it| format!("`#{}`", it.id)).collect();
        let what = format!(
            "{} users are called `{id}`; say which by its number: {}",
            found.len(),
            numbers.join(", ")
        );
        return Err(Refused::Order(what));
    }
    let user = found.pop();
    user.iter().try_for_each(check_section)?;
    Ok(user)
}

fn check_section(user: &User) -> Result<(), Refused> {
    match &user.section {
        Some(section) => Err(Refused::Order(format!(
            "user {} is `[user:{section}]` of the configuration; change that and `autobot reconfig`",
            shown(user)
        ))),
        None => Ok(()),
    }
}

fn shown(user: &User) -> String {
    format!("`{}` (#{})", user.identifier, user.id)
}

/// What stands before the colon of the first part.
fn name(info: &str) -> Option<&str> {
    let first = info.split(',').next().unwrap_or_default();
    first.split_once(':').map(|(id, _)| id)
}

fn attributes(info: &str) -> Result<Attributes, String> {
    let parts = info.split(',').map(|part| {
        let Some((kind, value)) = part.split_once('=') else {
            return Err(format!("`{part}` is not `TYPE=VALUE`"));
        };
        let (kind, value) = (kind.trim(), value.trim());
        check_attribute(kind, value)?;
        Ok((kind.to_owned(), value.to_owned()))
    });
    parts.collect()
}

fn check_attribute(kind: &str, value: &str) -> Result<(), String> {
    if !KINDS.contains(&kind) {
        return Err(format!(
            "there is no type `{}`; there are {}",
            kind.escape_debug().take(100).collect::<String>(),
            KINDS.map(|it| format!("`{it}`")).join(", ")
        ));
    }
    line(kind, value)?;
    if kind == "email" && !value.contains('@') {
        return Err(format!("`{value}` is no mail address"));
    }
    Ok(())
}

fn line(what: &str, value: &str) -> Result<(), String> {
    if value.is_empty() || value.len() > LONGEST || value.contains(char::is_control) {
        return Err(format!(
            "`{what}` is one line of at most {LONGEST} bytes, and not empty"
        ));
    }
    Ok(())
}

fn login(it: &Written<'_>) -> Result<Option<Login>, String> {
    let (username, password) = match (it.username, it.password) {
        (None, None) => return Ok(None),
        (Some(username), Some(password)) => (username, password),
        _ => return Err("`--bb-username` and `--bb-password` go together".into()),
    };
    line("bb_username", username)?;
    Hash::read(password)
        .map_err(|_| "the password was not hashed; `autobot user` does that".to_owned())?;
    line("bb_password", password)?;
    Ok(Some(Login {
        username: username.to_owned(),
        password: password.to_owned(),
    }))
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
