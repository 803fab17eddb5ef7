// SPDX-License-Identifier: Apache-2.0
//! `groundstate up` as a server of images.

use crate::world::World;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest wait for something that always comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// A provisioner without a boot service; it ends with the test.
pub(crate) struct Up {
    child: Child,
    /// What says who asks it, and where: for the image commands.
    pub(crate) from: String,
    log: std::path::PathBuf,
}

impl Up {
    /// On this state directory, whose runs get `image`.
    pub(crate) fn start(world: &World, image: &str, arguments: &[&str]) -> Self {
        let site = format!(
            r#"
            name = "lab"
            [network]
            address = "127.0.0.1"
            prefix = 24
            pool_first = "127.0.0.100"
            pool_last = "127.0.0.199"
            [policy]
            image = "{image}"
            hand_over = "reboot"
            "#
        );
        fs::write(world.path("site.toml"), site).unwrap();
        let log = world.path("up.log");
        let file = File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_groundstate"))
            .current_dir(world.path(""))
            .args(["up", "--no-boot-service", "--site", "site.toml"])
            .args(["--listen", "127.0.0.1:0", "--page", "127.0.0.1:0"])
            .args(["--state-dir", "state"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut up = Self {
            child,
            from: String::new(),
            log,
        };
        let greeting = up.wait_for("groundstate node list\n");
        let set = |name: &str| {
            let mut words = greeting.split_whitespace();
            let found = words.find_map(|word| word.strip_prefix(name));
            found.unwrap().to_owned()
        };
        up.from = format!(
            "--from {} --from-credential {}",
            set("GROUNDSTATE_SERVER="),
            world.path(&set("GROUNDSTATE_CREDENTIAL=")).display()
        );
        up
    }

    /// What it has said when these words are among it.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.contains(words) {
                return said;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{said}");
            assert!(Instant::now() < end, "no {words:?}: {said}");
            std::thread::sleep(LOOK);
        }
    }

    /// What it has said until now.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
