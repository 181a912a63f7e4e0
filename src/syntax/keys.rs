//! Asking a section for its values. The questions are also the list of what
//! is known: whatever nobody asked for is reported with the nearest of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Content;
use super::Entry;
use super::Misread;
use super::Node;
use super::Place;
use super::Problem;
use super::Problems;
use super::Section;
use super::Value;
use super::problem::nearest;
use super::words;

/// A key as it is compared: without case, `_` and `-`. What stands behind the
/// first dot is a name of the user's and stays as it is.
pub(crate) fn plain(key: &str) -> String {
    let (head, rest) = match key.find('.') {
        Some(dot) => key.split_at(dot),
        None => (key, ""),
    };
    let mut plain: String = head
        .chars()
        .filter(|it| !matches!(it, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    plain.push_str(rest);
    plain
}

/// Asks one section for its values. What was asked for is what is known, so
/// the questions become the suggestions for keys that nobody asked for.
pub(crate) struct Keys<'a> {
    title: String,
    header: Place,
    entries: Vec<Entry>,
    /// What was taken of `entries`, by index.
    taken: BTreeSet<usize>,
    /// Values from elsewhere for keys that the section does not set.
    defaults: Vec<Entry>,
    /// Names of single values, as the program spells them.
    asked: Vec<String>,
    /// Names of maps.
    asked_maps: Vec<String>,
    problems: &'a mut Problems,
}

impl<'a> Keys<'a> {
    /// Asks the keys of `section`; mistakes go to `problems`.
    pub(crate) fn of(section: &Section, problems: &'a mut Problems) -> Self {
        let title = format!("[{}]", section.name);
        let keys = Self::of_entries(&title, &section.place, &section.entries, problems);
        keys.with_defaults(&section.defaults)
    }

    /// Asks the keys of a TOML table (a `[[steps]]` item), whose header stands at `place`.
    pub(crate) fn of_entries(
        title: &str,
        place: &Place,
        entries: &[Entry],
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            title: title.to_owned(),
            header: place.clone(),
            entries: entries.to_vec(),
            taken: BTreeSet::new(),
            defaults: Vec::new(),
            asked: Vec::new(),
            asked_maps: Vec::new(),
            problems,
        }
    }

    /// Adds values for keys that the section does not set itself. Nobody has
    /// to ask for them. What was added first goes first.
    #[must_use]
    pub(crate) fn with_defaults(mut self, defaults: &[Entry]) -> Self {
        self.defaults.extend_from_slice(defaults);
        self
    }

    /// What messages call it: `[slave:linux]`.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Where the section begins.
    pub(crate) fn header(&self) -> &Place {
        &self.header
    }

    /// Takes the value of `name`. A missing or wrong one is noted and gives `None`.
    pub(crate) fn required<T: Value>(&mut self, name: &str) -> Option<T> {
        self.required_as(&[name])
    }

    /// As [`Keys::required`], for a key with older names; the first is the one to tell.
    pub(crate) fn required_as<T: Value>(&mut self, names: &[&str]) -> Option<T> {
        let found = self.optional_as(names)?;
        if found.is_none() {
            let name = names.first().copied().unwrap_or_default();
            let problem = Problem::error(format!("`{name}` is missing in {}", self.title))
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
        match self.take(names) {
            None => Some(None),
            Some(entry) => Some(Some(self.read(&entry.key, &entry.value)?)),
        }
    }

    /// Takes the value of `name` as it stands.
    pub(crate) fn node(&mut self, name: &str) -> Option<Node> {
        self.take(&[name]).map(|it| it.value)
    }

    /// Takes `name.KEY = value` for every KEY, and `name = {…}`.
    pub(crate) fn map<T: Value>(&mut self, name: &str) -> Option<BTreeMap<String, T>> {
        if !self.asked_maps.iter().any(|it| it == name) {
            self.asked_maps.push(name.to_owned());
        }
        let wanted = plain(name);
        let mut found = Vec::new();
        let mut is_good = true;
        let own = self.entries.iter().enumerate();
        for (index, entry) in own {
            if let Some(entries) = map_entries(entry, &wanted) {
                self.taken.insert(index);
                found.push((entry.clone(), entries));
            }
        }
        let defaults = self.defaults.iter().rev();
        let defaults = defaults.filter_map(|it| Some((it.clone(), map_entries(it, &wanted)?)));
        let mut map = BTreeMap::new();
        // What comes later replaces, so the defaults come first.
        for (entry, entries) in defaults.chain(found).collect::<Vec<_>>() {
            match entries {
                Ok(entries) => {
                    for (key, node) in entries {
                        match self.read(&format!("{name}.{key}"), &node) {
                            Some(value) => {
                                map.insert(key, value);
                            }
                            None => is_good = false,
                        }
                    }
                }
                Err(misread) => {
                    is_good = false;
                    let expected = "`NAME.KEY = VALUE` or a map such as `{\"KEY\": \"VALUE\"}`";
                    self.complain(&entry.key, &entry.value, misread, expected);
                }
            }
        }
        is_good.then_some(map)
    }

    /// Takes every key of the section that nobody asked for yet: the
    /// parameters of something that knows them only now.
    pub(crate) fn rest(&mut self) -> Vec<Entry> {
        let left = self.left();
        self.taken.extend(0..self.entries.len());
        left
    }

    /// Whether the section itself sets `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        let wanted = plain(name);
        self.entries.iter().any(|it| plain(&it.key) == wanted)
    }

    /// Where `name` is set, or where the section begins.
    pub(crate) fn place(&self, name: &str) -> Place {
        let wanted = plain(name);
        self.entries
            .iter()
            .chain(&self.defaults)
            .find(|it| plain(&it.key) == wanted)
            .map_or_else(|| self.header.clone(), |it| it.value.place.clone())
    }

    /// Notes a problem of the section's own making.
    pub(crate) fn note(&mut self, problem: Problem) {
        self.problems.note(problem);
    }

    /// Notes every key that nobody asked for, with the nearest that was.
    pub(crate) fn finish(mut self) {
        for entry in self.left() {
            let what = format!("unknown key `{}` in {}", entry.key, self.title);
            let problem = Problem::error(what).at(&entry.key_place);
            let problem = match self.suggestion(&entry.key) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help(self.known()),
            };
            self.note(problem);
        }
    }

    fn left(&self) -> Vec<Entry> {
        let all = self.entries.iter().enumerate();
        all.filter(|(index, _)| !self.taken.contains(index))
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    fn suggestion(&self, key: &str) -> Option<String> {
        match key.split_once('.') {
            None => nearest(key, self.asked.iter().chain(&self.asked_maps)).cloned(),
            Some((head, rest)) => {
                nearest(head, &self.asked_maps).map(|near| format!("{near}.{rest}"))
            }
        }
    }

    fn known(&self) -> String {
        let maps = self.asked_maps.iter().map(|it| format!("`{it}.NAME`"));
        let single = self.asked.iter().map(|it| format!("`{it}`"));
        let all: Vec<_> = single.chain(maps).collect();
        if all.is_empty() {
            return format!("{} has no keys", self.title);
        }
        format!("the keys of {} are {}", self.title, all.join(", "))
    }

    fn take(&mut self, names: &[&str]) -> Option<Entry> {
        if let Some(first) = names.first()
            && !self.asked.iter().any(|it| it == first)
        {
            self.asked.push((*first).to_owned());
        }
        let wanted: Vec<_> = names.iter().map(|it| plain(it)).collect();
        let is_wanted = |entry: &&Entry| wanted.contains(&plain(&entry.key));
        let mut found: Option<usize> = None;
        for index in 0..self.entries.len() {
            if !is_wanted(&&self.entries[index]) {
                continue;
            }
            self.taken.insert(index);
            match found {
                None => found = Some(index),
                Some(first) => {
                    let (first, second) = (&self.entries[first], &self.entries[index]);
                    let what = format!("`{}` is the same as `{}`", second.key, first.key);
                    let problem = Problem::error(what)
                        .at(&second.key_place)
                        .label("the second one")
                        .also(&first.key_place, "the first one");
                    self.problems.note(problem);
                }
            }
        }
        match found {
            Some(index) => Some(self.entries[index].clone()),
            None => self.defaults.iter().find(is_wanted).cloned(),
        }
    }

    fn read<T: Value>(&mut self, name: &str, node: &Node) -> Option<T> {
        T::read(node)
            .map_err(|misread| self.complain(name, node, misread, T::EXPECTED))
            .ok()
    }

    fn complain(&mut self, name: &str, node: &Node, misread: Misread, expected: &str) {
        let place = misread.place.as_ref().unwrap_or(&node.place);
        let label = misread
            .what
            .unwrap_or_else(|| format!("expected {expected}"));
        let mut problem = Problem::error(format!("bad value for `{name}` in {}", self.title))
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

/// What `entry` says for the map `wanted`: one key, or a table of them.
fn map_entries(entry: &Entry, wanted: &str) -> Option<Result<Vec<(String, Node)>, Misread>> {
    if let Some((head, rest)) = entry.key.split_once('.')
        && plain(head) == wanted
    {
        return Some(Ok(vec![(rest.to_owned(), entry.value.clone())]));
    }
    if plain(&entry.key) != wanted {
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
        Content::Table(table) => table.clone(),
        _ => return Some(Err(Misread::default())),
    };
    Some(Ok(table.into_iter().map(|it| (it.key, it.value)).collect()))
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
        error: `password` is missing in [slave:x]
         --> master.ini:1:2
          |
        1 | [slave:x]
          |  ^^^^^^^ expected a text

        error: unknown key `max_buidls` in [slave:x]
         --> master.ini:2:1
          |
        2 | max_buidls = 1
          | ^^^^^^^^^^ did you mean `max_builds`?

        error: bad value for `lost` in [slave:x]
         --> master.ini:4:8
          |
        4 | lost = soon ; maybe
          |        ^^^^^^^^^^^^ expected a duration such as `90s` or `5m`
          |
          = help: a comment stands on a line of its own

        error: unknown key `evn.PATH` in [slave:x]
         --> master.ini:5:1
          |
        5 | evn.PATH = x
          | ^^^^^^^^ did you mean `env.PATH`?

        error: unknown key `zzz` in [slave:x]
         --> master.ini:6:1
          |
        6 | zzz = 1
          | ^^^
          |
          = help: the keys of [slave:x] are `password`, `os`, `max_builds`, `lost`, `name`, `env.NAME`, `property.NAME`

        error: `old_name` is the same as `name`
         --> master.ini:8:1
          |
        7 | name = 1
          | ---- the first one
        8 | old_name = 2
          | ^^^^^^^^ the second one

        error: bad value for `env` in [slave:x]
         --> master.ini:9:7
          |
        9 | env = [
          |       ^ expected `NAME.KEY = VALUE` or a map such as `{"KEY": "VALUE"}`

        error: bad value for `property` in [slave:x]
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
}
