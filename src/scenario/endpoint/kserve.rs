//! KServe's v2 inference protocol: which tensors are sent, and which must
//! come back.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{Data, DrawnValues};

/// KServe v2 over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KserveV2 {
    /// What is inferred.
    #[serde(flatten)]
    pub infer: Infer,
    /// How tensors travel.
    #[serde(default)]
    pub encoding: Encoding,
}

/// KServe v2 over gRPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KserveGrpc {
    /// What is inferred.
    #[serde(flatten)]
    pub infer: Infer,
    /// `ModelStreamInfer` (Triton's): one request, any number of responses.
    #[serde(default)]
    pub stream: bool,
}

/// A model, its inputs and its outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Infer {
    /// The model's name.
    pub model: String,
    /// Its version. None: the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The request's tensors.
    pub inputs: Vec<Input>,
    /// What must come back. Empty: anything that is a response.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// What `batch` means in a shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// A JSONL or CSV file; requests take its rows in turn, one for each item
    /// of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub data: Option<Data>,
    /// Whether outputs may hold NaN and infinities.
    #[serde(default)]
    pub allow_nan: bool,
    /// The output that a new version's answers are compared with the old one's
    /// by (`drift`): of each item the index of the largest value, a single
    /// value itself, the first of several texts. None: the first output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Further request headers (gRPC: metadata).
    #[serde(default)]
    pub headers: IndexMap<String, String>,
}

/// How tensors travel over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As JSON.
    #[default]
    Json,
    /// The binary tensor extension: JSON first, then the tensors' bytes.
    Binary,
}

/// A tensor of the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// Its dimensions.
    pub shape: Shape,
    /// Its elements.
    pub values: Values,
}

/// A tensor of the response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Output {
    /// Its name.
    pub name: String,
    /// The type of its elements. None: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype: Option<Datatype>,
    /// Its dimensions. None: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
}

/// Dimensions.
pub type Shape = Vec<Dim>;

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dim {
    /// Of this size.
    Fixed(u32),
    /// Of a size that is only known by name.
    Named(DimName),
}

/// A dimension whose size is not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DimName {
    /// The request's batch.
    Batch,
    /// Any (outputs only).
    Any,
}

/// Items in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Batch {
    /// Always so many.
    Fixed(u32),
    /// Drawn for each request, each number as likely.
    Drawn {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

/// Elements of a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Values {
    /// These, of the whole tensor or of each item of a batch.
    Fixed(Vec<Value>),
    /// Drawn, or taken from the data file.
    Drawn(DrawnValues),
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Datatype {
    /// One byte, 0 or 1.
    Bool,
    /// 8 bits, unsigned.
    Uint8,
    /// 16 bits, unsigned.
    Uint16,
    /// 32 bits, unsigned.
    Uint32,
    /// 64 bits, unsigned.
    Uint64,
    /// 8 bits.
    Int8,
    /// 16 bits.
    Int16,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// Half precision.
    Fp16,
    /// bfloat16.
    Bf16,
    /// Single precision.
    Fp32,
    /// Double precision.
    Fp64,
    /// Texts or bytes of any length.
    Bytes,
}

impl Datatype {
    /// Every type.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Bytes of an element. None: each has a length of its own.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// Whether it has a NaN.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Bf16 | Self::Fp32 | Self::Fp64)
    }
}
