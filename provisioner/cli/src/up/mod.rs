// SPDX-License-Identifier: Apache-2.0
//! `groundstate up`: the composition. Each server stays what it is; only here they meet.

mod address;
mod at;
mod boot;
mod gallery;
mod glue;
mod hold;
mod journal;
mod leaders_ear;
mod missing;
mod network;
pub(crate) mod site_file;

use crate::End;
use crate::site::beside::Beside;
use address::Warnings;
use anyhow::{Context as _, Result, bail};
use at::At;
use clap::Args;
use gallery::Gallery;
use glue::{Images, Looks};
use groundstate_api::site::{Network, Site};
use groundstate_api::text::counted;
use hold::Hold;
use image_repo::Repository;
use image_repo::trust::Pin;
use provisioner::{Options, Provisioner, serve};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the servers may take to stop.
const STOP_MAX: Duration = Duration::from_secs(8);
/// Connections that wait to be accepted: what machines that start together bring in a moment.
const BACKLOG: u32 = 1_024;
/// How many events are read at once for the terminal.
const PAGE: usize = 100;

/// Run all servers in one process.
///
/// The ports 67, 69 and 80 need root or CAP_NET_BIND_SERVICE and CAP_NET_RAW. The first socket of LISTEN_FDS, where
/// there is one, serves the page.
#[derive(Args)]
pub(crate) struct UpArgs {
    /// The provisioning network's interface, for example eth1.
    #[arg(long, value_name = "IF", required_unless_present_any = ["check", "no_boot_service"])]
    interface: Option<String>,
    /// The site file.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    site: PathBuf,
    /// Where journal, certificates, images and leases are kept.
    #[arg(
        long,
        env = "GROUNDSTATE_STATE_DIR",
        value_name = "DIR",
        default_value = "/var/lib/groundstate"
    )]
    state_dir: PathBuf,
    /// What is not in the repository comes out of an S3-compatible bucket, which this TOML file names (see `image publish
    /// --help`); what is asked for is kept in the state directory's folder `images-cache`.
    #[arg(long, value_name = "FILE")]
    s3: Option<PathBuf>,
    /// Where to serve the read-only page. It asks nobody who they are: keep it on loopback or a trusted network.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    page: SocketAddr,
    /// Check the site file and do nothing else.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    boot: boot::BootArgs,
    #[command(flatten)]
    journal: journal::JournalArgs,
}

pub(crate) fn run(args: &UpArgs) -> Result<End> {
    let (site, beside) = site_file::read(&args.site)?;
    if args.check {
        args.s3
            .as_deref()
            .map(crate::image::bucket::check)
            .transpose()?;
        println!(
            "{}: the site {:?} with {} is in order",
            args.site.display(),
            site.name,
            counted(site.nodes.len(), "node")
        );
        return Ok(End::Done);
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    args.interface.as_deref().map(check_interface).transpose()?;
    if !args.journal.may_know_another_site(&args.state_dir) {
        check_address(args, &site.network)?;
    }
    // Until the process ends: work that is not over when the servers have stopped may still write.
    let _hold = Hold::take(&args.state_dir, &args.site)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(up(args, site, &beside))?;
    // Blocking work that is still going on (an image being verified) holds nothing that the next start needs.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(End::Done)
}

/// Where the images of a state directory lie.
pub(crate) fn image_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("images")
}

/// Fails where this network namespace has no such interface, before anything is made.
pub(crate) fn check_interface(interface: &str) -> Result<()> {
    if nix::net::if_::if_nametoindex(interface).is_ok() {
        return Ok(());
    }
    let all = nix::net::if_::if_nameindex().context("listing this machine's interfaces")?;
    let there: Vec<_> = all
        .iter()
        .map(|each| each.name().to_string_lossy())
        .collect();
    bail!(
        "--interface {interface}: this machine has no such interface; it has {}",
        there.join(", ")
    );
}

/// Fails where the site's address is not where machines will look for it.
fn check_address(args: &UpArgs, network: &Network) -> Result<Warnings> {
    match &args.interface {
        Some(interface) => address::on(interface, network, &args.site),
        None if args.journal.is_told_where_to_listen() => Ok(Warnings::new()),
        None => address::of_this_machine(network).map(|()| Warnings::new()),
    }
}

/// Pins the root that channels are checked with, where the site names one.
fn pin(args: &UpArgs, site: &Site) -> Result<()> {
    if let Some(file) = &site.policy.trust_root {
        let beside = args.site.parent().unwrap_or(Path::new(""));
        Pin::of_state(&args.state_dir)
            .set_from(&beside.join(file))
            .with_context(|| format!("policy.trust_root {file:?}"))?;
    }
    Ok(())
}

/// What a person is told of a bucket.
struct Bucket {
    named: String,
    /// Why it gives nothing for now.
    silent: Option<String>,
}

