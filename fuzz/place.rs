//! What the targets share: the doors that the tests ask, and the network and the folder that some of these need.

use std::sync::LazyLock;

use pixgrad::Network;

#[allow(dead_code)]
#[path = "../kernels-tests/robust/doors.rs"]
pub mod doors;

pub static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(doors::folder);

pub static NETWORK: LazyLock<Network> =
    LazyLock::new(|| Network::load(&doors::device(), "squeezenet1_1").expect("embedded"));
