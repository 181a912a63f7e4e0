//! Texts that are filled in when the file is loaded.

use serde_json::json;

use super::fill::Whole;
use super::fill::fill_whole;
use super::tests::errors;
use super::*;

fn filled(text: &str) -> Result<String, ExprError> {
    let values = json!({
        "jobs": 2, "sanitize": false, "name": "hello", "list": ["a", "b"], "empty": null,
        "platform": {"os": "linux"},
    });
    fill(text, values.as_object().expect("an object"))
}

#[test]
fn a_text_is_filled_in() {
    let check = |text: &str, expected: &str| {
        assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
    };
    check("-j{{ jobs }} {{name}}", "-j2 hello");
    check("{{ '-fsanitize=address' if sanitize else '-O2' }}", "-O2");
    check("{{ platform.os }} {{ list | join(',') }}", "linux a,b");
    check("[{{ empty }}]", "[]");
    check("{{ '}}' }} {{ {'a': {'b': 1}}.a.b }}", "}} 1");
    let untouched = "%(branch)s ${HOME} {%(x)s} } }} {# {";
    check(untouched, untouched);
}

#[test]
fn a_text_that_cannot_be_filled_in_says_where() {
    let texts = [
        "make -j{{ job }}",
        "{{ somethingelse }}",
        "{{ platform.arch }}",
        "a {{ jobs",
        "a {{ }}",
        "{{ name | lowre }}",
    ];
    insta::assert_snapshot!(errors(&texts, filled), @"
    make -j{{ job }}
        there is no name `job`; did you mean `jobs`? @ job
    {{ somethingelse }}
        there is no name `somethingelse`; there are `jobs`, `sanitize`, `name`, `list`, `empty`, `platform` @ somethingelse
    {{ platform.arch }}
        there is no `arch` of `platform`; there is `os` @ arch
    a {{ jobs
        this `{{` is not closed by `}}` @ {{
    a {{ }}
        there is no expression @  
    {{ name | lowre }}
        there is no filter `lowre`; did you mean `lower`? @ lowre
    ");
}

#[test]
fn a_text_that_is_one_expression_gives_nothing_a_list_or_a_text() {
    let values = json!({"jobs": 2, "off": false, "list": ["a b", 1], "none": null});
    let check = |text: &str, expected: &str| {
        let whole = fill_whole(text, values.as_object().expect("an object"));
        let told = match whole {
            None => "no whole".to_owned(),
            Some(Ok(Whole::Nothing)) => "nothing".to_owned(),
            Some(Ok(Whole::List(all))) => format!("{all:?}"),
            Some(Ok(Whole::Map(all))) => format!("{all:?}"),
            Some(Ok(Whole::Text(text))) => text,
            Some(Err(error)) => error.what,
        };
        assert_eq!(told, expected, "{text}");
    };
    check("{{ jobs }}", "2");
    check("{{ off }}", "False");
    check("{{ list }}", r#"["a b", "1"]"#);
    check("{{ {'a': jobs} }}", r#"[("a", "2")]"#);
    check("{{ none }}", "nothing");
    check("{{ '-k' if off }}", "nothing");
    check("{{ '-k' if jobs }}", "-k");
    check("{{ {'a': 1}[jobs] if jobs else 1 }}", "this has no value");
    check("{{ {'a': 1}['else'] }}", "this has no value");
    check(" {{ none }}", "no whole");
    check("{{ none }}{{ none }}", "no whole");
    check("plain", "no whole");
}

#[test]
fn names_of_sections_are_filled_in() {
    let values = json!({"branch": "1.2.X", "python": 3.1, "database": "sqlite3"});
    let values = values.as_object().expect("an object");
    let name = |text: &str| fill_name(text, values);
    for (text, expected) in [
        (
            "{branch}-python{python}-{database}",
            "1.2.X-python3.1-sqlite3",
        ),
        ("{{ branch | replace('.', '_') }}{python}", "1_2_X3.1"),
        ("a{{ '}' }}{ branch }", "a}1.2.X"),
        ("plain", "plain"),
        ("", ""),
    ] {
        assert_eq!(name(text).as_deref(), Ok(expected), "{text}");
    }
    let texts = [
        "é{brnch}",
        "é{{ python }} {databse}",
        "{a",
        "a}",
        "{}",
        "{a b}",
        "{{ x",
        "{branch}{{ 1 + 'a' }}",
    ];
    insta::assert_snapshot!(errors(&texts, name), @"
    é{brnch}
        there is no name `brnch`; did you mean `branch`? @ brnch
    é{{ python }} {databse}
        there is no name `databse`; did you mean `database`? @ databse
    {a
        this `{` is not closed by `}` @ {
    a}
        this `}` closes nothing @ }
    {}
        between `{` and `}` stands a name; an expression stands in `{{ … }}` @ {}
    {a b}
        between `{` and `}` stands a name; an expression stands in `{{ … }}` @ {a b}
    {{ x
        this `{{` is not closed by `}}` @ {{
    {branch}{{ 1 + 'a' }}
        a number and a text cannot be added; `~` joins texts @ 1 + 'a'
    ");
}

#[test]
fn the_names_that_a_text_uses_are_known() {
    let names =
        names_in("-j{{ jobs }} {{ platform.os if a | default(b) is in [c] }} %(d)s").expect("good");
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "jobs", "platform"]);
    assert!(names_in("{{ a").is_err());
}
