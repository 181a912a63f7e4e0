//! What steps brought to the master: lists of it, and the files themselves,
//! under addresses that say which build they are of. Only what lies below
//! `public_html` can be had; where the rest went is told.

use std::path::Path as FilePath;
use std::path::PathBuf;

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::model::Artifact;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::KeptArtifact;

use super::app::App;
use super::app::Shared;
use super::app::redirect;
use super::build;
use super::failure::Failure;
use super::files;
use super::links;
use super::log;
use super::rows;
use super::rows::Link;
use super::words::Moment;

#[derive(Serialize)]
pub(super) struct ArtifactsView {
    pub(super) trail: Vec<Link>,
    pub(super) key: String,
    pub(super) artifacts: Vec<ArtifactLine>,
    /// The address that always leads to those of the newest good build.
    pub(super) latest: String,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ArtifactLine {
    pub(super) name: String,
    /// Where it can be had; `None` if it cannot.
    pub(super) url: Option<String>,
    pub(super) step: u32,
    pub(super) step_link: Link,
    /// Where it went.
    pub(super) path: String,
    pub(super) is_directory: bool,
    pub(super) size: String,
    pub(super) sha256: String,
    pub(super) made: Moment,
    /// The build that brought something else to the same place.
    pub(super) replaced_by: Option<Link>,
    /// Why it cannot be had, if it is not because it was replaced.
    pub(super) why_not: Option<&'static str>,
}

/// What each is called: the end of its path, as much of it as tells it from the others.
fn names(artifacts: &[KeptArtifact]) -> Vec<String> {
    let parts = |it: &KeptArtifact| -> Vec<String> {
        let parts = it.artifact.path.split('/');
        let is_part = |it: &&str| !it.is_empty() && !matches!(*it, "." | ".." | "~");
        parts.filter(is_part).map(str::to_owned).collect()
    };
    let all: Vec<_> = artifacts.iter().map(parts).collect();
    let end = |of: &[String], count: usize| of[of.len().saturating_sub(count)..].join("/");
    let name = |own: &Vec<String>| {
        let counts = 1..=own.len().max(1);
        let is_own = |count: usize| {
            let same = all.iter().filter(|it| end(it, count) == end(own, count));
            same.count() == 1
        };
        let count = counts.into_iter().find(|it| is_own(*it));
        end(own, count.unwrap_or(own.len()))
    };
    all.iter().map(name).collect()
}

/// Of several to one place, the last is what lies there.
fn newest(artifacts: Vec<KeptArtifact>) -> Vec<KeptArtifact> {
    let mut kept: Vec<KeptArtifact> = Vec::new();
    for it in artifacts {
        kept.retain(|before| before.artifact.path != it.artifact.path);
        kept.push(it);
    }
    kept
}

/// The names below `public_html` that lead to it; `None` if it does not lie there.
fn below(root: &FilePath, basedir: &FilePath, path: &str) -> Option<Vec<String>> {
    let place = match path.strip_prefix("~/") {
        Some(rest) => std::env::home_dir()?.join(rest),
        None => basedir.join(path),
    };
    let place = place.canonicalize().ok()?;
    let parts = place.strip_prefix(root).ok()?.components();
    let parts: Option<Vec<_>> = parts
        .map(|it| it.as_os_str().to_str().map(str::to_owned))
        .collect();
    parts.filter(|it| !it.is_empty() && it.iter().all(|it| files::is_shown(it)))
}

/// Where files can be had, and where the master is.
#[derive(Clone)]
struct Places {
    root: Option<PathBuf>,
    basedir: PathBuf,
}

impl Places {
    async fn of(app: &App) -> Result<Self, Failure> {
        Ok(Self {
            root: files::root(app).await?,
            basedir: app.desk.basedir().to_owned(),
        })
    }

    fn below(&self, artifact: &Artifact) -> Result<(&FilePath, Vec<String>), &'static str> {
        const ELSEWHERE: &str = "not below `public_html`";
        let root = self.root.as_deref().ok_or(ELSEWHERE)?;
        match below(root, &self.basedir, &artifact.path) {
            Some(parts) => Ok((root, parts)),
            None if self.is_gone(artifact) => Err("not there any more"),
            None => Err(ELSEWHERE),
        }
    }

    fn is_gone(&self, artifact: &Artifact) -> bool {
        let relative = !artifact.path.starts_with("~/");
        let place = self.basedir.join(&artifact.path);
        relative && matches!(place.try_exists(), Ok(false))
    }

    /// Whether what lies there is what was brought, as far as one can tell at a glance.
    fn check(&self, it: &KeptArtifact) -> Result<(), &'static str> {
        let (root, parts) = self.below(&it.artifact)?;
        let found = files::length(root, &parts).map_err(|_| "not readable")?;
        match found {
            None => Err("not there any more"),
            Some(length) if !it.artifact.is_directory && length != Some(it.artifact.size) => {
                Err("changed since")
            }
            Some(_) => Ok(()),
        }
    }
}

