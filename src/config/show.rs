//! The whole effective model, each item with where it comes from: as INI with
//! comments, and as JSON. Pure. A password is never shown, nor what might be one.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::BuilderPlan;
use super::Launch;
use super::MergeRequests;
use super::Origin;
use super::Plan;
use super::SlavePlan;
use crate::locks::LockKind;
use crate::locks::LockUses;
use crate::model::Platform;
use crate::model::Properties;
use crate::schedulers::CancelSuperseded;
use crate::syntax::CommandText;
use crate::syntax::Place;

/// What `checkconfig --show` prints.
pub(crate) struct Shown {
    items: Vec<Item>,
    left_out: Vec<String>,
}

/// A section that could stand in a file.
struct Item {
    /// Its kind in the section's name; in JSON the list is called `list`.
    kind: &'static str,
    list: &'static str,
    name: String,
    origin: Option<(String, String)>,
    lines: Vec<Line>,
}

struct Line {
    key: String,
    value: Json,
    how: How,
}

enum How {
    /// A key like those of a file.
    Key,
    /// A key that the file says, and where.
    Set(String),
    /// A key that the file does not say.
    Default,
    /// What follows from the keys.
    Fact,
}

impl Shown {
    /// Looks through a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut items = vec![master(plan)];
        items.extend(plan.slaves.iter().map(|it| slave(plan, it)));
        items.extend(plan.builders.iter().map(|it| builder(plan, it)));
        items.extend(plan.sources.iter().map(|it| {
            let mut item = Item::new("source", "sources", &it.name, Some(&it.origin));
            item.key("repourl", it.settings.repository());
            item.some("poll_interval", it.settings.poll_interval().map(span));
            item.fact("follows", it.settings.describe());
            item
        }));
        items.extend(plan.schedulers.iter().map(|it| {
            let name = it.name.as_str();
            let mut item = Item::new("scheduler", "schedulers", name, Some(&it.origin));
            item.key("type", it.settings.kind());
            let builders: Vec<_> = it.builders.iter().map(|it| it.as_str()).collect();
            item.list("builders", &builders);
            if let Some(priority) = it.queue.priority {
                item.key("priority", priority);
            }
            if let Some(rule) = it.queue.cancel_superseded {
                item.key("cancel_superseded", rule.as_str());
            }
            item.properties(&it.properties);
            let when = it.settings.describe();
            item.fact("builds", when.strip_prefix("builds ").unwrap_or(&when));
            for condition in it
                .settings
                .filter()
                .map_or_else(Vec::new, |it| it.describe())
            {
                item.fact("if", condition);
            }
            item
        }));
        items.extend(plan.status.iter().map(|it| {
            let mut item = Item::new("status", "status", &it.name, Some(&it.origin));
            item.key("type", it.kind);
            item.fact("tells", it.settings.describe());
            item
        }));
        items.extend(plan.locks.iter().map(|it| {
            let name = it.name.as_str();
            let mut item = Item::new("lock", "locks", name, plan.origins.locks.get(name));
            item.key(
                "type",
                match it.kind {
                    LockKind::Master => "master",
                    LockKind::Slave => "slave",
                },
            );
            item.key("max_count", it.max_count);
            for (slave, count) in &it.max_count_for_slave {
                item.key(&format!("max_count_for_slave.{slave}"), *count);
            }
            item
        }));
        items.extend(plan.users.iter().map(|it| {
            let origin = plan.origins.users.get(&it.name);
            let mut item = Item::new("user", "users", &it.name, origin);
            for (kind, text) in &it.attributes {
                item.key(kind, text.as_str());
            }
            item.some("username", it.login.as_ref().map(|(name, _)| name.clone()));
            item
        }));
        Self {
            items,
            left_out: plan.left_out.clone(),
        }
    }

    /// As INI with comments.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for item in &self.items {
            if !out.is_empty() {
                out.push('\n');
            }
            if let Some((place, how)) = &item.origin {
                out.push_str(&format!("# {place}: {how}\n"));
            }
            out.push_str(&match item.kind {
                "" => format!("[{}]\n", item.name),
                kind => format!("[{kind}:{}]\n", item.name),
            });
            for line in &item.lines {
                let (key, value) = (&line.key, ini(&line.value));
                let said = format!("{key} = {value}");
                let said = said.trim_end();
                out.push_str(&match &line.how {
                    How::Key => format!("{said}\n"),
                    How::Set(place) => format!("# {place}\n{said}\n"),
                    How::Default => format!("# default: {said}\n"),
                    How::Fact => format!("# {key}: {value}\n"),
                });
            }
        }
        if !self.left_out.is_empty() {
            out.push_str("\n# combinations that no slave can build:\n");
            for it in &self.left_out {
                out.push_str(&format!("# {it}\n"));
            }
        }
        out
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Json {
        let mut all = Map::new();
        for list in [
            "slaves",
            "builders",
            "sources",
            "schedulers",
            "status",
            "locks",
            "users",
        ] {
            all.insert(list.to_owned(), json!([]));
        }
        for item in &self.items {
            if item.kind.is_empty() {
                all.insert(item.list.to_owned(), of_the_master(item));
            } else if let Some(Json::Array(list)) = all.get_mut(item.list) {
                list.push(of_an_item(item));
            }
        }
        all.insert("left_out".to_owned(), json!(self.left_out));
        all.into()
    }
}

