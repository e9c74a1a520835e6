//! Temporary: the recorded calls of the six networks.
use pixgrad::Network;
use pixgrad::device::Device;
use pixgrad::kernels::View;
use pixgrad::net::{self, Architecture, NodeId, Padding, Pooling};
use pixgrad::objective::{Content, Gram, Tv};
use pixgrad::plan::{Placed, Plan, Precision, Problem};

fn main() {
    let cases: [(Architecture, usize, &str, &[&str], (u32, u32)); 8] = [
        (
            Architecture::SqueezeNet1_1,
            26,
            "logits",
            &["relu_conv1", "fire2/concat", "fire4/expand3x3"],
            (39, 45),
        ),
        (
            Architecture::SqueezeNet1_0,
            26,
            "prob",
            &["fire3/squeeze1x1"],
            (141, 136),
        ),
        (
            Architecture::Vgg19,
            16,
            "relu4_1",
            &["relu1_1", "conv2_1", "pool2"],
            (133, 128),
        ),
        (
            Architecture::Vgg19,
            16,
            "relu4_1",
            &["relu1_1", "relu2_1", "relu3_1", "relu5_1"],
            (132, 128),
        ),
        (Architecture::Vgg16, 13, "relu3_1", &["relu2_2"], (17, 24)),
        (
            Architecture::AlexNet,
            5,
            "relu5",
            &["relu1", "pool2", "data"],
            (67, 71),
        ),
        (
            Architecture::GoogLeNetBvlc,
            usize::MAX,
            "logits",
            &["conv2/3x3", "inception_3a/output", "inception_4b/5x5"],
            (149, 140),
        ),
        (
            Architecture::GoogLeNetBvlc,
            20,
            "inception_3b/output",
            &["conv1/7x7_s2", "conv2/3x3", "inception_3a/output"],
            (149, 140),
        ),
    ];
    let device = Device::cpu();
    for (arch, convs, content, gram, size) in cases {
        let graph = net::Network::random(arch, 10, convs, 7).unwrap();
        for (padding, pooling) in [
            (Padding::Zero, Pooling::Max),
            (Padding::Replicate, Pooling::Max),
            (Padding::ReplicateFirst, Pooling::Average),
            (Padding::Wrap, Pooling::Max),
        ] {
            for precision in [Precision::F32, Precision::F16] {
                for bands in [1, 3] {
                    let network = Network::new(&device, graph.clone())
                        .outline()
                        .rewired(padding, pooling)
                        .stored(precision);
                    let g = network.graph();
                    let node = g.find(content).unwrap();
                    let s = g.shape(node, size.0, size.1).unwrap();
                    let view = View::new(1, s.height, s.width, s.channels);
                    let target = device.buffer_from("t", &vec![0.5f32; view.len()]).unwrap();
                    let mut terms = vec![
                        Placed {
                            node,
                            term: Box::new(Content::new(target, view, 3.0)),
                            group: 0,
                            labels: None,
                        },
                        Placed {
                            node: NodeId(0),
                            term: Box::new(Tv::new(0.5)),
                            group: 1,
                            labels: None,
                        },
                    ];
                    for layer in gram {
                        let node = g.find(layer).unwrap();
                        let c = g.node(node).channels;
                        let p = c.next_multiple_of(4) as usize;
                        let target = device.buffer_from("g", &vec![0.5f32; p * p]).unwrap();
                        terms.push(Placed {
                            node,
                            term: Box::new(Gram::new(target, c, 2.0)),
                            group: 2,
                            labels: None,
                        });
                    }
                    let view = View::new(1, size.0, size.1, 3);
                    let problem = Problem {
                        bands,
                        ..Problem::new(&network, view, &terms)
                    };
                    println!("# {arch} {convs} {padding:?} {pooling:?} {precision:?} {bands}");
                    match Plan::new(&problem) {
                        Ok(plan) => {
                            println!("{:?}", plan.cost());
                            for call in plan.recording.calls() {
                                let labels: Vec<_> = call
                                    .values
                                    .iter()
                                    .map(|v| {
                                        format!(
                                            "{}:{:?}",
                                            plan.recording.value(*v).label,
                                            plan.recording.value(*v).kind
                                        )
                                    })
                                    .collect();
                                println!(
                                    "{} | {:?} | {:?} | {:?}",
                                    call.label, call.operation, labels, call.values
                                );
                            }
                        }
                        Err(e) => println!("{e}"),
                    }
                }
            }
        }
    }
}
