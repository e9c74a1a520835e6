//! The images of a folder that activate a unit most, or that lie farthest in a random direction of a layer's space:
//! Szegedy et al. 2013, "Intriguing properties of neural networks", section 3.

mod cache;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pollster::block_on;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use self::cache::{Entry, Key, Stamp};
use crate::Error;
use crate::compile::activations::{Reader, quads_of};
use crate::compile::objective::direction;
use crate::image::{Filter, Image, decoding_memory};
use crate::methods::MethodError;
use crate::methods::classify::{Size, read_prepared};
use crate::net::NodeId;
use crate::plan::Network;

/// Images in memory, and in one pass of the network.
const BATCH: usize = 16;

/// Batches between two writes of the activations, so that a run of hours that is ended loses little.
const BATCHES_TO_SAVE: usize = 64;

/// One number for a channel's activations at all positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pool {
    /// The largest.
    #[default]
    Max,
    /// Their mean.
    Mean,
}

/// What the images are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Query {
    /// A channel's activation.
    Unit {
        /// Its number, from 0.
        channel: u32,
        /// How its positions become one number.
        #[serde(skip)]
        pool: Pool,
    },
    /// ⟨φ(x), v⟩: φ the mean of every channel over all positions, v of length 1, drawn as the term `direction` does.
    Direction {
        /// What v is drawn from.
        seed: u64,
    },
}

impl Query {
    /// `count` different channels of a layer, at random.
    ///
    /// # Errors
    /// An unknown layer, or one of fewer channels.
    pub fn units(
        network: &Network,
        layer: &str,
        count: u32,
        seed: u64,
        pool: Pool,
    ) -> Result<Vec<Self>, Error> {
        let graph = network.graph();
        let channels = graph.node(graph.find(layer)?).channels;
        if count > channels {
            return Err(MethodError::TooManyUnits {
                units: count,
                layer: layer.to_string(),
                channels,
            }
            .into());
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let chosen = rand::seq::index::sample(&mut rng, channels as usize, count as usize);
        let unit = |channel: usize| Self::Unit {
            channel: channel as u32,
            pool,
        };
        Ok(chosen.into_iter().map(unit).collect())
    }

    /// `count` directions: those of `seed` and the numbers after it.
    #[must_use]
    pub fn directions(count: u32, seed: u64) -> Vec<Self> {
        let seeds = (0..u64::from(count)).map(|i| seed.wrapping_add(i));
        seeds.map(|seed| Self::Direction { seed }).collect()
    }

    fn check(self, layer: &str, channels: u32) -> Result<(), MethodError> {
        match self {
            Self::Unit { channel, .. } if channel >= channels => Err(MethodError::NoSuchUnit {
                unit: channel,
                layer: layer.to_string(),
                channels,
            }),
            _ => Ok(()),
        }
    }

    /// The images' activations, in their order.
    fn scores(self, entries: &[Entry], channels: u32) -> Vec<f32> {
        let vector = match self {
            Self::Unit { channel, pool } => {
                let answer = |entry: &Entry| match pool {
                    Pool::Max => entry.max[channel as usize],
                    Pool::Mean => entry.mean[channel as usize],
                };
                return entries.iter().map(answer).collect();
            }
            Self::Direction { seed } => direction(seed, channels),
        };
        let product = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
        let score = |entry: &Entry| entry.mean.iter().zip(&vector).map(product).sum::<f64>() as f32;
        entries.iter().map(score).collect()
    }
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The file's name in the folder.
    pub image: String,
    /// What the images are ordered by.
    pub score: f32,
    /// The most probable class, where the network has classes.
    pub class: Option<usize>,
    /// Its name.
    pub label: Option<String>,
}

/// A query and the images with the highest activation, highest first; of equal ones the first by name first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// What was asked.
    #[serde(flatten)]
    pub query: Query,
    /// The images.
    pub top: Vec<Hit>,
    /// The share of them that the network takes for the class that most of them are taken for.
    pub alike: Option<f64>,
}

/// A file that is no image, or none that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// The layer's first name.
    pub layer: String,
    /// The network's name.
    pub model: String,
    /// Images that were searched.
    pub images: usize,
    /// Those of them that the network had to see; the others were kept from an earlier search.
    pub computed: usize,
    /// Files that were not searched.
    pub skipped: Vec<Skipped>,
    /// In the queries' order.
    pub queries: Vec<Ranking>,
}

