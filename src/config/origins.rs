//! Where the parts of a plan come from that do not say so themselves.

use std::collections::BTreeMap;

use super::Origin;
use super::manual;
use super::sections::Kind;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Section;
use crate::syntax::same;

/// Origins by kind and name, and the keys of `[:master:]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(super) slaves: BTreeMap<String, Origin>,
    pub(super) locks: BTreeMap<String, Origin>,
    pub(super) users: BTreeMap<String, Origin>,
    /// In the order in which the reader asks.
    pub(super) master: Vec<MasterKey>,
}

/// A key that `[:master:]` may have.
#[derive(Clone, Debug)]
pub(super) struct MasterKey {
    pub(super) name: String,
    /// As it is written, and where; `None` where the file does not say it.
    pub(super) set: Option<(String, Place)>,
    /// What it is where the file says nothing.
    pub(super) default: Option<&'static str>,
}

impl Origins {
    /// Takes in where sections stand.
    pub(super) fn add<'a>(&mut self, kind: Kind, sections: impl Iterator<Item = &'a Section>) {
        let all = match kind {
            Kind::Slave => &mut self.slaves,
            Kind::Lock => &mut self.locks,
            Kind::User => &mut self.users,
            _ => return,
        };
        all.extend(sections.map(|it| (it.own_name.clone(), Origin::section(it))));
    }

    /// Takes in the keys that were asked for in `[:master:]`, before they are done with.
    pub(super) fn read_master(&mut self, section: &Section, keys: &Keys<'_>) {
        for asked in keys.asked() {
            let names: Vec<_> = [&asked.name].into_iter().chain(&asked.older).collect();
            let is_own = |key: &str| names.iter().any(|it| same(key, it));
            let entries = &section.entries;
            let own = entries.iter().find(|it| is_own(&it.key));
            let is_of_map = |key: &str| {
                let map = key.split_once('.').map(|(map, _)| map);
                map.is_some_and(is_own)
            };
            let maps = entries.iter().filter(|it| is_of_map(&it.key));
            for it in maps {
                let name = match it.key.split_once('.') {
                    Some((_, inside)) => format!("{}.{inside}", asked.name),
                    None => asked.name.clone(),
                };
                self.put(
                    name,
                    Some((written(&it.value), it.value.place.clone())),
                    None,
                );
            }
            let set = own.map(|it| (written(&it.value), it.value.place.clone()));
            let default = manual::default_of("master", &asked.name);
            if set.is_some() || default.is_some() {
                self.put(asked.name.clone(), set, default);
            }
        }
    }

    fn put(&mut self, name: String, set: Option<(String, Place)>, default: Option<&'static str>) {
        if !self.master.iter().any(|it| it.name == name) {
            self.master.push(MasterKey { name, set, default });
        }
    }
}

/// A value as its file has it.
fn written(node: &crate::syntax::Node) -> String {
    match &node.content {
        Content::Text(text) => text.clone(),
        _ => node.place.text().to_owned(),
    }
}
