//! The folder that a test runs the tool in, and the tool while it runs.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use half::f16;
#[cfg(unix)]
use nix::sys::signal::{self, Signal};
use pixgrad::Image;
use pixgrad::engine::image::{self, Filter, SaveOptions};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

/// Where the tests run under `nohup`, the tool would ignore SIGHUP as they do.
#[cfg(unix)]
fn hears_hangups(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    let hear = || {
        // SAFETY: the default action is no handler of ours.
        unsafe { signal::signal(Signal::SIGHUP, signal::SigHandler::SigDfl) }?;
        Ok(())
    };
    // SAFETY: between `fork` and `exec` nothing but one system call is made.
    unsafe { command.pre_exec(hear) };
}

/// A folder of small pictures to run the tool in.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    /// `content.png`, 64x48, and `style.png`, 64x64.
    pub fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        desk.picture("content.png", &sample("chelsea.png", 64, 48));
        desk.picture("style.png", &sample("starry_night.jpg", 64, 64));
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn picture(&self, name: &str, image: &Image) {
        image::save(self.path(name), image, SaveOptions::default()).expect("a picture is written");
    }

    pub fn load(&self, name: &str) -> Image {
        image::load(self.path(name)).expect("a valid picture")
    }

    /// `huge.safetensors`: SqueezeNet with weights and biases of some layers multiplied by a factor each.
    pub fn huge_network(&self, factors: &[(&str, f32)]) {
        let file = fs::read(samples().join("models/squeezenet1_1.safetensors")).expect("weights");
        let tensors = SafeTensors::deserialize(&file).expect("safetensors");
        let (_, about) = SafeTensors::read_metadata(&file).expect("safetensors");
        let scaled = |name: &str, factor: f32| {
            let tensor = tensors.tensor(name).expect("a layer");
            let (halves, _) = tensor.data().as_chunks::<2>();
            let numbers = halves
                .iter()
                .map(|b| f16::from_le_bytes(*b).to_f32() * factor);
            let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
            (name.to_string(), tensor.shape().to_vec(), bytes)
        };
        let parts = factors.iter().flat_map(|(layer, factor)| {
            ["weight", "bias"].map(|part| scaled(&format!("{layer}.{part}"), *factor))
        });
        let scaled: Vec<_> = parts.collect();
        let is_scaled = |name: &str| scaled.iter().any(|(other, ..)| other == name);
        let others = tensors.iter().filter(|(name, _)| !is_scaled(name));
        let others = others.map(|(name, tensor)| (name.to_string(), tensor));
        let all = scaled.iter().map(|(name, shape, bytes)| {
            let tensor = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.clone(), tensor.expect("as many bytes"))
        });
        let bytes = safetensors::serialize(others.chain(all), about.metadata().clone());
        fs::write(self.path("huge.safetensors"), bytes.expect("a file")).expect("written");
    }

    /// Every file here, hidden ones too.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixgrad"));
        command
            .current_dir(self.folder.path())
            .args(line.split_whitespace());
        command
            .env("PIXGRAD_DEVICE", "cpu")
            .env("PIXGRAD_MODELS", self.path("no models"));
        // The tests' own servers are on this machine.
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command
    }

    /// Starts the tool and comes back at once.
    pub fn start(&self, line: &str) -> Running {
        self.spawn(self.command(line))
    }

    /// As [`Desk::start`], of a command that was changed.
    pub fn spawn(&self, mut command: Command) -> Running {
        #[cfg(unix)]
        hears_hangups(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        Running {
            stdout: child.stdout.take(),
            stderr: BufReader::new(child.stderr.take().expect("a pipe")),
            child,
        }
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the tool starts")
    }

    /// Runs what must succeed; its stdout.
    pub fn done(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs the tool in a shell that has set a limit first.
    #[cfg(unix)]
    pub fn limited(&self, limit: &str, line: &str) -> Output {
        let tool = self.command(line);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]);
        shell.arg(tool.get_program()).args(tool.get_args());
        for (key, value) in tool.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        let folder = tool.get_current_dir().expect("a folder");
        shell.current_dir(folder).output().expect("a shell")
    }

    pub fn json(&self, line: &str) -> Value {
        let stdout = self.done(line);
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{line}: {e}: {stdout}"))
    }

    /// Runs what must fail: with this exit code, every one of `words` on stderr, nothing on stdout, no panic, and no
    /// file written.
    pub fn refused(&self, line: &str, code: i32, words: &[&str]) {
        let before = self.files();
        let output = self.run(line);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert_eq!(stdout, "", "{line}");
        assert!(
            stderr.starts_with("error: ") || stderr.contains("\nerror: "),
            "{line}: {stderr}"
        );
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{line}: no `{word}` in: {stderr}");
        }
        assert_eq!(self.files(), before, "{line}");
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

pub fn sample(name: &str, width: u32, height: u32) -> Image {
    let image = image::load(samples().join("images").join(name)).expect("a sample picture");
    image
        .resize(width, height, Filter::Bicubic)
        .expect("a smaller one")
        .clamp()
}

/// The tool while it runs. It is killed when this is dropped: a test that fails leaves no process behind.
pub struct Running {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    /// Waits for a line on stderr that begins with this.
    pub fn until_stderr_begins(&mut self, start: &str) {
        self.stderr_line_that_begins(start);
    }

    /// Waits for a line on stderr that begins with this; the line.
    pub fn stderr_line_that_begins(&mut self, start: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended without a line that begins with {start}");
        }
        line
    }

    /// Waits for the next line on stdout.
    pub fn stdout_line(&mut self) -> String {
        let stdout = self.stdout.as_mut().expect("a pipe");
        let mut line = Vec::new();
        let mut byte = [0];
        while stdout.read_exact(&mut byte).is_ok() && byte != *b"\n" {
            line.push(byte[0]);
        }
        text(&line)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_some()
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("the number of a process");
        signal::kill(nix::unistd::Pid::from_raw(id), signal).expect("the tool still runs");
    }

    /// Closes our end of the pipe that it writes to.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Waits for its end. What was read of stderr before is not in the output.
    pub fn output(mut self) -> Output {
        let stdout = self.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stdout) = stdout {
                stdout.read_to_end(&mut bytes).expect("its stdout");
            }
            bytes
        });
        let mut stderr = Vec::new();
        self.stderr.read_to_end(&mut stderr).expect("its stderr");
        Output {
            status: self.child.wait().expect("it ends"),
            stdout: reader.join().expect("its stdout"),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A test that fails while the tool runs takes the tool with it.
#[cfg(unix)]
#[test]
fn a_failing_test_leaves_no_process() {
    let desk = Desk::new();
    let id = std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let desk = &desk;
        let failing = scope.spawn(move || {
            let run = desk.start("style content.png style.png -o out.png --size 64 -i 1000000");
            sender.send(run.child.id()).expect("the number is taken");
            std::panic::resume_unwind(Box::new("as a failing test does"));
        });
        assert!(failing.join().is_err());
        receiver.recv().expect("a number")
    });
    let id = nix::unistd::Pid::from_raw(i32::try_from(id).expect("the number of a process"));
    assert_eq!(signal::kill(id, None), Err(nix::errno::Errno::ESRCH));
}