/// The repository, and the bucket behind it where there is one.
async fn images(args: &UpArgs) -> Result<(Arc<Images>, Option<Bucket>)> {
    let folder = image_dir(&args.state_dir);
    let (repository, follows, bucket) = match &args.s3 {
        None => (Repository::open(&folder), None, None),
        Some(settings) => {
            let opened = glue::bucket::open(settings, &args.state_dir).await?;
            let bucket = Bucket {
                named: opened.named,
                silent: opened.silent,
            };
            let repository = Repository::open_before(&folder, opened.behind);
            (repository, Some(opened.follows), Some(bucket))
        }
    };
    let images = Images {
        repository: Arc::new(repository.context("the image repository")?),
        pin: Pin::of_state(&args.state_dir),
        follows,
        looks: Looks::default(),
    };
    Ok((Arc::new(images), bucket))
}

/// Tells what machines would be held for later.
async fn missed(
    site: Arc<Site>,
    images: Arc<Images>,
    args: &UpArgs,
    bucket: Option<&Bucket>,
) -> Result<()> {
    if let Some(few) = serve::too_few_for(site.nodes.len()) {
        missing::warn(&few);
    }
    if let Some(error) = bucket.and_then(|bucket| bucket.silent.as_ref()) {
        missing::warn(&format!("the bucket gives nothing for now: {error}"));
    }
    let state_dir = args.state_dir.clone();
    let telling = tokio::task::spawn_blocking(move || missing::tell(&site, &images, &state_dir));
    // A bucket is not waited for.
    if bucket.is_none() {
        telling.await?;
    }
    Ok(())
}

async fn up(args: &UpArgs, site: Site, beside: &Beside) -> Result<()> {
    let interface = args.interface.as_deref();
    let (images, bucket) = images(args).await?;
    let page = page_listener(args.page)?;
    let mut doors = None;
    let options = Options {
        site,
        state_dir: args.state_dir.clone(),
        images: images.clone(),
    };
    // What a port or an address refuses has put no site in force.
    let ours = args.journal.open(options, |site| {
        doors = Some(Doors::open(args, &site.network)?);
        Ok(())
    })?;
    let Some(Doors { api, local, odd }) = doors else {
        bail!("the provisioner was opened and its API was not");
    };
    let files = beside.values().cloned().collect();
    tokio::spawn(ours.clone().keep_site_files(files));
    // The site in force is another one than the file's where one was applied since the file was edited.
    let site = ours.site();
    // What fails from here on has its file applied: that is told all the same.
    pin(args, &site).inspect_err(|_| say_file(&ours))?;
    let network = site.network.clone();
    let (stop_now, stop) = watch::channel(false);
    let tls = ours.pki().server_config()?;
    let gallery = Gallery::new(&images.repository, &ours.site().images);
    let router = ours.api(gallery.router());
    let boot_service = boot::open(args, interface, &ours).inspect_err(|_| say_file(&ours))?;
    // Every port is open: only now it is said that they are.
    let at = At::of(&ours, api.local_addr()?, local.is_some());
    greet(
        &ours,
        args,
        (&at, &page),
        boot_service.as_ref(),
        bucket.as_ref(),
    )?;
    odd.iter().for_each(|line| missing::warn(line));
    missed(site, images, args, bucket.as_ref()).await?;
    let mut servers: JoinSet<Result<()>> = JoinSet::new();
    for listener in [Some(api), local].into_iter().flatten() {
        let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
        servers.spawn(async move {
            serve::serve_tls(listener, router, tls, stop).await;
            Ok(())
        });
    }
    servers.spawn({
        let (router, stop) = (ours.page().merge(gallery.numbers(&ours)), stop.clone());
        async move {
            serve::serve_plain(page, router, stop).await;
            Ok(())
        }
    });
    servers.spawn({
        let (ours, stop) = (ours.clone(), stop.clone());
        async move {
            ours.run(stop).await;
            Ok(())
        }
    });
    servers.spawn(print_events(ours.clone(), stop.clone()));
    if let Some(boot_service) = boot_service {
        let reloader = boot_service.reloader();
        servers.spawn(network::follow(ours, reloader, network, stop.clone()));
        servers.spawn(async move {
            let served = boot_service.serve(stop).await;
            served.context("the boot service")
        });
    }
    wait(servers, stop_now).await
}

/// Until a signal, or until a server ends by itself, which is an error.
async fn wait(mut servers: JoinSet<Result<()>>, stop_now: watch::Sender<bool>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let early = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = servers.join_next() => ended,
    };
    stop_now.send_replace(true);
    let all = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_MAX, all).await.is_err() {
        tracing::warn!("a server did not stop in time");
    }
    match early {
        None => {
            say("groundstate has stopped");
            Ok(())
        }
        Some(ended) => {
            ended??;
            bail!("a server has ended by itself");
        }
    }
}

