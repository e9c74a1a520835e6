//! Weights files that are known by their hashes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// What a file's network was trained to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trained {
    /// What its architecture's published weights were.
    AsUsual,
    /// What Caffe's networks were.
    Caffe,
}

/// The first eight digits of the SHA-256 of torchvision's files, which their names carry.
const TORCHVISION: [&str; 47] = [
    "4df8aa71", "7be5be79", // alexnet
    "8a719046", "bbd30ac9", "6002323d", // vgg11
    "19584684", "c768596a", "abd245e5", // vgg13
    "397923af", "6c64b313", // vgg16
    "dcbb9e9d", "c79401a0", // vgg19
    "a815701f", "b66bff10", "b8a52dc0", "f364aa15", // squeezenet
    "5c106cde", "f37072fd", // resnet18
    "333f7ec4", "b627a593", // resnet34
    "0676ba61", "11ad3fa6", "19c8e357", // resnet50
    "5d3b4d8f", "63fe2227", "cd907fc2", // resnet101
    "394f9c45", "b121ed2d", "f82ba261", // resnet152
    "1a0047aa", "7cdf4587", // resnext50
    "110c445d", "173b62eb", "8ba56ff5", // resnext101
    "95faca4d", "9ba9bcbe", // wide_resnet50_2
    "32ee1156", "d733dc28", // wide_resnet101_2
    "7ebf99e0", "b0353104", // mobilenet_v2
    "a639ec97", "8d451a50", "b2777c0a", "c1103571", // densenet
    "1378be20", // googlenet
    "0cc3c7bd", "1a9a5a14", // inception_v3
];

/// Of jcjohnson's pytorch-vgg: the authors' own weights of VGG-19 and VGG-16.
const CAFFE: [&str; 2] = ["d01eb7cb", "00b39a1b"];

fn trained(digits: &str) -> Option<Trained> {
    if CAFFE.contains(&digits) {
        return Some(Trained::Caffe);
    }
    TORCHVISION.contains(&digits).then_some(Trained::AsUsual)
}

/// What is known of a file. Its name may carry its hash, which is then not computed.
pub(super) fn find(path: &Path) -> Option<Trained> {
    let stem = path.file_stem()?.to_str()?;
    let named = stem
        .rsplit_once('-')
        .and_then(|(_, digits)| trained(digits));
    // All of them are files of PyTorch's.
    let may_be = path.extension().is_none_or(|e| e != "safetensors");
    let digits = || hash(File::open(path).ok().filter(|_| may_be)?).ok();
    named.or_else(|| trained(&digits()?[..8]))
}

/// The SHA-256 (FIPS 180-4) of all that a reader holds, in 64 hexadecimal digits.
///
/// # Errors
/// The reader's own.
pub fn hash(mut reader: impl Read) -> io::Result<String> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        sha.update(&buffer[..count]);
    }
    Ok(sha
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&b"abc"[..]).unwrap(), expected);
    }

    #[test]
    fn files_are_known_by_name() {
        let find = |name: &str| find(Path::new(name));
        assert_eq!(find("vgg19-d01eb7cb.pth"), Some(Trained::Caffe));
        assert_eq!(find("resnet50-0676ba61.pth"), Some(Trained::AsUsual));
        assert_eq!(find("resnet50-12345678.pth"), None);
    }
}
