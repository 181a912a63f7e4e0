//! A mirror brought up to date for one command: only if something is missing, by one command
//! after the other, and by none that waited while another brought what it wants.

use std::io;

use super::git;
use super::hg;
use super::say;
use super::shelf::Place;
use crate::model::Bytes;
use crate::model::Mirror;
use crate::model::MirrorKind;

/// What is wanted of a mirror.
pub(super) struct Wish<'a> {
    pub(super) url: &'a str,
    pub(super) mirror: &'a Mirror,
    /// Whether git is to report its progress.
    pub(super) talks: bool,
}

/// What there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    All,
    /// The repository has no such branch, as far as anybody can know.
    NoBranch,
}

/// What came of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    All,
    /// Nobody answers, which is not the mirror's fault.
    Nobody,
    /// The repository is there, and the mirror cannot take it in.
    Nothing,
}

impl Wish<'_> {
    /// Has what is wanted in the mirror, by way of the network only if it must.
    pub(super) fn make_ready(&self, place: &Place) -> Result<Found, String> {
        let before = place.state();
        if place.repository().is_dir() && self.looks_cut_off(place) {
            place.doubt();
        }
        if place.is_good() && self.has_revision(place) {
            place.used();
            return Ok(Found::All);
        }
        let lock = place
            .lock(|| say("another command is at it; waiting"))
            .map_err(disk)?
            .ok_or("another command is at it for too long")?;
        self.clear_up(place).map_err(disk)?;
        let state = place.state();
        let is_there = place.is_good();
        if is_there && state != before && self.has_revision(place) {
            place.used();
            return Ok(Found::All);
        }
        if state.failed > before.begun {
            return Err("nobody could bring it up to date just now".into());
        }
        // A fetch that began after this was asked for brought what was there then.
        let is_news = state.begun == state.done && state.done > before.begun;
        let mut has_name = is_there && self.is_current(place, is_news);
        if !has_name {
            self.fetch(place)?;
            has_name = self.has_name(place);
        }
        place.used();
        drop(lock);
        self.judge(place, has_name)
    }

    /// What the mirror has after it was brought up to date.
    fn judge(&self, place: &Place, has_name: bool) -> Result<Found, String> {
        let branch = self.mirror.branch.as_deref();
        let what = |noun, name: &str| Err(format!("it has no {noun} `{name}`"));
        match branch {
            _ if has_name => {}
            // Without a slash there is no other place in which it could be.
            Some(branch) if !branch.contains('/') => return Ok(Found::NoBranch),
            Some(branch) => return what("branch", branch),
            None => return what("branch", "HEAD"),
        }
        match (self.mirror.kind, &self.mirror.revision) {
            (MirrorKind::Git, Some(revision))
                if is_commit(revision) && !self.has_revision(place) =>
            {
                what("revision", revision)
            }
            // All that hg has came along, and its update says whether that was enough.
            _ => Ok(Found::All),
        }
    }

    /// Removes what somebody left who was killed, and what is broken. Whoever calls this has
    /// the lock, so nobody works there.
    fn clear_up(&self, place: &Place) -> io::Result<()> {
        place.remove_unfinished()?;
        let repository = place.repository();
        if self.mirror.kind == MirrorKind::Git && repository.is_dir() {
            git::remove_locks(&repository);
        }
        if place.is_doubted() {
            let is_whole = repository.is_dir() && {
                say("checked, as it was doubted");
                match self.mirror.kind {
                    MirrorKind::Git => git::is_whole(&repository),
                    MirrorKind::Hg => hg::is_whole(&repository),
                }
            };
            if !is_whole {
                place.remove_repository()?;
            }
            place.trust()?;
        }
        Ok(())
    }

    /// Has the mirror brought up to date, and keeps to the budget.
    fn fetch(&self, place: &Place) -> Result<(), String> {
        let budget = self.mirror.budget.unwrap_or(u64::MAX);
        let mut state = place.state();
        let too_much = |size| {
            let (size, budget) = (Bytes(size), Bytes(budget));
            Err(format!("it takes {size}, and `mirror_budget` is {budget}"))
        };
        if let Some(size) = state.too_large.filter(|it| *it > budget) {
            return too_much(size);
        }
        state.too_large = None;
        state.begun += 1;
        place.write_state(&state).map_err(disk)?;
        if let Err(why) = self.bring(place) {
            // Who waits for it need not try the same.
            state.failed = state.begun;
            place.write_state(&state).map_err(disk)?;
            return Err(why);
        }
        state.done = state.begun;
        state.size = place.measure();
        if state.size > budget {
            place.remove_repository().map_err(disk)?;
            let size = std::mem::take(&mut state.size);
            state.too_large = Some(size);
            place.write_state(&state).map_err(disk)?;
            return too_much(size);
        }
        place.write_state(&state).map_err(disk)?;
        place.make_room(budget);
        Ok(())
    }

    /// Brings what is there up to date, or makes it if it is not there or broken.
    fn bring(&self, place: &Place) -> Result<(), String> {
        if place.repository().is_dir() {
            match self.update(place) {
                Fetched::All => {}
                Fetched::Nobody => return Err("the repository cannot be reached".into()),
                Fetched::Nothing => {
                    say("is broken");
                    place.remove_repository().map_err(disk)?;
                }
            }
        }
        if !place.repository().is_dir() {
            self.build(place)?;
        }
        Ok(())
    }

    fn update(&self, place: &Place) -> Fetched {
        say("fetches");
        let repository = place.repository();
        let branch = self.mirror.branch.as_deref();
        match self.mirror.kind {
            MirrorKind::Git => {
                let fetched = git::update(&repository, self.url, branch, self.talks);
                if fetched == Fetched::All
                    && git::is_untidy(&repository)
                    && let Some(_alone) = place.alone()
                    && !git::tidy(&repository)
                {
                    place.doubt();
                }
                fetched
            }
            MirrorKind::Hg => hg::update(&repository, self.url),
        }
    }

    fn build(&self, place: &Place) -> Result<(), String> {
        place.spare_the_disk()?;
        say("is made");
        let unfinished = place.unfinished();
        let is_made = match self.mirror.kind {
            MirrorKind::Git => {
                let branch = self.mirror.branch.as_deref();
                git::build(&unfinished, self.url, branch, self.talks)
            }
            MirrorKind::Hg => hg::build(&unfinished, self.url),
        };
        if !is_made {
            place.remove_unfinished().map_err(disk)?;
            return Err("it cannot be made".into());
        }
        place.finish().map_err(disk)
    }

    /// Whether it is plain to see that something is missing.
    fn looks_cut_off(&self, place: &Place) -> bool {
        match self.mirror.kind {
            MirrorKind::Git => !git::has_whole_packs(&place.repository()),
            MirrorKind::Hg => false,
        }
    }

    /// Whether nothing has to be asked: the mirror has the revision, where the line looks for it.
    fn has_revision(&self, place: &Place) -> bool {
        let Some(revision) = self.mirror.revision.as_deref().filter(|it| is_commit(it)) else {
            return false;
        };
        let (repository, branch) = (place.repository(), self.mirror.branch.as_deref());
        match self.mirror.kind {
            MirrorKind::Git => git::has(&repository, revision, branch),
            MirrorKind::Hg => hg::has(&repository, revision),
        }
    }

    /// Whether what is there is all that the repository has. Which branch is its first has to be
    /// asked in any case, and then it says where that is.
    fn is_current(&self, place: &Place, is_news: bool) -> bool {
        match (self.mirror.kind, &self.mirror.branch) {
            (MirrorKind::Git, None) => git::turn_head(&place.repository(), self.url) == Some(true),
            _ => is_news && self.has_name(place),
        }
    }

    /// Whether the mirror has the branch, with what was just fetched.
    fn has_name(&self, place: &Place) -> bool {
        let (repository, branch) = (place.repository(), self.mirror.branch.as_deref());
        match (self.mirror.kind, branch) {
            (MirrorKind::Git, None) => git::turn_head(&repository, self.url).is_some(),
            (MirrorKind::Git, Some(branch)) => git::has_branch(&repository, branch),
            // All of them are cloned, and the update says whether there is such a one.
            (MirrorKind::Hg, _) => true,
        }
    }
}

/// Whether it is a commit's full name: what else names one may name another tomorrow.
fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|it| it.is_ascii_hexdigit())
}

fn disk(error: io::Error) -> String {
    format!("its files cannot be used: {error}")
}
