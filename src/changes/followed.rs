//! What may be said of repositories that are polled: what all pollers have in common, and the keys
//! of each version control.

use std::time::Duration;

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::plain;

use super::branches::Patterns;
use super::branches::Wanted;
use super::bzr_poller::BranchName;
use super::bzr_poller::BzrSettings;
use super::settings::masked;
use super::split::Split;
use super::svn_poller::SvnSettings;

/// What every poller may be told.
pub(super) struct Common {
    pub(super) poll_interval: Option<Duration>,
    pub(super) poll_jitter: Duration,
    pub(super) revlink: Option<String>,
    pub(super) project: String,
    pub(super) category: Option<String>,
}

impl Common {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let poll_jitter = keys.or("poll_jitter", Duration::ZERO);
        let revlink = keys.optional::<String>("revlinktmpl");
        let common = Self::read_without_links(keys);
        Some(Self {
            poll_jitter: poll_jitter?,
            revlink: revlink?.filter(|it| !it.is_empty()),
            ..common?
        })
    }

    /// Of what has no revisions that could be looked at.
    pub(super) fn read_without_links(keys: &mut Keys<'_>) -> Option<Self> {
        let poll_interval = keys.optional::<Duration>("poll_interval");
        let project = keys.or("project", String::new());
        let category = keys.optional::<String>("category");
        let poll_interval = poll_interval?;
        if poll_interval.is_some_and(|it| it < Duration::from_secs(1)) {
            keys.wrong("poll_interval", "expected at least a second");
            return None;
        }
        Some(Self {
            poll_interval,
            poll_jitter: Duration::ZERO,
            revlink: None,
            project: project?,
            category: category?,
        })
    }
}

/// What is configured of a repository that is cloned to be polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) url: String,
    /// `None` is `master` for git (the remote's own default where it has no
    /// `master`) and `default` for hg, which follows one name only.
    pub(crate) branches: Option<Patterns>,
    /// Git only: with them no branch is followed that is not named.
    pub(crate) tags: Option<Patterns>,
    /// Git only, by their full names.
    pub(crate) refs: Option<Patterns>,
    /// `None` is the master's usual one.
    pub(crate) poll_interval: Option<Duration>,
    /// The next look is up to so much later, by chance.
    pub(crate) poll_jitter: Duration,
    /// The program, `git` or `hg` if `None`.
    pub(crate) program: Option<String>,
    /// Whether a change is as old as its commit; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    /// Where a revision can be looked at; `%s` stands for it.
    pub(crate) revlink: Option<String>,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

impl Followed {
    /// A branch, or the usual one, with nothing else said.
    pub(crate) fn new(url: impl Into<String>, branch: Option<&str>) -> Self {
        Self {
            url: url.into(),
            branches: branch.map(|it| Patterns::new(vec![it.to_owned()])),
            tags: None,
            refs: None,
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            program: None,
            use_timestamps: true,
            revlink: None,
            project: String::new(),
            category: None,
        }
    }

    pub(super) fn git(keys: &mut Keys<'_>) -> Option<Self> {
        let url = keys.required_as::<String>(&["repourl", "url", "repository"]);
        let branch = keys.optional::<String>("branch");
        let branches = keys.optional::<Vec<String>>("branches");
        let tags = keys.optional::<Vec<String>>("tags");
        let refs = keys.optional::<Vec<String>>("refs");
        let program = keys.optional::<String>("gitbin");
        let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
        let common = Common::read(keys);
        idle(keys, "workdir", "the clone lies in `pollers/`");
        idle(keys, "fetch_refspec", "what is followed is fetched");
        idle(keys, "encoding", "git says everything in UTF-8");
        let (branch, branches) = (branch?, branches?);
        if branch.is_some() && branches.is_some() {
            let what = "`branch` and `branches` say the same thing twice";
            let problem = Problem::error(Code::Contradiction, what).at(&keys.place("branch"));
            keys.note(problem.also(&keys.place("branches"), "the other one"));
            return None;
        }
        let (tags, refs) = (tags?, refs?);
        if branches.as_ref().is_some_and(Vec::is_empty) {
            keys.wrong(
                "branches",
                "expected names or patterns such as `release/*`, or `*`",
            );
            return None;
        }
        if tags.as_ref().is_some_and(Vec::is_empty) {
            keys.wrong("tags", "expected names or patterns such as `v*`, or `*`");
            return None;
        }
        let is_full = |it: &String| it.starts_with("refs/") && !it.contains(char::is_whitespace);
        if refs
            .as_ref()
            .is_some_and(|it| it.is_empty() || !it.iter().all(is_full))
        {
            let label = "expected full names or patterns such as `refs/pull/*/head`";
            keys.wrong("refs", label);
            return None;
        }
        let (url, common) = (checked(keys, "repourl", url?)?, common?);
        let branch = match branch {
            Some(branch) => Some(vec![checked(keys, "branch", branch)?]),
            None => branches,
        };
        Some(Self {
            url,
            branches: branch.map(Patterns::new),
            tags: tags.map(Patterns::new),
            refs: refs.map(Patterns::new),
            poll_interval: common.poll_interval,
            poll_jitter: common.poll_jitter,
            program: program?,
            use_timestamps: use_timestamps?,
            revlink: common.revlink,
            project: common.project,
            category: common.category,
        })
    }

