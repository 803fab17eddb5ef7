// SPDX-License-Identifier: Apache-2.0
//! `groundstate image trust`: whom this machine believes, and who signs for whom.

use super::finish::{HowArgs, describe, life, refused, title};
use super::named::now;
use super::revoke::key_id;
use super::signer::{SignerArgs, public_key};
use super::state::StateArgs;
use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use groundstate_api::Millis;
use groundstate_api::trust::{DocumentType, KeyId, Role, Roles, TRUST_SCHEMA, TrustKey, TrustRoot};
use image_core::trust::{canonical, check_root, moment};
use image_repo::Repository;
use image_repo::trust::{Offer, Pin, TrustFault};
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum TrustCommand {
    /// Make the first trust root from public keys, and pin it on this machine.
    #[command(after_long_help = EXAMPLES)]
    Init(InitArgs),
    /// Pin a trust root that was made elsewhere on this machine.
    Pin(PinArgs),
    /// Make the next trust root: keys in, keys out, another threshold, another year.
    Rotate(Box<RotateArgs>),
    /// Show whom this machine believes, and which documents wait for signatures.
    Show(ShowArgs),
    /// Sign a document that was made elsewhere; what it says is shown first.
    Sign(SignArgs),
    /// Add signatures that were made elsewhere to the documents that wait for them.
    AddSignature(AddArgs),
}

pub(super) const EXAMPLES: &str = "\
Examples:
  minisign -G -p me.pub -s me.key
  groundstate image trust init --key me.pub
  groundstate image trust init --key a.pub --key b.pub --key c.pub --threshold 2
  groundstate image trust pin root.json        (on every other machine)
  groundstate image trust rotate --add-key d.pub --remove-key 02080044B1E77DC9 --key a.key --key b.key";

#[derive(clap::Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    state: StateArgs,
    /// A public key, as a file or as its 56 letters. May be given more than once.
    #[arg(long = "key", value_name = "PUB", required = true)]
    keys: Vec<String>,
    /// How many of them have to sign.
    #[arg(long, default_value_t = 1)]
    threshold: u32,
    /// Keys that sign images, where these are others than --key.
    #[arg(long = "image-key", value_name = "PUB")]
    image_keys: Vec<String>,
    /// How many of those have to sign.
    #[arg(long, default_value_t = 1)]
    image_threshold: u32,
    /// Keys that sign the catalogue of channels, where these are others than --key.
    #[arg(long = "channel-key", value_name = "PUB")]
    channel_keys: Vec<String>,
    /// How many of those have to sign.
    #[arg(long, default_value_t = 1)]
    channel_threshold: u32,
    /// For how long the root holds.
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "1y")]
    expires: Millis,
    /// Write the root there too, for the other machines.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show the root, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Put it in place of the root that is pinned: what was seen under that one is forgotten.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct PinArgs {
    #[command(flatten)]
    state: StateArgs,
    /// The trust root.
    file: PathBuf,
    /// Forget which catalogue was seen last: an older one is believed again.
    #[arg(long)]
    forget: bool,
    /// Put it in place of the root that is pinned.
    #[arg(long)]
    yes: bool,
    /// Print JSON: the trust root.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Signs the next trust root.
    Root,
    /// Signs images.
    Images,
    /// Signs the catalogue.
    Channels,
}

#[derive(clap::Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    state: StateArgs,
    /// A public key that may sign from now on.
    #[arg(long, value_name = "PUB")]
    add_key: Vec<String>,
    /// A key that may not any more.
    #[arg(long, value_name = "ID", value_parser = key_id)]
    remove_key: Vec<KeyId>,
    /// How many have to sign.
    #[arg(long)]
    threshold: Option<u32>,
    /// What the three above are about. Without it: everything.
    #[arg(long, value_enum)]
    role: Vec<RoleName>,
    /// For how long the root holds.
    #[arg(long, value_name = "TIME", value_parser = life, default_value = "1y")]
    expires: Millis,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct SignArgs {
    /// The document.
    file: PathBuf,
    #[command(flatten)]
    signer: SignerArgs,
    /// Print JSON: which document it is, and the signature files.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    state: StateArgs,
    /// The signature files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &TrustCommand) -> Result<End> {
    match command {
        TrustCommand::Init(args) => init(args),
        TrustCommand::Pin(args) => pin(args),
        TrustCommand::Rotate(args) => rotate(args),
        TrustCommand::Show(args) => show(args),
        TrustCommand::Sign(args) => sign(args),
        TrustCommand::AddSignature(args) => {
            HowArgs::adding(&args.files, args.json).add(&args.state, &args.state.find()?)
        }
    }
}

