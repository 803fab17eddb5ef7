// SPDX-License-Identifier: Apache-2.0
//! Puts VHDs on volumes: whole sets on every volume, or one set over all of them, in parts only where nothing else holds
//! a VHD. Never over two disks what one can hold, and never by RAID or LVM: a failed disk costs what lay on it.

use super::rules::Terms;
use super::vhds::{Set, VHD_MIN, VHDS_PER_VOLUME_MAX, Want};
use super::{PlanRequest, ext4_usable, xfs_usable};
use crate::guid::{Guid, Purpose};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::disk_policy::Span;
use groundstate_api::plan::{
    DiskAction, DiskPlan, PartitionPlan, Role, VhdPart, VhdPlan, VolumeFs,
};
use groundstate_api::site::Per;
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Reason, ReasonCode};

/// A new volume that takes VHDs.
struct Place {
    /// Which disk of the plan.
    disk: usize,
    /// Bytes that files can still use.
    room: u64,
    /// Bytes that files could use at first.
    all: u64,
    vhds: Vec<VhdPlan>,
}

/// What there is to be put somewhere.
struct Piece {
    file: String,
    size: Bytes,
    part: Option<VhdPart>,
}

/// Fills the new volumes of the plan with the VHDs of the sets.
///
/// # Errors
/// [`ReasonCode::DiskFull`] with the disk or the set that does not fit.
pub(super) fn fill(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    sets: &[Set],
    disks: &mut [DiskPlan],
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let mut places = places(disks);
    for place in &mut places {
        let Some(disk) = disks.get(place.disk) else {
            continue;
        };
        for set in sets.iter().filter(|set| set.per == Per::Volume) {
            on_volume(request, set, disk, place, notes)?;
        }
    }
    for set in sets.iter().filter(|set| set.per == Per::Node) {
        on_node(request, terms, set, disks, &mut places, notes)?;
    }
    for place in places {
        let Some(disk) = disks.get_mut(place.disk) else {
            continue;
        };
        if let Some(list) = volume_of(disk).and_then(|partition| partition.holds.vhds_mut()) {
            *list = place.vhds;
        }
    }
    Ok(())
}

/// What files can use of a new volume.
pub(super) fn usable(fs: VolumeFs, length: Bytes) -> Bytes {
    match fs {
        VolumeFs::Ext4 => ext4_usable(length),
        VolumeFs::Xfs => xfs_usable(length),
    }
}

fn volume_of(disk: &mut DiskPlan) -> Option<&mut PartitionPlan> {
    match &mut disk.action {
        DiskAction::Wipe { table, .. } => {
            let mut partitions = table.partitions.iter_mut();
            partitions.find(|partition| partition.holds.volume().is_some())
        }
        DiskAction::Keep { .. }
        | DiskAction::Renew { .. }
        | DiskAction::Erase { .. }
        | DiskAction::LeaveAlone => None,
    }
}

/// The new volumes: those on disks with the role `vhd`, and where no disk has it, every one.
fn places(disks: &mut [DiskPlan]) -> Vec<Place> {
    let only_vhd = disks.iter().any(|disk| disk.role == Role::Vhd);
    let mut places = Vec::new();
    for (index, disk) in disks.iter_mut().enumerate() {
        if only_vhd && disk.role != Role::Vhd {
            continue;
        }
        let volume = volume_of(disk)
            .map(|partition| (partition.holds.volume().map(|on| on.fs), partition.length));
        if let Some((Some(fs), length)) = volume {
            let room = usable(fs, length).0;
            places.push(Place {
                disk: index,
                room,
                all: room,
                vhds: Vec::new(),
            });
        }
    }
    places
}

