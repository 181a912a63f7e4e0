//! The normal distribution, as exactly as estimates need it.

/// How likely a standard normal value is below `z`.
pub(super) fn below(z: f64) -> f64 {
    // Abramowitz and Stegun 7.1.26, to 1.5e-7.
    let x = (z / std::f64::consts::SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * polynomial * (-x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// The value that a standard normal one is below with probability `p`.
pub(super) fn quantile(p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    // Abramowitz and Stegun 26.2.23, to 4.5e-4.
    let t = (-2.0 * p.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let under = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    above / under - t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_is_the_inverse_of_the_other() {
        assert!((below(1.281_55) - 0.9).abs() < 1e-5);
        assert!((quantile(0.9) - 1.281_55).abs() < 1e-3);
        for p in [1e-6, 0.01, 0.3, 0.5, 0.77, 0.999] {
            assert!((below(quantile(p)) - p).abs() < 1e-3, "{p}");
        }
        assert!(quantile(0.0).is_finite() && quantile(1.0).is_finite());
    }
}
