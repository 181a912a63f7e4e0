//! What this is and since when it runs.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::model::Timestamp;
use crate::store;

use super::app::Shared;
use super::failure::Failure;
use super::words::Moment;

#[derive(Serialize)]
struct AboutView {
    started: Moment,
    platform: String,
    license: &'static str,
    base_url: Option<String>,
    parts: Vec<Part>,
}

/// Something that autobot stands on.
#[derive(Serialize)]
struct Part {
    name: &'static str,
    version: String,
    used_for: &'static str,
}

/// The parts that people ask for, and what for.
const PARTS: [(&str, &str); 6] = [
    ("tokio", "everything that waits"),
    ("axum", "addresses and pages"),
    ("hyper", "connections"),
    ("rustls", "lines that nobody else can read"),
    ("minijinja", "templates and expressions"),
    ("vte", "colours in logs"),
];

/// The exact versions that this program was made of.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a part, as the lock file has it.
fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let own = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|it| *it != own);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    version.strip_suffix('"')
}

fn parts() -> Vec<Part> {
    let parts = PARTS.iter().map(|(name, used_for)| Part {
        name,
        version: version(LOCK, name).unwrap_or_default().to_owned(),
        used_for,
    });
    let database = Part {
        name: "SQLite",
        version: store::engine_version().to_owned(),
        used_for: "the store",
    };
    parts.chain([database]).collect()
}

fn view(started: Timestamp, base_url: Option<String>, now: Timestamp) -> AboutView {
    AboutView {
        started: Moment::new(started, now),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        license: env!("CARGO_PKG_LICENSE"),
        base_url,
        parts: parts(),
    }
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let base_url = app.desk.plan().master.base_url.clone();
    app.draw(
        "about.html",
        &uri,
        view(app.desk.started(), base_url, clock::now()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_the_version_that_this_program_was_made_of() {
        for it in parts() {
            let starts = it.version.starts_with(|it: char| it.is_ascii_digit());
            assert!(starts, "{}: {}", it.name, it.version);
        }
        assert_eq!(version(LOCK, "autobot"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(version("name = \"a\"\nversion = \"1\"\n", "b"), None);
    }
}
