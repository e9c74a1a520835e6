//! Every kernel of a plan has run once before its first iteration, and nothing that is kept has changed by it.

use pixgrad::Network;
use pixgrad::engine::device::Kind;
use pixgrad::engine::kernels::View;
use pixgrad::engine::net::{self, Architecture, NodeId};
use pixgrad::engine::objective::Tv;
use pixgrad::engine::optim::{Adam, Average, Lbfgs, Optimizer};
use pixgrad::engine::plan::{Iteration, Placed, Problem};
use pixgrad::engine::schedule::{Executor, Kept};

use crate::common::open_gpu;

fn check(optimizer: &dyn Optimizer) {
    // A device of its own: on a shared one other tests have run the kernels.
    let device = &open_gpu();
    let gpu = device.gpu().expect("a GPU");
    let graph = net::Network::random(Architecture::Vgg19, 10, 3, 7).expect("a random network");
    let network = Network::new(device, graph);
    let terms = [Placed {
        node: NodeId(0),
        term: Box::new(Tv::new(0.5)),
        group: 0,
        labels: None,
    }];
    let problem = Problem {
        optimizer: Some(optimizer),
        average: Some(Average { decay: 0.9 }),
        ..Problem::new(&network, View::new(2, 9, 11, 3), &terms)
    };
    let plan = Iteration::new(&problem).expect("a plan");
    let calls = plan.program.recording.calls();
    assert!(!calls.is_empty());
    for call in calls {
        assert!(!gpu.has_run(&*call.operation, &[]).expect("a pipeline"));
    }
    let mut executor = Executor::with_state(device, plan).expect("an executor");
    let reals = |len: usize| (0..len).map(|i| 0.1 + i as f32).collect::<Vec<_>>();
    let words = |len: usize| (0..len).map(|i| i as u32 % 3).collect::<Vec<_>>();
    for Kept { buffer, .. } in executor.persistent() {
        match buffer.kind() {
            Kind::Real | Kind::Wide | Kind::Half | Kind::Packed | Kind::Rectified => {
                device.upload(buffer, &reals(buffer.len()))
            }
            Kind::Word => device.upload_words(buffer, &words(buffer.len())),
        }
        .expect("it fits");
    }
    executor.complete().expect("memory");
    assert!(executor.persistent().count() >= 4);
    for Kept { name, buffer, .. } in executor.persistent() {
        match buffer.kind() {
            Kind::Real | Kind::Wide | Kind::Half | Kind::Packed | Kind::Rectified => {
                let now = device.download(buffer).expect("reals");
                assert_eq!(now, reals(buffer.len()), "{name}");
            }
            Kind::Word => {
                let now = device.download_words(buffer).expect("words");
                assert_eq!(now, words(buffer.len()), "{name}");
            }
        }
    }
    for call in executor.program().recording.calls() {
        let name = &call.label;
        let bound: Vec<_> = call.values.iter().map(|v| executor.buffer(*v)).collect();
        let has_run = gpu.has_run(&*call.operation, &bound);
        assert!(has_run.expect("a pipeline"), "{name}");
    }
}

#[test]
fn adam_and_its_average() {
    check(&Adam {
        step_size: 0.02,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        range: [0.0, 1.0],
        earlier: 0,
        slope: 0.0,
    });
}

#[test]
fn lbfgs_with_its_history() {
    check(&Lbfgs::default());
}
