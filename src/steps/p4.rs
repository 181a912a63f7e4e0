//! `p4`: describes a client to a Perforce server and has it sync the tree.

use std::sync::Arc;

use crate::model::Command;
use crate::model::HoleIn;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Text;
use crate::model::TextError;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::RepoUrl;
use super::checkout::Wanted;
use super::password::Password;
use super::password::Spent;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "p4",
    aliases: &["perforce"],
    step_name: "p4",
    summary: "Syncs a client of a Perforce server.",
    example: r#"p4port = "perforce.example.org:1666"
p4user = "builder"
p4base = "//depot/hello/"
default_branch = "trunk"
p4extra_views = [["//depot/tools", "/tools"]]"#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(P4::read(keys)?)),
};

const METHODS: &[(&str, Mode)] = &[
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
    ("export", Mode::Export),
];

/// The client of a slave and a builder.
const CLIENT: &str = "buildbot_%(slave)s_%(builder)s";

/// Stands before the password.
const PASSWORD: &str = "-P";

const LINE_ENDS: &[&str] = &["local", "unix", "mac", "win", "share"];

#[derive(Clone, Debug)]
struct P4 {
    checkout: Checkout,
    /// Built where the stamp names none.
    default_branch: Option<Text>,
    port: Option<Text>,
    user: Option<Text>,
    passwd: Option<Password>,
    client: Text,
    extra_views: Vec<(Text, Text)>,
    line_end: String,
}

/// The name of a client, in which `%(slave)s` and `%(builder)s` are names.
struct ClientName(Text);

impl Value for ClientName {
    const EXPECTED: &'static str = Text::EXPECTED;
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        Self::parse(&String::read(node)?).map_err(|error| Misread {
            what: Some(error.what),
            ..Misread::default()
        })
    }
}

impl ClientName {
    fn parse(text: &str) -> Result<Self, TextError> {
        let text = text
            .replace("%(slave)s", "%(slavename)s")
            .replace("%(builder)s", "%(buildername)s");
        Text::parse(&text).map(Self)
    }
}

/// Pairs of a place in the depot and one in the tree.
struct Views(Vec<(Text, Text)>);

impl Value for Views {
    const EXPECTED: &'static str = "a list of pairs, such as `[[\"//depot/tools\", \"/tools\"]]`";
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node) -> Result<Self, Misread> {
        let pair = |words: &[&str]| match words {
            [depot, tree] => {
                let text = |word: &str| {
                    Text::parse(word).map_err(|error| Misread {
                        what: Some(error.what),
                        ..Misread::default()
                    })
                };
                Ok((text(depot)?, text(tree)?))
            }
            _ => Err(Misread::default()),
        };
        let of_line = |line: &str| pair(&line.split_whitespace().collect::<Vec<_>>());
        let views = match &node.content {
            Content::Text(text) => {
                let lines = text.lines().filter(|it| !it.trim().is_empty());
                lines.map(of_line).collect()
            }
            Content::List(items) => items
                .iter()
                .map(|item| match &item.content {
                    Content::List(words) => {
                        let words: Vec<&str> =
                            words.iter().map(Node::as_text).collect::<Result<_, _>>()?;
                        pair(&words)
                    }
                    _ => of_line(item.as_text()?),
                })
                .collect(),
            _ => Err(Misread::default()),
        };
        views.map(Self)
    }
}

impl P4 {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = vcs::read(keys, METHODS);
        let base = RepoUrl::key(keys, &["p4base", "repourl"]);
        let default_branch = keys.optional_as::<Text>(&["default_branch", "branch"]);
        let port = keys.optional::<Text>("p4port");
        let user = keys.optional::<Text>("p4user");
        let passwd = keys.optional::<Password>("p4passwd");
        let usual = ClientName::parse(CLIENT).expect("it is a good text");
        let client = keys.or("p4client", usual);
        let extra_views = keys.or("p4extra_views", Views(Vec::new()));
        let line_end = keys.or("p4line_end", "local".to_owned())?;
        if !LINE_ENDS.contains(&line_end.as_str()) {
            let label = "expected `local`, `unix`, `mac`, `win` or `share`";
            keys.wrong("p4line_end", label);
            return None;
        }
        Some(Self {
            checkout: Checkout {
                repourl: base?,
                ..checkout?
            },
            default_branch: default_branch?,
            port: port?,
            user: user?,
            passwd: passwd?,
            client: client?.0,
            extra_views: extra_views?.0,
            line_end,
        })
    }
}

