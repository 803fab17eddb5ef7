// SPDX-License-Identifier: Apache-2.0
//! Reads an archive's entries in order: ustar, pax and GNU tar, with long names, base-256 numbers and sparse files. What
//! it keeps in memory of an entry has a limit, whatever the head claims.

use super::header::{BLOCK, Block, Header, number, parse};
use super::pax::Pax;
use crate::roots::RootsError;
use groundstate_api::Bytes;
use std::collections::VecDeque;
use std::io::{self, Read};

/// The longest name or extended header, in bytes: attributes are up to 64 KiB, names 4 KiB.
const META_MAX: u64 = 1 << 20;
/// The most bytes of extended headers before one entry, however many there are: room for two full ones.
const HEADERS_MAX: usize = 2 << 20;
/// The most bytes of global extended headers: they count for each entry. Git writes 52 bytes.
const GLOBAL_MAX: usize = 64 << 10;
/// The most pieces of a sparse file: a file system's own limit is far above, an archive's map of them 2 MiB here.
const PIECES_MAX: usize = 65_536;
/// The most zeros behind the end mark, in bytes: tapes have records of up to 4 MiB.
const TRAILING_MAX: u64 = 64 << 20;

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) header: Header,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) has_lists: bool,
    /// The content's length, holes and all.
    pub(super) length: u64,
}

/// An archive that is read once.
pub(super) struct Archive<'a> {
    input: &'a mut dyn Read,
    at: u64,
    global: Pax,
    /// What is left of the entry's stored bytes, and what fills its last block.
    left: u64,
    padding: u64,
    /// The content's pieces (where, how long) that are left, and how far it was read.
    pieces: VecDeque<(u64, u64)>,
    position: u64,
    length: u64,
    needs_mark: bool,
}

