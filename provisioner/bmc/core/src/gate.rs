// SPDX-License-Identifier: Apache-2.0
//! When a BMC may be spoken to: it is not hammered when it does not answer, and nobody is locked out by a wrong password.
//!
//! It knows a credential by its fingerprint only.

use crate::text::inert;
use crate::trouble::Trouble;
use alloc::string::{String, ToString as _};
use groundstate_api::Millis;

/// The first pause after a failure.
pub const PAUSE_MIN: Millis = Millis::secs(2);
/// The longest: a BMC that is back is noticed within it.
pub const PAUSE_MAX: Millis = Millis::secs(300);
/// The longest pause that a BMC may ask for (`Retry-After`).
pub const ASKED_PAUSE_MAX: Millis = Millis::secs(900);

/// What stands for a credential: a keyed digest of it, made by who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Barred {
    with: Fingerprint,
    user: String,
    says: String,
}

/// The gate before one BMC.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    barred: Option<Barred>,
    failures: u32,
    closed_until: Option<Millis>,
    because: String,
}

impl Gate {
    /// Whether it may be spoken to now with this credential.
    ///
    /// # Errors
    /// [`Trouble::CredentialRefused`] until the credential is another; [`Trouble::LeftAlone`] during a pause.
    pub fn ask(&self, now: Millis, with: Fingerprint) -> Result<(), Trouble> {
        if let Some(barred) = self.barred.as_ref().filter(|barred| barred.with == with) {
            return Err(Trouble::CredentialRefused {
                user: barred.user.clone(),
                says: barred.says.clone(),
            });
        }
        match self.closed_until {
            Some(until) if now < until => Err(Trouble::LeftAlone {
                until,
                because: self.because.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// It answered as a BMC should, whatever it answered.
    pub fn answered(&mut self) {
        self.failures = 0;
        self.closed_until = None;
        self.barred = None;
    }

    /// Something went wrong with this credential; `entropy` spreads the pauses of many BMCs behind one broken switch.
    pub fn failed(&mut self, now: Millis, with: Fingerprint, trouble: &Trouble, entropy: u64) {
        match trouble {
            Trouble::CredentialRefused { user, says } => {
                self.barred = Some(Barred {
                    with,
                    user: user.clone(),
                    says: inert(says),
                });
                self.failures = 0;
                self.closed_until = None;
            }
            Trouble::Busy {
                pause: Some(pause), ..
            } => {
                self.close(now, Millis(pause.0.min(ASKED_PAUSE_MAX.0)), trouble);
            }
            Trouble::Unreachable { .. }
            | Trouble::TimedOut { .. }
            | Trouble::Tls { .. }
            | Trouble::SessionLimit { .. }
            | Trouble::Busy { pause: None, .. } => {
                self.failures = self.failures.saturating_add(1);
                self.close(now, pause(self.failures, entropy), trouble);
            }
            Trouble::Certificate { .. }
            | Trouble::CredentialUnfit { .. }
            | Trouble::Refused { .. }
            | Trouble::NotOffered { .. }
            | Trouble::Ignored { .. }
            | Trouble::Late { .. }
            | Trouble::Odd { .. }
            | Trouble::TooLarge { .. }
            | Trouble::Elsewhere { .. }
            | Trouble::TaskFailed { .. }
            | Trouble::LeftAlone { .. }
            | Trouble::NoSystem { .. }
            | Trouble::NoTool { .. } => {}
        }
    }

    /// A person wants it tried again.
    pub fn forgive(&mut self) {
        *self = Self::default();
    }

    /// When the pause ends.
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        self.closed_until
    }

    fn close(&mut self, now: Millis, pause: Millis, trouble: &Trouble) {
        self.closed_until = Some(now.plus(pause));
        self.because = trouble.to_string();
    }
}

/// Doubles with each failure up to the longest; the second half of it is chance.
fn pause(failures: u32, entropy: u64) -> Millis {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = PAUSE_MIN.0.saturating_mul(1 << doublings).min(PAUSE_MAX.0);
    let half = whole / 2;
    Millis(half + entropy % (half + 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    const OLD: Fingerprint = Fingerprint([1; 32]);
    const NEW: Fingerprint = Fingerprint([2; 32]);

    fn refused() -> Trouble {
        Trouble::CredentialRefused {
            user: "admin".into(),
            says: "401".into(),
        }
    }

    fn silent() -> Trouble {
        Trouble::Unreachable {
            what: "no route".into(),
        }
    }

    #[test]
    fn a_refused_credential_is_not_tried_again() {
        let mut gate = Gate::default();
        assert_eq!(gate.ask(Millis(0), OLD), Ok(()));
        gate.failed(Millis(0), OLD, &refused(), 0);
        for days in 0..100 {
            assert_eq!(gate.ask(Millis::secs(days * 86_400), OLD), Err(refused()));
        }
        assert_eq!(gate.ask(Millis(1), NEW), Ok(()));
        // Trouble of another kind does not make it forget.
        gate.failed(Millis(1), NEW, &silent(), 0);
        assert_eq!(gate.ask(Millis(2), OLD), Err(refused()));
        gate.forgive();
        assert_eq!(gate.ask(Millis(2), OLD), Ok(()));
    }

    #[test]
    fn a_bmc_may_ask_for_a_pause_but_not_for_years() {
        let mut gate = Gate::default();
        let busy = |pause| Trouble::Busy {
            says: "503".into(),
            pause: Some(pause),
        };
        gate.failed(Millis(0), OLD, &busy(Millis::secs(30)), 0);
        assert_eq!(gate.deadline(), Some(Millis::secs(30)));
        gate.failed(Millis(0), OLD, &busy(Millis(u64::MAX)), 0);
        assert_eq!(gate.deadline(), Some(ASKED_PAUSE_MAX));
        gate.answered();
        assert_eq!(gate.ask(Millis(0), OLD), Ok(()));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_end(failures in 1u32..1_000, entropy: u64) {
            let pause = pause(failures, entropy);
            prop_assert!(pause.0 >= PAUSE_MIN.0 / 2 && pause <= PAUSE_MAX);
            if failures > 12 { prop_assert!(pause.0 >= PAUSE_MAX.0 / 2); }
        }

        #[test]
        fn questions_in_a_day_are_few(entropies in prop::collection::vec(any::<u64>(), 1_000)) {
            // A silent BMC that is wanted every 100 ms, for 20 minutes.
            let (mut gate, mut asked) = (Gate::default(), 0usize);
            for tick in 0..12_000u64 {
                let now = Millis(tick * 100);
                if gate.ask(now, OLD).is_ok() {
                    gate.failed(now, OLD, &silent(), entropies[asked % 1_000]);
                    asked += 1;
                }
            }
            prop_assert!(asked < 24, "{}", asked);
        }
    }
}
