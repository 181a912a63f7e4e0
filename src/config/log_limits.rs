//! How much of a log is kept.

use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// What is kept of a log that has ended, in bytes of output; `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogLimits {
    pub(crate) max_size: Option<u64>,
    /// What is kept of the end of a log that was longer.
    pub(crate) max_tail_size: Option<u64>,
}

pub(super) fn read(keys: &mut Keys<'_>) -> Option<LogLimits> {
    let max_size = keys.or("log_max_size", Bytes(None));
    let max_tail_size = keys.or("log_max_tail_size", Bytes(None));
    let compression = keys.optional::<Compression>("log_compression_limit");
    let method = keys.optional::<Method>("log_compression_method");
    for name in ["log_compression_limit", "log_compression_method"] {
        keys.without_effect(name, "this version keeps logs as they are");
    }
    if let (Some(Bytes(None)), Some(Bytes(Some(_)))) = (&max_size, &max_tail_size) {
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

/// A number of bytes.
struct Bytes(Option<u64>);

impl Value for Bytes {
    const EXPECTED: &'static str = "a size such as `65536`, `64K` or `10M`, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = match &node.content {
            Content::Null => return Ok(Self(None)),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => return Ok(Self(None)),
            Content::Text(text) => text.trim(),
            _ => return u64::read(node).map(|it| Self(Some(it))),
        };
        let digits = text.find(|it: char| !it.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let shift = match unit.trim().to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            _ => return Err(Misread::default()),
        };
        let number: u64 = number.parse().map_err(|_| Misread::default())?;
        let bytes = number
            .checked_mul(1 << shift)
            .ok_or_else(Misread::default)?;
        Ok(Self(Some(bytes)))
    }
}

/// From which size on a log would be compressed; `no` never.
struct Compression;

impl Value for Compression {
    const EXPECTED: &'static str = "a size such as `4096`, or `no`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        match (Bytes::read(node), bool::read(node)) {
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
