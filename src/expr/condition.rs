//! Conditions of steps: expressions over a build, where a name that nobody
//! knows is a property that is not set.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Context;
use super::ExprError;
use super::Expression;
use super::Values;
use super::names::STEP;
use crate::model::Properties;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// A condition over a build, compiled when it was loaded, such as
/// `branch != "docs-only"`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition(Expression);

/// Conditions that are remembered: the steps of a large farm say the same few.
const MOST: usize = 64;

thread_local! {
    static KNOWN: RefCell<HashMap<String, Expression>> = RefCell::default();
}

fn compiled(text: &str) -> Result<Expression, ExprError> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(it) = known.get(text) {
            return Ok(it.clone());
        }
        let it = Expression::compile(text, &STEP)?;
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(text.to_owned(), it.clone());
        Ok(it)
    })
}

impl Condition {
    /// Compiles a condition; the error says what is wrong and at which byte.
    pub(crate) fn parse(text: &str) -> Result<Self, ExprError> {
        compiled(text).map(Self)
    }

    /// Reads a condition over the names of `context`.
    pub(crate) fn read_in(node: &Node, context: &Context) -> Result<Self, Misread> {
        Expression::read_in(node, context).map(Self)
    }

    /// Whether it uses the bare name.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.uses(name)
    }

    /// Whether it holds where nothing but the properties is known.
    pub(crate) fn holds(&self, properties: &Properties) -> Result<bool, ExprError> {
        self.holds_over(&Values::new().with_properties(properties))
    }

    /// Whether it holds over the names of the step's context.
    pub(crate) fn holds_over(&self, values: &Values) -> Result<bool, ExprError> {
        self.0.holds(values)
    }
}

impl Value for Condition {
    const EXPECTED: &'static str = "a condition such as `branch != \"docs-only\"`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let read = compiled(text).map(Self);
        read.map_err(|error| error.in_node(node, text))
    }
}
