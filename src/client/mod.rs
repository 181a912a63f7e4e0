//! How the command line talks to a running master: HTTP over its unix socket
//! or over TCP, with TLS if wanted. The client knows addresses, requests and the documents that
//! the master answers with; it prints nothing.

mod address;
mod http;
mod proof;
mod stream;
mod views;

pub(crate) use address::Address;
pub(crate) use address::encode;
pub(crate) use http::Client;
pub(crate) use http::ClientError;
pub(crate) use proof::Proof;
pub(crate) use stream::Stream;
pub(crate) use stream::Told;
pub(crate) use views::BuildView;
pub(crate) use views::Forced;
pub(crate) use views::MasterView;
pub(crate) use views::Paused;
pub(crate) use views::PingView;
pub(crate) use views::PruneView;
pub(crate) use views::PrunedBuilder;
pub(crate) use views::RequestState;
pub(crate) use views::RequestView;
pub(crate) use views::Shutdown;
pub(crate) use views::ShutdownCancelled;
pub(crate) use views::ShutsDown;
pub(crate) use views::StepView;
pub(crate) use views::UserView;
pub(crate) use views::UsersView;
