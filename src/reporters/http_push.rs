//! `http_push`: every event is posted to a web address, as JSON.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Event;
use super::ReporterKind;
use super::Selection;
use super::Settings;
use super::Verdict;
use super::What;
use super::is_same;
use super::values;
use super::values::Count;
use super::values::SizeLimit;
use super::values::WebAddress;

pub(super) const KIND: ReporterKind = ReporterKind {
    name: "http_push",
    aliases: &["HttpStatusPush", "StatusPush"],
    summary: "Posts every event to a web address, as JSON.",
    example: "server_url = https://hooks.example.org/ci
black_list = stepStarted stepFinished logStarted logFinished
buffer_delay = 5s",
    missing: Some("events are not pushed by this version"),
    read: |keys, selection| read(keys, selection).map(|it| Arc::new(it) as Arc<dyn Settings>),
};

/// The names of events in the packets.
const EVENTS: [&str; 22] = [
    "start",
    "shutdown",
    "builderAdded",
    "builderChangedState",
    "buildedRemoved",
    "slaveConnected",
    "slaveDisconnected",
    "changeAdded",
    "requestSubmitted",
    "requestCancelled",
    "buildsetSubmitted",
    "buildStarted",
    "buildFinished",
    "buildETAUpdate",
    "stepStarted",
    "stepFinished",
    "stepTextChanged",
    "stepText2Changed",
    "stepETAUpdate",
    "logStarted",
    "logFinished",
    "builderRemoved",
];

/// What a pusher is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpPush {
    selection: Selection,
    server_url: String,
    black_list: Vec<&'static str>,
    /// Empty values are left out.
    filter: bool,
    /// Indented JSON.
    debug: bool,
    buffer_delay: Duration,
    retry_delay: Duration,
    /// Most events of one request.
    chunk_size: u32,
    max_http_request_size: Option<u64>,
    max_memory_items: u32,
    /// 0 keeps none on the disk.
    max_disk_items: u32,
    path: Option<PathBuf>,
}

struct Events(Vec<&'static str>);

impl Value for Events {
    const EXPECTED: &'static str = "names of events such as `stepStarted`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all = values::words(node, &EVENTS.map(|it| (it, it)))?;
        // The packets have a misspelling that programs know; who spells it well means it too.
        for name in &mut all {
            if *name == "builderRemoved" {
                *name = "buildedRemoved";
            }
        }
        Ok(Self(all))
    }
}

fn read(keys: &mut Keys<'_>, selection: Selection) -> Option<HttpPush> {
    let server_url = keys.required::<WebAddress>("server_url");
    let black_list = keys.or("black_list", Events(Vec::new()));
    let filter = keys.or("filter", true);
    let debug = keys.or("debug", false);
    let buffer_delay = keys.or("buffer_delay", Duration::from_secs(1));
    let retry_delay = keys.or("retry_delay", Duration::from_secs(5));
    let chunk_size = keys.or("chunk_size", Count(200));
    let max_http_request_size = keys.or("max_http_request_size", SizeLimit(Some(1 << 20)));
    let max_memory_items = keys.or("max_memory_items", Count(10_000));
    let max_disk_items = keys.or("max_disk_items", 100_000_u32);
    let path = keys.optional::<PathBuf>("path");
    for key in ["server_push_cb", "queue"] {
        values::was_a_function(keys, key, "`server_url` says where events go");
    }
    if let (Some(0), Some(Some(_))) = (max_disk_items, &path) {
        let problem = Problem::error(
            Code::Contradiction,
            "`path` is where events wait, and `max_disk_items = 0` lets none wait there",
        );
        let problem = problem
            .at(&keys.place("path"))
            .label("either this")
            .also(&keys.place("max_disk_items"), "or this");
        keys.note(problem);
        return None;
    }
    Some(HttpPush {
        selection,
        server_url: server_url?.0,
        black_list: black_list?.0,
        filter: filter?,
        debug: debug?,
        buffer_delay: buffer_delay?,
        retry_delay: retry_delay?,
        chunk_size: chunk_size?.0,
        max_http_request_size: max_http_request_size?.0,
        max_memory_items: max_memory_items?.0,
        max_disk_items: max_disk_items?,
        path: path?,
    })
}

impl Settings for HttpPush {
    fn describe(&self) -> String {
        let but = match self.black_list.as_slice() {
            [] => String::new(),
            all => format!(" but {}", all.join(" ")),
        };
        format!(
            "push to {}: every event{but}, {}",
            without_password(&self.server_url),
            self.selection.describe()
        )
    }

    fn hears(&self, event: &Event) -> Verdict {
        if let Some(because) = self.selection.refuses(event) {
            return Verdict::no(because);
        }
        let name = match event.what {
            What::Started => "buildStarted",
            What::Finished(_) => "buildFinished",
        };
        if self.black_list.contains(&name) {
            return Verdict::no(format!("`black_list` has `{name}`"));
        }
        let because = format!("`black_list` does not have `{name}`");
        Verdict::yes(because, vec![without_password(&self.server_url)])
    }

    fn is_same(&self, other: &dyn Settings) -> bool {
        is_same(self, other)
    }
}

/// The address as people see it: without the user and the password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        for (url, shown) in [
            ("https://h.test/x?a=b@c", "https://h.test/x?a=b@c"),
            ("https://me:pw@h.test/x", "https://h.test/x"),
            ("https://me:p@w@h.test", "https://h.test"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
