// SPDX-License-Identifier: Apache-2.0
//! The main loop: events to the machine, its wishes to threads.

use crate::handover;
use crate::image::Proven;
use crate::pid1::call::{Credential, Provisioner};
use crate::pid1::console::Console;
use crate::pid1::drivers::Drivers;
use crate::pid1::log::Log;
use crate::pid1::network::{self, Online};
use crate::pid1::postman::{Letter, Postman};
use crate::pid1::rescue::Rescue;
use crate::pid1::workshop::Workshop;
use crate::pid1::{Word, bedside, clock, local, look};
use groundstate_api::boot::{BOOT_CONFIG_PATH, BootConfig, Firmware};
use groundstate_api::enrol::{EnrolReply, EnrolRequest, RescueShell};
use groundstate_api::ids::BootId;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{HandOver, Plan, Step};
use groundstate_api::run::Instruction;
use groundstate_api::{Millis, Reason, ReasonCode, SCHEMA};
use mos_core::phases::{Action, Event, Phases, Scene, State};
use mos_core::screen::Heading;
use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The longest that the main loop sleeps; deadlines are looked at at least this often.
const IDLE: Duration = Duration::from_millis(500);
/// File systems that the steps need; no device asks for them.
const FILE_SYSTEMS: [&str; 2] = ["ext4", "vfat"];

/// Runs until the host is started. Comes back only with the reason why nothing more can be done.
pub(super) fn run(page: Option<File>, log: &Log, first_line: Millis) -> Result<Infallible, Reason> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let config = boot_config()?;
    let boot_id = look::boot_id().ok_or_else(|| fault("the kernel gives no boot id"))?;
    let (uuid, serial) = hw_diag::system_identity();
    let heading = Heading {
        site: config.site.clone(),
        serial: serial.clone(),
        ..Heading::default()
    };
    let (words, heard) = channel();
    let (key_pem, csr_pem) = handover::make_key_and_csr("node")?;
    let drivers_ready = load_drivers(log);
    let provisioner = Provisioner::new(&config, None)?;
    let letters = start_postman(&config, &provisioner, log, &words);
    let mut shell = Shell {
        phases: Phases::default(),
        console: Console::new(page, log.clone(), heading),
        log: log.clone(),
        config,
        provisioner,
        boot_id,
        uuid,
        serial,
        key_pem,
        csr_pem,
        first_line,
        words,
        letters,
        drivers_ready,
        online: None,
        firmware: None,
        credential: None,
        inventory: None,
        image_begun: false,
        proven: Arc::default(),
        rescue: None,
        rescue_shell: None,
    };
    shell.take(Event::Started);
    shell.listen(&heard)
}

struct Shell {
    phases: Phases,
    console: Console,
    log: Log,
    config: BootConfig,
    /// Without a credential; what all threads know of the site's provisioners.
    provisioner: Provisioner,
    boot_id: BootId,
    uuid: Option<groundstate_api::SystemUuid>,
    serial: String,
    key_pem: String,
    csr_pem: String,
    first_line: Millis,
    words: Sender<Word>,
    letters: Sender<Letter>,
    drivers_ready: Arc<OnceLock<()>>,
    online: Option<Online>,
    firmware: Option<Firmware>,
    credential: Option<Credential>,
    inventory: Option<Box<Inventory>>,
    /// Whether an earlier boot of this run began with the image.
    image_begun: bool,
    /// What of the image was read back while it was written, for the step that reads it back.
    proven: Arc<Mutex<Proven>>,
    rescue: Option<Rescue>,
    rescue_shell: Option<RescueShell>,
}

