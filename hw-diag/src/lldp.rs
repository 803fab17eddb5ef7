// SPDX-License-Identifier: Apache-2.0
//! Listens for LLDP on every link at once: who is at the other end of each cable.
//!
//! Only on request, because switches speak every 30 s. It sends nothing and switches no interface on; a network card whose
//! own firmware keeps LLDP to itself (Intel X710 and E810 by default) lets nobody hear it.

use crate::lldp_socket::Socket;
use crate::sysfs::Tree;
use hw_core::machine::NicFacts;
use hw_core::machine::lldp::neighbour;
use std::io;
use std::time::{Duration, Instant};

/// How long to listen: switches speak every 30 s unless they are told otherwise (802.1AB, 9.2.5.7).
pub const PATIENCE: Duration = Duration::from_secs(32);
/// The most frames that are looked at: a flood must not keep us.
const FRAMES_MAX: u32 = 10_000;

/// Listens on the interfaces that have a link, and notes each one's neighbour. Ends early when all are known.
pub(crate) fn listen(
    tree: &Tree,
    nics: &mut [NicFacts],
    patience: Duration,
    missed: &mut Vec<String>,
) {
    let indexes: Vec<Option<i32>> = nics
        .iter()
        .map(|nic| tree.number(&format!("sys/class/net/{}/ifindex", nic.name)))
        .collect();
    if let Err(error) = hear(nics, &indexes, patience, missed) {
        missed.push(format!("LLDP: a packet socket: {error}"));
    }
}

fn hear(
    nics: &mut [NicFacts],
    indexes: &[Option<i32>],
    patience: Duration,
    missed: &mut Vec<String>,
) -> io::Result<()> {
    let socket = Socket::open()?;
    for (nic, index) in nics.iter_mut().zip(indexes) {
        let Some(index) = index.filter(|_| nic.up && nic.link) else {
            continue;
        };
        match socket.join(index) {
            Ok(()) => nic.listened = true,
            Err(error) => missed.push(format!("LLDP on {}: {error}", nic.name)),
        }
    }
    let until = Instant::now() + patience;
    for _ in 0..FRAMES_MAX {
        let all = nics
            .iter()
            .all(|nic| !nic.listened || nic.neighbour.is_some());
        let left = until.saturating_duration_since(Instant::now());
        if all || left.is_zero() {
            break;
        }
        let Some((index, frame)) = socket.next(left)? else {
            break;
        };
        take(nics, indexes, index, &frame);
    }
    Ok(())
}

/// Our own frames come by too, where an LLDP agent runs here: those carry our own address as sender.
fn take(nics: &mut [NicFacts], indexes: &[Option<i32>], index: i32, frame: &[u8]) {
    let Ok(seen) = neighbour(frame) else {
        return;
    };
    let sender = frame.get(6..12).unwrap_or_default();
    let sender: Vec<String> = sender.iter().map(|b| format!("{b:02x}")).collect();
    let sender = sender.join(":");
    if nics.iter().any(|nic| nic.mac.eq_ignore_ascii_case(&sender)) {
        return;
    }
    let mut pairs = nics.iter_mut().zip(indexes);
    let found = pairs.find(|(nic, its)| nic.listened && **its == Some(index));
    if let Some((nic, _)) = found {
        // 0: the neighbour says good-bye.
        nic.neighbour = (seen.holds_seconds > 0).then_some(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sender: u8, port: &str, holds: u8) -> Vec<u8> {
        let mut frame = vec![1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, sender, 0x88, 0xcc];
        frame.extend([2, 3, 7, b's', b'w']);
        let length = u8::try_from(port.len() + 1).unwrap();
        frame.extend([4, length, 7]);
        frame.extend(port.as_bytes());
        frame.extend([6, 2, 0, holds, 0, 0]);
        frame
    }

    #[test]
    fn frames_are_put_to_their_interface_and_our_own_are_not() {
        let nic = |name: &str, mac: &str| NicFacts {
            name: name.into(),
            mac: mac.into(),
            listened: true,
            ..NicFacts::default()
        };
        let mut nics = [nic("a", "02:00:00:00:00:0A"), nic("b", "02:00:00:00:00:0b")];
        let indexes = [Some(4), Some(7)];
        take(&mut nics, &indexes, 7, &frame(1, "p7", 120));
        take(&mut nics, &indexes, 4, &frame(0x0b, "own", 120));
        take(&mut nics, &indexes, 9, &frame(1, "p9", 120));
        take(&mut nics, &indexes, 4, b"garbage");
        assert_eq!(nics[0].neighbour, None);
        assert_eq!(
            nics[1].neighbour.as_ref().map(|n| n.port.as_str()),
            Some("p7")
        );
        take(&mut nics, &indexes, 7, &frame(1, "p7", 0));
        assert_eq!(nics[1].neighbour, None);
    }
}
