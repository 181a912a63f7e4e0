//! Follows a named branch of a Mercurial repository: a clone without working
//! copy. A branch may have several heads, and all of them are followed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::mirror;
use super::mirror::Detail;
use super::mirror::Mirror;
use super::mirror::PollError;
use super::mirror::Revision;
use super::mirror::Tips;
use super::poll::Poller;
use super::program::Program;
use super::program::ProgramError;
use super::record;
use super::record::Record;
use super::settings::SourceSettings;
use super::yard::Seen;
use super::yard::Yard;

/// What Mercurial calls the branch that needs no name.
const USUAL_BRANCH: &str = "default";

const ENV: &[(&str, &str)] = &[
    // No aliases, colours, pagers or translations.
    ("HGPLAIN", "1"),
    ("HGPLAINEXCEPT", ""),
    ("HGENCODING", "UTF-8"),
    ("HGENCODINGMODE", "replace"),
    ("LC_ALL", "C.UTF-8"),
];

/// A poller of a Mercurial repository.
pub(crate) type HgPoller = Poller<HgMirror>;

/// A clone without working copy.
#[derive(Debug)]
pub(crate) struct HgMirror {
    hg: Program,
    url: String,
    branch: String,
}

impl HgPoller {
    #[cfg(test)]
    pub(crate) fn new(settings: SourceSettings) -> Self {
        let yard = Yard::at(settings.workdir.clone());
        Self::sharing(settings, &yard)
    }

    /// Follows its branch in the clone of `yard`, which has all of the repository.
    pub(crate) fn sharing(settings: SourceSettings, yard: &Arc<Yard>) -> Self {
        let hg = Program {
            name: settings.program.clone().unwrap_or_else(|| "hg".to_owned()),
            env: ENV,
        };
        let branch = settings.branch.as_deref().unwrap_or(USUAL_BRANCH);
        let clone = HgMirror {
            hg,
            url: settings.url.clone(),
            branch: branch.to_owned(),
        };
        Self::in_yard(settings, clone, yard)
    }
}

impl HgMirror {
    /// Hg on the clone in `dir`, and on no repository around it.
    async fn hg(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let mut line = vec!["--noninteractive", "--repository=."];
        line.extend_from_slice(args);
        let said = self.hg.text(dir, &line).await;
        said.map_err(|source| clone_error(dir, source))
    }

    async fn log(&self, dir: &Path, revset: &str, template: &str) -> Result<String, PollError> {
        // What was delivered may have been made obsolete since, and is still known.
        let line = ["log", "--hidden", "--template", template, "--rev", revset];
        self.hg(dir, &line).await
    }

    /// The branch as a set of revisions, empty when there is none of that name.
    fn branch_set(&self) -> String {
        let name = quoted(&format!("literal:{}", self.branch));
        format!("(present(branch({name})) - hidden())")
    }

    async fn pull_again(&self, dir: &Path, failed: PollError) -> Result<(), PollError> {
        let identify = ["--noninteractive", "identify", "--id", "--", &self.url];
        // Not in the clone: one that is damaged would be blamed on the remote.
        let outside = dir.parent().unwrap_or(dir);
        if let Err(source) = self.hg.run(outside, &identify).await {
            let url = self.url.clone();
            return Err(PollError::Remote { url, source });
        }
        // The remote is well, so the clone is not: most often an earlier pull
        // was killed, which this mends. If it does not, the second pull says so.
        if self.hg(dir, &["recover"]).await.is_err() {
            return Err(failed);
        }
        self.hg(dir, &["pull", "--quiet", "--", &self.url]).await?;
        Ok(())
    }
}

impl Mirror for HgMirror {
    const VCS: &'static str = "hg";

    /// All of it is pulled, whoever asks.
    fn wants(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    async fn look(&self, dir: &Path, _wanted: &BTreeSet<String>) -> Result<Seen, PollError> {
        if !dir.join(".hg").exists() {
            let made = self.hg.run(dir, &["--noninteractive", "init", "."]).await;
            made.map_err(|source| clone_error(dir, source))?;
        }
        if let Err(error) = self.hg(dir, &["pull", "--quiet", "--", &self.url]).await {
            self.pull_again(dir, error).await?;
        }
        Ok(Seen::default())
    }

    async fn tips(&self, dir: &Path, _seen: &Seen) -> Result<Tips, PollError> {
        let heads = format!("sort(heads({}), rev)", self.branch_set());
        let said = self.log(dir, &heads, "{node}\n").await?;
        if said.is_empty() {
            return Err(PollError::NoBranch {
                url: self.url.clone(),
                branch: self.branch.clone(),
            });
        }
        Ok(Tips {
            heads: said.lines().map(str::to_owned).collect(),
            branch: Some(self.branch.clone()),
        })
    }

    async fn known(&self, dir: &Path, revisions: &[String]) -> Result<Vec<String>, PollError> {
        let said = self.log(dir, &union(revisions), "{node}\n").await?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    async fn since(
        &self,
        dir: &Path,
        _tips: &Tips,
        seen: &[String],
    ) -> Result<Vec<Revision>, PollError> {
        let news = format!("sort({} - ::{}, rev)", self.branch_set(), union(seen));
        let said = self.log(dir, &news, "{node} {p1node} {p2node}\n").await?;
        Ok(mirror::revisions(&said))
    }

    async fn describe(
        &self,
        dir: &Path,
        revisions: &[Revision],
        detail: Detail,
    ) -> Result<Vec<Record>, PollError> {
        const HEAD: &str = r"\0{node}\0{author}\0{date|hgdate}\0{desc}\0\0";
        let template = match detail {
            Detail::Full => format!(r#"{HEAD}{{files % "{{file}}\0"}}"#),
            Detail::NoFiles => HEAD.to_owned(),
        };
        let ids: Vec<_> = revisions.iter().map(|it| it.id.clone()).collect();
        let said = self.log(dir, &union(&ids), &template).await?;
        record::read(&said).ok_or_else(|| PollError::Unreadable {
            program: self.hg.name.clone(),
        })
    }

    async fn tidy(&self, _dir: &Path) -> Result<(), PollError> {
        Ok(()) // Mercurial only appends.
    }
}

/// The revisions as a set, in this order, without those that are unknown.
fn union(revisions: &[String]) -> String {
    let ids: Vec<_> = revisions.iter().map(|it| format!("id({it})")).collect();
    match ids.is_empty() {
        true => "none()".to_owned(),
        false => format!("({})", ids.join("+")),
    }
}

/// The text as a string of a revset.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn clone_error(dir: &Path, source: ProgramError) -> PollError {
    PollError::Clone {
        dir: dir.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_stays_inside_its_quotes() {
        assert_eq!(
            quoted(r#"a") or all() or ("\"#),
            r#""a\") or all() or (\"\\""#
        );
    }
}
