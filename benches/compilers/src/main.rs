//! What the compiler of a Vulkan driver makes of pixgrad's kernels: registers, spills, workgroups in flight, as far as
//! the driver says. It compiles only, so the GPU need not be there: README.md says how.

mod mix;
mod spirv;
mod vulkan;

use std::process::ExitCode;

const HELP: &str = "\
What a Vulkan driver's compiler makes of pixgrad's kernels, as a table with tabs between its columns.

Usage: compilers [OPTION...] [KERNEL...]

  KERNEL     Only variants with this name, for example conv3x3+BIAS+RELU, or of this file, for example conv3x3
  --packed   With all tensors in 16 bits, as under --precision f16
  --shared   With all that is read declared as written, as where it lies in one buffer with what is written
  --mix      Also the instructions of the loop with the most multiply-adds (RADV only)
  --text     Also what the driver shows of its work, down to the machine's instructions
";

fn main() -> ExitCode {
    let (options, kernels): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with('-'));
    let known = ["--packed", "--shared", "--mix", "--text"];
    if let Some(other) = options.iter().find(|o| !known.contains(&o.as_str())) {
        let help = ["-h", "--help"].contains(&other.as_str());
        print!("{HELP}");
        return ExitCode::from(if help { 0 } else { 2 });
    }
    let on = |name: &str| options.iter().any(|o| o == name);
    let bindings = spirv::Bindings {
        packed: on("--packed"),
        shared: on("--shared"),
    };
    match run(&kernels, bindings, on("--mix"), on("--text")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(kernels: &[String], bindings: spirv::Bindings, mix: bool, text: bool) -> Result<(), String> {
    let driver = vulkan::Driver::open()?;
    eprintln!("{}", driver.name);
    let mut header = Vec::new();
    let mut count = 0;
    for shader in spirv::variants(&driver, kernels) {
        let words = spirv::compile(shader, &driver, bindings)?;
        let made = driver
            .compile(&words, mix || text)
            .map_err(|e| format!("{}: {e}", shader.label()))?;
        let mut row = made.statistics;
        if mix {
            row.extend(mix::of_main_loop(&made.text));
        }
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        if names != header {
            println!("kernel\t{}", names.join("\t"));
            header = names.iter().map(ToString::to_string).collect();
        }
        let values: Vec<String> = row.iter().map(|(_, value)| value.to_string()).collect();
        println!("{}\t{}", shader.label().replace(' ', ""), values.join("\t"));
        if text {
            println!("{}", made.text);
        }
        count += 1;
    }
    if count == 0 {
        return Err(format!(
            "no kernel that this driver can run is called {kernels:?}"
        ));
    }
    Ok(())
}
