//! `irc`: a bot that says on channels how builds go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::model::Outcome;
use crate::syntax::HiddenText;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;
use crate::syntax::plain;

use super::Event;
use super::Previous;
use super::ReporterKind;
use super::Selection;
use super::Settings;
use super::Verdict;
use super::What;
use super::is_same;
use super::values::Host;
use super::values::Port;

pub(super) const KIND: ReporterKind = ReporterKind {
    name: "irc",
    aliases: &["IRC"],
    summary: "A bot that says on IRC channels how builds go.",
    example: "host = irc.example.org
nick = words-bot
channels = #words #words-dev
channel_password.#words-dev = let-me-in
notify_events = success_to_failure failure_to_success",
    missing: Some("no IRC bot is part of this version"),
    read: |keys, selection| read(keys, selection).map(|it| Arc::new(it) as Arc<dyn Settings>),
};

/// What an IRC bot is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Irc {
    selection: Selection,
    host: String,
    port: u16,
    use_ssl: bool,
    nick: String,
    /// Sent to NickServ.
    password: Option<HiddenText>,
    channels: Vec<Channel>,
    notify_events: BTreeSet<Notice>,
    notify_on_missing: bool,
    notice_on_channel: bool,
    allow_force: bool,
    show_blame_list: bool,
    use_revisions: bool,
    use_colors: bool,
    lost_delay: Option<Duration>,
    failed_delay: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Channel {
    name: String,
    password: Option<HiddenText>,
}

/// What the bot says of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Notice {
    Started,
    Finished,
    /// A build that ended so.
    Ended(End),
    /// A build that ended so after one that ended so.
    Turned(End, End),
}

/// Outcomes that have a notice of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Success,
    Warnings,
    Exception,
    Failure,
}

impl End {
    const ALL: [Self; 4] = [
        Self::Success,
        Self::Warnings,
        Self::Exception,
        Self::Failure,
    ];

    const fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Success => Some(Self::Success),
            Outcome::Warnings => Some(Self::Warnings),
            Outcome::Failure => Some(Self::Failure),
            Outcome::Exception => Some(Self::Exception),
            Outcome::Skipped | Outcome::Retry => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Exception => "exception",
            Self::Failure => "failure",
        }
    }
}

impl Notice {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Started, Self::Finished];
        all.extend(End::ALL.map(Self::Ended));
        for before in End::ALL {
            all.extend(End::ALL.map(|now| Self::Turned(before, now)));
        }
        all
    }

    fn name(self) -> String {
        match self {
            Self::Started => "started".to_owned(),
            Self::Finished => "finished".to_owned(),
            Self::Ended(end) => end.as_str().to_owned(),
            Self::Turned(before, now) => format!("{}_to_{}", before.as_str(), now.as_str()),
        }
    }

    /// The notice of this name: `success_to_failure`, `successToFailure`.
    fn named(name: &str) -> Result<Self, String> {
        let spelled = plain(name);
        let all = Self::all();
        if let Some(it) = all.iter().find(|it| plain(&it.name()) == spelled) {
            return Ok(*it);
        }
        Err(match nearest(name, all.iter().map(|it| it.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "expected `started`, `finished`, `success`, `warnings`, `failure`, \
                `exception`, or a pair such as `success_to_failure`"
                .to_owned(),
        })
    }
}

struct Notices(BTreeSet<Notice>);

impl Value for Notices {
    const EXPECTED: &'static str = "names such as `failure` and `success_to_failure`";
    const SHAPE: Shape = Shape::OrMap(&Shape::List(&Shape::Text), &Shape::Bool);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all = BTreeSet::new();
        // Buildbot's form is a map from names to 1.
        if let Json::Object(map) = Json::read(node)? {
            for (name, on) in map {
                let on = on.as_bool().or_else(|| on.as_i64().map(|it| it != 0));
                let on = on.ok_or_else(|| complaint(format!("`{name}` is neither on nor off")))?;
                let notice =
                    Notice::named(&name).map_err(|it| complaint(format!("`{name}`: {it}")))?;
                if on {
                    all.insert(notice);
                }
            }
            return Ok(Self(all));
        }
        for (name, place) in Vec::<(String, Place)>::read(node)? {
            let notice = Notice::named(&name).map_err(|what| Misread {
                place: Some(place),
                ..complaint(what)
            })?;
            all.insert(notice);
        }
        Ok(Self(all))
    }
}

