// SPDX-License-Identifier: Apache-2.0
//! Where the image comes from: this machine's repository, a server or a bucket; and who signed it.

use super::refused;
use crate::client::Refused;
use crate::image::named::{Named, now};
use crate::image::origin::{Found, FromArgs, Origin, find};
use crate::image::state::StateArgs;
use anyhow::Result;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::trust::ImageChoice;
use groundstate_api::{Digest, Reason, ReasonCode};
use image_core::manifest::{reference, title};
use image_repo::Repository;
use image_repo::trust::{Pin, resolve, verify};
use maintenance_os::image::{ChunkSource, Fixed};
use std::io;
use std::sync::Arc;

/// An image, and who gives its chunks.
pub(super) struct Given {
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
    /// For people: from where.
    pub(super) from: String,
    /// For people: who signed it.
    pub(super) signed: String,
    pub(super) sources: Fixed,
    /// The repository, where it is on this machine.
    pub(super) repository: Option<Arc<Repository>>,
}

/// The chunks of a repository of this machine.
struct Local(Arc<Repository>);

impl ChunkSource for Local {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        self.0.read_stored(chunk, into)
    }
}

/// The image that is named, from where it is to come, if it may be taken.
pub(super) fn open(
    from: &FromArgs,
    state: &StateArgs,
    named: &Named,
    allow_unsigned: bool,
) -> Result<Given> {
    match from.origin()? {
        None => local(state, named, allow_unsigned),
        Some(origin) => {
            let pin = Pin::of_state(&state.state_dir);
            remote(origin.as_ref(), &pin, named, allow_unsigned)
        }
    }
}

fn remote(origin: &dyn Origin, pin: &Pin, named: &Named, allow_unsigned: bool) -> Result<Given> {
    let Found { manifest, believed } = find(origin, pin, named)?;
    let signed = match believed {
        Ok(believed) => signers(&believed.verified.signers),
        Err(error) => match error.downcast::<Refused>() {
            Ok(Refused { reason }) => taken_unsigned(reason, allow_unsigned)?,
            // A server without signatures, an older one perhaps: only where none is asked for.
            Err(error) if allow_unsigned => format!("no; taken by its digest ({error:#})"),
            Err(error) => return Err(error),
        },
    };
    Ok(Given {
        digest: image_core::manifest::digest(&manifest),
        from: origin.name().to_owned(),
        signed,
        sources: origin.sources(),
        repository: None,
        manifest,
    })
}

fn local(state: &StateArgs, named: &Named, allow_unsigned: bool) -> Result<Given> {
    let repository = state.find()?;
    let pin = Pin::of_state(&state.state_dir);
    let (image, signed) = match named.channel() {
        Some(channel) => {
            let choice = ImageChoice {
                name: named.name().to_owned(),
                channel: Some(channel.to_owned()),
            };
            let verified = resolve(&repository, &choice, &pin, now())
                .map_err(|fault| refused(fault.reason(&choice.to_string())))?;
            (verified.image, signers(&verified.signers))
        }
        None => {
            let image = named.find(&repository)?;
            let signed = match verify(&repository, &image, &pin, now()) {
                Ok(verified) => signers(&verified.signers),
                Err(fault) => {
                    let title = format!("{} {}", image.name, image.version);
                    taken_unsigned(fault.reason(&title), allow_unsigned)?
                }
            };
            (image, signed)
        }
    };
    let manifest = repository.manifest(&image.manifest)?;
    debug_assert_eq!(reference(&manifest), image, "{}", title(&manifest));
    let repository = Arc::new(repository);
    Ok(Given {
        digest: image.manifest,
        from: format!("the repository in {}", state.folder().display()),
        signed,
        sources: Fixed::local(Arc::new(Local(repository.clone()))),
        repository: Some(repository),
        manifest,
    })
}

/// What is said of an image that is taken though its signatures do not hold. One that was revoked is never taken: it was
/// signed, and those who signed it took that back.
fn taken_unsigned(mut reason: Reason, allow_unsigned: bool) -> Result<String> {
    if reason.code == ReasonCode::ImageRevoked {
        return Err(refused(reason));
    }
    if allow_unsigned {
        return Ok(format!("no; taken all the same ({})", reason.what));
    }
    reason.evidence.push(
        "--allow-unsigned takes an image that is not believed, but none that was revoked"
            .to_owned(),
    );
    Err(refused(reason))
}

fn signers(keys: &[groundstate_api::trust::KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    format!("by {}", keys.join(", "))
}
