//! What a network was trained to see, as a user, or its weights file's metadata, say it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{PreprocessingError, PreprocessingProblem, WeightsProblem};
use super::graph::{Graph, Node, NodeId};
use super::parameters::Parameter;
use crate::layer::{Conv, Normalize, Window};

/// The preprocessing of torchvision's ImageNet networks, which holds where a file says nothing.
pub const DEFAULT: &str = "RGB/255 - mean(0.485,0.456,0.406), / std(0.229,0.224,0.225)";

/// Pixels are multiplied by at most so much and at least its inverse, and shifted by at most so much.
const LARGEST: f32 = 1e6;

/// The channels' order that a network was trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChannelOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as OpenCV reads pictures and Caffe's networks see them.
    Bgr,
}

/// What becomes of an image before the network's first layer: mean and standard deviation per channel of RGB in
/// `[0,1]`, and then the order of the channels.
///
/// It is written as a name (`torchvision`, `caffe`, `zero-one`, `minus-one-one`), in numbers
/// (`mean=103.939/116.779/123.68,scale=255,order=bgr`: `(x * scale - mean) / std`, the channels in the order that the
/// network has them in; each part may be absent), or as in a weights file's metadata,
/// `RGB/255 - mean(r,g,b), / std(r,g,b)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Of red, green and blue, in `[0,1]`.
    pub mean: [f64; 3],
    /// Of red, green and blue, in `[0,1]`.
    pub std: [f64; 3],
    /// Of what the network reads.
    pub order: ChannelOrder,
}

/// The preprocessings that have a name.
const NAMED: [(&str, Preprocessing); 4] = [
    ("torchvision", Preprocessing::TORCHVISION),
    ("caffe", Preprocessing::CAFFE),
    (
        "zero-one",
        Preprocessing {
            mean: [0.0; 3],
            std: [1.0; 3],
            order: ChannelOrder::Rgb,
        },
    ),
    ("minus-one-one", Preprocessing::MINUS_ONE_ONE),
];

