// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask demo`: one command takes a bare virtual server from power-on to a Ready host, and shows the way.

mod live;
mod report;

use crate::layout::Layout;
use crate::{boot_image, host_image, product, setup};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use groundstate_api::boot::Firmware;
use groundstate_api::plan::{HandOver, Step};
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::RackJournal;
use groundstate_tests::stage::{self, Outcome, Stage, StageFault, StagePlan, result_line};
use live::Live;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The expected end was not reached, but a node is held: a person is needed.
const EXIT_HELD: u8 = 3;
/// How long the nodes may take. Firmware, image and host boot take two to three minutes on two cores without KVM.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long the servers stay away in `provisioner-restart`.
const AWAY: Duration = Duration::from_secs(5);

/// Take a bare virtual server from power-on to a Ready host
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How the node's firmware boots
    #[arg(long, value_enum, default_value_t = FirmwareName::UefiHttp)]
    firmware: FirmwareName,
    /// How the maintenance OS hands over to the host
    #[arg(long, value_enum, default_value_t = HandOverName::Kexec)]
    hand_over: HandOverName,
    /// How many nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Break something: dimm-missing, memory-short, smart-failing, wrong-disk, bad-chunk or provisioner-restart
    #[arg(long, value_parser = StageFault::parse)]
    fault: Option<StageFault>,
    /// Power the nodes on by hand, as machines without BMCs; else the provisioner does it through their virtual BMCs
    #[arg(long)]
    by_hand: bool,
    /// Where the servers keep their journal: sqlite, or etcd, which is started beside them
    #[arg(long, value_parser = RackJournal::parse, default_value = "sqlite")]
    journal: RackJournal,
    /// Take the host image out of an S3-compatible bucket, which is started beside the servers, by a signed channel
    #[arg(long)]
    bucket: bool,
    /// Leave it running and print the address of a page to look at
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FirmwareName {
    UefiHttp,
    UefiPxe,
    Bios,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HandOverName {
    Kexec,
    Reboot,
}

/// Runs the demo. Exit status: 0 the expected end, 3 held otherwise, 1 any error.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<ExitCode> {
    let began = Instant::now();
    let plan = stage_plan(layout, options)?;
    let page = plan
        .page
        .as_ref()
        .map(TcpListener::local_addr)
        .transpose()?;
    eprintln!(
        "ready to start after {} s; everything of this run lies in {}",
        began.elapsed().as_secs(),
        plan.folder.display()
    );
    let mut stage = Stage::set(plan)?;
    if let Some(page) = page {
        println!("page: http://{page}/");
    }
    let mut live = Live::new();
    stage.begin()?;
    let reports = watch(&mut stage, options, &mut live)?;
    live.finish();
    let outcomes = stage.outcomes(&reports)?;
    report::print(&mut stage, &outcomes)?;
    let code = verdict(&stage, &outcomes);
    if options.keep {
        keep(&mut stage)?;
    }
    Ok(code)
}

/// Everything that the stage needs, built or taken from the cache. `page` is opened only where it is wished for.
pub(crate) fn stage_plan(layout: &Layout, options: &Options) -> Result<StagePlan> {
    let firmware = match options.firmware {
        FirmwareName::UefiHttp => Firmware::UefiHttp,
        FirmwareName::UefiPxe => Firmware::UefiPxe,
        FirmwareName::Bios => Firmware::Bios,
    };
    let hand_over = match options.hand_over {
        HandOverName::Kexec => HandOver::Kexec,
        HandOverName::Reboot => HandOver::Reboot,
    };
    if hand_over == HandOver::Reboot && !firmware.is_uefi() {
        bail!(
            "--hand-over reboot needs UEFI: a BIOS boots from the network again. Use --firmware uefi-pxe or uefi-http"
        );
    }
    let made = make_everything(layout)?;
    let page = options
        .keep
        .then(|| TcpListener::bind(("127.0.0.1", 0)))
        .transpose()
        .context("opening the page's port")?;
    Ok(StagePlan {
        groundstate: made.groundstate,
        boot_assets: layout.boot(),
        image_store: made.image_store,
        folder: layout.made("demo"),
        firmware,
        hand_over: Some(hand_over),
        nodes: options.nodes,
        fault: options.fault,
        bmcs: !options.by_hand,
        keep_data_disk: None,
        journal: options.journal,
        bucket: options.bucket.then(|| moto_server(layout)).transpose()?,
        page,
    })
}

/// An object store for tests, which set-up brings.
pub(crate) fn moto_server(layout: &Layout) -> Result<PathBuf> {
    let program = layout.made("peers/python").join("bin/moto_server");
    if !program.exists() {
        bail!(
            "{} is missing: cargo xtask setup brings it where Python packages can be fetched",
            program.display()
        );
    }
    Ok(program)
}

/// What the demo and the scenarios start from.
#[derive(Clone)]
pub(crate) struct Made {
    /// The `groundstate` program.
    pub(crate) groundstate: PathBuf,
    /// A store with the host image.
    pub(crate) image_store: PathBuf,
}

/// Set-up, programs, boot image, host image and image store; each from the cache where its inputs are the same, and once for
/// all who ask in one process: virtual boots run side by side, and what they boot does not change under them.
pub(crate) fn make_everything(layout: &Layout) -> Result<Made> {
    static MADE: Mutex<Option<Made>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = made.as_ref() {
        return Ok(made.clone());
    }
    Ok(made.insert(make(layout)?).clone())
}