impl P4 {
    fn base(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let base = match &self.checkout.repourl {
            Some(url) => url.render(cx)?,
            None => cx.stamp.repository.clone(),
        };
        if !base.starts_with("//") {
            let what = "`p4base` is not a place in a depot, such as `//depot/hello/`";
            return Err(StepError::Other(what.into()));
        }
        Ok(base)
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let base = self.base(cx)?;
        let is_about_this = self.is_about(cx)?;
        let branch = cx.stamp.branch.as_deref().map(str::trim).map(str::to_owned);
        let branch = branch.filter(|it| is_about_this && !it.is_empty());
        let branch = match branch {
            Some(branch) => Some(branch),
            None => rendered_or_none(self.default_branch.as_ref(), cx)?,
        };
        let revision = match is_about_this {
            true => vcs::revision(&self.checkout, cx, vcs::highest),
            false => None,
        };
        let wanted = Wanted {
            url: base,
            branch,
            revision,
        };
        wanted.check()?;
        let client = name_of_client(&self.client.render(cx.properties)?);
        let port = rendered_or_none(self.port.as_ref(), cx)?;
        let user = rendered_or_none(self.user.as_ref(), cx)?;
        let views = self.extra_views.iter().map(|(depot, tree)| {
            let depot = depot.render(cx.properties)?;
            Ok((depot, tree.render(cx.properties)?))
        });
        let views: Vec<_> = views.collect::<Result<_, StepError>>()?;
        let words = [Some(&client), port.as_ref(), user.as_ref()];
        for word in words.into_iter().flatten() {
            checkout::check_word("client, port or user", word).map_err(StepError::Other)?;
        }
        let places = views.iter().flat_map(|(depot, tree)| [depot, tree]);
        let places = places.chain([&wanted.url]).chain(&wanted.branch);
        for place in places {
            let is_pattern = ["...", "%%", "*", "@", "#", "\""]
                .iter()
                .any(|it| place.contains(it));
            if is_pattern || place.chars().any(char::is_control) {
                let shown = place.escape_default();
                let what = format!("`{shown}` is a pattern and not one place in a depot");
                return Err(StepError::Other(what));
            }
        }
        Ok(Begun {
            wanted,
            port,
            user,
            passwd: Password::of(self.passwd.as_ref(), cx)?.filter(|it| !it.text.is_empty()),
            client,
            views,
            line_end: self.line_end.clone(),
            root: String::new(),
        })
    }
}

fn rendered_or_none(text: Option<&Text>, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
    let text = text.map(|it| it.render(cx.properties)).transpose()?;
    Ok(text.filter(|it| !it.is_empty()))
}

/// What is no letter or digit of a builder's name would end the client's.
fn name_of_client(text: &str) -> String {
    let good = |it: char| match it {
        '_' | '-' | '.' => it,
        _ if it.is_alphanumeric() => it,
        _ => '_',
    };
    text.chars().map(good).collect()
}

