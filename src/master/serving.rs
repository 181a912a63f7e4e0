//! Which builders each slave serves, looked up once for each configuration: pages ask with
//! every click, and a large farm has tens of thousands of pairs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::Plan;
use crate::model::BuilderName;
use crate::model::SlaveName;

/// The builders of each slave, in the order of the configuration.
pub(super) type Served = HashMap<SlaveName, Vec<BuilderName>>;

/// Which builders each slave serves.
#[derive(Debug, Default)]
pub(super) struct Serving(Mutex<Option<(Weak<Plan>, Arc<Served>)>>);

impl Serving {
    pub(super) fn of(&self, plan: &Arc<Plan>) -> Arc<Served> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, served)) = kept.as_ref()
            // A plan that is gone keeps its address as long as this points to it.
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(plan))
        {
            return Arc::clone(served);
        }
        let mut served = Served::new();
        for builder in &plan.builders {
            for slave in &builder.slaves {
                let names = served.entry(slave.clone()).or_default();
                // A slave that is named twice is one.
                if names.last() != Some(&builder.name) {
                    names.push(builder.name.clone());
                }
            }
        }
        let served = Arc::new(served);
        *kept = Some((Arc::downgrade(plan), Arc::clone(&served)));
        served
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    fn plan(factories: &str) -> Arc<Plan> {
        Arc::new(plan_of(&format!(
            "[:master:]\nslaveport = 1\n[slave:s]\npassword = x\nfactories = {factories}\n\
             [a]\ntype = shell\ncommand = true\n[b]\ntype = shell\ncommand = true\n"
        )))
    }

    #[test]
    fn another_configuration_is_looked_at_anew() {
        let serving = Serving::default();
        let both = plan("a b");
        let names = |served: &Served| -> Vec<String> {
            served[&SlaveName::from("s")]
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        let first = serving.of(&both);
        assert_eq!(names(&first), ["a-s", "b-s"]);
        assert!(Arc::ptr_eq(&first, &serving.of(&both)));
        drop(both);
        assert_eq!(names(&serving.of(&plan("b"))), ["b-s"]);
    }
}
