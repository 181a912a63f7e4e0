//! From settings to a source that runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::GitPoller;
use super::HgPoller;
use super::Settings;
use super::Sink;
use super::SourceSettings;
use super::bonsai_poller::BonsaiPoller;
use super::bzr_poller::BzrPoller;
use super::feed::FeedPoller;
use super::git_branches::GitBranches;
use super::kinds::Followed;
use super::mails::maildir;
use super::mails::maildir::MaildirPoller;
use super::p4_poller::P4Poller;
use super::poll;
use super::svn_poller::SvnPoller;
use crate::clock;

/// What a poller does where nothing says how often it looks.
const USUAL_INTERVAL: Duration = Duration::from_mins(1);

/// Runs the source called `name` until `stop`. `workdir` is its own: no other
/// source may have the same, nor this one when it follows something else.
pub(crate) async fn run(
    name: &str,
    settings: &Settings,
    workdir: PathBuf,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
    wake: Arc<Notify>,
) {
    let interval = settings.poll_interval().unwrap_or(USUAL_INTERVAL);
    let source = |it: &Followed, branch| SourceSettings {
        name: name.to_owned(),
        url: it.url.clone(),
        branch,
        workdir: workdir.clone(),
        poll_interval: interval,
        program: it.program.clone(),
        use_timestamps: it.use_timestamps,
        project: it.project.clone(),
        category: it.category.clone(),
        revlink: it.revlink.clone(),
    };
    match settings {
        Settings::Git(it) => match &it.branches {
            None => poll::run(GitPoller::new(source(it, None)), sink, stop, wake).await,
            Some(patterns) => match patterns.only() {
                Some(only) => {
                    let source = source(it, Some(only.to_owned()));
                    poll::run(GitPoller::new(source), sink, stop, wake).await;
                }
                None => {
                    let poller = GitBranches::new(source(it, None), patterns.clone());
                    poll::run(poller, sink, stop, wake).await;
                }
            },
        },
        Settings::Hg(it) => {
            let branch = it.branches.as_ref().and_then(|it| it.only());
            let source = source(it, branch.map(str::to_owned));
            poll::run(HgPoller::new(source), sink, stop, wake).await;
        }
        Settings::Svn(it) => {
            let poller = SvnPoller::new(name.to_owned(), it.clone(), interval, workdir);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::Bzr(it) => {
            let poller = BzrPoller::new(name.to_owned(), it.clone(), interval, workdir);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::P4(it) => {
            let zone = clock::zone();
            let poller = P4Poller::new(name.to_owned(), it.clone(), interval, workdir, zone);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::Feed(it) => {
            let poller = FeedPoller::new(name.to_owned(), it.clone(), interval);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::Bonsai(it) => {
            let (name, it) = (name.to_owned(), it.clone());
            let poller = BonsaiPoller::new(name, it, interval, clock::now);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::Mail(it) => {
            let (name, it) = (name.to_owned(), it.clone());
            let poller = MaildirPoller::new(name, it, clock::now, wake);
            maildir::run(poller, sink, stop).await;
        }
        // It waits for nothing: who knocks is let in by the pages.
        Settings::Hook(_) => stop.cancelled().await,
    }
}
