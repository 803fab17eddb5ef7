// SPDX-License-Identifier: Apache-2.0
//! The ladder: which methods a drive has, the strongest first, and why each of the others is left out.

use super::facts::{AtaFacts, DriveFacts, Interface, NvmeFacts, ScsiFacts};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::erase::{EraseClass, EraseMethod, NotUsed};
use groundstate_api::units::Millis;

/// A drive that does not say how long it takes gets this for a crypto erase: it changes a key.
const CRYPTO_USUAL: Millis = Millis::secs(10 * 60);
/// The same for a block erase: seconds to minutes on every flash drive known.
const BLOCK_USUAL: Millis = Millis::secs(60 * 60);
/// The slowest drive that is waited for when its sectors are overwritten, in bytes a second: half of what a hard disk of 2005
/// writes.
const SLOWEST: u64 = 20 << 20;
/// A drive may take so many times its own estimate.
const ESTIMATE_TIMES: u64 = 3;
/// And this on top, so that an estimate of nothing is no limit of nothing.
const ESTIMATE_AND: Millis = Millis::secs(10 * 60);

/// One method with how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The method.
    pub method: EraseMethod,
    /// The drive's own estimate.
    pub estimate: Option<Millis>,
    /// When it is no longer waited for, from its start.
    pub limit: Millis,
}

/// The methods to try in order, and those that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// The methods, first to try first.
    pub rungs: Vec<Rung>,
    /// What is left out, and why.
    pub left_out: Vec<NotUsed>,
}

/// Whether a method can be used, and why not.
type Can = Result<Option<Millis>, String>;

/// The ladder of a drive for what is wanted at least.
#[must_use]
pub fn ladder(drive: &DriveFacts, level: EraseClass) -> Ladder {
    let mut ladder = Ladder::default();
    for method in EraseMethod::ALL {
        let can = match &drive.interface {
            Interface::Nvme(facts) => nvme(facts, method),
            Interface::Ata(facts) => ata(facts, method),
            Interface::Scsi(facts) => scsi(*facts, method),
            Interface::Plain(why) => (method == EraseMethod::Overwrite)
                .then_some(Ok(None))
                .or_else(|| (method == EraseMethod::ALL[0]).then(|| Err(why.clone()))),
        };
        let class = method.class(drive.rotational);
        match can {
            None => {} // Another kind of drive's.
            Some(Ok(_)) if class < level => {
                let why = format!("it reaches {class} on this medium, and {level} is wanted");
                ladder.left_out.push(NotUsed { method, why });
            }
            Some(Ok(estimate)) => ladder.rungs.push(Rung {
                method,
                estimate,
                limit: limit(drive, method, estimate),
            }),
            Some(Err(why)) => ladder.left_out.push(NotUsed { method, why }),
        }
    }
    ladder
}

fn limit(drive: &DriveFacts, method: EraseMethod, estimate: Option<Millis>) -> Millis {
    let by_size = Millis::secs(drive.size.0 / SLOWEST).plus(BLOCK_USUAL);
    match estimate {
        Some(estimate) => Millis(estimate.0.saturating_mul(ESTIMATE_TIMES)).plus(ESTIMATE_AND),
        None => match method {
            EraseMethod::NvmeSanitizeCrypto
            | EraseMethod::NvmeFormatCrypto
            | EraseMethod::AtaSanitizeCrypto
            | EraseMethod::ScsiSanitizeCrypto => CRYPTO_USUAL,
            EraseMethod::NvmeSanitizeBlock
            | EraseMethod::AtaSanitizeBlock
            | EraseMethod::ScsiSanitizeBlock => BLOCK_USUAL,
            EraseMethod::NvmeFormatUserData
            | EraseMethod::NvmeSanitizeOverwrite
            | EraseMethod::AtaSanitizeOverwrite
            | EraseMethod::AtaSecurityErase
            | EraseMethod::AtaSecurityEraseEnhanced
            | EraseMethod::ScsiSanitizeOverwrite
            | EraseMethod::Overwrite => by_size,
        },
    }
}

fn have(has: bool, estimate: Option<Millis>) -> Can {
    if has {
        Ok(estimate)
    } else {
        Err("the drive does not have it".to_string())
    }
}

