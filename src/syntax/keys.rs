//! Asking a section for its values. The questions are also the list of what
//! is known: whatever nobody asked for is reported with the nearest of them.
//!
//! A key is looked for in layers: the section itself, the sections that it
//! extends, the defaults from elsewhere. `=` ends the search; what `+=` and
//! `-=` say is done to what lies below. Maps are merged key by key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Code;
use super::Content;
use super::Edited;
use super::Entry;
use super::Misread;
use super::Node;
use super::Op;
use super::Place;
use super::Problem;
use super::Problems;
use super::Section;
use super::Shape;
use super::Value;
use super::problem::comma;
use super::problem::nearest;
use super::questions::Asked;
use super::questions::Questions;
use super::spelling::initial;
use super::spelling::same;
use super::words;
use crate::model::references;

/// Asks one section for its values. What was asked for is what is known, so
/// the questions become the suggestions for keys that nobody asked for.
pub(crate) struct Keys<'a> {
    title: String,
    header: Place,
    /// The section's own entries first, then what is used where they say nothing.
    layers: Vec<Layer<'a>>,
    asked: Questions,
    references: Vec<Referred>,
    problems: &'a mut Problems,
}

/// A property that a text refers to, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Referred {
    pub(crate) property: String,
    pub(crate) place: Place,
    /// Whether the text says what stands there if the property is not set.
    pub(crate) has_default: bool,
}

struct Layer<'a> {
    entries: &'a [Entry],
    /// The [`initial`] of each key.
    initials: Vec<Option<u8>>,
    /// Which of them somebody asked for; empty if nobody has to.
    taken: Vec<bool>,
}

impl<'a> Layer<'a> {
    fn new(entries: &'a [Entry], taken: Vec<bool>) -> Self {
        Self {
            entries,
            initials: entries.iter().map(|it| initial(&it.key)).collect(),
            taken,
        }
    }

    /// Whether the key of an entry is one of these names.
    fn is_named(&self, index: usize, names: &[&str]) -> bool {
        // Almost all that are asked about differ in their first letter.
        let is_like = |name: &str| match (self.initials[index], initial(name)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let key = &self.entries[index].key;
        names.iter().any(|it| is_like(it) && same(it, key))
    }

    fn take(&mut self, index: usize) {
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
    }

    fn left(&self) -> impl Iterator<Item = &Entry> {
        let all = self.entries.iter().zip(&self.taken);
        all.filter(|(_, taken)| !**taken).map(|(entry, _)| entry)
    }
}

impl<'a> Keys<'a> {
    /// Asks the keys of `section`; mistakes go to `problems`.
    pub(crate) fn of(section: &'a Section, problems: &'a mut Problems) -> Self {
        let title = format!("[{}]", section.name);
        let mut keys = Self::of_entries(&title, &section.place, &section.entries, problems);
        for inherited in &section.inherited {
            keys = keys.with_inherited(inherited);
        }
        keys.with_defaults(&section.defaults)
    }

    /// Asks the keys of a TOML table (a `[[steps]]` item), whose header stands at `place`.
    pub(crate) fn of_entries(
        title: &str,
        place: &Place,
        entries: &'a [Entry],
        problems: &'a mut Problems,
    ) -> Self {
        let keys = Self {
            title: title.to_owned(),
            header: place.clone(),
            layers: Vec::new(),
            asked: Questions::with_room(),
            references: Vec::new(),
            problems,
        };
        keys.with_inherited(entries)
    }

    /// Adds a layer below the others, all of whose keys must be known.
    #[must_use]
    pub(crate) fn with_inherited(mut self, entries: &'a [Entry]) -> Self {
        self.layers
            .push(Layer::new(entries, vec![false; entries.len()]));
        self
    }

    /// Adds values for keys that the section does not set itself. Nobody has
    /// to ask for them. What was added first goes first.
    #[must_use]
    pub(crate) fn with_defaults(mut self, defaults: &'a [Entry]) -> Self {
        self.layers.push(Layer::new(defaults, Vec::new()));
        self
    }

