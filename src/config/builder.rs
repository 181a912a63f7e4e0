//! What a builder has: the parameters of its factory, and the keys of every
//! builder. They stand in `[builder:NAME]`, and where that says nothing, in
//! the factory's section.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Catalogue;
use super::MergeRequests;
use super::RequestOrder;
use super::SlaveOrder;
use super::factory::FactorySection;
use super::horizons;
use super::horizons::OwnHorizons;
use super::master;
use super::matrix::Combination;
use crate::expr;
use crate::expr::Fillings;
use crate::factories::Factory;
use crate::factories::Print;
use crate::factories::Reading;
use crate::locks::LockUses;
use crate::model::Properties;
use crate::model::Text;
use crate::schedulers::CancelSuperseded;
use crate::steps::SchedulerWord;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Referred;
use crate::syntax::Section;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::same;

/// A factory with its parameters, and the rest of a builder.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) factory: Arc<dyn Factory>,
    pub(super) print: u64,
    pub(super) keys: BuilderKeys,
    pub(super) checks: Arc<Checks>,
    /// Whether nothing is to be told of it, and it depends on nothing but the sections.
    pub(super) lasts: bool,
}

/// The keys of every builder.
#[derive(Clone)]
pub(super) struct BuilderKeys {
    pub(super) category: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) merge_requests: Option<MergeRequests>,
    pub(super) priority: i64,
    pub(super) cancel_superseded: CancelSuperseded,
    pub(super) max_pending: Option<NonZeroU32>,
    pub(super) next_build: RequestOrder,
    pub(super) next_slave: SlaveOrder,
    pub(super) locks: LockUses,
    pub(super) use_progress: bool,
    pub(super) horizons: OwnHorizons,
    pub(super) properties: Properties,
    pub(super) env: BTreeMap<String, Option<Text>>,
    pub(super) builddir: Option<String>,
    pub(super) slavebuilddir: Option<String>,
}

/// What is looked at when all sections are read.
#[derive(Default)]
pub(super) struct Checks {
    /// The properties that texts refer to.
    pub(super) references: Vec<Referred>,
    /// The properties that steps set.
    pub(super) sets: BTreeSet<String>,
    /// The schedulers that steps trigger.
    pub(super) triggers: Vec<SchedulerWord>,
    /// The locks that steps take, by the step's name.
    pub(super) locks: Vec<(String, LockUses)>,
}

/// A builder's section, with one combination of its matrix filled in.
pub(super) struct Filled {
    pub(super) section: Section,
    pub(super) combination: Combination,
    pub(super) values: Fillings,
}

/// Keys of `[builder:NAME]` that say which builders there are.
const OF_THE_SECTION: [&str; 3] = ["factory", "exclude", "include"];

/// Other names of `slaves`.
pub(super) const SLAVES: [&str; 4] = ["slaves", "slavenames", "slavename", "slave"];

impl Filled {
    /// Fills `combination` into the section.
    pub(super) fn new(
        section: &Section,
        combination: Combination,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut values = Fillings::default();
        for (name, value, place) in &combination.0 {
            values.set(name, value.as_str().into(), Some(place));
        }
        let fill = |entries: &[Entry], problems: &mut Problems| {
            let own = entries.iter().filter(|it| !is_raw(&it.key));
            expr::fill_entries(own, &values, problems)
        };
        let entries = fill(&section.entries, problems);
        let inherited: Vec<_> = section
            .inherited
            .iter()
            .map(|it| fill(it, problems))
            .collect();
        let section = Section {
            entries: entries?,
            inherited: inherited.into_iter().collect::<Option<_>>()?,
            ..section.clone()
        };
        Some(Self {
            section,
            combination,
            values,
        })
    }
}

/// Notes the unknown keys of a section that could not be filled in.
pub(super) fn note_unknown(section: &Section, problems: &mut Problems) {
    let mut quiet = Problems::default();
    let mut keys = Keys::of(section, &mut quiet);
    ask_for_the_section(&mut keys);
    read_keys(&mut keys);
    let (left, asked) = keys.leftover();
    let title = format!("[{}]", section.name);
    let mut keys = Keys::of_entries(&title, &section.place, &left, problems);
    keys.also_asked(&asked);
    keys.finish();
}

