// SPDX-License-Identifier: Apache-2.0
//! All BMCs of a fleet: one session at a time for each, a limit on requests for all, no hammering.

use crate::address::Address;
use crate::door::{Door, Way};
use crate::drive;
use crate::ipmi::Ipmi;
use crate::kind::{Asked, Bmc};
use crate::redfish::Redfish;
use crate::secret::Secret;
use crate::session::Session;
use crate::settings::Settings;
use crate::tls::Pinned;
use crate::wire::Wire;
use bmc_core::ladder::{Action, Event, Ladder};
use bmc_core::learned::MachineKey;
use bmc_core::next_boot::Lasting;
use bmc_core::power::PowerState;
use bmc_core::rung::Rung;
use bmc_core::trouble::Trouble;
use groundstate_api::action::{NextBoot, PowerTo};
use groundstate_api::bmc::BmcReport;
use groundstate_api::site_parts::BmcProtocol;
use groundstate_api::{Digest, Millis};
use rustls::crypto::CryptoProvider;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// One BMC and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub address: Address,
    /// How; without it Redfish, and IPMI where that does not answer.
    pub protocol: Option<BmcProtocol>,
    /// With which credential.
    pub secret: Secret,
    /// The digest of its certificate; without it the first one that is seen is believed from then on.
    pub pin: Option<Digest>,
    /// Which of its machines.
    pub system: Option<String>,
}

impl Target {
    const fn may_redfish(&self) -> bool {
        !matches!(self.protocol, Some(BmcProtocol::Ipmi))
    }

    const fn may_ipmi(&self) -> bool {
        matches!(self.protocol, None | Some(BmcProtocol::Ipmi))
    }
}

struct Inner {
    settings: Arc<Settings>,
    places: Arc<Semaphore>,
    doors: Mutex<HashMap<Address, Arc<Door>>>,
    key: [u8; 32],
}

/// Speaks to BMCs. Clones share everything.
#[derive(Clone)]
pub struct Bmcs(Arc<Inner>);

