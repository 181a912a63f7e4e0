//! `file_upload` and `directory_upload`: a file or a directory of the slave
//! comes to the master.

use std::path::Path;
use std::sync::Arc;

use crate::model::FileResult;
use crate::model::Outcome;
use crate::model::Sent;
use crate::model::Text;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::syntax::Keys;
use crate::syntax::Size;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Receipt;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::download::Mode;
use super::download::check_master_path;
use super::download::complaint;
use super::download::master_path;
use super::paths;
use super::read;
use super::texts::verdict;

const FLAGS: Flags = Flags {
    halt_on_failure: true,
    flunk_on_failure: true,
    ..Flags::NONE
};

pub(super) const FILE: StepKind = StepKind {
    name: "file_upload",
    aliases: &["upload"],
    step_name: "upload",
    summary: "Brings a file of the slave to the master.",
    example: r#"slavesrc = "dist/words.tar.gz"
masterdest = "public/words.tar.gz"
mode = "0644""#,
    flags: FLAGS,
    read: |keys| {
        let common = Common::read(keys, UploadKind::File);
        let mode = keys.optional::<Mode>("mode");
        let keep_stamp = keys.or("keep_stamp", false);
        Some(Arc::new(UploadStep {
            mode: mode?.map(|it| it.0),
            keep_stamp: keep_stamp?,
            common: common?,
        }))
    },
};

pub(super) const DIRECTORY: StepKind = StepKind {
    name: "directory_upload",
    aliases: &[],
    step_name: "upload",
    summary: "Brings a directory of the slave, with all that is in it, to the master.",
    example: r#"slavesrc = "docs/html"
masterdest = "public/docs""#,
    flags: FLAGS,
    read: |keys| {
        let common = Common::read(keys, UploadKind::Directory);
        // The way does not show in what arrives: read so that old files load.
        let compress = keys.or("compress", read::Compress::None);
        compress?;
        Some(Arc::new(UploadStep {
            mode: None,
            keep_stamp: false,
            common: common?,
        }))
    },
};

#[derive(Clone, Debug)]
struct UploadStep {
    common: Common,
    mode: Option<u32>,
    keep_stamp: bool,
}

/// What both may be told.
#[derive(Clone, Debug)]
struct Common {
    kind: UploadKind,
    /// Relative to the work directory.
    slavesrc: Text,
    /// Relative to the master's directory.
    masterdest: Text,
    workdir: Option<Text>,
    max_size: Option<u64>,
    piece: Option<u64>,
}

impl Common {
    fn read(keys: &mut Keys<'_>, kind: UploadKind) -> Option<Self> {
        let slavesrc = keys.required("slavesrc");
        let masterdest = keys.required::<Text>("masterdest");
        let workdir = keys.optional("workdir");
        let max_size = keys.or("max_size", Size(None));
        let block_size = keys.or("block_size", Size(None));
        let masterdest = masterdest?;
        if let Err(why) = check_master_path(&masterdest) {
            keys.wrong("masterdest", why);
            return None;
        }
        Some(Self {
            kind,
            slavesrc: slavesrc?,
            masterdest,
            workdir: workdir?,
            max_size: max_size?.0,
            piece: block_size?.0,
        })
    }

    /// Where it is, as the slave is told it.
    fn source(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let workdir = match &self.workdir {
            Some(text) => text.render(cx.properties)?,
            None => cx.workdir.to_owned(),
        };
        let source = self.slavesrc.render(cx.properties)?;
        let source = match self.kind {
            UploadKind::File => source.as_str(),
            UploadKind::Directory => match source.trim_end_matches('/') {
                "" if source.starts_with('/') => "/",
                // All of the work directory.
                "" | "." => return Ok(paths::of_builder(cx.builder_dir, &workdir)),
                source => source,
            },
        };
        let is_free = !self.slavesrc.has_references();
        let is_anchored = self.slavesrc.head().starts_with(['/', '~']);
        paths::file(cx.builder_dir, &workdir, source, is_free, is_anchored)
    }

    /// The directory that properties do not lead out of.
    fn anchor(&self) -> Option<String> {
        if !self.masterdest.has_references() {
            return None;
        }
        let head = self.masterdest.head();
        let end = head.rfind('/')?;
        Some(if end == 0 { "/" } else { &head[..end] }.to_owned())
    }
}

