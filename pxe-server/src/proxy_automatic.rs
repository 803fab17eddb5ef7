// SPDX-License-Identifier: Apache-2.0
//! The automatic form of the boot service, for an open site: machines that the boot policy does not know boot something,
//! too. A closed site does without it, and such machines get nothing.

use crate::BootPolicy;
use groundstate_api::ReasonCode;
use groundstate_api::boot::{BootAnswer, BootQuestion};
use std::sync::Arc;

/// A boot policy that sends machines unknown to another one to what strangers boot. Whom that one refuses for any other
/// reason stays refused.
pub struct Automatic {
    /// The policy that knows machines.
    pub known: Arc<dyn BootPolicy>,
    /// What the others boot.
    pub strangers: BootAnswer,
}

impl BootPolicy for Automatic {
    fn ask(&self, question: &BootQuestion) -> BootAnswer {
        match self.known.ask(question) {
            BootAnswer::Refuse { reason } if reason.code == ReasonCode::UnknownMachine => {
                self.strangers.clone()
            }
            answer => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::{MacAddr, Reason};

    struct Says(BootAnswer);

    impl BootPolicy for Says {
        fn ask(&self, _: &BootQuestion) -> BootAnswer {
            self.0.clone()
        }
    }

    fn refused(code: ReasonCode) -> BootAnswer {
        let reason = Reason::new(code, "no", "ask somebody");
        BootAnswer::Refuse { reason }
    }

    #[test]
    fn only_strangers_are_sent_elsewhere() {
        let ask = |answer: BootAnswer| {
            let known: Arc<dyn BootPolicy> = Arc::new(Says(answer));
            let strangers = BootAnswer::MaintenanceOs;
            Automatic { known, strangers }.ask(&BootQuestion::about(MacAddr([2; 6])))
        };
        let stranger = ask(refused(ReasonCode::UnknownMachine));
        assert_eq!(stranger, BootAnswer::MaintenanceOs);
        for same in [
            refused(ReasonCode::NotAllowed),
            BootAnswer::LOCAL_DISK,
            BootAnswer::Nothing,
        ] {
            assert_eq!(ask(same.clone()), same);
        }
    }
}
