// SPDX-License-Identifier: Apache-2.0
//! `groundstate plan preview`, and the order to rebuild one disk. The preview of a node asks the provisioner; with a site
//! file and an inventory it needs none.

use super::orders::{Ask, How, Order, carry_out};
use super::paper::Paper;
use super::said::document;
use super::would::{self, Wanted};
use super::{Client, Connect, node_path};
use crate::End;
use crate::out;
use crate::refusal::{FAILED, Failed};
use crate::site::PlanSiteArgs;
use crate::up::site_file;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::PlanPreview;
use groundstate_api::text::inert;
use groundstate_api::view::{NodeReport, RebuildOrder};
use groundstate_api::{Bytes, Digest, NodeId, paths};
use mos_core::plan::{Look, preview_page};
use std::path::{Path, PathBuf};

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;

/// `groundstate plan site.toml`, and what else is planned.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PlanArgs {
    #[command(subcommand)]
    command: Option<PlanCommand>,
    /// The site file: TOML, or XML or JSON by its ending.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Ask nobody: compare with this site file.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand)]
pub(crate) enum PlanCommand {
    /// Show what a run would do to a node's disks, before anything runs. Orders nothing.
    Preview(PreviewArgs),
    /// Show what a site file would change. Applies nothing; the same as `groundstate plan FILE`.
    Site(PlanSiteArgs),
}

#[derive(Args)]
pub(crate) struct PreviewArgs {
    /// The node's name.
    node: NodeId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// A disk that the order would confirm to be wiped, by its serial number. May be given several times.
    #[arg(long, value_name = "SERIAL")]
    confirm: Vec<String>,
    /// Show the order that makes only this disk anew.
    #[arg(long, value_name = "SERIAL", conflicts_with = "site")]
    rebuild: Option<String>,
    /// Ask nobody: plan from this site file.
    #[arg(long, value_name = "FILE", requires = "inventory")]
    site: Option<PathBuf>,
    /// The inventory to plan from: what `groundstate node show NODE --json` prints, or its part `inventory`.
    #[arg(long, value_name = "FILE", requires = "site")]
    inventory: Option<PathBuf>,
    /// Size of the image's root file system, where nobody is asked.
    #[arg(long, value_name = "SIZE", default_value = "2GiB", requires = "site")]
    image_size: String,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct RebuildArgs {
    /// The node's name.
    node: NodeId,
    /// The disk's serial number.
    serial: String,
    /// The disk may be wiped although it holds something that is not this node's, or neither the node's last report nor its plan
    /// nor the site file has its number.
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(args: &PlanArgs) -> Result<End> {
    match (&args.command, &args.file) {
        (Some(PlanCommand::Preview(args)), _) => preview(args),
        (Some(PlanCommand::Site(args)), _) => crate::site::plan(args),
        (None, Some(file)) if is_a_nodes_name(file) => Err(Failed::new(
            FAILED,
            format!("there is no site file {}", file.display()),
            format!(
                "the plan of a node's run: groundstate node plan {0}; what a run would do: groundstate plan preview {0}",
                file.display()
            ),
        )
        .into()),
        (None, Some(file)) => crate::site::plan(&PlanSiteArgs {
            file: file.clone(),
            json: args.json,
            against: args.against.clone(),
            connect: args.connect.clone(),
        }),
        (None, None) => bail!("the site file is missing: groundstate plan site.toml"),
    }
}

/// Whether somebody means a node: there is no such file, and a site file's name has an ending.
fn is_a_nodes_name(file: &Path) -> bool {
    let is_name = file
        .to_str()
        .is_some_and(|name| name.parse::<NodeId>().is_ok());
    is_name && file.extension().is_none() && !file.exists()
}

fn preview(args: &PreviewArgs) -> Result<End> {
    let preview = match (&args.site, &args.inventory) {
        (Some(site), Some(inventory)) => offline(args, site, inventory)?,
        (Some(_) | None, _) => online(args)?,
    };
    if args.json {
        document(&serde_json::to_string(&preview)?)?;
    } else {
        out::write(preview_page(&preview, look()).as_bytes())?;
    }
    // An order as it is would be refused: a script sees it by the exit status.
    Ok(
        if preview.needs_confirm.is_empty() && preview.refused.is_none() {
            End::Done
        } else {
            End::Held
        },
    )
}

fn online(args: &PreviewArgs) -> Result<PlanPreview> {
    let mut asks = Vec::new();
    if !args.confirm.is_empty() {
        asks.push(format!("confirm={}", escaped(&args.confirm.join(","))));
    }
    if let Some(serial) = &args.rebuild {
        asks.push(format!("rebuild={}", escaped(serial)));
    }
    let path = node_path(paths::NODE_PLAN_PREVIEW, &args.node);
    let query = if asks.is_empty() {
        String::new()
    } else {
        format!("?{}", asks.join("&"))
    };
    Client::new(&args.connect)?.get(&format!("{path}{query}"))
}

fn offline(args: &PreviewArgs, site: &Path, inventory: &Path) -> Result<PlanPreview> {
    let (site, _) = site_file::read(site)?;
    let size = Bytes::parse(&args.image_size).ok_or_else(|| {
        anyhow!(
            "--image-size: {:?} is not a size; for example 2GiB is",
            args.image_size
        )
    })?;
    let image = ImageRef {
        name: site.policy.image.clone(),
        version: "(size by --image-size)".to_owned(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest([0; 32]),
        size,
        sector_size: 512,
        whole: None,
    };
    let inventory = read_inventory(inventory)?;
    let made =
        provisioner::preview_offline(&site, &args.node, inventory, &image, args.confirm.clone());
    made.map_err(|reason| super::Refused { reason }.into())
}

/// A report of a node or its inventory alone.
fn read_inventory(path: &Path) -> Result<Inventory> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the inventory {} cannot be read", path.display()))?;
    if let Ok(report) = serde_json::from_str::<NodeReport>(&text) {
        return report
            .inventory
            .with_context(|| format!("the report in {} has no inventory yet", path.display()));
    }
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is neither a node's report nor an inventory",
            path.display()
        )
    })
}

