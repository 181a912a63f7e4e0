//! The reference: a page for each kind of section, from the same tables as the
//! schema. `docs/reference` holds them; a test keeps them as they are here.

use super::catalogue::Catalogue;
use super::manual;
use super::manual::Page;
use super::sections;
use super::sections::Kind;
use crate::syntax::Code;
use crate::syntax::Shape;

/// Name and text of every page.
pub(super) fn pages(catalogue: &dyn Catalogue) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for page in manual::sections(catalogue) {
        let alone = sections::KINDS
            .iter()
            .any(|it| it.word == page.name && it.is_alone);
        let (ini, toml) = match alone {
            true => (format!("[:{}:]", page.name), format!("[{}]", page.name)),
            false => (
                format!("[{}:NAME]", page.name),
                format!("[{}.NAME]", page.name),
            ),
        };
        let text = format!(
            "# `{ini}`\n\n{}\n\n`{ini}` in INI, `{toml}` in TOML.\n\n{}",
            page.summary,
            keys(&page)
        );
        let example = example("ini", example_of(&page.name));
        all.push((page.name, text + &example));
    }
    for kind in sections::KINDS {
        let pages = manual::of_types(kind.kind, catalogue);
        if pages.is_empty() {
            continue;
        }
        let word = kind.word;
        let (title, ini) = match kind.kind {
            Kind::Factory => (
                "`[NAME]`".to_owned(),
                "`[NAME]` or `[factory:NAME]`".to_owned(),
            ),
            _ => (format!("`[{word}:NAME]`"), format!("`[{word}:NAME]`")),
        };
        let header = match kind.kind {
            Kind::Factory => "[NAME]".to_owned(),
            _ => format!("[{word}:NAME]"),
        };
        let intro = format!(
            "# {title}\n\n{} What it takes depends on its `type`.\n\n{ini} in INI, \
             `[{word}.NAME]` in TOML.\n",
            kind.summary
        );
        all.push((word.to_owned(), of_types(&intro, "ini", &header, pages)));
    }
    let intro = "# Steps\n\nA `[[steps]]` table of a recipe or a factory section, by its type.\n";
    all.push((
        "steps".to_owned(),
        of_types(intro, "toml", "[[steps]]", manual::steps()),
    ));
    all.push(("codes".to_owned(), codes()));
    let mut index = "# Reference\n\nWritten from the tables that the program reads \
                     configurations by. The [manual](../manual.md) explains more.\n\n"
        .to_owned();
    for (name, text) in &all {
        let title = text.lines().next().unwrap_or_default();
        let title = title.trim_start_matches("# ").replace('`', "");
        index.push_str(&format!(
            "- [{}]({name}.md)\n",
            title.replace(['[', ']'], "")
        ));
    }
    all.push(("README".to_owned(), index));
    all
}

fn of_types(intro: &str, language: &str, header: &str, pages: Vec<Page>) -> String {
    let mut out = intro.to_owned();
    for page in pages {
        let also: Vec<_> = page.aliases.iter().map(|it| format!("`{it}`")).collect();
        let also = match also.is_empty() {
            true => String::new(),
            false => format!(" Also {}.", also.join(", ")),
        };
        out.push_str(&format!(
            "\n## {}\n\n{}{also}\n\n{}",
            page.own_name(),
            page.summary,
            keys(&page)
        ));
        let kind = match language {
            "toml" => format!("\"{}\"", page.own_name()),
            _ => page.own_name().to_owned(),
        };
        let lines = format!("{header}\ntype = {kind}\n{}", page.example);
        out.push_str(&example(language, &lines));
    }
    out
}

fn example(language: &str, text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!("\n```{language}\n{text}\n```\n"),
    }
}

/// Together they are a configuration.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "master",
        "[:master:]\nhtmlport = 127.0.0.1:8010\npoll_interval = 5m\nproperty.site = here",
    ),
    (
        "slave",
        "[slave:linux-1]\npassword = let-me-in\nos = linux\nhas.python = 3.11 3.12\nfactories = hello",
    ),
    (
        "builder",
        "[builder:hello-{python}]\nfactory = hello\nslaves = linux-*\nmatrix.python = 3.11 3.12\n\
         tags = nightly",
    ),
];

