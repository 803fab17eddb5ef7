// SPDX-License-Identifier: Apache-2.0
//! The servers: one `groundstate up`, started, killed and started again as the scenario asks.

use crate::rack::{RackBucket, RackEtcd, RackJournal};
use crate::stage::Operator;
use anyhow::{Context as _, Result, bail};
use groundstate_api::site::Site;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the servers may take until they answer: keys are made and the boot image is assembled at first start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often they are asked meanwhile.
const START_POLL: Duration = Duration::from_millis(100);
/// The trust root's name, beside the site file.
const TRUST_ROOT: &str = "root.json";
/// How long they may take to end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What the servers need.
#[derive(Debug)]
pub struct ServersPlan {
    /// The `groundstate` program.
    pub groundstate: PathBuf,
    /// The parts of the boot image.
    pub boot_assets: PathBuf,
    /// An image store; it is copied into the state directory.
    pub image_store: PathBuf,
    /// Where site file, state and log go.
    pub folder: PathBuf,
    /// The provisioning interface.
    pub interface: String,
    /// Where the journal is.
    pub journal: RackJournal,
    /// The page's listener.
    pub page: Option<TcpListener>,
    /// The `moto_server` program: the images come out of a bucket that it serves, and the state directory begins without any.
    pub bucket: Option<PathBuf>,
}

/// The servers.
#[derive(Debug)]
pub struct Servers {
    plan: ServersPlan,
    operator: Operator,
    child: Option<Child>,
    /// The journal's etcd, once the servers were started; it outlives them.
    etcd: Option<RackEtcd>,
    /// The images' bucket; it outlives them, too.
    bucket: Option<RackBucket>,
}

impl Servers {
    /// Writes the site file and copies the image store; nothing is started.
    ///
    /// # Errors
    /// The file that could not be written.
    pub fn prepare(plan: ServersPlan, site: &Site) -> Result<Self> {
        let state = plan.folder.join("state");
        fs::create_dir_all(&state).with_context(|| format!("making {}", state.display()))?;
        let mut site = site.clone();
        let bucket = match &plan.bucket {
            None => {
                copy_tree(&plan.image_store, &state.join("images"))?;
                None
            }
            Some(moto) => {
                let (program, images) = (&plan.groundstate, &plan.image_store);
                let bucket = RackBucket::start(moto, program, images, &plan.folder)?;
                bucket.image().clone_into(&mut site.policy.image);
                fs::copy(bucket.trust_root(), plan.folder.join(TRUST_ROOT))
                    .context("the bucket's trust root")?;
                site.policy.trust_root = Some(TRUST_ROOT.to_owned());
                Some(bucket)
            }
        };
        let text = toml::to_string_pretty(&site).context("writing the site file")?;
        fs::write(plan.folder.join("site.toml"), text).context("writing the site file")?;
        let operator = Operator {
            groundstate: plan.groundstate.clone(),
            server: format!(
                "https://{}:{}",
                site.network.address, site.network.https_port
            ),
            credential: state.join("pki/operator"),
        };
        Ok(Self {
            plan,
            operator,
            child: None,
            etcd: None,
            bucket,
        })
    }