/// The whole set on one volume.
fn on_volume(
    request: &PlanRequest<'_>,
    set: &Set,
    disk: &DiskPlan,
    place: &mut Place,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let sizes = match &set.want {
        Want::Sizes(sizes) => sizes.clone(),
        Want::ManyOf { size, reserve } => {
            let free = VHDS_PER_VOLUME_MAX.saturating_sub(place.vhds.len());
            let fit = many(set, *size, place.room.saturating_sub(reserve.0)).min(free);
            alloc::vec![*size; at_least_one(set, disk, fit)?]
        }
        Want::LargeOf { count, reserve } => {
            let each = place.room.saturating_sub(reserve.0) / u64::from(*count).max(1);
            let size = set.largest(each);
            at_least_one(set, disk, usize::from(size.0 >= VHD_MIN))?;
            alloc::vec![size; usize::from(*count)]
        }
    };
    let needed = sizes
        .iter()
        .fold(0u64, |sum, size| sum.saturating_add(whole_cost(set, *size)));
    if needed > place.room {
        return Err(too_small(disk, place, &sizes, needed));
    }
    for (number, size) in sizes.iter().enumerate() {
        let pieces = pieces_of(set, number, &cut(set, *size));
        if pieces.len() > 1 && place.vhds.iter().all(|vhd| vhd.part.is_none()) {
            notes.push(format!(
                "{} of {size} on {} is made as {} VHDs: one holds at most {}",
                set.whole(number),
                disk.serial,
                pieces.len(),
                set.holds_at_most()
            ));
        }
        for piece in pieces {
            put(request, set, disk, place, piece)?;
        }
    }
    Ok(())
}

fn many(set: &Set, size: Bytes, room: u64) -> usize {
    usize::try_from(room / whole_cost(set, size).max(1)).unwrap_or(VHDS_PER_VOLUME_MAX)
}

fn at_least_one(set: &Set, disk: &DiskPlan, fit: usize) -> Result<usize, Reason> {
    if fit > 0 {
        return Ok(fit);
    }
    Err(Reason::new(
        ReasonCode::DiskFull,
        format!("No VHD of {} fits on disk {}.", set.path, disk.serial),
        "Make the VHDs or the reserve smaller in the site file, or put in a larger disk.",
    )
    .about(disk.part()))
}

fn too_small(disk: &DiskPlan, place: &Place, sizes: &[Bytes], needed: u64) -> Reason {
    let before: u64 = place.all - place.room;
    let count = place.vhds.len() + sizes.len();
    let needed = needed.saturating_add(before);
    Reason::new(
        ReasonCode::DiskFull,
        format!(
            "Disk {} is too small for the VHDs of the policy.",
            disk.serial
        ),
        "Make the VHDs smaller or fewer in the site file, or put in a larger disk.",
    )
    .about(disk.part())
    .seen(format!(
        "{count} VHDs need {} ({needed} bytes), the volume has {} ({} bytes) for files",
        Bytes(needed),
        Bytes(place.all),
        place.all
    ))
}

/// One set over all volumes: each VHD on the volume with the most room.
fn on_node(
    request: &PlanRequest<'_>,
    terms: &Terms<'_>,
    set: &Set,
    disks: &[DiskPlan],
    places: &mut [Place],
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let sizes = match &set.want {
        Want::Sizes(sizes) => sizes.clone(),
        Want::ManyOf { size, reserve } => {
            let rooms = places
                .iter()
                .map(|place| place.room.saturating_sub(reserve.0));
            let fit: usize = rooms.map(|room| many(set, *size, room)).sum();
            alloc::vec![*size; fit.min(VHDS_PER_VOLUME_MAX)]
        }
        Want::LargeOf { count, reserve } => {
            let size = largest_of(set, places, usize::from(*count), reserve.0);
            alloc::vec![size; usize::from(*count)]
        }
    };
    if sizes.is_empty() || sizes.iter().any(|size| size.0 < VHD_MIN) {
        return Err(full(
            set,
            "No VHD of the set fits on the data disks.".to_string(),
            disks,
            places,
        ));
    }
    for (number, size) in sizes.into_iter().enumerate() {
        let whole = set.whole(number);
        if is_kept(disks, &whole, set, notes) {
            continue;
        }
        let spread = spread(terms, set, disks, places, number, size)?;
        let parts: Vec<(usize, Bytes)> = spread;
        let pieces = pieces_of(
            set,
            number,
            &parts.iter().map(|(_, size)| *size).collect::<Vec<_>>(),
        );
        if pieces.len() > 1 {
            notes.push(in_parts(set, disks, places, &whole, size, &parts));
        }
        for ((at, _), piece) in parts.into_iter().zip(pieces) {
            if let Some(place) = places.get_mut(at)
                && let Some(disk) = disks.get(place.disk)
            {
                put(request, set, disk, place, piece)?;
            }
        }
    }
    Ok(())
}