fn complaint(what: impl Into<String>) -> Misread {
    Misread {
        what: Some(what.into()),
        ..Misread::default()
    }
}

/// Channels, some of them with a password.
struct Channels(Vec<Channel>);

impl Value for Channels {
    const EXPECTED: &'static str = "channels such as `#words`, or maps such as `{\"channel\": \"#words\", \"password\": \"x\"}`";
    const SHAPE: Shape = Shape::List(&Shape::Any);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all: Vec<Channel> = Vec::new();
        let mut add = |name: &str, password: Option<HiddenText>| {
            check_channel(name)?;
            if all.iter().any(|it| it.name.eq_ignore_ascii_case(name)) {
                return Err(format!("`{name}` stands twice"));
            }
            all.push(Channel {
                name: name.to_owned(),
                password,
            });
            Ok(())
        };
        match Json::read(node)? {
            Json::Array(items) => {
                for item in items {
                    let (name, password) = read_channel(node, &item)?;
                    add(&name, password).map_err(complaint)?;
                }
            }
            _ => {
                for (name, place) in Vec::<(String, Place)>::read(node)? {
                    add(&name, None).map_err(|what| Misread {
                        place: Some(place),
                        ..complaint(what)
                    })?;
                }
            }
        }
        if all.is_empty() {
            return Err(Misread::default());
        }
        Ok(Self(all))
    }
}

fn read_channel(node: &Node, item: &Json) -> Result<(String, Option<HiddenText>), Misread> {
    let map = match item {
        Json::String(name) => return Ok((name.clone(), None)),
        Json::Object(map) => map,
        _ => return Err(Misread::default()),
    };
    if let Some(key) = map.keys().find(|it| *it != "channel" && *it != "password") {
        return Err(complaint(format!(
            "a channel has `channel` and `password`, not `{}`",
            key.escape_debug()
        )));
    }
    let text = |key: &str| match map.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(complaint(format!("`{key}` should be a text"))),
    };
    let name = text("channel")?.ok_or_else(|| complaint("`channel` is missing"))?;
    let password = match text("password")? {
        None => None,
        Some(text) => Some(HiddenText::read(&Node {
            place: node.place.clone(),
            content: crate::syntax::Content::Text(text),
        })?),
    };
    Ok((name, password))
}

fn check_channel(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    let is_bad = |it: char| it.is_whitespace() || it.is_control() || it == ',';
    match name.chars().next() {
        Some('#' | '&' | '+' | '!') if name.chars().count() > 1 => {}
        _ => return Err(format!("a channel's name begins with `#`: `#{shown}`")),
    }
    match name.chars().find(|it| is_bad(*it)) {
        Some(',') => Err("channels are separated by blanks alone".to_owned()),
        Some(_) => Err("a channel's name has no blanks".to_owned()),
        None if name.len() > 200 => Err("a channel's name has at most 200 bytes".to_owned()),
        None => Ok(()),
    }
}

/// The bot's name.
struct Nick(String);

