//! What kinds of values there are, for the manual, the schema and the
//! conversion between the two spellings.

/// How a value is written, as its type reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Text,
    /// A text with property references such as `%(branch)s`.
    Template,
    Bool,
    Int,
    Number,
    Duration,
    Size,
    Port,
    Path,
    /// A regular expression.
    Pattern,
    /// An expression of minijinja.
    Expression,
    /// A line for the shell, or a list: a program and its arguments.
    Command,
    /// Whatever there is: who asks reads it later, by another shape.
    Any,
    /// Whatever JSON can say; a text that begins with `[` or `{` is read as JSON.
    Json,
    /// Words or a list; each item has the shape.
    List(&'static Self),
    /// Lines or a list; each item has the shape.
    Lines(&'static Self),
    /// Items with commas or line ends between them, or a list; each item has the shape.
    Items(&'static Self),
    /// One value, or a list of them; a text is never split.
    OneOrMore(&'static Self),
    /// The shape, or an expression in one text.
    OrExpression(&'static Self),
    /// Dotted keys or a table.
    Map(&'static Self),
    /// One value of the first shape, or a map of values of the second.
    OrMap(&'static Self, &'static Self),
    /// One of these words.
    Word(&'static [&'static str]),
    /// The shape, or `none`.
    OrNone(&'static Self),
}

impl Shape {
    /// Whether `+=` and `-=` make sense.
    pub(crate) const fn is_list(self) -> bool {
        match self {
            Self::List(_) | Self::Lines(_) | Self::Items(_) => true,
            Self::OrExpression(it) | Self::OrMap(it, _) => it.is_list(),
            _ => false,
        }
    }

    /// Whether texts of such a value refer to properties.
    pub(crate) const fn has_references(self) -> bool {
        match self {
            Self::Template | Self::Command => true,
            Self::List(it)
            | Self::Lines(it)
            | Self::Items(it)
            | Self::OneOrMore(it)
            | Self::OrExpression(it)
            | Self::Map(it)
            | Self::OrNone(it) => it.has_references(),
            Self::OrMap(one, each) => one.has_references() || each.has_references(),
            _ => false,
        }
    }

    pub(crate) const fn is_map(self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// What stands under each name, if it is or may be a map.
    pub(crate) const fn each(self) -> Option<Self> {
        match self {
            Self::Map(it) | Self::OrMap(_, it) => Some(*it),
            _ => None,
        }
    }

    /// The shape of one such value or a map of them.
    pub(crate) const fn or_map(self) -> Self {
        match self {
            Self::OneOrMore(&Self::Text) => {
                Self::OrMap(&Self::OneOrMore(&Self::Text), &Self::OneOrMore(&Self::Text))
            }
            _ => Self::OrMap(&Self::Text, &Self::Text),
        }
    }

    /// The shape of a map of such values.
    pub(crate) const fn in_map(self) -> Self {
        match self {
            Self::Bool => Self::Map(&Self::Bool),
            Self::Int => Self::Map(&Self::Int),
            Self::Duration => Self::Map(&Self::Duration),
            Self::Any => Self::Map(&Self::Any),
            Self::Json => Self::Map(&Self::Json),
            Self::Pattern => Self::Map(&Self::Pattern),
            Self::Expression => Self::Map(&Self::Expression),
            Self::Path => Self::Map(&Self::Path),
            Self::List(&Self::Any) => Self::Map(&Self::List(&Self::Any)),
            Self::List(_) => Self::Map(&Self::List(&Self::Text)),
            Self::OrNone(Self::Template) => Self::Map(&Self::OrNone(&Self::Template)),
            Self::OrNone(_) => Self::Map(&Self::OrNone(&Self::Text)),
            Self::OneOrMore(_) => Self::Map(&Self::OneOrMore(&Self::Text)),
            Self::Template => Self::Map(&Self::Template),
            _ => Self::Map(&Self::Text),
        }
    }
}
