// SPDX-License-Identifier: Apache-2.0
//! A Redfish service for tests: serves resources, does what it is told, writes down everything, and lies where a test wants it to.

use groundstate_api::Digest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// What is answered.
pub(crate) enum Reply {
    /// A status, header fields, a body.
    Json(u16, Vec<(&'static str, String)>, Value),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// A head, and a body without end.
    Endless,
    /// One byte every 100 ms.
    Drip,
    /// Nothing.
    Silence,
}

pub(crate) fn ok(body: Value) -> Reply {
    Reply::Json(200, Vec::new(), body)
}

pub(crate) fn status(status: u16, words: &str) -> Reply {
    Reply::Json(
        status,
        Vec::new(),
        json!({"error": {"code": "Base.1.0.GeneralError", "message": words}}),
    )
}

type Tls = (
    rustls_pki_types::CertificateDer<'static>,
    Vec<u8>,
    Vec<&'static rustls::SupportedProtocolVersion>,
);

fn certificate() -> (rustls_pki_types::CertificateDer<'static>, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["bmc".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.der().clone(), key.serialize_der())
}

/// Shows a certificate, whether its key fits or not.
#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Shown {
    fn resolve(
        &self,
        _: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

type Liar = Box<dyn FnMut(&Asked, &mut State) -> Option<Reply> + Send>;

/// The service's state.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) resources: BTreeMap<String, Value>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) begun: usize,
    pub(crate) password: String,
    pub(crate) wants_tag: bool,
    pub(crate) under_way: usize,
    pub(crate) most_under_way: usize,
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) certificate: Option<Digest>,
}

impl World {
    pub(crate) async fn start(
        resources: BTreeMap<String, Value>,
        liar: impl FnMut(&Asked, &mut State) -> Option<Reply> + Send + 'static,
    ) -> Self {
        Self::begin(resources, liar, None).await
    }

    pub(crate) async fn honest(resources: BTreeMap<String, Value>) -> Self {
        Self::start(resources, |_, _| None).await
    }

    pub(crate) async fn tls(resources: BTreeMap<String, Value>) -> Self {
        let (certificate, key) = certificate();
        Self::begin(
            resources,
            |_, _| None,
            Some((certificate, key, rustls::ALL_VERSIONS.to_vec())),
        )
        .await
    }

    /// It shows a certificate whose key it does not have.
    pub(crate) async fn impostor(versions: Vec<&'static rustls::SupportedProtocolVersion>) -> Self {
        let ((certificate, _), (_, key)) = (certificate(), certificate());
        Self::begin(small(), |_, _| None, Some((certificate, key, versions))).await
    }

    /// It speaks this version only.
    pub(crate) async fn speaks(versions: Vec<&'static rustls::SupportedProtocolVersion>) -> Self {
        let (certificate, key) = certificate();
        Self::begin(small(), |_, _| None, Some((certificate, key, versions))).await
    }

    async fn begin(
        resources: BTreeMap<String, Value>,
        liar: impl FnMut(&Asked, &mut State) -> Option<Reply> + Send + 'static,
        tls: Option<Tls>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            resources,
            password: super::PASSWORD.into(),
            ..State::default()
        }));
        let certificate = tls
            .as_ref()
            .map(|(certificate, _, _)| Digest::of(certificate));
        let acceptor = tls.map(|(certificate, key, versions)| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions)
                .unwrap();
            let key = rustls_pki_types::PrivateKeyDer::Pkcs8(key.into());
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            let shown = Shown(Arc::new(rustls::sign::CertifiedKey::new(
                vec![certificate],
                key,
            )));
            TlsAcceptor::from(Arc::new(
                config
                    .with_no_client_auth()
                    .with_cert_resolver(Arc::new(shown)),
            ))
        });
        let liar: Arc<Mutex<Liar>> = Arc::new(Mutex::new(Box::new(liar)));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, liar, acceptor) = (shared.clone(), liar.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &state, &liar).await;
                            }
                        }
                        None => serve(stream, &state, &liar).await,
                    }
                });
            }
        });
        Self {
            address,
            state,
            certificate,
        }
    }

    /// Lines `METHOD path` of what was asked, questions that only read left out.
    pub(crate) fn orders(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let orders = state.asked.iter().filter(|asked| asked.method != "GET");
        orders
            .map(|asked| format!("{} {}", asked.method, asked.path))
            .collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    /// The bodies of what was sent to a path.
    pub(crate) fn bodies(&self, method: &str, path: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let asked = state
            .asked
            .iter()
            .filter(|asked| asked.method == method && asked.path == path);
        asked.map(|asked| asked.body.clone()).collect()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: &Mutex<State>,
    liar: &Mutex<Liar>,
) {
    while let Some(asked) = read(&mut stream).await {
        let reply = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked.clone());
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            let lie = (liar.lock().unwrap())(&asked, &mut state);
            lie.unwrap_or_else(|| state.answer(&asked))
        };
        tokio::task::yield_now().await;
        let goes_on = write(&mut stream, reply).await;
        state.lock().unwrap().under_way -= 1;
        if !goes_on {
            return;
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> bool {
    match reply {
        Reply::Json(status, fields, body) => {
            let body = if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            };
            let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            if !body.is_empty() {
                head.push_str("Content-Type: application/json\r\n");
            }
            for (name, value) in fields {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            // In one piece: two would wait for each other (Nagle, delayed acknowledgement).
            let mut bytes = head.into_bytes();
            bytes.extend(body);
            stream.write_all(&bytes).await.is_ok()
        }
        Reply::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Endless => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"a\":\"")
                .await;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
            false
        }
        Reply::Drip => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                .await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            false
        }
        Reply::Silence => {
            std::future::pending::<()>().await;
            false
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let fields: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = fields
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Asked {
        method,
        path,
        fields,
        body,
    })
}

