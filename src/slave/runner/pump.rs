//! Waiting until something happens to a command, and carrying what was said to the log.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use super::Runner;
use super::now;
use crate::model::Channel;
use crate::model::ExitCause;
use crate::slave::header;
use crate::slave::order::Control;
use crate::slave::running::Running;

/// What something has happened to.
enum Who {
    Control,
    Child,
    Stdin,
    Output(usize),
}

impl Runner<'_> {
    /// Waits for something to happen and carries what was said to the spool.
    pub(super) fn pump(&mut self, child: &mut Running, wait: Option<Duration>) {
        let is_held_back = self.is_held_back();
        let ready = {
            let mut fds = Vec::with_capacity(5);
            let mut whose = Vec::with_capacity(5);
            let mut watch = |who: Who, fd, flags| {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                whose.push(who);
            };
            watch(Who::Control, self.control.as_fd(), PollFlags::IN);
            if let (Some(pidfd), None) = (&child.pidfd, child.status) {
                watch(Who::Child, pidfd.as_fd(), PollFlags::IN);
            }
            if let Some((stdin, _)) = &child.stdin {
                watch(Who::Stdin, stdin.as_fd(), PollFlags::OUT);
            }
            for (place, output) in child.outputs.iter().enumerate() {
                if let (Some(output), false) = (output, is_held_back) {
                    watch(Who::Output(place), output.as_fd(), PollFlags::IN);
                }
            }
            let limit = wait.and_then(|it| {
                // Rounded up: a wait that ends too early is a loop that spins.
                Timespec::try_from(it + Duration::from_micros(1)).ok()
            });
            // A signal ends the wait early, which is harmless.
            let _ = poll(&mut fds, limit.as_ref());
            let heard = fds.iter().map(|fd| !fd.revents().is_empty());
            whose
                .into_iter()
                .zip(heard)
                .filter_map(|(who, is_ready)| is_ready.then_some(who))
                .collect::<Vec<_>>()
        };
        for who in ready {
            match who {
                // Reaped at the start of the next round.
                Who::Child => {}
                Who::Control => self.hear_control(child),
                Who::Stdin => child.feed(&self.input),
                Who::Output(place) => self.read_output(child, place),
            }
        }
        self.log.write();
        for follower in &mut self.followers {
            follower.log.write();
        }
    }

    fn read_output(&mut self, child: &mut Running, place: usize) {
        let Some(output) = &child.outputs[place] else {
            return;
        };
        let (channel, is_wanted) = match place {
            0 => (Channel::Stdout, self.shell.want_stdout),
            _ => (Channel::Stderr, self.shell.want_stderr),
        };
        let read = if self.masks.is_empty() {
            self.log.read_from(output, channel, is_wanted)
        } else {
            let stream = &mut self.streams[place];
            self.log.read_masked(output, channel, is_wanted, |piece| {
                stream.push(piece, &self.masks)
            })
        };
        match read {
            Ok(0) => child.outputs[place] = None,
            Ok(_) => child.last_heard = now(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => child.outputs[place] = None,
        }
    }

    /// Says what was held back because it might have become a secret: it did not.
    pub(super) fn let_go(&mut self) {
        let channels = [Channel::Stdout, Channel::Stderr];
        for (stream, channel) in self.streams.iter_mut().zip(channels) {
            self.log.push(channel, &stream.finish(&self.masks));
        }
    }

    fn hear_control(&mut self, child: &mut Running) {
        let mut buffer = [0; 64 * Control::SIZE];
        let Ok(read) = rustix::io::read(&self.control, &mut buffer[..]) else {
            return;
        };
        self.heard.extend_from_slice(&buffer[..read]);
        let whole = self.heard.len() / Control::SIZE * Control::SIZE;
        let messages: Vec<u8> = self.heard.drain(..whole).collect();
        for message in messages.as_chunks().0 {
            match Control::from_bytes(*message) {
                Some(Control::Acknowledged { log: 0, offset }) => {
                    self.acknowledged = self.acknowledged.max(offset);
                }
                Some(Control::Acknowledged { log, offset }) => {
                    if let Some(it) = self.followers.get_mut(usize::from(log) - 1) {
                        it.acknowledged = it.acknowledged.max(offset);
                    }
                }
                Some(Control::Interrupt) if child.status.is_none() => {
                    let text = header::INTERRUPTED.to_owned();
                    self.end(child, ExitCause::Interrupted, text);
                }
                Some(Control::Interrupt) | None => {}
            }
        }
    }
}
