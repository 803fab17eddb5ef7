// SPDX-License-Identifier: Apache-2.0
//! Signed documents in an object store: they go there behind what they name, never backwards, and a server that has nothing of
//! its own gives them out.

use crate::world::{DAY, NOW, World, key, role, root, stable};
use futures_util::TryStreamExt as _;
use groundstate_api::image::ImageRef;
use groundstate_api::trust::{Catalogue, Seen, Signed};
use groundstate_api::{Bytes, Millis, ReasonCode};
use image_core::trust::{parse, trusted};
use image_repo::objects::{
    Behind, Bucket, BucketConfig, BucketError, Documents, Held, Published, ReadThrough,
};
use image_repo::serve::{ServeOptions, run};
use image_repo::trust::{Pin, follow, resolve};
use image_repo::{Repository, ServeConfig};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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

    /// A repository with this one behind it.
    fn before(&self, dir: &Path, cache: ReadThrough) -> Repository {
        let behind = Behind::new(Arc::new(cache), self.runtime.handle().clone());
        Repository::open_before(dir, behind).unwrap()
    }

    /// Serves a repository on loopback, and says where.
    fn serve(&self, repository: Repository) -> String {
        let options = ServeOptions {
            repository: Arc::new(repository),
            config: ServeConfig::default(),
            tls: None,
        };
        let bind = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = self.runtime.block_on(bind).unwrap();
        let at = format!("http://{}/v1/", listener.local_addr().unwrap());
        self.runtime
            .spawn(run(listener, options, std::future::pending()));
        at
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
        self.put_bytes(key, text.as_bytes().to_vec());
    }

    fn put_bytes(&self, key: &str, bytes: Vec<u8>) {
        let key = Key::from(key);
        let put = self.memory.put(&key, bytes.into());
        self.runtime.block_on(put).unwrap();
    }

    fn delete(&self, key: &str) {
        let key = Key::from(key);
        let gone = self.memory.delete(&key);
        self.runtime.block_on(gone).unwrap();
    }

    /// All names by when they were put there last.
    fn names_by_time(&self) -> Vec<String> {
        let list = self.memory.list(None).try_collect();
        let mut all: Vec<object_store::ObjectMeta> = self.runtime.block_on(list).unwrap();
        all.sort_by_key(|about| about.last_modified);
        all.iter().map(|about| about.location.to_string()).collect()
    }
}

