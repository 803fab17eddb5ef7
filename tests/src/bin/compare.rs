// SPDX-License-Identifier: Apache-2.0
//! Takes the figures of one comparison and prints them, one JSON object a line. `cargo xtask bench` runs it, and judges.

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use groundstate_tests::compare::{
    DEPLOY_IMAGE, Figure, Ground, Line, MAKE_ONE, RECEIVE_IMAGE, SERVE_IMAGES, TFTP_FLOOR,
    convert_raw, deploy_image, dhcp_100k, dhcp_500, dhcp_burst, dhcp_max, dhcp_memory,
    dhcp_overload, dynamic, first_writes, fixed, fleet, http, image_deploy, image_fan_out,
    image_publish, image_serve, make_one, many, receive_image, serve_images, shelf, storm,
    storm_with_loss, tftp_500, tftp_floor, tftp_loss, tftp_memory, tftp_one,
};
use std::path::PathBuf;
use std::process::ExitCode;

/// One comparison of the product with the tools that people would use instead.
#[derive(Parser)]
#[command(name = "compare", version)]
struct Arguments {
    /// What to compare
    what: What,
    /// A folder on the file system that is measured
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// A fixed VHD of 8 GiB: fallocate, zeros, and qemu-img's footer
    Fixed,
    /// 24 disks with 4 VHDs each
    Many,
    /// First writes against overwrites
    FirstWrites,
    /// Random access in a dynamic VHD
    Dynamic,
    /// Raw to dynamic VHD
    Convert,
    /// 24 disks laid out against one, on simulated disks
    Shelf,
    /// DHCP: 500 machines a second for a minute
    #[value(name = "dhcp-500")]
    Dhcp500,
    /// DHCP: the highest rate
    DhcpMax,
    /// DHCP: 1,000 machines at once
    DhcpBurst,
    /// DHCP: ten times what a server can
    DhcpOverload,
    /// DHCP: with 100,000 leases
    #[value(name = "dhcp-100k")]
    Dhcp100k,
    /// DHCP: memory with 10,000 leases
    DhcpMemory,
    /// A boot file by HTTP, against nginx
    Http,
    /// 1,000 machines within 10 s
    Storm,
    /// 200 machines on a wire that loses datagrams
    StormLoss,
    /// TFTP: one client at each window
    TftpOne,
    /// TFTP: 500 clients at once
    #[value(name = "tftp-500")]
    Tftp500,
    /// TFTP: memory for each transfer
    TftpMemory,
    /// TFTP: a wire that loses datagrams
    TftpLoss,
    /// An image onto a disk, against pipes, bmaptool, qemu-img and casync
    ImageDeploy,
    /// An image published, against zstd and casync
    ImagePublish,
    /// Chunks by HTTP and HTTPS, against nginx
    ImageServe,
    /// An image for 32 receivers, against udpcast
    ImageFanOut,
    /// A provisioner with ten thousand simulated nodes
    Fleet,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // The timed side of a pair: a process that makes one VHD and nothing else.
    let mut words = std::env::args().skip(1);
    let first = words.next();
    // The server of a comparison, on a core of its own.
    if first.as_deref() == Some(SERVE_IMAGES) {
        return serve_images(words);
    }
    // A receiver of a comparison, in a network namespace of its own.
    if first.as_deref() == Some(RECEIVE_IMAGE) {
        return receive_image(words);
    }
    // The node of a comparison, whose memory counts.
    if first.as_deref() == Some(DEPLOY_IMAGE) {
        return deploy_image(words);
    }
    // What TFTP takes without a server.
    if first.as_deref() == Some(TFTP_FLOOR) {
        return tftp_floor(words);
    }
    if first.as_deref() == Some(MAKE_ONE) {
        let path = words.next().context("no path")?;
        let size = words.next().context("no size")?.parse()?;
        return make_one(&PathBuf::from(path), size);
    }
    let arguments = Arguments::parse();
    let ground = Ground::new(&arguments.folder, |what| {
        print(&Line::Doing(what.to_owned()))
    })?;
    let take: fn(&Ground) -> Result<Vec<Figure>> = match arguments.what {
        What::Fixed => fixed,
        What::Many => many,
        What::FirstWrites => first_writes,
        What::Dynamic => dynamic,
        What::Convert => convert_raw,
        What::Shelf => shelf,
        What::Dhcp500 => dhcp_500,
        What::DhcpMax => dhcp_max,
        What::DhcpBurst => dhcp_burst,
        What::DhcpOverload => dhcp_overload,
        What::Dhcp100k => dhcp_100k,
        What::DhcpMemory => dhcp_memory,
        What::Http => http,
        What::Storm => storm,
        What::StormLoss => storm_with_loss,
        What::TftpOne => tftp_one,
        What::Tftp500 => tftp_500,
        What::TftpMemory => tftp_memory,
        What::TftpLoss => tftp_loss,
        What::ImageDeploy => image_deploy,
        What::ImagePublish => image_publish,
        What::ImageServe => image_serve,
        What::ImageFanOut => image_fan_out,
        What::Fleet => fleet,
    };
    for figure in take(&ground)? {
        print(&Line::Figure(figure));
    }
    Ok(())
}

fn print(line: &Line) {
    // A line of our own types has nothing that JSON cannot say.
    match serde_json::to_string(line) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("a line cannot be written: {error}"),
    }
}