fn of_the_master(item: &Item) -> Json {
    let keys = item.lines.iter().map(|line| {
        let place = match &line.how {
            How::Set(place) => Some(place),
            How::Key | How::Default | How::Fact => None,
        };
        let how = if place.is_some() { "set" } else { "default" };
        let about = json!({
            "value": line.value,
            "origin": { "how": how, "place": place },
        });
        (line.key.clone(), about)
    });
    keys.collect::<Map<_, _>>().into()
}

fn of_an_item(item: &Item) -> Json {
    let mut keys = Map::new();
    keys.insert("name".to_owned(), json!(item.name));
    for line in &item.lines {
        match keys.get_mut(&line.key) {
            // Several lines of one name are a list.
            Some(Json::Array(all)) => all.push(line.value.clone()),
            Some(first) => *first = json!([first, line.value]),
            None => {
                let value = match line.key.as_str() {
                    "if" => json!([line.value]),
                    _ => line.value.clone(),
                };
                keys.insert(line.key.clone(), value);
            }
        }
    }
    let origin = item.origin.as_ref();
    let origin = origin.map(|(place, how)| json!({ "place": place, "how": how }));
    keys.insert("origin".to_owned(), origin.unwrap_or_default());
    keys.into()
}

fn master(plan: &Plan) -> Item {
    let mut item = Item::new("", "master", ":master:", None);
    for it in &plan.origins.master {
        let (value, how) = match (&it.set, it.default) {
            (Some((text, place)), _) => (one_line(text), How::Set(at(place))),
            // A map is its parts.
            (None, Some(_)) if it.name == "property" => continue,
            (None, Some(default)) => (default.to_owned(), How::Default),
            (None, None) => continue,
        };
        item.push(&it.name, value.into(), how);
    }
    // Those of `[:properties:]` have no key there.
    let known: Vec<_> = item.lines.iter().map(|it| it.key.clone()).collect();
    for (name, it) in plan.master.properties.iter() {
        let key = format!("property.{name}");
        if !known.contains(&key) {
            item.push(&key, it.value.clone(), How::Key);
        }
    }
    item
}

fn slave(plan: &Plan, it: &SlavePlan) -> Item {
    let name = it.name.as_str();
    let mut item = Item::new("slave", "slaves", name, plan.origins.slaves.get(name));
    item.some("os", it.os.clone());
    match &it.launch {
        Launch::None => item.key("launch", "none"),
        Launch::Local { basedir } => {
            item.key("launch", "local");
            item.key("basedir", basedir.display().to_string());
        }
        Launch::Command(it) => {
            item.key("launch", "command");
            item.key("start_command", said(&it.start));
            item.some("stop_command", it.stop.as_ref().map(said));
            item.some("status_command", it.status.as_ref().map(said));
            for (name, value) in &it.env {
                let value = value.as_ref().map(ToString::to_string);
                item.key(&format!("launch_env.{name}"), value);
            }
            item.some("master_host", it.master_host.clone());
        }
        Launch::Ssh(it) => {
            item.key("launch", "ssh");
            item.key("host", it.host.clone());
            item.key("port", it.port);
            item.some("user", it.user.clone());
            item.some(
                "key_file",
                it.key_file.as_ref().map(|it| it.display().to_string()),
            );
            item.key("known_hosts", it.known_hosts.display().to_string());
            item.some("proxy_command", it.proxy_command.clone());
            item.key("basedir", it.basedir.clone());
        }
    }
    if let Some(on_demand) = it.on_demand {
        item.key("on_demand", true);
        let waits = on_demand.build_wait_timeout.map_or("none".into(), span);
        item.key("build_wait_timeout", waits);
    }
    let missing = it.missing_timeout.map_or("none".into(), span);
    item.key("missing_timeout", missing);
    item.list("notify_on_missing", &it.notify_on_missing);
    if !it.downtime.is_empty() {
        item.key("downtime", it.downtime.said().join(", "));
        item.some("time_zone", it.downtime.zone_name());
    }
    item.some("max_builds", it.max_builds);
    item.list("tags", &it.tags);
    for (what, versions) in &it.has {
        item.list(&format!("has.{what}"), versions);
    }
    for (name, line) in &it.capabilities {
        item.key(&format!("capability.{name}"), line.clone());
    }
    item.some("clean_up", it.clean_up.map(span));
    item.key("timeout_factor", it.timeout_factor);
    item.locks(&it.locks);
    item.key("mirrors", it.mirrors);
    if it.mirrors {
        item.key(
            "mirror_budget",
            it.mirror_budget.map_or("none".into(), |it| it.to_string()),
        );
    }
    item.properties(&it.properties);
    item
}

