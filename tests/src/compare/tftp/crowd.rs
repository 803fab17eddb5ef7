// SPDX-License-Identifier: Apache-2.0
//! Many clients on one thread.

use super::batch::Batch;
use super::client::{Client, Order, PATIENCE};
use anyhow::{Result, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::time::{Duration, Instant};

/// Sockets that are looked at by one call.
const READY_MAX: usize = 256;
/// How often clients are looked at that have heard nothing.
const LOOK: Duration = Duration::from_millis(50);

/// Clients that fetch the same file at the same time.
pub(super) struct Crowd {
    clients: Vec<Client>,
    epoll: Epoll,
    batch: Batch,
    began: Instant,
    left: usize,
    apart: bool,
    idle: Duration,
}

/// One client alone, as fast as it can: seconds. With a processor of its own it never sleeps: what waking it costs would be
/// the server's time.
pub(super) fn alone(order: Order, limit: Duration) -> Result<f64> {
    let apart = order.apart;
    let began = Instant::now();
    let mut batch = Batch::new();
    let mut client = Client::begin(order, 0)?;
    client.socket.set_nonblocking(apart)?;
    while client.finished.is_none() {
        ensure!(began.elapsed() < limit, "not done after {limit:?}");
        client.take(&mut batch, !apart)?;
        client.time(Instant::now())?;
    }
    let ended = client.finished.unwrap_or_else(Instant::now);
    Ok((ended - began).as_secs_f64())
}

impl Crowd {
    /// All of them ask.
    pub(super) fn begin(order: &Order, count: u64) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let began = Instant::now();
        let mut clients = Vec::new();
        for number in 0..count {
            let client = Client::begin(order.clone(), number)?;
            client.socket.set_nonblocking(true)?;
            epoll.add(&client.socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
            clients.push(client);
        }
        Ok(Self {
            left: clients.len(),
            clients,
            epoll,
            batch: Batch::new(),
            began,
            apart: order.apart,
            idle: Duration::ZERO,
        })
    }

    /// Fetches until all have finished, `enough` says so, or the time is over.
    pub(super) fn run(&mut self, limit: Duration, enough: impl Fn(&Client) -> bool) -> Result<()> {
        let mut events = vec![EpollEvent::empty(); READY_MAX];
        let wait = match EpollTimeout::try_from(LOOK) {
            Ok(look) if !self.apart => look,
            _ => EpollTimeout::ZERO,
        };
        let mut look = Instant::now() + PATIENCE;
        let mut waiting = self.clients.iter().filter(|client| !enough(client)).count();
        while self.left > 0 && waiting > 0 && self.began.elapsed() < limit {
            let asked = Instant::now();
            let ready = self.epoll.wait(&mut events, wait)?;
            if ready == 0 {
                self.idle += asked.elapsed();
            }
            for event in events.iter().take(ready) {
                let number = usize::try_from(event.data())?;
                let Some(client) = self.clients.get_mut(number) else {
                    continue;
                };
                if client.finished.is_some() || enough(client) {
                    continue;
                }
                client.take(&mut self.batch, false)?;
                if client.finished.is_some() {
                    self.left -= 1;
                    self.epoll.delete(&client.socket)?;
                    waiting -= 1;
                } else if enough(client) {
                    waiting -= 1;
                    self.epoll.delete(&client.socket)?;
                }
            }
            let now = Instant::now();
            if now >= look {
                look = now + LOOK;
                for client in &mut self.clients {
                    if !enough(client) {
                        client.time(now)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// When each finished, in seconds after the first asked; those that did not are not there.
    pub(super) fn finished(&self) -> Vec<f64> {
        let since = |client: &Client| Some((client.finished? - self.began).as_secs_f64());
        self.clients.iter().filter_map(since).collect()
    }

    /// How long none of them had anything to do.
    pub(super) const fn idle(&self) -> Duration {
        self.idle
    }

    /// How often one of them had to say the same again, in all.
    pub(super) fn again(&self) -> u32 {
        self.clients.iter().map(|client| client.again).sum()
    }
}
