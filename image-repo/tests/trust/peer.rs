// SPDX-License-Identifier: Apache-2.0
//! minisign reads what we sign, and we read what it signs, with keys of both.

use crate::world::{NOW, World, key, role, root};
use groundstate_api::trust::TrustKey;
use image_core::trust::minisign::{PublicKey, Signature};
use image_core::trust::next;
use image_repo::trust::{Offer, Outcome, SecretKey, SecretKeyError, add_signature};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs minisign in `dir`, with these lines typed; `None` where it is not installed.
fn minisign(dir: &Path, args: &[&str], typed: &str) -> Option<(bool, String)> {
    let child = Command::new("minisign")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(
                std::env::var_os("CI").is_none(),
                "minisign is not installed"
            );
            eprintln!("skipped: minisign is not installed");
            return None;
        }
        child => child.unwrap(),
    };
    // It may have ended without reading.
    let _typed = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let out = child.wait_with_output().unwrap();
    let mut said = String::from_utf8_lossy(&out.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&out.stderr));
    Some((out.status.success(), said))
}

#[test]
fn minisign_verifies_our_signatures_and_no_other_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("document");
    for length in [0usize, 1, 127, 128, 129, 4_096, 100_000] {
        let bytes: Vec<u8> = (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        std::fs::write(&document, &bytes).unwrap();
        let text = key(3).sign(&bytes, "timestamp:1795350614\tby groundstate");
        std::fs::write(dir.path().join("document.minisig"), text).unwrap();
        let public = key(3).public();
        let args = ["-V", "-m", "document", "-P", &public];
        let Some((good, said)) = minisign(dir.path(), &args, "") else {
            return;
        };
        assert!(good, "{length}: {said}");
        assert!(said.contains("by groundstate"), "{said}");
        std::fs::write(&document, [&bytes[..], b"x"].concat()).unwrap();
        assert!(!minisign(dir.path(), &args, "").unwrap().0, "{length}");
    }
}

#[test]
fn minisign_uses_our_keys() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("ours.key"), key(4).file_without_password()).unwrap();
    std::fs::write(at("ours.pub"), key(4).public_file()).unwrap();
    std::fs::write(at("document"), "text").unwrap();
    let Some((good, said)) = minisign(dir.path(), &["-S", "-s", "ours.key", "-m", "document"], "")
    else {
        return;
    };
    assert!(good, "{said}");
    let text = std::fs::read_to_string(at("document.minisig")).unwrap();
    let public = PublicKey::parse(&key(4).public_file()).unwrap();
    assert!(Signature::parse(&text).unwrap().is_of(&public, b"text"));
    let args = ["-V", "-p", "ours.pub", "-m", "document"];
    assert!(minisign(dir.path(), &args, "").unwrap().0);
}

#[test]
fn a_document_is_signed_elsewhere_by_minisign_and_added() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let args = ["-G", "-W", "-p", "their.pub", "-s", "their.key"];
    let Some((good, said)) = minisign(dir.path(), &args, "") else {
        return;
    };
    assert!(good, "{said}");
    let public = std::fs::read_to_string(at("their.pub")).unwrap();
    let public = PublicKey::parse(&public).unwrap();
    let mut two = root(1);
    two.keys.push(TrustKey {
        id: public.id,
        key: public.text(),
        comment: "somebody elsewhere".into(),
    });
    two.roles.images = role(&[3], 2);
    two.roles.images.keys.push(public.id);
    let world = World::with_root(&two);
    let image = world.import("debian", "1");
    let statement = Offer::Image(next::statement(&image, NOW, None));
    world.put(&statement, &[3]).unwrap();
    std::fs::write(at("statement.json"), statement.document()).unwrap();
    let signed = minisign(
        dir.path(),
        &["-S", "-s", "their.key", "-m", "statement.json"],
        "",
    );
    assert!(signed.unwrap().0);
    let text = std::fs::read_to_string(at("statement.json.minisig")).unwrap();
    let (_, outcome) = add_signature(&world.repository, &world.pin, NOW, &text).unwrap();
    assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    world.promote(&image, NOW, &[5]);
    assert_eq!(world.resolve(NOW).unwrap().signers.len(), 2);
    // Its secret key signs here, too.
    let secret = std::fs::read_to_string(at("their.key")).unwrap();
    assert_eq!(SecretKey::is_behind_password(&secret), Ok(false));
    let secret = SecretKey::open(&secret, None).unwrap();
    assert_eq!((secret.id(), secret.public()), (public.id, public.text()));
    // The old kind of signature is refused by name.
    let old = minisign(
        dir.path(),
        &["-S", "-l", "-s", "their.key", "-m", "statement.json"],
        "",
    );
    assert!(old.unwrap().0);
    let text = std::fs::read_to_string(at("statement.json.minisig")).unwrap();
    let refused = add_signature(&world.repository, &world.pin, NOW, &text).unwrap_err();
    assert!(refused.to_string().contains("not prehashed"), "{refused}");
}

#[test]
fn a_key_behind_a_password_opens_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["-G", "-p", "p.pub", "-s", "p.key"];
    let Some((good, said)) = minisign(dir.path(), &args, "correct horse\ncorrect horse\n") else {
        return;
    };
    assert!(good, "{said}");
    let text = std::fs::read_to_string(dir.path().join("p.key")).unwrap();
    assert_eq!(SecretKey::is_behind_password(&text), Ok(true));
    let opened = SecretKey::open(&text, None);
    assert_eq!(opened.unwrap_err(), SecretKeyError::PasswordNeeded);
    let secret = SecretKey::open(&text, Some(b"correct horse")).unwrap();
    let public = std::fs::read_to_string(dir.path().join("p.pub")).unwrap();
    assert_eq!(PublicKey::parse(&public).unwrap().text(), secret.public());
}
