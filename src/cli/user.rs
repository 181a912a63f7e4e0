//! `autobot user`: adds, updates, removes and looks up users, in the words of `buildbot user`.

use std::collections::BTreeMap;

use anstream::eprintln;
use anstream::print;
use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::exit::Failure;
use super::options_file::Options;
use super::password;
use super::reach;
use crate::client::UserView;
use crate::client::UsersView;
use crate::master::users::UserOrder;
use crate::master::users::Written;

/// What comes over the wire in place of a password until it is hashed: as long as any.
const UNHASHED: &str = "00000000000000000000000000000000000000000000000000000000";

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    /// What is to be done: `add`, `update`, `remove` or `get`
    #[arg(value_name = "OP")]
    verb: Option<String>,
    /// To add and update, as `--info`; else as `--ids`
    who: Vec<String>,
    /// What is to be done, as Buildbot has it
    #[arg(long, value_name = "OP")]
    op: Option<String>,
    /// Whom to remove or look up: `ID,ID`, as often as wanted. `#3` is the user with that number
    #[arg(long, value_name = "IDS")]
    ids: Vec<String>,
    /// What a user is called: `TYPE=VALUE,…`, to update `ID:TYPE=VALUE,…`; each is one user
    #[arg(long = "info", value_name = "INFO")]
    infos: Vec<String>,
    /// What the user logs in as; to update, with `--bb-password`
    #[arg(long, alias = "bb_username", value_name = "NAME")]
    bb_username: Option<String>,
    /// Its password, which is hashed before it is sent; `-` reads it from the standard input
    #[arg(long, alias = "bb_password", value_name = "PASSWORD")]
    bb_password: Option<String>,
    /// Over the network: who does it, where a token does not say that
    #[arg(short = 'u', long = "username", value_name = "NAME")]
    login: Option<String>,
    /// Its password; `-` reads it from the standard input
    #[arg(short = 'p', long, value_name = "PASSWORD")]
    passwd: Option<String>,
    /// Print a document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

/// Carries the order out and prints the users that it is about.
pub(super) async fn run(args: &UserArgs) -> Done {
    let op = op(args)?;
    let (mut ids, mut infos) = (texts(&args.ids), texts(&args.infos));
    match op {
        "get" | "show" | "remove" => ids.extend(texts(&args.who)),
        _ => infos.extend(texts(&args.who)),
    }
    let written = Written {
        op,
        ids,
        infos,
        username: args.bb_username.as_deref(),
        password: args.bb_password.as_ref().map(|_| UNHASHED),
    };
    // What makes no sense is not sent.
    UserOrder::read(&written).map_err(Failure::new)?;
    let file = Options::find()?;
    let master = master(args, &file)?;
    let login = login(args, &file)?;
    if args.passwd.as_deref() == Some("-") && args.bb_password.as_deref() == Some("-") {
        return Err(Failure::usage("the standard input has one password")
            .hint("`user_passwd = '…'` in the file of options is another place for one's own"));
    }
    let hash = args.bb_password.as_deref().map(password::hash);
    let hash = hash.transpose()?;
    let mut fields = vec![("op", op)];
    fields.extend(written.ids.iter().map(|it| ("ids", *it)));
    fields.extend(written.infos.iter().map(|it| ("info", *it)));
    fields.extend(written.username.map(|it| ("bb_username", it)));
    fields.extend(hash.as_deref().map(|it| ("bb_password", it)));
    let client = match reach::address(&master) {
        // The owner of the directory is known.
        None => reach::client(&master)?,
        Some(_) => {
            let login = login
                .as_ref()
                .map(|(user, said)| (user.as_str(), said.as_str()));
            reach::client_as(&master, login)?
        }
    };
    if args.json {
        let told: Value = client.post("/api/users", &fields).await.map_err(not_sent)?;
        println!("{told:#}");
        return Ok(());
    }
    let told: UsersView = client.post("/api/users", &fields).await.map_err(not_sent)?;
    print!("{}", text(op, &told));
    let is_look = matches!(op, "get" | "show");
    if told.missing.is_empty() || is_look {
        return Ok(());
    }
    for id in &told.missing {
        eprintln!("no match found for `{id}`");
    }
    match told.users.is_empty() {
        true => Err(Failure::told()),
        false => Ok(()),
    }
}

/// Which master; the file of options may say, where the command line does not.
fn master(args: &UserArgs, file: &Options) -> Result<MasterArgs, Failure> {
    let said = &args.master;
    let is_said = said.master.is_some() || said.dir.is_some();
    Ok(MasterArgs {
        dir: said.dir.clone(),
        master: match is_said {
            true => said.master.clone(),
            false => file.text(&["master", "user_master"])?,
        },
        ca: said.ca.clone(),
    })
}

