// SPDX-License-Identifier: Apache-2.0
//! What the provisioner asks of this host, each done once by its number: noted on disk before it begins and when it has ended,
//! so that neither a lost answer nor a restart does it twice.

use crate::conversation::Failure;
use crate::diagnostics;
use crate::host::{CommandFailed, Host};
use crate::next_boot::boot_next;
use crate::root::Root;
use crate::run::EFIVARS;
use crate::say;
use crate::specialise::read_seed;
use crate::troubles::failed_services;
use groundstate_api::BootId;
use groundstate_api::action::ActionId;
use groundstate_api::host::{HostAct, HostActed};
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

/// Where it is noted.
pub(crate) const ACTS_PATH: &str = "var/lib/groundstate/acts.json";
/// The image's command that gives the host's work away. It succeeds when nothing is left.
pub(crate) const DRAIN_HOOK: &str = "etc/groundstate/drain";
/// The image's command that stops the host's work at once: another host has its name.
pub(crate) const FENCED_HOOK: &str = "etc/groundstate/fenced";
/// How long a drain may take, in seconds: less than the provisioner waits, so that it hears why.
const DRAIN_SECS: &str = "1740";
/// How long a restart waits for the host's work to be given away, in seconds.
const DRAIN_BEFORE_RESTART_SECS: &str = "300";
/// How long stopping the host's work at once may take, in seconds.
const FENCED_SECS: &str = "60";
/// Acts that are remembered: the provisioner asks for one at a time.
const REMEMBERED_MAX: usize = 32;

/// An act as it is noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    action: ActionId,
    act: HostAct,
    boot: BootId,
    /// What came of it; `None` while it goes on, and where a restart came in between.
    ended: Option<HostActed>,
}

/// The acts of this host.
#[derive(Debug)]
pub(crate) struct Acts {
    boot: BootId,
    noted: Vec<Noted>,
    running: Option<(ActionId, Receiver<HostActed>)>,
    /// What the provisioner has not heard yet.
    untold: Option<HostActed>,
}

impl Acts {
    /// As they stand on disk.
    pub(crate) fn read(root: &Root, boot: &BootId) -> Self {
        let noted = match root.read_json(ACTS_PATH) {
            Ok(noted) => noted.unwrap_or_default(),
            Err(error) => {
                say::journal(&error.to_string());
                Vec::new()
            }
        };
        Self {
            boot: boot.clone(),
            noted,
            running: None,
            untold: None,
        }
    }

    /// What ended since it was last heard of. It is told with every call until the provisioner asks for something else.
    pub(crate) fn untold(&mut self, root: &Root) -> Option<HostActed> {
        if let Some((action, ended)) = &self.running {
            let acted = match ended.try_recv() {
                Ok(acted) => acted,
                Err(TryRecvError::Empty) => return self.untold.clone(),
                Err(TryRecvError::Disconnected) => HostActed {
                    action: *action,
                    facts: vec!["the agent's own thread for it has ended badly".to_owned()],
                    done: false,
                },
            };
            self.running = None;
            self.note(root, &acted);
            self.untold = Some(acted);
        }
        self.untold.clone()
    }

    /// The provisioner has answered with something else: it has heard.
    pub(crate) fn heard(&mut self) {
        self.untold = None;
    }

    /// The provisioner asks for this. Done already: told again. Under way: nothing. Else it begins.
    pub(crate) fn asked<H: Host + Clone + Send + 'static>(
        &mut self,
        root: &Root,
        host: &H,
        send: impl Fn(ActionId, Vec<u8>) -> Result<(), Failure> + Send + 'static,
        (action, act): (ActionId, HostAct),
    ) {
        if self.running.is_some() {
            return; // One at a time; it asks again.
        }
        if let Some(noted) = self.noted.iter().find(|noted| noted.action == action) {
            self.untold = Some(self.again(noted));
            return;
        }
        self.noted.push(Noted {
            action,
            act,
            boot: self.boot.clone(),
            ended: None,
        });
        if self.noted.len() > REMEMBERED_MAX {
            self.noted.remove(0);
        }
        if let Err(error) = root.write_json(ACTS_PATH, &self.noted) {
            // What cannot be noted is not begun: it could be done twice.
            self.noted.pop();
            say::journal(&error.to_string());
            let facts = vec![error.to_string()];
            self.untold = Some(HostActed {
                action,
                facts,
                done: false,
            });
            return;
        }
        say::console(&format!(
            "the provisioner asks: {} (action {action})",
            says(act)
        ));
        let (tell, ended) = channel();
        let (root, host) = (root.clone(), host.clone());
        thread::spawn(move || {
            let (done, facts) = match carry_out(&root, &host, send, action, act) {
                Ok(facts) => (true, facts),
                Err(why) => (false, vec![why]),
            };
            // Nobody listens only when the process ends.
            let _ended = tell.send(HostActed {
                action,
                facts,
                done,
            });
        });
        self.running = Some((action, ended));
    }

    /// What is said of an act that was begun before. A restart in between is what a restart wanted, and for the others a
    /// reason to say so rather than to do it twice.
    fn again(&self, noted: &Noted) -> HostActed {
        let restarted = noted.boot != self.boot;
        noted.ended.clone().unwrap_or_else(|| HostActed {
            action: noted.action,
            facts: vec!["the host restarted while it went on".to_owned()],
            done: noted.act == HostAct::Reboot && restarted,
        })
    }

    fn note(&mut self, root: &Root, acted: &HostActed) {
        let ours = self
            .noted
            .iter_mut()
            .find(|noted| noted.action == acted.action);
        if let Some(noted) = ours {
            noted.ended = Some(acted.clone());
        }
        if let Err(error) = root.write_json(ACTS_PATH, &self.noted) {
            say::journal(&error.to_string());
        }
    }
}

