// SPDX-License-Identifier: Apache-2.0
//! A disk of canned replies for tests, which remembers what it was asked.

use super::path::{AdminPath, SgPath};
use crate::ioctl::{Admin, SgReply};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// What a command brings.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Data.
    Data(Vec<u8>),
    /// A SCSI status and sense data, or an NVMe status.
    Status(u8, Vec<u8>),
    /// What the host adapter says.
    Host(u16),
    /// The kernel's error.
    Errno(i32),
}

/// A disk that answers what it was given; it refuses everything else, as disks do.
#[derive(Default)]
pub(crate) struct Fake {
    replies: BTreeMap<Vec<u8>, Reply>,
    asked: RefCell<Vec<Vec<u8>>>,
}

/// Sense data of a refusal: illegal request, invalid command operation code.
pub(crate) const REFUSED: [u8; 8] = [0x72, 5, 0x20, 0, 0, 0, 0, 0];

impl Fake {
    /// With a reply to a SCSI command.
    pub(crate) fn with(mut self, cdb: &[u8], reply: Reply) -> Self {
        self.replies.insert(cdb.to_vec(), reply);
        self
    }
    /// With data in reply to a SCSI command.
    pub(crate) fn data(self, cdb: &[u8], data: Vec<u8>) -> Self {
        self.with(cdb, Reply::Data(data))
    }
    /// With a reply to an NVMe admin command.
    pub(crate) fn admin_reply(self, opcode: u8, cdw10: u32, reply: Reply) -> Self {
        self.with(&key(opcode, cdw10), reply)
    }
    /// The commands it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.borrow().clone()
    }
    fn find(&self, key: &[u8]) -> Option<&Reply> {
        self.asked.borrow_mut().push(key.to_vec());
        self.replies.get(key)
    }
}

fn key(opcode: u8, cdw10: u32) -> Vec<u8> {
    let mut key = vec![opcode];
    key.extend(cdw10.to_be_bytes());
    key
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    length
}

impl SgPath for Fake {
    fn sg(&self, cdb: &[u8], data: &mut [u8]) -> io::Result<SgReply> {
        let mut reply = SgReply {
            status: 0,
            host_status: 0,
            sense: Vec::new(),
            length: 0,
        };
        match self.find(cdb) {
            Some(Reply::Data(answer)) => reply.length = copy(answer, data),
            Some(Reply::Status(status, sense)) => {
                (reply.status, reply.sense) = (*status, sense.clone());
                reply.length = data.len();
            }
            Some(Reply::Host(status)) => reply.host_status = *status,
            Some(Reply::Errno(number)) => return Err(io::Error::from_raw_os_error(*number)),
            None => (reply.status, reply.sense) = (2, REFUSED.to_vec()),
        }
        Ok(reply)
    }
}

impl AdminPath for Fake {
    fn admin(&self, command: Admin, data: &mut [u8]) -> io::Result<i32> {
        match self.find(&key(command.opcode, command.cdw10)) {
            Some(Reply::Data(answer)) => {
                copy(answer, data);
                Ok(0)
            }
            Some(Reply::Status(status, _)) => Ok(i32::from(*status)),
            Some(Reply::Host(_)) | None => Ok(0x4001),
            Some(Reply::Errno(number)) => Err(io::Error::from_raw_os_error(*number)),
        }
    }
}
