//! What `git`, `mercurial` and `svn` share: which repository, branch and revision a
//! build is about, how the tree is brought there, and what a build may not
//! say to a program.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use crate::expr::Amount;
use crate::model::Channel;
use crate::model::Command;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileCommand;
use crate::model::Mirror;
use crate::model::MirrorKind;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Cx;
use super::Ended;
use super::Flags;
use super::StepError;
use super::line::rendered;
use super::paths;
use super::read;
use super::read::Retry;
use super::settings::TIMEOUT;
use super::settings::environment;

/// Where the kept checkout of the method `copy` lies, in the builder's directory.
pub(super) const KEPT: &str = "source";

/// Without its source no step makes sense.
pub(super) const FLAGS: Flags = Flags {
    halt_on_failure: true,
    flunk_on_failure: true,
    ..Flags::NONE
};

/// How the tree of the last build is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Kept, and brought to the revision.
    #[default]
    Incremental,
    /// Cleaned of files that the repository does not know, but for ignored ones.
    Clean,
    /// Cleaned of every file that the repository does not know.
    Fresh,
    /// Removed, and cloned anew.
    Clobber,
    /// Removed, and copied from a checkout that is kept in `source`.
    Copy,
    /// Removed, and written anew without what the repository's program needs (svn only).
    Export,
}

impl Mode {
    /// Reads `mode` and `method`. A method belongs to the mode `full`.
    pub(crate) fn read(keys: &mut Keys<'_>, methods: &[(&str, Self)]) -> Option<Self> {
        let mode = keys.optional::<String>("mode");
        let method = keys.optional::<String>("method");
        let (mode, method) = (mode?, method?);
        let is_full = match mode.as_deref() {
            None | Some("incremental") => false,
            Some("full") => true,
            Some(other) => {
                let what = format!("`{other}` is no checkout mode");
                note(keys, "mode", what, "expected `incremental` or `full`");
                return None;
            }
        };
        let method = match method {
            None => Self::Fresh,
            Some(word) => match methods.iter().find(|(name, _)| *name == word) {
                Some((_, method)) => *method,
                None => {
                    let what = format!("`{word}` is no checkout method");
                    let names: Vec<_> = methods
                        .iter()
                        .map(|(name, _)| format!("`{name}`"))
                        .collect();
                    note(
                        keys,
                        "method",
                        what,
                        &format!("expected {}", names.join(", ")),
                    );
                    return None;
                }
            },
        };
        Some(if is_full { method } else { Self::Incremental })
    }
}

fn note(keys: &mut Keys<'_>, key: &str, what: String, label: &str) {
    let place = keys.place(key);
    keys.note(Problem::error(Code::BadValue, what).at(&place).label(label));
}

/// The parameters that every checkout has.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// The stamp's repository where unset.
    pub(crate) repourl: Option<Text>,
    pub(crate) workdir: Option<Text>,
    pub(crate) mode: Mode,
    /// Drops the revision of the stamp.
    pub(crate) always_use_latest: bool,
    /// How many times more a full checkout is tried. A step cannot wait, so
    /// the next try follows at once.
    pub(crate) retry: u32,
    pub(crate) timeout: Option<Amount>,
    pub(crate) env: BTreeMap<String, Option<Text>>,
    pub(crate) log_environ: bool,
    pub(crate) description: Option<Vec<Text>>,
    pub(crate) description_done: Option<Vec<Text>>,
    /// Whether it may come from the mirror that the slave keeps (git and hg only).
    pub(crate) mirror: bool,
    /// Whether a stamp that names no repository is about this one. It is not
    /// for the second source of a factory.
    pub(crate) is_first: bool,
}

impl Default for Checkout {
    fn default() -> Self {
        Self {
            repourl: None,
            workdir: None,
            mode: Mode::default(),
            always_use_latest: false,
            retry: 0,
            timeout: Some(TIMEOUT.into()),
            env: BTreeMap::new(),
            log_environ: true,
            description: None,
            description_done: None,
            mirror: true,
            is_first: true,
        }
    }
}

impl Checkout {
    pub(super) fn read(keys: &mut Keys<'_>, methods: &[(&str, Mode)]) -> Option<Self> {
        let repourl = keys.optional("repourl");
        let mirror = keys.or("mirror", true);
        let rest = Self::read_all_but_url(keys, methods);
        Some(Self {
            repourl: repourl?,
            mirror: mirror?,
            ..rest?
        })
    }

