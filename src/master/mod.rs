//! The master: it joins the rooms. Facts reach the core as events; it
//! decides ([`core`]), tasks carry out ([`build`], [`command`]), and every
//! decision is in the store before its effect leaves the process.
//! [`assemble`] puts it together.

mod assemble;
mod begin;
mod build;
mod command;
mod core;
mod course;
mod crew;
mod dispatch;
pub(crate) mod handle;
mod launch;
mod output;
mod pages;
mod ports;
mod properties;
mod reload;

mod slaves;
mod walk;

pub(crate) use assemble::run;
pub(crate) use handle::MasterHandle;
pub(crate) use pages::{Access, Door, Pages};
