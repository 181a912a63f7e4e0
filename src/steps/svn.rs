//! `svn`: brings the tree to the branch and revision of the build. A branch
//! is a directory of the repository, so it has a URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Change;
use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
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
use super::checkout::Begun;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Plan;
use super::checkout::RepoUrl;
use super::checkout::Source;
use super::checkout::Wanted;
use super::line::rendered;
use super::paths;
use super::svn_said;

pub(super) const KIND: StepKind = StepKind {
    name: "svn",
    aliases: &["subversion"],
    step_name: "svn",
    summary: "Checks out a Subversion repository.",
    example: r#"base_url = "https://example.org/svn/"
default_branch = "trunk"
mode = "full"
method = "clobber""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Svn::read(keys)?)),
};

/// The methods of `mode = full`.
pub(crate) const METHODS: &[(&str, Mode)] = &[
    ("clean", Mode::Clean),
    ("fresh", Mode::Fresh),
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
    ("export", Mode::Export),
];

/// What stands for the branch in a base URL; otherwise it goes behind.
const BRANCH: &str = "%BRANCH%";

#[derive(Clone, Debug, Default)]
pub(crate) struct Svn {
    pub(crate) checkout: Checkout,
    pub(crate) urls: SvnUrls,
    /// Built where the stamp names none.
    pub(crate) default_branch: Option<Text>,
    pub(crate) username: Option<Text>,
    pub(crate) password: Option<Text>,
    pub(crate) extra_args: Vec<Text>,
    /// Paths that cleaning spares.
    pub(crate) keep_on_purge: Vec<Text>,
    /// Whether cleaning before an update spares what the repository ignores.
    pub(crate) spares_ignored: bool,
    /// Whether a tree is cleaned before every update.
    pub(crate) always_purge: bool,
    pub(crate) depth: Option<String>,
}

/// Where the branches are.
#[derive(Clone, Debug, Default)]
pub(crate) enum SvnUrls {
    /// Where the stamp says.
    #[default]
    Stamp,
    One(RepoUrl),
    /// Behind this, or in the place of `%BRANCH%` in it.
    Below(RepoUrl),
    /// Where the configuration says for the stamp's repository, or else for the branch.
    Map(BTreeMap<String, Text>),
}

/// Words that may have property references.
struct Texts(Vec<Text>);

impl Value for Texts {
    const EXPECTED: &'static str = <Vec<String> as Value>::EXPECTED;
    const SHAPE: Shape = <Vec<String> as Value>::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        let parse = |word: String| {
            Text::parse(&word).map_err(|error| Misread {
                what: Some(error.what),
                ..Misread::default()
            })
        };
        let words = Vec::<String>::read(node)?;
        words
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Svn {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = Checkout::read_all_but_url(keys, METHODS);
        let url = RepoUrl::key(keys, &["repourl", "svnurl"]);
        let base_url = RepoUrl::key(keys, &["base_url"]);
        let default_branch = keys.optional_as::<Text>(&["default_branch", "branch"]);
        let username = keys.optional::<Text>("username");
        let password = keys.optional::<Text>("password");
        let extra_args = keys.or("extra_args", Texts(Vec::new()));
        let keep_on_purge = keys.or("keep_on_purge", Texts(Vec::new()));
        let ignore_ignores = keys.or("ignore_ignores", true);
        let always_purge = keys.or("always_purge", false);
        let depth = keys.optional::<String>("depth");
        let (url, base_url) = (url?, base_url?);
        if base_url.is_some() && url.is_some() {
            let what = "`base_url` takes the place of `repourl`, with a branch behind it";
            let problem = Problem::error(Code::Contradiction, what);
            keys.note(problem.at(&keys.place("base_url")));
            return None;
        }
        let depth = depth?;
        if let Some(depth) = &depth
            && !["empty", "files", "immediates", "infinity"].contains(&depth.as_str())
        {
            let label = "expected `empty`, `files`, `immediates` or `infinity`";
            keys.wrong("depth", label);
            return None;
        }
        let urls = match (url, base_url) {
            (Some(RepoUrl::Table(map)), _) => SvnUrls::Map(map),
            (Some(url), _) => SvnUrls::One(url),
            (None, Some(base)) => SvnUrls::Below(base),
            (None, None) => SvnUrls::Stamp,
        };
        Some(Self {
            checkout: checkout?,
            urls,
            default_branch: default_branch?,
            username: username?,
            password: password?,
            extra_args: extra_args?.0,
            keep_on_purge: keep_on_purge?.0,
            spares_ignored: !ignore_ignores?,
            always_purge: always_purge?,
            depth,
        })
    }

