//! `file_download` and its relatives: a file of the master, a text, a JSON
//! document or the build's properties become a file on the slave.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use crate::model::Change;
use crate::model::Channel;
use crate::model::ExitCause;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::RenderError;
use crate::model::Text;
use crate::model::Timestamp;
use crate::model::Written;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Piece;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::bytes::Bytes;
use super::bytes::PIECE;
use super::paths;
use super::texts::verdict;

const FLAGS: Flags = Flags {
    halt_on_failure: true,
    flunk_on_failure: true,
    ..Flags::NONE
};

pub(super) const FILE: StepKind = StepKind {
    name: "file_download",
    aliases: &["download"],
    step_name: "download",
    summary: "Sends a file of the master to the slave.",
    example: r#"mastersrc = "files/virtualenv.py"
slavedest = "virtualenv.py"
mode = "0755""#,
    flags: FLAGS,
    read: |keys| {
        let mastersrc = keys.required::<Text>("mastersrc");
        let settings = Settings::read(keys);
        let mastersrc = mastersrc?;
        if let Err(why) = check_master_path(&mastersrc) {
            keys.wrong("mastersrc", why);
            return None;
        }
        Some(Arc::new(Download {
            what: What::MasterFile(mastersrc),
            settings: settings?,
        }))
    },
};

pub(super) const STRING: StepKind = StepKind {
    name: "string_download",
    aliases: &[],
    step_name: "string_download",
    summary: "Writes a text of the configuration into a file on the slave.",
    example: r#"s = "DEBUG = True\nFORMAT = '%s'\n"
slavedest = "testsettings.py""#,
    flags: FLAGS,
    read: |keys| {
        let text = keys.required::<Body>("s");
        let interpolate = keys.or("interpolate", false);
        let settings = Settings::read(keys);
        let text = match (text?, interpolate?) {
            (Body(text, _), false) => Text::literal(text),
            (Body(text, node), true) => match Text::parse(&text) {
                Ok(text) => text,
                Err(error) => {
                    let misread = node.misread(&text, error.at, error.what);
                    keys.wrong("s", misread.what.unwrap_or_default());
                    return None;
                }
            },
        };
        Some(Arc::new(Download {
            what: What::Text(text),
            settings: settings?,
        }))
    },
};

pub(super) const JSON: StepKind = StepKind {
    name: "json_string_download",
    aliases: &["json_download"],
    step_name: "json_download",
    summary: "Writes a value of the configuration as JSON into a file on the slave.",
    example: r#"o = { debug = true, hosts = ["a", "b"] }
slavedest = "settings.json""#,
    flags: FLAGS,
    read: |keys| {
        let value = keys.required::<Json>("o");
        let interpolate = keys.or("interpolate", false);
        let settings = Settings::read(keys);
        let (value, interpolate) = (value?, interpolate?);
        if interpolate && let Err(why) = check_texts(&value) {
            keys.wrong("o", why);
            return None;
        }
        Some(Arc::new(Download {
            what: What::Json { value, interpolate },
            settings: settings?,
        }))
    },
};

pub(super) const PROPERTIES: StepKind = StepKind {
    name: "json_properties_download",
    aliases: &[],
    step_name: "json_properties_download",
    summary: "Writes the build's properties and source as JSON into a file on the slave.",
    example: r#"slavedest = "build.json""#,
    flags: FLAGS,
    read: |keys| {
        Some(Arc::new(Download {
            what: What::Properties,
            settings: Settings::read(keys)?,
        }))
    },
};

/// Smaller pieces would only be more commands.
const SMALLEST_PIECE: u64 = 4 << 10;

#[derive(Clone, Debug)]
struct Download {
    what: What,
    settings: Settings,
}

#[derive(Clone, Debug)]
enum What {
    MasterFile(Text),
    Text(Text),
    Json { value: Json, interpolate: bool },
    Properties,
}

