// SPDX-License-Identifier: Apache-2.0
//! Signing, promoting and revoking as people type them, on several machines, with keys of minisign's form.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::trust::KeyId;
use image_repo::trust::SecretKey;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

struct Machine(TempDir);

impl Machine {
    /// With secret keys a, b, c (`a.key`, `a.pub`) and two raw disks.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (number, name) in (1u8..).zip(["a", "b", "c"]) {
            let key = SecretKey::of(KeyId(0x0A00 + u64::from(number)), &[number; 32]);
            let at = |ending: &str| dir.path().join(format!("{name}.{ending}"));
            std::fs::write(at("key"), key.file_without_password()).unwrap();
            std::fs::write(at("pub"), key.public_file()).unwrap();
        }
        for version in ["1", "2"] {
            let bytes = format!("disk {version} ").repeat(64 * 1024);
            std::fs::write(dir.path().join(format!("{version}.raw")), bytes).unwrap();
        }
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn image(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_groundstate"))
            .arg("image")
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("GROUNDSTATE_STATE_DIR", "state")
            .output()
            .unwrap()
    }

    fn done(&self, line: &str) -> String {
        let output = self.image(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        let said = self.done(&format!("{line} --json"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}"))
    }

    fn fails(&self, line: &str) -> String {
        let output = self.image(line);
        assert!(!output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn import_both(&self) {
        for version in ["1", "2"] {
            self.done(&format!(
                "import {version}.raw --format raw --name debian --version {version} --json"
            ));
        }
    }
}

#[test]
fn one_person_signs_promotes_and_revokes() {
    let here = Machine::new();
    here.import_both();
    let said = here.fails("sign debian 1 --key a.key");
    assert!(said.contains("no trust root is pinned"), "{said}");
    let said = here.done("trust init --key a.pub");
    assert!(
        said.contains("1 of 0000000000000A01") && said.contains("pinned"),
        "{said}"
    );
    assert!(
        here.fails("trust init --key b.pub")
            .contains("pinned already")
    );

    assert!(
        here.fails("verify debian@stable")
            .contains("no signed catalogue")
    );
    let said = here.fails("promote debian 1 --channel stable --key a.key");
    assert!(said.contains("is not signed"), "{said}");
    let said = here.done("sign debian 1 --key a.key --dry-run");
    assert!(
        said.contains("debian 1") && said.contains("sha256:"),
        "{said}"
    );
    assert!(
        here.fails("promote debian 1 --channel stable --key a.key")
            .contains("not signed")
    );
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key a.key --expires 7d");
    let said = here.done("verify debian@stable");
    for wants in [
        "every byte",
        "signed by  0000000000000A01",
        "debian@stable, until",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    assert_eq!(
        here.json("verify debian@stable")["signed"]["signers"][0],
        "0000000000000A01"
    );
    let said = here.fails("verify debian 2");
    assert!(
        said.contains("is not signed; 1 signature is needed"),
        "{said}"
    );
    assert!(said.contains("image sign debian 2 --key"), "{said}");
    assert!(!said.contains("deployed"), "{said}");
    here.done("verify debian 2 --allow-unsigned");
}

/// What is there, what is missing, and the command.
#[test]
fn an_image_that_is_signed_and_not_promoted_says_so_with_the_next_command() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    assert!(here.done("channels").starts_with("no channels; "));
    assert_eq!(here.json("channels"), serde_json::Value::Null);
    here.done("sign debian 1 --key a.key");
    let said = here.done("verify debian 2 --allow-unsigned");
    assert!(
        said.contains(
            "signed     no: debian 2 is not believed: the statement of the image is not signed"
        ),
        "{said}"
    );
    for line in ["verify debian 1", "write debian 1 x.img --size 100MiB"] {
        let said = here.fails(line);
        for wants in [
            "debian 1 is signed (by 0000000000000A01)",
            "nothing was promoted yet",
            "do now:    groundstate image promote debian 1 --channel stable --key SECRET",
        ] {
            assert!(said.contains(wants), "{wants}: {said}");
        }
    }
    let said = here.fails("verify debian@beta");
    assert!(
        said.contains("image promote debian VERSION --channel beta --key SECRET"),
        "{said}"
    );
    assert_eq!(here.json("ls")[0]["signed"]["state"], "signed");
    here.done("promote debian 1 --channel stable --key a.key --expires 7d");
    let said = here.fails("verify debian@beta");
    assert!(
        said.contains("channels: debian@stable")
            && said.contains("image promote debian VERSION --channel beta"),
        "{said}"
    );
}

#[test]
fn a_channel_steps_back_only_when_that_is_said_and_never_to_what_is_revoked() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key a.key --expires 7d");
    here.done("sign debian 2 --key a.key --expires 1y");
    here.done("promote debian 2 --channel stable --key a.key");
    let said = here.fails("promote debian 1 --channel stable --key a.key");
    assert!(said.contains("--step-back"), "{said}");
    here.done("revoke debian 2 --why CVE-2026-1 --key a.key");
    let said = here.fails("verify debian@stable");
    assert!(
        said.contains("CVE-2026-1") && said.contains("image-revoked"),
        "{said}"
    );
    let refused = here.image("promote debian 2 --channel stable --key a.key");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    for wants in ["was revoked", "image-revoked", "promote another version"] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    here.done("promote debian 1 --channel stable --step-back --key a.key");
    here.done("verify debian@stable");
    here.done("promote --renew --expires 60d --key a.key");
    let said = here.done("channels");
    for wants in [
        "catalogue 5",
        "debian@stable",
        "stepped back",
        "revoked image",
        "signed by",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    assert_eq!(here.json("channels")["sequence"], 5);
    assert_eq!(here.json("ls")[0]["signed"]["state"], "signed");
}

/// Right bytes make nothing right that its signers took back; what nobody signed says why in JSON, too.
#[test]
fn what_was_revoked_is_in_order_for_nobody() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key a.key");
    let unsigned = here.json("verify debian 2 --allow-unsigned");
    assert_eq!(unsigned["signed"], Value::Null);
    let why = unsigned["why"].as_str().unwrap();
    assert!(why.contains("is not signed"), "{why}");
    assert_eq!(here.json("verify debian 1").get("why"), None);
    here.done("revoke debian 1 --why CVE-2026-2 --key a.key");
    for line in [
        "verify debian 1",
        "verify debian 1 --allow-unsigned",
        "verify debian 1 --allow-unsigned --json",
    ] {
        let refused = here.image(line);
        assert_eq!(refused.status.code(), Some(3), "{line}: {refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("image-revoked"), "{line}: {said}");
    }
    let said = here.done("show debian 1");
    let rows: Vec<&str> = said.lines().collect();
    let signed = rows.iter().position(|row| row.starts_with("  signed "));
    let why = signed.and_then(|at| rows.get(at + 1)).unwrap();
    assert!(why.contains("CVE-2026-2"), "{said}");
}

/// What `rm` refuses it says the way out of, and the way ends.
#[test]
fn a_signed_image_goes_by_the_commands_that_are_said() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    for version in ["1", "2"] {
        here.done(&format!("sign debian {version} --key a.key"));
    }
    let said = here.fails("rm debian 1");
    for wants in [
        "debian 1 stays: it is signed",
        "image revoke debian 1 --why TEXT --key SECRET; groundstate image rm debian 1",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    assert!(!said.contains("promote"), "{said}");
    here.done("promote debian 1 --channel stable --key a.key");
    let said = here.fails("rm debian 1");
    for wants in [
        "debian@stable stands for it, and it is signed",
        "in this order: groundstate image promote debian OTHER_VERSION --channel stable --key SECRET; groundstate image revoke",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    here.done("revoke debian 1 --why CVE-2026-3 --key a.key");
    let said = here.fails("rm debian 1");
    assert!(
        said.contains("debian@stable stands for it") && !said.contains("signed"),
        "{said}"
    );
    here.done("promote debian 2 --channel stable --key a.key");
    here.done("rm debian 1");
    // To be signed it was read, and what was read is leased for a day.
    let kept = here.json("gc --grace 0 --yes");
    assert_eq!(kept["removed_manifests"], 0, "{kept}");
    assert_eq!(kept["leased"][0]["image"], "debian 1", "{kept}");
    let said = here.done("gc --grace 0 --yes");
    assert!(
        said.lines()
            .any(|line| line.starts_with("leased until 20") && line.ends_with(": debian 1")),
        "{said}"
    );
    std::fs::remove_dir_all(here.path().join("state/images/leases")).unwrap();
    let freed = here.json("gc --grace 0 --yes");
    assert_eq!(freed["removed_manifests"], 1, "{freed}");
    here.done("verify debian@stable");
}

/// Revoking what a channel stands for leaves a channel that gives nothing: that is said there, then and afterwards.
#[test]
fn a_channel_of_a_revoked_image_says_so() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key a.key");
    let said = here.done("channels");
    assert!(!said.contains("REVOKED"), "{said}");
    assert_eq!(here.json("channels")["channels"][0]["revoked"], false);
    let next = "do now: promote another version to debian@stable";
    let said = here.done("revoke debian 2 --why CVE-2026-4 --key a.key");
    assert!(
        said.contains("revoked image debian 2, ") && !said.contains("do now"),
        "{said}"
    );
    let dry = here.done("revoke debian 1 --why CVE-2026-5 --key a.key --dry-run");
    assert!(
        dry.contains("REVOKED, gives nothing") && !dry.contains("do now"),
        "{dry}"
    );
    let output = here.image("revoke debian 1 --why CVE-2026-5 --key a.key --json");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["state"], "placed");
    let beside = String::from_utf8(output.stderr).unwrap();
    assert!(beside.contains(next), "{beside}");
    // Once more changes nothing, and says the same.
    let said = here.done("revoke debian 1 --why again --key a.key");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with(next), "{said}");
    let said = here.done("channels");
    for wants in ["REVOKED, gives nothing", "revoked image debian 1, "] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    let channels = here.json("channels");
    assert_eq!(channels["channels"][0]["revoked"], true, "{channels}");
    assert_eq!(channels["revoked"][1]["image"], "debian 1", "{channels}");
    // Whoever publishes it hears so before anything is sent: the bucket is not there.
    std::fs::write(
        here.path().join("bucket.toml"),
        "endpoint = \"http://127.0.0.1:1\"\nbucket = \"images\"\ncredentials = \"./s3.key\"\n",
    )
    .unwrap();
    let key = here.path().join("s3.key");
    std::fs::write(&key, "aws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    for what in ["debian 1", "--channels"] {
        let said = here.fails(&format!("publish {what} --s3 bucket.toml"));
        assert!(said.contains("WARNING: debian 1 is revoked"), "{said}");
    }
    here.done("sign debian 2 --key a.key");
    let refused = here.image("promote debian 2 --channel stable --key a.key");
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
}

/// A key that is revoked takes with it what it alone has signed: the channel says so, and what to do.
#[test]
fn a_channel_whose_image_only_a_revoked_key_signed_says_so() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub --key b.pub");
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key b.key");
    assert_eq!(
        here.json("channels")["channels"][0]["gives_nothing"],
        Value::Null
    );
    let key = std::fs::read_to_string(here.path().join("a.pub")).unwrap();
    let id = key
        .split_whitespace()
        .find(|word| word.len() == 16)
        .unwrap();
    let said = here.done(&format!("revoke --key-id {id} --why lost --key b.key"));
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("do now: sign debian 1 with another key")
            && last.ends_with("is signed by a key that is revoked"),
        "{said}"
    );
    let said = here.done("channels");
    assert!(said.contains("debian@stable gives nothing: "), "{said}");
    let channels = here.json("channels");
    let why = channels["channels"][0]["gives_nothing"].as_str().unwrap();
    assert!(why.contains("revoked"), "{channels}");
    assert_eq!(channels["channels"][0]["revoked"], false);
    here.done("sign debian 1 --key b.key");
    let said = here.done("channels");
    assert!(!said.contains("gives nothing"), "{said}");
    here.done("verify debian@stable");
}

