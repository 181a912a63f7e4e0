//! Locks between the core, which decides, and the builds, which wait: a build
//! asks and hears when it is its turn; what it holds comes back by itself,
//! however the build ends.

use std::collections::HashMap;

use tokio::sync::mpsc;

use crate::locks::Claim;
use crate::locks::LockHeld;
use crate::master::core::{Core, Ticket};
use crate::model::LockUse;

/// Locks that a build holds. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Held {
    held: Option<LockHeld>,
    back: Returns,
}

/// The way back to the core. It has no limit, because who drops cannot wait.
pub(crate) type Returns = mpsc::UnboundedSender<LockHeld>;

impl Held {
    pub(crate) fn new(held: LockHeld, back: Returns) -> Self {
        let held = Some(held);
        Self { held, back }
    }

    pub(crate) fn uses(&self) -> &[LockUse] {
        self.held.as_ref().map_or(&[], LockHeld::uses)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // At the end of the master nobody takes it: the store says who holds what.
            drop(self.back.send(held));
        }
    }
}

/// What a build hears that has asked.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Not yet.
    Wait,
    Have(Held),
    /// It would wait for itself.
    Never(String),
}

/// The builds that stand in line. It lives beside the core.
#[derive(Debug)]
pub(crate) struct LockDesk {
    waiting: HashMap<Claim, mpsc::Sender<Turn>>,
    back: Returns,
}

impl LockDesk {
    pub(crate) fn new(back: Returns) -> Self {
        let waiting = HashMap::new();
        Self { waiting, back }
    }

    /// Puts a build in line.
    pub(crate) fn ask(
        &mut self,
        core: &mut Core,
        ticket: Ticket,
        uses: &[LockUse],
        tell: mpsc::Sender<Turn>,
    ) {
        match core.ask_locks(ticket, uses) {
            Ok(claim) => {
                self.waiting.insert(claim, tell.clone());
                self.serve(core);
                if self.waiting.contains_key(&claim) {
                    drop(tell.try_send(Turn::Wait));
                }
            }
            Err(why) => drop(tell.try_send(Turn::Never(why))),
        }
    }

    /// Gives locks to those whose turn it is.
    pub(crate) fn serve(&mut self, core: &mut Core) {
        self.waiting.retain(|claim, tell| {
            let is_there = !tell.is_closed();
            if !is_there {
                core.leave_line(*claim);
            }
            is_there
        });
        for held in core.granted_locks() {
            let tell = self.waiting.remove(&held.claim());
            let held = Held::new(held, self.back.clone());
            // There is room for both words; who has gone meanwhile drops them, and so gives
            // back what came too late.
            if let Some(tell) = tell {
                drop(tell.try_send(Turn::Have(held)));
            }
        }
    }
}

/// The channel on which a build hears its turn.
pub(crate) fn line() -> (mpsc::Sender<Turn>, mpsc::Receiver<Turn>) {
    mpsc::channel(2)
}