/// Colours and width of the terminal; plain where there is none, and then as wide as `COLUMNS` says.
fn look() -> Look {
    let paper = Paper::of_terminal();
    Look {
        colour: paper.is_coloured(),
        columns: paper.columns().unwrap_or(COLUMNS),
    }
}

/// A text as it may stand in a query: everything but letters, digits, `-`, `_`, `.` and `,` by its bytes.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

pub(crate) fn rebuild(args: &RebuildArgs) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let report: NodeReport = client.get(&node_path(paths::NODE, &args.node))?;
    if !args.how.yes && !args.how.dry_run {
        let known = report.inventory.as_ref().map(|seen| &seen.disks[..]);
        let known = known.unwrap_or_default();
        let disk = known.iter().find(|disk| disk.serial == args.serial);
        super::said::tell(&format!(
            "Everything on this disk of {} goes; its other disks stay:\n  WIPED  {}  {}",
            args.node,
            inert(&args.serial),
            inert(&super::erase::words_of(disk))
        ));
    }
    let order = Order {
        node: args.node.clone(),
        phase: report.view.phase,
        version: report.view.version,
        path: node_path(paths::REBUILD_DISK, &args.node),
        body: serde_json::to_value(RebuildOrder {
            serial: args.serial.clone(),
            confirm_wipe: args.confirm,
        })?,
        follows: "ordered: its host restarts into the maintenance OS; then ready".to_owned(),
        refused: would::refusal(&report.view, report.host.as_ref(), Wanted::Rebuild),
    };
    carry_out(
        &client,
        "rebuild the disk",
        &[order],
        &args.how,
        Ask::Always,
    )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn serial_numbers_cannot_change_a_query() {
        assert_eq!(escaped("S-1,a&b=c d"), "S-1,a%26b%3Dc%20d");
    }
}
