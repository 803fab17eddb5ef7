// SPDX-License-Identifier: Apache-2.0
//! The boot service of `groundstate up`: the site's boot image, and what is served beside it where that was asked for; or none,
//! where another machine of the site has one.

use super::UpArgs;
use super::glue::Boot;
use super::leaders_ear::LeadersEar;
use super::say;
use crate::pxe_server::hidden;
use anyhow::{Context as _, Result};
use clap::Args;
use provisioner::Provisioner;
use pxe_core::proxy::ProxyConfig;
use pxe_server::{Assets, BootDir, BootFiles, BootService, Config, Https, Sockets, Sockets6};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a package puts the boot image's parts.
const ASSETS: &str = "/usr/lib/groundstate/boot";

/// How machines boot, where it is not the usual way.
#[derive(Args)]
pub(super) struct BootArgs {
    /// The folder with kernel, initramfs and boot loaders. [default: /usr/lib/groundstate/boot]
    #[arg(long, value_name = "DIR")]
    boot_assets: Option<PathBuf>,
    /// A folder with further boot files: those of the site file's recipes. Every regular file in it is served by TFTP and
    /// HTTP under its relative name.
    #[arg(long, value_name = "DIR")]
    boot_dir: Option<PathBuf>,
    /// Answer beside another DHCP server that leases the addresses; the site file's pool is then not used.
    #[arg(long)]
    proxy: bool,
    /// Serve DHCPv6 for network boot, too.
    #[arg(long)]
    dhcp6: bool,
    /// Serve boot files by HTTPS, too, at this TCP port, with the site's certificate.
    #[arg(long, value_name = "PORT")]
    boot_https: Option<u16>,
    /// Serve no DHCP, TFTP and HTTP boot files: another machine of the site does. For all but one of several provisioners
    /// in one network, since two boot services would lease the same addresses twice; it answers machines the same whoever
    /// of them leads. With --boot-assets the boot image is made all the same, in the state directory, for the boot service
    /// elsewhere.
    #[arg(long, conflicts_with_all = ["interface", "boot_dir", "proxy", "dhcp6", "boot_https"])]
    pub(super) no_boot_service: bool,
}

/// Opens every port of it; `None` where another machine has the boot service.
pub(super) fn open(
    args: &UpArgs,
    interface: Option<&str>,
    ours: &Provisioner,
) -> Result<Option<BootService>> {
    let boot = &args.boot;
    let Some(interface) = interface else {
        if let Some(assets) = &boot.boot_assets {
            files(assets, args, ours)?;
        }
        return Ok(None);
    };
    // Its words name the system's error already.
    let told = |error: pxe_server::ServeError| anyhow::anyhow!("{error}");
    let assets = boot.boot_assets.as_deref();
    let mut files = files(assets.unwrap_or(Path::new(ASSETS)), args, ours)?;
    if let Some(folder) = &boot.boot_dir {
        let folder = BootDir::open(folder).context("the folder of --boot-dir")?;
        files = files.with_folder(Arc::new(folder));
        for line in hidden(&files.hidden()) {
            say(&line);
        }
    }
    let mut config = Config::of_site(interface, &ours.site().network, &args.state_dir);
    if let Some(port) = boot.boot_https {
        let (certificate, key) = ours.pki().server_files();
        config.https = Some(Https::read(port, &certificate, &key)?);
    }
    let dhcp = config.dhcp.clone();
    let ear = match ours.standing() {
        provisioner::leader::Standing::Alone => None,
        _ => Some(LeadersEar::open(ours)?),
    };
    let policy = Arc::new(Boot::new(ours.clone(), ear));
    let mut service = BootService::open(config, Sockets::default(), files, policy.clone(), policy)
        .map_err(told)?;
    if boot.proxy {
        let config = ProxyConfig {
            address: dhcp.address,
            http: dhcp.http,
            boot: dhcp.boot.clone(),
        };
        service.proxy_on(config, None).map_err(told)?;
    }
    if boot.dhcp6 {
        let config = pxe_server::dhcp6_of_interface(interface, dhcp.http.port, dhcp.boot);
        let config = config.map_err(told)?;
        service
            .dhcp6_on(config, &args.state_dir, Sockets6::default())
            .map_err(told)?;
    }
    Ok(Some(service))
}

/// The site's boot image, of which the state directory keeps a copy.
fn files(assets: &Path, args: &UpArgs, ours: &Provisioner) -> Result<BootFiles> {
    let read = Assets::read(assets).with_context(|| {
        format!(
            "the boot image's parts in {} cannot be used; --boot-assets names their folder (`cargo xtask boot-image` makes target/groundstate/boot)",
            assets.display()
        )
    })?;
    let files = pxe_server::assemble(&read, &ours.boot_config(), &args.state_dir.join("boot"))?;
    if ours.site().nodes.iter().any(|node| node.bmc.is_some()) {
        return files
            .with_iso()
            .context("the boot image for virtual drives");
    }
    Ok(files)
}

impl BootArgs {
    /// What is not the usual way, for the greeting.
    pub(super) fn says(&self, state_dir: &Path) -> Vec<String> {
        let proxy = "beside another DHCP server: it leases the addresses".to_owned();
        let folder = |dir: &PathBuf| format!("files of {}", dir.display());
        let https = |port: u16| format!("HTTPS port {port}");
        let image = || {
            let made = state_dir.join("boot");
            format!("the boot image for it is in {}", made.display())
        };
        let made = self.no_boot_service && self.boot_assets.is_some();
        let said = [
            self.proxy.then_some(proxy),
            self.dhcp6.then(|| "DHCPv6".to_owned()),
            self.boot_dir.as_ref().map(folder),
            self.boot_https.map(https),
            made.then(image),
        ];
        said.into_iter().flatten().collect()
    }
}
