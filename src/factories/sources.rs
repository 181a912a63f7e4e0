//! The `git`, `hg` and `svn` parameters that most factories have, and the checkout
//! steps that they become.

use std::collections::BTreeSet;

use crate::model::OPENING;
use crate::model::Text;
use crate::steps::BranchType;
use crate::steps::Checkout;
use crate::steps::Git;
use crate::steps::Mercurial;
use crate::steps::Mode;
use crate::steps::StepPlan;
use crate::steps::Svn;
use crate::steps::SvnUrls;
use crate::steps::check_url;
use crate::steps::check_word;
use crate::steps::git;
use crate::steps::mercurial;
use crate::steps::plan;
use crate::steps::svn;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::json;

use super::Repository;
use super::Vcs;
use super::WORKDIR;
use super::workdir::Workdir;

/// The repositories of a factory and how they are checked out.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// Those of hg first, then git, then svn, each kind in the order of the file.
    pub(super) all: Vec<Repository>,
    mode: Mode,
    submodules: bool,
    shallow: bool,
    mirror: bool,
    pub(super) workdir: Workdir,
}

/// The parameters that [`Sources::read`] asks for.
impl Sources {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let hg = repositories(keys, Vcs::Hg);
        let git = repositories(keys, Vcs::Git);
        let svn = subversion(keys);
        let has =
            |all: &Option<Vec<(Repository, Place)>>| all.as_ref().is_none_or(|it| !it.is_empty());
        let methods = match (has(&hg), has(&git), has(&svn)) {
            (true, _, _) => mercurial::METHODS,
            (false, false, true) => svn::METHODS,
            (false, _, _) => git::METHODS,
        };
        let mode = Mode::read(keys, methods);
        let submodules = keys.or("submodules", false);
        let shallow = keys.or("shallow", false);
        let mirror = keys.or("mirror", true);
        let all = [hg?, git?, svn?].concat();
        let is_distinct = distinct(keys, &all);
        Some(Self {
            all: all.into_iter().map(|(it, _)| it).collect(),
            mode: mode?,
            submodules: submodules?,
            shallow: shallow?,
            mirror: mirror?,
            workdir: Workdir::default(),
        })
        .filter(|_| is_distinct)
    }

    /// As [`Sources::read`], for a factory whose steps work where the source is.
    pub(super) fn read_in_place(keys: &mut Keys<'_>) -> Option<Self> {
        let workdir = Workdir::read(keys);
        let sources = Self::read(keys)?;
        let workdir = workdir?;
        if sources.all.len() > 1 && !sources.has_branch_map() && workdir.as_plain().is_none() {
            let what = "several repositories have one `workdir` for all builds";
            let problem = Problem::error(Code::Contradiction, what).at(&keys.place("workdir"));
            keys.note(problem.label("expected a directory without `%(…)s`"));
            return None;
        }
        Some(Self { workdir, ..sources })
    }

    /// As [`Sources::read_in_place`], and notes it if there is no repository at all.
    pub(super) fn read_some(keys: &mut Keys<'_>) -> Option<Self> {
        let sources = Self::read_in_place(keys)?;
        if sources.all.is_empty() {
            let what = format!("no repository in {}", keys.title());
            let problem = Problem::error(Code::MissingKey, what).at(keys.header());
            keys.note(
                problem.label("expected `git = URL#BRANCH`, `hg = URL#BRANCH` or `svn = URL`"),
            );
            return None;
        }
        Some(sources)
    }

    /// Checkouts for steps that work in the work directory: one repository goes
    /// there itself, several go each to its own directory in it.
    pub(super) fn checkouts(&self) -> Vec<StepPlan> {
        match self.all.as_slice() {
            [only] => vec![self.checkout(only, true, None)],
            _ if self.has_branch_map() => vec![self.svn_map(None)],
            _ => self.checkouts_in(self.workdir.as_plain().unwrap_or(WORKDIR)),
        }
    }

    /// Whether all of it is one tree, whose branches each have a URL.
    fn has_branch_map(&self) -> bool {
        self.all.len() > 1
            && self
                .all
                .iter()
                .all(|it| it.vcs == Vcs::Svn && it.branch.is_some())
    }

    /// What the checkouts of [`Sources::checkouts_in`] are called.
    pub(super) fn directories(&self) -> Vec<&str> {
        let trees = if self.has_branch_map() {
            1
        } else {
            self.all.len()
        };
        self.all.iter().take(trees).map(directory).collect()
    }

    fn svn_map(&self, workdir: Option<Text>) -> StepPlan {
        let pair = |it: &Repository| {
            let branch = it.branch.clone().unwrap_or_default();
            (branch, Text::literal(it.url.as_str()))
        };
        let first = self.all.first().and_then(|it| it.branch.as_deref());
        plan::svn(Svn {
            checkout: Checkout {
                workdir,
                mode: self.mode,
                ..Checkout::default()
            },
            urls: SvnUrls::Map(self.all.iter().map(pair).collect()),
            default_branch: first.map(Text::literal),
            ..Svn::default()
        })
    }

    /// A checkout of each repository in its own directory in `parent`.
    pub(super) fn checkouts_in(&self, parent: &str) -> Vec<StepPlan> {
        if self.has_branch_map() {
            let name = self.all.first().map_or("source", directory);
            return vec![self.svn_map(Some(Text::literal(format!("{parent}/{name}"))))];
        }
        let all = self.all.iter().enumerate();
        all.map(|(index, it)| {
            let workdir = format!("{parent}/{}", directory(it));
            self.checkout(it, index == 0, Some(Text::literal(workdir)))
        })
        .collect()
    }

    fn checkout(&self, it: &Repository, is_first: bool, workdir: Option<Text>) -> StepPlan {
        let checkout = Checkout {
            repourl: Some(Text::literal(it.url.as_str()).into()),
            workdir,
            mode: self.mode,
            mirror: self.mirror,
            is_first,
            ..Checkout::default()
        };
        let branch = it.branch.as_deref().map(Text::literal);
        match it.vcs {
            Vcs::Git => plan::git(Git {
                checkout,
                branch,
                submodules: self.submodules,
                shallow: self.shallow,
                ..Git::default()
            }),
            Vcs::Hg => plan::mercurial(Mercurial {
                checkout,
                default_branch: branch,
                branch_type: BranchType::InRepo,
                ..Mercurial::default()
            }),
            Vcs::Svn => plan::svn(Svn {
                urls: SvnUrls::One(Text::literal(it.url.as_str()).into()),
                checkout,
                default_branch: branch,
                ..Svn::default()
            }),
        }
    }
}