    /// For who has more to say about the URL, and no mirrors.
    pub(super) fn read_all_but_url(keys: &mut Keys<'_>, methods: &[(&str, Mode)]) -> Option<Self> {
        let workdir = keys.optional("workdir");
        let mode = Mode::read(keys, methods);
        let always_use_latest = keys.or("always_use_latest", false);
        let retry = keys.or("retry", Retry(0));
        let timeout = read::limit(keys, "timeout", Some(TIMEOUT));
        let env = read::env(keys, "env");
        let log_environ = keys.or("log_environ", true);
        let description = read::words(keys, "description");
        let description_done = read::words(keys, "description_done");
        Some(Self {
            repourl: None,
            workdir: workdir?,
            mode: mode?,
            always_use_latest: always_use_latest?,
            retry: retry?.0,
            timeout: timeout?,
            env: env?,
            log_environ: log_environ?,
            description: description?,
            description_done: description_done?,
            mirror: true,
            is_first: true,
        })
    }

    pub(super) fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let own = self
            .description
            .as_deref()
            .and_then(|it| rendered(it, cx.properties).ok());
        own.unwrap_or_else(|| vec!["updating".into()])
    }

    pub(super) fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let own = self
            .description_done
            .as_deref()
            .and_then(|it| rendered(it, cx.properties).ok());
        own.unwrap_or_else(|| vec!["update".into()])
    }

    /// What this build wants of the repository. `own_branch` is the step's.
    pub(super) fn wanted(
        &self,
        cx: &mut Cx<'_>,
        own_branch: Option<String>,
    ) -> Result<Wanted, StepError> {
        let url = match &self.repourl {
            Some(text) => text.render(cx.properties)?,
            None => cx.stamp.repository.clone(),
        };
        if url.is_empty() {
            let what = "the checkout has no `repourl`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        let is_about_this = if cx.stamp.repository.is_empty() {
            self.is_first
        } else {
            is_same_repository(&cx.stamp.repository, &url)
        };
        let own_branch = own_branch.filter(|it| !it.is_empty());
        let (branch, revision) = if is_about_this {
            (said(cx.stamp.branch.as_deref()), self.revision(cx))
        } else {
            (None, None)
        };
        let wanted = Wanted {
            url,
            branch: branch.or(own_branch),
            revision,
        };
        wanted.check()?;
        Ok(wanted)
    }

    fn revision(&self, cx: &mut Cx<'_>) -> Option<String> {
        if self.always_use_latest {
            return None;
        }
        if let Some(revision) = said(cx.stamp.revision.as_deref()) {
            return Some(revision);
        }
        let revision = said(cx.changes.last()?.revision.as_deref())?;
        cx.properties
            .set_runtime("revision", revision.as_str(), SOURCE);
        Some(revision)
    }

    /// Where the tree ends up, relative to the builder's directory.
    pub(super) fn tree(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        Ok(match &self.workdir {
            Some(text) => text.render(cx.properties)?,
            None => cx.workdir.to_owned(),
        })
    }

    /// `argv` in `dir`, with what the URL keeps secret masked.
    pub(super) fn command(
        &self,
        cx: &Cx<'_>,
        dir: &str,
        argv: Vec<String>,
        wanted: &Wanted,
    ) -> Result<Command, StepError> {
        let mut shell = Shell::new(ShellLine::Argv(argv), dir);
        environment(cx, &self.env, &mut shell)?;
        shell.timeout = read::length("timeout", self.timeout.as_ref(), cx)?;
        shell.log_environ = self.log_environ;
        shell.mask.extend(password(&wanted.url).map(str::to_owned));
        Ok(Command::Shell(shell))
    }
}

/// Lets a command that asks the repository have it from the slave's mirror.
pub(super) fn mirrored(command: &mut Command, kind: MirrorKind, wanted: &Wanted, doubted: bool) {
    let Command::Shell(shell) = command else {
        return;
    };
    let ShellLine::Argv(words) = &shell.line else {
        return;
    };
    let word = words.iter().position(|it| *it == wanted.url);
    let Some(word) = word.filter(|_| is_remote(&wanted.url)) else {
        return;
    };
    shell.mirror = Some(Box::new(Mirror {
        kind,
        word,
        branch: wanted.branch.clone(),
        revision: wanted.revision.clone(),
        is_doubted: doubted,
        // The master knows the slave's.
        budget: None,
    }));
}

