//! Brings a job to its master.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::job::Job;
use super::settings::Host;
use super::settings::Login;
use super::vc::Tree;
use super::vc::complaint;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::client::Address;
use crate::client::Client;
use crate::client::ClientError;
use crate::client::Proof;
use crate::client::RequestView;
use crate::client::encode;

/// What was made of a job.
#[derive(Debug, Deserialize)]
pub(super) struct Tried {
    pub(super) requests: Vec<Asked>,
}

/// A request of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Asked {
    pub(super) request: i64,
    pub(super) builder: String,
}

impl From<RequestView> for Asked {
    fn from(it: RequestView) -> Self {
        Self {
            request: it.id,
            builder: it.builder,
        }
    }
}

#[derive(Deserialize)]
struct Builders {
    builders: Vec<String>,
}

#[derive(Deserialize)]
struct Scheduler {
    name: String,
    kind: String,
}

/// A scheduler that takes jobs over the web, and who asks it.
pub(super) struct Desk {
    client: Client,
    path: String,
}

impl Desk {
    pub(super) async fn find(client: Client, login: &Login) -> Result<Self, Failure> {
        let scheduler = match &login.scheduler {
            Some(name) => name.clone(),
            None => only(&client).await?,
        };
        let client = match &login.user {
            Some(user) => client.with_proof(Some(Proof::Password {
                user: user.clone(),
                password: password(login)?,
            })),
            // Who has a token, or owns the directory, needs no name.
            None => client,
        };
        Ok(Self {
            client,
            path: format!("/api/try/{}", encode(&scheduler)),
        })
    }

    /// The builders that may try something, in the master's order.
    pub(super) async fn builders(&self) -> Result<Vec<String>, Failure> {
        let told: Result<Builders, _> = self.client.get(&self.path).await;
        told.map(|it| it.builders).map_err(not_delivered)
    }

    pub(super) async fn send(&self, job: &Job<'_>) -> Result<Vec<Asked>, Failure> {
        let bytes = job.document().to_string().into_bytes();
        let tried: Result<Tried, _> = self
            .client
            .hand_in(&self.path, "application/json", bytes)
            .await;
        tried.map(|it| it.requests).map_err(not_delivered)
    }
}

fn password(login: &Login) -> Result<String, Failure> {
    match login.password.as_deref() {
        Some(said) => crate::cli::password::said(said),
        None if terminal::somebody_is_there() => crate::cli::password::said("-"),
        None => Err(Failure::usage("the password is missing").hint(
            "`--passwd -` reads it from the standard input; AUTOBOT_TRY_PASSWORD, or \
             `try_passwd = '…'` in the file of options, say it too",
        )),
    }
}

/// The one scheduler that takes jobs over the web.
async fn only(client: &Client) -> Result<String, Failure> {
    let all: Vec<Scheduler> = client.get("/api/schedulers").await.map_err(|error| {
        not_delivered(error).hint("`--scheduler NAME` says which takes the job")
    })?;
    let mut names: Vec<_> = all
        .into_iter()
        .filter(|it| it.kind == "try_userpass")
        .map(|it| it.name)
        .collect();
    match names.len() {
        0 => Err(Failure::new(format!(
            "the master at `{}` has no scheduler of type `try_userpass`",
            client.address()
        ))
        .hint("`--connect=ssh` brings a job to one of type `try_jobdir`")),
        1 => Ok(names.remove(0)),
        _ => Err(Failure::usage(format!(
            "several schedulers take jobs: {}",
            names.join(", ")
        ))
        .hint("`--scheduler NAME` says which takes this one")),
    }
}

fn not_delivered(error: ClientError) -> Failure {
    let failure = Failure::because("the job was not delivered", &error);
    match &error {
        ClientError::Refused { status: 401, .. } => failure
            .hint("`--username` and `--passwd` are those of `userpass.NAME` in the scheduler"),
        ClientError::Broken { .. } | ClientError::Garbled { .. } => {
            failure.hint("--master is the address of the pages, not the port of the slaves")
        }
        ClientError::Unreachable {
            address: Address::Socket(_),
            ..
        } => failure.hint("`--master URL` names a master that runs elsewhere"),
        _ => failure,
    }
}

/// Hands a job to `autobot tryserver` on the master's machine.
pub(super) fn over_ssh(host: &Host, job: &[u8]) -> Result<String, Failure> {
    let argv = argv(host);
    let here = Tree {
        top: Path::new(".").to_owned(),
    };
    let said = here.ask_with(&argv, &[], Some(job))?;
    match said.is_good {
        true => Ok(said.text()),
        false => Err(Failure::because(
            "the job was not delivered",
            &io::Error::other(complaint(&argv, &said).text()),
        )),
    }
}

/// What is run here, which has a shell there read the last words.
fn argv(host: &Host) -> Vec<String> {
    let mut argv = host.ssh.clone();
    if let Some(port) = host.port {
        argv.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &host.user {
        argv.extend(["-l".to_owned(), user.clone()]);
    }
    let command = format!(
        "{} tryserver --jobdir {}",
        host.program,
        quoted(&host.jobdir)
    );
    argv.extend([host.name.clone(), command]);
    argv
}

/// One word for a shell. `~` is understood by who gets it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_there_reads_the_directory_as_one_word() {
        let host = Host {
            name: "ci.test".into(),
            user: Some("ines".into()),
            port: Some(2222),
            jobdir: "~/it's $here".into(),
            ssh: vec!["ssh".into(), "-q".into()],
            program: "/opt/autobot".into(),
        };
        assert_eq!(
            argv(&host),
            [
                "ssh",
                "-q",
                "-p",
                "2222",
                "-l",
                "ines",
                "ci.test",
                "/opt/autobot tryserver --jobdir '~/it'\\''s $here'"
            ]
        );
    }
}
