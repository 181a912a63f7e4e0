//! The line to a client: what it says is read, what is said to it is written, and news are told
//! as fast as it takes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time;
use tokio::time::Instant;

use crate::model::Status;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::super::line::LineError;
use super::super::line::MOST_WAITING;
use super::super::line::Peer;
use super::super::line::close;
use super::Client;
use super::Office;
use super::Role;
use super::Thing;

/// Objects of this side that a client may hold: one that never lets go is cut off.
const MOST_HELD: usize = 1 << 14;

/// Calls that a client may leave unanswered before it is told nothing more.
const MOST_UNANSWERED: usize = 1 << 10;

/// How often who listens to builds hears how long they still take: as often as `try` asks for.
pub(super) const ETA: Duration = Duration::from_secs(20);

/// Serves a client until its line ends.
pub(crate) async fn serve<S, W, O>(peer: Peer<S, W>, role: Role, office: O) -> Result<(), LineError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    O: Office,
{
    let mut news = office.news();
    let mut client = Client::new(peer.broker, peer.owed, role, office);
    let mut stream = peer.stream;
    let mut bytes = vec![0; 16 << 10];
    let mut written = 0;
    let mut last_times = Instant::now();
    loop {
        while !client.is_over && client.broker.out.len() - written < MOST_WAITING {
            match client.broker.next()? {
                Some(heard) => client.heard(heard).await,
                None => break,
            }
            if client.broker.held() > MOST_HELD {
                return Err(LineError::Greedy(MOST_HELD));
            }
        }
        if client.listener.is_behind() && client.broker.out.len() - written < MOST_WAITING {
            client.look_around().await;
        }
        let waiting = client.broker.out.len() - written;
        if client.is_over && waiting == 0 {
            close(stream).await;
            return Ok(());
        }
        let has_room = waiting < MOST_WAITING && !client.is_over;
        let listens = has_room && client.broker.unanswered() < MOST_UNANSWERED;
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        tokio::select! {
            sent = writer.write(&client.broker.out[written..]), if waiting > 0 => {
                written += sent?;
                if written == client.broker.out.len() {
                    client.broker.out.clear();
                    written = 0;
                    writer.flush().await?;
                }
            }
            count = reader.read(&mut bytes), if has_room => match count? {
                0 => return Ok(()),
                count => client.broker.hear(&bytes[..count]),
            },
            heard = news.recv(), if listens => {
                client.take_news(heard, &mut news).await;
            }
            () = time::sleep_until(last_times + client.pace), if listens => {
                last_times = Instant::now();
                client.tell_times().await;
            }
        }
    }
}

impl<O: Office> Client<O> {
    /// Takes all the news that there are, and looks around once.
    async fn take_news(
        &mut self,
        first: Result<Arc<Status>, RecvError>,
        news: &mut broadcast::Receiver<Arc<Status>>,
    ) {
        match first {
            Ok(status) => self.hear(&status),
            Err(RecvError::Lagged(_)) => self.miss(),
            // The master ends, and the line with it.
            Err(RecvError::Closed) => {
                self.is_over = true;
                return;
            }
        }
        loop {
            match news.try_recv() {
                Ok(status) => self.hear(&status),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.miss(),
                Err(_) => break,
            }
        }
        self.look_around().await;
    }

    pub(super) fn hear(&mut self, status: &Status) {
        self.watch.heard(status);
        self.listener.heard(status);
    }

    pub(super) fn miss(&mut self) {
        self.watch.missed();
        self.listener.missed();
    }

    /// Says how long the builds, and perhaps their steps, still take that somebody listens to.
    pub(super) async fn tell_times(&mut self) {
        let mut builds = self.watch.observed();
        let listener = self.listener.timed();
        builds.extend(listener.iter().flat_map(|(_, builds)| builds).cloned());
        if builds.is_empty() {
            return;
        }
        let listener = listener.map(|it| it.0);
        for (key, left) in self.office.left(builds).await {
            if let Some(seconds) = left.seconds {
                for observer in self.watch.observers(&key).into_iter().chain(listener) {
                    let build = self.broker.object(&Thing::Build(key.clone()));
                    let name = Value::text(key.builder.as_str());
                    let call = Arguments::places([name, build, Value::Float(seconds)]);
                    self.broker.call(observer, "buildETAUpdate", call);
                }
            }
            self.tell_steps_left(&key, &left.steps).await;
        }
    }
}
