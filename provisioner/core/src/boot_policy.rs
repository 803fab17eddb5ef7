// SPDX-License-Identifier: Apache-2.0
//! What a machine boots. A MAC address only selects a public boot file here; identity comes at enrolment.

use crate::fleet::Fleet;
use crate::node::Node;
use crate::reasons;
use groundstate_api::boot::{BootAnswer, BootQuestion, Firmware};
use groundstate_api::view::Phase;

impl Fleet {
    /// Answers the boot service's one question.
    #[must_use]
    pub fn boot(&self, question: &BootQuestion) -> BootAnswer {
        match self.by_mac(question.mac) {
            Some(node) => node.boot(question.firmware),
            None if self.closed() => BootAnswer::Refuse {
                reason: reasons::unknown_machine(&alloc::format!("{}", question.mac)),
            },
            None => BootAnswer::LOCAL_DISK,
        }
    }
}

impl Node {
    fn boot(&self, asked: Option<Firmware>) -> BootAnswer {
        match self.phase {
            Phase::Ordered | Phase::Booting | Phase::Checking | Phase::Deploying => {
                BootAnswer::MaintenanceOs
            }
            Phase::HandedOver | Phase::Ready | Phase::Silent => self.to_the_host(asked),
            Phase::Held if self.host.is_some() => self.to_the_host(asked),
            Phase::Held | Phase::Known => BootAnswer::LOCAL_DISK,
        }
    }

    /// UEFI finds the host by its boot entry. BIOS has no boot loader on our disks: the maintenance OS starts the
    /// host from disk, because enrolment answers "boot local" and nothing is written.
    fn to_the_host(&self, asked: Option<Firmware>) -> BootAnswer {
        match asked.or(self.firmware) {
            Some(Firmware::Bios) if self.host.is_some() => BootAnswer::MaintenanceOs,
            Some(Firmware::Bios | Firmware::UefiPxe | Firmware::UefiHttp) | None => {
                BootAnswer::LOCAL_DISK
            }
        }
    }
}
