//! What happened to builders, slaves and the master besides changes and builds.

use super::{BuilderName, SlaveName, Timestamp};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Connected,
    Disconnected,
    /// Somebody came under the name of a slave and was not let in.
    NotConnected,
    /// A slave that is started when it is needed came into the configuration.
    LatentAdded,
    LatentRemoved,
    Substantiating,
    Substantiated,
    NotSubstantiated,
    MasterStarted,
    MasterStopped,
    BuilderCreated,
    ConfigUpdated,
    /// A running build was told to stop.
    Interrupted,
    /// The factory gave no steps.
    NoSteps,
    Pinging,
    PingSucceeded,
    PingFailed,
    PingWithoutSlave,
    /// The slave is down and would be started if it were needed.
    PingLatent,
}

impl EventKind {
    pub(crate) const ALL: [Self; 19] = [
        Self::Connected,
        Self::Disconnected,
        Self::NotConnected,
        Self::LatentAdded,
        Self::LatentRemoved,
        Self::Substantiating,
        Self::Substantiated,
        Self::NotSubstantiated,
        Self::MasterStarted,
        Self::MasterStopped,
        Self::BuilderCreated,
        Self::ConfigUpdated,
        Self::Interrupted,
        Self::NoSteps,
        Self::Pinging,
        Self::PingSucceeded,
        Self::PingFailed,
        Self::PingWithoutSlave,
        Self::PingLatent,
    ];

    /// As pages, documents and the store call it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connect",
            Self::Disconnected => "disconnect",
            Self::NotConnected => "failed connect",
            Self::LatentAdded => "added latent",
            Self::LatentRemoved => "removing latent",
            Self::Substantiating => "substantiating",
            Self::Substantiated => "substantiate success",
            Self::NotSubstantiated => "substantiate failed",
            Self::MasterStarted => "master started",
            Self::MasterStopped => "master shutdown",
            Self::BuilderCreated => "builder created",
            Self::ConfigUpdated => "config updated",
            Self::Interrupted => "interrupt",
            Self::NoSteps => "setupBuild exception",
            Self::Pinging => "pinging",
            Self::PingSucceeded => "ping success",
            Self::PingFailed => "ping failed",
            Self::PingWithoutSlave => "ping no slave",
            Self::PingLatent => "ping latent",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// Whom it happened to: one row, however many builders show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    Master,
    Slave(SlaveName),
    Builder(BuilderName),
}

/// Something that happened, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) at: Timestamp,
    pub(crate) subject: Subject,
    pub(crate) kind: EventKind,
    /// More about it; may be empty.
    pub(crate) note: String,
}

impl NewEvent {
    /// Without a note.
    pub(crate) fn new(at: Timestamp, subject: Subject, kind: EventKind) -> Self {
        Self {
            at,
            subject,
            kind,
            note: String::new(),
        }
    }
}

/// An event that is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRecord {
    /// The order in which they were written down.
    pub(crate) id: i64,
    pub(crate) event: NewEvent,
}

impl EventRecord {
    /// What happened in a few words, with the slave where that is not said by the column.
    pub(crate) fn text(&self) -> String {
        let word = self.event.kind.word();
        match &self.event.subject {
            Subject::Slave(slave) => format!("{word} {slave}"),
            Subject::Master | Subject::Builder(_) => word.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of_word(kind.word()), Some(kind));
        }
        assert_eq!(EventKind::of_word("dancing"), None);
    }

    #[test]
    fn an_event_of_a_slave_names_it() {
        let text = |subject, kind| {
            let event = NewEvent::new(Timestamp(1), subject, kind);
            EventRecord { id: 1, event }.text()
        };
        let slave = Subject::Slave("x".into());
        assert_eq!(text(slave.clone(), EventKind::Connected), "connect x");
        assert_eq!(text(slave, EventKind::LatentAdded), "added latent x");
        assert_eq!(
            text(Subject::Master, EventKind::MasterStarted),
            "master started"
        );
    }
}
