// SPDX-License-Identifier: Apache-2.0
//! A disk that is really full: a file system of a few MiB in a mount namespace of the test's own, or, where nobody may mount, a
//! limit on the length of files. The test runs itself again inside.

use crate::way::{handed_over, register};
use crate::world::{Answer, Caller, World, site};
use groundstate_api::ReasonCode;
use groundstate_api::event::Happened;
use groundstate_api::view::{EventPage, Problem};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the small file system is, in the process inside; `limit:` before a folder that has none.
const INSIDE: &str = "GROUNDSTATE_TEST_FULL";
/// Room for keys, certificates, a journal with its log, and not much more.
const SIZE: &str = "size=32m";
const MIB: u64 = 1 << 20;

/// What keeps the disk full.
enum Ballast {
    /// A file that takes all room.
    File(PathBuf),
    /// No file grows beyond this.
    Limit,
}

impl Ballast {
    fn load(&self, dir: &Path) {
        match self {
            Self::File(path) => {
                let mut file = std::fs::File::create(path).unwrap();
                for size in [1 << 16, 1 << 12, 1] {
                    while file.write_all(&vec![0; size]).is_ok() {}
                }
            }
            Self::Limit => {
                let files = ["journal.db", "journal.db-wal"];
                let lengths =
                    files.map(|name| std::fs::metadata(dir.join(name)).map_or(0, |m| m.len()));
                limit(Some(lengths.into_iter().max().unwrap_or(MIB)));
            }
        }
    }

    fn unload(&self) {
        match self {
            Self::File(path) => std::fs::remove_file(path).unwrap(),
            Self::Limit => limit(None),
        }
    }
}

/// The longest file that this process may write.
fn limit(most: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    let current = most.or(maximum);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

/// Runs [`inside`] through a shell that prepares the place.
fn again(mut shell: Command, script: &str, place: &str) -> Output {
    shell
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "full::inside",
            "--include-ignored",
            "--nocapture",
        ])
        .env(INSIDE, place)
        .output()
        .unwrap()
}

fn judge(ran: &Output) {
    let said = String::from_utf8_lossy(&ran.stdout);
    let more = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}{more}");
    assert!(said.contains("1 passed"), "{said}{more}");
}

#[test]
fn a_full_file_system_refuses_with_a_reason_and_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let script = format!("mount -t tmpfs -o {SIZE} none '{place}' || exit 77; exec \"$@\"");
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "--map-root-user", "sh"]);
    let ran = again(shell, &script, place);
    if !ran.status.success() && (ran.status.code() == Some(77) || ran.stdout.is_empty()) {
        let why = String::from_utf8_lossy(&ran.stderr);
        println!(
            "skipped: nothing may be mounted here ({}); the limit on files is tried all the same",
            why.trim()
        );
        return;
    }
    judge(&ran);
}

#[test]
fn files_that_may_not_grow_refuse_with_a_reason_and_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = format!("limit:{}", dir.path().display());
    // A file that would grow too long is an error, and no signal.
    judge(&again(
        Command::new("sh"),
        "trap '' XFSZ; exec \"$@\"",
        &place,
    ));
}

/// A remark with its own key; as long as they may be.
fn remark(operator: &Caller, number: usize) -> Answer {
    let body = json!({"text": format!("{number:05} {}", "x".repeat(1_900))}).to_string();
    let key = format!("remark-{number}");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key.as_str()),
    ];
    operator
        .call("POST", "/v1/nodes/node-2/remarks", &headers, &body)
        .0
}

/// How often each remark stands in the journal.
fn remarks(operator: &Caller) -> BTreeMap<usize, usize> {
    let (mut after, mut seen) = (0, BTreeMap::new());
    loop {
        let page: EventPage = operator
            .get(&format!("/v1/events?after={after}&limit=1000"))
            .read();
        for event in &page.events {
            assert!(event.number > after, "each number once");
            after = event.number;
            if let Happened::Remarked { text, .. } = &event.what {
                *seen.entry(text[..5].parse().unwrap()).or_default() += 1;
            }
        }
        if page.events.is_empty() {
            return seen;
        }
    }
}

