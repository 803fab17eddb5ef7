// SPDX-License-Identifier: Apache-2.0
//! Provisioners that are killed and started, a fleet that speaks to them, and an operator who orders again and again.

use crate::child;
use crate::judge::{Found, judge};
use crate::relay::Relay;
use groundstate_api::event::{Event, Happened};
use groundstate_api::ready::{Ready, RoleAmong};
use groundstate_api::site::Network;
use groundstate_api::view::{Order, Phase};
use groundstate_api::{NodeId, paths};
use groundstate_journal::peer::Cluster;
use groundstate_journal::{EtcdJournal, Reader, SqliteJournal};
use groundstate_tests::fleet::{Acknowledged, Line, Pace, Population, Swarm, Trust};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A fast fleet: a deploy of a second or two, so that kills meet every step of it.
const PACE: Pace = Pace {
    image: Duration::from_millis(250),
    step: Duration::from_millis(15),
    report: Duration::from_millis(100),
    heartbeat: Duration::from_millis(1_000),
    boot: Duration::from_millis(50),
};

/// Orders that are under way at once.
const ORDERS_AT_ONCE: usize = 8;

/// How often it is looked how far all are.
const LOOK: Duration = Duration::from_millis(300);

/// How long a child may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

/// A number of the environment.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    let said = std::env::var(name).ok();
    said.map_or(usual, |text| text.parse().unwrap())
}

/// Seeded, so that a run can be had again.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    of: Population,
    seed: u64,
    provisioners: Vec<Process>,
    cluster: Option<Cluster>,
    swarm: Option<Swarm>,
    /// Where the nodes are, by the journal up to this event.
    seen: (u64, BTreeMap<NodeId, Phase>),
    acknowledged: Vec<Acknowledged>,
    logs: u32,
}

struct Process {
    at: SocketAddr,
    state: PathBuf,
    child: Option<Child>,
    /// Whether it is stopped (SIGSTOP).
    is_stopped: bool,
    /// Its way to etcd.
    ways: Vec<Relay>,
}

impl World {
    pub(crate) fn sqlite(nodes: u32, seed: u64) -> Self {
        Self::make(nodes, seed, 1, None)
    }

    pub(crate) fn etcd(nodes: u32, seed: u64, cluster: Cluster) -> Self {
        Self::make(nodes, seed, 2, Some(cluster))
    }

    fn make(nodes: u32, seed: u64, provisioners: usize, cluster: Option<Cluster>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let held: Vec<TcpListener> = (0..provisioners)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
            .collect();
        let process = |(number, listener): (usize, &TcpListener)| Process {
            at: listener.local_addr().unwrap(),
            state: dir.path().join(format!("state-{number}")),
            child: None,
            is_stopped: false,
            ways: Vec::new(),
        };
        let provisioners: Vec<Process> = held.iter().enumerate().map(process).collect();
        let of = Population { nodes };
        let pool = (Ipv4Addr::new(127, 0, 1, 0), Ipv4Addr::new(127, 0, 9, 0));
        let site = of.site(Network {
            https_port: provisioners[0].at.port(),
            ..Network::new(Ipv4Addr::LOCALHOST, 8, pool)
        });
        let site = serde_json::to_vec(&site).unwrap();
        std::fs::write(dir.path().join("site.json"), site).unwrap();
        Self {
            dir,
            of,
            seed,
            provisioners,
            cluster,
            swarm: None,
            seen: (0, BTreeMap::new()),
            acknowledged: Vec::new(),
            logs: 0,
        }
    }

