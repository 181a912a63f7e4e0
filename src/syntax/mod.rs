//! Text with places: INI and TOML become one [`Tree`] whose every key and
//! value knows its bytes; [`Keys`] asks a section for typed values and notes
//! every mistake; a [`Problem`] shows itself under the line it is about.
//! Nothing in here knows what a build is.

pub(crate) mod ini;
mod keys;
mod place;
mod problem;
pub(crate) mod toml;
mod values;
mod words;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use keys::Keys;
pub(crate) use keys::plain;
pub(crate) use problem::nearest;
pub(crate) use values::CommandText;
pub(crate) use values::Pattern;

/// A file that was read, or a text that stands for one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// As messages name it: relative to where the reader stands.
    pub(crate) name: String,
    /// Where relative paths in it start.
    pub(crate) dir: PathBuf,
    pub(crate) text: String,
}

/// Some bytes of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A mistake in a file: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// One line without a full stop, names in backticks.
    pub(crate) what: String,
    pub(crate) place: Option<Place>,
    /// Said under the place: `did you mean …?`, `expected …`.
    pub(crate) label: Option<String>,
    /// Other places that belong to it, such as the first of two equal keys.
    pub(crate) also: Vec<(Place, String)>,
    /// Further lines, each a `help:`.
    pub(crate) help: Vec<String>,
}

/// Everything that is wrong, told in one run, sorted by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

/// A file as sections in file order.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) sections: Vec<Section>,
}

/// `[name]` and what stands under it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// As INI spells it: `:master:`, `slave:linux`, `hello`.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) entries: Vec<Entry>,
    /// What `[DEFAULT]` says for every section; nobody has to ask for these.
    pub(crate) defaults: Arc<Vec<Entry>>,
}

/// `key = value`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// What a value is. INI has only text; the asker's type reads it.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Only JSON has it.
    Null,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A type that a value can be read as.
pub(crate) trait Value: Sized {
    /// What to expect, such as ``a duration such as `90s` or `5m` ``.
    const EXPECTED: &'static str;

    /// Reads the node; `Err` carries a more exact complaint if there is one.
    fn read(node: &Node) -> Result<Self, Misread>;
}

/// Why a value cannot be read: nothing more than "expected …", or this.
#[derive(Debug, Default)]
pub(crate) struct Misread {
    pub(crate) what: Option<String>,
    /// The bytes in the source, if narrower than the whole value.
    pub(crate) place: Option<Place>,
}
