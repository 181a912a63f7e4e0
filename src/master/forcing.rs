//! What a person asks to be built, as it was typed, becomes what is built: the answers of the
//! form get their types, and what is not let in is told field by field. Nothing is done by halves.

use std::fmt;

use tracing::info;

use crate::config::{Plan, ValidationPlan};
use crate::master::again::Rebuild;
use crate::master::handle::{Denied, Force};
use crate::model::{BuilderName, Properties};
use crate::schedulers::{self, FIELDS};
use crate::syntax::WholePattern;

pub(crate) use crate::schedulers::{FORM_SOURCE, WrongAnswer};

/// All that is wrong with a form, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormErrors(pub(crate) Vec<WrongAnswer>);

impl FormErrors {
    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        let found = self.0.iter().find(|it| it.field == field);
        found.map(|it| it.why.as_str())
    }
}

impl fmt::Display for FormErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl std::error::Error for FormErrors {}

/// Checks everything that was typed, and puts in its place what it means.
pub(crate) fn check(force: &mut Force, plan: &Plan) -> Result<(), Denied> {
    let usual = schedulers::Force::usual();
    let scheduler = plan.forcing(&force.builder);
    let rules = scheduler.and_then(|it| it.settings.as_force());
    let rules = rules.unwrap_or(&usual);
    // Of the plan in force now: what a reload has tightened is refused from then on.
    let patterns = &plan.master.validation;
    let (properties, mut wrong) = rules.answer(&force.parameters, &force.properties);
    for name in FIELDS {
        let place = field_of(force, name);
        match rules.answer_field(name, Some(place.as_str())) {
            Ok(answer) => *place = answer.unwrap_or_default(),
            Err(it) => wrong.push(it),
        }
        let is_closed = rules.field(name).is_some_and(|it| it.is_closed());
        if !is_closed && let Some((key, pattern)) = pattern_of(name, patterns) {
            wrong.extend(refused(name, key, place, pattern));
        }
    }
    for (name, property) in properties.iter() {
        let parameter = rules.parameter(name);
        let field = match parameter {
            Some(_) => format!("param.{name}"),
            None => format!("property.{name}"),
        };
        if parameter.is_none() {
            wrong.extend(refused_name(&field, name, patterns));
        }
        if !parameter.is_some_and(|it| it.is_closed()) {
            wrong.extend(refused_value(&field, property.value.as_str(), patterns));
        }
    }
    force.properties = properties;
    own(&mut force.properties, force.owner.as_deref());
    told(&force.builder, wrong)
}

/// Checks the properties that were typed for a build that is built once more, and says what they
/// become.
pub(crate) fn check_typed(rebuild: &Rebuild, plan: &Plan) -> Result<Properties, Denied> {
    let patterns = &plan.master.validation;
    let mut wrong = Vec::new();
    for (name, property) in rebuild.properties.iter() {
        let field = format!("property.{name}");
        wrong.extend(refused_name(&field, name, patterns));
        wrong.extend(refused_value(&field, property.value.as_str(), patterns));
    }
    told(&rebuild.build.builder, wrong)?;
    let mut typed = rebuild.properties.clone();
    own(&mut typed, rebuild.owner.as_deref());
    Ok(typed)
}

/// Says whose the build is: a name of an account may have signs that nothing typed may.
fn own(properties: &mut Properties, owner: Option<&str>) {
    if let Some(owner) = owner {
        properties.set("owner", owner, FORM_SOURCE);
    }
}

/// Tells what is wrong, if anything is.
fn told(builder: &BuilderName, wrong: Vec<WrongAnswer>) -> Result<(), Denied> {
    if wrong.is_empty() {
        return Ok(());
    }
    for it in &wrong {
        info!(%builder, field = %it.field.escape_debug(), "refused a forced build");
    }
    Err(Denied::BadForm(FormErrors(wrong)))
}

/// One of [`FIELDS`]; what is not set is empty.
fn field_of<'a>(force: &'a mut Force, name: &str) -> &'a mut String {
    match name {
        "branch" => force.branch.get_or_insert_default(),
        "revision" => force.revision.get_or_insert_default(),
        "repository" => &mut force.repository,
        _ => &mut force.project,
    }
}

fn pattern_of<'a>(
    name: &str,
    patterns: &'a ValidationPlan,
) -> Option<(&'static str, &'a WholePattern)> {
    match name {
        "branch" => Some(("branch", &patterns.branch)),
        "revision" => Some(("revision", &patterns.revision)),
        _ => None,
    }
}

fn refused_name(field: &str, name: &str, patterns: &ValidationPlan) -> Option<WrongAnswer> {
    refused(field, "property_name", name, &patterns.property_name)
}

fn refused_value(
    field: &str,
    value: Option<&str>,
    patterns: &ValidationPlan,
) -> Option<WrongAnswer> {
    refused(field, "property_value", value?, &patterns.property_value)
}

/// Says that a text from outside does not fit its pattern.
fn refused(field: &str, key: &str, text: &str, pattern: &WholePattern) -> Option<WrongAnswer> {
    if pattern.lets_in(text) {
        return None;
    }
    let (text, pattern) = (text.escape_debug(), pattern.as_str());
    Some(WrongAnswer {
        field: field.to_owned(),
        why: format!(
            "`{text}` is not let in: it does not fit `{pattern}` from start to end, \
             which is `{key}` in [:validation:]"
        ),
    })
}

#[cfg(test)]
#[path = "forcing_tests.rs"]
mod tests;
