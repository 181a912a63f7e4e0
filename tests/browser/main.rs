//! The browser: every page in Chromium, and without a screen, a mouse or a script. What can be proved of a page
//! without opening it is proved beside the code.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "programs are started and waited for in real time"
)]

#[path = "../farm/farm.rs"]
#[expect(dead_code, reason = "the farm has more than visitors need")]
mod farm;

mod axe;
mod chromium;
mod console;
mod live;
mod logins;
mod pages;
mod plain;
mod sample;
mod tour;
mod validity;
