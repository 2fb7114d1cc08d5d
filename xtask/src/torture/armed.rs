//! The server built with its fail points, and the tests that need them, beside the ordinary builds.

use super::Plan;
use crate::run;
use anyhow::Context as _;
use std::path::PathBuf;

/// What is built: the tests too, because their dependencies decide how the query engine is compiled, and it shall be
/// compiled as in every other build.
const WHAT: &[&str] = &["--workspace", "--test", "crash", "--test", "points"];
const FEATURES: &str = "cli/failpoints,table/failpoints,eventlog/failpoints";

/// Builds the server with fail points, runs the tests that strike them in one process, and gives the server's path.
/// `TENREC_ARMED_BINARY` names a ready one instead.
pub fn build(plan: &Plan) -> anyhow::Result<PathBuf> {
    if let Some(ready) = std::env::var_os("TENREC_ARMED_BINARY") {
        return Ok(PathBuf::from(ready));
    }
    let release = plan.profile == testkit::Profile::Release;
    let folder = run::target(plan.root).join(if release { "release" } else { "debug" });
    let [plain, kept, armed] = ["tenrec", "tenrec.plain", "tenrec-armed"].map(|name| folder.join(name));
    // Cargo gives both builds one name in this folder. Whoever starts the ordinary one must not get the other.
    if plain.exists() {
        let _ = std::fs::remove_file(&kept);
        std::fs::hard_link(&plain, &kept).context("cannot put the ordinary binary aside")?;
    }
    let mut command = run::cargo();
    command.arg("build").args(WHAT).args(["--bin", "tenrec", "--features", FEATURES]);
    let built = command.args(release.then_some("--release")).current_dir(plan.root).status();
    let built = built.context("cannot start cargo")?.success();
    if built {
        std::fs::rename(&plain, &armed).context("cannot name the armed binary")?;
    }
    if kept.exists() {
        std::fs::rename(&kept, &plain).context("cannot put the ordinary binary back")?;
    }
    anyhow::ensure!(built, "the server with fail points does not build");
    tests(plan)?;
    Ok(armed)
}

fn tests(plan: &Plan) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.arg("test").args(WHAT).args(["--quiet", "--features", FEATURES]);
    let outcome = run::echoed(command.current_dir(plan.root))?;
    anyhow::ensure!(outcome.ok, "the tests with fail points failed");
    Ok(())
}
