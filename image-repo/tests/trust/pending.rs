// SPDX-License-Identifier: Apache-2.0
//! Several signers on several machines: what stands is whole at every moment.

use crate::world::{DAY, NOW, World, key, role, root};
use image_core::trust::next;
use image_repo::trust::{Offer, Outcome, TrustFault, add_signature, offer};

fn two_signers() -> World {
    let mut two = root(1);
    two.roles.root = role(&[1, 2], 2);
    two.roles.channels = role(&[5, 6], 2);
    let world = World::with_root(&two);
    for version in ["1", "2"] {
        let image = world.import("debian", version);
        world.sign_image(&image, &[3]);
    }
    let first = next::promoted(world.next(NOW), &world.image("1"), "stable", false);
    world.publish(&first, &[5, 6]);
    world
}

/// It would never count, and whoever made it would believe that it does.
#[test]
fn a_signature_of_a_key_that_may_not_sign_does_not_wait() {
    let world = World::new();
    let image = world.import("debian", "7");
    let document = Offer::Image(next::statement(&image, NOW, None));
    // One that may sign nothing, one that signs channels, and both beside one that may.
    for keys in [&[9][..], &[5], &[3, 9]] {
        let refused = world.put(&document, keys).unwrap_err();
        assert!(matches!(refused, TrustFault::Stranger { .. }), "{refused}");
        assert!(refused.to_string().contains("may not sign"), "{refused}");
        let waits = world.repository.trust().pending().documents().unwrap();
        assert!(waits.is_empty());
    }
    let placed = world.put(&document, &[3]).unwrap();
    assert!(matches!(placed, Outcome::Placed { .. }), "{placed:?}");
}

#[test]
fn a_catalogue_that_waits_changes_nothing() {
    let world = two_signers();
    let second = next::promoted(world.next(NOW), &world.image("2"), "stable", false);
    let document = Offer::Catalogue(second);
    let outcome = world.put(&document, &[5]).unwrap();
    let Outcome::Waits {
        path,
        have: 1,
        needed: 2,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(world.resolve(NOW).unwrap().image.version, "1");
    // The other signer has only the file.
    let bytes = std::fs::read(&path).unwrap();
    let text = key(6).sign(&bytes, "elsewhere");
    let (_, outcome) = add_signature(&world.repository, &world.pin, NOW, &text).unwrap();
    assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    assert_eq!(world.resolve(NOW).unwrap().image.version, "2");
    assert!(!path.exists());
    let nothing = world.repository.trust().pending().documents().unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn a_document_without_any_signature_waits_too() {
    let world = two_signers();
    let document = Offer::Catalogue(world.next(NOW));
    let outcome = world.put(&document, &[]).unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Waits {
                have: 0,
                needed: 2,
                ..
            }
        ),
        "{outcome:?}"
    );
    world.put(&document, &[5]).unwrap();
    let outcome = world.put(&document, &[6]).unwrap();
    assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
}

#[test]
fn another_document_does_not_take_the_place_of_one_that_waits_unless_it_is_said() {
    let world = two_signers();
    world.put(&Offer::Catalogue(world.next(NOW)), &[5]).unwrap();
    let other = Offer::Catalogue(next::promoted(
        world.next(NOW),
        &world.image("2"),
        "stable",
        false,
    ));
    let refused = world.put(&other, &[5]).unwrap_err();
    assert!(
        matches!(refused, TrustFault::OtherWaits { .. }),
        "{refused}"
    );
    let signatures = [5, 6]
        .map(|n| key(n).sign(other.document().as_bytes(), ""))
        .to_vec();
    offer(&world.repository, &world.pin, NOW, &other, signatures, true).unwrap();
    assert_eq!(world.resolve(NOW).unwrap().image.version, "2");
}

