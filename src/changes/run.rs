//! From settings to a source that runs.

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
use super::bzr_poller::BzrSettings;
use super::feed::FeedPoller;
use super::followed::Followed;
use super::gerrit::Gerrit;
use super::git_refs::GitRefs;
use super::mails::maildir;
use super::mails::maildir::MaildirPoller;
use super::p4_poller::P4Poller;
use super::poll;
use super::svn_poller::SvnPoller;
use super::svn_poller::SvnSettings;
use super::yard::Yards;
use super::yard::dir_name;
use crate::clock;

/// What a poller does where nothing says how often it looks.
const USUAL_INTERVAL: Duration = Duration::from_mins(1);

/// The directory, in that of all sources, which the source called `name` works in: with
/// others, if they follow the same repository, and else alone.
pub(crate) fn dir_of(name: &str, settings: &Settings) -> String {
    match settings {
        Settings::Git(it) => Yards::dir_of("git", git(it), &it.url),
        Settings::Hg(it) => Yards::dir_of("hg", hg(it), &it.url),
        Settings::Svn(it) => Yards::dir_of("svn", &svn(it), &it.url),
        Settings::Bzr(it) => Yards::dir_of("bzr", bzr(it), &it.url),
        Settings::P4(_)
        | Settings::Feed(_)
        | Settings::Bonsai(_)
        | Settings::Mail(_)
        | Settings::Gerrit(_)
        | Settings::Hook(_)
        | Settings::Pb(_) => {
            // Named after the source and what it follows, so that neither another repository nor
            // another source finds this directory.
            let cloned = settings.describe();
            match name == cloned {
                true => dir_name(name),
                false => dir_name(&format!("{name}\n{cloned}")),
            }
        }
    }
}

fn git(it: &Followed) -> &str {
    it.program.as_deref().unwrap_or("git")
}

fn hg(it: &Followed) -> &str {
    it.program.as_deref().unwrap_or("hg")
}

fn bzr(it: &BzrSettings) -> &str {
    it.program.as_deref().unwrap_or("bzr")
}

/// The program as one user of the repository.
fn svn(it: &SvnSettings) -> String {
    let user = it.user.as_deref().unwrap_or_default();
    format!("{} {user}", it.program.as_deref().unwrap_or("svn"))
}

/// Runs the source called `name` until `stop`. What sources of the same repository share is in
/// `yards`.
pub(crate) async fn run(
    name: &str,
    settings: &Settings,
    yards: &Yards,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
    wake: Arc<Notify>,
) {
    let workdir = yards.dir().join(dir_of(name, settings));
    let interval = settings.poll_interval().unwrap_or(USUAL_INTERVAL);
    let source = |it: &Followed, branch| SourceSettings {
        name: name.to_owned(),
        url: it.url.clone(),
        branch,
        workdir: workdir.clone(),
        poll_interval: interval,
        poll_jitter: it.poll_jitter,
        program: it.program.clone(),
        use_timestamps: it.use_timestamps,
        project: it.project.clone(),
        category: it.category.clone(),
        revlink: it.revlink.clone(),
    };
    match settings {
        Settings::Git(it) => {
            let yard = yards.of("git", git(it), &it.url);
            match it.only_branch() {
                Some(branch) => {
                    let source = source(it, branch.map(str::to_owned));
                    poll::run(GitPoller::sharing(source, &yard), sink, stop, wake).await;
                }
                None => {
                    let poller = GitRefs::new(source(it, None), it.wanted(), &yard);
                    poll::run(poller, sink, stop, wake).await;
                }
            }
        }
        Settings::Hg(it) => {
            let yard = yards.of("hg", hg(it), &it.url);
            let branch = it.branches.as_ref().and_then(|it| it.only());
            let source = source(it, branch.map(str::to_owned));
            poll::run(HgPoller::sharing(source, &yard), sink, stop, wake).await;
        }
        Settings::Svn(it) => {
            let yard = yards.of("svn", &svn(it), &it.url);
            let poller = SvnPoller::sharing(name.to_owned(), it.clone(), interval, &yard);
            poll::run(poller, sink, stop, wake).await;
        }
        Settings::Bzr(it) => {
            let yard = yards.of("bzr", bzr(it), &it.url);
            let poller = BzrPoller::sharing(name.to_owned(), it.clone(), interval, &yard);
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
        Settings::Gerrit(it) => {
            let gerrit = Gerrit::new(name.to_owned(), it.clone(), yards.base());
            gerrit.run(sink, stop, wake).await;
        }
        // They wait for nothing: who comes is let in by the pages and the master.
        Settings::Hook(_) | Settings::Pb(_) => stop.cancelled().await,
    }
}
