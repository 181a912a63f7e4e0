//! Jobs of every version, and what is none.

use super::*;

/// A patch.
const D: &[u8] = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+y\n";

fn file(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(format!("{}:", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.push(b',');
    }
    bytes
}

/// The example with the patch in it.
fn example(text: &str) -> Job {
    assert_eq!(D.len(), 34);
    let text = text.replace('D', str::from_utf8(D).expect("text"));
    Job::read(text.as_bytes()).expect("a job")
}

fn patch(level: u32, author: Option<&str>, comment: Option<&str>) -> Option<Patch> {
    Some(Patch {
        level,
        diff: D.to_vec(),
        subdir: None,
        author: author.map(str::to_owned),
        comment: comment.map(str::to_owned),
    })
}

fn told(bytes: &[u8]) -> String {
    Job::read(bytes).expect_err("a bad job").to_string()
}

#[test]
fn a_job_of_version_1_has_a_branch_a_revision_a_patch_and_builders() {
    let job = example("1:1,3:j-1,0:,4:1234,1:0,34:D,3:lin,3:mac,");
    assert_eq!(job.id.as_deref(), Some("j-1"));
    let stamp = SourceStamp {
        revision: Some("1234".into()),
        patch: patch(0, None, None),
        ..SourceStamp::default()
    };
    assert_eq!(job.stamp, stamp);
    assert_eq!(job.builders, ["lin", "mac"]);
    assert_eq!((job.who.as_str(), job.comment.as_str()), ("", ""));
}

#[test]
fn version_2_has_a_repository_and_a_project_too() {
    let job = example("1:2,3:j-2,5:devel,0:,1:1,34:D,9:git://h/r,4:proj,3:lin,");
    let stamp = SourceStamp {
        branch: Some("devel".into()),
        repository: "git://h/r".into(),
        project: "proj".into(),
        patch: patch(1, None, None),
        ..SourceStamp::default()
    };
    assert_eq!((job.stamp, job.builders), (stamp, vec!["lin".to_owned()]));
}

#[test]
fn version_3_says_who_and_a_job_that_names_no_builder_is_for_all() {
    let job = example("1:3,3:j-3,5:devel,3:abc,1:1,34:D,0:,0:,3:ann,");
    assert_eq!(job.stamp.revision.as_deref(), Some("abc"));
    assert_eq!(job.stamp.patch, patch(1, Some("ann"), None));
    assert!(job.builders.is_empty());
    let offered: Vec<BuilderName> = vec!["lin".into(), "mac".into()];
    assert_eq!(job.choose(&offered).as_deref(), Ok(offered.as_slice()));
}

#[test]
fn version_4_has_a_comment_that_stands_in_the_patch_and_not_in_the_reason() {
    let job = example("1:4,3:j-4,0:,0:,1:1,34:D,0:,0:,3:ann,6:fix it,3:mac,");
    assert_eq!(job.stamp.patch, patch(1, Some("ann"), Some("fix it")));
    assert_eq!(job.reason(false), "'try' job by user ann");
    assert_eq!(job.reason(true), "'try' job by user ann (fix it)");
    let nobody = example("1:4,3:j-4,0:,0:,1:1,34:D,0:,0:,0:,6:fix it,3:mac,");
    assert_eq!(nobody.reason(false), "'try' job");
    assert_eq!(nobody.reason(true), "'try' job (fix it)");
    let author = nobody.stamp.patch.expect("a patch").author;
    assert_eq!(author, None, "nobody is no author");
}

#[test]
fn a_patch_is_taken_byte_for_byte_and_may_be_longer_than_99999_bytes() {
    let mut diff = vec![0xff; 300_000];
    diff.extend_from_slice(b",\n3:x,\0");
    let bytes = file(&[b"1", b"j", b"", b"", b"1", &diff, b"lin"]);
    let job = Job::read(&bytes).expect("a job");
    assert_eq!(job.stamp.patch.expect("a patch").diff, diff);
}

#[test]
fn what_is_no_netstring_or_of_no_known_version_is_a_bad_job() {
    for (bytes, expected) in [
        ("", "it is empty"),
        (
            "Hello\n",
            "at byte 0 there is no netstring, which is `LENGTH:BYTES,`",
        ),
        (
            "1:1,3:j-1;",
            "at byte 4 there is no netstring, which is `LENGTH:BYTES,`",
        ),
        (
            "01:1,",
            "at byte 0 there is no netstring, which is `LENGTH:BYTES,`",
        ),
        (
            "-1:1,",
            "at byte 0 there is no netstring, which is `LENGTH:BYTES,`",
        ),
        (
            "99999999999999999999999:x,",
            "at byte 0 there is no netstring, which is `LENGTH:BYTES,`",
        ),
        ("1:5,", "it is of version `5`, and 1 to 4 are known"),
        ("0:,", "it is of version ``, and 1 to 4 are known"),
    ] {
        assert_eq!(told(bytes.as_bytes()), expected, "{bytes:?}");
    }
    let huge = format!("{}:x,", usize::MAX);
    let said = told(huge.as_bytes());
    assert!(said.starts_with("it is cut off"), "{said}");
}

#[test]
fn a_job_that_is_cut_off_anywhere_is_a_bad_job_and_never_one_for_all_builders() {
    let whole = file(&[b"3", b"j", b"", b"", b"1", D, b"", b"", b"ann", b"mac"]);
    Job::read(&whole).expect("a job");
    for length in 0..whole.len() {
        match Job::read(&whole[..length]) {
            Err(_) => {}
            // Only at the end of a netstring is it a job of fewer builders, as nobody can tell.
            Ok(job) => assert!(
                job.builders.is_empty() && length == whole.len() - b"3:mac,".len(),
                "{length}"
            ),
        }
    }
    assert_eq!(
        told(b"1:1,3:j-1,0:,0:,1:0,10:abc"),
        "it is cut off: at byte 20 a netstring of 10 bytes begins, which are not there"
    );
    assert_eq!(
        told(b"1:1,3:j"),
        "it is cut off: at byte 4 a netstring of 3 bytes begins, which are not there"
    );
    assert_eq!(
        told(b"1:1,12"),
        "it is cut off: at byte 4 a netstring of 12 bytes begins, which are not there"
    );
}

#[test]
fn too_few_fields_and_a_patch_level_that_is_no_number_make_a_bad_job() {
    for (version, needs) in [("1", 6), ("2", 8), ("3", 9), ("4", 10)] {
        let mut parts: Vec<&[u8]> = vec![version.as_bytes()];
        while parts.len() < needs {
            let said = told(&file(&parts));
            let (has, least) = (parts.len(), needs);
            assert_eq!(
                said,
                format!(
                    "it has {has} netstrings, and one of version {version} has at least {least}"
                )
            );
            parts.push(if parts.len() == 4 { b"0" } else { b"" });
        }
        Job::read(&file(&parts)).expect("a job");
    }
    for level in ["", "x", "-1", "+1", " 1", "1.0", "99999999999"] {
        let bytes = file(&[b"1", b"j", b"", b"", level.as_bytes(), D, b"lin"]);
        assert_eq!(
            told(&bytes),
            format!("its patch level `{level}` is no number")
        );
    }
}

#[test]
fn words_of_a_job_that_could_not_stand_where_they_will_make_a_bad_job() {
    let with = |place: usize, word: &[u8]| {
        let mut parts: Vec<&[u8]> = vec![b"4", b"j", b"", b"", b"1", D, b"", b"", b"", b""];
        parts[place] = word;
        file(&parts)
    };
    assert_eq!(told(&with(2, b"a\nb")), "its branch has control characters");
    assert_eq!(
        told(&with(3, b"a\0")),
        "its revision has control characters"
    );
    assert_eq!(told(&with(2, b"\xff")), "its branch is no UTF-8");
    assert_eq!(
        told(&with(8, b"ann\x1b[2J")),
        "its author has control characters"
    );
    assert_eq!(
        told(&with(7, &[b'x'; 1025])),
        "its project is longer than 1024 bytes"
    );
    assert_eq!(
        told(&with(9, &[b'x'; 65537])),
        "its comment is longer than 65536 bytes"
    );
    assert_eq!(told(&with(9, b"\0")), "its comment has control characters");
    // Names of people were written in many ways.
    let job = Job::read(&with(8, b"Andr\xe9")).expect("a job");
    assert_eq!(job.who, "Andr\u{fffd}");
    let job = Job::read(&with(9, b"two\nlines")).expect("a job");
    assert_eq!(job.comment, "two\nlines");
}

#[test]
fn a_job_with_a_builder_that_is_not_offered_is_refused_as_a_whole() {
    let offered: Vec<BuilderName> = vec!["lin".into(), "mac".into()];
    let job = |builders: &[&str]| Job {
        builders: builders.iter().map(|it| (*it).to_owned()).collect(),
        ..example("1:1,3:j-1,0:,0:,1:0,34:D,")
    };
    let chosen = job(&["mac", "lin", "mac"]).choose(&offered);
    assert_eq!(chosen.as_deref(), Ok(&["mac".into(), "lin".into()][..]));
    let refused = job(&["lin", "win\n"]).choose(&offered);
    assert_eq!(
        refused.expect_err("refused").to_string(),
        r"there is no builder `win\n` to try it; there are `lin`, `mac`"
    );
    assert!(job(&["LIN"]).choose(&offered).is_err());
    assert!(job(&[""]).choose(&offered).is_err());
}

#[test]
fn over_the_web_a_job_is_a_document_or_the_bytes_of_its_file() {
    let document = r#" {"branch": "devel", "revision": "", "who": "ann", "comment": "fix it",
        "patch": {"level": 1, "base64": "LS0tIGEv/w=="}, "builders": ["lin"],
        "properties": {"size": 3, "deep": {"a": [1]}}}"#;
    let job = Job::of_request(document.as_bytes()).expect("a job");
    assert_eq!(job.stamp.branch.as_deref(), Some("devel"));
    assert_eq!(job.stamp.revision, None);
    let patch = job.stamp.patch.as_ref().expect("a patch");
    assert_eq!(
        (patch.level, patch.diff.as_slice()),
        (1, &b"--- a/\xff"[..])
    );
    assert_eq!(patch.author.as_deref(), Some("ann"));
    let shown: Vec<_> = job
        .properties
        .iter()
        .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
        .collect();
    assert_eq!(shown, [r#"deep={"a":[1]} try build"#, "size=3 try build"]);
    assert_eq!(job.id, None);

    let same = Job::of_request(&file(&[b"1", b"j", b"", b"", b"1", D])).expect("a job");
    assert_eq!(same.stamp.patch.expect("a patch").diff, D);
    let without = Job::of_request(b"{}").expect("a job");
    assert_eq!(without.stamp, SourceStamp::default());
}

#[test]
fn a_document_with_other_fields_or_a_patch_of_no_form_is_refused() {
    let told = |text: &str| {
        let bad = Job::of_request(text.as_bytes());
        bad.expect_err(text).to_string()
    };
    assert_eq!(told("  "), "it is empty");
    let unknown = told(r#"{"brunch": "x"}"#);
    assert!(
        unknown.starts_with("it is no JSON document of a job: unknown field `brunch`"),
        "{unknown}"
    );
    assert!(told(r#"{"patch": {"level": -1, "text": ""}}"#).contains("invalid value"));
    let both = "its patch has both `text` and `base64`, or neither";
    assert_eq!(told(r#"{"patch": {"level": 1}}"#), both);
    assert_eq!(told(r#"{"patch": {"text": "x", "base64": "eA=="}}"#), both);
    assert_eq!(
        told(r#"{"patch": {"base64": "!"}}"#),
        "its patch is no base64"
    );
    assert_eq!(
        told(r#"{"properties": {"": 1}}"#),
        "it has a property without a name"
    );
    assert_eq!(
        told(r#"{"branch": "a\u0000"}"#),
        "its branch has control characters"
    );
    assert!(told("{").starts_with("it is no JSON document of a job: EOF"));
    let deep = format!("{{\"properties\": {{\"a\": {}1", "[".repeat(100_000));
    assert!(told(&deep).contains("recursion limit"));
}

#[test]
fn a_revision_is_a_line_or_the_context_of_a_tree_of_darcs() {
    let read = |revision: &str| {
        let document = serde_json::json!({ "revision": revision });
        Job::of_request(document.to_string().as_bytes()).map(|it| it.stamp.revision)
    };
    let context = format!("\nContext:\n\n{}", "[one\nann**2012\n] \n".repeat(1000));
    assert_eq!(read(&context), Ok(Some(context.clone())));
    assert_eq!(read("a\nb"), Err(BadJob::Control("revision")));
    assert_eq!(read("Context:\n\u{7}"), Err(BadJob::Control("revision")));
    let (what, most) = ("revision", 1024);
    assert_eq!(read(&"a".repeat(1025)), Err(BadJob::TooLong { what, most }));
    let most = 256 * 1024;
    let long = format!("Context:\n{}", "x".repeat(most));
    assert_eq!(read(&long), Err(BadJob::TooLong { what, most }));
}
