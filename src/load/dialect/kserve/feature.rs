//! The feature of each item of a tensor: what a classifier, a regressor or a
//! ranker said of it.

use std::borrow::Cow;

use super::{
    Came,
    elements::Elements,
    known,
    tensor::{count, next},
};
use crate::{
    journal::Feature,
    kserve::InferTensorContents,
    scenario::endpoint::{Datatype, Output},
};

/// A tensor's elements, as they came.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// Their bytes.
    Raw(&'a [u8]),
    /// JSON.
    Json(&'a Elements),
    /// The field of their type.
    Typed(&'a InferTensorContents),
    /// Protocol buffers leave out what is empty.
    Empty,
}

/// Elements as they are compared.
enum Values<'a> {
    Numbers(Cow<'a, [f64]>),
    Texts(Vec<Cow<'a, str>>),
}

impl Content<'_> {
    /// How many elements there are, and how many of them are NaN or infinite.
    pub(super) fn count(&self, datatype: Datatype) -> Result<(usize, usize), String> {
        match self {
            Self::Raw(bytes) => count(bytes, datatype),
            Self::Json(data) => match data.wrong(datatype) {
                0 => Ok((data.count(), data.nulls)),
                wrong => Err(format!("{wrong} elements are no {}", datatype.as_str())),
            },
            Self::Typed(contents) => typed(contents, datatype).map(|values| match values {
                Values::Texts(all) => (all.len(), 0),
                Values::Numbers(all) => (all.len(), all.iter().filter(|number| !number.is_finite()).count()),
            }),
            Self::Empty => Ok((0, 0)),
        }
    }

    fn values(&self, datatype: Datatype) -> Option<Values<'_>> {
        match self {
            Self::Raw(bytes) => Some(raw(bytes, datatype)),
            Self::Json(data) if datatype == Datatype::Bytes => {
                Some(Values::Texts(data.texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect()))
            }
            Self::Json(data) => Some(Values::Numbers(Cow::Borrowed(&data.numbers))),
            Self::Typed(contents) => typed(contents, datatype).ok(),
            Self::Empty => None,
        }
    }
}

/// The features of the output of this name, of an answer to `batch` items. None
/// is named: that of the first one that is `declared`, or else that came.
pub(super) fn features(
    all: &[Came<'_>],
    declared: &[Output],
    name: Option<&str>,
    batch: u32,
) -> Vec<Feature> {
    let name = name.or(declared.first().map(|output| output.name.as_str()));
    let came = match name {
        Some(name) => all.iter().find(|came| came.name == name),
        None => all.first(),
    };
    let Some(came) = came else { return vec![Feature::Missing] };
    let values = known(came.datatype).ok().and_then(|datatype| came.content.values(datatype));
    match values {
        None => Vec::new(),
        Some(Values::Numbers(all)) => {
            chunks(&all, items(came.shape, batch)).map(Feature::of_scores).collect()
        }
        // A list of names has the best one first.
        Some(Values::Texts(all)) => chunks(&all, items(came.shape, batch))
            .map(|texts| texts.first().map_or(Feature::Missing, |text| Feature::text(text)))
            .collect(),
    }
}

/// How many items an output of this shape is about: as many as its first
/// dimension has, but for a list, which is about one unless it has an element
/// for each item of the batch.
fn items(shape: &[i64], batch: u32) -> usize {
    let first = match shape {
        [only] if *only == i64::from(batch) => *only,
        [] | [_] => 1,
        [first, ..] => *first,
    };
    usize::try_from(first).unwrap_or_default()
}

fn chunks<T>(all: &[T], items: usize) -> std::slice::Chunks<'_, T> {
    all.chunks(all.len().checked_div(items).unwrap_or_default().max(1))
}

fn raw(bytes: &[u8], datatype: Datatype) -> Values<'_> {
    let mut rest = bytes;
    let elements = std::iter::from_fn(|| next(&mut rest, datatype));
    if datatype == Datatype::Bytes {
        Values::Texts(elements.map(String::from_utf8_lossy).collect())
    } else {
        Values::Numbers(elements.map(|element| number(element, datatype)).collect())
    }
}

/// An element's value. Whole numbers beyond 2^53 lose their last digits.
fn number(element: &[u8], datatype: Datatype) -> f64 {
    macro_rules! of {
        ($type:ty) => {
            <[u8; size_of::<$type>()]>::try_from(element)
                .map_or(f64::NAN, |bytes| <$type>::from_le_bytes(bytes) as f64)
        };
    }
    match datatype {
        Datatype::Bool | Datatype::Uint8 => of!(u8),
        Datatype::Uint16 => of!(u16),
        Datatype::Uint32 => of!(u32),
        Datatype::Uint64 => of!(u64),
        Datatype::Int8 => of!(i8),
        Datatype::Int16 => of!(i16),
        Datatype::Int32 => of!(i32),
        Datatype::Int64 => of!(i64),
        Datatype::Fp16 => half(of!(u16)),
        // The upper half of single precision.
        Datatype::Bf16 => f64::from(f32::from_bits((of!(u16) as u32) << 16)),
        Datatype::Fp32 => of!(f32),
        Datatype::Fp64 => of!(f64),
        Datatype::Bytes => f64::NAN,
    }
}

