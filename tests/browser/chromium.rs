//! Chromium without a screen, spoken to over a pipe: tabs are opened, looked at, clicked and typed into
//! as a visitor would, and what the pages complain of is kept.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Everything that a browser is asked is answered, and everything that is waited for comes, within this time.
const PATIENCE: Duration = Duration::from_secs(40);

/// How tall a picture of a long page may be.
const TALLEST: i64 = 3000;

/// How functions of a page find what is on it, as a visitor would: by the words on it.
const FINDERS: &str = r"
const said = (it) => (it.getAttribute('aria-label') ?? it.textContent).trim().replace(/\s+/g, ' ');
const shown = (it) => it.checkVisibility();
const begins = (it, words) => said(it).toLowerCase().startsWith(words.toLowerCase());
const button = (words) => [...document.querySelectorAll('button, a, summary')]
    .filter(shown).find((it) => begins(it, words));
const field = (words) => {
    const label = [...document.querySelectorAll('label')].filter(shown).find((it) => begins(it, words));
    return label?.control ?? document.querySelector(`[aria-label='${words}']`);
};
";

pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    /// What happened while answers were waited for.
    events: Vec<Value>,
}

/// One of its tabs.
pub(crate) struct Tab(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Light => "light",
            Self::Dark => "dark",
        })
    }
}

