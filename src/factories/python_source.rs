//! `python_source`: a Python environment with the repositories installed in it.

use std::sync::Arc;

use crate::model::Platform;
use crate::model::Text;
use crate::steps::Line;
use crate::steps::Settings;
use crate::steps::StepPlan;
use crate::steps::plan;

use super::Factory;
use super::FactoryKind;
use super::Repository;
use super::number_names;
use super::virtualenv::Virtualenv;

pub(super) const KIND: FactoryKind = FactoryKind {
    name: "python_source",
    summary: "Makes a Python environment and installs the source in it.",
    example: "hg = https://example.org/hello",
    read: |keys| Some(Arc::new(PythonSource(Virtualenv::read_checked_out(keys)?))),
};

#[derive(Debug)]
struct PythonSource(Virtualenv);

/// An environment of today has no setuptools, which `setup.py` may need; pip fetches them.
const INSTALL: &str = "if [ -f setup.py ] && \"%(python)s\" -c 'import setuptools' 2>/dev/null; \
    then \"%(python)s\" setup.py install; else \"%(python)s\" -m pip install .; fi";

impl Factory for PythonSource {
    fn sources(&self) -> &[Repository] {
        self.0.sources()
    }

    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String> {
        let mut steps = self.0.setup();
        for name in self.0.directories() {
            let workdir = Text::literal(format!("{}/{name}", self.0.src()));
            let install = Line::Script(Text::parse(INSTALL).expect("a script that reads"));
            let settings = Settings {
                description: Some(vec![Text::literal(format!("install {name}"))]),
                ..Settings::at(workdir)
            };
            steps.push(plan::shell(install, settings).halting());
        }
        steps.extend(self.0.found(platform));
        Ok(number_names(steps))
    }
}