impl Value for Nick {
    const EXPECTED: &'static str =
        "a name of letters, digits and `-_[]{}|^`, which does not begin with a digit";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let is_part = |it: char| it.is_ascii_alphanumeric() || "-_[]\\`^{}|".contains(it);
        let begins = text
            .chars()
            .next()
            .is_some_and(|it| !it.is_ascii_digit() && it != '-');
        if !begins || !text.chars().all(is_part) || text.len() > 64 {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}

fn read(keys: &mut Keys<'_>, selection: Selection) -> Option<Irc> {
    let host = keys.required::<Host>("host");
    let port = keys.or("port", Port(6667));
    let use_ssl = keys.or("use_ssl", false);
    let nick = keys.required::<Nick>("nick");
    let password = keys.optional::<HiddenText>("password");
    let channels = keys.required::<Channels>("channels");
    let passwords = keys.placed_map::<HiddenText>("channel_password");
    let notify_events = notices(keys);
    let notify_on_missing = keys.or("notify_on_missing", false);
    let notice_on_channel = keys.or("notice_on_channel", false);
    let allow_force = keys.or("allow_force", false);
    let show_blame_list = keys.or("show_blame_list", true);
    let use_revisions = keys.or("use_revisions", false);
    let use_colors = keys.or("use_colors", true);
    let lost_delay = keys.optional::<Duration>("lost_delay");
    let failed_delay = keys.optional::<Duration>("failed_delay");
    let mut channels = channels?.0;
    for (name, (place, password)) in passwords? {
        match channels
            .iter_mut()
            .find(|it| it.name.eq_ignore_ascii_case(&name))
        {
            Some(channel) => channel.password = Some(password),
            None => {
                let what = format!("`{}` is not among `channels`", name.escape_debug());
                let names = channels.iter().map(|it| it.name.as_str());
                let problem = crate::syntax::Problem::error(crate::syntax::Code::BadValue, what)
                    .at(&place)
                    .did_you_mean(&name, names);
                keys.note(problem);
                return None;
            }
        }
    }
    Some(Irc {
        selection,
        host: host?.0,
        port: port?.0,
        use_ssl: use_ssl?,
        nick: nick?.0,
        password: password?,
        channels,
        notify_events: notify_events?,
        notify_on_missing: notify_on_missing?,
        notice_on_channel: notice_on_channel?,
        allow_force: allow_force?,
        show_blame_list: show_blame_list?,
        use_revisions: use_revisions?,
        use_colors: use_colors?,
        lost_delay: lost_delay?,
        failed_delay: failed_delay?,
    })
}

/// A list of names, or `notify_events.NAME = yes`.
fn notices(keys: &mut Keys<'_>) -> Option<BTreeSet<Notice>> {
    if let Some(notices) = keys.optional::<Notices>("notify_events")? {
        return Some(notices.0);
    }
    let mut all = BTreeSet::new();
    let mut is_good = true;
    for (name, (place, on)) in keys.placed_map::<bool>("notify_events")? {
        match Notice::named(&name) {
            Ok(notice) if on => drop(all.insert(notice)),
            Ok(_) => {}
            Err(label) => {
                is_good = false;
                let what = format!(
                    "unknown event `{}` in {}",
                    name.escape_debug(),
                    keys.title()
                );
                let problem = crate::syntax::Problem::error(crate::syntax::Code::BadValue, what);
                keys.note(problem.at(&place).label(label));
            }
        }
    }
    is_good.then_some(all)
}

impl Settings for Irc {
    fn describe(&self) -> String {
        let channels: Vec<_> = self.channels.iter().map(|it| it.name.as_str()).collect();
        let events: Vec<_> = self.notify_events.iter().map(|it| it.name()).collect();
        let events = match events.as_slice() {
            [] => "says nothing of its own accord".to_owned(),
            all => all.join(" "),
        };
        format!(
            "irc bot {} on {}:{} {}: {events}, {}",
            self.nick,
            self.host,
            self.port,
            channels.join(" "),
            self.selection.describe()
        )
    }

    fn hears(&self, event: &Event) -> Verdict {
        if let Some(because) = self.selection.refuses(event) {
            return Verdict::no(because);
        }
        let mut wanted = Vec::new();
        match event.what {
            What::Started => wanted.push(Notice::Started),
            What::Finished(outcome) => {
                wanted.push(Notice::Finished);
                if let Some(now) = End::of(outcome) {
                    wanted.push(Notice::Ended(now));
                    if let Previous::Ended(before) = event.previous
                        && let Some(before) = End::of(before)
                    {
                        wanted.push(Notice::Turned(before, now));
                    }
                }
            }
        }
        match wanted.iter().find(|it| self.notify_events.contains(it)) {
            Some(notice) => {
                let channels = self.channels.iter().map(|it| it.name.clone());
                Verdict::yes(
                    format!("`notify_events` has `{}`", notice.name()),
                    channels.collect(),
                )
            }
            None => {
                let names: Vec<_> = wanted.iter().map(|it| format!("`{}`", it.name())).collect();
                let names = names.join(", ");
                Verdict::no(format!("`notify_events` has none of {names}"))
            }
        }
    }

    fn is_same(&self, other: &dyn Settings) -> bool {
        is_same(self, other)
    }
}