/// Whether a repository is somewhere else: what is on the slave's own machine needs no mirror.
fn is_remote(url: &str) -> bool {
    if let Some((scheme, _)) = url.split_once("://") {
        return !scheme.eq_ignore_ascii_case("file");
    }
    // `host:path`, as ssh has it; `C:` is a disk.
    let host = url.split(['/', '\\']).next().unwrap_or_default();
    host.split_once(':').is_some_and(|(host, _)| host.len() > 1)
}

/// Who set `revision` and `got_revision`.
pub(super) const SOURCE: &str = "Source";

fn said(text: Option<&str>) -> Option<String> {
    text.map(str::trim)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
}

/// What a build wants of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) url: String,
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
}

impl Wanted {
    /// Refuses what a program would take for an option: the words come from
    /// whoever may send a change.
    pub(super) fn check(&self) -> Result<(), StepError> {
        check_url(&self.url).map_err(StepError::Other)?;
        for (noun, word) in [("branch", &self.branch), ("revision", &self.revision)] {
            if let Some(word) = word {
                check_word(noun, word).map_err(StepError::Other)?;
            }
        }
        Ok(())
    }
}

/// Refuses a repository URL that a program would take for an option.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    check_word("repository", url)?;
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host_after_user = host.split(['/', '\\']).next().unwrap_or_default();
    let host_after_user = host_after_user.rsplit('@').next().unwrap_or_default();
    if host.starts_with('-') || host_after_user.starts_with('-') {
        return Err(format!(
            "the host of the repository `{}` begins with `-`",
            masked(url)
        ));
    }
    Ok(())
}

/// Refuses a branch or revision that a program would take for an option.
pub(crate) fn check_word(noun: &str, word: &str) -> Result<(), String> {
    let shown = masked(word);
    if word.starts_with('-') {
        return Err(format!("the {noun} `{shown}` begins with `-`"));
    }
    if word.chars().any(char::is_control) {
        let shown = shown.escape_default();
        return Err(format!("the {noun} `{shown}` holds a control character"));
    }
    Ok(())
}

/// The password of `scheme://user:password@host`.
pub(super) fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password).filter(|it| !it.is_empty())
}

fn masked(url: &str) -> String {
    match password(url) {
        Some(password) => url.replacen(&format!(":{password}@"), ":XXXX@", 1),
        None => url.to_owned(),
    }
}

