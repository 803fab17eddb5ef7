// SPDX-License-Identifier: Apache-2.0
//! What an error of the network or of TLS means to who calls a provisioner, and what to do about it.

use crate::access::day;
use crate::refusal::Failed;
use crate::tls_fault::TlsFault;
use groundstate_api::ReasonCode;
use std::io::ErrorKind;
use std::path::Path;

/// Why nothing came from that server. `credential` is the folder of our certificate.
pub(super) fn failed(server: &str, credential: &Path, error: &ureq::Error) -> Failed {
    match TlsFault::of(error) {
        Some(fault) => tls(server, credential, fault),
        None => silent(server, error),
    }
}

/// Whether the same may be sent again: the connection broke, and nobody said why.
pub(super) fn is_broken(error: &ureq::Error) -> bool {
    let of_network = matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    );
    of_network && TlsFault::of(error).is_none()
}

/// Whether the server hung up in the middle.
pub(super) fn is_hang_up(error: &ureq::Error) -> bool {
    let kind = match error {
        ureq::Error::Io(error) if TlsFault::of_io(error).is_none() => error.kind(),
        _ => return false,
    };
    matches!(
        kind,
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
    )
}

fn silent(server: &str, error: &ureq::Error) -> Failed {
    let advice = match error {
        ureq::Error::HostNotFound => "is the name in --server right?",
        _ if has_no_port(server) => {
            "it names no port, and 443 was asked: the API's is 8443 where the site file says no other, as in --server https://192.0.2.1:8443"
        }
        _ => "is the provisioner running there? --server or GROUNDSTATE_SERVER names another one",
    };
    let code = ReasonCode::ProvisionerUnreachable;
    Failed::new(code.as_str(), format!("{server} does not answer"), advice)
}

fn tls(server: &str, credential: &Path, fault: TlsFault) -> Failed {
    let refused =
        |what: String, next: &str| Failed::new(ReasonCode::TlsRefused.as_str(), what, next);
    let folder = credential.display();
    match fault {
        TlsFault::AsksWhoWeAre | TlsFault::OursExpired | TlsFault::OursRefused => {
            let new = "have a new one issued on the provisioner's machine, groundstate access issue --role ROLE --name NAME --out DIR, and say --credential DIR; the one in pki/operator is made anew when groundstate up starts";
            match ended(credential) {
                Some(on) => refused(
                    format!(
                        "{server} does not accept your certificate, {folder}/operator.crt: it ended on {on}"
                    ),
                    new,
                ),
                None if fault == TlsFault::OursExpired => Failed::new(
                    ReasonCode::ClockWrong.as_str(),
                    format!(
                        "{server} says that your certificate, {folder}/operator.crt, has ended, and by this machine's clock it has not"
                    ),
                    "set the clocks of both machines",
                ),
                None => refused(
                    format!(
                        "{server} does not accept your certificate: {folder}/operator.crt is not of its site"
                    ),
                    "--credential or GROUNDSTATE_CREDENTIAL names the folder with that site's, which groundstate access issue makes on the provisioner's machine",
                ),
            }
        }
        TlsFault::TheirTime => Failed::new(
            ReasonCode::ClockWrong.as_str(),
            format!("{server} answers, and its certificate is not valid at this machine's time"),
            "set the clocks of both machines; where they are right, start groundstate up there again: it makes its certificate anew",
        ),
        TlsFault::TheirNames => refused(
            format!("{server} answers, and its certificate is for other names"),
            "say --server with an address that stands in the certificate: [network] address of the site file, or 127.0.0.1 on its own machine",
        ),
        TlsFault::TheirIssuer | TlsFault::TheirAuthority => refused(
            format!(
                "{server} answers, and its certificate is not of the site that --credential is of ({folder})"
            ),
            "name that site's credential with --credential or GROUNDSTATE_CREDENTIAL, or this one's server with --server",
        ),
        TlsFault::NotTls => refused(
            format!("what answers at {server} does not speak TLS"),
            "look at the port in --server: the API's is 8443 where the site file says no other",
        ),
        TlsFault::Other => refused(
            format!("{server} and this machine do not come to terms over TLS"),
            "see that a provisioner of this version answers there; its log says what it refused",
        ),
    }
}

/// The day, in UTC, on which the certificate in this folder ended; `None` where it has not, or nobody can tell.
fn ended(credential: &Path) -> Option<String> {
    let pem = std::fs::read(credential.join("operator.crt")).ok()?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
    let until = pem.parse_x509().ok()?.validity().not_after.timestamp();
    (until < jiff::Timestamp::now().as_second()).then(|| day(until))
}

/// Whether an address leaves its port to be guessed.
fn has_no_port(server: &str) -> bool {
    let host = server.trim_start_matches("https://");
    let host = host.split('/').next().unwrap_or(host);
    let after = host.rsplit_once(':').map_or("", |(_, port)| port);
    after.is_empty() || !after.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription as Alert, CertificateError as Certificate};
    use std::io;
    use time::{Duration, OffsetDateTime};

    #[test]
    fn an_address_says_its_port_or_not() {
        for (server, is_missing) in [
            ("https://192.0.2.1:8443", false),
            ("https://[2001:db8::1]:8443", false),
            ("https://192.0.2.1:8443/", false),
            ("https://192.0.2.1", true),
            ("https://site.example/", true),
            ("https://[2001:db8::1]", true),
        ] {
            assert_eq!(has_no_port(server), is_missing, "{server}");
        }
    }

    /// A folder with a certificate that ends so long from now.
    fn credential(from_now: Duration) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_before = OffsetDateTime::now_utc() - Duration::days(9);
        params.not_after = OffsetDateTime::now_utc() + from_now;
        let own = params.self_signed(&rcgen::KeyPair::generate().unwrap());
        std::fs::write(dir.path().join("operator.crt"), own.unwrap().pem()).unwrap();
        dir
    }

    #[test]
    fn a_fault_of_tls_is_told_as_such_and_not_tried_again() {
        let (old, good) = (
            credential(Duration::days(-2)),
            credential(Duration::days(2)),
        );
        let inside = |error| ureq::Error::Io(io::Error::other(error));
        let alert = |alert| inside(rustls::Error::AlertReceived(alert));
        let cases = [
            (
                &good,
                inside(rustls::Error::InvalidCertificate(
                    Certificate::UnknownIssuer,
                )),
                "its certificate is not of the site that --credential is of",
            ),
            (&old, alert(Alert::CertificateExpired), "it ended on 20"),
            (&old, alert(Alert::CertificateUnknown), "it ended on 20"),
            (&good, alert(Alert::CertificateExpired), "set the clocks"),
            (
                &good,
                alert(Alert::CertificateUnknown),
                "is not of its site",
            ),
            (&good, alert(Alert::UnknownCA), "is not of its site"),
        ];
        for (folder, error, words) in cases {
            let said = failed("https://a:1", folder.path(), &error).to_string();
            assert!(said.contains(words), "{error:?}: {said}");
            assert!(!said.contains("does not answer"), "{error:?}: {said}");
            assert!(!is_broken(&error), "{error:?}");
        }
        let gone = ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        assert!(is_broken(&gone));
        let said = failed("https://a:1", good.path(), &gone).to_string();
        assert!(said.contains("is the provisioner running there?"), "{said}");
    }
}