/// A command as the file has it.
fn said(command: &CommandText) -> Json {
    match command {
        CommandText::Argv(words) => words.iter().map(ToString::to_string).collect(),
        CommandText::Script(line) => Json::String(line.to_string()),
    }
}

fn builder(plan: &Plan, it: &BuilderPlan) -> Item {
    let name = it.name.as_str();
    let mut item = Item::new("builder", "builders", name, Some(&it.origin));
    item.key("factory", it.factory_name.as_str());
    let slaves: Vec<_> = it.slaves.iter().map(|it| it.as_str()).collect();
    item.list("slaves", &slaves);
    item.list("tags", &it.tags);
    item.some("category", it.category.clone());
    item.some("description", it.description.clone());
    item.key("builddir", it.builddir.as_str());
    item.key("slavebuilddir", it.slavebuilddir.as_str());
    match &it.merge_requests {
        MergeRequests::Yes => item.key("merge_requests", true),
        MergeRequests::No => item.key("merge_requests", false),
        MergeRequests::If(rule) => item.key("merge_requests", rule.as_str()),
    }
    if it.priority != 0 {
        item.key("priority", it.priority);
    }
    if it.cancel_superseded != CancelSuperseded::No {
        item.key("cancel_superseded", it.cancel_superseded.as_str());
    }
    if let Some(most) = it.max_pending {
        item.key("max_pending", most.get());
    }
    item.some(
        "next_build",
        it.next_build.0.as_ref().map(|it| it.as_str().to_owned()),
    );
    item.some(
        "next_slave",
        it.next_slave.0.as_ref().map(|it| it.as_str().to_owned()),
    );
    item.locks(&it.locks);
    if !it.use_progress {
        item.key("use_progress", false);
    }
    item.properties(&it.properties);
    if !it.env.is_empty() {
        // What they are set to may be secret.
        item.fact("env", it.env.keys().cloned().collect::<Vec<_>>());
    }
    let os = plan
        .slaves
        .iter()
        .find(|slave| it.slaves.contains(&slave.name));
    let platform = Platform {
        os: os
            .and_then(|it| it.os.clone())
            .unwrap_or_else(|| "linux".to_owned()),
        arch: "x86_64".to_owned(),
        bits: 64,
        ..Platform::default()
    };
    match it.factory.steps(&platform) {
        Ok(steps) => {
            let names: Vec<_> = steps.into_iter().map(|it| it.name).collect();
            item.fact("steps", names);
        }
        Err(error) => item.fact("steps", format!("cannot be made: {error}")),
    }
    item
}

impl Item {
    fn new(kind: &'static str, list: &'static str, name: &str, origin: Option<&Origin>) -> Self {
        Self {
            kind,
            list,
            name: hidden(name),
            origin: origin.map(|it| (at(&it.place), hidden(&it.how))),
            lines: Vec::new(),
        }
    }

    fn push(&mut self, key: &str, value: Json, how: How) {
        let value = match is_secret(key) {
            true => "…".into(),
            false => without_passwords(value),
        };
        self.lines.push(Line {
            key: key.to_owned(),
            value,
            how,
        });
    }

