//! What the names of an expression stand for while it is computed.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::Enumerator;
use minijinja::value::Object;
use minijinja::value::Serde;
use serde_json::Map;
use serde_json::Value as Json;

use crate::model::Properties;

/// Values by name. A name that is not here is `none`, and so is what is not
/// inside of a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Names);

impl Values {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With this value of a name of the context.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.0.set(name, open(&value.into()));
        self
    }

    /// With the properties, each as a name that is not taken, and all as `properties`.
    #[must_use]
    pub(crate) fn with_properties(mut self, properties: &Properties) -> Self {
        let mut all = Names::default();
        for (name, property) in properties.iter() {
            let value = open(&property.value);
            all.set(name, value.clone());
            self.0.0.entry(name.into()).or_insert(value);
        }
        self.0.set("properties", minijinja::Value::from_object(all));
        self
    }

    pub(super) fn root(&self) -> minijinja::Value {
        minijinja::Value::from_object(self.0.clone())
    }
}

impl From<&Map<String, Json>> for Values {
    fn from(all: &Map<String, Json>) -> Self {
        all.iter().fold(Self::new(), |values, (name, it)| {
            values.with(name, it.clone())
        })
    }
}

/// Names that are there even when they are not set.
#[derive(Clone, Debug, Default)]
struct Names(BTreeMap<Arc<str>, minijinja::Value>);

impl Names {
    fn set(&mut self, name: &str, value: minijinja::Value) {
        self.0.insert(name.into(), value);
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        let name = key.as_str()?;
        // Our own functions are no names of the context.
        if name.starts_with("__") {
            return None;
        }
        let value = self.0.get(name).cloned();
        Some(value.unwrap_or_else(|| minijinja::Value::from(())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.0.keys().map(|it| minijinja::Value::from(&**it));
        Enumerator::Values(names.collect())
    }
}

fn open(value: &Json) -> minijinja::Value {
    match value {
        Json::Array(all) => all.iter().map(open).collect(),
        Json::Object(all) => {
            let mut names = Names::default();
            for (name, value) in all {
                names.set(name, open(value));
            }
            minijinja::Value::from_object(names)
        }
        plain => minijinja::Value::from(Serde(plain)),
    }
}