/// The last part of the URL's path, without `.git`.
pub(super) fn directory(repository: &Repository) -> &str {
    let url = repository.url.trim_end_matches('/');
    let last = url.rsplit(['/', '\\', ':']).next().unwrap_or_default();
    match repository.vcs {
        Vcs::Git => last.strip_suffix(".git").unwrap_or(last),
        Vcs::Hg | Vcs::Svn => last,
    }
}

/// `svn`, to be read as what it is.
struct Subversion(Node);

impl Value for Subversion {
    const EXPECTED: &'static str = Urls::EXPECTED;
    const SHAPE: Shape = Shape::OrMap(&Urls::SHAPE, &Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(node.clone()))
    }
}

/// `svn = URL …`, or a URL for each branch: `svn.trunk = URL`.
fn subversion(keys: &mut Keys<'_>) -> Option<Vec<(Repository, Place)>> {
    let is_map = match keys.optional::<Subversion>("svn")?.map(|it| it.0.content) {
        // In INI a map is dotted keys, and has no key of the plain name.
        None | Some(Content::Table(_)) => true,
        Some(Content::Text(text)) => text.starts_with('{'),
        Some(_) => false,
    };
    if !is_map {
        return repositories(keys, Vcs::Svn);
    }
    let map = keys.placed_map::<String>("svn")?;
    let mut all = Vec::new();
    let mut is_good = true;
    for (branch, (place, url)) in map {
        let read = match branch.contains('*') {
            true => Err("the name of a branch has no `*`".to_owned()),
            false => check_word("branch", &branch).and_then(|()| repository(Vcs::Svn, &url)),
        };
        match read {
            Ok(it) => all.push((
                Repository {
                    branch: Some(branch),
                    ..it
                },
                place,
            )),
            Err(what) => {
                is_good = false;
                let title = format!("bad repository in `svn` of {}", keys.title());
                keys.note(Problem::error(Code::BadValue, title).at(&place).label(what));
            }
        }
    }
    // What is built where nobody says otherwise stands first.
    all.sort_by_key(|(it, _)| it.branch.as_deref() != Some("trunk"));
    is_good.then_some(all)
}

fn repositories(keys: &mut Keys<'_>, vcs: Vcs) -> Option<Vec<(Repository, Place)>> {
    let urls = keys.or(vcs.as_str(), Urls(Vec::new()))?;
    let mut all = Vec::new();
    let mut is_good = true;
    for (text, place) in urls.0 {
        if text.contains(OPENING) {
            is_good = false;
            let what = format!("a secret in `{}` of {}", vcs.as_str(), keys.title());
            let problem = Problem::error(Code::BadSecret, what)
                .at(&place)
                .label("the names of repositories are stored and shown")
                .help("a credential helper or an ssh key of the slave's user keeps it secret");
            keys.note(problem);
            continue;
        }
        match repository(vcs, &text) {
            Ok(it) => all.push((it, place)),
            Err(what) => {
                is_good = false;
                let title = format!("bad repository in `{}` of {}", vcs.as_str(), keys.title());
                keys.note(Problem::error(Code::BadValue, title).at(&place).label(what));
            }
        }
    }
    is_good.then_some(all)
}