    /// What messages call it: `[slave:linux]`.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// The NAME of `[KIND:NAME]`, or of `[KIND.NAME]` in TOML.
    pub(crate) fn own_name(&self) -> &str {
        let title = self.title.trim_start_matches('[').trim_end_matches(']');
        let name = title.split_once([':', '.']).map_or(title, |it| it.1);
        name.trim().trim_matches(['"', '\''])
    }

    /// Where the section begins.
    pub(crate) fn header(&self) -> &Place {
        &self.header
    }

    /// What was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.list()
    }

    /// Takes the value of `name`. A missing or wrong one is noted and gives `None`.
    pub(crate) fn required<T: Value>(&mut self, name: &str) -> Option<T> {
        self.required_as(&[name])
    }

    /// As [`Keys::required`], for a key with older names; the first is the one to tell.
    pub(crate) fn required_as<T: Value>(&mut self, names: &[&str]) -> Option<T> {
        let found = self.find(names, true)?;
        if found.is_none() {
            let name = names.first().copied().unwrap_or_default();
            let what = format!("`{name}` is missing in {}", self.title);
            let problem = Problem::error(Code::MissingKey, what)
                .at(&self.header)
                .label(format!("expected {}", T::EXPECTED));
            self.note(problem);
        }
        found
    }

    /// Takes the value of `name`, or the default. A wrong one is noted and gives `None`.
    pub(crate) fn or<T: Value>(&mut self, name: &str, default: T) -> Option<T> {
        self.or_as(&[name], default)
    }

    /// As [`Keys::or`], for a key with older names.
    pub(crate) fn or_as<T: Value>(&mut self, names: &[&str], default: T) -> Option<T> {
        Some(self.optional_as(names)?.unwrap_or(default))
    }

    /// Takes the value of `name` if it is there. A wrong one is noted and gives `None`.
    #[expect(clippy::option_option, reason = "outer: readable; inner: there")]
    pub(crate) fn optional<T: Value>(&mut self, name: &str) -> Option<Option<T>> {
        self.optional_as(&[name])
    }

    /// As [`Keys::optional`], for a key with older names.
    #[expect(clippy::option_option, reason = "outer: readable; inner: there")]
    pub(crate) fn optional_as<T: Value>(&mut self, names: &[&str]) -> Option<Option<T>> {
        self.find(names, false)
    }

    #[expect(clippy::option_option, reason = "outer: readable; inner: there")]
    fn find<T: Value>(&mut self, names: &[&str], required: bool) -> Option<Option<T>> {
        self.remember(names, T::SHAPE, required);
        match self.take(names) {
            None => Some(None),
            Some((key, value)) => Some(Some(self.read(key, &value)?)),
        }
    }

    /// Takes the value of `name` as it stands.
    pub(crate) fn node(&mut self, name: &str) -> Option<Node> {
        self.remember(&[name], Shape::Any, false);
        self.take(&[name]).map(|(_, value)| value.into_owned())
    }

    /// Takes `name.KEY = value` for every KEY, and `name = {…}`.
    pub(crate) fn map<T: Value>(&mut self, name: &str) -> Option<BTreeMap<String, T>> {
        let read = self.placed_map::<T>(name)?;
        Some(read.into_iter().map(|(key, (_, it))| (key, it)).collect())
    }

