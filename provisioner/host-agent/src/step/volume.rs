// SPDX-License-Identifier: Apache-2.0
//! A data volume is mounted, now and at every boot: a line in `/etc/fstab` by file system UUID, then `mount`.
//!
//! It never formats and never checks: what is on the volume is not the agent's.

use super::mount_table::mounted_at;
use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use groundstate_api::host::SeedVolume;
use groundstate_api::plan::VolumeFs;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

const FSTAB: &str = "etc/fstab";
/// `nofail`: a host whose data disk died still boots. The wait is for slow disks, in seconds.
const OPTIONS: &str = "defaults,nofail,x-systemd.device-timeout=30s";

/// Refuses what cannot stand in a line of fstab.
pub(super) fn check(volume: &SeedVolume) -> Result<(), AgentError> {
    let refused = |what| {
        let SeedVolume {
            uuid, mount_point, ..
        } = volume.clone();
        Err(AgentError::Volume {
            uuid,
            mount_point,
            what,
        })
    };
    if volume.uuid.is_empty()
        || !volume
            .uuid
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b == b'-')
    {
        return refused("the UUID holds something else than hexadecimal digits and '-'");
    }
    let Some(relative) = volume.mount_point.strip_prefix('/') else {
        return refused("the mount point does not begin with '/'");
    };
    let plain = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
    };
    if !relative.split('/').all(plain) {
        return refused(
            "the mount point holds something else than letters, digits, '-', '_' and '.' between '/'",
        );
    }
    Ok(())
}

pub(super) fn observe(root: &Root, volume: &SeedVolume) -> Result<String, AgentError> {
    Ok(match mounted_at(root, &volume.mount_point)? {
        Some(mount) => format!(
            "mounted: {} UUID={} on disk {}",
            mount.kind, volume.uuid, volume.disk_serial
        ),
        None => "not mounted".into(),
    })
}

pub(super) fn is_reached(root: &Root, volume: &SeedVolume) -> Result<bool, AgentError> {
    let fstab = root.read_text(FSTAB)?.unwrap_or_default();
    Ok(with_volume(&fstab, volume) == fstab && mounted_at(root, &volume.mount_point)?.is_some())
}

pub(super) fn act<H: Host>(root: &Root, host: &H, volume: &SeedVolume) -> Result<(), AgentError> {
    let path = root.at(&volume.mount_point);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&path)
        .map_err(|error| AgentError::Write { path, error })?;
    let fstab = root.read_text(FSTAB)?.unwrap_or_default();
    root.write(FSTAB, with_volume(&fstab, volume).as_bytes(), 0o644)?;
    if mounted_at(root, &volume.mount_point)?.is_none() {
        host.command("mount", &[&volume.mount_point])?;
    }
    Ok(())
}

/// `/etc/fstab` with this volume's line; an older line for the same place is replaced, every other stays as it is.
fn with_volume(fstab: &str, volume: &SeedVolume) -> String {
    // ext4 is checked at the boot; XFS checks itself when it is mounted.
    let check = match volume.fs {
        VolumeFs::Ext4 => 2,
        VolumeFs::Xfs => 0,
    };
    let fs = volume.fs.as_str();
    let wanted = format!(
        "UUID={} {} {fs} {OPTIONS} 0 {check}",
        volume.uuid, volume.mount_point
    );
    let elsewhere = |line: &&str| {
        let mut words = line.split_whitespace();
        let comment = words.next().is_some_and(|word| word.starts_with('#'));
        comment || words.next() != Some(&volume.mount_point)
    };
    if fstab
        .lines()
        .filter(|line| !elsewhere(line))
        .eq([wanted.as_str()])
    {
        return fstab.to_string();
    }
    let mut lines: Vec<&str> = fstab.lines().filter(elsewhere).collect();
    lines.push(&wanted);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(uuid: &str, mount_point: &str) -> SeedVolume {
        SeedVolume {
            uuid: uuid.into(),
            mount_point: mount_point.into(),
            disk_serial: "GS-DATA-1".into(),
            fs: VolumeFs::Ext4,
        }
    }

    #[test]
    fn fstab_keeps_other_lines_and_a_second_time_changes_nothing() {
        let fstab =
            "# /etc/fstab\nPARTUUID=1 / ext4 defaults 0 1\nUUID=dead /data/1 xfs defaults 0 0";
        let done = with_volume(fstab, &volume("00ff", "/data/1"));
        expect_test::expect![[r"
            # /etc/fstab
            PARTUUID=1 / ext4 defaults 0 1
            UUID=00ff /data/1 ext4 defaults,nofail,x-systemd.device-timeout=30s 0 2
        "]]
        .assert_eq(&done);
        let two = with_volume(&done, &volume("00fe", "/data/2"));
        assert_eq!(with_volume(&two, &volume("00ff", "/data/1")), two);
        assert_eq!(two.lines().count(), 4);
        let mut xfs = volume("00ff", "/data/1");
        xfs.fs = VolumeFs::Xfs;
        let done = with_volume(&two, &xfs);
        assert!(
            done.contains(
                "UUID=00ff /data/1 xfs defaults,nofail,x-systemd.device-timeout=30s 0 0\n"
            )
        );
        assert_eq!(done.lines().count(), 4);
    }

    #[test]
    fn what_could_become_another_line_or_path_is_refused() {
        assert!(check(&volume("00ff-1", "/data/gs-1")).is_ok());
        for (uuid, place) in [
            ("", "/a"),
            ("x y", "/a"),
            ("0", "a"),
            ("0", "/"),
            ("0", "/a/../b"),
            ("0", "/a b"),
            ("0", "/a\nb"),
            ("0", "/a//b"),
        ] {
            assert!(check(&volume(uuid, place)).is_err(), "{uuid:?} {place:?}");
        }
    }
}