/// Whether two URLs name one repository: neither who asks, nor a slash at the
/// end, nor `file://` before a path makes another of it.
pub(super) fn is_same_repository(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

pub(super) fn plain(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let url = url.strip_prefix("file://").unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// Jobs that are still to be done, and how many more tries are allowed.
#[derive(Debug)]
pub(super) struct Plan<J> {
    pub(super) jobs: VecDeque<J>,
    /// What the running command is for.
    pub(super) running: Option<J>,
    /// Whether a clone from nothing was tried because something else failed.
    pub(super) has_fallen_back: bool,
    pub(super) tries_left: u32,
}

impl<J> Plan<J> {
    pub(super) fn new(jobs: impl Into<VecDeque<J>>, tries: u32) -> Self {
        Self {
            jobs: jobs.into(),
            running: None,
            has_fallen_back: false,
            tries_left: tries,
        }
    }

    /// Puts `jobs` before what is left.
    pub(super) fn first(
        &mut self,
        jobs: impl IntoIterator<Item = J, IntoIter: DoubleEndedIterator>,
    ) {
        for job in jobs.into_iter().rev() {
            self.jobs.push_front(job);
        }
    }

    /// Whether a clone from nothing may still be tried.
    pub(super) fn may_start_over(&mut self) -> bool {
        if !self.has_fallen_back {
            self.has_fallen_back = true;
            return true;
        }
        self.tries_left = match self.tries_left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

pub(super) fn rmdir(cx: &Cx<'_>, dir: &str) -> Result<Command, StepError> {
    let dir = paths::inside_builder(cx.builder_dir, dir)?;
    Ok(Command::File(FileCommand::Rmdir { dir }))
}

pub(super) fn stat(cx: &Cx<'_>, dir: &str, name: &str) -> Command {
    let path = format!("{}/{name}", paths::of_builder(cx.builder_dir, dir));
    Command::File(FileCommand::Stat { path })
}

/// A commit's full name, 40 hexadecimal digits or 64 with SHA-256.
pub(super) fn commit(said: &str) -> Option<&str> {
    let word = said.trim().trim_end_matches('+');
    let is_commit = matches!(word.len(), 40 | 64) && word.bytes().all(|it| it.is_ascii_hexdigit());
    is_commit.then_some(word)
}

/// Whether the command said `what` on its error channel, in any case.
pub(super) fn complained(ended: &Ended<'_>, what: &[&str]) -> bool {
    let mut found = false;
    ended.output.lines(&mut |channel, line| {
        if channel == Channel::Stderr && !found {
            let line = line.to_lowercase();
            found = what.iter().all(|it| line.contains(it));
        }
    });
    found
}

/// Whether the command was cut short, so that trying again would only take as long.
pub(super) fn was_cut_short(exit: &Exit) -> bool {
    match exit.cause {
        ExitCause::Silence | ExitCause::Overtime | ExitCause::Interrupted | ExitCause::Lost(_) => {
            true
        }
        ExitCause::Exited | ExitCause::Signal(_) | ExitCause::NotStarted(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceStamp;

    #[test]
    fn a_password_is_found_and_hidden() {
        assert_eq!(password("https://u:p@ss@host/x"), Some("p@ss"));
        assert_eq!(password("https://u@host/a:b@c"), None);
        assert_eq!(password("git@host:repo.git"), None);
        assert_eq!(masked("https://u:secret@host/x"), "https://u:XXXX@host/x");
    }

    #[test]
    fn only_what_is_somewhere_else_has_a_mirror() {
        for (url, expected) in [
            ("https://host/x", true),
            ("ssh://git@host/x", true),
            ("git@host:x.git", true),
            ("host:/srv/x", true),
            ("file:///srv/x", false),
            ("FILE:///srv/x", false),
            ("/srv/a:b", false),
            ("../x", false),
            (r"C:\x", false),
        ] {
            assert_eq!(is_remote(url), expected, "{url}");
        }
    }

    #[test]
    fn one_repository_has_many_spellings() {
        let check = |a, b, expected| assert_eq!(is_same_repository(a, b), expected, "{a} {b}");
        check("https://u:p@host/x/", "https://host/x", true);
        check("file:///srv/x", "/srv/x", true);
        check("https://host/x", "https://host/y", false);
        check("git@host:x", "git@host:x", true);
    }

    #[test]
    fn options_in_disguise_are_refused() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(check_url(url).err().as_deref(), expected, "{url}");
        };
        check("https://host/x-y.git", None);
        check("/srv/-x/y", None);
        check("git@host:-x", None);
        check(
            "--upload-pack=touch x",
            Some("the repository `--upload-pack=touch x` begins with `-`"),
        );
        check(
            "ssh://-oProxyCommand=x/y",
            Some("the host of the repository `ssh://-oProxyCommand=x/y` begins with `-`"),
        );
        check(
            "ssh://u@-oProxyCommand=x/y",
            Some("the host of the repository `ssh://u@-oProxyCommand=x/y` begins with `-`"),
        );
        check(
            "a\0b",
            Some("the repository `a\\u{0}b` holds a control character"),
        );
    }

    #[test]
    fn only_a_full_name_is_a_commit() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit(&format!("{full}+\n")), Some(full));
        assert_eq!(commit("0123456789ab"), None);
        assert_eq!(commit("fatal: not a git repository (xxxxxxxxxxxx"), None);
    }

    #[test]
    fn a_stamp_of_another_repository_says_nothing_about_this_one() {
        let stamp = SourceStamp {
            repository: "/srv/other".into(),
            branch: Some("theirs".into()),
            revision: Some("1".into()),
            ..SourceStamp::default()
        };
        let mut properties = crate::model::Properties::new();
        let env = BTreeMap::new();
        let mut cx = Cx {
            name: "git",
            flags: FLAGS,
            properties: &mut properties,
            seen: &crate::expr::Values::new(),
            stamp: &stamp,
            changes: &[],
            builder_dir: "hello",
            workdir: "build",
            env: &env,
        };
        let wanted = |url: &str, cx: &mut Cx<'_>| {
            let checkout = Checkout {
                repourl: Some(Text::literal(url)),
                ..Checkout::default()
            };
            let it = checkout.wanted(cx, Some("ours".into())).expect(url);
            (it.branch, it.revision)
        };
        assert_eq!(wanted("/srv/x", &mut cx), (Some("ours".into()), None));
        let expected = (Some("theirs".into()), Some("1".into()));
        assert_eq!(wanted("/srv/other", &mut cx), expected);
    }
}
