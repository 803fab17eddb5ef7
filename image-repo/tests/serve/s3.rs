// SPDX-License-Identifier: Apache-2.0
//! A server of S3 that is not ours (moto), which checks every signature, on loopback, by plain HTTP and by TLS.

use crate::certificates::{authority, leaf};
use crate::objects::publish;
use crate::server::{Bench, Server};
use groundstate_api::Bytes;
use image_repo::objects::{Bucket, BucketConfig, ReadThrough};
use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Moto {
    child: Child,
    address: SocketAddr,
    /// Whose certificate it has, where it speaks TLS.
    authority: Option<PathBuf>,
    id: String,
    secret: String,
}

impl Moto {
    /// None where it is not installed.
    fn start(dir: &Path, is_tls: bool) -> Option<Self> {
        let mut tls = Vec::new();
        let authority = is_tls.then(|| {
            let (issuer, authority) = authority(dir, "store-ca");
            let (certificate, key) = leaf(dir, "store", &issuer);
            tls = vec!["-s".into(), "-c".into(), certificate, "-k".into(), key];
            authority
        });
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let said = fs::File::create(dir.join("moto.log")).unwrap();
        // `cargo xtask setup` brings it.
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/groundstate/peers/python/bin/moto_server");
        let program = if ours.exists() {
            ours
        } else {
            PathBuf::from("moto_server")
        };
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .args(tls)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            // A group of its own: it may be a script that starts another program.
            .process_group(0)
            .spawn()
            .ok()?;
        let mut moto = Self {
            child,
            address,
            authority,
            id: String::new(),
            secret: String::new(),
        };
        for tries in 0.. {
            // Where the name is only a shim for what is not there, it ends.
            if tries > 1_500 || moto.child.try_wait().unwrap().is_some() {
                return None;
            }
            if std::net::TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        moto.iam("CreateUser", &[]);
        let key = moto.iam("CreateAccessKey", &[]);
        let between = |tag: &str| {
            let (_, rest) = key.split_once(&format!("<{tag}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        (moto.id, moto.secret) = (between("AccessKeyId"), between("SecretAccessKey"));
        let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        let policy = format!("PolicyDocument={all}");
        moto.iam("PutUserPolicy", &["PolicyName=all", &policy]);
        moto.curl("s3", "/images", &["-X", "PUT"]);
        // From here on nothing goes without a signature that is right.
        let plain = ["-X", "POST", "-H", "Content-Type: text/plain", "-d", "0"];
        let checks = moto.curl("s3", "/moto-api/reset-auth", &plain);
        assert!(checks.contains("ok"), "{checks}");
        Some(moto)
    }

    fn iam(&self, action: &str, more: &[&str]) -> String {
        let action = format!("Action={action}&UserName=repository&Version=2010-05-08");
        let mut options = vec!["-d", &action];
        for each in more {
            options.extend(["--data-urlencode", each]);
        }
        self.curl("iam", "/", &options)
    }

    fn curl(&self, service: &str, path: &str, options: &[&str]) -> String {
        let scope = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        );
        let out = Command::new("curl")
            .args(["-s", "--noproxy", "*", "--max-time", "60", "-H", &scope])
            .args(
                self.authority
                    .iter()
                    .flat_map(|ca| [Path::new("--cacert"), ca]),
            )
            .args(options)
            .arg(format!("{}{path}", self.endpoint()))
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    fn endpoint(&self) -> String {
        let scheme = self.authority.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.address)
    }

    fn config(&self, dir: &Path, secret: &str) -> BucketConfig {
        let credentials: PathBuf = dir.join("credentials");
        let text = format!(
            "aws_access_key_id = {}\naws_secret_access_key = {secret}\n",
            self.id
        );
        fs::write(&credentials, text).unwrap();
        fs::set_permissions(&credentials, Permissions::from_mode(0o600)).unwrap();
        BucketConfig {
            endpoint: Some(self.endpoint()),
            bucket: "images".to_owned(),
            region: "us-east-1".to_owned(),
            prefix: "site/".to_owned(),
            virtual_hosted: false,
            credentials,
            authority: self.authority.clone(),
            cache_size: Bytes::mib(100),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn an_image_goes_through_an_s3_server_that_checks_signatures() {
    goes_through(false, &Bench::new());
}

/// Chunks that are larger than a part go there in several.
#[test]
fn an_image_goes_through_an_s3_server_by_tls_and_in_parts() {
    goes_through(true, &Bench::of(20 << 20, Bytes::mib(16)));
}

fn goes_through(is_tls: bool, bench: &Bench) {
    let dir = bench.dir.path();
    let Some(moto) = Moto::start(dir, is_tls) else {
        eprintln!("skipped: no moto_server here (Python's moto)");
        return;
    };
    let refused = moto.curl("s3", "/images?list-type=2", &[]);
    assert!(
        refused.contains("InvalidAccessKeyId"),
        "it checks no signature: {refused}"
    );
    let config = moto.config(dir, &moto.secret);
    let bucket = Bucket::open(&config).unwrap();
    let first = publish(bench, &bucket);
    assert_eq!(first.sent, first.objects);
    assert_eq!(publish(bench, &bucket).sent, 0);
    let cache = ReadThrough::open(bucket, &dir.join("cache"), Bytes::mib(100)).unwrap();
    let server = Server::before(Arc::new(cache), &dir.join("empty"));
    for (path, bytes) in bench.objects() {
        let answer = server.get(&path, &[]);
        assert!(answer.status == 200 && answer.body == bytes, "{path}");
    }
    let absent = "/v1/chunks/".to_owned() + &"0".repeat(64);
    assert_eq!(server.get(&absent, &[]).status, 404);

    let said = refused_publication(bench, &moto.config(dir, "not-the-secret"));
    assert!(said.contains("403") || said.contains("Forbidden"), "{said}");
    assert!(!said.contains("not-the-secret"), "{said}");
    let absent = BucketConfig {
        bucket: "absent".to_owned(),
        ..config.clone()
    };
    // moto says no more than that it is not ours.
    let said = refused_publication(bench, &absent);
    assert!(said.contains("/absent/"), "{said}");
    if is_tls {
        // Another authority than the store's: nothing goes there.
        let (_, other) = authority(dir, "other-ca");
        let other = BucketConfig {
            authority: Some(other),
            ..config
        };
        let said = refused_publication(bench, &other);
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
}

fn refused_publication(bench: &Bench, config: &BucketConfig) -> String {
    let bucket = Bucket::open(config).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut hear = |_, _| {};
    let publication = bench
        .repository
        .publish_to(&bench.image, &bucket, &mut hear);
    format!("{:?}", runtime.block_on(publication).unwrap_err())
}
