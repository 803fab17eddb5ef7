// SPDX-License-Identifier: Apache-2.0
//! QEMU's monitor protocol over a unix socket: a question and its answer, and the events in between.

use super::RackError;
use super::parts::POLL;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long QEMU may take to answer a question. It answers between two slices of the guest.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How many events are kept; a guest makes a handful per boot, and one that makes more is not listened to any longer.
const EVENTS_MAX: usize = 1_000;

/// Something QEMU told without being asked: `RESET`, `SHUTDOWN`, `DEVICE_DELETED`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QmpEvent {
    /// Its name.
    pub name: String,
    /// What belongs to it; `null` when nothing does.
    pub data: Value,
}

/// A connection to a QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    /// One question at a time: a node and its BMC both ask.
    asking: Mutex<()>,
    inbox: Arc<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    answers: Vec<Value>,
    events: Vec<QmpEvent>,
    closed: Option<String>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A panic of the reader leaves whole values only.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `pick` finds something.
    fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut pick: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<T, RackError> {
        let until = Instant::now() + limit;
        let mut heard = self.lock();
        loop {
            if let Some(found) = pick(&mut heard) {
                return Ok(found);
            }
            if let Some(why) = &heard.closed {
                return Err(RackError::QmpBroken(format!(
                    "{why}, while waiting for {what}"
                )));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (what, detail) = (what.to_owned(), String::new());
                return Err(RackError::TooLong {
                    what,
                    limit,
                    detail,
                });
            }
            let woken = self.changed.wait_timeout(heard, left);
            heard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Qmp {
    /// Connects, and leaves the negotiation mode. The socket may appear a little later than the process: `alive` is
    /// asked meanwhile, and ends the wait with its error.
    ///
    /// # Errors
    /// When nobody answers within `limit`, or `alive` says so.
    pub fn connect(
        socket: &Path,
        limit: Duration,
        mut alive: impl FnMut() -> Result<(), RackError>,
    ) -> Result<Self, RackError> {
        let until = Instant::now() + limit;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= until => {
                    return Err(RackError::file(socket)(error));
                }
                Err(_) => alive()?,
            }
            thread::sleep(POLL);
        };
        let write_limit = stream.set_write_timeout(Some(ANSWER_LIMIT));
        write_limit.map_err(RackError::file(socket))?;
        let reading = stream.try_clone().map_err(RackError::file(socket))?;
        let inbox = Arc::new(Inbox::default());
        let into = Arc::clone(&inbox);
        thread::spawn(move || listen(reading, &into));
        let qmp = Self {
            stream,
            asking: Mutex::new(()),
            inbox,
        };
        qmp.inbox
            .wait("QEMU's greeting", limit, |heard| heard.answers.pop())?;
        qmp.ask("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// One command, and QEMU's answer to it.
    ///
    /// # Errors
    /// QEMU's refusal in its own words, or no answer within 30 s.
    pub fn ask(&self, command: &str, arguments: &Value) -> Result<Value, RackError> {
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.inbox.lock().answers.clear();
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        let sent = (&self.stream).write_all(line.as_bytes());
        sent.map_err(|e| RackError::QmpBroken(format!("{command} could not be sent: {e}")))?;
        let what = format!("QEMU's answer to {command}");
        let answer = self
            .inbox
            .wait(&what, ANSWER_LIMIT, |heard| heard.answers.pop())?;
        answer
            .get("return")
            .cloned()
            .ok_or_else(|| RackError::QmpRefused {
                command: command.to_owned(),
                answer: answer["error"]["desc"]
                    .as_str()
                    .unwrap_or("no reason given")
                    .to_owned(),
            })
    }

    /// The events so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<QmpEvent> {
        self.inbox.lock().events.clone()
    }

    /// Waits for the first event of this name after the first `seen` events, and gives its number plus one: the
    /// `seen` of the next wait.
    ///
    /// # Errors
    /// [`RackError::TooLong`].
    pub fn wait_event(&self, name: &str, seen: usize, limit: Duration) -> Result<usize, RackError> {
        self.inbox
            .wait(&format!("QEMU's event {name}"), limit, |heard| {
                let found = heard
                    .events
                    .iter()
                    .skip(seen)
                    .position(|e| e.name == name)?;
                Some(seen + found + 1)
            })
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        // Ends the reader; an error means that it has ended.
        drop(self.stream.shutdown(std::net::Shutdown::Both));
    }
}

fn listen(stream: UnixStream, inbox: &Inbox) {
    let mut why = "QEMU closed its monitor".to_owned();
    for line in BufReader::new(stream).lines() {
        match line.and_then(|l| serde_json::from_str::<Value>(&l).map_err(io::Error::from)) {
            Ok(message) => hear(message, &mut inbox.lock()),
            Err(error) => {
                why = format!("QEMU's monitor broke off: {error}");
                break;
            }
        }
        inbox.changed.notify_all();
    }
    inbox.lock().closed = Some(why);
    inbox.changed.notify_all();
}

fn hear(mut message: Value, heard: &mut Heard) {
    let Some(name) = message["event"].as_str().map(str::to_owned) else {
        return heard.answers.push(message);
    };
    if heard.events.len() < EVENTS_MAX {
        heard.events.push(QmpEvent {
            name,
            data: message["data"].take(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A monitor that says these lines, one per line it hears, the first at once.
    fn monitor(folder: &Path, lines: &'static [&'static str]) -> std::path::PathBuf {
        let path = folder.join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut heard = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines {
                (&stream).write_all(line.as_bytes()).unwrap();
                heard.next();
            }
        });
        path
    }

    #[test]
    fn events_between_answers_are_kept_and_refusals_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = monitor(
            folder.path(),
            &[
                "{\"QMP\": {}}\n",
                "{\"return\": {}}\n",
                "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"return\": {\"running\": true}}\n",
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\n",
            ],
        );
        let qmp = Qmp::connect(&path, Duration::from_secs(10), || Ok(())).unwrap();
        assert_eq!(
            qmp.ask("query-status", &json!({})).unwrap()["running"],
            true
        );
        assert_eq!(qmp.events()[0].data["guest"], true);
        assert_eq!(
            qmp.wait_event("RESET", 0, Duration::from_secs(10)).unwrap(),
            1
        );
        assert!(qmp.wait_event("RESET", 1, Duration::ZERO).is_err());
        let refused = qmp
            .ask("device_del", &json!({ "id": "x" }))
            .unwrap_err()
            .to_string();
        assert_eq!(refused, "QEMU refused device_del: no such device");
        let closed = qmp.ask("query-status", &json!({})).unwrap_err().to_string();
        assert!(closed.contains("monitor"), "{closed}");
    }
}
