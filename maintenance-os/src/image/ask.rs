// SPDX-License-Identifier: Apache-2.0
//! One question to the image server and its whole answer, within a bounded time. It never asks twice: who asks again,
//! and when, is decided by those who call.

use super::Source;
use groundstate_api::view::Problem;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use image_core::answer::{Answer, judge};
use image_core::proof::Corrupt;
use std::io::{self, Read as _};
use std::time::Duration;

/// To connect and shake hands: a slow processor needs two seconds for TLS, a lost packet three more.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// To the answer's head.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Between two pieces of the body: after this long the server is as good as away.
const STALL_MAX: Duration = Duration::from_secs(15);
/// For the whole body. What came so far is kept and the next question asks for the rest.
const BODY_MAX: Duration = Duration::from_secs(300);
/// The longest problem document that is read.
const PROBLEM_MAX: u64 = 64 * 1024;
/// What is read at once.
const PIECE: usize = 64 * 1024;

/// What is asked for.
pub(super) struct Question<'a> {
    /// The path with the digest in it.
    pub(super) path: String,
    /// Its name.
    pub(super) digest: Digest,
    /// What it is, for people.
    pub(super) what: &'a str,
    /// How long it must be; `None` where only `max` is known.
    pub(super) length: Option<Bytes>,
    /// How long it may be.
    pub(super) max: Bytes,
}

/// Where an answer's body goes. What has come stays there between two questions.
pub(super) trait Sink {
    /// How much has come.
    fn have(&self) -> u64;
    /// Forget it all.
    fn restart(&mut self) -> io::Result<()>;
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn have(&self) -> u64 {
        self.len() as u64
    }
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The network or the server failed; it may be back.
    Away(String),
    /// Another length than the manifest says.
    Corrupt(Corrupt),
    /// It will not be given.
    Refused(Reason),
    /// The sink failed.
    Sink(io::Error),
}

/// The path `template` with `digest` in it.
pub(super) fn path(template: &str, digest: &Digest) -> String {
    template.replace("{digest}", &digest.hex())
}

/// Asks for all of it, or for the rest where `sink` has a part.
pub(super) fn ask(
    source: &Source,
    question: &Question<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Trouble> {
    let from = sink.have();
    let url = format!("{}{}", source.base.trim_end_matches('/'), question.path);
    let mut request = source
        .agent
        .get(url)
        .config()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_recv_response(Some(ANSWER_MAX))
        .timeout_recv_body(Some(BODY_MAX))
        .timeout_per_read(Some(STALL_MAX))
        .build();
    if from > 0 {
        request = request
            .header("Range", format!("bytes={from}-"))
            .header("If-Range", format!("\"{}\"", question.digest));
    }
    let response = request.call().map_err(|error| network(error, question))?;
    let (head, body) = response.into_parts();
    let mut reader = body.into_reader();
    let status = head.status.as_u16();
    let problem = if status < 400 {
        None
    } else {
        let mut text = Vec::new();
        // A body that breaks off is as good as none: the status alone decides then.
        let read = (&mut reader).take(PROBLEM_MAX).read_to_end(&mut text);
        read.ok()
            .and_then(|_| serde_json::from_slice::<Problem>(&text).ok())
    };
    match judge(
        status,
        from,
        question.what,
        &question.digest,
        problem.as_ref(),
    ) {
        Answer::Whole => sink.restart().map_err(Trouble::Sink)?,
        Answer::Rest => {
            let range = text_of(&head, "content-range");
            if !range.is_some_and(|range| range.starts_with(&format!("bytes {from}-"))) {
                sink.restart().map_err(Trouble::Sink)?;
                return Err(Trouble::Away(format!(
                    "asked for bytes from {from}, got {range:?}"
                )));
            }
        }
        Answer::Away(said) => return Err(Trouble::Away(said)),
        Answer::Refused(reason) => return Err(Trouble::Refused(reason)),
    }
    let promised = text_of(&head, "content-length").and_then(|text| text.parse::<u64>().ok());
    if let Some(promised) = promised {
        check_length(question, sink.have().saturating_add(promised), true)?;
    }
    copy(&mut reader, question, sink)
}

fn text_of<'a>(head: &'a ureq::http::response::Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

/// Whether `found` bytes are neither too many nor, where that is all, too few.
fn check_length(question: &Question<'_>, found: u64, all: bool) -> Result<(), Trouble> {
    let expected = question.length.unwrap_or(question.max);
    let short = all && question.length.is_some() && found < expected.0;
    if found > expected.0 || short {
        return Err(Trouble::Corrupt(Corrupt::StoredLength {
            expected,
            found: Bytes(found),
        }));
    }
    Ok(())
}

fn copy(
    reader: &mut dyn io::Read,
    question: &Question<'_>,
    sink: &mut dyn Sink,
) -> Result<(), Trouble> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return check_length(question, sink.have(), true),
            Ok(count) => {
                check_length(question, sink.have() + count as u64, false)?;
                sink.put(&piece[..count]).map_err(Trouble::Sink)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(network(error.into(), question)),
        }
    }
}

/// A certificate that does not fit will not fit in a minute; everything else on the network may pass.
fn network(error: ureq::Error, question: &Question<'_>) -> Trouble {
    let tls = match &error {
        ureq::Error::Rustls(tls) => Some(tls),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_) => {
            return Trouble::Refused(
                Reason::new(
                    ReasonCode::Internal,
                    format!("the address of {} makes no sense", question.what),
                    "correct the provisioner's address in the site file and assemble the boot image again",
                )
                .seen(error.to_string()),
            );
        }
        _ => None,
    };
    tls.and_then(certificate)
        .map_or_else(|| Trouble::Away(error.to_string()), Trouble::Refused)
}

fn certificate(error: &rustls::Error) -> Option<Reason> {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate};
    let reason = match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => Reason::new(
            ReasonCode::ClockWrong,
            "the provisioner's certificate is not valid at this machine's time",
            "set the clocks of this machine and of the provisioner",
        ),
        rustls::Error::InvalidCertificate(_) => Reason::new(
            ReasonCode::TlsRefused,
            "the server's certificate is not of this site",
            "see that the machine booted this site's boot image and that no other server has the provisioner's address",
        ),
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure,
        ) => Reason::new(
            ReasonCode::TlsRefused,
            "the provisioner does not accept this machine's certificate",
            "order the run anew, so that the machine enrols again",
        ),
        _ => return None,
    };
    Some(reason.seen(error.to_string()))
}