/// Where the API is served, open.
struct Doors {
    api: TcpListener,
    /// On loopback too, where that is another one.
    local: Option<TcpListener>,
    /// What of its address makes machines wonder.
    odd: Warnings,
}

impl Doors {
    fn open(args: &UpArgs, network: &Network) -> Result<Self> {
        let odd = check_address(args, network)?;
        let address = SocketAddr::from((network.address, network.https_port));
        Ok(Self {
            api: bind(args.journal.listen(address))?,
            local: bind_loopback(network.address, network.https_port),
            odd,
        })
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    listener(address).map_err(|error| {
        let advice = pxe_server::advice(pxe_server::Protocol::Tcp, address, &error);
        anyhow::anyhow!("cannot listen on {address}: {error}{advice}")
    })
}

fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The API on loopback too, for the operator on this machine. Where another program has the port there, the API is
/// reached by its own address.
fn bind_loopback(ours: Ipv4Addr, port: u16) -> Option<TcpListener> {
    if ours.is_loopback() {
        return None;
    }
    match listener(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, port, "the API is not served on 127.0.0.1");
            None
        }
    }
}

fn page_listener(address: SocketAddr) -> Result<TcpListener> {
    let handed_over = listenfd::ListenFd::from_env()
        .take_tcp_listener(0)
        .context("LISTEN_FDS")?;
    match handed_over {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            Ok(TcpListener::from_std(listener)?)
        }
        None => bind(address),
    }
}

fn greet(
    ours: &Provisioner,
    args: &UpArgs,
    (at, page): (&At, &TcpListener),
    boot: Option<&pxe_server::BootService>,
    bucket: Option<&Bucket>,
) -> Result<()> {
    let operator = ours.pki().operator_dir();
    say(&format!(
        "site        {}, {}",
        ours.site().name,
        counted(ours.site().nodes.len(), "node")
    ));
    say_file(ours);
    say(&format!("API         {}", at.listens));
    if let Some(told) = &at.told {
        say(&format!(
            "            machines and hosts are told {told}, as the site has it"
        ));
    }
    say(&format!("credential  {}", operator.display()));
    say(&format!("page        http://{}/", page.local_addr()?));
    let ports = boot.map(pxe_server::BootService::ports).map(|ports| {
        let each = ports.iter().map(|(what, at)| format!("{what} {at}"));
        each.collect::<Vec<_>>().join(", ")
    });
    let ports = ports.unwrap_or_else(|| "not here: another machine of the site serves it".into());
    say(&format!("boot        {ports}"));
    for line in args.boot.says(&args.state_dir) {
        say(&format!("            {line}"));
    }
    say(&format!("state       {}", args.state_dir.display()));
    if let Some(bucket) = bucket {
        say(&format!(
            "images      of the state directory, and of {}",
            bucket.named
        ));
    }
    say(&format!(
        "try         GROUNDSTATE_SERVER={} GROUNDSTATE_CREDENTIAL={} groundstate node list",
        at.here,
        operator.display()
    ));
    Ok(())
}

/// What the site file changed, or that it is not what is in force.
fn say_file(ours: &Provisioner) {
    let version = ours.site_version();
    if let Some(changes) = ours.edited() {
        say(&edited(changes, version));
    } else if ours.is_overtaken() {
        say(&format!(
            "            the site in force (version {version}) is not this file: it was applied after the last start; groundstate site export writes it to a file"
        ));
    }
}

/// What the site file changed, in one line.
fn edited(changes: &[String], version: u64) -> String {
    /// What is told; the event in the journal has more.
    const SHOWN: usize = 4;
    let first = changes.get(..SHOWN).unwrap_or(changes).join("; ");
    let says = match changes.len() {
        0 => {
            return format!(
                "            the site file is another one than at the last start, and is what is in force (version {version})"
            );
        }
        1..=SHOWN => first,
        all => format!("{first}; and {} more", all - SHOWN),
    };
    format!(
        "            the site file is another one than at the last start, and is version {version} now: {says}"
    )
}

/// A line for people and for programs that wait for one. A closed terminal does not stop the servers.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads the output");
    }
}

async fn print_events(ours: Provisioner, mut stop: watch::Receiver<bool>) -> Result<()> {
    let mut news = ours.follow();
    let mut after = *news.borrow_and_update();
    loop {
        tokio::select! {
            () = serve::stopped(&mut stop) => return Ok(()),
            changed = news.changed() => changed?,
        }
        loop {
            let reader = ours.clone();
            let events =
                tokio::task::spawn_blocking(move || reader.events(after, PAGE, None)).await??;
            let Some(last) = events.last() else { break };
            after = last.number;
            for event in &events {
                let node = event.node.as_ref().map_or("-", |node| node.as_str());
                let text = groundstate_api::headline::headline(&event.what);
                say(&format!(
                    "{} {node:<12} {text}",
                    provisioner::clock::words(event.at)
                ));
            }
        }
    }
}
