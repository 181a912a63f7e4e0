//! The demo's master and slave, on ports that are free, with a repository
//! that is looked at every second.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio::time::sleep;

use super::project;
use super::project::Repository;
use crate::cli::builds;
use crate::cli::create::this_machine;
use crate::cli::daemon;
use crate::cli::exit::Done;
use crate::cli::exit::Failure;
use crate::cli::place::Base;
use crate::cli::place::Kind;
use crate::cli::rooms;
use crate::client::BuildView;
use crate::client::Client;
use crate::scaffold;
use crate::scaffold::FactoryChoice;
use crate::scaffold::MasterVariables;
use crate::scaffold::Plan;
use crate::scaffold::SlaveVariables;

const FACTORY: &str = "words";
/// The builder of that factory on the slave.
pub(super) const BUILDER: &str = "words-slave";
/// How its steps are planned.
const RECIPE: &str = include_str!("../../../share/demo/words.toml");

/// For the first look at a repository beside us.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// A pair and a repository.
#[derive(Debug)]
pub(super) struct Farm {
    bases: [Base; 2],
    repository: Repository,
    htmlport: u16,
}

impl Farm {
    /// Writes everything into `dir` and starts nothing.
    pub(super) fn create(dir: &Path) -> Result<Self, Failure> {
        let repository = Repository::create(dir.join(FACTORY))?;
        let [slaveport, htmlport] = free_ports()?;
        let password = password()?;
        let master = MasterVariables {
            password: password.clone(),
            slaveport,
            htmlport,
            is_local: true,
            publichtmlport: None,
            poll_interval: 1,
            tree_stable: 1,
            factories: vec![FactoryChoice {
                name: FACTORY.to_owned(),
                lines: vec![format!("git = {}", list_item(repository.dir())?)],
            }],
            ..MasterVariables::default()
        };
        let slave = SlaveVariables {
            master: "127.0.0.1".to_owned(),
            slaveport,
            password,
            host: this_machine(),
            ..SlaveVariables::default()
        };
        scaffold::write(&Plan::pair(&master, &slave), dir, &rooms::create_store)?;
        let recipe = dir.join("master/factories").join(format!("{FACTORY}.toml"));
        fs::write(&recipe, RECIPE).map_err(|error| {
            Failure::because(format!("failed to write `{}`", recipe.display()), &error)
        })?;
        let base = |kind, part: &str| Base {
            kind,
            dir: dir.join(part),
        };
        Ok(Self {
            bases: [base(Kind::Master, "master"), base(Kind::Slave, "slave")],
            repository,
            htmlport,
        })
    }

    /// Whether both are up.
    pub(super) fn runs(&self) -> Result<bool, Failure> {
        for base in &self.bases {
            if daemon::running(&base.dir)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The master first.
    pub(super) fn bases(&self) -> &[Base] {
        &self.bases
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn client(&self) -> Client {
        self.bases[0].client()
    }

    /// Where the pages are.
    pub(super) fn url(&self) -> String {
        format!("http://localhost:{}/", self.htmlport)
    }

    /// Waits until the repository was looked at once: what is committed before that is
    /// where a poller begins, not a change.
    pub(super) async fn wait_for_first_poll(&self, client: &Client) -> Done {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status: Value = client.get("/api/status").await?;
            match first_poll(&status) {
                Poll::Done => return Ok(()),
                Poll::Failed(why) => return Err(Failure::new(why)),
                Poll::NotYet if Instant::now() > deadline => {
                    return Err(Failure::new(format!(
                        "the master did not look at the repository within {} s",
                        PATIENCE.as_secs()
                    )));
                }
                Poll::NotYet => sleep(LOOK).await,
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Poll {
    NotYet,
    Done,
    Failed(String),
}

/// Reads the master's status: `sources` with `last_poll` and, if it failed, `problem`.
fn first_poll(status: &Value) -> Poll {
    let sources = status["sources"].as_array().map(Vec::as_slice);
    let sources = sources.unwrap_or_default();
    for source in sources {
        if let Some(why) = source["problem"].as_str() {
            return Poll::Failed(why.to_owned());
        }
    }
    if !sources.is_empty() && sources.iter().all(|source| !source["last_poll"].is_null()) {
        Poll::Done
    } else {
        Poll::NotYet
    }
}

/// The number of the builder's newest build.
pub(super) async fn newest_build(client: &Client) -> Result<Option<i64>, Failure> {
    let builds: Vec<BuildView> = client.get(&builds::path(Some(BUILDER), 1)).await?;
    Ok(builds.first().map(|build| build.number))
}

/// Waits for a build that is newer than `seen`.
pub(super) async fn build_after(client: &Client, seen: Option<i64>) -> Result<i64, Failure> {
    loop {
        match newest_build(client).await? {
            Some(number) if Some(number) > seen => {
                // One at a time, even if two commits were quick.
                return Ok(seen.map_or(number, |seen| seen + 1));
            }
            _ => sleep(LOOK).await,
        }
    }
}

/// Ports that nobody has at the moment; both are held while they are chosen.
fn free_ports() -> Result<[u16; 2], Failure> {
    let failed = |error| Failure::because("failed to find a free port", &error);
    let bind = || TcpListener::bind(("127.0.0.1", 0)).map_err(failed);
    let held = [bind()?, bind()?];
    let port = |listener: &TcpListener| listener.local_addr().map(|it| it.port()).map_err(failed);
    Ok([port(&held[0])?, port(&held[1])?])
}

fn password() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(format!("failed to choose a password: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The repository as an item of a list in an INI file: as it is if it is one word.
fn list_item(dir: &Path) -> Result<String, Failure> {
    let not_text = || Failure::new(format!("`{}` is not a text", dir.display()));
    let url = format!("{}#{}", dir.to_str().ok_or_else(not_text)?, project::BRANCH);
    let is_word = |c: char| c.is_alphanumeric() || "/-_.#+:".contains(c);
    Ok(if url.chars().all(is_word) {
        url
    } else {
        Value::from(vec![url]).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_with_a_blank_in_its_path_is_one_item() {
        assert_eq!(
            list_item(Path::new("/tmp/a/words")).unwrap(),
            "/tmp/a/words#main"
        );
        assert_eq!(
            list_item(Path::new("/tmp/my demo/words")).unwrap(),
            r#"["/tmp/my demo/words#main"]"#
        );
    }

    #[test]
    fn the_first_poll_is_over_when_every_source_was_asked() {
        let poll = |sources: Value| first_poll(&serde_json::json!({ "sources": sources }));
        assert_eq!(poll(serde_json::json!([])), Poll::NotYet);
        assert_eq!(poll(serde_json::json!([{"last_poll": null}])), Poll::NotYet);
        assert_eq!(poll(serde_json::json!([{"last_poll": "2026"}])), Poll::Done);
        assert_eq!(
            poll(serde_json::json!([{"last_poll": "2026", "problem": "no git"}])),
            Poll::Failed("no git".to_owned())
        );
    }

    #[test]
    fn ports_are_free_and_differ() {
        let [a, b] = free_ports().unwrap();
        assert!(a != b && a > 0 && b > 0);
    }
}