impl Preprocessing {
    /// Of torchvision's ImageNet networks: mean and standard deviation of ImageNet's pixels.
    pub const TORCHVISION: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        order: ChannelOrder::Rgb,
    };

    /// Of Caffe's networks: BGR of 0 to 255 less a mean colour (Simonyan & Zisserman 2014).
    pub const CAFFE: Self = Self {
        mean: [123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0],
        std: [1.0 / 255.0; 3],
        order: ChannelOrder::Bgr,
    };

    /// RGB from -1 to 1.
    pub const MINUS_ONE_ONE: Self = Self {
        mean: [0.5; 3],
        std: [0.5; 3],
        order: ChannelOrder::Rgb,
    };

    /// As [`Preprocessing::from_str`], of a weights file's metadata.
    pub(super) fn parse(text: &str) -> Result<Preprocessing, WeightsProblem> {
        Self::read(text).map_err(|problem| WeightsProblem::Preprocessing {
            found: text.to_owned(),
            problem,
            expected: DEFAULT,
        })
    }

    fn read(text: &str) -> Result<Preprocessing, PreprocessingProblem> {
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let named = NAMED.into_iter().find(|(name, _)| *name == compact);
        match named {
            Some((_, preprocessing)) => Ok(preprocessing),
            None if compact.contains('=') => Self::read_numbers(&compact),
            None => Self::read_metadata(&compact),
        }
    }

    /// `RGB/255 - mean(r,g,b), / std(r,g,b)`, where the mean, the standard deviation or both may be absent.
    fn read_metadata(compact: &str) -> Result<Preprocessing, PreprocessingProblem> {
        let Some(mut rest) = compact.strip_prefix("RGB/255") else {
            return Err(PreprocessingProblem::Start);
        };
        let mut read = Preprocessing {
            mean: [0.0; 3],
            std: [1.0; 3],
            order: ChannelOrder::Rgb,
        };
        if let Some(after) = rest.strip_prefix("-mean(") {
            (read.mean, rest) = triple(after)?;
        }
        let before_std = rest.strip_prefix(',').unwrap_or(rest);
        if let Some(after) = before_std.strip_prefix("/std(") {
            (read.std, rest) = triple(after)?;
        }
        if !rest.is_empty() {
            return Err(PreprocessingProblem::Rest {
                found: rest.to_owned(),
            });
        }
        read.checked()
    }

    /// `mean=a/b/c,std=a/b/c,scale=x,order=bgr`, each part at most once. One number stands for three equal ones.
    fn read_numbers(compact: &str) -> Result<Preprocessing, PreprocessingProblem> {
        let (mut mean, mut std, mut scale, mut order) = (None, None, None, None);
        for part in compact.split(',') {
            let unknown = || PreprocessingProblem::Part {
                found: part.to_owned(),
            };
            let (key, value) = part.split_once('=').ok_or_else(unknown)?;
            let is_second = match key {
                "mean" => mean.replace(slashed(value)?).is_some(),
                "std" => std.replace(slashed(value)?).is_some(),
                "scale" => scale.replace(slashed(value)?[0]).is_some(),
                "order" => {
                    let found = match value.to_ascii_lowercase().as_str() {
                        "rgb" => ChannelOrder::Rgb,
                        "bgr" => ChannelOrder::Bgr,
                        _ => {
                            return Err(PreprocessingProblem::Order {
                                found: value.to_owned(),
                            });
                        }
                    };
                    order.replace(found).is_some()
                }
                _ => return Err(unknown()),
            };
            if is_second {
                return Err(PreprocessingProblem::Twice {
                    part: key.to_owned(),
                });
            }
        }
        let scale = scale.unwrap_or(1.0);
        if scale <= 0.0 {
            return Err(PreprocessingProblem::Scale);
        }
        let order = order.unwrap_or_default();
        // (x s - m) / d = (x - m/s) / (d/s).
        let mut read = Preprocessing {
            mean: mean.unwrap_or([0.0; 3]).map(|mean| mean / scale),
            std: std.unwrap_or([1.0; 3]).map(|std| std / scale),
            order,
        };
        if order == ChannelOrder::Bgr {
            read.mean.reverse();
            read.std.reverse();
        }
        read.checked()
    }

    /// Refuses numbers with which the network's first values overflow or vanish: behind a ReLU nothing would tell.
    fn checked(self) -> Result<Preprocessing, PreprocessingProblem> {
        if self.std.iter().any(|&std| std <= 0.0) {
            return Err(PreprocessingProblem::Deviation);
        }
        let (scale, bias) = self.scale_and_bias();
        let usual = |scale: &f32| (1.0 / LARGEST..=LARGEST).contains(scale);
        if !scale.iter().all(usual) || bias.iter().any(|bias| bias.abs() > LARGEST) {
            return Err(PreprocessingProblem::Range);
        }
        Ok(self)
    }

    /// What the first layer of a graph that normalizes does; without one the image stays as it is.
    pub(super) fn of(graph: &Graph) -> Preprocessing {
        let mut nodes = graph.nodes().iter();
        let normalize = nodes.find_map(|node| node.layer.of_kind::<Normalize>());
        let Normalize { scale, bias } = *normalize.unwrap_or(&Normalize::IDENTITY);
        Preprocessing {
            mean: std::array::from_fn(|c| -f64::from(bias[c]) / f64::from(scale[c])),
            std: scale.map(|scale| 1.0 / f64::from(scale)),
            order: ChannelOrder::Rgb,
        }
    }

    /// `x * scale + bias` per channel is `(x - mean) / std`.
    pub fn scale_and_bias(&self) -> ([f32; 3], [f32; 3]) {
        let scale = self.std.map(|std| (1.0 / std) as f32);
        let bias = std::array::from_fn(|c| (-self.mean[c] / self.std[c]) as f32);
        (scale, bias)
    }

    /// Lets the image be preprocessed so, in a graph whose image is `input`, together with its parameters.
    ///
    /// `before` is the order of the channels that the graph takes them in as it is.
    ///
    /// A layer that normalizes the image is put behind it, unless there is one. The order of the channels is turned in
    /// the weights of the convolutions that read it; where something else reads it, too, by a convolution that only
    /// does that.
    pub(super) fn put_into(
        &self,
        graph: Graph,
        input: NodeId,
        mut parameters: Vec<Parameter>,
        before: ChannelOrder,
    ) -> (Graph, Vec<Parameter>) {
        let (mut graph, normalize) = with_normalize(graph, input);
        graph.normalize(self);
        if self.order == before {
            return (graph, parameters);
        }
        match first_weights(&graph, normalize) {
            Some(names) => {
                let first = parameters.iter_mut().filter(|p| names.contains(&p.name));
                first.for_each(swap_red_and_blue);
                (graph, parameters)
            }
            None => {
                let (node, of_node) = turning(&unused_name(&graph), normalize);
                parameters.extend(of_node);
                (insert_behind(&graph, normalize, node), parameters)
            }
        }
    }
}

