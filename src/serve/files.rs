//! The files of the page, which are part of the program.

/// A file by its name in a URL.
pub struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:literal, $path:literal) => {
        File {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), $path)),
        }
    };
}

const FILES: [File; 12] = [
    file!("style.css", "text/css", "/web/page/style.css"),
    file!("page.js", "text/javascript", "/web/page/page.js"),
    file!("engine.js", "text/javascript", "/web/page/engine.js"),
    file!("remote.js", "text/javascript", "/web/page/remote.js"),
    file!("runs.js", "text/javascript", "/web/page/runs.js"),
    file!("chart.js", "text/javascript", "/web/page/chart.js"),
    file!("easel.js", "text/javascript", "/web/page/easel.js"),
    file!("knobs.js", "text/javascript", "/web/page/knobs.js"),
    file!("methods.js", "text/javascript", "/web/page/methods.js"),
    file!("icon.svg", "image/svg+xml", "/web/page/icon.svg"),
    file!(
        "samples/chelsea.png",
        "image/png",
        "/samples/images/chelsea.png"
    ),
    file!(
        "samples/starry_night.jpg",
        "image/jpeg",
        "/samples/images/starry_night.jpg"
    ),
];

const INDEX: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/page/index.html"));

/// The page itself, which is told that a server runs what it asks for, and which samples are there.
pub fn index() -> String {
    let samples = FILES
        .iter()
        .filter_map(|file| file.name.strip_prefix("samples/"));
    let samples = samples.collect::<Vec<_>>().join(" ");
    let told = format!("<html lang=\"en\" data-served data-samples=\"{samples}\">");
    INDEX.replacen("<html lang=\"en\">", &told, 1)
}

/// Type and bytes of a file.
pub fn find(name: &str) -> Option<(&'static str, &'static [u8])> {
    let found = FILES.iter().find(|file| file.name == name)?;
    Some((found.kind, found.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_there() {
        assert!(index().contains("data-served data-samples=\"chelsea.png starry_night.jpg\""));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web/page");
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy();
            // The benchmark is of a browser's GPU, and the module for that is not part of the program.
            let is_elsewhere = name == "index.html" || name.starts_with("bench.");
            assert!(is_elsewhere || find(&name).is_some(), "{name}");
        }
        assert!(find("../Cargo.toml").is_none() && find("").is_none());
    }
}