#[test]
fn two_of_three_sign_each_on_their_own_machine() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub --key b.pub --key c.pub --threshold 2 --out root.json");
    let waits = here.json("sign debian 1 --key a.key");
    assert_eq!(
        (&waits["state"], &waits["have"], &waits["needed"]),
        (&"waits".into(), &1.into(), &2.into())
    );
    // b is elsewhere and has only the file.
    let there = Machine::new();
    std::fs::copy(
        waits["path"]
            .as_str()
            .map(|path| here.path().join(path))
            .unwrap(),
        there.path().join("statement.json"),
    )
    .unwrap();
    let signed = there.json("trust sign statement.json --key b.key");
    assert_eq!(
        signed["signatures"],
        serde_json::json!(["statement.json.0000000000000A02.minisig"])
    );
    let said = there.done("trust sign statement.json --key b.key");
    assert!(
        said.contains("debian 1") && said.contains("statement.json.0000000000000A02.minisig"),
        "{said}"
    );
    let name = "statement.json.0000000000000A02.minisig";
    std::fs::copy(there.path().join(name), here.path().join(name)).unwrap();
    assert!(
        here.done("trust show")
            .contains("waits: the signature of debian 1 with 1 signatures")
    );
    assert!(
        here.done(&format!("sign --add-signature {name}"))
            .contains("holds now")
    );
    // The same command typed by the second person signs the same bytes.
    here.done("promote debian 1 --channel stable --key a.key --out catalogue.json");
    for line in ["verify debian@stable", "verify debian 1"] {
        let said = here.fails(line);
        for wants in [
            "the first one waits for signatures",
            "do now:    groundstate image trust show",
        ] {
            assert!(said.contains(wants), "{wants}: {said}");
        }
    }
    let said = here.fails("revoke --key-id A03 --why lost --key a.key");
    assert!(said.contains("waits for signatures already"), "{said}");
    here.done("promote debian 1 --channel stable --key c.key");
    here.done("verify debian@stable");
    // Other people's machine: pins the root, has the repository.
    let root = there.path().join("root.json");
    std::fs::copy(here.path().join("root.json"), root).unwrap();
    assert_eq!(there.json("trust pin root.json")["version"], 1);
    let said = here.fails("trust pin a.pub");
    assert!(said.contains("pinned") || said.contains("not"), "{said}");
    // Rotation: c goes, needs two of the old ones.
    here.done("trust rotate --remove-key A03 --key a.key");
    assert!(here.done("trust show").contains("waits: trust root 2"));
    here.done("trust rotate --remove-key A03 --key b.key");
    let said = here.done("trust show");
    assert!(
        said.contains("trust root 2") && !said.contains("A03"),
        "{said}"
    );
    // c's signature on the catalogue counts no more.
    let said = here.fails("verify debian@stable");
    assert!(said.contains("1 of the 2 keys"), "{said}");
    here.done("promote --renew --key a.key --key b.key");
    here.done("verify debian@stable");
}

