//! Text with places: INI and TOML become one [`Tree`] whose every key and
//! value knows its bytes; [`Keys`] asks a section for typed values and notes
//! every mistake; a [`Problem`] shows itself under the line it is about.
//! Nothing in here knows what a build is.

mod codes;
mod glob;
mod hidden;
pub(crate) mod ini;
mod keys;
mod pieces;
mod place;
mod problem;
mod questions;
mod shape;
mod size;
mod spelling;
pub(crate) mod toml;
mod values;
mod whole;
mod words;
pub(crate) mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub(crate) use codes::Code;
pub(crate) use glob::Glob;
pub(crate) use hidden::HiddenText;
pub(crate) use keys::Keys;
pub(crate) use keys::Referred;
pub(crate) use pieces::Pieces;
pub(crate) use problem::nearest;
pub(crate) use questions::Asked;
pub(crate) use questions::Questions;
pub(crate) use shape::Shape;
pub(crate) use size::Size;
pub(crate) use spelling::plain;
pub(crate) use spelling::same;
pub(crate) use values::CommandText;
pub(crate) use values::LONGEST_DURATION;
pub(crate) use values::Pattern;
pub(crate) use values::duration;
pub(crate) use values::text_with_secrets;
pub(crate) use whole::WholePattern;
pub(crate) use words::json;

/// A file that was read, a part of a long one, or a text that stands for one.
#[derive(Debug)]
pub(crate) struct Source {
    /// As messages name it: relative to where the reader stands.
    pub(crate) name: String,
    /// Where another file names it, if one does.
    pub(crate) included: Option<Place>,
    /// Where relative paths in it start.
    pub(crate) dir: PathBuf,
    pub(crate) text: String,
    /// Where in its file the text begins.
    pub(crate) begins: Begins,
}

/// Where a text begins. It moves when another text before it grows.
#[derive(Debug, Default)]
pub(crate) struct Begins {
    offset: AtomicUsize,
    /// How many lines are before it.
    line: AtomicUsize,
}

/// Some bytes of a source. Two places are equal if the bytes are, whatever
/// road led there. The span counts from where the source begins.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    /// Small: there is one for every word of a configuration.
    span: (u32, u32),
    /// How what stands there came to where it is used.
    pub(crate) via: Option<Arc<Via>>,
}

/// A stop on the road from where a value is written to where it is used: a
/// section that takes it over, an axis that fills it in.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    pub(crate) place: Place,
    /// Said under the place: `taken over here`.
    pub(crate) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A mistake in a file: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
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
    /// As the file spells it: `:master:`, `slave:linux`, `hello`; in TOML `slave.linux`.
    pub(crate) name: String,
    /// The name without its kind: `linux`.
    pub(crate) own_name: String,
    pub(crate) place: Place,
    pub(crate) entries: Vec<Entry>,
    /// What the sections say that it extends, the nearest first.
    pub(crate) inherited: Vec<Vec<Entry>>,
    /// What `[DEFAULT]` says for every section; nobody has to ask for these.
    pub(crate) defaults: Arc<Vec<Entry>>,
}

/// `key = value`.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) op: Op,
    pub(crate) value: Node,
}

/// What an entry does to the value that its key has so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// `=`: takes its place.
    Set,
    /// `+=`: appends to a list.
    Append,
    /// `-=`: removes from a list.
    Remove,
}

/// A value and its place.
#[derive(Clone)]
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
    /// Shared: steps are long lists, which every layer of reading passes on.
    List(Arc<Vec<Node>>),
    Table(Vec<Entry>),
    /// What `+=` and `-=` made of another value.
    Edited(Box<Edited>),
}

/// A list and what is done to it.
#[derive(Clone, Debug)]
pub(crate) struct Edited {
    pub(crate) base: Option<Node>,
    /// In the order in which they are done.
    pub(crate) edits: Vec<(Op, Node)>,
}

/// A type that a value can be read as.
pub(crate) trait Value: Sized {
    /// What to expect, such as ``a duration such as `90s` or `5m` ``.
    const EXPECTED: &'static str;
    /// How it is written.
    const SHAPE: Shape = Shape::Text;

    /// Reads the node; `Err` carries a more exact complaint if there is one.
    fn read(node: &Node) -> Result<Self, Misread>;
}

/// Why a value cannot be read: nothing more than "expected …", or this.
#[derive(Debug, Default)]
pub(crate) struct Misread {
    pub(crate) what: Option<String>,
    /// The bytes in the source, if narrower than the whole value.
    pub(crate) place: Option<Place>,
    /// What kind of mistake it is, if not simply a bad value.
    pub(crate) code: Option<Code>,
}
