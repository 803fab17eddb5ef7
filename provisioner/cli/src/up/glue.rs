// SPDX-License-Identifier: Apache-2.0
//! What one server asks of another, answered by the other.

pub(super) mod bucket;
mod looks;
mod whole_disk;

pub(crate) use looks::Looks;

use super::leaders_ear::LeadersEar;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_session::{BootSessions, ForeignServer};
use groundstate_api::image::ImageRef;
use groundstate_api::trust::ImageChoice;
use groundstate_api::{MacAddr, Millis, Part, Reason, ReasonCode};
use image_core::trust::TrustError;
use image_repo::trust::{Pin, TrustFault, resolve};
use image_repo::{RepoError, Repository};
use mos_core::customise::Volume;
use mos_core::guid::Guid;
use provisioner::{BootSource, Provisioner};
use pxe_server::{BootLog, BootPolicy, Sightings};
use std::sync::Arc;

/// The boot service asks the provisioner.
pub(crate) struct Boot {
    ours: Provisioner,
    /// Where what was seen is told while another provisioner leads; `None` where there is one.
    ear: Option<LeadersEar>,
}

impl Boot {
    pub(super) const fn new(ours: Provisioner, ear: Option<LeadersEar>) -> Self {
        Self { ours, ear }
    }
}

impl BootPolicy for Boot {
    fn ask(&self, question: &BootQuestion) -> BootAnswer {
        self.ours.boot(question)
    }
    fn knows(&self, mac: MacAddr) -> bool {
        self.ours.knows(mac)
    }
}

impl Sightings for Boot {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        let ear = self.ear.as_ref();
        if !ear.is_some_and(|ear| ear.takes(mac, &sighting)) {
            self.ours.saw(mac, sighting);
        }
    }
    fn log(&self, log: BootLog) {
        if let Some(ear) = &self.ear {
            ear.read_from(log.clone());
        }
        self.ours.read_boots_from(Arc::new(Log(log)));
    }
    fn foreign(&self, server: &ForeignServer) {
        if !self.ear.as_ref().is_some_and(LeadersEar::takes_foreign) {
            self.ours.foreign_dhcp(server.clone());
        }
    }
}

/// The provisioner reads the boot service's sessions.
struct Log(BootLog);

impl BootSource for Log {
    fn boots(&self, mac: Option<MacAddr>) -> BootSessions {
        self.0.boots(mac)
    }
}

/// Whether it is the catalogue, the channel or the image that is not there: in a bucket, publishing brings it.
fn is_missing(fault: &TrustFault) -> bool {
    match fault {
        TrustFault::Repository(RepoError::NoSuchManifest { .. }) => true,
        TrustFault::Refused(error) => matches!(error.cause(), TrustError::NoCatalogue { .. }),
        _ => false,
    }
}

/// The provisioner asks the image repository, and what is signed of it.
pub(crate) struct Images {
    pub(crate) repository: Arc<Repository>,
    pub(crate) pin: Pin,
    /// What is signed in the bucket behind it.
    pub(crate) follows: Option<bucket::Follows>,
    /// Images of whole disks that were looked into.
    pub(crate) looks: Looks,
}

impl provisioner::Images for Images {
    fn newest(&self, name: &str) -> Result<Option<ImageRef>, Reason> {
        let newest = self.repository.newest(name).map_err(|error| {
            Reason::new(
                ReasonCode::ImageMissing,
                "the image repository cannot be read",
                "repair the repository or import the image again, then order again",
            )
            .about(Part::Image {
                image: name.to_owned(),
                digest: None,
            })
            .seen(error.to_string())
        })?;
        if newest.is_none() && self.follows.is_some() {
            return Err(Reason::new(
                ReasonCode::ImageMissing,
                format!("the repository has no image {name:?} of its own, and in a bucket images are found by channels only"),
                format!("name a channel in the site file, policy.image = \"{name}@stable\", and apply it, or import the image here"),
            )
            .about(Part::Image {
                image: name.to_owned(),
                digest: None,
            }));
        }
        newest
            .map(|image| whole_disk::looked_into(&self.repository, &self.looks, image))
            .transpose()
    }

    fn of_channel(&self, choice: &ImageChoice, now: Millis) -> Result<ImageRef, Reason> {
        let follows = self.follows.as_ref();
        let silent = follows.and_then(|all| all.now(&self.repository, &self.pin, choice, now));
        let verified = resolve(&self.repository, choice, &self.pin, now).map_err(|fault| {
            let mut reason = fault.reason(&choice.to_string());
            if follows.is_some() && is_missing(&fault) {
                reason.next_step = "publish it, on the machine of the repository that has it: groundstate image publish --channels \
                                    --s3 FILE"
                    .to_owned();
            }
            reason.evidence.extend(silent.map(|said| format!("the bucket's signed documents are not taken over: {said}")));
            reason
        })?;
        whole_disk::looked_into(&self.repository, &self.looks, verified.image)
    }

    fn verify(&self, image: &ImageRef) -> Result<(), Reason> {
        self.repository.verify(image)
    }

    fn volumes(&self, image: &ImageRef) -> Result<Vec<Volume>, Reason> {
        if image.kind.is_root_fs() {
            return Ok(vec![Volume::of_root_fs()]);
        }
        whole_disk::volumes_of(&self.repository, &self.looks, image)
    }

    fn table_guids(&self, image: &ImageRef) -> Result<Vec<Guid>, Reason> {
        if image.kind.is_root_fs() {
            return Ok(Vec::new());
        }
        whole_disk::guids_of(&self.repository, &self.looks, image)
    }
}
