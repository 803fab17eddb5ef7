// SPDX-License-Identifier: Apache-2.0
//! A server that is stopped in the middle and started again, twice: what stands on the disk is not asked for again, and
//! what came is not thrown away. The server's own log is the witness.

use crate::rig::{MIB, Server, random, source};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind, Manifest};
use image_core::deploy::limits::{FLIGHT_MAX, SPAN};
use image_repo::{ImportRequest, RawFile, Repository};
use maintenance_os::image::{
    Fixed, Moved, Options, SourceBook, SourceEntry, deploy, fetch_manifest,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Far more than is under way at once, so that it shows what is fetched twice.
const IMAGE: u64 = 64 * MIB;
const CHUNK: Bytes = Bytes(256 << 10);
/// The server is stopped when so much stands on the disk.
const STOPS: [u64; 2] = [IMAGE / 4, IMAGE * 5 / 8];

/// The last part of each path that was answered with bytes, and how many.
type Served = Arc<Mutex<Vec<(String, u64)>>>;

/// The one server, and which chunks stand on the disk.
struct Book {
    sources: Fixed,
    on_disk: Mutex<BTreeSet<usize>>,
}

impl SourceBook for Book {
    fn sources(&self) -> Vec<SourceEntry> {
        self.sources.sources()
    }
    fn on_disk(&self, index: usize) {
        let mut set = self.on_disk.lock().unwrap_or_else(PoisonError::into_inner);
        set.insert(index);
    }
}

/// Counts what is answered, before it is sent.
fn counted(router: Router, served: Served) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let served = served.clone();
        async move {
            let path = request.uri().path().to_owned();
            let name = path.rsplit('/').next().unwrap().to_owned();
            let (head, body) = next.run(request).await.into_parts();
            let bytes = to_bytes(body, 1 << 20).await.unwrap();
            served.lock().unwrap().push((name, bytes.len() as u64));
            Response::from_parts(head, Body::from(bytes))
        }
    }))
}

fn import(dir: &Path, bytes: &[u8]) -> (Arc<Repository>, Manifest) {
    let file = dir.join("image.raw");
    std::fs::write(&file, bytes).unwrap();
    let repository = Repository::open(&dir.join("repository")).unwrap();
    let request = ImportRequest {
        name: "stopped",
        version: "1",
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        sector_size: 512,
        chunk_size: Some(CHUNK),
        boot: None,
    };
    let mut content = RawFile::open(&file).unwrap();
    let image = repository.import(&request, &mut content, &mut |_, _| {});
    let image = image.unwrap();
    let server = Server::start(image_repo::router(Arc::new(repository)));
    let manifest = fetch_manifest(&server.source(), &image, &mut |_| {}).unwrap();
    drop(server);
    let repository = Repository::open(&dir.join("repository")).unwrap();
    (Arc::new(repository), manifest)
}

/// What each life of the server gave, by chunk.
fn by_chunk(manifest: &Manifest, served: &Served) -> Vec<(usize, u64)> {
    let chunks = manifest.chunks.iter().zip(0..);
    let numbers: BTreeMap<String, usize> =
        chunks.map(|(chunk, at)| (chunk.digest.hex(), at)).collect();
    assert_eq!(numbers.len(), manifest.chunks.len(), "all differ");
    let served = served.lock().unwrap();
    let hex = |name: &str| name.rsplit(':').next().unwrap().to_owned();
    let served = served.iter();
    served
        .map(|(name, bytes)| (numbers[&hex(name)], *bytes))
        .collect()
}

#[test]
fn a_server_that_is_stopped_twice_gives_nothing_twice_but_what_was_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = random(21, IMAGE);
    let (repository, manifest) = import(dir.path(), &bytes);
    let target = dir.path().join("target");
    std::fs::write(&target, random(22, IMAGE)).unwrap();

    let start = |address, served: &Served| {
        let router = image_repo::router(repository.clone());
        Some(Server::start_at(address, counted(router, served.clone())))
    };
    let mut lives: Vec<Served> = vec![Arc::default()];
    let mut server = start("127.0.0.1:0".parse().unwrap(), &lives[0]);
    let address = server.as_ref().unwrap().address;
    let book = Book {
        sources: Fixed::one(source(address)),
        on_disk: Mutex::default(),
    };
    // What stood on the disk each time when the server was stopped.
    let mut stood: Vec<BTreeSet<usize>> = Vec::new();
    let mut waits = 0;
    let options = Options::default();
    let deployed = deploy(&manifest, &target, &book, &options, &mut |moved| {
        match moved {
            Moved::Progress(so_far) => {
                let stop = STOPS.get(stood.len());
                if server.is_some() && stop.is_some_and(|stop| so_far.done.0 >= *stop) {
                    server = None;
                    stood.push(book.on_disk.lock().unwrap().clone());
                    waits = 0;
                }
            }
            Moved::Waiting(_) => {
                waits += 1;
                // It was asked in vain before it is there again.
                if waits == 2 {
                    lives.push(Arc::default());
                    server = start(address, lives.last().unwrap());
                }
            }
            Moved::GoingOn => {}
            other => panic!("the only source is waited for: {other:?}"),
        }
    });
    let counts = deployed.unwrap().counts;
    assert!(std::fs::read(&target).unwrap() == bytes);
    assert_eq!((stood.len(), lives.len()), (STOPS.len(), STOPS.len() + 1));

    let lives: Vec<_> = lives.iter().map(|life| by_chunk(&manifest, life)).collect();
    for life in &lives {
        let once: BTreeSet<usize> = life.iter().map(|(index, _)| *index).collect();
        assert_eq!(once.len(), life.len(), "twice from one server: {life:?}");
        assert!(!once.is_empty());
    }
    for (life, stood) in lives.iter().skip(1).zip(&stood) {
        assert!(stood.len() as u64 >= IMAGE / 8 / CHUNK.0, "{}", stood.len());
        let again = life.iter().filter(|(index, _)| stood.contains(index));
        assert_eq!(again.count(), 0, "asked for what stands on the disk");
    }
    let served: u64 = lives.iter().flatten().map(|(_, bytes)| bytes).sum();
    let stored = |most: fn(u64, u64) -> u64| {
        let lengths = manifest.chunks.iter().map(|chunk| chunk.stored_length.0);
        lengths.reduce(most).unwrap()
    };
    let (all, longest) = (stored(|a, b| a + b), stored(Ord::max));
    let under_way = FLIGHT_MAX as u64 * (SPAN.0 / CHUNK.0) * longest;
    let twice = STOPS.len() as u64 * under_way;
    assert!(served >= all && served - all <= twice, "{served} of {all}");
    assert_eq!(counts.needed, Bytes(all), "{counts:?}");
    assert!(counts.fetched.0 <= served, "{counts:?} of {served}");
    // What came of a chunk before the stop is kept, and the rest of it asked for.
    assert_eq!(counts.in_vain(), Bytes(0), "{counts:?}");
    assert_eq!(counts.chunks_fetched, manifest.chunks.len() as u64);
}
