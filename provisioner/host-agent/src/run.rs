// SPDX-License-Identifier: Apache-2.0
//! The service: specialise, then talk to the provisioner for as long as the host runs.

use crate::acts::{self, Acts};
use crate::boot_facts::{BootFacts, uptime_secs};
use crate::contact::{CONTACT_PATH, Contact};
use crate::conversation::{Action, Conversation, Event, Failure};
use crate::documents::{REPORTED_PATH, Specialised};
use crate::error::AgentError;
use crate::host::Host;
use crate::next_boot::{self, set_next_boot};
use crate::provisioner::Provisioner;
use crate::root::Root;
use crate::say;
use crate::specialise::{Moment, Specialisation, read_seed};
use crate::status::now as wall_clock;
use crate::troubles;
use groundstate_api::boot::Firmware;
use groundstate_api::healing::Trouble;
use groundstate_api::host::{Heartbeat, HostInstruction, HostSeed, Register};
use groundstate_api::{Millis, SCHEMA};
use std::convert::Infallible;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long to wait before a failed specialisation is taken up again: a disk that is slow to appear is there by then.
const SPECIALISE_RETRY: Duration = Duration::from_secs(5);
/// Heartbeats from one look at the host's health to the next: half a minute.
const LOOKS_EVERY: u64 = 6;
pub(crate) const EFIVARS: &str = "sys/firmware/efi/efivars";

/// Runs until the process is stopped. It returns only where running cannot help: the host has no seed, no boot id, or
/// no usable credential.
///
/// # Errors
/// As said.
pub fn run_forever<H: Host + Clone + Send + 'static>(
    root: &Root,
    host: &H,
) -> Result<Infallible, AgentError> {
    read_seed(root)?;
    let facts = BootFacts::read(root)?;
    let seed = read_seed(root)?;
    let (done, seed) = if seed.adopted {
        (as_it_is(&seed, &facts), seed)
    } else {
        (specialise(root, host, &facts)?, read_seed(root)?)
    };
    let provisioner = Provisioner::new(root, &seed.provisioner, &seed.others)?;
    say::ready();
    let short: String = seed.plan.as_str().chars().take(12).collect();
    if seed.adopted {
        say::console(&format!("host {} is adopted as it is", seed.node));
    } else {
        say::console(&format!("host {} is specialised, plan {short}", seed.node));
    }
    let boots_next = next_boot::can(&root.at(EFIVARS), seed.network_boot);
    let entropy = facts
        .boot_id
        .as_str()
        .bytes()
        .fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    let mut service = Service {
        root,
        host,
        contact: Contact {
            boot_id: facts.boot_id.clone(),
            last_answer: None,
            heartbeats: 0,
            trouble: None,
        },
        acts: Acts::read(root, &facts.boot_id),
        boots_next,
        troubles: Vec::new(),
        facts,
        done,
        seed,
        provisioner,
    };
    let started = Instant::now();
    let clock = || Millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut conversation = Conversation::new(clock(), entropy);
    loop {
        let wait = conversation
            .deadline()
            .map_or(Millis::secs(1), |deadline| deadline.since(clock()));
        sleep(Duration::from_millis(wait.0));
        service.converse(&mut conversation, clock);
    }
}

/// A host that was taken in stays as it is.
fn as_it_is(seed: &HostSeed, facts: &BootFacts) -> Specialised {
    Specialised {
        schema: SCHEMA,
        node: seed.node.clone(),
        run: seed.run.clone(),
        plan: seed.plan.clone(),
        boot_id: facts.boot_id.clone(),
        changes: Vec::new(),
    }
}

/// Specialises, however often that takes.
fn specialise<H: Host>(
    root: &Root,
    host: &H,
    facts: &BootFacts,
) -> Result<Specialised, AgentError> {
    let mut said = String::new();
    loop {
        let outcome =
            Specialisation::take_up(root, host, facts.boot_id.clone())?.run(
                |moment| match moment {
                    Moment::Done(change) => {
                        say::journal(&format!(
                            "{}: {} -> {}",
                            change.what, change.before, change.after
                        ));
                    }
                    Moment::Noted(_) | Moment::Acted(_) | Moment::Complete(_) => {}
                },
            );
        match outcome {
            Ok(done) => return Ok(done),
            Err(error) => {
                let line = format!("this host is not specialised yet: {error}");
                if line != said {
                    say::console(&line);
                    said = line;
                }
                sleep(SPECIALISE_RETRY);
            }
        }
    }
}

struct Service<'a, H> {
    root: &'a Root,
    host: &'a H,
    facts: BootFacts,
    done: Specialised,
    seed: HostSeed,
    provisioner: Provisioner,
    contact: Contact,
    acts: Acts,
    /// Whether this host can say what its firmware boots next.
    boots_next: bool,
    troubles: Vec<Trouble>,
}

