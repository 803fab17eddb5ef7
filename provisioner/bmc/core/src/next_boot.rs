// SPDX-License-Identifier: Apache-2.0
//! What is written to say what a machine boots next, and whether what is read back is that.

use crate::quirk::{Effect, Quirks};
use crate::resource::Boot;
use crate::trouble::Trouble;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::action::NextBoot;
use serde_json::{Map, Value, json};

/// For how long an override holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One boot.
    Once,
    /// Every boot, until it is taken back.
    Continuous,
}

impl Lasting {
    /// As Redfish writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "Once",
            Self::Continuous => "Continuous",
        }
    }
}

/// An override to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `BootSourceOverrideTarget`.
    pub target: &'static str,
    /// `BootSourceOverrideEnabled`.
    pub enabled: &'static str,
    /// `BootSourceOverrideMode`, where it is sent.
    pub mode: Option<String>,
    /// Whether a URL of an earlier HTTP boot must go.
    drop_uri: bool,
    /// The mode before.
    before: Option<String>,
    /// The quirks that shaped it.
    pub because: Vec<&'static str>,
}

/// What is written for a wish, from what the BMC offers.
///
/// # Errors
/// [`Trouble::NotOffered`] where the BMC's allowable values, or what is known of it, exclude it.
pub fn choose(
    to: NextBoot,
    lasting: Lasting,
    boot: &Boot,
    quirks: &Quirks,
) -> Result<Override, Trouble> {
    if !boot.is_known() {
        return Err(not_offered("a boot override", None));
    }
    let mut because = Vec::new();
    let known_not = match (to, lasting) {
        (NextBoot::HttpBoot, _) if quirks.want(Effect::NoHttpBoot) => Some(Effect::NoHttpBoot),
        (NextBoot::HttpBoot, Lasting::Continuous) if quirks.want(Effect::HttpBootOnceOnly) => {
            Some(Effect::HttpBootOnceOnly)
        }
        (NextBoot::Network | NextBoot::HttpBoot | NextBoot::Disk | NextBoot::VirtualMedia, _) => {
            None
        }
    };
    if let Some(effect) = known_not {
        let name = quirks.name_of(effect).unwrap_or_default();
        return Err(not_offered(
            &format!("UefiHttp {} (known: {name})", lasting.as_str()),
            boot.targets.as_deref(),
        ));
    }
    let target = target(to, boot, quirks, &mut because)?;
    if let Some(enableds) = &boot.enableds
        && !enableds.iter().any(|enabled| enabled == lasting.as_str())
    {
        return Err(not_offered(
            &format!("an override that holds {}", lasting.as_str()),
            Some(enableds),
        ));
    }
    Ok(Override {
        target,
        enabled: lasting.as_str(),
        mode: mode(to, boot, quirks, &mut because),
        drop_uri: to != NextBoot::HttpBoot
            && boot.http_uri.as_deref().is_some_and(|uri| uri != "None"),
        before: boot.mode.clone(),
        because,
    })
}

fn target(
    to: NextBoot,
    boot: &Boot,
    quirks: &Quirks,
    because: &mut Vec<&'static str>,
) -> Result<&'static str, Trouble> {
    let usb_first = to == NextBoot::VirtualMedia && quirks.want(Effect::UsbCd);
    let wanted: &[&'static str] = match to {
        NextBoot::Network => &["Pxe"],
        NextBoot::HttpBoot => &["UefiHttp"],
        NextBoot::Disk => &["Hdd"],
        NextBoot::VirtualMedia if usb_first => &["UsbCd", "Cd"],
        NextBoot::VirtualMedia => &["Cd", "UsbCd"],
    };
    let found = match &boot.targets {
        Some(offered) => wanted
            .iter()
            .find(|target| offered.iter().any(|one| one == **target)),
        None => wanted.iter().find(|target| **target != "UsbCd"),
    };
    let found = found.ok_or_else(|| {
        not_offered(
            &format!("booting from {}", wanted.join(" or ")),
            boot.targets.as_deref(),
        )
    })?;
    if usb_first && *found == "UsbCd" {
        because.extend(quirks.name_of(Effect::UsbCd));
    }
    Ok(found)
}

