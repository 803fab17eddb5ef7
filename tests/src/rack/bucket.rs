// SPDX-License-Identifier: Apache-2.0
//! A bucket that the servers of a rack take their images out of: an object store in the rack's own network, on loopback, into which
//! another machine's repository was published, signed and with a channel.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where it listens; the network is the rack's alone.
const ADDRESS: &str = "127.0.0.1:9000";
/// The bucket.
const BUCKET: &str = "images";
/// What the image is promoted to.
const CHANNEL: &str = "stable";
/// How long it may take to answer: Python imports much.
const START_MAX: Duration = Duration::from_secs(120);
/// How often it is asked meanwhile.
const START_POLL: Duration = Duration::from_millis(100);
/// How it is told who asks; it believes everybody who names somebody.
const SOMEBODY: &str = "AWS4-HMAC-SHA256 Credential=rack/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// The object store. Dropped, it is ended.
#[derive(Debug)]
pub struct RackBucket {
    store: Child,
    folder: PathBuf,
    image: String,
}

impl RackBucket {
    /// Starts `moto_server` in the calling thread's network, and publishes the images of `image_store`, which is copied.
    ///
    /// # Errors
    /// What is missing, or what a program said.
    pub fn start(
        moto_server: &Path,
        groundstate: &Path,
        image_store: &Path,
        folder: &Path,
    ) -> Result<Self> {
        let folder = folder.join("bucket");
        let images = folder.join("state/images");
        fs::create_dir_all(folder.join("state"))
            .with_context(|| format!("making {}", folder.display()))?;
        run(Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([image_store, &images]))?;
        let log = File::create(folder.join("moto.log")).context("the object store's log")?;
        let (host, port) = ADDRESS.split_once(':').unwrap_or((ADDRESS, ""));
        let store = Command::new(moto_server)
            .args(["-H", host, "-p", port])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A group of its own: it may be a script that starts another program.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", moto_server.display()))?;
        let mut bucket = Self {
            store,
            folder,
            image: String::new(),
        };
        bucket.wait()?;
        bucket.settings()?;
        bucket.image = bucket.publish(groundstate)?;
        Ok(bucket)
    }

    /// What `policy.image` says: the image's name and its channel.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// What `--s3` names.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.folder.join("bucket.toml")
    }

    /// The trust root under which it was signed.
    #[must_use]
    pub fn trust_root(&self) -> PathBuf {
        self.folder.join("state/trust/root.json")
    }

    /// Until it answers and has made the bucket.
    fn wait(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while !has_made_the_bucket() {
            let ended = self.store.try_wait().context("the object store")?;
            if ended.is_some() || Instant::now() >= until {
                let said = fs::read_to_string(self.folder.join("moto.log")).unwrap_or_default();
                bail!("the object store does not answer: {said}");
            }
            std::thread::sleep(START_POLL);
        }
        Ok(())
    }

    fn settings(&self) -> Result<()> {
        let credentials = self.folder.join("credentials");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&credentials)
            .context("the bucket's credentials")?;
        file.write_all(b"aws_access_key_id = rack\naws_secret_access_key = rack\n")?;
        let text = format!(
            "endpoint = \"http://{ADDRESS}\"\nbucket = \"{BUCKET}\"\nprefix = \"site/\"\ncredentials = {credentials:?}\n"
        );
        fs::write(self.settings_file(), text).context("the bucket's settings")
    }

    /// As the guide has it: a key, a root, a signature, a channel, and all of it into the bucket.
    fn publish(&self, groundstate: &Path) -> Result<String> {
        let key = |name: &str| self.folder.join(name);
        run(Command::new("minisign")
            .args(["-G", "-W", "-f", "-p"])
            .arg(key("rack.pub"))
            .arg("-s")
            .arg(key("rack.key")))?;
        let image = |words: &[&str]| {
            let mut command = Command::new(groundstate);
            command
                .arg("image")
                .args(words)
                .env("GROUNDSTATE_STATE_DIR", self.folder.join("state"))
                .env("NO_COLOR", "1")
                .current_dir(&self.folder);
            run(&mut command)
        };
        let list: Value = serde_json::from_str(&image(&["ls", "--json"])?)?;
        let word = |field: &str| {
            let text = list.pointer(&format!("/0/{field}")).and_then(Value::as_str);
            text.map(str::to_owned).context("the image store is empty")
        };
        let (name, version) = (word("name")?, word("version")?);
        image(&["trust", "init", "--key", "rack.pub"])?;
        image(&["sign", &name, &version, "--key", "rack.key"])?;
        let channel = ["--channel", CHANNEL, "--key", "rack.key"];
        image(&[&["promote", &name, &version], &channel[..]].concat())?;
        image(&["publish", "--channels", "--s3", "bucket.toml"])?;
        Ok(format!("{name}@{CHANNEL}"))
    }
}

impl Drop for RackBucket {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.store.id().cast_signed());
        // Both fail only where it has ended already.
        let _ended = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        drop(self.store.wait());
    }
}

fn has_made_the_bucket() -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(ADDRESS)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {ADDRESS}\r\nAuthorization: {SOMEBODY}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().is_ok_and(|said| said.starts_with("HTTP/1.1 200"))
}

/// What it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{}: {}: {}",
            command.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
