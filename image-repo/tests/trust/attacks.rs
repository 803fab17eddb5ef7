// SPDX-License-Identifier: Apache-2.0
//! The attacks, one by one: what an attacker who owns the repository's disk can do, and why it is refused.

use crate::world::{DAY, NOW, World, key, role, root, stable};
use groundstate_api::trust::{KeyId, RevokedPart, Signed, SignedStatus, TrustKey};
use groundstate_api::{Millis, ReasonCode};
use image_core::trust::limits::{CATALOGUE_MAX, ROOT_LIFE};
use image_core::trust::{TrustError, advance, canonical, check_root, next, signers};
use image_repo::GcRules;
use image_repo::trust::{Offer, Outcome, TrustedBy, resolve, status};
use std::time::Duration;

#[test]
fn a_channel_gives_the_image_that_was_promoted() {
    let world = World::new();
    let verified = world.resolve(NOW).unwrap();
    assert_eq!(verified.image, world.image("1"));
    assert_eq!(verified.signers, [KeyId(3)]);
    world.promote(&world.image("2"), NOW, &[6]);
    assert_eq!(world.resolve(NOW).unwrap().image, world.image("2"));
    let known = status(&world.repository, &world.image("2"), &world.pin, NOW);
    assert!(
        matches!(&known, SignedStatus::Signed { channels, .. } if *channels == ["stable"]),
        "{known:?}"
    );
    let live = world.repository.trusted_manifests().unwrap();
    assert!(live.contains_key(&world.image("1").manifest) && live.len() == 2);
}

#[test]
fn what_is_revoked_is_cleared_away_once_no_channel_stands_for_it() {
    let world = World::new();
    let one = world.image("1");
    let by = |world: &World| {
        let mut all = world.repository.trusted_manifests().unwrap();
        all.remove(&one.manifest)
    };
    let named = |is_signed, channels: &[&str]| {
        Some(TrustedBy {
            is_signed,
            channels: channels.iter().map(ToString::to_string).collect(),
        })
    };
    assert_eq!(by(&world), named(true, &["stable"]));
    let part = RevokedPart::Manifest(one.manifest);
    let revoked = next::revoked(world.next(NOW), part, "CVE".into());
    world.publish(&revoked, &[5]);
    assert_eq!(by(&world), named(false, &["stable"]));
    world.promote(&world.image("2"), NOW, &[5]);
    assert_eq!(by(&world), None);
    let rules = GcRules {
        grace: Duration::ZERO,
        ..GcRules::default()
    };
    assert_eq!(world.repository.gc(&rules).unwrap().removed_manifests, 0);
    world.repository.remove("debian", "1").unwrap();
    assert_eq!(world.repository.gc(&rules).unwrap().removed_manifests, 1);
    // What is only signed stays without a name, too.
    let three = world.import("debian", "3");
    world.sign_image(&three, &[3]);
    world.repository.remove("debian", "3").unwrap();
    assert_eq!(world.repository.gc(&rules).unwrap().removed_manifests, 0);
}

#[test]
fn unsigned_things_are_refused() {
    let world = World::with_root(&root(1));
    assert!(world.refused(NOW).contains("no signed catalogue"));
    let image = world.import("debian", "1");
    let known = status(&world.repository, &image, &world.pin, NOW);
    assert_eq!(known, SignedStatus::Unsigned);
    let catalogue = next::promoted(world.next(NOW), &image, "stable", false);
    world.plant("catalogue/1.json", &canonical(&catalogue), &[]);
    assert!(world.refused(NOW).contains("catalogue is not signed"));
    world.plant("catalogue/1.json", &canonical(&catalogue), &[5]);
    let said = world.refused(NOW);
    assert!(
        said.contains("statement of the image is not signed"),
        "{said}"
    );
    assert!(said.contains("image-untrusted"), "{said}");
}

#[test]
fn a_machine_without_a_root_believes_nothing() {
    let world = World::new();
    std::fs::remove_file(world.pin.root_path()).unwrap();
    assert!(world.refused(NOW).contains("no trust root is pinned"));
    let known = status(&world.repository, &world.image("1"), &world.pin, NOW);
    assert_eq!(known, SignedStatus::NoRoot);
}

