// SPDX-License-Identifier: Apache-2.0
//! What is refused on its way out, onto a disk: by the signatures, by the manifest, by the stored bytes, by the disk.

use super::{Bench, said};
use groundstate_api::Digest;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

/// The disk that nothing may be written to: a file with bytes of somebody else's in it.
const DISK: &str = "disk.img";
/// Where the bytes of a sealed target begin and end that are compared where writing may have begun: its first sector and its
/// partition table.
const HEAD: usize = 1 << 20;

/// A repository with a signed image in two versions, the newer one on the channel `stable`.
fn signed() -> Bench {
    let bench = Bench::new();
    let noise: Vec<u8> = (0..24u32 << 20)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    bench.write("noise", &noise);
    bench.shell(
        "truncate -s 32M one.raw; sgdisk -n 1:2048:0 one.raw; dd if=noise of=one.raw bs=1M seek=2 count=20 conv=notrunc status=none; \
         cp one.raw two.raw; printf changed | dd of=two.raw bs=1M seek=9 conv=notrunc status=none",
    );
    for key in ["me", "other"] {
        let (public, secret) = (format!("{key}.pub"), format!("{key}.key"));
        bench.tool("minisign", &["-G", "-W", "-p", &public, "-s", &secret]);
    }
    bench.done(&["trust", "init", "--key", "me.pub", "--yes"]);
    for version in ["1", "2"] {
        let file = if version == "1" { "one.raw" } else { "two.raw" };
        let import = [
            "import",
            file,
            "--format",
            "raw",
            "--name",
            "lab",
            "--version",
            version,
        ];
        bench.done(&import);
        bench.done(&["sign", "lab", version, "--key", "me.key", "--yes"]);
    }
    bench.done(&[
        "promote",
        "lab",
        "1",
        "--channel",
        "stable",
        "--key",
        "me.key",
        "--yes",
    ]);
    bench.done(&[
        "promote",
        "lab",
        "2",
        "--channel",
        "stable",
        "--key",
        "me.key",
        "--yes",
    ]);
    bench.write(DISK, vec![0x5a; 40 << 20]);
    bench
}

impl Bench {
    fn deploy(&self, image: &str, more: &[&str]) -> Output {
        let mut words = vec!["write", image, DISK, "--yes"];
        words.extend(more);
        self.run(&words)
    }

    /// It is refused, in these words, and the disk is as it was.
    fn refused(&self, class: &str, image: &str, more: &[&str], says: &[&str]) {
        let before = Digest::of(&self.read(DISK));
        let out = self.deploy(image, more);
        let text = said(&out);
        assert!(!out.status.success(), "{class}: it was deployed: {text}");
        for word in says {
            assert!(text.contains(word), "{class}: {word:?} is not said: {text}");
        }
        assert_eq!(
            Digest::of(&self.read(DISK)),
            before,
            "{class}: the disk is another"
        );
    }

    fn images(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.at("state/images").join(folder)];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// A copy of what is signed, to be put back later.
    fn keep(&self, name: &str) {
        self.shell(&format!("rm -rf {name}; cp -a state/images/trust {name}"));
    }

    fn put_back(&self, name: &str) {
        self.shell(&format!(
            "rm -rf state/images/trust; cp -a {name} state/images/trust"
        ));
    }
}

