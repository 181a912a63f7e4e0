//! A slave on another host, reached over ssh: this program is put there if it
//! is missing or another one, it stays there by itself, and a command over
//! the connection leads to it. When the line is lost, the next one finds it
//! and all that it runs.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use tokio::io::AsyncWriteExt as _;
use tokio::net;
use tokio::sync::oneshot;
use tokio::time;

use crate::config::SshLaunch;
use crate::master::crew::Crew;
use crate::master::fleet::SshMeans;
use crate::master::launch_local;
use crate::master::leave::LAST_WORDS;
use crate::master::slaves;
use crate::master::there::There;
use crate::model::SlaveName;
use crate::ssh::{Cut, Host, SshError};
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{ATTACH_VERB, DISMISS_VERB};

/// Threads that carry bytes need little room.
const STACK: usize = 512 << 10;

/// Opens a line to the slave, which it starts if it is not there, and serves it; says how it
/// ended.
pub(super) async fn line(crew: &Arc<Crew>, slave: &SlaveName, launch: &SshLaunch) -> String {
    let host = match host(&SshMeans::of(launch)) {
        Ok(host) => host,
        Err(why) => return why,
    };
    let (near, far) = match UnixStream::pair() {
        Ok(pair) => pair,
        Err(error) => return format!("no socket: {error}"),
    };
    let password = match launch_local::password() {
        Ok(password) => password,
        Err(why) => return why,
    };
    let near = near
        .set_nonblocking(true)
        .and_then(|()| net::UnixStream::from_std(near));
    let mut near = match near {
        Ok(near) => near,
        Err(error) => return format!("no socket: {error}"),
    };
    let cut = Cut::default();
    let _cut_at_the_end = AtTheEnd(cut.clone());
    let (ready, is_ready) = oneshot::channel();
    let there = There {
        basedir: launch.basedir.clone(),
        slave: slave.clone(),
        binaries: crew.dir.join("binaries"),
    };
    let told = on_a_thread(slave, move || {
        let (connection, base) = there.prepare(&host, &cut)?;
        // Who asked may have gone away.
        let _ = ready.send(());
        let line = there.verb(&base, ATTACH_VERB);
        told(
            connection.bridge("the slave's own end of the line", &line, far),
            slave_of(&there),
        )
    });
    let told = match told {
        Ok(told) => told,
        Err(why) => return why,
    };
    if is_ready.await.is_err() {
        return ending(told.await);
    }
    if let Err(error) = near.write_all(format!("{password}\n").as_bytes()).await {
        return format!("the line failed: {error}");
    }
    let (read, write) = near.into_split();
    let (reader, writer) = (FrameReader::new(read), FrameWriter::new(write));
    let password_of = |name: &str| (name == slave.as_str()).then(|| password.clone());
    let from = format!("ssh to {}", launch.host);
    slaves::serve(crew, &from, reader, writer, password_of).await;
    // A host that is gone does not say farewell.
    match time::timeout(LAST_WORDS, told).await {
        Ok(told) => ending(told),
        Err(_) => "the line ended".into(),
    }
}

/// How the thread of a line has ended.
fn ending(told: Result<Result<(), String>, oneshot::error::RecvError>) -> String {
    match told {
        Ok(Ok(())) => "the line ended".into(),
        Ok(Err(why)) => why,
        Err(_) => "the line broke off".into(),
    }
}

/// Ends the slave on its host. What it still runs goes on there until it ends.
pub(super) async fn stop(
    crew: &Arc<Crew>,
    slave: &SlaveName,
    means: &SshMeans,
) -> Result<(), String> {
    let host = host(means)?;
    let cut = Cut::default();
    let _cut_at_the_end = AtTheEnd(cut.clone());
    let there = There {
        basedir: means.basedir.clone(),
        slave: slave.clone(),
        binaries: crew.dir.join("binaries"),
    };
    let told = on_a_thread(slave, move || {
        let found = (|| {
            let connection = host.connect(&cut)?;
            let found = there.look(&connection)?;
            if found.has_binary {
                let line = there.verb(&found.base, DISMISS_VERB);
                connection.command("ending the slave", &line, &mut io::empty())?;
            }
            Ok(())
        })();
        told(found, slave_of(&there))
    })?;
    told.await.unwrap_or_else(|_| Err("it broke off".into()))
}

/// How a host is reached.
pub(crate) fn host(means: &SshMeans) -> Result<Host, String> {
    let SshMeans {
        host,
        port,
        user,
        key_file,
        known_hosts,
        proxy_command,
        basedir: _,
    } = means.clone();
    let user = match user.or_else(own_name) {
        Some(user) => user,
        None => return Err("the user who runs this has no name; `user = …` names one".into()),
    };
    Ok(Host {
        host,
        port,
        user,
        key_file,
        known_hosts,
        proxy_command,
    })
}

/// Of the user who runs this program.
fn own_name() -> Option<String> {
    let number = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mine = users
        .lines()
        .find(|it| it.split(':').nth(2) == Some(&number))?;
    mine.split(':').next().map(str::to_owned)
}

/// Cuts a connection when nobody waits for it any more.
struct AtTheEnd(Cut);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.cut();
    }
}

type Told = oneshot::Receiver<Result<(), String>>;

/// Runs what blocks; its answer may be waited for.
fn on_a_thread(
    slave: &SlaveName,
    work: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<Told, String> {
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new()
        .name(format!("ssh {slave}"))
        .stack_size(STACK);
    let spawned = thread.spawn(move || drop(tell.send(work())));
    spawned.map_err(|error| format!("failed to start a thread: {error}"))?;
    Ok(told)
}

fn slave_of(there: &There) -> &SlaveName {
    &there.slave
}

/// The failure and its causes, with what to do about it.
fn told(done: Result<(), SshError>, slave: &SlaveName) -> Result<(), String> {
    done.map_err(|error| explained(&error, slave))
}

/// Says what went wrong, and what a person can do.
pub(crate) fn explained(error: &SshError, slave: &SlaveName) -> String {
    let mut text = slaves::chain(error);
    match error {
        SshError::UnknownHost { .. } => {
            text.push_str(&format!(
                "; `autobot ssh-trust {slave}` shows it and adds it if it is the right one"
            ));
        }
        SshError::OtherKey { line, .. } => {
            text.push_str(&format!(
                "; somebody may stand in between. If the host has a new key, remove line {line} \
                 and run `autobot ssh-trust {slave}`"
            ));
        }
        _ => {}
    }
    text
}

impl SshMeans {
    pub(crate) fn of(launch: &SshLaunch) -> Self {
        let SshLaunch {
            host,
            port,
            user,
            key_file,
            known_hosts,
            proxy_command,
            basedir,
        } = launch.clone();
        Self {
            host,
            port,
            user,
            key_file,
            known_hosts,
            proxy_command,
            basedir,
        }
    }
}
