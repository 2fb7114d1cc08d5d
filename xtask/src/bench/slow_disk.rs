//! A disk that takes its time: every flush of a process under test is made 5 ms longer, from outside.
//!
//! The flush of this machine's disk is answered by a cache and flatters whoever waits for it. A small library that the
//! loader puts before the C library delays the calls; the binary under test is the one that users run.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Milliseconds added to each flush.
pub const MILLIS: u32 = 5;

const SOURCE: &str = "
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static int delayed(const char *name, int file) {
    struct timespec pause = {0, DELAY_MS * 1000000L};
    nanosleep(&pause, 0);
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(file);
}
int fdatasync(int file) { return delayed(\"fdatasync\", file); }
int fsync(int file) { return delayed(\"fsync\", file); }
";

/// Makes the library and returns its path, for `LD_PRELOAD`.
///
/// # Errors
/// When there is no C compiler: a Rust toolchain links with one.
pub fn library(folder: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (folder.join("slow_disk.c"), folder.join("slow_disk.so"));
    std::fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2"]).arg(format!("-DDELAY_MS={MILLIS}"));
    compiler.arg("-o").arg(&library).arg(&source).arg("-ldl");
    let built = compiler.status().context("cannot start cc")?;
    anyhow::ensure!(built.success(), "cc cannot build {}", source.display());
    Ok(library)
}