/// Adds keys to a list of keys; a key that is there stays as it is.
fn take(keys: &mut Vec<TrustKey>, texts: &[String]) -> Result<Vec<KeyId>> {
    let mut ids = Vec::new();
    for text in texts {
        let key = public_key(text)?;
        let is_there = keys.iter().any(|each| each.key == key.text());
        if !is_there {
            let name = std::path::Path::new(text).file_stem();
            let is_file = std::path::Path::new(text).is_file();
            let comment = name.filter(|_| is_file).map(|name| name.to_string_lossy());
            keys.push(TrustKey {
                id: key.id,
                key: key.text(),
                comment: comment.unwrap_or_default().into_owned(),
            });
        }
        ids.push(key.id);
    }
    Ok(ids)
}

fn init(args: &InitArgs) -> Result<End> {
    let mut keys = Vec::new();
    let all = take(&mut keys, &args.keys)?;
    let mut role = |texts: &[String], threshold| -> Result<Role> {
        if texts.is_empty() {
            return Ok(Role {
                keys: all.clone(),
                threshold: args.threshold,
            });
        }
        let keys = take(&mut keys, texts)?;
        Ok(Role { keys, threshold })
    };
    let roles = Roles {
        root: role(&[], args.threshold)?,
        images: role(&args.image_keys, args.image_threshold)?,
        channels: role(&args.channel_keys, args.channel_threshold)?,
    };
    let root = TrustRoot {
        document: DocumentType::Root,
        schema: TRUST_SCHEMA,
        version: 1,
        expires: now().plus(args.expires),
        keys,
        roles,
    };
    check_root(&root)?;
    let text = canonical(&root);
    let pin = Pin::of_state(&args.state.state_dir);
    if !args.dry_run {
        if pin.is_there() && !args.yes {
            bail!(
                "a trust root is pinned already: {}; groundstate image trust rotate makes the next one, --yes begins anew",
                pin.root_path().display()
            );
        }
        if let Some(out) = &args.out {
            std::fs::write(out, &text)
                .with_context(|| format!("{} cannot be written", out.display()))?;
        }
        pin.set(&text, false).map_err(refused("the trust root"))?;
    }
    if args.json {
        println!("{text}");
    } else {
        println!("{}", describe(&Offer::Root(root)));
        if !args.dry_run {
            println!(
                "pinned: {}\nCarry this file to every machine that deploys, and pin it there: groundstate image trust pin FILE",
                pin.root_path().display()
            );
        }
    }
    Ok(End::Done)
}

fn pin(args: &PinArgs) -> Result<End> {
    let pin = Pin::of_state(&args.state.state_dir);
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let same = std::fs::read_to_string(pin.root_path()).is_ok_and(|before| before == text);
    if pin.is_there() && !same && !args.yes {
        bail!(
            "another trust root is pinned: {}; --yes puts this one in its place",
            pin.root_path().display()
        );
    }
    let root = pin
        .set(&text, args.forget)
        .map_err(refused("the trust root"))?;
    if args.json {
        println!("{}", canonical(&root));
        return Ok(End::Done);
    }
    println!("{}", describe(&Offer::Root(root)));
    println!("pinned: {}", pin.root_path().display());
    Ok(End::Done)
}

fn rotate(args: &RotateArgs) -> Result<End> {
    let repository = args.state.make()?;
    if !args.how.add.is_empty() {
        return args.how.add(&args.state, &repository);
    }
    let mut root = newest(&repository, &Pin::of_state(&args.state.state_dir))?;
    let added = take(&mut root.keys, &args.add_key)?;
    let is_about = |name| args.role.is_empty() || args.role.contains(&name);
    let roles = [
        (RoleName::Root, &mut root.roles.root),
        (RoleName::Images, &mut root.roles.images),
        (RoleName::Channels, &mut root.roles.channels),
    ];
    for (_, role) in roles.into_iter().filter(|(name, _)| is_about(*name)) {
        role.keys.retain(|id| !args.remove_key.contains(id));
        for id in &added {
            if !role.keys.contains(id) {
                role.keys.push(*id);
            }
        }
        role.threshold = args.threshold.unwrap_or(role.threshold);
    }
    let roles = root.roles.clone();
    let in_use = |id: &KeyId| {
        [&roles.root, &roles.images, &roles.channels]
            .iter()
            .any(|role| role.keys.contains(id))
    };
    root.keys.retain(|key| in_use(&key.id));
    root.version += 1;
    root.expires = now().plus(args.expires);
    check_root(&root)?;
    let offer = same_that_waits(&repository, root, args.how.anew)?;
    args.how.put(&args.state, &repository, &offer)
}

