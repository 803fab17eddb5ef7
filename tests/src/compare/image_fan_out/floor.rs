// SPDX-License-Identifier: Apache-2.0
//! What proving alone costs: the node's own pipeline with its chunks from this machine and nowhere to write them.

use anyhow::{Result, anyhow};
use groundstate_api::image::{Chunk, Manifest};
use image_repo::Repository;
use maintenance_os::image::{ChunkSource, Fixed, Options, deploy};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use std::io;
use std::path::Path;
use std::sync::Arc;

struct Local(Repository);

impl ChunkSource for Local {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        self.0.read_stored(chunk, into)
    }
}

/// Processor seconds of proving the image once.
pub(super) fn proving(store: &Path, manifest: &Manifest) -> Result<f64> {
    let sources = Fixed::local(Arc::new(Local(Repository::open(store)?)));
    let options = Options {
        nowhere: true,
        ..Options::default()
    };
    let before = seconds(UsageWho::RUSAGE_SELF)?;
    let target = Path::new("/dev/null");
    deploy(manifest, target, &sources, &options, &mut |_| ())
        .map_err(|reason| anyhow!("{reason}"))?;
    Ok(seconds(UsageWho::RUSAGE_SELF)? - before)
}

/// Processor seconds so far: of this process, or of those that it has started and that have ended.
pub(super) fn seconds(whose: UsageWho) -> Result<f64> {
    let usage: Usage = getrusage(whose)?;
    let of = |time: nix::sys::time::TimeVal| {
        let whole = u32::try_from(time.tv_sec()).unwrap_or(u32::MAX);
        let rest = u32::try_from(time.tv_usec()).unwrap_or_default();
        f64::from(whole) + f64::from(rest) / 1e6
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}
