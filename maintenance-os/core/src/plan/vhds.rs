// SPDX-License-Identifier: Apache-2.0
//! Reads the VHD policy and checks that its files fit on a volume.

use super::ext4_usable;
use crate::guid::{Guid, Purpose};
use crate::vhd;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::Disk;
use groundstate_api::plan::VhdPlan;
use groundstate_api::site::VhdPolicy;
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};

/// The most VHDs on one volume: a typing error in `count` must not fill a plan.
const VHDS_PER_VOLUME_MAX: usize = 256;
/// A VHD's footer takes one block of the file system beyond the disk's bytes.
const FOOTER_BLOCK: u64 = 4_096;

/// The VHDs that every new volume gets, without their identities.
pub(super) struct Volume(Vec<(String, Bytes)>);

pub(super) fn parse(policies: &[VhdPolicy]) -> Result<Volume, Reason> {
    let mut files = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let size = size(index, policy)?;
        name(index, policy, policies)?;
        if files.len() + usize::from(policy.count) > VHDS_PER_VOLUME_MAX {
            return Err(refused(
                index,
                "count",
                format!("A volume would get more than {VHDS_PER_VOLUME_MAX} VHDs."),
            ));
        }
        files.extend(
            (0..policy.count).map(|number| (format!("{}-{number}.vhd", policy.name), size)),
        );
    }
    Ok(Volume(files))
}

fn size(index: usize, policy: &VhdPolicy) -> Result<Bytes, Reason> {
    let said = &policy.size;
    let size = Bytes::parse(said).ok_or_else(|| {
        refused(
            index,
            "size",
            format!("`{said}` is not a size; for example `64GiB` is."),
        )
    })?;
    if size.0 == 0 || size.0 % MIB != 0 {
        return Err(refused(
            index,
            "size",
            format!("`{said}` is not a whole number of MiB."),
        ));
    }
    if size > vhd::SIZE_MAX {
        let what = format!("`{said}` is more than 2040 GiB, the most that a fixed VHD can hold.");
        return Err(refused(index, "size", what));
    }
    Ok(size)
}

fn name(index: usize, policy: &VhdPolicy, all: &[VhdPolicy]) -> Result<(), Reason> {
    let name = &policy.name;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=32).contains(&name.len()) || !name.chars().all(allowed) {
        let what = format!("`{name}` is not 1 to 32 of a-z, 0-9 and '-'.");
        return Err(refused(index, "name", what));
    }
    if all.iter().take(index).any(|other| other.name == *name) {
        return Err(refused(
            index,
            "name",
            format!("`{name}` names VHDs twice."),
        ));
    }
    Ok(())
}

fn refused(index: usize, field: &str, what: String) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        what,
        "Correct the field in the site file and order the run again.",
    )
    .about(Part::Field {
        path: format!("policy.vhd[{index}].{field}"),
    })
}

impl Volume {
    /// The VHDs on this disk's volume of `length`.
    pub(super) fn on(
        &self,
        seed: &Digest,
        disk: &Disk,
        length: Bytes,
    ) -> Result<Vec<VhdPlan>, Reason> {
        let needed = self.0.iter().fold(0u64, |sum, (_, size)| {
            sum.saturating_add(size.0 + FOOTER_BLOCK)
        });
        let available = ext4_usable(length);
        if needed > available.0 {
            return Err(Reason::new(
                ReasonCode::DiskFull,
                format!(
                    "Disk {} is too small for the VHDs of the policy.",
                    disk.serial
                ),
                "Make the VHDs smaller or fewer in the site file, or put in a larger disk.",
            )
            .about(disk.part())
            .seen(format!(
                "{} VHDs need {} ({needed} bytes), the volume has {available} ({} bytes) for files",
                self.0.len(),
                Bytes(needed),
                available.0
            )));
        }
        let vhds = self
            .0
            .iter()
            .zip(0u16..)
            .map(|((file, size), index)| VhdPlan {
                file: file.to_string(),
                size: *size,
                id: Guid::derived(seed, &disk.serial, Purpose::Vhd(index)).lower(),
            });
        Ok(vhds.collect())
    }
}
