//! The bench of the reloads: a master with its own files and store, and slaves that
//! are two ends of a pipe and do what the test says.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::master::bench::PlayedMaster;
use crate::master::crew::Crew;
use crate::master::handle::MasterHandle;
use crate::master::outlook::Scope;
use crate::master::pages::{Access, Door, Pages};
use crate::model::BuildRecord;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::wire::login::{LoginError, slave_login};
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{FromMaster, FromSlave, SlaveFacts, WireCommand, WireLine};

/// Everything that is waited for comes within this time, or the test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Pages that say which door they stand behind.
struct Doors;

impl Pages for Doors {
    fn serve(
        &self,
        door: Door,
        _: MasterHandle,
        access: Access,
        stop: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let Door::Tcp(listener) = door else {
                return stop.cancelled().await;
            };
            while let Some(Ok((mut stream, _))) = stop.run_until_cancelled(listener.accept()).await
            {
                drop(stream.write_all(format!("{access:?}").as_bytes()).await);
            }
        })
    }
}

pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) master: PlayedMaster,
    pub(super) handle: MasterHandle,
}

impl Bench {
    /// A master without ports. `ini` begins with more keys of `[:master:]`.
    pub(super) async fn new(ini: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), ini);
        let master = begin(dir.path()).await;
        Self {
            handle: master.handle().clone(),
            master,
            dir,
        }
    }

    /// Writes the files anew and reloads.
    pub(super) async fn reload(&self, ini: &str) -> Result<String, String> {
        write(self.dir.path(), ini);
        self.handle.reload().await
    }

    /// The same, without a mistake.
    pub(super) async fn apply(&self, ini: &str) -> Vec<String> {
        let told = self.reload(ini).await.unwrap_or_else(|it| panic!("{it}"));
        told.lines().map(str::to_owned).collect()
    }

    pub(super) fn crew(&self) -> &Arc<Crew> {
        self.handle.crew()
    }

    pub(super) async fn force(&self, builder: &str) -> RequestId {
        self.master.force(builder).await.expect("a request")
    }

    pub(super) async fn build(&self, builder: &str, number: i64) -> Option<BuildRecord> {
        let builder = builder.into();
        let found = self
            .crew()
            .store
            .read(move |verbs| verbs.build(&builder, number));
        found.await.expect("readable")
    }

    /// Waits for the end of a build.
    pub(super) async fn ended(&self, builder: &str, number: i64) -> BuildRecord {
        let what = format!("the end of {builder}/{number}");
        wait(&what, async || {
            let build = self.build(builder, number).await?;
            build.outcome.is_some().then_some(build)
        })
        .await
    }

    pub(super) async fn request(&self, id: RequestId) -> RequestRecord {
        let found = self.crew().store.read(move |verbs| verbs.request(id)).await;
        found.expect("readable").expect("a request")
    }

    pub(super) async fn waiting(&self) -> Vec<String> {
        let waiting = self.crew().store.read(|verbs| verbs.pending_requests());
        let waiting = waiting.await.expect("readable");
        waiting.iter().map(|it| it.builder.to_string()).collect()
    }

    pub(super) async fn why(&self, request: RequestId) -> Option<String> {
        let scope = Scope::Request(request);
        let outlook = self.handle.outlook(scope).await.expect("readable");
        outlook.why(request).map(str::to_owned)
    }

    pub(super) async fn configs(&self) -> Vec<Vec<String>> {
        let configs = self.crew().store.read(|verbs| verbs.recent_configs(99));
        let configs = configs.await.expect("readable");
        configs.into_iter().rev().map(|it| it.summary).collect()
    }

    pub(super) async fn attach(&self, name: &str) -> FakeSlave {
        let attached = FakeSlave::attach(self, name, "x").await;
        attached.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The stop of a task that stands.
    pub(super) async fn scheduler(&self, name: &str) -> CancellationToken {
        let standing = self.handle.fixtures().standing.lock().await;
        standing.schedulers.standing[name].stop.clone()
    }
}

/// Starts the master in `dir`.
pub(super) async fn begin(dir: &Path) -> PlayedMaster {
    let master = PlayedMaster::start_with(dir, Arc::new(Doors)).await;
    master.unwrap_or_else(|error| panic!("{error}"))
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.master.stop();
    }
}

pub(super) fn write(dir: &Path, ini: &str) {
    let ports = if ini.contains("htmlport") {
        "slaveport = none"
    } else {
        "slaveport = none\nhtmlport = none"
    };
    let path = dir.join("master.ini");
    fs::write(&path, format!("[:master:]\n{ports}\npassword = x\n{ini}")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// Looks until there is something to see.
pub(super) async fn wait<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            // Not a wait for a length of time, only a pause between two looks.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let seen = timeout(PATIENCE, looking).await;
    seen.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A slave whose commands run until the test ends them.
pub(super) struct FakeSlave {
    pub(super) name: String,
    pub(super) reader: FrameReader<ReadHalf<DuplexStream>>,
    pub(super) writer: FrameWriter<WriteHalf<DuplexStream>>,
}

impl FakeSlave {
    pub(super) async fn attach(
        bench: &Bench,
        name: &str,
        password: &str,
    ) -> Result<Self, LoginError> {
        let (near, far) = duplex(64 << 10);
        let (read, write) = split(far);
        bench.master.answer(read, write);
        let (read, write) = split(near);
        let mut slave = Self {
            name: name.to_owned(),
            reader: FrameReader::new(read),
            writer: FrameWriter::new(write),
        };
        slave_login(&mut slave.reader, &mut slave.writer, name, password).await?;
        let attached = FromSlave::Attached {
            facts: SlaveFacts::default(),
            commands: Vec::new(),
        };
        slave.say(attached).await;
        let name = name.into();
        wait("the slave", async || bench.crew().slaves.session(&name)).await;
        Ok(slave)
    }

    pub(super) async fn say(&mut self, message: FromSlave) {
        self.writer.send(&message).await.expect("said");
    }

    /// The next message; `None` at the end of the line.
    pub(super) async fn hear(&mut self) -> Option<FromMaster> {
        loop {
            let message = timeout(PATIENCE, self.reader.next::<FromMaster>()).await;
            let message = message.unwrap_or_else(|_| panic!("slave {} waits too long", self.name));
            match message.expect("a message") {
                Some(FromMaster::Ping) => self.say(FromSlave::Pong).await,
                other => return other,
            }
        }
    }

    /// Waits for the end of the line, whatever is said before.
    pub(super) async fn hear_end(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// Waits for a command and begins it.
    pub(super) async fn begin(&mut self) -> (CommandId, String) {
        loop {
            if let Some(FromMaster::Start { id, command, .. }) = self.hear().await {
                self.say(FromSlave::Started { id }).await;
                let WireCommand::Shell(shell) = command else {
                    panic!("{command:?}");
                };
                let line = match shell.line {
                    WireLine::Script(script) => script,
                    WireLine::Argv(words) => words.join(" "),
                };
                return (id, line);
            }
        }
    }

    pub(super) async fn finish(&mut self, id: CommandId) {
        self.end(id, 0).await;
    }

    pub(super) async fn end(&mut self, id: CommandId, code: i32) {
        let exit = Exit::new(code, ExitCause::Exited, 1);
        let logs = BTreeMap::from([("stdio".to_owned(), 0)]);
        self.say(FromSlave::Finished { id, exit, logs }).await;
    }

    /// Waits until the line is cut; gives the words before that.
    pub(super) async fn last_words(mut self) -> Vec<FromMaster> {
        let mut words = Vec::new();
        while let Some(word) = self.hear().await {
            words.push(word);
        }
        words
    }
}
