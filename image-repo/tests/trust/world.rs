// SPDX-License-Identifier: Apache-2.0
//! A repository with images, signers with keys, and a machine that has pinned their root.

use groundstate_api::image::{ImageFormat, ImageKind, ImageRef};
use groundstate_api::trust::{
    Catalogue, DocumentType, ImageChoice, KeyId, Role, Roles, TRUST_SCHEMA, TrustKey, TrustRoot,
};
use groundstate_api::{Bytes, Millis};
use image_core::trust::limits::ROOT_LIFE;
use image_core::trust::{Verified, canonical, next};
use image_repo::trust::{Offer, Outcome, Pin, SecretKey, TrustFault, offer, resolve};
use image_repo::{ImportRequest, RawFile, Repository};
use std::path::PathBuf;
use tempfile::TempDir;

/// 2026-11-22 02:13 UTC.
pub(crate) const NOW: Millis = Millis(1_795_313_600_000);
pub(crate) const DAY: Millis = Millis::secs(24 * 3_600);

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) repository: Repository,
    pub(crate) pin: Pin,
}

/// The key that is called by this number.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::of(KeyId(u64::from(number)), &[number; 32])
}

pub(crate) fn role(keys: &[u8], threshold: u32) -> Role {
    Role {
        keys: keys.iter().map(|n| KeyId(u64::from(*n))).collect(),
        threshold,
    }
}

/// A root of keys 1 to 9: 1 and 2 are root's, 3 and 4 images', 5 and 6 channels'; one signature is enough.
pub(crate) fn root(version: u64) -> TrustRoot {
    let keys = (1..=9u8).map(|number| TrustKey {
        id: KeyId(u64::from(number)),
        key: key(number).public(),
        comment: format!("key {number}"),
    });
    TrustRoot {
        document: DocumentType::Root,
        schema: TRUST_SCHEMA,
        version,
        expires: NOW.plus(ROOT_LIFE),
        keys: keys.collect(),
        roles: Roles {
            root: role(&[1, 2], 1),
            images: role(&[3, 4], 1),
            channels: role(&[5, 6], 1),
        },
    }
}

impl World {
    /// With `root` pinned, and nothing signed.
    pub(crate) fn with_root(root: &TrustRoot) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pin = Pin::of_state(dir.path());
        pin.set(&canonical(root), false).unwrap();
        Self {
            repository: Repository::open(&dir.path().join("images")).unwrap(),
            pin,
            dir,
        }
    }

    /// With images 1 and 2, both signed by key 3, and `debian@stable` standing for 1, signed by key 5.
    pub(crate) fn new() -> Self {
        Self::of_root(&root(1))
    }

    /// The same under this root.
    pub(crate) fn of_root(root: &TrustRoot) -> Self {
        let world = Self::with_root(root);
        let first = world.import("debian", "1");
        let second = world.import("debian", "2");
        world.sign_image(&first, &[3]);
        world.sign_image(&second, &[3]);
        world.promote(&first, NOW, &[5]);
        world
    }

    pub(crate) fn import(&self, name: &str, version: &str) -> ImageRef {
        let file = self.dir.path().join("raw");
        let text = format!("{name} {version}\n").repeat(200_000 / (name.len() + version.len() + 2));
        std::fs::write(&file, &text.as_bytes()[..text.len() / 512 * 512]).unwrap();
        let request = ImportRequest {
            name,
            version,
            kind: ImageKind::WholeDisk,
            format: ImageFormat::Raw,
            sector_size: 512,
            chunk_size: Some(Bytes(64 * 1024)),
            boot: None,
        };
        let mut content = RawFile::open(&file).unwrap();
        self.repository
            .import(&request, &mut content, &mut |_, _| {})
            .unwrap()
    }

    pub(crate) fn put(&self, document: &Offer, keys: &[u8]) -> Result<Outcome, TrustFault> {
        let bytes = document.document();
        let signatures = keys
            .iter()
            .map(|number| key(*number).sign(bytes.as_bytes(), "for a test"))
            .collect();
        offer(
            &self.repository,
            &self.pin,
            NOW,
            document,
            signatures,
            false,
        )
    }

    pub(crate) fn sign_image(&self, image: &ImageRef, keys: &[u8]) {
        let statement = next::statement(image, NOW, None);
        let outcome = self.put(&Offer::Image(statement), keys).unwrap();
        assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    }

    /// The catalogue that follows, unchanged.
    pub(crate) fn next(&self, now: Millis) -> Catalogue {
        let change = image_repo::trust::catalogue_to_change(&self.repository, &self.pin);
        let (before, sequence) = change.unwrap();
        next::renewed(before.as_ref(), sequence, now, None)
    }

    pub(crate) fn promote(&self, image: &ImageRef, now: Millis, keys: &[u8]) {
        let next = next::promoted(self.next(now), image, "stable", false);
        self.publish(&next, keys);
    }

    pub(crate) fn publish(&self, catalogue: &Catalogue, keys: &[u8]) {
        let outcome = self
            .put(&Offer::Catalogue(catalogue.clone()), keys)
            .unwrap();
        assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
    }

    pub(crate) fn resolve(&self, now: Millis) -> Result<Verified, TrustFault> {
        resolve(&self.repository, &stable(), &self.pin, now)
    }

    pub(crate) fn refused(&self, now: Millis) -> String {
        match self.resolve(now) {
            Ok(verified) => panic!("{verified:?} was believed"),
            Err(fault) => {
                let reason = fault.reason("debian@stable");
                assert!(!reason.next_step.is_empty());
                reason.to_string()
            }
        }
    }

    pub(crate) fn image(&self, version: &str) -> ImageRef {
        let all = self.repository.list().unwrap();
        all.into_iter()
            .find(|each| each.version == version)
            .unwrap()
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.dir.path().join("images/trust")
    }

    /// Writes a document with signatures past every check, as an attacker does who has the repository's disk.
    pub(crate) fn plant(&self, at: &str, document: &str, keys: &[u8]) {
        let path = self.trust().join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document).unwrap();
        for number in keys {
            let text = key(*number).sign(document.as_bytes(), "planted");
            std::fs::write(format!("{}.{number:016X}.minisig", path.display()), text).unwrap();
        }
    }

    /// The file of the only statement about that image.
    pub(crate) fn statement_file(&self, image: &ImageRef) -> String {
        format!("images/{}/{}.json", image.manifest.hex(), NOW.0)
    }

    /// A copy of the repository's trust folder, to bring back later.
    pub(crate) fn backup(&self) -> PathBuf {
        let to = self.dir.path().join("backup");
        copy(&self.trust(), &to);
        to
    }

    pub(crate) fn restore(&self, from: &std::path::Path) {
        std::fs::remove_dir_all(self.trust()).unwrap();
        copy(from, &self.trust());
    }
}

pub(crate) fn stable() -> ImageChoice {
    "debian@stable".parse().unwrap()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