/// The lines of a build, in the order in which its steps brought them.
pub(super) async fn lines(
    app: &App,
    build: &BuildRecord,
    steps: &[StepRecord],
    artifacts: Vec<KeptArtifact>,
    now: Timestamp,
) -> Result<Vec<ArtifactLine>, Failure> {
    if artifacts.is_empty() {
        return Ok(Vec::new());
    }
    let places = Places::of(app).await?;
    let artifacts = newest(artifacts);
    let checked = log::blocking("public_html".into(), move || {
        let checks: Vec<_> = artifacts.iter().map(|it| places.check(it)).collect();
        Ok((artifacts, checks))
    });
    let (artifacts, checks) = checked.await?;
    let names = names(&artifacts);
    let step_name = |number: u32| {
        let step = steps.iter().find(|it| it.number == number);
        step.map_or_else(|| number.to_string(), |it| it.name.clone())
    };
    let lines = artifacts.into_iter().zip(names).zip(checks);
    Ok(lines
        .map(|((it, name), check)| {
            let KeptArtifact {
                artifact,
                replaced_by,
            } = it;
            let is_there = replaced_by.is_none() && check.is_ok();
            let slash = if artifact.is_directory { "/" } else { "" };
            let step = step_name(artifact.step);
            ArtifactLine {
                url: is_there.then(|| format!("{}{slash}", links::artifact(&build.key, &name))),
                name,
                step: artifact.step,
                step_link: Link {
                    url: links::step(&build.key, &step),
                    name: step,
                },
                path: artifact.path,
                is_directory: artifact.is_directory,
                size: log::size(artifact.size),
                sha256: artifact.sha256,
                made: Moment::new(artifact.made, now),
                why_not: check.err().filter(|_| replaced_by.is_none()),
                replaced_by: replaced_by.map(|it| Link::build(&it)),
            }
        })
        .collect())
}

/// The list of a build.
pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path((builder, number)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    let now = clock::now();
    let key = facts.build.key.clone();
    let view = ArtifactsView {
        trail: rows::trail(&key),
        key: key.to_string(),
        artifacts: lines(&app, &facts.build, &facts.steps, facts.artifacts, now).await?,
        latest: format!("{}/latest/artifacts", links::builder(key.builder.as_str())),
    };
    app.draw("artifacts.html", &uri, view)
}

/// What is said of an artifact that there is none of.
fn missing(path: &str, key: &BuildKey) -> Failure {
    Failure::NotFound(format!("artifact `{path}` of {key}"))
}

/// The name and what lies below it, as the address says them.
fn asked(uri: &Uri) -> Option<(Vec<String>, bool)> {
    // `/builders/NAME/builds/NUMBER/artifacts/…`: no name has a plain slash in it.
    let rest = uri.path().splitn(7, '/').nth(6)?;
    files::parts(&format!("/{rest}"))
}

/// A file that a build brought, or one in a directory that it brought.
pub(super) async fn file(
    State(app): State<Shared>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
    Path((builder, number, path)): Path<(String, String, String)>,
) -> Result<Response, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    let key = facts.build.key;
    let missing = || missing(&path, &key);
    let (parts, is_directory) = asked(&uri).ok_or_else(missing)?;
    let artifacts = newest(facts.artifacts);
    let names = names(&artifacts);
    let found = names.iter().zip(&artifacts).find_map(|(name, it)| {
        let own = name.split('/').count();
        let is_it = parts.len() >= own && parts[..own].join("/") == *name;
        (is_it && (parts.len() == own || it.artifact.is_directory)).then(|| (own, it.clone()))
    });
    let (own, artifact) = found.ok_or_else(missing)?;
    if let Some(by) = &artifact.replaced_by {
        let what = format!("artifact `{path}` of {key} any more: {by} brought another one");
        return Err(Failure::NotFound(what));
    }
    let places = Places::of(&app).await?;
    let (inside, name) = (parts[own..].to_vec(), parts[..own].to_vec());
    let checked = log::blocking(artifact.artifact.path.clone(), move || {
        Ok(places.check(&artifact).and_then(|()| {
            let (root, lies) = places.below(&artifact.artifact)?;
            Ok((root.to_owned(), lies))
        }))
    });
    let (root, lies) = checked.await?.map_err(|why| {
        let what = format!("artifact `{path}` of {key} to be had: it is {why}");
        Failure::NotFound(what)
    })?;
    let base = format!("{}/artifacts", links::build(&key));
    let asked = files::Asked {
        names: [lies.as_slice(), &inside].concat(),
        is_directory,
        shown: [name.as_slice(), &inside].concat(),
        lowest: name.len(),
        base,
    };
    let answer = files::answer(&app, root, asked, &method, &uri, &headers).await?;
    answer.ok_or_else(missing)
}