#[test]
fn fewer_signers_than_the_threshold_are_too_few() {
    let mut two = root(1);
    two.roles.images = role(&[3, 4], 2);
    two.roles.channels = role(&[5, 6], 2);
    let world = World::with_root(&two);
    let image = world.import("debian", "1");
    let statement = Offer::Image(next::statement(&image, NOW, None));
    let waits = world.put(&statement, &[3]).unwrap();
    assert!(matches!(
        waits,
        Outcome::Waits {
            have: 1,
            needed: 2,
            ..
        }
    ));
    let document = statement.document();
    world.plant(&world.statement_file(&image), &document, &[3]);
    let catalogue = next::promoted(world.next(NOW), &image, "stable", false);
    world.plant("catalogue/1.json", &canonical(&catalogue), &[5]);
    assert!(world.refused(NOW).contains("1 of the 2 keys"));
    world.plant("catalogue/1.json", &canonical(&catalogue), &[5, 6]);
    let said = world.refused(NOW);
    assert!(
        said.contains("1 of the 2 keys") && said.contains("signed by 0000000000000003"),
        "{said}"
    );
    // The same signature once more, under another name.
    let path = world.trust().join(world.statement_file(&image));
    let again = std::fs::read(format!("{}.0000000000000003.minisig", path.display())).unwrap();
    std::fs::write(format!("{}.minisig", path.display()), again).unwrap();
    let said = world.refused(NOW);
    assert!(
        said.contains("1 of the 2 keys") && said.contains("counted already"),
        "{said}"
    );
    world.plant(&world.statement_file(&image), &document, &[4]);
    assert_eq!(world.resolve(NOW).unwrap().signers.len(), 2);
}

#[test]
fn keys_of_strangers_and_of_other_roles_do_not_count() {
    let world = World::new();
    let (image, catalogue) = (world.image("1"), world.next(NOW));
    for (keys, wants) in [
        (&[42][..], "does not know this key"),
        (&[3], "other documents"),
        (&[1, 3, 9, 42], "keys that may not sign"),
    ] {
        world.plant("catalogue/2.json", &canonical(&catalogue), keys);
        let said = world.refused(NOW);
        assert!(said.contains(wants), "{said}");
        let path = world.trust().join("catalogue");
        std::fs::remove_dir_all(&path).unwrap();
        let first = next::promoted(next::renewed(None, 1, NOW, None), &image, "stable", false);
        world.plant("catalogue/1.json", &canonical(&first), &[5]);
    }
}

#[test]
fn what_a_revoked_key_signed_is_not_believed() {
    let world = World::new();
    let revoked = next::revoked(
        world.next(NOW),
        RevokedPart::Key(KeyId(3)),
        "laptop lost".into(),
    );
    world.publish(&revoked, &[5]);
    let said = world.refused(NOW);
    assert!(
        said.contains("laptop lost") && said.contains("image-revoked"),
        "{said}"
    );
    world.plant(
        &world.statement_file(&world.image("1")),
        &canonical(&next::statement(&world.image("1"), NOW, None)),
        &[3, 4],
    );
    assert_eq!(world.resolve(NOW).unwrap().signers, [KeyId(4)]);
    // A key that revokes itself signs nothing, that catalogue included.
    let odd = next::revoked(
        world.next(NOW),
        RevokedPart::Key(KeyId(5)),
        "found in a bin".into(),
    );
    world.plant("catalogue/3.json", &canonical(&odd), &[5]);
    assert!(world.refused(NOW).contains("found in a bin"));
    world.plant("catalogue/3.json", &canonical(&odd), &[6]);
    world.resolve(NOW).unwrap();
}

#[test]
fn a_revoked_image_is_not_deployed() {
    let world = World::new();
    let image = world.image("1");
    let part = RevokedPart::Manifest(image.manifest);
    world.publish(&next::revoked(world.next(NOW), part, "CVE".into()), &[5]);
    let said = world.refused(NOW);
    assert!(
        said.contains("CVE") && said.contains("image-revoked"),
        "{said}"
    );
    world.promote(&world.image("2"), NOW, &[5]);
    world.resolve(NOW).unwrap();
    let known = status(&world.repository, &image, &world.pin, NOW);
    assert!(
        matches!(known, SignedStatus::Refused { reason } if reason.code == ReasonCode::ImageRevoked)
    );
}

#[test]
fn what_was_revoked_stays_revoked_when_the_catalogue_has_expired() {
    let world = World::new();
    let image = world.image("1");
    let asked = |image| {
        let year = NOW.plus(Millis(365 * DAY.0));
        let fault = image_repo::trust::verify(&world.repository, image, &world.pin, year);
        fault.unwrap_err().reason("debian").code
    };
    assert_eq!(asked(&image), ReasonCode::ImageUntrusted);
    let part = RevokedPart::Manifest(image.manifest);
    world.publish(&next::revoked(world.next(NOW), part, "CVE".into()), &[5]);
    assert_eq!(asked(&image), ReasonCode::ImageRevoked);
    let other = world.image("2");
    assert_eq!(asked(&other), ReasonCode::ImageUntrusted);
    let part = RevokedPart::Key(KeyId(3));
    world.publish(&next::revoked(world.next(NOW), part, "lost".into()), &[5]);
    assert_eq!(asked(&other), ReasonCode::ImageRevoked);
}

