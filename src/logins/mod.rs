//! Names, passwords and tickets: whether somebody is who they say they are. Nothing here knows
//! the web, the store or what anybody may do; hashing takes time on purpose, so that who calls it
//! does so where nothing waits.
//!
//! [`struct@Hash`] reads and checks what a password was made into, [`htpasswd`] files of them,
//! [`Ticket`] is what a program or a browser shows instead of a password, [`Patience`] says who
//! has been wrong too often.

mod apr1;
mod des_crypt;
mod hash;
pub(crate) mod htpasswd;
mod patience;
mod pbkdf2;
mod ticket;

pub(crate) use hash::Hash;
pub(crate) use hash::is_password;
pub(crate) use hash::make;
pub(crate) use patience::Patience;
pub(crate) use patience::Rate;
pub(crate) use ticket::Digest;
pub(crate) use ticket::Ticket;
pub(crate) use ticket::bind;
pub(crate) use ticket::digest;