fn nvme(facts: &NvmeFacts, method: EraseMethod) -> Option<Can> {
    let [overwrite, block, crypto] = facts.estimates;
    let shared = |can: Can, for_all: bool| match can {
        Ok(_) if for_all && facts.namespaces != 1 => Err(format!(
            "it would erase all {} namespaces of the drive, and one is to be erased",
            facts.namespaces
        )),
        can => can,
    };
    let format = |has: bool| shared(have(facts.format && has, None), facts.format_is_for_all);
    let can = match method {
        EraseMethod::NvmeSanitizeCrypto => shared(have(facts.sanitize_crypto, crypto), true),
        EraseMethod::NvmeSanitizeBlock => shared(have(facts.sanitize_block, block), true),
        EraseMethod::NvmeSanitizeOverwrite => {
            shared(have(facts.sanitize_overwrite, overwrite), true)
        }
        EraseMethod::NvmeFormatCrypto => format(facts.format_crypto),
        EraseMethod::NvmeFormatUserData => format(true),
        EraseMethod::Overwrite => Ok(None),
        EraseMethod::AtaSanitizeCrypto
        | EraseMethod::AtaSanitizeBlock
        | EraseMethod::AtaSanitizeOverwrite
        | EraseMethod::AtaSecurityEraseEnhanced
        | EraseMethod::AtaSecurityErase
        | EraseMethod::ScsiSanitizeCrypto
        | EraseMethod::ScsiSanitizeBlock
        | EraseMethod::ScsiSanitizeOverwrite => return None,
    };
    Some(can)
}

fn ata(facts: &AtaFacts, method: EraseMethod) -> Option<Can> {
    let sanitize = |has: bool| match have(facts.sanitize && has, None) {
        Ok(_) if facts.sanitize_frozen => {
            Err("its sanitize commands are frozen until it is powered off and on".to_string())
        }
        can => can,
    };
    let locked = |can: Can| match facts.security {
        Some(security) if security.locked => {
            Err("the drive is locked with a password that we do not have".to_string())
        }
        Some(_) | None => can,
    };
    let seen_only = |can: Can| match facts.hidden {
        Some(hidden) if hidden > 0 => Err(format!(
            "the drive hides {hidden} sectors behind its last one (HPA or DCO), and they would stay"
        )),
        Some(_) | None => can,
    };
    let security = |enhanced: bool| {
        match facts.security {
        None => Err("the drive does not have it".to_string()),
        Some(one) if enhanced && !one.enhanced => Err("the drive does not have it".to_string()),
        Some(one) if one.frozen => Err(
            "the firmware has frozen it until the drive is powered off and on (a suspend does it too)"
                .to_string(),
        ),
        Some(one) if one.locked || one.enabled => {
            Err("somebody has set a password that we do not have".to_string())
        }
        Some(one) if one.expired => {
            Err("too many wrong passwords were tried; power the drive off and on".to_string())
        }
        Some(one) if enhanced => Ok(one.enhanced_takes),
        Some(one) => Ok(one.takes),
    }
    };
    let can = match method {
        EraseMethod::AtaSanitizeCrypto => locked(sanitize(facts.sanitize_crypto)),
        EraseMethod::AtaSanitizeBlock => locked(sanitize(facts.sanitize_block)),
        EraseMethod::AtaSanitizeOverwrite => locked(sanitize(facts.sanitize_overwrite)),
        EraseMethod::AtaSecurityEraseEnhanced => security(true),
        EraseMethod::AtaSecurityErase => seen_only(security(false)),
        EraseMethod::Overwrite => locked(seen_only(Ok(None))),
        EraseMethod::NvmeSanitizeCrypto
        | EraseMethod::NvmeSanitizeBlock
        | EraseMethod::NvmeSanitizeOverwrite
        | EraseMethod::NvmeFormatCrypto
        | EraseMethod::NvmeFormatUserData
        | EraseMethod::ScsiSanitizeCrypto
        | EraseMethod::ScsiSanitizeBlock
        | EraseMethod::ScsiSanitizeOverwrite => return None,
    };
    Some(can)
}

fn scsi(facts: ScsiFacts, method: EraseMethod) -> Option<Can> {
    let may = |has: Option<bool>| have(has != Some(false), None);
    let can = match method {
        EraseMethod::ScsiSanitizeCrypto => may(facts.crypto),
        EraseMethod::ScsiSanitizeBlock => may(facts.block),
        EraseMethod::ScsiSanitizeOverwrite => may(facts.overwrite),
        EraseMethod::Overwrite => Ok(None),
        EraseMethod::NvmeSanitizeCrypto
        | EraseMethod::NvmeSanitizeBlock
        | EraseMethod::NvmeSanitizeOverwrite
        | EraseMethod::NvmeFormatCrypto
        | EraseMethod::NvmeFormatUserData
        | EraseMethod::AtaSanitizeCrypto
        | EraseMethod::AtaSanitizeBlock
        | EraseMethod::AtaSanitizeOverwrite
        | EraseMethod::AtaSecurityEraseEnhanced
        | EraseMethod::AtaSecurityErase => return None,
    };
    Some(can)
}