    /// As [`Keys::map`], with the places of the values.
    pub(crate) fn placed_map<T: Value>(
        &mut self,
        name: &str,
    ) -> Option<BTreeMap<String, (Place, T)>> {
        self.remember(&[name], T::SHAPE.in_map(), false);
        let mut is_good = true;
        let mut nodes: BTreeMap<Cow<'a, str>, Cow<'a, Node>> = BTreeMap::new();
        let mut wrong: Vec<(&'a Entry, Misread)> = Vec::new();
        // What lies above replaces, so the lowest comes first.
        for layer in self.layers.iter_mut().rev() {
            let all: &'a [Entry] = layer.entries;
            for (index, entry) in all.iter().enumerate() {
                let Some(entries) = map_entries(entry, name) else {
                    continue;
                };
                layer.take(index);
                match entries {
                    Ok(entries) => {
                        for (key, op, node) in entries {
                            let node = match op {
                                Op::Set => node,
                                _ => {
                                    let base = nodes.remove(&key).map(Cow::into_owned);
                                    Cow::Owned(edit(base, vec![(op, node.into_owned())]))
                                }
                            };
                            nodes.insert(key, node);
                        }
                    }
                    Err(misread) => wrong.push((entry, misread)),
                }
            }
        }
        for (entry, misread) in wrong {
            is_good = false;
            let expected =
                format!("`{name}.KEY = VALUE` or a map such as `{{\"KEY\": \"VALUE\"}}`");
            self.complain(&entry.key, &entry.value, misread, &expected);
        }
        let mut map = BTreeMap::new();
        for (key, node) in nodes {
            match self.read(&format!("{name}.{key}"), &node) {
                Some(value) => {
                    map.insert(key.into_owned(), (node.place.clone(), value));
                }
                None => is_good = false,
            }
        }
        is_good.then_some(map)
    }

    /// Asks a table that is a value of this section; what is wrong with it is noted with the rest.
    pub(crate) fn within<'b>(
        &'b mut self,
        title: &str,
        place: &Place,
        entries: &'b [Entry],
    ) -> Keys<'b> {
        Keys::of_entries(title, place, entries, self.problems)
    }

    /// Takes every key of the section, and of those it extends, that nobody
    /// asked for yet: the parameters of something that knows them only now.
    pub(crate) fn rest(&mut self) -> Vec<Entry> {
        let left = self.left();
        for layer in &mut self.layers {
            layer.taken.fill(true);
        }
        left
    }

    /// Whether the section itself, or one that it extends, sets `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        let own = self
            .layers
            .iter()
            .filter(|it| it.taken.len() == it.entries.len());
        own.flat_map(|it| it.entries).any(|it| same(&it.key, name))
    }

    /// Where `name` is set, or where the section begins.
    pub(crate) fn place(&self, name: &str) -> Place {
        self.set_at(name).unwrap_or_else(|| self.header.clone())
    }

    /// Where `name` is set, if it is.
    pub(crate) fn set_at(&self, name: &str) -> Option<Place> {
        let mut entries = self.layers.iter().flat_map(|it| it.entries);
        entries
            .find(|it| same(&it.key, name))
            .map(|it| it.value.place.clone())
    }

    /// Makes keys known that somebody else takes: they are suggested, too.
    pub(crate) fn also_known(&mut self, asked: Vec<Asked>) {
        for it in asked {
            let names = [&it.name].into_iter().chain(&it.older);
            self.asked
                .add(names.map(String::as_str), it.shape, it.required);
        }
    }

    /// The same for what another reader asked.
    pub(crate) fn also_asked(&mut self, more: &Questions) {
        self.asked.extend(more);
    }

    /// Notes a problem of the section's own making.
    pub(crate) fn note(&mut self, problem: Problem) {
        self.problems.note(problem);
    }

    /// Notes that the value of `name` is wrong, and why.
    pub(crate) fn wrong(&mut self, name: &str, label: impl Into<String>) {
        let what = format!("bad value for `{name}` in {}", self.title);
        let problem = Problem::error(Code::BadValue, what);
        let problem = problem.at(&self.place(name)).label(label);
        self.note(problem);
    }

    /// Warns that `name`, if it is set, does nothing: `why` is said under it.
    pub(crate) fn without_effect(&mut self, name: &str, why: &str) {
        if self.has(name) {
            let what = format!("`{name}` has no effect");
            let problem = Problem::warning(Code::NoEffect, what);
            let problem = problem.at(&self.place(name)).label(why);
            self.note(problem);
        }
    }

    /// The properties that the texts refer to which were asked for so far.
    pub(crate) fn references(&mut self) -> Vec<Referred> {
        std::mem::take(&mut self.references)
    }

    /// Gives up what nobody asked for, with what was asked.
    pub(crate) fn leftover(mut self) -> (Vec<Entry>, Questions) {
        (self.left(), std::mem::take(&mut self.asked))
    }

    /// Notes every key that nobody asked for, with the nearest that was.
    pub(crate) fn finish(mut self) {
        let left = self.left();
        if left.is_empty() {
            return;
        }
        let asked = self.asked();
        for entry in left {
            let what = format!("unknown key `{}` in {}", entry.key, self.title);
            let problem = Problem::error(Code::UnknownKey, what).at(&entry.key_place);
            let problem = match suggestion(&entry.key, &asked) {
                Some(near) => {
                    // It is not missing, but misspelt: that is one mistake.
                    let what = format!("`{near}` is missing in {}", self.title);
                    self.problems.0.retain(|it| {
                        it.code != Code::MissingKey || it.what != what || !it.help.is_empty()
                    });
                    problem.label(format!("did you mean `{near}`?"))
                }
                None => problem.help(self.known(&asked)),
            };
            self.note(problem);
        }
    }

    fn left(&self) -> Vec<Entry> {
        let all = self.layers.iter().flat_map(Layer::left);
        all.cloned().collect()
    }

    fn remember(&mut self, names: &[&str], shape: Shape, required: bool) {
        self.asked.add(names.iter().copied(), shape, required);
    }

    fn known(&self, asked: &[Asked]) -> String {
        let (maps, single): (Vec<_>, Vec<_>) = asked.iter().partition(|it| it.shape.is_map());
        let single = single.iter().map(|it| format!("`{}`", it.name));
        let maps = maps.iter().map(|it| format!("`{}.NAME`", it.name));
        let all: Vec<_> = single.chain(maps).collect();
        if all.is_empty() {
            return format!("{} has no keys", self.title);
        }
        format!("the keys of {} are {}", self.title, all.join(", "))
    }

    /// Takes the value of the first layer that sets one of `names`, with what
    /// the layers above do to it, and the key as it is spelled first.
    fn take(&mut self, names: &[&str]) -> Option<(&'a str, Cow<'a, Node>)> {
        let mut edits: Vec<Vec<(Op, Node)>> = Vec::new();
        let mut first: Option<&'a Entry> = None;
        let mut base: Option<&'a Node> = None;
        for layer in &mut self.layers {
            let mut set: Option<&'a Entry> = None;
            let mut own = Vec::new();
            let entries: &'a [Entry] = layer.entries;
            for (index, entry) in entries.iter().enumerate() {
                if !layer.is_named(index, names) {
                    continue;
                }
                layer.take(index);
                match (entry.op, set) {
                    (Op::Set, None) => set = Some(entry),
                    (Op::Set, Some(first)) if !layer.taken.is_empty() => {
                        let what = format!("`{}` is the same as `{}`", entry.key, first.key);
                        let problem = Problem::error(Code::Duplicate, what)
                            .at(&entry.key_place)
                            .label("the second one")
                            .also(&first.key_place, "the first one");
                        self.problems.note(problem);
                    }
                    (Op::Set, Some(_)) => {}
                    (op, _) => own.push((op, entry.value.clone())),
                }
                first.get_or_insert(entry);
            }
            // Below what sets it, the key is known, but says nothing more.
            if base.is_some() {
                continue;
            }
            if !own.is_empty() {
                edits.push(own);
            }
            base = set.map(|it| &it.value);
        }
        let first = first?;
        let edits: Vec<_> = edits.into_iter().rev().flatten().collect();
        let value = match (base, edits.is_empty()) {
            (Some(base), true) => Cow::Borrowed(base),
            (base, _) => Cow::Owned(edit(base.cloned(), edits)),
        };
        Some((&first.key, value))
    }

    fn read<T: Value>(&mut self, name: &str, node: &Node) -> Option<T> {
        if let Content::Edited(edited) = &node.content
            && !T::SHAPE.is_list()
            && !matches!(T::SHAPE, Shape::Any | Shape::Json)
        {
            let place = edited.edits.last().map_or(&node.place, |(_, it)| &it.place);
            let what = format!("`{name}` in {} is no list", self.title);
            let problem = Problem::error(Code::NoList, what).at(place);
            self.note(problem.label(format!("expected `=` and {}", T::EXPECTED)));
            return None;
        }
        if T::SHAPE.has_references() {
            refer(node, &mut self.references);
        }
        let misread = match T::read(node) {
            Ok(read) => return Some(read),
            Err(misread) => misread,
        };
        let word = misread.place.as_ref().filter(|_| T::SHAPE.is_list());
        match word.filter(|it| it.text().ends_with(',')).and_then(comma) {
            Some(comma) => {
                let what = format!("bad value for `{name}` in {}", self.title);
                self.note(Problem::error(Code::BadValue, what).separated(&comma));
            }
            None => self.complain(name, node, misread, T::EXPECTED),
        }
        None
    }

    fn complain(&mut self, name: &str, node: &Node, misread: Misread, expected: &str) {
        let place = misread.place.as_ref().unwrap_or(&node.place);
        let label = misread
            .what
            .unwrap_or_else(|| format!("expected {expected}"));
        let code = misread.code.unwrap_or(Code::BadValue);
        let mut problem = Problem::error(code, format!("bad value for `{name}` in {}", self.title))
            .at(place)
            .label(label);
        if let Content::Text(text) = &node.content
            && (text.contains(" #") || text.contains(" ;"))
        {
            problem = problem.help("a comment stands on a line of its own");
        }
        self.note(problem);
    }
}

