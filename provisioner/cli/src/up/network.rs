// SPDX-License-Identifier: Apache-2.0
//! Another pool, router, resolver or lease time in the site: the boot service that runs serves by it.
//!
//! Its address, prefix and port are what it was opened with: those of another site hold from the next start on.

use super::say;
use anyhow::Result;
use groundstate_api::site::Network;
use provisioner::{Provisioner, serve};
use pxe_core::dhcp::ServerConfig;
use pxe_server::Reloader;
use tokio::sync::watch;

/// Until `stop`: whenever another site is in force, the boot service serves by its network.
pub(super) async fn follow(
    ours: Provisioner,
    boot: Reloader,
    began: Network,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut news = ours.follow();
    let mut seen = began;
    loop {
        let wanted = beside(&seen, &ours.site().network);
        if wanted != seen {
            say(&serve_by(&boot, &wanted));
            seen = wanted;
        }
        tokio::select! {
            () = serve::stopped(&mut stop) => return Ok(()),
            changed = news.changed() => changed?,
        }
    }
}

/// The network of another site, as far as a service that runs can take it.
fn beside(began: &Network, site: &Network) -> Network {
    Network {
        address: began.address,
        prefix: began.prefix,
        http_port: began.http_port,
        https_port: began.https_port,
        ..site.clone()
    }
}

fn serve_by(boot: &Reloader, network: &Network) -> String {
    match boot.dhcp(ServerConfig::from(network)) {
        Ok(()) => format!(
            "NETWORK     leases {} to {} from now on; leases that were given hold until they end",
            network.pool_first, network.pool_last
        ),
        Err(error) => format!(
            "NETWORK     the boot service goes on as it was, and takes the site's network when groundstate is started again: {error}"
        ),
    }
}

#[cfg(test)]
mod live;
#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::site::Site;

    #[test]
    fn a_service_that_runs_takes_the_pool_and_not_another_address_or_port() {
        let began: Site = toml::from_str(
            "name = \"x\"\n[network]\naddress = \"10.0.0.1\"\nprefix = 24\npool_first = \"10.0.0.10\"\npool_last = \"10.0.0.20\"\n[policy]\nimage = \"d\"\nhand_over = \"kexec\"\n",
        )
        .unwrap();
        let began = began.network;
        let mut site = began.clone();
        site.address = "10.0.0.2".parse().unwrap();
        site.prefix = 25;
        site.http_port = 8_080;
        assert_eq!(beside(&began, &site), began);
        site.pool_last = "10.0.0.30".parse().unwrap();
        site.router = Some("10.0.0.254".parse().unwrap());
        site.dns = vec!["10.0.0.53".parse().unwrap()];
        site.lease_secs = 600;
        let served = beside(&began, &site);
        assert_eq!(served.address, began.address);
        let subnet = &ServerConfig::from(&served).subnets[0];
        assert_eq!(subnet.pools, [(site.pool_first, site.pool_last)]);
        assert_eq!(
            (subnet.router, &subnet.dns, subnet.lease_secs),
            (site.router, &site.dns, 600)
        );
    }
}
