//! Servers of repositories on ports of their own, which tests start, stop and start again.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::farm::{free_ports, sh};

/// A server of the repositories in a directory.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
    kind: Kind,
    child: Option<Child>,
}

#[derive(Clone, Copy)]
enum Kind {
    Git,
    Svn,
    Hg,
}

impl Server {
    /// A server of git repositories, which writes down who asks.
    pub(crate) fn git() -> Self {
        Self::start(Kind::Git)
    }

    pub(crate) fn svn() -> Self {
        let server = Self::new(Kind::Svn);
        sh(&server.path(""), "svnadmin", &["create", "r"]);
        let conf = server.path("r/conf/svnserve.conf");
        fs::write(conf, "[general]\nanon-access = read\n").expect("written");
        server.begun()
    }

    /// A server of one Mercurial repository, `r`.
    pub(crate) fn hg() -> Self {
        let server = Self::new(Kind::Hg);
        sh(&server.path(""), "hg", &["init", "r"]);
        server.begun()
    }

    fn new(kind: Kind) -> Self {
        let [port] = free_ports();
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            port,
            kind,
            child: None,
        }
    }

    fn start(kind: Kind) -> Self {
        Self::new(kind).begun()
    }

    fn begun(mut self) -> Self {
        self.begin();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where clients find a repository.
    pub(crate) fn url(&self, name: &str) -> String {
        let port = self.port;
        match self.kind {
            Kind::Git => format!("git://127.0.0.1:{port}/{name}"),
            Kind::Svn => format!("svn://127.0.0.1:{port}/{name}"),
            Kind::Hg => format!("http://127.0.0.1:{port}/"),
        }
    }

    /// Starts the server, again on its port.
    pub(crate) fn begin(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let (port, root) = (self.port, self.dir.path());
        let mut command = match self.kind {
            Kind::Git => {
                let programs = sh(root, "git", &["--exec-path"]);
                let mut it = Command::new(Path::new(&programs).join("git-daemon"));
                it.args(["--verbose", "--export-all", "--reuseaddr"])
                    .arg("--listen=127.0.0.1")
                    .arg(format!("--port={port}"))
                    .arg(format!("--base-path={}", root.display()));
                it
            }
            Kind::Svn => {
                let mut it = Command::new("svnserve");
                it.args(["--daemon", "--foreground", "--listen-host=127.0.0.1"])
                    .arg(format!("--listen-port={port}"))
                    .arg(format!("--root={}", root.display()));
                it
            }
            Kind::Hg => {
                let mut it = Command::new("hg");
                it.args(["serve", "--address", "127.0.0.1", "--port"])
                    .arg(port.to_string())
                    .current_dir(root.join("r"));
                it
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a server");
        self.child = Some(child);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
    }

    /// Kills the server; nobody answers at its port then.
    pub(crate) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("started").id().to_string();
        sh(self.dir.path(), "kill", &[&format!("-{signal}"), &pid]);
    }

    /// What the server has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    /// Makes a git repository whose first branch is `main`.
    pub(crate) fn git_init(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("a directory");
        sh(&self.path(name), "git", &["init", "-q", "-b", "main"]);
    }

    /// Commits `text` as `file` of a git repository; gives the revision.
    pub(crate) fn git_commit(&self, name: &str, text: &str) -> String {
        let repository = self.path(name);
        fs::write(repository.join("file"), text).expect("written");
        crate::farm::commit(&repository, text.trim())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