#[test]
fn what_has_expired_is_refused() {
    let world = World::new();
    let month = NOW.plus(Millis(30 * DAY.0));
    world.resolve(Millis(month.0 - 1)).unwrap();
    assert!(
        world.refused(month).contains("catalogue 1 expired"),
        "freeze"
    );
    // The clock may not be turned back to bring it to life.
    assert!(world.refused(NOW).contains("clock"));

    let world = World::new();
    let image = world.image("2");
    let short = next::statement(&image, NOW.plus(Millis(1)), Some(NOW.plus(DAY)));
    world.put(&Offer::Image(short), &[3]).unwrap();
    world.promote(&image, NOW, &[5]);
    world.resolve(NOW).unwrap();
    assert!(world.refused(NOW.plus(DAY)).contains("signature expired"));

    let mut soon = root(1);
    soon.expires = NOW.plus(DAY);
    let world = World::with_root(&soon);
    assert!(
        world
            .refused(NOW.plus(DAY))
            .contains("trust root 1 expired")
    );
}

#[test]
fn a_clock_that_goes_back_a_little_is_the_later_time() {
    let world = World::new();
    world.resolve(NOW.plus(DAY)).unwrap();
    world.resolve(NOW.plus(Millis(DAY.0 - 60_000))).unwrap();
    assert_eq!(world.pin.seen().unwrap().at, NOW.plus(DAY));
    let fault = resolve(&world.repository, &stable(), &world.pin, NOW).unwrap_err();
    assert_eq!(fault.reason("x").code, ReasonCode::ClockWrong);
    // A catalogue from the future: one of two clocks is wrong.
    let world = World::new();
    assert!(world.refused(Millis(NOW.0 - DAY.0)).contains("it is only"));
}

#[test]
fn a_restored_repository_is_a_rollback() {
    let world = World::new();
    let before = world.backup();
    world.promote(&world.image("2"), NOW, &[5]);
    world.resolve(NOW).unwrap();
    world.restore(&before);
    assert!(
        world
            .refused(NOW)
            .contains("catalogue 1, but 2 was believed")
    );
    std::fs::remove_dir_all(world.trust()).unwrap();
    assert!(
        world
            .refused(NOW)
            .contains("but catalogue 2 was believed before")
    );
}

#[test]
fn two_catalogues_of_one_number_are_not_both_believed() {
    let world = World::new();
    world.resolve(NOW).unwrap();
    let other = next::promoted(
        next::renewed(None, 1, NOW, None),
        &world.image("2"),
        "stable",
        false,
    );
    world.plant("catalogue/1.json", &canonical(&other), &[5]);
    assert!(world.refused(NOW).contains("is another one"));
}

#[test]
fn a_channel_does_not_go_back_in_a_newer_catalogue() {
    let world = World::new();
    let first = world.next(NOW).channels;
    world.promote(&world.image("2"), NOW, &[5]);
    world.resolve(NOW).unwrap();
    let mut old = world.next(NOW);
    old.channels = first;
    world.plant("catalogue/3.json", &canonical(&old), &[5]);
    assert!(world.refused(NOW).contains("rolled it back"));
    // Promoted anew: an older version has to be meant.
    let back = next::promoted(old.clone(), &world.image("1"), "stable", false);
    world.plant("catalogue/3.json", &canonical(&back), &[5]);
    assert!(
        world
            .refused(NOW)
            .contains("does not say that this is meant")
    );
    // A channel that is taken out and put back in does not forget.
    let mut gone = old.clone();
    gone.channels.clear();
    world.plant("catalogue/3.json", &canonical(&gone), &[5]);
    assert!(world.refused(NOW).contains("no channel debian@stable"));
    world
        .pin
        .keep(
            image_repo::trust::peek(&world.repository, &world.pin, NOW)
                .unwrap()
                .seen(),
        )
        .unwrap();
    let mut four = back.clone();
    four.sequence = 4;
    world.plant("catalogue/4.json", &canonical(&four), &[5]);
    assert!(
        world
            .refused(NOW)
            .contains("does not say that this is meant")
    );
    let meant = next::promoted(four, &world.image("1"), "stable", true);
    world.plant("catalogue/4.json", &canonical(&meant), &[5]);
    assert_eq!(world.resolve(NOW).unwrap().image.version, "1");
}

