// SPDX-License-Identifier: Apache-2.0
//! Credentials that a site names: whether each is there and may be used, before something needs it.
//!
//! What they hold is read to see that it can be, and is let go at once: it comes into no plan, message or log.

use crate::credential::{CredentialError, Credentials};
use crate::provisioner::Provisioner;
use groundstate_api::Reason;
use groundstate_api::site::Site;
use groundstate_api::site_plan::{ChangeKind, SitePlan};
use prov_core::reasons_site;
use std::collections::BTreeMap;

/// Things that name a credential of which one is missing; more are counted.
const USERS_SHOWN: usize = 4;
/// Credentials that are told of in one plan; more are counted in the last of them.
const TOLD_MAX: usize = 64;

/// How a credential is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// One line of text: BMCs, webhooks.
    Text,
    /// Whatever it is: what goes to hosts.
    Bytes,
}

/// A reason for each credential that the site names and that cannot be used, by name: where it was looked for, why it cannot be
/// used, and what will be missed without it.
#[must_use]
pub fn unusable(credentials: &Credentials, site: &Site) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for ((name, form), users) in named(site) {
        if let Err(error) = look(credentials, name, form) {
            reasons.push(reason(credentials, name, &users, &error));
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
fn named(site: &Site) -> BTreeMap<(&str, Form), Vec<String>> {
    let mut all: BTreeMap<(&str, Form), Vec<String>> = BTreeMap::new();
    let mut add = |name, form, user: String| all.entry((name, form)).or_default().push(user);
    for hook in &site.webhooks {
        let user = format!("webhook {}: nothing is told to it", hook.name);
        add(hook.credential.as_str(), Form::Text, user);
    }
    for rule in &site.policy.credentials {
        let user = format!("policy.credential {}: runs are held for it", rule.name);
        add(rule.from.as_str(), Form::Bytes, user);
    }
    for node in &site.nodes {
        if let Some(bmc) = &node.bmc {
            let user = format!("node {}: its BMC is not spoken to", node.name);
            add(bmc.credential.as_str(), Form::Text, user);
        }
        for rule in &node.credentials {
            let user = format!("node {}: its runs are held for {}", node.name, rule.name);
            add(rule.from.as_str(), Form::Bytes, user);
        }
    }
    all
}

fn look(credentials: &Credentials, name: &str, form: Form) -> Result<(), CredentialError> {
    match form {
        Form::Text => credentials.read(name).map(drop),
        Form::Bytes => credentials.read_bytes(name).map(drop),
    }
}

fn reason(
    credentials: &Credentials,
    name: &str,
    users: &[String],
    error: &CredentialError,
) -> Reason {
    let places = credentials.places(name);
    let places: Vec<String> = places
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let shown: Vec<&str> = users.iter().take(USERS_SHOWN).map(String::as_str).collect();
    let more = users.len().saturating_sub(USERS_SHOWN);
    reasons_site::credential_unusable(name, &error.to_string(), &places, (&shown, more))
}

impl Provisioner {
    /// What of the credentials of a site will be missed. Blocks for small files.
    pub(super) fn credentials_missed(&self, site: &Site) -> Vec<Reason> {
        unusable(self.credentials(), site)
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
            if let Err(error) = look(self.credentials(), &hook.credential, Form::Text) {
                change.refused = Some(reasons_site::webhook_cannot_sign(
                    &hook.credential,
                    &error.to_string(),
                ));
            }
        }
    }
}
