// SPDX-License-Identifier: Apache-2.0
//! Whatever an image names, nothing of it is opened: the kernel tells of every opening of a watched file.

use crate::{children, read_file, run, text};
use groundstate_api::image::ImageFormat::{self, Qcow2, Raw, Vhd, Vhdx, Vmdk};
use image_repo::formats::propose;
use rustix::fs::inotify;
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tells whether a file was opened since it was watched.
struct Watch(OwnedFd);

impl Watch {
    fn new(path: &Path) -> Self {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = inotify::init(flags).unwrap();
        let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
        inotify::add_watch(&watch, path, events).unwrap();
        Self(watch)
    }

    fn was_opened(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 512];
        match inotify::Reader::new(&self.0, &mut buffer).next() {
            Ok(_) => true,
            Err(Errno::AGAIN) => false,
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// A secret, and the images that point to it.
struct Lure {
    dir: TempDir,
    secret: PathBuf,
}

impl Lure {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let secret = dir.path().join("elsewhere/secret");
        std::fs::write(&secret, vec![b's'; 1 << 20]).unwrap();
        Self { dir, secret }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A VMDK descriptor with this extent.
    fn descriptor(&self, name: &str, extent: &str) -> PathBuf {
        let path = self.at(name);
        let text = format!(
            "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n{extent}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn images(&self) -> Vec<(ImageFormat, PathBuf)> {
        let secret = text(&self.secret);
        let mut all = Vec::new();
        for version in ["compat=0.10", "compat=1.1"] {
            let path = self.at(&format!("backed-{version}.qcow2"));
            let mut words = vec![
                "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-o", version,
            ];
            words.extend(["-b", secret, text(&path), "1M"]);
            run("qemu-img", &words);
            all.push((Qcow2, path));
        }
        let path = self.at("data-file.qcow2");
        let option = format!("data_file={secret},data_file_raw=on");
        run(
            "qemu-img",
            &[
                "create",
                "-q",
                "-f",
                "qcow2",
                "-o",
                &option,
                text(&path),
                "1M",
            ],
        );
        all.push((Qcow2, path));
        for (name, extent) in [
            ("absolute.vmdk", format!("RW 2048 FLAT \"{secret}\" 0")),
            ("beside.vmdk", "RW 2048 FLAT \"elsewhere/secret\" 0".into()),
            (
                "above.vmdk",
                "RW 2048 FLAT \"x/../elsewhere/secret\" 0".into(),
            ),
            ("link.vmdk", "RW 2048 FLAT \"link\" 0".into()),
            (
                "backslash.vmdk",
                "RW 2048 FLAT \"elsewhere\\secret\" 0".into(),
            ),
            ("device.vmdk", format!("RW 2048 VMFSRDM \"{secret}\" 0")),
        ] {
            all.push((Vmdk, self.descriptor(name, &extent)));
        }
        std::os::unix::fs::symlink(&self.secret, self.at("link")).unwrap();
        let parent = format!("parentFileNameHint=\"{secret}\"\nRW 2048 FLAT \"flat\" 0");
        all.push((Vmdk, self.descriptor("child.vmdk", &parent)));
        for (format, name, bytes) in [
            (Vhd, "child.vhd", children::vhd(secret)),
            (Vhdx, "child.vhdx", children::vhdx(secret)),
        ] {
            std::fs::write(self.at(name), bytes).unwrap();
            all.push((format, self.at(name)));
        }
        all
    }
}

#[test]
fn what_an_image_names_is_never_opened() {
    let lure = Lure::new();
    let images = lure.images();
    let watch = Watch::new(&lure.secret);
    for (format, path) in &images {
        let error = read_file(*format, path).unwrap_err();
        assert!(!watch.was_opened(), "{}: {error}", path.display());
        assert_eq!(propose(path).unwrap().0, *format, "{}", path.display());
        let error = read_file(Raw, path).unwrap_err();
        assert!(error.to_string().contains("stated to be raw"), "{error}");
        assert!(!watch.was_opened(), "{}", path.display());
    }
    // The watch works.
    std::fs::read(&lure.secret).unwrap();
    assert!(watch.was_opened());
}

#[test]
fn a_pipe_that_nobody_writes_is_not_waited_for() {
    let lure = Lure::new();
    let fifo = lure.at("fifo");
    run("mkfifo", &[text(&fifo)]);
    let descriptor = lure.descriptor("fifo.vmdk", "RW 2048 FLAT \"fifo\" 0");
    let error = read_file(Vmdk, &descriptor).unwrap_err();
    assert!(error.to_string().contains("neither a file nor"), "{error}");
    for format in [Raw, Qcow2, Vhd, Vhdx, Vmdk, ImageFormat::RawGzip] {
        let error = read_file(format, &fifo).unwrap_err();
        assert!(error.to_string().contains("neither a file nor"), "{error}");
    }
    assert_eq!(propose(&fifo), None);
}
