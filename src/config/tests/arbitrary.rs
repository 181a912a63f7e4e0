//! Nearly right files: the examples with pieces cut out, moved and doubled,
//! and files of known words in any order. Nothing may panic or hang, and every
//! place that is told lies in its file.

use proptest::prelude::*;

use super::super::fuzz::fuzz_config;
use super::convert::examples;
use super::convert::respelled;
use super::convert::settles;
use super::*;

const SECTIONS: &[&str] = &[
    ":master:",
    "slave:a",
    "slave:_b",
    "worker:é",
    "words",
    "factory:x.y",
    "builder:{p}-x",
    "builder:a",
    ":properties:",
    "DEFAULT",
    "scheduler:s",
    "lock:l]",
    "odd:k",
    "",
];

const KEYS: &[&str] = &[
    "password",
    "factories",
    "os",
    "max_builds",
    "maxBuilds",
    "tags",
    "tags +",
    "tags -",
    "has.py",
    "env.A",
    "env.B +",
    "env",
    "property.x",
    "property",
    "extends",
    "type",
    "git",
    "commands",
    "command",
    "steps",
    "timeout",
    "slaveport",
    "htmlport",
    "builders",
    "derive",
    "matrix.p",
    "matrix.q",
    "exclude",
    "slaves",
    "factory",
    "param.flags",
    "description",
    "é",
    "a=b",
    "[x",
    "#",
    "tree_stable",
];

const VALUES: &[&str] = &[
    "",
    "a",
    "1",
    "-1",
    "01",
    "0",
    "1.5",
    "yes",
    "no",
    "true",
    "none",
    "null",
    "a b",
    "'a b' c",
    "\"a",
    "'",
    "\\",
    "[\"a\", \"b\"]",
    "[1, {\"x\": null}]",
    "{\"A\": \"b\"}",
    "{",
    "[",
    "[ -f x ] && y",
    "%(branch)s",
    "%(x:-",
    "%",
    "{{ p }}",
    "{{ ",
    "{{ p | uper }}",
    "5m",
    "1h30m",
    "make\n  check",
    "a\n# b\n\n  c",
    " é ",
    "\u{a0}",
    "slave.os == \"linux\"",
    "python == '2.7' and",
    "shell",
    "hello",
    "source",
    "_b",
    "https://example.org/a.git#main",
    "é\u{301}\t",
    "[{\"type\": \"shell\", \"command\": \"x\"}]",
    "99999999999999999999",
    "a\rb",
    "'''",
    "\"\"\"",
];

/// Of texts with properties, of conditions and of load-time texts.
const PIECES: &[&str] = &[
    "%(",
    ")s",
    "%%",
    ":-",
    ":~",
    ":+",
    "{{",
    "}}",
    "{%",
    " and ",
    " or ",
    "not ",
    " is ",
    "in [",
    "]",
    "(",
    ")",
    "|",
    ".",
    "==",
    "'",
    "\"",
    "branch",
    "é",
    "1",
    " if ",
    " else ",
    "\\",
    "${",
    "#",
    "~",
    "*",
    "-",
    "9999999999",
];

fn pick(all: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(all)
}

/// Sections with keys that are known and values that may fit.
fn ini_file() -> impl Strategy<Value = String> {
    let sign = pick(&["=", "=", "=", ":", ":=", "+=", "-=", " "]);
    let entry = (pick(KEYS), sign, pick(VALUES));
    let entry = entry
        .prop_map(|(key, sign, value)| format!("{key} {sign} {}\n", value.replace('\n', "\n    ")));
    let section = (pick(SECTIONS), prop::collection::vec(entry, 0..6));
    let section = section.prop_map(|(name, all)| format!("[{name}]\n{}", all.concat()));
    prop::collection::vec(section, 0..5).prop_map(|all| all.concat())
}

