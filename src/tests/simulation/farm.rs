//! What a seed's farm looks like: slaves, builders, and what their steps do.

use std::fmt::Write as _;

use super::chance::Chance;

/// A farm of a few slaves and builders.
pub(super) struct Farm {
    pub(super) slaves: Vec<String>,
    pub(super) builders: Vec<Builder>,
    /// Nothing is given up: no host loses its power, no absence is too long.
    pub(super) is_patient: bool,
    /// Seconds.
    pub(super) lost_timeout: u64,
    heartbeat: u64,
}

pub(super) struct Builder {
    pub(super) name: String,
    slaves: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Whether changes are built here.
    pub(super) is_scheduled: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// One command, perhaps under the one lock.
    Say { line: String, is_alone: bool },
    /// Many commands.
    Checkout,
    /// A file for the slave, which comes back.
    Note(String),
    /// The builder at this place builds, and is waited for.
    Trigger(usize),
}

impl Farm {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "farm");
        let slaves: Vec<String> = (0..1 + chance.below(3))
            .map(|it| format!("s{it}"))
            .collect();
        let count = 1 + chance.place(4);
        let is_patient = !chance.once_in(3);
        let builders = (0..count)
            .map(|place| {
                let mut mine = slaves.clone();
                mine.retain(|_| !chance.once_in(3));
                if mine.is_empty() {
                    mine.push(slaves[chance.place(slaves.len())].clone());
                }
                Builder {
                    name: format!("b{place}"),
                    slaves: mine,
                    steps: steps(&mut chance, place, count),
                    is_scheduled: chance.once_in(2),
                }
            })
            .collect();
        Self {
            slaves,
            builders,
            is_patient,
            lost_timeout: match is_patient {
                true => 1_000_000,
                false => 60 + chance.below(1000),
            },
            heartbeat: 5 + chance.below(60),
        }
    }

    /// Its `master.toml`.
    pub(super) fn toml(&self) -> String {
        let mut text = String::new();
        let (heartbeat, lost) = (self.heartbeat, self.lost_timeout);
        let _ = write!(
            text,
            "[master]\nslaveport = \"none\"\nhtmlport = \"none\"\nderive = false\n\
             heartbeat = \"{heartbeat}s\"\nlost_timeout = \"{lost}s\"\n[lock.alone]\n"
        );
        for slave in &self.slaves {
            let _ = write!(text, "[slave.{slave}]\npassword = \"x\"\n");
        }
        for (place, builder) in self.builders.iter().enumerate() {
            let (name, slaves) = (&builder.name, &builder.slaves);
            let _ = write!(
                text,
                "[builder.{name}]\nfactory = \"{name}\"\nslaves = {slaves:?}\n\
                 [scheduler.trigger-{place}]\ntype = \"triggerable\"\nbuilders = [\"{name}\"]\n"
            );
            if builder.is_scheduled {
                let _ = write!(
                    text,
                    "[scheduler.changes-{place}]\ntype = \"single_branch\"\nbranch = \"main\"\n\
                     tree_stable_timer = \"7s\"\nbuilders = [\"{name}\"]\n"
                );
            }
            let _ = writeln!(text, "[factory.{name}]");
            for step in &builder.steps {
                let _ = write!(text, "[[factory.{name}.steps]]\n{}", step.toml(name));
            }
        }
        text
    }
}

impl Step {
    fn toml(&self, factory: &str) -> String {
        match self {
            Self::Say { line, is_alone } => {
                let locks = match is_alone {
                    true => "locks = [\"alone exclusive\"]\n",
                    false => "",
                };
                format!("type = \"shell\"\ncommand = \"{line}\"\n{locks}")
            }
            Self::Checkout => "type = \"git\"\nrepourl = \"https://example.org/r.git\"\n".into(),
            Self::Note(text) => format!(
                "type = \"string_download\"\ns = \"{text}\"\nslavedest = \"note\"\n\
                 [[factory.{factory}.steps]]\ntype = \"file_upload\"\nslavesrc = \"note\"\n\
                 masterdest = \"notes/%(buildername)s-%(buildnumber)s\"\n"
            ),
            Self::Trigger(place) => format!(
                "type = \"trigger\"\nscheduler_names = [\"trigger-{place}\"]\n\
                 wait_for_finish = true\nflunk_on_failure = false\n"
            ),
        }
    }
}

fn steps(chance: &mut Chance, place: usize, count: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    if chance.once_in(2) {
        steps.push(Step::Checkout);
    }
    for _ in 0..1 + chance.below(5) {
        let is_last = place + 1 == count;
        steps.push(match chance.below(8) {
            0 if !is_last => Step::Trigger(place + 1 + chance.place(count - place - 1)),
            1 if !steps.iter().any(|it| matches!(it, Step::Note(_))) => {
                let length = 1 + chance.below(70_000);
                let text = "a note of many words; ".chars().cycle();
                Step::Note(text.take(usize::try_from(length).expect("short")).collect())
            }
            _ => Step::Say {
                line: format!("say {}", chance.below(1000)),
                is_alone: chance.once_in(4),
            },
        });
    }
    steps
}