#[test]
fn a_restored_repository_is_refused_and_brought_up_by_promoting() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub");
    here.done("sign debian 1 --key a.key");
    here.done("promote debian 1 --channel stable --key a.key");
    here.done("sign debian 2 --key a.key");
    here.done("promote debian 2 --channel stable --key a.key");
    here.done("verify debian@stable");
    let newest = here.path().join("state/images/trust/catalogue/2.json");
    std::fs::remove_file(newest).unwrap();
    let said = here.fails("verify debian@stable");
    assert!(said.contains("rolled it back"), "{said}");
    // The newest is lost: everything is promoted once more, on top of what was seen.
    here.done("promote debian 2 --channel stable --key a.key");
    here.done("verify debian@stable");
    assert_eq!(here.json("channels")["sequence"], 3);
}

#[test]
fn wrong_keys_and_words_are_refused() {
    let here = Machine::new();
    here.import_both();
    here.done("trust init --key a.pub --image-key b.pub");
    let said = here.fails("sign debian 1 --key a.key");
    assert!(said.contains("may not sign"), "{said}");
    here.done("sign debian 1 --key b.key");
    let said = here.fails("promote debian 1 --channel stable --key b.key");
    assert!(said.contains("may not sign"), "{said}");
    for (line, wants) in [
        ("promote debian 1 --channel Stable --key a.key", "--channel"),
        (
            "promote debian 1 --channel stable --key a.key --expires 30",
            "should be a number and h, d, w or y",
        ),
        ("revoke --key-id XYZ --why x --key a.key", "hexadecimal"),
        ("sign debian 9 --key b.key", "no version 9"),
        ("sign debian 1 --key a.pub", "no secret key"),
        ("trust sign 1.raw --key a.key", "1.raw"),
        ("trust add-signature a.pub", "no signature file"),
        ("trust init --key nobody.pub --yes", "neither a public key"),
    ] {
        let said = here.fails(line);
        assert!(said.contains(wants), "{line}: {said}");
    }
}
