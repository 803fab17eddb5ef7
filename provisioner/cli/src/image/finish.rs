// SPDX-License-Identifier: Apache-2.0
//! How every document is signed, put into its place or given away to be signed elsewhere: the same for all commands.

use super::named::now;
use super::signer::SignerArgs;
use super::state::StateArgs;
use crate::End;
use crate::client::Refused;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::trust::{Catalogue, ImageSigned, RevokedPart, Role, TrustRoot};
use groundstate_api::{Digest, Millis};
use image_core::trust::{moment, revokes};
use image_repo::Repository;
use image_repo::trust::{Offer, Outcome, Pin, TrustFault, add_signature, offer};
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct HowArgs {
    #[command(flatten)]
    signer: SignerArgs,
    /// Write the document there, to be signed elsewhere: minisign -S -m FILE, or groundstate image trust sign FILE.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Add a signature that was made elsewhere to the document that waits for it.
    #[arg(long = "add-signature", value_name = "FILE")]
    pub(super) add: Vec<PathBuf>,
    /// Replace another document that waits for signatures.
    #[arg(long)]
    pub(super) anew: bool,
    /// Show what would be signed, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The people's words for a fault of signatures.
pub(super) fn refused(what: &str) -> impl FnOnce(TrustFault) -> anyhow::Error {
    let what = what.to_owned();
    move |fault| {
        Refused {
            reason: fault.reason(&what),
        }
        .into()
    }
}

impl HowArgs {
    /// Only adds these signatures.
    pub(super) fn adding(files: &[PathBuf], json: bool) -> Self {
        Self {
            signer: SignerArgs::default(),
            out: None,
            add: files.to_vec(),
            anew: false,
            dry_run: false,
            yes: true,
            json,
        }
    }

    /// Signs the document with the keys, and puts it into its place or lets it wait.
    pub(super) fn put(
        &self,
        state: &StateArgs,
        repository: &Repository,
        document: &Offer,
    ) -> Result<End> {
        let text = document.document();
        if !self.json {
            let said = match document {
                Offer::Catalogue(catalogue) => describe_catalogue(catalogue, Some(repository)),
                Offer::Root(_) | Offer::Image(_) => describe(document),
            };
            println!("{said}");
        }
        if self.dry_run {
            if self.json {
                println!("{text}");
            }
            return Ok(End::Done);
        }
        let keys = self.signer.open()?;
        if let Some(out) = &self.out {
            std::fs::write(out, &text)
                .with_context(|| format!("{} cannot be written", out.display()))?;
        }
        self.confirm("sign and keep this?")?;
        let comment = comment(document);
        let signatures = keys
            .iter()
            .map(|key| key.sign(text.as_bytes(), &comment))
            .collect();
        let pin = Pin::of_state(&state.state_dir);
        let outcome = offer(repository, &pin, now(), document, signatures, self.anew)
            .map_err(refused(&title(document)))?;
        self.say(document, &outcome)
    }

    /// Adds the signatures that were made elsewhere.
    pub(super) fn add(&self, state: &StateArgs, repository: &Repository) -> Result<End> {
        let pin = Pin::of_state(&state.state_dir);
        for path in &self.add {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            let (document, outcome) = add_signature(repository, &pin, now(), &text)
                .map_err(refused(&path.display().to_string()))?;
            self.say(&document, &outcome)?;
        }
        Ok(End::Done)
    }

    /// Asks a person who is there; a program that gives a key means it.
    pub(super) fn confirm(&self, question: &str) -> Result<()> {
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.yes || !person {
            return Ok(());
        }
        eprint!("{question} [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        bail!("nothing was changed");
    }

    fn say(&self, document: &Offer, outcome: &Outcome) -> Result<End> {
        let digest = Digest::of(document.document().as_bytes());
        if self.json {
            let kind = document.kind();
            let said = match outcome {
                Outcome::Placed { path } => {
                    json!({"document": kind, "digest": digest, "state": "placed", "path": path})
                }
                Outcome::Waits { path, have, needed } => json!({
                    "document": kind, "digest": digest, "state": "waits", "path": path,
                    "have": have, "needed": needed,
                }),
            };
            println!("{}", serde_json::to_string_pretty(&said)?);
            return Ok(End::Done);
        }
        match outcome {
            Outcome::Placed { path } => {
                println!("{} holds now: {}", title(document), path.display());
            }
            Outcome::Waits { path, have, needed } => println!(
                "{} waits: {have} of {needed} signatures. Have {} signed (minisign -S -m FILE), then add each signature:\n  groundstate image trust add-signature FILE.minisig",
                title(document),
                path.display()
            ),
        }
        Ok(End::Done)
    }
}

/// What is signed beside the bytes, for people who look at the signature with minisign -V.
fn comment(document: &Offer) -> String {
    format!("timestamp:{}\t{}", now().0 / 1_000, title(document))
}

/// The document in a few words.
pub(super) fn title(document: &Offer) -> String {
    match document {
        Offer::Root(root) => format!("trust root {}", root.version),
        Offer::Catalogue(catalogue) => format!("catalogue {}", catalogue.sequence),
        Offer::Image(image) => format!("the signature of {} {}", image.name, image.version),
    }
}

/// All that the document says.
pub(super) fn describe(document: &Offer) -> String {
    match document {
        Offer::Root(root) => describe_root(root),
        Offer::Catalogue(catalogue) => describe_catalogue(catalogue, None),
        Offer::Image(image) => describe_image(image),
    }
}

fn describe_root(root: &TrustRoot) -> String {
    let role = |role: &Role| {
        let ids: Vec<String> = role.keys.iter().map(ToString::to_string).collect();
        format!("{} of {}", role.threshold, ids.join(", "))
    };
    let mut lines = vec![
        format!(
            "trust root {}, until {}",
            root.version,
            moment(root.expires)
        ),
        format!("  root      {}", role(&root.roles.root)),
        format!("  images    {}", role(&root.roles.images)),
        format!("  channels  {}", role(&root.roles.channels)),
    ];
    let keys = root
        .keys
        .iter()
        .map(|key| format!("  key {}  {}  {}", key.id, key.key, key.comment));
    lines.extend(keys.map(|line| line.trim_end().to_owned()));
    lines.join("\n")
}

/// Name and version of a manifest, as far as a channel or the repository knows it.
pub(super) fn named(
    catalogue: &Catalogue,
    repository: Option<&Repository>,
    digest: &Digest,
) -> Option<String> {
    let mut rows = catalogue.channels.iter();
    rows.find(|row| row.manifest == *digest)
        .map(|row| format!("{} {}", row.image, row.version))
        .or_else(|| {
            let manifest = repository?.manifest(digest).ok()?;
            Some(image_core::manifest::title(&manifest))
        })
}

/// Channels and revocations as rows.
pub(super) fn describe_catalogue(catalogue: &Catalogue, repository: Option<&Repository>) -> String {
    let mut lines = vec![format!(
        "catalogue {}, made {}, until {}",
        catalogue.sequence,
        moment(catalogue.issued),
        moment(catalogue.expires)
    )];
    let rows = catalogue.channels.iter().map(|row| {
        format!(
            "  {:<32} {:<20} since {}  {}{}",
            format!("{}@{}", row.image, row.channel),
            row.version,
            moment(row.promoted_at),
            row.manifest.short(),
            if revokes(catalogue, &row.manifest) {
                "  REVOKED, gives nothing"
            } else if row.step_back {
                "  (stepped back)"
            } else {
                ""
            }
        )
    });
    lines.extend(rows);
    let revoked = catalogue.revoked.iter().map(|each| {
        let what = match &each.part {
            RevokedPart::Manifest(digest) => match named(catalogue, repository, digest) {
                Some(title) => format!("image {title}, {}", digest.short()),
                None => format!("image {}", digest.short()),
            },
            RevokedPart::Key(id) => format!("key {id}"),
        };
        format!("  revoked {what}, {}: {}", moment(each.since), each.why)
    });
    lines.extend(revoked);
    lines.join("\n")
}

fn describe_image(image: &ImageSigned) -> String {
    let until = image.expires.map_or_else(
        || "as long as its keys hold".to_owned(),
        |at| format!("until {}", moment(at)),
    );
    format!(
        "{} {}, {}, {until}\n  manifest {}",
        image.name, image.version, image.size, image.manifest
    )
}

/// A time to live: `30d`, `12h`, `4w`, `1y`.
pub(super) fn life(text: &str) -> Result<Millis, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let hours: u64 = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        "y" => 365 * 24,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(hours)?.checked_mul(3_600_000))
        .filter(|ms| *ms > 0)
        .map(Millis)
        .ok_or_else(|| format!("{text:?} should be a number and h, d, w or y, for example 30d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_are_read() {
        assert_eq!(life("30d"), Ok(Millis::secs(30 * 86_400)));
        assert_eq!(life("12h"), Ok(Millis::secs(12 * 3_600)));
        assert_eq!(life("1y"), Ok(Millis::secs(365 * 86_400)));
        for wrong in [
            "",
            "d",
            "0d",
            "5",
            "5m",
            "-1d",
            "99999999999999999999d",
            "18446744073709551615y",
        ] {
            assert!(life(wrong).is_err(), "{wrong}");
        }
    }
}
