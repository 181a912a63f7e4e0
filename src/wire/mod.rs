//! What master and slave say to each other, and how it is put into bytes.
//! The wire does not know what a build is for.
//!
//! [`native::FrameReader`] and [`native::FrameWriter`] carry [`FromSlave`] and
//! [`FromMaster`] over any stream; [`login`] is what both sides do first.

mod bench;
mod checksum;
mod command;
mod dirs;
pub(crate) mod login;
mod message;
pub(crate) mod msgpack;
pub(crate) mod native;
pub(crate) mod pack;
pub(crate) mod pb;

pub use bench::WireBench;
pub(crate) use checksum::Checksum;
pub(crate) use dirs::is_builder_dir;
pub(crate) use message::{
    CommandState, FromMaster, FromSlave, SlaveFacts, WireCommand, WireFile, WireLine, WireMask,
    WireShell, WireWrite,
};

/// The feature of a slave that masks secrets in what its commands say.
pub(crate) const MASKS: &str = "masks";

/// The feature of a slave that runs commands on terms and follows log files.
pub(crate) const TERMS: &str = "terms";

/// The feature of a slave that sends files and says what it finds out about them.
pub(crate) const FILES: &str = "files";

/// It hears of disks that are full: a slave tells its master only if that says so.
pub(crate) const TROUBLES: &str = "troubles";

/// The feature of a slave that answers when it is asked what its programs say of themselves.
pub(crate) const ASKS: &str = "asks";

/// The feature of a slave that wants to know which directories its builders have.
pub(crate) const LISTS: &str = "lists";

/// What this program can do as a slave.
pub(crate) const FEATURES: &[&str] = &[MASKS, TERMS, FILES, TROUBLES, ASKS, LISTS];

/// The hidden verb by which a master starts a slave whose line is its pipes;
/// the base directory and the name follow.
pub(crate) const STDIO_VERB: &str = "__slave";

/// The hidden verb that stays as a slave and waits for its master at a socket; the base
/// directory and the name follow, as behind the next two.
pub(crate) const HOST_VERB: &str = "__host";

/// The hidden verb whose standard input and output lead to such a slave.
pub(crate) const ATTACH_VERB: &str = "__attach";

/// The hidden verb that ends such a slave.
pub(crate) const DISMISS_VERB: &str = "__dismiss";

/// Where a slave of [`STDIO_VERB`] finds its password, which is good for this one line.
pub(crate) const PASSWORD_VARIABLE: &str = "AUTOBOT_SLAVE_PASSWORD";