/// What all of them may be told.
#[derive(Clone, Debug)]
struct Settings {
    /// Relative to the work directory.
    slavedest: Text,
    workdir: Option<Text>,
    /// More than this is cut off, and a failure.
    max_size: Option<u64>,
    piece: u64,
    mode: Option<u32>,
}

impl Settings {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let slavedest = keys.required("slavedest");
        let workdir = keys.optional("workdir");
        let max_size = keys.or("max_size", Size(None));
        let block_size = keys.or("block_size", Size(None));
        let mode = keys.optional::<Mode>("mode");
        Some(Self {
            slavedest: slavedest?,
            workdir: workdir?,
            max_size: max_size?.0,
            piece: block_size?
                .0
                .map_or(PIECE, |it| it.clamp(SMALLEST_PIECE, PIECE)),
            mode: mode?.map(|it| it.0),
        })
    }
}

/// A text with its place: what it means depends on another key.
struct Body(String, Node);

impl Value for Body {
    const EXPECTED: &'static str = String::EXPECTED;

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(node.as_text()?.to_owned(), node.clone()))
    }
}

/// Permissions, in octal as everybody writes them.
pub(super) struct Mode(pub(super) u32);

impl Value for Mode {
    const EXPECTED: &'static str = "permissions in octal, such as `0644`";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        let octal = |text: &str| {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            let is_octal =
                !digits.is_empty() && digits.bytes().all(|it| (b'0'..=b'7').contains(&it));
            is_octal
                .then(|| u32::from_str_radix(digits, 8).ok())
                .flatten()
        };
        let mode = match &node.content {
            Content::Text(text) => octal(text),
            // TOML has numbers in octal; one in decimal is not meant.
            Content::Int(_) => {
                octal(node.place.text()).filter(|_| node.place.text().starts_with("0o"))
            }
            _ => None,
        };
        mode.filter(|it| *it <= 0o7777)
            .map(Self)
            .ok_or_else(Misread::default)
    }
}

/// A path that takes properties has a directory before them, in which it stays:
/// who may set a property must not choose among all files of the master.
pub(super) fn check_master_path(path: &Text) -> Result<(), &'static str> {
    if path.has_references() && !path.head().contains('/') {
        return Err("expected a directory before the first property, as in `files/%(branch)s`");
    }
    Ok(())
}

