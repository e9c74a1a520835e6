//! Networks: what one sees in pictures, and what changes its mind.

use std::ops::ControlFlow;
use std::path::PathBuf;

use pixgrad::engine::image::{Filter, size_for_long_side};
use pixgrad::engine::methods::classify::{self, prepared};
use pixgrad::engine::methods::options::parse::{self, LongSide};
use pixgrad::engine::methods::options::{AttackOptions, CLASSIFIER, Given, Pictures};
use pixgrad::engine::methods::search::{self, Event, Pool, Query};
use pixgrad::engine::methods::{self, Aim, Attack, Evolution, median, surest};
use pixgrad::{Error, Image, Init, Opening};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use serde_json::{Map, Value, json};

use crate::device::Device;
use crate::error::{raise, wrong};
use crate::logging::warn;
use crate::picture::{Named, Picture, named};

/// A trained network on a device.
#[pyclass(frozen, module = "pixgrad._pixgrad")]
pub struct Network {
    network: pixgrad::Network,
    device: Py<Device>,
}

/// An array: its shape and the bytes of its `f32` values.
type Array<'py> = (Vec<usize>, Bound<'py, PyByteArray>);

fn array<'py>(py: Python<'py>, shape: Vec<usize>, values: &[f32]) -> Array<'py> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    (shape, PyByteArray::new(py, &bytes))
}

