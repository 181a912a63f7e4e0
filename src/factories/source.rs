//! `source`: checks repositories out and does nothing else; recipes build on it.

use std::sync::Arc;

use crate::model::Platform;
use crate::model::SourceStamp;
use crate::steps::StepPlan;

use super::Factory;
use super::FactoryKind;
use super::Repository;
use super::number_names;
use super::sources::Sources;

pub(super) const KIND: FactoryKind = FactoryKind {
    name: "source",
    summary: "Checks out Git, Mercurial and Subversion repositories.",
    example: "git = https://example.org/hello.git#main",
    read: |keys| Some(Arc::new(Source(Sources::read_in_place(keys)?))),
};

#[derive(Debug)]
struct Source(Sources);

impl Factory for Source {
    fn sources(&self) -> &[Repository] {
        &self.0.all
    }

    fn workdir(&self, stamp: &SourceStamp) -> Result<String, String> {
        self.0.workdir.over(stamp)
    }

    fn steps(&self, _: &Platform) -> Result<Vec<StepPlan>, String> {
        Ok(number_names(self.0.checkouts()))
    }
}