/// Collects what the texts of a value refer to.
fn refer(node: &Node, all: &mut Vec<Referred>) {
    match &node.content {
        Content::Text(text) => all.extend(references(text).into_iter().map(|it| Referred {
            place: node.part(text, it.at),
            property: it.property,
            has_default: it.has_default,
        })),
        Content::List(items) => items.iter().for_each(|it| refer(it, all)),
        Content::Table(entries) => entries.iter().for_each(|it| refer(&it.value, all)),
        Content::Edited(edited) => {
            let edits = edited.edits.iter().map(|(_, it)| it);
            let nodes = edited.base.iter().chain(edits);
            nodes.for_each(|it| refer(it, all));
        }
        Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => {}
    }
}

/// The value with the edits; its place is that of the last.
fn edit(base: Option<Node>, edits: Vec<(Op, Node)>) -> Node {
    let place = edits.last().map(|(_, it)| it.place.clone());
    let place = place.or_else(|| base.as_ref().map(|it| it.place.clone()));
    Node {
        place: place.expect("an edit, if there is no value"),
        content: Content::Edited(Box::new(Edited { base, edits })),
    }
}

/// The known key, or name of a map, nearest to `key`.
fn suggestion(key: &str, asked: &[Asked]) -> Option<String> {
    let maps = asked.iter().filter(|it| it.shape.each().is_some());
    match key.split_once('.') {
        None => nearest(key, asked.iter().map(|it| it.name.clone())),
        Some((head, rest)) => {
            nearest(head, maps.map(|it| &it.name)).map(|near| format!("{near}.{rest}"))
        }
    }
}