/// The number of the newest build of a builder, by whatever verb finds it.
async fn newest_number(
    app: &App,
    builder: &str,
    with_artifacts: bool,
) -> Result<Option<i64>, Failure> {
    let name = BuilderName::from(builder);
    app.read(move |store| match with_artifacts {
        true => store.newest_with_artifacts(&name),
        false => Ok(store.build(&name, -1)?.map(|it| it.key.number)),
    })
    .await
}

/// Leads to the newest build.
pub(super) async fn latest_build(
    State(app): State<Shared>,
    Path(builder): Path<String>,
) -> Result<Response, Failure> {
    let number = newest_number(&app, &builder, false).await?;
    let number = number.ok_or_else(|| Failure::NotFound(format!("build of `{builder}`")))?;
    Ok(redirect(&format!("builds/{number}")))
}

/// Leads to what the newest good build brought: an address that stays the same.
pub(super) async fn latest(
    State(app): State<Shared>,
    uri: Uri,
    Path(path): Path<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let builder = path.first().map_or("", |it| it.1.as_str());
    let number = newest_number(&app, builder, true).await?;
    let number = number.ok_or_else(|| {
        let what = format!("good build of `{builder}` that brought artifacts");
        Failure::NotFound(what)
    })?;
    // `/builders/NAME/latest/artifacts/…`, as it is quoted.
    let rest = uri.path().splitn(6, '/').nth(5);
    let up = "../".repeat(rest.map_or(1, |it| it.matches('/').count() + 2));
    let rest = rest.map(|it| format!("/{it}")).unwrap_or_default();
    Ok(redirect(&format!("{up}builds/{number}/artifacts{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str, size: u64) -> KeptArtifact {
        KeptArtifact {
            artifact: Artifact {
                step: 0,
                path: path.into(),
                is_directory: false,
                size,
                sha256: String::new(),
                made: Timestamp(0),
            },
            replaced_by: None,
        }
    }

    #[test]
    fn a_name_is_as_short_as_it_can_be_and_no_other_is_the_same() {
        let all = [
            "public_html/a/words.tgz",
            "public_html/b/index.html",
            "~/www/c/index.html",
            "/srv/docs/",
            "b/index.html",
        ];
        let names = names(&all.map(|it| kept(it, 1)));
        assert_eq!(
            names,
            [
                "words.tgz",
                "public_html/b/index.html",
                "c/index.html",
                "docs",
                "b/index.html"
            ]
        );
    }

    #[test]
    fn of_two_to_one_place_the_last_is_what_lies_there() {
        let newest = newest(vec![kept("a", 1), kept("b", 2), kept("a", 3)]);
        let sizes: Vec<_> = newest.iter().map(|it| it.artifact.size).collect();
        assert_eq!(sizes, [2, 3]);
    }

    #[test]
    fn only_what_lies_below_the_public_directory_can_be_had() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("a path");
        let root = base.join("public_html");
        std::fs::create_dir_all(root.join("a/.hidden")).expect("directories");
        std::fs::write(root.join("a/x"), "x").expect("written");
        std::fs::write(base.join("secret"), "x").expect("written");
        std::os::unix::fs::symlink("../../secret", root.join("a/link")).expect("a link");
        let below = |path: &str| below(&root, &base, path);
        let parts = |all: &[&str]| Some(all.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(below("public_html/a/x"), parts(&["a", "x"]));
        assert_eq!(below("./public_html/../public_html/a"), parts(&["a"]));
        for path in [
            "secret",
            "public_html",
            "public_html/../secret",
            "public_html/a/link",
            "public_html/a/.hidden",
            "public_html/none",
            "/etc/passwd",
            "",
        ] {
            assert_eq!(below(path), None, "{path}");
        }
    }

    #[test]
    fn addresses_say_the_name_and_what_lies_below() {
        let asked = |path: &str| asked(&path.parse().expect("an address"));
        let parts =
            |all: &[&str], end| Some((all.iter().map(|it| (*it).to_owned()).collect(), end));
        assert_eq!(
            asked("/builders/a%2Fb/builds/1/artifacts/docs/x%20y.html"),
            parts(&["docs", "x y.html"], false)
        );
        assert_eq!(
            asked("/builders/a/builds/1/artifacts/docs/"),
            parts(&["docs"], true)
        );
        for bad in ["../x", "%2e%2e/x", "a/%2e%2e%2fx", ".x", "a//b", "a/%00"] {
            let path = format!("/builders/a/builds/1/artifacts/{bad}");
            assert_eq!(asked(&path), None, "{bad}");
        }
    }
}
