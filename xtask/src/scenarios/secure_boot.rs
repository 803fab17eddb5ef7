// SPDX-License-Identifier: Apache-2.0
//! T5 with real firmware: Secure Boot is on and knows one key. The site's boot image starts where it is signed with that key; as
//! it was assembled, and signed but with one byte flipped, the firmware refuses it.
//!
//! The key is the one that Debian's OVMF is delivered with for such trials. It is nobody's secret.

use super::HOST_BOOT;
use crate::command::{command, run};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_tests::rack::{Parts, RackError, SerialLog};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Firmware with Secure Boot, and variables in which it is on and knows the key.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
const PASSPHRASE: &str = "pass:snakeoil";
/// What the firmware says of a program that it does not start.
const REFUSED: &str = "Access Denied";
/// What the kernel's stub says where it was started with Secure Boot on.
const IS_ON: &str = "UEFI Secure Boot is enabled";
/// What PID 1 says first.
const STARTS: &str = "Groundstate maintenance OS";

pub(super) fn signed_or_refused(layout: &Layout) -> Result<()> {
    let folder = layout.made("scenarios").join("secure-boot-images");
    super::on_a_stage(
        layout,
        "secure-boot",
        Firmware::UefiHttp,
        None,
        None,
        |stage| check(&stage.folder.join("state/boot/groundstate.efi"), &folder),
    )
}

fn check(image: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let signed = folder.join("signed.efi");
    sign(image, &signed)?;
    let mut bytes = fs::read(&signed)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty image")? ^= 1;
    let flipped = folder.join("flipped.efi");
    fs::write(&flipped, bytes)?;

    let mut machine = Machine::start(&signed, folder, "signed")?;
    machine.says(IS_ON)?;
    machine.says(STARTS)?;
    drop(machine);
    for (name, image) in [("flipped", flipped.as_path()), ("unsigned", image)] {
        let mut machine = Machine::start(image, folder, name)?;
        machine.says(REFUSED).with_context(|| name.to_owned())?;
        let log = machine.console.path().to_owned();
        drop(machine);
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        ensure!(
            !said.contains(STARTS) && !said.contains("EFI stub"),
            "the {name} image was started: {}",
            log.display()
        );
    }
    Ok(())
}

fn sign(image: &Path, to: &Path) -> Result<()> {
    let key = to.with_extension("key");
    run(command(
        "openssl",
        ["rsa", "-in", KEY, "-passin", PASSPHRASE, "-out"],
    )
    .arg(&key))?;
    let mut sign = command("sbsign", ["--cert", CERTIFICATE, "--key"]);
    run(sign.arg(&key).arg("--output").arg(to).arg(image))
}

/// A machine whose only disk starts this image. It ends when it is dropped.
struct Machine {
    qemu: Child,
    console: SerialLog,
}

impl Machine {
    fn start(image: &Path, folder: &Path, name: &str) -> Result<Self> {
        let at = |ending: &str| folder.join(format!("{name}.{ending}"));
        let (disk, variables, console) = (at("disk"), at("vars"), at("log"));
        make_disk(&disk, image)?;
        fs::copy(VARIABLES, &variables).with_context(|| format!("copying {VARIABLES}"))?;
        let drive = |what: &str, file: &Path| format!("{what},format=raw,file={}", file.display());
        let said = fs::File::create(at("qemu"))?;
        let qemu = command(
            Parts::program("qemu-system-x86_64", "qemu-system-x86")?,
            [""; 0],
        )
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-nic",
            "none",
            "-no-reboot",
        ])
        .args(["-accel", "tcg", "-cpu", "max", "-m", "1024M"])
        // Only the firmware may write its variables, from system management mode.
        .args(["-machine", "q35,smm=on", "-global"])
        .arg("driver=cfi.pflash01,property=secure,value=on")
        .args([
            "-drive",
            &drive("if=pflash,unit=0,readonly=on", Path::new(CODE)),
        ])
        .args(["-drive", &drive("if=pflash,unit=1", &variables)])
        .args(["-drive", &drive("if=none,id=disk", &disk)])
        .args(["-device", "virtio-blk-pci,drive=disk", "-serial"])
        .arg(format!("file:{}", console.display()))
        .stderr(Stdio::from(said))
        .spawn()
        .context("starting QEMU")?;
        let console = SerialLog::new(&console);
        Ok(Self { qemu, console })
    }

    fn says(&mut self, what: &str) -> Result<()> {
        let qemu = &mut self.qemu;
        let log = self.console.path().to_owned();
        let alive = || match qemu.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(RackError::CommandFailed {
                command: "qemu-system-x86_64".to_owned(),
                status: status.to_string(),
                stderr: format!("see {}", log.with_extension("qemu").display()),
            }),
            Err(cause) => Err(RackError::CommandStart {
                command: "qemu-system-x86_64".to_owned(),
                cause,
            }),
        };
        self.console.wait_for_line(what, HOST_BOOT, alive)?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It has no state that anybody needs.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A FAT file system with the image where firmware looks for it on a removable disk (UEFI 2.10, 3.5.1.1).
fn make_disk(disk: &PathBuf, image: &Path) -> Result<()> {
    let length = fs::metadata(image)?.len();
    fs::File::create(disk)?.set_len((length + (16 << 20)).next_multiple_of(1 << 20))?;
    let on = |program: &str| {
        let mut tool = command(program, ["-i"]);
        tool.arg(disk);
        tool
    };
    run(on("mformat").args(["-F", "::"]))?;
    run(on("mmd").args(["::/EFI", "::/EFI/BOOT"]))?;
    run(on("mcopy").arg(image).arg("::/EFI/BOOT/BOOTX64.EFI"))
}