/// Who logs in, if somebody does.
fn login(args: &UserArgs, file: &Options) -> Result<Option<(String, String)>, Failure> {
    let or = |said: &Option<String>, name: &str| match said {
        Some(said) => Ok(Some(said.clone())),
        None => file.text(&[name]),
    };
    match (
        or(&args.login, "user_username")?,
        or(&args.passwd, "user_passwd")?,
    ) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some((user, password))),
        (Some(_), None) => Err(Failure::usage("the password is missing")
            .hint("`--passwd -` reads it from the standard input")),
        (None, Some(_)) => Err(Failure::usage("the name is missing: `--username NAME`")),
    }
}

fn not_sent(error: crate::client::ClientError) -> Failure {
    Failure::because("user op NOT sent", &error)
}

/// The word for what is to be done, in front or behind `--op`.
fn op(args: &UserArgs) -> Result<&str, Failure> {
    match (&args.op, &args.verb) {
        (Some(op), None) | (None, Some(op)) => Ok(op),
        // With `--op`, the word in front is a user.
        (Some(_), Some(verb)) => Err(Failure::new(format!(
            "`--op` and `{verb}` both say what is to be done"
        ))),
        (None, None) => Err(Failure::new("what is to be done with users is missing")
            .hint("autobot user get --ids ann")),
    }
}

fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// What `buildbot user` prints.
fn text(op: &str, told: &UsersView) -> String {
    let head = match op {
        "add" => "user(s) added:",
        "update" => "user(s) updated:",
        "remove" => "user(s) removed:",
        _ => "user(s) found:",
    };
    let mut lines = vec![head.to_owned()];
    for user in &told.users {
        match op {
            "add" => lines.extend([
                format!("identifier: {}", user.identifier),
                format!("uid: {}", user.uid),
                String::new(),
            ]),
            "update" | "remove" => lines.push(format!("identifier: {}", user.identifier)),
            _ => {
                lines.extend(all_of(user));
                lines.push(String::new());
            }
        }
    }
    if matches!(op, "get" | "show") {
        lines.extend(told.missing.iter().map(|_| "no match found".to_owned()));
    }
    lines.join("\n") + "\n"
}

/// `KEY: VALUE` lines of all there is; the name `identifier` of an attribute is hidden by the
/// user's own.
fn all_of(user: &UserView) -> Vec<String> {
    let mut all: BTreeMap<&str, String> = user
        .attributes
        .iter()
        .map(|(kind, value)| (kind.as_str(), value.clone()))
        .collect();
    all.insert("identifier", user.identifier.clone());
    all.insert("uid", user.uid.to_string());
    if let Some(username) = &user.bb_username {
        all.insert("bb_username", username.clone());
    }
    all.into_iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_nearer_than_the_file_of_options() {
        use clap::Parser as _;

        use crate::cli::args::Autobot;
        use crate::cli::args::Verb;

        let file = Options::of_text(
            "user_master = 'ci'\nmaster = 'any'\nuser_username = 'ann'\nuser_passwd = 'pw'\n",
        );
        let with = |line: &[&str], file: &Options| {
            let line = ["autobot", "user", "get", "x"].iter().chain(line);
            let Verb::User(args) = Autobot::try_parse_from(line).unwrap().verb else {
                panic!("user is a verb");
            };
            (master(&args, file).unwrap().master, login(&args, file))
        };
        let pair = |user: &str| Ok(Some((user.to_owned(), "pw".to_owned())));
        assert_eq!(with(&[], &file), (Some("ci".into()), pair("ann")));
        let line = ["-m", "other", "-u", "bo"];
        assert_eq!(with(&line, &file), (Some("other".into()), pair("bo")));
        assert_eq!(with(&["--dir", "bot"], &file).0, None);
        let none = Options::default();
        assert_eq!(with(&[], &none).1, Ok(None));
        assert!(with(&["-u", "bo"], &none).1.is_err());
        assert!(with(&["-p", "pw"], &none).1.is_err());
    }

    fn told(users: &[(&str, i64)], missing: &[&str]) -> UsersView {
        let user = |(identifier, uid): &(&str, i64)| UserView {
            uid: *uid,
            identifier: (*identifier).into(),
            bb_username: Some("bob".into()),
            attributes: [("svn".to_owned(), "bo".to_owned())].into(),
        };
        UsersView {
            users: users.iter().map(user).collect(),
            missing: missing.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn replies_are_those_of_buildbot() {
        let bo = [("bo", 1)];
        let check = |op, told: &UsersView, expected: &str| assert_eq!(text(op, told), expected);
        check(
            "add",
            &told(&bo, &[]),
            "user(s) added:\nidentifier: bo\nuid: 1\n\n",
        );
        check(
            "update",
            &told(&bo, &[]),
            "user(s) updated:\nidentifier: bo\n",
        );
        check(
            "remove",
            &told(&bo, &["zz"]),
            "user(s) removed:\nidentifier: bo\n",
        );
        check(
            "get",
            &told(&[], &["zz"]),
            "user(s) found:\nno match found\n",
        );
        check(
            "show",
            &told(&bo, &[]),
            "user(s) found:\nbb_username: bob\nidentifier: bo\nsvn: bo\nuid: 1\n\n",
        );
    }
}
