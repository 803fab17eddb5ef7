// SPDX-License-Identifier: Apache-2.0
//! A virtual BMC: a Redfish service over TLS that powers a node of the rack on and off and says what it boots next.
//!
//! It has the faults of real ones, to order ([`BmcFault`]). It refuses to be reached from outside the network that the
//! thread which started it is in, and it touches no process but its own node's QEMU.

mod http;
mod machine;
mod media;
mod redfish;
mod tls;

use super::{Node, RackError};
use http::{Answer, Question};
use machine::Machine;
use redfish::State;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a BMC that hangs looks whether it still should.
const HANG_POLL: Duration = Duration::from_millis(50);
/// Bytes of a password, before they are written as hex.
const PASSWORD_BYTES: usize = 16;

/// What is wrong with a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BmcFault {
    /// It answers 200 and does nothing.
    Ignores,
    /// It takes the boot override, and shows the old one at the next look.
    Reverts,
    /// It shows the boot override, and boots what it always boots.
    Lies,
    /// It takes the connection and never answers.
    Hangs,
    /// It refuses every credential.
    Unauthorized,
}

/// A running BMC. Dropping it ends it; its node stays as it is.
#[derive(Debug)]
pub struct VirtualBmc {
    address: SocketAddr,
    certificate: String,
    user: String,
    password: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    machine: Arc<dyn Machine>,
    tls: Arc<rustls::ServerConfig>,
    stop: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtualBmc {
    /// The BMC of a node, at a free port of this address of the calling thread's network.
    ///
    /// # Errors
    /// A port or a certificate that cannot be had.
    pub fn start(node: &Node, address: IpAddr) -> Result<Self, RackError> {
        let (board, spec) = (node.board(), node.spec());
        Self::with(board, State::new(spec), address)
    }

    fn with(
        machine: Arc<dyn Machine>,
        mut state: State,
        address: IpAddr,
    ) -> Result<Self, RackError> {
        let listener = TcpListener::bind((address, 0));
        let listener = listener.map_err(RackError::file("the BMC's port"))?;
        let address = listener.local_addr();
        let address = address.map_err(RackError::file("the BMC's port"))?;
        let (tls, certificate) = tls::config(address.ip())?;
        let (user, password) = ("admin".to_owned(), password()?);
        state.account = (user.clone(), password.clone());
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            machine,
            tls,
            stop: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let ours = Arc::clone(&shared);
        // The thread is in the network of the one that starts it, and so is the QEMU that it starts.
        thread::spawn(move || serve(&listener, &ours));
        Ok(Self {
            address,
            certificate,
            user,
            password,
            shared,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of its certificate, `sha256:…`.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its credential as a credentials file holds it: `user:password`.
    #[must_use]
    pub fn credential(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }

    /// Breaks it, or mends it.
    pub fn set_fault(&self, fault: Option<BmcFault>) {
        self.shared.state().fault = fault;
    }

    /// What it was asked, oldest first: `POST /redfish/v1/…`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.state().sessions.len()
    }

    /// Whether its locator LED is lit.
    #[must_use]
    pub fn led(&self) -> bool {
        self.shared.state().led
    }
}

impl Drop for VirtualBmc {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let open = self.shared.open.lock();
        for stream in open.unwrap_or_else(PoisonError::into_inner).drain(..) {
            // An error means that it is closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
        // The listener wakes up, sees that it should stop, and ends.
        drop(TcpStream::connect_timeout(
            &self.address,
            Duration::from_secs(1),
        ));
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            let open = shared.open.lock();
            open.unwrap_or_else(PoisonError::into_inner).push(copy);
        }
        let shared = Arc::clone(shared);
        // How a conversation ends is the caller's to see.
        thread::spawn(move || drop(converse(stream, &shared)));
    }
}

/// Questions and answers over one connection until the caller closes it.
fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let session = rustls::ServerConnection::new(Arc::clone(&shared.tls));
    let session = session.map_err(io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(session, stream);
    let mut unread = Vec::new();
    while let Some(question) = Question::read(&mut stream, &mut unread)? {
        let hangs = || shared.state().fault == Some(BmcFault::Hangs);
        while hangs() {
            if shared.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            thread::sleep(HANG_POLL);
        }
        let closes = question.closes;
        answer(&question, shared).write(&mut stream)?;
        if closes {
            break;
        }
    }
    Ok(())
}

/// Decides under the lock, and carries out what was decided without it: powering a node takes a second.
fn answer(question: &Question, shared: &Shared) -> Answer {
    let is_on = shared.machine.is_on();
    let console = |lines| shared.machine.console(lines);
    let (answer, deed) = shared.state().answer(question, is_on, &console);
    let Some(deed) = deed else { return answer };
    match machine::carry_out(&*shared.machine, &deed) {
        Ok(()) => {
            shared.state().carried_out(&deed);
            answer
        }
        Err(why) => Answer::error(500, &why),
    }
}

fn password() -> Result<String, RackError> {
    use std::io::Read as _;
    let mut bytes = [0u8; PASSWORD_BYTES];
    let source = "/dev/urandom";
    std::fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(RackError::file(source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
