//! Random recipes.

use pixgrad::Network;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;

use crate::doors;
use crate::files::ask;

/// Numbers that people write, and some that nobody should.
fn number() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        20 => select(vec!["0.01", "0.1", "0.5", "0.9"]),
        4 => select(vec!["0.0", "1.0", "2.0", "30.0"]),
        1 => select(vec!["-1.0", "1e-30", "1e12", "1e30", "1e300", "nan", "inf", "-inf"]),
    ]
}

fn whole() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => select(vec!["1", "2", "3", "8"]),
        1 => select(vec!["0", "-1", "127", "65535", "4294967295", "9223372036854775807"]),
    ]
}

/// `key = value`, or nothing.
fn perhaps<V: std::fmt::Display + std::fmt::Debug>(
    key: &'static str,
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = String> {
    let written = value.prop_map(move |value| format!("{key} = {value}"));
    prop_oneof![5 => Just(String::new()), 1 => written]
}

/// Some of the lines, joined.
fn lines(all: Vec<BoxedStrategy<String>>) -> BoxedStrategy<String> {
    all.prop_map(|lines| {
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        lines.join("\n") + "\n"
    })
    .boxed()
}

fn quoted(names: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(names.to_vec()).prop_map(|name| format!("\"{name}\""))
}

const MAPS: [&str; 7] = [
    r#"{ kind = "fourier" }"#,
    r#"{ kind = "colour" }"#,
    r#"{ kind = "colour", decorrelate = false }"#,
    r#"{ kind = "tanh" }"#,
    r#"{ kind = "round" }"#,
    r#"{ kind = "jitter", pixels = 3 }"#,
    r#"{ kind = "warp" }"#,
];

const FILTERS: [&str; 6] = [
    "kind = \"normalize\"\nby = \"std\"",
    "kind = \"normalize\"\nby = \"sign\"",
    "kind = \"normalize\"\nby = \"l1\"\nepsilon = 1e-8",
    "kind = \"momentum\"\ndecay = 0.9",
    "kind = \"laplacian\"\nlevels = 3",
    "kind = \"laplacian\"\nlevels = 16",
];

const PROJECTIONS: [&str; 8] = [
    "kind = \"ball\"\nnorm = \"linf\"\nradius = 0.1",
    "kind = \"ball\"\nnorm = \"l2\"\nradius = 1.0\nrandom_start = true",
    "kind = \"norm\"\nradius = 5.0",
    "kind = \"norm\"\nradius = 5.0\nat_most = true",
    "kind = \"decay\"\nrate = 0.01",
    "kind = \"blur\"\nsigma = 1.0\nevery = 2",
    "kind = \"clip_small_norm\"\npercentile = 10",
    "kind = \"clip_small_contribution\"\npercentile = 10\nabsolute = true",
];

const TERMS: [&str; 20] = [
    "kind = \"content\"\ntarget = \"a.png\"",
    "kind = \"content\"\ntarget = \"a.png\"\nlayers = [\"conv1\", \"fire2/concat:0.5\"]\nrelative = true",
    "kind = \"content\"\ntarget = \"a.png\"\nmask = \"a.png\"",
    "kind = \"gram\"\ntarget = \"b.png\"",
    "kind = \"gram\"\ntarget = [\"a.png\", \"b.png\"]\ntarget_scale = 0.7\nlayers = [\"fire2/concat\"]",
    "kind = \"bn\"\ntarget = \"b.png\"\nlayers = [\"conv1\"]\nrelative = true",
    "kind = \"mmd\"\nkernel = \"gaussian\"\ntarget = \"b.png\"\nlayers = [\"fire2/concat\"]",
    "kind = \"mmd\"\nkernel = \"poly\"\nconstant = 1\ndegree = 3\ntarget = \"b.png\"\nlayers = [\"conv1\"]",
    "kind = \"wasserstein\"\ntarget = \"b.png\"\nlayers = [\"conv1\"]",
    "kind = \"sliced_wasserstein\"\ntarget = \"b.png\"\nlayers = [\"conv1\"]",
    "kind = \"activation\"\nlayers = [\"fire3/concat\"]\nchannel = 3\nunit = \"center\"",
    "kind = \"activation\"\nlayers = [\"conv1\"]\nsquare = true",
    "kind = \"energy\"\nlayers = [\"fire2/concat\"]",
    "kind = \"guide\"\ntarget = \"b.png\"\nlayers = [\"fire2/concat\"]",
    "kind = \"direction\"\ndirection = 5\nlayers = [\"fire2/concat\"]\ncosine_power = 2",
    "kind = \"inversion\"\ntarget = \"a.png\"\nlayers = [\"fire2/concat\"]",
    "kind = \"logit\"\nclass = 3",
    "kind = \"cross_entropy\"\nclass = [3, 4]",
    "kind = \"margin\"\nclass = 7\nuntargeted = true\nconfidence = 2",
    "kind = \"alpha_norm\"",
];

const IMAGE_TERMS: [&str; 4] = [
    "kind = \"tv\"",
    "kind = \"tv\"\nbeta = 1.5",
    "kind = \"alpha_norm\"\nalpha = 1",
    "kind = \"l2\"",
];

fn term() -> impl Strategy<Value = String> {
    let kind = prop_oneof![4 => select(TERMS.to_vec()), 1 => select(IMAGE_TERMS.to_vec())];
    (kind, perhaps("weight", number()))
        .prop_map(|(kind, weight)| format!("[[term]]\n{kind}\n{weight}\n"))
}

fn maps(key: &'static str) -> BoxedStrategy<String> {
    let list = vec(select(MAPS.to_vec()), 0..3);
    let written = list.prop_map(move |maps| format!("{key} = [{}]", maps.join(", ")));
    prop_oneof![4 => Just(String::new()), 1 => written].boxed()
}

fn tables(name: &'static str, kinds: &'static [&'static str]) -> BoxedStrategy<String> {
    let list = vec(select(kinds.to_vec()), 0..3);
    let written = list.prop_map(move |kinds| {
        let table = |kind: &&str| format!("[[{name}]]\n{kind}\n");
        kinds.iter().map(table).collect::<String>()
    });
    prop_oneof![4 => Just(String::new()), 1 => written].boxed()
}

fn image() -> BoxedStrategy<String> {
    let starts = [
        "content", "noise", "gray", "mean", "stats", "a.png", "b.png",
    ];
    let side = prop_oneof![8 => (17..40u32).prop_map(|side| side.to_string()), 1 => whole().prop_map(String::from)];
    let size = side.prop_map(|side| format!("size = {side}"));
    let exact = (17..40u32, 17..40u32).prop_map(|(w, h)| format!("width = {w}\nheight = {h}"));
    let start = prop_oneof![
        6 => quoted(&starts),
        1 => Just("[\"a.png\", \"a.png\"]".to_string()),
    ];
    let scales = prop_oneof![
        4 => Just(String::new()),
        1 => whole().prop_map(|n| format!("octaves = {n}")),
        1 => whole().prop_map(|n| format!("min_size = {n}")),
    ];
    lines(vec![
        prop_oneof![4 => size, 1 => exact].boxed(),
        perhaps("init", start).boxed(),
        perhaps("noise", number()).boxed(),
        perhaps("batch", whole()).boxed(),
        scales.boxed(),
        perhaps(
            "scale_factor",
            select(vec!["1.2", "1.5", "3.0", "1.0000001", "1.0", "0.5", "nan"]),
        )
        .boxed(),
        perhaps("carry", quoted(&["image", "detail"])).boxed(),
        perhaps("preserve_color", quoted(&["off", "luma", "match"])).boxed(),
        maps("parameterisation"),
        maps("transformation"),
    ])
}

fn optimizer() -> BoxedStrategy<String> {
    let progress = [
        r#"{ policy = "fixed", desired = 2.0 }"#,
        r#"{ policy = "probability", early = 0.03, late = 0.1 }"#,
    ];
    lines(vec![
        quoted(&["adam", "lbfgs", "gradient"])
            .prop_map(|kind| format!("kind = {kind}"))
            .boxed(),
        (1..4u32).prop_map(|n| format!("iterations = {n}")).boxed(),
        perhaps("initial_iterations", 1..4u32).boxed(),
        perhaps("step_size", number()).boxed(),
        perhaps("final_step", number()).boxed(),
        perhaps("average", number()).boxed(),
        perhaps("beta1", number()).boxed(),
        perhaps("beta2", number()).boxed(),
        perhaps("epsilon", number()).boxed(),
        perhaps("history", whole()).boxed(),
        perhaps("progress", select(progress.to_vec())).boxed(),
    ])
}

fn recipe() -> impl Strategy<Value = String> {
    let top = lines(vec![
        Just("model = \"squeezenet1_1\"".to_string()).boxed(),
        perhaps(
            "padding",
            quoted(&["zero", "replicate", "replicate_first", "wrap"]),
        )
        .boxed(),
        perhaps("pooling", quoted(&["max", "average"])).boxed(),
        perhaps("precision", quoted(&["f32", "f16"])).boxed(),
        perhaps("seed", whole()).boxed(),
    ]);
    let keep = prop_oneof![
        6 => Just(String::new()),
        1 => (0..3u32, number()).prop_map(|(term, most)| format!("[keep]\nterm = {term}\nat_most = {most}\n")),
    ];
    let parts = (
        top,
        image(),
        optimizer(),
        tables("filter", &FILTERS),
        tables("projection", &PROJECTIONS),
        vec(term(), 1..4),
        keep,
    );
    parts.prop_map(
        |(top, image, optimizer, filters, projections, terms, keep)| {
            let terms = terms.concat();
            format!(
                "{top}[image]\n{image}[optimizer]\n{optimizer}{filters}{projections}{terms}{keep}"
            )
        },
    )
}

/// Where recipes run.
struct Place {
    folder: TempDir,
    network: Network,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: doors::folder(),
            network: Network::load(&doors::device(), "squeezenet1_1").expect("embedded"),
        }
    }

    fn run(&self, recipe: &str) -> Result<(), String> {
        doors::recipe(recipe, self.folder.path(), &self.network).map(|_| ())
    }
}

