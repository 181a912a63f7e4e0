//! Git as it is reached: in a directory, over ssh, and over HTTP with TLS. The servers are real.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::*;
use crate::process::Heard;
use crate::process::Said;

/// Serves what lies in the directory with `git http-backend`, over TLS, and says its port.
const SERVER: &str = r#"
import http.server, os, ssl, subprocess, sys
root = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self): self.serve(b"")
    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if not size: break
        else: body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.serve(body)
    def serve(self, body):
        path, _, query = self.path.partition("?")
        env = dict(os.environ, GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
            QUERY_STRING=query, REQUEST_METHOD=self.command, REMOTE_ADDR="127.0.0.1",
            CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(len(body)),
            HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
            GIT_PROTOCOL=self.headers.get("Git-Protocol", ""))
        said = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, body = said.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = [value for name, value in fields if name == "Status"]
        self.send_response(int(status[0].split()[0]) if status else 200)
        for name, value in fields:
            if name != "Status": self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// Follows `url` with a program of these lines before `exec git`, over what happens to a branch.
async fn is_followed(bench: &Bench, url: String, before: &str) {
    let program = bench.script("far-git", &format!("{before}\nexec git \"$@\""));
    let poller = GitPoller::new(SourceSettings {
        url,
        program: Some(program),
        ..bench.settings(None)
    });
    assert_eq!(bench.poll(&poller).await, NOTHING);
    bench.git_commit("one").await;
    bench.git_commit("two").await;
    assert_eq!(bench.poll(&poller).await, ["one", "two"]);
    bench.run("git", &["reset", "-q", "--hard", "HEAD~1"]).await;
    bench.git_commit("instead").await;
    assert_eq!(bench.poll(&poller).await, ["instead"]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
}

#[tokio::test]
async fn a_repository_is_followed_by_the_address_of_its_directory() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let url = format!("file://{}", bench.remote().display());
    is_followed(&bench, url, "").await;
}

#[tokio::test]
async fn a_repository_is_followed_over_ssh_with_a_real_sshd() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let at = bench.dir.path().display().to_string();
    let user = bench.run("id", &["-un"]).await;
    if user == "root" {
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let aside = |name: &str, text: String| {
        std::fs::write(bench.dir.path().join(name), text).unwrap();
    };
    for key in ["host", "user"] {
        let file = format!("{at}/{key}");
        let line = ["-q", "-t", "ed25519", "-N", "", "-f", &file];
        bench.run("ssh-keygen", &line).await;
    }
    aside(
        "sshd_config",
        format!(
            "HostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/user.pub\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv HOME={at}\n"
        ),
    );
    // No port is needed: what ssh speaks to is the input of an sshd.
    aside(
        "ssh_config",
        format!(
            "Host *\nProxyCommand /usr/sbin/sshd -i -e -f {at}/sshd_config 2>>{at}/log\n\
             UserKnownHostsFile {at}/known\nStrictHostKeyChecking yes\nIdentityFile {at}/user\n\
             IdentitiesOnly yes\nUser {user}\n"
        ),
    );
    let key = std::fs::read_to_string(bench.dir.path().join("host.pub")).unwrap();
    aside("known", format!("[git.test]:2222 {key}"));
    let url = format!("ssh://git.test:2222{}", bench.remote().display());
    let before = format!("export GIT_SSH_COMMAND='ssh -F {at}/ssh_config'");
    is_followed(&bench, url.clone(), &before).await;

    // One whose key is another is not told anything, and the reason is.
    aside("known", String::new());
    let settings = SourceSettings {
        url,
        program: Some(format!("{at}/far-git")),
        ..bench.settings(None)
    };
    let poller = GitPoller::new(settings);
    let error = poller.poll_once(bench.store.as_ref()).await.unwrap_err();
    let said = poller.explain(&error);
    assert!(said.contains("Host key verification failed"), "{said}");
}

#[tokio::test]
async fn a_repository_is_followed_over_https_with_a_real_git_http_backend() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let at = bench.dir.path().display().to_string();
    let (key, certificate) = (format!("{at}/key.pem"), format!("{at}/cert.pem"));
    let line = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    bench.run("openssl", &line).await;
    let python = "python3";
    let argv = [python, "-c", SERVER, &at, &certificate, &key].map(str::to_owned);
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    // The repository may be another user's.
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ] {
        env.insert(name.into(), value.into());
    }
    let server = Heard {
        argv: &argv,
        env: &env,
        dir: bench.dir.path(),
        on_terminal: false,
    };
    let mut server = server.spawn().unwrap();
    let mut said = String::new();
    while !said.contains('\n') {
        match server.next().await.unwrap() {
            Said::Stdout(piece) => said += &String::from_utf8(piece).unwrap(),
            Said::Stderr(piece) => panic!("{}", String::from_utf8_lossy(&piece)),
            Said::Ended(status) => panic!("{status}"),
        }
    }
    let url = format!("https://127.0.0.1:{}/remote", said.trim());
    // What it says of itself is not waited for.
    let server = tokio::spawn(async move {
        while !matches!(server.next().await, Ok(Said::Ended(_)) | Err(_)) {}
    });
    is_followed(
        &bench,
        url.clone(),
        &format!("export GIT_SSL_CAINFO={certificate}"),
    )
    .await;

    // A server that nobody vouches for is not believed, and no password is in the reason.
    let settings = SourceSettings {
        url: url.replace("https://", "https://ann:secret@"),
        ..bench.settings(None)
    };
    let poller = GitPoller::new(settings);
    let error = poller.poll_once(bench.store.as_ref()).await.unwrap_err();
    let said = poller.explain(&error);
    assert!(
        said.contains("certificate") && !said.contains("secret"),
        "{said}"
    );
    server.abort();
}
