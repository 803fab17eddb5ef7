// SPDX-License-Identifier: Apache-2.0
//! The site as it is read, compared, changed and looked at for drift, around what `prov-core` decides.

mod credentials;
mod drift;
mod images;
mod lax;
mod machines;
mod read;

pub(crate) use read::words;

pub use credentials::unusable as unusable_credentials;
pub use images::unusable as unusable_image;
pub use read::{FAULTS_MAX, Kinds, STAND_IN, look, read};

use crate::api::Refusal;
use crate::provisioner::Provisioner;
use axum::http::StatusCode;
use groundstate_api::site::Site;
use groundstate_api::site_plan::SitePlan;
use prov_core::{reasons_site, site_check, site_diff};

impl Provisioner {
    /// What another site would change, with the nodes as they are now.
    ///
    /// # Errors
    /// Where the site has faults, each with its path.
    pub fn site_plan(&self, site: &Site) -> Result<SitePlan, Refusal> {
        checked(site)?;
        let (old, version) = (self.site(), self.site_version());
        let mut plan = self
            .with_fleet(|fleet| site_diff::plan(Some((version, &old)), site, Some(fleet)))
            .map_err(Refusal::internal)?;
        self.refuse_webhooks(site, &mut plan);
        self.refuse_misplaced(&old, site, &mut plan);
        plan.warnings = self.credentials_missed(site);
        Ok(plan)
    }

    /// Puts another site in force, made of the one that is, and says what changed. Nobody changes it in between. Blocks for the
    /// journal.
    ///
    /// # Errors
    /// Where `make` refuses, the site has faults, something stands in the way, or the journal cannot be written: then the site
    /// before stays in force. Where the journal cannot be read once the new one is written down: then that one comes into force
    /// before anything else is decided.
    pub fn change_site(
        &self,
        by: &str,
        make: impl FnOnce(&Site, u64) -> Result<Site, Refusal>,
    ) -> Result<SitePlan, Refusal> {
        let mut made = None;
        self.site_changed(by, |old, version, fleet| {
            let site = make(old, version)?;
            checked(&site)?;
            let mut plan = site_diff::plan(Some((version, old)), &site, Some(fleet))
                .map_err(Refusal::internal)?;
            self.refuse_webhooks(&site, &mut plan);
            self.refuse_misplaced(old, &site, &mut plan);
            if let Some(reason) = reasons_site::refused(&plan) {
                return Err(Refusal::conflict(reason));
            }
            let lines = plan.lines().collect();
            made = Some(plan);
            Ok((site, lines))
        })?;
        let mut plan =
            made.ok_or_else(|| Refusal::internal("a site was applied without a plan"))?;
        plan.warnings = self.credentials_missed(&self.site());
        Ok(plan)
    }
}

fn checked(site: &Site) -> Result<(), Refusal> {
    let faults = site_check::check(site);
    match reasons_site::faulty(&faults) {
        None => Ok(()),
        Some(reason) => Err(Refusal::new(StatusCode::BAD_REQUEST, reason)),
    }
}
