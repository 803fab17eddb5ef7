// SPDX-License-Identifier: Apache-2.0
//! The manifest's bytes are frozen, and nothing but a meaningful manifest gets through the parser.

use expect_test::expect;
use groundstate_api::image::{
    Architecture, Blob, BootEntry, BootFiles, Chunk, ImageFormat, ImageKind, LoaderPath, Manifest,
    RequiredFirmware,
};
use groundstate_api::{Bytes, Digest, ReasonCode};
use image_core::ManifestError;
use image_core::limits::MANIFEST_MAX;
use image_core::manifest::{canonical, check, digest, parse, parse_as, reference};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

pub(crate) fn manifest(offsets: &[u64], size: u64) -> Manifest {
    let blob = |length: u64| Blob {
        length: Bytes(length),
        digest: Digest([u8::try_from(length % 251).unwrap(); 32]),
    };
    let mut made = Manifest {
        schema: 2,
        name: "debian-host".into(),
        version: "12.11-1".into(),
        kind: ImageKind::RootFsExt4,
        format: ImageFormat::Raw,
        architecture: Some(Architecture::X86_64),
        firmware: RequiredFirmware::Any,
        boot: BootEntry::Files(BootFiles {
            kernel: blob(8_000_000),
            initrd: blob(14_000_000),
            boot_loader: blob(120_000),
            cmdline: "console=ttyS0 quiet".into(),
        }),
        size: Bytes(size),
        minimum_size: Bytes(size),
        merkle_root: Digest::of(b""),
        sector_size: 512,
        chunk_size: Bytes::mib(4),
        chunks: offsets
            .iter()
            .map(|&offset| Chunk {
                offset: Bytes(offset),
                length: Bytes((4 * MIB).min(size - offset)),
                digest: Digest::of(&offset.to_le_bytes()),
                stored_length: Bytes(1_000_000),
                stored_digest: Digest::of(&offset.to_be_bytes()),
            })
            .collect(),
    };
    made.merkle_root = image_core::merkle::root(&made.chunks);
    made
}

fn files(manifest: &mut Manifest) -> &mut BootFiles {
    match &mut manifest.boot {
        BootEntry::Files(files) => files,
        other => panic!("{other:?}"),
    }
}