fn mode(
    to: NextBoot,
    boot: &Boot,
    quirks: &Quirks,
    because: &mut Vec<&'static str>,
) -> Option<String> {
    let uefi = || String::from("UEFI");
    let current = boot.mode.clone()?;
    if to == NextBoot::HttpBoot && current != "UEFI" {
        // HTTP boot is UEFI's; without its mode the override means nothing.
        return Some(uefi());
    }
    if quirks.want(Effect::SendMode) {
        because.extend(quirks.name_of(Effect::SendMode));
        return Some(if current.is_empty() { uefi() } else { current });
    }
    None
}

fn not_offered(wanted: &str, offers: Option<&[String]>) -> Trouble {
    Trouble::NotOffered {
        wanted: wanted.into(),
        offers: offers.map(<[String]>::to_vec).unwrap_or_default(),
    }
}

impl Override {
    /// The body of the PATCH.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut boot = Map::new();
        boot.insert("BootSourceOverrideTarget".into(), json!(self.target));
        boot.insert("BootSourceOverrideEnabled".into(), json!(self.enabled));
        if let Some(mode) = &self.mode {
            boot.insert("BootSourceOverrideMode".into(), json!(mode));
        }
        if self.drop_uri {
            boot.insert("HttpBootUri".into(), Value::Null);
        }
        json!({ "Boot": boot })
    }

    /// In words: `Pxe Once`.
    #[must_use]
    pub fn says(&self) -> String {
        let mode = self.mode.as_ref().map(|mode| format!(" with mode {mode}"));
        format!(
            "{} {}{}",
            self.target,
            self.enabled,
            mode.unwrap_or_default()
        )
    }

    /// Whether what is read back is what was written; the facts where it is.
    ///
    /// # Errors
    /// [`Trouble::Ignored`] with what is so instead.
    pub fn compare(&self, seen: &Boot) -> Result<Vec<String>, Trouble> {
        let same = |wanted: &str, seen: &Option<String>| {
            seen.as_deref()
                .is_some_and(|seen| seen.eq_ignore_ascii_case(wanted))
        };
        // The mode may not turn either, whether it was sent or not.
        let mode = self.mode.as_ref().or(self.before.as_ref());
        let mode_kept = mode.is_none_or(|mode| same(mode, &seen.mode));
        if same(self.target, &seen.target) && same(self.enabled, &seen.enabled) && mode_kept {
            let mut facts = alloc::vec![format!("read back: {}", seen.words())];
            facts.extend(
                self.because
                    .iter()
                    .map(|name| format!("quirk applied: {name}")),
            );
            return Ok(facts);
        }
        Err(Trouble::Ignored {
            asked: self.says(),
            seen: seen.words(),
        })
    }
}

/// What is written to take an override back, and whether it is so afterwards.
#[must_use]
pub fn clear_body(boot: &Boot, quirks: &Quirks) -> Value {
    let mut fields = Map::new();
    fields.insert("BootSourceOverrideEnabled".into(), json!("Disabled"));
    // A target of None is refused together with some values, but never where it is listed.
    if boot
        .targets
        .as_ref()
        .is_some_and(|targets| targets.iter().any(|target| target == "None"))
    {
        fields.insert("BootSourceOverrideTarget".into(), json!("None"));
    }
    if let Some(mode) = boot.mode.as_ref().filter(|_| quirks.want(Effect::SendMode)) {
        fields.insert("BootSourceOverrideMode".into(), json!(mode));
    }
    json!({ "Boot": fields })
}

/// Services without `Disabled` are told to boot from disk instead.
#[must_use]
pub fn can_be_cleared(boot: &Boot) -> bool {
    boot.enableds
        .as_ref()
        .is_none_or(|enableds| enableds.iter().any(|enabled| enabled == "Disabled"))
}

