// SPDX-License-Identifier: Apache-2.0
//! Reads the sets of VHDs that the site wants. Refuses what no volume could hold by its field.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::plan::{VhdFormat, VhdKind, VhdPlan};
use groundstate_api::site::{Node, Per, Policy, VhdPolicy};
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Part, Reason, ReasonCode};

/// The most VHDs on one volume: a typing error in `count` must not fill a plan.
pub(super) const VHDS_PER_VOLUME_MAX: usize = 256;
/// The most that a VHD holds; QEMU and Hyper-V open none that is larger.
const VHD_MAX: Bytes = Bytes::gib(2_040);
/// The most that a VHDX holds ([MS-VHDX] 2.6.2.2).
const VHDX_MAX: Bytes = Bytes::gib(64 * 1_024);
/// A VHD below this has no room for a partition table and a file system.
pub(super) const VHD_MIN: u64 = 3 * MIB;
/// A VHD's footer takes one block of the file system beyond the disk's bytes.
const FOOTER_BLOCK: u64 = 4_096;
/// A dynamic VHD has a bitmap of one block for each 2 MiB, and a table of 4 bytes for each.
const DYNAMIC_SHARE: u64 = 256;
/// Headers, log, metadata and the table's beginning of a VHDX, and the headers of a dynamic VHD.
const HEADERS: u64 = 16 * MIB;

/// One set of VHDs.
pub(super) struct Set {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) format: VhdFormat,
    pub(super) kind: VhdKind,
    pub(super) per: Per,
    pub(super) want: Want,
}

/// How large the VHDs of a set are, and how many.
pub(super) enum Want {
    /// These.
    Sizes(Vec<Bytes>),
    /// As many of this size as fit beside the reserve.
    ManyOf { size: Bytes, reserve: Bytes },
    /// This many, as large as fit beside the reserve.
    LargeOf { count: u16, reserve: Bytes },
}

impl Set {
    /// The most that one file holds.
    pub(super) const fn piece_max(&self) -> Bytes {
        match self.format {
            VhdFormat::Vhd => VHD_MAX,
            VhdFormat::Vhdx => VHDX_MAX,
        }
    }

    /// The same as the formats' own books say it.
    pub(super) const fn holds_at_most(&self) -> &'static str {
        match self.format {
            VhdFormat::Vhd => "2,040 GiB",
            VhdFormat::Vhdx => "64 TiB",
        }
    }

    /// What a file of this size takes of a volume.
    pub(super) const fn cost(&self, size: Bytes) -> u64 {
        cost(self.format, self.kind, size)
    }

    /// The largest file, in whole MiB, that `room` bytes can hold.
    pub(super) fn largest(&self, room: u64) -> Bytes {
        let spent = self.cost(Bytes(room)).saturating_sub(room);
        let size = room.saturating_sub(spent);
        Bytes((size - size % MIB).min(self.piece_max().0))
    }

    /// `vm-3`.
    pub(super) fn whole(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }
}

/// What a planned file takes of a volume.
pub(super) const fn cost_of(vhd: &VhdPlan) -> u64 {
    cost(vhd.format, vhd.kind, vhd.size)
}

const fn cost(format: VhdFormat, kind: VhdKind, size: Bytes) -> u64 {
    match (format, kind) {
        (VhdFormat::Vhd, VhdKind::Fixed) => size.0.saturating_add(FOOTER_BLOCK),
        (VhdFormat::Vhdx, VhdKind::Fixed) | (_, VhdKind::Dynamic) => size
            .0
            .saturating_add(size.0 / DYNAMIC_SHARE)
            .saturating_add(HEADERS),
    }
}

