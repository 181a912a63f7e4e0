//! Numbers with a unit: `45m` and `1h30m` are seconds, `16k` and `2G` are bytes.

use crate::syntax;

/// What a number of an expression is, in words that minijinja reads.
pub(super) fn number(text: &str) -> Result<String, String> {
    if is_plain(text) {
        return Ok(text.to_owned());
    }
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let whole = digits.bytes().all(|it| it.is_ascii_digit());
    match &text[digits.len()..] {
        "M" => Err(format!(
            "`{text}` may be minutes or mebibytes; write `{digits}m` or `{digits} * 1024k`"
        )),
        "k" | "K" if whole => bytes(digits, 1 << 10),
        "g" | "G" if whole => bytes(digits, 1 << 30),
        _ => duration(text),
    }
}

fn bytes(digits: &str, unit: u64) -> Result<String, String> {
    let read = digits.parse().ok();
    let size = read.and_then(|it: u64| it.checked_mul(unit));
    let size = size.ok_or_else(|| format!("`{digits}` is too much"))?;
    Ok(size.to_string())
}

fn duration(text: &str) -> Result<String, String> {
    let read = (!text.contains('_'))
        .then(|| syntax::duration(text))
        .flatten();
    let Some(length) = read else {
        return Err(format!(
            "`{text}` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k`"
        ));
    };
    if length > syntax::LONGEST_DURATION {
        return Err(format!("`{text}` is longer than 36500 days"));
    }
    let secs = length.as_secs();
    Ok(if length.subsec_nanos() == 0 {
        secs.to_string()
    } else {
        length.as_secs_f64().to_string()
    })
}

/// Whether it has no unit. What is wrong with it then, minijinja says.
fn is_plain(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b'_');
    let is_decimal = |it: &str| it.split('.').count() <= 2 && it.split('.').all(is_digits);
    if let Some(hex) = lower.strip_prefix("0x") {
        return hex.bytes().all(|it| it.is_ascii_hexdigit() || it == b'_');
    }
    if let Some(few) = lower.strip_prefix("0b").or(lower.strip_prefix("0o")) {
        return is_digits(few);
    }
    match lower.split_once('e') {
        Some((mantissa, power)) => {
            let power = power.strip_prefix(['+', '-']).unwrap_or(power);
            is_decimal(mantissa) && !power.is_empty() && is_digits(power)
        }
        None => is_decimal(&lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_seconds_and_bytes() {
        for (text, expected) in [
            ("45", "45"),
            ("1_000", "1_000"),
            ("1.5", "1.5"),
            ("1e5", "1e5"),
            ("2.5e-3", "2.5e-3"),
            ("0x1F", "0x1F"),
            ("45m", "2700"),
            ("1h30m", "5400"),
            ("90s", "90"),
            ("1.5s", "1.5"),
            ("10ms", "0.01"),
            ("2d", "172800"),
            ("1w", "604800"),
            ("16k", "16384"),
            ("16K", "16384"),
            ("2G", "2147483648"),
        ] {
            assert_eq!(number(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_unit_that_says_nothing_or_two_things_is_refused() {
        let say = |text: &str| number(text).expect_err(text);
        insta::assert_snapshot!(
            ["5M", "45x", "3m1h", "99999d", "99999999999999999999k", "1_0m", "1.5k"].map(say).join("\n"),
            @"
        `5M` may be minutes or mebibytes; write `5m` or `5 * 1024k`
        `45x` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k`
        `3m1h` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k`
        `99999d` is longer than 36500 days
        `99999999999999999999` is too much
        `1_0m` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k`
        `1.5k` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k`
        "
        );
    }
}
