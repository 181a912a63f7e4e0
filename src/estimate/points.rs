//! A spread of values with weights, smoothed where there are few of them.

use std::time::Duration;

use super::Interval;
use super::normal;

/// Points that stand for each value.
pub(super) const FINE: usize = 5;

/// How far the points around a value spread, beside the smear that they stand for.
const FINE_SPREAD: f64 = 0.875;

/// How far one build lies from the other where one is all there is: the logarithms of their
/// lengths differ by about this.
const USUAL_SPREAD: f64 = 0.3;

/// Two builds of the same are never closer than this.
const LEAST_SPREAD: f64 = 0.01;

/// How widely each of some values is smeared, on the scale of logarithms, so that all together
/// spread as far as the next value will: widely for few values, hardly for many.
pub(super) fn smear(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let logs = values
        .filter(|(value, weight)| *value > 0.0 && *weight > 0.0)
        .map(|(value, weight)| (value.ln(), weight));
    let weight: f64 = logs.clone().map(|it| it.1).sum();
    if weight <= 0.0 {
        return USUAL_SPREAD;
    }
    let squares: f64 = logs.clone().map(|it| it.1 * it.1).sum();
    let count = weight * weight / squares;
    let mean = logs.clone().map(|(log, it)| log * it).sum::<f64>() / weight;
    let variance = logs.map(|(log, it)| (log - mean).powi(2) * it).sum::<f64>() / weight;
    // The usual spread counts like one build, and the less the more is seen.
    let usual = 1.0 / count;
    let free = usual + count - 1.0;
    let pooled = (usual * USUAL_SPREAD * USUAL_SPREAD + count * variance) / free;
    // The mean is off, too; and what few values say of their spread is so uncertain that the
    // next one is further away (Student's distribution, where four fifths end).
    let next = pooled * (1.0 + 1.0 / count) * (1.0 + 0.75 / free).powi(2);
    // The values themselves spread already.
    let smear = (next - variance).max(0.0).sqrt();
    smear.max(LEAST_SPREAD) / FINE_SPREAD
}

/// Weighted values.
#[derive(Default)]
pub(super) struct Points(Vec<(f64, f64)>);

impl Points {
    pub(super) fn add(&mut self, value: f64, weight: f64) {
        self.0.push((value, weight));
    }

    /// Four fifths of the weight, and its middle; `None` without any.
    pub(super) fn interval(mut self) -> Option<Interval> {
        let weight: f64 = self.0.iter().map(|it| it.1).sum();
        // Not below either: it may be no number.
        if !(weight > 0.0 && weight.is_finite()) {
            return None;
        }
        self.0.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut parts = [0.1, 0.5, 0.9].into_iter().peekable();
        let mut found = [Duration::ZERO; 3];
        let (mut so_far, mut before) = (0.0, None);
        let mut at = 0;
        for (value, share) in &self.0 {
            // Each value stands in the middle of its share; between two it is a straight line.
            let place = (so_far + share / 2.0) / weight;
            while let Some(part) = parts.next_if(|it| *it <= place) {
                let value = match before {
                    Some((old_place, old)) if place > old_place => {
                        old + (value - old) * (part - old_place) / (place - old_place)
                    }
                    _ => *value,
                };
                found[at] = length(value);
                at += 1;
            }
            so_far += share;
            before = Some((place, *value));
        }
        let last = self.0.last().map_or(0.0, |it| it.0);
        found[at..].fill(length(last));
        let [low, middle, high] = found;
        Some(Interval { low, middle, high })
    }
}

fn length(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(Duration::MAX)
}

/// The points that stand for a value that is smeared by `smear` and was seen to be above
/// `beyond`, and how likely that was.
pub(super) fn above(value: f64, smear: f64, beyond: f64) -> ([f64; FINE], f64) {
    let alive = match beyond > 0.0 {
        true => normal::below((value.max(1e-3) / beyond).ln() / smear),
        false => 1.0,
    };
    let points = std::array::from_fn(|at| {
        let part = (at as f64 + 0.5) / FINE as f64;
        let z = normal::quantile(1.0 - alive * (1.0 - part));
        (value * (z * smear).exp()).max(beyond)
    });
    (points, alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_smeared_the_less_the_more_there_are() {
        let of = |count: usize| {
            // Two lengths by turns: their logarithms lie 0.1 around the middle.
            let values = (0..count).map(|it| if it % 2 == 0 { 0.1_f64 } else { -0.1 });
            smear(values.map(|it| (it.exp(), 1.0)))
        };
        assert!((0.6..1.0).contains(&of(1)));
        assert!(of(2) < of(1) && of(8) < of(2) && of(64) < 0.03);
        assert!(smear([(5.0, 1.0); 1000].into_iter()) < 0.02);
        assert!((smear(std::iter::empty()) - USUAL_SPREAD).abs() < 1e-9);
    }

    #[test]
    fn an_interval_holds_four_fifths_of_the_weight() {
        let mut points = Points::default();
        for value in 0..=100 {
            points.add(f64::from(value), 1.0);
        }
        let secs = |it: Duration| it.as_secs_f64().round() as u64;
        let it = points.interval().expect("there are values");
        assert_eq!((secs(it.low), secs(it.middle), secs(it.high)), (10, 50, 90));
        let mut one = Points::default();
        one.add(7.0, 0.5);
        let it = one.interval().expect("a value");
        assert_eq!((it.low, it.high), (it.middle, Duration::from_secs(7)));
        assert_eq!(Points::default().interval(), None);
        let mut bad = Points::default();
        bad.add(f64::NAN, f64::NAN);
        assert_eq!(bad.interval(), None);
    }

    #[test]
    fn what_has_lasted_longer_is_only_as_likely_as_the_tail_of_its_smear() {
        let (points, alive) = above(10.0, 0.2, 0.0);
        assert!((alive - 1.0).abs() < 1e-9 && points[0] < 10.0 && points[4] > 10.0);
        let (points, alive) = above(10.0, 0.2, 10.0);
        assert!((alive - 0.5).abs() < 1e-3 && points[0] >= 10.0);
        let (points, alive) = above(10.0, 0.2, 30.0);
        assert!(alive < 1e-6 && points.iter().all(|it| *it >= 30.0));
    }
}
