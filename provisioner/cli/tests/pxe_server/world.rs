// SPDX-License-Identifier: Apache-2.0
//! Two network namespaces with a cable between them, and the command in one of them.

use crate::network::{in_own_network, ip};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The longest wait for something that always comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program to its end; both its outputs. It has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let out = command.output();
    let out = out.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{command:?}: {said}");
    said
}

/// What a command says that ends with this status.
pub(crate) fn text(mut command: Command, status: i32) -> String {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert_eq!(out.status.code(), Some(status), "{command:?}: {said}");
    said
}

pub(crate) fn pool() -> RangeInclusive<Ipv4Addr> {
    Ipv4Addr::new(10, 55, 0, 100)..=Ipv4Addr::new(10, 55, 0, 199)
}

/// The other end of the cable: `cli`, without an address, in a namespace of its own.
pub(crate) struct Client {
    holder: Child,
}

impl Client {
    /// A program at that end.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.holder.id().to_string();
        command.args(["-t", &target, "-n", program]).args(arguments);
        command
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        run(&mut self.command(program, arguments))
    }

    /// A thread at that end.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                act()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Runs a test at the server's end: `srv`, 10.55.0.1/24.
pub(crate) fn in_two_namespaces(test: impl FnOnce(&Client) + Send + 'static) {
    in_own_network(|| {
        ip("link set lo up");
        ip("link add srv type veth peer name cli");
        let holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo in; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn();
        let mut client = Client {
            holder: holder.unwrap(),
        };
        let mut word = [0; 3];
        client
            .holder
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut word)
            .unwrap();
        ip(&format!("link set cli netns {}", client.holder.id()));
        ip("addr add 10.55.0.1/24 dev srv");
        ip("link set srv up");
        client.run("ip", &["link", "set", "lo", "up"]);
        client.run("ip", &["link", "set", "cli", "up"]);
        test(&client);
    });
}

/// A folder of boot files, and a folder for state.
pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.boot()).unwrap();
        for (name, content) in files {
            let path = world.boot().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        world
    }

    pub(crate) fn boot(&self) -> PathBuf {
        self.dir.path().join("boot")
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.boot().join(name)).unwrap()
    }

    /// The command over this world.
    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        self.arguments(&mut command, more);
        command
    }

    fn arguments(&self, command: &mut Command, more: &[&str]) {
        command
            .args([
                "pxe-server",
                "--interface",
                "srv",
                "--pool",
                "10.55.0.100-10.55.0.199",
            ])
            .arg("--boot-dir")
            .arg(self.boot())
            .arg("--state-dir")
            .arg(self.dir.path().join("state"))
            .args(more)
            .env_remove("GROUNDSTATE_STATE_DIR");
    }

    pub(crate) fn serve(&self, more: &[&str]) -> Served {
        Served::start(self.command(more), None)
    }

    /// By systemd-socket-activate, which binds these ports: those of UDP, then those of TCP.
    pub(crate) fn serve_activated(&self, udp: &[&str], tcp: &[&str], more: &[&str]) -> Served {
        let program = "systemd-socket-activate";
        let mut command = Command::new(program);
        let listen = |ports: &[&str]| {
            ports
                .iter()
                .flat_map(|port| ["-l".into(), (*port).into()])
                .collect::<Vec<String>>()
        };
        command
            .arg("-d")
            .args(listen(udp))
            .arg(program)
            .args(listen(tcp));
        command.arg(env!("CARGO_BIN_EXE_groundstate"));
        self.arguments(&mut command, more);
        Served::start(command, None)
    }

    /// Without any capability, with these sockets handed over.
    pub(crate) fn serve_unprivileged(
        &self,
        fds: &[BorrowedFd<'_>],
        names: &str,
        more: &[&str],
    ) -> Served {
        let notify = self.dir.path().join("notify");
        if notify.exists() {
            fs::remove_file(&notify).unwrap();
        }
        let listener = UnixDatagram::bind(&notify).unwrap();
        for fd in fds {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        }
        // A shell puts the sockets where systemd puts them, gives up every right, and becomes the command.
        // Aside first: one of them may stand where another is to go.
        let numbers = fds.iter().map(|fd| fd.as_raw_fd());
        let aside: Vec<_> = (200..)
            .zip(numbers)
            .map(|(to, from)| format!("{to}<&{from}"))
            .collect();
        let moved: Vec<_> = (0..fds.len())
            .map(|n| format!("{}<&{} {}<&-", 3 + n, 200 + n, 200 + n))
            .collect();
        let script = format!(
            "exec {}; exec {}; export LISTEN_FDS={}; exec setpriv --inh-caps=-all --bounding-set=-all sh -c 'export LISTEN_PID=$$; exec \"$@\"' sh \"$@\"",
            aside.join(" "),
            moved.join(" "),
            fds.len()
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_groundstate")]);
        self.arguments(&mut command, more);
        command
            .env("LISTEN_FDNAMES", names)
            .env("NOTIFY_SOCKET", &notify);
        Served::start(command, Some(listener))
    }
}

/// The command, running.
pub(crate) struct Served {
    child: Child,
    lines: mpsc::Receiver<String>,
    notified: Option<UnixDatagram>,
}

impl Served {
    fn start(mut command: Command, notified: Option<UnixDatagram>) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, lines) = mpsc::channel();
        let out: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for out in out {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let _ = say.send(line);
                }
            });
        }
        if let Some(socket) = &notified {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Self {
            child,
            lines,
            notified,
        }
    }

    /// What it says up to the first line with these words in it.
    pub(crate) fn said_until(&mut self, words: &str) -> String {
        let mut said = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            said.push_str(&line);
            said.push('\n');
            if line.contains(words) {
                return said;
            }
        }
        panic!("{words:?} was not said, but {said}");
    }

    /// The first lines of what the supervisor is told next.
    pub(crate) fn notified(&self) -> [String; 1] {
        let mut told = [0; 256];
        let length = self.notified.as_ref().unwrap().recv(&mut told).unwrap();
        let told = String::from_utf8_lossy(&told[..length]).into_owned();
        [told.lines().next().unwrap().to_owned()]
    }

    pub(crate) fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Ends it, as systemd does; it has to end well.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.said_until("has stopped");
        assert!(self.child.wait().unwrap().success());
    }

    /// Waits for its end, with this status.
    pub(crate) fn ended(&mut self, status: i32) {
        assert_eq!(self.child.wait().unwrap().code(), Some(status));
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
