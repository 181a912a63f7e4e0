//! What only the machine can tell: that a port cannot be listened on.

use std::io;
use std::net::SocketAddr;

use super::Plan;
use crate::syntax::Problem;

/// Says that the port `name` of the plan cannot be had, and what to do about it.
pub(crate) fn cannot_listen(
    plan: &Plan,
    name: &str,
    address: SocketAddr,
    error: &io::Error,
) -> Problem {
    let problem = Problem::error(format!("`{name}`: cannot listen on `{address}`: {error}"));
    let problem = match plan.port_places.get(name) {
        Some(place) => problem.at(place),
        None => problem,
    };
    problem.help(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "stop what listens there (`ss -ltnp` shows it), or set another `{name}` in [:master:]"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 are root's; set another `{name}` in [:master:]")
        }
        _ => format!("set another `{name}` in [:master:]"),
    })
}
