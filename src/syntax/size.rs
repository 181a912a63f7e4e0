//! Sizes as they are written: `65536`, `64K`, `10M`, `none`.

use super::Content;
use super::Misread;
use super::Node;
use super::Shape;
use super::Value;

/// A number of bytes, or no limit.
pub(crate) struct Size(pub(crate) Option<u64>);

impl Value for Size {
    const EXPECTED: &'static str = "a size such as `16384` or `10M`, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = match &node.content {
            Content::Null => return Ok(Self(None)),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => return Ok(Self(None)),
            Content::Text(text) => text.trim(),
            _ => return u64::read(node).map(|it| Self(Some(it))),
        };
        let split = text.find(|it: char| !it.is_ascii_digit());
        let (number, unit) = text.split_at(split.unwrap_or(text.len()));
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