/// The sets for this node: its own, or the policy's.
pub(super) fn parse(node: &Node, policy: &Policy) -> Result<Vec<Set>, Reason> {
    let (at, policies) = if node.vhds.is_empty() {
        ("policy.vhd".to_string(), policy.vhds.as_slice())
    } else {
        (format!("node.{}.vhd", node.name), node.vhds.as_slice())
    };
    let (mut sets, mut in_all) = (Vec::new(), 0usize);
    for (index, policy) in policies.iter().enumerate() {
        let path = format!("{at}[{index}]");
        let want = want(&path, policy)?;
        name(&path, policy, policies.get(..index).unwrap_or_default())?;
        in_all += match &want {
            Want::Sizes(sizes) => sizes.len(),
            Want::LargeOf { count, .. } => usize::from(*count),
            Want::ManyOf { .. } => 0,
        };
        if in_all > VHDS_PER_VOLUME_MAX {
            let what = format!("A volume would get more than {VHDS_PER_VOLUME_MAX} VHDs.");
            return Err(refused(&path, "count", what));
        }
        sets.push(Set {
            path,
            name: policy.name.clone(),
            format: policy.format,
            kind: policy.kind,
            per: policy.per,
            want,
        });
    }
    Ok(sets)
}

fn want(path: &str, policy: &VhdPolicy) -> Result<Want, Reason> {
    let has_size = !policy.size.is_empty();
    let reserve = match &policy.reserve {
        Some(text) => Bytes::parse(text).ok_or_else(|| {
            refused(
                path,
                "reserve",
                format!("`{text}` is not a size; for example `10GiB` is."),
            )
        })?,
        None => Bytes(0),
    };
    if !policy.sizes.is_empty() {
        if has_size || policy.count > 0 || policy.fill {
            let what = "A set has `sizes`, or `size` and `count`, or `fill`, and not two of them.";
            return Err(refused(path, "sizes", what.to_string()));
        }
        let sizes = policy.sizes.iter().enumerate();
        let sizes =
            sizes.map(|(at, text)| size(path, &format!("sizes[{at}]"), text, policy.format));
        return sizes.collect::<Result<_, _>>().map(Want::Sizes);
    }
    match (policy.fill, has_size, policy.count) {
        (true, true, 0) => Ok(Want::ManyOf {
            size: size(path, "size", &policy.size, policy.format)?,
            reserve,
        }),
        (true, false, count @ 1..) => Ok(Want::LargeOf { count, reserve }),
        (true, _, _) => Err(refused(
            path,
            "fill",
            "`fill` goes with `size` (as many as fit) or with `count` (as large as fit), not with both or neither.".to_string(),
        )),
        (false, _, count) => {
            let size = size(path, "size", &policy.size, policy.format)?;
            Ok(Want::Sizes(alloc::vec![size; usize::from(count)]))
        }
    }
}

fn size(path: &str, field: &str, said: &str, format: VhdFormat) -> Result<Bytes, Reason> {
    let size = Bytes::parse(said).ok_or_else(|| {
        let what = format!("`{said}` is not a size; for example `64GiB` is.");
        refused(path, field, what)
    })?;
    if size.0 == 0 || size.0 % MIB != 0 {
        let what = format!("`{said}` is not a whole number of MiB.");
        return Err(refused(path, field, what));
    }
    if size > VHDX_MAX {
        let format = format.as_str();
        let what = format!("`{said}` is more than 64 TiB, the most that a {format} set can hold.");
        return Err(refused(path, field, what));
    }
    Ok(size)
}

fn name(path: &str, policy: &VhdPolicy, before: &[VhdPolicy]) -> Result<(), Reason> {
    let name = &policy.name;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=32).contains(&name.len()) || !name.chars().all(allowed) {
        let what = format!("`{name}` is not 1 to 32 of a-z, 0-9 and '-'.");
        return Err(refused(path, "name", what));
    }
    if before.iter().any(|other| other.name == *name) {
        return Err(refused(path, "name", format!("`{name}` names VHDs twice.")));
    }
    Ok(())
}

fn refused(path: &str, field: &str, what: String) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        what,
        "Correct the field in the site file and order the run again.",
    )
    .about(Part::Field {
        path: format!("{path}.{field}"),
    })
}
