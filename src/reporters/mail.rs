//! `mail`: a mail for a finished build.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::expr::Template;
use crate::mail::Post;
use crate::mail::Relay;
use crate::model::Outcome;
use crate::syntax::Code;
use crate::syntax::HiddenText;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Event;
use super::Previous;
use super::ReporterKind;
use super::Selection;
use super::Settings;
use super::Verdict;
use super::What;
use super::is_same;
use super::values;
use super::values::Address;
use super::values::Addresses;
use super::values::Host;
use super::values::Placed;
use super::values::Port;

pub(super) const KIND: ReporterKind = ReporterKind {
    name: "mail",
    aliases: &["MailNotifier"],
    summary: "Mails the people of a finished build, and a list.",
    example: "fromaddr = ci@example.org
mode = problem
extra_recipients = builds@example.org
lookup = example.org
subject = {{ builder }}: {{ result }}",
    missing: Some(
        "mails about builds are not sent by this version, only those about missing slaves",
    ),
    read: |keys, selection| read(keys, selection).map(|it| Arc::new(it) as Arc<dyn Settings>),
};

/// Names that a subject and a body may ask for.
const NAMES: &[&str] = &[
    "blamelist",
    "branch",
    "build_url",
    "builder",
    "buildbot_url",
    "changes",
    "logs",
    "mode",
    "number",
    "patch",
    "previous",
    "project",
    "projectName",
    "properties",
    "reason",
    "result",
    "revision",
    "slave",
    "text",
    "title",
];

/// Headers that a mail has from the notifier itself.
const OWN_HEADERS: [&str; 6] = ["Date", "Subject", "From", "To", "CC", "Reply-To"];

/// What a mail notifier is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mail {
    selection: Selection,
    fromaddr: String,
    reply_to: Option<String>,
    /// One that fits is enough.
    modes: Vec<Mode>,
    subject: Option<Template>,
    body: Option<Template>,
    body_type: BodyType,
    extra_headers: BTreeMap<String, String>,
    extra_recipients: Vec<String>,
    send_to_interested_users: bool,
    /// Names without `@` are of this domain.
    lookup: Option<String>,
    add_logs: AddLogs,
    add_patch: bool,
    /// One mail for a finished buildset.
    build_set_summary: bool,
    relayhost: String,
    smtp_port: u16,
    smtp_user: Option<String>,
    smtp_password: Option<HiddenText>,
    use_tls: bool,
}

/// Which builds are mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    All,
    Failing,
    Passing,
    Problem,
    Change,
    Warnings,
}

const MODES: [(&str, Mode); 6] = [
    ("all", Mode::All),
    ("failing", Mode::Failing),
    ("passing", Mode::Passing),
    ("problem", Mode::Problem),
    ("change", Mode::Change),
    ("warnings", Mode::Warnings),
];

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failing => "failing",
            Self::Passing => "passing",
            Self::Problem => "problem",
            Self::Change => "change",
            Self::Warnings => "warnings",
        }
    }

    /// Whether a build that ended so is mailed. A previous build that still
    /// runs is different from every end, and no failure.
    fn fits(self, now: Outcome, previous: Previous) -> bool {
        match self {
            Self::All => true,
            Self::Passing => now == Outcome::Success,
            Self::Failing => now == Outcome::Failure,
            Self::Warnings => now != Outcome::Success,
            Self::Problem => {
                now == Outcome::Failure && previous != Previous::Ended(Outcome::Failure)
            }
            Self::Change => previous != Previous::None && previous != Previous::Ended(now),
        }
    }

    /// What decided: the outcome, or with the one before.
    fn because(self, now: Outcome, previous: Previous) -> String {
        let mode = self.as_str();
        match self {
            Self::All => format!("mode `{mode}` mails every build"),
            Self::Passing | Self::Failing | Self::Warnings => {
                format!("mode `{mode}`: the build ended with {now}")
            }
            Self::Problem | Self::Change => format!(
                "mode `{mode}`: the build ended with {now}, {}",
                previous.words()
            ),
        }
    }
}

struct Modes(Vec<Mode>);

impl Value for Modes {
    const EXPECTED: &'static str =
        "some of `all`, `failing`, `passing`, `problem`, `change`, `warnings`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let all = values::words(node, &MODES)?;
        if all.is_empty() {
            return Err(Misread::default());
        }
        Ok(Self(all))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyType {
    Plain,
    Html,
}

impl Value for BodyType {
    const EXPECTED: &'static str = "`plain` or `html`";
    const SHAPE: Shape = Shape::Word(&["plain", "html"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        values::word_of(
            node.as_text()?,
            &[("plain", Self::Plain), ("html", Self::Html)],
        )
    }
}

/// Which logs are attached.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AddLogs {
    None,
    All,
    /// `LOG` of any step, or `STEP.LOG`.
    Named(Vec<String>),
}

impl Value for AddLogs {
    const EXPECTED: &'static str = "`yes`, `no`, or names such as `stdio` and `compile.stdio`";
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node) -> Result<Self, Misread> {
        match bool::read(node) {
            Ok(true) => Ok(Self::All),
            Ok(false) => Ok(Self::None),
            Err(_) => Ok(Self::Named(
                Vec::<String>::read(node).map_err(|_| Misread::default())?,
            )),
        }
    }
}

