// SPDX-License-Identifier: Apache-2.0
//! OCI image layouts: by umoci, and by hand where one must lie.

use crate::{folder, has, linux, made, sh, text};
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, ImageFormat, ImageKind};
use image_repo::roots::{PrepareOptions, RootsError};
use std::path::Path;

fn options() -> PrepareOptions {
    PrepareOptions {
        kind: ImageKind::RootFsExt4,
        free: Bytes::mib(16),
        ..PrepareOptions::default()
    }
}

/// Puts a blob into the layout and gives its digest and length.
fn blob(layout: &Path, bytes: &[u8]) -> (String, usize) {
    let folder = layout.join("blobs/sha256");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("new");
    std::fs::write(&path, bytes).unwrap();
    let sum = sh(&format!("sha256sum {}", text(&path)));
    let digest = sum.split(' ').next().unwrap().to_string();
    std::fs::rename(&path, folder.join(&digest)).unwrap();
    (digest, bytes.len())
}

/// A layout with one artefact whose layer has that media type and annotations.
fn artefact(layout: &Path, bytes: &[u8], media_type: &str, annotations: &str) -> String {
    let (layer, length) = blob(layout, bytes);
    let (config, config_length) = blob(layout, b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:{config}","size":{config_length}}},"layers":[{{"mediaType":"{media_type}","digest":"sha256:{layer}","size":{length}{annotations}}}]}}"#
    );
    let (digest, length) = blob(layout, manifest.as_bytes());
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    index(
        layout,
        &format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{length}}}"#
        ),
    );
    layer
}