impl Steps for P4 {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let (base, port) = (self.base(cx)?, rendered_or_none(self.port.as_ref(), cx)?);
        let follows = self
            .checkout
            .repourl
            .as_ref()
            .is_none_or(RepoUrl::follows_stamp);
        Ok(self.checkout.is_about(cx, |stamped| {
            let stamped = stamped.trim_end_matches('/');
            follows
                || Some(stamped) == port.as_deref()
                || stamped.starts_with(base.trim_end_matches('/'))
        }))
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for P4 {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

struct Begun {
    wanted: Wanted,
    port: Option<String>,
    user: Option<String>,
    passwd: Option<Spent>,
    client: String,
    views: Vec<(String, String)>,
    line_end: String,
    /// The builder's directory, as the slave calls it.
    root: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    /// Does the server answer, and what is our directory called?
    Info,
    /// Tells the server what the client has where. Two checkouts of one client take turns.
    Describe,
    Sync,
    /// Also what the server believes is here.
    SyncAll,
    Revision,
}

impl Begun {
    fn connection(&self) -> Vec<String> {
        let mut argv = vec!["p4".to_owned()];
        let passwd = self.passwd.as_ref().map(|it| &it.text);
        for (option, value) in [
            ("-p", self.port.as_ref()),
            ("-u", self.user.as_ref()),
            (PASSWORD, passwd),
        ] {
            if let Some(value) = value {
                argv.extend([option.to_owned(), value.clone()]);
            }
        }
        argv
    }

    /// Of the whole tree, and where its parts come from.
    fn view(&self, work: &str) -> String {
        let mut base = self.wanted.url.trim_end_matches('/').to_owned();
        for part in self.wanted.branch.iter().flat_map(|it| it.split('/')) {
            if !part.is_empty() {
                base.push('/');
                base.push_str(part);
            }
        }
        let mut lines = String::new();
        let mut line = |depot: &str, tree: &str| {
            let (depot, tree) = (
                format!("{depot}/..."),
                format!("//{}/{tree}/...", self.client),
            );
            let quoted = |it: String| match it.contains(char::is_whitespace) {
                true => format!("\"{it}\""),
                false => it,
            };
            lines.push_str(&format!("\t{} {}\n", quoted(depot), quoted(tree)));
        };
        line(&base, work);
        for (depot, tree) in &self.views {
            let tree = tree.trim_matches('/');
            line(depot.trim_end_matches('/'), &format!("{work}/{tree}"));
        }
        lines
    }

    fn description(&self, work: &str) -> String {
        let mut text = format!("Client: {}\n\n", self.client);
        if let Some(user) = &self.user {
            text.push_str(&format!(
                "Owner: {user}\n\nDescription:\n\tCreated by {user}\n\n"
            ));
        }
        let root = &self.root;
        let line_end = &self.line_end;
        text.push_str(&format!(
            "Root: {root}\n\nOptions: allwrite rmdir\n\nLineEnd: {line_end}\n\nView:\n{}",
            self.view(work)
        ));
        text
    }

    fn at(&self) -> Option<String> {
        self.wanted.revision.as_ref().map(|it| format!("@{it}"))
    }
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn identity(&self) -> Vec<String> {
        let port = self.port.clone().unwrap_or_default();
        let places = [port, self.root.clone(), self.line_end.clone()];
        places.into_iter().chain([self.view("")]).collect()
    }

    /// It has no directory of its own.
    fn own_dir(&self) -> &'static str {
        ""
    }

    fn prepare(&self) -> Vec<Job> {
        vec![Job::Version, Job::Info]
    }

    fn update(&self) -> Vec<Job> {
        vec![Job::Describe, Job::Sync]
    }

    fn full(&self) -> Vec<Job> {
        vec![Job::Describe, Job::SyncAll]
    }

    fn export(&self) -> Vec<Job> {
        self.full().into_iter().chain(self.conclude()).collect()
    }

    fn conclude(&self) -> Vec<Job> {
        match self.wanted.revision {
            Some(_) => Vec::new(),
            None => vec![Job::Revision],
        }
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let with_client = |words: &[&str]| {
            let mut argv = self.connection();
            argv.extend(["-c".to_owned(), self.client.clone()]);
            argv.extend(words.iter().map(|&it| it.to_owned()));
            argv
        };
        let mut shell: Shell = match job {
            Job::Version => site.beside(&["p4", "-V"])?,
            Job::Info => {
                let mut argv = self.connection();
                argv.push("info".into());
                site.beside(&argv)?
            }
            Job::Describe => {
                let mut argv = self.connection();
                argv.extend(["client".into(), "-i".into()]);
                let mut shell = site.beside(&argv)?;
                shell.initial_stdin = self.description(site.work).into_bytes();
                shell
            }
            Job::Sync | Job::SyncAll => {
                let mut argv = with_client(&["sync"]);
                if *job == Job::SyncAll {
                    argv.push("-f".into());
                }
                argv.extend(self.at());
                site.beside(&argv)?
            }
            Job::Revision => site.beside(&with_client(&[
                "changes",
                "-s",
                "submitted",
                "-m",
                "1",
                "#have",
            ]))?,
        };
        if let (Some(password), ShellLine::Argv(words)) = (&self.passwd, &shell.line)
            // Neither a port nor a user begins with `-`.
            && let Some(option) = words.iter().position(|it| it == PASSWORD)
        {
            password.hide_in(&mut shell, &HoleIn::Word(option + 1));
        }
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        if !ended.exit.is_success() {
            return Next::StartOver;
        }
        let got = match job {
            Job::Info => {
                let said = ended.output.stdout(64 << 10);
                let root = said
                    .lines()
                    .find_map(|it| it.strip_prefix("Current directory:"));
                match root.map(str::trim).filter(|it| !it.is_empty()) {
                    Some(root) => self.root = root.to_owned(),
                    None => return Next::GiveUp,
                }
                None
            }
            Job::Sync | Job::SyncAll => self.wanted.revision.clone(),
            Job::Revision => change(&ended.output.stdout(4000)),
            Job::Version | Job::Describe => None,
        };
        if let Some(got) = got {
            cx.properties
                .set_runtime("got_revision", got, checkout::SOURCE);
        }
        vcs::by_exit(ended)
    }
}

/// The number in `Change 17 on …`.
fn change(said: &str) -> Option<String> {
    let mut words = said
        .lines()
        .find_map(|it| it.strip_prefix("Change "))?
        .split_whitespace();
    let number = words.next()?;
    number.parse::<u64>().ok().map(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;

    const MARK: &str = ".autobot-6fbff46319cacd2d";
    const INFO: &[super::super::bench::Line<'static>] = &[
        (crate::model::Channel::Stdout, "User name: ann"),
        (
            crate::model::Channel::Stdout,
            "Current directory: /srv/b/hello",
        ),
    ];

    fn bench(lines: &str) -> Bench {
        let lines = format!("p4base = \"//depot/hello/\"\n{lines}");
        let mut bench = Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND);
        bench.properties.set("slavename", "s1", "test");
        bench.properties.set("buildername", "a b/c", "test");
        bench
    }

    #[test]
    fn a_tree_of_the_same_is_synced_and_its_last_change_told() {
        let mut bench = bench("");
        let look = format!("stat hello/build/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: p4 -V", 0, &[]),
            ("hello: p4 info", 0, INFO),
            (&look, 0, &[]),
            ("hello: p4 client -i", 0, &[]),
            ("hello: p4 -c buildbot_s1_a_b_c sync", 0, &[]),
            (
                "hello: p4 -c buildbot_s1_a_b_c changes -s submitted -m 1 #have",
                0,
                &[out("Change 17 on 2026/01/01 by ann@x 'two'")],
            ),
        ];
        plays(&mut bench, script, "success: update");
        assert_eq!(bench.properties.text("got_revision"), Some("17"));
    }

