//! Tensors as bytes: little endian, one element after the other; BYTES with
//! the length of each before it. It is the form of the binary extension and
//! of gRPC; JSON is written from it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::scenario::endpoint::Datatype;

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    /// Its name.
    pub(crate) name: String,
    /// The type of its elements.
    pub(crate) datatype: Datatype,
    /// Its dimensions.
    pub(crate) shape: Vec<u32>,
    /// Its elements.
    pub(crate) bytes: Vec<u8>,
}

/// A number on its way into a tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    /// A whole one.
    Whole(i64),
    /// Any.
    Real(f64),
}

/// Appends a number.
pub(crate) fn push_number(bytes: &mut Vec<u8>, datatype: Datatype, number: Number) {
    // Whole numbers were checked to fit when the scenario was read.
    let (whole, real) = match number {
        Number::Whole(whole) => (whole, whole as f64),
        Number::Real(real) => (real as i64, real),
    };
    match datatype {
        Datatype::Bool => bytes.push(u8::from(whole != 0)),
        Datatype::Uint8 => bytes.extend((whole as u8).to_le_bytes()),
        Datatype::Uint16 => bytes.extend((whole as u16).to_le_bytes()),
        Datatype::Uint32 => bytes.extend((whole as u32).to_le_bytes()),
        Datatype::Uint64 => bytes.extend((whole as u64).to_le_bytes()),
        Datatype::Int8 => bytes.extend((whole as i8).to_le_bytes()),
        Datatype::Int16 => bytes.extend((whole as i16).to_le_bytes()),
        Datatype::Int32 => bytes.extend((whole as i32).to_le_bytes()),
        Datatype::Int64 => bytes.extend(whole.to_le_bytes()),
        Datatype::Fp16 => bytes.extend(half(real as f32).to_le_bytes()),
        Datatype::Bf16 => bytes.extend(bfloat(real as f32).to_le_bytes()),
        Datatype::Fp32 => bytes.extend((real as f32).to_le_bytes()),
        Datatype::Fp64 => bytes.extend(real.to_le_bytes()),
        Datatype::Bytes => match number {
            Number::Whole(whole) => push_text(bytes, &whole.to_string()),
            Number::Real(real) => push_text(bytes, &real.to_string()),
        },
    }
}

/// Appends an element of BYTES.
pub(crate) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Appends a value of the scenario or of a data file.
pub(crate) fn push_value(bytes: &mut Vec<u8>, datatype: Datatype, value: &Value) {
    match value {
        Value::String(text) if datatype == Datatype::Bytes => push_text(bytes, text),
        Value::Bool(truth) if datatype == Datatype::Bytes => push_text(bytes, &truth.to_string()),
        Value::Bool(truth) => push_number(bytes, datatype, Number::Whole(i64::from(*truth))),
        Value::Number(number) if datatype == Datatype::Bytes => push_text(bytes, &number.to_string()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => push_number(bytes, datatype, Number::Whole(whole)),
            // Two's complement: the bits of a UINT64.
            (None, Some(whole)) if datatype == Datatype::Uint64 => bytes.extend(whole.to_le_bytes()),
            _ => push_number(bytes, datatype, Number::Real(number.as_f64().unwrap_or_default())),
        },
        // Refused when the scenario was read.
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => {}
    }
}

impl Tensor {
    /// Writes the elements as a flat JSON array.
    pub(crate) fn write_json(&self, out: &mut String) {
        out.push('[');
        let mut first = true;
        let mut rest = self.bytes.as_slice();
        while let Some(element) = next(&mut rest, self.datatype) {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            write_element(out, self.datatype, element);
        }
        out.push(']');
    }
}

/// Takes the next element off the front. None: the end, or half an element.
pub(crate) fn next<'b>(rest: &mut &'b [u8], datatype: Datatype) -> Option<&'b [u8]> {
    let size = match datatype.size() {
        Some(size) => size,
        None => {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            if tail.len() < length {
                return None;
            }
            *rest = tail;
            length
        }
    };
    let (element, tail) = rest.split_at_checked(size)?;
    *rest = tail;
    Some(element)
}