/// An option read as the command line reads it.
fn option<T>(name: &str, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> PyResult<T> {
    parse(text).map_err(|why| wrong(&format!("{name}: {why}")))
}

/// Ends a computation at Ctrl-C.
#[derive(Default)]
struct Interrupt(Option<PyErr>);

impl Interrupt {
    fn check(&mut self) -> ControlFlow<()> {
        if self.0.is_none() {
            self.0 = Python::attach(|py| py.check_signals()).err();
        }
        match self.0 {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn finish<T>(self, result: Result<T, Error>) -> PyResult<T> {
        match self.0 {
            Some(error) => Err(error),
            None => result.map_err(raise),
        }
    }
}

fn json_text(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|e| wrong(&e.to_string()))
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (model, device, preprocessing=None, labels=None))]
    fn new(
        py: Python<'_>,
        model: &str,
        device: Py<Device>,
        preprocessing: Option<&str>,
        labels: Option<PathBuf>,
    ) -> PyResult<Self> {
        let preprocessing = preprocessing
            .map(|text| option("preprocessing", text, parse::preprocessing))
            .transpose()?;
        let opening = Opening {
            preprocessing,
            labels,
        };
        let model = if model == "auto" { CLASSIFIER } else { model };
        let own = device.get();
        let network = py.detach(|| own.network(model, &opening));
        Ok(Self {
            network: network.map_err(raise)?,
            device,
        })
    }

    #[getter]
    fn name(&self) -> String {
        self.network.graph().name.clone()
    }

    #[getter]
    fn layers(&self) -> Vec<String> {
        let layers = self.network.graph().layers();
        layers.map(|layer| layer.name.clone()).collect()
    }

    #[getter]
    fn class_names(&self) -> Option<Vec<String>> {
        let names = self.network.graph().class_names()?;
        Some(names.into_iter().map(str::to_string).collect())
    }

    /// The most probable classes of a picture, as JSON.
    fn classify(
        &self,
        py: Python<'_>,
        picture: &Picture,
        top: u64,
        size: &str,
    ) -> PyResult<String> {
        let size = option("size", size, parse::picture_size)?.of(self.network.graph());
        let top = usize::try_from(top).unwrap_or(usize::MAX);
        let scores = py.detach(|| classify::classify(&self.network, &picture.0, size, top));
        self.device.get().tell();
        json_text(&scores.map_err(raise)?)
    }

    /// The activations of layers for a picture, `[C,H,W]` each.
    fn features<'py>(
        &self,
        py: Python<'py>,
        picture: &Picture,
        layers: Vec<String>,
        size: &str,
    ) -> PyResult<Vec<Array<'py>>> {
        let size = option("size", size, parse::long_side)?;
        let found = py.detach(|| {
            let image = resized(&picture.0, size)?;
            methods::features(&self.network, &image, &layers)
        });
        self.device.get().tell();
        let found = found.map_err(raise)?;
        Ok(found
            .iter()
            .map(|feature| {
                let s = feature.shape;
                let shape = [s.channels, s.height, s.width].map(|n| n as usize);
                array(py, shape.to_vec(), &feature.values)
            })
            .collect())
    }

    /// The loss, the value of every term, and the gradient `[N,3,H,W]` at pictures of one size. `recipe` is JSON with
    /// the terms, and what else a recipe has.
    fn gradient<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<Picture>,
        recipe: &str,
        memory: Named,
    ) -> PyResult<(f32, Vec<f32>, Array<'py>)> {
        let recipe = serde_json::from_str::<pixgrad::Recipe>(recipe);
        let mut recipe = recipe.map_err(|e| wrong(&format!("the terms are wrong: {e}")))?;
        recipe.put_pictures(&named(memory));
        let count = pictures.len();
        let mut starts = pictures.into_iter().map(|picture| picture.0.into());
        recipe.image.init = match (starts.next(), count) {
            (Some(only), 1) => Init::Picture(only),
            (Some(first), _) => Init::Pictures(std::iter::once(first).chain(starts).collect()),
            (None, _) => return Err(wrong("at least one picture is needed")),
        };
        let report = py.detach(|| recipe.gradient(&self.network));
        self.device.get().tell();
        let report = report.map_err(raise)?;
        if !report.loss.is_finite() || report.gradient.iter().any(|g| !g.is_finite()) {
            return Err(wrong(
                "the loss or its gradient is not a finite number: smaller weights help",
            ));
        }
        let shape = vec![count, 3, report.height as usize, report.width as usize];
        let gradient = array(py, shape, &report.gradient);
        Ok((report.loss, report.terms, gradient))
    }

    /// Attacks pictures: for each the picture after it, and the rest as JSON. `labels` are classes to leave, `target`
    /// a class, `random`, or absent.
    fn attack(
        &self,
        py: Python<'_>,
        pictures: Vec<Picture>,
        labels: Option<Vec<String>>,
        target: Option<Vec<String>>,
        options: &str,
    ) -> PyResult<Vec<(Picture, String)>> {
        let (attack, size) = attack_options("attack", options)?;
        let graph = self.network.graph();
        graph.logits().map_err(raise)?;
        let classes = |names: &[String]| {
            let each = |name: &String| graph.class_index(name).map_err(raise);
            names.iter().map(each).collect::<PyResult<Vec<_>>>()
        };
        let aim = match (&labels, target.as_deref()) {
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "labels are classes to leave, target is one to reach: give one",
                ));
            }
            (None, Some([random])) if random == "random" => Aim::Random,
            (None, Some([class])) => Aim::Reach(vec![
                graph.class_index(class).map_err(raise)?;
                pictures.len()
            ]),
            (None, Some(each)) => Aim::Reach(classes(each)?),
            (Some(labels), None) => Aim::LeaveClasses(classes(labels)?),
            (None, None) => Aim::Leave,
        };
        let size = size.of(graph);
        let mut interrupt = Interrupt::default();
        let results = py.detach(|| {
            let images = pictures.iter().map(|picture| as_seen(&picture.0, size));
            let images = images.collect::<Result<Vec<Image>, Error>>()?;
            let mut watch = |_: &_| interrupt.check();
            methods::attack(&self.network, &images, &aim, &attack, &mut watch)
        });
        self.device.get().tell();
        let results = interrupt.finish(results)?;
        results
            .into_iter()
            .map(|found| {
                let told = json!({
                    "clean": found.clean,
                    "adversarial": found.adversarial,
                    "target": found.target,
                    "already_seen": found.already_seen,
                    "success": found.success,
                    "l2": found.distance.l2,
                    "linf": found.distance.linf,
                    "rms": found.distance.rms,
                    "iterations": found.iterations,
                    "c": found.c,
                });
                Ok((found.image.into(), told.to_string()))
            })
            .collect()
    }

    /// Pictures of nothing by evolution: of a class, or of the classes that the network is surest of. For each the class,
    /// its probability and the picture.
    #[pyo3(signature = (class, options, progress=None))]
    fn evolve(
        &self,
        py: Python<'_>,
        class: Option<&str>,
        options: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<(usize, f32, Picture)>> {
        let graph = self.network.graph();
        let none = Pictures::new();
        let mut given = Given::new("fool", table(options)?, &none);
        let mut read = || -> Result<_, pixgrad::MethodError> {
            let size = given.value("size", parse::side)?;
            let mut evolution = Evolution::of_network(&self.network, size);
            evolution.population = given
                .value("population", parse::population)?
                .unwrap_or(evolution.population);
            evolution.generations = given
                .value("generations", parse::count)?
                .unwrap_or(evolution.generations);
            evolution.seed = given.value("seed", parse::seed)?.unwrap_or(evolution.seed);
            let confidence = given.value("confidence", parse::decay)?;
            let top = given.value("top", parse::count)?.unwrap_or(16);
            Ok((evolution, confidence.unwrap_or(0.999), top))
        };
        let (evolution, confidence, top) = read().map_err(raise)?;
        given.finish().map_err(raise)?;
        let class = class.map(|name| graph.class_index(name).map_err(raise));
        let class = class.transpose()?;
        let mut interrupt = Interrupt::default();
        let found = py.detach(|| {
            let mut evolving = evolution.compile(&self.network)?;
            let _ = evolving.run(&mut |seen, best| {
                let watched = class.map_or_else(|| median(best), |class| best[class]);
                if interrupt.check().is_break() || class.is_some() && watched >= confidence {
                    return ControlFlow::Break(());
                }
                let told = progress.as_ref().map_or(Ok(true), |progress| {
                    Python::attach(|py| {
                        let answer = progress.call1(py, (seen.iteration, watched))?;
                        Ok(answer.is_none(py) || answer.is_truthy(py)?)
                    })
                });
                match told {
                    Ok(true) => ControlFlow::Continue(()),
                    Ok(false) => ControlFlow::Break(()),
                    Err(error) => {
                        interrupt.0 = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            let best = evolving.best();
            let classes = match class {
                Some(class) => vec![class],
                None => surest(best, usize::try_from(top).unwrap_or(usize::MAX)),
            };
            let pictures = evolving.images(&classes)?.into_iter();
            let found = classes.iter().zip(pictures);
            let found = found.map(|(class, image)| (*class, best[*class], image.into()));
            Ok(found.collect())
        });
        self.device.get().tell();
        interrupt.finish(found)
    }

    /// The images of a folder that activate channels or directions most, as JSON.
    fn search(&self, py: Python<'_>, folder: PathBuf, options: &str) -> PyResult<String> {
        let none = Pictures::new();
        let mut given = Given::new("search", table(options)?, &none);
        let mut read = || {
            let layer = given.value("layer", parse::layer_name)?;
            let pool = given.value("pool", |text| match text {
                "max" => Ok(Pool::Max),
                "mean" => Ok(Pool::Mean),
                _ => Err("it must be max or mean".to_string()),
            })?;
            let units = given.list("unit", parse::index)?;
            let directions = given.list("direction", parse::seed)?;
            let random = (
                given.value("units", parse::restarts)?,
                given.value("directions", parse::restarts)?,
                given.value("seed", parse::seed)?.unwrap_or(0),
            );
            let top = given.value("top", parse::count)?.unwrap_or(8);
            Ok((
                layer,
                pool.unwrap_or_default(),
                units,
                directions,
                random,
                top,
            ))
        };
        let (layer, pool, units, directions, (more_units, more, seed), top) =
            read().map_err(|e: pixgrad::MethodError| raise(e))?;
        given.finish().map_err(raise)?;
        let layer = layer.ok_or_else(|| wrong("search needs the option `layer`"))?;
        let units = units.into_iter();
        let mut queries: Vec<Query> = units.map(|channel| Query::Unit { channel, pool }).collect();
        if let Some(count) = more_units {
            let random = Query::units(&self.network, &layer, count, seed, pool);
            queries.extend(random.map_err(raise)?);
        }
        let directions = directions.into_iter();
        queries.extend(directions.map(|seed| Query::Direction { seed }));
        queries.extend(Query::directions(more.unwrap_or(0), seed));
        if queries.is_empty() {
            return Err(wrong(
                "search needs a unit, a direction, units or directions",
            ));
        }
        let top = usize::try_from(top).unwrap_or(usize::MAX);
        let found = py.detach(|| {
            let mut tell = |event: Event<'_>| {
                if let Event::Warning(text) = event {
                    warn(&text);
                }
            };
            search::search(
                &self.network,
                &folder,
                &layer,
                &queries,
                top,
                None,
                &mut tell,
            )
        });
        self.device.get().tell();
        json_text(&found.map_err(raise)?)
    }
}

fn table(options: &str) -> PyResult<Map<String, Value>> {
    serde_json::from_str(options).map_err(|e| wrong(&e.to_string()))
}

fn attack_options(method: &'static str, options: &str) -> PyResult<(Attack, parse::PictureSize)> {
    let none = Pictures::new();
    let mut given = Given::new(method, table(options)?, &none);
    let size = given.value("size", parse::picture_size).map_err(raise)?;
    let options = AttackOptions::take(&mut given).map_err(raise)?;
    given.finish().map_err(raise)?;
    Ok((options.attack().map_err(raise)?, size.unwrap_or_default()))
}

/// A picture as an attack begins with it.
fn as_seen(picture: &Image, size: classify::Size) -> Result<Image, Error> {
    let image = prepared(picture, size)?;
    Ok(Image {
        alpha: None,
        ..image
    }
    .clamp())
}

fn resized(image: &Image, size: LongSide) -> Result<Image, Error> {
    let LongSide::Pixels(side) = size else {
        return Ok(image.clone());
    };
    let (width, height) = size_for_long_side(image.width, image.height, side);
    if image.size() == (width, height) {
        return Ok(image.clone());
    }
    Ok(image.resize(width, height, Filter::Bicubic)?.clamp())
}

/// Whether adversarial pictures made for one network fool others: the tables as JSON.
#[pyfunction]
pub fn transfer(
    py: Python<'_>,
    networks: Vec<Py<Network>>,
    pictures: Vec<Picture>,
    rms: f64,
    options: &str,
) -> PyResult<String> {
    let (attack, size) = attack_options("transfer", options)?;
    let Some(first) = networks.first() else {
        return Err(wrong("a transfer needs at least one network and one image"));
    };
    let size = size.of(first.get().network.graph());
    let networks: Vec<(String, pixgrad::Network)> = networks
        .iter()
        .map(|network| {
            let network = &network.get().network;
            network.graph().logits().map_err(raise)?;
            Ok((network.graph().name.clone(), network.clone()))
        })
        .collect::<PyResult<_>>()?;
    let mut interrupt = Interrupt::default();
    let found = py.detach(|| {
        let images = pictures.iter().map(|picture| as_seen(&picture.0, size));
        let images = images.collect::<Result<Vec<Image>, Error>>()?;
        let mut watch = |_: &_| interrupt.check();
        methods::transfer(&networks, &images, &attack, rms, &mut |_| {}, &mut watch)
    });
    let found = interrupt.finish(found)?;
    json_text(&found.tables)
}