fn ask_for_the_section(keys: &mut Keys<'_>) {
    for name in OF_THE_SECTION {
        keys.node(name);
    }
    keys.optional_as::<Node>(&SLAVES);
    keys.map::<Node>("matrix");
    keys.map::<Node>("param");
}

/// Keys that are read before there is anything to fill in.
fn is_raw(key: &str) -> bool {
    let head = key.split('.').next().unwrap_or_default();
    ["matrix", "exclude", "include"]
        .iter()
        .any(|it| same(it, head))
}

/// Reads the settings of a builder of `factory`.
pub(super) fn read(
    factory: &FactorySection,
    builder: Option<&Filled>,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Option<Settings> {
    let told = problems.0.len();
    let nothing = Fillings::default();
    let values = builder.map_or(&nothing, |it| &it.values);
    let (section, top) = parametrised(factory, builder, problems)?;
    let mut reading = catalogue.read(&section, values, problems);
    let is_on_top = |entry: &Entry| top.iter().any(|it| it.key_place == entry.key_place);
    let left = std::mem::take(&mut reading.left);
    let (unused, left): (Vec<_>, Vec<_>) = left.into_iter().partition(is_on_top);
    let mut is_good = true;
    // An axis that the factory does not know is a property only; a parameter must be known.
    for entry in unused {
        if values.map.contains_key(&entry.key) {
            continue;
        }
        is_good = false;
        let what = format!(
            "factory `{}` has no parameter `{}`",
            factory.name, entry.key
        );
        let problem = Problem::error(crate::syntax::Code::UnknownKey, what).at(&entry.key_place);
        let known = reading.asked.list().into_iter().map(|it| it.name);
        problems.note(problem.did_you_mean(&entry.key, known));
    }
    let keys = rest(factory, builder, &left, &reading, problems);
    let Reading {
        factory,
        steps,
        is_lasting,
        mut references,
        ..
    } = reading;
    let sets = steps.iter().flat_map(|it| it.body.sets()).collect();
    let triggers = steps
        .iter()
        .flat_map(|it| it.body.triggers())
        .cloned()
        .collect();
    let locks = steps
        .iter()
        .filter(|it| it.locks != LockUses::default())
        .map(|it| (it.name.clone(), it.locks.clone()))
        .collect();
    references.extend(steps.into_iter().flat_map(|it| it.references));
    let (keys, more) = keys?;
    references.extend(more);
    let factory = factory?;
    is_good.then(|| Settings {
        print: Print::of(&*factory),
        lasts: is_lasting && problems.0.len() == told,
        factory,
        keys,
        checks: Arc::new(Checks {
            references,
            sets,
            triggers,
            locks,
        }),
    })
}

/// The factory's section with what the builder says of its parameters on top;
/// and just that.
fn parametrised(
    factory: &FactorySection,
    builder: Option<&Filled>,
    problems: &mut Problems,
) -> Option<(Section, Vec<Entry>)> {
    let Some(builder) = builder else {
        return Some((factory.section.clone(), Vec::new()));
    };
    let own = &builder.section;
    let mut top: Vec<Entry> = Vec::new();
    for entry in own.entries.iter().chain(own.inherited.iter().flatten()) {
        if let Some((head, name)) = entry.key.split_once('.')
            && same(head, "param")
            && top.iter().all(|it| !same(&it.key, name))
        {
            top.push(Entry {
                key: name.to_owned(),
                ..entry.clone()
            });
        }
        // As TOML says it.
        if same(&entry.key, "param")
            && let crate::syntax::Content::Table(all) = &entry.value.content
        {
            for it in all {
                if top.iter().all(|known| !same(&known.key, &it.key)) {
                    top.push(it.clone());
                }
            }
        }
    }
    for (name, value, place) in &builder.combination.0 {
        if top.iter().all(|it| !same(&it.key, name)) {
            let why = format!("the axis `{name}` sets the parameter `{name}` of the factory");
            let place = place.through(&own.place, &why);
            top.push(Entry {
                key: name.clone(),
                key_place: place.clone(),
                op: Op::Set,
                value: Node {
                    place,
                    content: crate::syntax::Content::Text(value.clone()),
                },
            });
        }
    }
    let mut fill = |entries: &[Entry]| {
        // Steps know the platform too: they are filled in when they are made.
        let (steps, others): (Vec<_>, Vec<_>) =
            entries.iter().partition(|it| same(&it.key, "steps"));
        let mut filled = expr::fill_entries(others, &builder.values, problems)?;
        filled.extend(steps.into_iter().cloned());
        Some(filled)
    };
    let entries = fill(&factory.section.entries);
    let inherited: Vec<_> = factory
        .section
        .inherited
        .iter()
        .map(|it| fill(it))
        .collect();
    let mut layers = vec![entries?];
    layers.extend(inherited.into_iter().collect::<Option<Vec<_>>>()?);
    let section = Section {
        entries: top.clone(),
        inherited: layers,
        ..factory.section.clone()
    };
    Some((section, top))
}

/// Reads the keys of every builder: the builder's own, then what the factory left.
fn rest(
    factory: &FactorySection,
    builder: Option<&Filled>,
    left: &[Entry],
    reading: &Reading,
    problems: &mut Problems,
) -> Option<(BuilderKeys, Vec<Referred>)> {
    let title = format!("[{}]", factory.section.name);
    let mut keys = match builder {
        None => Keys::of_entries(&title, &factory.place, left, problems)
            .with_defaults(&factory.section.defaults),
        Some(it) => Keys::of(&it.section, problems).with_inherited(left),
    };
    if builder.is_some() {
        ask_for_the_section(&mut keys);
    }
    let read = read_keys(&mut keys);
    let references = keys.references();
    if builder.is_none() {
        keys.also_asked(&reading.asked);
    }
    keys.finish();
    let mut read = read?;
    if let Some(builder) = builder {
        for (name, value, _) in &builder.combination.0 {
            if read.properties.get(name).is_none() {
                read.properties.set(name, value.as_str(), "Builder");
            }
        }
    }
    Some((read, references))
}

/// Asks for the keys of every builder.
pub(super) fn read_keys(keys: &mut Keys<'_>) -> Option<BuilderKeys> {
    let category = keys.optional::<String>("category");
    let tags = keys.or("tags", Vec::new());
    let description = keys.optional::<String>("description");
    let merge_requests = keys.optional("merge_requests");
    let priority = keys.or("priority", 0);
    let cancel_superseded = keys.or("cancel_superseded", CancelSuperseded::No);
    let max_pending = keys.optional::<MaxPending>("max_pending");
    let next_build = keys.or("next_build", RequestOrder::default());
    let next_slave = keys.or("next_slave", SlaveOrder::default());
    let locks = keys.or("locks", LockUses::default());
    let use_progress = keys.or("use_progress", true);
    let horizons = horizons::read_of_builder(keys);
    let properties = master::properties(keys, "Builder");
    let env = crate::steps::read_env(keys, "env");
    let builddir = directory(keys, "builddir");
    let slavebuilddir = directory(keys, "slavebuilddir");
    Some(BuilderKeys {
        category: category?.filter(|it| !it.is_empty()),
        tags: tags?,
        description: description?,
        merge_requests: merge_requests?,
        priority: priority?,
        cancel_superseded: cancel_superseded?,
        max_pending: max_pending?.map(|it| it.0),
        next_build: next_build?,
        next_slave: next_slave?,
        locks: locks?,
        use_progress: use_progress?,
        horizons: horizons?,
        properties: properties?,
        env: env?,
        builddir: builddir?,
        slavebuilddir: slavebuilddir?,
    })
}

/// How many requests may wait.
struct MaxPending(NonZeroU32);

impl Value for MaxPending {
    const EXPECTED: &'static str = "a whole number from 1";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        NonZeroU32::new(u32::read(node)?)
            .map(Self)
            .ok_or_else(Misread::default)
    }
}

/// A directory of the builder's own: one name, or several with `/` between.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
fn directory(keys: &mut Keys<'_>, name: &str) -> Option<Option<String>> {
    let Some(given) = keys.optional::<String>(name)? else {
        return Some(None);
    };
    let is_part = |it: &str| !matches!(it, "" | "." | "..") && !it.contains(['\\', '\0']);
    if !given.split('/').all(is_part) {
        keys.wrong(
            name,
            "expected a directory under the base directory, without `..`",
        );
        return None;
    }
    Some(Some(given))
}
