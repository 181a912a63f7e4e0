//! `[user:NAME]`: a person, by the names that version control knows.

use std::collections::BTreeMap;

use super::Authz;
use super::Password;
use crate::model::UserSection;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Value;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserPlan {
    pub(crate) name: String,
    /// By kind: `email`, `git`, `svn` and so on.
    pub(crate) attributes: BTreeMap<&'static str, String>,
    /// Name and password on the pages.
    pub(crate) login: Option<(String, Password)>,
}

impl UserPlan {
    /// What the store keeps of it.
    pub(crate) fn section(&self) -> UserSection {
        let attributes = self.attributes.iter();
        UserSection {
            name: self.name.clone(),
            attributes: attributes
                .map(|(kind, value)| ((*kind).to_owned(), value.clone()))
                .collect(),
        }
    }
}

/// A section as it was read, with the places of its attributes.
pub(super) struct User {
    pub(super) plan: UserPlan,
    places: Vec<(&'static str, Place)>,
    /// Where what it logs in as stands.
    login_place: Option<Place>,
}

/// What a person is called, and by whom.
const ATTRIBUTES: [&str; 8] = ["email", "git", "hg", "svn", "cvs", "darcs", "bzr", "irc"];

/// What a person is called: one line.
struct Called(String);

impl Value for Called {
    const EXPECTED: &'static str = "a name of one line and at most 128 bytes";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let is_good = !text.is_empty() && text.len() <= 128 && !text.contains(char::is_control);
        is_good
            .then(|| Self(text.to_owned()))
            .ok_or_else(Misread::default)
    }
}

/// Reads the section of the user `name`.
pub(super) fn read(name: &str, keys: &mut Keys<'_>) -> Option<User> {
    let mut attributes = BTreeMap::new();
    let mut places = Vec::new();
    let mut is_good = true;
    for kind in ATTRIBUTES {
        match keys.optional::<Called>(kind) {
            None => is_good = false,
            Some(None) => {}
            Some(Some(Called(text))) => {
                if kind == "email" && !is_address(&text) {
                    keys.wrong("email", "expected a mail address such as `ann@example.org`");
                    is_good = false;
                }
                places.push((kind, keys.place(kind)));
                attributes.insert(kind, text);
            }
        }
    }
    let username = keys.optional_as::<Called>(&["username", "bb_username"]);
    let password = keys.optional_as::<Password>(&["password", "bb_password"]);
    let header = keys.header().clone();
    let login = match (username?, password?) {
        (None, None) => None,
        (Some(username), Some(password)) => Some((username.0, password)),
        (username, _) => {
            let (there, missing) = match username {
                Some(_) => ("username", "password"),
                None => ("password", "username"),
            };
            let what = format!("`{missing}` is missing in {}", keys.title());
            let problem = Problem::error(Code::MissingKey, what)
                .at(&header)
                .label(format!("`{there}` is set, and only both make a login"));
            keys.note(problem);
            return None;
        }
    };
    let plan = UserPlan {
        name: name.to_owned(),
        attributes,
        login,
    };
    let login_place = ["username", "bb_username"]
        .into_iter()
        .find_map(|it| keys.set_at(it));
    is_good.then_some(User {
        plan,
        places,
        login_place,
    })
}

/// Looks at logins: two users cannot have the same, and one that nobody asks for is told.
pub(super) fn check_logins(users: &[User], authz: &Authz, problems: &mut Problems) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for user in users {
        let (Some((name, _)), Some(place)) = (&user.plan.login, &user.login_place) else {
            continue;
        };
        if !authz.accounts.of_sections {
            let what = format!("the login of `{}` has no effect", user.plan.name);
            let problem = Problem::warning(Code::NoEffect, what)
                .at(place)
                .label("nobody is asked for it")
                .help("`user_sections = yes` in [:authz:] lets those log in who have one here");
            problems.note(problem);
        }
        if let Some(first) = seen.insert(name, place) {
            let problem = Problem::error(Code::Duplicate, "two users log in by one name")
                .at(place)
                .label("the second one")
                .also(first, "the first one");
            problems.note(problem);
        }
    }
}

fn is_address(text: &str) -> bool {
    let address = match text.strip_suffix('>') {
        Some(named) => named.rsplit_once('<').map_or("", |(_, it)| it),
        None => text,
    };
    let Some((user, host)) = address.split_once('@') else {
        return false;
    };
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '.';
    let is_bad = |it: char| it.is_whitespace() || "<>,;:\"()@".contains(it);
    !user.is_empty()
        && !user.contains(is_bad)
        && host.contains('.')
        && host.split('.').all(|it| !it.is_empty())
        && host.chars().all(is_part)
}

/// Two people cannot be called the same by one version control, and one name
/// and password lets one of them in.
pub(super) fn check(users: &[User], problems: &mut Problems) {
    let mut seen: BTreeMap<(&str, &str), &Place> = BTreeMap::new();
    for user in users {
        for (kind, place) in &user.places {
            let Some(text) = user.plan.attributes.get(kind) else {
                continue;
            };
            match seen.get(&(*kind, text.as_str())) {
                Some(first) => {
                    let what = format!("two users have the same `{kind}`");
                    let problem = Problem::error(Code::Duplicate, what)
                        .at(place)
                        .label("the second one")
                        .also(first, "the first one");
                    problems.note(problem);
                }
                None => {
                    seen.insert((kind, text), place);
                }
            }
        }
    }
}
