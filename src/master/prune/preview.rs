//! What a round would forget, without forgetting it.

use std::collections::BTreeMap;

use crate::config::Plan;
use crate::model::BuilderName;
use crate::store::{Amount, Holders, Kept, Result, Store};

use super::round::{Report, Round};

/// From which number on a builder keeps builds, and their logs.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    builds: i64,
    logs: i64,
}

/// The sums of a preview.
struct Sums<'a> {
    verbs: &'a mut dyn Store,
    cuts: BTreeMap<BuilderName, Cut>,
    report: Report,
}

impl Round {
    /// What [`Round::prune_all`] would forget. Logs that were not measured yet are measured.
    pub(crate) async fn preview(&self) -> Result<Report> {
        self.measure().await?;
        let mut cuts = BTreeMap::new();
        for builder in &self.plan.builders {
            let (name, horizons) = (&builder.name, builder.horizons);
            let builds = self
                .oldest_kept(name, horizons.builds, horizons.build_age)
                .await?;
            let logs = self
                .oldest_kept(name, horizons.logs, horizons.log_age)
                .await?;
            let logs = logs.max(builds);
            cuts.insert(name.clone(), Cut { builds, logs });
        }
        let (plan, kept, holders) = (self.plan.clone(), self.kept_changes(), self.holders());
        let unbuilt = self.plan.builders.iter().map(|it| {
            let kept = self.kept(it.horizons.builds, it.horizons.build_age);
            (it.name.clone(), kept)
        });
        let unbuilt: Vec<_> = unbuilt.filter(|(_, it)| *it != Kept::default()).collect();
        let events = self.old_events().await?;
        self.store
            .read(move |verbs| {
                let mut sums = Sums {
                    verbs,
                    cuts,
                    report: Report {
                        events,
                        ..Report::default()
                    },
                };
                sums.add_up(&plan, kept, &holders)?;
                for (builder, kept) in &unbuilt {
                    sums.report.requests += sums.verbs.old_unbuilt(builder, *kept, &holders)?;
                }
                Ok(sums.report)
            })
            .await
    }
}

impl Sums<'_> {
    fn add_up(&mut self, plan: &Plan, kept: Kept, holders: &Holders) -> Result<()> {
        for builder in &plan.builders {
            let name = &builder.name;
            let cut = self.cuts.get(name).copied().unwrap_or_default();
            let builds = self.verbs.amount(name, 0, cut.builds)?;
            let logs = self.verbs.amount(name, cut.builds, cut.logs)?;
            self.report.add(name, builds);
            self.report.add(name, Amount { builds: 0, ..logs });
            let left = self.verbs.log_bytes(Some(name))? - self.gone(Some(name));
            self.cut_to_size(Some(name), left, builder.horizons.log_size)?;
        }
        let left = self.verbs.log_bytes(None)? - self.gone(None);
        let over = self.cut_to_size(None, left, plan.master.log_size)?;
        self.report.left = left - over;
        if kept != Kept::default() {
            self.report.changes = self.verbs.old_changes(kept, holders)?;
        }
        Ok(())
    }

    /// Bytes that go so far, of one builder or of all.
    fn gone(&self, of: Option<&BuilderName>) -> u64 {
        let all = self.report.builders.iter();
        let these = all.filter(|(name, _)| of.is_none_or(|it| it == *name));
        these.map(|(_, it)| it.bytes).sum()
    }

    /// Takes the oldest logs until what is left is within the budget; says how many bytes go.
    fn cut_to_size(
        &mut self,
        of: Option<&BuilderName>,
        left: u64,
        budget: Option<u64>,
    ) -> Result<u64> {
        let over = budget.map_or(0, |it| left.saturating_sub(it));
        let mut freed = 0;
        if over == 0 {
            return Ok(freed);
        }
        let (cuts, report) = (&mut self.cuts, &mut self.report);
        self.verbs.visit_logs(of, &mut |builder, number, bytes| {
            if freed >= over {
                return false;
            }
            let cut = cuts.entry(builder.clone()).or_default();
            if number >= cut.logs {
                freed += bytes;
                cut.logs = number + 1;
                let logs = 1;
                let builds = 0;
                report.add(
                    &builder,
                    Amount {
                        builds,
                        logs,
                        bytes,
                    },
                );
            }
            true
        })?;
        report.over = report.over.max(over.saturating_sub(freed));
        Ok(freed)
    }
}