impl<'a> Archive<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self {
            input,
            at: 0,
            global: Pax::default(),
            left: 0,
            padding: 0,
            pieces: VecDeque::new(),
            position: 0,
            length: 0,
            needs_mark: true,
        }
    }

    /// The same where the input's end behind an entry is the archive's end too: some tools leave out the end mark, and the
    /// last block's filling, of layers whose length and digest are stated elsewhere.
    pub(super) fn without_mark(mut self) -> Self {
        self.needs_mark = false;
        self
    }

    /// How many plain bytes were read.
    pub(super) fn at(&self) -> Bytes {
        Bytes(self.at)
    }

    /// The next entry; what was not read of the one before is passed over. `None` after the end mark.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, RootsError> {
        self.skip()?;
        let mut pax = self.global.clone();
        let (mut name, mut link) = (None, None);
        loop {
            let mut block = [0; BLOCK];
            let count = self.fill_most(&mut block)?;
            if count == 0 && !self.needs_mark {
                return Ok(None);
            }
            if count < BLOCK {
                return Err(RootsError::CutOff { at: self.at() });
            }
            if block == [0; BLOCK] {
                return self.end();
            }
            let mut header = parse(&block).map_err(|what| {
                if self.at == BLOCK as u64 {
                    let why = "its first 512 bytes are no head of an entry";
                    RootsError::NotAnArchive { why }
                } else {
                    self.nonsense(b"an entry", what)
                }
            })?;
            match header.kind {
                b'L' => name = Some(self.long(&header)?),
                b'K' => link = Some(self.long(&header)?),
                b'x' | b'X' => {
                    let bytes = self.meta(&header)?;
                    let done = pax.extend(&bytes);
                    done.ok_or_else(|| self.nonsense(b"an entry", "its extended header"))?;
                    if pax.taken() > HEADERS_MAX {
                        let what = "the length of its extended headers";
                        return Err(self.nonsense(b"an entry", what));
                    }
                }
                b'g' => {
                    let bytes = self.meta(&header)?;
                    let done = self.global.extend(&bytes);
                    done.ok_or_else(|| self.nonsense(b"the archive", "its extended header"))?;
                    if self.global.taken() > GLOBAL_MAX {
                        let what = "the length of its global extended headers";
                        return Err(self.nonsense(b"the archive", what));
                    }
                    pax = self.global.clone();
                }
                // A volume's label is no file.
                b'V' => {
                    self.begin(&header, header.size);
                    self.skip()?;
                }
                _ => {
                    let names = (name.take(), link.take());
                    amend(&mut header, &pax, names)
                        .map_err(|what| self.nonsense(b"an entry", what))?;
                    return self.entry(header, &pax, &block).map(Some);
                }
            }
        }
    }

    fn entry(&mut self, mut header: Header, pax: &Pax, block: &Block) -> Result<Entry, RootsError> {
        let is_gnu_sparse = header.kind == b'S';
        let has_content = matches!(header.kind, b'0' | 0 | b'7' | b'S');
        if !has_content {
            // Only files have content; some archivers leave a size in the head of a link or a folder.
            header.size = 0;
        }
        self.begin(&header, header.size);
        if is_gnu_sparse {
            self.gnu_pieces(&header, block)?;
            header.kind = b'0';
        } else if pax.value("GNU.sparse.major").is_some() {
            self.pax_pieces(&mut header, pax)?;
        } else if pax.value("GNU.sparse.map").is_some()
            || pax.value("GNU.sparse.numblocks").is_some()
        {
            let name = pax.value("GNU.sparse.name").unwrap_or(&header.name);
            return Err(RootsError::OldSparse {
                name: crate::roots::shown(name),
            });
        }
        let attributes = pax.attributes();
        Ok(Entry {
            attributes: attributes
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect(),
            has_lists: pax.has_lists(),
            length: self.length,
            header,
        })
    }

    fn begin(&mut self, header: &Header, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        self.length = header.size;
        self.position = 0;
        self.pieces = VecDeque::from([(0, size)]);
    }

    /// The map of an old GNU sparse file: four pieces in the head, 21 in each block behind it.
    fn gnu_pieces(&mut self, header: &Header, block: &Block) -> Result<(), RootsError> {
        let mut pieces = Vec::new();
        // Whether there were pieces, or none where none need be, and not too many.
        let mut take = |bytes: &[u8], may_be_empty: bool| {
            let before = pieces.len();
            for pair in bytes.chunks_exact(24) {
                let (Some(at), Some(length)) = (number(&pair[..12]), number(&pair[12..])) else {
                    return false;
                };
                if pair[0] != 0 {
                    pieces.push((
                        u64::try_from(at).unwrap_or(u64::MAX),
                        u64::try_from(length).unwrap_or(u64::MAX),
                    ));
                }
            }
            (may_be_empty || pieces.len() > before) && pieces.len() <= PIECES_MAX
        };
        let mut is_sane = take(&block[386..482], true);
        let mut goes_on = block[482] != 0;
        while is_sane && goes_on {
            let more = self.block()?;
            // A block of the map without a piece could be followed by others without end.
            is_sane = take(&more[..504], false);
            goes_on = more[504] != 0;
        }
        let length = number(&block[483..495]).and_then(|length| u64::try_from(length).ok());
        self.set_pieces(header, pieces, length.filter(|_| is_sane))
    }

    /// The map of a pax sparse file of format 1.0: decimal numbers, a line each, before the content.
    fn pax_pieces(&mut self, header: &mut Header, pax: &Pax) -> Result<(), RootsError> {
        let is_known = pax.value("GNU.sparse.major") == Some(b"1");
        let length = pax.number("GNU.sparse.realsize").flatten();
        let length = length.and_then(|length| u64::try_from(length).ok());
        if let Some(name) = pax.value("GNU.sparse.name") {
            header.name = name.to_vec();
        }
        if !is_known || self.left < BLOCK as u64 {
            return Err(self.nonsense(&header.name, "its sparse map"));
        }
        let (mut numbers, mut digits, mut wanted) = (Vec::new(), String::new(), None);
        while wanted.is_none_or(|wanted| numbers.len() < wanted) {
            if self.left < BLOCK as u64 {
                return Err(self.nonsense(&header.name, "its sparse map"));
            }
            let block = self.block()?;
            self.left -= BLOCK as u64;
            for byte in block {
                match byte {
                    b'0'..=b'9' if digits.len() < 20 => digits.push(char::from(byte)),
                    b'\n' => {
                        let value: u64 = digits
                            .parse()
                            .map_err(|_| self.nonsense(&header.name, "its sparse map"))?;
                        digits.clear();
                        match wanted {
                            None => {
                                wanted = usize::try_from(value)
                                    .ok()
                                    .filter(|count| *count <= PIECES_MAX)
                                    .map(|count| count * 2)
                            }
                            Some(wanted) if numbers.len() < wanted => numbers.push(value),
                            Some(_) => {}
                        }
                        if wanted.is_none() {
                            return Err(self.nonsense(&header.name, "its sparse map"));
                        }
                    }
                    _ if wanted.is_some_and(|wanted| numbers.len() == wanted) => {}
                    _ => return Err(self.nonsense(&header.name, "its sparse map")),
                }
            }
        }
        let pieces = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        self.set_pieces(header, pieces.collect(), length)
    }

    fn set_pieces(
        &mut self,
        header: &Header,
        pieces: Vec<(u64, u64)>,
        length: Option<u64>,
    ) -> Result<(), RootsError> {
        let mut end = 0u64;
        let mut stored = 0u64;
        let is_sane = pieces.iter().all(|(at, length)| {
            let is_behind = *at >= end;
            end = at.saturating_add(*length);
            stored = stored.saturating_add(*length);
            is_behind
        });
        match length {
            Some(length) if is_sane && end <= length && stored == self.left => {
                self.pieces = pieces.into();
                self.length = length;
                Ok(())
            }
            Some(_) | None => Err(self.nonsense(&header.name, "its sparse map")),
        }
    }

    fn long(&mut self, header: &Header) -> Result<Vec<u8>, RootsError> {
        let mut bytes = self.meta(header)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(bytes.len()));
        Ok(bytes)
    }

    fn meta(&mut self, header: &Header) -> Result<Vec<u8>, RootsError> {
        if header.size > META_MAX {
            return Err(self.nonsense(b"an entry", "the length of its name or extended header"));
        }
        self.begin(header, header.size);
        let mut bytes = vec![0; usize::try_from(header.size).unwrap_or(0)];
        self.fill(&mut bytes)?;
        self.left = 0;
        self.skip()?;
        Ok(bytes)
    }

    /// The end mark was seen: zeros may follow, and nothing else.
    fn end(&mut self) -> Result<Option<Entry>, RootsError> {
        let mut piece = vec![0; 1 << 16];
        let mut passed = 0u64;
        loop {
            // The archive is whole; what is not is what follows it.
            let count = read(self.input, &mut piece).map_err(|source| match source.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput => RootsError::Trailing { at: self.at() },
                _ => self.failed(source),
            })?;
            if count == 0 {
                return Ok(None);
            }
            passed += count as u64;
            if passed > TRAILING_MAX || piece[..count].iter().any(|byte| *byte != 0) {
                if self.at == BLOCK as u64 {
                    let why = "it begins with zeros, and goes on with something else";
                    return Err(RootsError::NotAnArchive { why });
                }
                return Err(RootsError::Trailing { at: self.at() });
            }
        }
    }

    /// Passes over what is left of the entry.
    fn skip(&mut self) -> Result<(), RootsError> {
        let mut left = std::mem::take(&mut self.left);
        let mut piece = vec![0; 1 << 16];
        while left > 0 {
            let count = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            self.fill(&mut piece[..count])?;
            left -= count as u64;
        }
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        let count = self.fill_most(&mut piece[..padding])?;
        if count < padding && (count > 0 || self.needs_mark) {
            return Err(RootsError::CutOff { at: self.at() });
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Block, RootsError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        Ok(block)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RootsError> {
        if self.fill_most(buffer)? < buffer.len() {
            return Err(RootsError::CutOff { at: self.at() });
        }
        Ok(())
    }

    /// Fills the buffer, or as much of it as there is before the input's end.
    fn fill_most(&mut self, buffer: &mut [u8]) -> Result<usize, RootsError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let count =
                read(self.input, &mut buffer[filled..]).map_err(|source| self.failed(source))?;
            if count == 0 {
                break;
            }
            filled += count;
            self.at += count as u64;
        }
        Ok(filled)
    }

    fn failed(&self, source: io::Error) -> RootsError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return RootsError::CutOff { at: self.at() };
        }
        RootsError::Archive {
            at: self.at(),
            source,
        }
    }

    fn nonsense(&self, name: &[u8], what: &'static str) -> RootsError {
        RootsError::Field {
            name: format!("{} (before byte {})", crate::roots::shown(name), self.at),
            what,
        }
    }
}

