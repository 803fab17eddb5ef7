// SPDX-License-Identifier: Apache-2.0
//! A caller that is not ours: curl, over TLS, with the certificate pinned by its file of trust turned off.

use super::*;
use crate::rack::{BootDevice, NodeSpec, Parts};
use groundstate_api::boot::Firmware;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine that remembers what was done to it.
#[derive(Debug, Default)]
struct Dummy {
    on: AtomicBool,
    done: Mutex<Vec<String>>,
}

impl Dummy {
    fn note(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }
}

impl Machine for Dummy {
    fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }
    fn on(&self, first: Option<BootDevice>, media: Option<&Path>) -> Result<(), String> {
        self.on.store(true, Ordering::Release);
        self.note(format!("on {first:?} {}", media.is_some()));
        Ok(())
    }
    fn off(&self) {
        self.on.store(false, Ordering::Release);
        self.note("off".to_owned());
    }
    fn press(&self) -> Result<(), String> {
        self.note("press".to_owned());
        Ok(())
    }
    fn reset(&self) -> Result<(), String> {
        self.note("reset".to_owned());
        Ok(())
    }
    fn console(&self, _lines: usize) -> String {
        "one\ntwo".to_owned()
    }
    fn shelf(&self) -> PathBuf {
        PathBuf::from("/nonexistent/media.iso")
    }
}

struct Caller {
    bmc: VirtualBmc,
    machine: Arc<Dummy>,
}

impl Caller {
    fn new() -> Self {
        let machine = Arc::new(Dummy::default());
        let state = State::new(&NodeSpec::demo(1, Firmware::UefiHttp));
        let bmc = VirtualBmc::with(machine.clone(), state, IpAddr::from([127, 0, 0, 1])).unwrap();
        Self { bmc, machine }
    }

    /// The status and the body.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let curl = Parts::program("curl", "curl").unwrap();
        let mut command = Command::new(curl);
        command.args([
            "-sk",
            "--max-time",
            "5",
            "-w",
            "\n%{http_code}",
            "-X",
            method,
        ]);
        command.args(["-u", &self.bmc.credential()]);
        if let Some(body) = body {
            command.args([
                "-H",
                "Content-Type: application/json",
                "-d",
                &body.to_string(),
            ]);
        }
        let url = format!("https://{}{path}", self.bmc.address());
        let output = command.arg(url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let value = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.parse().unwrap(), value)
    }

    fn reset(&self, how: &str) -> u16 {
        let path = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";
        self.ask("POST", path, Some(&json!({ "ResetType": how }))).0
    }

    fn next(&self, enabled: &str, target: &str) -> u16 {
        let boot = json!({ "Boot": { "BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": target } });
        self.ask("PATCH", "/redfish/v1/Systems/1", Some(&boot)).0
    }

    fn target(&self) -> Value {
        let system = self.ask("GET", "/redfish/v1/Systems/1", None).1;
        system["Boot"]["BootSourceOverrideTarget"].clone()
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut *self.machine.done.lock().unwrap())
    }
}

#[test]
fn an_override_holds_once_and_a_reset_uses_it() {
    let caller = Caller::new();
    assert_eq!(caller.next("Once", "Pxe"), 204);
    assert_eq!(caller.target(), "Pxe");
    assert_eq!(caller.reset("On"), 204);
    assert_eq!(caller.target(), "None");
    assert_eq!(caller.reset("ForceRestart"), 204);
    assert_eq!(caller.next("Continuous", "UefiHttp"), 204);
    assert_eq!(caller.reset("PowerCycle"), 204);
    assert_eq!(caller.target(), "UefiHttp");
    assert_eq!(caller.reset("GracefulShutdown"), 204);
    let done = [
        "on Some(Network) false",
        "reset",
        "off",
        "on Some(Http) false",
        "press",
    ];
    assert_eq!(caller.done(), done);
    assert_eq!(caller.next("Once", "Floppy"), 400);
    assert_eq!(caller.reset("Explode"), 400);
}

#[test]
fn every_link_leads_somewhere() {
    let caller = Caller::new();
    let (mut seen, mut todo) = (
        std::collections::BTreeSet::new(),
        vec!["/redfish/v1/".to_owned()],
    );
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let (status, value) = caller.ask("GET", &path, None);
        assert_eq!(status, 200, "{path}");
        links(&value, &mut todo);
    }
    assert!(seen.len() > 12, "{seen:?}");
}

fn links(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // What is expanded in place has no page of its own here.
            if fields.len() == 1
                && let Some(id) = fields.get("@odata.id").and_then(Value::as_str)
            {
                into.push(id.to_owned());
            }
            fields.values().for_each(|value| links(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| links(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn each_fault_is_the_fault_that_it_is_called() {
    let caller = Caller::new();
    caller.bmc.set_fault(Some(BmcFault::Ignores));
    assert_eq!((caller.next("Once", "Pxe"), caller.reset("On")), (204, 204));
    assert_eq!(caller.target(), "None");
    assert!(caller.done().is_empty());
    caller.bmc.set_fault(Some(BmcFault::Reverts));
    assert_eq!(caller.next("Once", "Pxe"), 204);
    assert_eq!(caller.target(), "None");
    caller.bmc.set_fault(Some(BmcFault::Lies));
    assert_eq!(caller.next("Once", "Pxe"), 204);
    assert_eq!(caller.target(), "Pxe");
    assert_eq!(caller.reset("On"), 204);
    assert_eq!(caller.done(), ["on None false"]);
    caller.bmc.set_fault(Some(BmcFault::Unauthorized));
    assert_eq!(caller.reset("ForceOff"), 401);
    assert!(caller.done().is_empty());
    caller.bmc.set_fault(None);
    assert_eq!(caller.reset("ForceOff"), 204);
}

#[test]
fn a_session_is_opened_used_and_closed() {
    let caller = Caller::new();
    let login = |password: &str| {
        let body = json!({ "UserName": "admin", "Password": password });
        caller.ask("POST", "/redfish/v1/SessionService/Sessions", Some(&body))
    };
    assert_eq!(login("wrong").0, 401);
    let credential = caller.bmc.credential();
    let (status, session) = login(credential.split_once(':').unwrap().1);
    assert_eq!((status, caller.bmc.sessions()), (201, 1));
    let place = session["@odata.id"].as_str().unwrap();
    assert_eq!(caller.ask("DELETE", place, None).0, 204);
    assert_eq!(caller.bmc.sessions(), 0);
}