impl Browser {
    pub(crate) fn start(profile: &Path) -> Self {
        let found = Command::new("chromium").arg("--version").output();
        assert!(
            found.is_ok_and(|it| it.status.success()),
            "there is no `chromium` to open pages with: scripts/test.sh installs it"
        );
        // It listens on its third file and answers on its fourth.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args([
                "--disable-quic",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-background-networking", "--disable-dev-shm-usage"])
            .args(["--disable-extensions", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let orders = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            orders,
            messages,
            last: 0,
            events: Vec::new(),
        }
    }

    /// An empty tab that tells what happens in it.
    pub(crate) fn tab(&mut self) -> Tab {
        let target = self.order(
            None,
            "Target.createTarget",
            &json!({ "url": "about:blank" }),
        );
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.order(None, "Target.attachToTarget", &attach);
        let tab = Tab(attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            self.order(Some(&tab), &format!("{domain}.enable"), &json!({}));
        }
        let on = json!({ "enabled": true });
        self.order(Some(&tab), "Page.setLifecycleEventsEnabled", &on);
        // A page that nobody sees does not listen.
        self.order(Some(&tab), "Emulation.setFocusEmulationEnabled", &on);
        tab
    }

    /// Opens a page and waits until it is there, with its scripts.
    pub(crate) fn go(&mut self, tab: &Tab, url: &str) {
        self.events
            .retain(|it| it["method"] != "Page.lifecycleEvent");
        let gone = self.order(Some(tab), "Page.navigate", &json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        let loaded = |it: &Value| {
            it["method"] == "Page.lifecycleEvent"
                && it["params"]["name"] == "load"
                && it["params"]["loaderId"] == gone["loaderId"]
        };
        while !self.events.iter().any(loaded) {
            self.receive(&format!("loading {url}"));
        }
    }

    /// What JavaScript's `expression` is in the page; it may use [`FINDERS`], and a promise is waited for.
    pub(crate) fn evaluate(&mut self, tab: &Tab, expression: &str) -> Value {
        let answer = self.ask(tab, expression);
        let value = answer.unwrap_or_else(|problem| panic!("{expression}: {problem}"));
        value["value"].clone()
    }

    fn ask(&mut self, tab: &Tab, expression: &str) -> Result<Value, Value> {
        let scoped = format!("(() => {{ {FINDERS}; return {expression}; }})()");
        let params = json!({ "expression": scoped, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call(Some(tab), "Runtime.evaluate", &params)?;
        match answer["exceptionDetails"].take() {
            Value::Null => Ok(answer["result"].take()),
            thrown => Err(thrown),
        }
    }

    /// Runs a whole script in the page.
    pub(crate) fn run(&mut self, tab: &Tab, script: &str) {
        let params = json!({ "expression": script });
        let answer = self.order(Some(tab), "Runtime.evaluate", &params);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "the script: {thrown}");
    }

    /// Looks until the expression holds in the page, which may be on its way to another one.
    pub(crate) fn until(&mut self, tab: &Tab, expression: &str) {
        let begun = Instant::now();
        loop {
            let seen = self.ask(tab, &format!("!!({expression})"));
            if seen.as_ref().is_ok_and(|it| it["value"] == true) {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let read = self.reads(tab);
                panic!("waited too long for {expression} ({seen:?}) on this page:\n{read}");
            }
            // Not a wait for a length of time, only a pause between two looks.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks until the words are on the page.
    pub(crate) fn until_read(&mut self, tab: &Tab, words: &str) {
        let words = Value::from(words);
        self.until(
            tab,
            &format!("(document.title + '\\n' + document.body.innerText).includes({words})"),
        );
    }

    /// What a visitor reads.
    pub(crate) fn reads(&mut self, tab: &Tab) -> String {
        let read = self.evaluate(
            tab,
            "location.href + '\\n' + document.title + '\\n' + document.body?.innerText",
        );
        read.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks with the mouse on what begins with the words.
    pub(crate) fn click(&mut self, tab: &Tab, words: &str) {
        let words = Value::from(words);
        self.until(
            tab,
            &format!("document.readyState === 'complete' && button({words})"),
        );
        // A part of the page may be swapped meanwhile; then the point is looked up anew.
        self.until(
            tab,
            &format!(
                "(button({words}).scrollIntoView({{ block: 'center', behavior: 'instant' }}), true)"
            ),
        );
        let point = self.evaluate(
            tab,
            &format!(
                "(() => {{ const it = button({words}).getClientRects()[0]; \
                 return {{ x: it.x + it.width / 2, y: it.y + it.height / 2 }}; }})()"
            ),
        );
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": point["x"], "y": point["y"], "button": "left", "clickCount": 1
            });
            self.order(Some(tab), "Input.dispatchMouseEvent", &event);
        }
    }

    /// Keeps the answers of these addresses from the page.
    pub(crate) fn hold_answers(&mut self, tab: &Tab, pattern: &str) {
        let held = json!({ "patterns": [{ "urlPattern": pattern, "requestStage": "Response" }] });
        self.order(Some(tab), "Fetch.enable", &held);
    }

    /// What was held comes.
    pub(crate) fn release_answers(&mut self, tab: &Tab) {
        self.order(Some(tab), "Fetch.disable", &json!({}));
    }

    /// Clicks on what sends a form, and waits for the page that comes then.
    pub(crate) fn submit(&mut self, tab: &Tab, words: &str) {
        self.mark(tab);
        self.click(tab, words);
        self.until(
            tab,
            "!window.openedOnce && document.readyState === 'complete'",
        );
    }

    /// Puts the cursor into the field that is called so, and types over what is in it.
    pub(crate) fn fill(&mut self, tab: &Tab, label: &str, typed: &str) {
        let label = Value::from(label);
        self.until(
            tab,
            &format!("document.readyState === 'complete' && field({label}) && (field({label}).focus(), field({label}).select(), true)"),
        );
        self.insert(tab, typed);
    }

    /// Types where the cursor is.
    pub(crate) fn insert(&mut self, tab: &Tab, typed: &str) {
        self.order(Some(tab), "Input.insertText", &json!({ "text": typed }));
    }

    /// Presses a key: `Tab`, `Enter`, `PageUp` and the like.
    pub(crate) fn press(&mut self, tab: &Tab, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            " " => (32, " "),
            "PageUp" => (33, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            other => panic!("`{other}` is not on this keyboard"),
        };
        let kind = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        for kind in [kind, "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": if key == " " { "Space" } else { key },
                "windowsVirtualKeyCode": code
            });
            if kind == "keyDown" {
                event["text"] = json!(text);
            }
            self.order(Some(tab), "Input.dispatchKeyEvent", &event);
        }
    }

    /// Leaves a mark that is gone when the page is loaded again.
    pub(crate) fn mark(&mut self, tab: &Tab) {
        self.evaluate(tab, "window.openedOnce = true");
    }

    pub(crate) fn assert_marked(&mut self, tab: &Tab) {
        let mark = self.evaluate(tab, "window.openedOnce");
        assert_eq!(mark, true, "the page was loaded again");
    }

    /// The page as somebody with this theme and such a window sees it; nothing moves.
    pub(crate) fn wear(&mut self, tab: &Tab, theme: Theme, width: u32) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme.to_string() },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.order(
            Some(tab),
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.order(Some(tab), "Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Whether pages may run scripts from now on.
    pub(crate) fn allow_scripts(&mut self, tab: &Tab, allowed: bool) {
        let params = json!({ "value": !allowed });
        self.order(Some(tab), "Emulation.setScriptExecutionDisabled", &params);
    }

    /// Keeps a picture of the page, from its top.
    pub(crate) fn picture(&mut self, tab: &Tab, path: &Path) {
        let size = self.order(Some(tab), "Page.getLayoutMetrics", &json!({}));
        let size = &size["cssContentSize"];
        let height = size["height"].as_f64().map_or(TALLEST, |it| it as i64);
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": height.clamp(900, TALLEST), "scale": 1
        });
        let params = json!({
            "format": "jpeg", "quality": 70, "captureBeyondViewport": true, "clip": clip,
            "optimizeForSpeed": true
        });
        let taken = self.order(Some(tab), "Page.captureScreenshot", &params);
        let data = taken["data"].as_str().expect("a picture");
        fs::write(path, from_base64(data)).expect("written");
    }