fn write_element(out: &mut String, datatype: Datatype, element: &[u8]) {
    macro_rules! number {
        ($type:ty) => {
            number!($type, "{}")
        };
        ($type:ty, $form:literal) => {{
            let mut bytes = [0; size_of::<$type>()];
            bytes.copy_from_slice(element);
            // Writing to a String can't fail, here and below.
            let _ = write!(out, $form, <$type>::from_le_bytes(bytes));
        }};
    }
    match datatype {
        Datatype::Bool => out.push_str(if element == [0] { "false" } else { "true" }),
        Datatype::Uint8 => number!(u8),
        Datatype::Uint16 | Datatype::Fp16 | Datatype::Bf16 => number!(u16),
        Datatype::Uint32 => number!(u32),
        Datatype::Uint64 => number!(u64),
        Datatype::Int8 => number!(i8),
        Datatype::Int16 => number!(i16),
        Datatype::Int32 => number!(i32),
        Datatype::Int64 => number!(i64),
        // Debug: with an exponent, where there would be many digits.
        Datatype::Fp32 => number!(f32, "{:?}"),
        Datatype::Fp64 => number!(f64, "{:?}"),
        Datatype::Bytes => out.push_str(&Value::from(String::from_utf8_lossy(element)).to_string()),
    }
}

/// What raw bytes hold: how many elements, and how many of them are NaN or
/// infinite.
///
/// # Errors
/// They end within an element.
pub(crate) fn count(bytes: &[u8], datatype: Datatype) -> Result<(usize, usize), String> {
    let (mut all, mut odd) = (0, 0);
    let mut rest = bytes;
    while let Some(element) = next(&mut rest, datatype) {
        all += 1;
        odd += usize::from(!is_finite(element, datatype));
    }
    if rest.is_empty() {
        Ok((all, odd))
    } else {
        Err(format!("{} bytes end within an element of {}", bytes.len(), datatype.as_str()))
    }
}

/// By the exponent: all ones is infinite or not a number.
fn is_finite(element: &[u8], datatype: Datatype) -> bool {
    match (datatype, element) {
        (Datatype::Fp16, &[_, high]) => high & 0x7c != 0x7c,
        (Datatype::Bf16, &[low, high]) => high & 0x7f != 0x7f || low & 0x80 == 0,
        (Datatype::Fp32, &[.., low, high]) => high & 0x7f != 0x7f || low & 0x80 == 0,
        (Datatype::Fp64, &[.., low, high]) => high & 0x7f != 0x7f || low & 0xf0 != 0xf0,
        _ => true,
    }
}

