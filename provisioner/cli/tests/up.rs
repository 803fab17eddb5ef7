// SPDX-License-Identifier: Apache-2.0
//! `groundstate up` as a person starts it: a state directory belongs to one of them, and what it prints is so.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for something that always comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

const SITE: &str = r#"
name = "lab"
[network]
address = "127.0.0.1"
prefix = 24
pool_first = "127.0.0.100"
pool_last = "127.0.0.199"
[policy]
image = "nope"
hand_over = "kexec"
[[node]]
name = "node-1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-123456789abc"
serial = "HOST-1"
"#;

/// What ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World(TempDir);

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("site.toml"), SITE).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// At ports that nobody has.
    fn up(&self) -> Command {
        self.up_at("127.0.0.1:0", "127.0.0.1:0")
    }

    fn up_at(&self, api: &str, page: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .args(["up", "--no-boot-service"])
            .args(["--listen", api, "--page", page])
            .arg("--site")
            .arg(self.path("site.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .stdin(Stdio::null());
        command
    }

    fn write(&self, site: &str) {
        fs::write(self.path("site.toml"), site).unwrap();
    }

    /// Starts one, and gives it with its greeting.
    fn start(&self) -> (Running, String) {
        let log = File::create(self.path("log")).unwrap();
        let mut command = self.up();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut running = Running(command.spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(self.path("log")).unwrap();
            if said.contains("groundstate node list\n") {
                return (running, said);
            }
            assert!(running.0.try_wait().unwrap().is_none(), "{said}");
            assert!(Instant::now() < end, "no greeting: {said}");
            std::thread::sleep(LOOK);
        }
    }

    /// A command with what the line `try` of this greeting sets.
    fn tried(greeting: &str, words: &[&str]) -> Output {
        let line = greeting
            .lines()
            .find_map(|line| line.strip_prefix("try "))
            .unwrap();
        let set = line
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        Command::new(env!("CARGO_BIN_EXE_groundstate"))
            .args(words)
            .envs(set)
            .output()
            .unwrap()
    }
}

#[test]
fn a_second_one_on_the_same_state_directory_changes_nothing_and_the_first_one_goes_on() {
    let world = World::new();
    let (mut first, greeting) = world.start();
    let edited = SITE.replace("kexec", "reboot");
    fs::write(world.path("site.toml"), edited).unwrap();
    // Where it is not refused it would run: it is not waited for.
    let mut second = Running(world.up().stderr(Stdio::piped()).spawn().unwrap());
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = second.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the second one runs");
        std::thread::sleep(LOOK);
    };
    let said = std::io::read_to_string(second.0.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    let process = format!("process {}", first.0.id());
    for wants in [
        process.as_str(),
        "do now: ",
        "groundstate apply",
        "--state-dir DIR",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    let site = World::tried(&greeting, &["site", "show"]);
    let site = String::from_utf8(site.stdout).unwrap();
    assert!(site.contains("kexec") && !site.contains("reboot"), "{site}");
    let ordered = World::tried(&greeting, &["node", "provision", "node-1"]);
    assert!(ordered.status.success(), "{ordered:?}");
    // The lock is gone with its process, however that ended.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let (_again, greeting) = world.start();
    assert!(greeting.contains("is version 2 now"), "{greeting}");
}

#[test]
fn it_prints_where_it_listens_and_what_it_says_to_try_works() {
    let world = World::new();
    let (_running, greeting) = world.start();
    let api = greeting
        .lines()
        .find_map(|line| line.strip_prefix("API         https://127.0.0.1:"))
        .unwrap();
    let port: u16 = api.parse().unwrap();
    assert!(port != 8443 && port != 0, "{greeting}");
    assert!(
        greeting.contains("are told https://127.0.0.1:8443"),
        "{greeting}"
    );
    let nodes = World::tried(&greeting, &["node", "list"]);
    let said = String::from_utf8_lossy(&nodes.stdout);
    assert!(
        nodes.status.success() && said.contains("node-1"),
        "{nodes:?}"
    );
}

#[test]
fn a_start_that_fails_has_not_applied_its_file_and_the_next_one_says_that_it_is_another() {
    let world = World::new();
    drop(world.start());
    world.write(&SITE.replace("kexec", "reboot"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|at| (taken, at.to_string()));
    let (_listener, taken) = taken.unwrap();
    for (api, page) in [
        (taken.as_str(), "127.0.0.1:0"),
        ("127.0.0.1:0", taken.as_str()),
    ] {
        let ended = world.up_at(api, page).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(&taken), "{said}");
    }
    let (_running, greeting) = world.start();
    let wants = "another one than at the last start, and is version 2 now";
    assert!(greeting.contains(wants), "{greeting}");
}

#[test]
fn what_was_applied_after_the_last_start_is_told_where_the_file_is_not_that() {
    let world = World::new();
    let (running, greeting) = world.start();
    let applied = SITE.replace("kexec", "reboot");
    let apply = |greeting: &str, site: &str| {
        fs::write(world.path("applied.toml"), site).unwrap();
        let file = world.path("applied.toml");
        let done = World::tried(greeting, &["apply", "--yes", file.to_str().unwrap()]);
        assert!(done.status.success(), "{done:?}");
    };
    apply(&greeting, &applied);
    drop(running);
    let (running, greeting) = world.start();
    let wants =
        "the site in force (version 2) is not this file: it was applied after the last start";
    assert!(greeting.contains(wants), "{greeting}");
    drop(running);

    // The file catches up: nothing changes, so the version does not.
    world.write(&applied);
    let (running, greeting) = world.start();
    let wants = "another one than at the last start, and is what is in force (version 2)";
    assert!(greeting.contains(wants), "{greeting}");
    drop(running);

    let (_running, greeting) = world.start();
    assert!(!greeting.contains("version 2"), "{greeting}");
}

#[test]
fn a_file_without_a_node_that_has_a_run_says_what_can_be_done_while_nothing_runs() {
    let world = World::new();
    let (running, greeting) = world.start();
    let ordered = World::tried(&greeting, &["node", "provision", "node-1"]);
    assert!(ordered.status.success(), "{ordered:?}");
    drop(running);
    let without = SITE.split("[[node]]").next().unwrap();
    world.write(without);
    let ended = world.up().output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for wants in [
        "node node-1: node-1 is ordered: ",
        "start with the file of the last start, or put node node-1 back into this one; once groundstate runs,",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    world.write(SITE);
    drop(world.start());
}