    /// Starts everything, lets the story happen, and stops everything.
    pub(crate) fn run(&mut self, story: impl AsyncFnOnce(&mut Self)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            self.start(0).await;
            for other in 1..self.provisioners.len() {
                self.copy_pki(other);
                self.start(other).await;
            }
            self.swarm = Some(Swarm::new(
                self.trust_of_nodes(),
                self.provisioners[0].at,
                PACE,
                self.seed,
            ));
            story(self).await;
            // Its nodes stop with it.
            if let Some(swarm) = self.swarm.take() {
                self.acknowledged = swarm.acknowledged();
            }
        });
    }

    /// By hand, as the documentation says.
    fn copy_pki(&self, to: usize) {
        let to = &self.provisioners[to].state;
        std::fs::create_dir_all(to).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.provisioners[0].state.join("pki"))
            .arg(to)
            .status()
            .unwrap();
        assert!(copied.success());
    }

    pub(crate) async fn start(&mut self, number: usize) {
        self.logs += 1;
        let log = self.dir.path().join(format!("log-{}", self.logs));
        let log = std::fs::File::create(log).unwrap();
        let process = &mut self.provisioners[number];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["child::child", "--exact", "--ignored", "--nocapture"])
            .env(child::STATE, &process.state)
            .env(child::LISTEN, process.at.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(cluster) = &self.cluster {
            if process.ways.is_empty() {
                let each = 0..cluster.members();
                process.ways = each.map(|member| Relay::to(cluster.port(member))).collect();
            }
            let ways: Vec<String> = process.ways.iter().map(Relay::address).collect();
            command.env(child::ETCD, format!("etcd://{}/site", ways.join(",")));
        }
        process.child = Some(command.spawn().unwrap());
        let (at, until) = (process.at, Instant::now() + START_MAX);
        while tokio::net::TcpStream::connect(at).await.is_err() {
            assert!(Instant::now() < until, "{}", self.last_words());
            if let Some(child) = &mut self.provisioners[number].child {
                let ended = child.try_wait().unwrap();
                assert!(ended.is_none(), "{ended:?}: {}", self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn last_words(&self) -> String {
        let log = self.dir.path().join(format!("log-{}", self.logs));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    pub(crate) fn kill(&mut self, number: usize) {
        let process = &mut self.provisioners[number];
        process.is_stopped = false;
        if let Some(mut child) = process.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it without a word (SIGSTOP), or lets it go on.
    pub(crate) fn stop(&mut self, number: usize, stopped: bool) {
        let process = &mut self.provisioners[number];
        let child = process.child.as_ref().unwrap();
        let signal = if stopped {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        process.is_stopped = stopped;
    }

    /// Cuts it off from etcd, or joins it again.
    pub(crate) fn cut(&mut self, number: usize, is_cut: bool) {
        for way in &self.provisioners[number].ways {
            way.cut(is_cut);
        }
    }

    pub(crate) fn restart_member(&mut self, number: usize) {
        if let Some(cluster) = &mut self.cluster {
            cluster.restart(number);
        }
    }

    pub(crate) fn kill_member(&mut self, number: usize) {
        if let Some(cluster) = &mut self.cluster {
            cluster.kill(number);
        }
    }

    fn file(&self, name: &str) -> String {
        let dir = self.provisioners[0].state.join("pki/operator");
        std::fs::read_to_string(dir.join(name)).unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::new(self.provisioners[0].at, &self.file("ca.crt")).unwrap()
    }

    /// As nodes and hosts have it: with every provisioner.
    fn trust_of_nodes(&self) -> Trust {
        let all: Vec<SocketAddr> = self.provisioners.iter().map(|one| one.at).collect();
        self.trust().among(&all)
    }

    fn operator(&self, number: usize) -> Line {
        let credential = (self.file("operator.crt"), self.file("operator.key"));
        let trust = self.trust().at(self.provisioners[number].at);
        Line::new(&trust, Some((&credential.0, &credential.1))).unwrap()
    }

    pub(crate) fn power_on_all(&mut self) {
        let swarm = self.swarm.as_mut().unwrap();
        self.of.members().for_each(|who| swarm.power_on(who));
    }

    /// Who leads, once somebody does. The fleet is not told: it finds out.
    pub(crate) async fn leader(&mut self, until: Instant) -> usize {
        loop {
            for number in 0..self.provisioners.len() {
                let process = &self.provisioners[number];
                if process.child.is_none() || process.is_stopped {
                    continue;
                }
                let mut line = self.operator(number);
                let ready = line.get(paths::READYZ).await.ok();
                let ready = ready.and_then(|a| serde_json::from_slice::<Ready>(&a.body).ok());
                if ready.is_some_and(|ready| ready.ready && ready.role == RoleAmong::Leader) {
                    return number;
                }
            }
            assert!(Instant::now() < until, "nobody leads");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Orders a run of every node that has none, or whose run is over. A provisioner that is gone is no fault here.
    pub(crate) async fn order_who_waits(&mut self) {
        self.order_who(&[Phase::Enrolled, Phase::Ready, Phase::Held])
            .await;
    }

    /// The same for that long and no longer, whatever is under way then.
    pub(crate) async fn order_for(&mut self, long: Duration) {
        let end = tokio::time::sleep(long);
        tokio::pin!(end);
        tokio::select! {
            () = &mut end => return,
            () = self.order_who_waits() => {}
        }
        end.await;
    }

    /// Orders a run of every node that is in one of these phases.
    async fn order_who(&mut self, are: &[Phase]) {
        let phases = self.phases().clone();
        let paths: Vec<String> = self
            .of
            .members()
            .filter_map(|who| {
                let is = phases.get(&who.name()).copied().unwrap_or(Phase::Enrolled);
                let path = match is {
                    Phase::Enrolled => paths::PROVISION,
                    _ => paths::REPROVISION,
                };
                let path = path.replace("{node}", who.name().as_str());
                are.contains(&is).then_some(path)
            })
            .collect();
        let each = paths.len().div_ceil(ORDERS_AT_ONCE).max(1);
        for number in 0..self.provisioners.len() {
            // They end with us.
            let mut callers = JoinSet::new();
            for paths in paths.chunks(each) {
                callers.spawn(order(self.operator(number), paths.to_vec()));
            }
            while let Some(ended) = callers.join_next().await {
                ended.unwrap();
            }
        }
    }

    fn journal(&self) -> Box<dyn Reader> {
        match &self.cluster {
            None => {
                let path = self.provisioners[0].state.join("journal.db");
                Box::new(SqliteJournal::open(&path).unwrap())
            }
            Some(cluster) => Box::new(EtcdJournal::open(&cluster.options("site")).unwrap()),
        }
    }

    fn events_after(&self, after: u64) -> Vec<Event> {
        let journal = self.journal();
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(after, |last| last.number);
            let page = journal.read(after, 1_000, None).unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page);
        }
    }

    /// Only what is new is read: a journal of a thousand kills is long.
    fn phases(&mut self) -> &BTreeMap<NodeId, Phase> {
        let new = self.events_after(self.seen.0);
        let (number, phases) = &mut self.seen;
        for event in new {
            *number = event.number;
            if let (Some(node), Happened::PhaseChanged { to, .. }) = (event.node, event.what) {
                phases.insert(node, to);
            }
        }
        phases
    }

    /// Until every node is Ready. One that is held, because it lost its provisioner too often, is ordered again.
    pub(crate) async fn until_all_end(&mut self, until: Instant) {
        while !self.all_are(Phase::Ready, until) {
            self.order_who(&[Phase::Held]).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_all_are(&mut self, phase: Phase, until: Instant) {
        while !self.all_are(phase, until) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn all_are(&mut self, phase: Phase, until: Instant) -> bool {
        let phases = self.phases().clone();
        let are = phases.values().filter(|one| **one == phase).count();
        let all = are == usize::try_from(self.of.nodes).unwrap();
        assert!(
            all || Instant::now() < until,
            "{are} of {} are {phase:?}: {phases:?}\n{:?}\n{}",
            self.of.nodes,
            self.swarm.as_ref().unwrap().tally().failures(),
            self.last_words()
        );
        all
    }

    pub(crate) async fn until_steps_move(&mut self, count: usize, until: Instant) {
        while self.swarm.as_ref().unwrap().acknowledged().len() < count {
            assert!(
                Instant::now() < until,
                "nothing moves: {}",
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How long after `since` a provisioner other than `before` wrote down that it leads; and until something of a node was durable
    /// after that.
    pub(crate) async fn until_another_leads(
        &mut self,
        since: Instant,
        before: usize,
        until: Instant,
    ) -> (usize, Duration, Duration) {
        let journal = self.journal();
        let mut after = journal.newest().unwrap();
        let mut led: Option<(usize, Duration)> = None;
        loop {
            for event in journal.read(after, 1_000, None).unwrap() {
                after = event.number;
                if let Happened::LeaderChanged { leader, .. } = &event.what {
                    let named = |one: &Process| *leader == child::name_at(one.at);
                    let number = self.provisioners.iter().position(named).unwrap();
                    if number != before {
                        led = led.or(Some((number, since.elapsed())));
                    }
                } else if let (Some((number, leads)), true) = (led, event.node.is_some()) {
                    return (number, leads, since.elapsed());
                }
            }
            assert!(
                Instant::now() < until,
                "nobody took over: {led:?} {}",
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a provisioner answers to an order, without following it anywhere.
    pub(crate) async fn order_at(&mut self, number: usize) -> (u16, Option<SocketAddr>) {
        let mut line = self.operator(number);
        let node = self.of.members().next().unwrap().name();
        let path = paths::REPROVISION.replace("{node}", node.as_str());
        let answer = line.post(&path, &Order::default()).await.unwrap();
        (answer.status, answer.leader)
    }

    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.provisioners[number].at
    }

    pub(crate) fn newest(&self) -> u64 {
        self.journal().newest().unwrap()
    }

    /// How long after `died` a node was told of something that is durable.
    pub(crate) async fn until_somebody_acts(&mut self, died: Instant, until: Instant) -> Duration {
        let seen = self.swarm.as_ref().unwrap().acknowledged().len();
        self.until_steps_move(seen + 1, until).await;
        died.elapsed()
    }

    /// Everything that was acknowledged against everything that stands in the journal.
    pub(crate) fn judge(&mut self) -> Found {
        for number in 0..self.provisioners.len() {
            self.kill(number);
        }
        let acknowledged = std::mem::take(&mut self.acknowledged);
        judge(&self.events_after(0), &acknowledged)
    }
}

/// Orders these runs, one after the other.
async fn order(mut line: Line, paths: Vec<String>) {
    for path in paths {
        if let Ok(answer) = line.post(&path, &Order::default()).await {
            let fits = matches!(answer.status, 200..300 | 409 | 429 | 503);
            assert!(fits, "{path}: {} {}", answer.status, answer.says());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for number in 0..self.provisioners.len() {
            self.kill(number);
        }
    }
}