/// The graph with a layer behind the image that normalizes it, and that layer.
fn with_normalize(graph: Graph, input: NodeId) -> (Graph, NodeId) {
    let mut readers = graph.ids().filter(|id| graph.node(*id).inputs == [input]);
    let reads = |id: NodeId| graph.node(id).inputs.contains(&input);
    if graph.ids().filter(|id| reads(*id)).count() == 1
        && let Some(only) = readers.next()
        && graph.node(only).is::<Normalize>()
    {
        return (graph, only);
    }
    let taken = |name: &str| graph.find(name).is_some();
    let names = ["normalize", "preprocessing/normalize"];
    let name = names.into_iter().find(|name| !taken(name));
    let node = Node {
        name: name.unwrap_or("pixgrad/normalize").to_owned(),
        aliases: Vec::new(),
        layer: Arc::new(Normalize::IDENTITY),
        inputs: vec![input],
        channels: 3,
        is_aside: false,
    };
    (insert_behind(&graph, input, node), NodeId(input.0 + 1))
}

/// The graph with a node that reads `before`, and that all others read in its place.
fn insert_behind(graph: &Graph, before: NodeId, node: Node) -> Graph {
    let at = before.0 + 1;
    let moved = |id: NodeId| match id {
        id if id == before => NodeId(at),
        NodeId(place) if place >= at => NodeId(place + 1),
        id => id,
    };
    let mut nodes: Vec<Node> = graph.nodes().to_vec();
    for later in &mut nodes[at..] {
        later.inputs.iter_mut().for_each(|id| *id = moved(*id));
    }
    nodes.insert(at, node);
    Graph::of_nodes(nodes, graph.trained_size())
}

/// The weights of the convolutions that read `id`, if nothing else does and no other layer has them.
fn first_weights(graph: &Graph, id: NodeId) -> Option<Vec<String>> {
    let (first, others): (Vec<&Node>, Vec<&Node>) =
        graph.nodes().iter().partition(|node| node.inputs == [id]);
    if others.iter().any(|node| node.inputs.contains(&id)) {
        return None;
    }
    let mut names = Vec::new();
    for node in first {
        let conv = node.layer.of_kind::<Conv>()?;
        let weight = node.layer.parameters().into_iter().next()?;
        // Of a convolution in groups only the image's own channels are in one group.
        if weight.shape.get(1) != Some(&3) || conv.in_channels != 3 {
            return None;
        }
        names.push(weight.name);
    }
    let mut of_others = others.iter().flat_map(|node| node.layer.parameters());
    (!of_others.any(|other| names.contains(&other.name))).then_some(names)
}

/// Of weights `[out, 3, ..]`: the first input channel becomes the last.
fn swap_red_and_blue(weight: &mut Parameter) {
    let plane: usize = weight.shape.iter().skip(2).product();
    for filter in weight.values.chunks_exact_mut(3 * plane) {
        let (red, rest) = filter.split_at_mut(plane);
        red.swap_with_slice(&mut rest[plane..]);
    }
}

/// A name that no layer has.
fn unused_name(graph: &Graph) -> String {
    let mut name = "bgr".to_owned();
    while graph.find(&name).is_some() {
        name.insert_str(0, "to_");
    }
    name
}

