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

mod app;
mod auth;
mod choice;
mod desk;
mod failure;
mod force_form;
mod frame;
mod links;
mod past;
mod queue_actions;
mod rows;
mod serve;
mod templates;
mod tries;
mod words;

mod about;
mod badge;
mod build;
mod builder;
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
mod log_text;

mod actions;
mod api;
mod events;
mod failing;
mod hooks;
mod json;

#[cfg(test)]
mod overview_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod test_pages_tests;
#[cfg(test)]
mod tests;

pub(crate) use serve::Site;
