//! `download_firefox_release`: a release of Firefox, for whom it is tested with.

use std::sync::Arc;

use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::argv;
use super::one_command::ByExit;
use super::one_command::OneCommand;
use super::one_command::Words;

pub(super) const KIND: StepKind = StepKind {
    name: "download_firefox_release",
    aliases: &["firefox_release"],
    step_name: "download_firefox",
    summary: "Has the slave download a release of Firefox, with curl.",
    example: r#"os = "linux"
bits = 64
version = "128.0"
locale = "de"
base_url = "https://ftp.example.org/firefox/releases""#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = line(keys);
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "downloading Firefox",
                done: "download Firefox",
            }),
            judge: ByExit,
        }))
    },
};

const BASE_URL: &str = "http://stage.mozilla.org/pub/mozilla.org/firefox/releases";

/// `curl` for the release; it resumes nothing and asks nobody.
fn line(keys: &mut Keys<'_>) -> Option<Line> {
    let os = keys.required::<Os>("os");
    let version = keys.required::<Plain>("version");
    let locale = keys.or("locale", Plain("en-US".into()));
    let bits = keys.or("bits", 32_u32);
    let base = keys.or("base_url", BASE_URL.to_owned());
    let file = keys.optional::<Plain>("file");
    let (os, version, base) = (os?, version?.0, base?);
    let Some(platform) = os.platform(bits?) else {
        keys.wrong("bits", "expected 32 or 64");
        return None;
    };
    let schemes = ["http://", "https://", "ftp://", "file://"];
    if !schemes.iter().any(|it| base.starts_with(it)) {
        let problem = Problem::error(Code::BadValue, format!("`{base}` is no URL"));
        let place = keys.place("base_url");
        keys.note(problem.at(&place).label("expected `https://…`"));
        return None;
    }
    let file = file?.map_or_else(|| os.file(&version), |it| it.0);
    let url = format!(
        "{}/{version}/{platform}/{}/{}",
        base.trim_end_matches('/'),
        locale?.0,
        file.replace(' ', "%20"),
    );
    let options = ["curl", "--fail", "--location", "--silent", "--show-error"];
    let Line::Argv(mut words) = argv(&options) else {
        return None;
    };
    words.extend(["--output", file.as_str(), url.as_str()].map(Text::literal));
    Some(Line::Argv(words))
}

/// For which system the release is.
#[derive(Clone, Copy)]
enum Os {
    Linux,
    Windows,
    Mac,
}

impl Os {
    /// What Mozilla calls it.
    const fn platform(self, bits: u32) -> Option<&'static str> {
        match (self, bits) {
            (Self::Linux, 32) => Some("linux-i686"),
            (Self::Linux, 64) => Some("linux-x86_64"),
            (Self::Windows, 32 | 64) => Some("win32"),
            (Self::Mac, 32) => Some("mac"),
            (Self::Mac, 64) => Some("mac64"),
            _ => None,
        }
    }

    fn file(self, version: &str) -> String {
        match self {
            Self::Linux => format!("firefox-{version}.tar.bz2"),
            Self::Windows => format!("Firefox Setup {version}.exe"),
            Self::Mac => format!("Firefox {version}.dmg"),
        }
    }
}

impl Value for Os {
    const EXPECTED: &'static str = "`linux`, `win` or `mac`";
    const SHAPE: Shape = Shape::Word(&["linux", "win", "mac"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()?.to_ascii_lowercase().as_str() {
            "linux" => Ok(Self::Linux),
            "win" | "win32" | "windows" => Ok(Self::Windows),
            "mac" | "darwin" => Ok(Self::Mac),
            _ => Err(Misread::default()),
        }
    }
}

/// A part of a path: it leads nowhere else.
struct Plain(String);

impl Value for Plain {
    const EXPECTED: &'static str =
        "letters, digits, blanks and any of `.-_+`, and no other sign first than a letter or digit";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let is_plain = |it: char| it.is_ascii_alphanumeric() || ".-_+ ".contains(it);
        let begins = text.starts_with(|it: char| it.is_ascii_alphanumeric());
        match begins && text.chars().all(is_plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(Misread::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, lines);
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn the_platform_decides_on_place_and_name() {
        let check = |lines: &str, file: &str, rest: &str| {
            let told = bench(&format!("version = \"128.0\"\n{lines}")).begin();
            let expected = format!("--output {file} {BASE_URL}/128.0/{rest}");
            assert!(told.ends_with(&expected), "{told}");
        };
        let linux = "firefox-128.0.tar.bz2";
        check(
            "os = \"linux\"",
            linux,
            &format!("linux-i686/en-US/{linux}"),
        );
        let rest = format!("linux-x86_64/de/{linux}");
        check("os = \"linux\"\nbits = 64\nlocale = \"de\"", linux, &rest);
        let rest = "win32/en-US/Firefox%20Setup%20128.0.exe";
        check("os = \"win\"\nbits = 64", "Firefox Setup 128.0.exe", rest);
        let rest = "mac/en-US/Firefox%20128.0.dmg";
        check("os = \"mac\"", "Firefox 128.0.dmg", rest);
        check(
            "os = \"mac\"\nbits = 64\nfile = \"x.xz\"",
            "x.xz",
            "mac64/en-US/x.xz",
        );
    }

    #[test]
    fn a_release_really_comes_and_one_that_is_missing_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let there = dir.path().join("ftp/128.0/linux-i686/en-US");
        fs::create_dir_all(&there).expect("directories");
        fs::write(there.join("firefox-128.0.tar.bz2"), "fox").expect("written");
        let url = format!(
            "base_url = \"file://{}/ftp/\"\nos = \"linux\"\n",
            dir.path().display()
        );
        let told = bench(&format!("{url}version = \"128.0\"")).run_for_real(dir.path());
        assert_eq!(told.last().expect("an end"), "success: download Firefox");
        let here = dir.path().join("hello/build");
        let fox = fs::read_to_string(here.join("firefox-128.0.tar.bz2"));
        assert_eq!(fox.expect("it is there"), "fox");
        let told = bench(&format!("{url}version = \"129.0\"")).run_for_real(dir.path());
        let end = "failure: download Firefox failed; build: download_firefox";
        assert_eq!(told.last().expect("an end"), end);
        assert!(!here.join("firefox-129.0.tar.bz2").exists());
    }

    #[test]
    fn mistakes_are_told() {
        let problems = problems_of(&KIND, "os = \"beos\"\nversion = \"../1\"\n");
        insta::assert_snapshot!(problems, @"
        factories/x.toml:2:6: bad value for `os` in [[steps]]
        factories/x.toml:3:11: bad value for `version` in [[steps]]
        ");
        let problems = problems_of(&KIND, "os = \"linux\"\nversion = \"1\"\nbits = 16\n");
        insta::assert_snapshot!(problems, @"factories/x.toml:4:8: bad value for `bits` in [[steps]]");
        let problems = problems_of(&KIND, "os = \"mac\"\nversion = \"1\"\nbase_url = \"-x\"\n");
        insta::assert_snapshot!(problems, @"factories/x.toml:4:12: `-x` is no URL");
    }
}