    /// Starts them and waits until they answer.
    ///
    /// # Errors
    /// When they end at once or do not answer in time; the log's end is part of the error.
    pub fn start(&mut self) -> Result<()> {
        if self.plan.journal == RackJournal::Etcd && self.etcd.is_none() {
            self.etcd = Some(RackEtcd::start(&self.plan.folder)?);
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .context("opening the servers' log")?;
        let mut command = self.command()?;
        command
            .env("NO_COLOR", "1")
            .stdout(log.try_clone().context("the servers' log")?)
            .stderr(log);
        self.child = Some(
            command
                .spawn()
                .with_context(|| format!("starting {}", self.plan.groundstate.display()))?,
        );
        self.wait_until_they_answer()
    }

    fn command(&self) -> Result<Command> {
        let Some(page) = &self.plan.page else {
            let mut command = Command::new(&self.plan.groundstate);
            command.args(self.arguments()).stdin(Stdio::null());
            return Ok(command);
        };
        // The listener is passed as systemd would (sd_listen_fds(3)): descriptor 3, with LISTEN_PID the servers' own
        // process id. That is known only in the child, so a shell sets it and becomes the servers.
        let mut command = Command::new("/bin/sh");
        command
            .args([
                "-c",
                "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 0</dev/null",
            ])
            .arg(&self.plan.groundstate)
            .args(self.arguments())
            .stdin(Stdio::from(
                rustix::io::fcntl_dupfd_cloexec(page, 3).context("the page's listener")?,
            ));
        Ok(command)
    }

    fn arguments(&self) -> Vec<std::ffi::OsString> {
        let folder = &self.plan.folder;
        let mut all: Vec<std::ffi::OsString> = vec![
            "up".into(),
            "--interface".into(),
            (&self.plan.interface).into(),
            "--site".into(),
            folder.join("site.toml").into(),
            "--state-dir".into(),
            folder.join("state").into(),
            "--boot-assets".into(),
            (&self.plan.boot_assets).into(),
        ];
        if self.plan.journal == RackJournal::Etcd {
            let journal = ["--journal", RackEtcd::ADDRESS, "--name", "rack"];
            all.extend(journal.map(Into::into));
        }
        if let Some(bucket) = &self.bucket {
            all.extend(["--s3".into(), bucket.settings_file().into()]);
        }
        all
    }

    fn wait_until_they_answer(&mut self) -> Result<()> {
        let until = Instant::now() + START_LIMIT;
        loop {
            self.check()?;
            let answer = self.operator.run(&["node", "list"]);
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= until => {
                    return Err(error.context("the servers do not answer"));
                }
                Err(_) => std::thread::sleep(START_POLL),
            }
        }
    }

    /// Fails when the servers have ended by themselves.
    ///
    /// # Errors
    /// Their exit status and the end of their log.
    pub fn check(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait().context("looking after the servers")?
        {
            self.child = None;
            let text = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<_> = text.lines().rev().take(12).collect();
            bail!(
                "groundstate up ended ({status}): {}",
                lines.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        Ok(())
    }

    /// Kills them (SIGKILL): what a power cut of the provisioner looks like.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only where it has ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Asks them to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// When they do not end in time.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).context("a process id")?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)
            .context("asking the servers to end")?;
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until {
            if child
                .try_wait()
                .context("waiting for the servers")?
                .is_some()
            {
                return Ok(());
            }
            std::thread::sleep(START_POLL);
        }
        drop(child.kill());
        drop(child.wait());
        bail!(
            "groundstate up did not end within {} s of SIGTERM",
            STOP_LIMIT.as_secs()
        )
    }

    /// Flips one bit in the middle of one stored chunk; says which file.
    ///
    /// # Errors
    /// When the store holds no chunk.
    pub fn flip_a_bit_in_a_chunk(&self) -> Result<PathBuf> {
        let chunks = self.plan.folder.join("state/images/chunks");
        let mut files = Vec::new();
        for shelf in
            fs::read_dir(&chunks).with_context(|| format!("reading {}", chunks.display()))?
        {
            for entry in fs::read_dir(shelf?.path())? {
                files.push(entry?.path());
            }
        }
        files.sort();
        let file = files
            .get(files.len() / 2)
            .context("the image store holds no chunk")?;
        let mut bytes = fs::read(file)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x10;
        }
        fs::write(file, bytes)?;
        Ok(file.clone())
    }

    /// The operator of this site.
    #[must_use]
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The servers' log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.plan.folder.join("servers.log")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .arg("-a")
        .arg("--reflink=auto")
        .arg(from)
        .arg(to)
        .status()
        .context("running cp")?;
    if !status.success() {
        bail!("copying {} to {}: {status}", from.display(), to.display());
    }
    File::open(to)
        .with_context(|| format!("opening {}", to.display()))
        .map(|_| ())
}