const fn says(act: HostAct) -> &'static str {
    match act {
        HostAct::RestartServices => "restart services",
        HostAct::CollectDiagnostics => "collect diagnostics",
        HostAct::Reboot => "restart the host",
        HostAct::Drain => "drain",
        HostAct::BootNext { .. } => "set what the firmware boots next",
    }
}

fn carry_out<H: Host>(
    root: &Root,
    host: &H,
    send: impl Fn(ActionId, Vec<u8>) -> Result<(), Failure>,
    action: ActionId,
    act: HostAct,
) -> Result<Vec<String>, String> {
    match act {
        HostAct::RestartServices => restart_services(root, host),
        HostAct::CollectDiagnostics => {
            let package = diagnostics::collect(root, host)?;
            let size = package.len();
            send(action, package)
                .map_err(|failure| format!("they could not be sent: {failure:?}"))?;
            Ok(vec![format!("{size} bytes sent")])
        }
        HostAct::Reboot => {
            let mut facts = give_work_away(root, host);
            host.command("systemctl", &["reboot"])
                .map_err(|error| error.to_string())?;
            facts.push("the restart was asked for".to_owned());
            Ok(facts)
        }
        HostAct::BootNext { to } => {
            let seed = read_seed(root).map_err(|error| error.to_string())?;
            let set = boot_next(&root.at(EFIVARS), seed.network_boot, to);
            set.map(|said| vec![said])
                .map_err(|error| error.to_string())
        }
        HostAct::Drain => match hook(root, host, DRAIN_HOOK, DRAIN_SECS) {
            Some(Ok(said)) => Ok(vec![said]),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(vec![format!(
                "this host has no /{DRAIN_HOOK}: nothing to give away"
            )]),
        },
    }
}

fn restart_services<H: Host>(root: &Root, host: &H) -> Result<Vec<String>, String> {
    let mut facts = Vec::new();
    let mut worked = true;
    for unit in failed_services(root, host) {
        match host.command("systemctl", &["restart", &unit]) {
            Ok(_) => facts.push(format!("{unit} was started again")),
            Err(error) => {
                worked = false;
                facts.push(error.to_string());
            }
        }
    }
    if facts.is_empty() {
        facts.push("no service has failed".to_owned());
    }
    if worked {
        Ok(facts)
    } else {
        Err(facts.join("; "))
    }
}

/// Before a restart: the image's command has its time, and the restart comes whatever it says.
pub(crate) fn give_work_away<H: Host>(root: &Root, host: &H) -> Vec<String> {
    match hook(root, host, DRAIN_HOOK, DRAIN_BEFORE_RESTART_SECS) {
        Some(Ok(said)) => vec![said],
        Some(Err(error)) => vec![error.to_string()],
        None => Vec::new(),
    }
}

/// The host's work is stopped: another host has its name.
pub(crate) fn stop_work<H: Host>(root: &Root, host: &H) -> Option<String> {
    Some(match hook(root, host, FENCED_HOOK, FENCED_SECS)? {
        Ok(said) => said,
        Err(error) => error.to_string(),
    })
}