#[test]
fn documents_of_different_times_or_images_do_not_mix() {
    let world = World::new();
    let (first, second) = (world.image("1"), world.image("2"));
    // The statement of one image beside the manifest of another.
    let of_second = canonical(&next::statement(&second, NOW, None));
    world.plant(&world.statement_file(&first), &of_second, &[3]);
    let said = world.refused(NOW);
    assert!(
        said.contains("the signed statement says manifest"),
        "{said}"
    );
    for (change, wants) in [
        (
            (|s| s.name = "other".into()) as fn(&mut groundstate_api::trust::ImageSigned),
            "says name other",
        ),
        (|s| s.version = "9".into(), "says version 9"),
        (|s| s.size.0 += 512, "says size"),
        (
            |s| s.kind = groundstate_api::image::ImageKind::RootFsExt4,
            "says kind",
        ),
    ] {
        let mut statement = next::statement(&first, NOW, None);
        change(&mut statement);
        world.plant(&world.statement_file(&first), &canonical(&statement), &[3]);
        let said = world.refused(NOW);
        assert!(said.contains(wants), "{said}");
    }
    // A catalogue whose row names one version and another's manifest.
    let mut odd = world.next(NOW);
    odd.channels[0].manifest = second.manifest;
    odd.channels[0].since = 2;
    world.plant("catalogue/2.json", &canonical(&odd), &[5]);
    assert!(
        world
            .refused(NOW)
            .contains("the catalogue says version 1, the manifest 2")
    );
}

#[test]
fn a_signature_for_one_use_is_none_for_another() {
    // Here one key may sign everything; the documents still are not one another.
    let mut one = root(1);
    one.roles.images = role(&[1], 1);
    one.roles.channels = role(&[1], 1);
    let world = World::with_root(&one);
    let image = world.import("debian", "1");
    let statement = canonical(&next::statement(&image, NOW, None));
    let catalogue = canonical(&next::promoted(world.next(NOW), &image, "stable", false));
    world.plant("catalogue/1.json", &statement, &[1]);
    assert!(
        world
            .refused(NOW)
            .contains("a signature for one use is none for another")
    );
    world.plant("catalogue/1.json", &catalogue, &[1]);
    world.plant(&world.statement_file(&image), &catalogue, &[1]);
    assert!(
        world
            .refused(NOW)
            .contains("a signature for one use is none for another")
    );
    world.plant("root/2.json", &catalogue, &[1]);
    assert!(
        world
            .refused(NOW)
            .contains("a signature for one use is none for another")
    );
    std::fs::remove_dir_all(world.trust().join("root")).unwrap();
    // Nor is a manifest, or anything else that has no type.
    let manifest = std::fs::read_to_string(
        world
            .dir
            .path()
            .join("images/manifests")
            .join(image.manifest.hex()),
    );
    world.plant("catalogue/1.json", &manifest.unwrap(), &[1]);
    assert!(world.refused(NOW).contains("no type"));
}

#[test]
fn unknown_fields_other_schemas_and_other_spellings_are_refused() {
    let world = World::new();
    let text = canonical(&world.next(NOW));
    for (from, to, wants) in [
        (
            "\"sequence\":2",
            "\"sequence\":2,\"extra\":1",
            "unknown field",
        ),
        ("\"schema\":1", "\"schema\":2", "schema 2"),
        ("\"sequence\":2", "\"sequence\": 2", "canonical"),
        (
            "\"sequence\":2",
            "\"sequence\":2,\"sequence\":2",
            "duplicate field",
        ),
        ("\"sequence\":2", "\"sequence\":0", "at least 1"),
        ("\"since\":1", "\"since\":7", "does not know of"),
    ] {
        assert!(text.contains(from), "{from}");
        world.plant("catalogue/2.json", &text.replacen(from, to, 1), &[5]);
        let said = world.refused(NOW);
        assert!(said.contains(wants), "{from} -> {to}: {said}");
    }
}

#[test]
fn endless_data_is_not_read() {
    let world = World::new();
    let long = " ".repeat(usize::try_from(CATALOGUE_MAX.0).unwrap() + 1);
    world.plant("catalogue/2.json", &long, &[]);
    assert!(world.refused(NOW).contains("longer than 1048576 bytes"));
    std::fs::remove_file(world.trust().join("catalogue/2.json")).unwrap();
    let endless = world.trust().join("catalogue/1.json.x.minisig");
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    assert!(world.refused(NOW).contains("no plain file"));
    std::fs::remove_file(&endless).unwrap();
    for number in 0..70 {
        let path = world
            .trust()
            .join(format!("catalogue/1.json.{number}.minisig"));
        std::fs::write(path, "x").unwrap();
    }
    assert!(world.refused(NOW).contains("signatures; at most 64"));
    // The judge itself has the same limits, for readers of other ways.
    let signed = Signed {
        document: long,
        signatures: vec![],
    };
    let (role, root) = (role(&[5], 1), root(1));
    let refused = signers::<groundstate_api::trust::Catalogue>(&root, &role, &[], &signed);
    assert!(matches!(refused, Err(TrustError::TooLong { .. })));
}

