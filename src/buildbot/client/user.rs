//! What `buildbot user` asks for, and the texts that it prints.

use std::fmt::Write;

use crate::model::User;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

/// An order about users, as it was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserCall {
    pub(crate) op: String,
    pub(crate) username: Option<String>,
    /// Hashed by the client.
    pub(crate) password: Option<String>,
    pub(crate) ids: Vec<String>,
    /// Kinds and values of each user; one of the kinds is `identifier`.
    pub(crate) infos: Vec<Vec<(String, String)>>,
}

/// What was found or done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsersFound {
    pub(crate) users: Vec<User>,
    /// Of whom there are none.
    pub(crate) missing: Vec<String>,
}

/// Reads the arguments of `commandline`.
pub(super) fn read(arguments: &Arguments) -> Result<UserCall, String> {
    let argument = |place: usize, name: &str| arguments.get(place, name).unwrap_or(&Value::None);
    let text = |value: &Value, what: &str| match value {
        Value::None => Ok(None),
        value => match value.as_text() {
            Some(text) => Ok(Some(text)),
            None => Err(format!("{what} is {value}")),
        },
    };
    let list = |value: &Value, what: &str| match value {
        Value::None => Ok(Vec::new()),
        value => match value.items() {
            Some(items) => Ok(items.to_vec()),
            None => Err(format!("{what} are {value}, and not a list")),
        },
    };
    let op = text(argument(0, "op"), "the operation")?.ok_or("the operation is missing")?;
    let ids = list(argument(3, "ids"), "the identifiers")?;
    let ids: Option<Vec<String>> = ids.iter().map(Value::as_text).collect();
    let infos = list(argument(4, "info"), "the users")?;
    let info = |info: &Value| {
        let Value::Dict(pairs) = info else {
            return None;
        };
        let pair = |(kind, value): &(Value, Value)| Some((kind.as_text()?, value.as_text()?));
        pairs.iter().map(pair).collect()
    };
    let infos: Option<Vec<_>> = infos.iter().map(info).collect();
    Ok(UserCall {
        op,
        username: text(argument(1, "bb_username"), "the user name")?,
        password: text(argument(2, "bb_password"), "the password")?,
        ids: ids.ok_or("an identifier is no text")?,
        infos: infos.ok_or("a user is a dictionary of texts")?,
    })
}

/// The words for what came of it. A password is never among them.
pub(super) fn told(call: &UserCall, found: &UsersFound) -> String {
    let done = match call.op.as_str() {
        "add" => "added",
        "remove" => "removed",
        "update" => "updated",
        _ => "found",
    };
    let mut told = format!("user(s) {done}:\n");
    for user in &found.users {
        let identifier = &user.identifier;
        // Into a text nothing fails.
        let _ = match done {
            "added" => writeln!(told, "identifier: {identifier}\nuid: {}\n", user.id),
            "found" => {
                let username = user.username.as_deref().unwrap_or("None");
                let _ = write!(
                    told,
                    "uid: {}\nidentifier: {identifier}\nbb_username: {username}\nattributes:\n",
                    user.id
                );
                for (kind, value) in &user.attributes {
                    let _ = writeln!(told, "\t{kind}: {value}");
                }
                writeln!(told)
            }
            _ => writeln!(told, "identifier: {identifier}"),
        };
    }
    for id in &found.missing {
        let _ = match done {
            "found" => writeln!(told, "no match found"),
            _ => writeln!(told, "no match found: {id}"),
        };
    }
    told
}