/// A bucket that has image 1 with what is signed of it.
fn published() -> (World, Store, ImageRef) {
    let (world, store) = (World::new(), Store::new());
    let first = world.image("1");
    store.image(&world, &first);
    store.documents(&world, &[&first]).unwrap();
    (world, store, first)
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
    let (world, store, first) = published();
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
    let (world, store, _) = published();
    let second = world.image("2");
    let pinned = world.pin.root().unwrap();
    let dir = world.dir.path();
    let serve = |own: &str| {
        let cache = dir.join(format!("{own}-cache"));
        let cache = ReadThrough::open(store.bucket.clone(), &cache, Bytes::mib(100)).unwrap();
        store.serve(store.before(&dir.join(own), cache))
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

/// An empty repository with the bucket behind it, on a machine that has pinned the root.
struct Reader<'a> {
    store: &'a Store,
    repository: Repository,
    pin: Pin,
}

impl<'a> Reader<'a> {
    fn new(world: &World, store: &'a Store, name: &str) -> Self {
        let dir = world.dir.path().join(name);
        let cache = dir.join("images-cache");
        let cache = ReadThrough::open(store.bucket.clone(), &cache, Bytes::mib(100)).unwrap();
        let pin = Pin::of_state(&dir);
        let root = std::fs::read_to_string(world.pin.root_path()).unwrap();
        pin.set(&root, false).unwrap();
        Self {
            repository: store.before(&dir.join("images"), cache),
            pin,
            store,
        }
    }

    fn follow(&self) -> Result<(), BucketError> {
        let now = NOW.plus(DAY);
        let bucket = &self.store.bucket;
        follow(&self.repository, bucket, &self.pin, &stable(), now)
    }

    fn stands_for(&self) -> ImageRef {
        let now = NOW.plus(DAY);
        let verified = resolve(&self.repository, &stable(), &self.pin, now);
        verified.unwrap().image
    }
}

#[test]
fn a_repository_with_nothing_of_its_own_follows_the_bucket_behind_it_and_never_back() {
    let (world, store, first) = published();
    let second = world.image("2");
    let old = store.read("/v1/trust/catalogue").unwrap();
    let reader = Reader::new(&world, &store, "reader");
    reader.follow().unwrap();
    let image = reader.stands_for();
    assert_eq!(image, first);
    // Every byte is there, and is the image's.
    reader.repository.verify(&image).unwrap();
    let manifest = reader.repository.manifest(&image.manifest).unwrap();
    let read = |repository: &Repository| {
        let mut bytes = Vec::new();
        let mut reader = repository.reader(&manifest).unwrap();
        std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(read(&reader.repository), read(&world.repository));

    world.promote(&second, NOW.plus(DAY), &[5]);
    store.image(&world, &second);
    store.documents(&world, &[&second]).unwrap();
    reader.follow().unwrap();
    assert_eq!(reader.stands_for(), second);

    // Put back, gone, or of nobody who may sign: what was believed stays.
    store.put(
        "site/v1/trust/catalogue",
        std::str::from_utf8(&old).unwrap(),
    );
    reader.follow().unwrap();
    assert_eq!(reader.stands_for(), second);
    let forged = world.next(NOW.plus(DAY));
    let document = image_core::trust::canonical(&forged);
    let forged = Signed {
        signatures: vec![key(9).sign(document.as_bytes(), "forged")],
        document,
    };
    store.put(
        "site/v1/trust/catalogue",
        &serde_json::to_string(&forged).unwrap(),
    );
    let said = reader.follow().unwrap_err();
    assert!(matches!(said, BucketError::Trust(_)), "{said}");
    store.put("site/v1/trust/catalogue", "no document");
    let said = reader.follow().unwrap_err();
    assert!(matches!(said, BucketError::NoDocument { .. }), "{said}");
    store.delete("site/v1/trust/catalogue");
    reader.follow().unwrap();
    assert_eq!(reader.stands_for(), second);
}

/// Somebody else signs the same statement later, and the first key is revoked: the second signature is taken over, too.
#[test]
fn a_signature_that_came_later_is_followed() {
    let (world, store, first) = published();
    let reader = Reader::new(&world, &store, "reader");
    reader.follow().unwrap();
    world.sign_image(&first, &[4]);
    let next = image_core::trust::next::revoked(
        world.next(NOW.plus(DAY)),
        groundstate_api::trust::RevokedPart::Key(groundstate_api::trust::KeyId(3)),
        "lost".to_owned(),
    );
    world.publish(&next, &[5]);
    store.documents(&world, &[&first]).unwrap();
    reader.follow().unwrap();
    let statement = reader.repository.trust().statement(&first.manifest);
    assert_eq!(statement.unwrap().unwrap().signatures.len(), 2);
    assert_eq!(reader.stands_for(), first);
}

#[test]
fn a_rotated_root_is_followed_only_where_the_one_before_lets_it() {
    let (world, store, first) = published();
    let reader = Reader::new(&world, &store, "reader");
    // Signed by its own keys, and not by those that are trusted: keys 7 and 8 may sign no root yet.
    let mut next = root(2);
    next.roles.root = role(&[7, 8], 1);
    let document = image_core::trust::canonical(&next);
    let signed = |keys: &[u8]| {
        let sign = |number: &u8| key(*number).sign(document.as_bytes(), "rotated");
        let signed = Signed {
            signatures: keys.iter().map(sign).collect(),
            document: document.clone(),
        };
        serde_json::to_string(&signed).unwrap()
    };
    store.put("site/v1/trust/root/2", &signed(&[7]));
    let said = reader.follow().unwrap_err();
    assert!(matches!(said, BucketError::Trust(_)), "{said}");
    assert!(reader.repository.trust().root(2).unwrap().is_none());
    store.put("site/v1/trust/root/2", &signed(&[1, 7]));
    reader.follow().unwrap();
    assert!(reader.repository.trust().root(2).unwrap().is_some());
    assert_eq!(reader.stands_for(), first);
}

#[test]
fn what_a_bucket_has_lost_or_changed_is_named_before_a_plan() {
    let (world, store, first) = published();
    let manifest = world.repository.manifest(&first.manifest).unwrap();
    let chunk = format!("site/v1/chunks/{}", manifest.chunks[0].digest.hex());
    store.put(&chunk, "something else");
    let reader = Reader::new(&world, &store, "changed");
    reader.follow().unwrap();
    let reason = reader.repository.verify(&first).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
    assert!(reason.next_step.contains("publish"), "{reason}");
    assert!(reason.to_string().contains(&chunk), "{reason}");

    store.delete(&chunk);
    let reason = reader.repository.verify(&first).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ImageMissing);
    assert!(reason.what.contains("nor in the bucket"), "{reason}");
    assert!(reason.next_step.contains("publish"), "{reason}");

    // The same bytes in another form, which the manifest does not name: kept as proved, and mended as it is said.
    let stored = std::fs::read(
        world
            .dir
            .path()
            .join("images/chunks")
            .join(&chunk[15..17])
            .join(&chunk[15..]),
    );
    let plain = zstd::decode_all(stored.unwrap().as_slice()).unwrap();
    let other = zstd::encode_all(plain.as_slice(), 19).unwrap();
    store.put_bytes(&chunk, other);
    let reason = reader.repository.verify(&first).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
    assert!(
        reason.next_step.contains("take that object away"),
        "{reason}"
    );
    store.delete(&chunk);
    store.image(&world, &first);
    reader.repository.verify(&first).unwrap();
    // What was fetched and proved is not asked for again.
    store.delete(&chunk);
    reader.repository.verify(&first).unwrap();
}

#[test]
fn a_store_that_does_not_answer_leaves_what_was_believed() {
    let (world, store, first) = published();
    let reader = Reader::new(&world, &store, "reader");
    reader.follow().unwrap();
    let credentials = world.dir.path().join("credentials");
    std::fs::write(
        &credentials,
        "aws_access_key_id = a\naws_secret_access_key = b\n",
    )
    .unwrap();
    std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let config: BucketConfig = serde_json::from_value(serde_json::json!({
        "endpoint": endpoint, "bucket": "images", "credentials": credentials,
    }))
    .unwrap();
    let silent = Bucket::open_once(&config).unwrap();
    let now = NOW.plus(DAY);
    let said = follow(&reader.repository, &silent, &reader.pin, &stable(), now).unwrap_err();
    assert!(matches!(said, BucketError::NoAnswer { .. }), "{said}");
    assert_eq!(reader.stands_for(), first);
    // It is given out, too: catalogue and signature as they are here, and no root that follows.
    drop(reader);
    let cache = ReadThrough::open(silent, &world.dir.path().join("cache"), Bytes::mib(1)).unwrap();
    let at = store.serve(store.before(&world.dir.path().join("reader/images"), cache));
    let hex = first.manifest.hex();
    for path in ["trust/catalogue", &format!("trust/images/{hex}")] {
        let given: Signed = serde_json::from_str(&curl(&format!("{at}{path}"))).unwrap();
        assert!(!given.signatures.is_empty());
    }
    let next = curl(&format!("{at}trust/root/2"));
    assert!(next.contains("\"status\":404"), "{next}");
}
