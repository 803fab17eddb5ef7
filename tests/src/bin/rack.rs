// SPDX-License-Identifier: Apache-2.0
//! The rack as commands, for a person to play with. What it can do is in the library; this is words and a loop.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use groundstate_api::boot::Firmware;
use groundstate_tests::matrix;
use groundstate_tests::rack::{
    Boot, Fault, Net, NetOptions, Node, NodeSpec, PowerOn, RackEtcd, RackJournal, SerialLog,
    site_toml,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

/// Virtual servers with real firmware on a virtual network.
#[derive(Parser)]
#[command(name = "rack", version)]
struct Arguments {
    #[command(subcommand)]
    wish: Wish,
}

#[derive(Subcommand)]
enum Wish {
    /// Power on nodes that boot from the network, and show their consoles until Ctrl-C or until each has ended.
    Up(Up),
    /// Power on one node with a kernel directly, without a network, and show its console.
    BootKernel(BootKernel),
    /// Print the site file of a rack.
    Site(Which),
    /// Run the client matrix against `groundstate pxe-server`, and print its table.
    Clients(Clients),
    /// Print what the disks in a rack's folder hold, one digest per disk.
    Fingerprint {
        /// The rack's folder.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args)]
struct Which {
    /// How many nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    nodes: u8,
    /// How they boot.
    #[arg(long, value_enum, default_value_t = Way::Bios)]
    firmware: Way,
}

#[derive(clap::Args)]
struct Up {
    #[command(flatten)]
    which: Which,
    /// Where disks and logs go.
    #[arg(long)]
    dir: PathBuf,
    /// A fault in node 1's hardware: dimm-missing, memory-short, smart-failing, wrong-disk.
    #[arg(long)]
    fault: Option<Fault>,
    /// Seconds after which every node is powered off.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// What a server keeps its journal in: sqlite, or etcd, which is started in the rack's network; the server is told of it by
    /// the environment variable GROUNDSTATE_JOURNAL.
    #[arg(long, value_parser = RackJournal::parse, default_value = "sqlite")]
    journal: RackJournal,
    /// A server to run inside the rack's network, for example
    /// `-- groundstate up --interface br0 --site DIR/site.toml`.
    #[arg(last = true)]
    server: Vec<String>,
}

#[derive(clap::Args)]
struct BootKernel {
    /// The kernel.
    #[arg(long)]
    kernel: PathBuf,
    /// The initramfs.
    #[arg(long)]
    initrd: Option<PathBuf>,
    /// The kernel's command line.
    #[arg(long, default_value = "console=tty0 console=ttyS0 panic=-1")]
    append: String,
    /// Where disks and logs go.
    #[arg(long, default_value = "target/rack")]
    dir: PathBuf,
    /// How the node's firmware would boot.
    #[arg(long, value_enum, default_value_t = Way::Bios)]
    firmware: Way,
    /// A fault in the node's hardware: dimm-missing, memory-short, smart-failing, wrong-disk.
    #[arg(long)]
    fault: Option<Fault>,
    /// Seconds after which the node is powered off.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

#[derive(clap::Args)]
struct Clients {
    /// The program.
    #[arg(long, default_value = "target/release/groundstate")]
    groundstate: PathBuf,
    /// The folder with the boot image's parts.
    #[arg(long, default_value = "target/groundstate/boot")]
    boot_image: PathBuf,
    /// Where logs and captures go.
    #[arg(long, default_value = "target/clients")]
    dir: PathBuf,
    /// Only the rows of this group.
    #[arg(long, value_enum)]
    only: Option<matrix::Group>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Bios,
    UefiPxe,
    UefiHttp,
}

impl From<Way> for Firmware {
    fn from(way: Way) -> Self {
        match way {
            Way::Bios => Self::Bios,
            Way::UefiPxe => Self::UefiPxe,
            Way::UefiHttp => Self::UefiHttp,
        }
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().wish {
        Wish::Up(up) => self::up(&up),
        Wish::BootKernel(boot) => boot_kernel(&boot),
        Wish::Site(which) => {
            print!("{}", site_toml(&specs(&which)));
            Ok(())
        }
        Wish::Clients(wish) => clients(&wish),
        Wish::Fingerprint { dir, which } => fingerprint(&dir, &which),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn specs(which: &Which) -> Vec<NodeSpec> {
    (1..=which.nodes)
        .map(|index| NodeSpec::demo(index, which.firmware.into()))
        .collect()
}

fn clients(wish: &Clients) -> anyhow::Result<()> {
    let groundstate = wish.groundstate.canonicalize()?;
    let groups = wish
        .only
        .map_or(matrix::Group::ALL.to_vec(), |only| vec![only]);
    let table = matrix::run(&groundstate, &wish.boot_image, &wish.dir, &groups)?;
    println!("{table}");
    if !table.0.iter().all(matrix::Row::is_well) {
        bail!("a client has not what it asked for");
    }
    Ok(())
}

fn up(wish: &Up) -> anyhow::Result<()> {
    fs::create_dir_all(&wish.dir).with_context(|| wish.dir.display().to_string())?;
    let dir = wish.dir.canonicalize()?;
    let mut specs = specs(&wish.which);
    let site = dir.join("site.toml");
    fs::write(&site, site_toml(&specs)).with_context(|| site.display().to_string())?;
    break_one(wish.fault, &mut specs)?;
    let options = NetOptions {
        taps: specs.len(),
        capture: Some(dir.join("rack.pcap")),
    };
    let mut net = Net::new(&options)?;
    println!("network {}, site file {}", net.bridge(), site.display());
    println!(
        "into the network from another terminal: {} bash",
        net.way_in()
    );
    let etcd = match wish.journal {
        RackJournal::Sqlite => None,
        RackJournal::Etcd => Some(RackEtcd::start(&dir)?),
    };
    let mut server = wish.server.split_first().map(|(program, arguments)| {
        let mut command = Command::new(program);
        if etcd.is_some() {
            command.env("GROUNDSTATE_JOURNAL", RackEtcd::ADDRESS);
        }
        let started = command.args(arguments).spawn();
        started
            .map(Server)
            .with_context(|| format!("`{program}` could not be started"))
    });
    if let Some(Err(error)) = server.take_if(|s| s.is_err()) {
        return Err(error);
    }
    let mut nodes = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let mut node = Node::build_in(&net, index, spec, &dir.join(spec.name.as_str()))?;
        node.power_on(&PowerOn::FIRMWARE)?;
        nodes.push(node);
    }
    show(&mut nodes, Duration::from_secs(wish.seconds))?;
    drop(nodes);
    drop(server);
    drop(etcd);
    if let Some(file) = net.end_capture()? {
        println!("packets: {}", file.display());
    }
    Ok(())
}

fn boot_kernel(wish: &BootKernel) -> anyhow::Result<()> {
    let mut specs = vec![NodeSpec::demo(1, wish.firmware.into())];
    break_one(wish.fault, &mut specs)?;
    let absolute = |path: &Path| {
        path.canonicalize()
            .with_context(|| path.display().to_string())
    };
    let boot = Boot::Kernel {
        kernel: absolute(&wish.kernel)?,
        initrd: wish.initrd.as_deref().map(absolute).transpose()?,
        cmdline: wish.append.clone(),
    };
    let mut node = Node::build(&specs[0], &wish.dir, None)?;
    node.power_on(&PowerOn {
        boot,
        no_reboot: true,
        ..PowerOn::FIRMWARE
    })?;
    show(&mut [node], Duration::from_secs(wish.seconds))
}

fn fingerprint(dir: &Path, which: &Which) -> anyhow::Result<()> {
    for spec in specs(which) {
        let folder = dir.join(spec.name.as_str());
        if !folder.is_dir() {
            bail!("{} is no node of a rack", folder.display());
        }
        for disk in Node::build(&spec, &folder, None)?.fingerprints()? {
            println!("{} {:<20} {}", spec.name, disk.serial, disk.content.digest);
        }
    }
    Ok(())
}

fn break_one(fault: Option<Fault>, specs: &mut [NodeSpec]) -> anyhow::Result<()> {
    if let (Some(fault), Some(spec)) = (fault, specs.first_mut()) {
        let part = fault.apply(spec)?;
        println!("{}: {fault} at {part}", spec.name);
    }
    Ok(())
}

/// Shows the consoles, line by line, until every node has ended or the time is over.
fn show(nodes: &mut [Node], limit: Duration) -> anyhow::Result<()> {
    let mut logs: Vec<SerialLog> = Vec::new();
    for node in nodes.iter() {
        let pid = node.pid().unwrap_or_default();
        println!(
            "{}: QEMU is process {pid}, files in {}",
            node.spec().name,
            node.folder().display()
        );
        logs.push(node.serial_log_from_power_on());
    }
    let until = Instant::now() + limit;
    loop {
        // Asked before reading, so that the last lines are shown.
        let on = nodes
            .iter_mut()
            .filter_map(|n| n.is_on().then_some(()))
            .count();
        for (node, log) in nodes.iter().zip(&mut logs) {
            while let Some(line) = log.next_line()? {
                println!("{}| {line}", node.spec().name);
            }
        }
        if on == 0 {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!(
                "{on} nodes were still on after {} s, and are powered off now",
                limit.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server that ends with us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
