// SPDX-License-Identifier: Apache-2.0
//! What is served only where it was asked for: proxyDHCP in place of DHCP, and IPv6 beside IPv4.

use crate::dhcp6::{self, Dhcp6, Dhcp6Socket, LeaseLog6};
use crate::front::Front;
use crate::port_holder::{Protocol as Over, advice};
use crate::router_advert::{self, AdvertSocket};
use crate::sockets::OnInterface;
use crate::{BootService, ServeError, proxy};
use pxe_core::dhcp::BootNames;
use pxe_core::dhcp6::{Advertiser, Dhcp6Config, Server6};
use pxe_core::names::HttpBase;
use pxe_core::proxy::{Proxy, ProxyConfig};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::task::JoinSet;

const TFTP_PORT: u16 = 69;
/// Connections that wait to be accepted: a rack that was switched on at once.
const BACKLOG: i32 = 1_024;

/// What is served beside DHCP, so that it can be told something else while it runs.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) proxy: OnceLock<Arc<Mutex<Proxy>>>,
    pub(crate) dhcp6: OnceLock<Dhcp6>,
}

/// The proxy, for one decision.
pub(crate) fn held(proxy: &Mutex<Proxy>) -> MutexGuard<'_, Proxy> {
    proxy
        .lock()
        .expect("nothing panics while it holds the proxyDHCP service")
}

/// proxyDHCP, ready to serve in place of DHCP.
pub(crate) struct ProxyReady {
    proxy: Arc<Mutex<Proxy>>,
    boot_server: tokio::net::UdpSocket,
}

/// Sockets of IPv6 that somebody else has bound already. What is `None` is opened by the service.
#[derive(Debug, Default)]
pub struct Sockets6 {
    /// UDP, for DHCPv6; port 547 in earnest.
    pub dhcp: Option<UdpSocket>,
    /// UDP, for TFTP; port 69 in earnest.
    pub tftp: Option<UdpSocket>,
    /// TCP, for HTTP boot files; its port must be the one in our URLs.
    pub http: Option<TcpListener>,
}

/// IPv6, ready to serve.
pub(crate) struct Ipv6Ready {
    socket: Dhcp6Socket,
    server: Dhcp6,
    leases: LeaseLog6,
    adverts: (AdvertSocket, Advertiser),
    pub(crate) tftp: OnInterface,
    pub(crate) http: tokio::net::TcpListener,
}

/// DHCPv6 for this interface by its own addresses: from its first one beyond the link.
///
/// # Errors
/// IPv6 is off, or the interface has link-local addresses only.
pub fn dhcp6_of_interface(
    interface: &str,
    http_port: u16,
    boot: BootNames,
) -> Result<Dhcp6Config, ServeError> {
    let config = Dhcp6Config::of_interface(&dhcp6::addresses(interface)?, http_port)?;
    Ok(Dhcp6Config { boot, ..config })
}

impl BootService {
    /// Serves proxyDHCP in place of DHCP: boot files beside somebody else's server, and no addresses. Port 4011 is taken
    /// as it was handed over, or opened here.
    ///
    /// # Errors
    /// An address that nobody could fetch from, or a port that is taken.
    pub fn proxy_on(
        &mut self,
        config: ProxyConfig,
        boot_server: Option<UdpSocket>,
    ) -> Result<(), ServeError> {
        let proxy = Arc::new(Mutex::new(Proxy::new(config)?));
        let boot_server = proxy::boot_server(&self.interface, boot_server)?;
        // Set once: this is called once, before anything is served.
        let _set = self.desk.beside.proxy.set(Arc::clone(&proxy));
        self.proxy = Some(ProxyReady { proxy, boot_server });
        Ok(())
    }

    /// Serves DHCPv6, Router Advertisements, and TFTP and HTTP over IPv6, too.
    ///
    /// # Errors
    /// What cannot be served, leases that cannot be read, a port that is taken, or no right to open a raw socket.
    pub fn dhcp6_on(
        &mut self,
        config: Dhcp6Config,
        state_dir: &Path,
        handed_over: Sockets6,
    ) -> Result<(), ServeError> {
        let interface = self.interface.as_str();
        let base = HttpBase {
            address: IpAddr::V6(config.address),
            port: config.http_port,
        };
        let duid = dhcp6::server_id(state_dir, interface)?;
        let advertiser = Advertiser::new(self.desk.clock.now(), &config, dhcp6::mac(interface)?);
        let (leases, kept) = LeaseLog6::open(state_dir)?;
        let server = Dhcp6::new(Server6::new(config, duid, kept)?);
        let tftp = match handed_over.tftp {
            Some(socket) => Ok(socket),
            None => udp(interface),
        };
        let tftp = tftp.and_then(|socket| {
            socket.set_nonblocking(true)?;
            tokio::net::UdpSocket::from_std(socket)
        });
        let tftp = tftp.map_err(|source| refused("TFTP", Over::Udp, TFTP_PORT, source))?;
        let http = match handed_over.http {
            Some(listener) => Ok(listener),
            None => tcp(interface, base.port),
        };
        let http = http.and_then(|listener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        });
        let ready = Ipv6Ready {
            socket: Dhcp6Socket::open(interface, handed_over.dhcp)?,
            server,
            leases,
            adverts: (AdvertSocket::open(interface)?, advertiser),
            tftp: OnInterface {
                socket: tftp,
                index: self.sockets.dhcp.index,
                name: interface.to_owned(),
            },
            http: http.map_err(|source| refused("HTTP", Over::Tcp, base.port, source))?,
        };
        // Set once: this is called once, before anything is served.
        let _set = self.desk.over6.set(base);
        let _set = self.desk.beside.dhcp6.set(ready.server.clone());
        self.ipv6 = Some(ready);
        Ok(())
    }
}

impl ProxyReady {
    pub(crate) fn begin(
        self,
        dhcp: OnInterface,
        front: Arc<dyn Front>,
        tasks: &mut JoinSet<ServeError>,
    ) {
        let sockets = proxy::ProxySockets::new(dhcp, self.boot_server);
        tasks.spawn(proxy::serve(sockets, front, self.proxy));
    }
}

impl Ipv6Ready {
    /// Begins DHCPv6 and advertisements, and hands on the sockets of TFTP and HTTP.
    pub(crate) fn begin(
        self,
        front: &Arc<dyn Front>,
        tasks: &mut JoinSet<ServeError>,
    ) -> (OnInterface, tokio::net::TcpListener) {
        let (socket, advertiser) = self.adverts;
        tasks.spawn(router_advert::serve(socket, Arc::clone(front), advertiser));
        let front = Arc::clone(front);
        tasks.spawn(dhcp6::serve(self.socket, front, self.server, self.leases));
        (self.tftp, self.http)
    }
}

fn refused(service: &'static str, over: Over, port: u16, source: io::Error) -> ServeError {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    ServeError::Listen {
        service,
        address,
        advice: advice(over, address, &source),
        source,
    }
}

fn udp(interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, interface, TFTP_PORT)?;
    Ok(socket.into())
}

/// On every address of the interface: one that was only just given cannot be bound by itself yet.
fn tcp(interface: &str, port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    prepare(&socket, interface, port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, interface: &str, port: u16) -> io::Result<()> {
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    socket.bind(&SockAddr::from(address))
}