#[test]
fn roots_follow_one_another_by_the_signatures_of_both() {
    let world = World::new();
    let mut second = root(2);
    second.roles.root = role(&[7, 8], 2);
    second.roles.channels = role(&[9], 1);
    let text = canonical(&second);
    for (keys, wants) in [
        (&[7, 8][..], "keys that may not sign"),
        (&[1], "keys that may not sign"),
        (&[1, 7], "1 of the 2 keys"),
    ] {
        let _none = std::fs::remove_dir_all(world.trust().join("root"));
        world.plant("root/2.json", &text, keys);
        let said = world.refused(NOW);
        assert!(said.contains(wants), "{keys:?}: {said}");
    }
    world.plant("root/2.json", &text, &[1, 7, 8]);
    // The catalogue is signed by a key that the new root has taken out.
    assert!(world.refused(NOW).contains("other documents"));
    let again = next::promoted(
        next::renewed(None, 2, NOW, None),
        &world.image("1"),
        "stable",
        false,
    );
    world.plant("catalogue/2.json", &canonical(&again), &[9]);
    world.resolve(NOW).unwrap();
    // Once believed, the root is not forgotten.
    std::fs::remove_dir_all(world.trust().join("root")).unwrap();
    assert!(
        world
            .refused(NOW)
            .contains("newest trust root is 1, but 2 was believed")
    );
    // A root that skips one is none.
    let mut third = second.clone();
    third.version = 3;
    world.plant("root/2.json", &canonical(&third), &[1, 7, 8]);
    assert!(
        world
            .refused(NOW)
            .contains("trust root 3 comes where 2 should")
    );
}

#[test]
fn roots_that_mean_nothing_are_refused() {
    let same_key = |root: &mut groundstate_api::trust::TrustRoot| {
        let image_repo_key = image_repo::trust::SecretKey::of(KeyId(77), &[1; 32]);
        root.keys.push(TrustKey {
            id: KeyId(77),
            key: image_repo_key.public(),
            comment: String::new(),
        });
    };
    for (change, wants) in [
        (
            same_key as fn(&mut groundstate_api::trust::TrustRoot),
            "is the same key as",
        ),
        (
            |root| root.keys[0].id = KeyId(99),
            "is not the id of this key",
        ),
        (|root| root.roles.images.threshold = 0, "roles.images"),
        (|root| root.roles.images.threshold = 3, "roles.images"),
        (
            |root| root.roles.root.keys.push(KeyId(99)),
            "not among the keys",
        ),
        (|root| root.roles.root.keys.push(KeyId(1)), "named twice"),
        (|root| root.version = 0, "at least 1"),
        (|root| root.keys.clear(), "0 keys"),
        (|root| root.keys[0].comment = "a\nb".into(), "one line"),
        (|root| root.keys[0].key = "RW".into(), "56 letters"),
    ] {
        let mut root = root(1);
        change(&mut root);
        let error = check_root(&root).unwrap_err().to_string();
        assert!(error.contains(wants), "{error}");
    }
    let endless = vec![Signed::default(); 65];
    assert!(matches!(
        advance(&root(1), &endless),
        Err(TrustError::TooManyRoots { found: 65 })
    ));
}

#[test]
fn another_pin_begins_anew_and_a_later_one_of_the_line_does_not() {
    let world = World::new();
    world.resolve(NOW).unwrap();
    world.pin.set(&canonical(&root(1)), false).unwrap();
    assert_eq!(world.pin.seen().unwrap().sequence, 1, "the same one");
    world.pin.set(&canonical(&root(2)), false).unwrap();
    assert_eq!(world.pin.seen().unwrap().sequence, 1, "a later one");
    let mut other = root(1);
    other.expires = NOW.plus(Millis(ROOT_LIFE.0 + 1));
    world.pin.set(&canonical(&other), false).unwrap();
    assert_eq!(world.pin.seen().unwrap().sequence, 0, "another one");
    // What was seen under one root says nothing under another.
    std::fs::write(world.pin.root_path(), canonical(&root(1))).unwrap();
    assert!(world.refused(NOW).contains("another pinned root"));
    assert_eq!(key(1).id(), KeyId(1));
}