    /// What this build wants of the repository. A revision that its changes have is a property.
    fn wanted(&self, cx: &mut Cx<'_>) -> Result<Wanted, StepError> {
        let wanted = self.wants(cx)?;
        if checkout::said(cx.stamp.revision.as_deref()).is_none()
            && let Some(revision) = &wanted.revision
        {
            cx.properties
                .set_runtime("revision", revision.as_str(), checkout::SOURCE);
        }
        Ok(wanted)
    }

    fn wants(&self, cx: &Cx<'_>) -> Result<Wanted, StepError> {
        let own_branch = match &self.default_branch {
            Some(text) => Some(text.render(cx.properties)?).filter(|it| !it.is_empty()),
            None => None,
        };
        let is_about_this = self.is_about(cx)?;
        let (branch, revision) = match is_about_this {
            true => (
                checkout::said(cx.stamp.branch.as_deref()),
                self.revision(cx),
            ),
            false => (None, None),
        };
        let branch = branch.or(own_branch);
        let url = self.url(branch.as_deref(), cx)?;
        let wanted = Wanted {
            url: url.trim_end_matches('/').to_owned(),
            branch,
            revision,
        };
        wanted.check()?;
        Ok(wanted)
    }

    fn url(&self, branch: Option<&str>, cx: &Cx<'_>) -> Result<String, StepError> {
        let unnamed = || {
            let what = "the build names no branch, and the checkout has no `default_branch`";
            StepError::Other(what.into())
        };
        let url = match &self.urls {
            SvnUrls::Stamp => cx.stamp.repository.clone(),
            SvnUrls::One(url) => url.render(cx)?,
            SvnUrls::Below(base) => {
                let (base, branch) = (base.render(cx)?, branch.ok_or_else(unnamed)?);
                checkout::check_below(branch)?;
                match base.contains(BRANCH) {
                    true => base.replace(BRANCH, branch),
                    false => format!("{base}{branch}"),
                }
            }
            SvnUrls::Map(map) => {
                if let Some(url) = checkout::lookup(map, &cx.stamp.repository) {
                    return Ok(url.render(cx.properties)?);
                }
                let branch = branch.ok_or_else(unnamed)?;
                let Some(url) = map.get(branch) else {
                    let what = format!("`repourl` has no URL for the branch `{branch}`");
                    return Err(StepError::Other(what));
                };
                url.render(cx.properties)?
            }
        };
        if url.is_empty() {
            let what = "the checkout has no `repourl`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        Ok(url)
    }

    /// Every place that this checkout may be of.
    fn places(&self, cx: &Cx<'_>) -> Result<Vec<String>, StepError> {
        match &self.urls {
            SvnUrls::Stamp => Ok(Vec::new()),
            SvnUrls::One(url) | SvnUrls::Below(url) if url.follows_stamp() => Ok(Vec::new()),
            SvnUrls::One(url) => Ok(vec![url.render(cx)?]),
            SvnUrls::Below(base) => {
                let base = base.render(cx)?;
                let head = base.split(BRANCH).next().unwrap_or_default();
                Ok(vec![head.to_owned()])
            }
            SvnUrls::Map(map) if checkout::lookup(map, &cx.stamp.repository).is_some() => {
                Ok(Vec::new())
            }
            SvnUrls::Map(map) => {
                let urls = map.values().map(|it| it.render(cx.properties));
                Ok(urls.collect::<Result<_, _>>()?)
            }
        }
    }

    fn revision(&self, cx: &Cx<'_>) -> Option<String> {
        match self.checkout.always_use_latest {
            true => None,
            false => checkout::said(cx.stamp.revision.as_deref()).or_else(|| highest(cx.changes)),
        }
    }
}

/// The highest revision of the changes; none if one has none.
fn highest(changes: &[Change]) -> Option<String> {
    let number = |it: &Change| it.revision.as_ref()?.trim().parse::<u64>().ok();
    let numbers: Option<Vec<_>> = changes.iter().map(number).collect();
    numbers?.into_iter().max().map(|it| it.to_string())
}

/// A poller may follow the whole repository, or a directory of it.
fn is_one_within_the_other(a: &str, b: &str) -> bool {
    let (a, b) = (checkout::plain(a), checkout::plain(b));
    let within = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    within(&a, &b) || within(&b, &a)
}

/// Svn writes URLs in its own way, people in theirs.
fn is_same_place(a: &str, b: &str) -> bool {
    let bytes = |url: &str| {
        let url = checkout::plain(url);
        let mut rest = url.as_str();
        let mut out = Vec::new();
        while let Some(char) = rest.chars().next() {
            let code = rest.strip_prefix('%').and_then(|it| it.get(..2));
            match code.and_then(|it| u8::from_str_radix(it, 16).ok()) {
                Some(code) => {
                    out.push(code);
                    rest = &rest[3..];
                }
                None => {
                    let (head, tail) = rest.split_at(char.len_utf8());
                    out.extend_from_slice(head.as_bytes());
                    rest = tail;
                }
            }
        }
        out
    };
    bytes(a) == bytes(b)
}

impl Step for Svn {
    fn begin(&self) -> Box<dyn Run> {
        checkout::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

/// What is known once the build's properties are.
pub(super) struct Known {
    /// Between a verb and what it is about.
    options: Vec<String>,
    password: Option<String>,
    kept: Vec<String>,
}

/// What a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Version,
    /// Is there a checkout? Checks out where there is none.
    Look,
    /// Is it of the wanted URL? Checks out anew where it is not.
    Where,
    /// Is it patched? Cleans it where it is.
    LookForPatch,
    RemoveWork,
    RemoveTree,
    Checkout,
    /// What does the repository not know?
    Status,
    Purge(String),
    Update,
    Revision,
    CopyTree,
    /// Which revision is the newest?
    Newest,
    Export,
}

impl Source for Svn {
    type Job = Job;
    type Known = Known;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let ours = self.places(cx)?;
        let is_ours = |stamped: &str| {
            ours.is_empty() || ours.iter().any(|it| is_one_within_the_other(it, stamped))
        };
        Ok(self.checkout.is_about(cx, is_ours))
    }

    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun<Self>, StepError> {
        let wanted = self.wanted(cx)?;
        let tree = self.checkout.tree(cx)?;
        let mode = self.checkout.mode;
        let work = match mode {
            Mode::Copy => checkout::kept(cx, &tree),
            Mode::Incremental | Mode::Clean | Mode::Fresh | Mode::Clobber | Mode::Export => {
                tree.clone()
            }
        };
        let mut plan = Plan::new([Job::Version], self.checkout.retry);
        plan.jobs.extend(match mode {
            Mode::Incremental | Mode::Clean | Mode::Fresh => vec![Job::Look],
            Mode::Clobber => vec![Job::RemoveWork, Job::Checkout],
            Mode::Copy => vec![Job::RemoveTree, Job::Look],
            Mode::Export => match wanted.revision {
                Some(_) => vec![Job::RemoveTree, Job::Export],
                None => vec![Job::RemoveTree, Job::Newest, Job::Export],
            },
        });
        // From nothing, one more try is no fallback but a retry.
        plan.has_fallen_back = matches!(mode, Mode::Clobber | Mode::Export);
        let optional = |text: &Option<Text>| match text {
            Some(text) => text.render(cx.properties).map(Some),
            None => Ok(None),
        };
        let username = optional(&self.username)?;
        let password = optional(&self.password)?.filter(|it| !it.is_empty());
        let mut options = vec!["--non-interactive".to_owned(), "--no-auth-cache".to_owned()];
        for (name, value) in [
            ("--username", &username),
            ("--password", &password),
            ("--depth", &self.depth),
        ] {
            options.extend(value.iter().map(|it| format!("{name}={it}")));
        }
        options.extend(rendered(&self.extra_args, cx.properties)?);
        Ok(Begun {
            wanted,
            work,
            tree,
            plan,
            known: Known {
                options,
                password,
                kept: rendered(&self.keep_on_purge, cx.properties)?,
            },
        })
    }

