//! Errors as they cross the line: their class and its bases by name, and a sentence. Clients look
//! whether a class is among the bases; people see the sentence.

use super::jelly::Value;

/// What the expression of a failure begins with.
pub(crate) const CLASS: &[u8] = b"twisted.spread.pb.CopyableFailure";

const NO_TRACEBACK: &str = "Traceback unavailable\n";

/// A call that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The full dotted name of the error's class.
    pub(crate) kind: String,
    /// What happened, in a sentence.
    pub(crate) value: String,
    /// The class and all its bases.
    pub(crate) parents: Vec<String>,
    /// Of the peer's program, for the log; nothing of this one is ever shown.
    pub(crate) traceback: String,
    /// Whether its texts are bytes, as a program of Python 2 has them.
    pub(crate) in_bytes: bool,
}

/// Classes of errors that peers act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a password is wrong. A slave comes again later; after any other error at its
    /// login it ends.
    Unauthorized,
    /// There is no such object.
    NoObject,
    /// An object has no such method.
    NoMethod,
    /// An argument is of a type that is not taken.
    Insecure,
    /// What was asked for cannot be done.
    Runtime,
}

impl Kind {
    const fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Unauthorized => &[
                "twisted.cred.error.UnauthorizedLogin",
                "twisted.cred.error.LoginFailed",
                "twisted.cred.error.Unauthorized",
                "builtins.Exception",
            ],
            Self::NoObject => &["twisted.spread.pb.Error", "builtins.Exception"],
            Self::NoMethod => &[
                "twisted.spread.flavors.NoSuchMethod",
                "builtins.AttributeError",
                "builtins.Exception",
            ],
            Self::Insecure => &["twisted.spread.jelly.InsecureJelly", "builtins.Exception"],
            Self::Runtime => &["builtins.RuntimeError", "builtins.Exception"],
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, value: impl Into<String>) -> Self {
        let classes = kind.classes();
        Self {
            kind: classes.first().copied().unwrap_or_default().to_owned(),
            value: value.into(),
            parents: classes.iter().map(|it| (*it).to_owned()).collect(),
            traceback: NO_TRACEBACK.to_owned(),
            in_bytes: false,
        }
    }

    /// Whether its class or one of its bases has this name, in whatever module.
    pub(crate) fn is(&self, class: &str) -> bool {
        let last = |name: &str| name.rsplit('.').next() == Some(class);
        last(&self.kind) || self.parents.iter().any(|it| last(it))
    }

    /// Whether the object that was called has no such method, in the words of any version.
    pub(crate) fn is_no_method(&self) -> bool {
        self.is("NoSuchMethod") || self.is("AttributeError")
    }

    /// Keys are text: new peers lose the line over others, and old ones take both. What old ones
    /// print must be bytes.
    pub(super) fn state(&self) -> Value {
        let parents = self.parents.iter().map(Value::text).collect();
        let printed = |text: &str| match self.in_bytes {
            true => Value::Bytes(text.into()),
            false => Value::text(text),
        };
        Value::dict([
            ("type", Value::Bytes(self.kind.clone().into_bytes())),
            ("value", printed(&self.value)),
            ("parents", Value::List(parents)),
            ("traceback", printed(&self.traceback)),
            // Nothing of this program is in them, but old peers look for them.
            ("frames", Value::List(Vec::new())),
            ("stack", Value::List(Vec::new())),
        ])
    }

    /// Reads the four entries that mean something.
    pub(super) fn read(state: &Value) -> Option<Self> {
        let Value::Dict(_) = state else { return None };
        let text = |key: &str| state.get(key).and_then(Value::as_text).unwrap_or_default();
        let parents = state.get("parents").and_then(Value::items);
        let parents = parents.unwrap_or_default().iter();
        Some(Self {
            kind: text("type"),
            value: text("value"),
            parents: parents.filter_map(Value::as_text).collect(),
            traceback: text("traceback"),
            in_bytes: matches!(state.get("value"), Some(Value::Bytes(_))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::jelly;
    use super::*;

    #[test]
    fn a_failure_crosses_the_line_with_what_clients_look_at() {
        let failure = Failure::new(Kind::Unauthorized, "the password is wrong");
        let there = jelly::read(jelly::write(&Value::Failure(Box::new(failure.clone())))).unwrap();
        let Value::Failure(there) = there else {
            panic!("{there:?}")
        };
        assert_eq!(*there, failure);
        assert!(there.is("UnauthorizedLogin"));
        assert!(there.is("LoginFailed"));
        assert!(!there.is("NoSuchMethod"));
    }

    #[test]
    fn what_programs_of_python_2_print_is_bytes_and_the_keys_are_text_all_the_same() {
        let failure = Failure {
            in_bytes: true,
            ..Failure::new(Kind::Runtime, "no such user")
        };
        let state = failure.state();
        let printed = ["value", "traceback"].map(|it| state.get(it).cloned());
        let bytes = ["no such user", NO_TRACEBACK].map(|it| Some(Value::Bytes(it.into())));
        assert_eq!(printed, bytes);
        let Value::Dict(pairs) = &state else { panic!() };
        assert!(pairs.iter().all(|(key, _)| matches!(key, Value::Text(_))));
        assert_eq!(Failure::read(&state), Some(failure));
    }

    #[test]
    fn keys_of_older_peers_are_bytes() {
        let key = |key: &str| Value::Bytes(key.into());
        let state = Value::Dict(vec![
            (key("type"), key("exceptions.KeyError")),
            (key("value"), key("'x'")),
            (
                key("parents"),
                Value::List(vec![key("exceptions.KeyError")]),
            ),
            (key("frames"), Value::List(vec![])),
        ]);
        let failure = Failure::read(&state).unwrap();
        assert!(failure.is("KeyError"));
        assert_eq!(failure.value, "'x'");
        assert_eq!(Failure::read(&Value::None), None);
    }
}