/// The root that waits, where it says the same but for its end.
fn same_that_waits(repository: &Repository, root: TrustRoot, anew: bool) -> Result<Offer> {
    let offer = Offer::Root(root.clone());
    if anew {
        return Ok(offer);
    }
    let found = repository
        .trust()
        .waits_instead(&offer)
        .map_err(refused("the trust root"))?;
    if let Some((_, Offer::Root(waits))) = found {
        let mut same = root;
        same.expires = waits.expires;
        if same == waits {
            return Ok(Offer::Root(waits));
        }
    }
    Ok(offer)
}

/// The newest root of the line, expired or not: it is the one that is followed by another.
fn newest(repository: &Repository, pin: &Pin) -> Result<TrustRoot> {
    let what = "the trust root";
    let pinned = pin.root().map_err(refused(what))?;
    let roots = repository
        .trust()
        .roots_after(pinned.version)
        .map_err(refused(what))?;
    image_core::trust::advance(&pinned, &roots)
        .map_err(|error| refused(what)(TrustFault::from(error)))
}

fn show(args: &ShowArgs) -> Result<End> {
    let pin = Pin::of_state(&args.state.state_dir);
    let what = "the trust root";
    let pinned = pin.root().map_err(refused(what))?;
    let seen = pin.seen().map_err(refused(what))?;
    let (root, waits) = if args.state.folder().is_dir() {
        let repository = args.state.find()?;
        let waits = repository.trust().pending().documents();
        (newest(&repository, &pin)?, waits.map_err(refused(what))?)
    } else {
        (pinned.clone(), Vec::new())
    };
    if args.json {
        let waits: Vec<_> = waits
            .iter()
            .map(|(path, document, signed)| {
                json!({"document": document.kind(), "path": path, "signatures": signed.signatures.len()})
            })
            .collect();
        let said = json!({"pinned": pinned.version, "root": root, "seen": seen, "waits": waits});
        println!("{}", serde_json::to_string_pretty(&said)?);
        return Ok(End::Done);
    }
    println!("{}", describe(&Offer::Root(root.clone())));
    if root.expires <= now() {
        println!("  it has EXPIRED: groundstate image trust rotate");
    }
    println!(
        "pinned: version {} in {}",
        pinned.version,
        pin.root_path().display()
    );
    if seen.sequence > 0 {
        println!("seen: catalogue {}, {}", seen.sequence, moment(seen.at));
    }
    for (path, document, signed) in &waits {
        println!(
            "waits: {} with {} signatures: {}",
            title(document),
            signed.signatures.len(),
            path.display()
        );
    }
    Ok(End::Done)
}

fn sign(args: &SignArgs) -> Result<End> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let document =
        Offer::parse(&text).with_context(|| format!("{} is not signed", args.file.display()))?;
    if !args.json {
        println!("{}", describe(&document));
    }
    let keys = args.signer.open()?;
    if keys.is_empty() {
        bail!("--key SECRET is missing");
    }
    let mut made = Vec::new();
    for key in keys {
        let comment = format!("timestamp:{}\t{}", now().0 / 1_000, title(&document));
        let out = PathBuf::from(format!("{}.{}.minisig", args.file.display(), key.id()));
        std::fs::write(&out, key.sign(text.as_bytes(), &comment))
            .with_context(|| format!("{} cannot be written", out.display()))?;
        if !args.json {
            println!("signed: {}", out.display());
        }
        made.push(out);
    }
    if args.json {
        let said = json!({"document": document.kind(), "signatures": made});
        println!("{}", serde_json::to_string_pretty(&said)?);
    }
    Ok(End::Done)
}
