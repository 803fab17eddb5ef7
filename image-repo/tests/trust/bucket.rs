// SPDX-License-Identifier: Apache-2.0
//! Signed documents in an object store: they go there behind what they name, never backwards, and a server that has nothing of
//! its own gives them out.

use crate::world::{DAY, NOW, World};
use futures_util::TryStreamExt as _;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, Seen, Signed};
use groundstate_api::{Bytes, Millis};
use image_core::trust::{parse, trusted};
use image_repo::objects::{Bucket, BucketError, Documents, Held, Published, ReadThrough};
use image_repo::serve::{ServeOptions, run};
use image_repo::{Repository, ServeConfig};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::process::Command;
use std::sync::Arc;
use tokio::runtime::Runtime;

struct Store {
    runtime: Runtime,
    memory: Arc<InMemory>,
    bucket: Bucket,
}

impl Store {
    fn new() -> Self {
        let memory = Arc::new(InMemory::new());
        Self {
            runtime: Runtime::new().unwrap(),
            bucket: Bucket::over(Arc::clone(&memory) as Arc<dyn ObjectStore>, "site/"),
            memory,
        }
    }

    fn image(&self, world: &World, image: &ImageRef) -> Published {
        let mut hear = |_, _| {};
        let sent = world.repository.publish_to(image, &self.bucket, &mut hear);
        self.runtime.block_on(sent).unwrap()
    }

    fn documents(&self, world: &World, images: &[&ImageRef]) -> Result<Documents, BucketError> {
        let manifests: Vec<_> = images.iter().map(|image| image.manifest).collect();
        let sent = world.repository.publish_documents(&manifests, &self.bucket);
        self.runtime.block_on(sent)
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let read = self.bucket.read(path, Bytes::mib(4));
        self.runtime.block_on(read).unwrap()
    }

    fn catalogue(&self) -> Option<Catalogue> {
        let signed: Signed = serde_json::from_slice(&self.read("/v1/trust/catalogue")?).unwrap();
        Some(parse(&signed.document).unwrap())
    }

    fn put(&self, key: &str, text: &str) {
        let key = Key::from(key);
        let put = self.memory.put(&key, text.to_owned().into());
        self.runtime.block_on(put).unwrap();
    }

    /// All names by when they were put there last.
    fn names_by_time(&self) -> Vec<String> {
        let list = self.memory.list(None).try_collect();
        let mut all: Vec<object_store::ObjectMeta> = self.runtime.block_on(list).unwrap();
        all.sort_by_key(|about| about.last_modified);
        all.iter().map(|about| about.location.to_string()).collect()
    }
}

#[test]
fn documents_go_behind_what_they_name_and_the_catalogue_last() {
    let (world, store) = (World::new(), Store::new());
    let (first, second) = (world.image("1"), world.image("2"));
    // The channel's image is not there: neither is the catalogue, nor what was signed.
    let done = store.documents(&world, &[]).unwrap();
    assert!(
        matches!(&done.held[..], [Held::NoImage { channel }] if channel.manifest == first.manifest),
        "{done:?}"
    );
    assert_eq!((done.catalogue, done.sent), (Some(1), 0));
    assert_eq!(store.names_by_time(), Vec::<String>::new());

    store.image(&world, &first);
    let done = store.documents(&world, &[&first]).unwrap();
    assert_eq!((done.documents, done.sent, done.held), (2, 2, vec![]));
    let names = store.names_by_time();
    let at = |part: &str| names.iter().position(|name| name.contains(part)).unwrap();
    let last_chunk = names.iter().rposition(|name| name.contains("/chunks/"));
    assert!(last_chunk.unwrap() < at("/v1/images/"), "{names:?}");
    assert!(at("/v1/images/") < at("/trust/images/"), "{names:?}");
    assert_eq!(at("/trust/images/"), names.len() - 2, "{names:?}");
    assert_eq!(names.last().unwrap(), "site/v1/trust/catalogue");
    let again = store.documents(&world, &[&first]).unwrap();
    assert_eq!((again.documents, again.sent), (2, 0));

    // A channel that goes on: until its image is there, the bucket's channel stands where it stood.
    world.promote(&second, NOW.plus(DAY), &[5]);
    let done = store.documents(&world, &[&first]).unwrap();
    assert!(
        matches!(&done.held[..], [Held::NoImage { channel }] if channel.version == "2"),
        "{done:?}"
    );
    assert_eq!(store.catalogue().unwrap().channels[0].version, "1");
    store.image(&world, &second);
    let done = store.documents(&world, &[&second]).unwrap();
    assert_eq!((done.catalogue, done.held), (Some(2), vec![]));
    assert_eq!(store.catalogue().unwrap().channels[0].version, "2");
}

#[test]
fn a_channel_whose_image_nobody_signed_is_not_published() {
    let (world, store) = (World::new(), Store::new());
    let first = world.image("1");
    store.image(&world, &first);
    std::fs::remove_dir_all(world.trust().join("images")).unwrap();
    let done = store.documents(&world, &[&first]).unwrap();
    assert!(
        matches!(&done.held[..], [Held::NoStatement { channel }] if channel.manifest == first.manifest),
        "{done:?}"
    );
    assert!(store.catalogue().is_none());
}

