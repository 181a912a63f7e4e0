//! The file of options that a user keeps for commands that are given again and again:
//! `.autobot/options`, or `.buildbot/options` of who comes from there. It is looked for in the
//! current directory, in those above it, and in the home; the first that is found counts.
//!
//! Buildbot's was a program. What is in it is names and values, and those are read here: `NAME =
//! VALUE`, where a value is a text in quotes, a list of such, `True`, `False` or `None`.

use std::env;
use std::fs;
use std::iter::Peekable;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::str::Chars;

use anstream::eprintln;

use super::exit::Failure;
use crate::syntax;

/// Where the file is, below a directory.
const PLACES: [&str; 2] = [".autobot/options", ".buildbot/options"];

/// Every name that a command asks for.
const NAMES: &[&str] = &[
    "master",
    "masterstatus",
    "debugPassword",
    "who",
    "username",
    "branch",
    "category",
    "vc",
    "ca",
    "try_connect",
    "try_builders",
    "try_vc",
    "try_branch",
    "try_repository",
    "try_project",
    "try_topdir",
    "try_topfile",
    "try_host",
    "try_port",
    "try_ssh",
    "try_autobotbin",
    "try_buildbotbin",
    "try_username",
    "try_jobdir",
    "try_passwd",
    "try_master",
    "try_scheduler",
    "try_who",
    "try_comment",
    "try_wait",
    "try_quiet",
    "try_untracked",
    "try_masterstatus",
    "try_dir",
    "try_password",
    "user_master",
    "user_username",
    "user_passwd",
];

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Text(String),
    List(Vec<String>),
    Truth(bool),
    Nothing,
}

/// A file of options; without one, there are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    path: PathBuf,
    values: Vec<(String, Given)>,
}

impl Options {
    /// Reads the file that counts here.
    pub(super) fn find() -> Result<Self, Failure> {
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let home = env::home_dir();
        let above = here.ancestors().map(Path::to_owned);
        let owner = rustix::process::getuid().as_raw();
        for dir in above.chain(home) {
            for place in PLACES {
                let path = dir.join(place);
                let Some(Ok(found)) = path.parent().map(fs::metadata) else {
                    continue;
                };
                if !path.is_file() {
                    continue;
                }
                if found.uid() != owner {
                    eprintln!("`{}` is not yours, and is not read", path.display());
                    continue;
                }
                return Self::read(path);
            }
        }
        Ok(Self::default())
    }

    /// What such a text says.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Self {
        Self {
            path: "options".into(),
            values: parse(text).expect("good"),
        }
    }

    fn read(path: PathBuf) -> Result<Self, Failure> {
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::because(format!("failed to read `{}`", path.display()), &error)
        })?;
        let values = parse(&text).map_err(|(line, what)| {
            Failure::new(format!("{}:{line}: {what}", path.display())).hint(
                "a line is NAME = VALUE, where a value is 'text', ['a', 'list'], True, False or None",
            )
        })?;
        for (name, _) in &values {
            if !NAMES.contains(&name.as_str())
                && let Some(near) = syntax::nearest(name, NAMES.iter().copied())
            {
                let path = path.display();
                eprintln!("{path}: there is no option `{name}`; did you mean `{near}`?");
            }
        }
        Ok(Self { path, values })
    }

    /// The text behind one of these names; of several the last counts.
    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, Failure> {
        match self.last(names) {
            None => Ok(None),
            Some((_, Given::Nothing)) => Ok(None),
            Some((_, Given::Text(text))) => Ok(Some(text.clone()).filter(|it| !it.is_empty())),
            Some((name, Given::List(_) | Given::Truth(_))) => Err(self.wrong(name, "a text")),
        }
    }

    /// The texts behind a name.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, Failure> {
        match self.last(&[name]) {
            None | Some((_, Given::Nothing)) => Ok(Vec::new()),
            Some((_, Given::List(all))) => Ok(all.clone()),
            Some((_, Given::Text(one))) => Ok(vec![one.clone()]),
            Some((name, Given::Truth(_))) => Err(self.wrong(name, "a list of texts")),
        }
    }

    /// Whether a name says so.
    pub(super) fn truth(&self, name: &str) -> Result<bool, Failure> {
        match self.last(&[name]) {
            None | Some((_, Given::Nothing)) => Ok(false),
            Some((_, Given::Truth(truth))) => Ok(*truth),
            Some((name, Given::Text(_) | Given::List(_))) => {
                Err(self.wrong(name, "`True` or `False`"))
            }
        }
    }

    /// The last of the names that stands in the file, and what is behind it.
    fn last(&self, names: &[&str]) -> Option<(&str, &Given)> {
        let mut names = names.iter().rev();
        names.find_map(|name| {
            let mut values = self.values.iter().rev();
            let (name, given) = values.find(|it| it.0 == *name)?;
            Some((name.as_str(), given))
        })
    }

    fn wrong(&self, name: &str, what: &str) -> Failure {
        Failure::new(format!("{}: `{name}` is {what}", self.path.display()))
    }
}

/// A mistake: its line, and what it is.
type Wrong = (usize, String);