fn check_texts(value: &Json) -> Result<(), String> {
    match value {
        Json::String(text) => Text::parse(text).map(drop).map_err(|error| error.what),
        Json::Array(all) => all.iter().try_for_each(check_texts),
        Json::Object(all) => all.values().try_for_each(check_texts),
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

fn filled(value: &Json, properties: &Properties) -> Result<Json, RenderError> {
    Ok(match value {
        Json::String(text) => match Text::parse(text) {
            Ok(text) => text.value(properties)?,
            Err(_) => value.clone(),
        },
        Json::Array(all) => {
            let all: Result<_, _> = all.iter().map(|it| filled(it, properties)).collect();
            Json::Array(all?)
        }
        Json::Object(all) => {
            let all = all
                .iter()
                .map(|(key, it)| Ok((key.clone(), filled(it, properties)?)));
            Json::Object(all.collect::<Result<_, RenderError>>()?)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    })
}

impl Step for Download {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(Running {
            step: self.clone(),
            begun: None,
        })
    }
}

struct Running {
    step: Download,
    begun: Option<Begun>,
}

struct Begun {
    /// As the slave is told it.
    target: String,
    source: Source,
}

enum Source {
    Bytes(Vec<u8>),
    MasterFile(String),
}

impl Running {
    fn begin(&self, cx: &Cx<'_>) -> Result<Begun, StepError> {
        let settings = &self.step.settings;
        let workdir = match &settings.workdir {
            Some(text) => text.render(cx.properties)?,
            None => cx.workdir.to_owned(),
        };
        let dest = settings.slavedest.render(cx.properties)?;
        let is_free = !settings.slavedest.has_references();
        let is_anchored = settings.slavedest.head().starts_with(['/', '~']);
        let target = paths::file(cx.builder_dir, &workdir, &dest, is_free, is_anchored)?;
        let source = match &self.step.what {
            What::MasterFile(text) => Source::MasterFile(master_path(text, cx.properties)?),
            What::Text(text) => Source::Bytes(text.render(cx.properties)?.into_bytes()),
            What::Json { value, interpolate } => {
                let value = match interpolate {
                    true => &filled(value, cx.properties)?,
                    false => value,
                };
                Source::Bytes(value.to_string().into_bytes())
            }
            What::Properties => Source::Bytes(build_document(cx).to_string().into_bytes()),
        };
        Ok(Begun { target, source })
    }

    /// The piece that begins at `offset`.
    fn piece(&self, begun: &Begun, offset: u64, version: Option<String>) -> Move {
        let settings = &self.step.settings;
        let bytes = match &begun.source {
            Source::Bytes(bytes) => bytes,
            Source::MasterFile(file) => {
                return Move::Send(Piece {
                    file: file.clone(),
                    path: begun.target.clone(),
                    offset,
                    length: settings.piece,
                    max_size: settings.max_size,
                    version,
                    mode: settings.mode,
                });
            }
        };
        let text = Bytes {
            path: &begun.target,
            bytes,
            max_size: settings.max_size,
            mode: settings.mode,
        };
        Move::Run(text.piece(offset, settings.piece))
    }

    fn failed(&self, cx: &Cx<'_>, why: String) -> Move {
        let mut verdict = verdict(cx, Outcome::Failure, self.done_text(cx));
        if !why.is_empty() {
            verdict.logs.push(("stderr".into(), why));
        }
        Move::Done(verdict)
    }
}

impl Run for Running {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let dest = self.step.settings.slavedest.render(cx.properties);
        let dest = dest.unwrap_or_default();
        let name = Path::new(&dest).file_name().unwrap_or_default();
        vec![
            "downloading".into(),
            "to".into(),
            name.to_string_lossy().into_owned(),
        ]
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.running_text(cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(cx)?,
        };
        let Some(ended) = last else {
            let first = self.piece(&begun, 0, None);
            self.begun = Some(begun);
            return Ok(first);
        };
        if !ended.exit.is_success() {
            return Ok(self.failed(cx, complaint(ended)));
        }
        let Some(written) = Written::parse(&ended.output.stdout(1000)) else {
            let what = "the slave does not say how much it has written";
            return Err(StepError::Other(what.into()));
        };
        let max_size = self.step.settings.max_size;
        let total = max_size.map_or(written.size, |it| it.min(written.size));
        if written.end < total {
            let next = self.piece(&begun, written.end, Some(written.version));
            self.begun = Some(begun);
            return Ok(next);
        }
        if total < written.size {
            let (target, size) = (&begun.target, written.size);
            let why = format!("`{target}` was cut off after {total} of {size} bytes: `max_size`\n");
            return Ok(self.failed(cx, why));
        }
        let done = self.done_text(cx);
        Ok(Move::Done(verdict(cx, Outcome::Success, done)))
    }
}

/// What the slave, or the master on the way to it, says of a failure.
pub(super) fn complaint(ended: &Ended<'_>) -> String {
    if let ExitCause::NotStarted(why) = &ended.exit.cause {
        return format!("{why}\n");
    }
    let mut said = String::new();
    ended.output.lines(&mut |channel, line| {
        if channel == Channel::Stderr && said.len() < 64 << 10 {
            said.push_str(line);
            said.push('\n');
        }
    });
    said
}

/// The path as it is meant on the master.
pub(super) fn master_path(path: &Text, properties: &Properties) -> Result<String, StepError> {
    let rendered = path.render(properties)?;
    let leaves = path.has_references() && rendered.split('/').any(|part| part == "..");
    if leaves || rendered.is_empty() || rendered.contains('\0') {
        let shown = rendered.escape_debug();
        let what = format!("`{shown}` is not a file below `{}`", path.head());
        return Err(StepError::Other(what));
    }
    Ok(rendered)
}

/// Everything that is known of the build, in Buildbot's form.
fn build_document(cx: &Cx<'_>) -> Json {
    let properties: serde_json::Map<_, _> = cx
        .properties
        .iter()
        .map(|(name, it)| (name.to_owned(), it.value.clone()))
        .collect();
    let changes: Vec<_> = cx.changes.iter().map(change).collect();
    json!({
        "properties": properties,
        "sourcestamp": {
            "revision": cx.stamp.revision,
            "hasPatch": cx.stamp.patch.is_some(),
            "branch": cx.stamp.branch,
            "changes": changes,
            "project": cx.stamp.project,
            "repository": cx.stamp.repository,
        },
    })
}

fn change(it: &Change) -> Json {
    let files: Vec<_> = it
        .files
        .iter()
        .map(|name| json!({ "url": null, "name": name }))
        .collect();
    let properties: Vec<_> = it
        .properties
        .iter()
        .map(|(name, property)| json!([name, property.value, property.source]))
        .collect();
    json!({
        "number": it.id.0,
        "branch": it.branch,
        "category": it.category,
        "who": it.author,
        "comments": it.comments,
        "revision": it.revision,
        "rev": it.revision,
        "when": it.when.as_secs(),
        "at": shown(it.when),
        "files": files,
        "revlink": it.revlink,
        "properties": properties,
        "repository": it.repository,
        "project": it.project,
    })
}

/// Local time, as Buildbot prints it.
fn shown(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_second(at.as_secs()).ok()?;
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    Some(local.strftime("%a %d %b %Y %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::*;
    use crate::model::ChangeId;
    use crate::model::SourceStamp;
    use crate::syntax::Place;
    use crate::syntax::Problems;
    use crate::syntax::Source as SourceText;
    use crate::syntax::toml;

    fn try_read(kind: &StepKind, text: &str) -> Result<Arc<dyn Step>, String> {
        let source = SourceText::new("x.toml", "/base", text);
        let mut problems = Problems::default();
        let entries = toml::read(&source, &mut problems);
        let place = Place::new(&source, 0..0);
        let read = (kind.read)(&mut Keys::of_entries(
            "[[steps]]",
            &place,
            &entries,
            &mut problems,
        ));
        let label = |it: &crate::syntax::Problem| it.label.clone().unwrap_or_default();
        read.ok_or_else(|| problems.0.iter().map(label).collect::<Vec<_>>().join("; "))
    }

    fn bench(kind: &StepKind, text: &str) -> Bench {
        let step = try_read(kind, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Bench::new(step.as_ref(), kind)
    }

    #[test]
    fn a_text_is_written_as_it_stands_and_nothing_in_it_is_a_property() {
        let mut bench = bench(
            &STRING,
            "s = '''\nA = '%(name)s' % 5\n'''\nslavedest = 'testsettings.py'\nmode = '0644'\n",
        );
        assert_eq!(
            bench.running_text(),
            ["downloading", "to", "testsettings.py"]
        );
        let told = "write hello/build/testsettings.py 644: A = '%(name)s' % 5\n";
        assert_eq!(bench.begin(), told);
        let end = bench.ends(0, &[out("wrote 19 of 19 bytes")]);
        assert_eq!(end, "success: downloading to testsettings.py");
    }

    #[test]
    fn a_text_with_properties_is_asked_for() {
        let text = "s = '%(branch)s 100%%'\ninterpolate = true\nslavedest = 'x'\nworkdir = '.'\n";
        let mut filled = bench(&STRING, text);
        filled.properties.set("branch", "main", "test");
        assert_eq!(filled.begin(), "write hello/x: main 100%");
        let wrong = try_read(&STRING, &text.replace("%%", "%"));
        let wrong = wrong.map(drop).expect_err("a stray percent sign");
        assert!(wrong.contains("write `%%` for a percent sign"), "{wrong}");
    }

    #[test]
    fn a_long_text_travels_in_pieces() {
        let text = "x".repeat(10_000);
        let text = format!("s = '{text}'\nslavedest = 'x'\nblock_size = 1\n");
        let mut bench = bench(&STRING, &text);
        let x = |count| "x".repeat(count);
        let first = format!("write hello/build/x 0 of 10000…: {}", x(4096));
        assert_eq!(bench.begin(), first);
        let next = format!("write hello/build/x 4096 of 10000…: {}", x(4096));
        assert_eq!(bench.ends(0, &[out("wrote 4096 of 10000 bytes")]), next);
        let last = format!("write hello/build/x 8192 of 10000: {}", x(1808));
        assert_eq!(bench.ends(0, &[out("wrote 8192 of 10000 bytes")]), last);
        let end = bench.ends(0, &[out("wrote 10000 of 10000 bytes")]);
        assert_eq!(end, "success: downloading to x");
    }

    #[test]
    fn a_file_of_the_master_is_asked_for_piece_by_piece_and_in_one_version() {
        let mut bench = bench(&FILE, "mastersrc = 'a/b'\nslavedest = '../b'\n");
        assert_eq!(bench.begin(), "send a/b to hello/b from 0");
        let said = bench.ends(0, &[out("wrote 524288 of 600000 bytes of version v1")]);
        assert_eq!(said, "send a/b to hello/b from 524288 of version v1");
        let end = bench.ends(0, &[out("wrote 600000 of 600000 bytes of version v1")]);
        assert_eq!(end, "success: downloading to b");
    }

    #[test]
    fn what_is_too_long_is_cut_off_and_a_failure() {
        let mut bench = bench(&STRING, "s = '12345'\nslavedest = 'x'\nmax_size = 4\n");
        assert_eq!(bench.begin(), "write hello/build/x 0 of 5: 1234");
        let end = bench.ends(0, &[out("wrote 4 of 5 bytes")]);
        let expected = "failure: downloading to x failed; build: string_download";
        assert_eq!(end, expected);
        let why = "`hello/build/x` was cut off after 4 of 5 bytes: `max_size`\n";
        assert_eq!(bench.verdict().logs, [("stderr".into(), why.into())]);

        let mut exact = self::bench(&STRING, "s = '1234'\nslavedest = 'x'\nmax_size = 4\n");
        exact.begin();
        let end = exact.ends(0, &[out("wrote 4 of 4 bytes")]);
        assert_eq!(end, "success: downloading to x");
    }

    #[test]
    fn what_the_slave_complains_about_is_a_log() {
        let mut bench = bench(&STRING, "s = ''\nslavedest = 'x'\n");
        assert_eq!(bench.begin(), "write hello/build/x: ");
        let end = bench.ends(1, &[err("failed to write `x`: no space")]);
        assert!(end.starts_with("failure: downloading to x failed"), "{end}");
        let why = "failed to write `x`: no space\n";
        assert_eq!(bench.verdict().logs, [("stderr".into(), why.into())]);
    }

    #[test]
    fn json_is_written_and_its_texts_take_properties_where_asked() {
        let text = "o = { a = '%(b)s', l = [1, true] }\nslavedest = 'x'\n";
        let told = "write hello/build/x: {\"a\":\"%(b)s\",\"l\":[1,true]}";
        assert_eq!(bench(&JSON, text).begin(), told);
        let mut filled = bench(&JSON, &format!("{text}interpolate = true\n"));
        filled.properties.set("b", "c", "test");
        assert_eq!(filled.begin(), told.replace("%(b)s", "c"));
        let typed = "o = ['%(n)s', 'n%(n)s']\ninterpolate = true\nslavedest = 'x'\n";
        let mut typed = bench(&JSON, typed);
        typed.properties.set("n", 7, "test");
        assert_eq!(typed.begin(), "write hello/build/x: [7,\"n7\"]");
        let wrong = try_read(&JSON, "o = ['%']\ninterpolate = true\nslavedest = 'x'\n");
        assert!(wrong.is_err());
    }

    #[test]
    fn the_build_is_told_with_its_source() {
        let mut bench = bench(&PROPERTIES, "slavedest = 'x'\n");
        bench.properties.set("n", 5, "test");
        bench.stamp = SourceStamp {
            branch: Some("main".into()),
            ..SourceStamp::default()
        };
        bench.changes = vec![Change {
            id: ChangeId(3),
            author: "ann".into(),
            files: vec!["a".into()],
            comments: "c".into(),
            revision: Some("7".into()),
            branch: None,
            category: None,
            revlink: String::new(),
            repository: "r".into(),
            project: "p".into(),
            when: Timestamp::from_secs(86400),
            properties: Properties::new(),
        }];
        let told = bench.begin();
        let text = told.strip_prefix("write hello/build/x: ").expect("a file");
        let mut document: Json = serde_json::from_str(text).expect("JSON");
        let change = &mut document["sourcestamp"]["changes"][0];
        let at = change["at"].take();
        assert!(
            at.as_str().is_some_and(|it| it.contains("Jan 1970")),
            "{at}"
        );
        let expected = json!({
            "properties": { "n": 5 },
            "sourcestamp": {
                "revision": null, "hasPatch": false, "branch": "main", "project": "",
                "repository": "", "changes": [{
                    "number": 3, "branch": null, "category": null, "who": "ann", "comments": "c",
                    "revision": "7", "rev": "7", "when": 86400, "at": null,
                    "files": [{ "url": null, "name": "a" }], "revlink": "", "properties": [],
                    "repository": "r", "project": "p",
                }],
            },
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn a_property_leads_out_of_no_directory() {
        let begin = |kind: &StepKind, text: &str, value: &str| {
            let mut bench = bench(kind, text);
            bench.properties.set("p", value, "test");
            bench.begin()
        };
        let to = "s = ''\nslavedest = '%(p)s'\n";
        assert_eq!(begin(&STRING, to, "a/b"), "write hello/build/a/b: ");
        for value in [
            "/etc/x",
            "~/x",
            "../../other/x",
            "..",
            "",
            ".",
            "a/",
            "a\0b",
        ] {
            let said = begin(&STRING, to, value);
            assert!(said.starts_with("error: "), "{value}: {said}");
        }
        let to = "s = ''\nslavedest = '~/%(p)s'\n";
        assert_eq!(begin(&STRING, to, "x"), "write ~/x: ");
        assert!(begin(&STRING, to, "../x").starts_with("error: "));
        let to = "s = ''\nslavedest = '/srv/../srv/x'\n";
        assert_eq!(begin(&STRING, to, ""), "write /srv/../srv/x: ");

        let from = "slavedest = 'x'\nmastersrc = 'files/%(p)s'\n";
        assert_eq!(
            begin(&FILE, from, "a"),
            "send files/a to hello/build/x from 0"
        );
        let expected = "error: `files/../master.ini` is not a file below `files/`";
        assert_eq!(begin(&FILE, from, "../master.ini"), expected);
        let wrong = try_read(&FILE, "slavedest = 'x'\nmastersrc = '%(p)s'\n");
        let wrong = wrong.map(drop).expect_err("a path of properties alone");
        assert!(wrong.starts_with("expected a directory before"), "{wrong}");
    }

    #[test]
    fn permissions_are_octal() {
        let mode = |value: &str| {
            let text = format!("s = ''\nslavedest = 'x'\nmode = {value}\n");
            match try_read(&STRING, &text) {
                Ok(step) => Bench::new(step.as_ref(), &STRING).begin(),
                Err(error) => error,
            }
        };
        for good in ["'0640'", "'640'", "0o640", "'0o640'"] {
            assert_eq!(mode(good), "write hello/build/x 640: ", "{good}");
        }
        for bad in ["640", "'rw'", "'0648'", "'77777'", "''"] {
            assert_eq!(mode(bad), format!("expected {}", Mode::EXPECTED), "{bad}");
        }
    }
}
