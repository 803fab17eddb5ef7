// SPDX-License-Identifier: Apache-2.0
//! A client that costs little: requests go out one behind the other, and what comes back is counted, not looked at; with
//! TLS not even decrypted. Beside it a slow one that looks at everything.

use super::wire::SERVER;
use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::Pid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes taken at a time.
const TAKE: usize = 1 << 20;

/// With or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Plain,
    Tls,
}

impl Scheme {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP",
            Self::Tls => "HTTPS",
        }
    }

    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Tls => 443,
        }
    }
}

/// A certificate that both servers show.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) path: PathBuf,
    pub(super) key: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub(super) fn make(folder: &Path, name: &str) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()])?;
        let (path, key) = (folder.join("server.pem"), folder.join("server.key"));
        fs::write(&path, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let der = made.cert.der().clone();
        Ok(Self { path, key, der })
    }
}

/// How to ask.
#[derive(Clone)]
pub(super) struct Client {
    scheme: Scheme,
    tls: Arc<ClientConfig>,
}

impl Client {
    pub(super) fn new(scheme: Scheme, certificate: &Certificate) -> Result<Self> {
        let mut provider = ring::default_provider();
        // One cipher, so that both servers do the same work.
        provider
            .cipher_suites
            .retain(|suite| suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der.clone())?;
        let tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            scheme,
            tls: Arc::new(tls),
        })
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect((SERVER, self.scheme.port()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn tls(&self) -> Result<ClientConnection> {
        let name = ServerName::try_from(SERVER.to_string())?;
        Ok(ClientConnection::new(Arc::clone(&self.tls), name)?)
    }

    /// Asks for all of them at once, and takes what comes until the server closes; how many bytes came.
    pub(super) fn drain(&self, paths: &[String]) -> Result<u64> {
        let mut others = CpuSet::new();
        (1..CpuSet::count().min(std::thread::available_parallelism()?.get()))
            .try_for_each(|cpu| others.set(cpu))?;
        // A machine with one core has no other: then both share it, as the figure's machine line says.
        let _ = sched_setaffinity(Pid::from_raw(0), &others);
        let mut stream = self.connect()?;
        let requests = requests(paths);
        match self.scheme {
            Scheme::Plain => stream.write_all(requests.as_bytes())?,
            Scheme::Tls => {
                let mut tls = self.tls()?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut stream)?;
                }
                tls.writer().write_all(requests.as_bytes())?;
                while tls.wants_write() {
                    tls.write_tls(&mut stream)?;
                }
            }
        }
        let mut buffer = vec![0; TAKE];
        let mut bytes = 0;
        loop {
            match recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)? {
                0 => return Ok(bytes),
                length => bytes += u64::try_from(length)?,
            }
        }
    }

    /// Asks for all of them at once, and gives their bodies.
    pub(super) fn fetch(&self, paths: &[String]) -> Result<Vec<Vec<u8>>> {
        let mut stream = self.connect()?;
        match self.scheme {
            Scheme::Plain => {
                stream.write_all(requests(paths).as_bytes())?;
                bodies(stream, paths.len())
            }
            Scheme::Tls => {
                let mut stream = StreamOwned::new(self.tls()?, stream);
                stream.write_all(requests(paths).as_bytes())?;
                stream.flush()?;
                bodies(stream, paths.len())
            }
        }
    }

    /// Takes the first bytes and breaks off.
    pub(super) fn broken_off(&self, path: &str, bytes: usize, hash: &mut Sha256) -> Result<()> {
        let mut stream = self.connect()?;
        stream.write_all(requests(&[path.to_owned()]).as_bytes())?;
        let mut reader = BufReader::new(stream);
        let (status, _) = head(&mut reader)?;
        ensure!(status == 200, "status {status}");
        hash_all(&mut reader.take(bytes as u64), hash, bytes)
    }

    /// Takes the rest.
    pub(super) fn resumed(
        &self,
        path: &str,
        etag: &str,
        from: usize,
        hash: &mut Sha256,
    ) -> Result<()> {
        let mut stream = self.connect()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {SERVER}\r\nRange: bytes={from}-\r\nIf-Range: {etag}\r\nConnection: close\r\n\r\n"
        )?;
        let mut reader = BufReader::new(stream);
        let (status, length) = head(&mut reader)?;
        ensure!(status == 206, "status {status}");
        hash_all(&mut reader, hash, length)
    }
}

/// Requests one behind the other; after the last the server is to close.
fn requests(paths: &[String]) -> String {
    let mut text = String::new();
    for (number, path) in paths.iter().enumerate() {
        let close = if number + 1 == paths.len() {
            "Connection: close\r\n"
        } else {
            ""
        };
        // A String takes every write.
        let _ = write!(text, "GET {path} HTTP/1.1\r\nHost: {SERVER}\r\n{close}\r\n");
    }
    text
}

fn bodies(stream: impl Read, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut reader = BufReader::new(stream);
    (0..count)
        .map(|_| {
            let (status, length) = head(&mut reader)?;
            ensure!(status == 200, "status {status}");
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            Ok(body)
        })
        .collect()
}

/// Status and length.
fn head(reader: &mut BufReader<impl Read>) -> Result<(u16, usize)> {
    let (mut status, mut length) = (None, None);
    loop {
        let mut line = String::new();
        ensure!(
            reader.read_line(&mut line)? > 0,
            "the connection ended in a head"
        );
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        } else if status.is_none() {
            status = line.split(' ').nth(1).map(str::parse).transpose()?;
        }
    }
    Ok((status.context("no status")?, length.context("no length")?))
}

fn hash_all(reader: &mut impl Read, hash: &mut Sha256, expected: usize) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut done = 0;
    while done < expected {
        let length = reader.read(&mut buffer)?;
        ensure!(length > 0, "{done} of {expected} bytes came");
        hash.update(buffer.get(..length).unwrap_or_default());
        done += length;
    }
    Ok(())
}