/// Runs one of the image's commands, where it is there.
fn hook<H: Host>(
    root: &Root,
    host: &H,
    path: &str,
    secs: &str,
) -> Option<Result<String, CommandFailed>> {
    let path = root.at(path);
    if !path.exists() {
        return None;
    }
    let path = path.to_string_lossy().into_owned();
    let ran = host.command("timeout", &["--kill-after=10", secs, &path]);
    Some(ran.map(|said| {
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        last.map_or_else(
            || format!("{path} succeeded"),
            |line| format!("{path}: {}", line.trim()),
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A system that notes what it is asked, and does what `timeout` and `tar` do.
    #[derive(Clone, Default)]
    struct System(Arc<Mutex<Vec<String>>>);

    impl Host for System {
        fn set_host_name(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn command(
            &self,
            program: &'static str,
            arguments: &[&str],
        ) -> Result<String, CommandFailed> {
            self.0
                .lock()
                .unwrap()
                .push(format!("{program} {}", arguments.join(" ")));
            match program {
                "tar" | "timeout" => crate::host::ThisHost.command(program, arguments),
                "systemctl" if arguments.contains(&"--state=failed") => {
                    Ok("nginx.service loaded failed failed".to_owned())
                }
                _ => Ok("said\n".to_owned()),
            }
        }
    }

    fn boot(number: u8) -> BootId {
        format!("00000000-0000-4000-8000-0000000000{number:02x}")
            .parse()
            .unwrap()
    }

    fn until_told(acts: &mut Acts, root: &Root) -> HostActed {
        loop {
            if let Some(acted) = acts.untold(root) {
                return acted;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn nowhere(_: ActionId, _: Vec<u8>) -> Result<(), Failure> {
        panic!("nothing is to be sent")
    }

    #[test]
    fn an_act_is_done_once_however_often_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let host = System::default();
        let what = (ActionId(7), HostAct::RestartServices);
        let mut acts = Acts::read(&root, &boot(1));
        for _ in 0..3 {
            acts.asked(&root, &host, nowhere, what);
            let acted = until_told(&mut acts, &root);
            assert!(acted.done, "{acted:?}");
            assert_eq!(acted.facts, ["nginx.service was started again"]);
        }
        acts.heard();
        assert_eq!(acts.untold(&root), None);
        // Nor does another process of the agent do it, nor another boot of the host.
        for later in [1, 2] {
            let mut acts = Acts::read(&root, &boot(later));
            acts.asked(&root, &host, nowhere, what);
            assert!(until_told(&mut acts, &root).done);
        }
        let asked = host.0.lock().unwrap();
        let restarts = asked
            .iter()
            .filter(|line| line.contains("restart nginx.service"));
        assert_eq!(restarts.count(), 1);
    }

    #[test]
    fn a_restart_that_came_in_between_is_what_a_restart_wanted_and_what_ended_a_drain() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let noted = |number, act| Noted {
            action: ActionId(number),
            act,
            boot: boot(1),
            ended: None,
        };
        let noted = [noted(1, HostAct::Reboot), noted(2, HostAct::Drain)];
        root.write_json(ACTS_PATH, &noted).unwrap();
        let mut acts = Acts::read(&root, &boot(2));
        for (number, act, done) in [(1, HostAct::Reboot, true), (2, HostAct::Drain, false)] {
            acts.asked(&root, &System::default(), nowhere, (ActionId(number), act));
            assert_eq!(until_told(&mut acts, &root).done, done);
        }
    }

    #[test]
    fn a_drain_runs_the_images_command_and_says_what_it_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let host = System::default();
        let mut acts = Acts::read(&root, &boot(1));
        acts.asked(&root, &host, nowhere, (ActionId(1), HostAct::Drain));
        let acted = until_told(&mut acts, &root);
        assert!(
            acted.done && acted.facts[0].contains("nothing to give away"),
            "{acted:?}"
        );
        for (number, script, done) in [
            (2, "echo 12 guests moved", true),
            (3, "echo no >&2; exit 4", false),
        ] {
            root.write(
                DRAIN_HOOK,
                format!("#!/bin/sh\n{script}\n").as_bytes(),
                0o755,
            )
            .unwrap();
            acts.asked(&root, &host, nowhere, (ActionId(number), HostAct::Drain));
            let acted = loop {
                let acted = until_told(&mut acts, &root);
                if acted.action == ActionId(number) {
                    break acted;
                }
            };
            assert_eq!(acted.done, done, "{acted:?}");
            let says = if done {
                "12 guests moved"
            } else {
                "exit status: 4"
            };
            assert!(acted.facts[0].contains(says), "{acted:?}");
        }
    }

    #[test]
    fn diagnostics_are_packed_and_sent() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let (tell, sent) = channel();
        let send = move |action, package| {
            tell.send((action, package)).unwrap();
            Ok(())
        };
        let mut acts = Acts::read(&root, &boot(1));
        acts.asked(
            &root,
            &System::default(),
            send,
            (ActionId(9), HostAct::CollectDiagnostics),
        );
        let acted = until_told(&mut acts, &root);
        assert!(acted.done, "{acted:?}");
        let (action, package) = sent.recv().unwrap();
        assert_eq!(action, ActionId(9));
        let file = dir.path().join("sent.tar.gz");
        std::fs::write(&file, package).unwrap();
        let listed = std::process::Command::new("tar")
            .arg("-tzf")
            .arg(&file)
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for name in ["journal.txt", "kernel.txt", "mounts.txt", "disks.txt"] {
            assert!(listed.contains(name), "{listed}");
        }
    }
}