/// Whether a kept volume has this VHD, whole or in parts: then it is not made again.
fn is_kept(disks: &[DiskPlan], whole: &str, set: &Set, notes: &mut Vec<String>) -> bool {
    let file = format!("{whole}.{}", set.format.as_str());
    let kept = disks.iter().filter_map(|disk| match &disk.action {
        DiskAction::Keep { table } | DiskAction::Renew { table, .. } => Some(table),
        DiskAction::Wipe { .. } | DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    });
    let partitions = kept.flat_map(|table| &table.partitions);
    let vhds = partitions
        .filter_map(|one| one.holds.volume())
        .flat_map(|on| on.vhds);
    let (mut is_whole, mut parts, mut of) = (false, 0u16, 0u16);
    for vhd in vhds {
        is_whole |= vhd.file == file;
        if let Some(part) = vhd.part.as_ref().filter(|part| part.of == whole) {
            (parts, of) = (parts + 1, part.parts);
        }
    }
    if parts < of {
        notes.push(format!(
            "{whole} was made as {of} VHDs, and kept volumes have {parts} of them: it is not made again; remove those and order again to have it whole"
        ));
    }
    is_whole || parts > 0
}

/// Which volumes get a VHD of this size, and how much of it each.
fn spread(
    terms: &Terms<'_>,
    set: &Set,
    disks: &[DiskPlan],
    places: &[Place],
    number: usize,
    size: Bytes,
) -> Result<Vec<(usize, Bytes)>, Reason> {
    let open = |place: &&(usize, u64)| {
        places
            .get(place.0)
            .is_some_and(|one| one.vhds.len() < VHDS_PER_VOLUME_MAX)
    };
    let mut rooms: Vec<(usize, u64)> = places.iter().map(|place| place.room).enumerate().collect();
    rooms.sort_by_key(|(index, room)| (core::cmp::Reverse(*room), *index));
    let needed = whole_cost(set, size);
    if let Some((at, _)) = rooms.iter().filter(open).find(|(_, room)| *room >= needed) {
        return Ok(cut(set, size)
            .into_iter()
            .map(|piece| (*at, piece))
            .collect());
    }
    let whole = set.whole(number);
    if terms.span == Span::Never {
        let what = format!("{whole} of {size} fits on no single data disk, and span is never.");
        return Err(full(set, what, disks, places));
    }
    let (mut left, mut parts) = (size.0, Vec::new());
    for (at, room) in rooms.iter().filter(open) {
        let mut room = *room;
        while left > 0 {
            let piece = set.largest(room).0.min(left);
            if piece < VHD_MIN.min(left) {
                break;
            }
            parts.push((*at, Bytes(piece)));
            room = room.saturating_sub(set.cost(Bytes(piece)));
            left -= piece;
        }
    }
    if left > 0 {
        let what = format!("{whole} of {size} does not fit on all data disks together.");
        return Err(full(set, what, disks, places));
    }
    Ok(parts)
}

fn in_parts(
    set: &Set,
    disks: &[DiskPlan],
    places: &[Place],
    whole: &str,
    size: Bytes,
    parts: &[(usize, Bytes)],
) -> String {
    let serial = |at: usize| {
        let disk = places.get(at).and_then(|place| disks.get(place.disk));
        disk.map_or("", |disk| disk.serial.as_str())
    };
    let list: Vec<String> = parts
        .iter()
        .map(|(at, piece)| format!("{piece} on {}", serial(*at)))
        .collect();
    let one_disk = parts
        .iter()
        .all(|(at, _)| parts.first().is_some_and(|(first, _)| first == at));
    let because = if one_disk {
        format!("one holds at most {}", set.holds_at_most())
    } else {
        let most = places
            .iter()
            .map(|place| place.room)
            .max()
            .unwrap_or_default();
        format!(
            "it fits on no single disk (the most room is {})",
            Bytes(most)
        )
    };
    format!(
        "{whole} of {size} is made as {} VHDs, because {because}: {}",
        parts.len(),
        list.join(", ")
    )
}

