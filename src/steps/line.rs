//! A command line of the configuration, with its property references.

use crate::model::Properties;
use crate::model::RenderError;
use crate::model::ShellLine;
use crate::model::Text;
pub(crate) use crate::syntax::CommandText as Line;

/// A program and its arguments, without references.
pub(crate) fn argv(words: &[&str]) -> Line {
    Line::Argv(words.iter().map(|word| Text::literal(*word)).collect())
}

/// The words that a step without a description shows: the first two, in
/// quotes, such as `'make`, `all'`.
pub(super) fn shown(line: &Line, properties: &Properties) -> Vec<String> {
    let words = match line.render(properties) {
        Ok(ShellLine::Argv(words)) => words,
        Ok(ShellLine::Script(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    };
    match words.as_slice() {
        [] => vec!["???".to_owned()],
        [only] => vec![format!("'{only}'")],
        [first, second] => vec![format!("'{first}"), format!("{second}'")],
        [first, second, ..] => vec![format!("'{first}"), second.clone(), "...'".to_owned()],
    }
}

pub(super) fn rendered(
    texts: &[Text],
    properties: &Properties,
) -> Result<Vec<String>, RenderError> {
    texts.iter().map(|text| text.render(properties)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &Line, expected: &[&str]) {
        let mut properties = Properties::new();
        properties.set("branch", "main", "test");
        assert_eq!(shown(line, &properties), expected, "{line:?}");
    }

    fn script(text: &str) -> Line {
        Line::Script(Text::parse(text).expect(text))
    }

    #[test]
    fn a_step_without_a_description_shows_its_first_words() {
        check(&script("  "), &["???"]);
        check(&script("ls"), &["'ls'"]);
        check(&script("make all"), &["'make", "all'"]);
        check(&script("this is a long command"), &["'this", "is", "...'"]);
        check(&argv(&["echo", "a b", "c"]), &["'echo", "a b", "...'"]);
        check(&script("echo %(branch)s"), &["'echo", "main'"]);
        check(&script("echo %(unset)s"), &["???"]);
    }
}
