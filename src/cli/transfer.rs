//! `pixgrad transfer`: whether images made to mislead one network mislead others.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use pixgrad::engine::image::{self, check_file, check_writable, sheet, side_by_side};
use pixgrad::engine::methods::options::parse::{self, PictureSize};
use pixgrad::engine::methods::{Transfer, TransferTable, transfer};
use pixgrad::{Image, MadeOf, Network};
use serde_json::json;

use super::attack::{AttackNumbers, Watcher, load_classifier, load_prepared};
use super::claims::Claims;
use super::network::OpeningArgs;
use super::output::write_text;
use super::picture::MetadataArgs;
use super::{Global, terminal};

/// Side of a cell of the heat map in pixels.
const CELL: u32 = 48;

/// Test whether adversarial images made for one network fool others
///
/// Adversarial images of the folder's pictures are made for each network and shown to all of them. A cell is the
/// fraction of the images made for the network of its row that change what the network of its column sees. Two rows are
/// controls: noise of the same norm, and the unchanged pictures. A second table scales all changes to one root mean
/// square.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The folder of pictures
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// The networks: names from `pixgrad models`, or .safetensors, .onnx or .pth files
    #[arg(
        long,
        value_name = "NAME|FILE,...",
        value_delimiter = ',',
        required = true
    )]
    models: Vec<String>,

    #[command(flatten)]
    opening: OpeningArgs,

    #[command(flatten)]
    numbers: AttackNumbers,

    /// Root mean square of the changes in the second table, in units of the `[0,1]` image, up to 1
    #[arg(
        long,
        value_name = "RMS",
        default_value = "0.03",
        value_parser = parse::positive,
        allow_negative_numbers = true
    )]
    rms: f64,

    /// How pictures are resized: crop (short side to 256 pixels, then the central 224x224, or what the first network
    /// takes), native, or the side of another central square
    #[arg(short, long, value_name = "SIZE", default_value = "crop", value_parser = parse::picture_size)]
    size: PictureSize,

    /// Write the tables as comma-separated values
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,

    /// Draw both tables side by side as heat maps, from white for 0 to dark red for 1
    #[arg(short, long, value_name = "FILE.png")]
    output: Option<PathBuf>,

    /// Keep the adversarial pictures, as DIR/MODEL/PICTURE.png. With --survive-8bit the tables are of these very files,
    /// otherwise of the pictures before they are rounded to 8 bits
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    #[command(flatten)]
    metadata: MetadataArgs,
}

pub fn run(args: &TransferArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let numbers = args.numbers.attack()?;
    args.csv.as_ref().map(check_file).transpose()?;
    args.output.as_ref().map(check_writable).transpose()?;
    let device = global.open()?;
    let networks = args
        .models
        .iter()
        .map(|model| {
            Ok((
                model.clone(),
                load_classifier(&device, model, &args.opening, global)?,
            ))
        })
        .collect::<anyhow::Result<Vec<(String, Network)>>>()?;

    let size = args.size.of(networks[0].1.graph());
    let (mut used, mut skipped, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for path in pictures(args)? {
        match load_prepared(&path, size) {
            Ok(image) => {
                used.push(path);
                images.push(image);
            }
            Err(error) => {
                global.note(format_args!("skipped: {}", terminal::chain(&error)));
                skipped.push(path);
            }
        }
    }
    if images.is_empty() {
        bail!("'{}' holds no readable picture", args.folder.display());
    }
    let mut claims = Claims::default();
    used.iter().for_each(|path| claims.reads(path));
    for model in &args.models {
        args.opening.claim(Some(model), &mut claims);
    }
    if let Some(csv) = &args.csv {
        claims.writes("--csv", csv);
    }
    if let Some(output) = &args.output {
        claims.writes("--output", output);
    }
    let mut watcher = Watcher::new(global.quiet)?;
    let method = numbers.method.name();
    let mut begin = |name: &str| {
        global.note(format_args!(
            "{method} for {name}: {} pictures",
            images.len()
        ));
    };
    let keep = args.keep.as_deref();
    let kept = keep.map(|folder| kept_files(folder, &args.models, &used));
    let kept = kept.transpose()?;
    let files = kept.iter().flatten().flatten();
    files.for_each(|file| claims.writes("--keep", file));
    claims.check()?;
    let Transfer { tables, made } = transfer(
        &networks,
        &images,
        &numbers,
        args.rms,
        &mut begin,
        &mut |p| watcher.see(p),
    )?;
    let code = watcher.finish();
    let shown = networks.iter().map(|(_, network)| network);
    let of = used.iter().zip(&images);
    let of = of.map(|(path, image)| MadeOf::new(path, image)).collect();
    let options = args.metadata.options(&shown.collect::<Vec<_>>(), of);
    if let Some(kept) = &kept {
        for (paths, (_, pictures)) in kept.iter().zip(&made) {
            for (path, picture) in paths.iter().zip(pictures) {
                let _ = image::save(path, picture, options.clone())?;
            }
        }
    }

    if let Some(path) = &args.csv {
        write_text(path, &csv(&args.models, &tables))?;
    }
    if let Some(path) = &args.output {
        let maps = tables
            .iter()
            .map(heat_map)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let _ = image::save(path, &side_by_side(&maps, 16, [0.5; 3])?, options)?;
    }
    if global.json {
        terminal::print_json(&json!({
            "models": args.models,
            "method": method,
            "epsilon": numbers.method.has_ball().then_some(numbers.epsilon),
            "device": device.info(),
            "images": used,
            "skipped": skipped,
            "as_made": tables[0],
            "at_one_rms": tables[1],
            "csv": args.csv,
            "output": args.output,
            "kept": kept,
        }))?;
    } else {
        let [first, second] = &tables;
        terminal::print(format_args!(
            "{} pictures, {method}; rows: made for, columns: shown to\n\n{}\n\nall changes at RMS {}\n\n{}",
            images.len(),
            text(&args.models, first),
            args.rms,
            text(&args.models, second),
        ))?;
    }
    Ok(code)
}

/// Where the pictures made for each model go. The folders are made.
fn kept_files(
    folder: &Path,
    models: &[String],
    pictures: &[PathBuf],
) -> anyhow::Result<Vec<Vec<PathBuf>>> {
    let stem = |path: &Path| {
        let stem = path.file_stem().unwrap_or("picture".as_ref());
        stem.to_string_lossy().into_owned()
    };
    let models = distinct(models.iter().map(|model| stem(Path::new(model))));
    let pictures = distinct(pictures.iter().map(|path| stem(path)));
    models
        .iter()
        .map(|model| {
            let folder = folder.join(model);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("the folder '{}' cannot be made", folder.display()))?;
            let files = pictures
                .iter()
                .map(|name| folder.join(format!("{name}.png")));
            let files: Vec<PathBuf> = files.collect();
            for path in &files {
                check_writable(path)?;
            }
            Ok(files)
        })
        .collect()
}

