//! What a slave is told and what is heard of it, whichever of the two protocols of Buildbot its
//! program speaks. Objects of the older one are what the other one names in its messages, so the
//! [`Slave`](super::slave::Slave) is the same in both.

use crate::wire::msgpack;
use crate::wire::pb::broker::Broken;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::broker::CallId;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::order::Order;
use super::slave::Object;

/// What no program of Buildbot says: the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error(transparent)]
    Calls(#[from] Broken),
    #[error(transparent)]
    Packed(#[from] msgpack::Garbled),
}

/// A command as a protocol names it: by the object of its builder, and by its own number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) builder: u64,
    pub(super) number: u64,
}

pub(super) trait Tongue {
    /// What was heard next; `None` until more has come.
    fn next(&mut self) -> Result<Option<Heard<Object>>, Nonsense>;

    fn answer(&mut self, owed: Owed, result: Result<Value, Failure>);

    /// Asks for a sign of life.
    fn ping(&mut self) -> CallId;

    /// Tells the slave to end. The oldest ones hear it by a builder only.
    fn shut_down(&mut self, builder: Option<u64>) -> CallId;

    /// Says which builders there are. `None`: this protocol has none, and any directory will do.
    fn list_builders<'a>(&mut self, dirs: impl Iterator<Item = &'a String>) -> Option<CallId>;

    /// Has a builder begin a command. `name` is the command's own, wherever the line goes.
    fn start(&mut self, place: Place, name: &str, order: &Order) -> CallId;

    /// Has the slave end a command.
    fn interrupt(&mut self, place: Place, why: &str) -> CallId;

    /// How an order names an object of this side.
    fn object(&mut self, object: &Object) -> Value;

    /// Calls of what belongs to a command mean nothing from here on.
    fn forget(&mut self, number: u64);

    /// Gives up an object of the slave's.
    fn release(&mut self, object: u64);
}

/// Calls of objects: Perspective Broker.
pub(super) struct Calls {
    pub(super) broker: Broker<Object>,
    /// The object by which the slave is told what to do.
    pub(super) bot: u64,
}

impl Tongue for Calls {
    fn next(&mut self) -> Result<Option<Heard<Object>>, Nonsense> {
        Ok(self.broker.next()?)
    }

    fn answer(&mut self, owed: Owed, result: Result<Value, Failure>) {
        self.broker.answer(owed, result);
    }

    fn ping(&mut self) -> CallId {
        let ping = Arguments::named("message", Value::text("ping"));
        self.broker.call(self.bot, "print", ping)
    }

    fn shut_down(&mut self, builder: Option<u64>) -> CallId {
        let object = builder.unwrap_or(self.bot);
        self.broker.call(object, "shutdown", Arguments::default())
    }

    fn list_builders<'a>(&mut self, dirs: impl Iterator<Item = &'a String>) -> Option<CallId> {
        let pair = |dir: &String| Value::Tuple(vec![Value::text(dir), Value::text(dir)]);
        let dirs = Arguments::places([Value::List(dirs.map(pair).collect())]);
        Some(self.broker.call(self.bot, "setBuilderList", dirs))
    }

    fn start(&mut self, place: Place, name: &str, order: &Order) -> CallId {
        let command = self.broker.object(&Object::Command(place.number));
        let arguments = Arguments::places([
            command,
            Value::text(name),
            Value::text(order.name),
            order.arguments.clone(),
        ]);
        self.broker.call(place.builder, "startCommand", arguments)
    }

    fn interrupt(&mut self, place: Place, why: &str) -> CallId {
        // The slave does not look at which command it is: a builder has one.
        let arguments = Arguments::places([Value::text("0"), Value::text(why)]);
        self.broker
            .call(place.builder, "interruptCommand", arguments)
    }

    fn object(&mut self, object: &Object) -> Value {
        self.broker.object(object)
    }

    fn forget(&mut self, number: u64) {
        self.broker.withdraw(&Object::Command(number));
        self.broker.withdraw(&Object::Writer(number));
        self.broker.withdraw(&Object::Reader(number));
    }

    fn release(&mut self, object: u64) {
        self.broker.release(object);
    }
}
