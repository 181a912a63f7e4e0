//! What Buildbot's workers say over a WebSocket: maps of MessagePack, each a request or a response.
//! [`value`] makes values of bytes, [`said`] is what they are said for. Nothing here waits, reads
//! or writes.

pub(crate) mod said;
pub(crate) mod value;

#[cfg(test)]
mod recorded_tests;

/// What cannot be a message: the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbled {
    #[error("a message ends in the middle of a value")]
    Cut,
    #[error("a message goes on behind its value")]
    Rest,
    #[error("a message has a value of a type that is none")]
    Type,
    #[error("values are nested more than {} deep", value::DEEPEST)]
    Deep,
    #[error("a message has more than {} values", value::MOST)]
    Large,
    #[error("an integer does not fit into 64 bits")]
    Integer,
    #[error("a text is not UTF-8")]
    Text,
    #[error("a message is no map")]
    Mapless,
}
