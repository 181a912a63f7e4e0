//! `[:authz:]`: who may do what through the pages. Without the section,
//! everybody may do everything on `htmlport`, as ever; with it, what is not
//! allowed is refused. The owner's own command line is never asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::expr::Expression;
use crate::expr::names;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::HiddenText;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;
use crate::syntax::same;

/// What a visitor of the pages may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    ForceBuild,
    StopBuild,
    CancelPendingBuild,
    Reload,
    PauseSlave,
    GracefulShutdown,
    ForceAllBuilds,
    PingBuilder,
    StopAllBuilds,
    StopChange,
    CleanShutdown,
    ShowUsersPage,
    Prune,
    ManageUsers,
}

impl Action {
    pub(crate) const ALL: [Self; 14] = [
        Self::ForceBuild,
        Self::StopBuild,
        Self::CancelPendingBuild,
        Self::Reload,
        Self::PauseSlave,
        Self::GracefulShutdown,
        Self::ForceAllBuilds,
        Self::PingBuilder,
        Self::StopAllBuilds,
        Self::StopChange,
        Self::CleanShutdown,
        Self::ShowUsersPage,
        Self::Prune,
        Self::ManageUsers,
    ];

    /// Its key.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ForceBuild => "force_build",
            Self::StopBuild => "stop_build",
            Self::CancelPendingBuild => "cancel_pending_build",
            Self::Reload => "reload",
            Self::PauseSlave => "pause_slave",
            Self::GracefulShutdown => "graceful_shutdown",
            Self::ForceAllBuilds => "force_all_builds",
            Self::PingBuilder => "ping_builder",
            Self::StopAllBuilds => "stop_all_builds",
            Self::StopChange => "stop_change",
            Self::CleanShutdown => "clean_shutdown",
            Self::ShowUsersPage => "show_users_page",
            Self::Prune => "prune",
            Self::ManageUsers => "manage_users",
        }
    }

    /// Whether the pages of this version can do it.
    const fn exists(self) -> bool {
        match self {
            Self::ForceBuild
            | Self::StopBuild
            | Self::CancelPendingBuild
            | Self::Reload
            | Self::PauseSlave
            | Self::GracefulShutdown
            | Self::ForceAllBuilds
            | Self::StopAllBuilds
            | Self::StopChange
            | Self::CleanShutdown
            | Self::ShowUsersPage
            | Self::Prune
            | Self::PingBuilder
            | Self::ManageUsers => true,
        }
    }
}

/// Who may do it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rule {
    Everybody,
    Nobody,
    /// Who has logged in.
    Authenticated,
    /// Who has logged in and is let in by the expression.
    If(Expression),
}

impl Value for Rule {
    const EXPECTED: &'static str =
        "`yes`, `no`, `authenticated`, or a condition such as `user.name == \"ann\"`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        if let Ok(allowed) = bool::read(node) {
            return Ok(if allowed {
                Self::Everybody
            } else {
                Self::Nobody
            });
        }
        match node.as_text()? {
            // What Buildbot calls it.
            "authenticated" | "auth" => Ok(Self::Authenticated),
            word if word.chars().all(char::is_alphanumeric) => Err(Misread {
                what: nearest(word, ["yes", "no", "authenticated"])
                    .map(|near| format!("did you mean `{near}`?")),
                ..Misread::default()
            }),
            _ => Expression::read_in(node, &names::USER).map(Self::If),
        }
    }
}

/// Whether an action is allowed, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted,
    /// Nobody may do it.
    Refused,
    /// Who has logged in might, and nobody can log in.
    NeedsLogin,
}

/// Who may do what through the pages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Authz {
    default: Rule,
    rules: BTreeMap<Action, Rule>,
    accounts: Accounts,
}

/// Where names and passwords are looked up, once somebody can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Accounts {
    None,
    /// Names and passwords.
    Listed(Vec<(String, HiddenText)>),
    Htpasswd(PathBuf),
    /// Those of `[user:NAME]` sections.
    Users,
}

impl Default for Authz {
    /// Without the section everybody may do everything.
    fn default() -> Self {
        Self {
            default: Rule::Everybody,
            rules: BTreeMap::new(),
            accounts: Accounts::None,
        }
    }
}

impl Authz {
    /// Whether a visitor may do it. Nobody can log in yet, so every rule that
    /// asks who it is refuses. Users are managed only where that is said by its name.
    pub(crate) fn permits(&self, action: Action) -> Permission {
        let usual = match action {
            Action::ManageUsers => &Rule::Nobody,
            _ => &self.default,
        };
        match self.rules.get(&action).unwrap_or(usual) {
            Rule::Everybody => Permission::Granted,
            Rule::Nobody => Permission::Refused,
            Rule::Authenticated | Rule::If(_) => Permission::NeedsLogin,
        }
    }
}

