//! Figures: counters, times by how long they took, and the text that Prometheus reads. It knows
//! nothing of what is counted; who counts keeps a figure and shows it here.

mod histogram;
mod process;
mod text;

pub(crate) use histogram::Histogram;
pub(crate) use histogram::Snapshot;
pub(crate) use process::Process;
pub(crate) use text::Kind;
pub(crate) use text::Text;
