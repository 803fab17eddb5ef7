// SPDX-License-Identifier: Apache-2.0
//! The boot service of `groundstate up`: the site's boot image, and what is served beside it where that was asked for.

use super::UpArgs;
use super::glue::Boot;
use anyhow::{Context as _, Result};
use clap::Args;
use provisioner::Provisioner;
use pxe_core::proxy::ProxyConfig;
use pxe_server::{Assets, BootDir, BootService, Config, Https, Sockets, Sockets6};
use std::path::PathBuf;
use std::sync::Arc;

/// How machines boot, where it is not the usual way.
#[derive(Args)]
pub(super) struct BootArgs {
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
}

/// Opens every port of it.
pub(super) fn open(args: &UpArgs, interface: &str, ours: &Provisioner) -> Result<BootService> {
    // Its words name the system's error already.
    let told = |error: pxe_server::ServeError| anyhow::anyhow!("{error}");
    let assets = Assets::read(&args.boot_assets)?;
    let mut files =
        pxe_server::assemble(&assets, &ours.boot_config(), &args.state_dir.join("boot"))?;
    if ours.site().nodes.iter().any(|node| node.bmc.is_some()) {
        files = files
            .with_iso()
            .context("the boot image for virtual drives")?;
    }
    if let Some(folder) = &args.boot.boot_dir {
        let folder = BootDir::open(folder).context("the folder of --boot-dir")?;
        files = files.with_folder(Arc::new(folder));
    }
    let mut config = Config::of_site(interface, &ours.site().network, &args.state_dir);
    if let Some(port) = args.boot.boot_https {
        let (certificate, key) = ours.pki().server_files();
        config.https = Some(Https::read(port, &certificate, &key)?);
    }
    let dhcp = config.dhcp.clone();
    let policy = Arc::new(Boot(ours.clone()));
    let mut service = BootService::open(config, Sockets::default(), files, policy.clone(), policy)
        .map_err(told)?;
    if args.boot.proxy {
        let config = ProxyConfig {
            address: dhcp.address,
            http: dhcp.http,
            boot: dhcp.boot.clone(),
        };
        service.proxy_on(config, None).map_err(told)?;
    }
    if args.boot.dhcp6 {
        let config = pxe_server::dhcp6_of_interface(interface, dhcp.http.port, dhcp.boot);
        let config = config.map_err(told)?;
        service
            .dhcp6_on(config, &args.state_dir, Sockets6::default())
            .map_err(told)?;
    }
    Ok(service)
}

impl BootArgs {
    /// What is not the usual way, for the greeting.
    pub(super) fn says(&self) -> Vec<String> {
        let proxy = "beside another DHCP server: it leases the addresses".to_owned();
        let folder = |dir: &PathBuf| format!("files of {}", dir.display());
        let https = |port: u16| format!("HTTPS port {port}");
        let said = [
            self.proxy.then_some(proxy),
            self.dhcp6.then(|| "DHCPv6".to_owned()),
            self.boot_dir.as_ref().map(folder),
            self.boot_https.map(https),
        ];
        said.into_iter().flatten().collect()
    }
}
