//! The form that asks for a build: the questions of the builder's `force` scheduler, what was
//! answered, and what is wrong with that. It works without a script.

use serde::Serialize;

use crate::config::Plan;
use crate::master::forcing::FormErrors;
use crate::model::BuilderName;

/// What was posted, in order.
pub(super) type Fields = [(String, String)];

/// Pairs of other properties that are offered.
const PAIRS: u32 = 3;

#[derive(Serialize)]
pub(super) struct ForceForm {
    pub(super) username: String,
    pub(super) comments: String,
    pub(super) priority: String,
    /// Stands for a reason that nobody gives.
    pub(super) usual_reason: Option<String>,
    pub(super) fields: Vec<FieldView>,
    pub(super) parameters: Vec<FieldView>,
    /// Empty if only what there is a parameter for may be set.
    pub(super) pairs: Vec<PairView>,
    /// What is wrong and stands at no field.
    pub(super) errors: Vec<String>,
    pub(super) is_wrong: bool,
}

/// A question as it is drawn.
#[derive(Serialize)]
pub(super) struct FieldView {
    /// What it is posted as.
    name: String,
    /// The word for its type.
    kind: &'static str,
    label: String,
    help: Option<String>,
    placeholder: &'static str,
    value: String,
    options: Vec<OptionView>,
    multiple: bool,
    required: bool,
    min: Option<i64>,
    max: Option<i64>,
    error: Option<String>,
}

#[derive(Serialize)]
struct OptionView {
    value: String,
    chosen: bool,
}

/// A property that is named by the person.
#[derive(Serialize)]
pub(super) struct PairView {
    number: u32,
    name: String,
    value: String,
    error: Option<String>,
}

/// The labels of what every build is asked for, and what is built if nothing is said.
const USUAL: [(&str, &str, &str); 4] = [
    ("branch", "Branch", "the default branch"),
    ("revision", "Revision", "the latest"),
    ("repository", "Repository", "the builder's own"),
    ("project", "Project", ""),
];

impl ForceForm {
    /// The form of a builder. `posted` is what came back, if anything did.
    pub(super) fn new(
        plan: &Plan,
        builder: &BuilderName,
        posted: &Fields,
        wrong: Option<&FormErrors>,
    ) -> Self {
        let rules = plan.forcing(builder).and_then(|it| it.settings.as_force());
        let was_posted = wrong.is_some();
        let all_of = |name: &str| -> Vec<&str> {
            let own = posted.iter().filter(|(it, _)| it == name);
            own.map(|(_, value)| value.as_str()).collect()
        };
        let last = |name: &str| {
            all_of(name)
                .last()
                .map(|it| (*it).to_owned())
                .unwrap_or_default()
        };
        let mut shown: Vec<String> = Vec::new();
        let mut error_of = |field: &str| {
            shown.push(field.to_owned());
            wrong.and_then(|it| it.of(field)).map(str::to_owned)
        };
        let mut fields = Vec::new();
        for (name, label, placeholder) in USUAL {
            let question = rules.and_then(|it| it.field(name));
            let mut view = FieldView {
                name: name.to_owned(),
                kind: "string",
                label: label.to_owned(),
                help: None,
                placeholder,
                value: last(name),
                options: Vec::new(),
                multiple: false,
                required: false,
                min: None,
                max: None,
                error: error_of(name),
            };
            if let Some(question) = question {
                view.ask(
                    question.asked(),
                    was_posted.then(|| all_of(name)).as_deref(),
                );
            }
            fields.push(view);
        }
        let questions = rules.into_iter().flat_map(|it| &it.parameters);
        let parameters = questions.map(|(name, question)| {
            let field = format!("param.{name}");
            let mut view = FieldView {
                name: field.clone(),
                kind: "string",
                label: name.clone(),
                help: None,
                placeholder: "",
                value: String::new(),
                options: Vec::new(),
                multiple: false,
                required: false,
                min: None,
                max: None,
                error: error_of(&field),
            };
            view.ask(
                question.asked(),
                was_posted.then(|| all_of(&field)).as_deref(),
            );
            view
        });
        let parameters: Vec<_> = parameters.collect();
        let pair = |number| {
            let name = last(&format!("property{number}name"));
            PairView {
                number,
                value: last(&format!("property{number}value")),
                error: error_of(&format!("property.{name}")),
                name,
            }
        };
        let pairs: Vec<_> = match rules.is_none_or(|it| it.any_property) {
            true => (1..=PAIRS).map(pair).collect(),
            false => Vec::new(),
        };
        let elsewhere = wrong.into_iter().flat_map(|it| &it.0);
        let elsewhere = elsewhere.filter(|it| !shown.contains(&it.field));
        Self {
            username: last("username"),
            comments: last("comments"),
            priority: last("priority"),
            usual_reason: rules.and_then(|it| it.reason.clone()),
            fields,
            parameters,
            pairs,
            errors: elsewhere.map(ToString::to_string).collect(),
            is_wrong: was_posted,
        }
    }
}

impl FieldView {
    /// Draws it as a question has it. `posted` is what came back, if the form did.
    fn ask(&mut self, asked: crate::config::Asking<'_>, posted: Option<&[&str]>) {
        self.kind = asked.kind;
        if let Some(label) = asked.label {
            self.label = label.to_owned();
        }
        self.help = asked.help.map(str::to_owned);
        self.required = asked.required;
        (self.min, self.max, self.multiple) = (asked.min, asked.max, asked.multiple);
        let default: Vec<&str> = asked.default.iter().map(String::as_str).collect();
        let said = posted.unwrap_or(&default);
        self.value = said.last().map(|it| (*it).to_owned()).unwrap_or_default();
        let option = |it: &String| OptionView {
            value: it.clone(),
            chosen: said.contains(&it.as_str()),
        };
        self.options = asked.choices.iter().map(option).collect();
        if self.kind == "bool" {
            self.value = if is_yes(&self.value) { "yes" } else { "" }.to_owned();
        }
    }
}

fn is_yes(text: &str) -> bool {
    matches!(
        text.trim().to_lowercase().as_str(),
        "yes" | "true" | "on" | "1"
    )
}
