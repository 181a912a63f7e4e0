//! The web: pages for people, documents for programs, a few actions.
//!
//! A page is one file: a handler gathers what it needs from the [`desk`], a
//! pure `view` function makes a struct of it, and the template of the same
//! name draws the struct. [`mod@app`] is the whole of it; [`Site`] lends it to what
//! the master listens on. Everything that comes from outside (names, branches, comments,
//! what a build printed) is taken for hostile: the templates escape, links
//! are quoted, and no page carries a script or a style of its own.
//!
//! To add a page: a file here, a template in `share/templates`, a row in
//! [`templates`] and a route in [`mod@app`].

mod access_log;
mod app;
mod auth;
mod calls;
mod choice;
mod client_address;
mod desk;
mod diary;
mod failure;
mod force_form;
mod frame;
mod knocks;
mod links;
mod methods;
mod notice;
mod paced;
mod pager;
mod paging;
mod past;
mod people;
mod ping;
mod plot;
mod queue_actions;
mod rows;
mod seats;
mod serve;
pub(crate) mod templates;
mod tries;
mod twice;
mod unchanged;
mod visits;
mod window;
mod words;

mod about;
mod artifacts;
mod badge;
mod build;
mod builder;
mod builder_list;
mod builder_slaves;
mod builders;
mod changes;
mod console;
mod feeds;
mod files;
mod grid;
mod home;
mod lines;
mod locks;
mod log;
mod log_bench;
mod slaves;
mod sources;
mod step;
mod test_list;
mod test_page;
mod users;
mod waterfall;
mod why;
mod why_waiting;

mod ansi;
mod log_file;
mod log_find;
mod log_index;
mod log_paint;
mod log_text;
mod log_view;
mod markdown;

mod actions;
mod api;
mod events;
mod failing;
mod health;
mod hooks;
mod journal;
mod json;
mod metrics;
mod openapi;

#[cfg(test)]
mod artifact_tests;
#[cfg(test)]
mod calls_tests;
#[cfg(test)]
mod events_tests;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod naming_tests;
#[cfg(test)]
mod overview_tests;
#[cfg(test)]
mod safety_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sample_desk;
#[cfg(test)]
mod test_pages_tests;
#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use log_bench::{index_log, paint_log};
pub(crate) use serve::Site;