fn ready(world: &World) -> (u16, Value) {
    let answer = world.anyone().get("/readyz");
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

#[test]
#[ignore = "run by the two tests above, each on a disk of its own"]
#[expect(
    clippy::too_many_lines,
    reason = "one story from an empty disk to a full one and back"
)]
fn inside() {
    let place = std::env::var(INSIDE).expect("run by the tests above");
    let (folder, ballast) = match place.strip_prefix("limit:") {
        Some(folder) => (folder.to_owned(), Ballast::Limit),
        None => (
            place.clone(),
            Ballast::File(Path::new(&place).join("ballast")),
        ),
    };
    let dir = tempfile::tempdir_in(&folder).unwrap();
    let world = World::at(dir, Ok(()));
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let beat = |number: usize| {
        let body = json!({"node": "node-1", "plan": plan.id, "boot_id": "22222222-2222-2222-2222-222222222222", "number": number, "uptime_secs": 14});
        host.post("/v1/host/heartbeat", &body).ok()
    };
    let operator = world.operator();
    assert_eq!(ready(&world).0, 200);
    let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..4_000 {
        if number == 30 {
            ballast.load(world.dir.path());
        }
        let answer = remark(&operator, number);
        match answer.status {
            200 => assert!(taken.insert(number)),
            429 => continue,
            503 => {
                let problem: Problem = serde_json::from_str(&answer.text).unwrap();
                assert_eq!(
                    problem.reason.code,
                    ReasonCode::JournalUnusable,
                    "{}",
                    problem.reason
                );
                let said = problem.reason.to_string();
                assert!(
                    said.contains("disk") && !problem.reason.next_step.is_empty(),
                    "{said}"
                );
                assert!(refused.insert(number));
                if refused.len() == 20 {
                    break;
                }
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert_eq!(
        refused.len(),
        20,
        "the disk never was full; {} remarks fitted",
        taken.len()
    );
    // Whoever asks is told; questions are answered; the host that runs goes on.
    let (status, said) = ready(&world);
    assert_eq!((status, &said["ready"]), (503, &json!(false)), "{said}");
    assert!(
        said["reason"]["next_step"]
            .as_str()
            .unwrap()
            .contains("disk"),
        "{said}"
    );
    assert_eq!(world.anyone().get("/healthz").status, 200);
    for number in 1..20 {
        assert_eq!(beat(number)["do"], "carry-on");
    }
    assert_eq!(
        operator.get("/v1/nodes/node-1").ok()["view"]["phase"],
        "ready"
    );
    assert_eq!(
        remarks(&operator).into_keys().collect::<BTreeSet<_>>(),
        taken
    );
    let order = operator.post("/v1/nodes/node-2/provision", &json!({}));
    assert_eq!(order.status, 503, "{}", order.text);
    assert_eq!(
        operator.get("/v1/nodes/node-2").ok()["view"]["phase"],
        "enrolled"
    );
    // There is room again: it is seen without an order, and what was refused is sent again with its key.
    ballast.unload();
    while ready(&world).0 != 200 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for number in &refused {
        let answer = remark(&operator, *number);
        assert_eq!(answer.status, 200, "{number}: {}", answer.text);
    }
    // Sent once more, whatever was acknowledged is not done again.
    for number in refused.iter().chain(taken.iter().rev().take(20)) {
        let answer = remark(&operator, *number);
        assert!(
            matches!(answer.status, 200 | 409),
            "{number}: {}",
            answer.text
        );
    }
    let all: BTreeSet<usize> = taken.union(&refused).copied().collect();
    assert_eq!(
        remarks(&operator),
        all.into_iter().map(|number| (number, 1)).collect()
    );
    // And so after a start.
    let before = remarks(&operator);
    drop((operator, host));
    let world = world.restart_as(site());
    assert_eq!(remarks(&world.operator()), before);
    assert_eq!(ready(&world).0, 200);
}
