//! The farm: whole journeys with the real program, real slaves, real
//! repositories, in real time. What can be proved below is proved there.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "programs are started and waited for in real time"
)]

mod buildbot_clients;
mod buildbot_crowd;
mod buildbot_programs;
mod buildbot_slaves;
mod clean;
mod clean_up;
mod commands;
mod download;
mod durable;
mod ecosystems;
mod errands;
mod estimates;
mod facts;
mod farm;
mod forgotten;
mod full;
mod hello;
mod hooks;
mod journey;
mod launched;
mod limits;
mod locks;
mod logins;
mod mails;
mod mirrors;
mod missing;
mod pages;
mod pauses;
mod ports;
mod proxy;
mod queue;
mod recorded;
mod reload;
mod run;
mod secrets;
mod sendchange;
mod servers;
mod shutdown;
mod sources;
mod ssh;
mod stalls;
mod statuslog;
mod strangers;
mod terms;
mod tls;
mod tools;
mod torture;
mod trees;
mod tried;
mod tried_afar;
mod tries;
mod triggers;
mod upgrades;
mod upload;