#[test]
fn signatures_of_nothing_and_of_strangers_are_not_kept() {
    let world = two_signers();
    let document = Offer::Catalogue(world.next(NOW));
    world.put(&document, &[5]).unwrap();
    for text in [
        key(6).sign(b"something else", ""),
        key(42).sign(document.document().as_bytes(), ""),
    ] {
        let refused = add_signature(&world.repository, &world.pin, NOW, &text).unwrap_err();
        assert!(
            matches!(refused, TrustFault::NothingWaits { .. }),
            "{refused}"
        );
    }
    // A key of another role is known, and may not.
    let text = key(3).sign(document.document().as_bytes(), "");
    let refused = add_signature(&world.repository, &world.pin, NOW, &text).unwrap_err();
    assert!(matches!(refused, TrustFault::Stranger { .. }), "{refused}");
    assert_eq!(world.resolve(NOW).unwrap().image.version, "1");
}

#[test]
fn a_next_root_waits_for_the_signers_of_both() {
    let world = two_signers();
    let mut second = root(2);
    second.roles.root = role(&[7, 8], 2);
    second.roles.channels = role(&[5, 6], 2);
    let document = Offer::Root(second);
    for keys in [&[][..], &[7], &[8], &[1]] {
        let outcome = world.put(&document, keys).unwrap();
        assert!(
            matches!(outcome, Outcome::Waits { .. }),
            "{keys:?}: {outcome:?}"
        );
        assert_eq!(world.repository.trust().roots_after(1).unwrap().len(), 0);
    }
    let text = key(2).sign(document.document().as_bytes(), "");
    let (_, outcome) = add_signature(&world.repository, &world.pin, NOW, &text).unwrap();
    assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    world.resolve(NOW).unwrap();
    assert_eq!(world.pin.seen().unwrap().root, 2);
    // The next one is made from an old state.
    let mut stale = root(2);
    stale.expires = NOW.plus(DAY);
    let refused = world.put(&Offer::Root(stale), &[7, 8]).unwrap_err();
    assert!(
        matches!(refused, TrustFault::NotNext { expected: 3, .. }),
        "{refused}"
    );
}

#[test]
fn a_catalogue_that_was_made_from_an_old_state_is_refused() {
    let world = two_signers();
    let old = world.next(NOW);
    world.publish(&old, &[5, 6]);
    let mut again = old.clone();
    again.issued = NOW.plus(DAY);
    again.expires = NOW.plus(DAY).plus(DAY);
    let refused = world.put(&Offer::Catalogue(again), &[5, 6]).unwrap_err();
    assert!(
        matches!(refused, TrustFault::NotNext { expected: 3, .. }),
        "{refused}"
    );
}

#[test]
fn a_rotated_root_lets_the_catalogue_be_signed_anew() {
    let world = World::new();
    world.resolve(NOW).unwrap();
    let mut second = root(2);
    second.roles.channels = role(&[9], 1);
    let outcome = world.put(&Offer::Root(second), &[1]).unwrap();
    assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    assert!(world.refused(NOW).contains("other documents"));
    let next = world.next(NOW);
    assert_eq!(
        next.channels.len(),
        1,
        "what was believed before is carried over"
    );
    world.publish(&next, &[9]);
    assert_eq!(world.resolve(NOW).unwrap().image.version, "1");
}

#[test]
fn a_lost_catalogue_is_followed_by_one_on_top_of_what_was_seen() {
    let world = World::new();
    let before = world.backup();
    world.promote(&world.image("2"), NOW, &[5]);
    world.resolve(NOW).unwrap();
    world.restore(&before);
    let next = world.next(NOW);
    assert_eq!((next.sequence, next.channels[0].version.as_str()), (3, "1"));
    // The row of the old one is a rollback still, until it is promoted anew.
    world.publish(&next, &[5]);
    assert!(world.refused(NOW).contains("rolled it back"));
    world.promote(&world.image("2"), NOW, &[5]);
    assert_eq!(world.resolve(NOW).unwrap().image.version, "2");
}
