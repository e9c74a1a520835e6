//! What can be wrong with a checkpoint.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use super::VERSION;

/// A checkpoint cannot be written, read, or resumed.
#[derive(Debug)]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: CheckpointProblem,
}

impl Display for CheckpointError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint '{}': {}", self.path.display(), self.problem)
    }
}

/// The message has the problem in it, so that the source is what is behind the problem.
impl Error for CheckpointError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What is wrong with a checkpoint, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// There is no file.
    #[error("there is no such file")]
    NotFound,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The file cannot be written, or the device has failed.
    #[error("it cannot be written")]
    Unwritable(#[source] std::io::Error),
    /// The file is of another kind.
    #[error("it is not a checkpoint of pixgrad")]
    NotACheckpoint,
    /// The file ends too early.
    #[error(
        "it is truncated: it has {found} bytes of {expected}; use an earlier one, or begin again"
    )]
    Truncated {
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The file goes on behind its last tensor.
    #[error("it is damaged: it has {found} bytes where its header describes {expected}")]
    TooLong {
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The header does not describe tensors.
    #[error("it is damaged")]
    Header(#[source] serde_json::Error),
    /// The state of the run or the list of pictures cannot be read.
    #[error("it is damaged: its metadata cannot be read")]
    Metadata(#[source] serde_json::Error),
    /// The recipe cannot be read.
    #[error("its recipe cannot be read")]
    Recipe(#[source] toml::de::Error),
    /// The format is that of another version of pixgrad.
    #[error(
        "it is of version {version} of the format, written by pixgrad {program}; this is pixgrad {}, which reads \
         version {VERSION}",
        env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// Version of the file's format.
        version: String,
        /// Version of the pixgrad that wrote it.
        program: String,
    },
    /// A picture was in memory: the recipe is the caller's to give.
    #[error(
        "a picture of its recipe was in the memory of a program, and only that program can go on from it"
    )]
    PictureInMemory,
    /// It was made with another network, or other weights.
    #[error(
        "it was made with the network `{model}` (hash {weights}), {}",
        if .model == .found {
            "there are other weights under that name now".to_string()
        } else {
            format!("not `{found}`")
        }
    )]
    OtherNetwork {
        /// The network's name.
        model: String,
        /// The hash of its weights.
        weights: String,
        /// The name of the network that is there now.
        found: String,
    },
    /// It was made with another recipe.
    #[error("it was made with another recipe")]
    OtherRecipe,
    /// A picture is not the one that it was made with.
    #[error(
        "{}",
        match .picture {
            Some(path) => format!(
                "the picture '{}' has changed since; put back the one that it was made with",
                path.display()
            ),
            None => "a picture in memory is not the one that it was made with".to_string(),
        }
    )]
    OtherPicture {
        /// The picture's file; none of a picture in memory.
        picture: Option<PathBuf>,
    },
    /// Some bytes are not those that were written.
    #[error(
        "it is damaged: its checksum is not that of its contents; use an earlier one, or begin again"
    )]
    Checksum,
    /// A number that the run looks things up by is too large.
    #[error("it is damaged: `{tensor}` holds {found} where numbers below {below} are expected")]
    Index {
        /// The tensor's name.
        tensor: String,
        /// The number.
        found: u32,
        /// The smallest number that is too large.
        below: u32,
    },
    /// Its recipe now has other scales or bands.
    #[error(
        "its sizes are not those that this version of pixgrad makes of its recipe; go on with the version that wrote it"
    )]
    OtherSizes,
    /// A tensor of the state is missing or has another shape.
    #[error(
        "its state is not what this version of pixgrad keeps of such a run (`{tensor}`); go on with the version that \
         wrote it"
    )]
    OtherTensor {
        /// The tensor's name.
        tensor: String,
    },
    /// The state has another number of tensors.
    #[error(
        "it holds {found} tensors where this version of pixgrad keeps {expected} of such a run; go on with the version \
         that wrote it"
    )]
    OtherTensors {
        /// Tensors that this version keeps.
        expected: usize,
        /// Tensors there are.
        found: usize,
    },
}
