//! Orders for workers that want whole paths: they have no builders, so the master says where the
//! directories are.

use crate::wire::pb::jelly::Value;

use super::order::Order;

/// Where a worker has its directories, in the way of its system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Paths {
    basedir: String,
    /// What `~` stands for.
    home: Option<String>,
    is_windows: bool,
}

impl Paths {
    /// Reads what the worker says of itself.
    pub(super) fn read(info: &Value) -> Self {
        let text = |value: &Value, key| value.get(key).and_then(Value::as_text);
        let is_windows = text(info, "system").as_deref() == Some("nt");
        let environ = info.get("environ");
        let variable = |name| environ.and_then(|it| text(it, name));
        Self {
            basedir: text(info, "basedir").unwrap_or_default(),
            home: match is_windows {
                true => variable("USERPROFILE"),
                false => variable("HOME"),
            },
            is_windows,
        }
    }

    fn separator(&self) -> char {
        if self.is_windows { '\\' } else { '/' }
    }

    /// A path of a builder's directory, or one that is whole already.
    fn join(&self, dir: &str, path: &str) -> String {
        if let Some(rest) = path.strip_prefix('~')
            && (rest.is_empty() || rest.starts_with('/'))
            && let Some(home) = &self.home
        {
            return format!("{home}{rest}");
        }
        let is_whole = path.starts_with('/') || (self.is_windows && path.contains(':'));
        if is_whole {
            return path.to_owned();
        }
        let separator = self.separator();
        let mut whole = self.basedir.trim_end_matches(['/', separator]).to_owned();
        for part in dir.split('/').chain(path.split('/')) {
            match part {
                "" | "." => {}
                part => {
                    whole.push(separator);
                    whole.push_str(part);
                }
            }
        }
        whole
    }

    /// The command and its arguments, of an order that is relative to a builder.
    pub(super) fn absolute(&self, order: &Order) -> (&'static str, Value) {
        let Value::Dict(arguments) = &order.arguments else {
            return (order.name, order.arguments.clone());
        };
        let text = |key| order.arguments.get(key).and_then(Value::as_text);
        let path = |key| Value::Text(self.join(&order.dir, &text(key).unwrap_or_default()));
        // What stays as it is.
        let others = |gone: &[&str]| {
            let is_gone = |key: &Value| gone.iter().any(|it| *key == Value::text(*it));
            let pairs = arguments.iter().filter(|(key, _)| !is_gone(key));
            pairs.cloned().collect::<Vec<_>>()
        };
        let with = |pairs: &[(&str, Value)], mut rest: Vec<(Value, Value)>| {
            let pairs = pairs.iter();
            rest.extend(pairs.map(|(key, value)| (Value::text(*key), value.clone())));
            Value::Dict(rest)
        };
        let transfer = ["workdir", "workersrc", "workerdest", "writer", "reader"];
        match order.name {
            "shell" => {
                let command = plain(order.arguments.get("command"));
                let rest = others(&["workdir", "command"]);
                let pairs = [("workdir", path("workdir")), ("command", command)];
                ("shell", with(&pairs, rest))
            }
            "mkdir" | "rmdir" => {
                let paths = Value::List(vec![path("dir")]);
                (order.name, with(&[("paths", paths)], others(&["dir"])))
            }
            "cpdir" => {
                let pairs = [("from_path", path("fromdir")), ("to_path", path("todir"))];
                ("cpdir", with(&pairs, others(&["fromdir", "todir"])))
            }
            "stat" => {
                let pairs = [("path", path("file"))];
                ("stat", with(&pairs, others(&["file", "workdir"])))
            }
            "listdir" => {
                let pairs = [("path", path("dir"))];
                ("listdir", with(&pairs, others(&["dir"])))
            }
            "glob" | "rmfile" => {
                let pairs = [("path", path("path"))];
                (order.name, with(&pairs, others(&["path"])))
            }
            "uploadFile" => {
                let pairs = [("path", path("workersrc"))];
                ("upload_file", with(&pairs, others(&transfer)))
            }
            "uploadDirectory" => {
                let pairs = [("path", path("workersrc"))];
                ("upload_directory", with(&pairs, others(&transfer)))
            }
            "downloadFile" => {
                let pairs = [("path", path("workerdest"))];
                ("download_file", with(&pairs, others(&transfer)))
            }
            name => (name, order.arguments.clone()),
        }
    }
}

