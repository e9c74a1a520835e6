//! The tensors of a weights file, whatever its format.

use std::collections::BTreeMap;

use half::slice::HalfFloatSliceExt;
use pytorch_reader::DType;
use safetensors::{Dtype, tensor::TensorView};

use super::error::WeightsProblem;

/// What a file holds.
pub(super) struct Stored<'a> {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, Entry<'a>>,
    pub format: Format,
}

/// Where the tensors are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    /// Of a file of so many bytes.
    Pytorch {
        bytes: u64,
    },
}

/// One tensor.
pub(super) enum Entry<'a> {
    Safetensors(TensorView<'a>),
    Pytorch(pytorch_reader::Tensor),
}

impl Entry<'_> {
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Safetensors(view) => view.shape(),
            Self::Pytorch(tensor) => tensor.shape(),
        }
    }

    /// The values of a tensor of a few, if they can be read.
    pub fn small(&self) -> Option<Vec<f32>> {
        let count: usize = self.shape().iter().product();
        if count > 16 {
            return None;
        }
        self.values("", u64::MAX).ok()
    }

    /// The values, of a tensor of that name in a file of at most so many bytes.
    fn values(&self, name: &str, most: u64) -> Result<Vec<f32>, WeightsProblem> {
        let wrong = |found: String| WeightsProblem::WrongDtype {
            tensor: name.to_owned(),
            found,
        };
        match self {
            // The file is little-endian, as is every platform with a GPU interface that we use. Its tensors need not
            // be aligned, hence the copies.
            Self::Safetensors(view) => match view.dtype() {
                Dtype::F32 => Ok(bytemuck::pod_collect_to_vec(view.data())),
                Dtype::F16 => Ok(f16(view.data())),
                Dtype::BF16 => Ok(bf16(view.data())),
                other => Err(wrong(format!("{other:?}"))),
            },
            Self::Pytorch(tensor) => {
                // A view may repeat one number without end.
                let bytes = tensor.byte_len() as u64;
                if bytes > most {
                    return Err(WeightsProblem::TooMuch {
                        tensor: name.to_owned(),
                        bytes,
                        file: most,
                    });
                }
                let read = || {
                    tensor.read().map_err(|source| WeightsProblem::Values {
                        tensor: name.to_owned(),
                        source,
                    })
                };
                match tensor.dtype() {
                    DType::F32 => Ok(bytemuck::pod_collect_to_vec(&read()?)),
                    DType::F16 => Ok(f16(&read()?)),
                    DType::BF16 => Ok(bf16(&read()?)),
                    DType::F64 => {
                        let values: Vec<f64> = bytemuck::pod_collect_to_vec(&read()?);
                        Ok(values.into_iter().map(|value| value as f32).collect())
                    }
                    other => Err(wrong(format!("{other:?}"))),
                }
            }
        }
    }
}

fn f16(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec::<u8, half::f16>(bytes).to_f32_vec()
}

fn bf16(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec::<u8, half::bf16>(bytes).to_f32_vec()
}

impl Stored<'_> {
    /// The shapes of all tensors, by name.
    pub fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        let tensors = self.tensors.iter();
        tensors
            .map(|(name, entry)| (name.as_str(), entry.shape()))
            .collect()
    }

    /// A tensor's values as f32, all of them finite. The tensor is known to be there.
    pub fn values(&self, tensor: &str) -> Result<Vec<f32>, WeightsProblem> {
        let most = match self.format {
            Format::Safetensors => u64::MAX,
            Format::Pytorch { bytes } => bytes,
        };
        let values = self.tensors[tensor].values(tensor, most)?;
        check_finite(tensor, &values)?;
        Ok(values)
    }
}

/// The largest weight there may be. With larger ones sums overflow within a layer; where a ReLU makes 0 of what is no
/// number, the answer would be wrong, and nothing would tell.
const LARGEST: f32 = 1e30;

/// Refuses values that are not finite, or too large to compute with.
pub(super) fn check_finite(tensor: &str, values: &[f32]) -> Result<(), WeightsProblem> {
    let is_usable = |value: &f32| value.is_finite() && value.abs() <= LARGEST;
    let Some(index) = values.iter().position(|value| !is_usable(value)) else {
        return Ok(());
    };
    let (tensor, value) = (tensor.to_owned(), values[index]);
    Err(if value.is_finite() {
        WeightsProblem::TooLarge {
            tensor,
            index,
            value,
        }
    } else {
        WeightsProblem::NotFinite {
            tensor,
            index,
            value: value.to_string(),
        }
    })
}