impl State {
    fn admitted(&self, asked: &Asked) -> bool {
        let open = asked.path == "/redfish/v1/"
            || (asked.method == "POST" && asked.path.ends_with("/Sessions"));
        open || asked
            .fields
            .get("x-auth-token")
            .is_some_and(|token| self.tokens.contains(token))
    }

    /// What an honest service answers.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Reply {
        if !self.admitted(asked) {
            return status(401, "no valid session");
        }
        let path = asked.path.trim_end_matches('/').to_owned();
        match asked.method.as_str() {
            "GET" => match self.resources.get(&path) {
                Some(body) => ok(body.clone()),
                None => status(404, "not found"),
            },
            "PATCH" => self.patch(&path, asked),
            "POST" if path.ends_with("/Sessions") => self.begin(&path, asked),
            "POST" => self.act(&path, asked),
            "DELETE" => {
                let token = asked
                    .fields
                    .get("x-auth-token")
                    .cloned()
                    .unwrap_or_default();
                self.tokens.remove(&token);
                Reply::Json(204, Vec::new(), Value::Null)
            }
            _ => status(405, "no"),
        }
    }

    fn patch(&mut self, path: &str, asked: &Asked) -> Reply {
        let Some(resource) = self.resources.get_mut(path) else {
            return status(404, "not found");
        };
        let tag = resource["@odata.etag"].as_str().map(String::from);
        let given = asked.fields.get("if-match");
        if self.wants_tag && given.is_none() {
            return status(428, "If-Match is wanted");
        }
        if given.is_some_and(|given| given != "*" && Some(given) != tag.as_ref()) {
            return status(412, "the tag is another");
        }
        merge(resource, &asked.body);
        if let Some(tag) = tag {
            resource["@odata.etag"] = json!(format!("\"{}x\"", tag.trim_matches('"')));
        }
        ok(resource.clone())
    }

    fn begin(&mut self, path: &str, asked: &Asked) -> Reply {
        if asked.body["UserName"] != super::USER || asked.body["Password"] != self.password.as_str()
        {
            return status(401, "the user or the password is wrong");
        }
        self.begun += 1;
        let token = format!("token-{}", self.begun);
        self.tokens.insert(token.clone());
        let location = format!("{path}/{}", self.begun);
        Reply::Json(
            201,
            vec![("X-Auth-Token", token), ("Location", location.clone())],
            json!({"@odata.id": location}),
        )
    }

    fn act(&mut self, path: &str, asked: &Asked) -> Reply {
        let Some((owner, _)) = path.split_once("/Actions/") else {
            return status(404, "no such action");
        };
        let Some(resource) = self.resources.get_mut(owner) else {
            return status(404, "no such resource");
        };
        match asked.body["ResetType"].as_str() {
            Some("On" | "ForceOn" | "ForceRestart" | "PowerCycle") => {
                resource["PowerState"] = json!("On")
            }
            Some("ForceOff" | "GracefulShutdown") => resource["PowerState"] = json!("Off"),
            _ => {}
        }
        if path.ends_with("InsertMedia") {
            resource["Image"] = asked.body["Image"].clone();
            resource["Inserted"] = json!(true);
        }
        if path.ends_with("EjectMedia") {
            resource["Image"] = Value::Null;
            resource["Inserted"] = json!(false);
        }
        Reply::Json(204, Vec::new(), Value::Null)
    }
}

pub(crate) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// The resources of a folder with an `index.json` each.
pub(crate) fn folder(root: &Path, prefix: &str) -> BTreeMap<String, Value> {
    let mut resources = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("index.json") {
                let below = folder.strip_prefix(root).unwrap().to_str().unwrap();
                let name = format!("{prefix}/{below}").trim_end_matches('/').to_owned();
                if let Ok(value) = serde_json::from_slice(&std::fs::read(&path).unwrap()) {
                    resources.insert(name, value);
                }
            }
        }
    }
    resources
}

/// A small service of our own: one machine.
pub(crate) fn small() -> BTreeMap<String, Value> {
    let at = |path: &str| json!({"@odata.id": path});
    let mut resources = BTreeMap::new();
    let mut put = |path: &str, value: Value| resources.insert(path.to_owned(), value);
    put(
        "/redfish/v1",
        json!({"RedfishVersion": "1.6.0", "Systems": at("/redfish/v1/S"), "Managers": at("/redfish/v1/M"),
            "Links": {"Sessions": at("/redfish/v1/X/Sessions")}}),
    );
    put("/redfish/v1/S", json!({"Members": [at("/redfish/v1/S/a")]}));
    put("/redfish/v1/M", json!({"Members": [at("/redfish/v1/M/1")]}));
    put("/redfish/v1/M/1", json!({"FirmwareVersion": "2.0"}));
    put(
        "/redfish/v1/S/a",
        json!({"Id": "a", "Manufacturer": "Contoso", "Model": "R1", "BiosVersion": "1", "PowerState": "On", "IndicatorLED": "Off",
            "Boot": {"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideMode": "UEFI",
                "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "Cd", "UefiHttp"]},
            "Actions": {"#ComputerSystem.Reset": {"target": "/redfish/v1/S/a/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown", "ForceRestart"]}}}),
    );
    resources
}
