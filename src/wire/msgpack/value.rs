//! Values in MessagePack. They are those of the older protocol too ([`Value`]), so that nobody
//! behind this door has to know which of the two a slave speaks.

use rmp::Marker;
use rmp::encode;

use super::Garbled;
use crate::wire::pb::jelly::Value;

/// More than any message of Buildbot's needs.
pub(crate) const DEEPEST: usize = 32;

/// Values of one message: each costs more memory than the byte that it may be.
pub(crate) const MOST: usize = 1 << 18;

/// Reads the one value of a message.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Garbled> {
    let mut reader = Reader { bytes, left: MOST };
    let value = reader.value(DEEPEST)?;
    match reader.bytes {
        [] => Ok(value),
        _ => Err(Garbled::Rest),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Garbled> {
        self.left = self.left.checked_sub(1).ok_or(Garbled::Large)?;
        let [marker] = self.fixed()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Value::None,
            Marker::False => Value::Bool(false),
            Marker::True => Value::Bool(true),
            Marker::FixPos(number) => Value::Int(number.into()),
            Marker::FixNeg(number) => Value::Int(number.into()),
            Marker::U8 => Value::Int(u8::from_be_bytes(self.fixed()?).into()),
            Marker::U16 => Value::Int(u16::from_be_bytes(self.fixed()?).into()),
            Marker::U32 => Value::Int(u32::from_be_bytes(self.fixed()?).into()),
            Marker::U64 => {
                let number = u64::from_be_bytes(self.fixed()?);
                Value::Int(i64::try_from(number).map_err(|_| Garbled::Integer)?)
            }
            Marker::I8 => Value::Int(i8::from_be_bytes(self.fixed()?).into()),
            Marker::I16 => Value::Int(i16::from_be_bytes(self.fixed()?).into()),
            Marker::I32 => Value::Int(i32::from_be_bytes(self.fixed()?).into()),
            Marker::I64 => Value::Int(i64::from_be_bytes(self.fixed()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.fixed()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.fixed()?)),
            Marker::FixStr(length) => self.text(length.into())?,
            Marker::Str8 => self.length1().and_then(|it| self.text(it))?,
            Marker::Str16 => self.length2().and_then(|it| self.text(it))?,
            Marker::Str32 => self.length4().and_then(|it| self.text(it))?,
            Marker::Bin8 => self.length1().and_then(|it| self.blob(it))?,
            Marker::Bin16 => self.length2().and_then(|it| self.blob(it))?,
            Marker::Bin32 => self.length4().and_then(|it| self.blob(it))?,
            Marker::FixArray(count) => self.list(count.into(), depth)?,
            Marker::Array16 => self.length2().and_then(|it| self.list(it, depth))?,
            Marker::Array32 => self.length4().and_then(|it| self.list(it, depth))?,
            Marker::FixMap(count) => self.dict(count.into(), depth)?,
            Marker::Map16 => self.length2().and_then(|it| self.dict(it, depth))?,
            Marker::Map32 => self.length4().and_then(|it| self.dict(it, depth))?,
            // No extension means anything here.
            Marker::Reserved
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
            | Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16 => return Err(Garbled::Type),
        })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Garbled::Cut)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn length1(&mut self) -> Result<usize, Garbled> {
        self.fixed().map(|it| u8::from_be_bytes(it).into())
    }

    fn length2(&mut self) -> Result<usize, Garbled> {
        self.fixed().map(|it| u16::from_be_bytes(it).into())
    }

    fn length4(&mut self) -> Result<usize, Garbled> {
        usize::try_from(u32::from_be_bytes(self.fixed()?)).map_err(|_| Garbled::Cut)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Garbled::Cut)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn text(&mut self, length: usize) -> Result<Value, Garbled> {
        let text = str::from_utf8(self.bytes(length)?).map_err(|_| Garbled::Text)?;
        Ok(Value::Text(text.to_owned()))
    }

    fn blob(&mut self, length: usize) -> Result<Value, Garbled> {
        Ok(Value::Bytes(self.bytes(length)?.to_vec()))
    }

    /// So many values, said before they come: room is made for those that are there.
    fn room(&self, values: usize, depth: usize) -> Result<usize, Garbled> {
        if values > self.left {
            return Err(Garbled::Large);
        }
        if values > self.bytes.len() {
            return Err(Garbled::Cut);
        }
        depth.checked_sub(1).ok_or(Garbled::Deep)
    }

    fn list(&mut self, count: usize, depth: usize) -> Result<Value, Garbled> {
        let depth = self.room(count, depth)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.value(depth)?);
        }
        Ok(Value::List(items))
    }

    fn dict(&mut self, count: usize, depth: usize) -> Result<Value, Garbled> {
        let depth = self.room(count.saturating_mul(2), depth)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((self.value(depth)?, self.value(depth)?));
        }
        Ok(Value::Dict(pairs))
    }
}

