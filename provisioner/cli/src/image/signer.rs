// SPDX-License-Identifier: Apache-2.0
//! Opens secret keys of minisign for one signature. A password comes from a file, from systemd, or from the terminal without
//! being shown; never from the command line, where every process of the machine could read it.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use image_repo::trust::SecretKey;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The largest key or password file: minisign's keys have under 400 bytes.
const FILE_MAX: u64 = 4_096;

#[derive(Args, Default)]
pub(crate) struct SignerArgs {
    /// A secret key as minisign makes it (minisign -G, or -G -W without a password). May be given more than once.
    #[arg(long = "key", value_name = "SECRET")]
    pub(super) keys: Vec<PathBuf>,
    /// The file with the key's password in its first line. Without it, the terminal asks.
    #[arg(long, value_name = "FILE", conflicts_with = "password_credential")]
    password_file: Option<PathBuf>,
    /// The systemd credential with the key's password (LoadCredential=).
    #[arg(long, value_name = "NAME")]
    password_credential: Option<String>,
}

impl SignerArgs {
    /// The keys, opened.
    pub(super) fn open(&self) -> Result<Vec<SecretKey>> {
        self.keys.iter().map(|path| self.open_one(path)).collect()
    }

    fn open_one(&self, path: &Path) -> Result<SecretKey> {
        let text = read(path)?;
        let named = || format!("the secret key {}", path.display());
        let password = if SecretKey::is_behind_password(&text).with_context(named)? {
            Some(self.password(path)?)
        } else {
            None
        };
        SecretKey::open(&text, password.as_deref().map(str::as_bytes)).with_context(named)
    }

    fn password(&self, key: &Path) -> Result<String> {
        let file = match (&self.password_file, &self.password_credential) {
            (Some(file), _) => file.clone(),
            (None, Some(name)) => {
                let dir = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .context("--password-credential: systemd gave this process no credentials")?;
                if name.contains('/') {
                    bail!("--password-credential: {name:?} is no name of a credential");
                }
                Path::new(&dir).join(name)
            }
            (None, None) => return ask(&format!("password of {}: ", key.display())),
        };
        let text = read(&file)?;
        let line = text.split('\n').next().unwrap_or_default();
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let named = || format!("{} cannot be read", path.display());
    let read = File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text))
        .with_context(named)?;
    if read as u64 > FILE_MAX {
        bail!("{} is longer than {FILE_MAX} bytes", path.display());
    }
    Ok(text)
}

/// Asks on the terminal of the person, whatever stdin and stdout are.
fn ask(question: &str) -> Result<String> {
    let no_terminal =
        "no terminal to ask for the password: give --password-file or --password-credential";
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .context(no_terminal)?;
    let before = tcgetattr(&terminal).context(no_terminal)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    terminal.write_all(question.as_bytes())?;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
    let mut line = String::new();
    let read = BufReader::new((&terminal).take(FILE_MAX)).read_line(&mut line);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &before)?;
    terminal.write_all(b"\n")?;
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A public key: 56 letters, or a file of minisign's.
pub(super) fn public_key(text: &str) -> Result<image_core::trust::minisign::PublicKey> {
    use image_core::trust::minisign::PublicKey;
    if let Ok(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    if !fs::exists(path).unwrap_or(false) {
        bail!("{text:?} is neither a public key, 56 letters that begin with RW, nor a file");
    }
    PublicKey::parse(&read(path)?).with_context(|| format!("the public key {text}"))
}