    fn command(&self, job: &Job, begun: &Begun<Self>, cx: &Cx<'_>) -> Result<Command, StepError> {
        let work = paths::of_builder(cx.builder_dir, &begun.work);
        let revision = begun.wanted.revision.as_deref();
        let at = format!("--revision={}", revision.unwrap_or("HEAD"));
        // Behind the last `@` svn looks for the revision in which the URL is meant.
        let url = format!("{}@{}", begun.wanted.url, revision.unwrap_or_default());
        let svn = |dir: &str, verb: &[&str], what: &[&str]| {
            let options = begun.known.options.iter().map(String::as_str);
            let argv = ["svn"].into_iter().chain(verb.iter().copied());
            let argv = argv.chain(options).chain(what.iter().copied());
            self.run(cx, dir, argv, begun)
        };
        match job {
            Job::Version => self.run(cx, &work, ["svn", "--version", "--quiet"], begun),
            Job::Look => Ok(checkout::stat(cx, &begun.work, ".svn")),
            Job::LookForPatch => Ok(checkout::is_patched(cx, &begun.work)),
            Job::RemoveWork => checkout::rmdir(cx, &begun.work),
            Job::RemoveTree => checkout::rmdir(cx, &begun.tree),
            Job::Where => self.run(cx, &work, ["svn", "info", "--xml"], begun),
            Job::Checkout => svn(&work, &["checkout", &at], &["--", &url, "."]),
            Job::Status => {
                let mut verb = vec!["status", "--xml"];
                let all = match self.checkout.mode {
                    Mode::Clean => false,
                    Mode::Fresh => true,
                    _ => !self.spares_ignored,
                };
                if all {
                    verb.push("--no-ignore");
                }
                self.run(cx, &work, ["svn"].into_iter().chain(verb), begun)
            }
            Job::Purge(path) => checkout::rmdir(cx, &format!("{}/{path}", begun.work)),
            Job::Update => svn(&work, &["update", &at], &[]),
            Job::Revision => self.run(cx, &work, ["svnversion", "."], begun),
            Job::CopyTree => {
                let from = paths::inside_builder(cx.builder_dir, &begun.work)?;
                let to = paths::inside_builder(cx.builder_dir, &begun.tree)?;
                Ok(Command::File(FileCommand::Cpdir { from, to }))
            }
            Job::Newest => svn(cx.builder_dir, &["info", "--xml"], &["--", &url]),
            Job::Export => {
                let tree = begun.tree.trim_end_matches('/');
                svn(cx.builder_dir, &["export", &at], &["--", &url, tree])
            }
        }
    }

