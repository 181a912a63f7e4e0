//! What the reader of a section has asked for: that is what is known of it, for
//! suggestions, references and schemas.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Shape;

/// A question: what the reader of a section knows about a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// As the program spells it; `NAME.` of a map is asked without the dot.
    pub(crate) name: String,
    /// Other names that it goes by.
    pub(crate) older: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// The questions in their order, a question that is asked again too. Hardly anybody looks at
/// them, and there are many: so they are not yet [`Asked`].
#[derive(Clone, Default)]
pub(crate) struct Questions {
    /// All names, one behind the other.
    names: String,
    all: Vec<Question>,
}

#[derive(Clone)]
struct Question {
    /// The bytes of its names, with [`BETWEEN`] between them.
    names: Range<usize>,
    shape: Shape,
    required: bool,
}

/// Stands in no name.
const BETWEEN: char = '\0';

impl Questions {
    pub(super) fn with_room() -> Self {
        Self {
            names: String::with_capacity(320),
            all: Vec::with_capacity(24),
        }
    }

    pub(super) fn add<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        shape: Shape,
        required: bool,
    ) {
        let start = self.names.len();
        for name in names {
            if self.names.len() > start {
                self.names.push(BETWEEN);
            }
            self.names.push_str(name);
        }
        self.all.push(Question {
            names: start..self.names.len(),
            shape,
            required,
        });
    }

    /// Adds those of another.
    pub(super) fn extend(&mut self, more: &Self) {
        let start = self.names.len();
        self.names.push_str(&more.names);
        self.all.extend(more.all.iter().map(|it| Question {
            names: start + it.names.start..start + it.names.end,
            ..it.clone()
        }));
    }

    /// Each question once.
    pub(crate) fn list(&self) -> Vec<Asked> {
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for it in &self.all {
            let mut names = self.names[it.names.clone()].split(BETWEEN);
            let name = names.next().unwrap_or_default();
            if seen.insert(name) {
                list.push(Asked {
                    name: name.to_owned(),
                    older: names.map(str::to_owned).collect(),
                    shape: it.shape,
                    required: it.required,
                });
            }
        }
        list
    }
}
