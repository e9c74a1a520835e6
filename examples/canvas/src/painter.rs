//! The painting: a run on the window's device, a few iterations for each frame.
//!
//! The run is compiled in a thread of its own, since that computes the targets. From then on the window's thread owns
//! it, and only appends command buffers: as many iterations as fit the budget, and none while the GPU is still at those
//! before. A new weight holds from the next iteration on.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use eframe::egui_wgpu::RenderState;
use eframe::{egui, wgpu};
use pixgrad::{Device, Network, Recipe, Run};

/// Long side of the painting in pixels.
const SIZE: u32 = 384;

/// Iterations of a painting.
const ITERATIONS: u64 = 400;

/// A slider: a name of the recipe's terms, and the largest factor of their weights.
pub struct Dial {
    pub name: &'static str,
    /// The kinds of the terms that it turns.
    kinds: &'static [&'static str],
    pub most: f64,
    /// What the weights of the recipe are multiplied by.
    pub factor: f64,
}

/// The sliders of the window.
pub fn dials() -> [Dial; 3] {
    let dial = |name, kinds, most| Dial {
        name,
        kinds,
        most,
        factor: 1.0,
    };
    [
        dial("content", &["content"], 10.0),
        dial("style", &["gram"], 10.0),
        dial("smoothness", &["tv"], 20.0),
    ]
}

/// A run in the window, with the texture that it is shown in.
struct Shown {
    run: Run,
    texture: wgpu::Texture,
    id: egui::TextureId,
    size: (u32, u32),
    /// The weights of the recipe's terms, as they were compiled.
    weights: Vec<f64>,
}

/// What the GPU is at.
struct Submitted {
    done: Arc<AtomicBool>,
    begin: Instant,
    iterations: u64,
}

/// Paints on the window's device.
pub struct Painter {
    host: RenderState,
    device: Device,
    budget: Duration,
    iterations: u64,
    /// The run, until it is compiled.
    coming: Option<Receiver<Result<Run, pixgrad::Error>>>,
    shown: Option<Shown>,
    submitted: Option<Submitted>,
    /// Time of one iteration, as measured.
    pace: Option<Duration>,
    error: Option<String>,
}

impl Painter {
    pub fn new(
        host: &RenderState,
        content: String,
        style: String,
        budget: Duration,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let device = Device::from_wgpu(&host.adapter, host.device.clone(), host.queue.clone());
        let iterations =
            std::env::var("CANVAS_ITERATIONS").map_or(Ok(ITERATIONS), |n| n.parse())?;
        let (send, receive) = channel();
        let thread_device = device.clone();
        std::thread::spawn(move || {
            // Where the window is closed by now, nobody receives it.
            let _ = send.send(compile(&thread_device, &content, &style, iterations));
        });
        Ok(Self {
            host: host.clone(),
            device,
            budget,
            iterations,
            coming: Some(receive),
            shown: None,
            submitted: None,
            pace: None,
            error: None,
        })
    }

