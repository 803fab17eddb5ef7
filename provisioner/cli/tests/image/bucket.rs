// SPDX-License-Identifier: Apache-2.0
//! A repository in a bucket: channels are deployed out of it directly, through `image serve`, through a provisioner, and from
//! whatever gives its objects out by HTTP. The store is moto.

use crate::serve::Server;
use crate::up::Up;
use crate::world::{World, has};
use groundstate_api::trust::KeyId;
use image_repo::trust::SecretKey;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// moto on loopback with a bucket `images`, which everybody may use.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// None where it is not installed.
    fn start(world: &World) -> Option<Self> {
        let found = Self::try_start(world);
        if found.is_none() {
            eprintln!("skipped: no moto_server here (`cargo xtask setup` brings it)");
        }
        found
    }

    fn try_start(world: &World) -> Option<Self> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/groundstate/peers/python/bin/moto_server");
        let program = if ours.exists() {
            ours
        } else {
            PathBuf::from("moto_server")
        };
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(world.path("moto.log")).unwrap())
            // A group of its own: it may be a script that starts another program.
            .process_group(0)
            .spawn()
            .ok()?;
        let mut moto = Self { child, address };
        for _ in 0..1_500 {
            if moto.child.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(address).is_ok() {
                moto.curl("images", &["-X", "PUT"]);
                configure(world, address);
                return Some(moto);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The status, and the bytes.
    fn curl(&self, path: &str, options: &[&str]) -> (String, Vec<u8>) {
        curl(self.address, path, options)
    }
}

/// The bucket `images` of this store, and who we are to it.
fn configure(world: &World, store: SocketAddr) {
    let credentials = world.path("credentials");
    fs::write(
        &credentials,
        "aws_access_key_id = a\naws_secret_access_key = b\n",
    )
    .unwrap();
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "endpoint = \"http://{}\"\nbucket = \"images\"\nprefix = \"site/\"\ncredentials = {credentials:?}\n",
        store
    );
    fs::write(world.path("bucket.toml"), text).unwrap();
}

/// Names somebody: moto gives nothing to who names nobody, and checks no signature unless it is told to.
const SOMEBODY: &str = "Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";

fn curl(address: SocketAddr, path: &str, options: &[&str]) -> (String, Vec<u8>) {
    let output = Command::new("curl")
        .args([
            "-s",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            "-w",
            "%{stderr}%{http_code}",
        ])
        .args(["-H", SOMEBODY])
        .args(options)
        .arg(format!("http://{address}/{path}"))
        .output()
        .unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.stdout)
}

impl Drop for Moto {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _killed = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        let _waited = self.child.wait();
    }
}

/// As a content delivery network whose root is the bucket's prefix: it gives objects out, and knows nothing else.
fn delivery(store: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || deliver(&stream, store));
        }
    });
    url
}

