// SPDX-License-Identifier: Apache-2.0
//! Takes an image out of an OCI image layout (OCI Image Specification 1.1): an artefact whose one layer is a disk, or a
//! container whose layers make a root file system. Every blob is compared with its descriptor's digest and length.

mod artefact;
mod descriptor;
mod layout;

use crate::roots::{PrepareOptions, Prepared, Progress, RootsError, RootsInput, from_tree};
use crate::tar::{Allowance, LeftOut, Spool, Tree, Whiteouts, unpack};
use artefact::{Layer, kind_of};
use descriptor::{Descriptor, Manifest, choose};
use groundstate_api::Bytes;
use layout::Layout;
use std::fs::File;
use std::path::Path;

/// The most layers of a container.
const LAYERS_MAX: usize = 512;

pub(crate) fn prepare(
    input: RootsInput<'_>,
    options: &PrepareOptions,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Prepared, RootsError> {
    let is_stated = options.max_size != PrepareOptions::MAX_SIZE;
    let mut allowance = Allowance::new(options.max_size, is_stated, scratch);
    // An archive is read once as a whole and then layer by layer: the second goes on where the first ended.
    let mut read = Bytes(0);
    let mut reading = |at: Bytes, total| {
        read = at;
        progress(at, total);
    };
    let layout = match input {
        RootsInput::Path(path) if path.is_dir() => Layout::folder(path)?,
        RootsInput::Path(path) => {
            let mut file = File::open(path).map_err(RootsError::file("opened", path))?;
            Layout::archive(&mut file, path, scratch, &mut allowance, &mut reading)?
        }
        RootsInput::Stream(stream) => Layout::archive(
            stream,
            Path::new("-"),
            scratch,
            &mut allowance,
            &mut reading,
        )?,
    };
    let manifest = choose(&layout, options)?;
    let kinds: Vec<_> = manifest
        .layers
        .iter()
        .map(|layer| kind_of(layer, options.inner))
        .collect::<Result<_, _>>()?;
    let is_container = !kinds.is_empty() && kinds.iter().all(|kind| *kind == Layer::Archive);
    if is_container {
        let mut applying = |at: Bytes, total: Option<Bytes>| {
            progress(
                Bytes(read.0.saturating_add(at.0)),
                total.map(|total| Bytes(read.0.saturating_add(total.0))),
            );
        };
        return container(
            &layout,
            &manifest,
            options,
            scratch,
            allowance,
            &mut applying,
        );
    }
    let ([layer], [Layer::Disk(format)]) = (manifest.layers.as_slice(), kinds.as_slice()) else {
        return Err(RootsError::OciLayers {
            count: manifest.layers.len(),
        });
    };
    let kept = layout.own_blob(layer, scratch.join("layer"))?;
    let total = Bytes(layer.size);
    Ok(Prepared {
        path: kept,
        format: *format,
        kind: options.kind,
        boot: None,
        lines: vec![format!(
            "layer {} of {}, {}",
            layer.digest,
            total,
            crate::formats::name(*format)
        )],
    })
}

/// Applies the layers in order.
fn container(
    layout: &Layout,
    manifest: &Manifest,
    options: &PrepareOptions,
    scratch: &Path,
    mut allowance: Allowance,
    progress: Progress<'_>,
) -> Result<Prepared, RootsError> {
    if manifest.layers.len() > LAYERS_MAX {
        return Err(RootsError::OciLayers {
            count: manifest.layers.len(),
        });
    }
    let mut tree = Tree::default();
    let mut spool = Spool::new(scratch.join("contents"))?;
    let mut left_out = LeftOut::default();
    // What a descriptor claims is compared with its blob only later.
    let total = manifest
        .layers
        .iter()
        .fold(0u64, |sum, layer| sum.saturating_add(layer.size));
    let mut done = 0;
    for layer in &manifest.layers {
        let path = layout.blob(layer)?;
        let mut file = File::open(&path).map_err(RootsError::file("opened", &path))?;
        let found = unpack(
            &mut file,
            None,
            Whiteouts::Oci,
            (&mut tree, &mut spool),
            &mut allowance,
            &mut |at, _| progress(Bytes(done + at.0), Some(Bytes(total))),
        )?;
        done += layer.size;
        left_out.lists += found.lists;
        left_out.sockets += found.sockets;
        left_out.times += found.times;
    }
    let mut prepared = from_tree(&tree, spool, options, left_out, scratch)?;
    prepared.lines.insert(
        0,
        format!("{} layers of a container", manifest.layers.len()),
    );
    Ok(prepared)
}

/// A descriptor's digest for messages.
fn named(descriptor: &Descriptor) -> String {
    crate::roots::shown(descriptor.digest.as_bytes())
}
