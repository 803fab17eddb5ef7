// SPDX-License-Identifier: Apache-2.0
//! `groundstate site show | export | import | check | drift`.

use super::{CheckArgs, ExportArgs, Format, ImportArgs, ShowArgs, file, page, xml};
use crate::End;
use crate::client::paper::Paper;
use crate::client::said::{document, say, tell};
use crate::client::{Client, Connect, Fetched};
use anyhow::{Context as _, Result, bail};
use groundstate_api::site::Site;
use groundstate_api::site_plan::Drift;
use groundstate_api::text::counted;
use groundstate_api::{Reason, paths};
use provisioner::credential::Credentials;
use provisioner::site::{STAND_IN, unusable_credentials};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

pub(super) fn show(args: &ShowArgs) -> Result<End> {
    let (site, tag) = in_force(&args.connect)?;
    if args.json {
        document(&serde_json::to_string(&site)?)?;
    } else {
        say(&format!(
            "# version {} of the site\n{}",
            tag.trim_matches('"'),
            written(&site, Format::Toml)?
        ))?;
    }
    Ok(End::Done)
}

pub(super) fn export(args: &ExportArgs) -> Result<End> {
    let (site, _) = in_force(&args.connect)?;
    say(&written(&site, args.format)?)?;
    Ok(End::Done)
}

pub(super) fn import(args: &ImportArgs) -> Result<End> {
    let site = file::read(&args.file)?;
    let text = written(&site, args.format)?;
    let Some(out) = &args.out else {
        say(&text)?;
        return Ok(End::Done);
    };
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(out);
    let mut made = made.with_context(|| format!("{} cannot be made", out.display()))?;
    made.write_all(text.as_bytes())
        .with_context(|| format!("{} cannot be written", out.display()))?;
    say(&format!(
        "{}: the site {:?} with {}; look at it, then groundstate apply {}",
        out.display(),
        site.name,
        counted(site.nodes.len(), "node"),
        out.display()
    ))?;
    Ok(End::Done)
}

pub(super) fn check(args: &CheckArgs) -> Result<End> {
    let (site, missed) = match (file::read(&args.file), &args.state_dir) {
        (Ok(site), Some(state_dir)) => {
            let missed = credentials(&site, state_dir)?;
            (site, missed)
        }
        (Err(error), Some(state_dir)) => return Err(with_credentials(error, state_dir)),
        (read, None) => (read?, Vec::new()),
    };
    if args.json {
        let said = json!({
            "file": args.file, "site": site.name, "nodes": site.nodes.len(), "credentials_missed": missed,
        });
        document(&said.to_string())?;
        return Ok(End::Done);
    }
    if !missed.is_empty() {
        tell(&page::warnings(&missed));
    }
    say(&format!(
        "{}: the site {:?} with {} is in order",
        args.file.display(),
        site.name,
        counted(site.nodes.len(), "node")
    ))?;
    Ok(End::Done)
}

/// The faults of a file, and which of the credentials that it names cannot be used: neither hides the other.
fn with_credentials(error: anyhow::Error, state_dir: &Path) -> anyhow::Error {
    let site = error.downcast_ref::<file::Faulty>();
    let Some(mut site) = site.and_then(|faulty| faulty.site.clone()) else {
        return error;
    };
    only_what_is_named(&mut site);
    let missed = unusable_credentials(&Credentials::new(state_dir), &site);
    if missed.is_empty() {
        return error;
    }
    anyhow::anyhow!("{error}\n{}", page::warnings(&missed))
}

/// Leaves out credentials that nobody named, and those whose name is a fault itself.
fn only_what_is_named(site: &mut Site) {
    let is_named = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        name.bytes().all(plain) && !name.starts_with('.') && !name.starts_with(STAND_IN)
    };
    site.webhooks.retain(|hook| is_named(&hook.credential));
    site.policy.credentials.retain(|rule| is_named(&rule.from));
    for node in &mut site.nodes {
        node.bmc = node.bmc.take().filter(|bmc| is_named(&bmc.credential));
        node.credentials.retain(|rule| is_named(&rule.from));
    }
}

/// Which credentials cannot be used; without a webhook's nothing is told to anybody, which is a fault.
fn credentials(site: &Site, state_dir: &Path) -> Result<Vec<Reason>> {
    let missed = unusable_credentials(&Credentials::new(state_dir), site);
    let signs = missed.iter().any(|reason| {
        let mut seen = reason.evidence.iter();
        seen.any(|line| line.starts_with("webhook "))
    });
    if signs {
        bail!("{}", page::warnings(&missed));
    }
    Ok(missed)
}

pub(super) fn drift(args: &ShowArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let text = client.text(paths::SITE_DRIFT)?;
    if args.json {
        document(&text)?;
        return Ok(End::Done);
    }
    let drift: Drift = client.parse(paths::SITE_DRIFT, &text)?;
    say(&page::drift(&drift, Paper::of_terminal()))?;
    Ok(End::Done)
}

fn in_force(connect: &Connect) -> Result<(Site, String)> {
    let client = Client::new(connect)?;
    match client.get_tagged(paths::SITE, None)? {
        Fetched::New(site, Some(tag)) => Ok((site, tag)),
        Fetched::New(_, None) | Fetched::Same => {
            bail!("the provisioner does not say the version of its site")
        }
    }
}

/// The site as a file that is read again as the same site.
pub(super) fn written(site: &Site, format: Format) -> Result<String> {
    Ok(match format {
        Format::Toml => toml::to_string_pretty(site)?,
        Format::Json => serde_json::to_string_pretty(site)? + "\n",
        Format::Xml => xml::write(site)?,
    })
}
