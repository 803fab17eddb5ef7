// SPDX-License-Identifier: Apache-2.0
//! The provisioner's part: the plan, asked by lines of JSON over TCP. What the API adds to it is no part of the figure.

use anyhow::Result;
use groundstate_api::fan_out::SourcesQuestion;
use groundstate_api::{Millis, NodeId};
use image_core::fan_out::{Action, Event, FanOut, Settings};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// A question with who asks: over the API the certificate says so.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) node: NodeId,
    pub(super) question: SourcesQuestion,
}

/// The plan of one run of the bench. It ends with the process.
pub(super) struct Plan {
    plan: Mutex<FanOut>,
    began: Instant,
}

/// Starts one and tells where.
pub(super) fn start(at: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((at, 0))?;
    let address = listener.local_addr()?;
    let plan = Arc::new(Plan {
        plan: Mutex::new(FanOut::new(Settings::default())),
        began: Instant::now(),
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let plan = Arc::clone(&plan);
            // A receiver that has gone asks no more.
            thread::spawn(move || drop(plan.serve(&stream)));
        }
    });
    Ok(address)
}

impl Plan {
    fn serve(&self, stream: &TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let from = stream.peer_addr()?.ip();
        for line in BufReader::new(stream).lines() {
            let asked: Asked = serde_json::from_str(&line?)?;
            let mut answer = self.answer(from, asked)?;
            answer.push('\n');
            let mut to = stream;
            to.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    fn answer(&self, from: IpAddr, asked: Asked) -> Result<String> {
        let now = Millis(u64::try_from(self.began.elapsed().as_millis())?);
        let mut actions = Vec::new();
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event::Asked {
            node: asked.node,
            rack: String::new(),
            from,
            question: asked.question,
        };
        plan.handle(now, event, &mut actions);
        let answer = actions.into_iter().find_map(|action| match action {
            Action::Answer(answer) => Some(answer),
            Action::Lied { .. } | Action::TakenOut { .. } | Action::Doubted { .. } => None,
        });
        let answer = answer.ok_or_else(|| anyhow::anyhow!("a question without an answer"))?;
        Ok(serde_json::to_string(&answer)?)
    }
}
