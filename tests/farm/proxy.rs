//! What may lie between a slave and its master: it holds up what is said,
//! hangs up, and is slow, as it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Between two looks whether it was told something else.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct Proxy {
    pub(crate) port: u16,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    /// Nothing goes on, and no line is closed.
    is_stalled: AtomicBool,
    /// A few bytes at a time.
    is_slow: AtomicBool,
    /// Lines of an earlier age are hung up.
    age: AtomicU32,
    lines: AtomicU32,
    is_over: AtomicBool,
}

impl Proxy {
    /// Leads to a port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("bound").port();
        let orders = Arc::new(Orders::default());
        let seen = Arc::clone(&orders);
        thread::spawn(move || {
            for near in listener.incoming() {
                if seen.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let near = near.expect("a line");
                // The master may be down: then nobody answers.
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                seen.lines.fetch_add(1, Ordering::SeqCst);
                let age = seen.age.load(Ordering::SeqCst);
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    let seen = Arc::clone(&seen);
                    thread::spawn(move || {
                        carry(from.expect("a line"), to.expect("a line"), &seen, age);
                    });
                }
            }
        });
        Self { port: own, orders }
    }

    pub(crate) fn stall(&self, is_stalled: bool) {
        self.orders.is_stalled.store(is_stalled, Ordering::SeqCst);
    }

    pub(crate) fn slow(&self, is_slow: bool) {
        self.orders.is_slow.store(is_slow, Ordering::SeqCst);
    }

    /// Hangs every line up that there is.
    pub(crate) fn cut(&self) {
        self.orders.age.fetch_add(1, Ordering::SeqCst);
    }

    /// How many lines there were.
    pub(crate) fn lines(&self) -> u32 {
        self.orders.lines.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.orders.is_over.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes who waits for the next line.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, orders: &Orders, age: u32) {
    from.set_read_timeout(Some(LOOK)).expect("a time limit");
    let mut bytes = [0; 16 << 10];
    loop {
        if orders.age.load(Ordering::SeqCst) != age {
            break;
        }
        if orders.is_stalled.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
            continue;
        }
        let most = match orders.is_slow.load(Ordering::SeqCst) {
            true => {
                thread::sleep(LOOK);
                97
            }
            false => bytes.len(),
        };
        match from.read(&mut bytes[..most]) {
            Ok(size @ 1..) => {
                if to.write_all(&bytes[..size]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => break,
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