#[test]
fn what_is_not_signed_as_it_must_be_touches_no_disk() {
    let bench = signed();
    bench.keep("good");
    // Right as it is: what follows is refused for its own reason.
    let out = bench.deploy("lab@stable", &["--no-read-back"]);
    assert!(out.status.success(), "{}", said(&out));
    bench.write(DISK, vec![0x5a; 40 << 20]);

    bench.done(&[
        "import",
        "one.raw",
        "--format",
        "raw",
        "--name",
        "bare",
        "--version",
        "1",
    ]);
    bench.refused("unsigned", "bare", &[], &["sign"]);
    bench.refused("no such channel", "bare@stable", &[], &[]);

    // The statement of one image beside another.
    let plain: Vec<PathBuf> = bench
        .images("trust/images")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    assert_eq!(plain.len(), 2, "{plain:?}");
    let (one, two) = (fs::read(&plain[0]).unwrap(), fs::read(&plain[1]).unwrap());
    fs::write(&plain[0], &two).unwrap();
    fs::write(&plain[1], &one).unwrap();
    bench.refused("mix and match", "lab@stable", &[], &[]);
    bench.put_back("good");

    // Every signature by somebody else's key.
    bench.shell(
        "for f in $(find state/images/trust -name '*.minisig'); do \
         minisign -S -s other.key -m ${f%.*.minisig} -x $f >/dev/null; done",
    );
    bench.refused("another key", "lab@stable", &[], &[]);
    bench.put_back("good");

    // No signature at all.
    bench.shell("find state/images/trust -name '*.minisig' -delete");
    bench.refused("signatures are gone", "lab@stable", &[], &[]);
    bench.put_back("good");

    // One flipped bit in each document that counts, and in each signature.
    let in_force = newest(&bench, "2");
    for path in bench.images("trust") {
        let name = path.to_string_lossy().into_owned();
        if !name.contains("catalogue/2.json") && !name.contains(&in_force) {
            continue;
        }
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        bench.refused(&format!("one bit of {name}"), "lab@stable", &[], &[]);
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn what_was_believed_once_is_not_believed_for_ever() {
    let bench = signed();
    // An older catalogue, after a newer one was seen.
    bench.keep("old");
    bench.done(&["promote", "--renew", "--key", "me.key", "--yes"]);
    let out = bench.deploy("lab@stable", &["--no-read-back"]);
    assert!(out.status.success(), "{}", said(&out));
    bench.write(DISK, vec![0x5a; 40 << 20]);
    bench.keep("new");
    bench.put_back("old");
    bench.refused("rolled back", "lab@stable", &[], &[]);
    bench.put_back("new");

    bench.done(&[
        "revoke",
        "lab",
        "2",
        "--why",
        "it is broken",
        "--key",
        "me.key",
        "--yes",
    ]);
    bench.refused("revoked image", "lab@stable", &[], &["it is broken"]);
    bench.refused("revoked image by name", "lab", &[], &["it is broken"]);
}

/// The digest of a version's manifest, as files are named by it.
fn newest(bench: &Bench, version: &str) -> String {
    let shown = bench.done(&["show", &format!("lab:{version}"), "--json"]);
    let at = shown.find("sha256:").unwrap() + "sha256:".len();
    shown[at..at + 64].to_owned()
}

#[test]
fn a_damaged_repository_leaves_no_disk_that_boots() {
    let bench = signed();
    let write = &["--allow-unsigned"][..];
    // What the repository has of the manifest.
    for path in bench.images("manifests") {
        if !path.to_string_lossy().contains(&newest(&bench, "2")) {
            continue;
        }
        let good = fs::read(&path).unwrap();
        let deep = "[".repeat(10_000);
        let longer = [&good[..], b" "].concat();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for (class, bad) in [
            ("a manifest with one bit flipped", &flipped[..]),
            ("a manifest of depth 10,000", deep.as_bytes()),
            ("a manifest that is longer", &longer),
            ("a manifest that is shorter", &good[..good.len() - 40]),
            ("a manifest of no bytes", b""),
        ] {
            fs::write(&path, bad).unwrap();
            bench.refused(class, "lab", write, &[]);
            bench.refused(class, "lab@stable", &[], &[]);
        }
        fs::write(&path, &good).unwrap();
    }
    // What it has of the chunks: the disk may have been begun, and nothing on it boots.
    let chunks = bench.images("chunks");
    let path = &chunks[chunks.len() / 2];
    let good = fs::read(path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for (class, bad) in [
        ("a chunk with one bit flipped", Some(&flipped[..])),
        ("a chunk that is shorter", Some(&good[..good.len() - 1])),
        ("a chunk of no bytes", Some(&b""[..])),
        ("a chunk that is gone", None),
    ] {
        match bad {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        bench.write(DISK, vec![0x5a; 40 << 20]);
        let out = bench.deploy("lab", write);
        assert!(!out.status.success(), "{class}: {}", said(&out));
        let head = bench.read(DISK)[..HEAD].to_vec();
        let untouched = head.iter().all(|byte| *byte == 0x5a);
        let nothing_boots = head.iter().all(|byte| *byte == 0);
        assert!(
            untouched || nothing_boots,
            "{class}: there is something at the disk's head"
        );
        fs::write(path, &good).unwrap();
    }
    bench.write(DISK, vec![0x5a; 40 << 20]);
    let out = bench.deploy("lab", write);
    assert!(out.status.success(), "healed: {}", said(&out));
}

#[test]
fn a_disk_that_does_not_fit_is_not_touched() {
    let bench = signed();
    bench.write(DISK, vec![0x5a; 16 << 20]);
    bench.refused("too small", "lab@stable", &[], &["16"]);
    bench.write(DISK, vec![0x5a; 40 << 20]);
    bench.refused(
        "other sectors",
        "lab@stable",
        &["--sector-size", "4096"],
        &["4096", "512"],
    );
}
