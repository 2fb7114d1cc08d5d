//! What the end-to-end tests need besides Rust, installed once into a cache folder outside the checkout.

use crate::run;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the installed things are.
pub struct Tools {
    /// The Python of the virtual environment.
    pub python: PathBuf,
    /// The Python that a store which speaks S3 runs with.
    pub store: PathBuf,
    /// `node_modules` with posthog-node.
    pub node: PathBuf,
    /// `node_modules` with posthog-js and playwright-core.
    pub js: PathBuf,
    /// A Chromium; without one the browser tests fail and say why.
    pub chromium: Option<PathBuf>,
}

/// Installs what is missing. A second call finds everything and costs nothing.
pub fn tools(root: &Path) -> anyhow::Result<Tools> {
    let cache = cache()?.join("e2e");
    std::fs::create_dir_all(&cache)?;
    let python = python(root, &cache)?;
    let store = store(root)?;
    if !run::exists("npm") {
        apt(&["nodejs", "npm"]).context("node and npm are needed by the end-to-end tests")?;
    }
    let node = packages(root, &cache, "node")?;
    let js = packages(root, &cache, "js")?;
    Ok(Tools { python, store, node, js, chromium: chromium(&cache) })
}

/// The virtual environment only: what `crash` reads the tables back with.
pub fn python_only(root: &Path) -> anyhow::Result<PathBuf> {
    let cache = cache()?.join("e2e");
    std::fs::create_dir_all(&cache)?;
    python(root, &cache)
}

/// The Python that a store which speaks S3 runs with.
pub fn store(root: &Path) -> anyhow::Result<PathBuf> {
    let cache = cache()?.join("e2e");
    std::fs::create_dir_all(&cache)?;
    environment(&root.join("e2e/store-requirements.txt"), &cache.join("store"))
}

/// A PostgreSQL server: the metastore's tests start one of their own.
pub fn postgres() -> anyhow::Result<()> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let is_there = debian.map(|version| version.path().join("bin/initdb")).any(|program| program.exists());
    if (is_there || run::exists("initdb")) && run::exists("openssl") {
        return Ok(());
    }
    println!("installing postgresql");
    apt(&["postgresql", "openssl"]).context("a PostgreSQL server is needed by the metastore's tests")
}

/// `strace`: R2 reads the order of system calls with it, R3 makes them fail.
pub fn strace() -> anyhow::Result<()> {
    if run::exists("strace") {
        return Ok(());
    }
    println!("installing strace");
    apt(&["strace"]).context("strace is needed to watch system calls and to make them fail")
}

/// The library of libfaketime, which moves the clock of one process.
pub fn faketime() -> anyhow::Result<PathBuf> {
    let found = || {
        let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut all = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
        all.find(|library| library.exists())
    };
    if found().is_none() {
        println!("installing libfaketime");
        apt(&["libfaketime"])?;
    }
    found().context("libfaketime is needed to move a server's clock")
}

/// `$XDG_CACHE_HOME/tenrec`, else `~/.cache/tenrec`.
pub fn cache() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = base.filter(|path| path.is_absolute()).or_else(home);
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("tenrec"))
}

fn python(root: &Path, cache: &Path) -> anyhow::Result<PathBuf> {
    environment(&root.join("e2e/requirements.txt"), &cache.join("python"))
}

/// A virtual environment with the packages of a list.
fn environment(list: &Path, home: &Path) -> anyhow::Result<PathBuf> {
    let python = home.join("bin/python");
    if is_current(list, home) {
        return Ok(python);
    }
    println!("installing Python packages into {}", home.display());
    let create = || run::quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home));
    if create().is_err() {
        apt(&["python3", "python3-venv", "python3-pip"]).context("python3 with venv is needed")?;
        create()?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run::quiet(Command::new(&python).args(pip).arg(list))?;
    note_current(list, home)?;
    Ok(python)
}

fn packages(root: &Path, cache: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let (from, home) = (root.join("e2e").join(name), cache.join(name));
    let lock = from.join("package-lock.json");
    if !is_current(&lock, &home) {
        println!("installing npm packages into {}", home.display());
        std::fs::create_dir_all(&home)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), home.join(file))?;
        }
        let npm = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
        run::quiet(Command::new("npm").args(npm).current_dir(&home))?;
        note_current(&lock, &home)?;
    }
    Ok(home.join("node_modules"))
}

/// A Chromium that starts: the system's, else one installed, else one unpacked into the cache.
fn chromium(cache: &Path) -> Option<PathBuf> {
    let unpacked = cache.join("chromium/start");
    let found = || {
        let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        let all = named.into_iter().chain(names.map(PathBuf::from)).chain([unpacked.clone()]);
        all.into_iter().find(|path| run::exists(&path.to_string_lossy()))
    };
    found().or_else(|| {
        println!("installing chromium");
        let attempt =
            apt(&["chromium"]).or_else(|fault| unpack_chromium(&cache.join("chromium")).context(fault));
        if let Err(fault) = attempt {
            println!("no Chromium: {fault:#}");
        }
        found()
    })
}

/// Fetches the Debian packages as an ordinary user and unpacks them; nothing of the system is changed.
fn unpack_chromium(home: &Path) -> anyhow::Result<()> {
    let (lists, archives, root) = (home.join("lists"), home.join("archives"), home.join("root"));
    for folder in [&lists, &archives, &root] {
        std::fs::create_dir_all(folder.join("partial"))?;
    }
    let options = [
        format!("Dir::State::lists={}", lists.display()),
        format!("Dir::Cache={}", home.display()),
        format!("Dir::Cache::archives={}", archives.display()),
        "Debug::NoLocking=1".to_owned(),
    ];
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        options.iter().for_each(|option| {
            command.args(["-o", option]);
        });
        run::quiet(command.args(arguments))
    };
    apt_get(&["update", "-qq"])?;
    apt_get(&[
        "install",
        "-qq",
        "-y",
        "--download-only",
        "--reinstall",
        "--no-install-recommends",
        "chromium",
    ])?;
    for entry in std::fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run::quiet(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root))?;
        }
    }
    let libraries = run::quiet(Command::new("gcc").arg("-print-multiarch")).unwrap_or_default();
    let libraries = if libraries.trim().is_empty() { "x86_64-linux-gnu" } else { libraries.trim() };
    let root = root.display();
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={root}/usr/lib/{libraries}:{root}/lib/{libraries} exec {root}/usr/lib/chromium/chromium \"$@\"\n"
    );
    let start = home.join("start");
    std::fs::write(&start, script)?;
    std::fs::set_permissions(&start, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// Installs Debian packages: directly as root, else through `sudo` when it asks no password.
fn apt(packages: &[&str]) -> anyhow::Result<()> {
    let apt_get = |arguments: &[&str]| {
        let is_root = run::quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            command.args(["-n", "apt-get"]);
        }
        run::quiet(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["update", "-qq"])?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
        .with_context(|| format!("install it yourself: apt-get install {}", packages.join(" ")))?;
    Ok(())
}

/// Whether `home` was filled from exactly this list.
fn is_current(list: &Path, home: &Path) -> bool {
    let read = |path: &Path| std::fs::read(path).ok();
    read(list).is_some_and(|wanted| read(&home.join("installed-from")) == Some(wanted))
}

fn note_current(list: &Path, home: &Path) -> anyhow::Result<()> {
    std::fs::copy(list, home.join("installed-from"))?;
    Ok(())
}
