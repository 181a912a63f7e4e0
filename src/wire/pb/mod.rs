//! The protocol of Buildbot's own slaves and clients: Twisted's Perspective Broker. Three layers:
//! [`banana`] makes elements of bytes, [`jelly`] makes values of elements, and [`said`] is what
//! values are said for. [`broker`] keeps the books of one line. Nothing here waits, reads or writes.

pub(crate) mod banana;
pub(crate) mod broker;
pub(crate) mod failure;
pub(crate) mod jelly;
pub(crate) mod password;
pub(crate) mod said;
mod words;

#[cfg(test)]
mod recorded_tests;
