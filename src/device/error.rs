//! What can go wrong on a device.

/// An error of a device.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// A device was asked for by name, index or backend and is not there.
    #[error("no device matches {asked}. Devices here:\n{found}\n{hint}")]
    NotFound {
        /// What was asked for.
        asked: String,
        /// The devices there are, one per line.
        found: String,
        /// The line that installs one.
        hint: String,
    },
    /// The adapter refused to open.
    #[error("could not open {name}")]
    Open {
        /// The adapter.
        name: String,
        /// What the driver said.
        source: wgpu::RequestDeviceError,
    },
    /// One buffer is beyond the device's limit for a binding.
    #[error("`{label}` needs {bytes} bytes in one buffer; {device} takes at most {limit}")]
    TooLarge {
        /// What the buffer is for.
        label: String,
        /// Its size in bytes.
        bytes: u64,
        /// The device's limit in bytes.
        limit: u64,
        /// The device.
        device: String,
    },
    /// The device has no room.
    #[error("{device} has no room for `{label}` ({bytes} bytes)")]
    OutOfMemory {
        /// What the buffer is for.
        label: String,
        /// Its size in bytes.
        bytes: u64,
        /// The device.
        device: String,
    },
    /// A shader does not compile.
    #[error("kernel `{name}` does not compile: {reason}")]
    Shader {
        /// The WGSL file's stem and its definitions.
        name: String,
        /// The compiler's words, with the lines of the shader.
        reason: String,
    },
    /// A buffer is of another kind or shorter than the data.
    #[error("the buffer holds {found}, the data is {expected}")]
    Mismatch {
        /// What the caller brought.
        expected: String,
        /// What the buffer is.
        found: String,
    },
    /// The device failed while running.
    #[error("the device failed: {0}")]
    Lost(String),
}