    fn ended(
        &self,
        job: &Job,
        begun: &mut Begun<Self>,
        ended: &Ended<'_>,
        cx: &mut Cx<'_>,
    ) -> Next<Job> {
        if ended.exit.is_success()
            && let Some(jobs) = self.done(job, begun, ended, cx)
        {
            return Next::First(jobs);
        }
        match job {
            Job::Look => Next::First(vec![Job::Checkout]),
            Job::LookForPatch => Next::First(vec![Job::Update]),
            Job::Version | Job::RemoveWork | Job::RemoveTree | Job::CopyTree => Next::GiveUp,
            Job::Checkout | Job::Newest | Job::Export => {
                // What follows is not instead of it, but once more the same.
                begun.plan.has_fallen_back = true;
                Next::StartOver
            }
            Job::Where | Job::Status | Job::Purge(_) | Job::Update | Job::Revision => {
                match is_the_repositorys(ended) {
                    true => Next::GiveUp,
                    false => Next::StartOver,
                }
            }
        }
    }

    fn anew(&self, begun: &Begun<Self>) -> Vec<Job> {
        match (self.checkout.mode, &begun.wanted.revision) {
            (Mode::Export, Some(_)) => vec![Job::RemoveTree, Job::Export],
            (Mode::Export, None) => vec![Job::RemoveTree, Job::Newest, Job::Export],
            _ => vec![Job::RemoveWork, Job::Checkout],
        }
    }

    fn remarks(&self, cx: &Cx<'_>) -> Vec<String> {
        let Ok(wanted) = self.wants(cx) else {
            return Vec::new();
        };
        let patch = cx.stamp.patch.as_ref();
        let is_patched = patch.is_some() && self.is_about(cx).unwrap_or_default();
        let branch = (!wanted.url.contains("trunk")).then(|| "[branch]".to_owned());
        let revision = wanted.revision.map(|it| format!("r{it}"));
        let patch = is_patched.then(|| "[patch]".to_owned());
        branch.into_iter().chain(revision).chain(patch).collect()
    }
}

impl Svn {
    fn run<'a>(
        &self,
        cx: &Cx<'_>,
        dir: &str,
        argv: impl IntoIterator<Item = &'a str>,
        begun: &Begun<Self>,
    ) -> Result<Command, StepError> {
        let argv = argv.into_iter().map(str::to_owned).collect();
        let mut command = self.checkout.command(cx, dir, argv, &begun.wanted)?;
        if let Command::Shell(shell) = &mut command {
            shell.mask.extend(begun.known.password.clone());
            // Without it svn refuses names of files that are no ASCII.
            shell
                .env
                .entry("LC_CTYPE".into())
                .or_insert_with(|| Some("C.UTF-8".into()));
        }
        Ok(command)
    }

