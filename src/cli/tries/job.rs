//! A job as it is sent: a document for the web, or netstrings for a directory.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::source::Found;
use crate::secrets::in_base64;

/// What is to be tried, and by whom.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) found: &'a Found,
    pub(super) repository: &'a str,
    pub(super) project: &'a str,
    pub(super) who: &'a str,
    pub(super) comment: &'a str,
    pub(super) builders: &'a [String],
    pub(super) properties: &'a [(String, String)],
}

impl Job<'_> {
    pub(super) fn document(&self) -> Value {
        let found = self.found;
        let patch = match str::from_utf8(&found.patch) {
            Ok("") => Value::Null,
            Ok(text) => json!({ "level": found.level, "text": text }),
            Err(_) => json!({ "level": found.level, "base64": in_base64(&found.patch) }),
        };
        let properties: Map<String, Value> = self
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        json!({
            "branch": found.branch,
            "revision": found.revision,
            "repository": self.repository,
            "project": self.project,
            "patch": patch,
            "builders": self.builders,
            "who": self.who,
            "comment": self.comment,
            "properties": properties,
        })
    }

    /// The same in the newest form that it needs, under an id.
    pub(super) fn netstrings(&self, id: &str) -> Vec<u8> {
        let found = self.found;
        let level = found.level.to_string();
        let version = match (self.comment, self.who) {
            ("", "") => "2",
            ("", _) => "3",
            (_, _) => "4",
        };
        let mut parts: Vec<&[u8]> = vec![
            version.as_bytes(),
            id.as_bytes(),
            found.branch.as_deref().unwrap_or_default().as_bytes(),
            found.revision.as_deref().unwrap_or_default().as_bytes(),
            level.as_bytes(),
            &found.patch,
            self.repository.as_bytes(),
            self.project.as_bytes(),
        ];
        if version != "2" {
            parts.push(self.who.as_bytes());
        }
        if version == "4" {
            parts.push(self.comment.as_bytes());
        }
        parts.extend(self.builders.iter().map(String::as_bytes));
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend(format!("{}:", part.len()).bytes());
            bytes.extend(part);
            bytes.push(b',');
        }
        bytes
    }

    /// What nobody is sent.
    pub(super) fn shown(&self) -> Vec<u8> {
        let found = self.found;
        let builders = match self.builders {
            [] => "all".to_owned(),
            some => some.join(", "),
        };
        let head = format!(
            "Job:\n  Repository: {}\n  Project: {}\n  Branch: {}\n  Revision: {}\n  Builders: {builders}\n",
            self.repository,
            self.project,
            found.branch.as_deref().unwrap_or_default(),
            found.revision.as_deref().unwrap_or_default(),
        );
        let mut shown = head.into_bytes();
        shown.extend(&found.patch);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::Job as Read;

    fn found(patch: &[u8]) -> Found {
        Found {
            branch: Some("rel".into()),
            revision: Some("812".into()),
            level: 1,
            patch: patch.to_vec(),
        }
    }

    fn job<'a>(
        found: &'a Found,
        who: &'a str,
        comment: &'a str,
        builders: &'a [String],
    ) -> Job<'a> {
        Job {
            found,
            repository: "/src/docs",
            project: "",
            who,
            comment,
            builders,
            properties: &[],
        }
    }

    #[test]
    fn a_job_has_the_oldest_version_that_can_say_it() {
        let (found, builders) = (found(b"PATCH"), ["docs-lint".to_owned()]);
        let text = |job: Job<'_>, id: &str| String::from_utf8(job.netstrings(id)).unwrap();
        assert_eq!(
            text(job(&found, "ines", "comment", &builders), "1325499000-7"),
            "1:4,12:1325499000-7,3:rel,3:812,1:1,5:PATCH,9:/src/docs,0:,4:ines,7:comment,9:docs-lint,"
        );
        let three = text(job(&found, "ines", "", &[]), "i");
        assert!(
            three.starts_with("1:3,") && three.ends_with("0:,4:ines,"),
            "{three}"
        );
        assert!(text(job(&found, "", "why", &[]), "i").starts_with("1:4,"));
        assert!(text(job(&found, "", "", &[]), "i").starts_with("1:2,"));
    }

    #[test]
    fn the_master_reads_what_is_sent() {
        let builders = ["a".to_owned()];
        let context = "\nContext:\n\n[one\nann**2012\n] \n";
        for patch in [&b"--- a/x\n"[..], b"bin\xff\0", b""] {
            let found = Found {
                revision: Some(context.into()),
                ..found(patch)
            };
            let properties = [("n".to_owned(), "v".to_owned())];
            let sent = Job {
                properties: &properties,
                ..job(&found, "Ann", "so", &builders)
            };
            let of_web = Read::of_request(sent.document().to_string().as_bytes()).unwrap();
            let of_file = Read::read(&sent.netstrings("i")).unwrap();
            for read in [&of_web, &of_file] {
                assert_eq!(read.stamp.branch.as_deref(), Some("rel"));
                assert_eq!(read.stamp.revision.as_deref(), Some(context));
                let diff = read.stamp.patch.as_ref().map(|it| it.diff.as_slice());
                assert_eq!(diff.unwrap_or_default(), patch);
                assert_eq!((read.who.as_str(), read.comment.as_str()), ("Ann", "so"));
                assert_eq!(read.builders, builders);
            }
            assert_eq!(of_web.properties.text("n"), Some("v"));
        }
    }
}
