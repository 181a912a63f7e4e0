//! Ids and names as types of their own, so that none is taken for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(Arc<str>);

        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

id!(
    /// A change, numbered by the store in order of arrival from 1.
    ChangeId
);
id!(
    /// A set of build requests that were made together.
    BuildsetId
);
id!(
    /// One builder's share of a buildset.
    RequestId
);
id!(
    /// A build, unique over all builders of a store; people say builder and number instead.
    BuildId
);
id!(
    /// A user, numbered by the store from 1.
    UserId
);
id!(
    /// A configuration that was applied, numbered by the store from 1.
    ConfigId
);

name!(
    /// A builder, as the configuration names it.
    BuilderName
);
name!(
    /// A slave, as it logs in.
    SlaveName
);
name!(
    /// A scheduler, as the configuration names it.
    SchedulerName
);
name!(
    /// A factory: a registered type, a recipe or a section.
    FactoryName
);
name!(
    /// A lock, as the configuration names it.
    LockName
);
