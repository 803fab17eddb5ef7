// SPDX-License-Identifier: Apache-2.0
//! A Chromium of our own, by the W3C WebDriver protocol as chromedriver speaks it: JSON over HTTP.

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a condition may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// The checks that every page must pass.
const CHECKS: &str = include_str!("checks.js");

pub(crate) struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    _profile: TempDir,
}

/// Whether there is a browser. In CI there must be one.
pub(crate) fn there_is_a_browser() -> bool {
    let has = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(program).exists())
    };
    let there = has("chromium") && has("chromedriver");
    assert!(
        there || std::env::var_os("CI").is_none(),
        "chromium and chromedriver are missing, and CI is set"
    );
    if !there {
        println!("skipped: chromium and chromedriver (chromium-driver) are not installed");
    }
    there
}

impl Browser {
    pub(crate) fn new() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .env("HOME", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = port_of(&mut driver);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let data = format!("--user-data-dir={}", profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1400,1000",
            &data,
        ];
        let wants = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let server = format!("http://127.0.0.1:{port}/session");
        let answer = answer(agent.post(&server).send_json(&wants));
        let id = answer["sessionId"].as_str().unwrap().to_owned();
        let browser = Self {
            driver,
            agent,
            session: format!("{server}/{id}"),
            _profile: profile,
        };
        // What Chromium's own first page asks Chromium for is not the page's.
        browser.open("about:blank");
        browser.asked();
        browser
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        answer(
            self.agent
                .post(format!("{}{path}", self.session))
                .send_json(body),
        )
    }

    pub(crate) fn open(&self, address: &str) {
        self.post("/url", &json!({"url": address}));
    }

    /// What a function body returns in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    pub(crate) fn text(&self) -> String {
        let text = self.run("return document.body.innerText");
        text.as_str().unwrap().to_owned()
    }

    /// Waits until the script returns true.
    pub(crate) fn until(&self, what: &str, script: &str) {
        let began = Instant::now();
        while self.run(script) != Value::Bool(true) {
            assert!(began.elapsed() < PATIENCE, "{what}: {}", self.text());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn chromium(&self, command: &str, params: &Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": params}),
        )
    }

    /// The width and height of the screen in CSS pixels.
    pub(crate) fn screen(&self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.chromium("Emulation.setDeviceMetricsOverride", &params);
    }

    pub(crate) fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": value});
        self.chromium(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    pub(crate) fn scripts(&self, allowed: bool) {
        let params = json!({"value": !allowed});
        self.chromium("Emulation.setScriptExecutionDisabled", &params);
    }

    /// Presses Tab once.
    pub(crate) fn tab(&self) {
        self.press("\u{e004}");
    }

    /// Presses Enter once.
    pub(crate) fn enter(&self) {
        self.press("\u{e007}");
    }

    fn press(&self, key: &str) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keys = json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]});
        self.post("/actions", &keys);
    }

    /// Keeps a picture of the page: of what the screen shows, or of all of it.
    pub(crate) fn picture(&self, name: &str, all: bool) {
        let params = json!({"format": "png", "captureBeyondViewport": all});
        let taken = if all {
            let size = self.run("return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]");
            let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
            let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
            self.chromium("Page.captureScreenshot", &params)
        } else {
            self.chromium("Page.captureScreenshot", &params)
        };
        keep(
            name,
            &Base64::decode_vec(taken["data"].as_str().unwrap()).unwrap(),
        );
    }

    /// Prints on A4, keeps it, and says how many pages it has.
    pub(crate) fn print(&self, name: &str) -> usize {
        let page = json!({"width": 21.0, "height": 29.7});
        let printed = self.post("/print", &json!({"page": page, "background": true}));
        let pdf = Base64::decode_vec(printed.as_str().unwrap()).unwrap();
        keep(name, &pdf);
        let text = String::from_utf8_lossy(&pdf);
        text.matches("/Type /Page").count() - text.matches("/Type /Pages").count()
    }

    /// What is wrong with the page for who cannot see it, or not well, or has no mouse.
    pub(crate) fn problems(&self) -> Vec<String> {
        let said = self.run(CHECKS);
        let said = said.as_array().unwrap().iter();
        said.map(|each| each.as_str().unwrap().to_owned()).collect()
    }

    /// What the console said since it was asked last, without what is said of a page that is being left.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// Every address that the browser asked for since it was asked last.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "performance"}));
        let entries = log.as_array().unwrap().iter();
        let address = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            let asks = message["method"] == "Network.requestWillBeSent";
            let url = message["params"]["request"]["url"].as_str()?;
            asks.then(|| url.to_owned())
        };
        entries.filter_map(address).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, the driver by our hand; a test that failed has said so already.
        let _ended = self.agent.delete(&self.session).call();
        let _killed = self.driver.kill();
        let _gone = self.driver.wait();
    }
}

fn port_of(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let rest = line.split("started successfully on port ").nth(1)?;
            rest.trim_end_matches('.').parse().ok()
        })
        .expect("chromedriver says its port");
    // What it says later is of no use, and must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut answer = answer.unwrap();
    let status = answer.status().as_u16();
    let limit = 64 << 20;
    let text = answer
        .body_mut()
        .with_config()
        .limit(limit)
        .read_to_string()
        .unwrap();
    assert_eq!(status, 200, "{text}");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["value"].take()
}

/// Where pictures are kept.
fn pictures() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("groundstate/screenshots")
}

fn keep(name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(pictures()).unwrap();
    std::fs::write(pictures().join(name), bytes).unwrap();
}