    fn key(&mut self, key: &str, value: impl Into<Json>) {
        self.push(key, value.into(), How::Key);
    }

    fn some<T: Into<Json>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    fn list<T: AsRef<str>>(&mut self, key: &str, all: &[T]) {
        if !all.is_empty() {
            let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
            self.key(key, json!(all));
        }
    }

    fn fact(&mut self, key: &str, value: impl Into<Json>) {
        self.push(key, value.into(), How::Fact);
    }

    fn locks(&mut self, locks: &LockUses) {
        let all: Vec<_> = locks.as_slice().iter().map(ToString::to_string).collect();
        if !all.is_empty() {
            self.key("locks", all.join(", "));
        }
    }

    fn properties(&mut self, all: &Properties) {
        for (name, it) in all.iter() {
            self.key(&format!("property.{name}"), it.value.clone());
        }
    }
}

/// Whether what a key holds is not for the screen.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let words = [
        "passw",
        "secret",
        "token",
        "credential",
        "private_key",
        "api_key",
    ];
    words.iter().any(|it| key.contains(it))
}

/// A text without the passwords of the addresses in it.
pub(super) fn hidden(text: &str) -> String {
    static PASSWORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"://([^/\s:@]*):[^/\s]+@").expect("a pattern of our own"));
    PASSWORD.replace_all(text, "://$1:…@").into_owned()
}

fn without_passwords(value: Json) -> Json {
    match value {
        Json::String(text) => hidden(&text).into(),
        Json::Array(all) => all.into_iter().map(without_passwords).collect(),
        Json::Object(all) => {
            let all = all.into_iter().map(|(key, value)| {
                let value = match is_secret(&key) {
                    true => "…".into(),
                    false => without_passwords(value),
                };
                (key, value)
            });
            all.collect::<Map<_, _>>().into()
        }
        plain => plain,
    }
}

pub(super) fn at(place: &Place) -> String {
    let (line, column) = place.line_and_column();
    format!("{}:{line}:{column}", place.source.name)
}

fn span(length: std::time::Duration) -> String {
    match length.subsec_nanos() {
        0 => format!("{}s", length.as_secs()),
        _ => format!("{}s", length.as_secs_f64()),
    }
}

/// A value over several lines as one.
fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join(" ").trim().to_owned()
}

