//! How much of the past is kept.

use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// What is kept of a builder; `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Horizons {
    /// Builds.
    pub(crate) builds: Option<u32>,
    /// Builds whose logs are kept.
    pub(crate) logs: Option<u32>,
}

impl Horizons {
    /// What is wrong with the two together.
    pub(super) fn contradiction(self) -> Option<String> {
        match (self.builds, self.logs) {
            (Some(builds), Some(logs)) if logs > builds => Some(format!(
                "`log_horizon` {logs} is more than `build_horizon` {builds}"
            )),
            _ => None,
        }
    }
}

/// What one section says; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnHorizons {
    builds: Option<Newest>,
    logs: Option<Newest>,
}

impl OwnHorizons {
    /// With what holds where the section says nothing.
    pub(super) fn over(self, usual: Horizons) -> Horizons {
        Horizons {
            builds: self.builds.map_or(usual.builds, |it| it.0),
            logs: self.logs.map_or(usual.logs, |it| it.0),
        }
    }
}

pub(super) fn read(keys: &mut Keys<'_>) -> Option<OwnHorizons> {
    let builds = keys.optional::<Newest>("build_horizon");
    let logs = keys.optional::<Newest>("log_horizon");
    // Nothing is kept that this could shorten.
    keys.optional::<Newest>("event_horizon");
    keys.without_effect(
        "event_horizon",
        "the waterfall draws builds and changes; other events are not kept",
    );
    Some(OwnHorizons {
        builds: builds?,
        logs: logs?,
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