/// Says that `allow_force` of `[:web:]` and the section `[:authz:]` are two
/// answers to one question.
pub(super) fn check_with_web(authz: &Section, web: &Section, problems: &mut Problems) {
    let entries = web.entries.iter();
    if let Some(entry) = entries.into_iter().find(|it| same(&it.key, "allow_force")) {
        let what = "`allow_force` and `[:authz:]` both say who may do what";
        let problem = Problem::error(Code::Contradiction, what)
            .at(&entry.key_place)
            .label("either this")
            .also(&authz.place, "or this")
            .help("`[:authz:]` alone says all of it");
        problems.note(problem);
    }
}

const REFUSES: &str = "nobody can log in in this version, so this refuses everybody";

/// Reads the section. What is not named is refused.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Authz> {
    let default = keys.optional::<Rule>("default_action");
    let mut rules = BTreeMap::new();
    let mut is_good = true;
    for action in Action::ALL {
        match keys.optional::<Rule>(action.as_str()) {
            None => is_good = false,
            Some(None) => {}
            Some(Some(rule)) => {
                if action.exists() {
                    warn_of_logins(keys, action.as_str(), &rule);
                } else {
                    let why = "the pages of this version have no such action";
                    keys.without_effect(action.as_str(), why);
                }
                rules.insert(action, rule);
            }
        }
    }
    if let Some(Some(rule)) = &default {
        warn_of_logins(keys, "default_action", rule);
    }
    let accounts = accounts(keys);
    let default = default?.unwrap_or(Rule::Nobody);
    let accounts = accounts?;
    is_good.then_some(Authz {
        default,
        rules,
        accounts,
    })
}

fn warn_of_logins(keys: &mut Keys<'_>, key: &str, rule: &Rule) {
    let (Rule::Authenticated | Rule::If(_)) = rule else {
        return;
    };
    let what = format!("`{key}` needs a login");
    let problem = Problem::warning(Code::NoEffect, what)
        .at(&keys.place(key))
        .label(REFUSES)
        .help("`autobot` on the master's own machine is never refused");
    keys.note(problem);
}

/// `users` as `NAME:PASSWORD` items, or one of the other places.
fn accounts(keys: &mut Keys<'_>) -> Option<Accounts> {
    let listed = keys.optional::<Listed>("users");
    let htpasswd = keys.optional::<PathBuf>("htpasswd");
    let users_auth = keys.or("user_sections", false);
    let (listed, htpasswd, users_auth) = (listed?, htpasswd?, users_auth?);
    let said: Vec<_> = [
        ("users", listed.is_some()),
        ("htpasswd", htpasswd.is_some()),
        ("user_sections", users_auth),
    ]
    .into_iter()
    .filter_map(|(name, is_said)| is_said.then_some(name))
    .collect();
    if let [first, second, ..] = said.as_slice() {
        let what = format!("`{first}` and `{second}` both say who can log in");
        let problem = Problem::error(Code::Contradiction, what)
            .at(&keys.place(second))
            .label("either this")
            .also(&keys.place(first), "or this");
        keys.note(problem);
        return None;
    }
    for name in said {
        keys.without_effect(name, "nobody can log in in this version");
    }
    Some(match (listed, htpasswd) {
        (Some(listed), _) => Accounts::Listed(listed.0),
        (_, Some(path)) => Accounts::Htpasswd(path),
        (None, None) if users_auth => Accounts::Users,
        (None, None) => Accounts::None,
    })
}

/// Names and passwords.
struct Listed(Vec<(String, HiddenText)>);

impl Value for Listed {
    const EXPECTED: &'static str = "items such as `ann:PASSWORD`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all: Vec<(String, HiddenText)> = Vec::new();
        for (item, place) in Vec::<(String, Place)>::read(node)? {
            let wrong = |what: &str| Misread {
                what: Some(what.to_owned()),
                place: Some(place.clone()),
                ..Misread::default()
            };
            let (name, password) = item
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| wrong("expected `NAME:PASSWORD`"))?;
            if all.iter().any(|(it, _)| it == name) {
                return Err(wrong("this name stands twice"));
            }
            let password = HiddenText::read(&Node {
                place: place.clone(),
                content: Content::Text(password.to_owned()),
            })
            .map_err(|_| wrong("there is no password behind the colon"))?;
            all.push((name.to_owned(), password));
        }
        Ok(Self(all))
    }
}
