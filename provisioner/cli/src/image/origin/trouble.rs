// SPDX-License-Identifier: Apache-2.0
//! What an error of the network or of TLS means to who asks a server for an image, and what to do about it.

use crate::tls_fault::TlsFault;
use groundstate_api::{Reason, ReasonCode};
use std::io;

/// Why nothing came from that server. `is_named`: it was told who asks.
pub(super) fn reason(url: &str, is_named: bool, error: &ureq::Error) -> Reason {
    let plain = url.starts_with("http://");
    let reason = match error {
        ureq::Error::Timeout(_) => too_slow(url),
        ureq::Error::HostNotFound => unreachable(url),
        ureq::Error::Protocol(_) if plain => Reason::new(
            ReasonCode::ProvisionerUnreachable,
            format!("what answers at {url} does not speak HTTP"),
            "where it is served with a certificate, say https:// and --ca FILE; else look at the port",
        ),
        ureq::Error::Io(error) => of_io(url, is_named, error),
        other => match TlsFault::of(other) {
            Some(fault) => tls(url, is_named, fault),
            None => unreachable(url),
        },
    };
    reason
        .seen(error.to_string())
        .then("nothing: no disk is touched")
}

/// The same of an error in the middle of an answer.
pub(super) fn broken_off(url: &str, is_named: bool, error: &io::Error) -> Reason {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(error) => reason(url, is_named, error),
        None => of_io(url, is_named, error)
            .seen(error.to_string())
            .then("nothing: no disk is touched"),
    }
}

/// A server that has no room for the question, with its time to come back in seconds, where it says one.
pub(super) fn full(url: &str, status: u16, retry: Option<&str>) -> Reason {
    let seconds = retry.and_then(|text| text.trim().parse::<u32>().ok());
    let wait = seconds.map_or_else(
        || "wait a little".to_owned(),
        |seconds| format!("wait {seconds} s"),
    );
    Reason::new(
        ReasonCode::UnderWay,
        format!("{url} has no room for this question now"),
        format!(
            "{wait}, then say the same once more; where it stays so, let an HTTP cache stand in front of it"
        ),
    )
    .seen(format!("status {status}"))
    .then("nothing: no disk is touched")
}

fn of_io(url: &str, is_named: bool, error: &io::Error) -> Reason {
    if let Some(fault) = TlsFault::of_io(error) {
        return tls(url, is_named, fault);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => too_slow(url),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => Reason::new(
            ReasonCode::ProvisionerUnreachable,
            format!("{url} hung up in the middle"),
            "try again; where it stays so, look at the server's log: it says whom it refuses and why",
        ),
        _ => unreachable(url),
    }
}

fn tls(url: &str, is_named: bool, fault: TlsFault) -> Reason {
    match fault {
        TlsFault::AsksWhoWeAre if !is_named => who_asks(url),
        TlsFault::AsksWhoWeAre | TlsFault::OursExpired | TlsFault::OursRefused => Reason::new(
            ReasonCode::TlsRefused,
            format!("{url} does not accept the certificate of --from-credential"),
            "see that operator.crt has not expired and is of the authority that the server asks for: --client-ca of `groundstate image \
             serve`; a provisioner's are made by `groundstate access issue`",
        ),
        TlsFault::TheirTime => Reason::new(
            ReasonCode::ClockWrong,
            format!("the certificate of {url} is not valid at this machine's time"),
            "set the clocks of both machines; where they are right, give the server a new certificate",
        ),
        TlsFault::TheirNames => Reason::new(
            ReasonCode::TlsRefused,
            format!("the certificate of {url} is for other names"),
            "say --from with a name that stands in its certificate",
        ),
        TlsFault::TheirAuthority => Reason::new(
            ReasonCode::TlsRefused,
            format!("the certificate of {url} is an authority's own certificate"),
            "give the server one that is signed by it, with CA:FALSE; docs/guides/images.md has the commands of openssl",
        ),
        TlsFault::TheirIssuer => Reason::new(
            ReasonCode::TlsRefused,
            format!("the certificate of {url} is not of the authority that is trusted here"),
            "give that authority's certificate with --ca FILE; where it is the right one, another machine answers at this address",
        ),
        TlsFault::NotTls => Reason::new(
            ReasonCode::TlsRefused,
            format!("what answers at {url} does not speak TLS"),
            "where it is served plain, say http://: every byte is proved all the same; else look at the port",
        ),
        TlsFault::Other => Reason::new(
            ReasonCode::TlsRefused,
            format!("{url} and this machine do not come to terms over TLS"),
            "look at the server's log: it says what it refused",
        ),
    }
}

