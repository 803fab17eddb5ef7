// SPDX-License-Identifier: Apache-2.0
//! `groundstate node erase` and `groundstate node certificates`. The order always names each disk by its serial number; "all" is
//! spelled out here, from the node's last report, and shown before it is sent.

use super::orders::{Ask, How, Order, carry_out};
use super::said::{document, say, tell};
use super::would::{self, Wanted};
use super::{Client, Connect, node_path};
use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use groundstate_api::erase::{
    EraseCertificate, EraseCertificates, EraseClass, EraseOrder, EraseOutcome, SignedErase,
};
use groundstate_api::inventory::Disk;
use groundstate_api::text::inert;
use groundstate_api::view::NodeReport;
use groundstate_api::{NodeId, paths};
use mos_core::guard::unusual;
use std::fmt::Write as _;

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Clear,
    Purge,
}

#[derive(Args)]
pub(crate) struct EraseArgs {
    /// The node's name.
    node: NodeId,
    /// The class of NIST SP 800-88 that every disk must reach.
    #[arg(long, default_value = "clear")]
    level: Level,
    /// A disk to erase, by its serial number. May be given several times; without it, every disk of the node's last report that
    /// is built in.
    #[arg(long, value_name = "SERIAL")]
    confirm: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub(crate) struct CertificatesArgs {
    /// The node's name.
    node: NodeId,
    /// Verify each certificate against the site CA.
    #[arg(long)]
    verify: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Orders an erase.
pub(crate) fn erase(args: &EraseArgs) -> Result<End> {
    let client = Client::new(&args.how.connect)?;
    let report: NodeReport = client.get(&node_path(paths::NODE, &args.node))?;
    let known = report.inventory.as_ref().map(|seen| &seen.disks[..]);
    let known = known.unwrap_or_default();
    let serials = if args.confirm.is_empty() {
        let built_in = known.iter().filter(|disk| unusual(disk).is_none());
        built_in.map(|disk| disk.serial.clone()).collect()
    } else {
        args.confirm.clone()
    };
    if serials.is_empty() {
        bail!(
            "no disk of {} is known yet; name each one: --confirm SERIAL",
            args.node
        );
    }
    let level = match args.level {
        Level::Clear => EraseClass::Clear,
        Level::Purge => EraseClass::Purge,
    };
    if !args.how.yes && !args.how.dry_run {
        tell(&at_stake(&args.node, known, &serials));
    }
    let named: Vec<_> = serials.iter().map(|serial| inert(serial)).collect();
    let order = Order {
        node: args.node.clone(),
        phase: report.view.phase,
        version: report.view.version,
        path: node_path(paths::ERASE, &args.node),
        follows: format!(
            "ordered; then erasing {}; then enrolled, once each is proved",
            named.join(", ")
        ),
        body: serde_json::to_value(EraseOrder { level, serials })?,
        refused: would::refusal(&report.view, report.host.as_ref(), Wanted::Erase),
    };
    carry_out(&client, "erase", &[order], &args.how, Ask::Always)
}

/// A disk of the node's last report, in words.
pub(super) fn words_of(disk: Option<&Disk>) -> String {
    disk.map_or_else(
        || "not in the node's last report".to_owned(),
        |disk| format!("{}, {}, {}", disk.size, disk.model, disk.slot),
    )
}

/// What goes.
fn at_stake(node: &NodeId, known: &[Disk], serials: &[String]) -> String {
    let disks = serials.iter().map(|serial| {
        let disk = known.iter().find(|disk| disk.serial == *serial);
        format!("\n  ERASED {}  {}", inert(serial), inert(&words_of(disk)))
    });
    let disks: String = disks.collect();
    format!("Everything on these disks of {node} goes:{disks}")
}

/// Shows the certificates of a node; with `--verify` a false one ends with an error.
pub(crate) fn certificates(args: &CertificatesArgs) -> Result<End> {
    let path = node_path(paths::ERASE_CERTIFICATES, &args.node);
    let all: EraseCertificates = Client::new(&args.connect)?.get(&path)?;
    let ca = if args.verify {
        Some(args.connect.ca_pem()?)
    } else {
        None
    };
    let (mut text, mut quarantine) = (String::new(), false);
    for signed in &all.certificates {
        let certificate = read(signed, ca.as_deref())?;
        quarantine |= !certificate.is_erased();
        lines(&certificate, args.verify, &mut text)?;
    }
    if all.certificates.is_empty() {
        writeln!(text, "nothing was erased in {}", args.node)?;
    }
    if args.json {
        document(&serde_json::to_string(&all)?)?;
    } else {
        say(&text)?;
    }
    Ok(if quarantine { End::Held } else { End::Done })
}

fn read(signed: &SignedErase, ca: Option<&str>) -> Result<EraseCertificate> {
    match ca {
        Some(ca) => provisioner::erase::verify(ca, signed).context("a certificate is false"),
        None => Ok(serde_json::from_str(&signed.certificate)?),
    }
}

fn lines(one: &EraseCertificate, verified: bool, text: &mut String) -> Result<()> {
    let disk = &one.disk;
    let says = match &disk.outcome {
        EraseOutcome::Erased { method, class } => format!("ERASED by {method} ({class})"),
        EraseOutcome::Quarantine { why, .. } => format!("QUARANTINE: {why}"),
    };
    writeln!(text, "{}  {says}", disk.serial)?;
    writeln!(
        text,
        "  disk      {}, {}, firmware {}, {}, WWN {}",
        disk.model,
        disk.size,
        disk.revision,
        disk.slot,
        disk.wwn.as_deref().unwrap_or("none")
    )?;
    let at = |moment| provisioner::clock::words(moment);
    writeln!(
        text,
        "  when      {} to {}, took {}; run {}, ordered by {}",
        at(one.began),
        at(one.ended),
        disk.took,
        one.run,
        one.ordered_by
    )?;
    if one.interrupted > 0 {
        let times = one.interrupted;
        writeln!(
            text,
            "  power     went {times} times in this run before; the erase was begun anew each time"
        )?;
    }
    let sample = &disk.sample;
    writeln!(
        text,
        "  read back {} sectors of {} bytes in {} ranges: {} blocks blank, {} changed, {} as before, {} unreadable; {} witnesses",
        sample.sectors,
        sample.sector,
        sample.ranges,
        sample.blank,
        sample.changed,
        sample.unchanged,
        sample.unreadable,
        sample.witnesses
    )?;
    for line in &disk.status {
        writeln!(text, "  it said   {line}")?;
    }
    for left in &disk.not_used {
        writeln!(text, "  not used  {}: {}", left.method, left.why)?;
    }
    if verified {
        writeln!(text, "  signature good: signed by this site's provisioner")?;
    }
    Ok(())
}