    /// The one branch that is followed, `None` being the usual one, if it is one branch.
    pub(super) fn only_branch(&self) -> Option<Option<&str>> {
        match (&self.branches, &self.tags, &self.refs) {
            (None, None, None) => Some(None),
            (Some(branches), None, None) => branches.only().map(Some),
            _ => None,
        }
    }

    /// All that is followed, if it is not one branch.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            branches: self.branches.clone(),
            tags: self.tags.clone(),
            refs: self.refs.clone(),
        }
    }

    pub(super) fn hg(keys: &mut Keys<'_>) -> Option<Self> {
        let url = keys.required_as::<String>(&["repourl", "url", "repository"]);
        let branch = keys.optional::<String>("branch");
        let program = keys.optional::<String>("hgbin");
        let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
        let common = Common::read(keys);
        idle(keys, "workdir", "the clone lies in `pollers/`");
        idle(keys, "encoding", "Mercurial says everything in UTF-8");
        let (url, common) = (checked(keys, "repourl", url?)?, common?);
        let branch = match branch? {
            Some(branch) => Some(vec![checked(keys, "branch", branch)?]),
            None => None,
        };
        Some(Self {
            url,
            branches: branch.map(Patterns::new),
            tags: None,
            refs: None,
            poll_interval: common.poll_interval,
            poll_jitter: common.poll_jitter,
            program: program?,
            use_timestamps: use_timestamps?,
            revlink: common.revlink,
            project: common.project,
            category: common.category,
        })
    }
}

/// Reads a section of Subversion.
pub(super) fn svn(keys: &mut Keys<'_>) -> Option<SvnSettings> {
    let url = keys.required_as::<String>(&["svnurl", "repourl", "url"]);
    let split = Split::read(keys);
    let user = keys.optional::<String>("svnuser");
    let password = keys.optional::<String>("svnpasswd");
    let hist_max = keys.or("hist_max", 100_u32);
    let program = keys.optional::<String>("svnbin");
    let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], false);
    let common = Common::read(keys);
    idle(keys, "cachepath", "the position is kept with the changes");
    let hist_max = hist_max?;
    if hist_max == 0 {
        keys.wrong("hist_max", "expected at least 1");
        return None;
    }
    let (url, common) = (checked(keys, "svnurl", url?)?, common?);
    Some(SvnSettings {
        url: url.trim_end_matches('/').to_owned(),
        split: split?,
        user: user?,
        password: password?,
        poll_interval: common.poll_interval,
        poll_jitter: common.poll_jitter,
        hist_max,
        program: program?,
        use_timestamps: use_timestamps?,
        revlink: common.revlink,
        project: common.project,
        category: common.category,
    })
}

/// Reads a section of Bazaar.
pub(super) fn bzr(keys: &mut Keys<'_>) -> Option<BzrSettings> {
    let url = keys.required_as::<String>(&["repourl", "url", "repository"]);
    let blame_merge_author = keys.or("blame_merge_author", false);
    let branch_name = keys.optional::<String>("branch_name");
    let program = keys.optional::<String>("bzrbin");
    let use_timestamps = keys.or_as(&["use_timestamps", "usetimestamps"], true);
    let common = Common::read(keys);
    let (url, common) = (checked(keys, "repourl", url?)?, common?);
    Some(BzrSettings {
        // As Launchpad's users write it.
        url: match url.strip_prefix("lp:") {
            Some(path) => format!("bzr+ssh://bazaar.launchpad.net/{path}"),
            None => url,
        },
        poll_interval: common.poll_interval,
        poll_jitter: common.poll_jitter,
        blame_merge_author: blame_merge_author?,
        branch_name: match branch_name? {
            None => BranchName::None,
            Some(word) => match plain(&word).as_str() {
                "short" => BranchName::Nick,
                "full" => BranchName::Full,
                _ => BranchName::Fixed(word),
            },
        },
        program: program?,
        use_timestamps: use_timestamps?,
        revlink: common.revlink,
        project: common.project,
        category: common.category,
    })
}

/// Refuses what a program would take for an option.
pub(super) fn checked(keys: &mut Keys<'_>, key: &str, value: String) -> Option<String> {
    match super::settings::refuse_option("value", &value) {
        Ok(()) => Some(value),
        Err(error) => {
            keys.wrong(key, masked(&value, &error.to_string()));
            None
        }
    }
}

/// A key of Buildbot's that is not needed here.
pub(super) fn idle(keys: &mut Keys<'_>, key: &str, why: &str) {
    if keys.optional::<Node>(key).flatten().is_some() {
        keys.without_effect(key, why);
    }
}