fn deliver(mut stream: &TcpStream, store: SocketAddr) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(request)) = lines.next() {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let (status, body) = curl(store, &format!("images/site{path}"), &[]);
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = stream.write_all(head.as_bytes());
        if sent.and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// A repository with `d 1` and `d 2` signed, and `d@stable` for 1.
fn signed() -> World {
    let world = World::new();
    let key = SecretKey::of(KeyId(0x0A01), &[1; 32]);
    fs::write(world.path("a.key"), key.file_without_password()).unwrap();
    fs::write(world.path("a.pub"), key.public_file()).unwrap();
    world.import_disk("d", "1");
    world.import_disk("d", "2");
    world.done("trust init --key a.pub");
    world.done("sign d 1 --key a.key");
    world.done("sign d 2 --key a.key");
    world.done("promote d 1 --channel stable --key a.key --expires 7d");
    world
}

/// A machine with nothing but the pinned root, and the bucket's settings.
fn other(of: &World) -> World {
    let there = World::new();
    fs::create_dir_all(there.path("state/trust")).unwrap();
    fs::copy(
        of.path("state/trust/root.json"),
        there.path("state/trust/root.json"),
    )
    .unwrap();
    fs::copy(of.path("bucket.toml"), there.path("bucket.toml")).unwrap();
    there
}

#[test]
fn a_channel_is_deployed_out_of_a_bucket_and_from_what_stands_before_it() {
    let here = signed();
    let Some(moto) = Moto::start(&here) else {
        return;
    };
    // The newer version alone is no channel's: the catalogue waits for the image that it names.
    has(
        &here.refused("publish d 2 --s3 bucket.toml", 3),
        &[
            "d 2 is in the bucket images",
            "NOT SENT: catalogue 1",
            "d@stable stands for d 1, which is not in the bucket",
            "do now: groundstate image publish --channels --s3 bucket.toml",
        ],
    );
    has(
        &here.done("publish --channels --s3 bucket.toml"),
        &[
            "d 1 is in the bucket images",
            "catalogue 1 is in the bucket",
        ],
    );
    let again = here.json("publish d 1 --s3 bucket.toml");
    assert_eq!(again["images"][0]["sent"], 0, "{again}");
    assert_eq!(again["documents"]["sent"], 0, "{again}");
    assert_eq!(again["documents"]["held"], serde_json::json!([]));

    let there = other(&here);
    let server = Server::new(&there, "--s3 bucket.toml");
    let network = delivery(moto.address);
    let fleet = other(&here);
    let mut up = Up::start(&fleet, "d@stable", &["--s3", "bucket.toml"]);
    has(
        &up.said(),
        &["images      of the state directory, and of the bucket images of http://"],
    );
    let ways = [
        up.from.clone(),
        "--s3 bucket.toml".to_owned(),
        format!("--from {}", server.url),
        format!("--from {network}"),
    ];
    for (at, way) in ways.iter().enumerate() {
        let line = format!("write d@stable lab{at}.img --size 100MiB {way}");
        has(&there.done(&line), &[&format!("d 1 stands on lab{at}.img")]);
        has(
            &there.done(&format!("verify d@stable {way}")),
            &["d 1: every byte", "signed by  0000000000000A01", "d@stable"],
        );
    }
    assert_eq!(
        there.json("verify d@stable --s3 bucket.toml")["bytes"],
        "verified"
    );
    has(
        &there.refused("verify d --s3 bucket.toml", 1),
        &["NAME@CHANNEL, or by the digest"],
    );

    is_revoked_everywhere(&here, &there, &ways);
    is_known_to_a_provisioner(&fleet, &mut up);
    is_damaged_and_mended(&here, &there, &moto);
}

/// Revoked at home: the bucket hears it with the next publication, and so does everybody who reads it.
fn is_revoked_everywhere(here: &World, there: &World, ways: &[String]) {
    here.done("promote d 2 --channel stable --key a.key");
    here.done("revoke d 1 --why CVE-2026-1 --key a.key");
    let digest = here.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    has(
        &here.done("publish --channels --s3 bucket.toml"),
        &[
            "d 2 is in the bucket images",
            "catalogue 3 is in the bucket",
        ],
    );
    for way in ways {
        has(
            &there.done(&format!("verify d@stable {way}")),
            &["d 2: every byte"],
        );
        has(
            &there.refused(
                &format!("write {digest} late.img --size 100MiB {way} --allow-unsigned"),
                3,
            ),
            &["CVE-2026-1"],
        );
    }
}

/// A site with that image is taken without a word about it, and one without a channel with the word that helps. What was
/// believed is kept: the state directory knows the catalogue when the bucket is gone.
fn is_known_to_a_provisioner(fleet: &World, up: &mut Up) {
    let site = |image: &str| {
        let text = fs::read_to_string(fleet.path("site.toml")).unwrap();
        let line = text.lines().find(|line| line.contains("image = ")).unwrap();
        fs::write(
            fleet.path("site.toml"),
            text.replace(line, &format!("image = \"{image}\"")),
        )
        .unwrap();
        let from = up.from.replace("--from-credential", "--credential");
        let from = from.replace("--from", "--server");
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .args(["plan", "site.toml"])
            .args(from.split(' '))
            .current_dir(fleet.path(""));
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = site("d@stable");
    assert!(!said.contains("runs are held for it"), "{said}");
    has(
        &site("d"),
        &["found by channels only", "policy.image = \"d@stable\""],
    );
    has(&site("d@nightly"), &["d@nightly"]);
    let kept = fleet.path("state/images/trust/catalogue/3.json");
    assert!(kept.exists());
    assert!(!up.said().contains("WARNING"), "{}", up.said());
}

/// What was changed in the bucket is found, named, and mended by the words that are said.
fn is_damaged_and_mended(here: &World, there: &World, moto: &Moto) {
    let manifest = here.done("show d:2 --manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let chunk = manifest["chunks"][0][2].as_str().unwrap();
    let hex = chunk.rsplit(':').next().unwrap();
    let object = format!("images/site/v1/chunks/{hex}");
    let (_, mut bytes) = moto.curl(&object, &[]);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(here.path("chunk"), bytes).unwrap();
    let file = format!("@{}", here.path("chunk").display());
    moto.curl(&object, &["-X", "PUT", "--data-binary", &file]);
    has(
        &there.refused("verify d@stable --s3 bucket.toml", 3),
        &[
            hex,
            "is not what the manifest of d 2 says",
            "take that object away",
        ],
    );
    moto.curl(&object, &["-X", "DELETE"]);
    has(
        &there.refused("verify d@stable --s3 bucket.toml", 3),
        &[hex, "it is not there"],
    );
    here.done("publish --channels --s3 bucket.toml");
    there.done("verify d@stable --s3 bucket.toml");
}

/// What is published before anything was promoted, where nothing can be read, and what a bucket is asked for that is not there.
#[test]
fn what_is_missing_in_a_bucket_is_said_with_what_to_do() {
    let here = World::new();
    let Some(_moto) = Moto::start(&here) else {
        return;
    };
    let key = SecretKey::of(KeyId(0x0A01), &[1; 32]);
    fs::write(here.path("a.key"), key.file_without_password()).unwrap();
    fs::write(here.path("a.pub"), key.public_file()).unwrap();
    here.import_disk("d", "1");
    has(
        &here.done("publish d --s3 bucket.toml"),
        &["signature  none", "image sign"],
    );
    here.done("trust init --key a.pub");
    here.done("sign d 1 --key a.key");
    has(
        &here.done("publish d --s3 bucket.toml"),
        &["1 signed documents are in the bucket", "no catalogue yet"],
    );
    let digest = here.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    here.done("promote d 1 --channel stable --key a.key");
    for (name, wants) in [
        ("d@stable", "the repository has no signed catalogue"),
        (
            digest.as_str(),
            "d 1 is signed (by 0000000000000A01), and no catalogue is",
        ),
    ] {
        has(
            &here.refused(&format!("verify {name} --s3 bucket.toml"), 3),
            &[
                wants,
                "has what was published last",
                "do now:    groundstate image publish --channels --s3 FILE",
            ],
        );
    }
    let settings = fs::read_to_string(here.path("bucket.toml")).unwrap();
    fs::write(
        here.path("other.toml"),
        settings.replace("\"images\"", "\"others\""),
    )
    .unwrap();
    for line in ["publish d", "verify d@stable"] {
        has(
            &here.refused(&format!("{line} --s3 other.toml"), 1),
            &["the object store has no such bucket", "correct `bucket`"],
        );
    }
    has(
        &here.refused("serve --listen 127.0.0.1:0 --s3 other.toml", 1),
        &["bucket others cannot be served", "correct `bucket`"],
    );
    has(
        &here.refused("verify d@stable --from http://127.0.0.1:1/images/site", 1),
        &["address and port alone", "prefix"],
    );
}

#[test]
fn a_repository_without_a_catalogue_has_no_channels_to_publish() {
    let world = World::new();
    world.import_disk("d", "1");
    fs::write(world.path("bucket.toml"), "").unwrap();
    has(
        &world.refused("publish --channels --s3 bucket.toml", 1),
        &["no signed catalogue", "image promote NAME VERSION"],
    );
}

/// That nobody answers may pass: it is served, and told.
#[test]
fn a_store_that_does_not_answer_is_told_by_who_serves_it() {
    let world = World::new();
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = store.local_addr().unwrap();
    // Nobody listens there any more.
    drop(store);
    configure(&world, address);
    let mut child = world
        .command("serve --listen 127.0.0.1:0 --s3 bucket.toml")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let start = said.next().unwrap().unwrap();
    let silent = said.next().unwrap().unwrap();
    let _killed = child.kill();
    let _waited = child.wait();
    has(
        &start,
        &[&format!(
            "and the bucket images of http://{address}, below site/, at http://127.0.0.1:"
        )],
    );
    has(
        &silent,
        &[
            "the bucket gives nothing for now",
            "Connection refused",
            "see that `endpoint` is right and answers",
        ],
    );
    assert!(!silent.contains("max_retries"), "{silent}");
}

/// Many ask for what a bucket does not give: standard error has the cause, and has it once.
#[test]
fn why_nothing_comes_out_of_a_bucket_is_told_once() {
    let world = World::new();
    let Some(moto) = Moto::start(&world) else {
        return;
    };
    let mut child = world
        .command("serve --listen 127.0.0.1:0 --s3 bucket.toml")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let start = said.next().unwrap().unwrap();
    let (_, address) = start.split_once(" at http://").unwrap();
    let address = address.split_once(';').unwrap().0.parse().unwrap();
    moto.curl("images", &["-X", "DELETE"]);
    for digit in ["1", "2"] {
        let path = format!("v1/chunks/{}", digit.repeat(64));
        assert_eq!(curl(address, &path, &[]).0, "500");
    }
    assert_eq!(curl(address, "v1/trust/catalogue", &[]).0, "500");
    let _killed = child.kill();
    let _waited = child.wait();
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 1, "{rest:?}");
    has(
        &rest[0],
        &["cannot be read", "no such bucket", "correct `bucket`"],
    );
}
