//! What a plan was read from, so that the next one is read only where the files
//! changed: the sections of long files, and the settings of their builders.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::builder::Filled;
use super::builder::Settings;
use super::factory::FactorySection;
use crate::syntax::Pieces;
use crate::syntax::Section;

/// What is known when it is read again.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(super) pieces: Pieces,
    pub(super) settings: HashMap<Key, Settings>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// What the settings of a builder are read from: the sources that hold its
/// sections. A section whose source is the same says the same. An address
/// stands for a source, because the plan that this belongs to holds on to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    factory: String,
    builder: Option<String>,
    /// Of a matrix.
    values: Vec<String>,
    sources: BTreeSet<usize>,
}

impl Key {
    pub(super) fn of(factory: &FactorySection, builder: Option<&Filled>) -> Self {
        let combination = builder.map(|it| &it.combination.0);
        let values = combination.into_iter().flatten();
        let mut sources = BTreeSet::new();
        add_sources(&factory.section, &mut sources);
        if let Some(builder) = builder {
            add_sources(&builder.section, &mut sources);
        }
        Self {
            factory: factory.section.name.clone(),
            builder: builder.map(|it| it.section.name.clone()),
            values: values.map(|(_, value, _)| value.clone()).collect(),
            sources,
        }
    }
}

fn add_sources(section: &Section, all: &mut BTreeSet<usize>) {
    let others = section.inherited.iter().flatten();
    let places = others
        .chain(section.defaults.iter())
        .map(|it| &it.key_place);
    for place in places.chain([&section.place]) {
        all.insert(Arc::as_ptr(&place.source).addr());
    }
}