/// Of half precision, by its bits.
fn half(bits: f64) -> f64 {
    let bits = bits as u16;
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    }
}

/// Elements in the field of their type.
fn typed(contents: &InferTensorContents, datatype: Datatype) -> Result<Values<'_>, String> {
    macro_rules! numbers {
        ($all:expr) => {
            Values::Numbers($all.iter().map(|value| *value as f64).collect())
        };
    }
    Ok(match datatype {
        Datatype::Bool => {
            Values::Numbers(contents.bool_contents.iter().map(|truth| f64::from(u8::from(*truth))).collect())
        }
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => numbers!(contents.int_contents),
        Datatype::Int64 => numbers!(contents.int64_contents),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => numbers!(contents.uint_contents),
        Datatype::Uint64 => numbers!(contents.uint64_contents),
        Datatype::Fp32 => numbers!(contents.fp32_contents),
        Datatype::Fp64 => numbers!(contents.fp64_contents),
        Datatype::Bytes => Values::Texts(
            contents.bytes_contents.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect(),
        ),
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(format!("{} has no contents but raw ones", datatype.as_str()));
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tensor::{Number, push_number},
        *,
    };

    fn numbers(datatype: Datatype, bytes: &[u8]) -> Vec<f64> {
        match raw(bytes, datatype) {
            Values::Numbers(all) => all.into_owned(),
            Values::Texts(all) => panic!("{all:?}"),
        }
    }

    #[test]
    fn a_batch_has_a_feature_for_each_item() {
        for (shape, batch, wanted) in [
            (&[2, 5][..], 2, 2),
            // Nobody said that it is a batch.
            (&[3, 10], 1, 3),
            (&[8, 1], 8, 8),
            (&[8], 8, 8),
            (&[10], 1, 1),
            (&[], 1, 1),
            (&[2, 3, 4], 2, 2),
            (&[1, 10], 4, 1),
            (&[0, 10], 4, 0),
        ] {
            assert_eq!(items(shape, batch), wanted, "{shape:?} of {batch}");
        }
        assert_eq!(chunks(&[1, 2, 3, 4], 2).collect::<Vec<_>>(), [[1, 2], [3, 4]]);
        assert_eq!(chunks::<u8>(&[], 0).count(), 0);
    }

    #[test]
    fn halves_are_read() {
        for (bits, value) in [
            (0x3c00_u16, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 6.103_515_625e-5),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(numbers(Datatype::Fp16, &bits.to_le_bytes()), [value], "{bits:x}");
        }
        assert!(numbers(Datatype::Fp16, &0x7e00_u16.to_le_bytes())[0].is_nan());
        assert_eq!(numbers(Datatype::Bf16, &0xc020_u16.to_le_bytes()), [-2.5]);
    }

    proptest! {
        /// Written by one, read by the other.
        #[test]
        fn numbers_come_back(small in 0_i64..=127, value in -60_000.0..60_000.0_f64) {
            for datatype in Datatype::ALL.into_iter().filter(|datatype| *datatype != Datatype::Bytes) {
                let mut bytes = Vec::new();
                let (number, near) = match datatype {
                    Datatype::Bool => (Number::Whole(small % 2), 0.0),
                    Datatype::Fp16 => (Number::Real(value), value.abs() / 1024.0 + 1e-6),
                    Datatype::Bf16 => (Number::Real(value), value.abs() / 128.0),
                    Datatype::Fp32 => (Number::Real(value), value.abs() * 1e-7),
                    Datatype::Fp64 => (Number::Real(value), 0.0),
                    _ => (Number::Whole(small), 0.0),
                };
                push_number(&mut bytes, datatype, number);
                let wanted = match number {
                    Number::Whole(whole) => whole as f64,
                    Number::Real(real) => real,
                };
                let got = numbers(datatype, &bytes);
                prop_assert!(got.len() == 1 && (got[0] - wanted).abs() <= near, "{datatype:?}: {got:?}, not {wanted}");
            }
        }

        #[test]
        fn any_tensor_is_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            shape in prop::collection::vec(-2_i64..9, 0..4),
            batch in 1_u32..9,
        ) {
            for datatype in Datatype::ALL {
                let content = Content::Raw(&bytes);
                let elements = content.count(datatype);
                let came = Came { name: "y", datatype: datatype.as_str(), shape: &shape, elements, content };
                features(&[came], &[], None, batch);
            }
        }
    }
}
