//! What `create-autobot` and its relatives make: [`plan`] says what would be
//! written, as a value; [`write()`] writes it, all or nothing, and never over
//! something else. Neither asks the person anything and neither starts anything.

mod master_ini;
mod plan;
mod project;
mod slave_ini;
mod write;

#[cfg(test)]
pub(crate) use plan::Content;
pub(crate) use plan::FactoryChoice;
pub(crate) use plan::MasterVariables;
pub(crate) use plan::Plan;
pub(crate) use plan::SlaveVariables;
pub(crate) use project::Project;
pub(crate) use project::clean_name;
pub(crate) use write::Report;
pub(crate) use write::WriteError;
pub(crate) use write::write;