/// The largest size, in whole MiB, of which `count` fit, each on one volume.
fn largest_of(set: &Set, places: &[Place], count: usize, reserve: u64) -> Bytes {
    let rooms: Vec<u64> = places
        .iter()
        .map(|place| place.room.saturating_sub(reserve))
        .collect();
    let fits = |mib: u64| {
        let size = Bytes(mib * MIB);
        let cost = set.cost(size).max(1);
        let fit = rooms
            .iter()
            .fold(0u64, |sum, room| sum.saturating_add(room / cost));
        fit >= u64::try_from(count).unwrap_or(u64::MAX)
    };
    let (mut low, mut high) = (0u64, set.piece_max().0 / MIB);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Bytes(low * MIB)
}

/// What a VHD of this size takes, in as many files as its format needs.
fn whole_cost(set: &Set, size: Bytes) -> u64 {
    cut(set, size)
        .iter()
        .fold(0, |sum, piece| set.cost(*piece).saturating_add(sum))
}

/// The files that a VHD of this size needs by its format alone.
fn cut(set: &Set, size: Bytes) -> Vec<Bytes> {
    let (mut left, mut pieces) = (size.0, Vec::new());
    while left > 0 {
        let piece = left.min(set.piece_max().0);
        pieces.push(Bytes(piece));
        left -= piece;
    }
    pieces
}

fn pieces_of(set: &Set, number: usize, sizes: &[Bytes]) -> Vec<Piece> {
    let (whole, ending) = (set.whole(number), set.format.as_str());
    let parts = u16::try_from(sizes.len()).unwrap_or(u16::MAX);
    if let [size] = sizes {
        return Vec::from([Piece {
            file: format!("{whole}.{ending}"),
            size: *size,
            part: None,
        }]);
    }
    let numbered = sizes.iter().zip(1u16..);
    let pieces = numbered.map(|(size, number)| Piece {
        file: format!("{whole}.part{number}.{ending}"),
        size: *size,
        part: Some(VhdPart {
            of: whole.clone(),
            number,
            parts,
        }),
    });
    pieces.collect()
}

fn put(
    request: &PlanRequest<'_>,
    set: &Set,
    disk: &DiskPlan,
    place: &mut Place,
    piece: Piece,
) -> Result<(), Reason> {
    let index = u16::try_from(place.vhds.len()).unwrap_or(u16::MAX);
    if place.vhds.len() >= VHDS_PER_VOLUME_MAX {
        return Err(Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "Disk {} would get more than {VHDS_PER_VOLUME_MAX} VHDs.",
                disk.serial
            ),
            "Make the VHDs larger and fewer in the site file.",
        )
        .about(disk.part()));
    }
    place.room = place.room.saturating_sub(set.cost(piece.size));
    place.vhds.push(VhdPlan {
        file: piece.file,
        size: piece.size,
        id: Guid::derived(&request.seed, &disk.serial, Purpose::Vhd(index)).lower(),
        format: set.format,
        kind: set.kind,
        part: piece.part,
    });
    Ok(())
}

fn full(set: &Set, what: String, disks: &[DiskPlan], places: &[Place]) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::DiskFull,
        what,
        "Make the VHDs smaller or fewer in the site file, or put in more or larger disks.",
    )
    .about(groundstate_api::Part::Field {
        path: set.path.clone(),
    });
    for place in places {
        if let Some(disk) = disks.get(place.disk) {
            reason = reason.seen(format!(
                "{} has {} left for files",
                disk.serial,
                Bytes(place.room)
            ));
        }
    }
    if places.is_empty() {
        reason = reason.seen("no disk gets a new volume that takes VHDs");
    }
    reason
}
