//! Which keys a section may have: its reader is asked, by running it with
//! nowhere to complain to.

use super::Catalogue;
use super::authz;
use super::builder;
use super::master;
use super::matrix::Matrix;
use super::metrics;
use super::sections::Kind;
use super::select::Slaves;
use super::slave;
use super::trials;
use super::users;
use super::validation;
use super::web;
use crate::changes;
use crate::expr::Fillings;
use crate::locks;
use crate::reporters;
use crate::schedulers;
use crate::secrets;
use crate::syntax::Asked;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Shape;

/// What is known of the keys of a section.
pub(crate) struct Known {
    pub(crate) keys: Vec<Asked>,
    /// What any other key is read as, if there may be others.
    pub(crate) rest: Option<Shape>,
}

/// Asks the reader of sections of this kind. What it asks for may depend on
/// what stands in the section: the `type` of a factory does.
pub(crate) fn asked(kind: Kind, section: &Section, catalogue: &dyn Catalogue) -> Known {
    let mut quiet = Problems::default();
    let mut known = Known {
        keys: Vec::new(),
        rest: None,
    };
    let mut keys = Keys::of(section, &mut quiet);
    match kind {
        Kind::Master => drop(master::read(&mut keys)),
        Kind::Slave => drop(slave::read(&section.own_name, &mut keys)),
        Kind::Builder => of_builder(&mut keys),
        Kind::Factory => {
            let reading = catalogue.read(section, &Fillings::default(), &mut Problems::default());
            keys.also_asked(&reading.asked);
            builder::read_keys(&mut keys);
        }
        Kind::Properties => known.rest = Some(Shape::Json),
        Kind::Source => drop(changes::read(&mut keys)),
        Kind::Scheduler => drop(schedulers::read(&mut keys)),
        Kind::Lock => drop(locks::read(&section.own_name, &mut keys)),
        Kind::Status => drop(reporters::read(&mut keys)),
        Kind::User => drop(users::read(&section.own_name, &mut keys)),
        Kind::Test => drop(trials::read_keys(&mut keys)),
        Kind::Web => drop(web::read(&mut keys)),
        Kind::Authz => drop(authz::read(&mut keys)),
        Kind::Validation => drop(validation::read(&mut keys)),
        Kind::Secrets => drop(secrets::read(&mut keys)),
        Kind::Metrics => drop(metrics::read(&mut keys)),
    }
    if known.rest.is_none() && !kind.table().is_alone {
        keys.optional::<String>("extends");
    }
    known.keys = keys.asked();
    known
}

fn of_builder(keys: &mut Keys<'_>) {
    keys.optional::<String>("factory");
    keys.optional_as::<Slaves>(&builder::SLAVES);
    Matrix::read(keys);
    builder::read_keys(keys);
    keys.map::<Node>("param");
}
