//! How much of a log is kept.

use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

/// What is kept of a log that has ended, in bytes of output; `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogLimits {
    pub(crate) max_size: Option<u64>,
    /// What is kept of the end of a log that was longer.
    pub(crate) max_tail_size: Option<u64>,
}

pub(super) fn read(keys: &mut Keys<'_>) -> Option<LogLimits> {
    let max_size = keys.or("log_max_size", Size(None));
    let max_tail_size = keys.or("log_max_tail_size", Size(None));
    let compression = keys.optional::<Compression>("log_compression_limit");
    let method = keys.optional::<Method>("log_compression_method");
    for name in ["log_compression_limit", "log_compression_method"] {
        keys.without_effect(name, "this version keeps logs as they are");
    }
    if let (Some(Size(None)), Some(Size(Some(_)))) = (&max_size, &max_tail_size) {
        keys.without_effect(
            "log_max_tail_size",
            "without `log_max_size`, logs are kept whole",
        );
    }
    compression?;
    method?;
    Some(LogLimits {
        max_size: max_size?.0,
        max_tail_size: max_tail_size?.0,
    })
}

/// From which size on a log would be compressed; `no` never.
struct Compression;

impl Value for Compression {
    const EXPECTED: &'static str = "a size such as `4096`, or `no`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        match (Size::read(node), bool::read(node)) {
            (Err(_), Err(misread)) => Err(misread),
            _ => Ok(Self),
        }
    }
}

struct Method;

impl Value for Method {
    const EXPECTED: &'static str = "`gz` or `bz2`";
    const SHAPE: Shape = Shape::Word(&["gz", "bz2"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "gz" | "bz2" => Ok(Self),
            _ => Err(Misread::default()),
        }
    }
}