/// A convolution 1×1 that turns RGB into BGR, and its parameters.
fn turning(name: &str, reads: NodeId) -> (Node, [Parameter; 2]) {
    let mut alone = Graph::builder();
    let image = alone.input("image", 3);
    let conv = alone.conv(name, image, name, 3, Window::square(1, 1, 0));
    let alone = alone.build().expect("a convolution of an image");
    let node = Node {
        inputs: vec![reads],
        ..alone.node(conv).clone()
    };
    let parameter = |suffix, shape: &[usize], values: &[f32]| Parameter {
        name: format!("{name}.{suffix}"),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let turned = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
    let parameters = [
        parameter("weight", &[3, 3, 1, 1], &turned),
        parameter("bias", &[3], &[0.0; 3]),
    ];
    (node, parameters)
}

impl FromStr for Preprocessing {
    type Err = PreprocessingError;

    fn from_str(text: &str) -> Result<Self, PreprocessingError> {
        Self::read(text).map_err(|problem| PreprocessingError {
            found: text.to_owned(),
            problem,
        })
    }
}

impl fmt::Display for Preprocessing {
    /// A name, or numbers that are read back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMED.iter().find(|(_, known)| known == self) {
            return f.write_str(name);
        }
        let numbers = |mut of: [f64; 3]| {
            if self.order == ChannelOrder::Bgr {
                of.reverse();
            }
            of.map(|number| number.to_string()).join("/")
        };
        write!(f, "mean={},std={}", numbers(self.mean), numbers(self.std))?;
        match self.order {
            ChannelOrder::Rgb => Ok(()),
            ChannelOrder::Bgr => f.write_str(",order=bgr"),
        }
    }
}

impl Serialize for Preprocessing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Preprocessing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a network's preprocessing is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PreprocessingSource {
    /// It was asked for.
    Asked,
    /// The file says it, or the graph does it.
    File,
    /// The file is one that is known here.
    KnownFile,
    /// It is not known: that of torchvision is taken.
    Assumed,
}