/// The entry's content: what no piece covers is zero.
impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.front().is_some_and(|(_, length)| *length == 0) {
            self.pieces.pop_front();
        }
        let next = self.pieces.front().copied();
        let until = next.map_or(self.length, |(at, _)| at);
        let (count, is_hole) = if until > self.position {
            (until - self.position, true)
        } else {
            (next.map_or(0, |(_, length)| length), false)
        };
        let count = usize::try_from(count).map_or(buffer.len(), |count| count.min(buffer.len()));
        let buffer = &mut buffer[..count];
        let count = if is_hole {
            buffer.fill(0);
            count
        } else if count == 0 {
            return Ok(0);
        } else {
            let count = read(self.input, buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += count as u64;
            self.left -= count as u64;
            if let Some((at, length)) = self.pieces.front_mut() {
                *at += count as u64;
                *length -= count as u64;
            }
            count
        };
        self.position += count as u64;
        Ok(count)
    }
}

fn read(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// What the extended header and long names say instead of the head.
fn amend(
    header: &mut Header,
    pax: &Pax,
    (name, link): (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Result<(), &'static str> {
    let names = [
        (&mut header.name, "path", name),
        (&mut header.link, "linkpath", link),
    ];
    for (place, key, long) in names {
        if let Some(value) = pax.value(key).map(<[u8]>::to_vec).or(long) {
            *place = value;
        }
    }
    let numbers = [
        (&mut header.uid, "uid"),
        (&mut header.gid, "gid"),
        (&mut header.size, "size"),
    ];
    for (place, key) in numbers {
        if let Some(value) = pax.number(key) {
            let value = value.and_then(|value| u64::try_from(value).ok());
            *place = value.ok_or("its extended header")?;
        }
    }
    if let Some(mtime) = pax.number("mtime") {
        header.mtime = mtime.ok_or("its extended header")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry's head, its content, and the filling behind it.
    fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
        let mut block = [0u8; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        finish(block, content)
    }

    fn finish(mut block: Block, content: &[u8]) -> Vec<u8> {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut bytes = block.to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn record(key: &str, length: usize) -> Vec<u8> {
        let mut record = format!("{:07} {key}=", 8 + key.len() + 1 + length + 1).into_bytes();
        record.resize(record.len() + length, b'x');
        record.push(b'\n');
        record
    }

    fn first(bytes: &[u8]) -> Result<Option<Entry>, RootsError> {
        let mut input = bytes;
        Archive::new(&mut input).next()
    }

    #[test]
    fn extended_headers_have_a_limit_however_many_there_are() {
        let mut bytes = Vec::new();
        for number in 0..4 {
            let records = record(&format!("comment{number}"), 700_000);
            bytes.extend(entry(b'x', "headers", &records));
        }
        bytes.extend(entry(b'0', "a", b""));
        let error = first(&bytes).unwrap_err().to_string();
        assert!(error.contains("length of its extended headers"), "{error}");
        // Two of them are taken, and those of one entry do not count for the next.
        let empty = entry(b'0', "a", b"");
        let two = &bytes[..(bytes.len() - empty.len()) / 2];
        let once = [two, &empty].concat();
        let mut input = &*[&once[..], &once, &[0; 1024]].concat();
        let mut archive = Archive::new(&mut input);
        assert!(archive.next().unwrap().is_some() && archive.next().unwrap().is_some());
        assert!(archive.next().unwrap().is_none());
        // What is said for all entries is kept beside each of them.
        let global = entry(b'g', "global", &record("SCHILY.xattr.user.a", 70_000));
        let error = first(&global).unwrap_err().to_string();
        assert!(error.contains("global extended headers"), "{error}");
    }

    #[test]
    fn a_sparse_map_without_end_is_refused_and_a_long_one_is_read_at_once() {
        let mut block: Block = entry(b'S', "sparse", b"")[..BLOCK].try_into().unwrap();
        block[482] = 1;
        block[483..494].copy_from_slice(b"00000010000");
        let mut more = [0u8; BLOCK];
        more[504] = 1;
        let bytes = [finish(block, b""), more.repeat(20)].concat();
        let error = first(&bytes).unwrap_err().to_string();
        assert!(error.contains("sparse map"), "{error}");
        // 65,000 pieces of one byte, as pax has them.
        let pieces = 65_000u32;
        let mut map = format!("{pieces}\n");
        for piece in 0..pieces {
            map += &format!("{}\n1\n", u64::from(piece) * 8192);
        }
        let mut content = map.into_bytes();
        content.resize(content.len().next_multiple_of(BLOCK), 0);
        content.resize(content.len() + 65_000, b'x');
        let length = u64::from(pieces) * 8192;
        let real = length.to_string();
        let mut records = b"22 GNU.sparse.major=1\n".to_vec();
        let line = format!("GNU.sparse.realsize={real}\n");
        records.extend(format!("{} {line}", line.len() + 3).bytes());
        let bytes = [entry(b'x', "h", &records), entry(b'0', "s", &content)].concat();
        let mut input = &bytes[..];
        let mut archive = Archive::new(&mut input);
        let entry = archive.next().unwrap().unwrap();
        assert_eq!(entry.length, length);
        let began = std::time::Instant::now();
        let (mut piece, mut ones) = (vec![0; 1 << 20], 0);
        loop {
            let count = archive.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            ones += piece[..count].iter().filter(|byte| **byte == b'x').count();
        }
        assert_eq!(ones, 65_000);
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    }
}