fn index(layout: &Path, descriptors: &str) {
    std::fs::write(
        layout.join("index.json"),
        format!(r#"{{"schemaVersion":2,"manifests":[{descriptors}]}}"#),
    )
    .unwrap();
}

#[test]
fn an_artefact_is_its_layer_and_its_format_is_stated() {
    let at = folder();
    let layout = at.path().join("layout");
    let bytes = b"QFI\xfb and so on".repeat(1000);
    let annotation = r#","annotations":{"org.groundstate.image.format":"qcow2"}"#;
    artefact(&layout, &bytes, "application/octet-stream", annotation);
    let disk = PrepareOptions::default();
    let prepared = made(ImageFormat::Oci, &layout, &disk, at.path(), "a").unwrap();
    assert_eq!(
        (prepared.format, prepared.kind),
        (ImageFormat::Qcow2, ImageKind::WholeDisk)
    );
    assert_eq!(std::fs::read(&prepared.path).unwrap(), bytes);
    // The same as a tar archive.
    let l = text(&layout);
    sh(&format!("tar -C {l} -cf {l}.tar ."));
    let tar = at.path().join("layout.tar");
    let prepared = made(ImageFormat::Oci, &tar, &disk, at.path(), "b").unwrap();
    assert_eq!(std::fs::read(&prepared.path).unwrap(), bytes);
    // Without an annotation it is asked for, never guessed.
    let silent = at.path().join("silent");
    artefact(&silent, &bytes, "application/octet-stream", "");
    let error = made(ImageFormat::Oci, &silent, &disk, at.path(), "c").unwrap_err();
    assert!(error.to_string().contains("--inner"), "{error}");
    let stated = PrepareOptions {
        inner: Some(ImageFormat::Qcow2),
        ..disk.clone()
    };
    let prepared = made(ImageFormat::Oci, &silent, &stated, at.path(), "d").unwrap();
    assert_eq!(prepared.format, ImageFormat::Qcow2);
}

#[test]
fn layouts_that_lie_are_refused() {
    let at = folder();
    let disk = PrepareOptions::default();
    let number = std::cell::Cell::new(0);
    let refused = |layout: &Path| {
        number.set(number.get() + 1);
        let name = format!("s{}", number.get());
        let error = made(ImageFormat::Oci, layout, &disk, at.path(), &name).unwrap_err();
        println!("{error}");
        error
    };
    let layout = at.path().join("layout");
    let raw = "application/vnd.groundstate.image.raw";
    let layer = artefact(&layout, &[7; 5000], raw, "");
    let path = layout.join("blobs/sha256").join(&layer);
    std::fs::write(&path, [8; 5000]).unwrap();
    assert!(matches!(refused(&layout), RootsError::OciBlob { .. }));
    std::fs::write(&path, [7; 4999]).unwrap();
    assert!(matches!(refused(&layout), RootsError::OciBlob { .. }));
    std::fs::write(&path, [7; 5001]).unwrap();
    assert!(matches!(refused(&layout), RootsError::OciBlob { .. }));
    std::fs::remove_file(&path).unwrap();
    let missing = refused(&layout);
    assert!(
        missing.to_string().contains("is not in the layout"),
        "{missing}"
    );
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    assert!(matches!(refused(&layout), RootsError::OciBlob { .. }));
    for digest in [
        "sha256:../../../etc/passwd",
        "sha512:00",
        "sha256:ABCDEF",
        "",
    ] {
        let media = "application/vnd.oci.image.manifest.v1+json";
        index(
            &layout,
            &format!(r#"{{"mediaType":"{media}","digest":"{digest}","size":5}}"#),
        );
        assert!(matches!(refused(&layout), RootsError::OciBlob { .. }));
    }
    // Indexes one within the other.
    let mut inner = r#"{"manifests":[]}"#.to_string();
    for _ in 0..8 {
        let (digest, length) = blob(&layout, inner.as_bytes());
        let descriptor = format!(
            r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:{digest}","size":{length}}}"#
        );
        index(&layout, &descriptor);
        inner = format!(r#"{{"manifests":[{descriptor}]}}"#);
    }
    assert!(matches!(refused(&layout), RootsError::OciDepth { .. }));
    std::fs::write(layout.join("index.json"), "[".repeat(10_000)).unwrap();
    assert!(matches!(refused(&layout), RootsError::OciDocument { .. }));
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    assert!(matches!(refused(&layout), RootsError::NotOci { .. }));
    assert!(matches!(refused(at.path()), RootsError::NotOci { .. }));
    let tar = at.path().join("t.tar");
    sh(&format!(
        "cd {}; echo x > x; tar -P -cf t.tar --transform 's,^,blobs/../../,' x",
        text(at.path())
    ));
    assert!(matches!(refused(&tar), RootsError::Name { .. }));
}

/// A descriptor of a manifest without layers, or with one that claims a length.
fn manifest(layout: &Path, claims: Option<u64>, more: &str) -> String {
    let layer = claims.map_or_else(String::new, |size| {
        let (digest, _) = blob(layout, b"layer");
        let one = format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{digest}","size":{size}}}"#
        );
        format!("{one},{one}")
    });
    let (digest, length) = blob(layout, format!(r#"{{"layers":[{layer}]}}"#).as_bytes());
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{length}{more}}}"#
    )
}

#[test]
fn what_tells_manifests_apart_is_named_and_attestations_are_none() {
    let at = folder();
    let layout = at.path().join("layout");
    artefact(&layout, b"x", "text/plain", "");
    let number = std::cell::Cell::new(0);
    let refused = |options: &PrepareOptions| {
        number.set(number.get() + 1);
        let name = format!("s{}", number.get());
        let error = made(ImageFormat::Oci, &layout, options, at.path(), &name).unwrap_err();
        error.to_string()
    };
    let of = |word: &str| format!(r#","platform":{{"os":"linux","architecture":"{word}"}}"#);
    let amd = manifest(&layout, Some(u64::MAX), &of("amd64"));
    let arm = manifest(&layout, None, &of("arm64"));
    let attestation = manifest(
        &layout,
        None,
        r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#,
    );
    index(&layout, &format!("{amd},{arm},{attestation}"));
    let said = refused(&options());
    assert!(
        said.contains("has 2 manifests") && said.contains("--arch x86_64 or aarch64"),
        "{said}"
    );
    let on = |architecture| PrepareOptions {
        architecture: Some(architecture),
        ..options()
    };
    // A length that is a lie is found where the blob is compared, and nothing overflows before.
    let said = refused(&on(Architecture::X86_64));
    assert!(
        said.contains("its descriptor says 18446744073709551615"),
        "{said}"
    );
    let said = refused(&on(Architecture::Aarch64));
    assert!(said.contains("0 layers"), "{said}");
    index(&layout, &format!("{amd},{attestation}"));
    let said = refused(&on(Architecture::Aarch64));
    assert!(
        said.contains("no image for aarch64") && said.contains("linux/amd64"),
        "{said}"
    );
    let same = manifest(&layout, None, "");
    index(&layout, &format!("{same},{same}"));
    let said = refused(&options());
    assert!(said.contains("a layout of its own"), "{said}");
    std::fs::write(layout.join("index.json"), " ".repeat(5 << 20)).unwrap();
    let said = refused(&options());
    assert!(said.contains("index.json has 5242880 bytes"), "{said}");
}

#[test]
fn a_containers_layers_become_a_root_file_system() {
    if !has("umoci") {
        return;
    }
    let at = folder();
    let tree = text(linux(at.path()));
    let l = text(at.path().join("layout"));
    sh(&format!(
        "umoci init --layout {l}; umoci new --image {l}:t
        umoci insert --rootless --image {l}:t {tree} / 2>/dev/null
        umoci insert --rootless --image {l}:t --whiteout /usr/bin/suid 2>/dev/null
        mkdir {l}.more; echo four > {l}.more/four
        umoci insert --rootless --image {l}:t --opaque {l}.more '/a folder' 2>/dev/null"
    ));
    let layout = at.path().join("layout");
    let prepared = made(ImageFormat::Oci, &layout, &options(), at.path(), "a").unwrap();
    println!("{:#?}", prepared.lines);
    let fs = text(&prepared.path);
    sh(&format!("e2fsck -fn {fs}"));
    let list = |folder: &str| sh(&format!("debugfs -R 'ls -p {folder}' {fs} 2>/dev/null"));
    let bin = list("/usr/bin");
    assert!(!bin.contains("/suid/") && bin.contains("/hard/"), "{bin}");
    let four = list("\"/a folder\"");
    assert!(
        four.contains("/four/") && !four.contains("quoted"),
        "{four}"
    );
    // Two tags: one is asked for.
    sh(&format!(
        "umoci tag --image {l}:t u; umoci new --image {l}:other"
    ));
    let error = made(ImageFormat::Oci, &layout, &options(), at.path(), "b").unwrap_err();
    assert!(error.to_string().contains("--tag"), "{error}");
    let tagged = PrepareOptions {
        tag: Some("u".into()),
        ..options()
    };
    let again = made(ImageFormat::Oci, &layout, &tagged, at.path(), "c").unwrap();
    sh(&format!("cmp {fs} {}", text(&again.path)));
}