/// Three finite numbers up to the closing parenthesis, and what follows it.
fn triple(text: &str) -> Result<([f64; 3], &str), PreprocessingProblem> {
    let (inside, rest) = text
        .split_once(')')
        .ok_or(PreprocessingProblem::Parenthesis)?;
    let numbers: Vec<f64> = inside
        .split(',')
        .map(|number| number.parse().ok().filter(|n: &f64| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| PreprocessingProblem::NotNumbers {
            found: inside.to_owned(),
        })?;
    let numbers = numbers
        .try_into()
        .map_err(|n: Vec<f64>| PreprocessingProblem::Count { found: n.len() })?;
    Ok((numbers, rest))
}

/// Three finite numbers with slashes between them, or one that stands for all three.
fn slashed(text: &str) -> Result<[f64; 3], PreprocessingProblem> {
    let numbers: Option<Vec<f64>> = text
        .split('/')
        .map(|number| number.parse().ok().filter(|n: &f64| n.is_finite()))
        .collect();
    match numbers.as_deref() {
        Some([all]) => Ok([*all; 3]),
        Some([a, b, c]) => Ok([*a, *b, *c]),
        Some(others) => Err(PreprocessingProblem::Count {
            found: others.len(),
        }),
        None => Err(PreprocessingProblem::NotNumbers {
            found: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mean_and_standard_deviation() {
        let read = Preprocessing::parse(DEFAULT).unwrap();
        assert_eq!(read.mean, [0.485, 0.456, 0.406]);
        assert_eq!(read.std, [0.229, 0.224, 0.225]);
        let (scale, bias) = read.scale_and_bias();
        for c in 0..3 {
            // The mean becomes 0, and one standard deviation more becomes 1.
            let at = |x: f64| x as f32 * scale[c] + bias[c];
            assert!(at(read.mean[c]).abs() < 1e-6);
            assert!((at(read.mean[c] + read.std[c]) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn both_parts_are_optional() {
        let identity = Preprocessing::parse("RGB/255").unwrap();
        assert_eq!(identity.scale_and_bias(), ([1.0; 3], [0.0; 3]));
        let mean = Preprocessing::parse("RGB / 255 - mean(0.5, 0.25, 1)").unwrap();
        assert_eq!(mean.scale_and_bias(), ([1.0; 3], [-0.5, -0.25, -1.0]));
        let std = Preprocessing::parse("RGB/255 / std(0.5,0.25,2)").unwrap();
        assert_eq!(std.scale_and_bias(), ([2.0, 4.0, 0.5], [0.0; 3]));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (text, reason) in [
            ("", "does not start"),
            ("BGR - mean(104,117,123)", "does not start"),
            ("RGB/255 - mean(0.5,0.5)", "2 numbers"),
            ("RGB/255 - mean(0.5,0.5,NaN)", "three numbers"),
            ("RGB/255 - mean(0.5,0.5,0.5", "closing parenthesis"),
            ("RGB/255 / std(1,0,1)", "not positive"),
            ("RGB/255 * 2", "`*2`"),
        ] {
            let error = Preprocessing::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn names_and_numbers_are_read_and_written() {
        let read = |text: &str| text.parse::<Preprocessing>().unwrap();
        assert_eq!(read("torchvision"), Preprocessing::parse(DEFAULT).unwrap());
        let caffe = read("caffe");
        assert_eq!(
            caffe,
            read("mean=103.939/116.779/123.68,scale=255,order=bgr")
        );
        // White becomes what is left of 255, red and blue as they are in RGB.
        let (scale, bias) = caffe.scale_and_bias();
        for (c, mean) in [123.68_f32, 116.779, 103.939].into_iter().enumerate() {
            assert!((scale[c] + bias[c] - (255.0 - mean)).abs() < 1e-3);
        }
        let (scale, bias) = read("minus-one-one").scale_and_bias();
        assert_eq!((scale, bias), ([2.0; 3], [-1.0; 3]));
        assert_eq!(read("zero-one").scale_and_bias(), ([1.0; 3], [0.0; 3]));
        assert_eq!(read(" mean = 0.5 , std = 0.5 "), read("minus-one-one"));
        let numbers = read("mean=1/2/3,std=0.1/0.2/0.3,order=BGR");
        assert_eq!(
            (numbers.mean, numbers.std),
            ([3.0, 2.0, 1.0], [0.3, 0.2, 0.1])
        );
        for text in [
            "torchvision",
            "caffe",
            "zero-one",
            "mean=0.1/0.2/0.3,std=1/7/0.3",
            "mean=0.1,scale=3,order=bgr",
        ] {
            let once = read(text);
            assert_eq!(read(&once.to_string()), once, "{text}");
        }
        assert_eq!(caffe.to_string(), "caffe");
    }

    #[test]
    fn what_is_wrong_with_an_option_is_said_with_what_would_be_right() {
        for (text, reason) in [
            ("imagenet", "is none of torchvision, caffe"),
            ("mean=0.5/0.5", "2 numbers"),
            ("mean=0.5/a/0.5", "`0.5/a/0.5`"),
            ("mean=1,mean=2", "`mean` twice"),
            ("order=grb", "`grb`"),
            ("scale=0", "scale that is not positive"),
            ("scale=inf", "`inf`"),
            ("std=0/1/1", "not positive"),
            ("std=3e-38", "more than 1e6"),
            ("std=1e9", "less than 1e-6"),
            ("mean=1e7", "more than 1e6"),
            ("mean=0.5,gamma=2", "`gamma=2`"),
            ("mean=0.5,", "``"),
        ] {
            let error = text.parse::<Preprocessing>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("mean=0.485/0.456/0.406"), "{error}");
        }
    }

    /// What the graph makes of parameters and preprocessing is what the network would make of a turned image.
    #[test]
    fn the_order_is_turned_in_the_weights_or_by_a_layer() {
        let weight = |name: &str| Parameter {
            name: format!("{name}.weight"),
            shape: vec![1, 3, 1, 2],
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        };
        let bias = |name: &str| Parameter {
            name: format!("{name}.bias"),
            shape: vec![1],
            values: vec![0.0],
        };
        let window = Window {
            kernel: [1, 2],
            ..Window::square(1, 1, 0)
        };
        for alone in [true, false] {
            let mut graph = Graph::builder();
            let image = graph.input("image", 3);
            graph.conv("a", image, "a", 1, window);
            if !alone {
                graph.max_pool("pool", image, Window::square(2, 2, 0));
            }
            let graph = graph.build().unwrap();
            let all = vec![weight("a"), bias("a")];
            let (graph, all) =
                Preprocessing::CAFFE.put_into(graph, NodeId(0), all, ChannelOrder::Rgb);
            assert!(graph.node(NodeId(1)).is::<Normalize>());
            let conv = graph.find("a").unwrap();
            if alone {
                assert_eq!(graph.node(conv).inputs, [NodeId(1)]);
                assert_eq!(all[0].values, [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
            } else {
                let turned = graph.find("bgr").unwrap();
                assert_eq!(graph.node(turned).inputs, [NodeId(1)]);
                assert_eq!(graph.node(conv).inputs, [turned]);
                assert_eq!(graph.node(graph.find("pool").unwrap()).inputs, [turned]);
                assert_eq!(all[0].values, weight("a").values);
            }
            assert!(crate::net::Network::new("a", graph, all).is_ok());
        }
    }
}