fn example_of(page: &str) -> &'static str {
    let found = EXAMPLES.iter().find(|it| it.0 == page);
    found.map_or("", |it| it.1)
}

fn keys(page: &Page) -> String {
    let mut out = "| key | type | default | what it is |\n|---|---|---|---|\n".to_owned();
    for asked in &page.keys {
        let name = match asked.shape {
            Shape::Map(_) => format!("`{}.NAME`", asked.name),
            Shape::OrMap(..) => format!("`{0}` or `{0}.NAME`", asked.name),
            _ => format!("`{}`", asked.name),
        };
        let older: Vec<_> = asked.older.iter().map(|it| format!("`{it}`")).collect();
        let older = match older.is_empty() {
            true => String::new(),
            false => format!(" ({})", older.join(", ")),
        };
        let (default, help) = page.help(&asked.name).unwrap_or_default();
        let default = if default.is_empty() {
            "required"
        } else {
            default
        };
        let kind = kind(asked.shape);
        out.push_str(&format!(
            "| {name}{older} | {kind} | {default} | {help} |\n"
        ));
    }
    out
}

/// The shape in the manual's words.
fn kind(shape: Shape) -> String {
    match shape {
        Shape::Text | Shape::Word(&[]) => "text".to_owned(),
        Shape::Template => "text with properties".to_owned(),
        Shape::Bool => "yes or no".to_owned(),
        Shape::Int | Shape::Number => "number".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Port => "port".to_owned(),
        Shape::Path => "path".to_owned(),
        Shape::Pattern => "regular expression".to_owned(),
        Shape::Expression => "condition".to_owned(),
        Shape::Command => "command".to_owned(),
        Shape::Any => "any".to_owned(),
        Shape::Json => "text or JSON".to_owned(),
        Shape::List(_) => "words".to_owned(),
        Shape::Items(_) => "items, with commas or on lines".to_owned(),
        Shape::Lines(item) => format!("lines, each a {}", kind(*item)),
        Shape::OneOrMore(_) => "text or list".to_owned(),
        Shape::OrExpression(inner) => format!("{} or expression", kind(*inner)),
        Shape::Map(item) => format!("map: {}", kind(*item)),
        Shape::OrMap(one, each) if one == each => kind(*one),
        Shape::OrMap(one, each) => format!("{} or {}", kind(*one), kind(*each)),
        Shape::Word(words) => {
            let words: Vec<_> = words.iter().map(|it| format!("`{it}`")).collect();
            words.join(", ")
        }
        Shape::OrNone(Shape::Template) => "text with properties".to_owned(),
        Shape::OrNone(inner) => format!("{} or `none`", kind(*inner)),
    }
}

fn codes() -> String {
    let mut out =
        "# Codes of problems\n\nEvery problem of a configuration has a code, which never \
                   changes its meaning. `autobot help CODE` prints the same.\n"
            .to_owned();
    for code in Code::ALL {
        out.push_str(&format!("\n## {code}\n\n{}\n", code.explanation()));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::catalogue::Installed;

    #[test]
    fn the_examples_are_a_configuration() {
        let all: Vec<_> = EXAMPLES.iter().map(|it| it.1).collect();
        let plan = crate::config::plan_of(&all.join("\n"));
        assert_eq!(plan.builders.len(), 3);
        assert_eq!(plan.warnings.render(false), "");
    }

    #[test]
    fn the_pages_of_the_reference_are_those_of_the_tables() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
        let pages = pages(&Installed::of(Path::new("/nonexistent")));
        if env::var_os("UPDATE_REFERENCE").is_some() {
            fs::create_dir_all(&dir).unwrap();
            for (name, text) in &pages {
                fs::write(dir.join(format!("{name}.md")), text).unwrap();
            }
        }
        for (name, text) in &pages {
            let there = fs::read_to_string(dir.join(format!("{name}.md"))).unwrap_or_default();
            assert!(
                there == *text,
                "docs/reference/{name}.md is not what the tables say; \
                 `UPDATE_REFERENCE=1 cargo nextest run reference` writes it anew"
            );
        }
        // The calls of the web are written by their own test.
        let others = ["api.md"];
        let there = fs::read_dir(&dir)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        let count = there
            .filter(|it| !others.iter().any(|other| it == other))
            .count();
        assert_eq!(count, pages.len(), "a page of docs/reference is left over");
    }
}
