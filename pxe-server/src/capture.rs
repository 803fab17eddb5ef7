// SPDX-License-Identifier: Apache-2.0
//! Packets of booting machines in files, one per machine, for a person with tcpdump or Wireshark.
//!
//! Only what this service itself received and sent is written, and of TFTP only what is not data. Headers are made anew
//! (a server sees payloads): the files are of link type RAW, each packet an IP packet. Writing happens in a thread of its
//! own; a packet that finds it busy is counted and not written, because no boot waits for a capture.

use groundstate_api::{MacAddr, Millis};
use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest file, in bytes: some 2,000 packets, more than 50 boots have.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most files; the oldest goes. Together at most 256 MiB.
const FILES_MAX: usize = 256;
/// Packets that wait to be written.
const WAITING_MAX: usize = 1_024;
/// Machines that are remembered as captured; then it begins anew, and a reply or two is missing.
const SEEN_MAX: usize = 4_096;
/// The longest payload that is kept of a packet, in bytes.
const PAYLOAD_MAX: usize = 1_500;
/// Seconds since 1970, big-endian or not as the magic says; microseconds; version 2.4 (draft-ietf-opsawg-pcap).
const MAGIC: u32 = 0xa1b2_c3d4;
/// LINKTYPE_RAW: the packet begins with its IP header.
const LINK_RAW: u32 = 101;
/// The longest packet as the file's head says it.
const SNAP: u32 = 65_535;
const UDP: u8 = 17;

/// Where to write, and of whom.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// The folder, which is there.
    pub folder: PathBuf,
    /// Only of these machines; of all where there is none.
    pub only: Vec<MacAddr>,
}

/// One packet on its way to its file.
struct Packet {
    mac: MacAddr,
    at: Millis,
    bytes: Vec<u8>,
}

/// The way to the writer.
#[derive(Debug)]
pub struct Capture {
    only: Vec<MacAddr>,
    /// Machines that were captured.
    seen: Mutex<BTreeSet<MacAddr>>,
    packets: SyncSender<Packet>,
}

impl Capture {
    /// Begins to capture.
    ///
    /// # Errors
    /// A folder that is none or cannot be written, or a thread that cannot be started.
    pub fn start(config: CaptureConfig) -> io::Result<Self> {
        let about = std::fs::metadata(&config.folder)?;
        if !about.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "this is no folder",
            ));
        }
        let (packets, take) = sync_channel(WAITING_MAX);
        let folder = config.folder;
        std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || Files::new(folder).write(&take))?;
        Ok(Self {
            only: config.only,
            seen: Mutex::default(),
            packets,
        })
    }

    /// Whether packets of this machine were captured.
    pub(crate) fn has(&self, mac: MacAddr) -> bool {
        self.seen().contains(&mac)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<MacAddr>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a packet; `false` where it will not be written.
    pub(crate) fn packet(
        &self,
        mac: MacAddr,
        at: Millis,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> bool {
        if !self.only.is_empty() && !self.only.contains(&mac) {
            return true;
        }
        {
            let mut seen = self.seen();
            if seen.len() >= SEEN_MAX && !seen.contains(&mac) {
                seen.clear();
            }
            seen.insert(mac);
        }
        let payload = payload.get(..PAYLOAD_MAX).unwrap_or(payload);
        let Some(bytes) = ip_packet(from, to, payload) else {
            return false;
        };
        self.packets.try_send(Packet { mac, at, bytes }).is_ok()
    }
}

/// The files, newest last.
struct Files {
    folder: PathBuf,
    open: VecDeque<(MacAddr, u64, Option<File>)>,
}

impl Files {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: VecDeque::new(),
        }
    }

    /// Until nobody can send any more.
    fn write(mut self, packets: &Receiver<Packet>) {
        for packet in packets {
            if let Err(error) = self.add(&packet) {
                tracing::warn!(mac = %packet.mac, %error, "a captured packet was not written");
            }
        }
    }

    fn add(&mut self, packet: &Packet) -> io::Result<()> {
        let known = self.open.iter().position(|(mac, ..)| *mac == packet.mac);
        let at = match known {
            Some(at) => at,
            None => {
                if self.open.len() >= FILES_MAX
                    && let Some((old, ..)) = self.open.pop_front()
                {
                    std::fs::remove_file(self.path(old))?;
                }
                let file = open(&self.path(packet.mac))?;
                self.open
                    .push_back((packet.mac, HEAD.len() as u64, Some(file)));
                self.open.len() - 1
            }
        };
        let Some((_, length, slot)) = self.open.get_mut(at) else {
            return Ok(());
        };
        let Some(file) = slot else {
            return Ok(());
        };
        let record = record(packet.at, &packet.bytes);
        if *length + record.len() as u64 > FILE_BYTES_MAX {
            tracing::info!(mac = %packet.mac, "its capture is full");
            *slot = None;
            return Ok(());
        }
        file.write_all(&record)?;
        *length += record.len() as u64;
        Ok(())
    }

    fn path(&self, mac: MacAddr) -> PathBuf {
        let name = mac.to_string().replace(':', "-");
        self.folder.join(format!("{name}.pcap"))
    }
}

const HEAD: [u8; 24] = {
    let mut head = [0; 24];
    let (magic, snap, link) = (
        MAGIC.to_be_bytes(),
        SNAP.to_be_bytes(),
        LINK_RAW.to_be_bytes(),
    );
    let mut at = 0;
    while at < 4 {
        head[at] = magic[at];
        head[16 + at] = snap[at];
        head[20 + at] = link[at];
        at += 1;
    }
    head[5] = 2;
    head[7] = 4;
    head
};