impl Shell {
    fn listen(&mut self, heard: &Receiver<Word>) -> Result<Infallible, Reason> {
        loop {
            let left = self
                .phases
                .deadline()
                .map_or(IDLE, |at| Duration::from_millis(at.since(clock::now()).0));
            match heard.recv_timeout(left.min(IDLE)) {
                Ok(Word::Event(event)) => self.take(event),
                Ok(Word::Online(online)) => {
                    self.console.heading.address = Some(format!(
                        "{} {}",
                        online.interface.name, online.lease.address
                    ));
                    let event = Event::LeaseGot {
                        interface: online.interface.name.clone(),
                        address: online.lease.address.to_string(),
                    };
                    self.online = Some(online);
                    self.take(event);
                }
                Ok(Word::Looked(inventory)) => {
                    bedside::tell(&self.log, &inventory);
                    self.inventory = Some(inventory);
                    self.take(Event::Inspected);
                }
                // It was released while the shell was being opened.
                Ok(Word::ShellOpened(rescue, _))
                    if !matches!(self.phases.state(), State::Rescue { .. }) =>
                {
                    rescue.close(&self.log);
                }
                Ok(Word::ShellOpened(rescue, shell)) => {
                    self.rescue = Some(rescue);
                    self.rescue_shell = Some(shell.clone());
                    self.take(Event::ShellOpened(shell));
                }
                Err(RecvTimeoutError::Timeout) => self.take(Event::Timeout),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(fault("the main loop has nobody left to listen to"));
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        if matches!(self.phases.state(), State::Enrolling | State::Rescue { .. })
            && let Event::EnrolAnswered(EnrolReply::Enrolled {
                node,
                run,
                certificate_pem,
                firmware,
                boot: _,
            }) = &event
        {
            self.firmware = *firmware;
            self.console.heading.node = Some(node.clone());
            let credential = Credential {
                certificate_pem: certificate_pem.clone(),
                key_pem: self.key_pem.clone(),
            };
            self.credential = Some(credential.clone());
            self.send(Letter::Speak(run.clone(), credential));
        }
        // Only before the first step: what this boot itself begins with is no news of an earlier one.
        if matches!(self.phases.state(), State::Asking)
            && let Event::Instructed(Instruction::CarryOut { image_begun, .. }) = &event
        {
            self.image_begun = *image_begun;
        }
        let mut wishes = Vec::new();
        self.phases.handle(clock::now(), event, &mut wishes);
        for wish in wishes {
            self.act(wish);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Show(scene) => {
                self.console.show(&scene);
                if let Scene::Held { reason } = scene {
                    let log = self.log.clone();
                    // A BMC may take seconds to answer.
                    self.spawn(move |_| bedside::light(&log, &reason));
                }
            }
            Action::GetLease => self.get_lease(),
            Action::Enrol => self.enrol(),
            Action::Inspect => self.inspect(),
            Action::SendInventory => {
                if let Some(inventory) = self.inventory.clone() {
                    self.send(Letter::Inventory(inventory));
                }
            }
            Action::Ask => self.send(Letter::Ask),
            Action::CarryOut { plan, step } => {
                if let (Step::Guard, Some(inventory)) = (step, self.inventory.clone()) {
                    self.spawn(move |_| bedside::dim(&inventory));
                }
                self.carry_out(plan, step);
            }
            Action::Report { step, state } => self.send(Letter::Report(step, state)),
            Action::OpenShell { keys } => self.open_shell(keys),
            Action::CloseShell => {
                self.rescue_shell = None;
                if let Some(rescue) = self.rescue.take() {
                    rescue.close(&self.log);
                }
            }
            Action::StartHost { hand_over } => self.start_host(hand_over),
            Action::StartLocalHost(reply) => {
                let (ready, log) = (self.drivers_ready.clone(), self.log.clone());
                self.spawn(move |words| {
                    ready.wait();
                    let Err(reason) = local::start(&reply, &log);
                    drop(words.send(Word::Event(Event::StartFailed { reason })));
                });
            }
        }
    }

    /// A lease over any interface; over another one than the last where the last led to no provisioner.
    fn get_lease(&self) {
        let log = self.log.clone();
        let avoid = self
            .online
            .as_ref()
            .map(|online| online.interface.name.clone());
        self.spawn(
            move |words| match network::bring_up(&log, avoid.as_deref()) {
                Ok((online, session)) => {
                    drop(words.send(Word::Online(online)));
                    network::keep(session, &log);
                }
                Err(reason) => drop(words.send(Word::Event(Event::NetworkFailed { reason }))),
            },
        );
    }

    fn enrol(&self) {
        let Some(online) = &self.online else { return };
        let macs = super::interface::interfaces()
            .into_iter()
            .map(|each| each.mac)
            .collect();
        self.send(Letter::Enrol(Box::new(EnrolRequest {
            schema: SCHEMA,
            macs,
            boot_mac: online.interface.mac,
            uuid: self.uuid,
            serial: self.serial.clone(),
            model: model(),
            boot_id: self.boot_id.clone(),
            uefi: is_uefi(),
            csr_pem: self.csr_pem.clone(),
            shell: self.rescue_shell.clone(),
        })));
    }

    fn open_shell(&mut self, keys: Vec<String>) {
        if let Some(rescue) = &self.rescue {
            if let Err(reason) = rescue.admit(&keys) {
                drop(self.words.send(Word::Event(Event::ShellFailed { reason })));
            } else if let Some(shell) = self.rescue_shell.clone() {
                drop(self.words.send(Word::Event(Event::ShellOpened(shell))));
            }
            return;
        }
        let (Some(online), State::Rescue { node, .. }) = (&self.online, self.phases.state()) else {
            return;
        };
        if keys.is_empty() {
            return; // Nobody could come in.
        }
        self.console.heading.node = Some(node.clone());
        let (log, node) = (self.log.clone(), node.to_string());
        let (address, ready) = (online.lease.address.to_string(), self.drivers_ready.clone());
        self.spawn(move |words| {
            // Whoever comes in finds the disks.
            ready.wait();
            let word = match Rescue::open(&keys, &node, &address, &log) {
                Ok((rescue, shell)) => Word::ShellOpened(rescue, shell),
                Err(reason) => Word::Event(Event::ShellFailed { reason }),
            };
            drop(words.send(word));
        });
    }

    fn inspect(&self) {
        let (ready, boot_id, firmware, first_line) = (
            self.drivers_ready.clone(),
            self.boot_id.clone(),
            self.firmware,
            self.first_line,
        );
        self.spawn(move |words| {
            ready.wait();
            drop(words.send(Word::Looked(Box::new(look::inventory(
                boot_id, firmware, first_line,
            )))));
        });
    }

    fn carry_out(&self, plan: Box<Plan>, step: Step) {
        let provisioner = Provisioner::new(&self.config, self.credential.as_ref());
        let (Ok(provisioner), Some((node, run)), Some(credential)) = (
            provisioner,
            self.phases.identity().cloned(),
            self.credential.clone(),
        ) else {
            let reason = fault("a step was to be carried out without an enrolment");
            drop(self.words.send(Word::Event(Event::StepFailed { reason })));
            return;
        };
        let workshop = Workshop {
            config: self.config.clone(),
            provisioner: provisioner.knowing(&self.provisioner),
            credential,
            node,
            run,
            firmware: self.firmware,
            words: self.words.clone(),
            image_begun: self.image_begun,
            proven: Arc::clone(&self.proven),
        };
        self.spawn(move |_| workshop.carry_out(&plan, step));
    }

    fn start_host(&self, hand_over: HandOver) {
        self.spawn(move |words| {
            let Err(reason) = match hand_over {
                HandOver::Kexec => handover::kexec_start(),
                HandOver::Reboot => handover::reboot(),
            };
            drop(words.send(Word::Event(Event::StartFailed { reason })));
        });
    }

    fn send(&self, letter: Letter) {
        if self.letters.send(letter).is_err() {
            self.log
                .line("the thread that speaks to the provisioner has ended");
        }
    }

    /// Runs `work` on a thread; a fault in it becomes a failed step, never the end of PID 1.
    fn spawn(&self, work: impl FnOnce(&Sender<Word>) + Send + 'static) {
        let words = self.words.clone();
        std::thread::spawn(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&words)));
            if done.is_err() {
                let reason =
                    fault("a part of the maintenance OS ended in a fault; its log has the details");
                drop(words.send(Word::Event(Event::StepFailed { reason })));
            }
        });
    }
}

