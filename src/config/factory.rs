//! Factory sections: whose parameters the builders of that factory have.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

use super::Catalogue;
use super::builder;
use super::builder::Settings;
use super::sections::Kind;
use crate::model::FactoryName;
use crate::syntax::Code;
use crate::syntax::Place;
use crate::syntax::Problems;
use crate::syntax::Section;

/// `[NAME]` or `[factory:NAME]`, or a factory that is named without having a section.
pub(super) struct FactorySection {
    pub(super) name: FactoryName,
    pub(super) place: Place,
    pub(super) section: Section,
    /// Whether the file has it.
    pub(super) is_written: bool,
    /// What it says to builders that say nothing more.
    plain: OnceLock<Option<Settings>>,
}

/// The factory sections, which builders name.
pub(super) struct Factories {
    all: Vec<FactorySection>,
    by_name: HashMap<String, usize>,
}

impl Factories {
    pub(super) fn of(sections: impl Iterator<Item = Section>) -> Self {
        let mut factories = Self {
            all: Vec::new(),
            by_name: HashMap::new(),
        };
        for section in sections {
            factories.push(FactorySection::new(section));
        }
        factories
    }

    /// In the order of the files, then of those that are named only.
    pub(super) fn all(&self) -> &[FactorySection] {
        &self.all
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Adds one; gives its index.
    pub(super) fn push(&mut self, factory: FactorySection) -> usize {
        let index = self.all.len();
        let name = factory.name.as_str().to_owned();
        self.by_name.entry(name).or_insert(index);
        self.all.push(factory);
        index
    }
}

impl FactorySection {
    pub(super) fn new(section: Section) -> Self {
        Self {
            name: FactoryName::from(section.own_name.as_str()),
            place: section.place.clone(),
            section,
            is_written: true,
            plain: OnceLock::new(),
        }
    }

    /// The factory `name`, which is named at `place` and has no section.
    pub(super) fn unwritten(name: &str, place: &Place) -> Self {
        let section = Section {
            name: name.to_owned(),
            own_name: name.to_owned(),
            place: place.clone(),
            entries: Vec::new(),
            inherited: Vec::new(),
            defaults: Arc::default(),
        };
        Self {
            is_written: false,
            ..Self::new(section)
        }
    }

    /// What its builders have that say nothing more. Read once.
    pub(super) fn settings(
        &self,
        catalogue: &dyn Catalogue,
        problems: &mut Problems,
    ) -> Option<&Settings> {
        let read = self.plain.get_or_init(|| {
            let mut told = Problems::default();
            let settings = builder::read(self, None, catalogue, &mut told);
            for problem in told.0 {
                let single = Kind::of_word(self.name.as_str()).filter(|it| it.is_alone);
                problems.note(match self.is_written {
                    true if let Some(single) = single
                        && problem.code == Code::UnknownFactory =>
                    {
                        let mut problem = problem;
                        problem.help.clear();
                        problem.help(format!("the {0}'s section is `[:{0}:]`", single.word))
                    }
                    true => problem,
                    false => problem.help(format!("the file has no section `[{}]`", self.name)),
                });
            }
            settings
        });
        read.as_ref()
    }
}