/// A new file in the place of an earlier one of this name. What lies there is unlinked and not followed.
fn open(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)?;
    file.write_all(&HEAD)?;
    Ok(file)
}

fn record(at: Millis, bytes: &[u8]) -> Vec<u8> {
    let seconds = u32::try_from(at.0 / 1_000).unwrap_or(u32::MAX);
    let micros = u32::try_from(at.0 % 1_000 * 1_000).unwrap_or_default();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(16 + bytes.len());
    for number in [seconds, micros, length, length] {
        record.extend_from_slice(&number.to_be_bytes());
    }
    record.extend_from_slice(bytes);
    record
}

/// The payload as a UDP datagram in an IP packet, checksums included; `None` where the ends are of two families.
fn ip_packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(8 + payload.len()).ok()?;
    let mut udp = Vec::with_capacity(8 + payload.len());
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&udp_length.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    let (mut packet, pseudo) = match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut head = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, UDP, 0, 0].to_vec();
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            let length = udp_length.checked_add(20)?;
            head.splice(2..4, length.to_be_bytes());
            let sum = checksum(&[&head]);
            head.splice(10..12, sum.to_be_bytes());
            (head, [&from.octets()[..], &to.octets()[..]].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut head = [0x60, 0, 0, 0, 0, 0, UDP, 64].to_vec();
            head.splice(4..6, udp_length.to_be_bytes());
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            (head, [&from.octets()[..], &to.octets()[..]].concat())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let length = udp_length.to_be_bytes();
    let sum = match checksum(&[&pseudo, &[0, UDP], &length, &udp]) {
        0 => u16::MAX,
        sum => sum,
    };
    udp.splice(6..8, sum.to_be_bytes());
    packet.extend_from_slice(&udp);
    Some(packet)
}

/// The Internet checksum (RFC 1071). Every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for two in part.chunks(2) {
            let high = two.first().copied().unwrap_or_default();
            let low = two.get(1).copied().unwrap_or_default();
            sum += u64::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const AT: Millis = Millis(1_700_000_000_123);

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    fn packet(mac: MacAddr, payload: &[u8]) -> Packet {
        let bytes = ip_packet(
            "10.77.0.100:68".parse().unwrap(),
            "10.77.0.1:67".parse().unwrap(),
            payload,
        );
        Packet {
            mac,
            at: AT,
            bytes: bytes.unwrap(),
        }
    }

    fn tcpdump(file: &Path) -> String {
        let out = Command::new("tcpdump")
            .args(["-n", "-vv", "-tt", "-r"])
            .arg(file)
            .output()
            .expect("tcpdump is installed by the set-up");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    #[test]
    fn tcpdump_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path().to_owned());
        // DHCPDISCOVER of 02:00:00:00:00:01 with nothing in it.
        let mut dhcp = vec![1, 1, 6, 0, 1, 2, 3, 4];
        dhcp.resize(28, 0);
        dhcp.extend_from_slice(&mac(1).0);
        dhcp.resize(236, 0);
        dhcp.extend_from_slice(&[99, 130, 83, 99, 53, 1, 1, 255]);
        files.add(&packet(mac(1), &dhcp)).unwrap();
        let ack = ip_packet(
            "[fe80::1]:4321".parse().unwrap(),
            "[fe80::2]:69".parse().unwrap(),
            b"\0\x01snponly.efi\0octet\0",
        );
        let bytes = ack.unwrap();
        files
            .add(&Packet {
                mac: mac(1),
                at: AT,
                bytes,
            })
            .unwrap();
        let text = tcpdump(&folder.path().join("02-00-00-00-00-01.pcap"));
        for said in [
            "1700000000.123000",
            "10.77.0.100.68 > 10.77.0.1.67",
            "[udp sum ok]",
            "Client-Ethernet-Address 02:00:00:00:00:01",
            "Discover",
            "RRQ \"snponly.efi\" octet",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(!text.contains("bad"), "{text}");
    }

    #[test]
    fn files_are_bounded_in_length_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path().to_owned());
        for _ in 0..1_000 {
            files.add(&packet(mac(1), &[0; 1_400])).unwrap();
        }
        let path = folder.path().join("02-00-00-00-00-01.pcap");
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(
            length <= FILE_BYTES_MAX && length > FILE_BYTES_MAX - 2_000,
            "{length}"
        );
        for n in 0..400u32 {
            let [_, _, a, b] = n.to_be_bytes();
            files
                .add(&packet(MacAddr([2, 1, 0, 0, a, b]), b"x"))
                .unwrap();
        }
        let count = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count, FILES_MAX);
        assert!(!path.exists(), "the oldest goes");
    }

    #[test]
    fn what_lies_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "keep").unwrap();
        let name = folder.path().join("02-00-00-00-00-01.pcap");
        std::os::unix::fs::symlink(&precious, &name).unwrap();
        let mut files = Files::new(folder.path().to_owned());
        files.add(&packet(mac(1), b"x")).unwrap();
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "keep");
        assert!(name.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn only_the_machines_that_were_named_and_no_folder_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let config = CaptureConfig {
            folder: folder.path().to_owned(),
            only: vec![mac(1)],
        };
        let capture = Capture::start(config).unwrap();
        let (from, to) = (
            "10.0.0.1:67".parse().unwrap(),
            "10.0.0.2:68".parse().unwrap(),
        );
        assert!(capture.packet(mac(2), AT, from, to, b"x"));
        assert!(capture.packet(mac(1), AT, from, to, b"x"));
        assert!(!capture.packet(mac(1), AT, from, "[::1]:68".parse().unwrap(), b"x"));
        let config = CaptureConfig {
            folder: folder.path().join("nowhere"),
            only: Vec::new(),
        };
        assert!(Capture::start(config).is_err());
    }
}