/// A command line without what is shown instead of its words: here a list is never taken for such a
/// pair. In the logs of builds the words are hidden as ever.
fn plain(command: Option<&Value>) -> Value {
    let word = |word: &Value| match word {
        Value::Tuple(parts) if parts.len() == 3 => parts[1].clone(),
        other => other.clone(),
    };
    match command {
        Some(Value::List(words)) => Value::List(words.iter().map(word).collect()),
        Some(other) => other.clone(),
        None => Value::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(system: &str, basedir: &str) -> Paths {
        let environ = [
            ("HOME", Value::text("/home/ann")),
            ("USERPROFILE", Value::text(r"C:\Users\Ann")),
        ];
        Paths::read(&Value::dict([
            ("system", Value::text(system)),
            ("basedir", Value::text(basedir)),
            ("environ", Value::dict(environ)),
        ]))
    }

    #[test]
    fn paths_are_whole_in_the_way_of_the_system() {
        let posix = paths("posix", "/srv/w1/");
        for (path, whole) in [
            ("build", "/srv/w1/b/build"),
            (".", "/srv/w1/b"),
            ("../c/./x", "/srv/w1/b/../c/x"),
            ("/tmp/x", "/tmp/x"),
            ("~/x", "/home/ann/x"),
            ("~", "/home/ann"),
            ("~ann", "/srv/w1/b/~ann"),
        ] {
            assert_eq!(posix.join("b", path), whole);
        }
        let windows = paths("nt", r"C:\w1\");
        for (path, whole) in [
            ("build/sub", r"C:\w1\b\build\sub"),
            ("D:/x", "D:/x"),
            ("~/x", r"C:\Users\Ann/x"),
        ] {
            assert_eq!(windows.join("b", path), whole);
        }
    }

    #[test]
    fn every_command_has_the_names_that_such_workers_know() {
        let paths = paths("posix", "/srv");
        let text = Value::text;
        let check = |name: &'static str, given: Value, expected: (&str, Value)| {
            let dir = "b".to_owned();
            let order = Order {
                dir,
                name,
                arguments: given,
            };
            let (command, said) = paths.absolute(&order);
            assert_eq!((command, said), expected);
        };
        let list = |path| Value::List(vec![text(path)]);
        check(
            "mkdir",
            Value::dict([("dir", text("x"))]),
            ("mkdir", Value::dict([("paths", list("/srv/b/x"))])),
        );
        check(
            "rmdir",
            Value::dict([("dir", text("x"))]),
            ("rmdir", Value::dict([("paths", list("/srv/b/x"))])),
        );
        check(
            "cpdir",
            Value::dict([("fromdir", text("x")), ("todir", text("../c/y"))]),
            (
                "cpdir",
                Value::dict([
                    ("from_path", text("/srv/b/x")),
                    ("to_path", text("/srv/b/../c/y")),
                ]),
            ),
        );
        check(
            "stat",
            Value::dict([("file", text("x")), ("workdir", text("."))]),
            ("stat", Value::dict([("path", text("/srv/b/x"))])),
        );
        check(
            "listdir",
            Value::dict([("dir", text("."))]),
            ("listdir", Value::dict([("path", text("/srv/b"))])),
        );
        for name in ["glob", "rmfile"] {
            check(
                name,
                Value::dict([("path", text("*.o"))]),
                (name, Value::dict([("path", text("/srv/b/*.o"))])),
            );
        }
        for (name, key, packed) in [
            ("uploadFile", "workersrc", "upload_file"),
            ("uploadDirectory", "workersrc", "upload_directory"),
            ("downloadFile", "workerdest", "download_file"),
        ] {
            check(
                name,
                Value::dict([
                    ("workdir", text(".")),
                    (key, text("x")),
                    ("writer", Value::None),
                    ("maxsize", Value::None),
                ]),
                (
                    packed,
                    Value::dict([("maxsize", Value::None), ("path", text("/srv/b/x"))]),
                ),
            );
        }
        let hidden = Value::Tuple(vec![text("obfuscated"), text("hunter2"), text("XXXX")]);
        check(
            "shell",
            Value::dict([
                ("command", Value::List(vec![text("echo"), hidden])),
                ("workdir", text("build")),
            ]),
            (
                "shell",
                Value::dict([
                    ("workdir", text("/srv/b/build")),
                    ("command", Value::List(vec![text("echo"), text("hunter2")])),
                ]),
            ),
        );
    }
}