    /// Does what a frame can do without waiting.
    pub fn advance(&mut self) {
        let is_idle = self.finish_submitted();
        let done = match self.coming.as_ref().map(Receiver::try_recv) {
            Some(Ok(Ok(run))) => self.show(run),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(TryRecvError::Empty)) => return,
            // The thread has ended without an answer.
            Some(Err(TryRecvError::Disconnected)) => return self.fail("the run was not compiled"),
            None if is_idle => self.submit(),
            None => return,
        };
        self.coming = None;
        if let Err(error) = done {
            self.fail(&error.with_causes());
        }
    }

    /// Multiplies the weights of a slider's terms, from the next iteration on.
    pub fn turn(&mut self, dial: &Dial) {
        let Some(shown) = &mut self.shown else {
            return;
        };
        let terms = shown.run.recipe().terms.iter().enumerate();
        let turned = terms.filter(|(_, term)| dial.kinds.contains(&term.kind.name()));
        let turned: Vec<usize> = turned.map(|(place, _)| place).collect();
        for term in turned {
            let weight = shown.weights[term] * dial.factor;
            if let Err(error) = shown.run.set_term_weight(term, weight) {
                return self.fail(&error.with_causes());
            }
        }
    }

    /// Paints from the content on, with the weights as they are.
    pub fn begin_again(&mut self) {
        if let Some(shown) = &mut self.shown
            && let Err(error) = shown.run.restart()
        {
            self.fail(&error.with_causes());
        }
    }

    fn show(&mut self, run: Run) -> Result<(), pixgrad::Error> {
        let scale = run.plan()[0];
        let size = (scale.width, scale.height);
        let texture = self.host.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("the painting"),
            size: wgpu::Extent3d {
                width: size.0,
                height: size.1,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            // egui takes what it samples as sRGB values, which is what pixgrad writes.
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let id = self.host.renderer.write().register_native_texture(
            &self.host.device,
            &view,
            wgpu::FilterMode::Linear,
        );
        let weights = run.recipe().terms.iter().map(|term| term.weight).collect();
        self.shown = Some(Shown {
            run,
            texture,
            id,
            size,
            weights,
        });
        Ok(())
    }

    /// Whether the GPU has done all that was submitted; then it is known how long it takes.
    fn finish_submitted(&mut self) -> bool {
        let Some(submitted) = &self.submitted else {
            return true;
        };
        if !submitted.done.load(Ordering::Acquire) {
            return false;
        }
        let each = submitted.begin.elapsed() / u32::try_from(submitted.iterations).unwrap_or(1);
        // A frame in between makes it look slower than it is, never faster.
        self.pace = Some(self.pace.map_or(each, |pace| (pace * 3 + each) / 4));
        self.submitted = None;
        true
    }

    /// Appends as many iterations as fit the budget, at least one, and a copy into the texture.
    fn submit(&mut self) -> Result<(), pixgrad::Error> {
        let Some(shown) = &mut self.shown else {
            return Ok(());
        };
        let left = shown.run.iterations() - shown.run.done();
        if left == 0 {
            return Ok(());
        }
        let fit = self.pace.map_or(1, |pace| {
            (self.budget.as_nanos() / pace.as_nanos().max(1)) as u64
        });
        let iterations = fit.clamp(1, left);
        let mut encoder = self
            .host
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        shown.run.encode(&mut encoder, iterations)?;
        shown.run.copy_to_texture(&mut encoder, &shown.texture)?;
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        self.host.queue.submit([encoder.finish()]);
        self.host
            .queue
            .on_submitted_work_done(move || flag.store(true, Ordering::Release));
        self.submitted = Some(Submitted {
            done,
            begin: Instant::now(),
            iterations,
        });
        Ok(())
    }

    fn fail(&mut self, error: &str) {
        self.error = Some(error.to_string());
        self.coming = None;
        self.shown = None;
    }

    /// Whether another frame has something to do.
    pub fn is_busy(&self) -> bool {
        let (done, all) = self.iterations();
        self.coming.is_some() || self.submitted.is_some() || done < all
    }

    /// Iterations done, and all.
    pub fn iterations(&self) -> (u64, u64) {
        let run = self.shown.as_ref().map(|shown| &shown.run);
        run.map_or((0, 0), |run| (run.done(), self.iterations))
    }

    /// The painting as egui has it, and its size in pixels.
    pub fn texture(&self) -> Option<(egui::TextureId, u32, u32)> {
        let shown = self.shown.as_ref().filter(|shown| shown.run.done() > 0)?;
        Some((shown.id, shown.size.0, shown.size.1))
    }

    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// A line on what is going on.
    pub fn state(&self) -> String {
        match (&self.error, self.pace) {
            (Some(error), _) => error.clone(),
            (None, _) if self.shown.is_none() => "preparing".to_string(),
            (None, Some(pace)) => format!("{:.1} ms per iteration", pace.as_secs_f64() * 1e3),
            (None, None) => "painting".to_string(),
        }
    }

    pub fn device(&self) -> &str {
        &self.device.info().name
    }
}

/// A painting at one size, so that its texture stays.
fn compile(
    device: &Device,
    content: &str,
    style: &str,
    iterations: u64,
) -> Result<Run, pixgrad::Error> {
    let network = Network::load(device, "squeezenet1_1")?;
    let mut recipe = Recipe::style(content, [style])
        .size(SIZE)
        .iterations(iterations);
    recipe.image.min_size = None;
    // What is shown is the last image, not an average of all.
    recipe.optimizer.average = 0.0;
    recipe.compile(device, &network)
}
