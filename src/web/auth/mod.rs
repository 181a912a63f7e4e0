//! Who comes, and what they may do: [`meet()`] finds out before anything is answered, handlers ask
//! [`App::permit`](super::app::App::permit) for each action, and every answer to that is in the
//! audit log before the action begins.
//!
//! A visitor is known by a session (a cookie), a name and a password (`Authorization: Basic`, or
//! the fields `username` and `passwd` of the form itself), or a token (`Authorization: Bearer`).
//! Who comes through the socket of the base directory is the owner, and is asked nothing.

mod accounts;
mod audit;
mod gate;
mod may;
mod meet;
mod pages;
mod permit;
mod return_path;
mod session;
mod target;
#[cfg(test)]
mod tests;
mod tokens;
mod visitor;

pub(super) use audit::document as audit_document;
pub(super) use audit::page as audit_page;
pub(super) use gate::Gate;
pub(super) use may::May;
pub(super) use meet::by_token;
pub(super) use meet::enter;
pub(super) use meet::meet;
pub(super) use pages::authfail;
pub(super) use pages::log_in;
pub(super) use pages::log_out;
pub(super) use pages::login_page;
pub(super) use pages::login_view;
pub(super) use pages::logout_page;
pub(super) use return_path::ReturnPath;
pub(super) use target::Target;
pub(super) use tokens::add as add_token;
pub(super) use tokens::list as list_tokens;
pub(super) use tokens::remove as remove_token;
pub(super) use visitor::Visitor;
pub(super) use visitor::about_page;
pub(super) use visitor::of_page;
