//! The schema against what the reader accepts and refuses, by a validator of
//! the few words that it uses.

use serde_json::Value as Json;

use super::convert::examples;
use super::convert::examples_of_types;
use super::convert::respelled;
use super::convert::steps_in_place;
use super::*;

/// The first thing that does not fit.
fn wrong(schema: &Json, value: &Json, root: &Json, at: &str) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return Err(format!("{at}: {schema} is no schema"));
    };
    for (word, rule) in schema {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "deprecated" | "format" | "then"
            | "else" => {}
            "$ref" => {
                let path = rule.as_str().expect("a text").trim_start_matches('#');
                let found = root
                    .pointer(path)
                    .unwrap_or_else(|| panic!("{rule} leads nowhere"));
                wrong(found, value, root, at)?;
            }
            "type" => {
                let all = match rule {
                    Json::Array(all) => all.clone(),
                    one => vec![one.clone()],
                };
                let is = |it: &Json| match it.as_str().expect("a word") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    "number" => value.is_number(),
                    other => panic!("{other} is no type"),
                };
                if !all.iter().any(is) {
                    return Err(format!("{at}: {value} is not {rule}"));
                }
            }
            "enum" if !rule.as_array().expect("a list").contains(value) => {
                return Err(format!("{at}: {value} is not one of {rule}"));
            }
            "enum" => {}
            "const" if rule != value => return Err(format!("{at}: {value} is not {rule}")),
            "const" => {}
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().expect("a text")).expect("a pattern");
                if value.as_str().is_some_and(|it| !pattern.is_match(it)) {
                    return Err(format!("{at}: {value} does not fit {rule}"));
                }
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    let name = name.as_str().expect("a text");
                    if value.as_object().is_some_and(|it| !it.contains_key(name)) {
                        return Err(format!("{at}: {name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().expect("a table") {
                    if let Some(inside) = value.get(name) {
                        wrong(rule, inside, root, &format!("{at}.{name}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Json::as_object);
                for (name, inside) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{name}");
                    match rule {
                        _ if known.is_some_and(|it| it.contains_key(name)) => {}
                        Json::Bool(false) => return Err(format!("{at} is unknown")),
                        rule => wrong(rule, inside, root, &at)?,
                    }
                }
            }
            "items" => {
                for inside in value.as_array().into_iter().flatten() {
                    wrong(rule, inside, root, &format!("{at}[]"))?;
                }
            }
            "allOf" => {
                for rule in rule.as_array().expect("a list") {
                    wrong(rule, value, root, at)?;
                }
            }
            "anyOf" => {
                let mut all = rule.as_array().expect("a list").iter();
                if !all.any(|it| wrong(it, value, root, at).is_ok()) {
                    return Err(format!("{at}: {value} fits none of {rule}"));
                }
            }
            "if" => {
                let way = match wrong(rule, value, root, at) {
                    Ok(()) => "then",
                    Err(_) => "else",
                };
                if let Some(rule) = schema.get(way) {
                    wrong(rule, value, root, at)?;
                }
            }
            other => panic!("the schema uses the word {other}"),
        }
    }
    Ok(())
}

fn check(schema: &Json, text: &str) -> Result<(), String> {
    let value: toml::Value = toml::from_str(text).expect(text);
    let value = serde_json::to_value(value).expect("TOML fits into JSON");
    wrong(schema, &value, schema, "")
}

#[test]
fn the_schema_accepts_every_example() {
    let schema = schema();
    for text in examples() {
        // One of them is wrong, and some have keys in another case.
        let text = text.replace("maxBuilds", "max_builds");
        let text = text.replace("pollInterval", "poll_interval");
        let text = text.replace("treeStable", "tree_stable");
        if text.contains("slaveprot") {
            continue;
        }
        let toml = respelled(&text, Spelling::Ini, Spelling::Toml).expect("good");
        assert_eq!(check(&schema, &toml), Ok(()), "{toml}");
    }
    for text in examples_of_types() {
        let toml = respelled(&text, Spelling::Ini, Spelling::Toml).expect("good");
        assert_eq!(check(&schema, &toml), Ok(()), "{toml}");
    }
    let steps = steps_in_place();
    assert_eq!(check(&schema, &steps), Ok(()), "{steps}");
    let recipe = recipe_schema();
    for text in [
        include_str!("../../../factories/hello.toml"),
        include_str!("../../../factories/toolbox.toml"),
        include_str!("../../../factories/autobot.toml"),
        include_str!("../../../share/demo/words.toml"),
    ] {
        assert_eq!(check(&recipe, text), Ok(()), "{text}");
    }
}

#[test]
fn the_schema_refuses_what_is_misspelled() {
    let check = |schema: &Json, text: &str, expected: &str| {
        let told = check(schema, text).expect_err(text);
        assert!(told.contains(expected), "{told}\n{text}");
    };
    let schema = schema();
    for (text, expected) in [
        ("[master]\nslaveprot = 1", "master.slaveprot is unknown"),
        ("[slvae.a]\npassword = \"p\"", ".slvae is unknown"),
        ("[slave.a]\nmax_builds = \"two\"", "\"two\" does not fit"),
        ("[slave.a]\nlaunch = \"lokal\"", "\"lokal\" is not one of"),
        ("[slave.a]\ntags = [1]", "tags[]: 1 is not"),
        (
            "[factory.a]\ntype = \"shell\"\ncomands = \"x\"",
            "comands is unknown",
        ),
        ("[factory.shell]\ncomands = \"x\"", "comands is unknown"),
        ("[factory.a]\ntype = \"hello\"\njobz = 1", "jobz is unknown"),
        ("[[factory.a.steps]]\ntype = \"shel\"", "fits none"),
        (
            "[[factory.source.steps]]\ntype = \"shell\"",
            "command is missing",
        ),
        ("[builder.a]\nsalves = \"x\"", "salves is unknown"),
        (
            "[source.a]\ntype = \"git\"\nbranchs = \"x\"",
            "branchs is unknown",
        ),
        ("[source.a]\ntype = \"gti\"", "fits none"),
        ("[source.svn]\nrepurl = \"x\"", "repurl is unknown"),
        ("[scheduler.a]\nbrunch = \"x\"", "brunch is unknown"),
        ("[scheduler.nightly]\nhuor = 3", "huor is unknown"),
        (
            "[scheduler.a]\ntype = \"nightly\"\nbranch_re = \"x\"",
            "branch_re is unknown",
        ),
        (
            "[status.a]\ntype = \"mail\"\nbody_type = \"htlm\"",
            "\"htlm\" is not one of",
        ),
        ("[reporter.irc]\nnik = \"x\"", "nik is unknown"),
        ("[lock.a]\nmax_cuont = 2", "max_cuont is unknown"),
        ("[lock.a]\ntype = \"slvae\"", "\"slvae\" is not one of"),
        ("[user.a]\nemial = \"x\"", "emial is unknown"),
        ("[test.a]\nnotify = \"x\"", "notify is unknown"),
        ("[web]\nrevlinks = \"x\"", "revlinks is unknown"),
        ("[authz]\nforce_biuld = true", "force_biuld is unknown"),
        ("[validation]\nbrnach = \"x\"", "brnach is unknown"),
        ("[secrets]\nflie = \"x\"", "flie is unknown"),
        ("[metrics]\ninterval = 1", "interval is unknown"),
        (
            "[[factory.a.steps]]\ntype = \"trigger\"\nscheduler_names = [\"a\"]\nwait = true",
            "wait is unknown",
        ),
        (
            "[[factory.a.steps]]\ntype = \"string_download\"\nslavedest = \"a\"",
            "s is missing",
        ),
    ] {
        check(&schema, text, expected);
    }
    let recipe = recipe_schema();
    check(
        &recipe,
        "[[steps]]\ntype = \"test\"\ntimout = 1",
        "timout is unknown",
    );
    check(
        &recipe,
        "[params]\njobs = { tpye = \"int\" }",
        "tpye is unknown",
    );
}
