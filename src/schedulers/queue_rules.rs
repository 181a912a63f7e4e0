//! What a scheduler says of its requests while they wait: how urgent they are,
//! and whether a newer one makes older ones pointless. A builder may say the
//! same, for all of its requests.

use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// What a scheduler says of its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueRules {
    /// Higher goes first; `None`: as each one's builder has it.
    pub(crate) priority: Option<i64>,
    /// `None`: as each one's builder has it.
    pub(crate) cancel_superseded: Option<CancelSuperseded>,
}

/// Asks for both keys.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<QueueRules> {
    let priority = keys.optional::<i64>("priority");
    let cancel_superseded = keys.optional("cancel_superseded");
    Some(QueueRules {
        priority: priority?,
        cancel_superseded: cancel_superseded?,
    })
}

/// Which older requests a newer one of the same branch cancels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CancelSuperseded {
    #[default]
    No,
    /// Those that wait.
    Queued,
    /// Those that wait and those that are built.
    Running,
}

impl CancelSuperseded {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Queued => "queued",
            Self::Running => "running",
        }
    }
}

impl Value for CancelSuperseded {
    const EXPECTED: &'static str = "`no`, `queued` or `running`";
    const SHAPE: Shape = Shape::Word(&["no", "queued", "running"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        if matches!(bool::read(node), Ok(false)) {
            return Ok(Self::No);
        }
        match node.as_text()? {
            "queued" => Ok(Self::Queued),
            "running" => Ok(Self::Running),
            _ => Err(Misread::default()),
        }
    }
}
