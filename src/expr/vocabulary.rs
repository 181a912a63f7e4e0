//! The words of the language: every filter, test and function that an
//! expression may use, with what the manual says of it. There are no others.

/// A filter, test or function.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) name: &'static str,
    /// As it is written.
    pub(crate) example: &'static str,
    pub(crate) help: &'static str,
}

const fn word(name: &'static str, example: &'static str, help: &'static str) -> Word {
    Word {
        name,
        example,
        help,
    }
}

/// `VALUE | FILTER`.
pub(crate) const FILTERS: &[Word] = &[
    word("abs", "n | abs", "the number without its sign"),
    word(
        "default",
        "branch | default('main')",
        "the other value where this one is `none`",
    ),
    word("first", "list | first", "the first item, or `none`"),
    word(
        "float",
        "text | float",
        "the number that a text spells; `float(0)` gives 0 where it spells none",
    ),
    word(
        "hash",
        "repository | hash(8)",
        "so many hexadecimal digits (16) that hardly any other text has: the beginning of its SHA-256",
    ),
    word(
        "int",
        "text | int",
        "the whole number that a text spells, or a number without its fraction; `int(0)` gives 0 where it spells none",
    ),
    word(
        "join",
        "list | join(',')",
        "the items as one text, with the other text between them",
    ),
    word("last", "list | last", "the last item, or `none`"),
    word(
        "length",
        "list | length",
        "how many items, characters or keys",
    ),
    word("lower", "text | lower", "in small letters"),
    word("max", "list | max", "the greatest item, or `none`"),
    word("min", "list | min", "the least item, or `none`"),
    word(
        "prefixed",
        "list | prefixed('-D')",
        "the items, each with the text before it",
    ),
    word(
        "reduced",
        "'mysql5.1.41' | reduced(2)",
        "a version cut to so many components (2; with 0 its name), missing ones as `X`: `mysql5.1`, `sqlite3.X`",
    ),
    word(
        "replace",
        "text | replace('a', 'b')",
        "with the second text wherever the first stood",
    ),
    word(
        "round",
        "n | round(1)",
        "the number with so many decimals (0)",
    ),
    word(
        "sort",
        "list | sort",
        "the items in rising order; texts are versions",
    ),
    word(
        "split",
        "text | split('/')",
        "the pieces between the other text; without one, the words",
    ),
    word("string", "n | string", "the value as a text"),
    word("trim", "text | trim", "without white space around it"),
    word("unique", "list | unique", "each item once"),
    word("upper", "text | upper", "in capital letters"),
    word(
        "version",
        "text | version",
        "the one spelling that all equal versions share: `v1.02.0` is `1.2`",
    ),
];

/// `VALUE is TEST`, `VALUE is not TEST`.
pub(crate) const TESTS: &[Word] = &[
    word(
        "containing",
        "list is containing('a')",
        "the list has the item; a text or number alone is a list of one, `none` has none",
    ),
    word("defined", "branch is defined", "it is not `none`"),
    word(
        "endingwith",
        "file is endingwith('.rst')",
        "the text ends so",
    ),
    word(
        "in",
        "branch is in ['a', 'b']",
        "the same as `branch in ['a', 'b']`",
    ),
    word(
        "matching",
        "file is matching('docs/*')",
        "the whole text, or one of the list, fits the pattern: `*` is anything, `?` one character, `[a-z]` one of these",
    ),
    word(
        "matching_regex",
        "branch is matching_regex('^v[0-9]')",
        "the regular expression is found in the text, or in one of the list",
    ),
    word("none", "branch is none", "it is not set"),
    word(
        "startingwith",
        "file is startingwith('docs/')",
        "the text begins so",
    ),
    word("undefined", "branch is undefined", "the same as `is none`"),
    word(
        "version_matching",
        "list is version_matching('mysql5.1', 2)",
        "one of the versions (or the one) and this one are the same, when both are `reduced` to so many components (2)",
    ),
];

/// `FUNCTION(…)`.
pub(crate) const FUNCTIONS: &[Word] = &[
    word("max", "max(a, b)", "the greatest of its arguments"),
    word("min", "min(a, b)", "the least of its arguments"),
];

/// What is called in other languages, and what it is here.
const HABITS: &[(&str, &str)] = &[
    ("startswith", "is startingwith(…)"),
    ("endswith", "is endingwith(…)"),
    ("strip", "| trim"),
    ("len", "| length"),
    ("str", "| string"),
    ("sorted", "| sort"),
    ("contains", "is containing(…)"),
    ("fnmatch", "is matching(…)"),
    ("search", "is matching_regex(…)"),
];

/// Whether `name` is one of `words`.
pub(super) fn check(kind: &str, words: &[Word], name: &str) -> Result<(), String> {
    if words.iter().any(|it| it.name == name) {
        return Ok(());
    }
    let known: Vec<_> = words.iter().map(|it| it.name).collect();
    Err(unknown(
        &format!("there is no {kind} `{name}`"),
        name,
        &known,
    ))
}

/// What to say of a call of something that is no function.
pub(super) fn no_function(name: &str) -> String {
    let say = |instead: &str| format!("there is no function `{name}`; write `{instead}`");
    if let Some((_, instead)) = HABITS.iter().find(|(it, _)| *it == name) {
        return say(instead);
    }
    if FILTERS.iter().any(|it| it.name == name) {
        return say(&format!("| {name}"));
    }
    if TESTS.iter().any(|it| it.name == name) {
        return say(&format!("is {name}"));
    }
    let known: Vec<_> = FUNCTIONS.iter().map(|it| it.name).collect();
    unknown(&format!("there is no function `{name}`"), name, &known)
}

/// What is missing, with the nearest of `known`, or all of them.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let length = name.chars().count();
    // Of one letter, every other letter would be near.
    let limit = (1 + length / 4).min(length.saturating_sub(1));
    let near = known
        .iter()
        .map(|it| (strsim::damerau_levenshtein(name, it), it))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    if let Some((_, near)) = near {
        return format!("{what}; did you mean `{near}`?");
    }
    match known {
        [] => what.to_owned(),
        [only] => format!("{what}; there is `{only}`"),
        _ => {
            let known: Vec<_> = known.iter().map(|it| format!("`{it}`")).collect();
            format!("{what}; there are {}", known.join(", "))
        }
    }
}

/// A text of somebody's as a message shows it.
pub(super) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", start.escape_debug())
}
