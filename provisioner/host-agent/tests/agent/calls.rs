// SPDX-License-Identifier: Apache-2.0
//! The calls against a server that speaks TLS with rustls and asks for a client certificate, on loopback.

use crate::stage::{boot, seed};
use groundstate_api::SCHEMA;
use groundstate_api::host::{CREDENTIAL_DIR, Heartbeat, HostInstruction, Register};
use host_agent::{Failure, Provisioner, Root};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        issuer: Issuer::new(params, key),
        pem,
    }
}

/// Certificate and key, PEM.
fn certificate(
    by: &Authority,
    names: &[&str],
    common_name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.extended_key_usages = vec![usage];
    (
        params.signed_by(&key, &by.issuer).unwrap().pem(),
        key.serialize_pem(),
    )
}

/// Answers one call and returns its head and body.
fn serve(
    site: &Authority,
    status: &'static str,
    answer: &'static str,
) -> (String, JoinHandle<Option<(String, String)>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    clients
        .add(CertificateDer::from_pem_slice(site.pem.as_bytes()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider.clone())
        .build()
        .unwrap();
    let (pem, key) = certificate(
        site,
        &["127.0.0.1"],
        "provisioner",
        ExtendedKeyUsagePurpose::ServerAuth,
    );
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(tls, socket));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        let tls = stream.get_mut();
        write!(
            tls,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .ok()?;
        tls.flush().ok()?;
        tls.conn.send_close_notify();
        tls.flush().ok()?;
        Some((head, String::from_utf8(body).unwrap()))
    });
    (address, thread)
}

/// A root with a credential of `by` that trusts `trusts`.
fn credential(trusts: &Authority, by: &Authority) -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::new(dir.path().into());
    let (pem, key) = certificate(
        by,
        &[],
        "host:node1:plan",
        ExtendedKeyUsagePurpose::ClientAuth,
    );
    for (name, text) in [
        ("ca.crt", &trusts.pem),
        ("host.crt", &pem),
        ("host.key", &key),
    ] {
        root.write(&format!("{CREDENTIAL_DIR}/{name}"), text.as_bytes(), 0o600)
            .unwrap();
    }
    (dir, root)
}

fn register() -> Register {
    let seed = seed();
    Register {
        schema: SCHEMA,
        node: seed.node,
        run: seed.run,
        plan: seed.plan,
        boot_id: boot(1),
        os: "Debian".into(),
        kernel: "6.1".into(),
        uptime_secs: 12,
        changes: vec![],
        disk_serials: vec!["GS-OS-1".into()],
    }
}

fn heartbeat() -> Heartbeat {
    let seed = seed();
    Heartbeat {
        node: seed.node,
        plan: seed.plan,
        boot_id: boot(1),
        number: 7,
        uptime_secs: 50,
        epoch: 0,
        troubles: Vec::new(),
        ended: None,
        boots_next: false,
    }
}

