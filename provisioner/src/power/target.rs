// SPDX-License-Identifier: Apache-2.0
//! From the site's words about a node's BMC to somebody who can be spoken to: address, credential, certificate.

use super::Power;
use crate::provisioner::Provisioner;
use bmc::{Address, Secret, Target};
use groundstate_api::action::Act;
use groundstate_api::site_parts::BmcSite;
use groundstate_api::{Digest, NodeId, Reason};
use prov_core::reasons_power::{self, Opens};

impl Provisioner {
    /// A node's BMC, with its credential read anew.
    ///
    /// # Errors
    /// Why it cannot be spoken to.
    pub(super) async fn target(&self, node: &NodeId) -> Result<Target, Reason> {
        let site = self
            .with_node(node, |node| node.site.bmc.clone())
            .flatten()
            .ok_or_else(|| reasons_power::no_bmc(node))?;
        self.target_of(node, site).await
    }

    /// The same for an act: without a BMC a person is asked to do it.
    pub(super) async fn target_for(&self, node: &NodeId, act: &Act) -> Result<Target, Reason> {
        let read = self.with_node(node, |node| {
            let bmc = node.site.bmc.clone();
            bmc.ok_or_else(|| reasons_power::power_needed(&node.site, act))
        });
        let site = read.unwrap_or_else(|| Err(reasons_power::no_bmc(node)))?;
        self.target_of(node, site).await
    }

    async fn target_of(&self, node: &NodeId, site: BmcSite) -> Result<Target, Reason> {
        let address: Address = site.address.parse().map_err(|error: bmc::BadAddress| {
            reasons_power::bmc_address(node, &error.to_string())
        })?;
        let (credentials, name) = (self.credentials().clone(), site.credential.clone());
        let read = tokio::task::spawn_blocking(move || credentials.read(&name)).await;
        let place = self.credentials().places(&site.credential);
        let place = place.last().map(|path| path.display().to_string());
        let place = place.unwrap_or_default();
        let missing = |why: &str| {
            reasons_power::credential_missing(&site.credential, why, Opens::Bmc, &place)
        };
        let text = read
            .map_err(|error| missing(&error.to_string()))?
            .map_err(|error| error.reason(Opens::Bmc))?;
        let secret = Secret::parse(text.text()).map_err(|bad| missing(bad.0))?;
        let declared = site.certificate.as_deref();
        let declared = declared.and_then(|text| text.parse::<Digest>().ok());
        let pin = declared.or_else(|| self.power().0.kept.pin(&address.to_string()));
        Ok(Target {
            address,
            protocol: site.protocol,
            secret,
            pin,
            system: site.system,
        })
    }
}

impl Power {
    /// Keeps a certificate that was trusted on first use, and says so.
    pub(super) fn trusted(&self, target: &Target) {
        if target.pin.is_none()
            && let Some(seen) = self.0.bmcs.first_seen(&target.address)
        {
            let address = target.address.to_string();
            tracing::warn!(
                bmc = address,
                certificate = %seen,
                "this certificate was seen for the first time and is kept: no other is believed at this address"
            );
            self.0.kept.keep_pin(&address, seen);
        }
    }
}