/// The names, with numbers behind those that came before.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .map(|name| {
            let numbered = (2..).map(|n| format!("{name}-{n}"));
            let free = std::iter::once(name.clone())
                .chain(numbered)
                .find(|name| !taken.contains(name))
                .unwrap_or(name);
            taken.insert(free.clone());
            free
        })
        .collect()
}

/// The files of the folder that are not hidden, by name.
fn pictures(args: &TransferArgs) -> anyhow::Result<Vec<PathBuf>> {
    let folder = &args.folder;
    let cannot = || format!("the folder '{}' cannot be read", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && !entry.path().is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// A table for people.
fn text(models: &[String], table: &TransferTable) -> String {
    let headings = ["made for", "RMS"].map(String::from).into_iter();
    let mut rows = vec![headings.chain(models.iter().cloned()).collect::<Vec<_>>()];
    rows.extend(table.rows.iter().map(|row| {
        let cells = row.fooled.iter().map(|f| format!("{:.1} %", 100.0 * f));
        [row.made_for.clone(), format!("{:.5}", row.mean_rms)]
            .into_iter()
            .chain(cells)
            .collect()
    }));
    terminal::table(&rows)
}

/// Both tables below each other, fractions from 0 to 1.
fn csv(models: &[String], tables: &[TransferTable]) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_string()
        }
    };
    let mut csv = String::from("rms,made_for,mean_rms");
    for model in models {
        let _ = write!(csv, ",{}", quoted(model));
    }
    csv.push('\n');
    for table in tables {
        let rms = table
            .rms
            .map_or("as made".to_string(), |rms| rms.to_string());
        for row in &table.rows {
            let _ = write!(csv, "{rms},{},{}", quoted(&row.made_for), row.mean_rms);
            for fooled in &row.fooled {
                let _ = write!(csv, ",{fooled}");
            }
            csv.push('\n');
        }
    }
    csv
}

/// A table as squares.
fn heat_map(table: &TransferTable) -> anyhow::Result<Image> {
    let columns = table.rows.first().map_or(1, |row| row.fooled.len());
    let cells = table
        .rows
        .iter()
        .flat_map(|row| &row.fooled)
        .map(|f| {
            let f = *f as f32;
            Ok(Image::filled(
                CELL,
                CELL,
                [1.0 - 0.4 * f * f, 1.0 - f, (1.0 - f).powi(2)],
            )?)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(sheet(&cells, columns, 2, [0.5; 3])?)
}

#[cfg(test)]
mod tests {
    use pixgrad::engine::methods::TransferRow;

    use super::*;

    #[test]
    fn names_are_made_distinct() {
        let names = ["a", "b", "a", "a-2", "a"].map(String::from);
        assert_eq!(
            distinct(names.into_iter()),
            ["a", "b", "a-2", "a-2-2", "a-3"]
        );
    }

    #[test]
    fn tables() {
        let row = |made_for: &str, fooled: [f64; 2]| TransferRow {
            made_for: made_for.to_string(),
            mean_rms: 0.5,
            fooled: fooled.to_vec(),
        };
        let table = TransferTable {
            rms: None,
            rows: vec![row("a,b", [1.0, 0.25]), row("c", [0.0, 0.5])],
        };
        let models = ["a,b".to_string(), "c".to_string()];
        assert_eq!(
            csv(&models, std::slice::from_ref(&table)),
            "rms,made_for,mean_rms,\"a,b\",c\nas made,\"a,b\",0.5,1,0.25\nas made,c,0.5,0,0.5\n"
        );
        assert!(text(&models, &table).contains("25.0 %"));
        let map = heat_map(&table).unwrap();
        assert_eq!(map.size(), (2 * CELL + 6, 2 * CELL + 6));
        assert_eq!(map.pixel(3, 3), [0.6, 0.0, 0.0]);
        assert_eq!(map.pixel(3, CELL + 5), [1.0; 3]);
    }
}