/// If this test fails, do not change the test: every stored image would lose its identity.
#[test]
fn the_bytes_are_frozen() {
    let one = manifest(&[8 * MIB], 12 * MIB);
    expect![[r#"{"schema":2,"name":"debian-host","version":"12.11-1","kind":"root-fs-ext4","format":"raw","architecture":"x86_64","firmware":"any","boot":{"way":"files","kernel":{"length":8000000,"digest":"sha256:8080808080808080808080808080808080808080808080808080808080808080"},"initrd":{"length":14000000,"digest":"sha256:e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0"},"boot_loader":{"length":120000,"digest":"sha256:1616161616161616161616161616161616161616161616161616161616161616"},"cmdline":"console=ttyS0 quiet"},"size":12582912,"sector_size":512,"minimum_size":12582912,"chunk_size":4194304,"merkle_root":"sha256:3eb71e46f3be05e86e2a5dd1a1d4e24f0428584fab9a874a11f6e824b87a3e77","chunks":[[8388608,4194304,"sha256:4513a1a516fbf1cb042bc78f9e9c4861a91aa218294f81230d0dcd0abdc84648",1000000,"sha256:763cb06a4315ce67ad6ee034881011a548eedb0305b72fa0196cc012b4b834e0"]]}"#]]
    .assert_eq(std::str::from_utf8(&canonical(&one)).unwrap());
    assert_eq!(reference(&one).manifest, digest(&one));
    assert_eq!(
        parse_as(&canonical(&one), &digest(&one), MANIFEST_MAX),
        Ok(one)
    );
}

fn loader(manifest: &mut Manifest, partition: u32, path: &str) {
    manifest.kind = ImageKind::WholeDisk;
    manifest.boot = BootEntry::Loader(LoaderPath {
        partition,
        path: path.into(),
    });
}

#[test]
fn every_field_is_checked_and_named() {
    type Spoil = fn(&mut Manifest);
    let cases: &[(&str, Spoil)] = &[
        ("schema", |m| m.schema = 1),
        ("name", |m| m.name = "../etc".into()),
        ("name", |m| m.name = String::new()),
        ("name", |m| m.name = "a".repeat(65)),
        ("version", |m| m.version = ".hidden".into()),
        ("version", |m| m.version = "1/2".into()),
        ("sector_size", |m| m.sector_size = 520),
        ("size", |m| m.size = Bytes(0)),
        ("size", |m| m.size = Bytes(12 * MIB + 1)),
        ("chunk_size", |m| m.chunk_size = Bytes(0)),
        ("chunk_size", |m| m.chunk_size = Bytes::mib(3)),
        ("chunk_size", |m| m.chunk_size = Bytes::mib(32)),
        ("chunk_size", |m| m.chunk_size = Bytes(4096)),
        ("chunks", |m| m.chunks = vec![m.chunks[0]; 262_145]),
        ("chunks[1].offset", |m| m.chunks[1].offset = Bytes(5 * MIB)),
        ("chunks[1].offset", |m| m.chunks[1].offset = Bytes(0)),
        ("chunks[1].offset", |m| m.chunks.swap(0, 1)),
        ("chunks[1].offset", |m| m.chunks[1].offset = Bytes(12 * MIB)),
        ("chunks[1].offset", |m| {
            m.chunks[1].offset = Bytes(u64::MAX - 4 * MIB + 1)
        }),
        ("chunks[0].length", |m| m.chunks[0].length = Bytes(8 * MIB)),
        ("chunks[0].length", |m| m.chunks[0].length = Bytes(0)),
        ("chunks[0].stored_length", |m| {
            m.chunks[0].stored_length = Bytes(0)
        }),
        ("chunks[1].stored_length", |m| {
            m.chunks[1].stored_length = Bytes::mib(5)
        }),
        ("boot.kernel.length", |m| files(m).kernel.length = Bytes(0)),
        ("boot.initrd.length", |m| {
            files(m).initrd.length = Bytes::gib(1)
        }),
        ("boot.boot_loader.length", |m| {
            files(m).boot_loader.length = Bytes(u64::MAX)
        }),
        ("boot.cmdline", |m| files(m).cmdline = "a\nb".into()),
        ("boot.cmdline", |m| files(m).cmdline = "ä".into()),
        ("boot.cmdline", |m| {
            files(m).cmdline = "quiet root=/dev/sda1".into()
        }),
        ("boot.cmdline", |m| files(m).cmdline = "x".repeat(1_537)),
        ("minimum_size", |m| m.minimum_size = Bytes(8 * MIB)),
        ("minimum_size", |m| m.minimum_size = Bytes(12 * MIB + 1)),
        ("merkle_root", |m| m.merkle_root = Digest::of(b"other")),
        ("merkle_root", |m| m.chunks[1].digest = Digest::of(b"other")),
        ("boot", |m| m.boot = BootEntry::None),
        ("boot", |m| m.kind = ImageKind::WholeDisk),
        ("boot.path", |m| loader(m, 1, "EFI\\BOOT")),
        ("boot.path", |m| loader(m, 0, "\\EFI\\BOOT")),
        ("boot.path", |m| loader(m, 1, "\\EFI\\..\\BOOT")),
    ];
    assert_eq!(check(&manifest(&[0, 8 * MIB], 12 * MIB)), Ok(()));
    for (field, spoil) in cases {
        let mut spoiled = manifest(&[0, 8 * MIB], 12 * MIB);
        spoil(&mut spoiled);
        let error = parse(&canonical(&spoiled), MANIFEST_MAX).expect_err(field);
        assert_eq!(error.field(), *field, "{error}");
        assert!(error.to_string().starts_with(field), "{error}");
        assert_eq!(error.reason("x 1").code, ReasonCode::PlanRefused);
    }
}

#[test]
fn other_bytes_of_the_same_meaning_are_refused() {
    let one = manifest(&[0], 4 * MIB);
    let text = String::from_utf8(canonical(&one)).unwrap();
    for other in [
        text.replacen(':', ": ", 1),
        format!("{text}\n"),
        text.replace("\"schema\":1,", "")
            .replace('}', ",\"schema\":1}"),
        text.replace("debian-host", "debian\\u002dhost"),
    ] {
        assert!(parse(other.as_bytes(), MANIFEST_MAX).is_err(), "{other}");
    }
    let unknown = text.replacen("{", "{\"extra\":1,", 1);
    assert!(matches!(
        parse(unknown.as_bytes(), MANIFEST_MAX),
        Err(ManifestError::Json { .. })
    ));
    let twice = text.replacen("{", "{\"schema\":1,", 1);
    assert!(matches!(
        parse(twice.as_bytes(), MANIFEST_MAX),
        Err(ManifestError::Json { .. })
    ));
    assert!(matches!(
        parse(text.as_bytes(), Bytes(10)),
        Err(ManifestError::TooLong { .. })
    ));
    let wrong = parse_as(text.as_bytes(), &Digest::of(b""), MANIFEST_MAX).unwrap_err();
    assert_eq!(wrong.reason("x 1").code, ReasonCode::ChunkCorrupt);
}

proptest! {
    /// What gets through is meaningful and comes back as the same bytes; nothing panics.
    #[test]
    fn a_mutated_manifest_is_refused_or_safe(
        at in 0usize..1_200, new in any::<u8>(), cut in 0usize..1_200, insert in any::<bool>(),
    ) {
        let mut bytes = canonical(&manifest(&[0, 8 * MIB], 12 * MIB));
        let at = at % bytes.len();
        if insert { bytes.insert(at, new) } else { bytes[at] = new }
        if cut < 100 { bytes.truncate(cut * 10) }
        if let Ok(read) = parse(&bytes, MANIFEST_MAX) {
            prop_assert_eq!(canonical(&read), bytes);
            let mut end = 0;
            for chunk in &read.chunks {
                prop_assert!(chunk.offset.0 >= end);
                end = chunk.offset.0 + chunk.length.0;
            }
            prop_assert!(end <= read.size.0);
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(parse(&bytes, MANIFEST_MAX).is_err());
    }

    /// Any sparse image makes a manifest that passes.
    #[test]
    fn any_grid_of_chunks_passes(present in proptest::collection::vec(any::<bool>(), 1..40), tail in 0u64..8191) {
        let size = (present.len() as u64 - 1) * 4 * MIB + (tail + 1) * 512;
        let offsets: Vec<u64> = (0u64..).zip(&present).filter(|(_, p)| **p).map(|(i, _)| i * 4 * MIB).collect();
        let mut one = manifest(&offsets, size);
        for chunk in &mut one.chunks { chunk.stored_length = Bytes(chunk.length.0 / 2) }
        prop_assert_eq!(parse(&canonical(&one), MANIFEST_MAX), Ok(one));
    }
}