#[test]
fn a_registration_arrives_as_it_was_sent_and_its_answer_is_understood() {
    let site = authority("site");
    let (_dir, root) = credential(&site, &site);
    let (address, server) = serve(&site, "200 OK", r#"{"do":"carry-on"}"#);
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .register(&register());
    assert_eq!(answer, Ok(HostInstruction::CarryOn));
    let (head, body) = server.join().unwrap().unwrap();
    assert!(
        head.starts_with("POST /v1/host/register HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(serde_json::from_str::<Register>(&body).unwrap(), register());
}

#[test]
fn a_heartbeat_may_be_answered_with_a_new_run() {
    let site = authority("site");
    let (_dir, root) = credential(&site, &site);
    let (address, server) = serve(&site, "200 OK", r#"{"do":"reboot-to-network"}"#);
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .heartbeat(&heartbeat());
    assert_eq!(answer, Ok(HostInstruction::RebootToNetwork));
    let (head, body) = server.join().unwrap().unwrap();
    assert!(
        head.starts_with("POST /v1/host/heartbeat HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        serde_json::from_str::<Heartbeat>(&body).unwrap(),
        heartbeat()
    );
}

#[test]
fn a_refusal_is_told_from_silence() {
    let site = authority("site");
    let (_dir, root) = credential(&site, &site);
    let (address, server) = serve(&site, "409 Conflict", "{}");
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .heartbeat(&heartbeat());
    assert_eq!(
        answer,
        Err(Failure::Refused {
            status: 409,
            said: "no reason given".into()
        })
    );
    server.join().unwrap().unwrap();
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .heartbeat(&heartbeat());
    assert!(matches!(answer, Err(Failure::Unreachable { seen }) if seen.contains(&address)));
}

#[test]
fn a_server_of_another_site_learns_nothing() {
    let (site, other) = (authority("site"), authority("other"));
    let (_dir, root) = credential(&site, &site);
    let (address, server) = serve(&other, "200 OK", r#"{"do":"reboot-to-network"}"#);
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .register(&register());
    assert!(
        matches!(answer, Err(Failure::Unreachable { .. })),
        "{answer:?}"
    );
    assert_eq!(server.join().unwrap(), None);
}

#[test]
fn a_certificate_of_another_site_gets_no_answer() {
    let (site, other) = (authority("site"), authority("other"));
    let (_dir, root) = credential(&site, &other);
    let (address, server) = serve(&site, "200 OK", r#"{"do":"carry-on"}"#);
    let answer = Provisioner::new(&root, &address, &[])
        .unwrap()
        .register(&register());
    assert!(
        matches!(answer, Err(Failure::Unreachable { .. })),
        "{answer:?}"
    );
    assert_eq!(server.join().unwrap(), None);
}

#[test]
fn plain_http_and_a_missing_key_are_refused_before_anything_is_sent() {
    let site = authority("site");
    let (_dir, root) = credential(&site, &site);
    let answer = Provisioner::new(&root, "http://127.0.0.1:1", &[])
        .unwrap()
        .register(&register());
    assert!(
        matches!(answer, Err(Failure::Unreachable { .. })),
        "{answer:?}"
    );
    root.remove(&format!("{CREDENTIAL_DIR}/host.key")).unwrap();
    assert!(Provisioner::new(&root, "https://127.0.0.1:1", &[]).is_err());
}

#[test]
fn it_goes_where_the_leader_is_and_to_the_next_where_nobody_answers_and_remembers_them() {
    let site = authority("site");
    let (_dir, root) = credential(&site, &site);
    let (leader, led) = serve(&site, "200 OK", r#"{"do":"carry-on"}"#);
    let header = format!(
        "503 Service Unavailable\r\ngroundstate-leader: {leader}\r\ngroundstate-provisioners: {leader} https://127.0.0.1:1"
    );
    let (follower, followed) = serve(&site, header.leak(), "{}");
    // The provisioner of the seed is gone; the other one follows.
    let known = Provisioner::new(&root, "https://127.0.0.1:1", &[follower]).unwrap();
    let silent = known.heartbeat(&heartbeat());
    assert!(
        matches!(silent, Err(Failure::Unreachable { .. })),
        "{silent:?}"
    );
    assert_eq!(known.heartbeat(&heartbeat()), Ok(HostInstruction::CarryOn));
    followed.join().unwrap().unwrap();
    led.join().unwrap().unwrap();
    let kept = root.read("var/lib/groundstate/provisioners").unwrap();
    let kept = String::from_utf8(kept.unwrap()).unwrap();
    assert!(kept.lines().any(|line| line == leader), "{kept}");

    // Nobody leads at this moment: that is no refusal of this host, and the next one is asked.
    let none = r#"{"type":"urn:groundstate:reason:not-leader","title":"t","status":503,"reason":{"code":"not-leader","part":null,
        "what":"w","evidence":[],"since":null,"deadline":null,"next_automatic":"a","next_step":"n"}}"#;
    let (cut_off, _) = serve(&site, "503 Service Unavailable", none);
    let (another, asked) = serve(&site, "200 OK", r#"{"do":"carry-on"}"#);
    let (_dir, root) = credential(&site, &site);
    let known = Provisioner::new(&root, &cut_off, &[another]).unwrap();
    let said = known.heartbeat(&heartbeat());
    assert!(matches!(said, Err(Failure::NoLeader { .. })), "{said:?}");
    assert_eq!(known.heartbeat(&heartbeat()), Ok(HostInstruction::CarryOn));
    asked.join().unwrap().unwrap();
}
