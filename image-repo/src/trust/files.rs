// SPDX-License-Identifier: Apache-2.0
//! The documents and their signatures in a folder.
//!
//! ```text
//! <repository>/trust/root/<version>.json                       a trust root
//! <repository>/trust/catalogue/<sequence>.json                 a catalogue
//! <repository>/trust/images/<manifest>/<signed at>.json        a statement about an image
//! <any of them>.<key id>.minisig, or <any of them>.minisig     a signature beside it
//! <repository>/trust/pending/...                               the same, as long as signatures are missing
//! ```
//! A document is never changed: a newer one has a higher number. Its signatures are there before it is, so a crash leaves
//! either the whole or what nobody reads. Nothing is read further than its limit, and nothing but plain files.

use super::error::TrustFault;
use crate::repository::Repository;
use groundstate_api::trust::{Catalogue, ImageSigned, Signed, TrustRoot};
use groundstate_api::{Bytes, Digest};
use image_core::trust::limits::{ROOTS_MAX, SIGNATURE_MAX, SIGNATURES_MAX};
use image_core::trust::minisign::Signature;
use image_core::trust::{Document, revokes};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A folder of documents with their signatures.
#[derive(Clone, Debug)]
pub struct TrustFiles {
    dir: PathBuf,
}

/// Where a document belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root(u64),
    Catalogue(u64),
    Image(Digest, u64),
}

/// Who names a manifest besides its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedBy {
    /// A signature that holds or that waits for others, and that nothing revokes.
    pub is_signed: bool,
    /// The channels that stand for it, also those of a catalogue that waits for signatures.
    pub channels: Vec<String>,
}

impl Repository {
    /// The documents that say whom and what to believe.
    #[must_use]
    pub fn trust(&self) -> TrustFiles {
        let names = self.store.names();
        TrustFiles::at(&names.parent().unwrap_or(&names).join("trust"))
    }

    /// What signatures and channels name: no clearing up may remove these manifests. A signature that was revoked names
    /// nothing more; a channel does, until it stands for another image. No signature is looked at.
    ///
    /// # Errors
    /// The folder cannot be read. What is not readable as a catalogue names nothing.
    pub fn trusted_manifests(&self) -> Result<BTreeMap<Digest, TrustedBy>, TrustFault> {
        let files = self.trust();
        let read = |signed: Option<Signed>| {
            signed.and_then(|signed| image_core::trust::parse::<Catalogue>(&signed.document).ok())
        };
        let newest = read(files.catalogue()?);
        let waits = read(files.pending().catalogue()?);
        let mut live: BTreeMap<Digest, TrustedBy> = BTreeMap::new();
        let mut signed = files.signed_images()?;
        signed.extend(files.pending().signed_images()?);
        // A revocation that waits for signatures revokes nothing yet.
        signed.retain(|digest| !newest.as_ref().is_some_and(|all| revokes(all, digest)));
        for digest in signed {
            live.entry(digest).or_default().is_signed = true;
        }
        for row in newest.iter().chain(&waits).flat_map(|all| &all.channels) {
            let channels = &mut live.entry(row.manifest).or_default().channels;
            if !channels.contains(&row.channel) {
                channels.push(row.channel.clone());
            }
        }
        Ok(live)
    }

    /// The newest catalogue as it is written. No signature is looked at.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn newest_catalogue(&self) -> Result<Option<Catalogue>, TrustFault> {
        let signed = self.trust().catalogue()?;
        let parsed = signed.map(|signed| image_core::trust::parse(&signed.document));
        Ok(parsed.transpose()?)
    }

    /// The manifests that the channels of the newest catalogue stand for, each once. No signature is looked at.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn channel_manifests(&self) -> Result<BTreeSet<Digest>, TrustFault> {
        let catalogue = self.newest_catalogue()?;
        let rows = catalogue.iter().flat_map(|catalogue| &catalogue.channels);
        Ok(rows.map(|row| row.manifest).collect())
    }
}

impl TrustFiles {
    /// The documents in this folder, which need not be there.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// Those that wait for signatures.
    #[must_use]
    pub fn pending(&self) -> Self {
        Self::at(&self.dir.join("pending"))
    }

