// SPDX-License-Identifier: Apache-2.0
//! Stores that are slow: what waits for the disk waits for it, and nobody else does.

use crate::way::{handed_over, register};
use crate::world::{Caller, World, site};
use groundstate_api::event::Happened;
use groundstate_journal::hooked::Hooked;
use serde_json::{Value, json};
use std::sync::{Arc, Condvar, Mutex};

/// A door that writes go through: while it is shut, the disk does not answer.
#[derive(Default)]
struct Door {
    shut: Mutex<(bool, usize)>,
    moved: Condvar,
}

impl Door {
    fn set(&self, shut: bool) {
        self.shut.lock().unwrap().0 = shut;
        self.moved.notify_all();
    }

    /// A write comes.
    fn pass(&self) {
        let mut state = self.shut.lock().unwrap();
        state.1 += 1;
        self.moved.notify_all();
        while state.0 {
            state = self.moved.wait(state).unwrap();
        }
        state.1 -= 1;
    }

    /// Waits until a write stands before it.
    fn somebody_waits(&self) {
        let mut state = self.shut.lock().unwrap();
        while state.1 == 0 {
            state = self.moved.wait(state).unwrap();
        }
    }
}

/// A world whose disk stops to answer while the door is shut.
fn world(door: &Arc<Door>) -> World {
    let door = door.clone();
    World::over(tempfile::tempdir().unwrap(), site(), move |inner| {
        Box::new(Hooked::over(inner).before(move |_| {
            door.pass();
            Ok(())
        }))
    })
}

fn beat(host: &Caller, plan: &str, number: u64) -> Value {
    let body = json!({"node": "node-1", "plan": plan, "boot_id": "22222222-2222-2222-2222-222222222222", "number": number, "uptime_secs": 14});
    host.post("/v1/host/heartbeat", &body).ok()
}

#[test]
fn heartbeats_and_questions_are_answered_while_the_disk_does_not() {
    let door = Arc::new(Door::default());
    let world = world(&door);
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let plan = plan.id.to_string();
    assert_eq!(beat(&host, &plan, 1)["do"], "carry-on");
    door.set(true);
    std::thread::scope(|scope| {
        let ordered = scope.spawn(|| {
            let body = json!({"why": "of this test"});
            world
                .operator()
                .post("/v1/nodes/node-2/quarantine", &body)
                .status
        });
        door.somebody_waits();
        // The order stands before the door. The host is alive, is answered, and so is everybody who asks.
        for number in 2..40 {
            assert_eq!(beat(&host, &plan, number)["do"], "carry-on");
        }
        let operator = world.operator();
        let shown = operator.get("/v1/nodes/node-2").ok();
        assert_eq!(
            shown["view"]["phase"], "enrolled",
            "nothing is seen of what is not durable"
        );
        for path in [
            "/v1/nodes",
            "/v1/fleet",
            "/v1/brake",
            "/v1/events",
            "/healthz",
            "/metrics",
            "/v1/nodes/node-1",
        ] {
            assert_eq!(operator.get(path).status, 200, "{path}");
        }
        assert!(
            !ordered.is_finished(),
            "an order is answered when it is durable"
        );
        door.set(false);
        assert_eq!(ordered.join().unwrap(), 200);
    });
    let shown = world.operator().get("/v1/nodes/node-2").ok();
    assert_eq!(shown["view"]["phase"], "quarantined");
    assert_eq!(beat(&host, &plan, 99)["do"], "carry-on");
    assert_eq!(
        world.operator().get("/v1/nodes/node-1").ok()["view"]["phase"],
        "ready"
    );
}

#[test]
fn whoever_hangs_up_while_the_disk_waits_has_ordered_once() {
    let door = Arc::new(Door::default());
    let world = world(&door);
    door.set(true);
    let curl = |seconds: &str| {
        std::process::Command::new("curl")
            .args(["--silent", "--max-time", seconds, "--cacert"])
            .arg(world.pki("operator/ca.crt"))
            .arg("--cert")
            .arg(world.pki("operator/operator.crt"))
            .arg("--key")
            .arg(world.pki("operator/operator.key"))
            .args([
                "--header",
                "Idempotency-Key: once",
                "--header",
                "Content-Type: application/json",
            ])
            .args(["--data", "{\"why\":\"once\"}"])
            .arg(format!(
                "https://localhost:{}/v1/nodes/node-1/quarantine",
                world.port
            ))
            .output()
            .unwrap()
    };
    std::thread::scope(|scope| {
        let hung_up = scope.spawn(|| curl("1"));
        door.somebody_waits();
        let output = hung_up.join().unwrap();
        assert!(output.stdout.is_empty(), "it was not answered");
        door.set(false);
    });
    let again = curl("60");
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(said.contains("\"phase\":\"quarantined\""), "{said}");
    let page: groundstate_api::view::EventPage = world.operator().get("/v1/events").read();
    let orders = page.events.iter().filter(|event| {
        let to = groundstate_api::view::Phase::Quarantined;
        matches!(&event.what, Happened::PhaseChanged { to: at, .. } if *at == to)
    });
    assert_eq!(orders.count(), 1);
}