/// The same of TOML.
fn toml_file() -> impl Strategy<Value = String> {
    let quoted = |it: &str| serde_json::Value::from(it).to_string();
    let value = prop_oneof![
        pick(VALUES).prop_map(quoted),
        pick(VALUES).prop_map(quoted),
        pick(&[
            "1",
            "1.5",
            "true",
            "nan",
            "[]",
            "{}",
            "[\"a\", \"b c\"]",
            "[[\"u\", \"b\"]]",
            "[{ type = \"shell\", command = [\"x\"] }]",
            "{ A = \"b\", \"c +\" = [\"d\"] }",
            "1979-05-27",
            "'''\na\nb'''",
            "\"\"\"a \\\n b\"\"\"",
            "[1, \"a\"]",
            "0x10",
        ])
        .prop_map(str::to_owned),
    ];
    let key = pick(KEYS).prop_map(move |it| match it.split_once('.') {
        Some((head, rest)) => format!("{head}.{}", quoted(rest)),
        None => quoted(it),
    });
    let entry = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let name = pick(SECTIONS).prop_map(move |it| match it.split_once(':') {
        Some(("", rest)) => rest.trim_end_matches(':').to_owned(),
        Some((kind, name)) => format!("{kind}.{}", quoted(name)),
        None => format!("factory.{}", quoted(it)),
    });
    let section = (name, prop::collection::vec(entry, 0..6));
    let section = section.prop_map(|(name, all)| format!("[{name}]\n{}", all.concat()));
    prop::collection::vec(section, 0..5).prop_map(|all| all.concat())
}

/// An example with a few pieces cut out, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let mut all = examples();
    let there = all
        .iter()
        .filter_map(|it| respelled(it, Spelling::Ini, Spelling::Toml).ok());
    let there: Vec<_> = there.collect();
    all.extend(there);
    let piece = prop_oneof![
        pick(KEYS),
        pick(VALUES),
        pick(SECTIONS),
        pick(&["\n", "[", "]", "=", "\""])
    ];
    let change = (any::<prop::sample::Index>(), 0..40_usize, 0..3_u8, piece);
    let changes = prop::collection::vec(change, 1..4);
    (prop::sample::select(all), changes).prop_map(|(mut text, changes)| {
        for (at, length, how, piece) in changes {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = boundary(at.index(text.len() + 1));
            let end = boundary(start + length);
            let cut = text[start..end].to_owned();
            match how {
                0 => text.replace_range(start..end, ""),
                1 => text.insert_str(start, &cut),
                _ => text.replace_range(start..end, piece),
            }
        }
        text
    })
}

/// A file that can be said in both spellings means the same in both.
fn means_the_same(text: &str, from: Spelling) {
    if respelled(text, from, from.other())
        .is_ok_and(|it| respelled(&it, from.other(), from).is_ok())
    {
        settles(text, from);
    }
}

/// As many as `PROPTEST_CASES` says, or few enough to wait for.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => usual,
        None => ProptestConfig { cases: 64, ..usual },
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn files_of_known_words_are_read_and_converted(text in ini_file()) {
        fuzz_config(text.as_bytes());
        means_the_same(&text, Spelling::Ini);
    }

    #[test]
    fn toml_of_known_words_is_read_and_converted(text in toml_file()) {
        fuzz_config(text.as_bytes());
        means_the_same(&text, Spelling::Toml);
    }

    #[test]
    fn changed_examples_are_read_and_converted(text in mutated()) {
        fuzz_config(text.as_bytes());
        means_the_same(&text, Spelling::Ini);
    }

    #[test]
    fn texts_and_conditions_of_known_pieces_are_read(
        pieces in prop::collection::vec(prop_oneof![pick(VALUES), pick(PIECES)], 0..8),
    ) {
        fuzz_config(pieces.concat().as_bytes());
        fuzz_config(pieces.join(" ").as_bytes());
    }

    #[test]
    fn any_text_at_all_is_read(text in "\\PC{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzz_config(text.as_bytes());
        fuzz_config(&bytes);
    }
}
