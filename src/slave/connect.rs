//! Dialling the master, again and again: quickly at first, then more slowly,
//! never all slaves at once, and without ever giving up.

use std::future;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Slave;
use super::SlaveSettings;
use super::capability;
use super::session::{self, Left, SessionError};
use crate::tls::{Refused, Trust, TrustError};
use crate::wire::login::LoginError;

/// How long the master may take to accept a call.
const DIAL: Duration = Duration::from_secs(30);

/// Serves the master over one line after the other, until `stop` or until
/// the master dismisses the slave.
pub(super) async fn stay_connected(slave: &mut Slave, stop: &CancellationToken) {
    let mut backoff = Backoff::new(slave.settings.max_delay);
    let going = slave.settings.going.clone();
    loop {
        let asking = capability::ask(&slave.settings.capabilities, &slave.settings.basedir);
        slave.capabilities = tokio::select! {
            () = stop.cancelled() => return,
            () = told_to_go(&going, slave.has_asked) => return,
            told = asking => told,
        };
        let dialled = tokio::select! {
            () = stop.cancelled() => return,
            () = told_to_go(&going, slave.has_asked) => return,
            dialled = dial(&slave.settings) => dialled,
        };
        match dialled {
            Err(error) => {
                warn!(
                    host = slave.settings.host,
                    port = slave.settings.port,
                    error = &error as &dyn std::error::Error,
                    "the master cannot be reached"
                );
                if error.is_lasting() {
                    backoff.slow_down();
                }
            }
            Ok(line) => {
                let left = match line {
                    Line::Plain(stream) => {
                        let (read, write) = stream.into_split();
                        session::serve(slave, read, write, stop).await
                    }
                    Line::Tls(stream) => {
                        let (read, write) = tokio::io::split(*stream);
                        session::serve(slave, read, write, stop).await
                    }
                };
                if !matches!(left, Err(SessionError::Login(_) | SessionError::Spool(_))) {
                    backoff.reset();
                }
                match left {
                    Ok(Left::Stopped) => return,
                    Ok(Left::Dismissed) => {
                        info!("the master dismisses this slave");
                        return;
                    }
                    Ok(Left::Closed) => info!("the master closed the line"),
                    Err(SessionError::Login(LoginError::Rejected { why, retry_after })) => {
                        warn!(why, "the master refuses this slave");
                        match retry_after {
                            Some(wait) => backoff.wait(wait),
                            // Somebody has to change something before it goes better.
                            None => backoff.slow_down(),
                        }
                    }
                    Err(error) => {
                        warn!(error = &error as &dyn std::error::Error, "the line failed")
                    }
                }
            }
        }
        slave.works.reap();
        let delay = backoff.next(chance());
        info!(secs = delay.as_secs_f64(), "dials again later");
        tokio::select! {
            () = stop.cancelled() => return,
            () = told_to_go(&going, slave.has_asked) => return,
            () = sleep(delay) => {}
        }
    }
}

/// Comes back when a slave may end at once that nobody is connected with. One that has asked
/// its master has builds there: it comes back to them, and asks again.
async fn told_to_go(going: &CancellationToken, has_asked: bool) {
    if has_asked {
        return future::pending().await;
    }
    going.cancelled().await;
    info!("this slave is not connected, so it ends at once");
}

/// A line to the master.
enum Line {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("nobody can be dialled there")]
    Line(#[from] io::Error),
    #[error("nobody answers within {} s", DIAL.as_secs())]
    Slow,
    #[error("it is not known whom to believe")]
    Trust(#[from] TrustError),
    #[error("no TLS with the master")]
    Tls(#[from] Refused),
}

impl DialError {
    /// Whether somebody has to change something before it goes better.
    const fn is_lasting(&self) -> bool {
        matches!(self, Self::Trust(_) | Self::Tls(Refused::Tls(_)))
    }
}

async fn dial(settings: &SlaveSettings) -> Result<Line, DialError> {
    timeout(DIAL, dial_patiently(settings))
        .await
        .unwrap_or(Err(DialError::Slow))
}

async fn dial_patiently(settings: &SlaveSettings) -> Result<Line, DialError> {
    let stream = reach(settings).await?;
    let Some(tls) = &settings.tls else {
        return Ok(Line::Plain(stream));
    };
    // Read each time: an authority is replaced while the slave runs.
    let trust = Trust::new(tls.authority.as_deref(), &tls.name)?;
    Ok(Line::Tls(Box::new(trust.connect(stream).await?)))
}

async fn reach(settings: &SlaveSettings) -> io::Result<TcpStream> {
    let address = (settings.host.as_str(), settings.port);
    let stream = TcpStream::connect(address).await?;
    // Messages are collected already; waiting for more would only cost time.
    stream.set_nodelay(true)?;
    if let Some(after) = settings.keepalive {
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        rustix::net::sockopt::set_tcp_keepidle(&stream, after.max(Duration::from_secs(1)))?;
    }
    Ok(stream)
}

/// How long to wait before the next call: 1 s and each time e times as long,
/// up to a limit, each a little longer or shorter by chance.
#[derive(Debug)]
struct Backoff {
    delay: f64,
    most: f64,
}

impl Backoff {
    fn new(most: Duration) -> Self {
        Self {
            delay: 1.0,
            most: most.as_secs_f64(),
        }
    }

    fn reset(&mut self) {
        self.delay = 1.0;
    }

    fn slow_down(&mut self) {
        self.delay = self.most;
    }

    /// The next call comes no sooner, unless that is longer than anybody waits.
    fn wait(&mut self, least: Duration) {
        // More, so that a jitter to the short side does not make it too early.
        self.delay = (self.delay.max(1.5 * least.as_secs_f64())).min(self.most);
    }

    /// `chance` is drawn from a normal distribution around 0.
    fn next(&mut self, chance: f64) -> Duration {
        let jitter = (1.0 + 0.12 * chance).clamp(0.5, 1.5);
        let delay = (self.delay * jitter).min(self.most);
        self.delay = (self.delay * std::f64::consts::E).min(self.most);
        Duration::from_secs_f64(delay)
    }
}

/// A number around 0, nearly normally distributed: twelve dice thrown together.
fn chance() -> f64 {
    let mut dice = [127; 12];
    // Without random numbers every slave waits equally long, which works too.
    let _ = getrandom::fill(&mut dice);
    dice.iter().map(|it| f64::from(*it) / 255.0).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(300));
        let delays: Vec<_> = (0..7).map(|_| backoff.next(0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 7, 20, 54, 148, 300]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_secs_f64(1.12));
        backoff.slow_down();
        backoff.reset();
        backoff.wait(Duration::from_secs(20));
        assert_eq!(backoff.next(-1.0), Duration::from_secs_f64(30.0 * 0.88));
        backoff.wait(Duration::from_secs(1 << 40));
        assert_eq!(backoff.next(0.0).as_secs(), 300, "nobody waits for ever");
        assert_eq!(
            backoff.next(9.0).as_secs(),
            300,
            "chance does not break the limit"
        );
    }

    #[test]
    fn chance_is_small_and_around_nothing() {
        let throws: Vec<_> = (0..1000).map(|_| chance()).collect();
        let mean = throws.iter().sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.3, "{mean}");
        assert!(throws.iter().all(|it| it.abs() <= 6.0));
    }
}