/// What a search tells on its way.
#[derive(Debug)]
pub enum Event<'a> {
    /// A file cannot be read.
    Skipped(&'a Skipped),
    /// Something is wrong with the file of earlier activations; the search goes on.
    Warning(String),
    /// Images that the network has seen, of all that it must see.
    Progress(usize, usize),
}

/// The `top` images of a folder, not of its folders, for every query.
///
/// Each image is brought to the network as [`Size::Crop224`] does. What is kept of it,
/// each channel's mean and maximum, lies in a hidden file of the folder for later searches. Hidden files and the file
/// `except`, by which a sheet of findings may be meant, are no part of the folder.
///
/// # Errors
/// [`Error::Net`] for an unknown layer; [`Error::Method`] for a unit that the layer does not have, and for a folder
/// that is none or holds no image.
pub fn search(
    network: &Network,
    folder: &Path,
    layer: &str,
    queries: &[Query],
    top: usize,
    except: Option<&Path>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Findings, Error> {
    let graph = network.graph();
    let node = graph.find(layer)?;
    let (layer, channels) = (graph.node(node).name.clone(), graph.node(node).channels);
    for query in queries {
        query.check(&layer, channels)?;
    }
    let mut folder = Folder {
        network,
        node,
        folder,
        key: Key::new(graph, &layer),
        reader: None,
        skipped: Vec::new(),
        tell,
    };
    let (entries, computed) = folder.entries(except)?;
    let names = graph.class_names();
    let label = |class: usize| match &names {
        Some(names) => names[class].to_string(),
        None => format!("class {class}"),
    };
    let answer = |query: &Query| {
        let scores = query.scores(&entries, channels);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // The entries are sorted by name, and the sort is stable.
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(top);
        let hit = |i: &usize| Hit {
            image: entries[*i].stamp.name.clone(),
            score: scores[*i],
            class: entries[*i].class,
            label: entries[*i].class.map(label),
        };
        let top: Vec<Hit> = order.iter().map(hit).collect();
        Ranking {
            query: *query,
            alike: alike(&top),
            top,
        }
    };
    Ok(Findings {
        images: entries.len(),
        computed,
        queries: queries.iter().map(answer).collect(),
        skipped: folder.skipped,
        model: graph.name.clone(),
        layer,
    })
}

/// The share of the most frequent class; none without classes.
fn alike(hits: &[Hit]) -> Option<f64> {
    let mut counts = HashMap::new();
    for hit in hits {
        *counts.entry(hit.class?).or_insert(0) += 1;
    }
    let most: i32 = counts.into_values().max()?;
    Some(f64::from(most) / hits.len() as f64)
}

/// What the network sees of an image file, `side` pixels wide and high.
///
/// # Errors
/// [`Error::Image`] where the file cannot be read.
pub fn thumbnail(path: &Path, side: u32) -> Result<Image, Error> {
    Ok(read_prepared(path, Size::Crop224)?.resize(side, side, Filter::Bilinear)?)
}

/// A folder that is looked through.
struct Folder<'a> {
    network: &'a Network,
    node: NodeId,
    folder: &'a Path,
    key: Key,
    /// Of the last batch: the next is read by it too, if it is of the same shape.
    reader: Option<Reader>,
    skipped: Vec<Skipped>,
    tell: &'a mut dyn FnMut(Event<'_>),
}

