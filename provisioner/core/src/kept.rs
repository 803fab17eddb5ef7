// SPDX-License-Identifier: Apache-2.0
//! What is long and seldom asked for, kept small: inventories, plans and figures as compressed JSON, shared by all who hold the
//! same one, with the few fields beside it that are asked for all the time.
//!
//! It never changes what it keeps, and it opens nothing that it did not close itself: the bytes come from here, or from a
//! snapshot of this very build whose digest was verified.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Deref;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{Inventory, SystemInfo};
use groundstate_api::plan::Plan;
use groundstate_api::{BootId, NodeId, PlanId, RunId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of a value, or their place in the list that a snapshot keeps them in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bytes {
    Here(Arc<[u8]>),
    InList(u32),
}

/// A value as compressed JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed(Bytes);

impl Packed {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // No value of ours has a map whose keys are no texts, which is all that could fail.
        let json = serde_json::to_vec(value).unwrap_or_default();
        Self::of_bytes(&json)
    }

    pub(crate) fn of_bytes(plain: &[u8]) -> Self {
        Self(Bytes::Here(
            lz4_flex::block::compress_prepend_size(plain).into(),
        ))
    }

    pub(crate) fn open<T: DeserializeOwned>(&self) -> T {
        let value = match &self.0 {
            Bytes::Here(bytes) => plain(bytes).and_then(|json| serde_json::from_slice(&json).ok()),
            Bytes::InList(_) => None,
        };
        value.expect("what was closed here can be opened here")
    }

    /// Puts the bytes into a list, once, and remembers their place only.
    pub(crate) fn put_into(&mut self, list: &mut Vec<Arc<[u8]>>) {
        let Bytes::Here(bytes) = &self.0 else { return };
        let known = list
            .iter()
            .position(|one| Arc::ptr_eq(one, bytes) || one == bytes);
        let place = known.unwrap_or(list.len());
        if known.is_none() {
            list.push(bytes.clone());
        }
        self.0 = Bytes::InList(u32::try_from(place).unwrap_or(u32::MAX));
    }

    /// Takes the bytes out of the list; whether they are there.
    #[must_use]
    pub(crate) fn take_from(&mut self, list: &[Arc<[u8]>]) -> bool {
        let Bytes::InList(place) = self.0 else {
            return true;
        };
        let found = usize::try_from(place)
            .ok()
            .and_then(|place| list.get(place));
        match found {
            Some(bytes) => self.0 = Bytes::Here(bytes.clone()),
            None => return false,
        }
        true
    }
}

/// Bytes that a value may take when it is opened: far more than any inventory, so that a length that is wrong asks for no memory.
const PLAIN_MAX: usize = 64 << 20;

/// The JSON of compressed bytes; `None` where they are none.
pub(crate) fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    let (length, _) = lz4_flex::block::uncompressed_size(bytes).ok()?;
    (length <= PLAIN_MAX).then_some(())?;
    lz4_flex::block::decompress_size_prepended(bytes).ok()
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Bytes::InList(place) => place.serialize(serializer),
            Bytes::Here(_) => Err(serde::ser::Error::custom(
                "a snapshot forgot one of a node's long values",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(|place| Self(Bytes::InList(place)))
    }
}

/// A value that is opened when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Kept<T> {
    pub(crate) packed: Packed,
    what: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Keeps a value.
    #[must_use]
    pub fn new(value: &T) -> Self {
        Self {
            packed: Packed::of(value),
            what: PhantomData,
        }
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> T {
        self.packed.open()
    }
}

/// Figures by the disk's serial number.
pub type Figures = BTreeMap<String, BTreeMap<String, i64>>;

/// An inventory, with what is asked for all the time beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptInventory(Arc<Seen>);

/// What is known of an inventory without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The boot in which it was made.
    pub boot_id: BootId,
    /// The machine.
    pub system: SystemInfo,
    pub(crate) whole: Kept<Inventory>,
}

impl KeptInventory {
    /// Keeps one.
    #[must_use]
    pub fn new(inventory: &Inventory) -> Self {
        Self(Arc::new(Seen {
            boot_id: inventory.boot_id.clone(),
            system: inventory.system.clone(),
            whole: Kept::new(inventory),
        }))
    }

    /// All of it.
    #[must_use]
    pub fn get(&self) -> Box<Inventory> {
        Box::new(self.0.whole.get())
    }

    pub(crate) fn packed_mut(&mut self) -> &mut Packed {
        &mut Arc::make_mut(&mut self.0).whole.packed
    }
}

impl Deref for KeptInventory {
    type Target = Seen;
    fn deref(&self) -> &Seen {
        &self.0
    }
}

/// A plan, with what is asked for all the time beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPlan(Arc<Written>);

/// What is known of a plan without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its id.
    pub id: PlanId,
    /// The run that it is of.
    pub run: RunId,
    /// The node.
    pub node: NodeId,
    /// The image.
    pub image: ImageRef,
    pub(crate) whole: Kept<Plan>,
}

impl KeptPlan {
    /// Keeps one.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self(Arc::new(Written {
            id: plan.id.clone(),
            run: plan.run.clone(),
            node: plan.node.clone(),
            image: plan.image.clone(),
            whole: Kept::new(plan),
        }))
    }

    /// All of it.
    #[must_use]
    pub fn get(&self) -> Box<Plan> {
        Box::new(self.0.whole.get())
    }

    pub(crate) fn packed_mut(&mut self) -> &mut Packed {
        &mut Arc::make_mut(&mut self.0).whole.packed
    }
}

impl Deref for KeptPlan {
    type Target = Written;
    fn deref(&self) -> &Written {
        &self.0
    }
}

impl Serialize for KeptInventory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeptInventory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seen::deserialize(deserializer).map(|seen| Self(Arc::new(seen)))
    }
}

impl Serialize for KeptPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeptPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer).map(|written| Self(Arc::new(written)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_put_into_the_list_once_and_found_again() {
        let one = Packed::of(&"a text");
        let (mut list, mut first, mut other) = (Vec::new(), one.clone(), Packed::of(&7));
        let mut again = Packed::of(&"a text");
        for packed in [&mut first, &mut other, &mut again] {
            packed.put_into(&mut list);
        }
        assert_eq!((list.len(), &first), (2, &again));
        assert_eq!(serde_json::to_string(&other).unwrap(), "1");
        assert!(serde_json::to_string(&one).is_err(), "it is not in a list");
        assert!(first.take_from(&list) && other.take_from(&list));
        assert_eq!(
            (first.open::<String>(), other.open::<u32>()),
            ("a text".into(), 7)
        );
        let mut beyond: Packed = serde_json::from_str("2").unwrap();
        assert!(!beyond.take_from(&list));
    }

    #[test]
    fn a_length_that_is_wrong_asks_for_no_memory() {
        assert_eq!(plain(b""), None);
        assert_eq!(plain(&[0xff; 64]), None);
        let right = lz4_flex::block::compress_prepend_size(b"{}");
        assert_eq!(plain(&right).unwrap(), b"{}");
        assert_eq!(plain(right.get(..right.len() - 1).unwrap()), None);
    }
}
