//! The constants of an ONNX file: weights, and the numbers that shapes are computed with.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::sync::Arc;

use half::{bf16, f16};

use super::error::{OnnxError, TensorProblem};
use super::proto;

/// Most elements of one constant. The largest layer of a known image network (VGG-19's first linear one) has 10^8.
pub(super) const MOST_ELEMENTS: usize = 1 << 28;

/// Numbers with their shape, the last axis the fastest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Floats of any width are kept in 32 bits; integers and booleans in 64.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Float(Arc<[f32]>),
    Int(Arc<[i64]>),
}

impl Tensor {
    pub fn floats(shape: Vec<usize>, values: Vec<f32>) -> Self {
        let data = Data::Float(values.into());
        Self { shape, data }
    }

    pub fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        let data = Data::Int(values.into());
        Self { shape, data }
    }

    /// A list of integers.
    pub fn list(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<i64> = values.into_iter().collect();
        Self::ints(vec![values.len()], values)
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    pub fn is_float(&self) -> bool {
        matches!(self.data, Data::Float(_))
    }

    /// All elements as floats.
    pub fn to_f32(&self) -> Arc<[f32]> {
        match &self.data {
            Data::Float(values) => Arc::clone(values),
            Data::Int(values) => values.iter().map(|&x| x as f32).collect(),
        }
    }

    /// All elements as integers, fractions cut off.
    pub fn to_i64(&self) -> Arc<[i64]> {
        match &self.data {
            Data::Float(values) => values.iter().map(|&x| x as i64).collect(),
            Data::Int(values) => Arc::clone(values),
        }
    }

    /// The only element, if there is one.
    pub fn scalar(&self) -> Option<f32> {
        match (&self.data, self.len()) {
            (Data::Float(values), 1) => Some(values[0]),
            (Data::Int(values), 1) => Some(values[0] as f32),
            _ => None,
        }
    }

    /// The same numbers at other places: `pick` says for each element of `shape` which one it is.
    pub fn picked(&self, shape: Vec<usize>, pick: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Float(values) => Data::Float(pick.map(|i| values[i]).collect()),
            Data::Int(values) => Data::Int(pick.map(|i| values[i]).collect()),
        };
        Self { shape, data }
    }
}

/// Elements of a shape, if they can be counted and are not more than [`MOST_ELEMENTS`].
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    let count = shape
        .iter()
        .try_fold(1usize, |count, &n| count.checked_mul(n));
    count.filter(|&count| count <= MOST_ELEMENTS)
}

/// Elements from one index of each axis to the next.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Whether a path leads nowhere but into the folder that it starts at.
pub(super) fn is_inside(path: &Path) -> bool {
    let mut parts = path.components();
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Reads the numbers that stand in files beside the model.
pub(super) struct External<'a> {
    /// The folder of the model, if it is a file.
    folder: Option<&'a Path>,
    /// Files that are open.
    files: HashMap<String, File>,
}

impl<'a> External<'a> {
    pub fn new(folder: Option<&'a Path>) -> Self {
        let files = HashMap::new();
        Self { folder, files }
    }

    fn read(&mut self, entries: &[proto::Entry], bytes: usize) -> Result<Vec<u8>, TensorProblem> {
        let entry = |key: &str| entries.iter().find(|entry| entry.key == key);
        let location = entry("location").map(|entry| entry.value.clone());
        let location = location.ok_or(TensorProblem::NoLocation)?;
        let number = |key: &'static str| -> Result<Option<u64>, TensorProblem> {
            let parse = |entry: &proto::Entry| {
                entry.value.parse().map_err(|_| TensorProblem::NotANumber {
                    key,
                    found: entry.value.clone(),
                })
            };
            entry(key).map(parse).transpose()
        };
        let offset = number("offset")?.unwrap_or(0);
        if let Some(length) = number("length")?.filter(|&length| length != bytes as u64) {
            return Err(TensorProblem::Length {
                expected: bytes as u64,
                found: length,
            });
        }
        // A model must not read what is not beside it.
        let inside = is_inside(Path::new(&location));
        let (Some(folder), true) = (self.folder, inside) else {
            return Err(TensorProblem::Outside { location });
        };
        let unreadable = |source| TensorProblem::Unreadable {
            path: folder.join(&location),
            source: Arc::new(source),
        };
        if !self.files.contains_key(&location) {
            let file = File::open(folder.join(&location)).map_err(unreadable)?;
            self.files.insert(location.clone(), file);
        }
        let file = self.files.get_mut(&location).expect("just opened");
        let end = file.metadata().map_err(unreadable)?.len();
        if offset.saturating_add(bytes as u64) > end {
            return Err(TensorProblem::Short {
                path: folder.join(&location),
                expected: offset.saturating_add(bytes as u64),
                found: end,
            });
        }
        let mut read = vec![0; bytes];
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        file.read_exact(&mut read).map_err(unreadable)?;
        Ok(read)
    }
}