impl Folder<'_> {
    /// Every image's activations, sorted by name, and how many of them are new.
    fn entries(&mut self, except: Option<&Path>) -> Result<(Vec<Entry>, usize), Error> {
        let stamps = self.stamps(except)?;
        let graph = self.network.graph();
        let channels = graph.node(self.node).channels as usize;
        let classes = graph.classes().unwrap_or(0) as usize;
        let path = self.key.path(self.folder);
        let (kept, mut changed) = match self.key.read(&path, channels, classes) {
            Ok(kept) => (kept, false),
            Err(reason) => {
                (self.tell)(Event::Warning(format!(
                    "'{}' is ignored and made anew: {reason}",
                    path.display()
                )));
                (Vec::new(), true)
            }
        };
        let mut kept: HashMap<String, Entry> = kept
            .into_iter()
            .map(|entry| (entry.stamp.name.clone(), entry))
            .collect();
        let mut entries = Vec::new();
        let mut wanted = Vec::new();
        for stamp in stamps {
            match kept.remove(&stamp.name) {
                Some(entry) if entry.stamp == stamp => entries.push(entry),
                _ => wanted.push(stamp),
            }
        }
        // Images that are gone are forgotten.
        changed |= !kept.is_empty();

        let before = entries.len();
        for (i, batch) in wanted.chunks(BATCH).enumerate() {
            let new = self.seen(batch)?;
            changed |= !new.is_empty();
            entries.extend(new);
            let done = (i + 1) * BATCH;
            (self.tell)(Event::Progress(done.min(wanted.len()), wanted.len()));
            if (i + 1) % BATCHES_TO_SAVE == 0 && done < wanted.len() {
                // The last write tells what is wrong.
                let _ = self.key.write(&path, channels, entries.iter());
            }
        }
        let computed = entries.len() - before;
        if entries.is_empty() {
            return Err(MethodError::EmptyFolder {
                folder: self.folder.to_path_buf(),
            }
            .into());
        }
        entries.sort_by(|a, b| a.stamp.name.cmp(&b.stamp.name));
        if changed && let Err(error) = self.key.write(&path, channels, entries.iter()) {
            (self.tell)(Event::Warning(format!(
                "'{}' cannot be written, so the next search begins anew: {error}",
                path.display()
            )));
        }
        Ok((entries, computed))
    }

    /// The folder's files, sorted by name.
    fn stamps(&mut self, except: Option<&Path>) -> Result<Vec<Stamp>, MethodError> {
        let failed = |source: std::io::Error| {
            let folder = self.folder.to_path_buf();
            match source.kind() {
                std::io::ErrorKind::NotFound => MethodError::NoFolder { folder },
                std::io::ErrorKind::NotADirectory => MethodError::NotAFolder { folder },
                _ => MethodError::UnreadableFolder { folder, source },
            }
        };
        let except = except.and_then(|path| fs::canonicalize(path).ok());
        let files = fs::read_dir(self.folder).map_err(failed)?;
        let mut names = Vec::new();
        for file in files {
            names.push(file.map_err(failed)?.file_name());
        }
        names.sort();
        let mut stamps = Vec::new();
        for name in names {
            let path = self.folder.join(&name);
            if name.as_encoded_bytes().starts_with(b".")
                || except.is_some() && fs::canonicalize(&path).ok() == except
            {
                continue;
            }
            let Some(name) = name.to_str() else {
                self.skip(path, "its name is not Unicode");
                continue;
            };
            match fs::metadata(&path) {
                Ok(about) if about.is_dir() => {}
                Ok(about) if about.is_file() => match Stamp::read(&path, name, &about) {
                    Ok(stamp) => stamps.push(stamp),
                    Err(error) => self.skip(path, &error.to_string()),
                },
                // To read a pipe could take forever.
                Ok(_) => self.skip(path, "is not a regular file"),
                Err(error) => self.skip(path, &error.to_string()),
            }
        }
        Ok(stamps)
    }

    /// The activations of those of the files that are images.
    fn seen(&mut self, batch: &[Stamp]) -> Result<Vec<Entry>, Error> {
        let path = |stamp: &Stamp| self.folder.join(&stamp.name);
        let read = |stamp: &Stamp| read_prepared(&path(stamp), Size::Crop224);
        // No more at once than may be in memory.
        let (needed, limits): (Vec<u64>, Vec<u64>) =
            batch.par_iter().map(|s| decoding_memory(path(s))).unzip();
        let limit = limits.first().copied().unwrap_or(0);
        let mut images = Vec::new();
        let mut rest = batch;
        while !rest.is_empty() {
            let needed = &needed[batch.len() - rest.len()..];
            let mut sum = 0;
            let fit = needed.iter().take_while(|bytes| {
                sum += **bytes;
                sum <= limit
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            images.par_extend(now.par_iter().map(read));
            rest = later;
        }
        let read: Vec<Result<Image, Error>> = images;
        let (mut stamps, mut images) = (Vec::new(), Vec::new());
        for (stamp, image) in batch.iter().zip(read) {
            match image {
                Ok(image) => {
                    stamps.push(stamp);
                    images.push(image);
                }
                Err(error) => {
                    self.skip(self.folder.join(&stamp.name), &error.with_causes());
                }
            }
        }
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let graph = self.network.graph();
        let mut nodes = vec![self.node];
        if graph.has_classifier() {
            nodes.push(graph.logits()?);
        }
        let (view, pixels) = quads_of(&images);
        let mut reader = match self.reader.take() {
            Some(reader) if reader.view() == view => reader,
            _ => block_on(Reader::new(self.network, view, &nodes))?,
        };
        let found = block_on(reader.read(&pixels))?;
        self.reader = Some(reader);
        let (shape, values) = &found[0];
        let positions = (shape.height * shape.width) as usize;
        let channels = shape.channels as usize;
        let entry = |(i, stamp): (usize, &Stamp)| {
            // One channel after another: [C,H,W].
            let layer = &values[i * channels * positions..][..channels * positions];
            let mean = |at: &[f32]| {
                let sum: f64 = at.iter().map(|v| f64::from(*v)).sum();
                (sum / positions as f64) as f32
            };
            let max = |at: &[f32]| at.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let class = found.get(1).and_then(|(shape, scores)| {
                let classes = shape.channels as usize;
                let scores = &scores[i * classes..][..classes];
                // Of equal scores the first class's, as in `classify`.
                (0..classes)
                    .rev()
                    .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
            });
            Entry {
                stamp: stamp.clone(),
                class,
                mean: layer.chunks_exact(positions).map(mean).collect(),
                max: layer.chunks_exact(positions).map(max).collect(),
            }
        };
        Ok(stamps.into_iter().enumerate().map(entry).collect())
    }

    fn skip(&mut self, path: PathBuf, reason: &str) {
        // The path is told once.
        let named = format!("'{}'", path.display());
        let reason = reason.strip_prefix(&named).unwrap_or(reason);
        let skipped = Skipped {
            reason: reason.trim_start_matches([':', ' ']).to_string(),
            path,
        };
        (self.tell)(Event::Skipped(&skipped));
        self.skipped.push(skipped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, mean: [f32; 2], max: [f32; 2]) -> Entry {
        Entry {
            stamp: Stamp {
                name: name.into(),
                bytes: 1,
                modified: (2, 3),
                ends: 4,
            },
            class: None,
            mean: mean.to_vec(),
            max: max.to_vec(),
        }
    }

    #[test]
    fn scores_are_a_channel_or_a_product() {
        let entries = [
            entry("a", [1.0, 2.0], [5.0, 6.0]),
            entry("b", [-3.0, 0.5], [7.0, 8.0]),
        ];
        let unit = |pool| Query::Unit { channel: 1, pool }.scores(&entries, 2);
        assert_eq!(unit(Pool::Max), [6.0, 8.0]);
        assert_eq!(unit(Pool::Mean), [2.0, 0.5]);
        let v = direction(5, 2);
        let found = Query::Direction { seed: 5 }.scores(&entries, 2);
        for (found, mean) in found.iter().zip([[1.0, 2.0], [-3.0, 0.5]]) {
            assert!((found - (v[0] * mean[0] + v[1] * mean[1])).abs() < 1e-6);
        }
    }

    #[test]
    fn alike_is_the_share_of_the_most_frequent_class() {
        let hit = |class| Hit {
            image: String::new(),
            score: 0.0,
            class,
            label: None,
        };
        let hits = [3, 9, 3, 4].map(|class| hit(Some(class)));
        assert_eq!(alike(&hits), Some(0.5));
        assert_eq!(alike(&[hit(None)]), None);
        assert_eq!(alike(&[]), None);
    }

    #[test]
    fn random_units_differ_and_are_the_layers() {
        let network = Network::load(&crate::Device::cpu(), "squeezenet1_1").expect("embedded");
        let units = |count, seed| Query::units(&network, "conv1", count, seed, Pool::Max);
        let mut channels: Vec<u32> = units(64, 1)
            .expect("all of them")
            .into_iter()
            .map(|query| match query {
                Query::Unit { channel, .. } => channel,
                Query::Direction { .. } => panic!("a direction"),
            })
            .collect();
        channels.sort_unstable();
        assert_eq!(channels, (0..64).collect::<Vec<_>>());
        assert_ne!(units(5, 1).expect("five"), units(5, 2).expect("five"));
        let error = units(65, 1).expect_err("too many").to_string();
        assert!(error.contains("64 channels"), "{error}");
    }
}
