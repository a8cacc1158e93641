//! The command line: parse, run, render, exit status. All of it lives in [`cli`].

mod cli;

use std::process::ExitCode;

/// musl's allocator has one lock for all threads: a flake of 3,000 lines takes it 19.5 ms to read, and 46 ms in each of two threads,
/// where this one takes 11 and 22 (docs/libraries.md). The programs that are published for Linux are of musl.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
