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
        let is_good = ended.exit.is_success();
        if is_good && *job == Job::Where && !is_of(begun, ended) {
            return Next::Replace("the tree is of another URL");
        }
        if is_good && let Some(jobs) = self.done(job, begun, ended, cx) {
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
            Job::Where => match self.checkout.mode {
                Mode::Clean | Mode::Fresh => vec![Job::Status, Job::Update],
                _ if self.always_purge => vec![Job::Status, Job::Update],
                Mode::Incremental => vec![Job::LookForPatch],
                Mode::Clobber | Mode::Copy | Mode::Export => vec![Job::Update],
            },
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

/// Whether the tree is one of the wanted URL, as svn tells it.
fn is_of(begun: &Begun<Svn>, ended: &Ended<'_>) -> bool {
    let said = svn_said::url_of(&ended.output.stdout(1 << 20));
    said.is_some_and(|it| is_same_place(&it, &begun.wanted.url))
}

/// Whether it is the repository that does not answer, or says no: then the
/// checkout is not to blame, and is not removed.
fn is_the_repositorys(ended: &Ended<'_>) -> bool {
    // Connections, certificates, the protocol, access, what is not there.
    let codes = ["e0001", "e120", "e160", "e170", "e175", "e230"];
    codes.iter().any(|it| checkout::complained(ended, &[it]))
}

#[cfg(test)]
#[path = "svn_tests.rs"]
mod tests;