/// Whether no override holds any more.
///
/// # Errors
/// [`Trouble::Ignored`] with what is so instead.
pub fn is_cleared(seen: &Boot) -> Result<Vec<String>, Trouble> {
    let nothing = seen
        .enabled
        .as_deref()
        .is_none_or(|enabled| enabled == "Disabled")
        || seen.target.as_deref().is_none_or(|target| target == "None");
    if nothing {
        return Ok(alloc::vec![format!("read back: {}", seen.words())]);
    }
    Err(Trouble::Ignored {
        asked: "take the boot override back".to_string(),
        seen: seen.words(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::too_many_lines)]
    use super::*;
    use crate::answer::Answer;
    use expect_test::{Expect, expect};

    fn boot(json: &str) -> Boot {
        Boot::read(Answer::read(json.as_bytes(), "GET /x", "h").unwrap().top())
    }

    const ALL: &str = r#"{"BootSourceOverrideTarget":"None","BootSourceOverrideEnabled":"Disabled","BootSourceOverrideMode":"Legacy",
        "BootSourceOverrideTarget@Redfish.AllowableValues":["None","Pxe","Cd","UsbCd","Hdd","UefiHttp"],"HttpBootUri":"http://old/"}"#;

    fn check(to: NextBoot, lasting: Lasting, json: &str, manufacturer: &str, expected: Expect) {
        let quirks = Quirks::of(manufacturer, "", "");
        let told = match choose(to, lasting, &boot(json), &quirks) {
            Ok(choice) => format!("{} {:?}", choice.body(), choice.because),
            Err(trouble) => format!("{trouble}"),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn what_is_written_comes_from_what_is_offered() {
        check(
            NextBoot::Network,
            Lasting::Once,
            ALL,
            "",
            expect![[
                r#"{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe","HttpBootUri":null}} []"#
            ]],
        );
        check(
            NextBoot::HttpBoot,
            Lasting::Once,
            ALL,
            "",
            expect![[
                r#"{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI","BootSourceOverrideTarget":"UefiHttp"}} []"#
            ]],
        );
        check(
            NextBoot::VirtualMedia,
            Lasting::Once,
            ALL,
            "Supermicro",
            expect![[
                r#"{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"Legacy","BootSourceOverrideTarget":"UsbCd","HttpBootUri":null}} ["supermicro-usb-cd", "supermicro-mode-reverts"]"#
            ]],
        );
        check(
            NextBoot::VirtualMedia,
            Lasting::Once,
            ALL,
            "Contoso",
            expect![[
                r#"{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd","HttpBootUri":null}} []"#
            ]],
        );
        check(
            NextBoot::HttpBoot,
            Lasting::Continuous,
            ALL,
            "HPE",
            expect!["it does not offer UefiHttp Continuous (known: ilo-post)"],
        );
        check(
            NextBoot::HttpBoot,
            Lasting::Once,
            ALL,
            "Sushy Emulator",
            expect!["it does not offer UefiHttp Once (known: sushy-http-reads-pxe)"],
        );
        let only_once = r#"{"BootSourceOverrideTarget":"None","BootSourceOverrideEnabled@Redfish.AllowableValues":["Once","Disabled"]}"#;
        check(
            NextBoot::Disk,
            Lasting::Continuous,
            only_once,
            "",
            expect!["it does not offer an override that holds Continuous"],
        );
        check(
            NextBoot::Disk,
            Lasting::Once,
            only_once,
            "",
            expect![[
                r#"{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Hdd"}} []"#
            ]],
        );
        check(
            NextBoot::Network,
            Lasting::Once,
            "{}",
            "",
            expect!["it does not offer a boot override"],
        );
        let no_pxe = r#"{"BootSourceOverrideTarget@Redfish.AllowableValues":["Cd"]}"#;
        check(
            NextBoot::Network,
            Lasting::Once,
            no_pxe,
            "",
            expect!["it does not offer booting from Pxe"],
        );
    }

    #[test]
    fn what_is_read_back_is_compared() {
        let quirks = Quirks::of("Supermicro", "", "");
        let before = boot(&ALL.replace("Legacy", "UEFI"));
        let choice = choose(NextBoot::Network, Lasting::Once, &before, &quirks).unwrap();
        let read_back = |target: &str, enabled: &str, mode: &str| {
            let json = format!(
                r#"{{"BootSourceOverrideTarget":"{target}","BootSourceOverrideEnabled":"{enabled}","BootSourceOverrideMode":"{mode}"}}"#
            );
            choice.compare(&boot(&json))
        };
        assert!(read_back("Pxe", "Once", "UEFI").is_ok());
        // The lies that peers have seen.
        for (target, enabled, mode) in [
            ("Pxe", "Disabled", "Legacy"),
            ("Pxe", "Once", "Legacy"),
            ("Pxe", "Continuous", "UEFI"),
            ("None", "Once", "UEFI"),
            ("Hdd", "Once", "UEFI"),
        ] {
            let lie = read_back(target, enabled, mode).unwrap_err();
            assert!(
                matches!(lie, Trouble::Ignored { .. }),
                "{target} {enabled} {mode}"
            );
        }
        assert!(choice.compare(&Boot::default()).is_err());
        assert!(is_cleared(&boot(ALL)).is_ok());
        assert!(is_cleared(&before).is_ok());
        assert!(
            is_cleared(&boot(
                r#"{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Continuous"}"#
            ))
            .is_err()
        );
    }
}
