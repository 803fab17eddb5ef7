// SPDX-License-Identifier: Apache-2.0
//! T5: a boot image that somebody changed on the way. We do not sign it; a site that signs ours with its own key, and has
//! that key in its machines' firmware, is protected by the check that UEFI makes (Authenticode, as `sbverify` makes it).

use super::*;
use groundstate_api::SCHEMA;
use std::fs;
use std::process::Command;

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// Whether what the test needs is there. Where everything must be tried, it has to be.
fn has_tools() -> bool {
    let runs = |program: &str, says: &str| Command::new(program).arg(says).output().is_ok();
    let missing: Vec<&str> = [
        ("systemd-boot-efi", Path::new(STUB).exists()),
        ("sbsigntool", runs("sbsign", "--version")),
        ("openssl", runs("openssl", "version")),
    ]
    .into_iter()
    .filter(|(_, there)| !there)
    .map(|(package, _)| package)
    .collect();
    assert!(
        missing.is_empty() || std::env::var_os("CI").is_none(),
        "packages are missing: {missing:?}"
    );
    if !missing.is_empty() {
        eprintln!("skipped: packages are missing: {missing:?}");
    }
    missing.is_empty()
}

/// Runs a program in a folder; whether it succeeded, and what it complains of.
fn run(folder: &Path, line: &str) -> (bool, String) {
    let mut words = line.split(' ');
    let out = Command::new(words.next().unwrap())
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.success(), said)
}

/// A key with its certificate: NAME.key, NAME.crt.
fn make_key(folder: &Path, name: &str) {
    let line = format!(
        "openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}/ -keyout {name}.key -out {name}.crt"
    );
    let (done, said) = run(folder, &line);
    assert!(done, "{said}");
}

/// The product's image of small parts; its bytes, and where its sections lie.
fn image(folder: &Path) -> (Vec<u8>, Vec<(String, std::ops::Range<usize>)>) {
    let parts = folder.join("parts");
    fs::create_dir(&parts).unwrap();
    for (name, bytes) in [
        ("vmlinuz", &[0xa5; 70_001][..]),
        ("initrd.base", &[7; 4_099]),
        ("undionly.kpxe", b"bios"),
        ("snponly.efi", b"uefi"),
        ("cmdline", b"console=ttyS0 quiet\n"),
        ("uname", b"6.1.0-amd64\n"),
    ] {
        fs::write(parts.join(name), bytes).unwrap();
    }
    fs::copy(STUB, parts.join("linuxx64.efi.stub")).unwrap();
    let config = BootConfig {
        schema: SCHEMA,
        site: "rack".to_owned(),
        provisioner: "https://10.77.0.1:8443".to_owned(),
        others: Vec::new(),
        ca_pem: "the site's CA".to_owned(),
    };
    let assets = Assets::read(&parts).unwrap();
    assemble(&assets, &config, folder).unwrap();
    let bytes = fs::read(folder.join(UKI)).unwrap();
    let places = uki::sections(&bytes).unwrap();
    (bytes, places)
}

#[test]
fn t5_a_signed_boot_image_is_refused_after_one_flipped_byte_anywhere() {
    if !has_tools() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let (unsigned, places) = image(folder);
    make_key(folder, "site");
    make_key(folder, "other");
    let sign = format!("sbsign --key site.key --cert site.crt --output signed.efi {UKI}");
    let (done, said) = run(folder, &sign);
    assert!(done, "{said}");
    // Firmware and signer would count the bytes of a gap differently.
    assert!(!said.contains("gap"), "{said}");
    let verifies = |bytes: &[u8], by: &str| {
        fs::write(folder.join("sent.efi"), bytes).unwrap();
        run(folder, &format!("sbverify --cert {by}.crt sent.efi")).0
    };
    let signed = fs::read(folder.join("signed.efi")).unwrap();
    assert!(verifies(&signed, "site"));
    assert!(!verifies(&signed, "other"), "by another key");
    assert!(!verifies(&unsigned, "site"), "without a signature");
    let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
    for name in [".osrel", ".cmdline", ".uname", ".initrd", ".linux", ".text"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // The first and the last byte of every section, the table that names them, and a hundred more from the first to the
    // last. The checksum and the place of the signature, which it cannot cover, are not among them.
    let mut flipped = 0;
    let table = signed.windows(8).position(|w| w == b".linux\0\0").unwrap();
    let ends = places.iter().filter(|(_, place)| !place.is_empty());
    let ends = ends.flat_map(|(name, place)| [(name.as_str(), place.start), (name, place.end - 1)]);
    let pe = usize::from(unsigned[0x3c]) | usize::from(unsigned[0x3d]) << 8;
    let open = [pe + 88..pe + 92, pe + 168..pe + 176];
    let all = (0..unsigned.len()).step_by(unsigned.len() / 100);
    let all = all.filter(|at| !open.iter().any(|open| open.contains(at)));
    let all = all.map(|at| ("somewhere", at));
    for (name, at) in ends.chain([("the table", table)]).chain(all) {
        assert_eq!(
            signed[at], unsigned[at],
            "{name}: the signature lies behind"
        );
        let mut sent = signed.clone();
        sent[at] ^= 1;
        assert!(!verifies(&sent, "site"), "{name}, byte {at}");
        flipped += 1;
    }
    assert!(flipped >= 100, "{flipped}");
    // A boot image of another site does not pass for ours: what was signed is the whole of it.
    let mut other = signed.clone();
    let json = br#""site": "rack""#;
    let at = other.windows(json.len()).position(|w| w == json).unwrap();
    other[at + 9..at + 13].copy_from_slice(b"evil");
    assert!(!verifies(&other, "site"));
}