/// Appends a value. What only the older protocol has is nothing here.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    let written = match value {
        Value::None | Value::Ours(_) | Value::Theirs(_) | Value::Failure(_) | Value::Opaque(_) => {
            out.push(Marker::Null.to_u8());
            Ok(())
        }
        Value::Bool(truth) => {
            let marker = if *truth { Marker::True } else { Marker::False };
            out.push(marker.to_u8());
            Ok(())
        }
        Value::Int(number) => encode::write_sint(out, *number).map(drop),
        Value::Float(number) => encode::write_f64(out, *number),
        Value::Text(text) => encode::write_str(out, text),
        Value::Bytes(bytes) => encode::write_bin(out, bytes),
        Value::List(items) | Value::Tuple(items) => {
            let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let written = encode::write_array_len(out, count).map(drop);
            items.iter().for_each(|item| write(item, out));
            written
        }
        Value::Dict(pairs) => {
            let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
            let written = encode::write_map_len(out, count).map(drop);
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
            written
        }
    };
    written.expect("memory takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn every_form_of_every_type_is_read() {
        let list = |items: &[i64]| Value::List(items.iter().map(|it| Value::Int(*it)).collect());
        for (bytes, value) in [
            (&[0xc0][..], Value::None),
            (&[0xc3], Value::Bool(true)),
            (&[0x7f], Value::Int(127)),
            (&[0xe0], Value::Int(-32)),
            (&[0xcd, 1, 0], Value::Int(256)),
            (&[0xcf, 0, 0, 0, 1, 0, 0, 0, 0], Value::Int(1 << 32)),
            (&[0xd0, 0x80], Value::Int(-128)),
            (&[0xd1, 0x80, 0], Value::Int(-32768)),
            (&[0xd2, 0x80, 0, 0, 0], Value::Int(i32::MIN.into())),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Value::Int(i64::MIN)),
            (&[0xca, 0x3f, 0xc0, 0, 0], Value::Float(1.5)),
            (&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Value::Float(1.5)),
            (&[0xa2, 0xc3, 0xa9], Value::text("é")),
            (&[0xda, 0, 1, b'x'], Value::text("x")),
            (&[0xdb, 0, 0, 0, 1, b'x'], Value::text("x")),
            (&[0xc4, 1, 0xff], Value::Bytes(vec![0xff])),
            (&[0xc6, 0, 0, 0, 1, 0xff], Value::Bytes(vec![0xff])),
            (&[0xdc, 0, 2, 1, 2], list(&[1, 2])),
            (&[0xdd, 0, 0, 0, 1, 1], list(&[1])),
            (
                &[0xde, 0, 1, 0xa1, b'k', 1],
                Value::dict([("k", Value::Int(1))]),
            ),
        ] {
            assert_eq!(read(bytes), Ok(value), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_message_is_told_from_one_and_costs_no_memory() {
        let deep = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(read(&deep(DEEPEST)).is_ok());
        assert_eq!(read(&deep(DEEPEST + 1)), Err(Garbled::Deep));
        assert_eq!(read(&deep(1 << 20)), Err(Garbled::Deep));
        for (bytes, why) in [
            (&[][..], Garbled::Cut),
            (&[0xc0, 0xc0], Garbled::Rest),
            (&[0xc1], Garbled::Type),
            (&[0xd4, 0, 0], Garbled::Type),
            // Lists, maps, texts of gigabytes that do not come.
            (&[0xdd, 0xff, 0xff, 0xff, 0xff], Garbled::Large),
            (&[0xdf, 0xff, 0xff, 0xff, 0xff], Garbled::Large),
            (&[0xdd, 0, 0, 0xff, 0xff], Garbled::Cut),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x'], Garbled::Cut),
            (
                &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                Garbled::Integer,
            ),
            (&[0xa1, 0xff], Garbled::Text),
        ] {
            assert_eq!(read(bytes), Err(why), "{bytes:x?}");
        }
        let mut many = vec![0xdd, 0, 3, 0xff, 0xff];
        many.extend(vec![0x90; 0x3_ffff]);
        assert!(read(&many).is_ok());
        let mut more = vec![0x92];
        more.extend(many.repeat(2));
        assert_eq!(read(&more), Err(Garbled::Large));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9..1e9).prop_map(Value::Float),
            "\\PC{0,40}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 40, 20, |inner| {
            let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..20);
            prop_oneof![
                prop::collection::vec(inner, 0..20).prop_map(Value::List),
                pairs.prop_map(Value::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_no_part_of_it_does(value in values(), cut in any::<prop::sample::Index>()) {
            let bytes = written(&value);
            prop_assert_eq!(read(&bytes), Ok(value));
            let cut = cut.index(bytes.len());
            prop_assert!(read(&bytes[..cut]).is_err());
        }

        #[test]
        fn any_bytes_are_a_value_or_a_mistake(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = read(&bytes) {
                // Shorter forms may be chosen; what is said stays the same. A float that is no
                // number is not equal to itself.
                let again = read(&written(&value)).expect("its own words");
                prop_assert_eq!(format!("{again:?}"), format!("{value:?}"));
            }
        }
    }
}
