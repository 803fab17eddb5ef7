// SPDX-License-Identifier: Apache-2.0
//! TLS sessions that are resumed: a host that reports every few seconds on a new connection pays for the handshake once.

use crate::world::World;
use groundstate_api::site_parts::Role;
use provisioner::pki::Access;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

/// A call on a connection of its own: how it was opened, and the status line.
fn call(world: &World, config: &Arc<ClientConfig>) -> (HandshakeKind, String) {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(config.clone(), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let request = "GET /v1/audit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.lines().next().unwrap().to_owned();
    (stream.conn.handshake_kind().unwrap(), status)
}

#[test]
fn a_resumed_session_is_the_same_caller_and_a_revoked_one_opens_nothing() {
    let world = World::new();
    world.client(Role::Admin, "ana");
    let folder = world.dir.path().join("admin-ana");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(folder.join("ca.crt")).unwrap())
        .unwrap();
    let chain = vec![CertificateDer::from_pem_file(folder.join("operator.crt")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("operator.key")).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let (kind, status) = call(&world, &config);
    assert_eq!(
        (kind, status.as_str()),
        (HandshakeKind::Full, "HTTP/1.1 200 OK")
    );
    let (kind, status) = call(&world, &config);
    assert_eq!(
        (kind, status.as_str()),
        (HandshakeKind::Resumed, "HTTP/1.1 200 OK")
    );
    let access = Access::open(world.dir.path()).unwrap();
    access.revoke("ana", Some(Role::Admin)).unwrap();
    let (kind, status) = call(&world, &config);
    let refused = "HTTP/1.1 403 Forbidden";
    assert_eq!((kind, status.as_str()), (HandshakeKind::Resumed, refused));
}
