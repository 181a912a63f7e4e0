//! `[:authz:]`: who may do what through the pages, and who can log in. Without the section,
//! everybody may do everything on `htmlport`, as ever; with it, what is not
//! allowed is refused. The owner's own command line is never asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::warn;

use super::accounts;
use super::accounts::Accounts;
use super::persons::About;
use super::persons::Person;
use crate::expr::Context;
use crate::expr::Expression;
use crate::expr::Values;
use crate::expr::names;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
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
    ShowAudit,
    View,
}

impl Action {
    pub(crate) const ALL: [Self; 16] = [
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
        Self::ShowAudit,
        Self::View,
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
            Self::ShowAudit => "show_audit",
            Self::View => "view",
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
            | Self::ManageUsers
            | Self::ShowAudit
            | Self::View => true,
        }
    }

    /// The action that is called so.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What holds where neither the rule nor `default_action` says anything. Some are never
    /// meant by what is said of all the others.
    const fn own_default(self) -> Option<Rule> {
        match self {
            Self::ManageUsers | Self::ShowAudit => Some(Rule::Nobody),
            Self::View => Some(Rule::Everybody),
            _ => None,
        }
    }

    /// The names that its condition may use.
    fn context(self) -> &'static Context {
        match self {
            Self::ForceBuild | Self::ForceAllBuilds | Self::PingBuilder => &names::USER_OF_BUILDER,
            Self::StopBuild => &names::USER_OF_BUILD,
            Self::CancelPendingBuild | Self::StopChange => &names::USER_OF_REQUEST,
            Self::PauseSlave | Self::GracefulShutdown => &names::USER_OF_SLAVE,
            Self::Reload
            | Self::StopAllBuilds
            | Self::CleanShutdown
            | Self::ShowUsersPage
            | Self::Prune
            | Self::ManageUsers
            | Self::ShowAudit
            | Self::View => &names::USER,
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

/// A rule as it is written: a condition is compiled when it is known what it is about.
enum Written {
    Rule(Rule),
    Condition(Node),
}

impl Value for Written {
    const EXPECTED: &'static str =
        "`yes`, `no`, `authenticated`, or a condition such as `user == \"ann\"`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        if let Ok(allowed) = bool::read(node) {
            return Ok(Self::Rule(match allowed {
                true => Rule::Everybody,
                false => Rule::Nobody,
            }));
        }
        match node.as_text()? {
            // What Buildbot calls it.
            "authenticated" | "auth" => Ok(Self::Rule(Rule::Authenticated)),
            // What is one word is a slip, not a condition; a name that is always there is one.
            word if word != "owner" && word.chars().all(char::is_alphanumeric) => Err(Misread {
                what: nearest(word, ["yes", "no", "authenticated", "owner"])
                    .map(|near| format!("did you mean `{near}`?")),
                ..Misread::default()
            }),
            _ => Ok(Self::Condition(node.clone())),
        }
    }
}

impl Written {
    /// The rule, if its condition is one over the names of `context`.
    fn compiled(self, keys: &mut Keys<'_>, key: &str, context: &Context) -> Option<Rule> {
        let node = match self {
            Self::Rule(rule) => return Some(rule),
            Self::Condition(node) => node,
        };
        match Expression::read_in(&node, context) {
            Ok(it) => Some(Rule::If(it)),
            Err(misread) => {
                let what = format!("bad value for `{key}` in {}", keys.title());
                let place = misread.place.as_ref().unwrap_or(&node.place);
                let label = misread.what.unwrap_or_default();
                let code = misread.code.unwrap_or(Code::BadExpression);
                keys.note(Problem::error(code, what).at(place).label(label));
                None
            }
        }
    }
}

/// Whether an action is allowed, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted,
    /// This visitor may not do it.
    Refused,
    /// Who has logged in might.
    NeedsLogin,
}

/// Groups of users by name.
type Groups = BTreeMap<String, Vec<String>>;

/// Who may do what through the pages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Authz {
    default: Rule,
    rules: BTreeMap<Action, Rule>,
    roles: Groups,
    teams: Groups,
    pub(crate) accounts: Accounts,
    /// How long a session lasts without anybody coming with it.
    pub(crate) session_idle: Duration,
    /// How long it lasts in any case.
    pub(crate) session_life: Duration,
    /// How long an entry of the audit log is kept.
    pub(crate) audit_horizon: Duration,
    /// How many of them are kept.
    pub(crate) audit_entries: u32,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Authz {
    /// Without the section everybody may do everything.
    fn default() -> Self {
        Self {
            default: Rule::Everybody,
            rules: BTreeMap::new(),
            roles: Groups::new(),
            teams: Groups::new(),
            accounts: Accounts::default(),
            session_idle: 7 * DAY,
            session_life: 30 * DAY,
            audit_horizon: 365 * DAY,
            audit_entries: 100_000,
        }
    }
}

impl Authz {
    fn rule(&self, action: Action) -> Rule {
        let own = self.rules.get(&action).cloned();
        own.or_else(|| action.own_default())
            .unwrap_or_else(|| self.default.clone())
    }

