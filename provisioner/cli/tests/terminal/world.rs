// SPDX-License-Identifier: Apache-2.0
//! A site of two racks whose nodes stand where a journal says, and the command.

use groundstate_api::event::{Event, Happened};
use groundstate_api::image::ImageRef;
use groundstate_api::plan::{HandOver, OrderTerms, Step};
use groundstate_api::run::StepState;
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use groundstate_api::{Bytes, Millis, NodeId, Part, Reason, ReasonCode};
use provisioner::journal::{Journal as _, SqliteJournal};
use provisioner::{Images, Options, Provisioner, serve};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const SITE: &str = r#"
name = "lab"
[network]
address = "127.0.0.1"
prefix = 24
pool_first = "127.0.0.100"
pool_last = "127.0.0.200"
[policy]
image = "debian-host"
hand_over = "kexec"
[[rack]]
name = "r1"
units = 20
place = "hall 1"
[[rack]]
name = "r2"
units = 20
[[switch]]
name = "sw-1"
rack = "r1"
unit = 20
[[pdu]]
name = "pdu-2"
rack = "r2"
unit = 1
"#;

/// How long ago everything happened: it reads `5 min` for as long as a test takes.
const AGO: u64 = 310_000;

/// What the nodes of each rack are.
const PHASES: [Phase; 8] = [
    Phase::Ready,
    Phase::Held,
    Phase::Provisioning,
    Phase::Ready,
    Phase::Enrolled,
    Phase::Quarantined,
    Phase::Suspect,
    Phase::InRepair,
];

/// A repository without images.
struct Empty;

impl Images for Empty {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        Ok(None)
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    address: Option<SocketAddr>,
    serving: Option<Serving>,
}

struct Serving {
    stop: tokio::sync::watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
}

fn node(rack: u8, number: u8) -> NodeId {
    format!("r{rack}-{number:02}").parse().unwrap()
}

fn site() -> Site {
    let mut text = SITE.to_owned();
    for rack in 1..=2_u8 {
        for number in 1..=8_u8 {
            let name = node(rack, number);
            let unit = u16::from(number) * 2;
            writeln!(
                text,
                "[[node]]\nname = \"{name}\"\nmac = \"52:54:00:00:0{rack}:{number:02x}\"\n\
                 uuid = \"564d1234-5678-9abc-def0-1234567{rack}{number:04x}\"\nserial = \"GS{rack}-{number}\"\n\
                 slot = {{ rack = \"r{rack}\", unit = {unit} }}"
            )
            .unwrap();
        }
    }
    toml::from_str(&text).unwrap()
}

pub(crate) fn dimm_missing() -> Reason {
    Reason::new(
        ReasonCode::DimmMissing,
        "the DIMM in slot DIMM_B1 is missing",
        "power the machine off, reseat or replace the DIMM in slot DIMM_B1, and order the run again",
    )
    .about(Part::Dimm {
        slot: "DIMM_B1".into(),
        serial: Some("D-0002".into()),
        size: Some("16 GiB".into()),
    })
    .seen("SMBIOS says slot DIMM_B1 is empty")
}

/// How a node came to its phase.
fn history(node: &NodeId, phase: Phase) -> Vec<Happened> {
    let mut told = vec![Happened::NodeAdded];
    if phase == Phase::Enrolled {
        return told;
    }
    let run = format!("{node}-001-1").parse().unwrap();
    let moved = |from, to, reason| Happened::PhaseChanged { from, to, reason };
    told.push(Happened::RunOrdered {
        run,
        hand_over: HandOver::Kexec,
        window_closes: Millis(now() + 900_000),
        terms: OrderTerms::default(),
    });
    told.push(moved(Phase::Enrolled, Phase::Ordered, None));
    told.push(moved(Phase::Ordered, Phase::Checking, None));
    match phase {
        Phase::Held => told.push(moved(Phase::Checking, Phase::Held, Some(dimm_missing()))),
        Phase::Provisioning => {
            told.push(moved(Phase::Checking, Phase::Provisioning, None));
            told.push(Happened::StepMoved {
                run: format!("{node}-001-1").parse().unwrap(),
                number: 1,
                step: Step::Image,
                state: StepState::Running {
                    done: Bytes::gib(1),
                    total: Bytes::gib(4),
                },
                peak_memory: Bytes::mib(60),
            });
        }
        other => told.push(moved(Phase::Checking, other, None)),
    }
    told
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let mut events = Vec::new();
        let at = Millis(now() - AGO);
        for rack in 1..=2_u8 {
            for number in 1..=8_u8 {
                let id = node(rack, number);
                let phase = PHASES[usize::from(number + rack) % PHASES.len()];
                for what in history(&id, phase) {
                    events.push(Event {
                        number: u64::try_from(events.len()).unwrap() + 1,
                        at,
                        node: Some(id.clone()),
                        what,
                    });
                }
            }
        }
        journal.append(&events).unwrap();
        drop(journal);
        let mut world = Self {
            dir,
            address: None,
            serving: None,
        };
        world.start();
        world
    }

    /// Serves. Nothing happens by itself: what is shown stays as the journal says.
    pub(crate) fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ours = Provisioner::open(Options {
            site: site(),
            state_dir: self.dir.path().into(),
            images: Arc::new(Empty),
        })
        .unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let address = self.address.unwrap_or(([127, 0, 0, 1], 0).into());
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(address))
            .unwrap();
        self.address = Some(listener.local_addr().unwrap());
        let (router, tls) = (
            ours.api(axum::Router::new()),
            ours.pki().server_config().unwrap(),
        );
        runtime.spawn(serve::serve_tls(listener, router, tls, stopped));
        self.serving = Some(Serving { stop, runtime });
    }

    /// Ends the server, as a restart does.
    pub(crate) fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        let _nobody = serving.stop.send(true);
        serving
            .runtime
            .shutdown_timeout(std::time::Duration::from_secs(5));
    }

    pub(crate) fn server(&self) -> String {
        format!("https://{}", self.address.unwrap())
    }

    pub(crate) fn credential(&self) -> PathBuf {
        self.dir.path().join("pki/operator")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = groundstate(args);
        command
            .env("GROUNDSTATE_SERVER", self.server())
            .env("GROUNDSTATE_CREDENTIAL", self.credential())
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it, and looks at the exit status and for these words in what it said.
    pub(crate) fn check(&self, args: &[&str], status: i32, wants: &[&str]) -> String {
        check(&self.run(args), status, wants)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.serving.is_some() {
            self.stop();
        }
    }
}

pub(crate) fn groundstate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
    command.args(args);
    for name in [
        "GROUNDSTATE_SERVER",
        "GROUNDSTATE_CREDENTIAL",
        "COLUMNS",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

/// What was said on both outputs.
pub(crate) fn check(output: &Output, status: i32, wants: &[&str]) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    for want in wants {
        assert!(text.contains(want), "{want:?} is not in {text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "no colour where no terminal is: {text}"
    );
    text
}