/// Finite pixels, or a message.
#[test]
fn recipes_run_or_are_refused() {
    let place = Place::new();
    let (mut done, mut refused) = (0, 0);
    let counts = std::cell::RefCell::new((&mut done, &mut refused));
    ask(1500, recipe(), |recipe| {
        let result = place.run(&recipe);
        let mut counts = counts.borrow_mut();
        match result {
            Ok(()) => *counts.0 += 1,
            Err(message) => {
                assert!(message.len() > 10, "{message}");
                *counts.1 += 1;
            }
        }
    });
    // The recipes are plausible enough for both to come up.
    assert!(
        done > 150 && refused > 150,
        "{done} done, {refused} refused"
    );
}

/// Every pair of maps, filters, projections and terms, in one of the places that they may stand in.
#[test]
fn pairs_run_or_are_refused() {
    let place = Place::new();
    let recipe = |image: &str, more: &str, term: &str| {
        format!(
            "model = \"squeezenet1_1\"\n[image]\nsize = 24\n{image}\n[optimizer]\nkind = \"gradient\"\n\
             iterations = 2\nstep_size = 0.01\n{more}\n[[term]]\n{term}\n"
        )
    };
    let content = TERMS[0];
    let mut done = 0;
    let mut try_one = |text: String| match place.run(&text) {
        Ok(()) => done += 1,
        Err(message) => assert!(message.len() > 10, "{message}:\n{text}"),
    };
    for a in MAPS {
        for b in MAPS {
            try_one(recipe(
                &format!("parameterisation = [{a}, {b}]"),
                "",
                content,
            ));
            try_one(recipe(&format!("transformation = [{a}, {b}]"), "", content));
            let both = format!("parameterisation = [{a}]\ntransformation = [{b}]");
            try_one(recipe(&both, "", content));
        }
    }
    for (name, kinds) in [("filter", &FILTERS[..]), ("projection", &PROJECTIONS[..])] {
        for a in kinds {
            for b in kinds {
                let more = format!("[[{name}]]\n{a}\n[[{name}]]\n{b}");
                try_one(recipe("", &more, content));
            }
        }
    }
    for filter in FILTERS {
        for projection in PROJECTIONS {
            let more = format!("[[filter]]\n{filter}\n[[projection]]\n{projection}");
            try_one(recipe("", &more, content));
        }
    }
    for (i, a) in TERMS.iter().enumerate() {
        for b in TERMS[i..].iter().chain(&IMAGE_TERMS) {
            try_one(recipe("", "", &format!("{a}\n[[term]]\n{b}")));
        }
    }
    assert!(done > 200, "{done}");
}
