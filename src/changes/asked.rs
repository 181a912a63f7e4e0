//! Sources with nothing to clone: they ask a program about the repository. What it has said to one
//! of them since the last look, the others of the yard go on from.

use std::future::Future;
use std::path::Path;

use tokio::time::Instant;

use super::Sink;
use super::mirror::PollError;
use super::poll;
use super::settings;
use super::yard::Seen;
use super::yard::Want;

/// A source that asks.
pub(super) trait Asks: Sync {
    fn want(&self) -> &Want;

    fn url(&self) -> &str;

    /// Has the program answer.
    fn ask(
        &self,
        dir: &Path,
        args: &[&str],
    ) -> impl Future<Output = Result<String, PollError>> + Send;

    /// Asks what every poll begins with.
    fn look(&self, dir: &Path, seen: &Seen) -> impl Future<Output = Result<(), PollError>> + Send;

    /// Delivers what is new by what was seen.
    fn follow(
        &self,
        dir: &Path,
        seen: &Seen,
        sink: &dyn Sink,
    ) -> impl Future<Output = Result<(), PollError>> + Send;
}

/// What the program said to the same question since the last look, or says now.
pub(super) async fn told<A: Asks>(
    source: &A,
    dir: &Path,
    seen: &Seen,
    args: &[&str],
) -> Result<String, PollError> {
    let asked = args.join("\n");
    if let Some(said) = seen.said(&asked) {
        return Ok(said);
    }
    let said = source.ask(dir, args).await?;
    seen.remember(&asked, &said);
    Ok(said)
}

/// Takes a turn in the yard: looks, unless somebody has since, and goes on from what is there.
pub(super) async fn in_turn<A: Asks>(
    source: &A,
    since: Instant,
    sink: &dyn Sink,
) -> (Result<(), PollError>, Instant) {
    if let Err(refused) = settings::refuse_option("repository", source.url()) {
        return (Err(refused), Instant::now());
    }
    let mut turn = source.want().yard().turn().await;
    let dir = turn.dir().to_owned();
    let look = async {
        std::fs::create_dir_all(&dir).map_err(|error| poll::io(&dir, error))?;
        let seen = Seen::default();
        source.look(&dir, &seen).await?;
        Ok(seen)
    };
    let answer = turn.look(source.want(), since, look).await;
    let polled = match answer.seen {
        Ok(seen) => source.follow(&dir, &seen, sink).await,
        Err(error) => Err(error),
    };
    (polled, turn.looked_at().unwrap_or_else(Instant::now))
}
