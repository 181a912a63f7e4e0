//! What `debugclient` does: it has a build made, a builder pinged, the configuration read again,
//! and, as its window says, a change made by hand.

use serde_json::Value as Json;
use serde_json::json;

use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::Answer;
use super::Client;
use super::Fields;
use super::Office;
use super::change;
use super::no_perspective;
use super::runtime;

/// A build that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) builder: String,
    pub(crate) reason: String,
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) properties: Vec<(String, Json)>,
}

/// How much of what is to be noted is noted.
const LONGEST_NOTE: usize = 1000;

impl<O: Office> Client<O> {
    pub(super) async fn of_debug(&mut self, method: &str, arguments: &Arguments) -> Answer {
        let text = |place: usize, name: &str| match arguments.get(place, name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match change::text(value) {
                Some(text) => Ok(Some(text)),
                None => Err(runtime(format!("`{name}` is {value}"))),
            },
        };
        match method {
            "print" => {
                let said = text(0, "msg")?.unwrap_or_default();
                let said: String = said.chars().take(LONGEST_NOTE).collect();
                self.office.note(&said);
            }
            "reload" => self.office.reload().await.map_err(runtime)?,
            // Nobody speaks on IRC yet; without a bot Buildbot did nothing either.
            "pokeIRC" => {}
            "pingBuilder" => {
                let builder = text(0, "buildername")?.unwrap_or_default();
                self.office.ping(&builder).map_err(runtime)?;
            }
            "requestBuild" => {
                let properties = match arguments.get(4, "properties") {
                    None | Some(Value::None) => Vec::new(),
                    Some(value) => change::dictionary(value)
                        .ok_or_else(|| runtime("the properties are no dictionary"))?,
                };
                let wanted = Wanted {
                    builder: text(0, "buildername")?.unwrap_or_default(),
                    reason: text(1, "reason")?.unwrap_or_default(),
                    branch: text(2, "branch")?,
                    revision: text(3, "revision")?,
                    properties,
                };
                self.office.force(wanted).await.map_err(runtime)?;
            }
            "fakeChange" => {
                let mut fields = Fields::new();
                if let Some(file) = text(0, "file")? {
                    fields.push(("files".to_owned(), json!([file]).to_string()));
                }
                for name in ["revision", "who", "branch"] {
                    // They are given by name.
                    if let Some(said) = text(usize::MAX, name)? {
                        fields.push((name.to_owned(), said));
                    }
                }
                self.office.add_change(fields).await.map_err(runtime)?;
            }
            _ => return Err(no_perspective(method)),
        }
        Ok(Value::None.into())
    }
}