    /// What follows `job`, which ended well; `None` if it did not say what it should.
    fn done(
        &self,
        job: &Job,
        begun: &mut Begun<Self>,
        ended: &Ended<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Vec<Job>> {
        let mut got = |revision: &str| {
            cx.properties
                .set_runtime("got_revision", revision, checkout::SOURCE);
        };
        Some(match job {
            Job::Look => vec![Job::Where],
            Job::Where => {
                let same = svn_said::url_of(&ended.output.stdout(1 << 20))
                    .is_some_and(|it| is_same_place(&it, &begun.wanted.url));
                match (same, self.checkout.mode) {
                    (false, _) => vec![Job::RemoveWork, Job::Checkout],
                    (true, Mode::Clean | Mode::Fresh) => vec![Job::Status, Job::Update],
                    (true, _) if self.always_purge => vec![Job::Status, Job::Update],
                    (true, Mode::Incremental) => vec![Job::LookForPatch],
                    (true, Mode::Clobber | Mode::Copy | Mode::Export) => vec![Job::Update],
                }
            }
            Job::LookForPatch => vec![Job::Status, Job::Update],
            Job::Status => {
                let paths = svn_said::strangers(&ended.output.stdout(16 << 20))?;
                let paths = paths.into_iter();
                let paths = paths.filter(|it| !begun.known.kept.contains(it));
                paths.map(Job::Purge).collect()
            }
            Job::Checkout | Job::Update => vec![Job::Revision],
            Job::Revision => {
                got(&svn_said::version(&ended.output.stdout(1000))?);
                match self.checkout.mode {
                    Mode::Copy => vec![Job::CopyTree],
                    _ => Vec::new(),
                }
            }
            Job::Newest => {
                let revision = svn_said::revision_of(&ended.output.stdout(1 << 20))?;
                begun.wanted.revision = Some(revision);
                Vec::new()
            }
            Job::Export => {
                if let Some(revision) = begun.wanted.revision.as_deref() {
                    got(revision);
                }
                Vec::new()
            }
            Job::Version | Job::RemoveWork | Job::RemoveTree | Job::Purge(_) | Job::CopyTree => {
                Vec::new()
            }
        })
    }
}

/// Whether it is the repository that does not answer, or says no: then the
/// checkout is not to blame, and is not removed.
fn is_the_repositorys(ended: &Ended<'_>) -> bool {
    // Connections, certificates, the protocol, access, what is not there.
    let codes = ["e0001", "e120", "e160", "e170", "e175", "e230"];
    codes.iter().any(|it| checkout::complained(ended, &[it]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::bench::run_program;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::model::Patch;
    use crate::model::Properties;
    use crate::model::SourceStamp;

    const URL: &str = "https://example.org/svn/trunk";

    fn svn(mode: Mode) -> Svn {
        Svn {
            checkout: Checkout {
                mode,
                ..Checkout::default()
            },
            urls: SvnUrls::One(Text::literal(URL).into()),
            ..Svn::default()
        }
    }

    fn info(url: &str) -> String {
        format!("<info><entry revision='9'><url>{url}</url></entry></info>")
    }

    #[test]
    fn an_incremental_checkout_updates_what_is_of_the_same_url() {
        let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
        bench.stamp.revision = Some("7".into());
        let info = info(URL);
        bench.plays(
            &[
                ("hello/build: svn --version --quiet", 0, &[]),
                ("stat hello/build/.svn", 0, &[]),
                ("hello/build: svn info --xml", 0, &[out(&info)]),
                ("stat hello/build/.buildbot-patched", 1, &[]),
                (
                    "hello/build: svn update --revision=7 --non-interactive --no-auth-cache",
                    0,
                    &[],
                ),
                ("hello/build: svnversion .", 0, &[out("5:7MS")]),
            ],
            "success: update r7",
        );
        assert_eq!(bench.properties.text("got_revision"), Some("7"));
    }

    #[test]
    fn another_url_and_a_broken_checkout_are_removed_and_a_silent_repository_is_not_blamed_on_it() {
        let checkout = format!(
            "hello/build: svn checkout --revision=HEAD --non-interactive --no-auth-cache -- {URL}@ ."
        );
        let update = "hello/build: svn update --revision=HEAD --non-interactive --no-auth-cache";
        let other = info("https://example.org/svn/other");
        let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
        bench.plays(
            &[
                ("hello/build: svn --version --quiet", 0, &[]),
                ("stat hello/build/.svn", 0, &[]),
                ("hello/build: svn info --xml", 0, &[out(&other)]),
                ("rmdir hello/build", 0, &[]),
                (&checkout, 0, &[]),
                (
                    "hello/build: svnversion .",
                    0,
                    &[out("Unversioned directory")],
                ),
                ("rmdir hello/build", 0, &[]),
                (&checkout, 0, &[]),
                ("hello/build: svnversion .", 0, &[out("exported")]),
            ],
            "failure: update failed; build: svn",
        );
        let same = info(URL);
        for (complaint, is_blamed) in [("svn: E155004: locked", true), ("svn: E170013: no", false)]
        {
            let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
            bench.begin();
            bench.ends(0, &[]);
            bench.ends(0, &[]);
            bench.ends(0, &[out(&same)]);
            assert_eq!(bench.ends(1, &[]), update);
            let next = bench.ends(1, &[err(complaint)]);
            assert_eq!(next == "rmdir hello/build", is_blamed, "{next}");
        }
    }

    #[test]
    fn cleaning_removes_what_the_repository_does_not_know_but_for_what_is_kept() {
        let step = Svn {
            keep_on_purge: vec![Text::literal("cache")],
            ..svn(Mode::Fresh)
        };
        let mut bench = Bench::new(&step, &KIND);
        let same = info(URL);
        let status = "<status><target path='.'>\
            <entry path='a&amp;b'><wc-status item='unversioned'/></entry>\
            <entry path='cache'><wc-status item='ignored'/></entry>\
            <entry path='m'><wc-status item='modified'/></entry>\
            <entry path='gone'><wc-status item='missing'/></entry>\
            <entry path='ext'><wc-status item='external'/></entry></target></status>";
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        let told = bench.ends(0, &[out(&same)]);
        assert_eq!(told, "hello/build: svn status --xml --no-ignore");
        assert_eq!(bench.ends(0, &[out(status)]), "rmdir hello/build/a&b");
        assert_eq!(bench.ends(0, &[]), "rmdir hello/build/m");
        assert!(bench.ends(0, &[]).starts_with("hello/build: svn update"));
        // A name that leads out of the tree is removed by nobody.
        let evil = "<status><entry path='../../x'><wc-status item='unversioned'/></entry></status>";
        let mut bench = Bench::new(&step, &KIND);
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        bench.ends(0, &[out(&same)]);
        assert!(bench.ends(0, &[out(evil)]).starts_with("error: "));
    }

    #[test]
    fn a_tree_is_purged_before_an_update_if_it_is_patched_or_always() {
        let same = info(URL);
        let status = "hello/build: svn status --xml";
        let all = "hello/build: svn status --xml --no-ignore";
        let mut step = svn(Mode::Incremental);
        for (always, spares, expected) in [
            (false, false, all),
            (false, true, status),
            (true, true, status),
        ] {
            (step.always_purge, step.spares_ignored) = (always, spares);
            let mut bench = Bench::new(&step, &KIND);
            bench.begin();
            bench.ends(0, &[]);
            bench.ends(0, &[]);
            let mut told = bench.ends(0, &[out(&same)]);
            if !always {
                assert_eq!(told, "stat hello/build/.buildbot-patched");
                told = bench.ends(0, &[]);
            }
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn its_text_says_what_is_out_of_the_ordinary() {
        let check = |url: &str, revision: Option<&str>, is_patched: bool, expected: &[&str]| {
            let step = Svn {
                urls: SvnUrls::One(Text::literal(url).into()),
                ..svn(Mode::Incremental)
            };
            let mut bench = Bench::new(&step, &KIND);
            bench.stamp.revision = revision.map(str::to_owned);
            bench.stamp.patch = is_patched.then(|| Patch {
                level: 0,
                diff: b"x".to_vec(),
                subdir: None,
                author: None,
                comment: None,
            });
            assert_eq!(bench.running_text(), expected, "{url}");
        };
        check(URL, None, false, &["updating"]);
        check(
            "https://x/branches/b",
            None,
            false,
            &["updating", "[branch]"],
        );
        check(URL, Some("7"), false, &["updating", "r7"]);
        check(URL, Some("7"), true, &["updating", "r7", "[patch]"]);
    }

    #[test]
    fn a_map_is_of_repositories_or_of_branches() {
        let lines =
            "mode = 'clobber'\nrepourl = { 'http://x/' = 'http://y/trunk', b = 'http://z/b' }";
        let step = read_kind(&KIND, lines);
        for (repository, branch, expected) in [
            ("http://x", "any", "http://y/trunk"),
            ("http://z", "b", "http://z/b"),
        ] {
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.stamp.repository = repository.into();
            bench.stamp.branch = Some(branch.into());
            bench.begin();
            bench.ends(0, &[]);
            let told = bench.ends(0, &[]);
            assert!(told.ends_with(&format!(" -- {expected}@ .")), "{told}");
        }
        insta::assert_snapshot!(
            problems_of(&KIND, "repourl = 'http://x'\nbase_url = 'http://y'"),
            @"factories/x.toml:3:12: `base_url` takes the place of `repourl`, with a branch behind it"
        );
    }

    #[test]
    fn a_branch_has_its_url() {
        let told = |urls: SvnUrls, stamp: SourceStamp| {
            let step = Svn {
                urls,
                ..svn(Mode::Clobber)
            };
            let mut bench = Bench::new(&step, &KIND);
            bench.stamp = stamp;
            let first = bench.begin();
            if first.starts_with("error") {
                return first;
            }
            bench.ends(0, &[]);
            let line = bench.ends(0, &[]);
            let (head, url) = line.split_once(" -- ").expect("a URL");
            let revision = head.split("--revision=").nth(1).expect("a revision");
            format!("{} {url}", revision.split(' ').next().unwrap_or_default())
        };
        let stamp = |repository: &str, branch: Option<&str>| SourceStamp {
            repository: repository.into(),
            branch: branch.map(str::to_owned),
            revision: Some("5".into()),
            ..SourceStamp::default()
        };
        let map = || {
            let pairs = [
                ("trunk", "http://x/svn/d/trunk"),
                ("1.2.X", "http://x/svn/d/b/1.2.X"),
            ];
            SvnUrls::Map(
                pairs
                    .map(|(name, url)| (name.into(), Text::literal(url)))
                    .into(),
            )
        };
        let root = "http://x/svn";
        let said = told(map(), stamp(root, Some("1.2.X")));
        assert_eq!(said, "5 http://x/svn/d/b/1.2.X@5 .");
        assert_eq!(
            told(map(), stamp(root, Some("9"))),
            "error: `repourl` has no URL for the branch `9`"
        );
        let unnamed = "error: the build names no branch, and the checkout has no `default_branch`";
        assert_eq!(told(map(), stamp(root, None)), unnamed);
        assert_eq!(told(map(), stamp("http://y/svn", Some("trunk"))), unnamed);

        let below = |base: &str| SvnUrls::Below(Text::parse(base).expect(base).into());
        let said = told(below("http://x/svn/"), stamp(root, Some("branches/1")));
        assert_eq!(said, "5 http://x/svn/branches/1@5 .");
        let said = told(below("http://x/svn/%%BRANCH%%/p"), stamp(root, Some("b")));
        assert_eq!(said, "5 http://x/svn/b/p@5 .");
        let said = told(
            SvnUrls::Below(RepoUrl::Parts(vec![
                Text::literal("http://x/"),
                Text::literal("/b/"),
            ])),
            stamp("svn", Some("b")),
        );
        assert_eq!(said, "5 http://x/svn/b/b@5 .");
        let said = told(below("http://x/svn/"), stamp(root, Some("../y")));
        assert!(said.starts_with("error: the branch `../y`"), "{said}");

        // A stamp of another repository says nothing about this one.
        let one = || SvnUrls::One(Text::literal(URL).into());
        assert_eq!(
            told(one(), stamp("http://y/", None)),
            format!("HEAD {URL}@ .")
        );
        let inner = stamp("https://example.org/svn", None);
        assert_eq!(told(one(), inner), format!("5 {URL}@5 ."));
        assert_eq!(
            told(SvnUrls::Stamp, stamp("http://y/z", None)),
            "5 http://y/z@5 ."
        );
    }

    #[test]
    fn a_url_may_be_written_in_two_ways() {
        assert!(is_same_place("http://x/a%20%c3%bc", "http://u@x/a ü/"));
        assert!(is_same_place("file:///x/100%", "/x/100%"));
        assert!(!is_same_place("http://x/a", "http://x/b"));
    }

    #[test]
    fn the_highest_revision_of_the_changes_is_built() {
        let change = |revision: Option<&str>| Change {
            id: crate::model::ChangeId(1),
            author: String::new(),
            files: Vec::new(),
            comments: String::new(),
            revision: revision.map(str::to_owned),
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: crate::model::Timestamp(0),
            properties: Properties::new(),
        };
        let all = [change(Some("9")), change(Some("10")), change(Some("8"))];
        assert_eq!(highest(&all).as_deref(), Some("10"));
        assert_eq!(highest(&[change(Some("9")), change(None)]), None);
        assert_eq!(highest(&[]), None);
    }

    #[test]
    fn a_password_is_masked_and_an_export_says_what_it_exports() {
        let step = Svn {
            username: Some(Text::literal("ann")),
            password: Some(Text::literal("hush")),
            depth: Some("files".into()),
            extra_args: vec![Text::literal("--ignore-externals")],
            ..svn(Mode::Export)
        };
        let mut bench = Bench::new(&step, &KIND);
        assert_eq!(bench.begin_shell().mask, ["hush"]);
        bench.ends(0, &[]);
        let options = "--non-interactive --no-auth-cache --username=ann --password=hush --depth=files --ignore-externals";
        let newest = format!("hello: svn info --xml {options} -- {URL}@");
        assert_eq!(bench.ends(0, &[]), newest);
        let said = info(URL);
        let export = format!("hello: svn export --revision=9 {options} -- {URL}@9 build");
        assert_eq!(bench.ends(0, &[out(&said)]), export);
        assert_eq!(bench.ends(0, &[]), "success: update");
        assert_eq!(bench.properties.text("got_revision"), Some("9"));
    }

    #[test]
    fn what_looks_like_an_option_reaches_no_program() {
        for revision in ["-x", "1\n2"] {
            let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
            bench.stamp.revision = Some(revision.into());
            assert!(bench.begin().starts_with("error: the revision"));
        }
    }

    #[test]
    fn real_checkouts_reach_branches_and_revisions_in_every_mode() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        run_program(dir.path(), "svnadmin", &["create", "r"]);
        let root = format!("file://{}", at("r").display());
        let import = |name: &str, text: &str| {
            fs::create_dir_all(at("i")).expect("a directory");
            fs::write(at("i/file"), text).expect("a file");
            let url = format!("{root}/{name}");
            run_program(dir.path(), "svn", &["import", "-q", "-m", name, "i", &url]);
        };
        import("trunk", "one");
        import("branches/b", "of b");
        run_program(
            dir.path(),
            "svn",
            &["checkout", "-q", &format!("{root}/trunk"), "w"],
        );
        fs::write(at("w/file"), "three").expect("a file");
        run_program(&at("w"), "svn", &["commit", "-q", "-m", "three"]);

        let build = |mode: Mode, branch: &str, revision: Option<&str>| {
            let step = Svn {
                urls: SvnUrls::Below(Text::literal(format!("{root}/")).into()),
                ..svn(mode)
            };
            let mut bench = Bench::new(&step, &KIND);
            bench.stamp.repository = root.clone();
            bench.stamp.branch = Some(branch.into());
            bench.stamp.revision = revision.map(str::to_owned);
            let told = bench.run_for_real(dir.path());
            let end = told.last().expect("an end");
            assert!(end.starts_with("success: update"), "{told:#?}");
            let text = fs::read_to_string(at("hello/build/file")).expect("a file");
            let got = bench.properties.text("got_revision").unwrap_or_default();
            format!("{got} {text}")
        };
        let stray = |name: &str| {
            fs::write(at("hello/build").join(name), "x").expect("a file");
        };
        let is_there = |path: &str| Path::new(&at(path)).exists();
        assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
        stray("stray");
        assert_eq!(build(Mode::Incremental, "trunk", Some("1")), "1 one");
        assert!(is_there("hello/build/stray"));
        stray("file");
        assert_eq!(build(Mode::Clean, "trunk", None), "3 three");
        assert!(!is_there("hello/build/stray"));
        assert_eq!(build(Mode::Incremental, "branches/b", None), "3 of b");
        assert_eq!(build(Mode::Clobber, "trunk", Some("2")), "2 one");
        stray("stray.o");
        assert_eq!(build(Mode::Fresh, "trunk", Some("3")), "3 three");
        assert!(!is_there("hello/build/stray.o"));
        assert_eq!(build(Mode::Copy, "branches/b", None), "3 of b");
        assert!(is_there("hello/source/.svn") && is_there("hello/build/.svn"));
        assert_eq!(build(Mode::Export, "trunk", None), "3 three");
        assert!(!is_there("hello/build/.svn"));
        // What an export left is no checkout.
        assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
        fs::write(at("hello/build/.svn/wc.db"), "garbage").expect("a file");
        assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
    }
}