/// Reads `URL` or `URL#BRANCH`.
fn repository(vcs: Vcs, text: &str) -> Result<Repository, String> {
    let (url, branch) = match text.rsplit_once('#') {
        // A branch of Subversion is a directory of the URL.
        Some(_) if vcs == Vcs::Svn => {
            return Err("expected the URL of the branch: its directory, and no `#`".into());
        }
        Some((url, branch)) => (url, Some(branch).filter(|it| !it.is_empty())),
        None => (text, None),
    };
    if url.is_empty() {
        return Err("expected a URL before the `#`".into());
    }
    check_url(url)?;
    if let Some(branch) = branch {
        check_word("branch", branch)?;
    }
    let url = match vcs {
        // As its poller calls it.
        Vcs::Svn => url.trim_end_matches('/'),
        Vcs::Git | Vcs::Hg => url,
    };
    let repository = Repository {
        vcs,
        url: url.to_owned(),
        branch: branch.map(str::to_owned),
    };
    match directory(&repository) {
        "" | "." | ".." => Err("the last part of the URL gives the checkout no name".into()),
        _ => Ok(repository),
    }
}

/// Two checkouts in one directory would remove each other.
fn distinct(keys: &mut Keys<'_>, all: &[(Repository, Place)]) -> bool {
    let mut names = BTreeSet::new();
    let mut is_good = true;
    let is_branch = |it: &Repository| it.vcs == Vcs::Svn && it.branch.is_some();
    let other = all.iter().find(|(it, _)| !is_branch(it));
    let branch = all.iter().find(|(it, _)| is_branch(it));
    if let (Some((_, other)), Some((_, branch))) = (other, branch) {
        let what = "the branches of `svn.NAME` are one tree, which stands alone";
        let problem = Problem::error(Code::Contradiction, what).at(branch);
        keys.note(problem.also(other, "another repository"));
        is_good = false;
    }
    for (repository, place) in all {
        if is_branch(repository) {
            continue; // Of one tree.
        }
        let name = directory(repository);
        if !names.insert(name) {
            is_good = false;
            let problem = Problem::error(
                Code::Duplicate,
                format!("two repositories are called `{name}`"),
            )
            .at(place);
            keys.note(problem.label("the second one"));
        }
    }
    is_good
}

/// Words, a list of them, or a list of pairs of a URL and a branch.
struct Urls(Vec<(String, Place)>);

impl Value for Urls {
    const EXPECTED: &'static str = "repositories such as `https://example.org/hello.git#main`";
    const SHAPE: Shape = Shape::List(&Shape::Any);

    fn read(node: &Node) -> Result<Self, Misread> {
        if let Content::Text(text) = &node.content
            && text.starts_with('[')
        {
            return Self::read(&json(node, text)?);
        }
        let Content::List(items) = &node.content else {
            return Vec::<(String, Place)>::read(node).map(Self);
        };
        let mut all = Vec::new();
        for item in items.iter() {
            match &item.content {
                Content::List(pair) => match pair.as_slice() {
                    [url, branch] => {
                        let branch = match &branch.content {
                            Content::Null => "",
                            _ => branch.as_text()?,
                        };
                        let text = format!("{}#{branch}", url.as_text()?);
                        all.push((text, item.place.clone()));
                    }
                    _ => return Err(Misread::default()),
                },
                _ => all.push((item.as_text()?.to_owned(), item.place.clone())),
            }
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_called_as_its_repository() {
        let check = |vcs, text: &str, expected: &str| {
            let it = repository(vcs, text).expect(text);
            assert_eq!(directory(&it), expected, "{text}");
        };
        check(Vcs::Git, "https://example.org/hello.git", "hello");
        check(Vcs::Git, "https://example.org/hello/", "hello");
        check(Vcs::Git, "git@example.org:hello.git", "hello");
        check(Vcs::Hg, "http://example.org/hg/hello.git", "hello.git");
    }

    #[test]
    fn the_branch_stands_behind_the_last_hash() {
        let branch = |text: &str| repository(Vcs::Git, text).map(|it| (it.url, it.branch));
        let url = |it: &str| it.to_owned();
        assert_eq!(
            branch("/srv/x#main"),
            Ok((url("/srv/x"), Some("main".into())))
        );
        assert_eq!(
            branch("/srv/a#b#main"),
            Ok((url("/srv/a#b"), Some("main".into())))
        );
        assert_eq!(branch("/srv/x#"), Ok((url("/srv/x"), None)));
        assert_eq!(branch("#main"), Err("expected a URL before the `#`".into()));
        assert_eq!(
            branch("/srv/x#-f"),
            Err("the branch `-f` begins with `-`".into())
        );
        assert_eq!(
            branch("-x"),
            Err("the repository `-x` begins with `-`".into())
        );
        let nameless = "the last part of the URL gives the checkout no name";
        assert_eq!(branch("/srv/.."), Err(nameless.into()));
    }
}
