//! What a change would start, and by which rule: asked of the same values
//! that the schedulers run.

use serde_json::Value as Json;
use serde_json::json;

use super::Plan;
use super::SchedulerPlan;
use super::show;
use crate::model::Change;
use crate::syntax::nearest;

/// What one scheduler makes of a change.
pub(crate) struct Explained<'a> {
    pub(crate) scheduler: &'a SchedulerPlan,
    pub(crate) passes: bool,
    /// Whether it is worth a build by itself.
    pub(crate) important: bool,
    pub(crate) because: String,
}

/// Asks every scheduler of the plan, in its order.
pub(crate) fn change<'a>(plan: &'a Plan, change: &Change) -> Vec<Explained<'a>> {
    let explained = plan.schedulers.iter().map(|scheduler| {
        let Some(filter) = scheduler.settings.filter() else {
            return Explained {
                scheduler,
                passes: false,
                important: false,
                because: format!(
                    "a `{}` scheduler does not listen to changes: it {}",
                    scheduler.settings.kind(),
                    builds(scheduler)
                ),
            };
        };
        let verdict = filter.verdict(change);
        Explained {
            scheduler,
            passes: verdict.passes,
            important: verdict.important,
            because: verdict.because,
        }
    });
    explained.collect()
}

/// When a scheduler builds: `builds when its source was stable for 60 s`.
pub(crate) fn builds(scheduler: &SchedulerPlan) -> String {
    let said = scheduler.settings.describe();
    match said.starts_with("builds ") {
        true => said,
        false => format!("builds {said}"),
    }
}

/// As people read it.
pub(crate) fn text(plan: &Plan, asked: &Change) -> String {
    let all = change(plan, asked);
    let mut out = String::new();
    let source = plan
        .sources
        .iter()
        .find(|it| it.settings.repository() == Some(asked.repository.as_str()));
    out.push_str(&match source {
        Some(source) => {
            format!(
                "source `{}` polls this repository\n",
                show::hidden(&source.name)
            )
        }
        None if asked.repository.is_empty() => String::new(),
        None => format!(
            "no source polls this repository: such a change has to be sent\n{}",
            hint(plan, asked)
                .map(|it| format!("hint: {it}\n"))
                .unwrap_or_default()
        ),
    });
    for it in &all {
        let answer = match (it.passes, it.important) {
            (true, true) => "yes",
            (true, false) => "not by itself",
            (false, _) => "no",
        };
        let when = match it.passes {
            true => format!("; it {}", builds(it.scheduler)),
            false => String::new(),
        };
        let name = &it.scheduler.name;
        out.push_str(&format!(
            "scheduler `{name}`: {answer}: {}{when}\n",
            show::hidden(&it.because)
        ));
    }
    for builder in &plan.builders {
        let by: Vec<_> = all
            .iter()
            .filter(|it| it.passes && it.important)
            .filter(|it| it.scheduler.builders.contains(&builder.name))
            .map(|it| format!("`{}`", it.scheduler.name))
            .collect();
        out.push_str(&match by.as_slice() {
            [] => format!("builder `{}`: would not build\n", builder.name),
            by => format!(
                "builder `{}`: would build, by scheduler {}\n",
                builder.name,
                by.join(" and ")
            ),
        });
    }
    out
}

/// Which repositories are polled, if this one is not and could have been meant.
pub(crate) fn hint(plan: &Plan, asked: &Change) -> Option<String> {
    let mut names: Vec<_> = plan
        .sources
        .iter()
        .filter_map(|it| it.settings.repository())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || names.contains(&asked.repository.as_str()) {
        return None;
    }
    let last = |url: &str| {
        let url = url.trim_end_matches('/').trim_end_matches(".git");
        url.rsplit(['/', ':']).next().unwrap_or_default().to_owned()
    };
    let wanted = last(&asked.repository);
    let alike = names.iter().copied().find(|it| last(it) == wanted);
    let near = nearest(&asked.repository, &names).copied().or(alike);
    Some(match near {
        Some(near) => format!("did you mean `{}`?", show::hidden(near)),
        None => {
            let names: Vec<_> = names
                .iter()
                .map(|it| format!("`{}`", show::hidden(it)))
                .collect();
            format!("polled are {}", names.join(", "))
        }
    })
}

/// For programs.
pub(crate) fn to_json(plan: &Plan, asked: &Change) -> Json {
    let all = change(plan, asked);
    let builds = |name: &crate::model::BuilderName| {
        let mut passing = all.iter().filter(|it| it.passes && it.important);
        passing.any(|it| it.scheduler.builders.contains(name))
    };
    let source = plan
        .sources
        .iter()
        .find(|it| it.settings.repository() == Some(asked.repository.as_str()));
    json!({
        "source": source.map(|it| show::hidden(&it.name)),
        "hint": hint(plan, asked),
        "schedulers": all.iter().map(|it| json!({
            "name": it.scheduler.name.as_str(),
            "kind": it.scheduler.settings.kind(),
            "passes": it.passes,
            "important": it.important,
            "because": show::hidden(&it.because),
            "builders": it.scheduler.builders.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "builders": plan.builders.iter().map(|it| json!({
            "name": it.name.as_str(),
            "builds": builds(&it.name),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;
    use crate::model::ChangeId;
    use crate::model::Properties;
    use crate::model::Timestamp;

    const FARM: &str = "[slave:s]\npassword = x\nfactories = words\n[words]\ntype = shell\n\
        git = https://bob:hunter2@git.test/words.git#main\ncommand = make\n";

    fn asked(repository: &str, branch: &str) -> Change {
        Change {
            id: ChangeId(0),
            author: String::new(),
            files: Vec::new(),
            comments: String::new(),
            revision: None,
            branch: Some(branch.to_owned()),
            category: None,
            revlink: String::new(),
            repository: repository.to_owned(),
            project: String::new(),
            when: Timestamp(0),
            properties: Properties::new(),
        }
    }

    #[test]
    fn a_change_is_explained_with_the_repository_that_was_meant() {
        let plan = plan_of(FARM);
        let told = |repository: &str, branch: &str| text(&plan, &asked(repository, branch));
        insta::assert_snapshot!(told("https://bob:hunter2@git.test/words.git", "main"), @r#"
        source `GitPoller: https://bob:…@git.test/words.git#main` polls this repository
        scheduler `words`: yes: every condition holds; it builds when its source was stable for 60 s
        builder `words-s`: would build, by scheduler `words`
        "#);
        insta::assert_snapshot!(told("git@git.test:words", "main"), @r#"
        no source polls this repository: such a change has to be sent
        hint: did you mean `https://bob:…@git.test/words.git`?
        scheduler `words`: no: the repository `git@git.test:words` is not `https://bob:…@git.test/words.git`
        builder `words-s`: would not build
        "#);
        insta::assert_snapshot!(told("/srv/else", "dev"), @r#"
        no source polls this repository: such a change has to be sent
        hint: polled are `https://bob:…@git.test/words.git`
        scheduler `words`: no: the repository `/srv/else` is not `https://bob:…@git.test/words.git`
        builder `words-s`: would not build
        "#);
    }
}
