// SPDX-License-Identifier: Apache-2.0
//! One receiver: the node's own deploy with its room for peers, in a process and a network namespace of its own.
//!
//! It begins when it is told to, tells when it has the image, and serves until its input ends.

use super::plan::Asked;
use anyhow::{Context as _, Result, anyhow};
use groundstate_api::fan_out::{SourcesAnswer, SourcesQuestion, Traffic};
use groundstate_api::{Digest, NodeId, Reason, ReasonCode};
use maintenance_os::image::{Options, Source, deploy};
use maintenance_os::peer::{Book, Setting};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a receiver is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) node: NodeId,
    pub(super) manifest: PathBuf,
    pub(super) repository: String,
    pub(super) plan: SocketAddr,
    /// Without one, every chunk is proved and let go.
    pub(super) target: Option<PathBuf>,
    pub(super) ca_pem: String,
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// What it tells when it has the image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Received {
    pub(super) traffic: Traffic,
}

/// The process behind [`super::RECEIVE_IMAGE`]: `ORDER`.
///
/// # Errors
/// What kept the image from arriving.
pub fn receive_image(mut words: impl Iterator<Item = String>) -> Result<()> {
    let order = words.next().context("no order")?;
    let order: Order = serde_json::from_str(&fs::read_to_string(order)?)?;
    let bytes = fs::read(&order.manifest)?;
    let image = Digest::of(&bytes);
    let manifest = Arc::new(image_core::manifest::parse(
        &bytes,
        image_core::limits::MANIFEST_NODE_MAX,
    )?);
    if let Some(target) = &order.target {
        fs::File::create(target)?.set_len(manifest.size.0)?;
    }
    let mut input = BufReader::new(std::io::stdin());
    input.read_line(&mut String::new())?;
    let repository = Source::plain(order.repository.as_str());
    let book = Book::open(Setting {
        run: "bench".parse().map_err(|_| anyhow!("no run"))?,
        image,
        manifest: Arc::clone(&manifest),
        repository,
        target: order.target.clone(),
        ca_pem: order.ca_pem,
        certificate_pem: order.certificate_pem,
        key_pem: order.key_pem,
        ask: asker(order.node, order.plan),
    });
    let book = book.map_err(|reason| anyhow!("{reason}"))?;
    let received = arrive(&manifest, order.target.as_deref(), &book);
    received.map_err(|reason| anyhow!("{reason}"))?;
    let traffic = book.traffic();
    println!("{}", serde_json::to_string(&Received { traffic })?);
    std::io::stdout().flush()?;
    input.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn arrive(
    manifest: &groundstate_api::image::Manifest,
    target: Option<&Path>,
    book: &Book,
) -> Result<(), Reason> {
    let options = Options {
        nowhere: target.is_none(),
        ..Options::default()
    };
    let target = target.unwrap_or(Path::new("/dev/null"));
    deploy(manifest, target, book, &options, &mut |_| ()).map(|_| ())
}

/// Asks over one connection that is made again where it breaks.
fn asker(node: NodeId, plan: SocketAddr) -> maintenance_os::peer::Ask {
    let open: Mutex<Option<BufReader<TcpStream>>> = Mutex::new(None);
    Box::new(move |question| {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut open, plan, &node, question);
        if answer.is_err() {
            *open = None;
        }
        answer.map_err(|error| {
            Reason::new(ReasonCode::ProvisionerUnreachable, "no plan", "start it")
                .seen(error.to_string())
        })
    })
}

fn ask(
    open: &mut Option<BufReader<TcpStream>>,
    plan: SocketAddr,
    node: &NodeId,
    question: &SourcesQuestion,
) -> Result<SourcesAnswer> {
    let stream = match open {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(plan)?;
            stream.set_nodelay(true)?;
            open.insert(BufReader::new(stream))
        }
    };
    let mut text = serde_json::to_string(&Asked {
        node: node.clone(),
        question: question.clone(),
    })?;
    text.push('\n');
    stream.get_mut().write_all(text.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
