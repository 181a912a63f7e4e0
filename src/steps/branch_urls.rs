//! Where every branch is a repository of its own and so has its URL: `bzr`,
//! `darcs`, `bitkeeper`.

use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Cx;
use super::StepError;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::RepoUrl;
use super::checkout::Wanted;
use super::vcs;

/// A checkout, and where the branches of its repository are.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    pub(super) checkout: Checkout,
    /// Instead of `repourl`: a branch's name behind it is its URL.
    pub(super) base_url: Option<RepoUrl>,
    /// Built where the stamp names none; with `repourl`, the branch that is there.
    pub(super) default_branch: Option<Text>,
}

impl Branches {
    /// Reads them; `url` is another name of `repourl`.
    pub(super) fn read(
        keys: &mut Keys<'_>,
        url: &'static str,
        methods: &[(&str, Mode)],
    ) -> Option<Self> {
        let checkout = vcs::read(keys, methods);
        let repourl = RepoUrl::key(keys, &["repourl", url]);
        let base_url = RepoUrl::key(keys, &["base_url"]);
        let default_branch = keys.optional_as::<Text>(&["default_branch", "branch"]);
        let (repourl, base_url) = (repourl?, base_url?);
        if base_url.is_some() && repourl.is_some() {
            let what = "`base_url` takes the place of `repourl`, with a branch behind it";
            let problem = Problem::error(Code::Contradiction, what);
            keys.note(problem.at(&keys.place("base_url")));
            return None;
        }
        Some(Self {
            checkout: Checkout {
                repourl,
                ..checkout?
            },
            base_url,
            default_branch: default_branch?,
        })
    }

    /// Whether the build is about this repository.
    pub(super) fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let Some(base) = &self.base_url else {
            return self.checkout.is_about_its_url(cx);
        };
        let (follows, base) = (base.follows_stamp(), base.render(cx)?);
        Ok(self.checkout.is_about(cx, |stamped| {
            let (base_plain, stamped) = (checkout::plain(&base), checkout::plain(stamped));
            let is_branch =
                |rest: &str| rest.is_empty() || rest.starts_with('/') || !base.ends_with('/');
            follows || stamped.strip_prefix(&base_plain).is_some_and(is_branch)
        }))
    }

    pub(super) fn own_branch(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
        Ok(match &self.default_branch {
            Some(text) => Some(text.render(cx.properties)?).filter(|it| !it.is_empty()),
            None => None,
        })
    }

    /// Where the wanted branch is. Its revision is not in it yet.
    pub(super) fn wanted(&self, cx: &Cx<'_>) -> Result<Place, StepError> {
        let own_branch = self.own_branch(cx)?;
        let is_about_this = self.is_about(cx)?;
        let stamped = cx.stamp.branch.as_deref().map(str::trim);
        let stamped = stamped.filter(|it| is_about_this && !it.is_empty());
        let stamped = stamped.map(str::to_owned);
        let (url, branch) = match (&self.base_url, &self.checkout.repourl) {
            (Some(base), _) => {
                let Some(branch) = stamped.or(own_branch) else {
                    let what =
                        "the build names no branch, and the checkout has no `default_branch`";
                    return Err(StepError::Other(what.into()));
                };
                let url = checkout::below(&base.render(cx)?, &branch)?;
                (url, Some(branch))
            }
            (None, Some(url)) => {
                if let Some(branch) = stamped.filter(|it| own_branch.as_ref() != Some(it)) {
                    let what = format!(
                        "the build is of the branch `{branch}`, and `repourl` is one branch: \
                         `base_url` is for several, `default_branch` names the one"
                    );
                    return Err(StepError::Other(what));
                }
                (url.render(cx)?, own_branch)
            }
            (None, None) => (cx.stamp.repository.clone(), stamped.or(own_branch)),
        };
        Place::of(url, branch, is_about_this)
    }
}

/// Where a build finds its source.
pub(super) struct Place {
    pub(super) wanted: Wanted,
    /// Whether the build's revision is one of this repository.
    pub(super) is_about_this: bool,
}

impl Place {
    fn of(url: String, branch: Option<String>, is_about_this: bool) -> Result<Self, StepError> {
        if url.is_empty() {
            let what = "the checkout has no `repourl`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        let wanted = Wanted {
            url,
            branch,
            revision: None,
        };
        wanted.check()?;
        Ok(Self {
            wanted,
            is_about_this,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::darcs::KIND;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;

    /// What the stamp's repository and branch make of the lines: the URL, or what is wrong.
    fn url(lines: &str, repository: &str, branch: &str) -> String {
        let step = read_kind(&KIND, &format!("mode = \"full\"\n{lines}"));
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.stamp.repository = repository.to_owned();
        bench.stamp.branch = Some(branch.to_owned()).filter(|it| !it.is_empty());
        let first = begin(&mut bench);
        if first.starts_with("error: ") {
            return first;
        }
        bench.ends(0, &[]);
        let told = bench.ends(0, &[]);
        told.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_branch_lies_behind_the_base_and_a_repository_is_one_branch() {
        let base = "base_url = \"http://x/\"\ndefault_branch = \"trunk\"";
        assert_eq!(url(base, "", ""), "http://x/trunk");
        assert_eq!(url(base, "", "b/1"), "http://x/b/1");
        assert_eq!(url(base, "http://x/b/1", "b/1"), "http://x/b/1");
        assert_eq!(url(base, "http://y", "b/1"), "http://x/trunk");
        let climbing = "error: the branch `../y` leads out of the repository";
        assert_eq!(url(base, "", "../y"), climbing);
        let unnamed = "error: the build names no branch, and the checkout has no `default_branch`";
        assert_eq!(url("base_url = \"http://x/\"", "", ""), unnamed);

        let one = "repourl = \"http://x/r\"\nbranch = \"trunk\"";
        assert_eq!(url(one, "", ""), "http://x/r");
        assert_eq!(url(one, "", "trunk"), "http://x/r");
        assert_eq!(url(one, "http://y", "other"), "http://x/r");
        let other = url(one, "http://x/r/", "other");
        assert!(
            other.starts_with("error: the build is of the branch `other`"),
            "{other}"
        );

        assert_eq!(url("", "http://z/r", "any"), "http://z/r");
        let nowhere = "error: the checkout has no `repourl`, and the build names no repository";
        assert_eq!(url("", "", "any"), nowhere);
        let hidden = url(base, "", "-x\n");
        assert!(hidden.contains("begins with `-`"), "{hidden}");
    }

    #[test]
    fn one_way_to_say_where_the_branches_are_is_enough() {
        insta::assert_snapshot!(
            problems_of(&KIND, "repourl = \"x\"\nbase_url = \"y\"\n"),
            @"factories/x.toml:3:12: `base_url` takes the place of `repourl`, with a branch behind it"
        );
    }
}