fn who_asks(url: &str) -> Reason {
    Reason::new(
        ReasonCode::NotAllowed,
        format!("{url} asks for a certificate of who asks, and none was given"),
        "say --from-credential DIR, or set GROUNDSTATE_CREDENTIAL: the folder with ca.crt, operator.crt and operator.key, of the \
         authority that the server asks for (--client-ca of `groundstate image serve`)",
    )
}

fn too_slow(url: &str) -> Reason {
    Reason::new(
        ReasonCode::ProvisionerUnreachable,
        format!("{url} takes too long to answer"),
        "try again, or take the image from another server; slow answers may hide that newer ones are held back",
    )
}

fn unreachable(url: &str) -> Reason {
    Reason::new(
        ReasonCode::ProvisionerUnreachable,
        format!("{url} cannot be reached"),
        "see that the address is right, and that `groundstate image serve` or `groundstate up` runs there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{AlertDescription as Alert, CertificateError as Certificate};
    use std::sync::Arc;

    fn check(url: &str, is_named: bool, error: ureq::Error, expected: &Expect) {
        let reason = reason(url, is_named, &error);
        expected.assert_eq(&format!(
            "{} [{}]: {}",
            reason.what, reason.code, reason.next_step
        ));
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let inside = |error| ureq::Error::Io(io::Error::other(error));
        let alert = |alert| inside(rustls::Error::AlertReceived(alert));
        check(
            "https://a:1",
            false,
            alert(Alert::CertificateRequired),
            &expect![[
                r#"https://a:1 asks for a certificate of who asks, and none was given [not-allowed]: say --from-credential DIR, or set GROUNDSTATE_CREDENTIAL: the folder with ca.crt, operator.crt and operator.key, of the authority that the server asks for (--client-ca of `groundstate image serve`)"#
            ]],
        );
        check(
            "https://a:1",
            true,
            alert(Alert::CertificateUnknown),
            &expect![[
                r#"https://a:1 does not accept the certificate of --from-credential [tls-refused]: see that operator.crt has not expired and is of the authority that the server asks for: --client-ca of `groundstate image serve`; a provisioner's are made by `groundstate access issue`"#
            ]],
        );
        check(
            "https://a:1",
            false,
            ureq::Error::Rustls(rustls::Error::InvalidCertificate(
                Certificate::UnknownIssuer,
            )),
            &expect![[
                r#"the certificate of https://a:1 is not of the authority that is trusted here [tls-refused]: give that authority's certificate with --ca FILE; where it is the right one, another machine answers at this address"#
            ]],
        );
        check(
            "https://a:1",
            false,
            inside(rustls::Error::InvalidCertificate(Certificate::Expired)),
            &expect![[
                r#"the certificate of https://a:1 is not valid at this machine's time [clock-wrong]: set the clocks of both machines; where they are right, give the server a new certificate"#
            ]],
        );
        check(
            "http://a:1",
            false,
            ureq::Error::Io(io::ErrorKind::ConnectionRefused.into()),
            &expect![[
                r#"http://a:1 cannot be reached [provisioner-unreachable]: see that the address is right, and that `groundstate image serve` or `groundstate up` runs there"#
            ]],
        );
        let said = full("https://a:1", 503, Some("7"));
        assert!(said.next_step.starts_with("wait 7 s"), "{said:?}");
    }

    /// The verifier says so itself, of what `openssl req -x509` makes.
    #[test]
    fn an_authoritys_own_certificate_is_told_from_one_of_another_authority() {
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().unwrap();
        let name = ServerName::try_from("a").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        let error = verifier.verify_server_cert(own.der(), &[], &name, &[], now);
        check(
            "https://a:1",
            false,
            ureq::Error::Rustls(error.unwrap_err()),
            &expect![[
                r#"the certificate of https://a:1 is an authority's own certificate [tls-refused]: give the server one that is signed by it, with CA:FALSE; docs/guides/images.md has the commands of openssl"#
            ]],
        );
    }
}