impl<H: Host + Clone + Send + 'static> Service<'_, H> {
    /// Carries out what is due, and what its outcomes ask for, until nothing is left to do now.
    fn converse(&mut self, conversation: &mut Conversation, clock: impl Fn() -> Millis) {
        let mut actions = Vec::new();
        conversation.handle(clock(), Event::Timeout, &mut actions);
        while !actions.is_empty() {
            for action in std::mem::take(&mut actions) {
                if let Some(event) = self.act(action) {
                    conversation.handle(clock(), event, &mut actions);
                }
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Register => {
                let outcome = self.provisioner.register(&self.register());
                Some(self.heard(outcome))
            }
            Action::Heartbeat { number } => {
                self.contact.heartbeats = number;
                self.look(number);
                let heartbeat = Heartbeat {
                    node: self.seed.node.clone(),
                    plan: self.seed.plan.clone(),
                    boot_id: self.facts.boot_id.clone(),
                    number,
                    uptime_secs: uptime_secs(self.root),
                    epoch: self.seed.epoch,
                    troubles: self.troubles.clone(),
                    ended: self.acts.untold(self.root),
                    boots_next: self.boots_next,
                };
                let outcome = self.provisioner.heartbeat(&heartbeat);
                Some(self.heard(outcome))
            }
            Action::Registered => {
                if let Err(error) =
                    self.root
                        .write(REPORTED_PATH, self.seed.plan.as_str().as_bytes(), 0o600)
                {
                    say::journal(&error.to_string());
                }
                let short: String = self.seed.plan.as_str().chars().take(12).collect();
                let made = if self.seed.adopted {
                    "adopted".to_owned()
                } else {
                    format!("plan {short}")
                };
                say::console(&format!("host {} ready, {made}", self.seed.node));
                None
            }
            Action::RestartToNetwork => Some(match self.restart() {
                Ok(how) => Event::RestartAsked { how },
                Err(why) => {
                    self.note(Some(why.clone()));
                    Event::RestartRefused { why }
                }
            }),
            Action::Act { action, act } => {
                let what = (action, act);
                let provisioner = self.provisioner.clone();
                let send = move |action, package| provisioner.diagnostics(action, package);
                self.acts.asked(self.root, self.host, send, what);
                None
            }
            Action::ActHeard => {
                self.acts.heard();
                None
            }
            Action::StopWork => {
                match acts::stop_work(self.root, self.host) {
                    Some(said) => say::console(&format!("the host's work is stopped: {said}")),
                    None => {
                        say::console("another host has this one's name; switch this machine off")
                    }
                }
                None
            }
            Action::Say { line } => {
                say::console(&line);
                None
            }
        }
    }

    fn heard(&mut self, outcome: Result<HostInstruction, Failure>) -> Event {
        match outcome {
            Ok(instruction) => {
                self.contact.last_answer = Some(wall_clock());
                self.note(None);
                Event::Answered(instruction)
            }
            Err(failure) => {
                self.note(Some(match &failure {
                    Failure::Unreachable { seen } => seen.clone(),
                    Failure::Refused { status, said } => format!("refused: {said} (HTTP {status})"),
                    Failure::NoLeader { said } => format!("no provisioner leads: {said}"),
                    Failure::Fenced { said } => format!("fenced off: {said}"),
                }));
                Event::Failed(failure)
            }
        }
    }

    fn restart(&self) -> Result<String, String> {
        let network = self.seed.network_boot;
        if self.seed.adopted && network.firmware == Firmware::Bios {
            return Err(format!(
                "this host was adopted, and its firmware is a BIOS: nothing here says what it boots next. Restart it by hand \
                 and choose the network over {} in its boot menu",
                network.mac
            ));
        }
        let how = set_next_boot(&self.root.at(EFIVARS), self.seed.network_boot)
            .map_err(|error| error.to_string())?;
        acts::give_work_away(self.root, self.host)
            .iter()
            .for_each(|line| say::console(line));
        self.host
            .command("systemctl", &["reboot"])
            .map_err(|error| error.to_string())?;
        Ok(how)
    }

    /// Looks at the host's health, at every sixth call: the host is not to be busy with being asked how it is.
    fn look(&mut self, number: u64) {
        if number % LOOKS_EVERY == 1 {
            self.troubles = troubles::find(self.root, self.host, &self.seed);
        }
    }

    fn note(&mut self, trouble: Option<String>) {
        self.contact.trouble = trouble;
        if let Err(error) = self.root.write_json(CONTACT_PATH, &self.contact) {
            say::journal(&error.to_string());
        }
    }

    /// The changes go with every registration of the boot that made them, and later ones until one was acknowledged:
    /// a first boot with the provisioner away must not lose its report.
    fn register(&self) -> Register {
        let reported = self.root.read_text(REPORTED_PATH).ok().flatten();
        let unreported = reported.as_deref() != Some(self.seed.plan.as_str());
        let ours = self.done.boot_id == self.facts.boot_id || unreported;
        Register {
            schema: SCHEMA,
            node: self.seed.node.clone(),
            run: self.seed.run.clone(),
            plan: self.seed.plan.clone(),
            boot_id: self.facts.boot_id.clone(),
            os: self.facts.os.clone(),
            kernel: self.facts.kernel.clone(),
            uptime_secs: uptime_secs(self.root),
            changes: if ours {
                self.done.changes.clone()
            } else {
                Vec::new()
            },
            disk_serials: self.facts.disk_serials.clone(),
        }
    }
}