fn parse(text: &str) -> Result<Vec<(String, Given)>, Wrong> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut values = Vec::new();
    loop {
        reader.skip(true);
        if reader.rest.peek().is_none() {
            return Ok(values);
        }
        let name = reader.word();
        reader.skip(false);
        if name.is_empty() || !reader.takes('=') {
            return Err(reader.wrong("this is no NAME = VALUE"));
        }
        reader.skip(false);
        values.push((name, reader.value()?));
        reader.skip(false);
        match reader.rest.peek() {
            None | Some('\n' | ';') => drop(reader.rest.next_if(|it| *it == ';')),
            Some(_) => return Err(reader.wrong("there is more behind the value")),
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> Wrong {
        (self.line, what.to_owned())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Passes over blanks and comments, and over line ends if these mean nothing here.
    fn skip(&mut self, over_lines: bool) {
        while let Some(next) = self.rest.peek() {
            match next {
                '\n' if !over_lines => return,
                '#' => while self.rest.next_if(|it| *it != '\n').is_some() {},
                it if it.is_whitespace() => drop(self.next()),
                _ => return,
            }
        }
    }

    fn word(&mut self) -> String {
        let is_part = |it: &char| it.is_ascii_alphanumeric() || *it == '_';
        let mut word = String::new();
        while let Some(next) = self.rest.next_if(is_part) {
            word.push(next);
        }
        word
    }

    fn value(&mut self) -> Result<Given, Wrong> {
        match self.rest.peek() {
            Some('\'' | '"') => self.text().map(Given::Text),
            Some('[') => self.list(']').map(Given::List),
            Some('(') => self.list(')').map(Given::List),
            _ => {
                let word = self.word();
                match word.as_str() {
                    "True" => Ok(Given::Truth(true)),
                    "False" => Ok(Given::Truth(false)),
                    "None" => Ok(Given::Nothing),
                    // What says of what kind a text is.
                    "u" | "b" | "r" if matches!(self.rest.peek(), Some('\'' | '"')) => {
                        self.text().map(Given::Text)
                    }
                    number
                        if !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()) =>
                    {
                        Ok(Given::Text(word))
                    }
                    _ => Err(self.wrong("this is no value; a text stands in quotes")),
                }
            }
        }
    }

    fn list(&mut self, end: char) -> Result<Vec<String>, Wrong> {
        self.next();
        let mut all = Vec::new();
        loop {
            self.skip(true);
            if self.takes(end) {
                return Ok(all);
            }
            match self.value()? {
                Given::Text(text) => all.push(text),
                Given::List(_) | Given::Truth(_) | Given::Nothing => {
                    return Err(self.wrong("a list holds texts"));
                }
            }
            self.skip(true);
            if !self.takes(',') && self.rest.peek() != Some(&end) {
                return Err(self.wrong("the list does not end"));
            }
        }
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let open = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.wrong("the text does not end in its line")),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(other) => text.push(other),
                    None => {}
                },
                next if next == open => return Ok(text),
                Some(next) => text.push(next),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_texts_lists_and_truths() {
        let it = Options::of_text(
            "# mine\ntry_connect = 'pb'\ntry_master = \"ci.test:9031\" # there\n\
             try_builders = ['a',\n  u'b', # the slow one\n]\ntry_wait = True; try_quiet=False\n\
             try_who = None\ntry_branch = 'it\\'s'\ntry_topfile = ('x')\ntry_port = 22\n",
        );
        let text = |name: &str| it.text(&[name]).expect("a text");
        assert_eq!(text("try_connect").as_deref(), Some("pb"));
        assert_eq!(text("try_master").as_deref(), Some("ci.test:9031"));
        assert_eq!(text("try_who"), None);
        assert_eq!(text("try_host"), None);
        assert_eq!(text("try_branch").as_deref(), Some("it's"));
        assert_eq!(text("try_port").as_deref(), Some("22"));
        assert_eq!(it.list("try_builders").expect("a list"), ["a", "b"]);
        assert_eq!(it.list("try_connect").expect("a list"), ["pb"]);
        assert_eq!(
            (it.truth("try_wait"), it.truth("try_quiet"), it.truth("x")),
            (Ok(true), Ok(false), Ok(false))
        );
        assert_eq!(
            it.text(&["try_wait"]).expect_err("no text").text(),
            "options: `try_wait` is a text"
        );
    }

    #[test]
    fn of_several_names_for_the_same_the_last_counts() {
        let it = Options::of_text(
            "try_masterstatus = 'new'\ntry_master = 'old'\ntry_master = 'older'\n",
        );
        let text = |names: &[&str]| it.text(names).expect("a text");
        assert_eq!(
            text(&["try_master", "try_masterstatus"]).as_deref(),
            Some("new")
        );
        assert_eq!(text(&["try_master"]).as_deref(), Some("older"));
    }

    #[test]
    fn a_mistake_has_its_line() {
        for (text, line, what) in [
            ("import os", 1, "this is no NAME = VALUE"),
            (
                "a = 'b'\nb = c",
                2,
                "this is no value; a text stands in quotes",
            ),
            ("a = 'b", 1, "the text does not end in its line"),
            ("a = ['b'\n'c']", 2, "the list does not end"),
            ("a = ['b', True]", 1, "a list holds texts"),
            ("a = 'b' + 'c'", 1, "there is more behind the value"),
            ("\n\n= 3", 3, "this is no NAME = VALUE"),
        ] {
            assert_eq!(parse(text), Err((line, what.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_understood_says_what_a_line_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("options");
        fs::write(&path, "a = 1 +").unwrap();
        let told = Options::read(path.clone()).unwrap_err().text();
        assert_eq!(
            told,
            format!(
                "{}:1: there is more behind the value\nhint: a line is NAME = VALUE, where a value \
                 is 'text', ['a', 'list'], True, False or None",
                path.display()
            )
        );
    }
}
