//! Certificates made, read, believed and not, over a line in memory.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::duplex;

use super::identity::Finding;
use super::identity::IdentityError;
use super::pem::fingerprint;
use super::*;
use crate::clock;
use crate::model::Timestamp;

/// A directory with an authority and a server's certificate for `names`.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new(names: &[&str]) -> Self {
        let authority = Authority::make().expect("made");
        let bench = Self {
            dir: tempfile::tempdir().expect("a directory"),
        };
        let issued = authority.issued(clock::now()).expect("issued");
        bench.write("ca.pem", &issued.certificate);
        bench.write("ca.key", &issued.key);
        bench.sign(names, clock::now(), 10);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn sign(&self, names: &[&str], at: Timestamp, days: u32) {
        let key = fs::read_to_string(self.path("ca.key")).expect("a key");
        let authority = Authority::with_key(&self.path("ca.key"), &key).expect("a key");
        let names: Vec<Name> = names.iter().map(|it| it.parse().expect("a name")).collect();
        let server = authority.sign(&names, at, days).expect("signed");
        self.write("server.pem", &server.certificate);
        self.write("server.key", &server.key);
    }

    fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::read(&self.path("server.pem"), &self.path("server.key"))
    }

    fn findings(&self) -> Vec<Finding> {
        self.identity().expect("readable").findings()
    }

    /// What the dialling side says who calls the server `name` and trusts `authority`, and
    /// what the server says.
    async fn call(&self, authority: &Path, name: &str) -> (String, String) {
        let trust = Trust::new(Some(authority), name).expect("somebody to believe");
        let acceptor = self.identity().expect("readable").acceptor();
        let (near, far) = duplex(1 << 16);
        let server = async {
            match acceptor.accept(far).await {
                Ok(mut line) => {
                    let mut heard = [0; 5];
                    match line.read_exact(&mut heard).await {
                        Ok(_) => String::from_utf8_lossy(&heard).into_owned(),
                        // The certificate is looked at after the server has done its part.
                        Err(error) => refusal(&error),
                    }
                }
                Err(error) => refusal(&error),
            }
        };
        let client = async {
            match trust.connect(near).await {
                Ok(mut line) => {
                    line.write_all(b"hello").await.expect("said");
                    "agreed".to_owned()
                }
                Err(error) => {
                    let said = error.to_string();
                    said.replace(&self.dir.path().display().to_string(), "DIR")
                }
            }
        };
        tokio::join!(client, server)
    }
}

#[tokio::test]
async fn a_server_is_believed_by_each_of_its_names() {
    let bench = Bench::new(&["ci.test", "*.farm.test", "10.0.0.5", "fd00::5"]);
    for name in ["ci.test", "CI.test", "a.farm.test", "10.0.0.5", "[fd00::5]"] {
        let (client, server) = bench.call(&bench.path("ca.pem"), name).await;
        assert_eq!(
            (client.as_str(), server.as_str()),
            ("agreed", "hello"),
            "{name}"
        );
    }
    let identity = bench.identity().expect("readable");
    assert_eq!(
        identity.names(),
        ["ci.test", "*.farm.test", "10.0.0.5", "fd00::5"]
    );
    assert!(
        bench
            .findings()
            .iter()
            .all(|it| matches!(it, Finding::Soon(_)))
    );
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_right_ones() {
    let bench = Bench::new(&["ci.test", "10.0.0.5"]);
    for name in ["other.test", "10.0.0.6"] {
        let (client, server) = bench.call(&bench.path("ca.pem"), name).await;
        assert_eq!(
            client,
            format!(
                "the master's certificate is for `ci.test`, `10.0.0.5` and not for `{name}`; dial \
                 it by another name, set `tls_name`, or make the certificate anew with this name"
            )
        );
        assert!(
            server.starts_with("the caller does not believe"),
            "{server}"
        );
    }
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let (bench, other) = (Bench::new(&["ci.test"]), Bench::new(&["ci.test"]));
    let (client, _) = bench.call(&other.path("ca.pem"), "ci.test").await;
    assert!(
        client.starts_with("the master's certificate is not signed by the authority in `"),
        "{client}"
    );
}

#[tokio::test]
async fn a_certificate_is_good_from_one_day_to_another() {
    let bench = Bench::new(&["ci.test"]);
    let day = |days: i64| Timestamp(clock::now().0 + days * 86_400_000);
    for (made, days, finding, said) in [
        (
            day(-30),
            10,
            "expired on ",
            "the master's certificate expired on ",
        ),
        (
            day(30),
            10,
            "is not valid before ",
            "the master's certificate is not valid before ",
        ),
    ] {
        bench.sign(&["ci.test"], made, days);
        let findings = bench.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what().starts_with(finding));
        let (client, _) = bench.call(&bench.path("ca.pem"), "ci.test").await;
        assert!(client.starts_with(said), "{client}");
    }
    bench.sign(&["ci.test"], clock::now(), 400);
    assert_eq!(bench.findings(), []);
}