impl Step for UploadStep {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for UploadStep {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let source = self.common.slavesrc.render(cx.properties);
        let source = source.unwrap_or_default();
        let name = Path::new(&source).file_name().unwrap_or_default();
        vec!["uploading".into(), name.to_string_lossy().into_owned()]
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.running_text(cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Receive(Receipt {
                upload: Upload {
                    path: self.common.source(cx)?,
                    kind: self.common.kind,
                    max_size: self.common.max_size,
                    piece: self.common.piece,
                },
                target: master_path(&self.common.masterdest, cx.properties)?,
                anchor: self.common.anchor(),
                mode: self.mode,
                keep_stamp: self.keep_stamp,
            }));
        };
        let failure = match &ended.exit.result {
            Some(FileResult::Sent(Sent { is_cut: true, .. })) => {
                let most = self.common.max_size.unwrap_or_default();
                let source = self.common.source(cx)?;
                Some(format!(
                    "`{source}` was cut off after {most} bytes: `max_size`\n"
                ))
            }
            Some(FileResult::Refused(why)) => Some(format!("{why}\n")),
            _ if ended.exit.is_success() => None,
            _ => Some(complaint(ended)),
        };
        let done = self.done_text(cx);
        let Some(why) = failure else {
            return Ok(Move::Done(verdict(cx, Outcome::Success, done)));
        };
        let mut verdict = verdict(cx, Outcome::Failure, done);
        if !why.is_empty() {
            verdict.logs.push(("stderr".into(), why));
        }
        Ok(Move::Done(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::super::StepPlan;
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::read;
    use super::*;
    use crate::model::Exit;
    use crate::model::ExitCause;
    use crate::model::Properties;
    use crate::syntax::Place;
    use crate::syntax::Problem;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::toml;

    fn plan(text: &str) -> Result<StepPlan, String> {
        let source = Source::new("x.toml", "/base", text);
        let mut problems = Problems::default();
        let entries = toml::read(&source, &mut problems);
        let place = Place::new(&source, 0..0);
        let keys = Keys::of_entries("[[steps]]", &place, &entries, &mut problems);
        let plan = read(keys, None);
        let shown: Vec<_> = problems.0.iter().map(Problem::line).collect();
        plan.ok_or_else(|| shown.join("\n"))
    }

    fn bench(text: &str) -> Bench {
        let mut properties = Properties::new();
        properties.set("n", "7", "test");
        properties.set("evil", "../../x", "Change");
        Bench::of(&plan(text).expect(text), properties)
    }

    const FILE: &str = "type = \"file_upload\"\n";

    fn sent(is_cut: bool) -> Exit {
        let mut exit = Exit::new(0, ExitCause::Exited, 1);
        exit.result = Some(FileResult::Sent(Sent {
            size: 3,
            sha256: String::new(),
            is_cut,
            accessed: 0,
            modified: 0,
        }));
        exit
    }

    #[test]
    fn a_file_comes_to_where_it_is_wanted() {
        let text = format!(
            "{FILE}slavesrc = \"dist/%(n)s.tgz\"\nmasterdest = \"public/%(n)s.tgz\"\nmode = \"0644\"\nkeepstamp = true\nmaxsize = 5\nblocksize = 16384\n"
        );
        let mut bench = bench(&text);
        assert_eq!(bench.running_text(), ["uploading", "7.tgz"]);
        assert_eq!(
            bench.begin(),
            "receive public/7.tgz from hello/build/dist/7.tgz, at most 5, below public, mode 644, with its times"
        );
        assert_eq!(
            bench.ends_with(&sent(false), &[]),
            "success: uploading 7.tgz"
        );
    }

    #[test]
    fn a_directory_may_be_all_of_the_work_directory() {
        let text = "type = \"DirectoryUpload\"\nslavesrc = \"./\"\nmasterdest = \"~/docs\"\ncompress = \"bz2\"\n";
        assert_eq!(bench(text).begin(), "receive ~/docs from hello/build");
        let text = "type = \"directory_upload\"\nslavesrc = \"html/\"\nmasterdest = \"docs\"\nworkdir = \"w\"\n";
        assert_eq!(bench(text).begin(), "receive docs from hello/w/html");
        let text = "type = \"directory_upload\"\nslavesrc = \"x\"\nmasterdest = \"y\"\ncompress = \"xz\"\n";
        let problem = plan(text).expect_err("unknown");
        assert_eq!(
            problem,
            "x.toml:4:12: bad value for `compress` in [[steps]]"
        );
    }

    #[test]
    fn what_fails_is_told_in_a_log() {
        let text = format!("{FILE}slavesrc = \"f\"\nmasterdest = \"f\"\nmax_size = 3\n");
        let mut cut = bench(&text);
        cut.begin();
        assert_eq!(
            cut.ends_with(&sent(true), &[]),
            "failure: uploading f failed; build: upload"
        );
        let why = "`hello/build/f` was cut off after 3 bytes: `max_size`\n";
        assert_eq!(cut.verdict().logs, [("stderr".into(), why.into())]);

        let mut missing = bench(&text);
        missing.begin();
        missing.ends(1, &[err("`/s/f` is not there")]);
        assert_eq!(missing.verdict().logs[0].1, "`/s/f` is not there\n");

        let mut refused = bench(&text);
        refused.begin();
        let mut exit = Exit::new(1, ExitCause::Exited, 1);
        exit.result = Some(FileResult::Refused("no room".into()));
        refused.ends_with(&exit, &[]);
        assert_eq!(refused.verdict().logs[0].1, "no room\n");
    }

    #[test]
    fn properties_lead_nowhere_else_on_either_side() {
        let dest = format!("{FILE}slavesrc = \"f\"\nmasterdest = \"out/%(evil)s\"\n");
        assert_eq!(
            bench(&dest).begin(),
            "error: `out/../../x` is not a file below `out/`"
        );
        let source = format!("{FILE}slavesrc = \"%(evil)s\"\nmasterdest = \"f\"\n");
        assert!(
            bench(&source)
                .begin()
                .starts_with("error: `../../x` is not a file below")
        );
        let bare = format!("{FILE}slavesrc = \"f\"\nmasterdest = \"%(evil)s\"\n");
        let problem = plan(&bare).expect_err("no directory");
        assert_eq!(
            problem,
            "x.toml:3:14: bad value for `masterdest` in [[steps]]"
        );
    }
}