#[test]
fn a_bucket_never_goes_back_and_two_documents_of_one_number_are_named() {
    let (world, store) = (World::new(), Store::new());
    let (first, second) = (world.image("1"), world.image("2"));
    let old = world.backup();
    store.image(&world, &first);
    store.image(&world, &second);
    world.promote(&second, NOW.plus(DAY), &[5]);
    store.documents(&world, &[&second]).unwrap();
    world.restore(&old);
    let done = store.documents(&world, &[]).unwrap();
    assert_eq!(done.held, [Held::Newer { there: 2 }]);
    assert_eq!(store.catalogue().unwrap().sequence, 2);
    // The same number, and something else in it.
    world.promote(&first, NOW.plus(Millis(2 * DAY.0)), &[6]);
    let other = store.documents(&world, &[]).unwrap_err();
    assert!(
        matches!(&other, BucketError::OtherDocument { key } if key == "site/v1/trust/catalogue"),
        "{other}"
    );
    // What is no document at all is in nobody's way.
    store.put("site/v1/trust/catalogue", "{}");
    let done = store.documents(&world, &[]).unwrap();
    assert_eq!((done.held, done.sent), (vec![], 1));
    assert_eq!(store.catalogue().unwrap().sequence, 2);
}

#[test]
fn signatures_of_several_publishers_are_kept_together() {
    let (world, store) = (World::new(), Store::new());
    let first = world.image("1");
    store.image(&world, &first);
    store.documents(&world, &[&first]).unwrap();
    let path = format!("/v1/trust/images/{}", first.manifest.hex());
    let signers = || -> usize {
        let signed: Signed = serde_json::from_slice(&store.read(&path).unwrap()).unwrap();
        signed.signatures.len()
    };
    assert_eq!(signers(), 1);
    let alone = world.backup();
    world.sign_image(&first, &[4]);
    assert_eq!(store.documents(&world, &[&first]).unwrap().sent, 1);
    assert_eq!(signers(), 2);
    // Who has only the first signature takes none away.
    world.restore(&alone);
    assert_eq!(store.documents(&world, &[&first]).unwrap().sent, 0);
    assert_eq!(signers(), 2);
}

#[test]
fn a_server_with_nothing_of_its_own_gives_out_what_the_bucket_has() {
    let (world, store) = (World::new(), Store::new());
    let (first, second) = (world.image("1"), world.image("2"));
    store.image(&world, &first);
    store.documents(&world, &[&first]).unwrap();
    let pinned = world.pin.root().unwrap();
    let dir = world.dir.path();
    let serve = |own: &str| {
        let cache = dir.join(format!("{own}-cache"));
        let cache = ReadThrough::open(store.bucket.clone(), &cache, Bytes::mib(100)).unwrap();
        let options = ServeOptions {
            repository: Arc::new(Repository::open(&dir.join(own)).unwrap()),
            config: ServeConfig::default(),
            tls: None,
            behind: Some(Arc::new(cache)),
        };
        let bind = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = store.runtime.block_on(bind).unwrap();
        let at = format!("http://{}/v1/", listener.local_addr().unwrap());
        store
            .runtime
            .spawn(run(listener, options, std::future::pending()));
        at
    };
    let stands_for = |at: &str| {
        let catalogue: Signed =
            serde_json::from_str(&curl(&format!("{at}trust/catalogue"))).unwrap();
        let believed = trusted(
            &pinned,
            &[],
            Some(&catalogue),
            &Seen::default(),
            NOW.plus(DAY),
        );
        let believed = believed.unwrap();
        let row = believed.channel("debian", "stable").unwrap().clone();
        let hex = row.manifest.hex();
        let manifest = curl(&format!("{at}images/{hex}"));
        let manifest =
            image_core::manifest::parse_as(manifest.as_bytes(), &row.manifest, Bytes::mib(1));
        let image = image_core::manifest::reference(&manifest.unwrap());
        let statement: Signed =
            serde_json::from_str(&curl(&format!("{at}trust/images/{hex}"))).unwrap();
        believed
            .image_of(&row, &image, Some(&statement))
            .unwrap()
            .image
            .version
    };
    let empty = serve("empty");
    assert_eq!(stands_for(&empty), "1");
    // Of the server's own documents and the bucket's, the newer one counts.
    world.promote(&second, NOW.plus(DAY), &[5]);
    let own = serve("images");
    assert_eq!(
        (stands_for(&empty), stands_for(&own)),
        ("1".into(), "2".into())
    );
    store.image(&world, &second);
    store.documents(&world, &[&second]).unwrap();
    assert_eq!(stands_for(&empty), "2");
    std::fs::remove_dir_all(world.trust()).unwrap();
    assert_eq!(stands_for(&own), "2");
    // What is no document is not passed on.
    store.put("site/v1/trust/catalogue", "no JSON");
    let said = curl(&format!("{own}trust/catalogue"));
    assert!(
        said.contains("cannot be read") && said.contains("publish --channels"),
        "{said}"
    );
}

fn curl(url: &str) -> String {
    let out = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "20", url])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}
