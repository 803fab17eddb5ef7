// SPDX-License-Identifier: Apache-2.0
//! Credentials that a site names: whether each is there and may be used, before something needs it.
//!
//! What they hold is read to see that it can be, and is let go at once: it comes into no plan, message or log.

use crate::credential::{CredentialError, Credentials};
use crate::provisioner::Provisioner;
use groundstate_api::customise::CredentialRule;
use groundstate_api::site::Site;
use groundstate_api::site_plan::{ChangeKind, SitePlan};
use groundstate_api::{NodeId, Reason};
use prov_core::reasons_power::Opens;
use prov_core::reasons_site;
use std::collections::BTreeMap;

/// Things that name a credential of which one is missing; more are counted.
const USERS_SHOWN: usize = 4;
/// Credentials that are told of in one plan; more are counted in the last of them.
const TOLD_MAX: usize = 64;

/// A reason for each credential that the site names and that cannot be used, by name: where it was looked for, why it cannot be
/// used, and what will be missed without it.
#[must_use]
pub fn unusable(credentials: &Credentials, site: &Site) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for ((name, opens), users) in named(site) {
        if let Err(error) = look(credentials, name, opens) {
            reasons.push(reason(credentials, (name, opens), &users, &error));
        }
    }
    let more = reasons.len().saturating_sub(TOLD_MAX);
    reasons.truncate(TOLD_MAX);
    if let (Some(last), true) = (reasons.last_mut(), more > 0) {
        last.evidence.push(format!("and {more} other credentials"));
    }
    reasons
}

/// Each credential with what names it.
fn named(site: &Site) -> BTreeMap<(&str, Opens), Vec<String>> {
    let mut all: BTreeMap<(&str, Opens), Vec<String>> = BTreeMap::new();
    let mut add = |name, opens, user: String| all.entry((name, opens)).or_default().push(user);
    for hook in &site.webhooks {
        let user = format!("webhook {}: nothing is told to it", hook.name);
        add(hook.credential.as_str(), Opens::Webhook, user);
    }
    for rule in &site.policy.credentials {
        let user = format!("policy.credential {}: runs are held for it", rule.name);
        add(rule.from.as_str(), Opens::Host, user);
    }
    for node in &site.nodes {
        if let Some(bmc) = &node.bmc {
            let user = format!("node {}: its BMC is not spoken to", node.name);
            add(bmc.credential.as_str(), Opens::Bmc, user);
        }
        for rule in &node.credentials {
            let user = format!("node {}: its runs are held for {}", node.name, rule.name);
            add(rule.from.as_str(), Opens::Host, user);
        }
    }
    all
}

fn look(credentials: &Credentials, name: &str, opens: Opens) -> Result<(), CredentialError> {
    match opens {
        Opens::Bmc | Opens::Webhook => credentials.read(name).map(drop),
        Opens::Host => credentials.read_bytes(name).map(drop),
    }
}

fn reason(
    credentials: &Credentials,
    (name, opens): (&str, Opens),
    users: &[String],
    error: &CredentialError,
) -> Reason {
    if let CredentialError::NotForHosts { .. } = error {
        let users = users.iter().take(USERS_SHOWN);
        return users.fold(error.reason(opens), |reason, user| {
            reason.seen(user.as_str())
        });
    }
    let places = match opens {
        Opens::Bmc | Opens::Webhook => credentials.places(name),
        Opens::Host => credentials.host_places(name),
    };
    let places: Vec<String> = places
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let shown: Vec<&str> = users.iter().take(USERS_SHOWN).map(String::as_str).collect();
    let more = users.len().saturating_sub(USERS_SHOWN);
    reasons_site::credential_unusable((name, opens), &error.to_string(), &places, (&shown, more))
}

impl Provisioner {
    /// What of the credentials of a site will be missed. Blocks for small files.
    pub(super) fn credentials_missed(&self, site: &Site) -> Vec<Reason> {
        unusable(self.credentials(), site)
    }

    /// Refuses to place on hosts what a BMC or a webhook is spoken to with, where the site before did not.
    pub(super) fn refuse_misplaced(&self, old: &Site, site: &Site, plan: &mut SitePlan) {
        let before = old
            .nodes
            .iter()
            .map(|node| (&node.name, node.credentials.as_slice()));
        let before: BTreeMap<&NodeId, &[CredentialRule]> = before.collect();
        let nodes = site.nodes.iter().map(|node| {
            let was = before.get(&node.name).copied().unwrap_or_default();
            (
                format!("node {}", node.name),
                was,
                node.credentials.as_slice(),
            )
        });
        let policy = [(
            "policy.credential".to_owned(),
            old.policy.credentials.as_slice(),
            site.policy.credentials.as_slice(),
        )];
        for (resource, was, is) in policy.into_iter().chain(nodes) {
            let new = is.iter().filter(|rule| !was.contains(rule));
            let mut misplaced =
                new.filter_map(|rule| match self.credentials().read_bytes(&rule.from) {
                    Err(error @ CredentialError::NotForHosts { .. }) => {
                        Some(error.reason(Opens::Host))
                    }
                    Err(_) | Ok(_) => None,
                });
            let Some(reason) = misplaced.next() else {
                continue;
            };
            let change = plan.changes.iter_mut().find(|one| one.resource == resource);
            if let Some(change) = change.filter(|change| change.refused.is_none()) {
                change.refused = Some(format!("{}: {}", reason.what, reason.next_step));
            }
        }
    }

    /// Refuses webhooks that are new, or sign with another credential than before, where that credential cannot be used: their
    /// events would be kept from whoever waits for them, from the first one on.
    pub(super) fn refuse_webhooks(&self, site: &Site, plan: &mut SitePlan) {
        for change in &mut plan.changes {
            let Some(name) = change.resource.strip_prefix("webhook ") else {
                continue;
            };
            let is_new = change.kind == ChangeKind::Added
                || change.keys.iter().any(|key| key.key == "credential");
            let hook = site.webhooks.iter().find(|hook| hook.name == name);
            let Some(hook) = hook.filter(|_| is_new && change.refused.is_none()) else {
                continue;
            };
            if let Err(error) = look(self.credentials(), &hook.credential, Opens::Webhook) {
                change.refused = Some(reasons_site::webhook_cannot_sign(
                    &hook.credential,
                    &error.to_string(),
                ));
            }
        }
    }
}