/// A domain that is appended to names.
struct Domain(String);

impl Value for Domain {
    const EXPECTED: &'static str = "a domain such as `example.org`, without `@`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if !values::is_address(&format!("x@{text}")) {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}

fn read(keys: &mut Keys<'_>, selection: Selection) -> Option<Mail> {
    let fromaddr = keys.required_as::<Address>(&["fromaddr", "from"]);
    let reply_to = keys.optional::<Address>("reply_to");
    let modes = keys.or("mode", Modes(vec![Mode::All]));
    let subject = subject(keys);
    let body = values::template(keys, "body", NAMES);
    let body_type = keys.or("body_type", BodyType::Plain);
    let extra_headers = extra_headers(keys);
    let extra_recipients = keys.or("extra_recipients", Addresses::default());
    let send_to_interested_users = keys.or("send_to_interested_users", true);
    let lookup = keys.optional::<Domain>("lookup");
    let add_logs = keys.or("add_logs", AddLogs::None);
    let add_patch = keys.or("add_patch", true);
    let build_set_summary = keys.or("build_set_summary", false);
    let relayhost = keys.or("relayhost", Host("localhost".to_owned()));
    let smtp_port = keys.or("smtp_port", Port(25));
    let smtp_user = keys.optional::<String>("smtp_user");
    let smtp_password = keys.optional::<HiddenText>("smtp_password");
    let use_tls = keys.or("use_tls", false);
    for key in ["message_formatter", "custom_mesg"] {
        values::was_a_function(keys, key, "`subject` and `body` say what a mail says");
    }
    if let (Some(user), Some(password)) = (&smtp_user, &smtp_password)
        && user.is_some() != password.is_some()
    {
        half_a_login(keys, user.is_some());
        return None;
    }
    if let (Some(false), Some(Addresses(extra))) = (send_to_interested_users, &extra_recipients)
        && extra.is_empty()
    {
        let what = format!("{} mails nobody", keys.title());
        let problem = Problem::warning(Code::Idle, what)
            .at(&keys.place("send_to_interested_users"))
            .label("neither the authors of changes")
            .help("`extra_recipients` names others");
        keys.note(problem);
    }
    Some(Mail {
        selection,
        fromaddr: fromaddr?.0,
        reply_to: reply_to?.map(|it| it.0),
        modes: modes?.0,
        subject: subject?,
        body: body?,
        body_type: body_type?,
        extra_headers: extra_headers?,
        extra_recipients: extra_recipients?.0,
        send_to_interested_users: send_to_interested_users?,
        lookup: lookup?.map(|it| it.0),
        add_logs: add_logs?,
        add_patch: add_patch?,
        build_set_summary: build_set_summary?,
        relayhost: relayhost?.0,
        smtp_port: smtp_port?.0,
        smtp_user: smtp_user?,
        smtp_password: smtp_password?,
        use_tls: use_tls?,
    })
}

fn half_a_login(keys: &mut Keys<'_>, has_user: bool) {
    let (there, missing) = match has_user {
        true => ("smtp_user", "smtp_password"),
        false => ("smtp_password", "smtp_user"),
    };
    let what = format!("`{there}` without `{missing}` in {}", keys.title());
    let problem = Problem::error(Code::MissingKey, what)
        .at(&keys.place(there))
        .label(format!("`{missing}` belongs to it"));
    keys.note(problem);
}

/// A template; Buildbot's `%(builder)s` means `{{ builder }}`.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
fn subject(keys: &mut Keys<'_>) -> Option<Option<Template>> {
    let Some(text) = keys.optional::<Placed>("subject")? else {
        return Some(None);
    };
    if text.0.contains(['\r', '\n']) {
        keys.wrong("subject", "a subject is one line");
        return None;
    }
    let mut modern = String::new();
    let mut rest = text.0.as_str();
    while let Some((before, behind)) = rest.split_once("%(") {
        let Some((name, behind)) = behind.split_once(")s") else {
            break;
        };
        modern.push_str(&format!("{before}{{{{ {} }}}}", name.trim()));
        rest = behind;
    }
    modern.push_str(rest);
    match Template::parse(&modern, NAMES) {
        Ok(it) => Some(Some(it)),
        Err(mut error) => {
            // In the rewritten text other bytes are wrong.
            if modern != text.0 {
                error.at = None;
            }
            values::wrong_template(keys, "subject", &text, error);
            None
        }
    }
}

fn extra_headers(keys: &mut Keys<'_>) -> Option<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    let mut is_good = true;
    for (name, (place, value)) in keys.placed_map::<String>("extra_headers")? {
        let is_name =
            !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic() && it != b':');
        let wrong = if !is_name {
            "a header's name has letters, digits and `-`"
        } else if OWN_HEADERS.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
            "every mail has this header already"
        } else if value.contains(['\r', '\n', '\0']) {
            "a header is one line"
        } else {
            headers.insert(name, value);
            continue;
        };
        is_good = false;
        let what = format!("bad header `{}` in {}", name.escape_debug(), keys.title());
        keys.note(Problem::error(Code::BadValue, what).at(&place).label(wrong));
    }
    is_good.then_some(headers)
}

