//! Folders whose names survive a power cut.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Creates a folder and those above it that are missing, and makes its name survive a power cut.
///
/// The folder above is flushed even when nothing was missing: the process that made the folder may have been killed
/// before it could.
///
/// # Errors
/// Those of the operating system.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    if !path.is_dir() {
        if !above.is_dir() {
            make_folder(above)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    File::open(above)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_however_deep_and_a_file_in_the_way_is_an_error() {
        let scratch = tempfile::tempdir().expect("makes a directory");
        let deep = scratch.path().join("a/b/c");
        for _ in 0..2 {
            make_folder(&deep).expect("makes them, or finds them");
            assert!(deep.is_dir());
        }
        fs::write(scratch.path().join("file"), "").expect("writes");
        make_folder(&scratch.path().join("file/below")).expect_err("a file is no folder");
    }
}