    /// The trust root of that version.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn root(&self, version: u64) -> Result<Option<Signed>, TrustFault> {
        self.get(Place::Root(version))
    }

    /// The versions of the trust roots that are here, ascending.
    pub(crate) fn roots(&self) -> Result<Vec<u64>, TrustFault> {
        numbers(&self.dir.join("root"))
    }

    /// The trust roots that follow that version without a gap; one more than is gone through at once, where there are so many.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn roots_after(&self, version: u64) -> Result<Vec<Signed>, TrustFault> {
        let mut roots = Vec::new();
        let mut next = version.saturating_add(1);
        while roots.len() <= ROOTS_MAX
            && let Some(root) = self.root(next)?
        {
            roots.push(root);
            next = next.saturating_add(1);
        }
        Ok(roots)
    }

    /// The newest catalogue.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn catalogue(&self) -> Result<Option<Signed>, TrustFault> {
        let newest = numbers(&self.dir.join("catalogue"))?.last().copied();
        newest.map_or(Ok(None), |number| self.get(Place::Catalogue(number)))
    }

    /// The newest statement about the image with that manifest.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn statement(&self, manifest: &Digest) -> Result<Option<Signed>, TrustFault> {
        let newest = numbers(&self.images().join(manifest.hex()))?
            .last()
            .copied();
        newest.map_or(Ok(None), |number| self.get(Place::Image(*manifest, number)))
    }

    /// The manifests that there are statements about.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn signed_images(&self) -> Result<Vec<Digest>, TrustFault> {
        let names = names(&self.images())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn images(&self) -> PathBuf {
        self.dir.join("images")
    }

    /// Where the document of that place lies or would lie.
    pub(super) fn path(&self, place: Place) -> PathBuf {
        match place {
            Place::Root(version) => self.dir.join("root").join(format!("{version}.json")),
            Place::Catalogue(sequence) => {
                self.dir.join("catalogue").join(format!("{sequence}.json"))
            }
            Place::Image(manifest, at) => self
                .images()
                .join(manifest.hex())
                .join(format!("{at}.json")),
        }
    }

    /// All documents that are here, by place.
    pub(super) fn places(&self) -> Result<Vec<Place>, TrustFault> {
        let mut places = Vec::new();
        places.extend(self.roots()?.into_iter().map(Place::Root));
        let catalogues = numbers(&self.dir.join("catalogue"))?;
        places.extend(catalogues.into_iter().map(Place::Catalogue));
        for manifest in self.signed_images()? {
            let times = numbers(&self.images().join(manifest.hex()))?;
            places.extend(times.into_iter().map(|at| Place::Image(manifest, at)));
        }
        Ok(places)
    }

    pub(super) fn get(&self, place: Place) -> Result<Option<Signed>, TrustFault> {
        let max = match place {
            Place::Root(_) => TrustRoot::MAX,
            Place::Catalogue(_) => Catalogue::MAX,
            Place::Image(..) => ImageSigned::MAX,
        };
        let path = self.path(place);
        let Some(document) = read(&path, max)? else {
            return Ok(None);
        };
        let mut signatures = Vec::new();
        for beside in signatures_of(&path)?.into_iter().take(SIGNATURES_MAX + 1) {
            signatures.extend(read(&beside, SIGNATURE_MAX)?);
        }
        Ok(Some(Signed {
            document,
            signatures,
        }))
    }

    /// Puts a document into its place: signatures first, then itself. Signatures that are beside it already stay.
    pub(super) fn put(&self, place: Place, signed: &Signed) -> Result<PathBuf, TrustFault> {
        let path = self.path(place);
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).map_err(TrustFault::file("created", dir))?;
        for text in &signed.signatures {
            let signature = Signature::parse(text).map_err(|error| TrustFault::Signature {
                path: path.clone(),
                error,
            })?;
            write(&beside(&path, &format!("{}.minisig", signature.id)), text)?;
        }
        write(&path, &signed.document)?;
        Ok(path)
    }

    /// Takes a document and its signatures away; the document first.
    pub(super) fn remove(&self, place: Place) -> Result<(), TrustFault> {
        let path = self.path(place);
        let signatures = signatures_of(&path)?;
        for each in [path].iter().chain(&signatures) {
            match fs::remove_file(each) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(TrustFault::file("removed", each)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// One writer at a time, over all processes.
    pub(super) fn lock(&self) -> Result<File, TrustFault> {
        fs::create_dir_all(&self.dir).map_err(TrustFault::file("created", &self.dir))?;
        let path = self.dir.join("lock");
        let file = File::create(&path).map_err(TrustFault::file("created", &path))?;
        file.lock().map_err(TrustFault::file("locked", &path))?;
        Ok(file)
    }
}

/// `path` with a dot and `ending` after it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// The signature files beside a document, by name.
fn signatures_of(path: &Path) -> Result<Vec<PathBuf>, TrustFault> {
    let (Some(dir), Some(document)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(Vec::new());
    };
    let is_of = |name: &String| {
        name.strip_prefix(document)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest == "minisig" || rest.ends_with(".minisig"))
    };
    Ok(names(dir)?
        .into_iter()
        .filter(is_of)
        .map(|name| dir.join(name))
        .collect())
}

/// The numbers of the documents in a folder, ascending. A number has one spelling.
fn numbers(dir: &Path) -> Result<Vec<u64>, TrustFault> {
    let number = |name: &String| {
        let text = name.strip_suffix(".json")?;
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    };
    let mut numbers: Vec<u64> = names(dir)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The names in a folder, sorted; none where it is not there.
fn names(dir: &Path) -> Result<Vec<String>, TrustFault> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrustFault::file("listed", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(TrustFault::file("listed", dir))?.file_name();
        names.extend(name.into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// A text of at most `max` bytes; `None` where there is no such file.
pub(super) fn read(path: &Path, max: Bytes) -> Result<Option<String>, TrustFault> {
    let is_file = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(TrustFault::file("read", path))?.is_file(),
    };
    let odd = |why| TrustFault::NotText {
        path: path.to_path_buf(),
        why,
    };
    if !is_file {
        return Err(odd("is no plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max.0 + 1).read_to_end(&mut bytes))
        .map_err(TrustFault::file("read", path))?;
    if bytes.len() as u64 > max.0 {
        return Err(TrustFault::TooLong {
            path: path.to_path_buf(),
            max,
        });
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| odd("is not text in UTF-8"))
}

/// Writes a file whole or not at all, and makes it durable under its name.
pub(super) fn write(path: &Path, text: &str) -> Result<(), TrustFault> {
    let draft = beside(path, &format!("{}.tmp", std::process::id()));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(TrustFault::file("written", &draft))?;
    fs::rename(&draft, path).map_err(TrustFault::file("named", path))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(TrustFault::file("made durable", dir))
}