fn make(layout: &Layout) -> Result<Made> {
    setup::ensure()?;
    // The tree is unpacked by one core and nothing of ours is in it.
    let programs = std::thread::scope(|scope| {
        let base = scope.spawn(|| host_image::ensure_base(layout));
        let programs = product::build(layout)?;
        boot_image::ensure(layout)?;
        base.join()
            .map_err(|_| anyhow!("making the base tree panicked"))??;
        anyhow::Ok(programs)
    })?;
    host_image::ensure(layout)?;
    let image_store = import_host_image(layout, &programs.groundstate)?;
    Ok(Made {
        groundstate: programs.groundstate,
        image_store,
    })
}

/// Imports the host image into a store of its own, named by the image's version, unless it is there already.
fn import_host_image(layout: &Layout, groundstate: &std::path::Path) -> Result<PathBuf> {
    let host = layout.host();
    let read = |name: &str| {
        std::fs::read_to_string(host.join(name))
            .map(|text| text.trim().to_owned())
            .with_context(|| format!("reading {}", host.join(name).display()))
    };
    let (version, cmdline) = (read("version")?, read("cmdline")?);
    let store = layout.made("image-store").join(&version);
    if store.join("images").is_dir() {
        return Ok(store.join("images"));
    }
    if layout.made("image-store").exists() {
        std::fs::remove_dir_all(layout.made("image-store"))
            .context("removing the store of an older image")?;
    }
    let partial = layout.made("image-store").join("partial");
    std::fs::create_dir_all(&partial)?;
    let status = Command::new(groundstate)
        .args([
            "image",
            "import",
            "--format",
            "raw",
            "--name",
            "debian-host",
            "--version",
            &version,
            "--cmdline",
            &cmdline,
        ])
        .arg("--state-dir")
        .arg(&partial)
        .arg(host.join("root.ext4"))
        .arg("--kernel")
        .arg(host.join("vmlinuz"))
        .arg("--initrd")
        .arg(host.join("initrd.img"))
        .arg("--boot-loader")
        .arg(host.join("systemd-bootx64.efi"))
        .status()
        .context("running groundstate image import")?;
    if !status.success() {
        bail!("groundstate image import: {status}");
    }
    std::fs::rename(&partial, &store).context("putting the image store in its place")?;
    Ok(store.join("images"))
}

fn watch(stage: &mut Stage, options: &Options, live: &mut Live) -> Result<Vec<NodeReport>> {
    let mut restart = (options.fault == Some(StageFault::ProvisionerRestart)).then_some(());
    stage.watch(LIMIT, stage::ended, |stage, reports| {
        live.show(stage, reports);
        picture_maintenance_os(stage, reports)?;
        if restart.is_some() && reports.iter().any(half_written) {
            restart = None;
            live.say("the servers are killed now, in the middle of the image");
            stage.servers.kill();
            std::thread::sleep(AWAY);
            live.say("the servers are started again");
            stage.servers.start()?;
        }
        Ok(())
    })
}

/// The name of the picture of a node's screen while its maintenance OS works.
const WORKING_PICTURE: &str = "screen-maintenance-os.png";

/// Takes a picture of each node's screen once, while its maintenance OS writes the image.
fn picture_maintenance_os(stage: &Stage, reports: &[NodeReport]) -> Result<()> {
    for (node, report) in stage.nodes.iter().zip(reports) {
        let file = node.folder().join(WORKING_PICTURE);
        if half_written(report) && !file.exists() {
            node.screendump(&file)?;
        }
    }
    Ok(())
}

/// Whether the image is being written and a good part of it is there.
pub(crate) fn half_written(report: &NodeReport) -> bool {
    matches!(&report.view.step, Some((Step::Image, StepState::Running { done, total })) if done.0 * 4 > total.0)
}

fn verdict(stage: &Stage, outcomes: &[Outcome]) -> ExitCode {
    let broken = stage.broken_part.as_deref();
    let mut code = ExitCode::SUCCESS;
    for (index, outcome) in outcomes.iter().enumerate() {
        // A fault is put into the first node; what concerns the image concerns every node.
        let concerned = index == 0 || stage.fault == Some(StageFault::BadChunk);
        let fault = stage.fault.filter(|_| concerned);
        if let Some(why) = outcome.unexpected(fault, broken.filter(|_| concerned)) {
            eprintln!("not the expected end: {why}");
            code = if outcome.report.view.phase == Phase::Held {
                ExitCode::from(EXIT_HELD)
            } else {
                ExitCode::FAILURE
            };
        }
        println!("{}", result_line(outcome));
    }
    code
}

fn keep(stage: &mut Stage) -> Result<()> {
    eprintln!("left running; end it with Ctrl-C. To speak to the servers from another terminal:");
    let operator = stage.servers.operator();
    eprintln!(
        "  {} env GROUNDSTATE_SERVER={} GROUNDSTATE_CREDENTIAL={} {} node list",
        stage.net().way_in(),
        operator.server,
        operator.credential.display(),
        operator.groundstate.display()
    );
    loop {
        stage.servers.check()?;
        std::thread::sleep(Duration::from_secs(1));
    }
}
