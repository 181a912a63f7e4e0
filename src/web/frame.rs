//! What stands around every page.

use serde::Serialize;

use crate::clock;
use crate::config::MasterPlan;
use crate::model::Timestamp;

use super::links;
use crate::master::Access;

/// What stands around every page.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Frame {
    /// The way to the root of the site, ending in `/`.
    pub(super) root: String,
    pub(super) site: String,
    pub(super) site_url: Option<String>,
    pub(super) version: &'static str,
    /// Whether builds may be started and stopped here.
    pub(super) can_act: bool,
    pub(super) drawn: String,
}

impl Frame {
    pub(super) fn new(path: &str, master: &MasterPlan, access: Access, now: Timestamp) -> Self {
        Self {
            root: links::root(path),
            site: master.title.clone(),
            site_url: master.title_url.as_deref().and_then(links::outside),
            version: env!("CARGO_PKG_VERSION"),
            can_act: access == Access::Full,
            drawn: clock::iso(now),
        }
    }
}
