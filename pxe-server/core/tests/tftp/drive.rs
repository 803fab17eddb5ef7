// SPDX-License-Identifier: Apache-2.0
//! A session, what is put into it, and what comes out as text: `1-4` are DATA blocks as they are numbered on the wire.

use groundstate_api::Millis;
use pxe_core::tftp::{Action, End, Event, ReadRequest, Session, read_request};

pub(crate) fn request(options: &str) -> ReadRequest {
    let packet = format!("\0\u{1}f\0octet\0{options}");
    let mut request = read_request(packet.as_bytes()).unwrap();
    request.fit(1_468);
    request
}

pub(crate) struct Driven {
    pub(crate) session: Session,
    pub(crate) now: u64,
}

pub(crate) fn begin(options: &str, length: u64) -> (Driven, Vec<Action>) {
    let mut out = Vec::new();
    let session = Session::begin(Millis(0), &request(options), length, &mut out);
    (Driven { session, now: 0 }, out)
}

impl Driven {
    pub(crate) fn handle(&mut self, event: Event<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.session.handle(Millis(self.now), event, &mut out);
        out
    }

    pub(crate) fn ack(&mut self, block: u16) -> String {
        let [high, low] = block.to_be_bytes();
        shown(&self.handle(Event::Packet(&[0, 4, high, low])))
    }

    /// The deadline comes.
    pub(crate) fn time(&mut self) -> String {
        self.now = self.session.deadline().unwrap().0;
        shown(&self.handle(Event::Timeout))
    }
}

pub(crate) fn shown(actions: &[Action]) -> String {
    let one = |action: &Action| match action {
        Action::Packet(packet) => String::from_utf8_lossy(packet).replace('\0', "|"),
        Action::Data(blocks) => {
            let numbers: Vec<u16> = blocks
                .iter()
                .map(|block| u16::from_be_bytes([block.header[2], block.header[3]]))
                .collect();
            match numbers.as_slice() {
                [one] => format!("{one}"),
                [first, .., last] => format!("{first}-{last}"),
                [] => panic!("no blocks"),
            }
        }
        Action::End(end) => format!("{end:?}"),
    };
    actions.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub(crate) fn ended(actions: &[Action]) -> Option<&End> {
    actions.iter().find_map(|action| match action {
        Action::End(end) => Some(end),
        Action::Packet(_) | Action::Data(_) => None,
    })
}