    /// Whether somebody may do it. A condition is asked of who has logged in, and of nobody else.
    pub(crate) fn permits(
        &self,
        action: Action,
        person: Option<&Person>,
        about: &About,
    ) -> Permission {
        match (self.rule(action), person) {
            (Rule::Everybody, _) | (Rule::Authenticated, Some(_)) => Permission::Granted,
            (Rule::Nobody, _) => Permission::Refused,
            (Rule::Authenticated | Rule::If(_), None) => Permission::NeedsLogin,
            (Rule::If(condition), Some(person)) => {
                match condition.holds(&self.values(person, about)) {
                    Ok(true) => Permission::Granted,
                    Ok(false) => Permission::Refused,
                    Err(error) => {
                        warn!(
                            action = action.as_str(),
                            user = person.name(),
                            reason = %error,
                            "the rule cannot be computed; it refuses"
                        );
                        Permission::Refused
                    }
                }
            }
        }
    }

    /// Whether a page shows the form of an action: also where it would be allowed for some of
    /// what is on the page. `about` is what the page is about.
    pub(crate) fn offers(
        &self,
        action: Action,
        person: Option<&Person>,
        about: Option<&About>,
    ) -> Permission {
        if person.is_some() && about.is_none() {
            const OF_TARGETS: [&str; 6] =
                ["builder", "build", "request", "slave", "branch", "owner"];
            if OF_TARGETS.iter().any(|it| self.asks_about(action, it)) {
                return Permission::Granted;
            }
        }
        self.permits(action, person, about.unwrap_or(&About::default()))
    }

    /// Whether the rule of an action asks about a name, such as `owner`.
    pub(crate) fn asks_about(&self, action: Action, name: &str) -> bool {
        matches!(self.rule(action), Rule::If(condition) if condition.uses(name))
    }

    fn values(&self, person: &Person, about: &About) -> Values {
        let of = |groups: &Groups| -> Vec<String> {
            let all = groups.iter();
            all.filter(|(_, users)| users.iter().any(|it| it == person.name()))
                .map(|(name, _)| name.clone())
                .collect()
        };
        let user = person.value(of(&self.roles), of(&self.teams));
        about
            .values(person)
            .with("user", user)
            .with("role", group_values(&self.roles))
            .with("team", group_values(&self.teams))
    }
}

fn group_values(groups: &Groups) -> serde_json::Value {
    let all = groups.iter();
    all.map(|(name, users)| (name.clone(), users.clone().into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
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

/// Reads the section. What is not named is refused.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Authz> {
    let roles = keys.map::<Vec<String>>("role");
    let teams = keys.map::<Vec<String>>("team");
    let names = |groups: &Option<Groups>| -> Vec<String> {
        groups.iter().flatten().map(|it| it.0.clone()).collect()
    };
    let (role_names, team_names) = (names(&roles), names(&teams));
    let context = |context: &Context| {
        context
            .with_inside("role", role_names.clone())
            .with_inside("team", team_names.clone())
    };
    let mut rules = BTreeMap::new();
    let mut is_good = roles.is_some() && teams.is_some();
    let mut asks = Vec::new();
    let default = keys.optional::<Written>("default_action");
    is_good &= default.is_some();
    let default = match default.flatten() {
        None => Some(Rule::Nobody),
        Some(it) => it.compiled(keys, "default_action", &context(&names::USER)),
    };
    if let Some(Rule::Authenticated | Rule::If(_)) = &default {
        asks.push("default_action");
    }
    for action in Action::ALL {
        let key = action.as_str();
        let Some(written) = keys.optional::<Written>(key) else {
            is_good = false;
            continue;
        };
        let Some(written) = written else { continue };
        let Some(rule) = written.compiled(keys, key, &context(action.context())) else {
            is_good = false;
            continue;
        };
        if !action.exists() {
            let why = "the pages of this version have no such action";
            keys.without_effect(key, why);
        } else if matches!(rule, Rule::Authenticated | Rule::If(_)) {
            asks.push(key);
        }
        if matches!((action, &rule), (Action::ManageUsers, Rule::Everybody)) {
            warn_of_everybody(keys, key);
        }
        rules.insert(action, rule);
    }
    let accounts = accounts::read(keys);
    let usual = Authz::default();
    let session_idle = keys.or("session_idle", usual.session_idle);
    let session_life = keys.or("session_life", usual.session_life);
    let audit_horizon = keys.or("audit_horizon", usual.audit_horizon);
    let audit_entries = keys.or("audit_entries", usual.audit_entries);
    let accounts = accounts?;
    if accounts.is_none() {
        asks.iter().for_each(|key| warn_of_logins(keys, key));
    }
    let authz = Authz {
        default: default?,
        rules,
        roles: roles?,
        teams: teams?,
        accounts,
        session_idle: session_idle?,
        session_life: session_life?,
        audit_horizon: audit_horizon?,
        audit_entries: audit_entries?,
    };
    is_good.then_some(authz)
}

fn warn_of_logins(keys: &mut Keys<'_>, key: &str) {
    let what = format!("`{key}` needs a login, and nobody can log in");
    let problem = Problem::warning(Code::NoEffect, what)
        .at(&keys.place(key))
        .label("this refuses everybody")
        .help("`users`, `htpasswd`, `user_sections` or `database_users` says who can log in")
        .help("`autobot` on the master's own machine is never refused");
    keys.note(problem);
}

fn warn_of_everybody(keys: &mut Keys<'_>, key: &str) {
    let what = format!("`{key}` is allowed to everybody");
    let problem = Problem::warning(Code::OpenAction, what)
        .at(&keys.place(key))
        .label("whoever reaches the port makes users and tokens")
        .help("`authenticated`, or a condition such as `user in role.admin`");
    keys.note(problem);
}
