// SPDX-License-Identifier: Apache-2.0
//! What a layer is: by its media type, by an annotation, by what was stated. Its bytes are never asked.

use super::descriptor::Descriptor;
use crate::formats::name;
use crate::roots::{RootsError, shown};
use groundstate_api::image::ImageFormat;

/// The annotation by which an artefact of ours says what its layer is.
const ANNOTATION: &str = "org.groundstate.image.format";
/// The name of a file that `oras push` keeps.
const TITLE: &str = "org.opencontainers.image.title";

/// What a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// A tar archive, one of a container's.
    Archive,
    /// A disk or a file system in that format.
    Disk(ImageFormat),
}

/// What an artefact may hold: everything but another artefact.
const HELD: [ImageFormat; 10] = [
    ImageFormat::Raw,
    ImageFormat::RawZstd,
    ImageFormat::RawGzip,
    ImageFormat::RawXz,
    ImageFormat::Qcow2,
    ImageFormat::Vhd,
    ImageFormat::Vhdx,
    ImageFormat::Vmdk,
    ImageFormat::Tar,
    ImageFormat::Wim,
];

/// Media types that say what a layer is.
const TYPES: [(&str, ImageFormat); 10] = [
    ("application/vnd.groundstate.image.raw", ImageFormat::Raw),
    (
        "application/vnd.groundstate.image.raw+zstd",
        ImageFormat::RawZstd,
    ),
    (
        "application/vnd.groundstate.image.raw+gzip",
        ImageFormat::RawGzip,
    ),
    ("application/x-qemu-disk", ImageFormat::Qcow2),
    (
        "application/vnd.groundstate.image.qcow2",
        ImageFormat::Qcow2,
    ),
    ("application/x-vhd", ImageFormat::Vhd),
    ("application/x-vhdx", ImageFormat::Vhdx),
    ("application/x-vmdk", ImageFormat::Vmdk),
    ("application/x-raw-disk-image", ImageFormat::Raw),
    ("application/vnd.qemu.disk.raw", ImageFormat::Raw),
];

/// What the layer is.
pub(super) fn kind_of(
    layer: &Descriptor,
    stated: Option<ImageFormat>,
) -> Result<Layer, RootsError> {
    const ARCHIVES: [&str; 6] = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    ];
    let media_type = layer.media_type.as_str();
    let said = match layer.annotation(ANNOTATION) {
        Some(text) => {
            let known = HELD.into_iter().find(|format| name(*format) == text);
            Some(known.ok_or_else(|| RootsError::OciLayer {
                media_type: format!(
                    "{} ({ANNOTATION}: {})",
                    shown(media_type.as_bytes()),
                    shown(text.as_bytes())
                ),
            })?)
        }
        None => TYPES
            .iter()
            .find(|(of, _)| *of == media_type)
            .map(|(_, format)| *format),
    };
    match (said, stated) {
        (Some(said), Some(stated)) if said != stated => Err(RootsError::OciOther {
            found: name(said).into(),
            stated: name(stated).into(),
        }),
        (Some(format), _) => disk(format, layer),
        // A tool that pushes any file gives it a layer's media type and the file's name.
        (None, Some(stated)) if stated != ImageFormat::Tar => disk(stated, layer),
        (None, _) if ARCHIVES.contains(&media_type) => Ok(Layer::Archive),
        (None, Some(_)) => Ok(Layer::Archive),
        (None, None) => Err(RootsError::OciInner {
            media_type: match layer.annotation(TITLE) {
                Some(title) => format!(
                    "{} ({})",
                    shown(media_type.as_bytes()),
                    shown(title.as_bytes())
                ),
                None => shown(media_type.as_bytes()),
            },
        }),
    }
}

fn disk(format: ImageFormat, layer: &Descriptor) -> Result<Layer, RootsError> {
    match format {
        ImageFormat::Tar => Ok(Layer::Archive),
        ImageFormat::Oci | ImageFormat::Wim => Err(RootsError::OciLayer {
            media_type: shown(layer.media_type.as_bytes()),
        }),
        ImageFormat::Raw
        | ImageFormat::RawZstd
        | ImageFormat::RawGzip
        | ImageFormat::RawXz
        | ImageFormat::Qcow2
        | ImageFormat::Vhd
        | ImageFormat::Vhdx
        | ImageFormat::Vmdk => Ok(Layer::Disk(format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(media_type: &str, annotation: Option<&str>) -> Descriptor {
        let annotation = annotation
            .map(|text| format!(",\"annotations\":{{\"{ANNOTATION}\":\"{text}\"}}"))
            .unwrap_or_default();
        serde_json::from_str(&format!(
            "{{\"mediaType\":\"{media_type}\",\"digest\":\"sha256:0\",\"size\":1{annotation}}}"
        ))
        .unwrap()
    }

    #[test]
    fn a_layer_is_what_it_says_or_what_was_stated_and_never_guessed() {
        let any = "application/octet-stream";
        let qcow2 = Layer::Disk(ImageFormat::Qcow2);
        assert_eq!(kind_of(&layer(any, Some("qcow2")), None).unwrap(), qcow2);
        assert_eq!(
            kind_of(&layer("application/x-qemu-disk", None), None).unwrap(),
            qcow2
        );
        assert_eq!(
            kind_of(&layer(any, None), Some(ImageFormat::Qcow2)).unwrap(),
            qcow2
        );
        let archive = layer("application/vnd.oci.image.layer.v1.tar+gzip", None);
        assert_eq!(kind_of(&archive, None).unwrap(), Layer::Archive);
        assert!(matches!(
            kind_of(&layer(any, None), None),
            Err(RootsError::OciInner { .. })
        ));
        assert!(matches!(
            kind_of(&layer(any, Some("qcow2")), Some(ImageFormat::Raw)),
            Err(RootsError::OciOther { .. })
        ));
        assert!(matches!(
            kind_of(&layer(any, Some("nonsense")), None),
            Err(RootsError::OciLayer { .. })
        ));
    }
}