#[tokio::test]
async fn an_authority_that_shows_itself_is_named_on_both_sides() {
    let bench = Bench::new(&["ci.test"]);
    fs::copy(bench.path("ca.pem"), bench.path("server.pem")).expect("copied");
    fs::copy(bench.path("ca.key"), bench.path("server.key")).expect("copied");
    assert_eq!(bench.findings(), [Finding::Authority, Finding::Nameless]);
    let (client, _) = bench.call(&bench.path("ca.pem"), "ci.test").await;
    assert!(
        client.starts_with("the master shows the certificate of an authority (`CA:TRUE`)"),
        "{client}"
    );
}

#[test]
fn an_authority_is_the_same_again_with_its_key() {
    let bench = Bench::new(&["a.test"]);
    let key = fs::read_to_string(bench.path("ca.key")).expect("a key");
    let again = Authority::with_key(&bench.path("ca.key"), &key).expect("a key");
    assert_eq!(again.issued(clock::now()).expect("issued").key, key);
    let Err(error) = Authority::with_key(Path::new("ca.key"), "nonsense") else {
        panic!("nonsense is a key");
    };
    assert_eq!(
        error.to_string(),
        "the authority's key `ca.key` cannot be used"
    );
}

#[test]
fn a_file_that_gives_no_certificate_or_key_is_told_with_the_reason() {
    let bench = Bench::new(&["ci.test"]);
    let other = Bench::new(&["ci.test"]);
    let told = || {
        let Err(error) = bench.identity() else {
            panic!("it is good");
        };
        let source = error.source().map(ToString::to_string);
        let said = format!("{error}: {}", source.unwrap_or_default());
        said.replace(&bench.dir.path().display().to_string(), "DIR")
    };
    fs::copy(other.path("server.key"), bench.path("server.key")).expect("copied");
    assert_eq!(
        told(),
        "the key `DIR/server.key` does not belong to the certificate `DIR/server.pem`: "
    );
    fs::copy(bench.path("server.pem"), bench.path("server.key")).expect("copied");
    assert_eq!(
        told(),
        "the key `DIR/server.key` cannot be used: it holds no private key; a PEM file has \
         `-----BEGIN PRIVATE KEY-----` in it"
    );
    bench.write("server.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    assert!(told().contains("its PEM text is damaged: "), "{}", told());
    bench.write("server.pem", "nothing");
    assert_eq!(
        told(),
        "the certificate `DIR/server.pem` cannot be used: it holds no certificate; a PEM file has \
         `-----BEGIN CERTIFICATE-----` in it"
    );
    fs::remove_file(bench.path("server.pem")).expect("removed");
    assert!(
        told().ends_with("No such file or directory (os error 2)"),
        "{}",
        told()
    );
    fs::create_dir(bench.path("server.pem")).expect("a directory");
    assert!(told().contains("is a directory"), "{}", told());
}

#[test]
fn nobody_is_believed_without_an_authority() {
    let bench = Bench::new(&["ci.test"]);
    let told = |name: &str, host: &str| match Trust::new(Some(&bench.path(name)), host) {
        Ok(_) => "good".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(told("ca.pem", "ci.test"), "good");
    assert_eq!(
        told("ca.pem", "a b"),
        "`a b` is neither a host name nor an address"
    );
    assert!(told("ca.key", "ci.test").contains("ca.key` cannot be used"));
    bench.write(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    assert!(told("junk.pem", "ci.test").starts_with("no certificate in "));
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_apart_from_who_has_it_off() {
    let bench = Bench::new(&["ci.test"]);
    let trust = Trust::new(Some(&bench.path("ca.pem")), "ci.test").expect("good");
    for (answer, said) in [
        (
            &no_tls_here()[..],
            "the master takes no TLS: `tls` is off in its [:master:]",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            "what answers there does not speak TLS; is the port right?",
        ),
        (
            b"",
            "the master closed the line before TLS was agreed on; its log says why",
        ),
    ] {
        let (near, mut far) = duplex(1 << 16);
        let answering = async {
            let mut first = [0];
            far.read_exact(&mut first).await.expect("a first byte");
            assert_eq!(first[0], FIRST_BYTE);
            far.write_all(answer).await.expect("said");
            far.shutdown().await.expect("closed");
            tokio::time::sleep(Duration::ZERO).await;
        };
        let (refused, ()) = tokio::join!(trust.connect(near), answering);
        assert_eq!(refused.expect_err("no TLS").to_string(), said);
    }
}

#[test]
fn fingerprints_are_written_as_openssl_writes_them() {
    assert_eq!(
        fingerprint(b""),
        "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:\
         B8:55"
    );
}
