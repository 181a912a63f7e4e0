//! How much of the past is kept: so many of the newest, so long, so many bytes.

use std::time::Duration;

use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

/// Events of each builder and slave and of the master that are kept unless somebody says otherwise.
const EVENTS: u32 = 50;

/// What is kept of a builder; `None` keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizons {
    /// Builds.
    pub(crate) builds: Option<u32>,
    /// Builds whose logs are kept.
    pub(crate) logs: Option<u32>,
    /// For how long builds are kept after their end.
    pub(crate) build_age: Option<Duration>,
    /// For how long their logs are.
    pub(crate) log_age: Option<Duration>,
    /// Bytes that its logs may take together.
    pub(crate) log_size: Option<u64>,
    /// What happened besides builds.
    pub(crate) events: Option<u32>,
    /// For how long that is kept.
    pub(crate) event_age: Option<Duration>,
}

impl Default for Horizons {
    fn default() -> Self {
        Self {
            builds: None,
            logs: None,
            build_age: None,
            log_age: None,
            log_size: None,
            events: Some(EVENTS),
            event_age: None,
        }
    }
}

impl Horizons {
    /// What is wrong with the two together.
    pub(super) fn contradiction(self) -> Option<Contradiction> {
        if let (Some(builds), Some(logs)) = (self.builds, self.logs)
            && logs > builds
        {
            return Some(Contradiction {
                what: format!("`log_horizon` {logs} is more than `build_horizon` {builds}"),
                logs: "log_horizon",
                builds: "build_horizon",
            });
        }
        if let (Some(builds), Some(logs)) = (self.build_age, self.log_age)
            && logs > builds
        {
            return Some(Contradiction {
                what: "`log_age` is longer than `build_age`".into(),
                logs: "log_age",
                builds: "build_age",
            });
        }
        None
    }
}

/// Two horizons that cannot both be meant.
pub(super) struct Contradiction {
    pub(super) what: String,
    pub(super) logs: &'static str,
    pub(super) builds: &'static str,
}

/// What one section says; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnHorizons {
    builds: Option<Newest>,
    logs: Option<Newest>,
    build_age: Option<Option<Duration>>,
    log_age: Option<Option<Duration>>,
    log_size: Option<u64>,
    events: Option<Number>,
    event_age: Option<Option<Duration>>,
}

impl OwnHorizons {
    /// With what holds where the section says nothing.
    pub(super) fn over(self, usual: Horizons) -> Horizons {
        Horizons {
            builds: self.builds.map_or(usual.builds, |it| it.0),
            logs: self.logs.map_or(usual.logs, |it| it.0),
            build_age: self.build_age.unwrap_or(usual.build_age),
            log_age: self.log_age.unwrap_or(usual.log_age),
            log_size: self.log_size,
            events: self.events.map_or(usual.events, |it| it.0),
            event_age: self.event_age.unwrap_or(usual.event_age),
        }
    }
}

/// Reads those of a builder: what all of its logs may take is its own.
pub(super) fn read_of_builder(keys: &mut Keys<'_>) -> Option<OwnHorizons> {
    let horizons = read(keys);
    let log_size = keys.or("log_size", Size(None));
    Some(OwnHorizons {
        log_size: log_size?.0,
        ..horizons?
    })
}

/// Reads those that every builder has unless it says otherwise.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<OwnHorizons> {
    let builds = keys.optional::<Newest>("build_horizon");
    let logs = keys.optional::<Newest>("log_horizon");
    let build_age = keys.optional::<Option<Duration>>("build_age");
    let log_age = keys.optional::<Option<Duration>>("log_age");
    let events = keys.optional::<Number>("event_horizon");
    let event_age = keys.optional::<Option<Duration>>("event_age");
    Some(OwnHorizons {
        builds: builds?,
        logs: logs?,
        build_age: build_age?,
        log_age: log_age?,
        log_size: None,
        events: events?,
        event_age: event_age?,
    })
}

/// So many of the newest; `none` is all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest(pub(super) Option<u32>);

impl Value for Newest {
    const EXPECTED: &'static str = "a whole number from 1, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Int);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self(None)),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(None)),
            _ => match u32::read(node)? {
                0 => Err(Misread::default()),
                number => Ok(Self(Some(number))),
            },
        }
    }
}

/// As [`Newest`]; 0 is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(Option<u32>);

impl Value for Number {
    const EXPECTED: &'static str = "a whole number, or `none`";
    const SHAPE: Shape = Newest::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        match Newest::read(node) {
            Ok(it) => Ok(Self(it.0)),
            Err(misread) => match u32::read(node) {
                Ok(0) => Ok(Self(Some(0))),
                _ => Err(misread),
            },
        }
    }
}

/// As [`Newest`]; 0 is all too.
pub(super) struct NewestChanges(pub(super) Option<u32>);

impl Value for NewestChanges {
    const EXPECTED: &'static str = "a whole number, or `none`";
    const SHAPE: Shape = Newest::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        match Newest::read(node) {
            Ok(it) => Ok(Self(it.0)),
            Err(misread) => match u32::read(node) {
                Ok(0) => Ok(Self(None)),
                _ => Err(misread),
            },
        }
    }
}
