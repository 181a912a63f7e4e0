//! What was measured: samples of each contender, taken in turn, and how they are told.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Whether a smaller or a larger number is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// What one contender gave, one number for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    /// The one in the middle; not a number if there is none.
    pub(crate) fn median(&self) -> f64 {
        self.at(50)
    }

    /// The one that so many of a hundred do not exceed.
    pub(crate) fn at(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let place = (self.0.len() * percent / 100).min(last);
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number in the middle, and the least and the most if there were several.
    fn told(&self) -> String {
        if self.is_empty() {
            return "–".to_owned();
        }
        let middle = number(self.median());
        match self.0.len() {
            1 => middle,
            _ => format!(
                "{middle} ({}–{})",
                number(self.lowest()),
                number(self.highest())
            ),
        }
    }

    fn json(&self) -> Value {
        json!({ "median": self.median(), "p95": self.at(95), "samples": self.0 })
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(all: T) -> Self {
        let mut samples = Self::default();
        all.into_iter().for_each(|it| samples.push(it));
        samples
    }
}

/// One row of the table.
pub(crate) struct Figure {
    /// Its name in the JSON and in the baseline: never changed while it means the same.
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) autobot: Samples,
    pub(crate) buildbot: Samples,
    /// What cannot be undercut, and its name.
    pub(crate) floor: Option<(&'static str, Samples)>,
    /// What is promised of the median.
    pub(crate) wanted: Option<f64>,
}

impl Figure {
    pub(crate) fn new(
        name: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        better: Better,
    ) -> Self {
        Self {
            name,
            what: what.into(),
            unit,
            better,
            autobot: Samples::default(),
            buildbot: Samples::default(),
            floor: None,
            wanted: None,
        }
    }

    pub(crate) fn with_floor(mut self, name: &'static str) -> Self {
        self.floor = Some((name, Samples::default()));
        self
    }

    pub(crate) fn wanted(mut self, wanted: f64) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Takes one sample of each contender in turn, so that what else the machine does meets all.
    pub(crate) fn round(
        &mut self,
        autobot: f64,
        buildbot: Option<f64>,
        floor: impl FnOnce() -> f64,
    ) {
        self.autobot.push(autobot);
        if let Some(sample) = buildbot {
            self.buildbot.push(sample);
        }
        if let Some((_, samples)) = &mut self.floor {
            samples.push(floor());
        }
    }

    /// Ours beside the floor: 1 is the floor.
    fn to_floor(&self) -> Option<f64> {
        let (_, floor) = self.floor.as_ref()?;
        Some(self.autobot.median() / floor.median())
    }

    /// How many times better than Buildbot.
    fn to_buildbot(&self) -> Option<f64> {
        if self.buildbot.is_empty() {
            return None;
        }
        let (ours, theirs) = (self.autobot.median(), self.buildbot.median());
        let times = match self.better {
            Better::Lower => theirs / ours,
            Better::Higher => ours / theirs,
        };
        // Nothing has no multiple.
        times.is_finite().then_some(times)
    }

    fn is_kept(&self) -> Option<bool> {
        let ours = self.autobot.median();
        self.wanted.map(|wanted| match self.better {
            Better::Lower => ours <= wanted,
            Better::Higher => ours >= wanted,
        })
    }

    /// The row of the table.
    fn row(&self) -> String {
        let mut row = format!(
            "| {} | {} | {} | {} |",
            self.what,
            self.unit,
            self.autobot.told(),
            self.buildbot.told()
        );
        let times = self.to_buildbot();
        let _ = write!(
            row,
            " {} |",
            times.map_or("–".into(), |it| number(it) + " ×")
        );
        match (&self.floor, self.to_floor()) {
            (Some((name, floor)), Some(ratio)) => {
                let _ = write!(row, " {} ({name}) | {ratio:.2} |", floor.told());
            }
            _ => row.push_str(" – | – |"),
        }
        match (self.wanted, self.is_kept()) {
            (Some(wanted), Some(is_kept)) => {
                let sign = match self.better {
                    Better::Lower => '≤',
                    Better::Higher => '≥',
                };
                let said = if is_kept { "" } else { " **missed**" };
                let _ = write!(row, " {sign} {}{said} |", number(wanted));
            }
            _ => row.push_str(" – |"),
        }
        row
    }

    fn json(&self) -> Value {
        let floor = self.floor.as_ref().map(|(name, samples)| {
            let mut it = samples.json();
            it["name"] = json!(name);
            it
        });
        let buildbot = (!self.buildbot.is_empty()).then(|| self.buildbot.json());
        json!({
            "what": self.what,
            "unit": self.unit,
            "better": match self.better { Better::Lower => "lower", Better::Higher => "higher" },
            "autobot": self.autobot.json(),
            "buildbot": buildbot,
            "floor": floor,
            "times_buildbot": self.to_buildbot(),
            "ratio_to_floor": self.to_floor(),
            "wanted": self.wanted,
        })
    }

    /// What a comparison between runs goes by: the ratio to the floor, which a slower machine
    /// does not change, or the figure itself.
    fn compared(json: &Value) -> Option<f64> {
        let ratio = json["ratio_to_floor"].as_f64();
        ratio.or_else(|| json["autobot"]["median"].as_f64())
    }
}

/// Everything that a run has measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) figures: Vec<Figure>,
    /// Where and with what it was measured.
    pub(crate) machine: Value,
}

impl Report {
    pub(crate) fn add(&mut self, figure: Figure) {
        eprintln!("{}", figure.row());
        self.figures.push(figure);
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| what | unit | autobot | Buildbot | times better | floor | ratio to it | wanted |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for figure in &self.figures {
            table.push_str(&figure.row());
            table.push('\n');
        }
        table
    }

    pub(crate) fn json(&self) -> Value {
        let figures = self.figures.iter();
        let figures = figures.map(|it| (it.name.to_owned(), it.json()));
        json!({
            "machine": self.machine,
            "figures": Value::Object(figures.collect()),
        })
    }

    /// What has changed since the baseline, a line each, the worst first.
    pub(crate) fn compared_with(&self, baseline: &Value) -> String {
        let mut changes = Vec::new();
        for figure in &self.figures {
            let now = figure.json();
            let before = &baseline["figures"][figure.name];
            let (Some(now), Some(before)) = (Figure::compared(&now), Figure::compared(before))
            else {
                continue;
            };
            let worse = match figure.better {
                Better::Lower => now / before - 1.0,
                Better::Higher => before / now - 1.0,
            };
            changes.push((worse, figure.what.as_str()));
        }
        changes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut text = String::new();
        for (worse, what) in changes {
            let percent = (worse * 100.0).abs();
            let said = match worse {
                it if it > 0.1 => format!("{percent:.0} % worse"),
                it if it < -0.1 => format!("{percent:.0} % better"),
                _ => "the same within 10 %".to_owned(),
            };
            let _ = writeln!(text, "- {what}: {said}");
        }
        text
    }
}

/// Three figures that say something, and no more.
fn number(it: f64) -> String {
    match it.abs() {
        it_is if it_is.is_nan() => "–".to_owned(),
        it_is if it_is >= 100.0 => format!("{it:.0}"),
        it_is if it_is >= 10.0 => format!("{it:.1}"),
        it_is if it_is >= 1.0 => format!("{it:.2}"),
        _ => format!("{it:.3}"),
    }
}
