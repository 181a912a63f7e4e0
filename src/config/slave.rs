//! The keys of `[slave:NAME]`.

use std::path::PathBuf;

use super::Launch;
use super::SlavePlan;
use super::master;
use crate::model::SlaveName;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Value;

/// `[slave:NAME]` and the factories it names.
pub(super) struct Slave {
    pub(super) name: SlaveName,
    pub(super) place: Place,
    /// `None` if something is wrong with it.
    pub(super) plan: Option<SlavePlan>,
    /// `None` if the list cannot be read.
    pub(super) factories: Option<Vec<(String, Place)>>,
}

/// The keys that may also stand in `[:master:]`, as [`plain`](crate::syntax::plain) spells them.
pub(super) const COMMON: [&str; 5] = ["password", "factories", "os", "launch", "maxbuilds"];

/// What they say; `None` where that is wrong.
pub(super) struct Common {
    password: Option<Option<Password>>,
    factories: Option<Vec<(String, Place)>>,
    os: Option<Option<Os>>,
    launch: Option<LaunchWord>,
    max_builds: Option<Option<AtLeastOne>>,
}

impl Common {
    pub(super) fn is_good(&self) -> bool {
        self.password.is_some()
            && self.factories.is_some()
            && self.os.is_some()
            && self.launch.is_some()
            && self.max_builds.is_some()
    }
}

/// Reads the keys that may also stand in `[:master:]`.
pub(super) fn read_common(keys: &mut Keys<'_>) -> Common {
    Common {
        password: keys.optional("password"),
        factories: keys.or("factories", Vec::new()),
        os: keys.optional("os"),
        launch: keys.or("launch", LaunchWord::None),
        max_builds: keys.optional("max_builds"),
    }
}

/// Two slaves of the master's own cannot work in one directory.
pub(super) fn check_basedirs(slaves: &[Slave], problems: &mut Problems) {
    let local = |slave: &Slave| match &slave.plan.as_ref()?.launch {
        Launch::Local { basedir } => Some(basedir.clone()),
        Launch::None => None,
    };
    for (index, slave) in slaves.iter().enumerate() {
        let Some(basedir) = local(slave) else {
            continue;
        };
        let earlier = slaves[..index]
            .iter()
            .find(|it| local(it).as_ref() == Some(&basedir));
        if let Some(earlier) = earlier {
            let what = format!(
                "slave `{}` would work in the base directory of slave `{}`",
                slave.name, earlier.name
            );
            let problem = Problem::error(what)
                .at(&slave.place)
                .label(format!("`{}` is taken", basedir.display()))
                .also(&earlier.place, "by this");
            problems.note(problem);
        }
    }
}

/// Reads a slave's section; what is wrong with it is noted.
pub(super) fn read(name: &str, mut keys: Keys<'_>) -> Slave {
    let place = keys.header().clone();
    let mut common = read_common(&mut keys);
    let basedir = keys.optional::<PathBuf>("basedir");
    let properties = master::properties(&mut keys, "BuildSlave");
    if matches!(common.password, Some(None)) {
        let problem = Problem::error(format!("slave `{name}` has no password"))
            .at(&place)
            .label("expected `password = …` in this section or in [:master:]");
        keys.note(problem);
    }
    if common.launch == Some(LaunchWord::None) && keys.has("basedir") {
        let problem = Problem::error(format!("bad value for `basedir` in {}", keys.title()))
            .at(&keys.place("basedir"))
            .label("the slave says itself where it works, unless `launch = local`");
        keys.note(problem);
    }
    keys.finish();
    let factories = common.factories.take();
    let plan = || {
        let launch = match common.launch? {
            LaunchWord::None => Launch::None,
            LaunchWord::Local => Launch::Local {
                basedir: basedir?.unwrap_or_else(|| place.source.dir.join("slaves").join(name)),
            },
        };
        Some(SlavePlan {
            name: SlaveName::from(name),
            password: common.password??.0,
            os: common.os?.map(|it| it.0.to_owned()),
            launch,
            max_builds: common.max_builds?.map(|it| it.0),
            properties: properties?,
        })
    };
    Slave {
        name: SlaveName::from(name),
        plan: plan(),
        place,
        factories,
    }
}

struct Password(String);

impl Value for Password {
    const EXPECTED: &'static str = "a password";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if text.is_empty() {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}

struct Os(&'static str);

impl Value for Os {
    const EXPECTED: &'static str = "`linux`, `win` or `mac`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let all = ["linux", "win", "mac"];
        let found = all.into_iter().find(|it| *it == text);
        found.map(Self).ok_or_else(Misread::default)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LaunchWord {
    None,
    Local,
}

impl Value for LaunchWord {
    const EXPECTED: &'static str = "`none` (the slave dials in) or `local` (the master starts it)";

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "none" => Ok(Self::None),
            "local" => Ok(Self::Local),
            _ => Err(Misread::default()),
        }
    }
}

struct AtLeastOne(u32);

impl Value for AtLeastOne {
    const EXPECTED: &'static str = "a whole number from 1";

    fn read(node: &Node) -> Result<Self, Misread> {
        match u32::read(node) {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(Misread::default()),
        }
    }
}