    #[test]
    fn a_client_is_described_and_all_is_synced_where_nothing_is() {
        let lines = r#"p4port = "h:1666"
p4user = "ann"
p4passwd = "hush"
p4client = "%(slave)s-%(builder)s"
default_branch = "trunk"
p4extra_views = [["//depot/tools", "/tools"], ["//depot/a lib", "lib"]]
p4line_end = "unix"
mode = "full""#;
        let mut bench = bench(lines);
        bench.stamp.revision = Some("12".into());
        begin(&mut bench);
        let info = bench.ends(0, &[]);
        assert_eq!(info, "hello: p4 -p h:1666 -u ann -P hush info");
        assert_eq!(bench.ends(0, INFO), "rmdir hello/build");
        let shell = bench.ends_shell(0);
        assert_eq!(shell.mask, ["hush"]);
        let expected = "Client: s1-a_b_c\n\nOwner: ann\n\nDescription:\n\tCreated by ann\n\n\
            Root: /srv/b/hello\n\nOptions: allwrite rmdir\n\nLineEnd: unix\n\nView:\n\
            \t//depot/hello/trunk/... //s1-a_b_c/build/...\n\
            \t//depot/tools/... //s1-a_b_c/build/tools/...\n\
            \t\"//depot/a lib/...\" //s1-a_b_c/build/lib/...\n";
        assert_eq!(String::from_utf8_lossy(&shell.initial_stdin), expected);
        let told = bench.ends(0, &[]);
        let connection = "p4 -p h:1666 -u ann -P hush -c s1-a_b_c";
        assert_eq!(told, format!("hello: {connection} sync -f @12"));
        assert_eq!(
            bench.ends(0, &[]),
            "write hello/build/.autobot-9d63ed851d2adedc: "
        );
        assert_eq!(bench.ends(0, &[]), "success: update");
        assert_eq!(bench.properties.text("got_revision"), Some("12"));
    }

    #[test]
    fn a_client_is_of_a_slave_and_a_builder_and_of_no_build() {
        let mut bench = bench("p4client = \"x_%(build)s\"");
        let told = begin(&mut bench);
        assert!(
            told.starts_with("error: property `build` is not set"),
            "{told}"
        );
    }

    #[test]
    fn a_password_may_be_a_secret() {
        let mut bench = bench("p4user = \"ann\"\np4passwd = \"${secret:p4}\"");
        begin(&mut bench);
        let shell = bench.ends_shell(0);
        let words = ["p4", "-u", "ann", "-P", "<p4>", "info"].map(str::to_owned);
        assert_eq!(shell.line, ShellLine::Argv(words.into()));
        let holes: Vec<_> = shell.holes.iter().map(|it| (&it.within, it.at)).collect();
        assert_eq!(holes, [(&HoleIn::Word(4), 0)]);
    }

    #[test]
    fn a_server_that_does_not_answer_costs_no_tree() {
        let mut bench = bench("");
        begin(&mut bench);
        bench.ends(0, &[]);
        assert_eq!(bench.ends(1, &[]), "failure: update failed; build: p4");
    }

    #[test]
    fn what_is_a_pattern_or_looks_like_an_option_is_refused() {
        let mut bench = bench("");
        bench.stamp.branch = Some("...".into());
        let told = begin(&mut bench);
        assert_eq!(
            told,
            "error: `...` is a pattern and not one place in a depot"
        );
        bench.stamp.branch = Some("-f".into());
        assert_eq!(begin(&mut bench), "error: the branch `-f` begins with `-`");
    }

    #[test]
    fn views_are_pairs_and_ends_of_lines_have_names() {
        let lines = "p4base = \"//d\"\np4extra_views = [[\"//d/x\"]]\np4line_end = \"dos\"";
        insta::assert_snapshot!(problems_of(&KIND, lines), @"
        factories/x.toml:3:17: bad value for `p4extra_views` in [[steps]]
        factories/x.toml:4:14: bad value for `p4line_end` in [[steps]]
        ");
    }
}