/// To bfloat16, to the nearest, ties to even.
fn bfloat(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) | 0x40) as u16;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// To half precision, to the nearest, ties to even.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65520 and above round to infinity.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude >= 0x3880_0000 {
        // Normal: another bias, 13 bits less.
        let rebiased = magnitude - (112 << 23);
        return sign | ((rebiased + 0xfff + ((rebiased >> 13) & 1)) >> 13) as u16;
    }
    // Subnormal: in units of 2^-24. Exact, since both factors are.
    let units = f64::from(f32::from_bits(magnitude)) * 16_777_216.0;
    sign | units.round_ties_even() as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn halves_are_what_the_standard_says() {
        for (value, bits) in [
            (0.0, 0x0000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65520.0, 0x7c00),
            (6.103_515_6e-5, 0x0400),
            (5.960_464_5e-8, 0x0001),
            (0.333_251_95, 0x3555),
            (1.000_488_3, 0x3c00),
            (1.001_464_8, 0x3c02),
            (f32::INFINITY, 0x7c00),
        ] {
            assert_eq!(half(value), bits, "{value}");
        }
        assert_eq!((bfloat(1.0), bfloat(-2.5), bfloat(f32::INFINITY)), (0x3f80, 0xc020, 0x7f80));
        assert!(half(f32::NAN) & 0x7c00 == 0x7c00 && bfloat(f32::NAN) & 0x7f80 == 0x7f80);
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        for (datatype, bytes) in [
            (Datatype::Fp16, half(f32::NAN).to_le_bytes().to_vec()),
            (Datatype::Bf16, bfloat(f32::NEG_INFINITY).to_le_bytes().to_vec()),
            (Datatype::Fp32, f32::NAN.to_le_bytes().to_vec()),
            (Datatype::Fp64, f64::INFINITY.to_le_bytes().to_vec()),
        ] {
            assert_eq!(count(&bytes, datatype), Ok((1, 1)), "{datatype:?}");
        }
        let finite = [f32::MAX, f32::MIN_POSITIVE, -0.0].map(f32::to_le_bytes).concat();
        assert_eq!(count(&finite, Datatype::Fp32), Ok((3, 0)));
        let finite = [f64::MAX, f64::MIN_POSITIVE, 1.9].map(f64::to_le_bytes).concat();
        assert_eq!(count(&finite, Datatype::Fp64), Ok((3, 0)));
        assert!(count(&[0; 7], Datatype::Fp32).is_err());
        assert!(count(&[5, 0, 0, 0, b'a'], Datatype::Bytes).is_err());
    }

    fn values(datatype: Datatype) -> BoxedStrategy<Vec<Value>> {
        let value = match datatype {
            Datatype::Bool => any::<bool>().prop_map(Value::from).boxed(),
            Datatype::Uint8 => any::<u8>().prop_map(Value::from).boxed(),
            Datatype::Uint16 => any::<u16>().prop_map(Value::from).boxed(),
            Datatype::Uint32 => any::<u32>().prop_map(Value::from).boxed(),
            Datatype::Uint64 => any::<u64>().prop_map(Value::from).boxed(),
            Datatype::Int8 => any::<i8>().prop_map(Value::from).boxed(),
            Datatype::Int16 => any::<i16>().prop_map(Value::from).boxed(),
            Datatype::Int32 => any::<i32>().prop_map(Value::from).boxed(),
            Datatype::Int64 => any::<i64>().prop_map(Value::from).boxed(),
            Datatype::Fp32 | Datatype::Fp16 | Datatype::Bf16 => {
                (-1e30_f32..1e30).prop_map(Value::from).boxed()
            }
            Datatype::Fp64 => (-1e300..1e300).prop_map(Value::from).boxed(),
            Datatype::Bytes => "[\\PC]{0,9}".prop_map(Value::from).boxed(),
        };
        prop::collection::vec(value, 0..20).boxed()
    }

    fn any_values() -> impl Strategy<Value = (Datatype, Vec<Value>)> {
        prop::sample::select(Datatype::ALL.to_vec())
            .prop_flat_map(|datatype| (Just(datatype), values(datatype)))
    }

    proptest! {
        /// Into bytes and, as JSON, out again: what went in comes out.
        #[test]
        fn elements_come_back((datatype, values) in any_values()) {
            let mut tensor = Tensor { name: "x".into(), datatype, shape: vec![], bytes: Vec::new() };
            values.iter().for_each(|value| push_value(&mut tensor.bytes, datatype, value));
            prop_assert_eq!(count(&tensor.bytes, datatype).map(|(all, _)| all), Ok(values.len()));
            if matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
                return Ok(());
            }
            let mut text = String::new();
            tensor.write_json(&mut text);
            let back: Vec<Value> = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(back.len(), values.len());
            for (back, value) in back.iter().zip(&values) {
                let same = match (back.as_f64(), value.as_f64()) {
                    // serde_json may be off in a float's last digit.
                    (Some(a), Some(b)) if datatype.is_float() => {
                        let near = if datatype == Datatype::Fp32 { 1e-7 } else { 1e-15 };
                        (a - b).abs() <= b.abs() * near
                    }
                    _ => back == value,
                };
                prop_assert!(same, "{} and {}", back, value);
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for datatype in Datatype::ALL {
                let _ = count(&bytes, datatype);
            }
        }
    }

    #[test]
    fn texts_have_their_lengths_before_them() {
        let mut bytes = Vec::new();
        push_value(&mut bytes, Datatype::Bytes, &json!("hé"));
        push_value(&mut bytes, Datatype::Bytes, &json!(5));
        assert_eq!(bytes, [3, 0, 0, 0, b'h', 0xc3, 0xa9, 1, 0, 0, 0, b'5']);
    }
}