type OfMap<'a> = (Cow<'a, str>, Op, Cow<'a, Node>);

/// What `entry` says for the map `wanted`: one key, or a table of them.
fn map_entries<'a>(entry: &'a Entry, wanted: &str) -> Option<Result<Vec<OfMap<'a>>, Misread>> {
    if let Some((head, rest)) = entry.key.split_once('.') {
        return same(head, wanted).then(|| {
            let value = Cow::Borrowed(&entry.value);
            Ok(vec![(Cow::Borrowed(rest), entry.op, value)])
        });
    }
    if !same(&entry.key, wanted) {
        return None;
    }
    let table = match &entry.value.content {
        Content::Text(text) if text.starts_with('{') => {
            match words::json(&entry.value, text).map(|it| it.content) {
                Ok(Content::Table(table)) => table,
                Ok(_) => return Some(Err(Misread::default())),
                Err(misread) => return Some(Err(misread)),
            }
        }
        Content::Table(table) => {
            let table = table.iter();
            let all = table.map(|it| (it.key.as_str().into(), it.op, Cow::Borrowed(&it.value)));
            return Some(Ok(all.collect()));
        }
        _ => return Some(Err(Misread::default())),
    };
    let table = table.into_iter();
    let all = table.map(|it| (it.key.into(), it.op, Cow::Owned(it.value)));
    Some(Ok(all.collect()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn check(text: &str, ask: impl FnOnce(&mut Keys<'_>)) -> String {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        ask(&mut keys);
        keys.finish();
        problems.render(false)
    }

    #[test]
    fn names_match_without_case_and_signs() {
        let text = "[a]\npollInterval = 90\nTREE-STABLE: 5m\nenv.PATH = /bin\nenv.Path = /opt\n";
        let shown = check(text, |keys| {
            let interval = keys.required::<Duration>("poll_interval");
            assert_eq!(interval, Some(Duration::from_secs(90)));
            assert_eq!(
                keys.or("tree_stable", Duration::ZERO),
                Some(Duration::from_mins(5))
            );
            let env = keys.map::<String>("env").expect("a map");
            let env: Vec<_> = env.iter().map(|(key, it)| format!("{key}={it}")).collect();
            assert_eq!(env, ["PATH=/bin", "Path=/opt"]);
            assert_eq!(keys.optional::<String>("title"), Some(None));
        });
        assert_eq!(shown, "");
    }

    #[test]
    fn every_mistake_is_told_in_one_run() {
        let text = "[slave:x]\nmax_buidls = 1\nos = linux\nlost = soon ; maybe\nevn.PATH = x\nzzz = 1\nname = 1\nold_name = 2\nenv = [\nproperty = {\"a\": 1,}\n";
        let shown = check(text, |keys| {
            assert_eq!(keys.required::<String>("password"), None);
            assert_eq!(keys.required::<String>("os").as_deref(), Some("linux"));
            assert_eq!(keys.optional::<u32>("max_builds"), Some(None));
            assert_eq!(keys.or("lost", Duration::ZERO), None);
            assert_eq!(keys.required_as::<u32>(&["name", "old_name"]), Some(1));
            assert_eq!(keys.map::<String>("env"), None);
            assert_eq!(keys.map::<String>("property"), None);
        });
        insta::assert_snapshot!(shown, @r#"
        error[missing-key]: `password` is missing in [slave:x]
         --> master.ini:1:2
          |
        1 | [slave:x]
          |  ^^^^^^^ expected a text

        error[unknown-key]: unknown key `max_buidls` in [slave:x]
         --> master.ini:2:1
          |
        2 | max_buidls = 1
          | ^^^^^^^^^^ did you mean `max_builds`?

        error[bad-value]: bad value for `lost` in [slave:x]
         --> master.ini:4:8
          |
        4 | lost = soon ; maybe
          |        ^^^^^^^^^^^^ expected a duration such as `90s` or `5m`
          |
          = help: a comment stands on a line of its own

        error[unknown-key]: unknown key `evn.PATH` in [slave:x]
         --> master.ini:5:1
          |
        5 | evn.PATH = x
          | ^^^^^^^^ did you mean `env.PATH`?

        error[unknown-key]: unknown key `zzz` in [slave:x]
         --> master.ini:6:1
          |
        6 | zzz = 1
          | ^^^
          |
          = help: the keys of [slave:x] are `password`, `os`, `max_builds`, `lost`, `name`, `env.NAME`, `property.NAME`

        error[duplicate]: `old_name` is the same as `name`
         --> master.ini:8:1
          |
        7 | name = 1
          | ---- the first one
        8 | old_name = 2
          | ^^^^^^^^ the second one

        error[bad-value]: bad value for `env` in [slave:x]
         --> master.ini:9:7
          |
        9 | env = [
          |       ^ expected `env.KEY = VALUE` or a map such as `{"KEY": "VALUE"}`

        error[bad-value]: bad value for `property` in [slave:x]
          --> master.ini:10:20
           |
        10 | property = {"a": 1,}
           |                    ^ not JSON: trailing comma
        "#);
    }

    #[test]
    fn defaults_fill_in_and_nobody_has_to_ask_for_them() {
        let text = "[a]\nenv.A = own\n[DEFAULT]\nenv.A = default\nenv.B = default\nx = 1\ny = 2\n";
        let shown = check(text, |keys| {
            assert_eq!(keys.required::<u32>("x"), Some(1));
            let env = keys.map::<String>("env").expect("a map");
            assert_eq!(env["A"], "own");
            assert_eq!(env["B"], "default");
            assert!(!keys.has("x"));
            assert!(keys.rest().is_empty());
        });
        assert_eq!(shown, "");
    }

    #[test]
    fn the_rest_is_what_nobody_asked_for() {
        let text = "[foo]\ntype = bar\nbar = fleem\nbaz = another parameter\n";
        let shown = check(text, |keys| {
            keys.optional::<String>("type");
            let rest = keys.rest();
            let names: Vec<_> = rest.iter().map(|it| it.key.as_str()).collect();
            assert_eq!(names, ["bar", "baz"]);
        });
        assert_eq!(shown, "");
    }

    fn extended(text: &str, ask: impl FnOnce(&mut Keys<'_>)) -> String {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let mut tree = ini::read(&source, &mut problems);
        let mut child = tree.sections.remove(0);
        for section in tree.sections {
            let taken = section.entries.iter();
            let taken = taken.map(|it| it.through(&child.place, "extends it"));
            child.inherited.push(taken.collect());
        }
        let mut keys = Keys::of(&child, &mut problems);
        ask(&mut keys);
        keys.finish();
        problems.render(false)
    }

    #[test]
    fn lists_are_replaced_extended_and_shortened_by_one_rule() {
        let text = "[c]\nlist += d\nlist -= a\nenv.X = c\nhas.py += 3\nscalar = c\n[b]\nlist += b\nenv.X = b\nenv.Y = b\n[a]\nlist = a x\nenv = {\"Z\": \"a\"}\nhas.py = 1 2\nscalar = a\n";
        let shown = extended(text, |keys| {
            assert_eq!(
                keys.required::<Vec<String>>("list").expect("a list"),
                ["x", "b", "d"]
            );
            let env = keys.map::<String>("env").expect("a map");
            let env: Vec<_> = env.iter().map(|(key, it)| format!("{key}={it}")).collect();
            assert_eq!(env, ["X=c", "Y=b", "Z=a"]);
            let has = keys.map::<Vec<String>>("has").expect("a map");
            assert_eq!(has["py"], ["1", "2", "3"]);
            assert_eq!(keys.required::<String>("scalar").as_deref(), Some("c"));
        });
        assert_eq!(shown, "");
    }

    #[test]
    fn what_is_no_list_cannot_be_extended_and_the_road_is_shown() {
        let text = "[c]\nn += 2\nlist -= zz\n[b]\nn = 1\nlist = a\nmax = two\nodd = 1\n";
        let shown = extended(text, |keys| {
            assert_eq!(keys.required::<u32>("n"), None);
            assert_eq!(keys.required::<Vec<String>>("list"), None);
            assert_eq!(keys.required::<u32>("max"), None);
        });
        insta::assert_snapshot!(shown, @"
        error[no-list]: `n` in [c] is no list
         --> master.ini:2:6
          |
        2 | n += 2
          |      ^ expected `=` and a whole number from 0 to 4294967295

        error[bad-value]: bad value for `list` in [c]
         --> master.ini:3:9
          |
        3 | list -= zz
          |         ^^ the list has no such item to remove

        error[bad-value]: bad value for `max` in [c]
         --> master.ini:7:7
          |
        7 | max = two
          |       ^^^ expected a whole number from 0 to 4294967295
          |
         ::: master.ini:1:2
          |
        1 | [c]
          |  ^ extends it

        error[unknown-key]: unknown key `odd` in [c]
         --> master.ini:8:1
          |
        8 | odd = 1
          | ^^^
          |
         ::: master.ini:1:2
          |
        1 | [c]
          |  ^ extends it
          |
          = help: the keys of [c] are `n`, `list`, `max`
        ");
    }
}
