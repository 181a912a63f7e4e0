//! Reads configurations for reloads, always on the same thread.
//!
//! An allocator keeps what a thread gave back for that thread. A large
//! configuration takes some tens of megabytes while it is read; if any thread of
//! a pool could read it, each would come to hold as much.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use crate::config;
use crate::config::Plan;
use crate::syntax::Problems;

type Read = Result<Plan, Problems>;

struct Order {
    dir: PathBuf,
    /// What is in force, of which much may stay.
    old: Arc<Plan>,
    answer: mpsc::SyncSender<Read>,
}

#[derive(Default)]
pub(super) struct Reader {
    /// The way to the thread, once it runs.
    orders: Option<mpsc::Sender<Order>>,
}

impl Reader {
    /// Reads the configuration in `dir`; none if that broke off.
    pub(super) async fn read(&mut self, dir: &Path, old: &Arc<Plan>) -> Option<Read> {
        let (answer, read) = mpsc::sync_channel(1);
        let (dir, old) = (dir.to_owned(), Arc::clone(old));
        let orders = self.orders.get_or_insert_with(start).clone();
        let wait = move || {
            orders.send(Order { dir, old, answer }).ok()?;
            read.recv().ok()
        };
        let read = tokio::task::spawn_blocking(wait).await.ok().flatten();
        if read.is_none() {
            // The thread is gone: the next one begins anew.
            self.orders = None;
        }
        read
    }
}

fn start() -> mpsc::Sender<Order> {
    let (orders, coming) = mpsc::channel::<Order>();
    let work = move || {
        for order in coming {
            // Nobody waits any more when the master stops.
            let _ = order
                .answer
                .send(config::load_again(&order.dir, &order.old.known));
        }
    };
    // Without a thread `coming` is dropped, and so is every order.
    let _ = thread::Builder::new()
        .name("configuration".to_owned())
        .spawn(work);
    orders
}
