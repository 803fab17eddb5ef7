// SPDX-License-Identifier: Apache-2.0
//! A document in which every value is a text, as XML has it, read as what is asked for: a number, a truth, a list of one.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::{Error, Value};

/// A value of such a document.
#[derive(Clone, Copy)]
pub(super) struct Lax<'a>(pub(super) &'a Value);

impl<'de> IntoDeserializer<'de, Error> for Lax<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl Lax<'_> {
    fn number<T: core::str::FromStr>(self, what: &str) -> Result<T, Error> {
        // What was read beside the site file is a number already.
        let said = self.0.as_u64().map(|number| number.to_string());
        let said = said.as_deref().or(self.0.as_str());
        let text = said.unwrap_or_default().trim();
        let number = text.parse();
        number.map_err(|_| Error::custom(format!("{text:?} should be {what}")))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number($what)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Lax<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.0.deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 "a number of 0 to 255";
        deserialize_u16 visit_u16 "a number of 0 to 65535";
        deserialize_u32 visit_u32 "a whole number";
        deserialize_u64 visit_u64 "a whole number";
        deserialize_i8 visit_i8 "a number";
        deserialize_i16 visit_i16 "a number";
        deserialize_i32 visit_i32 "a number";
        deserialize_i64 visit_i64 "a number";
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_str() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            other => Err(Error::custom(format!(
                "{:?} should be true or false",
                other.unwrap_or_default()
            ))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let values = match self.0 {
            Value::Array(values) => values.as_slice(),
            one => core::slice::from_ref(one),
        };
        visitor.visit_seq(SeqDeserializer::new(values.iter().map(Lax)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(fields) => {
                let entries = fields.iter().map(|(key, value)| (key.as_str(), Lax(value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            // An element with nothing in it.
            Value::String(text) if text.trim().is_empty() => {
                let none = core::iter::empty::<(&str, Lax<'_>)>();
                visitor.visit_map(MapDeserializer::new(none))
            }
            Value::Array(_) => Err(Error::custom("should stand there once")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Err(Error::custom("should be an element with attributes"))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => Err(Error::custom("should stand there once")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                Err(Error::custom("should be a text"))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Some(text) = self.0.as_str() else {
            return Err(Error::custom("should be a text"));
        };
        visitor.visit_enum(text.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