/// The kinds of numbers in a file (`TensorProto.DataType`).
mod kind {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const STRING: i32 = 8;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const BFLOAT16: i32 = 16;
}

/// Whether a kind of numbers is a float.
pub(super) fn is_float(of: i32) -> bool {
    [kind::FLOAT, kind::FLOAT16, kind::DOUBLE, kind::BFLOAT16].contains(&of)
}

/// The name of a kind of numbers, for messages.
fn kind_name(of: i32) -> String {
    let names = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];
    let name = usize::try_from(of).ok().and_then(|of| names.get(of));
    name.map_or_else(|| format!("kind {of}"), |name| (*name).to_owned())
}

/// The tensor that a message holds or points at. `name` is for messages.
pub(super) fn read(
    name: &str,
    tensor: &proto::Tensor,
    external: &mut External<'_>,
) -> Result<Tensor, OnnxError> {
    contents(tensor, external).map_err(|problem| OnnxError::Tensor {
        name: name.to_owned(),
        problem,
    })
}

fn contents(tensor: &proto::Tensor, external: &mut External<'_>) -> Result<Tensor, TensorProblem> {
    let dims = || tensor.dims.clone();
    let shape: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let shape = shape.ok_or_else(|| TensorProblem::Dims { dims: dims() })?;
    let count = elements(&shape).ok_or_else(|| TensorProblem::Dims { dims: dims() })?;
    let width = match tensor.kind {
        kind::UINT8 | kind::INT8 | kind::BOOL => 1,
        kind::UINT16 | kind::INT16 | kind::FLOAT16 | kind::BFLOAT16 => 2,
        kind::FLOAT | kind::INT32 | kind::UINT32 => 4,
        kind::INT64 | kind::UINT64 | kind::DOUBLE => 8,
        kind::STRING => {
            return Err(TensorProblem::Kind {
                found: kind_name(kind::STRING),
            });
        }
        other => {
            return Err(TensorProblem::Kind {
                found: kind_name(other),
            });
        }
    };
    let bytes = if tensor.location == 1 {
        Some(external.read(&tensor.external, count * width)?.into())
    } else if tensor.raw.is_empty() {
        None
    } else {
        Some(tensor.raw.clone())
    };
    let wrong = |found: usize| TensorProblem::Count {
        dims: dims(),
        expected: count,
        found,
    };
    let data = match bytes {
        Some(bytes) if bytes.len() != count * width => {
            return Err(wrong(bytes.len() / width));
        }
        Some(bytes) => from_bytes(tensor.kind, &bytes),
        None => {
            let data = from_lists(tensor);
            let found = match &data {
                Data::Float(values) => values.len(),
                Data::Int(values) => values.len(),
            };
            if found != count {
                return Err(wrong(found));
            }
            data
        }
    };
    if let Data::Float(values) = &data
        && let Some(index) = values.iter().position(|value| value.is_nan())
    {
        return Err(TensorProblem::NotFinite { index });
    }
    Ok(Tensor { shape, data })
}

/// Little-endian numbers of a kind that is known.
fn from_bytes(of: i32, bytes: &[u8]) -> Data {
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Arc<[T]> {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| read(*bytes))
            .collect()
    }
    match of {
        kind::FLOAT => Data::Float(each(bytes, f32::from_le_bytes)),
        kind::FLOAT16 => Data::Float(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
        kind::BFLOAT16 => Data::Float(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        kind::DOUBLE => Data::Float(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        kind::INT8 => Data::Int(each(bytes, |b| i8::from_le_bytes(b).into())),
        kind::UINT16 => Data::Int(each(bytes, |b| u16::from_le_bytes(b).into())),
        kind::INT16 => Data::Int(each(bytes, |b| i16::from_le_bytes(b).into())),
        kind::INT32 => Data::Int(each(bytes, |b| i32::from_le_bytes(b).into())),
        kind::UINT32 => Data::Int(each(bytes, |b| u32::from_le_bytes(b).into())),
        kind::INT64 | kind::UINT64 => Data::Int(each(bytes, i64::from_le_bytes)),
        _ => Data::Int(each(bytes, |[b]: [u8; 1]| b.into())),
    }
}

/// The list that numbers of a kind stand in.
fn from_lists(tensor: &proto::Tensor) -> Data {
    let bits = |read: fn(u16) -> f32| -> Data {
        Data::Float(tensor.ints.iter().map(|&bits| read(bits as u16)).collect())
    };
    match tensor.kind {
        kind::FLOAT => Data::Float(tensor.floats.as_slice().into()),
        kind::DOUBLE => Data::Float(tensor.doubles.iter().map(|&x| x as f32).collect()),
        kind::FLOAT16 => bits(|bits| f16::from_bits(bits).to_f32()),
        kind::BFLOAT16 => bits(|bits| bf16::from_bits(bits).to_f32()),
        kind::INT64 => Data::Int(tensor.longs.as_slice().into()),
        _ => Data::Int(tensor.ints.iter().map(|&x| x.into()).collect()),
    }
}
