//! `[lock:NAME]`.

use std::collections::BTreeMap;

use crate::model::LockName;
use crate::model::SlaveName;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockPlan {
    pub(crate) name: LockName,
    pub(crate) kind: LockKind,
    /// Holders at once with counting access.
    pub(crate) max_count: u32,
    /// The same for single slaves, with a slave lock.
    pub(crate) max_count_for_slave: BTreeMap<SlaveName, u32>,
}

impl LockPlan {
    pub(super) fn count_for(&self, slave: &SlaveName) -> u32 {
        match self.kind {
            LockKind::Master => self.max_count,
            LockKind::Slave => *self
                .max_count_for_slave
                .get(slave)
                .unwrap_or(&self.max_count),
        }
    }
}

/// How many of it there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// One for the whole master.
    Master,
    /// One for each slave.
    Slave,
}

impl Value for LockKind {
    const EXPECTED: &'static str = "`master` (one for all) or `slave` (one for each slave)";
    const SHAPE: Shape = Shape::Word(&["master", "slave"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()?.to_ascii_lowercase().as_str() {
            "master" | "masterlock" => Ok(Self::Master),
            "slave" | "slavelock" | "worker" | "workerlock" => Ok(Self::Slave),
            _ => Err(Misread::default()),
        }
    }
}

/// A number of holders.
struct Count(u32);

impl Value for Count {
    const EXPECTED: &'static str = "a whole number from 1";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        match u32::read(node) {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(Misread::default()),
        }
    }
}

/// `[lock:NAME]` with what other sections need of it.
#[derive(Clone, Debug)]
pub(crate) struct LockSection {
    pub(crate) plan: LockPlan,
    /// Where single slaves are named.
    pub(super) slaves: BTreeMap<SlaveName, Place>,
}

/// Reads the section; what is wrong with it is noted.
pub(crate) fn read(name: &str, keys: &mut Keys<'_>) -> Option<LockSection> {
    let kind = keys.or("type", LockKind::Master);
    let max_count = keys.or("max_count", Count(1));
    let for_slave = keys.placed_map::<Count>("max_count_for_slave");
    let mut slaves = BTreeMap::new();
    let mut max_count_for_slave = BTreeMap::new();
    for (slave, (place, count)) in for_slave? {
        if kind == Some(LockKind::Master) {
            let what = format!("lock `{name}` is one for the whole master");
            let problem = Problem::error(Code::Contradiction, what)
                .at(&place)
                .label("so it has no count for a slave")
                .help("`type = slave` makes it one for each slave");
            keys.note(problem);
            return None;
        }
        let slave = SlaveName::from(slave);
        slaves.insert(slave.clone(), place);
        max_count_for_slave.insert(slave, count.0);
    }
    Some(LockSection {
        plan: LockPlan {
            name: LockName::from(name),
            kind: kind?,
            max_count: max_count?.0,
            max_count_for_slave,
        },
        slaves,
    })
}
