// SPDX-License-Identifier: Apache-2.0
//! IPMI through `ipmitool`: one run of the program per question. The password goes through a pipe: it stands in no argument, no
//! environment and no file.

use crate::clock::duration;
use crate::kind::{Asked, Bmc};
use crate::secret::Secret;
use crate::settings::Settings;
use bmc_core::ipmi::{
    Cipher, Command, Device, Failure, Locate, arguments, boot_flags, failure, first_value, fru,
    power_state, sel, set_ok, unfit,
};
use bmc_core::learned::MachineKey;
use bmc_core::next_boot::Lasting;
use bmc_core::power::{Look, PowerState, Reset};
use bmc_core::report;
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use groundstate_api::bmc::BmcReport;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The most that is read of one output, in bytes: a log of 200 entries has 20 KiB.
const OUTPUT_MAX: u64 = 256 * 1024;

/// The cipher suite that a BMC was found to know.
pub(crate) type Known = Arc<Mutex<Option<Cipher>>>;

/// One BMC.
pub(crate) struct Ipmi {
    host: String,
    port: u16,
    secret: Secret,
    cipher: Known,
    key: Option<MachineKey>,
    places: Arc<Semaphore>,
    settings: Arc<Settings>,
}

struct Said {
    well: bool,
    out: String,
    both: String,
}

impl Ipmi {
    /// Asks for the power once, to see whether a session comes about.
    pub(crate) async fn open(
        host: &str,
        port: u16,
        secret: Secret,
        cipher: Known,
        places: Arc<Semaphore>,
        settings: Arc<Settings>,
    ) -> Result<Self, Trouble> {
        if let Some(trouble) = unfit(host, secret.user(), secret.password().as_bytes()) {
            return Err(trouble);
        }
        let mut ipmi = Self {
            host: host.into(),
            port,
            secret,
            cipher,
            key: None,
            places,
            settings,
        };
        ipmi.run(Command::PowerStatus).await?;
        Ok(ipmi)
    }

    /// Runs one command, with the next cipher suite where the BMC does not know the first.
    async fn run(&mut self, command: Command) -> Result<String, Trouble> {
        self.said(command)
            .await
            .and_then(|(said, trouble)| trouble.map_or(Ok(said.out), Err))
    }

    async fn said(&mut self, command: Command) -> Result<(Said, Option<Trouble>), Trouble> {
        let known = *self.cipher.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cipher = known.unwrap_or(Cipher::Suite17);
        loop {
            let said = self.once(cipher, command).await?;
            let trouble = if said.well {
                None
            } else {
                match failure(&command.says(), self.secret.user(), &said.both) {
                    Failure::Cipher => {
                        let Some(next) = cipher.next() else {
                            return Err(Trouble::Unreachable {
                                what: "it knows neither cipher suite 17 nor 3".into(),
                            });
                        };
                        cipher = next;
                        continue;
                    }
                    Failure::Trouble(trouble) => Some(trouble),
                }
            };
            if trouble
                .as_ref()
                .is_none_or(|trouble| !trouble.bars_the_way())
            {
                *self.cipher.lock().unwrap_or_else(PoisonError::into_inner) = Some(cipher);
            }
            return Ok((said, trouble));
        }
    }

