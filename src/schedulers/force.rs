//! `force`: what is asked and added when a person asks for a build. The pages
//! and the command line ask; by itself it does nothing.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::Properties;
use crate::model::SchedulerName;
use crate::syntax::Keys;

use super::Now;
use super::Question;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::Wish;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "force",
    aliases: &["force_scheduler"],
    summary: "Asks a person who wants a build for parameters, and adds properties and a reason.",
    example: "reason = by hand\nproperty.channel = manual\nparameter.sanitize = bool",
    read: |keys| Some(Arc::new(Force::read(keys)?)),
};

/// What every build is asked for that a person wants.
pub(crate) const FIELDS: [&str; 4] = ["branch", "revision", "repository", "project"];

/// The source of properties that a person has typed.
pub(crate) const SOURCE: &str = "Force Build Form";

/// What it says of builds that a person asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Force {
    /// Stands for the reason of a person who gave none.
    pub(crate) reason: Option<String>,
    /// Those of [`FIELDS`] that are asked for in another way than usual.
    pub(crate) fields: Vec<(&'static str, Question)>,
    /// In the order in which they are asked for.
    pub(crate) parameters: Vec<(String, Question)>,
    /// Whether a person may set other properties, too.
    pub(crate) any_property: bool,
}

/// Something that was answered wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongAnswer {
    /// `branch`, or `param.NAME`, or `property.NAME`.
    pub(crate) field: String,
    /// What is wrong with it, for the person who answered.
    pub(crate) why: String,
}

impl fmt::Display for WrongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.split_once('.') {
            Some(("param", name)) => write!(f, "parameter `{name}`: {}", self.why),
            Some(("property", name)) => write!(f, "property `{name}`: {}", self.why),
            _ => write!(f, "{}: {}", self.field, self.why),
        }
    }
}

impl Force {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let reason = keys.optional("reason");
        let mut fields = Some(Vec::new());
        for field in FIELDS {
            match (Question::read_one(keys, field), &mut fields) {
                (Some(Some(question)), Some(fields)) => fields.push((field, question)),
                (Some(_), _) => {}
                (None, _) => fields = None,
            }
        }
        let parameters = Question::read_all(keys, "parameter");
        let any_property = keys.or("any_property", true);
        Some(Self {
            reason: reason?,
            fields: fields?,
            parameters: parameters?,
            any_property: any_property?,
        })
    }

    /// How one of [`FIELDS`] is asked for, if not as usual.
    pub(crate) fn field(&self, name: &str) -> Option<&Question> {
        let found = self.fields.iter().find(|(it, _)| *it == name);
        found.map(|(_, question)| question)
    }

    /// The parameter of this name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Question> {
        let found = self.parameters.iter().find(|(it, _)| it == name);
        found.map(|(_, question)| question)
    }

    /// What a person's answers make of one of [`FIELDS`].
    pub(crate) fn answer_field(
        &self,
        name: &str,
        said: Option<&str>,
    ) -> Result<Option<String>, WrongAnswer> {
        let said = said.filter(|it| !it.is_empty());
        let Some(question) = self.field(name) else {
            return Ok(said.map(str::to_owned));
        };
        let said: Vec<&str> = said.into_iter().collect();
        let answer = question.answer(&said).map_err(|why| WrongAnswer {
            field: name.to_owned(),
            why,
        })?;
        let answer = answer.as_ref().and_then(Value::as_str);
        Ok(answer.filter(|it| !it.is_empty()).map(str::to_owned))
    }

    /// What a person's answers to the parameters, and other properties that the person wants to
    /// set, become; and all that is wrong with them.
    pub(crate) fn answer(
        &self,
        said: &[(String, String)],
        others: &Properties,
    ) -> (Properties, Vec<WrongAnswer>) {
        let mut properties = Properties::new();
        let mut wrong = Vec::new();
        let said_of = |name: &str| -> Vec<&str> {
            let own = said.iter().filter(|(it, _)| it == name);
            own.map(|(_, value)| value.as_str()).collect()
        };
        for (name, question) in &self.parameters {
            let mut own = said_of(name);
            // Who sets it as a property answers the question: there is no way around its rules.
            let other = others.get(name).map(|it| match it {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            if own.is_empty() {
                own.extend(other.as_deref());
            }
            match question.answer(&own) {
                Ok(Some(value)) => properties.set(name, value, SOURCE),
                Ok(None) => {}
                Err(why) => wrong.push(WrongAnswer {
                    field: format!("param.{name}"),
                    why,
                }),
            }
        }
        for (name, property) in others.iter() {
            if self.parameter(name).is_some() {
                continue;
            }
            if self.any_property {
                properties.set(name, property.value.clone(), SOURCE);
            } else {
                wrong.push(WrongAnswer {
                    field: format!("property.{name}"),
                    why: "only what there is a parameter for may be set".into(),
                });
            }
        }
        let mut strange: Vec<&String> = said.iter().map(|(name, _)| name).collect();
        strange.retain(|it| self.parameter(it).is_none());
        strange.dedup();
        wrong.extend(strange.into_iter().map(|name| WrongAnswer {
            field: format!("param.{name}"),
            why: self.no_such(name),
        }));
        (properties, wrong)
    }

    fn no_such(&self, name: &str) -> String {
        let known = self.parameters.iter().map(|(it, _)| it.as_str());
        match crate::syntax::nearest(name, known.clone()) {
            Some(near) => format!("there is none of this name; did you mean `{near}`?"),
            None if self.parameters.is_empty() => "this builder has no parameters".into(),
            None => {
                let known: Vec<_> = known.map(|it| format!("`{it}`")).collect();
                format!("there is none of this name; there are {}", known.join(", "))
            }
        }
    }

    /// What a builder is asked with that no scheduler of this type has.
    pub(crate) fn usual() -> Self {
        Self {
            reason: None,
            fields: Vec::new(),
            parameters: Vec::new(),
            any_property: true,
        }
    }
}

impl Settings for Force {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Asked)
    }

    fn describe(&self) -> String {
        "builds when a person asks for it".into()
    }

    fn as_force(&self) -> Option<&Force> {
        Some(self)
    }
}

/// Does nothing by itself.
pub(super) struct Asked;

impl Scheduler for Asked {
    fn due(&self, _now: Now) -> Option<Instant> {
        None
    }

    fn on_due(&mut self, _now: Now) -> Option<Wish> {
        None
    }

    fn state(&self) -> Value {
        json!({})
    }

    fn restore(&mut self, _state: &Value, _now: Now) {}
}
