// SPDX-License-Identifier: Apache-2.0
//! JSON schemas of the words that are written as one text or one row: the description of the API is made of them, in tests.

use crate::boot_rules::LocalDisk;
use crate::digest::Digest;
use crate::fan_out::PieceSet;
use crate::ids::{BootId, MacAddr, NodeId, PlanId, RunId, SystemUuid};
use crate::image::Chunk;
use crate::trust::KeyId;
use alloc::borrow::Cow;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! text {
    ($($name:ident, $pattern:literal, $says:literal;)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "description": $says})
            }
        }
    )*};
}

text! {
    NodeId, "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "A node's name.";
    RunId, "^[A-Za-z0-9_-]{1,80}$", "A run.";
    PlanId, "^[0-9a-f]{64}$", "A plan.";
    BootId, "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", "One boot of one machine.";
    MacAddr, "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$", "A MAC address.";
    SystemUuid, "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", "The UUID in SMBIOS.";
    Digest, "^sha256:[0-9a-f]{64}$", "SHA-256.";
    LocalDisk, "^(usual|exit|no-answer|sanboot( 0x[89a-f][0-9a-f])?)$", "How a machine goes on from its own disk.";
    PieceSet, "^[0-9a-fA-F]*$", "Pieces of an image: a bit each, from the highest of the first digit.";
    KeyId, "^[0-9A-F]{16}$", "A key of minisign.";
}

impl JsonSchema for Chunk {
    fn schema_name() -> Cow<'static, str> {
        "Chunk".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<(u64, u64, Digest, u64, Digest)>()
    }
}