/// A value as a file has it.
fn ini(value: &Json) -> String {
    let is_word = |it: &Json| {
        let text = it.as_str();
        text.is_some_and(|it| !it.is_empty() && !it.contains(char::is_whitespace))
    };
    match value {
        Json::String(text) if !text.contains(['\n', '\r']) => text.clone(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::Array(all) if all.iter().all(is_word) => {
            let words: Vec<_> = all.iter().filter_map(Json::as_str).collect();
            words.join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    const FARM: &str = "\
[:master:]
title = Tools
slaveport = 9989
password = hunter2
project_url = https://ann:hunter3@tools.test/
property.site = here
property.api_token = hunter4

[slave:one]
os = linux
tags = fast
has.python = 3.11 3.12
factories = words
locks = db exclusive

[slave:two]
launch = local
property.x = 1

[lock:db]
type = slave

[words]
type = shell
git = https://bob:hunter5@git.test/words.git#main
commands =
    make
    make check

[builder:each-{python}]
matrix.python = 3.11 3.13
slaves = slave.has.python is containing(python)
factory = words

[scheduler:night]
type = nightly
builders = *
hour = 3
branch = main

[status:people]
type = mail
fromaddr = ci@tools.test
extra_recipients = dev@tools.test

[user:ann]
email = ann@tools.test
username = ann
password = hunter6
";

    #[test]
    fn the_whole_model_is_shown_with_where_each_item_comes_from() {
        let shown = Shown::of(&plan_of(FARM)).text();
        assert!(!shown.contains("hunter"), "{shown}");
        insta::assert_snapshot!(shown, @"
        [:master:]
        # master.ini:2:9
        title = Tools
        # master.ini:5:15
        title_url = https://ann:…@tools.test/
        # default: base_url = none
        # master.ini:3:13
        slaveport = 9989
        # default: htmlport = 8010
        # default: publichtmlport = none
        # default: pb_port = none
        # default: poll_interval = 60s
        # default: tree_stable = 1m
        # default: lost_timeout = 10m
        # default: builders = slave
        # default: merge_requests = yes
        # default: prioritize_builders = the most urgent, then who waits longest
        # default: build_horizon = none
        # default: log_horizon = none
        # default: build_age = none
        # default: log_age = none
        # default: event_horizon = 50
        # default: event_age = none
        # default: log_max_size = none
        # default: log_max_tail_size = none
        # default: db_url = sqlite:///state.sqlite
        # default: change_horizon = none
        # default: change_age = none
        # default: log_size = none
        # default: tls_certificate = none
        # default: tls_key = none
        # default: tls = with a certificate offered, else off
        # default: heartbeat = 1m
        # default: login_timeout = 30s
        # default: max_strangers = 2000
        # default: max_strangers_per_address = 1000
        # default: max_failed_logins = 20
        # default: user_manager = none
        # default: debug_password = …
        # default: log_rotate_length = 10000000
        # default: max_rotated_files = 10
        # default: log_format = text
        # default: log_level = info
        # default: derive = yes
        # default: include = none
        # default: generate = none
        # default: watch = no
        # master.ini:6:17
        property.site = here
        # master.ini:7:22
        property.api_token = …
        # master.ini:4:12
        password = …

        # master.ini:9:2: [slave:one]
        [slave:one]
        os = linux
        launch = none
        missing_timeout = 3600s
        tags = fast
        has.python = 3.11 3.12
        timeout_factor = 1.0
        locks = db exclusive
        mirrors = yes
        mirror_budget = 10737418240

        # master.ini:16:2: [slave:two]
        [slave:two]
        launch = local
        basedir = /nonexistent/slaves/two
        missing_timeout = 1200s
        timeout_factor = 1.0
        mirrors = yes
        mirror_budget = 10737418240
        property.x = 1

        # master.ini:9:2: derived: slave `one` builds factory `words`
        [builder:words-one]
        factory = words
        slaves = one
        builddir = words-one
        slavebuilddir = words-one
        merge_requests = yes
        # steps: git shell shell_1

        # master.ini:30:2: a combination of [builder:each-{python}]: python = 3.11
        [builder:each-3.11]
        factory = words
        slaves = one
        builddir = each-3_11
        slavebuilddir = each-3_11
        merge_requests = yes
        property.python = 3.11
        # steps: git shell shell_1

        # master.ini:9:2: derived: the source of factory `words`
        [source:GitPoller: https://bob:…@git.test/words.git#main]
        repourl = https://bob:…@git.test/words.git
        poll_interval = 60s
        # follows: GitPoller: https://bob:…@git.test/words.git#main

        # master.ini:9:2: derived: the source of factory `words`
        [scheduler:words]
        type = single_branch
        builders = words-one each-3.11
        # builds: when its source was stable for 60 s
        # if: the branch is `main` of `https://bob:…@git.test/words.git`

        # master.ini:35:2: [scheduler:night]
        [scheduler:night]
        type = nightly
        builders = words-one each-3.11
        # builds: at hour = 3

        # master.ini:41:2: [status:people]
        [status:people]
        type = mail
        # tells: mail from ci@tools.test to the authors of changes, dev@tools.test: all, all builders

        # master.ini:20:2: [lock:db]
        [lock:db]
        type = slave
        max_count = 1

        # master.ini:46:2: [user:ann]
        [user:ann]
        email = ann@tools.test
        username = ann

        # combinations that no slave can build:
        # each-3.13: no slave can build python = 3.13
        ");
    }

    #[test]
    fn programs_read_the_same() {
        let shown = Shown::of(&plan_of(FARM)).to_json();
        assert!(!shown.to_string().contains("hunter"));
        let builder = &shown["builders"][0];
        insta::assert_snapshot!(format!("{builder:#}"), @r#"
        {
          "name": "words-one",
          "factory": "words",
          "slaves": [
            "one"
          ],
          "builddir": "words-one",
          "slavebuilddir": "words-one",
          "merge_requests": true,
          "steps": [
            "git",
            "shell",
            "shell_1"
          ],
          "origin": {
            "place": "master.ini:9:2",
            "how": "derived: slave `one` builds factory `words`"
          }
        }
        "#);
        insta::assert_snapshot!(format!("{:#}", shown["master"]["title"]), @r#"
        {
          "value": "Tools",
          "origin": {
            "how": "set",
            "place": "master.ini:2:9"
          }
        }
        "#);
        insta::assert_snapshot!(shown["left_out"].to_string(), @r#"["each-3.13: no slave can build python = 3.13"]"#);
    }
}