    /// What the pages complained of since the last time: dialogs, errors, what the policy refused.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        let (complaints, others) = std::mem::take(&mut self.events)
            .into_iter()
            .partition::<Vec<_>, _>(is_complaint);
        self.events = others;
        complaints
            .iter()
            .map(|it| it["params"].to_string())
            .collect()
    }

    fn order(&mut self, tab: Option<&Tab>, method: &str, params: &Value) -> Value {
        let answer = self.call(tab, method, params);
        answer.unwrap_or_else(|problem| panic!("{method}: {problem}"))
    }

    fn call(&mut self, tab: Option<&Tab>, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.send(tab.map(|it| it.0.as_str()), method, params);
        loop {
            let Some(mut answer) = self.receive(method) else {
                continue;
            };
            // Answers to what nobody waits for are passed over.
            if answer["id"] == id {
                return match answer["error"].take() {
                    Value::Null => Ok(answer["result"].take()),
                    problem => Err(problem),
                };
            }
        }
    }

    fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> u64 {
        self.last += 1;
        let mut order = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = session {
            order["sessionId"] = json!(session);
        }
        write!(self.orders, "{order}\0").expect("the browser listens");
        self.last
    }

    /// The next message, if it is an answer; an event is kept.
    fn receive(&mut self, what: &str) -> Option<Value> {
        let message = self
            .messages
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("the browser does not answer {what}: {error}"));
        if message["method"].is_null() {
            return Some(message);
        }
        if message["method"] == "Page.javascriptDialogOpening" {
            // Nothing goes on in a page that shows one.
            let session = message["sessionId"].as_str().map(str::to_owned);
            let accept = json!({ "accept": true });
            self.send(session.as_deref(), "Page.handleJavaScriptDialog", &accept);
        }
        if is_complaint(&message) || message["method"] == "Page.lifecycleEvent" {
            self.events.push(message);
        }
        None
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_complaint(event: &Value) -> bool {
    let params = &event["params"];
    match event["method"].as_str() {
        Some("Page.javascriptDialogOpening" | "Runtime.exceptionThrown") => true,
        Some("Runtime.consoleAPICalled") => {
            params["type"] == "error" || params["type"] == "warning"
        }
        Some("Log.entryAdded") => {
            params["entry"]["level"] == "error" || params["entry"]["level"] == "warning"
        }
        _ => false,
    }
}

/// Reads base64 as the browser writes it.
fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.bytes().filter(|it| *it != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