impl Bmcs {
    /// Nothing is spoken yet.
    ///
    /// # Panics
    /// Where the operating system has no randomness.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut key = [0; 32];
        let provider: CryptoProvider = rustls::crypto::ring::default_provider();
        provider
            .secure_random
            .fill(&mut key)
            .expect("the operating system gives randomness");
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(settings.requests_max)),
            settings: Arc::new(settings),
            doors: Mutex::default(),
            key,
        }))
    }

    /// Begins a session. One at a time for each BMC: it waits for the one before.
    ///
    /// # Errors
    /// Whatever keeps the session from coming about.
    pub async fn open(&self, target: &Target) -> Result<Session, Trouble> {
        if !target.may_redfish() {
            return self.by(target, Way::Ipmi).await;
        }
        let trouble = match self.by(target, Way::Redfish).await {
            Ok(session) => return Ok(session),
            Err(trouble) => trouble,
        };
        let perhaps_no_redfish = matches!(
            trouble,
            Trouble::Unreachable { .. }
                | Trouble::TimedOut { .. }
                | Trouble::Tls { .. }
                | Trouble::Odd { .. }
                | Trouble::Refused { .. }
                | Trouble::LeftAlone { .. }
        );
        if !target.may_ipmi() || !perhaps_no_redfish {
            return Err(trouble);
        }
        match self.by(target, Way::Ipmi).await {
            Ok(session) => Ok(session),
            Err(refused @ Trouble::CredentialRefused { .. }) => Err(refused),
            Err(other) => {
                tracing::debug!(%other, "IPMI does not answer either");
                Err(trouble)
            }
        }
    }

    async fn by(&self, target: &Target, way: Way) -> Result<Session, Trouble> {
        let door = self.door(&target.address);
        let turn = door.turn.clone().lock_owned().await;
        let with = target.secret.fingerprint(&self.0.key);
        door.ask(way, with)?;
        let result = match way {
            Way::Redfish => self.redfish(target, &door).await,
            Way::Ipmi => self.ipmi(target, &door).await,
        };
        door.note(way, with, &result);
        let bmc = result?;
        if let Some(machine) = bmc.machine() {
            door.is(machine);
        }
        Ok(Session::new(bmc, turn, door, way, with))
    }

    async fn redfish(&self, target: &Target, door: &Door) -> Result<Box<dyn Bmc>, Trouble> {
        let plain = target.protocol == Some(BmcProtocol::RedfishHttp);
        let pin = target.pin.or_else(|| door.first_seen());
        let tls = (!plain).then(|| Pinned::new(pin));
        let (settings, places) = (self.0.settings.clone(), self.0.places.clone());
        let wire = Wire::new(
            target.address.clone(),
            tls.clone(),
            places,
            settings.clone(),
        );
        let result = Redfish::open(
            wire,
            target.secret.clone(),
            target.system.as_deref(),
            settings,
        )
        .await;
        if let Some(certificate) = tls.and_then(|tls| tls.believed()) {
            door.saw(certificate);
        }
        Ok(Box::new(result?))
    }

    async fn ipmi(&self, target: &Target, door: &Door) -> Result<Box<dyn Bmc>, Trouble> {
        let named = target.address.port().filter(|_| !target.may_redfish());
        let port = named.unwrap_or(self.0.settings.ipmi_port);
        let (settings, places) = (self.0.settings.clone(), self.0.places.clone());
        let opened = Ipmi::open(
            target.address.host(),
            port,
            target.secret.clone(),
            door.cipher.clone(),
            places,
            settings,
        );
        Ok(Box::new(opened.await?))
    }

    /// Does one thing in a session of its own.
    async fn once<T, F>(&self, target: &Target, act: F) -> Result<T, Trouble>
    where
        F: for<'a> FnOnce(&'a mut (dyn Bmc + 'static)) -> Asked<'a, T> + Send,
        T: Send,
    {
        let session = self.open(target).await?;
        within(session, act).await
    }

    /// Whether the machine runs.
    ///
    /// # Errors
    /// What the BMC refuses or is not.
    pub async fn power_state(&self, target: &Target) -> Result<PowerState, Trouble> {
        self.once(target, |bmc| bmc.look())
            .await
            .map(|look| look.power)
    }

    /// Changes power, and ends when it is so: what was done and seen, a sentence each.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead after `within`.
    pub async fn power(
        &self,
        target: &Target,
        to: PowerTo,
        within: Millis,
    ) -> Result<Vec<String>, Trouble> {
        let settings = self.0.settings.clone();
        self.once(target, move |bmc| {
            Box::pin(async move { drive::power(bmc, to, within, &settings).await })
        })
        .await
    }

    /// Sets the next boot by one rung, reads it back and compares.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead.
    pub async fn set_next_boot(
        &self,
        target: &Target,
        to: NextBoot,
        rung: Rung,
    ) -> Result<Vec<String>, Trouble> {
        let way = if rung.by_redfish() {
            Way::Redfish
        } else {
            Way::Ipmi
        };
        let may = match way {
            Way::Redfish => target.may_redfish(),
            Way::Ipmi => target.may_ipmi(),
        };
        if !rung.by_bmc() || !rung.can(to) || !may {
            return Err(Trouble::NotOffered {
                wanted: format!("the rung {rung}, for this BMC as the site file says it,"),
                offers: Vec::new(),
            });
        }
        let lasting = if rung == Rung::RedfishPersistent {
            Lasting::Continuous
        } else {
            Lasting::Once
        };
        let session = self.by(target, way).await?;
        within(session, move |bmc| bmc.set_next_boot(to, lasting)).await
    }

    /// Takes an override back.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead.
    pub async fn clear_next_boot(&self, target: &Target) -> Result<Vec<String>, Trouble> {
        self.once(target, |bmc| bmc.clear_next_boot()).await
    }

    /// Carries out what of a ladder a BMC can do; the rest is handed back, in order: what is to be learned, the rungs of others, restarts,
    /// the end. Taking an override back is done here too; where that fails, it is handed back.
    pub async fn climb(
        &self,
        target: &Target,
        ladder: &mut Ladder,
        now: Millis,
        event: Event,
    ) -> Vec<Action> {
        let (mut left, mut wanted) = (Vec::new(), Vec::new());
        ladder.handle(now, event, &mut wanted);
        loop {
            let mut next = Vec::new();
            for action in wanted {
                match action {
                    Action::Set(rung) if rung.by_bmc() => {
                        let result = self.set_next_boot(target, ladder.to(), rung).await;
                        ladder.handle(now, Event::Set { rung, result }, &mut next);
                    }
                    Action::ClearOverride => {
                        if let Err(trouble) = self.clear_next_boot(target).await {
                            tracing::warn!(%trouble, "a boot override was not taken back");
                            left.push(Action::ClearOverride);
                        }
                    }
                    other => left.push(other),
                }
            }
            if next.is_empty() {
                return left;
            }
            wanted = next;
        }
    }

    /// Switches the locator LED.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead.
    pub async fn identify(&self, target: &Target, on: bool) -> Result<Vec<String>, Trouble> {
        self.once(target, move |bmc| bmc.identify(on)).await
    }

    /// What the BMC says of its machine; `now` is written into the report.
    ///
    /// # Errors
    /// What the BMC refuses or is not.
    pub async fn inventory(&self, target: &Target, now: Millis) -> Result<BmcReport, Trouble> {
        self.once(target, move |bmc| bmc.inventory(now)).await
    }

    /// Lines of its logs, newest last, 500 at most.
    ///
    /// # Errors
    /// What the BMC refuses or is not.
    pub async fn console_log(&self, target: &Target) -> Result<Vec<String>, Trouble> {
        self.once(target, |bmc| bmc.console_log()).await
    }

    /// Shows the machine an ISO.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead.
    pub async fn insert_media(&self, target: &Target, url: &str) -> Result<Vec<String>, Trouble> {
        let url = url.to_owned();
        self.once(target, move |bmc| {
            Box::pin(async move { bmc.insert_media(&url).await })
        })
        .await
    }

    /// Takes the ISO away.
    ///
    /// # Errors
    /// What the BMC refuses, or what is so instead.
    pub async fn eject_media(&self, target: &Target) -> Result<Vec<String>, Trouble> {
        self.once(target, |bmc| bmc.eject_media()).await
    }

    /// The certificate that was believed last: keep it, show it, and give it as the pin from then on.
    #[must_use]
    pub fn first_seen(&self, address: &Address) -> Option<Digest> {
        self.door(address).first_seen()
    }

    /// Model and firmware behind an address, once it was spoken to.
    #[must_use]
    pub fn machine(&self, address: &Address) -> Option<MachineKey> {
        self.door(address).machine()
    }

    /// A person wants a refused credential, or a silent BMC, tried again now.
    pub fn forgive(&self, address: &Address) {
        self.door(address).forgive();
    }

    fn door(&self, address: &Address) -> Arc<Door> {
        let mut doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.entry(address.clone()).or_default().clone()
    }
}

async fn within<T, F>(mut session: Session, act: F) -> Result<T, Trouble>
where
    F: for<'a> FnOnce(&'a mut (dyn Bmc + 'static)) -> Asked<'a, T> + Send,
    T: Send,
{
    let result = act(&mut *session).await;
    session.note(&result);
    session.close().await;
    result
}

impl std::fmt::Debug for Bmcs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bmcs")
    }
}