    async fn once(&self, cipher: Cipher, command: Command) -> Result<Said, Trouble> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|_| Trouble::odd("it is shut down"))?;
        let line = arguments(&self.host, self.port, self.secret.user(), cipher, command)?;
        let no_tool = |error: std::io::Error| Trouble::NoTool {
            what: inert(&format!("{}: {error}", self.settings.ipmitool.display())),
        };
        let mut child = process::Command::new(&self.settings.ipmitool);
        child
            .args(line)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = child.spawn().map_err(no_tool)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let limit = self.settings.ipmi_answer;
        let work = async {
            if let Some(mut stdin) = stdin {
                // A program that ended already tells why on its outputs.
                let _ = stdin.write_all(self.secret.password().as_bytes()).await;
                let _ = stdin.write_all(b"\n").await;
            }
            let (out, error) = tokio::join!(bounded(stdout), bounded(stderr));
            (child.wait().await, out, error)
        };
        let (status, out, error) =
            timeout(duration(limit), work)
                .await
                .map_err(|_| Trouble::TimedOut {
                    asked: command.says(),
                    after: limit,
                })?;
        let well = status.map_err(no_tool)?.success();
        let both = format!("{out}\n{error}");
        Ok(Said { well, out, both })
    }

    async fn take_order(&mut self, command: Command) -> Result<(), Trouble> {
        let (said, trouble) = self.said(command).await?;
        match trouble {
            Some(trouble) => Err(trouble),
            None => set_ok(&command.says(), &said.both),
        }
    }

    async fn boot_device(&mut self, device: Device) -> Result<Vec<String>, Trouble> {
        self.take_order(Command::BootDevice(device)).await?;
        let mut result = self.flags(device).await;
        for _ in 1..self.settings.looks {
            if !matches!(result, Err(Trouble::Ignored { .. })) {
                break;
            }
            sleep(duration(self.settings.settle)).await;
            result = self.flags(device).await;
        }
        result
    }

    async fn flags(&mut self, device: Device) -> Result<Vec<String>, Trouble> {
        let said = self.run(Command::BootFlags).await?;
        let flags =
            boot_flags(&said).ok_or_else(|| Trouble::odd("its boot flags cannot be read back"))?;
        flags.compare(device)
    }

    async fn power(&mut self) -> Result<PowerState, Trouble> {
        Ok(power_state(&self.run(Command::PowerStatus).await?))
    }

    async fn report(&mut self, now: Millis) -> Result<BmcReport, Trouble> {
        let power = self.power().await?;
        let info = self.run(Command::Info).await?;
        // A unit that lacks parts ends with an error and tells the rest.
        let unit = match self.said(Command::Fru).await? {
            (_, Some(trouble)) if trouble.bars_the_way() => return Err(trouble),
            (said, _) => fru(&said.out),
        };
        let flags = match self.run(Command::BootFlags).await {
            Ok(said) => boot_flags(&said),
            Err(trouble) if trouble.bars_the_way() => return Err(trouble),
            Err(_) => None,
        };
        let set = flags.filter(|flags| flags.valid && flags.device != Some(Device::None));
        let firmware = first_value(&info, "Firmware Revision").unwrap_or_default();
        let report = report::by_ipmi(
            now,
            &unit,
            &firmware,
            power,
            set.map(bmc_core::ipmi::BootFlags::says),
        );
        self.key = Some(MachineKey::new(
            &report.manufacturer,
            &report.model,
            &report.bmc_firmware,
        ));
        Ok(report)
    }
}

async fn bounded(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        // What was read until an error is what there is.
        let _ = output.take(OUTPUT_MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn not_offered<T>(wanted: &str) -> Result<T, Trouble> {
    Err(Trouble::NotOffered {
        wanted: format!("{wanted} by IPMI"),
        offers: Vec::new(),
    })
}

impl Bmc for Ipmi {
    fn look(&mut self) -> Asked<'_, Look> {
        Box::pin(async {
            Ok(Look {
                power: self.power().await?,
                mark: None,
            })
        })
    }

    fn resets(&mut self) -> Asked<'_, (Option<Vec<Reset>>, bool)> {
        Box::pin(async { Ok((Some(Command::RESETS.to_vec()), false)) })
    }

    fn reset(&mut self, reset: Reset) -> Asked<'_, ()> {
        Box::pin(self.take_order(Command::Power(reset)))
    }

    fn set_next_boot(&mut self, to: NextBoot, lasting: Lasting) -> Asked<'_, Vec<String>> {
        Box::pin(async move {
            match (Device::of(to), lasting) {
                (Some(device), Lasting::Once) => self.boot_device(device).await,
                (None, Lasting::Once) => not_offered("HTTP boot"),
                (_, Lasting::Continuous) => not_offered("an override that holds"),
            }
        })
    }

    fn clear_next_boot(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(self.boot_device(Device::None))
    }

    fn identify(&mut self, on: bool) -> Asked<'_, Vec<String>> {
        Box::pin(async move {
            let locate = if on { Locate::Forever } else { Locate::Off };
            let mut done = locate;
            match self.take_order(Command::Identify(locate)).await {
                // Lighting it until it is put out is an option of the specification.
                Err(Trouble::Refused { .. }) if on => {
                    done = Locate::Minutes;
                    self.take_order(Command::Identify(done)).await?;
                }
                other => other?,
            }
            Ok(vec![format!(
                "the BMC took the order: the locator LED is {}; IPMI does not show it",
                done.says()
            )])
        })
    }

    fn inventory(&mut self, now: Millis) -> Asked<'_, BmcReport> {
        Box::pin(self.report(now))
    }

    fn console_log(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(async {
            let log = sel(&self.run(Command::Log).await?);
            Ok(log
                .into_iter()
                .map(|entry| format!("{} {}", entry.at, entry.text))
                .collect())
        })
    }

    fn insert_media<'a>(&'a mut self, _url: &'a str) -> Asked<'a, Vec<String>> {
        Box::pin(async { not_offered("virtual media") })
    }

    fn eject_media(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(async { not_offered("virtual media") })
    }

    fn machine(&self) -> Option<MachineKey> {
        self.key.clone()
    }

    fn close(&mut self) -> Asked<'_, ()> {
        // Each run of the program is a session of its own.
        Box::pin(async { Ok(()) })
    }
}