/// Who gets a mail; each list is sorted and has nobody twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressed {
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
}

impl Mail {
    /// Who gets the mail about `event`: the people of the build, and as a copy
    /// the others; without the former, the others alone.
    pub(crate) fn addressed(&self, event: &Event) -> Addressed {
        let mut interested = BTreeSet::new();
        if self.send_to_interested_users {
            interested = self.interested(event);
        }
        let extra: BTreeSet<String> = self.extra_recipients.iter().cloned().collect();
        if interested.is_empty() {
            return Addressed {
                to: extra.into_iter().collect(),
                cc: Vec::new(),
            };
        }
        Addressed {
            cc: extra.difference(&interested).cloned().collect(),
            to: interested.into_iter().collect(),
        }
    }

    /// The authors of changes and the owners, as addresses; who has none is left out.
    fn interested(&self, event: &Event) -> BTreeSet<String> {
        let owners = event.properties.iter().find(|(name, _)| *name == "owners");
        let owners = owners.and_then(|(_, it)| it.value.as_array());
        let owners = owners.into_iter().flatten();
        let owners = owners.filter_map(|it| it.as_str().map(str::to_owned));
        let found: Vec<String> = match &self.lookup {
            Some(domain) => event
                .blamelist
                .iter()
                .cloned()
                .chain(owners)
                .map(|name| match name.contains('@') {
                    true => name,
                    false => format!("{name}@{domain}"),
                })
                .collect(),
            None => event
                .blamelist
                .iter()
                .filter_map(|name| event.addresses.get(name).cloned())
                .chain(owners)
                .collect(),
        };
        let usual = found.into_iter().map(|it| once_at(&it));
        usual.filter(|it| values::is_address(it)).collect()
    }
}

/// Of two `@`, as a tool makes them that takes an address for a name, the last
/// goes, with what follows.
fn once_at(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((first, _)) if first.contains('@') => first.to_owned(),
        _ => address.to_owned(),
    }
}

impl Settings for Mail {
    fn post(&self) -> Option<Post> {
        let login = self.smtp_user.clone().zip(self.smtp_password.clone());
        Some(Post {
            from: self.fromaddr.clone(),
            reply_to: self.reply_to.clone(),
            relay: Relay {
                host: self.relayhost.clone(),
                port: self.smtp_port,
                login,
                use_tls: self.use_tls,
            },
        })
    }

    fn describe(&self) -> String {
        let modes: Vec<_> = self.modes.iter().map(|it| it.as_str()).collect();
        let mut whom = self.extra_recipients.clone();
        if self.send_to_interested_users {
            whom.insert(0, "the authors of changes".to_owned());
        }
        if whom.is_empty() {
            whom.push("nobody".to_owned());
        }
        format!(
            "mail from {} to {}: {}, {}",
            self.fromaddr,
            whom.join(", "),
            modes.join(" "),
            self.selection.describe()
        )
    }

    fn hears(&self, event: &Event) -> Verdict {
        if let Some(because) = self.selection.refuses(event) {
            return Verdict::no(because);
        }
        let What::Finished(outcome) = event.what else {
            return Verdict::no("mails are about finished builds");
        };
        let fitting = self
            .modes
            .iter()
            .find(|it| it.fits(outcome, event.previous));
        let reasons = |all: &[Mode]| {
            let all: Vec<_> = all
                .iter()
                .map(|it| it.because(outcome, event.previous))
                .collect();
            all.join("; ")
        };
        let Some(mode) = fitting else {
            return Verdict::no(reasons(&self.modes));
        };
        let because = reasons(&[*mode]);
        let addressed = self.addressed(event);
        let recipients: Vec<_> = addressed.to.into_iter().chain(addressed.cc).collect();
        if recipients.is_empty() {
            return Verdict::no(format!("{because}, but nobody has an address"));
        }
        Verdict::yes(because, recipients)
    }

    fn is_same(&self, other: &dyn Settings) -> bool {
        is_same(self, other)
    }
}