/// The longest model that the provisioner takes, in characters.
const MODEL_MAX: usize = 128;

/// Manufacturer and product, as the kernel shows them: by it a profile is proposed for a machine that is of no node yet.
fn model() -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/class/dmi/id/{name}")).ok();
    let (maker, product) = (read("sys_vendor")?, read("product_name")?);
    let both = format!("{} {}", maker.trim(), product.trim());
    let shown = groundstate_api::text::inert(both.trim());
    Some(shown.chars().take(MODEL_MAX).collect())
}

fn boot_config() -> Result<BootConfig, Reason> {
    let text = std::fs::read_to_string(BOOT_CONFIG_PATH)
        .map_err(|error| fault(&format!("{BOOT_CONFIG_PATH}: {error}")))?;
    let config: BootConfig = serde_json::from_str(&text)
        .map_err(|error| fault(&format!("{BOOT_CONFIG_PATH}: {error}")))?;
    if config.schema == SCHEMA {
        Ok(config)
    } else {
        Err(fault(&format!(
            "{BOOT_CONFIG_PATH} has schema {}, this is {SCHEMA}",
            config.schema
        )))
    }
}

fn load_drivers(log: &Log) -> Arc<OnceLock<()>> {
    let ready = Arc::new(OnceLock::new());
    let (when_done, log) = (ready.clone(), log.clone());
    std::thread::spawn(move || {
        match Drivers::read(Path::new("/lib/modules")) {
            Ok(mut drivers) => {
                let loaded = drivers.load(Path::new("/sys/devices"));
                log.line(&format!("drivers for this machine: {}", loaded.join(" ")));
                drivers.load_named(&FILE_SYSTEMS);
                if is_uefi() {
                    drivers.load_named(&["efivarfs"]);
                }
                for (name, why) in drivers.failed() {
                    log.line(&format!("driver {name} was not taken: {why}"));
                }
            }
            Err(why) => log.line(&format!("the boot image brings no drivers: {why}")),
        }
        when_done.set(()).ok();
    });
    ready
}

fn start_postman(
    config: &BootConfig,
    provisioner: &Provisioner,
    log: &Log,
    words: &Sender<Word>,
) -> Sender<Letter> {
    let (letters, for_postman) = channel();
    let (config, provisioner) = (config.clone(), provisioner.clone());
    let postman = Postman::new(config, provisioner, log.clone(), for_postman, words.clone());
    std::thread::spawn(move || postman.work());
    letters
}

fn fault(what: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        what,
        "restart the machine; if it stays, report it with a picture of this screen",
    )
}

/// Whether the kernel runs on UEFI.
fn is_uefi() -> bool {
    Path::new("/sys/firmware/efi").exists()
}
